"""Imports run one way: economics, numerics <- core <- models <- analysis <- plots, report, cli."""

import ast
from pathlib import Path

import jaxecon

ROOT = Path(jaxecon.__file__).parent
RANK = {"economics": 0, "numerics": 0, "core": 1, "models": 2, "analysis": 3, "plots": 4, "report": 5, "cli": 6}


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{a.name}" for a in node.names)


def _room(path):
    part = path.relative_to(ROOT).parts[0]
    return part.removesuffix(".py")


def test_imports_run_one_way():
    wrong = []
    for path in ROOT.rglob("*.py"):
        room = _room(path)
        if room not in RANK:
            continue
        for name in _imports(path):
            parts = name.split(".")
            if parts[0] == "jaxecon" and len(parts) > 1 and parts[1] in RANK and RANK[parts[1]] > RANK[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, wrong


def test_analyses_and_faces_name_no_model():
    """Analyses, figures and the report find models by discovery; `core.discovery` imports only the package."""
    wrong = []
    for room in ("core", "analysis", "plots", "report", "cli"):
        for path in [*ROOT.glob(f"{room}.py"), *(ROOT / room).rglob("*.py")]:
            wrong += [f"{path.relative_to(ROOT)}: {n}" for n in _imports(path) if n.startswith("jaxecon.models.")]
    assert not wrong, wrong


def test_models_do_not_import_each_other():
    wrong = []
    for path in (ROOT / "models").rglob("*.py"):
        own = path.relative_to(ROOT / "models").parts[0]
        for name in _imports(path):
            parts = name.split(".")
            if parts[:2] == ["jaxecon", "models"] and len(parts) > 2 and parts[2] != own:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, wrong


def test_nothing_unsafe_or_global():
    """No pickle, no evaluated text, no precision switch at import, no print outside the command line."""
    wrong = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in ("eval", "exec", "pickle.load", "pickle.loads", "pickle.dump"):
                    wrong.append(f"{path.name}:{node.lineno} {name}")
                if name == "print" and _room(path) != "cli":
                    wrong.append(f"{path.name}:{node.lineno} print")
                if name == "jax.config.update" and "x64" in ast.unparse(node):
                    wrong.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
    assert not wrong, wrong


def test_no_lapack_inside_programs():
    """Batched LAPACK calls of two programs at once wait for each other for good: `solve_small`, `solve_dense` instead."""
    wrong = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in (
                "jnp.linalg",
                "jax.scipy.linalg",
                "jsp.linalg",
            ):
                if node.attr != "norm":
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}")
    assert not wrong, wrong
