"""Paper 1 against closed forms, SciPy, brute force and its own derivatives."""

import dataclasses
import importlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, fsolve, minimize_scalar

from benchmarks.peers import intelligence_capital as peer
from jaxecon import claims as claims_of
from jaxecon import load
from jaxecon.analysis.batch import Response, evaluate_rows
from jaxecon.analysis.designs import prior_draws
from jaxecon.core.compiling import quick_jit
from jaxecon.core.fields import fields_of
from jaxecon.models.intelligence_capital import (
    bifurcation,
    flywheel,
    market,
    race,
    technology,
    valuation,
)
from jaxecon.models.intelligence_capital.params import Params, Policy

industry = importlib.import_module("jaxecon.models.intelligence_capital.equilibrium")
MODEL = load("intelligence_capital")
P, U = MODEL.params(), MODEL.policy()


@pytest.fixture(scope="module")
def at():
    """The baseline industry of N providers under a variant of the statics, solved once each."""
    known = {}

    def solve(N=2, **static):
        key = (N, *sorted(static.items()))
        if key not in known:
            p = dataclasses.replace(P, N=N, **static)
            eq = quick_jit(industry.equilibrium)(p, U)
            assert int(eq.status) == 0
            known[key] = p, eq
        return known[key]

    return solve


# The specification's numbers -------------------------------------------------------------------------------


def test_baseline_technology_and_industry(at):
    _, eq = at()
    assert float(eq.industry.eps_D(P)) == pytest.approx(2 / 3, abs=1e-12)
    assert float(eq.industry.price) == pytest.approx(3.0) and float(eq.industry.s) == pytest.approx(0.5)
    # Symmetric logit: p = mc + N/(alpha (N - 1)).
    _, many = at(25)
    assert float(many.industry.price) == pytest.approx(1 + 25 / 24, rel=1e-12)


def test_hidden_conditions_of_the_threshold(at):
    expected = {
        ("fixed", "logit", 2): 1.5, ("bertrand", "logit", 25): 1.674, ("bertrand", "loglinear", 2): 3.0,
    }  # fmt: skip
    for (response, pricing, N), value in expected.items():
        p, eq = at(N, price_response=response, pricing=pricing)
        assert float(flywheel.threshold(p, U, eq.industry)) == pytest.approx(value, abs=5e-4)
    p, eq = at(2, price_response="bertrand")
    assert float(flywheel.threshold(p, U, eq.industry)) == pytest.approx(1e12)
    _, eq = at()
    lost, regained = quick_jit(bifurcation.fixed_public_data_thresholds)(P, U, eq.industry)
    assert float(lost) == pytest.approx(1.5) and float(regained) == pytest.approx(177.9, abs=0.05)


@pytest.mark.parametrize("N, value", [(2, 1.5), (3, 1.436), (5, 1.274), (25, 0.792)])
def test_folds(at, N, value):
    p, eq = at(N)
    found = quick_jit(flywheel.leadership)(p, U, eq.industry, jnp.asarray(1.45))
    assert float(found.fold) == pytest.approx(value, abs=5e-4)


def test_leader_shares_of_the_pitchfork(at):
    _, eq = at()
    levels = jnp.asarray([1.49, 1.51, 1.6, 2.0, 5.0])
    found = quick_jit(jax.vmap(lambda v: flywheel.leadership(P, U, eq.industry, v).leader_share))(levels)
    np.testing.assert_allclose(found, [0.5, 0.558, 0.676, 0.833, 0.979], atol=6e-4)


def test_margins_of_the_calibrated_demand(at):
    """Lerner index 1/(beta (1 - s) + E_T): 50 % in duopoly, 40.7 % among 25, 40 % in the limit; (1.4) nears 1 as mc falls."""
    for N, value in ((2, 0.5), (25, 1 / 2.46)):
        _, eq = at(N, pricing="loglinear")
        assert float(eq.industry.margin / eq.industry.price) == pytest.approx(value, rel=1e-12)
    cheap = eqx.tree_at(lambda q: q.mc, P, jnp.asarray(1e-2))
    eq = quick_jit(industry.equilibrium)(cheap, U)
    assert float(eq.industry.margin / eq.industry.price) > 0.99


