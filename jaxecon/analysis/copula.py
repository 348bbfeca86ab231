"""Inputs that move together: a Gaussian copula between the fields of a prior box."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxecon.core.errors import name_problems

# Smallest and largest probability whose normal score is taken: the scores stay within 8.2 standard deviations.
EDGE = 2.0**-53
# Smallest eigenvalue of a correlation matrix that counts as positive definite.
SMALLEST = 1e-10
Correlation = Mapping[tuple[str, str], float]


def normal_scores(unit: np.ndarray) -> np.ndarray:
    """Standard normal numbers with the ranks of numbers in the unit interval."""
    from scipy.special import ndtri

    return ndtri(np.clip(unit, EDGE, 1 - EDGE))


def uniform(scores: np.ndarray) -> np.ndarray:
    """Numbers in the unit interval with the ranks of standard normal ones."""
    from scipy.special import ndtr

    return ndtr(scores)


@dataclasses.dataclass(frozen=True)
class Copula:
    r"""Gaussian copula: $u = \Phi(L \epsilon)$ with $L L' = R$ and independent standard normal $\epsilon$.

    `matrix`: the correlation R of the normal scores; the rank correlation (Spearman) of two inputs, which is also the
    linear correlation of two uniform ones, is $(6/\pi) \arcsin(R_{ij}/2)$.
    """

    names: tuple[str, ...]
    matrix: np.ndarray

    @property
    def independent(self) -> bool:
        """Whether no two inputs move together."""
        return bool(np.all(self.matrix == np.eye(len(self.names))))

    def correlate(self, unit: np.ndarray) -> np.ndarray:
        """Points of the unit cube, shape `[..., k]`, independent before and with this copula after."""
        if self.independent:
            return unit
        return uniform(normal_scores(unit) @ np.linalg.cholesky(self.matrix).T)

    def factor(self, order: np.ndarray) -> np.ndarray:
        """Cholesky factors for inputs taken in some order, shape `[..., k]`: given the first j noises the first j
        inputs are fixed and the others drawn from their conditional law."""
        rows = self.matrix[order[..., :, None], order[..., None, :]]
        return np.linalg.cholesky(rows)


def _as_pair(pair: Any) -> tuple[str, str] | None:
    ok = isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(n, str) for n in pair)
    return pair if ok else None


def copula_of(names: Sequence[str], correlation: Correlation | None) -> tuple[Copula, list[str]]:
    """The copula of the inputs and what is wrong with the correlations of pairs; a pair that is not named is independent.

    A pair may be named in both orders if the numbers agree.
    """
    k = len(names)
    matrix, problems = np.eye(k), []
    given: dict[tuple[str, str], float] = {}
    for key, value in (correlation or {}).items():
        pair = _as_pair(key)
        if pair is None:
            problems.append(f"{key!r} is no pair of names; write correlation={{(name, name): number}}")
            continue
        wrong = name_problems(dict.fromkeys(pair), names, "input of this analysis")
        problems += wrong
        if pair[0] == pair[1]:
            problems.append(f"the correlation of {pair[0]!r} with itself is 1; name two different inputs")
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = np.nan
        if not -1 < number < 1:
            problems.append(f"the correlation of {pair[0]} and {pair[1]}, {value!r}, must be a number between -1 and 1")
            continue
        other = given.get((pair[1], pair[0]))
        if other is not None and other != number:
            problems.append(
                f"the correlations of {pair[0]} with {pair[1]}, {number:g}, and of {pair[1]} with {pair[0]}, {other:g}, "
                "differ; give one number"
            )
        given[pair] = number
        if not wrong:
            i, j = names.index(pair[0]), names.index(pair[1])
            matrix[i, j] = matrix[j, i] = number
    if not problems and k and (least := float(np.linalg.eigvalsh(matrix)[0])) < SMALLEST:
        problems.append(
            f"the correlations do not fit together: the smallest eigenvalue of their matrix, {least:.3g}, must be positive; "
            "weaken one of them"
        )
    return Copula(tuple(names), matrix), problems
