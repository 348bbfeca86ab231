"""Paper 7 with both frictions, in its markets and over a career, and with the agents' own AI: closed forms and brute force."""

import dataclasses
import importlib
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import norm

from jaxecon import load, optimize
from jaxecon.core.compiling import quick_jit
from jaxecon.core.fields import fields_of
from jaxecon.core.model import evaluate_pure
from jaxecon.models.information_asymmetry import dynamics, incentives, markets, precision, screening
from jaxecon.models.information_asymmetry.both import joint_means, solution
from jaxecon.models.information_asymmetry.first_order import chances, cheapest_pay, first_order_contract
from jaxecon.models.information_asymmetry.params import Params, Policy

EQUILIBRIUM = importlib.import_module("jaxecon.models.information_asymmetry.equilibrium")
MODEL = load("information_asymmetry")
P, U = Params(), Policy()


def at(x):
    return jnp.asarray(float(x))


# Both together ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma, c", [(0.5, 1.0), (0.05, 1.0), (0.3, 5.0), (0.9, 1.3), (3.0, 2.0)])
def test_integrals_of_both_frictions(sigma, c):
    """`quad` over signal and ability, inner bound where the piece rate ends."""

    def h(lam, t):
        gap = norm.sf(t) - norm.sf(t + lam / sigma) if t > 0 else norm.cdf(t + lam / sigma) - norm.cdf(t)
        return sigma * gap / norm.pdf(t)

    means = joint_means(at(sigma), at(c))
    x, w = np.polynomial.legendre.leggauss(12)
    edges = np.linspace(-7.5, 7.5, 31)
    power = 0.0
    for lo, hi in pairwise(edges):
        for node, weight in zip(0.5 * (hi - lo) * x + 0.5 * (hi + lo), 0.5 * (hi - lo) * w, strict=True):
            grid = np.linspace(0, 1, 2001)
            y = np.maximum(0, 1 - c * h(grid, node))
            power += weight * norm.pdf(node) * float(np.trapezoid(y, grid))
    assert float(means.power) == pytest.approx(power, abs=2e-6)
    assert float(means.mass) == pytest.approx(1, abs=1e-10)


def test_rent_is_the_area_under_piece_rates():
    """U' = b: the mean of the integrated piece rate equals E h b, at a noise so large that the posterior is the prior."""
    c, s2 = 0.7, 0.2
    found = solution(at(2.0), at(c), at(s2), joint_means(at(100.0), at(c)))
    B = 1 / (1 + 2 * c * s2)
    rate = lambda x: B * max(0.0, 1 - c * (1 - x))  # noqa: E731
    utility = lambda x: quad(rate, 0, x)[0]  # noqa: E731
    assert float(found.rent) == pytest.approx(quad(utility, 0, 1)[0], abs=5e-6)
    assert float(found.piece_rate) == pytest.approx(quad(rate, 0, 1)[0], abs=5e-6)


def test_joint_limit_is_first_best():
    gaps = []
    for share in (1e-2, 1e-4, 1e-6):
        p = dataclasses.replace(P, s2_e=share * P.s2_e, s2_theta=share * P.s2_theta)
        gaps.append(1 - float(evaluate_pure(MODEL, p, U).outcomes.welfare_joint))
    assert gaps[0] > gaps[1] > gaps[2] > 0 and gaps[2] < 0.005


# Markets ---------------------------------------------------------------------------------------------------


