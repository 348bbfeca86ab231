"""Paper 7 against closed forms, brute force and an independent SciPy solution."""

import dataclasses
import importlib

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import isotonic_regression, minimize
from scipy.stats import norm

from benchmarks.peers import information_asymmetry as peer
from jaxecon import load
from jaxecon.analysis.batch import Response, evaluate_rows
from jaxecon.analysis.designs import prior_draws
from jaxecon.core.fields import fields_of
from jaxecon.core.model import evaluate_pure
from jaxecon.models.information_asymmetry import claims_accuracy, incentives, precision, screening
from jaxecon.models.information_asymmetry.continuum import continuum, ironed, ironed_contract, welfare_slope
from jaxecon.models.information_asymmetry.params import Params, Policy

EQUILIBRIUM = importlib.import_module("jaxecon.models.information_asymmetry.equilibrium")
MODEL = load("information_asymmetry")
P, U = Params(), Policy()
MARKETS = ("bertrand", "rothschild_stiglitz", "miyazaki_wilson_spence", "lemons")


def at(x):
    return jnp.asarray(float(x))


# The whole model -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market, n", [(m, 1 + 3 * k) for k, m in enumerate(MARKETS)])
def test_scipy_finds_the_same_contracts(market, n):
    """All outcomes of the peer at random draws and policies, in each market, for one agent and several."""
    d = prior_draws(MODEL, 25, seed=5)
    rng = np.random.default_rng(0)
    names, symbols = list(fields_of(Policy)), {f.symbol: k for k, f in enumerate(fields_of(MODEL.Outcomes).values())}
    top = np.array([1.0, 1.0, 0.5, 2.0, 1.0, 1.0])
    policies = top * rng.uniform(0, 1, (25, len(names)))
    p = dataclasses.replace(P, market=market, n=n)
    base = {k: f.default for k, f in fields_of(Params).items()}
    rows = evaluate_rows(Response(MODEL), p, U, (*d.names, *names), np.concatenate([d.points, policies], axis=1))
    assert np.all(rows[:, -1] == 0)
    for k in range(25):
        q = base | dict(zip(d.names, map(float, d.points[k]), strict=True)) | {"market": market, "n": n}
        found = peer.solve(q, dict(zip(names, map(float, policies[k]), strict=True)))
        assert found.pop("solved") and set(found) == set(symbols)
        for symbol, value in found.items():
            assert abs(rows[k, symbols[symbol]] - value) < 1e-8 * max(1, abs(value)), (k, symbol)


def test_documented_numbers():
    """Evidence, closed forms: contracts at six accuracies, incentives with one signal and two."""
    rent = {0.5: 0.25, 0.7: 0.15476, 0.8: 0.06875, 0.9: 0.03611, 0.99: 0.00374, 1.0: 0.0}
    welfare = {0.5: 1.5, 0.7: 1.45238, 0.8: 1.44687, 0.9: 1.50556, 0.99: 1.55687, 1.0: 1.5625}
    profit = {0.5: 1.25, 0.7: 1.29762, 0.8: 1.37813, 0.9: 1.46944, 0.99: 1.55313, 1.0: 1.5625}
    for x in rent:
        found = screening.contract_before(P, at(x))
        np.testing.assert_allclose(found[:3], [welfare[x], profit[x], rent[x]], atol=6e-6)
    power = [float(incentives.incentive_power(P.r, P.c, at(Q))) for Q in (1, 4, 5)]
    np.testing.assert_allclose(power, [1 / 3, 2 / 3, 0.7142857142857143], rtol=1e-14)


def test_welfare_turns_where_the_specification_says():
    least, back = claims_accuracy.turning_accuracy(P)
    assert float(least) == pytest.approx(0.75, abs=1e-12) and float(back) == pytest.approx(0.8903882, abs=5e-8)
    assert float(screening.contract_before(P, least).welfare) == pytest.approx(1.4166666666666667, abs=1e-12)


# Moral hazard ----------------------------------------------------------------------------------------------


