"""What a model is worth as an asset: depreciation by rivals' progress (1.5)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.models.intelligence_capital import market
from jaxecon.models.intelligence_capital.equilibrium import Industry
from jaxecon.models.intelligence_capital.params import Params, Policy
from jaxecon.numerics.linear import solve_small
from jaxecon.numerics.quadrature import gauss_legendre

Scalar = Float[Array, ""]
NODES = 24


def cross_depreciation(p: Params, u: Policy, at: Industry) -> Scalar:
    r"""$\sum_{j \ne i} d\ln v_i/d\ln A_j$ at a symmetric industry (1.5)."""
    return (p.N - 1) * market.cross_value_elasticity(p, u, at.s, p.price_response)


def depreciation(p: Params, u: Policy, at: Industry) -> Scalar:
    r"""$\delta_i = \delta_0 - \sum_{j \ne i} (d\ln v_i/d\ln A_j) g_j$ with every rival growing at g (1.5)."""
    return p.delta_0 - cross_depreciation(p, u, at) * p.g


def discounted_value(p: Params, u: Policy, at: Industry) -> Scalar:
    r"""Discounted rent of a model that stands still while rivals grow at g: $\int v(t) e^{-(r + \delta_0) t} dt$.

    Off the balanced path, because the share falls along it. By Gauss-Legendre in $e^{-(r + \delta_0) t}$.
    """
    y, weight = gauss_legendre(NODES)
    y, weight = y.astype(p.r.dtype), weight.astype(p.r.dtype)
    rate = p.r + p.delta_0
    time = -jnp.log(y) / rate
    ln_A = at.ln_A(p)
    numbers = jnp.stack([jnp.ones_like(p.r), (p.N - 1) * jnp.ones_like(p.r)])

    def rent_at(t: Scalar) -> Scalar:
        levels = jnp.stack([ln_A, ln_A + p.g * t])
        if p.price_response == "fixed":
            s = market.shares_at_prices(p, levels, at.price, numbers)[0]
            return market.rent(p, u, s, at.margin)
        return market.rent(p, u, market.bertrand_shares(p, u, levels, numbers)[0])

    return jnp.sum(weight * jax.vmap(rent_at)(time)) / rate


def depreciation_parts(p: Params, u: Policy, at: Industry) -> dict[str, Scalar]:
    """Physical, rivals at given prices, and what prices add when they follow: the three sum to (1.5) with prices following."""
    fixed = -(p.N - 1) * market.cross_value_elasticity(p, u, at.s, "fixed") * p.g
    free = -(p.N - 1) * market.cross_value_elasticity(p, u, at.s, "bertrand") * p.g
    return {"physical": p.delta_0, "rivals at given prices": fixed, "prices follow": free - fixed}


def simulated_industries(
    p: Params, u: Policy, price: Scalar, key: PRNGKeyArray, count: int = 512, spread: float = 0.5
) -> dict[str, Float[Array, "k N"]]:
    r"""Industries for the projection of (1.5): $\ln A_i \sim N(0, spread^2)$, growth $g_j \sim N(g, (g/2)^2)$, independent.

    For each provider: depreciation by (1.5) at given prices, mean growth of its rivals, gap to the leader.
    """
    one, two = jax.random.split(key)
    ln_A = spread * jax.random.normal(one, (count, p.N), p.r.dtype)
    growth = p.g * (1 + 0.5 * jax.random.normal(two, (count, p.N), p.r.dtype))
    s = jax.vmap(lambda x: market.shares_at_prices(p, x, price))(ln_A)
    pull = p.theta * s * growth
    rivals = (jnp.sum(growth, axis=1, keepdims=True) - growth) / (p.N - 1)
    return {
        "depreciation": p.delta_0 + jnp.sum(pull, axis=1, keepdims=True) - pull,
        "g_A": rivals,
        "gap": jnp.max(ln_A, axis=1, keepdims=True) - ln_A,
    }


def linear_projection(
    p: Params, u: Policy, price: Scalar, key: PRNGKeyArray, count: int = 512, spread: float = 0.5
) -> dict[str, Scalar]:
    r"""Least squares of $\delta_i$ on $\delta_0 + \delta_1 g_A + \delta_2 \max(0, Gap_i)$ [D form] over simulated industries.

    The intercept is not the physical rate: it takes up what the linear form misses.
    """
    found = {k: v.ravel() for k, v in simulated_industries(p, u, price, key, count, spread).items()}
    y = found["depreciation"]
    columns = jnp.stack([jnp.ones_like(y), found["g_A"], found["gap"]], axis=1)
    beta = solve_small(columns.T @ columns, columns.T @ y)
    rest = y - columns @ beta
    fit = 1 - jnp.sum(rest**2) / jnp.sum((y - jnp.mean(y)) ** 2)
    return {"intercept": beta[0], "delta_1": beta[1], "delta_2": beta[2], "R2": fit}