def test_competitive_screening_by_brute_force():
    """Miyazaki-Wilson-Spence: the efficient type's utility over quantity and subsidy; Rothschild-Stiglitz without subsidy."""
    nu, D, m = 0.6, 0.5, 0.8
    p = dataclasses.replace(P, nu=at(nu), m=at(m), pi=at(0.5))

    def loss(z):
        x, s = z  # quantity beyond the inefficient type's first best; subsidy to the inefficient
        return (x - D) ** 2 / 2 + (1 - nu) / nu * s

    keep_apart = {"type": "ineq", "fun": lambda z: z[0] ** 2 / 2 - m + z[1] / nu}
    best = minimize(loss, [1.0, 0.2], bounds=[(0, 5), (0, 5)], constraints=keep_apart, tol=1e-14)
    first = float(screening.first_best(p, p.nu))
    mws = float(markets.miyazaki_wilson_spence(p, at(0.5)).welfare)
    assert first - mws == pytest.approx(nu * (best.x[0] - D) ** 2 / 2, abs=1e-6)
    rs = float(markets.rothschild_stiglitz(p, at(0.9)).welfare)
    assert first - rs == pytest.approx(nu * (np.sqrt(2 * m) - D) ** 2 / 2, abs=1e-12)
    assert float(markets.rothschild_stiglitz(p, at(1.0)).welfare) == pytest.approx(first, abs=1e-14)


def test_lemons_by_brute_force():
    """Prices of cells on a fine grid: highest price at which competitive buyers break even, most profitable for one buyer."""
    for n in (1, 4, 7):
        many, one = (markets.lemons(P, n, competitive=c) for c in (True, False))
        gains = [0.0, 0.0]
        for j in range(n):
            y = j / n
            price = np.linspace(y, y + 1 / n, 20_001)
            profit = (price - y) * (1.3 * (price + y) / 2 - price)
            for k, p in enumerate((price[np.nonzero(profit >= -1e-12)[0][-1]], price[np.argmax(profit)])):
                gains[k] += 0.3 * (p**2 - y**2) / 2
        np.testing.assert_allclose([many.welfare, one.welfare], gains, atol=2e-5)
    assert float(markets.lemons(P, 1, competitive=True).trade) == 0


# Careers, signaling, agents' AI ----------------------------------------------------------------------------


def test_career_effort_is_the_return_to_reputation():
    """Holmstrom: by the update of beliefs itself. A unit of output moves the expected ability of each later period."""
    p = dataclasses.replace(P, T=5, h_1=at(0.7), h_eps=at(1.8), beta=at(0.9), c=at(1.4))
    for t in range(5):
        total = 0.0
        for later in range(t + 1, 5):
            # Posterior mean after `later` observations is a precision-weighted mean: the weight of one of them.
            total += 0.9 ** (later - t) * 1.8 / (0.7 + later * 1.8)
        assert float(incentives.career_effort(p, at(t))) == pytest.approx(total / 1.4, rel=1e-12)


def test_ratchet_and_competition():
    """One employer takes back what performance foretells, rivals pay it; no later period, no difference."""
    path = {x: dynamics.career(P, dataclasses.replace(U, competition=at(x)), jnp.arange(8.0)) for x in (0, 1)}
    one, rivals = (np.asarray(path[x].ratchet_effort) for x in (0, 1))
    contract = float(path[0].contract_effort[0])
    assert np.all(one[:-1] < contract) and np.all(rivals[:-1] > contract)
    assert one[-1] == rivals[-1] == pytest.approx(contract, rel=1e-14)
    assert np.all(np.diff(path[0].career_effort) < 0) and path[0].career_effort[-1] == 0


def test_spence():
    """Least separating signal by search; both types' utilities at the pooling threshold."""
    t_L, t_H, zeta, kappa, lam = 1.0, 1.7, 0.8, 0.6, 0.35
    signal = float(incentives.spence_signal(at(t_L), at(t_H), at(zeta), at(kappa)))
    grid = np.linspace(0, 3, 300_001)
    least = grid[np.argmax(t_H - kappa * grid / t_L**zeta <= t_L)]
    assert signal == pytest.approx(least, abs=2e-5)
    for cost in (0.1, 0.6, 3.0):
        s = float(incentives.spence_signal(at(t_L), at(t_H), at(zeta), at(cost)))
        waste = float(incentives.spence_waste(at(t_L), at(t_H), at(zeta)))
        assert waste == pytest.approx(cost * s / t_H**zeta, rel=1e-12)
    star = float(incentives.pooling_elasticity(at(t_L), at(t_H), at(lam)))
    pooled = lam * t_H + (1 - lam) * t_L
    for z, better in ((star * 0.99, True), (star * 1.01, False)):
        assert (pooled > t_H - float(incentives.spence_waste(at(t_L), at(t_H), at(z)))) is better


