"""Variance shares (Sobol indices): design and estimators, as pure functions of arrays.

Estimators: first order of Saltelli et al. (2010), total order of Jansen (1999), second order of Saltelli (2002),
normalized by the variance of A and B as SALib does, so that point estimates and confidence intervals agree with it.
The bootstrap is a matrix product: resample r of a mean is sum_i c_ri x_i / N with c_ri how often row i was drawn.
"""

from functools import partial
from statistics import NormalDist

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxecon.analysis.designs import quasi_random


class SobolIndices(eqx.Module):
    """Indices by outcome and parameter with half-widths of their confidence intervals.

    `second[o, j, k]` is the interaction of j < k (NaN elsewhere); `None` if it was not asked for.
    """

    first: Float[Array, "o k"]
    first_ci: Float[Array, "o k"]
    total: Float[Array, "o k"]
    total_ci: Float[Array, "o k"]
    second: Float[Array, "o k k"] | None
    second_ci: Float[Array, "o k k"] | None


def saltelli_design(k: int, n: int, seed: int, second_order: bool) -> np.ndarray:
    """Points of the unit cube, shape `[blocks, n, k]`: A, B, then A with column j of B, then B with column j of A.

    The scheme of Saltelli (2002), as in SALib: `blocks[[0, 2.., 2 + k.., 1], i]` are its rows of base sample i.
    """
    base = quasi_random(2 * k, seed).random(n)
    a, b = base[:, :k], base[:, k:]
    blocks = np.empty((2 + k * (1 + second_order), n, k))
    blocks[0], blocks[1] = a, b
    for j in range(k):
        blocks[2 + j] = a
        blocks[2 + j, :, j] = b[:, j]
        if second_order:
            blocks[2 + k + j] = b
            blocks[2 + k + j, :, j] = a[:, j]
    return blocks


def resample_counts(n: int, resamples: int, seed: int) -> np.ndarray:
    """How often each row occurs in each bootstrap resample, shape `[resamples, n]`."""
    drawn = np.random.default_rng(seed).integers(n, size=(n, resamples))
    flat = (drawn + n * np.arange(resamples)).ravel()
    return np.bincount(flat, minlength=n * resamples).reshape(resamples, n).astype(float)


def _shares(numerator: Array, variance: Array) -> Array:
    """Share of the variance; zero where the outcome is constant."""
    return jnp.where(variance > jnp.finfo(variance.dtype).eps, numerator / variance, 0.0)


def _one_outcome(a: Array, b: Array, ab: Array, ba: Array | None, weights: Array) -> tuple[Array, ...]:
    """Indices of one outcome, shape `[parameters or pairs, w]`, for each column of `weights` [n, w] (means)."""
    k = len(ab)
    rows, cols = np.triu_indices(k, 1)
    # One matrix product for all means: it reads the weights once.
    pairs = [] if ba is None else [(a * b)[None], ba[rows] * ab[cols]]
    terms = jnp.concatenate([(a + b)[None] / 2, (a**2 + b**2)[None] / 2, b * (ab - a), (a - ab) ** 2 / 2, *pairs])
    means = terms @ weights
    variance = means[1] - means[0] ** 2
    first, total = (_shares(x, variance) for x in (means[2 : 2 + k], means[2 + k : 2 + 2 * k]))
    if ba is None:
        return first, total
    joint = means[3 + 2 * k :] - means[2 + 2 * k]
    return first, total, _shares(joint, variance) - first[rows] - first[cols]


@partial(jax.jit, static_argnames="level")
def _indices(a: Array, b: Array, ab: Array, ba: Array | None, counts: Array, level: float) -> SobolIndices:
    """Indices from outputs by outcome, `[o, n]` and `[o, k, n]`, and bootstrap counts `[resamples, n]`."""
    k, n = ab.shape[1:]
    everything = jnp.concatenate([a[:, None], b[:, None], ab, *([] if ba is None else [ba])], axis=1)
    mean, spread = jnp.mean(everything, axis=(1, 2)), jnp.std(everything, axis=(1, 2))
    # A constant outcome has no variance to share; its indices are zero, not NaN.
    scale = jnp.where(spread > 0, spread, 1.0)

    # One outcome after the other: the pairwise products of second order stay small.
    def one(sample: tuple[Array, ...]) -> tuple[Array, ...]:
        center, unit, *raw = sample
        y_a, y_b, y_ab, *y_ba = ((x - center) / unit for x in raw)
        return _one_outcome(y_a, y_b, y_ab, y_ba[0] if y_ba else None, weights)

    weights = jnp.concatenate([jnp.ones((1, n), a.dtype), counts]).T / n
    found = jax.lax.map(one, (mean, scale, a, b, ab, *([] if ba is None else [ba])))
    z = NormalDist().inv_cdf(0.5 + level / 2)
    widths = [z * jnp.std(x[..., 1:], axis=-1, ddof=1) for x in found]
    point = [x[..., 0] for x in found]
    if ba is None:
        return SobolIndices(point[0], widths[0], point[1], widths[1], None, None)
    rows, cols = np.triu_indices(k, 1)
    empty = jnp.full((a.shape[0], k, k), jnp.nan, a.dtype)
    second, second_ci = (empty.at[:, rows, cols].set(x[2]) for x in (point, widths))
    return SobolIndices(point[0], widths[0], point[1], widths[1], second, second_ci)


def sobol_indices(
    y_a: Float[Array, "n o"],
    y_b: Float[Array, "n o"],
    y_ab: Float[Array, "n k o"],
    y_ba: Float[Array, "n k o"] | None = None,
    *,
    resamples: int = 100,
    seed: int = 0,
    level: float = 0.95,
) -> SobolIndices:
    r"""Sobol indices of all outcomes at once from the outputs of a Saltelli design.

    **Arguments**

    - `y_a`, `y_b`: outputs at the two base samples, shape `[n, o]` (or `[n]` for one outcome).
    - `y_ab`: outputs at A with column j from B, `[n, k, o]`; `y_ba`: at B with column j from A, for second order.
    - `resamples`: bootstrap resamples behind the half-widths `*_ci` at confidence `level`.

    $$ S_j = \frac{E[y_B (y_{AB_j} - y_A)]}{V}, \quad T_j = \frac{E[(y_A - y_{AB_j})^2]}{2V}, \quad
       S_{jk} = \frac{E[y_{BA_j} y_{AB_k} - y_A y_B]}{V} - S_j - S_k $$

    with y standardized over all outputs and V the variance over A and B together. Rows must be finite.
    Grade [S]. Saltelli et al. (2010), Comput. Phys. Commun. 181:259; Saltelli (2002), 145:280.
    """
    counts = resample_counts(len(y_a), resamples, seed)

    def by_outcome(y: Array, ndim: int) -> Array:
        y = jnp.asarray(y)
        return (y if y.ndim == ndim else y[..., None]).T

    a, b, ab = by_outcome(y_a, 2), by_outcome(y_b, 2), by_outcome(y_ab, 3)
    ba = None if y_ba is None else by_outcome(y_ba, 3)
    return _indices(a, b, ab, ba, jnp.asarray(counts, a.dtype), level)
