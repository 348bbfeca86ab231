"""Variance shares (Sobol indices): design and estimators, as pure functions of arrays, streamed over base samples.

Estimators: first order of Saltelli et al. (2010), total order of Jansen (1999), second order of Saltelli (2002),
normalized by the variance of A and B as SALib does, so that point estimates and confidence intervals agree with it.
The bootstrap is a matrix product: resample r of a mean is sum_i c_ri x_i / N with c_ri how often row i was drawn. All
that is kept of the outputs are such sums (`SobolSums`), so that memory does not grow with the base samples.
"""

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jaxecon.analysis.designs import quasi_random

# Outcomes whose products are held at once, of many base samples and of groups of them; numbers of the products and of the terms:
# as many as keep the caches of a CPU warm; numbers that set outcomes' memory apart, so that they do not share places of a cache.
FEW, MANY, NUMBERS, HELD, APART = 8, 64, 2**18, 2**20, 8
# Multiplications of one product below which OpenBLAS keeps to one thread.
SERIAL = 2**19


@dataclasses.dataclass(frozen=True)
class SobolIndices:
    """Indices by outcome and parameter with half-widths of their confidence intervals.

    `second[o, j, k]` is the interaction of j < k (NaN elsewhere); `None` if it was not asked for.
    """

    first: Float[np.ndarray, "o k"]
    first_ci: Float[np.ndarray, "o k"]
    total: Float[np.ndarray, "o k"]
    total_ci: Float[np.ndarray, "o k"]
    second: Float[np.ndarray, "o k k"] | None
    second_ci: Float[np.ndarray, "o k k"] | None
    mean: Float[np.ndarray, " o"]
    std: Float[np.ndarray, " o"]


@dataclasses.dataclass(frozen=True)
class SobolSums:
    """All that is kept of the outputs: weighted sums by outcome, resample (0: the sample itself) and term.

    Outputs enter less `center`, a value that occurs. The terms are those of `_Terms`; `rows[w]`: weights of the base samples kept.
    """

    center: Float[np.ndarray, " o"]
    terms: Float[np.ndarray, "o w t"]
    rows: Float[np.ndarray, " w"]


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
    # One resample after the other, so that its counts stay in the cache.
    flat = np.add(drawn.T, n * np.arange(resamples)[:, None], order="C").ravel()
    return np.bincount(flat, minlength=n * resamples).reshape(resamples, n).astype(float)


def bootstrap_weights(n: int, resamples: int, seed: int | tuple[int, ...]) -> np.ndarray:
    """Weights of n rows, shape `[1 + resamples, n]`: all ones, then how often each resample draws each row."""
    return np.concatenate([np.ones((1, n)), resample_counts(n, resamples, seed)])


class _Terms:
    r"""The terms that are averaged. With $D_j = y_{AB_j} - y_A$ all but the $D_j^2$ are entries of one small matrix product,

    $$ (D_1, \ldots, D_k, y_A, y_B, 1) \quad \text{times} \quad (y_A, y_B, 1, y_{BA_1}, \ldots, y_{BA_k}) $$

    summed over a group of base samples: `parts[name]` is where the terms stand, `wanted` the entries of the product.
    """

    def __init__(self, k: int, second: bool) -> None:
        self.k, self.second = k, second
        self.rows, self.cols = np.triu_indices(k, 1)
        j, a, b, one = np.arange(k), 0, 1, 2
        entries = {
            "d": (one, j),
            "b_d": (b, j),
            "a": (a, k + one),
            "b": (b, k + one),
            "aa": (a, k + a),
            "bb": (b, k + b),
        }
        if second:
            more = {"ab": (a, k + b), "ba": (3 + j, k + one), "ba_a": (3 + j, k + a)}
            entries |= more | {"pairs": (3 + self.rows, self.cols)}
        places = {name: np.ravel(left * (k + 3) + right) for name, (left, right) in entries.items()}
        self.wanted = np.concatenate([*places.values()])
        ends = np.cumsum([len(x) for x in places.values()]).tolist()
        self.parts = {name: slice(stop - len(x), stop) for (name, x), stop in zip(places.items(), ends)}
        self.parts["dd"] = slice(ends[-1], ends[-1] + k)
        self.count = ends[-1] + k


