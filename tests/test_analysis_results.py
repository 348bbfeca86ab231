"""Labelled results, solve and simulate, on the model with closed forms."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pigou import MODEL, NO_TRADE

import jaxecon
from jaxecon import InputError, simulate, solve
from jaxecon.core.fields import fields_of
from jaxecon.core.results import git_commit, provenance


def test_solve_is_labelled_from_the_declarations():
    ds = solve(MODEL)
    assert float(ds.quantity) == 8.0 and int(ds.status) == 0 and float(ds.max_residual) <= 1e-12
    for name, f in fields_of(MODEL.Outcomes).items():
        assert ds[name].attrs["units"] == f.unit and ds[name].attrs["symbol"] == f.symbol and ds[name].attrs["doc"]
    assert ds.quantity.attrs["valid_range"] == [0.0, 1e4]
    assert list(ds.identity.values) == ["surplus"] and bool(ds.branch_holds.sel(branch="trade"))
    assert json.loads(ds.attrs["params"])["a"] == 10.0 and json.loads(ds.attrs["policy"]) == {"tax": 0.0}
    assert ds.attrs["jaxecon"] == jaxecon.__version__ and ds.attrs["model"] == "pigou"


def test_a_failed_point_is_nan_with_its_reason():
    ds = solve(MODEL, MODEL.params(a=1.0))
    assert np.isnan(ds.welfare) and int(ds.status) == NO_TRADE
    assert ds.status.attrs["flag_meanings"] == "NO_TRADE" and "choke price" in ds.status.attrs["doc"]
    assert json.loads(ds.attrs["failed"]) == {"NO_TRADE": 1}


def test_results_are_bit_reproducible_and_dates_are_opt_in():
    assert solve(MODEL).identical(solve(MODEL))
    one, two = (simulate(MODEL, "agents", seeds=2, seed=3) for _ in range(2))
    assert one.identical(two)
    record = provenance(MODEL, seed=3, date="2026-01-01T00:00:00Z")
    assert record["date"] == "2026-01-01T00:00:00Z" and "date" not in provenance(MODEL)
    assert json.loads(json.dumps(record)) == record


def test_git_commit_is_a_hash_or_absent():
    commit = git_commit()
    assert commit is None or (len(commit) == 40 and int(commit, 16) >= 0)


def test_results_survive_a_round_trip_through_netcdf(tmp_path):
    for ds in (solve(MODEL), simulate(MODEL, "agents", seeds=2)):
        ds.to_netcdf(tmp_path / "result.nc", engine="scipy")
        with xr.open_dataset(tmp_path / "result.nc", engine="scipy") as back:
            assert back.equals(ds) and back.attrs["params"] == ds.attrs["params"]
            for name in ds.data_vars:
                assert back[name].attrs.get("symbol") == ds[name].attrs.get("symbol")


def test_precision_is_a_choice():
    double, single = solve(MODEL), solve(MODEL, precision="float32")
    assert double.welfare.dtype == np.float64 and single.welfare.dtype == np.float32
    np.testing.assert_allclose(single.welfare, double.welfare, rtol=1e-6)


def test_dynamics_follow_the_closed_form():
    ds = simulate(MODEL, horizon=5.0, steps=10)
    assert ds.time.size == 11 and float(ds.time[-1]) == 5.0 and ds.time.attrs["units"] == "years"
    np.testing.assert_allclose(ds.quantity_path, 8 * (1 - np.exp(-0.4 * ds.time)), rtol=1e-12)
    assert simulate(MODEL, "adjustment", horizon=5.0, steps=10).quantity_path.equals(ds.quantity_path)


def test_agents_have_seeds_and_a_smooth_variant():
    few, many = (simulate(MODEL, "agents", n=5000, periods=6, seeds=k, seed=1) for k in (2, 4))
    assert many.share_buying.dims == ("seed", "period")
    np.testing.assert_array_equal(few.share_buying, many.share_buying[:2])
    assert np.unique(many.share_buying).size > 6
    np.testing.assert_allclose(many.share_buying.mean(), 0.8, atol=0.01)
    smooth = simulate(MODEL, "crowd", n=5000, periods=6, seeds=2, seed=1, smooth=True)
    np.testing.assert_allclose(smooth.share_buying, few.share_buying, atol=0.01)
    assert not smooth.share_buying.equals(few.share_buying)


def test_bad_input_is_reported_at_once():
    with pytest.raises(InputError, match="did you mean 'dynamics'"):
        simulate(MODEL, "dynamic")
    with pytest.raises(InputError) as error:
        simulate(MODEL, "dynamics", horizon=-1.0, steps=0, n=5)
    assert len(error.value.problems) == 3
    with pytest.raises(InputError) as error:
        simulate(MODEL, "agents", horizon=1.0, n=0, periods=-2, seeds=0, seed=-1)
    assert len(error.value.problems) == 5
    with pytest.raises(InputError) as error:
        solve(MODEL, {"a": 1.0}, precision="float16")  # pyright: ignore
    assert len(error.value.problems) == 2


DEFAULTS = """
import sys, dataclasses
sys.path.insert(0, sys.argv[1])
import numpy as np
from pigou import MODEL
import jaxecon as je

model = dataclasses.replace(MODEL, constraints=lambda p: {"a > c": p.a - p.c})
p, u = model.params(a=9.0), model.policy(tax=0.5)
assert je.solve(model, p, u).welfare.dtype == "float64"
assert je.evaluate(model, p, u).outcomes.welfare.dtype == "float64"
assert je.sweep(model, {"a": (4.0, 9.0, 3)}, params=p).welfare.dtype == "float64"
assert je.simulate(model, params=p).quantity_path.dtype == "float64"
assert je.simulate(model, "agents", n=10, periods=3).share_buying.dtype == "float64"
assert abs(je.optimize(model, ["tax"], starts=2, steps=20).values["tax"] - 8 / 3) < 1e-9
for method in ("sobol", "shapley", "morris", "derivative", "active", "elasticities"):
    found = je.sensitivity(model, method, samples=32)
    assert all(v.dtype == "float64" for v in found.data_vars.values()), method
assert abs(je.claims(model, ["P1"], draws=10)[0].margin - 8 / 3) < 1e-12
"""


def test_float64_is_the_default_without_touching_jaxs_configuration():
    """In a fresh process, where JAX itself defaults to float32, with warnings as errors."""
    command = [
        sys.executable,
        "-W",
        "error",
        "-W",
        "ignore::DeprecationWarning",
        "-c",
        DEFAULTS,
        str(Path(__file__).parent),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
