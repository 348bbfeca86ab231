"""Sets of points where more is better on every axis: directions, what is not dominated, and the volume they dominate. NumPy."""

import itertools

import numpy as np


def simplex_grid(axes: int, divisions: int) -> np.ndarray:
    """Weights `[d, axes]` that add up to one, in steps of 1/divisions (Das & Dennis 1998 [S])."""
    cuts = itertools.combinations(range(divisions + axes - 1), axes - 1)
    rows = [np.diff([-1, *c, divisions + axes - 1]) - 1 for c in cuts]
    return np.array(rows, float) / divisions


def nondominated(points: np.ndarray) -> np.ndarray:
    """Whether no other point `[n, m]` is at least as good on all axes and better on one; rows that are not finite never count."""
    fine = np.all(np.isfinite(points), axis=1)
    keep = fine.copy()
    for i in np.flatnonzero(fine):
        others = points[fine]
        keep[i] = not np.any(np.all(others >= points[i], axis=1) & np.any(others > points[i], axis=1))
    return keep


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """Volume between the reference and the points `[n, m]` above it, by slices along the last axis (exact)."""
    above = points[np.all(points > reference, axis=1)]
    if len(above) == 0:
        return 0.0
    if above.shape[1] == 1:
        return float(above.max() - reference[0])
    above = above[nondominated(above)]
    above = above[np.argsort(-above[:, -1], kind="stable")]
    floors = np.append(above[1:, -1], reference[-1])
    slices = above[:, -1] - floors
    return float(sum(
        height * hypervolume(above[: i + 1, :-1], reference[:-1]) for i, height in enumerate(slices) if height > 0
    ))  # fmt: skip