class _Work:
    """What one core needs for the terms of a few outcomes at so many groups of base samples: memory that is used again."""

    def __init__(self, terms: _Terms, blocks: int, outcomes: int, groups: int, each: int) -> None:
        self.terms, self.each = terms, each
        self.left = np.empty((blocks + 1) * (outcomes * groups * each + APART))
        self.product = np.empty((outcomes, groups, (blocks + 1 - terms.k) * (terms.k + 3)))
        self.picked = np.empty((outcomes, groups, len(terms.wanted)))

    def of(
        self, y: Float[np.ndarray, "blocks n o"], center: Float[np.ndarray, " o"], kept: np.ndarray, out: np.ndarray
    ) -> None:
        """The terms `[o, g, t]` of groups of base samples that are neighbors, into `out`."""
        k, (blocks, n, o) = self.terms.k, y.shape
        g, y = n // self.each, y.swapaxes(1, 2)
        x = self.left[: (blocks + 1) * (o * n + APART)].reshape(blocks + 1, -1)[:, : o * n].reshape(blocks + 1, o, n)
        np.subtract(y[:2], center[:, None], out=x[k : k + 2])
        np.subtract(y[2 : 2 + k], y[0], out=x[:k])
        np.subtract(y[2 + k :], center[:, None], out=x[k + 3 :])
        x[k + 2] = 1.0
        if not kept.all():
            x[..., ~kept] = 0.0
        x = x.reshape(blocks + 1, o, g, self.each).transpose(1, 2, 0, 3)
        product, picked = (z[:o, :g] for z in (self.product, self.picked))
        np.matmul(x[:, :, k:], x[:, :, : k + 3].swapaxes(2, 3), out=product.reshape(o, g, -1, k + 3))
        np.take(product, self.terms.wanted, axis=2, out=picked, mode="clip")
        out[..., :-k] = picked
        np.einsum("ogjm,ogjm->ogj", x[:, :, :k], x[:, :, :k], out=out[..., -k:])


def _side_by_side(work: Callable[[list[slice], bool], Any], outcomes: int, few: int) -> None:
    """`work` on outcomes, so few at once; NumPy holds no lock of Python, so cores share them. It is told whether it is alone."""
    cores = min(os.cpu_count() or 1, outcomes)
    few = min(few, -(-outcomes // cores))
    blocks = [slice(i, min(i + few, outcomes)) for i in range(0, outcomes, few)]
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda i: work(blocks[i::cores], cores == 1), range(cores)))


