"""Linear systems inside programs, without LAPACK: written out for a few unknowns, in a loop for many."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def solve_small(a: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    """Solve `a x = b` for a few unknowns without a library call, so that `vmap` stays in vector registers.

    Up to four unknowns by cofactors of the row-scaled matrix: no branch, no pivot search, a small program.
    More by Gaussian elimination with partial pivoting, unrolled.
    """
    n = b.shape[0]
    if n == 1:
        return b / a[0, 0]
    if n > 4:
        return _eliminate(a, b)
    # The solution does not depend on the scale. Its derivative would be 0/0 where a compiler rounds the numbers that it
    # compares with their maximum differently.
    scale = lax.stop_gradient(jnp.max(jnp.abs(a), axis=1))
    scale = jnp.where(scale > 0, scale, 1.0)
    rows = [[a[i, j] / scale[i] for j in range(n)] for i in range(n)]
    right = [b[i] / scale[i] for i in range(n)]
    cofactors = [[_determinant(_minor(rows, i, j)) * (-1) ** (i + j) for j in range(n)] for i in range(n)]
    det = sum(rows[0][j] * cofactors[0][j] for j in range(n))
    return jnp.stack([sum(cofactors[i][j] * right[i] for i in range(n)) for j in range(n)]) / det


def _minor(rows: list[list[Array]], i: int, j: int) -> list[list[Array]]:
    return [[x for k, x in enumerate(row) if k != j] for m, row in enumerate(rows) if m != i]


def _determinant(rows: list[list[Array]]) -> Array:
    if len(rows) == 1:
        return rows[0][0]
    if len(rows) == 2:
        return rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]
    total = rows[0][0] * _determinant(_minor(rows, 0, 0))
    for j in range(1, len(rows)):
        term = rows[0][j] * _determinant(_minor(rows, 0, j))
        total = total - term if j % 2 else total + term
    return total


def _eliminate(a: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    # Matrix and right-hand side stay apart: the result must be linear in `b` alone, so that it can be transposed.
    n = b.shape[0]
    for k in range(n - 1):
        pivot = k + jnp.argmax(jnp.abs(a[k:, k]))
        order = jnp.arange(n)
        order = jnp.where(order == k, pivot, jnp.where(order == pivot, k, order))
        a, b = a[order], b[order]
        factor = a[k + 1 :, k] / a[k, k]
        a = a.at[k + 1 :].add(-factor[:, None] * a[k])
        b = b.at[k + 1 :].add(-factor * b[k])
    x: list[Array] = [jnp.zeros((), b.dtype)] * n
    for k in reversed(range(n)):
        total = b[k]
        for j in range(k + 1, n):
            total = total - a[k, j] * x[j]
        x[k] = total / a[k, k]
    return jnp.stack(x)


def eliminate(a: Float[Array, "n n"], b: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """Solve `a x = b` by Gauss-Jordan elimination with partial pivoting, in a loop: a small program for any number of unknowns.

    No LAPACK: a batched library call hands its matrices to the thread pool on which it runs and waits for them there. Two
    programs that did so at once on two cores waited for good.
    """
    n = a.shape[0]
    rows = jnp.arange(n)

    def column(k: Array, ab: Array) -> Array:
        pivot = jnp.argmax(jnp.where(rows >= k, jnp.abs(ab[:, k]), -1.0))
        ab = ab[jnp.where(rows == k, pivot, jnp.where(rows == pivot, k, rows))]
        row = ab[k] / ab[k, k]
        return jnp.where((rows == k)[:, None], row, ab - ab[:, k][:, None] * row)

    return lax.fori_loop(0, n, column, jnp.concatenate([a, b], axis=1))[:, n:]


def solve_dense(a: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    """Solve `a x = b` for many unknowns by `eliminate`; differentiable in both, and linear in `b`."""

    def by_elimination(matrix: Array) -> Callable[[Any, Array], Array]:
        return lambda _, y: eliminate(matrix, y[:, None])[:, 0]

    fixed = lax.stop_gradient(a)
    return lax.custom_linear_solve(
        lambda v: a @ v, b, solve=by_elimination(fixed), transpose_solve=by_elimination(fixed.T)
    )
