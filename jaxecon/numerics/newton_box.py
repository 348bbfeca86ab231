r"""Maximize a smooth function of a few variables on the unit box for very many cells at once: projected Newton in one program.

Each cell steps by its exact gradient and Hessian; the linear algebra is written out. Cells that have arrived leave the queue: the
others are gathered into full blocks before every step, so that a batch pays for its hard cells only. Where gradients alone are at
hand, too, a cell asks for its next Hessian only after a step that brought it less than ten times nearer: mostly the point that a
Newton step leads to needs no more than its gradient to be seen as the end.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

Look = Callable[[Array], tuple[Array, Array, Array | None]]
# A variable so near to a bound that the gradient points out of it is held there.
NEAR = 1e-8
# Distance of the points between which a gradient is differenced.
STEP = 1e-5
# Share of the projected gradient that a step may leave for the next one to do without a Hessian of its own.
GOOD = 0.1


class Climb(eqx.Module):
    """One cell: point of the unit box, value (-inf: failed), derivatives, step length, steps taken, whether it has ended, and
    whether the next point needs its Hessian."""

    z: Float[Array, " k"]
    value: Float[Array, ""]
    slope: Float[Array, " k"]
    bend: Float[Array, "k k"]
    scale: Float[Array, ""]
    steps: Int[Array, ""]
    done: Bool[Array, ""]
    exact: Bool[Array, ""]

    @property
    def kkt(self) -> Float[Array, ""]:
        """Largest entry of the projected gradient, infinite where the cell failed."""
        return jnp.where(jnp.isfinite(self.value), projected(self.z, self.slope), jnp.inf)


def projected(z: Float[Array, " k"], slope: Float[Array, " k"]) -> Float[Array, ""]:
    r"""$\max |P(z + \nabla f) - z|$ on the unit box."""
    return jnp.max(jnp.abs(jnp.clip(z + slope, 0.0, 1.0) - z))


def ascent(bend: Float[Array, "k k"], slope: Float[Array, " k"], free: Float[Array, " k"]) -> Float[Array, " k"]:
    """Newton's direction on the free variables by a written-out factorization $-H = L D L^T$; a pivot that is not positive
    counts by its size, so that the direction always rises."""
    k = slope.shape[0]
    a = [[-bend[i, j] * free[i] * free[j] + (1.0 - free[i] if i == j else 0.0) for j in range(k)] for i in range(k)]
    floor = 1e-9 * jnp.max(jnp.abs(bend)) + 1e-12
    lower: list[list[Array]] = [[] for _ in range(k)]
    pivots: list[Array] = []
    for j in range(k):
        raw = a[j][j] - sum(lower[j][m] ** 2 * pivots[m] for m in range(j))
        pivots.append(jnp.maximum(jnp.abs(raw), floor))
        for i in range(j + 1, k):
            below = a[i][j] - sum(lower[i][m] * lower[j][m] * pivots[m] for m in range(j))
            lower[i].append(below / pivots[j])
    y: list[Array] = []
    for i in range(k):
        y.append(slope[i] * free[i] - sum(lower[i][m] * y[m] for m in range(i)))
    x = [y[i] / pivots[i] for i in range(k)]
    for i in reversed(range(k)):
        x[i] = x[i] - sum(lower[m][i] * x[m] for m in range(i + 1, k))
    return free * jnp.stack(x)


def secant(bend: Float[Array, "k k"], step: Float[Array, " k"], change: Float[Array, " k"]) -> Float[Array, "k k"]:
    r"""The Hessian after a step s that changed the gradient by y: $H + r r^T/(r \cdot s)$, $r = y - H s$ (symmetric rank one) [S]."""
    miss = change - bend @ step
    product = miss @ step
    size = jnp.sqrt(jnp.sum(miss**2) * jnp.sum(step**2))
    safe = jnp.abs(product) > 1e-8 * size
    return bend + jnp.where(safe, 1.0, 0.0) * jnp.outer(miss, miss) / jnp.where(safe, product, 1.0)


def differences(
    slopes: Callable[[Array], tuple[Array, Array]], z: Float[Array, " k"], points: int | Int[Array, ""]
) -> tuple[Array, Array, Array]:
    """Value, gradient and Hessian at `z` from the gradients at the first `points` of `z` and one point beside it a variable, inside the
    box; the Hessian means nothing with fewer than k + 1."""
    k = z.shape[0]
    aside = jnp.where(z > 0.5, -STEP, STEP)

    def point(i: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
        value, slope = slopes(z + jnp.where(jnp.arange(k) == i - 1, aside, 0.0))
        return found[0].at[i].set(value), found[1].at[i].set(slope)

    zero = jnp.zeros((k + 1, k), z.dtype) + 0.0 * z
    values, rows = lax.fori_loop(0, points, point, (zero[:, 0], zero))
    bend = (rows[1:] - rows[0]) / aside[:, None]
    return values[0], rows[0], (bend + bend.T) / 2


def advance(look: Look, c: Climb, tol: float | Array, most: int, fresh: bool | Array = True) -> Climb:
    """One projected Newton step; `look(z)` gives value, gradient and Hessian. Where the latter is not `fresh`, or `None`, the last one
    is brought up to date by the gradients. A step that does not gain is shortened."""
    held = ((c.z <= NEAR) & (c.slope <= 0)) | ((c.z >= 1 - NEAR) & (c.slope >= 0))
    free = jnp.where(held, 0.0, 1.0).astype(c.z.dtype)
    step = ascent(c.bend, c.slope, free)
    step = step * jnp.minimum(1.0, 0.5 / jnp.maximum(jnp.max(jnp.abs(step)), 1e-30))
    first = c.steps == 0
    trial = jnp.where(first, c.z, jnp.clip(jnp.where(held, jnp.round(c.z), c.z + c.scale * step), 0.0, 1.0))
    value, slope, bend = lax.optimization_barrier(look(trial))
    if bend is None or fresh is not True:
        updated = secant(c.bend, trial - c.z, slope - c.slope)
        bend = updated if bend is None else jnp.where(fresh, bend, updated)
    ok = jnp.isfinite(value) & jnp.all(jnp.isfinite(slope)) & jnp.all(jnp.isfinite(bend))
    here = jnp.where(jnp.isfinite(c.value), c.value, 0.0)
    noise = 500 * jnp.finfo(value.dtype).eps * (1 + jnp.abs(here))
    gain = value - here
    rises = gain > jnp.maximum(1e-4 * jnp.sum(c.slope * (trial - c.z)), noise)
    # Near the maximum values differ by round-off only: there the residual decides.
    settles = (jnp.abs(gain) <= noise) & (projected(trial, slope) < projected(c.z, c.slope))
    moved = ok & (rises | settles | first)
    scale = jnp.where(moved, jnp.minimum(1.0, 4 * c.scale), 0.25 * c.scale)

    def pick(new: Array, old: Array) -> Array:
        return jnp.where(moved, new, old)

    near = projected(trial, slope) <= GOOD * projected(c.z, c.slope)
    z, value = pick(trial, c.z), pick(value, c.value)
    slope, bend = pick(slope, c.slope), pick(bend, c.bend)
    ended = (projected(z, slope) <= tol) | (scale < NEAR) | (c.steps >= most) | ~jnp.isfinite(value)
    after = Climb(z, value, slope, bend, scale, c.steps + 1, ended, ~(moved & (near | c.exact)))
    return jax.tree.map(lambda new, old: jnp.where(c.done, old, new), after, c)


def maximize_each(
    look: Callable[[Array, PyTree], tuple[Array, Array, Array]] | None,
    z0: Float[Array, "n k"],
    args: PyTree,
    *,
    tol: float | Array,
    slopes: Callable[[Array, PyTree], tuple[Array, Array]] | None = None,
    live: Bool[Array, " n"] | None = None,
    steps: int = 60,
    block: int = 256,
) -> Climb:
    """Climb from each start `z0` with its own `args` (leading axis n), in blocks of cells side by side.

    `look(z, args)` gives value, gradient and Hessian at one point of the unit box; a value that is not finite is never accepted.
    `slopes(z, args)` gives value and gradient alone, for steps that need no Hessian: a second copy of the function to compile. With
    `look` None Hessians are differences of gradients: one copy, without second derivatives.
    Cells where `live` is false are left alone. **Returns** the end of each climb, leading axis n; read `kkt` and `value`.
    """
    n, k = z0.shape
    size = min(block, n)
    zeros = jnp.zeros_like(z0)
    state = Climb(
        z0, jnp.full(n, -jnp.inf, z0.dtype), zeros, jnp.zeros((n, k, k), z0.dtype), jnp.ones(n, z0.dtype),
        jnp.zeros(n, jnp.int32), jnp.zeros(n, bool) if live is None else ~live, jnp.ones(n, bool),
    )  # fmt: skip

    def blocks_of(look: Any, chosen: Bool[Array, " n"], state: Climb, fresh: bool | Array = True) -> Climb:
        """One step of the chosen cells."""
        order = jnp.argsort(~chosen, stable=True)
        left = jnp.sum(chosen)

        def step(c: Climb, a: PyTree, chosen: Array) -> Climb:
            after = advance(lambda z: look(z, a), c, tol, steps, fresh)
            return jax.tree.map(lambda new, old: jnp.where(chosen, new, old), after, c)

        def one(carry: tuple[Array, Climb]) -> tuple[Array, Climb]:
            b, s = carry
            cells = order[jnp.minimum(b * size + jnp.arange(size), n - 1)]
            old, at = (jax.tree.map(lambda x: x[cells], t) for t in (s, args))
            new = jax.vmap(step)(old, at, chosen[cells])
            return b + 1, jax.tree.map(lambda old, v: old.at[cells].set(v), s, new)

        start = (jnp.zeros((), jnp.int32), state)
        return lax.while_loop(lambda carry: carry[0] * size < left, one, start)[1]

    cheap: Any = slopes

    def round_of(state: Climb) -> Climb:
        if cheap is None:
            return blocks_of(look, ~state.done, state)
        if look is not None:
            state = blocks_of(look, ~state.done & state.exact, state)
            return blocks_of(lambda z, a: (*cheap(z, a), None), ~state.done & ~state.exact, state)

        def by_differences(kind: Array, state: Climb) -> Climb:
            exact = kind == 0
            points = jnp.where(exact, k + 1, 1)
            chosen = ~state.done & (state.exact == exact)
            return blocks_of(lambda z, a: differences(lambda x: cheap(x, a), z, points), chosen, state, exact)

        return lax.fori_loop(0, 2, by_differences, state)

    return lax.while_loop(lambda s: ~jnp.all(s.done), round_of, state)
