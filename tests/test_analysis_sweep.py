"""Sweeps: designs, labels, failed cells, chunks, and a store that survives a kill."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from pigou import MODEL, NO_TRADE

from jaxecon import InputError, evaluate, load, open_sweep, sweep
from jaxecon.analysis import batch
from jaxecon.analysis.designs import get_values, prior_draws, replace
from jaxecon.analysis.study import plan
from jaxecon.core.model import RESTRICTED

ORDERED = dataclasses.replace(MODEL, constraints=lambda p: {"a > 3 c": p.a - 3 * p.c})


def test_grid_equals_direct_evaluations():
    ds = sweep(MODEL, {"a": (4.0, 10.0, 4), "market": ["competitive", "monopoly"], "tax": [0.0, 1.0]})
    assert ds.welfare.dims == ("a", "market", "tax") and ds.a.attrs["units"] == "money"
    for a in ds.a.values:
        for market in ds.market.values:
            for tax in ds.tax.values:
                one = evaluate(MODEL, MODEL.params(a=float(a), market=str(market)), MODEL.policy(tax=float(tax)))
                cell = ds.sel(a=a, market=market, tax=tax)
                np.testing.assert_allclose(cell.welfare, one.outcomes.welfare, rtol=1e-13)
                np.testing.assert_allclose(cell.price, one.outcomes.price, rtol=1e-13)


def test_paired_and_static_only_axes():
    ds = sweep(MODEL, {"a": [5.0, 6.0, 7.0], "tax": [0.0, 1.0, 2.0]}, design="paired")
    assert ds.welfare.dims == ("point",)
    np.testing.assert_allclose(ds.quantity, np.array([5.0, 6, 7]) - 2 - np.array([0.0, 1, 2]))
    both = sweep(MODEL, {"market": ["monopoly", "competitive"]})
    np.testing.assert_allclose(both.quantity, [4.0, 8.0])


def test_quasi_random_design_is_reproducible_nested_and_in_range():
    axes = {"a": (4.0, 10.0), "tax": (0.0, 2.0)}
    large, again, small = (sweep(MODEL, axes, design="sobol", points=n, seed=5) for n in (1000, 1000, 100))
    assert large.identical(again) and large.sizes["point"] == 1000
    np.testing.assert_array_equal(large.a[:100], small.a)
    assert float(large.a.min()) >= 4 and float(large.tax.max()) <= 2
    assert not sweep(MODEL, axes, design="sobol", points=100, seed=6).a.equals(small.a)


def test_failed_cells_harm_no_others_and_are_counted():
    ds = sweep(MODEL, {"a": [1.0, 5.0, 1.5, 6.0], "tax": [0.0, 1.0]})
    assert np.all(ds.status.sel(a=[1.0, 1.5]) == NO_TRADE) and np.isnan(ds.welfare.sel(a=[1.0, 1.5])).all()
    alone = sweep(MODEL, {"a": [5.0, 6.0], "tax": [0.0, 1.0]})
    np.testing.assert_array_equal(ds.welfare.sel(a=[5.0, 6.0]), alone.welfare)
    assert ds.attrs["cells"] == 8 and ds.attrs["solved"] == 4
    assert json.loads(ds.attrs["failed"]) == {"NO_TRADE": 4}


def test_order_restrictions_have_their_own_reason():
    ds = sweep(ORDERED, {"a": [5.0, 7.0]})
    assert ds.status.values.tolist() == [RESTRICTED, 0] and np.isnan(ds.price[0]) and ds.price[1] == 2.0


def test_chunks_do_not_change_results():
    axes = {"a": (4.0, 10.0, 13), "tax": (0.0, 2.0, 7)}
    seen = []
    small = sweep(MODEL, axes, chunk=16, progress=lambda done, total, info: seen.append((done, total)))
    whole = sweep(MODEL, axes)
    np.testing.assert_allclose(small.welfare, whole.welfare, rtol=1e-13)
    assert seen == [(16, 91), (32, 91), (48, 91), (64, 91), (80, 91), (91, 91)]


def test_float32_agrees():
    axes = {"a": (4.0, 10.0, 13), "tax": (0.0, 2.0, 7)}
    double, single = sweep(MODEL, axes), sweep(MODEL, axes, precision="float32")
    assert single.welfare.dtype == np.float32
    np.testing.assert_allclose(single.welfare, double.welfare, rtol=1e-5)


def test_every_wrong_axis_is_named_before_computing():
    with pytest.raises(InputError) as error:
        sweep(
            MODEL,
            {"aa": (1, 2, 3), "b": (3.0, 1.0, 4), "tax": [9.0, float("nan")], "market": ["x"], "d": (0.0, 1.0, 0)},
            outcomes=["welfar"], chunk=0,
        )  # fmt: skip
    text = str(error.value)
    assert len(error.value.problems) == 7
    for part in ("'a'", "empty", "tax", "competitive", "'welfare'", "chunk", "axis d"):
        assert part in text
    with pytest.raises(InputError, match="equal lengths"):
        sweep(MODEL, {"a": [1.0, 2.0], "tax": [1.0]}, design="paired")
    with pytest.raises(InputError, match="points"):
        sweep(MODEL, {"a": (1.0, 2.0)}, design="sobol")
    with pytest.raises(InputError, match="must be a range"):
        sweep(MODEL, {"a": [1.0, 2.0]}, design="sobol", points=8)
    with pytest.raises(InputError, match="at least one axis"):
        sweep(MODEL, {})
    with pytest.raises(InputError, match="did you mean 'grid'"):
        sweep(MODEL, {"a": [1.0]}, design="gird")


def test_prior_draws_respect_box_order_and_seed():
    draws = prior_draws(ORDERED, 500, seed=2)
    assert draws.points.shape == (500, 5) and draws.rejected > 0
    a, c = (draws.points[:, draws.names.index(n)] for n in "ac")
    assert np.all(a > 3 * c)
    assert np.all((draws.points >= draws.box.lo) & (draws.points <= draws.box.hi))
    np.testing.assert_array_equal(draws.points, prior_draws(ORDERED, 500, seed=2).points)
    narrow = prior_draws(MODEL, 64, names=["a", "tax"], prior={"a": (9.0, 9.5)})
    assert narrow.names == ("a", "tax") and narrow.points[:, 0].min() >= 9 and narrow.points[:, 1].max() > 7
    with pytest.raises(InputError, match="almost no point"):
        rare = dataclasses.replace(MODEL, constraints=lambda p: {"a > 12.99999": p.a - 12.99999})
        prior_draws(rare, 10, params=MODEL.params(a=13.0))
    with pytest.raises(InputError) as error:
        prior_draws(MODEL, 0, names=["aa", "b"], prior={"b": (2.0, 1.0), "c": (0.0, 1.0)})
    assert len(error.value.problems) == 4


def test_vectors_go_in_and_out_of_the_pytrees():
    p, u = MODEL.params(), MODEL.policy()
    q, v = replace(p, u, ("tax", "b"), jax.numpy.asarray([1.0, 2.0]))
    assert float(v.tax) == 1.0 and float(q.b) == 2.0 and float(q.a) == 10.0
    np.testing.assert_array_equal(get_values(q, v, ("b", "tax", "a")), [2.0, 1.0, 10.0])


def test_points_of_a_large_grid_are_not_kept():
    """10^9 points: the plan holds the axes only, and any chunk is at hand."""
    study = plan(MODEL, {"a": (4.0, 10.0, 1000), "b": (0.5, 2.0, 1000), "tax": (0.0, 1.0, 1000)}, "grid", None, 0)
    assert study.size == 10**9
    skip = np.ones(-(-study.size // 2**24), bool)
    skip[40] = False
    number, start, _, columns = next(c for c in study.chunks(2**24, skip) if c[3] is not None)
    assert number == 40 and start == 40 * 2**24
    k = start + 12345
    at = [columns[n][12345] for n in ("a", "b", "tax")]
    expected = [study.axes["a"][k // 10**6], study.axes["b"][k // 1000 % 1000], study.axes["tax"][k % 1000]]
    assert at == expected


def test_too_little_memory_halves_the_points(monkeypatch):
    """A device that refuses more than a hundred points at once still finishes, with the same numbers."""
    whole = sweep(MODEL, {"a": (4.0, 10.0, 256)})
    run = batch._small_rows

    def refuse(response, p, u, table):
        if table.shape[1] > 100:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return run(response, p, u, table)

    monkeypatch.setattr(batch, "_small_rows", refuse)
    assert sweep(MODEL, {"a": (4.0, 10.0, 256)}).equals(whole)


_DEVICES = """
import sys
import jax
import numpy as np
sys.path.insert(0, sys.argv[1])
from pigou import MODEL
from jaxecon import sweep
assert jax.local_device_count() == int(sys.argv[3])
ds = sweep(MODEL, {"a": (1.0, 10.0, 100), "tax": (0.0, 2.0, 40)}, chunk=1000)
np.save(sys.argv[2], np.stack([ds[n].values for n in ("welfare", "price", "status")]))
"""


@pytest.mark.slow
def test_eight_devices_give_the_same_numbers(tmp_path):
    found = []
    for n in (1, 8):
        environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(n), "JAX_PLATFORMS": "cpu"}
        arguments = [str(Path(__file__).parent), str(tmp_path / f"{n}.npy"), str(n)]
        subprocess.run([sys.executable, "-c", _DEVICES, *arguments], env=environment, check=True, timeout=300)
        found.append(np.load(tmp_path / f"{n}.npy"))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12, equal_nan=True)


@pytest.mark.slow
def test_two_processes_share_a_sweep(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = tmp_path / "s.zarr"
    words = ["sweep", "rent_seeking", "A=0.5:2:200", "c_r=1:3:200", "-o", str(store), "--no-cache", "--distributed"]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    both = [
        subprocess.Popen([sys.executable, "-m", "jaxecon", *words, f"{k}/2@127.0.0.1:{port}"], env=environment)
        for k in (0, 1)
    ]
    assert [p.wait(timeout=300) for p in both] == [0, 0]
    model = load("rent_seeking")
    alone, shared = sweep(model, {"A": (0.5, 2.0, 200), "c_r": (1.0, 3.0, 200)}), open_sweep(model, store)
    for name in ("welfare", "rents", "status"):
        np.testing.assert_allclose(shared[name], alone[name], rtol=1e-12)


def test_memory_of_the_compiled_program_decides_how_many_points_a_device_takes():
    response, p, u = batch.Response(MODEL), MODEL.params(), MODEL.policy()

    def table(n):
        return batch._table(p, u, (), np.zeros((n, 0)))

    with jax.enable_x64(True):
        few = batch.points_at_once(response, p, u, memory=2**20)
        many = batch.points_at_once(response, p, u, memory=2**22)
        needed = batch.memory_of(batch._wide_rows, response, p, u, table(many))
    assert 1 < few < many and many & (many - 1) == 0
    assert 0.2 * 2**22 < needed <= 2**22
    assert batch.points_at_once(response, p, u, memory=2**50) == batch.MOST
    # A CPU says nothing of its memory: its caches decide.
    assert batch.points_at_once(response, p, u) == batch.WIDE
