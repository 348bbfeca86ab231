"""Cells of a study as columns: inputs and which cells are of interest, from a dataset, draws, or plain arrays."""

import dataclasses
import json
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxecon.analysis.boxes import KINDS, Column
from jaxecon.analysis.designs import Draws, name_problems
from jaxecon.core.errors import InputError
from jaxecon.core.model import SOLVED, Model

CONDITIONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
LABELS = ("symbol", "units", "long_name")


@dataclasses.dataclass(frozen=True)
class Cells:
    """The usable cells of a study.

    - `columns`: inputs, real ones first, then integers, then choices; `interest`: which cells are of interest.
    - `labels`: symbol, units and words of each input; `left_out`: how many cells are not used, by reason.
    - `total`: cells of the study; `source`: attributes of the dataset that say where they come from.
    """

    columns: tuple[Column, ...]
    interest: np.ndarray
    labels: dict[str, dict[str, str]]
    left_out: dict[str, int]
    total: int
    target: str
    source: dict[str, Any]


def _input_names(data: xr.Dataset) -> list[str]:
    """Coordinates along the cells that are parameters or instruments; if none says so, all that are no mere count."""
    along = [str(n) for n, c in data.coords.items() if c.ndim == 1]
    fields = [n for n in along if data[n].attrs.get("role") in ("parameter", "instrument")]
    return fields or [n for n in along if n not in ("point", "draw")]


def _flat(array: xr.DataArray, sizes: Mapping[str, int]) -> np.ndarray:
    """Values at every cell, the dimensions in the order of `sizes`."""
    return array.variable.set_dims(dict(sizes)).transpose(*sizes).values.reshape(-1)


def _column(name: str, values: np.ndarray) -> Column:
    if values.dtype.kind == "f":
        return Column(name, "real", values.astype(float))
    if values.dtype.kind in "iu":
        return Column(name, "integer", values.astype(float))
    # By text: values of an object array need not compare with each other.
    _, first, codes = np.unique(values.astype(str), return_index=True, return_inverse=True)
    return Column(name, "choice", codes, tuple(values[first].tolist()))


def _usable(values: np.ndarray) -> np.ndarray:
    return np.isfinite(values) if values.dtype.kind == "f" else np.ones(len(values), bool)


def _threshold(target: Sequence[Any], known: Sequence[str]) -> tuple[str, list[str]]:
    """The text of a threshold and what is wrong with it."""
    if len(target) != 3:
        return "", [f"target {target!r} must be (outcome, condition, value), e.g. ('welfare', '<', 0.0)"]
    name, condition, value = target
    problems = name_problems([name], known, "outcome of the data")
    if condition not in CONDITIONS:
        problems.append(f"condition {condition!r} is unknown; choose one of {', '.join(CONDITIONS)}")
    if isinstance(value, (bool, str)) or np.ndim(value) or not isinstance(value, (int, float, np.number, np.ndarray)):
        problems.append(f"threshold {value!r} of {name!r} must be a number")
    elif not np.isfinite(value):
        problems.append(f"threshold {value!r} of {name!r} must be finite")
    return f"{name} {condition} {value}", problems


@dataclasses.dataclass(frozen=True)
class _Study:
    """A dataset or plain arrays, read the same way: `arrays` at every cell, of shape `shape` before it was flattened."""

    data: Any
    arrays: dict[str, Any]
    inputs: list[str]
    sizes: dict[str, int]

    def values(self, name: str) -> np.ndarray:
        array = self.arrays[name]
        return _flat(array, self.sizes) if isinstance(array, xr.DataArray) else np.asarray(array)

    @property
    def total(self) -> int:
        return int(np.prod(list(self.sizes.values())))

    def read(self, found: Any) -> np.ndarray | str:
        """What a target says of every cell, or why it cannot."""
        if isinstance(found, xr.DataArray):
            extra = [str(d) for d in found.dims if d not in self.sizes]
            if extra:
                return f"the target has the dimensions {extra}, which the inputs do not have; select one value of each"
            found = _flat(found, self.sizes)
        found = np.asarray(found)
        if found.shape not in ((self.total,), tuple(self.sizes.values())):
            return f"the target has shape {found.shape}; it must have one value a cell, {tuple(self.sizes.values())}"
        found = found.reshape(-1)
        if found.dtype.kind not in "biuf" or not np.all(np.isin(found[_usable(found)], (0, 1))):
            return "the target must be Boolean at every cell (NaN: leave out); for a number give (outcome, '>', value)"
        return found


