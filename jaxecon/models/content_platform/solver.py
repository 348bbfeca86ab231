r"""The root of a market: Broyden from the Jacobian of a coarse taste grid, and the derivative of the exact conditions.

A Jacobian on two nodes an axis costs a fortieth of one on seven and is right to some percent; Broyden's updates learn the rest, and the
residual is always that of the full grid.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.models.content_platform.demand import crowd, gauss_tastes, share_and_slope
from jaxecon.models.content_platform.market import (
    TYPES,
    Frame,
    ai_quality,
    commissions,
    conditions,
    cost,
    gaps,
    human_quality,
    where_sold,
)  # fmt: skip

Scalar = Float[Array, ""]
COARSE = 2


def start(f: Frame, tilt: Scalar | float = 0.0) -> Float[Array, " k"]:
    """A guess: markups of 1.3 over the median buyer's 1/alpha, equal exposure, seven creators in ten; `tilt` moves log
    exposure toward AI."""
    p = f.p
    J = TYPES + 1
    zero = jnp.zeros((), p.alpha.dtype)
    _, marginal = cost(p, f.angle, jnp.full(J, p.Mkt / (12 * TYPES * p.Nbar), p.alpha.dtype))
    price = marginal / (1 - commissions(f, zero)) + 1.2 / p.alpha
    active = jnp.full(TYPES, 0.7 * p.Nbar) if f.active is None else f.active
    number = jnp.append(active, f.K)
    if f.quality is not None:
        ai = f.quality
    elif p.ai_quality == "steady":
        ai = ai_quality(p, p.Mkt * jnp.stack([0.3 * p.lambda_t, 0.3 * p.lambda_c]) / p.delta)
    else:
        ai = jnp.stack([p.qA_t, p.qA_c])
    known = ai * (1 - f.u.labeling * jnp.stack([p.l_t, p.l_c]))
    quality = jnp.column_stack([human_quality(p, f.angle), known])
    t = gauss_tastes(p, COARSE)
    clutter = p.omega * jnp.log1p(jnp.sum(active) + p.flood * f.K)
    level = jnp.zeros(J, p.alpha.dtype).at[TYPES].add(tilt) - clutter
    share, slope = share_and_slope(t, crowd(t, quality, price, level, number))
    share, markup = where_sold(f, share, share / slope)
    price = marginal / (1 - commissions(f, zero)) + markup
    mean = jnp.sum(number * share) / jnp.sum(number)
    # Exposure follows shares: ln s moves by 1/(1 - rho kappa) of what it would without.
    echo = 1 / (1 - jnp.minimum(p.rho * p.kappa, 0.7))
    log_share = jnp.log(mean) + echo * (jnp.log(share) - jnp.log(mean))
    log_share = jnp.log(where_sold(f, jnp.exp(log_share), price)[0])
    fund = f.u.ai_levy * price[TYPES] * p.Mkt * share[TYPES] * f.K / jnp.sum(active)
    rest = [fund] if p.requirement == "off" else [fund, zero]
    return jnp.concatenate([log_share, jnp.log(price), jnp.stack(rest)])


class Search(NamedTuple):
    """Best point so far with its residual; the last point, its gaps, the inverse Jacobian, and steps taken."""

    best: Array
    residual: Scalar
    y: Array
    value: Array
    inverse: Array
    steps: Array


def inverse_of(a: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """Inverse by Gauss and Jordan in place: no library call, which would block a batch that runs in several threads.

    No pivoting: each condition moves one for one with its own unknown, and what an inexact inverse costs is a step.
    """
    rows = jnp.arange(a.shape[0])

    def eliminate(k: Array, a: Array) -> Array:
        here = rows == k
        pivot = a[k, k]
        column = jnp.where(here, 0.0, a[:, k])
        row = jnp.where(here, 1.0, a[k]) / pivot
        kept = jnp.where(here[None, :], 0.0, a)
        return jnp.where(here[:, None], row, kept - column[:, None] * row)

    return lax.fori_loop(0, a.shape[0], eliminate, a)


@jax.custom_jvp
def attached(y: Float[Array, " k"], f: Frame, good: Bool[Array, ""]) -> Float[Array, " k"]:
    """A root with the derivative of the implicit function theorem; zero where it is not `good`.

    As `attach_derivative` of the numerics, with the inverse above: for 21 unknowns elimination written out takes long to compile.
    """
    return y


@attached.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    y, f, good = primals
    y = attached(y, f, good)
    jac = jax.jacfwd(lambda v: conditions(v, f))(y)
    _, moved = jax.jvp(lambda g: conditions(y, g), (f,), (tangents[1],))
    # Masked before the inverse: a failed cell has no derivative and must not produce one.
    inverse = inverse_of(jnp.where(good, jac, jnp.eye(y.shape[0], dtype=y.dtype)))
    return y, -inverse @ jnp.where(good, moved, 0.0)


def solve_market(
    f: Frame, first: Float[Array, " k"] | None = None, restarts: int = 5, steps: int = 16
) -> tuple[Float[Array, " k"], Bool[Array, ""]]:
    """The market's root with the derivative of the implicit function theorem, and whether it was found.

    Broyden's steps on the full grid from one Jacobian on the coarse grid, the last of them on trust; a search that strays or
    is not done after `steps` begins again at its best point with a new Jacobian.
    """
    frozen = lax.stop_gradient(f)
    y0 = start(frozen) if first is None else lax.stop_gradient(first)
    double = jnp.finfo(y0.dtype).bits == 64
    tol = 1e-9 if double else 1e-5
    fine, coarse = (gauss_tastes(frozen.p, n) for n in (frozen.p.nodes, min(COARSE, frozen.p.nodes)))

    def size(value: Array) -> Scalar:
        r = jnp.max(jnp.abs(value))
        return jnp.where(jnp.isfinite(r), r, jnp.inf)

    def improve(s: Search) -> Search:
        step = s.inverse @ s.value
        step = step * jnp.minimum(1.0, 1.0 / jnp.maximum(jnp.max(jnp.abs(step)), 1e-30))
        y = s.y - step
        value = lax.optimization_barrier(gaps(y, frozen, fine))
        back = s.inverse @ (value - s.value)
        left = -step @ s.inverse
        scale = -step @ back
        scale = jnp.where(jnp.abs(scale) > 1e-30, scale, 1e-30)
        inverse = s.inverse + (-step - back)[:, None] * (left / scale)
        r = size(value)
        closer = r < s.residual
        return Search(
            jnp.where(closer, y, s.best), jnp.where(closer, r, s.residual), y, value, inverse, s.steps + 1
        )  # fmt: skip

    def strays(s: Search) -> Array:
        return (s.residual <= tol) | (s.steps >= steps) | ~(size(s.value) <= 4 * s.residual)

    def again(state: tuple[Array, Scalar, Array]) -> tuple[Array, Scalar, Array]:
        y, _, k = state
        inverse = inverse_of(jax.jacfwd(lambda v: gaps(v, frozen, coarse))(y))
        inverse = jnp.where(jnp.all(jnp.isfinite(inverse)), inverse, jnp.eye(y.shape[0], dtype=y.dtype))
        # Later attempts begin more carefully.
        inverse = inverse * jnp.where(k < 2, 1.0, 0.5)
        value = gaps(y, frozen, fine)
        first = Search(y, size(value), y, value, lax.optimization_barrier(inverse), jnp.zeros_like(k))
        found = lax.while_loop(lambda s: ~strays(s), improve, first)
        # One step beyond the tolerance without another look: the identities judge where it ends.
        last = jnp.where(found.residual <= tol, found.y - found.inverse @ found.value, found.best)
        return last, found.residual, k + 1

    y, r, _ = lax.while_loop(
        lambda s: ~(s[1] <= tol) & (s[2] < restarts),
        again,
        (y0, jnp.full((), jnp.inf, y0.dtype), jnp.zeros((), jnp.int32)),
    )
    found = r <= tol
    return attached(lax.stop_gradient(y), f, found), found