def _weighted(weights: np.ndarray, terms: np.ndarray, out: np.ndarray, alone: bool) -> np.ndarray:
    """`weights @ terms`. Of two callers at once each keeps to products for which BLAS takes no threads of its own: they would wait
    for each other."""
    columns = terms.shape[-1] if alone else max(SERIAL // weights.size, 1)
    for start in range(0, terms.shape[-1], columns):
        part = slice(start, start + columns)
        np.matmul(weights, terms[..., part], out=out[..., part])
    return out


def start_sums(y: Float[np.ndarray, "blocks n o"], kept: Bool[np.ndarray, " n"], resamples: int, k: int) -> SobolSums:
    """Empty sums whose center is the middle output at A of the first base samples: so that a constant is zero."""
    a = y[0, kept]
    center = np.partition(a, len(a) // 2, axis=0)[len(a) // 2]
    return SobolSums(
        center, np.zeros((y.shape[2], 1 + resamples, _Terms(k, len(y) > 2 + k).count)), np.zeros(1 + resamples)
    )


def add_sums(
    sums: SobolSums,
    y: Float[np.ndarray, "blocks n o"],
    kept: Bool[np.ndarray, " n"],
    weights: Float[np.ndarray, "w g"],
    order: np.ndarray | None,
    k: int,
) -> SobolSums:
    """The sums after more base samples, added in place; `kept`: which of them count, the others may be NaN.

    A weight stands for a group of base samples, neighbors in `order` (of all, if it is given).
    """
    blocks, n, o = y.shape
    terms, groups = _Terms(k, blocks > 2 + k), weights.shape[1]
    each = n // groups
    few = min(o, FEW * min(each, MANY // FEW))
    # Groups whose products are held at once, and whose terms.
    tile = max(NUMBERS // (few * max(len(terms.wanted), each * (blocks + 1))), 1)
    step = max(HELD // (few * terms.count * tile), 1) * tile
    kept = kept if order is None else kept[order]

    def add(outcomes: list[slice], alone: bool) -> None:
        work = _Work(terms, blocks, few, tile, each)
        found, sums_of = np.empty((few, step, terms.count)), np.empty((min(few, FEW), *sums.terms.shape[1:]))
        for block in outcomes:
            for start in range(0, groups, step):
                stop = min(start + step, groups)
                here = found[: block.stop - block.start, : stop - start]
                for first in range(start, stop, tile):
                    last = min(first + tile, stop)
                    rows = slice(first * each, last * each)
                    part = y[:, rows if order is None else order[rows], block]
                    work.of(part, sums.center[block], kept[rows], here[:, first - start : last - start])
                for i in range(0, len(here), FEW):
                    terms_of = here[i : i + FEW]
                    out = sums_of[: len(terms_of)]
                    sums.terms[block][i : i + FEW] += _weighted(weights[:, start:stop], terms_of, out, alone)

    _side_by_side(add, o, few)
    return dataclasses.replace(sums, rows=sums.rows + weights @ kept.reshape(-1, each).sum(axis=1))


def _point_and_width(shares: Float[np.ndarray, "o w k"], level: float) -> tuple[np.ndarray, np.ndarray]:
    """The share in the sample and the half-width from those in the resamples."""
    point = shares[:, 0].copy()
    away = np.subtract(shares, shares[:, :1], out=shares)[:, 1:]
    count, mean = away.shape[1], np.mean(away, axis=1)
    square = np.einsum("owk,owk->ok", away, away)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    return point, z * np.sqrt(np.maximum(square - count * mean**2, 0.0) / (count - 1))


def indices_of(sums: SobolSums, k: int, level: float = 0.95) -> SobolIndices:
    """Indices and half-widths from the sums. Products are centered at the mean of all outputs, as SALib does."""
    o, _, count = sums.terms.shape
    second, rows = count > _Terms(k, False).count, sums.rows[:, None]
    terms = _Terms(k, second)
    first, first_ci, total, total_ci = (np.empty((o, k)) for _ in range(4))
    shared, shared_ci = (np.full((o, k, k), np.nan) if second else None for _ in range(2))
    mean, std = np.empty(o), np.empty(o)

    def fill(here: slice) -> None:
        at = {n: sums.terms[here, :, part] for n, part in terms.parts.items()}
        a, b, d = at["a"], at["b"], at["d"]
        level_of = np.concatenate([x[:, 0] for x in (a, b, a + d, *([at["ba"]] if second else []))], axis=1)
        center = np.mean(level_of, axis=1)[:, None, None] / rows[0]
        square = (at["aa"] + at["bb"]) / 2
        variance = square - ((a + b) / 2) ** 2 / rows
        # Zero where the outcome is constant.
        varies = variance > np.finfo(float).eps * (square + np.sum(at["dd"], axis=2, keepdims=True))
        scale = np.divide(1.0, variance, out=np.zeros_like(variance), where=varies)
        alone = at["b_d"] - center * d
        first[here], first_ci[here] = _point_and_width(alone * scale, level)
        total[here], total_ci[here] = _point_and_width(at["dd"] * (scale / 2), level)
        if shared is not None and shared_ci is not None:
            left = at["ba_a"] - center * at["ba"] - alone + (center * (a + b) - at["ab"])
            joint = np.take(left, terms.rows, axis=2)
            joint += at["pairs"]
            joint += np.take(-center * (a + d) - alone, terms.cols, axis=2)
            joint *= scale
            place = (here, terms.rows, terms.cols)
            shared[place], shared_ci[place] = _point_and_width(joint, level)
        mean[here] = sums.center[here] + (a + b)[:, 0, 0] / (2 * rows[0])
        std[here] = np.sqrt(np.maximum(variance[:, 0, 0] / rows[0], 0.0))

    _side_by_side(lambda blocks, _: [fill(block) for block in blocks], o, FEW)
    return SobolIndices(first, first_ci, total, total_ci, shared, shared_ci, mean, std)


def sobol_indices(
    y_a: Float[np.ndarray, "n o"],
    y_b: Float[np.ndarray, "n o"],
    y_ab: Float[np.ndarray, "n k o"],
    y_ba: Float[np.ndarray, "n k o"] | None = None,
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

    def blocks_of(y: np.ndarray, ndim: int) -> np.ndarray:
        y = np.asarray(y, float)
        y = y if y.ndim == ndim else y[..., None]
        return np.moveaxis(y, 1, 0) if ndim == 3 else y[None]

    ab = blocks_of(y_ab, 3)
    k, n = ab.shape[:2]
    y = np.concatenate([blocks_of(y_a, 2), blocks_of(y_b, 2), ab, *([] if y_ba is None else [blocks_of(y_ba, 3)])])
    kept, weights = np.ones(n, bool), bootstrap_weights(n, resamples, seed)
    return indices_of(add_sums(start_sums(y, kept, resamples, k), y, kept, weights, None, k), k, level)