def _study(data: Any, inputs: Sequence[str] | None, target: Any) -> tuple[_Study | None, list[str]]:
    if isinstance(data, Draws):
        data = {n: data.points[:, j] for j, n in enumerate(data.names)}
    names = [inputs] if isinstance(inputs, str) else None if inputs is None else list(inputs)
    if isinstance(data, xr.Dataset):
        arrays: dict[str, Any] = {str(n): data[n] for n in data.variables}
        chosen = _input_names(data) if names is None else names
        problems = name_problems(chosen, arrays, "coordinate of the data")
        dims = [d for d in data.dims if any(d in data[n].dims for n in chosen if n in arrays)]
        sizes = {str(d): data.sizes[d] for d in dims}
    else:
        try:
            arrays = {str(n): np.asarray(data[n]) for n in data}
        except (TypeError, KeyError, IndexError):
            return None, [f"data must be a dataset, draws, or arrays by name, not {type(data).__name__}"]
        outcome = target[0] if isinstance(target, tuple) and target else None
        chosen = [n for n in arrays if n != outcome] if names is None else names
        problems = name_problems(chosen, arrays, "array of the data")
        shapes = {n: a.shape for n, a in arrays.items()}
        if len(set(shapes.values())) > 1 or any(len(s) != 1 for s in shapes.values()):
            problems.append(f"the arrays must have one dimension and equal lengths, not {shapes}")
        sizes = {"cell": max((a.size for a in arrays.values()), default=0)}
    if not chosen:
        problems.append("there is no input; name the inputs with inputs=[...]")
    return _Study(data, arrays, chosen, sizes), problems


def cells_of(data: Any, target: Any, inputs: Sequence[str] | None, model: Model | None) -> Cells:
    """Inputs and target at every usable cell; raises `InputError` naming everything that is wrong."""
    what = "the scenario discovery"
    study, problems = _study(data, inputs, target)
    if study is None or problems:
        raise InputError(problems, what)
    text = "given cell by cell"
    if isinstance(target, tuple):
        text, problems = _threshold(target, list(study.arrays))
        if not problems and target[0] in study.inputs:
            problems = [f"{target[0]!r} is an input; the target must be an outcome"]
        if problems:
            raise InputError(problems, what)
        values = study.values(target[0]) if not isinstance(study.data, xr.Dataset) else study.data[target[0]]
        met = CONDITIONS[target[1]](values, target[2])
        found = xr.where(np.isnan(values), np.nan, met) if isinstance(values, xr.DataArray) else met
        found = np.where(np.isnan(values), np.nan, met) if isinstance(values, np.ndarray) else found
    elif callable(target):
        text = getattr(target, "__name__", type(target).__name__)
        found = target(study.data)
    else:
        found = target
    interest = study.read(found)
    if isinstance(interest, str):
        raise InputError([interest], what)
    keep, left_out = np.ones(study.total, bool), {}

    def leave_out(reason: str, usable: np.ndarray) -> None:
        count = int(np.count_nonzero(keep & ~usable))
        if count:
            left_out[reason] = count
        np.logical_and(keep, usable, out=keep)

    if isinstance(study.data, xr.Dataset) and "status" in study.data:
        status = study.values("status")
        flags = study.data.status.attrs
        reasons = dict(zip(np.atleast_1d(flags.get("flag_values", [])), str(flags.get("flag_meanings", "")).split()))
        for code in np.unique(status[status != SOLVED]):
            leave_out(str(reasons.get(code, f"CODE_{code}")), status != code)
    elif callable(target):
        # A comparison with NaN is false, not unknown.
        for name in study.arrays:
            if name not in study.inputs:
                leave_out(f"{name} is not finite", _usable(study.values(name)))
    leave_out("the target is not known", _usable(interest))
    raw = {n: study.values(n) for n in study.inputs}
    for name, values in raw.items():
        leave_out(f"{name} is not finite", _usable(values))
    interest = interest[keep].astype(bool)
    hits = int(np.count_nonzero(interest))
    if hits in (0, len(interest)):
        share = "none" if hits == 0 else "every one"
        counts = f" ({study.total - len(interest)} of {study.total} left out)" if left_out else ""
        remedy = "change the target or the study so that some are and some are not"
        raise InputError([f"of {len(interest)} usable cells{counts} {share} is of interest; {remedy}"], what)
    columns = [_column(n, v[keep]) for n, v in raw.items()]
    columns.sort(key=lambda c: KINDS.index(c.kind))
    source = dict(study.data.attrs) if isinstance(study.data, xr.Dataset) else {}
    labels = {n: _label(n, study.arrays[n], model) for n in raw}
    return Cells(tuple(columns), interest, labels, left_out, study.total, text, source)


def _label(name: str, array: Any, model: Model | None) -> dict[str, str]:
    """Symbol, units and words of an input: from its attributes, else from the model's declaration, else its name."""
    label = {"symbol": name, "units": "", "long_name": name.replace("_", " ")}
    if model is not None and name in model.fields:
        f = model.fields[name]
        label |= {"symbol": f.symbol, "units": f.unit}
    attributes = getattr(array, "attrs", {})
    return label | {k: str(attributes[k]) for k in LABELS if k in attributes}


def summary(cells: Cells) -> dict[str, Any]:
    """Counts for the attributes of a result."""
    used = len(cells.interest)
    return {
        "cells": cells.total, "used": used, "of_interest": int(np.count_nonzero(cells.interest)),
        "left_out": json.dumps(cells.left_out), "target": cells.target,
    }  # fmt: skip
