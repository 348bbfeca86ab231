"""What is known about one model: targets, named fits, and the correlations between errors of measurement."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# How a target reads its moment: at one point, or between a point and another, `against`.
COMPARISONS = ("level", "difference", "ratio", "log_difference", "elasticity")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a moment is read, relative to the parameters and the policy of the fit.

    `policy` and `params` replace instruments and parameters, `scale` multiplies real ones by a factor; pairs by name. A
    regime is resolved into instruments when it is read.
    """

    policy: tuple[tuple[str, float], ...] = ()
    params: tuple[tuple[str, Any], ...] = ()
    scale: tuple[tuple[str, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Target:
    """One number of the evidence and the moment of the model that must meet it.

    **Attributes**

    - `name`, `moment`: its own name; the outcome or entry of `Model.moments` that it is compared with.
    - `value`, `standard_error`, `unit`: as measured; the standard error is NaN for a check that has none.
    - `judgment`: why the standard error has this size, where the source reports none; `reported`: the source reports it, or the interval
      that it follows from. A fitted target has one of them.
    - `year`, `source`, `grade`, `note`: where it comes from.
    - `place`: where the moment is read; `compare`: `level` there, or the change from the place `against` to `place` as
      `difference`, `ratio`, `log_difference`, or `elasticity` with respect to the one field that differs.
    - `use`: `fit`, or `check` for numbers that are compared and never fitted; `sets`: fits or parameter sets that it serves.
    """

    name: str
    moment: str
    value: float
    standard_error: float
    unit: str
    source: str
    year: int | None = None
    grade: str = "E"
    judgment: str = ""
    place: Place = Place()
    compare: str = "level"
    against: Place | None = None
    use: str = "fit"
    sets: tuple[str, ...] = ()
    note: str = ""
    reported: bool = False


@dataclasses.dataclass(frozen=True)
class Context:
    """Evidence that no moment of the model measures: kept beside the targets, never compared with the model.

    **Attributes**

    - `name`, `unit`: its own name, unit of its numbers.
    - `values`: one number, the ends `(lo, hi)` of a range, or a path; `dates`: years of a path with their fractions, empty otherwise.
    - `reason`: why no moment measures it, or what it disagrees with.
    - `year`: of the evidence, the last one of a path; `source`, `grade`: as in `Target`.
    """

    name: str
    values: tuple[float, ...]
    unit: str
    source: str
    year: int
    reason: str
    grade: str = "E"
    dates: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class SourcedPrior:
    """What a source says of a parameter itself: normal with `value` and `standard_error`, truncated to the range of a fit.

    `sets`: fits that it serves, all that free the parameter if empty; a fit whose targets are the same numbers must not be among
    them, for they would count twice. The rest as in `Target`.
    """

    name: str
    value: float
    standard_error: float
    unit: str
    source: str
    year: int | None = None
    grade: str = "E"
    judgment: str = ""
    sets: tuple[str, ...] = ()
    note: str = ""


@dataclasses.dataclass(frozen=True)
class FitSpec:
    """A named fit: free parameters with their ranges, the set around which they move, and the targets."""

    name: str
    free: Mapping[str, tuple[float, float]]
    targets: tuple[str, ...]
    doc: str = ""
    base: str | None = None
    method: str = "gmm"
    place: Place = Place()


def hash_of(
    targets: Mapping[str, Target], fits: Mapping[str, FitSpec], correlations: Mapping[tuple[str, str], float]
) -> str:
    """Hash of the numbers and moments of the evidence; words about them do not change it."""
    numbers = [
        (t.name, t.moment, t.value, t.standard_error, t.place, t.compare, t.against, t.use) for t in targets.values()
    ]
    searches = [(f.name, sorted(f.free.items()), f.targets, f.base, f.method, f.place) for f in fits.values()]
    parts = (*sorted(map(repr, numbers)), *sorted(map(repr, searches)), *sorted(map(repr, correlations.items())))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Targets:
    """The evidence on one model: targets by name, fits by name, correlations between targets, a hash of all that a fit computes
    with, priors of parameters by their names, and by name what no moment measures (`context`, no part of the hash)."""

    model: str
    targets: Mapping[str, Target]
    fits: Mapping[str, FitSpec]
    correlations: Mapping[tuple[str, str], float]
    hash: str
    priors: Mapping[str, SourcedPrior] = dataclasses.field(default_factory=dict)
    context: Mapping[str, Context] = dataclasses.field(default_factory=dict)

    def priors_of(self, fit: FitSpec) -> dict[str, SourcedPrior]:
        """The priors of the free parameters of a fit; those without one are uniform over their ranges."""
        return {n: p for n, p in self.priors.items() if n in fit.free and (not p.sets or fit.name in p.sets)}

    def of(self, fit: FitSpec) -> tuple[Target, ...]:
        """The targets of a fit, in its order."""
        return tuple(self.targets[n] for n in fit.targets)

    def checks(self) -> tuple[Target, ...]:
        """Targets that no fit uses by default: `use = "check"`."""
        return tuple(t for t in self.targets.values() if t.use == "check")

    def covariance(self, names: tuple[str, ...]) -> np.ndarray:
        """Covariance of the named targets, shape `[m, m]`: their standard errors and the correlations that are known."""
        return covariance_of([self.targets[n] for n in names], self.correlations)


def covariance_of(targets: Sequence[Target], correlations: Mapping[tuple[str, str], float]) -> np.ndarray:
    """Covariance of targets from standard errors and known correlations; the others are zero."""
    error = np.array([t.standard_error for t in targets], float)
    at = {t.name: i for i, t in enumerate(targets)}
    matrix = np.eye(len(error))
    for (a, b), value in correlations.items():
        if a in at and b in at:
            matrix[at[a], at[b]] = matrix[at[b], at[a]] = value
    return matrix * np.outer(error, error)
