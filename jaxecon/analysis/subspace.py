"""Active subspaces: the few directions along which an outcome moves, from exact gradients; pure functions of arrays."""

import dataclasses
from statistics import NormalDist

import numpy as np

from jaxecon.analysis.sobol import bootstrap_weights

# An eigenvalue below this share of the largest counts as zero.
ZERO = 1e-12


@dataclasses.dataclass(frozen=True)
class ActiveSubspace:
    """By outcome (first axis), directions in descending order of their eigenvalue.

    **Attributes**

    - `eigenvalue` [o, k] with the 2.5 and 97.5 % quantiles `lo`, `hi` of the resamples; `vector` [o, k, k]: direction
      by component and parameter, the largest entry positive.
    - `dimension` [o]: of the active subspace, where the eigenvalues fall most; 0 for a constant outcome.
    - `error` [o]: mean over the resamples of the sine of the largest angle between their active subspace and this one.
    - `activity` [o, k]: activity score of each parameter with the half-width `activity_ci` of its interval.
    """

    eigenvalue: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    vector: np.ndarray
    dimension: np.ndarray
    error: np.ndarray
    activity: np.ndarray
    activity_ci: np.ndarray


def _directions(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors (rows), the largest first."""
    values, vectors = np.linalg.eigh(matrices)
    return np.maximum(values[..., ::-1], 0.0), np.swapaxes(vectors, -1, -2)[..., ::-1, :]


def _dimension(values: np.ndarray) -> int:
    """How many eigenvalues come before the largest fall of their logarithm."""
    if values[0] <= 0:
        return 0
    logs = np.log(np.maximum(values, ZERO * values[0]))
    return 1 + int(np.argmax(logs[:-1] - logs[1:])) if len(values) > 1 else 1


def active_subspace(
    slopes: np.ndarray, *, resamples: int, seed: int | tuple[int, ...], level: float = 0.95
) -> ActiveSubspace:
    r"""Active subspaces of all outcomes from gradients `[n, o, k]` in units of the ranges.

    $$ C = E[\nabla y \nabla y'] = W \Lambda W', \qquad \alpha_j = \sum_{i \le m} \lambda_i w_{ij}^2 $$

    with the activity scores $\alpha_j$ over the m directions of the active subspace. Bootstrap over the points. Grade [S].
    Constantine (2015), Active Subspaces; Constantine & Diaz (2017), Reliab. Eng. Syst. Saf. 162:1.
    """
    n, o, k = slopes.shape
    weights = bootstrap_weights(n, resamples, seed) / n
    z = NormalDist().inv_cdf(0.5 + level / 2)
    found = []
    # One outcome after the other: the products of all of them need not fit memory.
    for j in range(o):
        g = slopes[:, j]
        matrices = (weights @ (g[:, :, None] * g[:, None, :]).reshape(n, k * k)).reshape(-1, k, k)
        values, vectors = _directions(matrices)
        m = _dimension(values[0])
        biggest = np.argmax(np.abs(vectors[0]), axis=1)
        signed = vectors[0] * np.sign(vectors[0][np.arange(k), biggest])[:, None]
        scores = np.sum(values[:, :m, None] * vectors[:, :m] ** 2, axis=1)
        # Sine of the largest angle between two subspaces: what is left of one beside the other.
        beside = vectors[1:, :m] - vectors[1:, :m] @ vectors[0, :m].T @ vectors[0, :m]
        error = np.linalg.norm(beside, ord=2, axis=(1, 2)).mean() if 0 < m < k else 0.0
        lo, hi = np.quantile(values[1:], [(1 - level) / 2, (1 + level) / 2], axis=0)
        found.append((values[0], lo, hi, signed, m, error, scores[0], z * scores[1:].std(axis=0, ddof=1)))
    return ActiveSubspace(*(np.array(x) for x in zip(*found, strict=True)))
