"""How the equilibrium moves with the AI price, the turning price of welfare, deviations at given trust."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.models.information_pollution import index, platform, producers
from jaxecon.models.information_pollution.equilibrium import Equilibrium, equilibrium
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.solver import inner_start, solve_inner
from jaxecon.numerics.roots import attach_derivative, bisect

Scalar = Float[Array, ""]
LOWEST_PRICE, HIGHEST_PRICE = 1e-3, 3.0


def _at_log_price(p: Params, ln_p: Scalar) -> Params:
    return eqx.tree_at(lambda q: q.p_A, p, jnp.exp(ln_p))


def price_slopes(p: Params, u: Policy) -> tuple[Scalar, Scalar]:
    r"""$dW/d\ln p_A$ and $dx_L/d\ln p_A$ along the equilibrium."""

    def along(ln_p: Scalar) -> tuple[Scalar, Scalar]:
        q = _at_log_price(p, ln_p)
        s = equilibrium(q, u).state
        return platform.welfare(q, u, s), s.x.L

    ln_p = jnp.log(p.p_A)
    return jax.jvp(along, (ln_p,), (jnp.ones_like(ln_p),))[1]


def index_slope(p: Params, u: Policy, frozen: bool) -> Scalar:
    r"""$dW/dIPI$ along the AI price: $(dW/d\ln p_A)/(dIPI/d\ln p_A)$, weights frozen at `p` or endogenous [R]."""
    s0 = lax.stop_gradient(equilibrium(p, u).state)
    weights0 = index.endogenous_weights(p, index.dimensions(p, s0), s0.A)

    def along(ln_p: Scalar) -> tuple[Scalar, Scalar]:
        q = _at_log_price(p, ln_p)
        s = equilibrium(q, u).state
        x = index.dimensions(q, s)
        weights = weights0 if frozen else index.endogenous_weights(q, x, s.A)
        return platform.welfare(q, u, s), index.pollution_index(weights, x)

    ln_p = jnp.log(p.p_A)
    dW, dI = jax.jvp(along, (ln_p,), (jnp.ones_like(ln_p),))[1]
    return dW / dI


def _welfare_slope(x: Float[Array, "1"], args: tuple[Params, Policy]) -> Float[Array, "1"]:
    p, u = args
    q = _at_log_price(p, x[0])
    return (price_slopes(q, u)[0] / platform.money_scale(p))[None]


def turning_price(p: Params, u: Policy) -> Scalar:
    r"""AI price at which welfare peaks: root of $dW/d\ln p_A$ on [.001, 3], with its derivative; NaN without a peak.

    Above it cheaper AI raises welfare, below it cheaper AI pollutes more than it helps.
    """
    q, v = lax.stop_gradient((p, u))
    lo, hi = jnp.log(jnp.asarray([LOWEST_PRICE, HIGHEST_PRICE], p.p_A.dtype))

    def slope(x: Scalar, args: tuple[Params, Policy]) -> Scalar:
        return _welfare_slope(x[None], args)[0]

    root = bisect(slope, lo, hi, (q, v), steps=48)
    peak = (slope(lo, (q, v)) > 0) & (slope(hi, (q, v)) < 0)
    x = attach_derivative(_welfare_slope, root[None], (p, u), peak)
    return jnp.where(peak, jnp.exp(x[0]), jnp.nan)


def given_trust_profit(p: Params, u: Policy, ln_a: Scalar, eq: Equilibrium) -> Scalar:
    """Platform profit of a deviation to `ln_a` while trust stays at its equilibrium value; infinite if unsolved."""
    h = producers.flag_rates(p, u)
    z, gap = solve_inner(p, u, ln_a, inner_start(p), h, ln_T=jnp.log(eq.state.T))
    s = platform.allocation(p, u, ln_a, z, None, h)
    return jnp.where(gap < 1e-6, platform.platform_profit(p, u, s), jnp.inf)
