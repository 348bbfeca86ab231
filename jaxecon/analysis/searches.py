"""Searches over simulated moments side by side: where they are, what they have cost, and how they are kept between stages."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxecon.analysis.simulated_moments import MomentSample


class Count(NamedTuple):
    """What has been spent.

    - `vectors`: parameter vectors at which the discrete moments were computed, whatever the number of runs of each.
    - `runs`: those vectors times their runs.
    - `slopes`: Jacobians of the smooth variant; `slope_runs`: their runs, each with one tangent a parameter.
    """

    vectors: int = 0
    runs: int = 0
    slopes: int = 0
    slope_runs: int = 0

    def evaluations(self, parameters: int) -> int:
        """Parameter vectors, a Jacobian counted as one and one more for each parameter."""
        return self.vectors + self.slopes * (1 + parameters)

    def plus(self, vectors: int = 0, runs: int = 0, slopes: int = 0, slope_runs: int = 0) -> "Count":
        return Count(self.vectors + vectors, self.runs + runs, self.slopes + slopes, self.slope_runs + slope_runs)


class Trail(NamedTuple):
    """One round of the search: runs behind each moment, the best loss among the searches under way, what has been spent."""

    seeds: int
    searches: int
    loss: float
    count: Count


@dataclasses.dataclass(frozen=True, eq=False)
class Searches:
    """Searches side by side, `[B]` each: places in the unit cube, discrete moments, residuals and slopes there.

    `slopes` `[B, m, k]` are of the residuals; `fresh` where they are those of the smooth variant at this very place; `first`
    is the number of the first run of each search.
    """

    share: np.ndarray
    observed: np.ndarray
    first: np.ndarray
    sample: MomentSample
    residual: np.ndarray
    slopes: np.ndarray
    fresh: np.ndarray
    radius: np.ndarray

    @property
    def loss(self) -> np.ndarray:
        return np.sum(self.residual**2, axis=1)

    def pick(self, places: np.ndarray) -> "Searches":
        """Some of the searches."""
        sample = MomentSample(*(x[places] for x in self.sample))
        return Searches(sample=sample, **{f.name: getattr(self, f.name)[places]
                                          for f in dataclasses.fields(self) if f.name != "sample"})  # fmt: skip


def to_arrays(at: Searches, count: Count, trail: Sequence[Trail]) -> dict[str, np.ndarray]:
    """All of a search between two stages as plain arrays, exact."""
    found = {f.name: getattr(at, f.name) for f in dataclasses.fields(at) if f.name != "sample"}
    found |= at.sample._asdict()
    rounds = np.array([(t.seeds, t.searches, *t.count) for t in trail], np.int64).reshape(-1, 6)
    return found | {"count": np.array(count, np.int64), "rounds": rounds, "losses": np.array([t.loss for t in trail])}


def from_arrays(found: Mapping[str, np.ndarray]) -> tuple[Searches, Count, list[Trail]]:
    """Inverse of `to_arrays`."""
    names = [f.name for f in dataclasses.fields(Searches) if f.name != "sample"]
    sample = MomentSample(*(found[n] for n in MomentSample._fields))
    trail = [
        Trail(int(r[0]), int(r[1]), float(loss), Count(*map(int, r[2:])))
        for r, loss in zip(found["rounds"], found["losses"], strict=True)
    ]
    return Searches(sample=sample, **{n: found[n] for n in names}), Count(*map(int, found["count"])), trail
