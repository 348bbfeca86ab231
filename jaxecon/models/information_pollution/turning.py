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


def _welfare_slope(x: Float[Array, "1"], args: tuple[Params, Policy]) -> Float[Array, "1"]:
    p, u = args

    def welfare(ln_p: Scalar) -> Scalar:
        q = _at_log_price(p, ln_p)
        return platform.welfare(q, u, equilibrium(q, u).state)

    slope = jax.jvp(welfare, (x[0],), (jnp.ones_like(x[0]),))[1]
    return (slope / platform.money_scale(p))[None]


class Slopes(NamedTuple):
    """Welfare at a point and slopes along one direction: of welfare, of low quality's exposure, and of the index with its
    weights frozen and endogenous."""

    level: Scalar
    welfare: Scalar
    exposure: Scalar
    frozen_index: Scalar
    index: Scalar


class Point(NamedTuple):
    """What the claims move: the log of the AI price, provenance, fiduciary duty, the cost of certification, identification."""

    ln_p: Scalar
    provenance: Scalar
    duty: Scalar
    cert: Scalar
    dp0: Scalar


def slopes_at(p: Params, u: Policy, x: Point, direction: Point) -> Slopes:
    """Welfare, exposure and index along a direction at a point, everything else as in `p`, `u`; NaN if unsolved."""

    def along(x: Point) -> tuple[tuple[Array, ...], Array]:
        q = eqx.tree_at(lambda r: (r.p_A, r.cert, r.dp0), p, (jnp.exp(x.ln_p), x.cert, x.dp0))
        v = eqx.tree_at(lambda r: (r.provenance, r.fiduciary_duty), u, (x.provenance, x.duty))
        eq = equilibrium(q, v)
        dims = index.dimensions(q, eq.state)
        W, weights = platform.welfare(q, v, eq.state), index.endogenous_weights(q, dims, eq.state.A)
        return (W, eq.state.x.L, dims, weights), eq.status

    (W, _, dims, weights), (dW, dx, d_dims, d_weights), status = jax.jvp(along, (x,), (direction,), has_aux=True)
    frozen, endogenous = (
        jax.jvp(index.pollution_index, (weights, dims), (d, d_dims))[1] for d in (jnp.zeros_like(d_weights), d_weights)
    )
    return jax.tree.map(lambda v: jnp.where(status == 0, v, jnp.nan), Slopes(W, dW, dx, frozen, endogenous))


class Response(NamedTuple):
    """How the equilibrium responds to what the claims move.

    `here`, `dear`, `cheap`: slopes in ln p_A at the given price, at 1 and at .01; `provenance` `[12]`: without
    fiduciary duty, slopes in d'_0 at eleven levels of provenance (certification free) and at the given one; the log of the
    turning price, with whether welfare peaks there.
    """

    here: Slopes
    dear: Slopes
    cheap: Slopes
    provenance: Slopes
    log_turning: Scalar
    peak: Bool[Array, ""]


LEVELS = 11


