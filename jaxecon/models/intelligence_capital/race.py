r"""The investment race from other sides: deviations from Nash, joint profit, a planner who may treat providers differently (1.6).

The equilibrium solves first-order conditions in elasticities; here profits and welfare themselves are computed and compared.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.models.intelligence_capital import market, technology
from jaxecon.models.intelligence_capital.equilibrium import Equilibrium, training_price
from jaxecon.models.intelligence_capital.params import Params, Policy
from jaxecon.numerics.descent import minimize_many
from jaxecon.numerics.roots import bisect

Scalar = Float[Array, ""]
# Log compute that a deviator tries, around Nash; the lowest stands for "invests nothing".
REACH, POINTS = 8.0, 161


def training_cost(p: Params, kappa: Scalar, ln_C: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\kappa C^{1+\nu}/(1+\nu)$: resources for the compute of a provider."""
    return kappa * jnp.exp((1 + p.nu) * ln_C) / (1 + p.nu)


def deviation_profit(p: Params, u: Policy, eq: Equilibrium, ln_C: Scalar) -> Scalar:
    """Profit of a provider with the compute `ln_C` while its rivals stay at Nash; all prices follow in the two-stage race, none in
    the simultaneous one, where the deviator sets its own best price beside."""
    at = eq.industry
    numbers = jnp.stack([jnp.ones_like(at.s), (p.N - 1) * jnp.ones_like(at.s)])
    ln_A = technology.log_capability(p, jnp.stack([ln_C, at.ln_C]), at.Dt)
    cost = training_price(p, u) * training_cost(p, eq.kappa, ln_C)
    if p.timing == "two_stage":
        return market.rent(p, u, market.bertrand_shares(p, u, ln_A, numbers)[0]) - cost
    marginal = market.marginal_cost(p, u)
    margins = at.margin * jnp.exp(jnp.linspace(-3.0, 5.0, 201, dtype=at.s.dtype))
    margins = jnp.minimum(margins, market.margin_cap(u))

    def rent(over: Scalar) -> Scalar:
        s = market.shares_at_prices(p, ln_A, jnp.stack([marginal + over, at.price]), numbers)[0]
        return market.rent(p, u, s, over)

    return jnp.max(jax.vmap(rent)(margins)) - cost


def nash_certificate(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Scalar]:
    """Largest gain of any deviation in compute, and the second derivative of profit in log compute, both over Nash rent.

    An equilibrium has a gain of zero (up to the grid of prices in the simultaneous race) and a negative second derivative.
    """
    at = eq.industry
    grid = at.ln_C + jnp.linspace(-REACH, REACH, POINTS, dtype=at.s.dtype)
    rent = market.rent(p, u, at.s, at.margin)
    nash = rent - training_price(p, u) * training_cost(p, eq.kappa, at.ln_C)
    profits = lax.map(lambda x: deviation_profit(p, u, eq, x), grid)
    # Who invests nothing has no cost, and no rent either: capability vanishes with compute where rho < 0.
    h = 1e-3
    three = [deviation_profit(p, u, eq, at.ln_C + k * h) for k in (-1, 0, 1)]
    curvature = (three[0] - 2 * three[1] + three[2]) / h**2
    return {"gain": (jnp.max(profits) - nash) / rent, "curvature": curvature / rent}


def joint_profit(p: Params, u: Policy, eq: Equilibrium, ln_C: Scalar) -> Scalar:
    """Profit of all providers with the same compute; prices follow by Bertrand."""
    ln_A = technology.log_capability(p, ln_C, eq.industry.Dt)[None]
    s = market.bertrand_shares(p, u, ln_A, p.N * jnp.ones_like(ln_A))[0]
    return p.N * (market.rent(p, u, s) - training_price(p, u) * training_cost(p, eq.kappa, ln_C))


def joint_compute(p: Params, u: Policy, eq: Equilibrium) -> Scalar:
    """Compute that maximizes joint profit; zero without an outside good: capability then only moves users between providers."""
    grid = eq.industry.ln_C + jnp.linspace(-2 * REACH, REACH / 2, POINTS, dtype=eq.kappa.dtype)
    best = jnp.argmax(lax.map(lambda x: joint_profit(p, u, eq, x), grid))
    low, high = grid[jnp.maximum(best - 1, 0)], grid[jnp.minimum(best + 1, POINTS - 1)]

    def slope(x: Scalar, _: None) -> Scalar:
        return jax.jvp(lambda y: joint_profit(p, u, eq, y), (x,), (jnp.ones_like(x),))[1]

    return jnp.where(best == 0, 0.0, jnp.exp(bisect(slope, low, high, None, steps=40)))


def planner_welfare(p: Params, eq: Equilibrium, ln_C: Float[Array, " N"]) -> Scalar:
    r"""$\frac{M}{\alpha}[\ln Z - (1-\chi)\theta\ln\bar A]$ less the cost of compute at prices equal to marginal cost, any providers.

    $\bar A = \sum_i s_i A_i/\sum_i s_i$; data are those of the symmetric planner.
    """
    ln_A = technology.log_capability(p, ln_C, eq.planner.Dt)
    value = p.theta * ln_A - market.price_disutility(p, p.mc)
    top = lax.stop_gradient(jnp.max(value))
    odds = jnp.exp(value - top)
    log_sum = top + jnp.log(p.o * jnp.exp(-top) + jnp.sum(odds))
    used = jnp.log(jnp.sum(odds * jnp.exp(ln_A - ln_A[0])) / jnp.sum(odds)) + ln_A[0]
    return p.M / p.alpha * (log_sum - (1 - p.chi) * p.theta * used) - jnp.sum(training_cost(p, eq.kappa, ln_C))


def unrestricted_planner(p: Params, eq: Equilibrium, steps: int = 300) -> dict[str, Scalar]:
    """The planner without symmetry, by ascent from a symmetric and from lopsided starts: what asymmetry gains, and the compute found.

    The gain is zero where equal treatment is best.
    """
    around = eq.planner.ln_C
    lo = jnp.broadcast_to(around - REACH, (p.N,))
    hi = jnp.broadcast_to(around + REACH / 2, (p.N,))
    first = jnp.arange(p.N) < 1
    starts = [around + jnp.where(first, up, down) for up, down in ((0.3, 0.1), (1.0, -1.0), (1.5, -4.0))]
    scale = p.M / p.alpha

    def climb(x0: Array) -> tuple[Array, Array]:
        x, slope = minimize_many(lambda x: -planner_welfare(p, eq, x) / scale, x0, lo, hi, steps)
        return x, slope

    found, slopes = lax.map(climb, jnp.stack(starts))
    alike = planner_welfare(p, eq, jnp.broadcast_to(around, (p.N,)))
    values = lax.map(lambda x: planner_welfare(p, eq, x), found)
    best = jnp.argmax(values)
    return {
        "gain": (values[best] - alike) / scale,
        "largest compute": jnp.exp(jnp.max(found[best])),
        "smallest compute": jnp.exp(jnp.min(found[best])),
        "slope left": slopes[best],
    }
