"""Scenario discovery: in which boxes of inputs a study has the outcomes of interest, by PRIM or by a tree."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

import jaxecon
from jaxecon.analysis.boxes import Column, Rules, Trajectory
from jaxecon.analysis.cells import Cells, cells_of, summary
from jaxecon.analysis.designs import count_problems, name_problems, seed_problems
from jaxecon.analysis.prim import peel_boxes
from jaxecon.analysis.trees import leaf_boxes
from jaxecon.core.errors import InputError
from jaxecon.core.model import Model
from jaxecon.core.results import as_attributes

METHODS, OBJECTIVES = ("prim", "tree"), ("lenient1", "lenient2", "original")


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A box of inputs.

    **Attributes**

    - `limits`: of each restricted input the closed interval (lo, hi), or of a choice the allowed values.
    - `coverage`: share of all cells of interest that are inside; `density`: share of the cells inside that are of
      interest; `mass`: share of all used cells that are inside; `cells`, `of_interest`: their numbers.
    - `quasi_p`: of each restricted input the chance (lower, upper side; of a choice the first) of so many cells of
      interest if the restriction did not matter; NaN where a side is open. Empty for a tree.
    - `phase`: `start`, `peel` or `paste` (PRIM), `leaf` (tree).
    """

    limits: dict[str, tuple]
    coverage: float
    density: float
    mass: float
    cells: int
    of_interest: int
    quasi_p: dict[str, tuple[float, float]]
    phase: str
    kinds: dict[str, str] = dataclasses.field(repr=False)

    def contains(self, points: Mapping[str, Any]) -> np.ndarray:
        """Which points, arrays by name, are inside; inputs that are not restricted may be missing."""
        missing = [n for n in self.limits if n not in points]
        if missing:
            raise InputError([f"{n!r} is restricted by the box but missing from the points" for n in missing], "points")
        inside = np.bool_(True)
        for name, limit in self.limits.items():
            x = np.asarray(points[name])
            mine = np.isin(x, limit) if self.kinds[name] == "choice" else (x >= limit[0]) & (x <= limit[1])
            inside = inside & mine
        return np.asarray(inside)


