"""All roots of a system within a box: Newton from many starts, with the roots found so far deflated away."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxecon.numerics.linear import solve_dense, solve_small
from jaxecon.numerics.roots import default_tolerance, newton, value_and_jacobian

# Roots closer than this, in units of the box, are one; longest step of the search; unknowns whose elimination is written out.
APART, CAP, FEW = 1e-6, 0.25, 6


class Roots(eqx.Module):
    """`x[slot]`: the distinct roots found, NaN in empty slots; `count` of them; `residual[slot]`."""

    x: Float[Array, "slots n"]
    residual: Float[Array, " slots"]
    count: Int[Array, ""]


def deflated_step(
    z: Float[Array, " n"],
    step: Float[Array, " n"],
    known: Float[Array, "slots n"],
    found: Bool[Array, " slots"],
) -> Float[Array, " n"]:
    r"""Newton's step on $M f$ from the step $w = J^{-1} f$ on f, with $M = \prod_i (1 + |z - z_i|^{-2})$ over the known roots:
    $w/(1 + m'w)$, $m = \nabla M/M$ [S]. It leads away from the known roots, where $M f$ does not vanish.

    Farrell, Birkisson & Funke (2015), SIAM J. Sci. Comput. 37:A2026.
    """
    gap = z - known
    square = jnp.where(found, jnp.sum(gap**2, axis=1), 1.0)
    slope = jnp.sum(jnp.where(found[:, None], -2 * gap / (square * (square + 1))[:, None], 0.0), axis=0)
    return step / (1 + jnp.sum(slope * step))


def _search(
    f: Callable[[tuple[Array, ...]], Array], start: Array, known: Array, found: Array, tol: float, max_steps: int
) -> tuple[Array, Array]:
    """Where deflated Newton ends and whether `f` vanishes there. Steps may raise the residual (roots are left over hills);
    they are capped, and taken back where `f` is not defined."""

    def at(z: Array) -> tuple[Array, Array]:
        value, columns = lax.optimization_barrier(value_and_jacobian(f, z))
        step = deflated_step(z, (solve_small if len(z) <= FEW else solve_dense)(columns, value), known, found)
        step = jnp.where(jnp.isfinite(step), step, 0.0)
        return jnp.max(jnp.abs(value)), step * jnp.minimum(1.0, CAP / jnp.maximum(jnp.max(jnp.abs(step)), 1e-30))

    def body(state: tuple[Array, ...]) -> tuple[Array, ...]:
        z, r, step, scale, k = state
        trial = z - scale * step
        trial_r, trial_step = at(trial)
        good = jnp.isfinite(trial_r)
        return (
            jnp.where(good, trial, z),
            jnp.where(good, trial_r, r),
            jnp.where(good, trial_step, step),
            jnp.where(good, 1.0, 0.5 * scale).astype(scale.dtype),
            k + 1,
        )

    first, step = at(start)
    one = jnp.ones((), start.dtype)
    state = (start, first, step, one, jnp.zeros((), jnp.int32))
    z, r, *_ = lax.while_loop(lambda s: (s[1] > tol) & (s[4] < max_steps), body, state)
    return z, r <= tol


def all_roots(
    f: Callable[[Float[Array, " n"], PyTree], Float[Array, " n"]],
    starts: Float[Array, "S n"],
    args: PyTree,
    *,
    lo: Float[Array, " n"],
    hi: Float[Array, " n"],
    slots: int,
    tol: float | None = None,
    max_steps: int = 80,
) -> Roots:
    """Distinct roots of `f(x, args)` between `lo` and `hi`, at most `slots`; pure, for a batch of `args` under vmap.

    First Newton on the system from all starts (points of the unit cube); then rounds of Newton on the deflated system from
    all starts, each of which adds the roots it finds, until one finds none. Every root is polished on the system itself
    until no step helps: near a multiple root a small residual is no proof of a root. No derivative.
    """
    count, n = starts.shape
    width = hi - lo
    tolerance = tol or default_tolerance(starts.dtype)

    def plain(z: tuple[Array, ...], args: PyTree) -> Array:
        return f(lo + width * jnp.stack(z), args)

    def attempt(start: Array, known: Array, found: Array) -> tuple[Array, Array, Array]:
        z, converged = _search(lambda z: plain(z, args), start, known, found, tolerance, max_steps)
        root = newton(plain, z, args, tol=0.0, max_steps=max_steps, max_step=1e-2)
        inside = jnp.all((root.x >= -APART) & (root.x <= 1 + APART))
        return root.x, root.residual, converged & (root.residual <= tolerance) & inside

    def insert(j: Array, state: tuple[Array, ...], ends: tuple[Array, ...]) -> tuple[Array, ...]:
        known, residual, k = state
        z, r, good = (v[j] for v in ends)
        gap = jnp.where(jnp.arange(slots) < k, jnp.max(jnp.abs(z - known), axis=1), jnp.inf)
        new = good & (jnp.min(gap) > APART)
        place = jnp.where(new, k, slots)  # beyond the last slot: dropped
        known, residual = known.at[place].set(z, mode="drop"), residual.at[place].set(r, mode="drop")
        return known, residual, jnp.minimum(k + new, slots)

    def body(state: tuple[Array, ...]) -> tuple[Array, ...]:
        *now, _ = state
        known, _, k = now
        # No root is known in the first round: Newton on the system itself.
        ends = jax.vmap(lambda start: attempt(start, known, jnp.arange(slots) < k))(starts)
        after = lax.fori_loop(0, count, lambda j, state: insert(j, state, ends), tuple(now))
        return *after, after[2] == k

    blank = jnp.zeros((slots, n), starts.dtype)
    zero = jnp.zeros((), jnp.int32)
    state = (blank, jnp.full(slots, jnp.nan, starts.dtype), zero, jnp.zeros((), bool))
    known, residual, k, _ = lax.while_loop(lambda s: ~s[3] & (s[2] < slots), body, state)
    filled = (jnp.arange(slots) < k)[:, None]
    return Roots(jnp.where(filled, lo + width * known, jnp.nan), residual, k)
