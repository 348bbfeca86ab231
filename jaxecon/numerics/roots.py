"""Root finding with an implicit derivative and a verdict for each cell of a batch.

A system of a few unknowns is solved by damped Newton steps whose linear algebra is
written out, so that `vmap` over 10^5 cells stays in vector registers; larger ones have `tracking`
(Broyden's steps from a given Jacobian). The derivative is that of the implicit function theorem, exact at every order and in
both modes. A cell that fails gets a zero derivative and `converged = False`: it never harms its
neighbors.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxecon.numerics.linear import solve_small

# Up to so many moving numbers a root's derivative takes all columns from one program, instead of a second one for
# the direction in which the inputs move.
FEW_INPUTS = 8
# Cells above which a batch of roots is large: below it waits for compilation.
LARGE = 256


class Root(eqx.Module):
    """A root `x`, its largest absolute residual, whether it converged, and the Newton steps used."""

    x: Float[Array, " n"]
    residual: Float[Array, ""]
    converged: Bool[Array, ""]
    steps: Int[Array, ""]


def value_and_jacobian(
    f: Callable[[tuple[Array, ...]], Array], x: Float[Array, " n"]
) -> tuple[Float[Array, " m"], Float[Array, "m n"]]:
    """`f(x)` and its Jacobian `[m, n]` for a few unknowns, one forward pass per unknown, written out.

    `f` gets the unknowns as a tuple of scalars: what does not move with an unknown is then left out of its pass. In a
    batch every number is a vector over cells and the compiler fuses the passes: two to four times as fast as a batch
    of directions.
    """
    parts = [x[i] for i in range(x.shape[0])]

    def along(k: int) -> tuple[Array, Array]:
        return jax.jvp(lambda t: f((*parts[:k], t, *parts[k + 1 :])), (parts[k],), (jnp.ones_like(parts[k]),))

    passes = [along(k) for k in range(len(parts))]
    return passes[0][0], jnp.stack([tangent for _, tangent in passes], axis=1)


def default_tolerance(dtype: Any) -> float:
    """Residual below which a unit-free condition counts as solved: 1e-11 in float64, 3e-5 in float32."""
    return 1e-11 if jnp.finfo(dtype).bits == 64 else 3e-5


def newton(
    f: Callable[[tuple[Array, ...], PyTree], Array],
    x0: Float[Array, " n"],
    args: PyTree,
    *,
    tol: float,
    max_steps: int | Int[Array, ""],
    max_step: float,
    project: Callable[[Array], Array] = lambda x: x,
) -> Root:
    """Newton with a step cap that takes back a step that did not help; no derivative.

    One evaluation of `f` with its Jacobian per step, and one copy of it in the compiled program. `f` gets the
    unknowns as a tuple of scalars. `project` maps a trial point into the domain. Ends at `tol`, after `max_steps`,
    or where no step along the Newton direction reduces the residual.
    """

    def step_at(x: Array) -> tuple[Array, Array]:
        # The barriers keep the compiler from recomputing `f` in every number that the loop carries.
        value, columns = lax.optimization_barrier(value_and_jacobian(lambda y: f(y, args), x))
        step = solve_small(columns, value)
        step = jnp.where(jnp.isfinite(step), step, 0.0)
        step = step * jnp.minimum(1.0, max_step / jnp.maximum(jnp.max(jnp.abs(step)), 1e-30))
        r = jnp.max(jnp.abs(value))
        return lax.optimization_barrier((jnp.where(jnp.isfinite(r), r, jnp.inf), step))

    def cond(state: tuple[Array, ...]) -> Array:
        _, r, _, scale, k = state
        return (r > tol) & (k < max_steps) & (scale > 1e-5)

    def body(state: tuple[Array, ...]) -> tuple[Array, ...]:
        x, r, step, scale, k = state
        trial = project(x - scale * step)
        trial_r, trial_step = step_at(trial)
        better = (trial_r < r) | (k == 0)
        return (
            jnp.where(better, trial, x),
            jnp.where(better, trial_r, r),
            jnp.where(better, trial_step, step),
            jnp.where(better, jnp.minimum(1.0, 4 * scale), 0.3 * scale),
            k + 1,
        )

    # One of each number per cell from the start: the loop is then traced once for a batch.
    zero = jnp.where(jnp.isfinite(x0[0]), 0.0, 0.0).astype(x0.dtype)
    start = (x0, zero + jnp.inf, zero + jnp.zeros_like(x0), zero + 1.0, zero.astype(jnp.int32))
    x, r, _, _, k = lax.while_loop(cond, body, start)
    return Root(x, r, r <= tol, k)


def first_success(
    attempt: Callable[[PyTree, PyTree], tuple[PyTree, Bool[Array, ""]]],
    starts: Callable[[PyTree], PyTree],
    args: PyTree,
) -> tuple[PyTree, Bool[Array, ""]]:
    """The answer of `attempt` from the first of the starts where it succeeds, and whether one did; no derivative.

    `attempt(start, args)` returns `(x, ok)`; `starts(args)` has a leading axis of starts in every leaf, the likeliest
    first. In a batch only the cells that failed so far are gathered, in blocks, for the next start, and those that
    fail again for all the others at once: a batch pays for its hard cells only, where a loop under `vmap` would make
    every cell wait for the hardest. A cell's answer does not depend on its neighbors; where every start fails it is
    that of the first.
    """
    # Traced once each, however often they occur below.
    attempt, starts = jax.jit(attempt), jax.jit(starts)
    count = jax.tree.leaves(jax.eval_shape(starts, args))[0].shape[0]

    def attempt_at(j: Array | int, args: PyTree) -> tuple[PyTree, Array]:
        return attempt(jax.tree.map(lambda v: v[j], starts(args)), args)

    @jax.custom_batching.custom_vmap
    def answer(args: PyTree) -> tuple[PyTree, Array]:
        def body(state: tuple[Array, tuple[PyTree, Array]]) -> tuple[Array, tuple[PyTree, Array]]:
            j, (x, _) = state
            new, ok = attempt_at(j, args)
            return j + 1, (jax.tree.map(lambda n, o: jnp.where(ok | (j == 0), n, o), new, x), ok)

        shapes = jax.eval_shape(lambda a: attempt_at(0, a), args)
        blank = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), shapes)
        j = jnp.zeros((), jnp.int32)
        return lax.while_loop(lambda state: ~state[1][1] & (state[0] < count), body, (j, blank))[1]

    @answer.def_vmap
    def _(size: int, batched: list[PyTree], args: PyTree) -> tuple[PyTree, PyTree]:
        args = jax.tree.map(lambda v, b: v if b else jnp.broadcast_to(v, (size, *jnp.shape(v))), args, batched[0])
        if count == 1:
            found = jax.vmap(lambda a: attempt_at(0, a))(args)
        else:
            found = _by_stages(attempt_at, args, size, count)
        return found, jax.tree.map(lambda _: True, found)

    return answer(lax.stop_gradient(args))


def _by_stages(attempt_at: Callable, args: PyTree, size: int, count: int) -> tuple[PyTree, Array]:
    """Start 0 on all cells of a batch, start 1 on the failed ones, then all later starts on those that fail again; in
    blocks of pairs (cell, start), so that one copy of `attempt` serves the stages. A large batch has another copy for
    start 0, without gathering: that is faster to run and longer to compile."""
    large = size > LARGE
    block = max(32, size // 16) if large else size
    if large:
        x, ok = jax.vmap(lambda a: attempt_at(0, a))(args)
    else:
        shapes = jax.eval_shape(jax.vmap(lambda a: attempt_at(0, a)), args)
        x, ok = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), shapes)
    # By cell: the start whose answer is kept; `count` where none succeeded.
    kept = jnp.where(ok, 0, count).astype(jnp.int32)

    def work(kept: Array, first: Array, last: Array) -> tuple[Array, ...]:
        failed = kept == count
        return jnp.argsort(~failed, stable=True), jnp.sum(failed) * (last - first), first, last

    def body(state: tuple) -> tuple:
        k, (order, pairs, first, last), kept, x = state
        index = k + jnp.arange(block)
        each = last - first
        cells = order[jnp.minimum(index // each, size - 1)]
        j = first + index % each
        new, good = jax.vmap(attempt_at)(j, jax.tree.map(lambda v: v[cells], args))
        j = jnp.where(good & (index < pairs), j, count).astype(kept.dtype)
        best = kept.at[cells].min(j)
        wins = (j < kept[cells]) & (j == best[cells])
        place = jnp.where(wins | (first == 0), cells, size)  # what does not win is dropped, but for start 0
        x = jax.tree.map(lambda old, v: old.at[place].set(v, mode="drop"), x, new)
        done = k + block >= pairs
        after = jnp.where(last == 1, 2, count).astype(last.dtype)
        todo = lax.cond(done, lambda: work(best, last, after), lambda: (order, pairs, first, last))
        return jnp.where(done, 0, k + block), todo, best, x

    stage = jnp.asarray(1 if large else 0, jnp.int32)
    state = (jnp.zeros((), jnp.int32), work(kept, stage, stage + 1), kept, x)
    _, _, kept, x = lax.while_loop(lambda state: (state[1][1] > 0) & (state[1][2] < count), body, state)
    return x, kept < count


@partial(jax.custom_jvp, nondiff_argnums=(0, 3, 4, 5))
def _implicit(f: Callable, x0: Array, args: PyTree, tol: float, max_steps: int, max_step: float) -> Root:
    def of_scalars(x: tuple[Array, ...], args: PyTree) -> Array:
        return f(jnp.stack(x), args)

    return newton(of_scalars, x0, args, tol=tol, max_steps=max_steps, max_step=max_step)


@partial(_implicit.defjvp, symbolic_zeros=True)
def _implicit_jvp(f, tol, max_steps, max_step, primals, tangents):  # pyright: ignore
    x0, args = primals
    _, args_dot = tangents
    root = _implicit(f, x0, args, tol, max_steps, max_step)
    x_dot = _tangent(f, root.x, args, args_dot, root.converged)
    zeros = (jnp.zeros_like(root.residual), *(_float0(v) for v in (root.converged, root.steps)))
    return root, Root(x_dot, *zeros)


def _tangent(f: Callable, x: Array, args: PyTree, args_dot: PyTree, good: Array) -> Array:
    """Derivative of the root by the implicit function theorem; zero where `good` is false."""
    n = x.shape[0]
    # Only what moves is differentiated: the derivative is most of a program's length.
    leaves, tree = jax.tree.flatten(args)
    dots = tree.flatten_up_to(args_dot)
    moving = [k for k, dot in enumerate(dots) if not isinstance(dot, SymbolicZero)]
    if not moving:
        return jnp.zeros_like(x)
    inputs, dots = [leaves[k] for k in moving], [dots[k] for k in moving]

    def of(x: Array, inputs: list[Array]) -> Array:
        found = dict(zip(moving, inputs))
        return f(x, tree.unflatten([found.get(k, leaf) for k, leaf in enumerate(leaves)]))

    # The barrier keeps the compiler from recomputing `f` inside every entry of the elimination.
    if sum(jnp.size(v) for v in inputs) <= FEW_INPUTS:
        jac, by_inputs = lax.optimization_barrier(jax.jacfwd(of, argnums=(0, 1))(x, inputs))
        rhs = sum(jnp.tensordot(column, dot, jnp.ndim(dot)) for column, dot in zip(by_inputs, dots))
    else:
        jac = lax.optimization_barrier(jax.jacfwd(of)(x, inputs))
        _, rhs = jax.jvp(lambda inputs: of(x, inputs), (inputs,), (dots,))
    # Mask before the linear solve: a failed cell has no derivative and must not produce one.
    jac = jnp.where(good, jac, jnp.eye(n, dtype=x.dtype))
    rhs = jnp.where(good, rhs, 0.0)
    return -lax.custom_linear_solve(
        lambda v: jac @ v,
        rhs,
        solve=lambda _, b: solve_small(jac, b),
        transpose_solve=lambda _, b: solve_small(jac.T, b),
    )


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _attached(f: Callable, x: Array, args: PyTree, good: Array) -> Array:
    return x


@partial(_attached.defjvp, symbolic_zeros=True)
def _attached_jvp(f, primals, tangents):  # pyright: ignore
    x, args, good = primals
    # The tangent is taken at the attached root, which moves with `args`: else derivatives of second order would be wrong.
    y = _attached(f, x, args, good)
    return y, _tangent(f, y, args, tangents[1], good)


def attach_derivative(
    f: Callable[[Array, PyTree], Array], x: Float[Array, " n"], args: PyTree, good: Bool[Array, ""]
) -> Float[Array, " n"]:
    """Give a root that a solver of your own found the derivative of the implicit function theorem.

    `f(x, args) = 0` must hold where `good`; elsewhere the derivative is zero. `f` is module-level, as in `find_root`.
    """
    return _attached(f, lax.stop_gradient(x), args, good)


def _float0(x: Array) -> Any:
    return np.zeros(jnp.shape(x), dtype=jax.dtypes.float0)


def find_root(
    f: Callable[[Array, PyTree], Array],
    x0: Float[Array, " n"],
    args: PyTree,
    *,
    tol: float | None = None,
    max_steps: int = 40,
    max_step: float = 2.0,
) -> Root:
    """Solve `f(x, args) = 0` near `x0`.

    `f` must be a module-level function (no closure over traced values): everything that is
    differentiated enters through `args`, a pytree of arrays. Write conditions unit-free and
    unknowns in logs where they are positive; `max_step` then caps the change of a log.

    **Arguments**

    - `f`: residual, shape `[n]`; `x0`: start, shape `[n]`; `args`: differentiable arguments.
    - `tol`: on the largest absolute residual; default by dtype (`default_tolerance`).

    **Returns** a `Root`; no error is raised, read `converged`. `x0` has no derivative.
    """
    x0 = lax.stop_gradient(x0)
    return _implicit(f, x0, args, tol or default_tolerance(x0.dtype), max_steps, max_step)


def bisect(
    f: Callable[[Array, PyTree], Array],
    lo: Float[Array, ""],
    hi: Float[Array, ""],
    args: PyTree,
    *,
    steps: int = 60,
) -> Float[Array, ""]:
    """Root of a scalar `f(x, args)` that changes sign once on `[lo, hi]`; no derivative.

    Use it as the start of `find_root`, which polishes the root and gives the derivative.
    """
    lo, hi, args = lax.stop_gradient((jnp.asarray(lo), jnp.asarray(hi), args))
    rising = f(hi, args) > 0

    def body(_: Any, interval: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = interval
        mid = 0.5 * (a + b)
        above = (f(mid, args) > 0) == rising
        return jnp.where(above, a, mid), jnp.where(above, mid, b)

    lo, hi = lax.fori_loop(0, steps, body, (lo, hi))
    return 0.5 * (lo + hi)