@dataclasses.dataclass(frozen=True)
class Scenarios:
    """The boxes of a study, in the order in which they were found (of a tree: densest first).

    - `boxes`: the last box of each trajectory; `trajectories`: all boxes from the whole study to it, by step.
    - `kinds`, `ranges`, `labels`: of each input whether it is real, integer or choice, its range (of a choice its values), and its
      symbol, units and words.
    - `cells`, `used`, `of_interest`: of the study; `left_out`: cells that failed or are not known, by reason.
    - `record`: method, settings, target and where the study comes from.
    """

    boxes: tuple[Scenario, ...]
    trajectories: tuple[tuple[Scenario, ...], ...]
    kinds: dict[str, str]
    ranges: dict[str, tuple]
    labels: dict[str, dict[str, str]]
    cells: int
    used: int
    of_interest: int
    left_out: dict[str, int]
    record: dict[str, Any]

    @property
    def coverage(self) -> float:
        """Share of the cells of interest that the boxes hold together; no cell counts twice."""
        return float(sum(b.coverage for b in self.boxes))

    def table(self) -> list[dict[str, Any]]:
        """One row a restriction: box, input, symbol, units, limits or allowed values, quasi-p-values, and the box's numbers."""
        rows = []
        for number, box in enumerate(self.boxes):
            for name, limit in box.limits.items():
                numeric = self.kinds[name] != "choice"
                low, high = box.quasi_p.get(name, (np.nan, np.nan))
                rows.append({
                    "box": number, "input": name, "symbol": self.labels[name]["symbol"],
                    "units": self.labels[name]["units"],
                    "lower": limit[0] if numeric else None, "upper": limit[1] if numeric else None,
                    "allowed": None if numeric else limit, "quasi_p_lower": low, "quasi_p_upper": high,
                    "coverage": box.coverage, "density": box.density, "mass": box.mass,
                })  # fmt: skip
        return rows

    def to_dataset(self) -> xr.Dataset:
        """All steps by `box` and `step`: shares, limits and quasi-p-values by `input`; of choices `allowed` by `value`.

        Shorter trajectories end in NaN; `last_step` is the step of each box.
        """
        numeric = [n for n, kind in self.kinds.items() if kind != "choice"]
        choices = [(n, v) for n, kind in self.kinds.items() if kind == "choice" for v in self.ranges[n]]
        shape = (len(self.boxes), max((len(t) for t in self.trajectories), default=0))
        shares = {n: np.full(shape, np.nan) for n in ("coverage", "density", "mass", "cells", "of_interest")}
        limits = np.full((*shape, len(numeric), 2), np.nan)
        p = np.full((*shape, len(self.kinds), 2), np.nan)
        allowed = np.zeros((*shape, len(choices)), bool)
        phase = np.full(shape, "", "U5")
        for b, trajectory in enumerate(self.trajectories):
            for s, box in enumerate(trajectory):
                phase[b, s] = box.phase
                for name, values in shares.items():
                    values[b, s] = getattr(box, name)
                for i, name in enumerate(numeric):
                    limits[b, s, i] = box.limits.get(name, self.ranges[name])
                for i, name in enumerate(self.kinds):
                    p[b, s, i] = box.quasi_p.get(name, (np.nan, np.nan))
                allowed[b, s] = [value in box.limits.get(name, self.ranges[name]) for name, value in choices]
        dims, one = ("box", "step"), {"units": "1"}
        variables: dict[str, Any] = {n: (dims, v, one) for n, v in shares.items()} | {"phase": (dims, phase)}
        variables |= {
            "lower": ((*dims, "input"), limits[..., 0], {"doc": "lower limit, in the units of the input"}),
            "upper": ((*dims, "input"), limits[..., 1], {"doc": "upper limit, in the units of the input"}),
            "quasi_p": ((*dims, "restricted", "side"), p, one | {"doc": "one-sided binomial test of each restriction"}),
            "last_step": ("box", [len(t) - 1 for t in self.trajectories]),
        }
        if choices:
            variables["allowed"] = ((*dims, "value"), allowed, {"doc": "values of choices inside the box"})
        coords: dict[str, Any] = {
            "input": numeric, "restricted": list(self.kinds), "side": ["lower", "upper"],
            "symbol": ("restricted", [self.labels[n]["symbol"] for n in self.kinds]),
            "units": ("restricted", [self.labels[n]["units"] for n in self.kinds]),
        }  # fmt: skip
        if choices:
            coords["value"] = [f"{n}={v}" for n, v in choices]
        dataset = xr.Dataset(variables, coords=coords)
        dataset.attrs = as_attributes(self.record)
        return dataset


def _share_problems(**shares: Any) -> list[str]:
    """Problems of shares: above 0 and at most 1; those peeled or pasted at a time below one half."""
    problems = []
    for name, value in shares.items():
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        part = name.endswith("alpha")
        if not number or not (0 < value < 0.5 if part else 0 < value <= 1):
            limit = "below 0.5" if part else "at most 1"
            problems.append(f"{name} = {value!r} must be a number above 0 and {limit}")
    return problems


def _limits(columns: Sequence[Column], restricted: Any, limits: Any, allowed: Mapping[int, np.ndarray]) -> dict[str, tuple]:  # fmt: skip
    found = {}
    for j in np.flatnonzero(restricted).tolist():
        column = columns[j]
        if column.kind == "choice":
            found[column.name] = tuple(column.labels[v] for v in np.flatnonzero(allowed[j]))
        else:
            found[column.name] = (float(limits[j, 0]), float(limits[j, 1]))
    return found


def _steps(cells: Cells, path: Trajectory, kinds: dict[str, str]) -> tuple[Scenario, ...]:
    """The boxes of a trajectory."""
    hits, used = int(np.count_nonzero(cells.interest)), len(cells.interest)
    found = []
    for s, (n, k) in enumerate(zip(path.n.tolist(), path.k.tolist(), strict=True)):
        p = path.quasi_p(s)
        limits = _limits(cells.columns, path.restricted[s], path.limits[s], {j: a[s] for j, a in path.allowed.items()})
        quasi_p = {c.name: (float(p[j, 0]), float(p[j, 1])) for j, c in enumerate(cells.columns) if c.name in limits}
        phase = "start" if s == 0 else "paste" if path.pasted[s] else "peel"
        found.append(Scenario(limits, k / hits, k / n, n / used, n, k, quasi_p, phase, kinds))
    return tuple(found)


