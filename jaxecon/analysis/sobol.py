"""Variance shares (Sobol indices): design and estimators, as pure functions of arrays, streamed over base samples.

Estimators: first order of Saltelli et al. (2010), total order of Jansen (1999), second order of Saltelli (2002),
normalized by the variance of A and B as SALib does, so that point estimates and confidence intervals agree with it.
The bootstrap is a matrix product: resample r of a mean is sum_i c_ri x_i / N with c_ri how often row i was drawn. All
that is kept of the outputs are such sums (`SobolSums`), so that memory does not grow with the base samples.
"""

from functools import partial
from statistics import NormalDist
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

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
    mean: Float[Array, " o"]
    std: Float[Array, " o"]


class SobolSums(eqx.Module):
    """All that is kept of the outputs: weighted sums by outcome, term and resample (column 0: the sample itself).

    Outputs enter as (y - center) / scale. The terms are those of `_terms`; `rows[w]`: weights of the base samples
    that were kept; `square[o]`: sum of squares over all blocks.
    """

    center: Float[Array, " o"]
    scale: Float[Array, " o"]
    terms: Float[Array, "o t w"]
    square: Float[Array, " o"]
    rows: Float[Array, " w"]


def saltelli_blocks(a: np.ndarray, b: np.ndarray, second_order: bool) -> np.ndarray:
    """The blocks of a Saltelli design from its two base samples, each of shape `[n, k]`."""
    n, k = a.shape
    blocks = np.empty((2 + k * (1 + second_order), n, k))
    blocks[0], blocks[1] = a, b
    for j in range(k):
        blocks[2 + j] = a
        blocks[2 + j, :, j] = b[:, j]
        if second_order:
            blocks[2 + k + j] = b
            blocks[2 + k + j, :, j] = a[:, j]
    return blocks


def saltelli_design(k: int, n: int, seed: int, second_order: bool) -> np.ndarray:
    """Points of the unit cube, shape `[blocks, n, k]`: A, B, then A with column j of B, then B with column j of A.

    The scheme of Saltelli (2002), as in SALib: `blocks[[0, 2.., 2 + k.., 1], i]` are its rows of base sample i.
    """
    base = quasi_random(2 * k, seed).random(n)
    return saltelli_blocks(base[:, :k], base[:, k:], second_order)


def resample_counts(n: int, resamples: int, seed: int | tuple[int, ...]) -> np.ndarray:
    """How often each row occurs in each bootstrap resample, shape `[resamples, n]`."""
    drawn = np.random.default_rng(seed).integers(n, size=(n, resamples))
    flat = (drawn + n * np.arange(resamples)).ravel()
    return np.bincount(flat, minlength=n * resamples).reshape(resamples, n).astype(float)


class _Layout(NamedTuple):
    """Where the terms of `_terms` begin: `a, b, ab, ba, square, first, total, product, pairs`."""

    k: int
    second: bool

    def split(self, terms: Array) -> tuple[Array, ...]:
        """The terms apart, along the axis before the last."""
        k, pairs = self.k, self.k * (self.k - 1) // 2
        sizes = [1, 1, k, k if self.second else 0, 1, k, k, int(self.second), pairs if self.second else 0]
        return tuple(jnp.split(terms, np.cumsum(sizes)[:-1], axis=-2))


def _terms(y: Float[Array, "blocks n"], k: int) -> Float[Array, "t n"]:
    """What is averaged, one row a term; pairs are summed over the rows of a group later."""
    a, b, ab, ba = y[0], y[1], y[2 : 2 + k], y[2 + k :]
    return jnp.concatenate(
        [y, (a**2 + b**2)[None] / 2, b * (ab - a), (a - ab) ** 2 / 2, *([(a * b)[None]] if len(ba) else [])]
    )


