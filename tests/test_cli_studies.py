"""The commands on policy, boundaries and scenarios: what they say on the model of the tests, whose answers are closed forms."""

import csv
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pigou import MODEL, optimal_tax

from jaxecon.cli import boundaries, commands, main, policy
from jaxecon.cli.studies import EXAMPLES
from jaxecon.core.systems import System

TAX = 8.0 / 3.0


@pytest.fixture(autouse=True)
def _on_the_test_model(monkeypatch):
    monkeypatch.setenv("JAXECON_CACHE", "off")
    for module in (commands, policy, boundaries):
        monkeypatch.setattr(module, "load", lambda name: MODEL)


def run(capsys, line, code=0):
    got = main(line.split())
    out, err = capsys.readouterr()
    assert got == code, err or out
    assert "Traceback" not in err
    return out, err


def run_json(capsys, line, code=0):
    got = json.loads(run(capsys, line + " --json", code)[0], parse_constant=pytest.fail)
    return got, {n: v["values"] for n, v in got.get("variables", {}).items()}


def test_every_command_has_an_example_and_help(capsys):
    assert set(EXAMPLES) == set(policy.COMMANDS) | set(boundaries.COMMANDS)
    for name in EXAMPLES:
        assert name in run(capsys, f"{name} --help")[0]


def test_constrained(capsys):
    got, found = run_json(capsys, "constrained pigou --instruments tax --limit quantity=:4 --starts 2")
    assert found["policy"] == pytest.approx([4.0]) and got["provenance"]["status"] == "CONSTRAINED"
    loose, found = run_json(capsys, "constrained pigou --instruments tax --limit quantity=1: --starts 2")
    assert found["policy"] == pytest.approx([TAX]) and loose["provenance"]["status"] == "OPTIMAL"
    run(capsys, "constrained pigou --instruments tax --limit quantity=30: --starts 2", code=1)


def test_optima_and_their_table(capsys, tmp_path):
    target = tmp_path / "o.csv"
    _, found = run_json(capsys, f"optima pigou --instruments tax --draws 12 -o {target}")
    assert len(found["policy"]) == 12 and max(found["kkt_residual"]) < 1e-9
    with target.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    for row in rows:
        p = MODEL.params(**{n: float(row[n]) for n in "abcd" if n in row})
        assert float(row["policy"]) == pytest.approx(min(float(optimal_tax(p)), 8.0), abs=1e-6)


