"""How the equilibrium moves with the AI price, the turning price of welfare, deviations at given trust."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.models.information_pollution import index, platform, producers
from jaxecon.models.information_pollution.equilibrium import Equilibrium, equilibrium
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.solver import inner_start, solve_inner
from jaxecon.numerics.roots import attach_derivative

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


def index_slopes(p: Params, u: Policy) -> tuple[Scalar, Scalar]:
    r"""$dW/dIPI$ along the AI price, $(dW/d\ln p_A)/(dIPI/d\ln p_A)$: with weights frozen at `p`, and endogenous [R]."""

    def along(ln_p: Scalar) -> tuple[Scalar, Array, Array]:
        q = _at_log_price(p, ln_p)
        s = equilibrium(q, u).state
        x = index.dimensions(q, s)
        return platform.welfare(q, u, s), x, index.endogenous_weights(q, x, s.A)

    ln_p = jnp.log(p.p_A)
    (_, x, weights), (dW, dx, d_weights) = jax.jvp(along, (ln_p,), (jnp.ones_like(ln_p),))
    frozen, endogenous = (
        jax.jvp(index.pollution_index, (weights, x), (d, dx))[1] for d in (jnp.zeros_like(d_weights), d_weights)
    )
    return dW / frozen, dW / endogenous


def _welfare_slope(x: Float[Array, "1"], args: tuple[Params, Policy]) -> Float[Array, "1"]:
    p, u = args
    q = _at_log_price(p, x[0])
    return (price_slopes(q, u)[0] / platform.money_scale(p))[None]


class PriceResponse(NamedTuple):
    """How the equilibrium responds to the AI price: slopes in ln p_A at `p`, of welfare at p_A = 1 and .01, and the
    log of the turning price, with whether welfare peaks there."""

    welfare: Scalar
    exposure: Scalar
    welfare_dear: Scalar
    welfare_cheap: Scalar
    log_turning: Scalar
    peak: Bool[Array, ""]


def price_response(p: Params, u: Policy, steps: int = 14) -> PriceResponse:
    """Slopes at the prices that the claims name, and the search for the turning price on [.001, 3].

    Five points a step, all through one copy of the equilibrium: first the named ones and the ends of the range, then
    points that cut the bracket of the peak in six.
    """
    lo, hi = jnp.log(jnp.asarray([LOWEST_PRICE, HIGHEST_PRICE], p.p_A.dtype))
    named = jnp.stack([jnp.log(p.p_A), jnp.zeros_like(lo), jnp.full_like(lo, jnp.log(0.01)), lo, hi])

    def step(state: tuple[Array, ...], k: Array) -> tuple[tuple[Array, ...], None]:
        lo, hi, first = state
        inner = lo + (hi - lo) * jnp.arange(1, 6, dtype=lo.dtype) / 6
        at = jnp.where(k == 0, named, inner)
        slopes = jnp.stack(jax.vmap(lambda x: price_slopes(_at_log_price(p, x), u))(at))
        edges = jnp.concatenate([lo[None], inner, hi[None]])
        # The bracket: from the last point before welfare falls in the price.
        j = jnp.where(jnp.any(slopes[0] <= 0), jnp.argmax(slopes[0] <= 0), 5)
        start = k == 0
        return (
            jnp.where(start, lo, edges[j]),
            jnp.where(start, hi, edges[j + 1]),
            jnp.where(start, slopes, first),
        ), None

    state = (lo, hi, jnp.zeros((2, 5), lo.dtype))
    (left, right, slopes), _ = lax.scan(step, state, jnp.arange(steps))
    peak = (slopes[0, 3] > 0) & (slopes[0, 4] < 0)
    return PriceResponse(slopes[0, 0], slopes[1, 0], slopes[0, 1], slopes[0, 2], (left + right) / 2, peak)


def turning_price(p: Params, u: Policy) -> Scalar:
    r"""AI price at which welfare peaks: root of $dW/d\ln p_A$ on [.001, 3], with its derivative; NaN without a peak.

    Above it cheaper AI raises welfare, below it cheaper AI pollutes more than it helps.
    """
    found = price_response(*lax.stop_gradient((p, u)))
    x = attach_derivative(_welfare_slope, found.log_turning[None], (p, u), found.peak)
    return jnp.where(found.peak, jnp.exp(x[0]), jnp.nan)


def given_trust_profit(p: Params, u: Policy, ln_a: Scalar, eq: Equilibrium) -> Scalar:
    """Platform profit of a deviation to `ln_a` while trust stays at its equilibrium value; infinite if unsolved."""
    h = producers.flag_rates(p, u)
    z, gap = solve_inner(p, u, ln_a, inner_start(p, u, ln_a, h), h, ln_T=jnp.log(eq.state.T))
    s = platform.allocation(p, u, ln_a, z, None, h)
    return jnp.where(gap < 1e-6, platform.platform_profit(p, u, s), jnp.inf)