def _sums(y: Float[Array, "blocks n"], weights: Float[Array, "g w"], k: int) -> Float[Array, "t w"]:
    """Weighted sums of the terms; a weight stands for a group of neighboring rows."""
    second, groups = len(y) > 2 + k, len(weights)
    rows, cols = np.triu_indices(k, 1)
    terms, each = _terms(y, k), y.shape[1] // groups
    if each > 1:
        terms = jnp.sum(terms.reshape(len(terms), groups, each), axis=-1)
    if second:
        ab, ba = y[2 : 2 + k], y[2 + k :]
        if each == 1:
            pairs = ba[rows] * ab[cols]
        else:  # all pairs of a group are one small matrix product
            apart = (x.reshape(k, groups, each).transpose(1, 0, 2) for x in (ba, ab))
            pairs = jnp.einsum("gjm,gkm->jkg", *apart)[rows, cols]
        terms = jnp.concatenate([terms, pairs])
    # One matrix product for all means: it reads the weights once.
    return terms @ weights


@partial(jax.jit, static_argnames="k")
def start_sums(y: Float[Array, "o blocks n"], kept: Bool[Array, " n"], like: Float[Array, " w"], k: int) -> SobolSums:
    """Empty sums whose center and scale come from the first outputs: a value that occurs, so that a constant is zero."""
    second = y.shape[1] > 2 + k
    count = 3 + 3 * k + second * (k + 1 + k * (k - 1) // 2)
    a = jnp.where(kept, y[:, 0], jnp.inf)
    center = jnp.sort(a, axis=1)[:, jnp.sum(kept) // 2]
    center = jnp.where(jnp.isfinite(center), center, 0.0)
    spread = jnp.sqrt(jnp.sum(jnp.where(kept, a - center[:, None], 0.0) ** 2, axis=1) / jnp.maximum(jnp.sum(kept), 1))
    scale = jnp.where(spread > 0, spread, 1.0)
    zero = jnp.zeros((len(y), count, len(like)), y.dtype)
    return SobolSums(center, scale, zero, jnp.zeros_like(center), jnp.zeros_like(like))


@partial(jax.jit, static_argnames="k", donate_argnums=0)
def add_sums(
    sums: SobolSums, y: Float[Array, "o blocks n"], kept: Bool[Array, " n"], weights: Float[Array, "g w"], k: int
) -> SobolSums:
    """The sums after more base samples; `kept`: which of them count, the others may be NaN."""
    alive = jnp.sum(kept.reshape(len(weights), -1), axis=1).astype(weights.dtype)

    # One outcome after the other: the pairwise products of second order stay small.
    def one(sample: tuple[Array, ...]) -> tuple[Array, Array]:
        y, center, scale = sample
        y = jnp.where(kept, (y - center) / scale, 0.0)
        return _sums(y, weights, k), jnp.sum(y**2)

    more, square = jax.lax.map(one, (y, sums.center, sums.scale))
    return SobolSums(sums.center, sums.scale, sums.terms + more, sums.square + square, sums.rows + alive @ weights)


def _shares(numerator: Array, variance: Array, floor: Array) -> Array:
    """Share of the variance; zero where the outcome is constant."""
    return jnp.where(variance > floor, numerator / variance, 0.0)


@partial(jax.jit, static_argnames=("k", "level"))
def indices_of(sums: SobolSums, k: int, level: float = 0.95) -> SobolIndices:
    """Indices and half-widths from the sums. Products are centered at the mean of all outputs, as SALib does."""
    layout = _Layout(k, sums.terms.shape[1] > 3 + 3 * k)
    blocks = 2 + k * (1 + layout.second)
    a, b, ab, ba, square, first, total, product, pairs = layout.split(sums.terms / sums.rows)
    center = jnp.mean(jnp.concatenate([a, b, ab, ba], axis=1)[..., 0], axis=1)[:, None, None]
    spread = sums.square / (blocks * sums.rows[0]) - center[:, 0, 0] ** 2
    floor = jnp.finfo(a.dtype).eps * jnp.maximum(spread, 0.0)[:, None, None]
    variance = square - ((a + b) / 2) ** 2
    first = _shares(first - center * (ab - a), variance, floor)
    total = _shares(total, variance, floor)
    found = [first, total]
    rows, cols = np.triu_indices(k, 1)
    if layout.second:
        joint = pairs - product - center * (ba[:, rows] + ab[:, cols] - a - b)
        found.append(_shares(joint, variance, floor) - first[:, rows] - first[:, cols])
    z = NormalDist().inv_cdf(0.5 + level / 2)
    point, widths = [x[..., 0] for x in found], [z * jnp.std(x[..., 1:], axis=-1, ddof=1) for x in found]
    mean = sums.center + sums.scale * (a + b)[:, 0, 0] / 2
    std = sums.scale * jnp.sqrt(jnp.maximum(variance[:, 0, 0], 0.0))
    if not layout.second:
        return SobolIndices(point[0], widths[0], point[1], widths[1], None, None, mean, std)
    empty = jnp.full((len(a), k, k), jnp.nan, a.dtype)
    second, second_ci = (empty.at[:, rows, cols].set(x[2]) for x in (point, widths))
    return SobolIndices(point[0], widths[0], point[1], widths[1], second, second_ci, mean, std)


def bootstrap_weights(n: int, resamples: int, seed: int | tuple[int, ...]) -> np.ndarray:
    """Weights of n rows, shape `[n, 1 + resamples]`: all ones, then how often each resample draws each row."""
    return np.concatenate([np.ones((1, n)), resample_counts(n, resamples, seed)]).T


class SobolStream:
    """Indices of any number of outcomes from outputs that arrive a few base samples at a time.

    Each piece is resampled on its own (a stratified bootstrap), so that nothing but the sums is kept: memory is that of
    one piece and of `outcomes x terms x (1 + resamples)` numbers. `group` > 1 resamples groups of so many base samples,
    formed at random within a piece, in place of single ones: many outcomes then cost a `group`-th of the products, and
    half-widths have a relative error of `1/sqrt(2 n/group)` beside the `1/sqrt(2 resamples)` of any bootstrap.
    """

    def __init__(self, k: int, resamples: int = 100, seed: int = 0, group: int = 1) -> None:
        self.k, self.resamples, self.group, self.seed = k, resamples, group, seed
        self.sums: SobolSums | None = None
        self.pieces = self.base = self.kept = 0

    def add(self, y: Float[np.ndarray, "blocks n o"]) -> None:
        """Outputs of more base samples, in the blocks of `saltelli_design`; a base sample with a NaN is dropped.

        Their number must be a multiple of `group`.
        """
        y = np.asarray(y, float)
        kept = np.asarray(np.isfinite(y).all(axis=(0, 2)))
        self.base, self.kept = self.base + y.shape[1], self.kept + int(np.sum(kept))
        seed = (self.seed, self.pieces) if self.pieces else self.seed
        self.pieces += 1
        if not np.any(kept):
            return
        if self.group > 1:  # neighbors among quasi-random points are balanced: only groups at random vary as rows do
            order = np.random.default_rng((self.seed, self.pieces)).permutation(y.shape[1])
            y, kept = y[:, order], kept[order]
        with jax.enable_x64(True):
            weights = jnp.asarray(bootstrap_weights(y.shape[1] // self.group, self.resamples, seed))
            outputs = jnp.asarray(np.ascontiguousarray(np.moveaxis(y, 2, 0)))
            if self.sums is None:
                self.sums = start_sums(outputs, kept, weights[0], self.k)
            self.sums = add_sums(self.sums, outputs, kept, weights, self.k)

    def indices(self, level: float = 0.95) -> SobolIndices:
        """The indices so far, as plain arrays."""
        if self.sums is None:
            raise ValueError("no base sample was kept yet")
        with jax.enable_x64(True):
            return jax.device_get(indices_of(self.sums, self.k, level))


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

    with y less its mean over all outputs and V the variance over A and B together. Rows must be finite.
    Grade [S]. Saltelli et al. (2010), Comput. Phys. Commun. 181:259; Saltelli (2002), 145:280.
    """

    def by_outcome(y: Array, ndim: int) -> Array:
        y = jnp.asarray(y)
        y = y if y.ndim == ndim else y[..., None]
        return y.T if ndim == 3 else y.T[:, None]

    parts = [by_outcome(y_a, 2), by_outcome(y_b, 2), by_outcome(y_ab, 3), *([] if y_ba is None else [by_outcome(y_ba, 3)])]  # fmt: skip
    y = jnp.concatenate(parts, axis=1)
    k, n = parts[2].shape[1:]
    weights, kept = jnp.asarray(bootstrap_weights(n, resamples, seed), y.dtype), jnp.ones(n, bool)
    return indices_of(add_sums(start_sums(y, kept, weights[0], k), y, kept, weights, k), k, level)
