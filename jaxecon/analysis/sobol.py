"""Variance shares (Sobol indices): design and estimators, as pure functions of arrays, streamed over base samples.

Estimators: first order of Saltelli et al. (2010), total order of Jansen (1999), second order of Saltelli (2002),
normalized by the variance of A and B as SALib does, so that point estimates and confidence intervals agree with it.
The bootstrap is a matrix product: resample r of a mean is sum_i c_ri x_i / N with c_ri how often row i was drawn. All
that is kept of the outputs are such sums (`SobolSums`), so that memory does not grow with the base samples.
"""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float

from jaxecon.analysis.designs import quasi_random

# Numbers of one block of outcomes and base samples, each: as many as keep the caches of a CPU warm.
OUTCOMES, NUMBERS = 64, 2**19


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
        entries = {"d": (one, j), "b_d": (b, j), "a": (a, k + one), "b": (b, k + one), "aa": (a, k + a), "bb": (b, k + b)}
        if second:
            more = {"ab": (a, k + b), "ba": (3 + j, k + one), "ba_a": (3 + j, k + a)}
            entries |= more | {"pairs": (3 + self.rows, self.cols)}
        places = {name: np.ravel(left * (k + 3) + right) for name, (left, right) in entries.items()}
        self.wanted = np.concatenate([*places.values()])
        ends = np.cumsum([len(x) for x in places.values()]).tolist()
        self.parts = {name: slice(stop - len(x), stop) for (name, x), stop in zip(places.items(), ends)}
        self.parts["dd"] = slice(ends[-1], ends[-1] + k)
        self.count = ends[-1] + k

    def of(self, y: Float[np.ndarray, "blocks n o"], each: int) -> Float[np.ndarray, "o g t"]:
        """The terms of groups of `each` base samples."""
        k, (blocks, n, o) = self.k, y.shape
        x = np.empty((blocks + 1, o, n))
        x[k : k + 2], x[k + 2], x[k + 3 :] = y[:2].swapaxes(1, 2), 1.0, y[2 + k :].swapaxes(1, 2)
        x[:k] = y[2 : 2 + k].swapaxes(1, 2)
        x[:k] -= x[k]
        x = x.reshape(blocks + 1, o, n // each, each).transpose(1, 2, 0, 3)
        products = x[:, :, k:] @ x[:, :, : k + 3].swapaxes(2, 3)
        terms = np.empty((o, n // each, self.count))
        terms[..., :-k] = products.reshape(o, n // each, -1)[..., self.wanted]
        np.einsum("ogjm,ogjm->ogj", x[:, :, :k], x[:, :, :k], out=terms[..., -k:])
        return terms


def _side_by_side(work, outcomes: int) -> list:
    """`work(first, last)` of each block of outcomes; NumPy holds no lock of Python, so two cores share them."""
    blocks = [(i, min(i + OUTCOMES, outcomes)) for i in range(0, outcomes, OUTCOMES)]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, len(blocks))) as pool:
        return list(pool.map(lambda block: work(*block), blocks))


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
    blocks, n, _ = y.shape
    terms, each, kept = _Terms(k, blocks > 2 + k), n // weights.shape[1], kept if order is None else kept[order]

    def add(first: int, last: int) -> None:
        step = max(NUMBERS // ((last - first) * terms.count), 1)
        for start in range(0, weights.shape[1], step):
            rows = slice(start * each, (start + step) * each)
            part = y[:, rows if order is None else order[rows], first:last] - sums.center[first:last]
            part[:, ~kept[rows]] = 0.0
            sums.terms[first:last] += weights[:, start : start + step] @ terms.of(part, each)

    _side_by_side(add, y.shape[2])
    return dataclasses.replace(sums, rows=sums.rows + weights @ kept.reshape(-1, each).sum(axis=1))


def _point_and_width(shares: Float[np.ndarray, "o w k"], level: float) -> tuple[np.ndarray, np.ndarray]:
    """The share in the sample and the half-width from those in the resamples."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    return shares[:, 0], z * np.std(shares[:, 1:], axis=1, ddof=1)


def indices_of(sums: SobolSums, k: int, level: float = 0.95) -> SobolIndices:
    """Indices and half-widths from the sums. Products are centered at the mean of all outputs, as SALib does."""
    o, _, count = sums.terms.shape
    second = count > _Terms(k, False).count
    terms = _Terms(k, second)
    found = {n: np.empty((o, k)) for n in ("first", "first_ci", "total", "total_ci")}
    found |= {"mean": np.empty(o), "std": np.empty(o)}
    if second:
        found |= {n: np.full((o, k, k), np.nan) for n in ("second", "second_ci")}

    def fill(start: int, stop: int) -> None:
        here = slice(start, stop)
        at = {n: sums.terms[here, :, part] / sums.rows[:, None] for n, part in terms.parts.items()}
        a, b, d = at["a"], at["b"], at["d"]
        means = np.concatenate([a, b, a + d, *([at["ba"]] if second else [])], axis=2)[:, 0]
        center = np.mean(means, axis=1)[:, None, None]
        square = (at["aa"] + at["bb"]) / 2
        variance = square - ((a + b) / 2) ** 2
        # Zero where the outcome is constant.
        varies = variance > np.finfo(float).eps * (square + np.sum(at["dd"], axis=2, keepdims=True))
        scale = np.divide(1.0, variance, out=np.zeros_like(variance), where=varies)
        first = at["b_d"] - center * d
        found["first"][here], found["first_ci"][here] = _point_and_width(first * scale, level)
        found["total"][here], found["total_ci"][here] = _point_and_width(at["dd"] / 2 * scale, level)
        if second:
            left, right = at["ba_a"] - center * at["ba"] - first, -center * (a + d) - first
            joint = at["pairs"] + left[..., terms.rows] + right[..., terms.cols] + (center * (a + b) - at["ab"])
            place = (here, terms.rows, terms.cols)
            found["second"][place], found["second_ci"][place] = _point_and_width(joint * scale, level)
        found["mean"][here] = sums.center[here] + (a + b)[:, 0, 0] / 2
        found["std"][here] = np.sqrt(np.maximum(variance[:, 0, 0], 0.0))

    _side_by_side(fill, o)
    return SobolIndices(**({"second": None, "second_ci": None} | found))


class SobolStream:
    """Indices of any number of outcomes from outputs that arrive a few base samples at a time.

    Each piece is resampled on its own (a stratified bootstrap), so that nothing but the sums is kept: memory is that of
    one piece and of `outcomes x (1 + resamples) x terms` numbers. `group` > 1 resamples groups of so many base samples,
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
        kept = np.isfinite(y.sum(axis=2)).all(axis=0)
        n, number = y.shape[1], int(np.sum(kept))
        self.base, self.kept = self.base + n, self.kept + number
        seed = (self.seed, self.pieces) if self.pieces else self.seed
        self.pieces += 1
        if not number:
            return
        # Neighbors among quasi-random points are balanced: only groups at random vary as rows do.
        order = np.random.default_rng((self.seed, self.pieces)).permutation(n) if self.group > 1 else None
        if self.sums is None:
            self.sums = start_sums(y, kept, self.resamples, self.k)
        self.sums = add_sums(self.sums, y, kept, bootstrap_weights(n // self.group, self.resamples, seed), order, self.k)

    def indices(self, level: float = 0.95) -> SobolIndices:
        """The indices so far."""
        if self.sums is None:
            raise ValueError("no base sample was kept yet")
        return indices_of(self.sums, self.k, level)


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