def response(p: Params, u: Policy, steps: int = 4) -> Response:
    """Slopes at the points that the claims name, and the search for the turning price on [.001, 3].

    Seventeen points a step, all through one copy of the equilibrium and its derivative, because compiling a copy costs
    more than evaluating it: first the named points and the ends of the range, then points that cut the bracket of the peak
    in eighteen; at last a line through its ends, exact to 1e-9.
    """
    dtype = p.p_A.dtype
    lo, hi = jnp.log(jnp.asarray([LOWEST_PRICE, HIGHEST_PRICE], dtype))
    own = Point(jnp.log(p.p_A), u.provenance, u.fiduciary_duty, p.cert, p.dp0)
    prices = jnp.stack([own.ln_p, jnp.zeros_like(lo), jnp.full_like(lo, jnp.log(0.01)), lo, hi])
    levels = jnp.append(jnp.linspace(0.0, 0.95, LEVELS, dtype=dtype), u.provenance)
    n, m = len(prices), len(levels)
    everywhere = Point(*(jnp.broadcast_to(v, (n + m,)) for v in own))
    named = everywhere._replace(
        ln_p=everywhere.ln_p.at[:n].set(prices),
        provenance=everywhere.provenance.at[n:].set(levels),
        duty=everywhere.duty.at[n:].set(0.0),
        cert=everywhere.cert.at[n:-1].set(0.0),
    )
    nothing = jax.tree.map(jnp.zeros_like, everywhere)
    by_price = nothing._replace(ln_p=jnp.ones_like(everywhere.ln_p))
    directions = by_price._replace(ln_p=by_price.ln_p.at[n:].set(0.0), dp0=nothing.dp0.at[n:].set(1.0))
    cuts = jnp.arange(1, n + m + 1, dtype=dtype) / (n + m + 1)

    def step(state: tuple[Array, Array, Slopes], k: Array) -> tuple[tuple[Array, Array, Slopes], None]:
        ends, values, first = state
        start = k == 0
        inner = ends[0] + (ends[1] - ends[0]) * cuts
        x, along = jax.tree.map(
            lambda a, b: jnp.where(start, a, b), (named, directions), (everywhere._replace(ln_p=inner), by_price)
        )
        found = jax.vmap(lambda x, d: slopes_at(p, u, x, d))(x, along)
        points = jnp.concatenate([ends[:1], inner, ends[1:]])
        slopes = jnp.concatenate([values[:1], found.welfare, values[1:]])
        # The bracket: from the last point before welfare falls in the price.
        j = jnp.where(jnp.any(found.welfare <= 0), jnp.argmax(found.welfare <= 0), n + m)
        pair = jnp.stack([j, j + 1])
        return (
            jnp.where(start, ends, points[pair]),
            jnp.where(start, found.welfare[n - 2 : n], slopes[pair]),
            jax.tree.map(lambda a, b: jnp.where(start, a, b), found, first),
        ), None

    blank = Slopes(*(jnp.zeros(n + m, dtype) for _ in Slopes._fields))
    start = (jnp.stack([lo, hi]), jnp.zeros(2, dtype), blank)
    (ends, values, first), _ = lax.scan(step, start, jnp.arange(steps + 1))
    fall = jnp.where(values[0] > values[1], values[0] - values[1], 1.0)
    root = ends[0] + (ends[1] - ends[0]) * jnp.clip(values[0] / fall, 0.0, 1.0)
    here, dear, cheap, lowest, highest = (jax.tree.map(lambda v, k=k: v[k], first) for k in range(n))
    peak = (lowest.welfare > 0) & (highest.welfare < 0)
    return Response(here, dear, cheap, jax.tree.map(lambda v: v[n:], first), root, peak)


def turning_price(p: Params, u: Policy) -> Scalar:
    r"""AI price at which welfare peaks: root of $dW/d\ln p_A$ on [.001, 3], with its derivative; NaN without a peak.

    Above it cheaper AI raises welfare, below it cheaper AI pollutes more than it helps.
    """
    found = response(*lax.stop_gradient((p, u)))
    x = attach_derivative(_welfare_slope, found.log_turning[None], (p, u), found.peak)
    return jnp.where(found.peak, jnp.exp(x[0]), jnp.nan)


def given_trust_profit(p: Params, u: Policy, ln_a: Scalar, eq: Equilibrium) -> Scalar:
    """Platform profit of a deviation to `ln_a` while trust stays at its equilibrium value; infinite if unsolved."""
    h = producers.flag_rates(p, u)
    z, gap = solve_inner(p, u, ln_a, inner_start(p, u, ln_a, h), h, ln_T=jnp.log(eq.state.T))
    s = platform.allocation(p, u, ln_a, z, None, h)
    return jnp.where(gap < 1e-6, platform.platform_profit(p, u, s), jnp.inf)