def test_weights_maximize_surplus():
    """Brute force over both weights, with correlated noises and a loading of .6."""
    p = dataclasses.replace(P, l=0.6, rho_s=0.3)

    def loss(w):
        effort, cov = (w[0] + 0.6 * w[1]) / 1.0, 0.3 * 0.5
        variance = w[0] ** 2 + 2 * w[0] * w[1] * cov + 0.25 * w[1] ** 2
        return -(effort - effort**2 / 2 - variance)

    found = minimize(loss, [0.3, 0.3], tol=1e-14)
    out = evaluate_pure(MODEL, p, U).outcomes
    np.testing.assert_allclose([out.weight_x, out.weight_s], found.x, atol=1e-6)
    assert float(out.surplus) == pytest.approx(-found.fun, abs=1e-10)


def test_relative_noise_is_what_comparison_leaves():
    """(7.5) against the regression of one agent's noise on those of the others."""
    for n, rho in ((2, 0.3), (5, 0.7), (40, 0.1)):
        cov = 2.0 * ((1 - rho) * np.eye(n) + rho)
        left = cov[0, 0] - cov[0, 1:] @ np.linalg.solve(cov[1:, 1:], cov[1:, 0])
        assert float(precision.relative_noise(at(2.0), n, at(rho))) == pytest.approx(left, rel=1e-12)


def test_others_signals_tell_about_a_type():
    """(7.5) against the posterior covariance itself; nothing is learned from others whose types are independent."""
    for n, rho in ((2, 0.3), (6, 0.8)):
        prior = ((1 - rho) * np.eye(n) + rho) / 12
        posterior = prior - prior @ np.linalg.solve(prior + 0.25 * np.eye(n), prior)
        alone, together = precision.posterior_variance(n, at(rho), at(0.25))
        assert float(together) == pytest.approx(posterior[0, 0], rel=1e-12)
        assert float(alone) == pytest.approx(0.25 / 12 / (0.25 + 1 / 12), rel=1e-12)
    alone, together = precision.posterior_variance(6, at(0.0), at(0.25))
    assert float(alone - together) == pytest.approx(0, abs=1e-16)


# Adverse selection -----------------------------------------------------------------------------------------


def _principal(nu, D=0.5, a=3.0, theta_low=1.0):
    """The principal's best menu by brute force: quantities of both types, binding constraints."""

    def loss(q):
        rent = D * q[1]
        efficient = a * q[0] - q[0] ** 2 / 2 - theta_low * q[0] - rent
        return -(nu * efficient + (1 - nu) * (a * q[1] - q[1] ** 2 / 2 - (theta_low + D) * q[1]))

    return minimize(loss, [1.0, 1.0], bounds=[(0, 5)] * 2, tol=1e-14)


@pytest.mark.parametrize("nu", [0.2, 0.5, 0.7, 0.9])
def test_contract_is_the_principals_best(nu):
    found, brute = screening.contract_at(P, at(nu)), _principal(nu)
    assert float(found.profit) == pytest.approx(-brute.fun, abs=1e-8)
    assert float(found.q) == pytest.approx(brute.x[1], abs=1e-4)


@pytest.mark.parametrize("pi, ell", [(0.6, 0.1), (0.8, 0.5), (0.8, 0.72), (0.8, 1.5), (0.95, 0.2)])
def test_verified_signal_is_the_principals_best(pi, ell):
    """Punishments up to ell after the signal that speaks against the report, by brute force over quantity and punishment."""

    def loss(x):
        # The efficient type that reports to be inefficient is found out with chance pi, a true report only with 1 - pi,
        # which the payment makes good: the punishment ell costs the liar (2 pi - 1)/pi of it, up to the liability.
        q, fine = x
        rent = max(0.0, 0.5 * q - (2 * pi - 1) * fine / pi)
        return -(0.5 * (2.0 - rent) + 0.5 * (1.5 * q - q**2 / 2))

    grid = [(q, ell) for q in np.linspace(0, 1.5, 3001)]
    best = min(grid, key=loss)
    found = screening.contract_after(dataclasses.replace(P, ell=at(ell)), at(pi))
    assert float(found.profit) == pytest.approx(-loss(best), abs=1e-6)
    assert float(found.q) == pytest.approx(best[0], abs=1e-3)