def test_red_queen_factor_and_viability(at):
    """phi(2) = 2/3; the race leaves a profit iff theta eps_C <= (1 + nu)(1 + N/(N-1)^2): at N = 25 from nu = .517 on."""
    assert market.red_queen_factor(2) == pytest.approx(2 / 3)
    for N in (2, 3, 4, 25):
        for nu in (0.0, 0.5, 0.517, 0.52):
            p = dataclasses.replace(P, N=N, nu=jnp.asarray(nu))
            eq = quick_jit(industry.equilibrium)(p, U)
            rent = market.rent(p, U, eq.industry.s, eq.industry.margin)
            profit = rent - race.training_cost(p, eq.kappa, eq.industry.ln_C)
            bound = (1 + nu) * (1 + N / (N - 1) ** 2) - 2.5 * (1.3 - 2 / 3)
            assert (float(profit) >= 0) == (bound >= 0)
    # Linear cost: a natural oligopoly of three.
    assert 2.5 * (1.3 - 2 / 3) <= 1 + 3 / 4 and 2.5 * (1.3 - 2 / 3) > 1 + 4 / 9


# Independent routes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("N", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_scipy_finds_the_same_industry(N):
    """All outcomes of the peer at random draws and policies."""
    n, rng = 60, np.random.default_rng(N)
    d = prior_draws(MODEL, n, seed=7)
    top = {
        "compute_tax": 0.5,
        "data_sharing": 0.3,
        "price_cap": 3.0,
        "investment_subsidy": 0.5,
        "app_access": 0.6,
        "provider_entry": 1.0,
    }
    names = list(fields_of(Policy))
    neutral = {k: float(getattr(U, k)) for k in names}
    policies = np.stack(
        [np.where(rng.random(n) < 0.5, neutral[k], 0.1 + (top[k] - 0.1) * rng.random(n)) for k in names], 1
    )
    p = dataclasses.replace(P, N=N)
    rows = evaluate_rows(Response(MODEL), p, U, (*d.names, *names), np.concatenate([d.points, policies], axis=1))
    assert np.all(rows[:, -1] == 0)
    base = {k: f.default for k, f in fields_of(Params).items()} | {"N": N}
    symbols = {f.symbol: k for k, f in enumerate(fields_of(MODEL.Outcomes).values())}
    for k in range(n):
        found = peer.solve(
            base | dict(zip(d.names, d.points[k], strict=True)), dict(zip(names, policies[k], strict=True))
        )
        assert found.pop("solved") and set(found) == set(symbols)
        for symbol, value in found.items():
            # The peer finds the fold by minimizing on a grid: it is less exact there.
            tolerance = 1e-4 if symbol == "fold" else 1e-8
            assert abs(rows[k, symbols[symbol]] - value) < tolerance * max(1, abs(value)), (k, symbol)


@pytest.mark.parametrize("pricing, o", [("logit", 0.0), ("logit", 2.0), ("loglinear", 0.0)])
def test_prices_of_unequal_providers(pricing, o):
    """Bertrand-Nash of four providers: SciPy on the first-order conditions in prices; a provider's own best price; slopes."""
    p = dataclasses.replace(P, N=4, pricing=pricing, o=jnp.asarray(o))
    ln_A = np.array([0.3, 0.0, -0.5, 0.8])
    c = (lambda x: x) if pricing == "logit" else np.log

    def shares(price):
        odds = np.exp(2.5 * ln_A - c(price))
        return odds / (o + odds.sum())

    def margins(price):
        s = shares(price)
        return 1 / (1 - s) if pricing == "logit" else price / ((1 - s) + 1.5)

    price = fsolve(lambda y: y - 1 - margins(y), np.full(4, 2.5), xtol=1e-13)
    solve = quick_jit(lambda x: market.bertrand_shares(p, U, x))
    found = solve(jnp.asarray(ln_A))
    np.testing.assert_allclose(found, shares(price), rtol=1e-9)

    def profit(mine):
        every = price.copy()
        every[0] = mine
        return -(mine - 1) * shares(every)[0] * (1 if pricing == "logit" else mine**-1.5)

    best = minimize_scalar(profit, bounds=(1.01, 20), method="bounded", options={"xatol": 1e-9}).x
    assert best == pytest.approx(price[0], rel=1e-5)
    slopes = jax.jacfwd(solve)(jnp.asarray(ln_A))
    h = 1e-5
    numeric = np.stack(
        [(solve(jnp.asarray(ln_A + h * e)) - solve(jnp.asarray(ln_A - h * e))) / (2 * h) for e in np.eye(4)], axis=1
    )
    np.testing.assert_allclose(slopes, numeric, atol=1e-8)


def test_shares_are_found_however_unequal_the_providers():
    rng = np.random.default_rng(0)
    ln_A = jnp.asarray(rng.normal(size=(300, 5)) * rng.uniform(0, 6, size=(300, 1)))
    s = np.asarray(quick_jit(jax.vmap(lambda x: market.bertrand_shares(P, U, x)))(ln_A))
    assert np.all(np.isfinite(s)) and np.max(np.abs(s.sum(axis=1) - 1)) < 1e-9


