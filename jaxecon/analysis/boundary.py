"""Where a claim holds: which parameters matter for its margin, and the margin over two of them."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class BoundaryMap:
    """Margin over the two most influential parameters `x` and `y`, the others as given: `margin[i, j]` at
    `y_values[i]`, `x_values[j]`; the claim holds where it is positive. Of a claim that costs more than an equilibrium the draws
    themselves: `margin[i]` at `y_values[i]`, `x_values[i]`, the others drawn, too. `influence`: share of the variance of the
    margin's rank that each parameter explains, the second after the first."""

    x: str
    y: str
    x_values: np.ndarray
    y_values: np.ndarray
    margin: np.ndarray
    influence: dict[str, float]


def influence_of(names: Sequence[str], points: np.ndarray, margins: np.ndarray, bins: int = 16) -> dict[str, float]:
    """Share of the variance of the margin's rank for each parameter after those before it, from the draws themselves.

    The variance of the mean within `bins` equally filled bins over the variance, less what chance alone would give. The
    leading parameter's means are taken out before the next is looked for. What stays within three and a half standard
    deviations of chance counts as zero. Ranks, because margins may have heavy tails. Largest first.
    """
    good = np.isfinite(margins)
    x, y = points[good], margins[good]
    bins = min(bins, len(y) // 8)
    if bins < 2 or np.ptp(y) == 0 or not names:
        return {}
    _, group, counts = np.unique(y, return_inverse=True, return_counts=True)
    rest = (np.cumsum(counts) - (counts - 1) / 2.0)[group]
    rest = rest - rest.mean()
    total, draws = np.sum(rest**2), len(rest)
    place = np.argsort(np.argsort(x, axis=0, kind="stable"), axis=0, kind="stable") * bins // draws
    chance, noise = (bins - 1) / (draws - 1), math.sqrt(2 * (bins - 1)) / (draws - 1)

    def means(j: int) -> np.ndarray:
        """Mean of what is left, at each draw, in its bin of parameter `j`."""
        size = np.bincount(place[:, j], minlength=bins)
        return (np.bincount(place[:, j], weights=rest, minlength=bins) / size)[place[:, j]]

    shares: dict[str, float] = {}
    while len(shares) < len(names):
        left = np.sum(rest**2) / total
        excess = {
            n: float(np.sum(means(j) ** 2) / total - chance * left) for j, n in enumerate(names) if n not in shares
        }
        order = sorted(excess, key=lambda n: -excess[n])
        if excess[order[0]] <= 3.5 * noise * left:
            return shares | dict.fromkeys(order, 0.0)
        shares[order[0]] = excess[order[0]]
        rest = rest - means(list(names).index(order[0]))
    return shares
