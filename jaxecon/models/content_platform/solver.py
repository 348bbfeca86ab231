r"""The root of a market: Newton with the Jacobian of a coarse taste grid, and the derivative of the exact conditions.

A Jacobian on three nodes an axis costs a tenth of one on seven and is right to a few percent: each step then leaves a few percent of
the gap, and the residual is always that of the full grid.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.models.content_platform.demand import crowd, gauss_tastes, share_and_slope
from jaxecon.models.content_platform.market import (
    TYPES, Frame, ai_quality, commissions, conditions, cost, gaps, human_quality,
)  # fmt: skip
from jaxecon.numerics.roots import attach_derivative

Scalar = Float[Array, ""]
COARSE = 3


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
    price = marginal / (1 - commissions(f, zero)) + share / slope
    mean = jnp.sum(number * share) / jnp.sum(number)
    # Exposure follows shares: ln s moves by 1/(1 - rho kappa) of what it would without.
    echo = 1 / (1 - jnp.minimum(p.rho * p.kappa, 0.7))
    log_share = jnp.log(mean) + echo * (jnp.log(share) - jnp.log(mean))
    fund = f.u.ai_levy * price[TYPES] * p.Mkt * share[TYPES] * f.K / jnp.sum(active)
    rest = [fund] if p.requirement == "off" else [fund, zero]
    return jnp.concatenate([log_share, jnp.log(price), jnp.stack(rest)])


def solve_market(
    f: Frame, first: Float[Array, " k"] | None = None, max_steps: int = 40
) -> tuple[Float[Array, " k"], Bool[Array, ""]]:
    """The market's root with the derivative of the implicit function theorem, and whether it was found."""
    frozen = lax.stop_gradient(f)
    y0 = start(frozen) if first is None else lax.stop_gradient(first)
    double = jnp.finfo(y0.dtype).bits == 64
    tol = 1e-11 if double else 1e-5
    fine, coarse = gauss_tastes(frozen.p, frozen.p.nodes), gauss_tastes(frozen.p, min(COARSE, frozen.p.nodes))

    def look(y: Array) -> tuple[Array, Array]:
        value = gaps(y, frozen, fine)
        step = jnp.linalg.solve(jax.jacfwd(lambda v: gaps(v, frozen, coarse))(y), value)
        step = jnp.where(jnp.isfinite(step), step, 0.0)
        r = jnp.max(jnp.abs(value))
        return jnp.where(jnp.isfinite(r), r, jnp.inf), step

    def cond(state: tuple) -> Array:
        _, r, _, scale, k = state
        return (r > tol) & (k < max_steps) & (scale > 1e-4)

    def body(state: tuple) -> tuple:
        y, r, step, scale, k = state
        size = jnp.max(jnp.abs(step))
        trial = y - scale * step * jnp.minimum(1.0, 1.0 / jnp.maximum(size, 1e-30))
        trial_r, trial_step = look(trial)
        better = (trial_r < r) | (k == 0)
        return (
            jnp.where(better, trial, y),
            jnp.where(better, trial_r, r),
            jnp.where(better, trial_step, step),
            jnp.where(better, jnp.minimum(1.0, 4 * scale), 0.3 * scale),
            k + 1,
        )

    inf = jnp.full((), jnp.inf, y0.dtype)
    blank = (y0, inf, jnp.zeros_like(y0), jnp.ones((), y0.dtype), jnp.zeros((), jnp.int32))
    y, r, _, _, _ = lax.while_loop(cond, body, blank)
    found = r <= tol * 10
    return attach_derivative(conditions, y, f, found), found