def test_cross_elasticities_are_derivatives_through_the_market(at):
    for N, pricing in ((2, "logit"), (25, "logit"), (5, "loglinear")):
        p, eq = at(N, pricing=pricing)
        ln_A = jnp.full((N,), eq.industry.ln_A(p))

        def ln_rent(x, p=p):
            return jnp.log(market.rent(p, U, market.bertrand_shares(p, U, x)))[0]

        slopes = quick_jit(jax.jacfwd(ln_rent))(ln_A)
        closed = market.cross_value_elasticity(p, U, eq.industry.s, "bertrand")
        assert float(slopes[1]) == pytest.approx(float(closed), abs=1e-9)
        own = market.own_value_elasticity(p, U, eq.industry.s, "two_stage")
        assert float(slopes[0]) == pytest.approx(float(own), abs=1e-9)


def test_discounted_value_against_quadrature(at):
    p, eq = at(25)
    rate = 0.3

    def rent(t):
        s = 1 / (1 + 24 * np.exp(2.5 * 0.98 * t))
        return float(eq.industry.margin) * s * np.exp(-rate * t)

    expected = quad(rent, 0, 40, epsabs=1e-13, limit=200)[0]
    # 24 nodes; the integrand falls within months.
    assert float(valuation.discounted_value(p, U, eq.industry)) == pytest.approx(expected, rel=2e-4)


def test_projection_is_least_squares(at):
    p, eq = at(5)
    key = jax.random.key(3)
    data = {k: np.asarray(v).ravel() for k, v in valuation.simulated_industries(p, U, eq.industry.price, key).items()}
    columns = np.stack([np.ones_like(data["gap"]), data["g_A"], data["gap"]], axis=1)
    expected = np.linalg.lstsq(columns, data["depreciation"], rcond=None)[0]
    found = valuation.linear_projection(p, U, eq.industry.price, key)
    np.testing.assert_allclose([found[k] for k in ("intercept", "delta_1", "delta_2")], expected, rtol=1e-9)
    assert abs(expected[0] - 0.2) > 0.05  # not the physical rate


# Race ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("N, timing", [(2, "two_stage"), (2, "simultaneous"), (25, "two_stage")])
def test_no_deviation_in_compute_pays(at, N, timing):
    p, eq = at(N, timing=timing)
    found = quick_jit(race.nash_certificate)(p, U, eq)
    assert float(found["gain"]) < 1e-9 and float(found["curvature"]) < -0.1


def test_joint_profit_invests_nothing_without_an_outside_good(at):
    _, eq = at()
    assert float(quick_jit(race.joint_compute)(P, U, eq)) == 0.0
    p = eqx.tree_at(lambda q: q.o, P, jnp.asarray(1.0))
    eq = quick_jit(industry.equilibrium)(p, U)
    found = float(quick_jit(race.joint_compute)(p, U, eq))
    values = quick_jit(jax.vmap(lambda x: race.joint_profit(p, U, eq, x)))(
        jnp.log(found) + jnp.asarray([-0.02, 0.0, 0.02])
    )
    assert 0 < found < float(jnp.exp(eq.industry.ln_C)) and float(values[1]) > float(jnp.maximum(values[0], values[2]))