def test_parquet(capsys, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    run(capsys, f"optima pigou --instruments tax --draws 6 -o {tmp_path / 'o.parquet'}")
    assert parquet.read_table(tmp_path / "o.parquet").num_rows == 6
    run(capsys, f"sweep pigou a=4:8:5 -o {tmp_path / 's.parquet'}")
    assert "welfare" in parquet.read_table(tmp_path / "s.parquet").column_names


def test_robust_and_pareto(capsys):
    _, found = run_json(capsys, "robust pigou --instruments tax --draws 8 --criterion worst --starts 2")
    assert 0 < found["policy"][0] < 8
    _, found = run_json(capsys, "pareto pigou --instruments tax --objectives welfare,damage:min --divisions 2")
    assert all(found["on_surface"]) and len(found["welfare"]) == 3


def test_plan(capsys):
    out, _ = run(
        capsys, "plan pigou --instruments tax --series quantity_path --rule constant --minimize --iterations 20"
    )
    assert (
        "plan (constant)" in out
        and "against the given policy -" in out
        and "AT_BOUND" in out
        and "of 2 starts agree" in out
    )
    line = "plan pigou --instruments tax --series quantity_path --pieces 1 --iterations 20 --limit quantity_path=:50"
    got, variables = run_json(capsys, line)
    assert variables["limit_value"] == pytest.approx([50.0]) and variables["multiplier"] == pytest.approx([1.0])
    assert got["provenance"]["status"] == "CONSTRAINED"


def test_complements_split_and_slopes(capsys):
    _, found = run_json(capsys, "complements pigou --instruments tax --outcome welfare")
    assert np.ravel(found["cross"]) == pytest.approx([-1.5])  # W'' = -(b + d)/b^2
    _, found = run_json(capsys, "split pigou --instruments tax --starts 2")
    assert found["shapley"] == pytest.approx([16 / 3])  # the deadweight loss of laissez-faire
    _, found = run_json(capsys, "slopes pigou --instruments tax --parameters a,c --starts 2")
    assert np.ravel(found["policy_slope"]) == pytest.approx([1 / 3, -1 / 3])


def test_boundaries(capsys):
    _, found = run_json(capsys, "threshold pigou --of quantity --level 5 --along a")
    assert found["value"] == pytest.approx([7.0])
    run(capsys, "threshold pigou --of quantity --level 500 --along a", code=1)
    _, found = run_json(capsys, "curve pigou --claim P4a --x a --y c --grid 4")
    assert np.subtract(found["a"], found["c"]) == pytest.approx(np.full(len(found["a"]), 6.0))
    got, found = run_json(capsys, "distance pigou --of quantity --level 6 --moving a")
    assert found["nearest"] == pytest.approx([8.0]) and got["provenance"]["verdict"] == "FOUND"


def test_multiplicity(capsys, monkeypatch):
    """A model's system is taken, with stability, else its starts."""
    system = System(lambda x, p, u: p.a - x**2, {"q": (-4.0, 4.0)}, doc="roots of a")
    whole = dataclasses.replace(MODEL, system=system, starts=lambda p, u: _twice(MODEL.equilibrium(p, u)))
    monkeypatch.setattr(boundaries, "load", lambda name: whole)
    got, found = run_json(capsys, "multiplicity pigou a=4,9 --starts 8 --roots 3")
    assert found["count"] == [2, 2] and found["stable"] == [1, 1] and got["provenance"]["system"] == "roots of a"
    assert np.ravel([row[:2] for row in found["q"]]) == pytest.approx([-2, 2, -3, 3])
    out, _ = run(capsys, "multiplicity pigou a=4,9 --roots 2")
    assert "roots of a" in out and "2 cells hold as many as they can" in out
    monkeypatch.setattr(boundaries, "load", lambda name: dataclasses.replace(whole, system=None))
    _, found = run_json(capsys, "multiplicity pigou a=4,9")
    assert found["count"] == [1, 1] and found["reached"] == [2, 2]


def _twice(eq):
    return jax.tree.map(lambda x: jnp.stack([x, x]), eq)


def test_discover_reads_a_sweep(capsys, tmp_path):
    store = tmp_path / "s.zarr"
    run(capsys, f"sweep pigou a=4:12:20 c=1:4:20 -o {store}")
    got, _ = run_json(capsys, f"discover pigou {store} --target quantity>7")
    assert got["restrictions"][0]["input"] == "a" and got["coverage"] > 0.5
    run(capsys, f"discover pigou {store} --target quantity>7 --density 1 --mass 1", code=1)


def test_export(capsys):
    got, _ = run_json(capsys, "export pigou")
    assert got["num_vars"] == len(got["names"]) == len(got["bounds"])


def test_sensitivity_of_inputs_that_move_together(capsys):
    words = "sensitivity pigou --method shapley --samples 64 --outcome price --correlate a,c=0.6"
    got = json.loads(run(capsys, words + " --json")[0])
    assert sum(got["measures"]["shapley"]["price"].values()) == pytest.approx(1.0)
    out, _ = run(capsys, "sensitivity pigou --samples 64 --outcome price --tolerance 0.5")
    assert "converged: after" in out


def test_sensitivity_of_a_series_over_time(capsys, tmp_path):
    words = "sensitivity pigou --samples 64 --layer dynamics"
    got, variables = run_json(capsys, words + " --at path --group 2")
    assert np.shape(variables["total"]) == (1, 41, 5) and got["provenance"]["group"] == 2
    assert got["coords"]["outcome"] == ["quantity_path"] and got["coords"]["time"][-1] == 20.0
    last = json.loads(run(capsys, words + " --outcome quantity_path --group 2 --json")[0])["measures"]["total"][
        "quantity_path"
    ]
    assert list(last.values()) == pytest.approx(np.array(variables["total"])[0, -1].tolist())
    out, _ = run(capsys, words + f" --at path -o {tmp_path / 's.csv'}")
    assert "total of quantity_path" in out and "total speed" in out
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert len(rows) == 41 * 5 and {"outcome", "time", "parameter", "total"} <= set(rows[0])


def test_a_second_try_is_counted(capsys, monkeypatch):
    from pigou import NO_TRADE

    asks = dataclasses.replace(MODEL, retried=(NO_TRADE,))
    monkeypatch.setattr(commands, "load", lambda name: asks)
    out, _ = run(capsys, "sweep pigou a=1:5:6")
    assert "0 of 2 cells whose solver failed were rescued" in out
    assert "second try" not in run(capsys, "sweep pigou a=1:5:6 --no-retry")[0]


WRONG = [
    ("constrained pigou --instruments tax --limit joy=1:2", "joy"),
    ("constrained pigou --instruments tax --limit price=2:1", "is empty"),
    ("constrained pigou --instruments tax --limit price=cheap:", "two numbers"),
    ("constrained pigou --instruments tax --bounds tax=1:99", "leaves its bounds"),
    ("constrained pigou --instruments tax --bounds fine=0:1", "fine"),
    ("optima pigou --instruments tax --draws none", "--draws"),
    ("robust pigou --instruments tax --criterion luck", "luck"),
    ("robust pigou --instruments tax --share 3", "--share"),
    ("pareto pigou --instruments tax --objectives welfare", "at least two"),
    ("pareto pigou --instruments tax --objectives welfare:up,price", "max or min"),
    ("plan pigou --instruments tax --series weather", "weather"),
    ("plan pigou --instruments tax --series quantity_path --limit price=:1", "series of adjustment"),
    ("plan pigou --instruments tax --series quantity_path --layer crowd", "no dynamic layer"),
    ("slopes pigou --instruments tax --parameters aa", "aa"),
    ("threshold pigou --of price --along market", "market"),
    ("threshold pigou --along a", "name one condition"),
    ("threshold pigou --claim P99 --along a", "P99"),
    ("threshold pigou --claim P2 --level 1 --along a", "--level applies"),
    ("curve pigou --of price --x a --y q", "'q'"),
    ("distance pigou --of price --level high", "--level"),
    ("multiplicity pigou a=1:2", "not an axis"),
    ("multiplicity pigou a=1:2:3 --starts none", "--starts"),
    ("discover pigou no.zarr --target price<1", "no.zarr"),
    ("discover pigou no.zarr --target price~1", "comparison"),
    ("discover pigou no.zarr --target joy<1", "joy"),
    ("sensitivity pigou --method shapley --correlate a=0.5", "two names"),
    ("sensitivity pigou --method shapley --correlate a,zz=0.5", "zz"),
    ("sensitivity pigou --correlate a,c=0.5", "correlation applies"),
    ("sensitivity pigou --at path", "needs a dynamic layer"),
    ("sensitivity pigou --layer weather", "weather"),
    ("sensitivity pigou --layer dynamics --outcome price", "price"),
    ("sensitivity pigou --at noon", "noon"),
    ("claims pigou --distributed 3/2@here:1", "K from 0 to N - 1"),
    ("claims pigou --heartbeat soon", "--heartbeat"),
    ("plan pigou --instruments tax --series quantity_path --distributed", "unrecognized arguments: --distributed"),
    ("export pigou -o p.parquet", "suffix"),
]


@pytest.mark.parametrize(("line", "says"), WRONG, ids=[line for line, _ in WRONG])
def test_wrong_input_ends_with_2_and_a_message(capsys, line, says):
    out, err = run(capsys, line, code=2)
    assert says in err and out == ""


def test_every_wrong_word_is_named_at_once(capsys):
    line = "constrained pigou --instruments taxx --limit joy=1:2 --bounds tax=9:1 --starts 0 --objective glee -p a=-1"
    _, err = run(capsys, line, code=2)
    assert all(w in err for w in ("taxx", "joy", "tax", "--starts", "glee", "a = -1"))
    _, err = run(capsys, "threshold pigou --of joy --along qq --scan 0 --prior /no/such.toml -o x.doc", code=2)
    assert all(w in err for w in ("joy", "qq", "--scan", "/no/such.toml", "x.doc"))
    assert err.count("/no/such.toml cannot be read") == 1
