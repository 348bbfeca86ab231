"""The points of a sweep: designs that hand out one chunk after the other, whatever their size."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxecon.analysis.batch import chunks_of
from jaxecon.analysis.designs import (
    count_problems,
    inputs_of,
    name_problems,
    quasi_random,
    range_problem,
    seed_problems,
)
from jaxecon.core.errors import InputError
from jaxecon.core.fields import Field
from jaxecon.core.inputs import field_problem
from jaxecon.core.model import Model

DESIGNS = ("grid", "paired", "sobol")
# The Sobol sequence in 30 bits repeats itself after so many points.
MOST_QUASI_RANDOM = 1 << 30
# Axes with more values are described by a hash.
SHORT = 64


@dataclasses.dataclass(frozen=True)
class Study:
    """The points of a sweep. `axes` as the user named them: values, or (lo, hi) for `design="sobol"`; `size`: points."""

    design: str
    axes: dict[str, np.ndarray]
    size: int
    seed: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes of a grid; else the number of points."""
        return tuple(len(v) for v in self.axes.values()) if self.design == "grid" else (self.size,)

    def chunks(self, size: int, skip: np.ndarray) -> Iterator[tuple[int, int, int, dict[str, np.ndarray] | None]]:
        """Number, start, stop and each axis's values of one chunk after the other; no values where `skip` [chunk] is true."""
        engine = quasi_random(len(self.axes), self.seed) if self.design == "sobol" else None
        for number, start, stop in chunks_of(self.size, size):
            if engine is not None:
                values = self._drawn(engine, stop - start, first=start == 0, skip=bool(skip[number]))
            else:
                values = None if skip[number] else self._listed(start, stop)
            yield number, start, stop, values

    def columns(self) -> dict[str, np.ndarray]:
        """Each axis's values at all points."""
        *_, values = next(self.chunks(self.size, np.zeros(1, bool)))
        assert values is not None
        return values

    def _listed(self, start: int, stop: int) -> dict[str, np.ndarray]:
        if self.design == "paired":
            return {n: v[start:stop] for n, v in self.axes.items()}
        places = np.unravel_index(np.arange(start, stop), self.shape)
        return {n: v[k] for (n, v), k in zip(self.axes.items(), places, strict=True)}

    def _drawn(self, engine: Any, n: int, *, first: bool, skip: bool) -> dict[str, np.ndarray] | None:
        """The next n points of the sequence; the first is drawn alone, which makes any number of them its beginning."""
        if skip:
            engine.fast_forward(n)
            return None
        unit = np.concatenate([engine.random(1), engine.random(n - 1)]) if first and n > 1 else engine.random(n)
        lo, hi = np.array(list(self.axes.values())).T
        return dict(zip(self.axes, (lo + unit * (hi - lo)).T, strict=True))

    def describe(self) -> dict[str, Any]:
        """The axes ready for JSON: values, or length and hash where there are many."""
        return {n: v.tolist() if len(v) <= SHORT else _digest(v) for n, v in self.axes.items()}

    def label(self) -> dict[str, Any]:
        """The axes for people: values, or first, last and length where there are many."""
        return {n: v.tolist() if len(v) <= SHORT else [v[0].item(), v[-1].item(), len(v)] for n, v in self.axes.items()}


def _digest(values: np.ndarray) -> dict[str, Any]:
    plain = values if values.dtype.kind in "if" else np.array([str(v) for v in values])
    return {"values": len(values), "sha256": hashlib.sha256(np.ascontiguousarray(plain).tobytes()).hexdigest()[:16]}


def _axis(f: Field, spec: Any, design: str) -> tuple[np.ndarray | None, list[str]]:
    """Values of one axis: an array, or (lo, hi, n) as a tuple, or (lo, hi) for a quasi-random design."""
    if f.kind == "choice" or (f.kind == "integer" and not isinstance(spec, tuple)):
        values: Any = [spec] if isinstance(spec, str) or np.ndim(spec) == 0 else list(spec)
    elif isinstance(spec, tuple) and (len(spec) == 3 or design == "sobol"):
        n = 2 if len(spec) == 2 else spec[2]
        problem = range_problem(f, spec[:2])
        problems = ([problem] if problem else []) + [f"axis {f.name}: {p}" for p in count_problems(n=n)]
        if problems:
            return None, problems
        lo, hi = float(spec[0]), float(spec[1])
        if design == "sobol":
            return np.array([lo, hi]), []
        values = np.linspace(lo, hi, int(n))
        if f.kind == "integer":
            values = [int(v) for v in dict.fromkeys(np.round(values))]
    else:
        values = np.atleast_1d(spec).tolist() if f.kind == "integer" else np.atleast_1d(spec)
    if np.ndim(values) != 1 or len(values) == 0:
        return None, [f"axis {f.name} must be a list of values or a range (lo, hi, n), not {spec!r}"]
    if f.kind == "real":
        found = [field_problem(f, values, path_ok=True)]
    else:
        found = [field_problem(f, v) for v in dict.fromkeys(values)]
    problems = [w for w in found if w]
    if design == "sobol":
        problems.append(f"axis {f.name} of a quasi-random design must be a range (lo, hi), not values")
    if problems:
        return None, problems[:3]
    return np.asarray(values, float if f.kind == "real" else None), []


def axes_of(model: Model, axes: Mapping[str, Any], design: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Values of the axes that can be read, and what is wrong with the others."""
    known = inputs_of(model)
    problems = name_problems(axes, known, f"parameter or instrument of {model.name}")
    values: dict[str, np.ndarray] = {}
    for name, spec in axes.items():
        if name in known and design in DESIGNS:
            if design == "sobol" and known[name].kind != "real":
                problems.append(f"axis {name} is not real; use the grid or the paired design for it")
                continue
            axis, why = _axis(known[name], spec, design)
            problems += why
            if axis is not None:
                values[name] = axis
    return values, problems


def plan(model: Model, axes: Mapping[str, Any], design: str, points: int | None, seed: int) -> Study:
    """The points of a sweep; raises `InputError` naming every wrong axis."""
    problems = name_problems([design], DESIGNS, "design") + seed_problems(seed)
    values, wrong = axes_of(model, axes, design)
    problems += wrong
    if not axes:
        problems.append("a sweep needs at least one axis, e.g. {'name': (lo, hi, n)}")
    if design == "sobol":
        missing = "a quasi-random design needs the number of its points (--points N); give a whole number of at least 1"
        problems += [missing] if points is None else count_problems(points=points)
        if not problems and points is not None and points > MOST_QUASI_RANDOM:
            problems.append(
                f"points = {points} must be at most 2^30 = {MOST_QUASI_RANDOM}: then the sequence repeats itself"
            )
    elif points is not None:
        problems.append(f"points applies to the design 'sobol', not to {design!r}; give n in (lo, hi, n)")
    lengths = {n: len(v) for n, v in values.items()}
    if design == "paired" and len(set(lengths.values())) > 1:
        problems.append(f"paired axes must have equal lengths, not {lengths}")
    if problems:
        raise InputError(problems, f"the sweep of {model.name}")
    if design == "sobol":
        assert points is not None
        size = int(points)
    else:
        size = (
            int(np.prod(list(lengths.values()), dtype=np.int64)) if design == "grid" else next(iter(lengths.values()))
        )
    return Study(design, values, size, seed)