@pytest.mark.parametrize("N", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_unrestricted_planner_treats_providers_alike(at, N):
    p, eq = at(N)
    found = quick_jit(race.unrestricted_planner)(p, eq)
    assert float(found["gain"]) < 1e-9
    for k in ("largest compute", "smallest compute"):
        assert float(found[k]) == pytest.approx(float(jnp.exp(eq.planner.ln_C)), rel=1e-5)


# Flywheel --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_threshold_by_the_implicit_function_theorem(at):
    """The root of the autodiff growth rate equals (1.9), in value and slopes, and so do finite differences."""
    names = ("theta", "a", "rho", "gamma", "C", "Dt")

    def both(x):
        p = eqx.tree_at(lambda q: [getattr(q, n) for n in names], P, list(x))
        eq = industry.equilibrium(p, U)
        return jnp.stack([bifurcation.threshold_root(p, U, eq.industry), flywheel.threshold(p, U, eq.industry)])

    x = jnp.stack([getattr(P, n) for n in names])
    run = quick_jit(jax.vmap(both))
    steps = 1e-5 * jnp.diag(jnp.abs(x))
    values = run(jnp.concatenate([x[None], x + steps, x - steps]))
    numeric = (values[1:7] - values[7:]) / (2e-5 * jnp.abs(x)[:, None])
    exact = quick_jit(jax.jacfwd(both))(x)
    np.testing.assert_allclose(values[0], 1.5, rtol=1e-10)
    np.testing.assert_allclose(exact[0], exact[1], rtol=1e-8)
    np.testing.assert_allclose(exact[0], numeric[:, 0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("N, Omega", [(2, 2.0), (3, 1.46), (5, 1.4)])
def test_steady_states_stability_and_basins(at, N, Omega):
    """Leader's state: at rest, eigenvalues of the full Jacobian, reached by the path from its basin, left from the other side."""
    p, eq = at(N)
    level = flywheel.on_default_path(p, U, eq.industry, jnp.asarray(Omega))
    x = flywheel.leadership(p, U, eq.industry, jnp.asarray(Omega)).leader_share
    d = flywheel.state_of(p, level, x)
    assert float(jnp.max(jnp.abs(flywheel.drift(p, U, eq.industry, level, d)))) < 1e-11
    full = np.linalg.eigvals(jax.jacfwd(lambda y: flywheel.drift(p, U, eq.industry, level, y))(d)).real
    rates = np.asarray(bifurcation.growth_rates(p, U, eq.industry, level, x))
    for r in rates:
        assert np.min(np.abs(full - r)) < 1e-9
    assert np.max(full) == pytest.approx(np.max(rates), abs=1e-9) and np.max(rates) < 0
    edge = float(quick_jit(bifurcation.basin_boundary)(p, U, eq.industry, jnp.asarray(Omega)))
    total = N * Omega
    settle = quick_jit(lambda y: bifurcation.settle(p, U, eq.industry, level, y, 5000.0, 2000))
    for z, end in ((edge + 0.01, float(x)), (edge - 0.01, 1 / N)):
        start = total * jnp.where(jnp.arange(N) < 1, z, (1 - z) / (N - 1))
        found = settle(start)
        reached = float(found[0] / jnp.sum(found))
        # In duopoly symmetry is unstable: who starts behind is the follower.
        assert reached == pytest.approx(end if N > 2 or end != 1 / N else 1 - float(x), abs=3e-3)


def test_two_leaders_and_one_laggard_is_a_branch_too(at):
    """Three providers: the branch of two leaders crosses symmetry at the threshold and is unstable beyond it."""
    p, eq = at(3)
    found = quick_jit(lambda p, u, a: bifurcation.branch(p, u, a, leaders=2, points=40, reach=3.0))(p, U, eq.industry)
    near = np.argsort(np.abs(np.asarray(found.share) - 1 / 3))[:2]
    assert np.all(np.abs(np.asarray(found.Omega)[near] - 1.5) < 0.05)
    ahead = np.asarray(found.share) > 0.4
    assert np.all(np.asarray(found.growth)[ahead] > 0)


def test_data_sharing_that_stabilizes(at):
    """phi at Omega = 3 by bisection of the autodiff growth rate."""
    for N, value in ((2, 0.125), (5, 1 / 17)):
        p, eq = at(N)

        def rate(phi, p=p, eq=eq):
            v = eqx.tree_at(lambda w: w.data_sharing, U, jnp.asarray(phi))
            return float(bifurcation.symmetric_growth(flywheel.Where(p, v, eq.industry), jnp.asarray(3.0)))

        assert brentq(rate, 0.0, 0.5, xtol=1e-10) == pytest.approx(value, abs=1e-8)
        assert float(flywheel.stabilizing_sharing(p, U, eq.industry, jnp.asarray(3.0))) == pytest.approx(
            value, abs=1e-12
        )


# Claims ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_claims_at_the_baseline():
    """Every claim of the specification but the agents' (its own test) holds at the baseline; the exact ones hold in the whole box."""
    cheap = [c.id for c in MODEL.claims if c.cost != "agents"]
    assert [c.id for c in MODEL.claims] == [f"C1.{k}" for k in range(1, 13)]
    found = claims_of(MODEL, ids=cheap, draws=64, seed=0)
    for c in found:
        if c.holds is not None:
            assert c.holds, c.id
        if c.expectation == "exact" and not c.parts:
            assert c.share == 1, c.id


def test_technology_limits():
    """rho -> 0 is Cobb-Douglas; the two elasticities add up to the returns to scale."""
    p = eqx.tree_at(lambda q: q.rho, P, jnp.asarray(0.0))
    ln_A = float(technology.log_capability(p, jnp.log(2.0), jnp.asarray(5.0)))
    assert ln_A == pytest.approx(1.3 * (0.35 * np.log(2.0) + 0.65 * np.log(5.0)), abs=1e-5)
    slope = jax.grad(lambda x: technology.log_capability(P, x, jnp.asarray(5.0)))(jnp.log(2.0))
    assert float(slope) == pytest.approx(
        1.3 - float(technology.data_elasticity(P, jnp.log(2.0), jnp.asarray(5.0))), rel=1e-12
    )
