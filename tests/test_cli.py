"""The command line: shapes of its JSON, and every kind of wrong input ends with exit code 2 and no traceback."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from jaxecon.cli import main
from jaxecon.cli.arguments import EXAMPLES, build_parser, read_point
from jaxecon.cli.commands import COMMANDS
from jaxecon.core.discovery import load, model_names
from jaxecon.core.fields import fields_of

MODEL = model_names()[0]


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
    """Tests leave the user's compilation cache and the process's settings alone."""
    monkeypatch.setenv("JAXECON_CACHE", "off")


def run(capsys, *words, code=0):
    got = main([str(w) for w in words])
    out, err = capsys.readouterr()
    assert got == code, err or out
    assert "Traceback" not in err
    return out, err


def run_json(capsys, *words, code=0):
    return json.loads(run(capsys, *words, "--json", code=code)[0], parse_constant=pytest.fail)


def test_models(capsys):
    rows = run_json(capsys, "models")
    assert [r["name"] for r in rows] == model_names()
    for r in rows:
        assert r["title"] and "equilibrium" in r["layers"]
        assert set(r["counts"]) == {"params", "instruments", "outcomes", "claims"}
        assert r["counts"]["params"] == len(fields_of(load(r["name"]).Params))


@pytest.mark.parametrize("name", model_names())
def test_show(capsys, name):
    shown = run_json(capsys, "show", name)
    for group in ("params", "instruments", "outcomes"):
        for f in shown[group]:
            assert {"name", "symbol", "unit", "bounds", "default", "grade", "source", "doc"} <= set(f)
    assert all({"id", "statement", "grade", "expectation"} <= set(c) for c in shown["claims"])
    assert "laissez_faire" in shown["regimes"]


@pytest.mark.parametrize("name", model_names())
def test_solve(capsys, name):
    model = load(name)
    got = run_json(capsys, "solve", name)
    assert got["model"] == name and got["status"] == "SOLVED" and got["max_residual"] <= 1e-8
    assert set(got["params"]) == set(fields_of(model.Params)) and set(got["policy"]) == set(fields_of(model.Policy))
    for n, f in fields_of(model.Outcomes).items():
        assert set(got["outcomes"][n]) == {"value", "unit", "symbol"}
        assert got["outcomes"][n]["symbol"] == f.symbol


def test_solve_takes_parameters_and_instruments(capsys, tmp_path):
    base = run_json(capsys, "solve", "information_pollution")
    moved = run_json(capsys, "solve", "information_pollution", "-p", "p_A=0.1", "-p", "low_quality_tax=0.05")
    assert moved["params"]["p_A"] == 0.1 and moved["policy"]["low_quality_tax"] == 0.05
    assert moved["outcomes"]["welfare"]["value"] != base["outcomes"]["welfare"]["value"]
    reform = tmp_path / "reform.toml"
    reform.write_text('[set]\nname = "reform"\n[params]\np_A = 0.1\n[policy]\nlow_quality_tax = 0.05\n')
    by_file = run_json(capsys, "solve", "information_pollution", "--set", reform)
    assert by_file["outcomes"] == moved["outcomes"]


@pytest.mark.slow
def test_solve_in_float32(capsys):
    double = run_json(capsys, "solve", MODEL)["outcomes"]["welfare"]["value"]
    single = run_json(capsys, "solve", MODEL, "--x32")["outcomes"]["welfare"]["value"]
    assert single != double and single == pytest.approx(double, rel=1e-3)


def test_sweep_to_store_resume_and_refuse(capsys, tmp_path):
    store = tmp_path / "study.zarr"
    words = ("sweep", "information_pollution", "p_A=0.02:0.2:5", "low_quality_tax=0,0.1", "-o", store)
    got = run_json(capsys, *words)
    assert got["cells"] == 10 and got["solved"] == 10 and got["store"] == str(store)
    again = run_json(capsys, *words, "--resume")
    assert again["cells"] == 10
    _, err = run(capsys, *words, code=2)
    assert "resume" in err
    _, err = run(capsys, "sweep", "information_pollution", "p_A=0.02:0.3:5", "-o", store, "--resume", code=2)
    assert "study.zarr" in err


def test_csv_and_json_files(capsys, tmp_path):
    path = tmp_path / "cells.csv"
    run(capsys, "sweep", "information_pollution", "p_A=0.02:0.2:3", "-o", path)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 and float(rows[0]["welfare"]) > 0
    path = tmp_path / "point.json"
    out, _ = run(capsys, "solve", "information_pollution", "-o", path)
    assert json.loads(path.read_text())["status"] == "SOLVED" and "wrote" in out


def test_simulate(capsys):
    got = run_json(capsys, "simulate", "information_pollution", "--layer", "dynamics", "--periods", 4)
    assert len(got["coords"]["time"]) == 5 and got["kind"] == "dynamics"
    got = run_json(
        capsys, "simulate", "supply_shock", "--layer", "agents", "--agents", 50, "--periods", 5, "--seeds", 2
    )
    assert got["coords"]["seed"] == [0, 1]
    assert all(s["unit"] for s in got["series"].values())


def test_optimize(capsys):
    got = run_json(capsys, "optimize", "rent_seeking", "--instruments", "detection", "--starts", 3)
    assert got["status"] in ("OPTIMAL", "AT_BOUND") and got["kkt_residual"] < 1e-6 and got["gain"] >= 0


def test_sensitivity(capsys):
    got = run_json(capsys, "sensitivity", "rent_seeking", "--method", "elasticities", "--outcome", "welfare")
    assert set(got["measures"]) >= {"elasticity"} and set(got["measures"]["elasticity"]) == {"welfare"}


def test_claims(capsys):
    model = load("rent_seeking")
    cheap = [c.id for c in model.claims if c.cost == "equilibrium"][:2]
    words = [w for i in cheap for w in ("--id", i)]
    got = run_json(capsys, "claims", "rent_seeking", *words, "--draws", 8)
    assert [c["id"] for c in got] == cheap
    for c in got:
        assert {"id", "statement", "grade", "expectation", "margin", "holds", "share", "draws"} <= set(c)


@pytest.mark.parametrize("name", model_names())
def test_sets_and_their_difference(capsys, name, tmp_path):
    assert isinstance(run_json(capsys, "sets", name), list)
    parameter = next(n for n, f in fields_of(load(name).Params).items() if f.kind == "real" and f.box)
    lo, hi = fields_of(load(name).Params)[parameter].box
    for k, value in enumerate((lo, hi)):
        (tmp_path / f"{k}.toml").write_text(f"[params]\n{parameter} = {value}\n")
    got = run_json(capsys, "sets", name, tmp_path / "0.toml", tmp_path / "1.toml")
    assert got["differences"] == [
        {"name": parameter, "symbol": fields_of(load(name).Params)[parameter].symbol, "unit": fields_of(load(name).Params)[parameter].unit,
         "default": fields_of(load(name).Params)[parameter].default, "first": lo, "second": hi}
    ]  # fmt: skip


WRONG = [
    (["slove", MODEL], "did you mean 'solve'"),
    (["solve", "supply_shok"], "did you mean 'supply_shock'"),
    (["solve", MODEL, "-p", "nonsense=1"], "nonsense"),
    (["solve", MODEL, "-p", "novalue"], "name=value"),
    (["solve", "information_pollution", "-p", "p_A=nan"], "not finite"),
    (["solve", "information_pollution", "-p", "p_A=cheap"], "not a number"),
    (["solve", "information_pollution", "-p", "p_A=1e9"], "outside"),
    (["solve", "information_pollution", "-p", "p_A=[0.1,0.2]"], "scalar"),
    (["solve", "information_pollution", "-p", "e_L=0.5", "-p", "e_H=1"], "e_L"),
    (["solve", MODEL, "--regime", "anarchy"], "regime"),
    (["solve", MODEL, "--set", "no_such_set"], "no_such_set"),
    (["solve", MODEL, "--set", "/no/such/file.toml"], "cannot be read"),
    (["solve", MODEL, "--seed", "-1"], "seed"),
    (["solve", MODEL, "-o", "/no/such/folder/x.json"], "does not exist"),
    (["solve", MODEL, "-o", "x.pickle"], "suffix"),
    (["sweep", MODEL, "p_A"], "not an axis"),
    (["sweep", MODEL, "q=1:2:3", "--distributed", "2/2@here:1"], "K from 0 to N - 1"),
    (["sweep", MODEL, "q=1:2:3", "--distributed", "0/2@here:1"], "-o study.zarr"),
    (["sweep", "information_pollution", "p_A=0.1:0.2:2.5"], "whole number"),
    (["sweep", "information_pollution", "p_A=0.2:0.1:3"], "empty"),
    (["sweep", "information_pollution", "p_A=0.1,cheap"], "axis p_A: 'cheap' is not a number"),
    (["sweep", "information_pollution", "p_A=0.1:0.2:3", "q=1:2:3"], "'q'"),
    (["sweep", "information_pollution", "p_A=0.1:0.2", "--design", "sobol"], "points"),
    (["sweep", "information_pollution", "p_A=0.1:0.2:3", "--resume"], "resume"),
    (["simulate", MODEL, "--layer", "weather"], "weather"),
    (["simulate", MODEL, "--agents", "0", "--layer", "agents"], "at least 1"),
    (["simulate", "information_pollution", "--layer", "dynamics", "--seeds", "3"], "agent layers"),
    (["optimize", MODEL, "--instruments", "taxx"], "taxx"),
    (["optimize", "information_pollution", "--instruments", "provenance", "--objective", "happiness"], "happiness"),
    (["sensitivity", MODEL, "--samples", "many"], "many"),
    (["sensitivity", MODEL, "--method", "guess"], "guess"),
    (["sensitivity", MODEL, "--prior", "/no/such/prior.toml"], "cannot be read"),
    (["claims", MODEL, "--draws", "0"], "at least 1"),
    (["claims", MODEL, "--id", "C99.9"], "C99.9"),
    (["report", "-o", "report.docx"], "suffix"),
    (["sets", MODEL, "one"], "two sets"),
    ([], "required"),
]


@pytest.mark.parametrize(("words", "says"), WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else None)
def test_wrong_input_ends_with_2_and_a_message(capsys, words, says):
    out, err = run(capsys, *words, code=2)
    assert says in err and out == ""


def test_every_wrong_field_is_reported_at_once(capsys):
    _, err = run(capsys, "solve", "information_pollution", "-p", "p_A=-1", "-p", "taxx=1", "--regime", "qq", code=2)
    assert err.startswith("jaxecon: 3 problems") and all(w in err for w in ("p_A", "taxx", "qq"))
    _, err = run(capsys, "sweep", "information_pollution", "p_A=1:2", "-p", "taxx=1", "--regime", "qq", code=2)
    assert err.startswith("jaxecon: 3 problems") and all(w in err for w in ("'p_A=1:2'", "taxx", "qq"))
    _, err = run(capsys, "claims", "information_pollution", "--prior", "/no/such.toml", "-p", "taxx=1", code=2)
    assert err.startswith("jaxecon: 2 problems")
    words = (
        "optimize",
        "information_pollution",
        "--instruments",
        "taxx",
        "--objective",
        "joy",
        "--method",
        "guess",
        "--starts",
        "0",
    )
    _, err = run(capsys, *words, "-p", "p_A=-1", "-o", "/no/such/folder/x.json", code=2)
    assert err.startswith("jaxecon: 6 problems")
    assert all(w in err for w in ("taxx", "joy", "guess", "--starts", "p_A", "/no/such/folder"))
    _, err = run(
        capsys, "sweep", "information_pollution", "p_A=1:2", "pA=1:2:3", "mu=0:9:2", "--design", "guess", code=2
    )
    assert err.startswith("jaxecon: 2 problems") and "guess" in err and "pA" in err
    _, err = run(capsys, "claims", "one", "two", code=2)
    assert err.startswith("jaxecon: 2 problems")


def test_printed_examples_name_what_exists():
    """Every command in the README and in the help texts parses, and its model, regime and inputs exist."""
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    lines = [line.split("#")[0] for line in readme.splitlines() if line.startswith("jaxecon ")]
    assert lines
    for line in [*lines, *EXAMPLES.values()]:
        args = build_parser().parse_args(line.split()[1:])
        if hasattr(args, "model"):
            model = load(args.model)
            if hasattr(args, "values"):
                read_point(model, args)
            names = [w.split("=")[0] for w in getattr(args, "axes", [])]
            names += getattr(args, "instruments", "").split(",") if hasattr(args, "instruments") else []
            assert set(names) <= set(fields_of(model.Params) | fields_of(model.Policy)), line


@pytest.mark.parametrize(
    "error", [RuntimeError("RESOURCE_EXHAUSTED: out of memory"), MemoryError(), OSError("disk full")]
)
def test_a_failing_computation_ends_with_1_and_says_what_is_safe(capsys, monkeypatch, error):
    def fail(args):
        raise error

    monkeypatch.setitem(COMMANDS, "solve", fail)
    out, err = run(capsys, "solve", MODEL, code=1)
    assert out == "" and "safe" in err and (str(error) or "MemoryError") in err


def test_an_interrupt_ends_with_130(capsys, monkeypatch):
    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setitem(COMMANDS, "solve", stop)
    assert "interrupted" in run(capsys, "solve", MODEL, code=130)[1]


def test_report_passes_its_options_on(capsys, monkeypatch, tmp_path):
    import jaxecon.report

    def write(models, path, **options):
        seen.append(([m.name for m in models], path, options))
        return Path(path)

    seen = []
    monkeypatch.setattr(jaxecon.report, "write_report", write)
    target = tmp_path / "r.html"
    got = run_json(
        capsys, "report", MODEL, "-o", target, "--full", "--quick", "--draws", 7, "--samples", 4, "--seed", 3
    )
    models, path, options = seen[0]
    assert models == [MODEL] == got["models"] and path == str(target)
    assert got["report"] == str(target) and got["data"] == str(tmp_path / "r_data")
    options.pop("progress")
    assert options == {"draws": 7, "samples": 4, "seed": 3, "quick": True, "full": True}


@pytest.mark.parametrize("text", ["[params\np_A = 1", "[params]\np_A = 'high'\n[surprise]\nx = 1\n"])
def test_malformed_toml(capsys, tmp_path, text):
    path = tmp_path / "set.toml"
    path.write_text(text)
    run(capsys, "solve", "information_pollution", "--set", path, code=2)
    run(capsys, "claims", "information_pollution", "--prior", path, code=2)


def test_an_unsolved_point_ends_with_1_and_a_reason(capsys):
    """A prohibitive tax without identification stops all supply."""
    got = run_json(capsys, "solve", "information_pollution", "-p", "low_quality_tax=5", "-p", "dp0=0", code=1)
    assert got["status"] != "SOLVED" and got["reason"] and got["outcomes"]["welfare"]["value"] is None


def test_as_a_process(tmp_path):
    """The installed entry: exit codes, pure JSON on standard output, a closed pipe."""
    import os

    env = {**os.environ, "JAXECON_CACHE": "off"}
    done = subprocess.run(
        [sys.executable, "-m", "jaxecon", "models", "--json"], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0 and json.loads(done.stdout)
    done = subprocess.run(
        [sys.executable, "-m", "jaxecon", "solve", "nothing"], capture_output=True, text=True, env=env
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    done = subprocess.run(
        f"{sys.executable} -m jaxecon show {MODEL} | head -1", shell=True, capture_output=True, text=True, env=env
    )
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_cache_place_and_opt_out(monkeypatch, tmp_path):
    from jaxecon.cli.cache import cache_folder, use_compilation_cache

    assert cache_folder() is None and use_compilation_cache() is None
    monkeypatch.setenv("JAXECON_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("JAXECON_CACHE")
    assert cache_folder() is not None and use_compilation_cache(off=True) is None
