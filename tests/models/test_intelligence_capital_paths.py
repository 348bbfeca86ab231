"""Paths and agents of paper 1 against SciPy, closed forms, their own limits and each other."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxecon import claims as claims_of
from jaxecon import load
from jaxecon.core.compiling import quick_jit
from jaxecon.models.intelligence_capital import agents, dynamics, flywheel, tokens

MODEL = load("intelligence_capital")
P, U = MODEL.params(), MODEL.policy()
TIME = jnp.linspace(0.0, 20.0, 201)
run = eqx.filter_jit(agents.run)


def test_flywheel_path_against_scipy():
    """(1.8) from a head start at a strength beyond the threshold, and where it ends."""
    p = eqx.tree_at(lambda q: (q.Omega, q.mc_fall), P, (jnp.asarray(2.0), jnp.asarray(0.0)))
    time = jnp.linspace(0.0, 200.0, 101)
    path = quick_jit(dynamics.simulate_flywheel)(p, U, time)
    D_0, rho = 17.094034963240784 / 3, -0.2

    def rhs(_, d):
        ln_A = 1.3 / rho * np.log(0.35 + 0.65 * (D_0 * (1 + d)) ** rho)
        s = np.exp(2.5 * (ln_A - ln_A.max()))
        return 0.099 * (2.0 * 2 * s / s.sum() - d)

    expected = solve_ivp(rhs, (0, 200), [2.1, 2.0], t_eval=np.asarray(time), rtol=1e-10, atol=1e-12).y.T
    np.testing.assert_allclose(path.data, expected, rtol=1e-6)
    np.testing.assert_allclose(path.leader, path.shares.max(axis=1))
    later = quick_jit(dynamics.simulate_flywheel)(p, U, jnp.linspace(0.0, 3000.0, 601))
    assert float(later.leader[-1]) == pytest.approx(0.8334, abs=1e-3)


def test_price_shock_path_in_closed_form():
    path = quick_jit(dynamics.simulate_shock)(P, U, TIME)
    after = np.maximum(np.asarray(TIME) - 5.0, 0.0)
    ceiling = float(tokens.adopted_share(P, jnp.asarray(1.5)))
    adopted = ceiling / (1 + (ceiling / 0.2 - 1) * np.exp(-after))
    deeper = 2.0 ** (1.5 * (1 - np.exp(-0.3 * after)))
    np.testing.assert_allclose(path.adopted, adopted, rtol=1e-9)
    np.testing.assert_allclose(path.token_index, adopted / 0.2 * deeper, rtol=1e-9)
    alone = quick_jit(dynamics.simulate_shock)(dataclasses.replace(P, adoption="none"), U, TIME)
    np.testing.assert_allclose(alone.token_index, deeper, rtol=1e-9)
    assert float(alone.elasticity[-1]) == pytest.approx(float(tokens.documented_arc(P)), abs=1e-9)
    assert float(alone.elasticity[-1]) == pytest.approx(1.42, abs=1e-3)


# Agents ----------------------------------------------------------------------------------------------------

STILL = eqx.tree_at(lambda q: (q.jump_rate, q.F_0), P, (jnp.asarray(0.0),) * 2)


@pytest.mark.slow
def test_expected_moves_follow_the_ode():
    """No jumps, no exit: s' = rate (logit(A) - s), d' = delta_D (Omega J s - d), to the order of the step of .1 years."""
    key, J = jax.random.key(4), 10
    found = run(key, STILL, U, 2, 200, True)
    w = agents.world(jax.random.fold_in(key, 0), STILL, U, 2, 200)
    x, _, odds = agents.start(jax.random.fold_in(key, 1), w, 2, True)
    spread, D_0 = np.asarray(x.innovation), 17.094034963240784 / 2

    def logit(d):
        ln_A = 1.3 / -0.2 * np.log(0.35 + 0.65 * (D_0 * (1 + d)) ** -0.2) + spread
        s = np.exp(2.5 * (ln_A - ln_A.max()))
        return s / s.sum()

    def rhs(_, y):
        s, d = y[:J], y[J:]
        return np.concatenate([0.5 * (logit(d) - s), 0.099 * (J * s - d)])

    time = np.asarray(found.time) + agents.DT  # shares are those at the end of the period's choices
    path = solve_ivp(
        rhs, (0, time[-1]), np.concatenate([np.asarray(odds), np.ones(J)]), t_eval=time, rtol=1e-9, atol=1e-11
    ).y
    leader = path[:J].max(axis=0)
    assert np.max(np.abs(np.asarray(found.leader) - leader)) < 2e-3
    assert np.max(np.abs(leader - leader[0])) > 0.01  # there is something to follow


@pytest.mark.slow
def test_agents_converge_at_the_rate_of_large_numbers():
    (found,) = claims_of(MODEL, ids=["C1.10"], draws=1)
    assert found.holds


@pytest.mark.slow
def test_shock_among_firms():
    """Means of 20 000 firms against the path layer; heterogeneity moves the index by composition only a little."""
    p = dataclasses.replace(STILL, n_providers=2)
    found = run(jax.random.key(0), p, U, 20_000, 200, False)
    path = quick_jit(dynamics.simulate_shock)(P, U, TIME[:200])
    assert np.max(np.abs(np.asarray(found.adopted) - np.asarray(path.adopted))) < 0.02
    alone = run(jax.random.key(0), dataclasses.replace(p, adoption="none"), U, 20_000, 200, False)
    shock = quick_jit(dynamics.simulate_shock)(dataclasses.replace(P, adoption="none"), U, TIME[:200])
    np.testing.assert_allclose(alone.token_index, shock.token_index, rtol=0.03)
    assert float(alone.elasticity[-1]) == pytest.approx(1.42, abs=0.03)


@pytest.mark.slow
def test_innovation_entry_and_exit():
    """The baseline industry: leaders are overtaken, providers leave and come, shares add up, and a run is reproducible."""
    found = run(jax.random.key(1), P, U, 2000, 200, False)
    assert 10 <= float(jnp.sum(found.new_leader)) <= 200
    change = np.diff(np.asarray(found.providers))
    assert np.any(change < 0) and np.any(change > 0) and np.all(np.asarray(found.providers) >= 1)
    assert np.all(np.asarray(found.hhi) <= np.asarray(found.leader) + 1e-12)
    again = run(jax.random.key(1), P, U, 2000, 200, False)
    np.testing.assert_array_equal(found.token_index, again.token_index)
    # The frontier moves by more than .98 a year: the best of several draws leads.
    assert (float(found.frontier[-1]) - float(found.frontier[0])) / 20 > 0.98
    free = run(jax.random.key(1), P, eqx.tree_at(lambda v: v.provider_entry, U, jnp.asarray(1.0)), 2000, 200, False)
    assert float(jnp.mean(free.providers)) > float(jnp.mean(found.providers))


def test_empty_places_have_no_users_and_lost_users_choose_anew():
    odds = jnp.asarray([0.0, 0.25, 0.0, 0.75, 0.0])
    found = agents.drawn(odds, jnp.asarray([0.0, 0.2499, 0.25, 0.9999999999999999]))
    np.testing.assert_array_equal(found, [1, 1, 3, 3])
    w = agents.world(jax.random.key(0), dataclasses.replace(P, n_providers=5), U, 4, 2)
    alive = jnp.asarray([0.0, 1.0, 0.0, 1.0, 1.0])
    draws = jnp.asarray([0.9, 0.1, 0.99, 0.01])
    found = agents.reconsider(w, jnp.asarray([0, 1, 4, 4]), odds, alive, draws, False)
    # Lost; stays (.1 > 1 - e^-.05); stays; reconsiders with .01/.0488 = .2 < .25.
    np.testing.assert_array_equal(found, [3, 1, 4, 1])


@pytest.mark.slow
def test_smooth_variant_gap_is_small_without_jumps_and_differentiable():
    keys = jax.random.split(jax.random.key(5), 8)
    p = STILL

    def mean(smooth):
        return jax.lax.map(lambda k: agents.run(k, p, U, 2000, 120, smooth).token_index, keys).mean(axis=0)

    exact, smooth = quick_jit(lambda: mean(False))(), quick_jit(lambda: mean(True))()
    assert float(jnp.max(jnp.abs(smooth / exact - 1))) < 0.06

    def last(lam):
        q = eqx.tree_at(lambda r: r.lam, p, lam)
        return agents.run(jax.random.key(0), q, U, 200, 120, True).token_index[-1]

    look = quick_jit(jax.value_and_grad(last))
    slope = float(look(jnp.asarray(0.3))[1])
    ends = [float(look(jnp.asarray(0.3 + h))[0]) for h in (1e-5, -1e-5)]
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5)


@pytest.mark.slow
def test_band_over_seeds():
    """The documented experiment over 200 seeds: after the fall of the price spend rises in every run, and its band is narrow."""
    keys = jax.random.split(jax.random.key(7), 200)
    found = quick_jit(lambda k: jax.lax.map(lambda x: agents.run(x, P, U, 2000, 200, False), k))(keys)
    low, high = np.quantile(np.asarray(found.spend_index[:, -1]), [0.05, 0.95])
    assert 3.0 < low < high < 8.0
    assert np.all(np.isfinite(np.asarray(found.leader)))
    # Concentration is far above the symmetric tenth, and no one leads for good.
    assert np.mean(np.asarray(found.leader[:, -1])) > 0.3
    assert np.mean(np.asarray(found.new_leader)) > 0.01


@pytest.mark.slow
def test_bertrand_prices_among_agents_and_on_paths():
    p = dataclasses.replace(P, price_response="bertrand")
    found = run(jax.random.key(2), p, U, 500, 60, False)
    assert np.all(np.isfinite(np.asarray(found.average_price)))
    assert np.ptp(np.asarray(found.average_price)[:50]) > 0.01
    path = quick_jit(dynamics.simulate_flywheel)(dataclasses.replace(p, N=3), U, jnp.linspace(0.0, 50.0, 11))
    np.testing.assert_allclose(jnp.sum(path.shares, axis=1), 1.0, atol=1e-9)
    # With prices that follow a duopoly has no bifurcation: the head start fades.
    duo = quick_jit(dynamics.simulate_flywheel)(
        eqx.tree_at(lambda q: q.Omega, p, jnp.asarray(5.0)), U, jnp.linspace(0.0, 100.0, 11)
    )
    assert float(duo.leader[-1]) < float(duo.leader[0])
    eq = quick_jit(lambda q: dynamics.equilibrium(q, U))(p)
    assert float(flywheel.threshold(p, U, eq.industry)) == pytest.approx(1e12)
