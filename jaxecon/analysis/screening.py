"""Morris screening: elementary effects along random trajectories, as pure functions of arrays."""

import dataclasses
from statistics import NormalDist

import numpy as np

from jaxecon.analysis.sobol import resample_counts


@dataclasses.dataclass(frozen=True)
class MorrisDesign:
    """Trajectories in the unit cube.

    `points` [r, k + 1, k]; `order` [r, k]: the step in which each parameter moves; `move` [r, k]: by how much.
    """

    points: np.ndarray
    order: np.ndarray
    move: np.ndarray


def morris_design(k: int, trajectories: int, seed: int, levels: int = 4) -> MorrisDesign:
    """Random trajectories on a grid of `levels` (even), one parameter moved at a time by levels/(2(levels - 1))."""
    rng = np.random.default_rng(seed)
    delta = levels / (2.0 * (levels - 1))
    low = rng.integers(levels // 2, size=(trajectories, k)) / (levels - 1.0)
    up = rng.integers(2, size=(trajectories, k)) == 1
    order = rng.permuted(np.tile(np.arange(k), (trajectories, 1)), axis=1)
    start, move = np.where(up, low, low + delta), np.where(up, delta, -delta)
    moved = order[:, None, :] < np.arange(k + 1)[None, :, None]
    return MorrisDesign(start[:, None, :] + moved * move[:, None, :], order, move)


def elementary_effects(design: MorrisDesign, y: np.ndarray) -> np.ndarray:
    """Change of the outcomes per full range of each parameter, shape `[r, k, o]`, from `y` of shape `[r, k + 1, o]`."""
    steps = np.diff(y, axis=1)
    return np.take_along_axis(steps, design.order[:, :, None], axis=1) / design.move[:, :, None]


@dataclasses.dataclass(frozen=True)
class MorrisIndices:
    """By outcome and parameter: mean effect, mean absolute effect with the half-width of its interval, spread."""

    mu: np.ndarray
    mu_star: np.ndarray
    mu_star_ci: np.ndarray
    sigma: np.ndarray


def morris_indices(effects: np.ndarray, *, resamples: int, seed: int, level: float = 0.95) -> MorrisIndices:
    r"""Summary of elementary effects, shape `[r, k, o]`: $\mu$, $\mu^*$ (mean of absolute values), $\sigma$.

    Grade [S]. Morris (1991), Technometrics 33:161; Campolongo, Cariboni & Saltelli (2007).
    """
    r, k, o = effects.shape
    size = np.abs(effects).reshape(r, k * o)
    resampled = resample_counts(r, resamples, seed) @ size / r
    z = NormalDist().inv_cdf(0.5 + level / 2)
    return MorrisIndices(
        effects.mean(axis=0).T,
        size.mean(axis=0).reshape(k, o).T,
        (z * resampled.std(axis=0, ddof=1)).reshape(k, o).T,
        effects.std(axis=0, ddof=1).T,
    )
