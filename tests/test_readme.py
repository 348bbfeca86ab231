"""The README's example runs as printed, and is as short as promised."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def example():
    return re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL).group(1)


def test_the_example_is_short(example):
    assert len([line for line in example.splitlines() if line.strip()]) <= 15


@pytest.mark.slow
def test_the_example_runs(example, capsys):
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("welfare ") and "100% solved" in printed[2]
    assert float(printed[3].rsplit(" ", 1)[1]) < 1e-5, "the optimum comes with a small KKT residual"


def test_the_models_are_listed():
    from jaxecon.core.discovery import model_names

    text = README.read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in text for name in model_names())