def test_first_best_needs_the_stated_liability():
    needed = float(screening.full_liability(P, at(0.8)))
    assert needed == pytest.approx(0.8 * 0.5 * 1.5 / 0.6, rel=1e-14)
    for ell, full in ((needed * 1.0001, True), (needed * 0.999, False)):
        found = screening.contract_after(dataclasses.replace(P, ell=at(ell)), at(0.8))
        assert (float(found.welfare) == pytest.approx(1.5625, abs=1e-12)) is full


def test_groups_and_disclosure_mix_contracts():
    half = evaluate_pure(MODEL, P, dataclasses.replace(U, disclosure_rule=at(0.5))).outcomes
    assert float(half.welfare) == pytest.approx((1.446875 + 1.5) / 2, abs=1e-12)
    assert float(half.rent_2) > float(half.rent_1)
    fair = evaluate_pure(MODEL, P, dataclasses.replace(U, disclosure_rule=at(0.5), fairness_weight=at(2.0))).outcomes
    gap = float(half.rent_2 - half.rent_1)
    assert float(half.net_welfare - fair.net_welfare) == pytest.approx(2 * gap, rel=1e-10)


# Continuum -------------------------------------------------------------------------------------------------


def test_continuum_by_direct_integration():
    """Midpoint rule over type and signal, at a noise where some are shut out."""
    a, s = 1.6, 0.4
    theta = ((np.arange(2000) + 0.5) / 2000)[:, None]
    z = np.linspace(-7, 7, 1401)[None, :]  # the signal is theta + s z
    h = s * (norm.cdf(-z) - norm.cdf(-z - theta / s)) / norm.pdf(z)
    q = np.maximum(0.0, a - theta - h)
    weight = norm.pdf(z) * 0.01 / 2000
    found = continuum(at(a), at(s))
    assert 0 < np.sum(weight * (q == 0)) < 1
    assert float(found.profit) == pytest.approx(np.sum(weight * q**2 / 2), abs=1e-6)
    assert float(found.rent) == pytest.approx(np.sum(weight * h * q), abs=1e-6)


def test_continuum_limits_and_the_fall_of_welfare():
    """No signal: a^2/2 - a/2. A little precision lowers welfare by 1/40 a unit: not monotone (the specification says it is)."""
    blunt, sharp = continuum(at(3.0), at(100.0)), continuum(at(3.0), at(1e-3))
    assert float(blunt.welfare) == pytest.approx(3.0, abs=1e-5)
    assert float(sharp.welfare) == pytest.approx((27 - 8) / 6, abs=2e-3)
    assert float(welfare_slope(at(3.0), at(30.0))) == pytest.approx(-1 / 40, abs=2e-4)
    welfare = [float(continuum(at(3.0), at(s)).welfare) for s in (2.0, 1.0, 0.5, 0.3, 0.1)]
    assert welfare[0] > welfare[1] > welfare[2] < welfare[3] < welfare[4]


def test_ironing():
    """Against SciPy's isotonic regression, and a two-peak posterior whose contract no monotone change improves."""
    rng = np.random.default_rng(0)
    for n in (5, 60):
        values, weights = rng.normal(size=n), rng.uniform(0.1, 2, n)
        expected = isotonic_regression(values, weights=weights, increasing=False).x
        np.testing.assert_allclose(ironed(jnp.asarray(values), jnp.asarray(weights)), expected, atol=1e-12)
    theta = (jnp.arange(400) + 0.5) / 400
    density = jnp.exp(-(((theta - 0.2) / 0.06) ** 2) / 2) + jnp.exp(-(((theta - 0.8) / 0.06) ** 2) / 2)
    found, q, naive = ironed_contract(at(3.0), theta, density)
    assert np.max(np.diff(naive)) > 0.01 and np.max(np.diff(q)) <= 1e-12, "the hazard is not monotone, the contract is"
    f, theta = np.asarray(density / density.sum()), np.asarray(theta)
    F = np.cumsum(f) - f / 2

    def profit(quantity):
        return np.sum(f * ((3 - theta - F / f / 400) * quantity - quantity**2 / 2))

    assert float(found.profit) == pytest.approx(profit(np.asarray(q)), rel=1e-12)
    for _ in range(50):
        other = np.sort(np.asarray(q) + 0.1 * rng.normal(size=400))[::-1]
        other = np.maximum(0.5 * other + 0.5 * np.asarray(q), 0)
        assert profit(other) < profit(np.asarray(q))
