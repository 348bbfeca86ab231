"""Cells whose solver failed get a second, bounded try that does not depend on how the sweep is cut."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pigou import MODEL, NO_TRADE, Market, equilibrium

from jaxecon import evaluate, models, open_sweep, sweep
from jaxecon.analysis import retries
from jaxecon.analysis.designs import prior_draws, replace
from jaxecon.core.model import NOT_CONVERGED, certify

AXES = {"a": (4.0, 8.0, 9), "d": (0.2, 0.8, 3)}


def failing(width, **more):
    """The market, with a solver that fails within `width` of a = 6 (a row of the grid) and of a = 7.1 (none)."""

    def solver(p, u):
        eq = equilibrium(p, u)
        lost = (jnp.abs(p.a - 6.0) <= width) | (jnp.abs(p.a - 7.1) <= 1e-3)
        return Market(jnp.where(lost, NOT_CONVERGED, eq.status).astype(jnp.int32), jnp.where(lost, jnp.nan, eq.q))

    return dataclasses.replace(MODEL, equilibrium=solver, **more)


def restart(p, u, eq):
    """Newton for marginal benefit = cost from another quantity: three steps, of which one is enough here."""
    q = eq.q
    for _ in range(3):
        q = q - (p.a - 2 * p.b * q / 2 - p.c - u.tax) / (-p.b)
    return Market(eq.status, q)


def agrees(found, truth):
    for name in ("welfare", "quantity", "price", "damage"):
        np.testing.assert_allclose(found[name], truth[name], rtol=1e-10)


def test_an_isolated_failure_is_bridged_by_the_derivative():
    truth, found = sweep(MODEL, AXES), sweep(failing(1e-9), AXES)
    assert found.attrs["retried"] == 3 and found.attrs["rescued"] == 3 and found.attrs["solved"] == 27
    agrees(found, truth)
    without = sweep(failing(1e-9), AXES, retry=False)
    assert without.attrs["retried"] == 0 and json.loads(without.attrs["failed"]) == {"NOT_CONVERGED": 3}


def test_a_region_of_failures_needs_a_restart():
    truth, lost = sweep(MODEL, AXES), sweep(failing(0.6), AXES)
    assert lost.attrs["retried"] == 9 and lost.attrs["rescued"] == 0
    assert np.all(lost.status.sel(a=slice(5.5, 6.5)) == NOT_CONVERGED) and np.isnan(lost.welfare.sel(a=6.0)).all()
    found = sweep(failing(0.6, restart=restart), AXES)
    assert found.attrs["retried"] == 9 and found.attrs["rescued"] == 9
    agrees(found, truth)


def test_a_wrong_restart_rescues_nothing():
    """What is continued is certified like any other solution: outcomes that are not finite stay failures."""
    broken = failing(0.6, restart=lambda p, u, eq: Market(eq.status, eq.q * jnp.nan))
    assert sweep(broken, AXES).attrs["rescued"] == 0


def test_other_starts_come_first():
    def starts(p, u):
        eq = equilibrium(p, u)
        tried = jnp.asarray([NOT_CONVERGED, 0, 0], jnp.int32)
        return Market(tried, jnp.stack([eq.q + 1, eq.q, eq.q]))

    found = sweep(failing(0.6, starts=starts), AXES)
    assert found.attrs["rescued"] == 9
    agrees(found, sweep(MODEL, AXES))


def test_findings_of_a_model_are_final(monkeypatch):
    """NO_TRADE says that there is no market: no second try, unless the model asks for it; then a bounded one."""

    def never(*_):
        raise AssertionError("a final reason was retried")

    axes = {"a": (1.0, 5.0, 6)}
    asked = sweep(dataclasses.replace(MODEL, retried=(NO_TRADE,)), axes)
    assert asked.attrs["retried"] == 2 and asked.attrs["rescued"] == 0
    monkeypatch.setattr(retries, "_rows", never)
    assert sweep(MODEL, axes).attrs["retried"] == 0


def test_neither_chunks_nor_a_resume_change_what_is_rescued(tmp_path):
    model = failing(0.6, restart=restart)
    whole = sweep(model, AXES)

    def kill(done, total, info):
        if done >= 14:
            raise KeyboardInterrupt

    try:
        sweep(model, AXES, chunk=7, store=tmp_path / "s.zarr", progress=kill)
    except KeyboardInterrupt:
        pass
    found = sweep(model, AXES, chunk=7, store=tmp_path / "s.zarr", resume=True)
    assert (
        found.attrs["retried"] == open_sweep(model, tmp_path / "s.zarr").attrs["retried"] == whole.attrs["retried"] == 9
    )
    assert found.attrs["rescued"] == 9
    for name in ("welfare", "quantity", "status"):
        np.testing.assert_array_equal(found[name], whole[name])


def test_float32_is_bridged_too():
    found = sweep(failing(1e-5), AXES, precision="float32")
    assert found.attrs["rescued"] == 3
    np.testing.assert_allclose(found.welfare, sweep(MODEL, AXES).welfare, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("model", [m for m in models().values() if m.restart], ids=lambda m: m.name)
def test_a_restart_from_the_baseline_finds_the_equilibrium_elsewhere(model):
    p, u = model.params(), model.policy()
    draws = prior_draws(model, 4)
    with jax.enable_x64(True):
        base = evaluate(model, p, u).equilibrium
        again = jax.jit(lambda q: certify(model, q, u, model.restart(q, u, base)))
        for x in draws.points:
            q = replace(p, u, draws.names, jnp.asarray(x))[0]
            found, direct = again(q), evaluate(model, q, u)
            assert int(found.status) == int(direct.status) == 0
            for a, b in zip(jax.tree.leaves(found.outcomes), jax.tree.leaves(direct.outcomes), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