def _leaves(cells: Cells, mass_min: float, density: float, seed: int, kinds: dict[str, str]) -> list[Scenario]:
    """Leaves of the tree that are dense enough, densest first."""
    hits, used = int(np.count_nonzero(cells.interest)), len(cells.interest)
    ranges = [[0.0, 0.0] if c.kind == "choice" else [c.values.min(), c.values.max()] for c in cells.columns]
    found = []
    for limits, allowed, inside in leaf_boxes(cells.columns, cells.interest, mass_min, seed):
        n, k = int(np.count_nonzero(inside)), int(np.count_nonzero(cells.interest[inside]))
        if n == 0 or k / n < density:
            continue
        restricted = np.any(limits != np.array(ranges), axis=1)
        for j, values in allowed.items():
            restricted[j] = not values.all()
        limit = _limits(cells.columns, restricted, limits, allowed)
        found.append(Scenario(limit, k / hits, k / n, n / used, n, k, {}, "leaf", kinds))
    return sorted(found, key=lambda box: (-box.density, -box.mass))


def discover(
    data: Any,
    target: Any,
    *,
    inputs: Sequence[str] | None = None,
    method: str = "prim",
    density: float = 0.8,
    boxes: int | None = None,
    mass_min: float = 0.05,
    peel_alpha: float = 0.05,
    paste_alpha: float = 0.05,
    objective: str = "lenient1",
    model: Model | None = None,
    seed: int = 0,
) -> Scenarios:
    """Find boxes of inputs in which the cells of a study are of interest.

    **Arguments**

    - `data`: a dataset (of `sweep`, `open_sweep`, `claim_draws`), `Draws`, or arrays of equal length by name.
    - `target`: which cells are of interest: a threshold `(outcome, "<", value)`; a function of `data` that gives
      Booleans; or the Booleans themselves, one a cell (NaN: leave out). Cells that failed are left out and counted.
    - `inputs`: names; default: the axes of the study (of plain arrays: all but the outcome of the threshold).
    - `method`: `"prim"`, or `"tree"` (scikit-learn). Both stop at boxes of less than `mass_min` of the used cells.
    - `density`: which a box must reach; `boxes`: the largest number of boxes, default: all that reach it.
      With PRIM each further box is looked for among the cells that the earlier ones leave over.
    - `peel_alpha`, `paste_alpha`: shares of the cells peeled and pasted at a time; `objective`: `"lenient1"` (gain of
      density a cell removed), `"lenient2"` (that times the size of the box) or `"original"` (density).
    - `model`: symbols and units of the inputs of plain arrays; `seed`: of the tree, for splits that are equally good.

    **Returns** `Scenarios`. Raises `InputError`.
    """
    problems = name_problems([method], METHODS, "method") + name_problems([objective], OBJECTIVES, "objective")
    problems += _share_problems(density=density, mass_min=mass_min, peel_alpha=peel_alpha, paste_alpha=paste_alpha)
    problems += (count_problems(boxes=boxes) if boxes is not None else []) + seed_problems(seed)
    if problems:
        raise InputError(problems, "the scenario discovery")
    cells = cells_of(data, target, inputs, model)
    kinds = {c.name: c.kind for c in cells.columns}
    if method == "prim":
        rules = Rules(peel_alpha, paste_alpha, mass_min, density, objective)  # pyright: ignore[reportArgumentType]
        paths = peel_boxes(cells.columns, cells.interest, rules, boxes or len(cells.interest))
        trajectories = [_steps(cells, path, kinds) for path in paths]
    else:
        trajectories = [(box,) for box in _leaves(cells, mass_min, density, seed, kinds)[:boxes]]
    ranges = {
        c.name: tuple(c.labels) if c.kind == "choice" else (float(c.values.min()), float(c.values.max()))
        for c in cells.columns
    }
    record = {
        "method": method, "density": density, "mass_min": mass_min,
        **({"peel_alpha": peel_alpha, "paste_alpha": paste_alpha, "objective": objective} if method == "prim" else {}),
        **summary(cells), "jaxecon": jaxecon.__version__, "numpy": np.__version__,
        **{f"study_{k}": v for k, v in cells.source.items()},
    }  # fmt: skip
    counts = summary(cells)
    return Scenarios(
        boxes=tuple(t[-1] for t in trajectories),
        trajectories=tuple(trajectories),
        kinds=kinds,
        ranges=ranges,
        labels=cells.labels,
        cells=cells.total,
        used=counts["used"],
        of_interest=counts["of_interest"],
        left_out=cells.left_out,
        record=record,
    )
