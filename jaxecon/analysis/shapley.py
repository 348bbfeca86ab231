"""Shapley effects: the variance split among inputs that may move together, as pure functions of arrays."""

import dataclasses
from statistics import NormalDist

import numpy as np

from jaxecon.analysis.copula import Copula, normal_scores, uniform
from jaxecon.analysis.sobol import bootstrap_weights


@dataclasses.dataclass(frozen=True)
class ShapleyDesign:
    """Points of the unit cube `[n, k + 1, k]` and the order `[n, k]` in which the inputs are fixed.

    Point j of a row shares the first j inputs of its order with the last point of the row, which is the sample itself;
    the others are drawn anew from their law given those.
    """

    points: np.ndarray
    order: np.ndarray


def shapley_design(unit: np.ndarray, copula: Copula, seed: int | tuple[int, ...]) -> ShapleyDesign:
    """The design of `n` samples from independent points of the unit cube, shape `[n, 2 k]`; random orders.

    With the factor L of the correlations in the order of a row, a sample is L e; the sample that shares its first j
    inputs is L (e_1 .. e_j, e'_(j+1) .. e'_k).
    """
    n, k = len(unit), unit.shape[1] // 2
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(k), (n, 1)), axis=1)
    one, other = unit[:, :k], unit[:, k:]
    fixed = np.arange(k)[None, :] < np.arange(k + 1)[:, None]
    if copula.independent:
        mixed = np.where(fixed, one[:, None], other[:, None])
    else:
        noise = np.where(fixed, normal_scores(one)[:, None], normal_scores(other)[:, None])
        mixed = uniform(np.einsum("nij,nsj->nsi", copula.factor(order), noise))
    points = np.empty_like(mixed)
    np.put_along_axis(points, np.broadcast_to(order[:, None], mixed.shape), mixed, axis=2)
    return ShapleyDesign(points, order)


@dataclasses.dataclass(frozen=True)
class ShapleySums:
    """Weighted sums over the samples so far, column 0 the samples themselves and one more for each resample.

    `share` [w, o, k]: what each input adds to the explained variance; `rows` [w]: weights; `mean`, `square` [o].
    """

    share: np.ndarray
    rows: np.ndarray
    mean: np.ndarray
    square: np.ndarray

    def __add__(self, more: "ShapleySums") -> "ShapleySums":
        parts = ((getattr(self, f.name), getattr(more, f.name)) for f in dataclasses.fields(self))
        return ShapleySums(*(a + b for a, b in parts))


def shapley_sums(
    design: ShapleyDesign, y: np.ndarray, resamples: int, seed: int | tuple[int, ...]
) -> tuple[ShapleySums, np.ndarray]:
    r"""Sums of the samples whose outputs `y`, shape `[n, k + 1, o]`, are all finite, and which samples those are.

    An input that joins the set J explains $\tfrac12 E[(y - y_J)^2 - (y - y_{J+j})^2]$ more of the variance, where $y_J$
    shares the inputs of J with y: $\tfrac12 E[(y - y_J)^2] = V - V(E[y | x_J])$, with inputs independent or not.
    """
    kept = np.asarray(np.isfinite(y).all(axis=(1, 2)))
    y, order = y[kept], design.order[kept]
    n, _, o = y.shape
    gap = (y - y[:, -1:]) ** 2 / 2
    added = np.empty((n, order.shape[1], o))
    np.put_along_axis(added, np.broadcast_to(order[:, :, None], added.shape), gap[:, :-1] - gap[:, 1:], axis=1)
    weights = bootstrap_weights(n, resamples, seed) if n else np.zeros((1 + resamples, 0))
    share = (weights @ added.reshape(n, -1)).reshape(len(weights), -1, o)
    here = y[:, [0, -1]]
    sums = ShapleySums(
        np.moveaxis(share, 1, 2), weights.sum(axis=1), here.sum(axis=(0, 1)) / 2, (here**2).sum(axis=(0, 1)) / 2
    )
    return sums, kept


@dataclasses.dataclass(frozen=True)
class ShapleyEffects:
    """By outcome and parameter: share of the variance (they add up to one) and the half-width of its interval."""

    effect: np.ndarray
    effect_ci: np.ndarray
    mean: np.ndarray
    std: np.ndarray


def shapley_effects(sums: ShapleySums, level: float = 0.95) -> ShapleyEffects:
    r"""Shapley effects $Sh_j = \sum_{J \not\ni j} \frac{|J|!(k - |J| - 1)!}{k!} \frac{V(E[y|x_{J+j}]) - V(E[y|x_J])}{V}$.

    The mean over random orders. Zero where an outcome is constant. Grade [S]. Owen (2014), SIAM/ASA J. Uncertainty
    Quantification 2:245; Song, Nelson & Staum (2016), 4:1060.
    """
    parts = sums.share / sums.rows[:, None, None]
    variance = parts.sum(axis=2, keepdims=True)
    effect = np.where(variance > 0, parts / np.where(variance > 0, variance, 1.0), 0.0)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    n = sums.rows[0]
    mean = sums.mean / n
    return ShapleyEffects(
        effect[0], z * effect[1:].std(axis=0, ddof=1), mean, np.sqrt(np.maximum(sums.square / n - mean**2, 0.0))
    )