def test_agents_ai_reverses_the_gain_at_the_threshold():
    star = float(precision.counter_ai_threshold(at(1.0), at(2.0)))
    assert star == 1.0

    def gain(s2_g):
        return float(EQUILIBRIUM.ai_gain(dataclasses.replace(P, s2_g=at(s2_g)), U))

    assert gain(0.99) > 0 > gain(1.01) and gain(1.0) == pytest.approx(0, abs=1e-15)
    assert float(precision.counter_ai_threshold(at(2.0), at(1.0))) == 1e12
    limited = EQUILIBRIUM.ai_gain(dataclasses.replace(P, s2_g=at(2.0)), dataclasses.replace(U, agent_ai_limit=at(0.6)))
    assert float(limited) > 0, "a limit of agents' AI restores the gain"


# Beyond linear contracts -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_first_order_contract_beats_linear_and_is_globally_incentive_compatible():
    """It exceeds the linear contract, more the further outcomes reach (Mirrlees); no other effort pays; not convex."""
    best = [first_order_contract(P.r, P.c, at(1.0), at(x)) for x in (2.0, 3.0, 4.0)]
    profits = [float(b.profit) for b in best]
    assert float(best[0].linear_profit) == pytest.approx(1 / 6, rel=1e-12)
    assert 1 / 6 < profits[0] < profits[1] < profits[2] < 0.5
    for b in best:
        assert float(b.deviation_gain) < 1e-9 and bool(b.monotone_likelihood) and not bool(b.convex_distribution)
        assert np.all(np.diff(b.wages) > 0)


def test_cheapest_pay_against_scipy():
    """Least expected pay under both constraints by SLSQP over the wages of the cells' utilities."""
    r, c, e, sd = 2.0, 1.0, 0.4, 1.0
    edges = jnp.linspace(-1.5, 2.0, 5)
    cost, wages = cheapest_pay(at(e), at(r), at(c), edges, at(sd))
    p = np.asarray(chances(at(e), edges, at(sd)))
    slope = np.asarray(jax.jacfwd(lambda x: chances(x, edges, at(sd)))(at(e)))
    V = np.exp(-r * c * e**2 / 2)
    limits = [
        {"type": "eq", "fun": lambda v: p @ v - V},
        {"type": "eq", "fun": lambda v: slope @ v + r * c * e * V},
    ]
    found = minimize(
        lambda v: -p @ np.log(v) / r, np.full(6, V), bounds=[(1e-6, None)] * 6, constraints=limits, tol=1e-14
    )
    assert float(cost) == pytest.approx(found.fun, abs=1e-7)
    np.testing.assert_allclose(np.exp(-r * np.asarray(wages)), found.x, atol=1e-4)


# Policy ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_optimal_policy_is_a_maximum():
    """No small change of the optimum raises net welfare."""
    names = ["signal_subsidy", "disclosure_rule", "privacy_tax"]
    best = optimize(MODEL, names, starts=2)

    @quick_jit
    def value(x):
        v = dataclasses.replace(U, **dict(zip(names, x)))
        return evaluate_pure(MODEL, P, v).outcomes.net_welfare

    at_best = np.array([float(best.values[n]) for n in names])
    top = float(value(jnp.asarray(at_best)))
    bounds = np.array([fields_of(Policy)[n].bounds for n in names])
    rng = np.random.default_rng(0)
    for _ in range(50):
        x = np.clip(at_best + 0.05 * rng.normal(size=3), bounds[:, 0], bounds[:, 1])
        assert float(value(jnp.asarray(x))) <= top + 1e-9
