"""Labelled results: pytrees become `xarray.Dataset`s only here, with units, symbols and provenance.

Names, units and bounds come from the field declarations; nothing in a result depends on the clock
unless the caller passes a date, so that a result is bit-reproducible from what it records.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

import jaxecon
from jaxecon.core.fields import Field, fields_of
from jaxecon.core.model import SOLVED, Evaluation, Model


def git_commit() -> str | None:
    """Commit of the checkout that this package runs from, read without a subprocess; `None` outside one."""
    folder = Path(jaxecon.__file__).resolve().parent.parent / ".git"
    try:
        head = (folder / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        loose = folder / name
        if loose.is_file():
            return loose.read_text(encoding="utf-8").strip()
        for line in (folder / "packed-refs").read_text(encoding="utf-8").splitlines():
            if line.endswith(" " + name):
                return line.split()[0]
    except (OSError, UnicodeDecodeError):
        pass
    return None


def provenance(
    model: Model,
    *,
    seed: int | None = None,
    precision: str = "float64",
    date: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What is needed to repeat a result, ready for JSON: model, versions, commit, device, seed, precision.

    `date` (UTC, ISO 8601) is recorded only if given; `more` holds further entries of the analysis.
    """
    record: dict[str, Any] = {
        "model": model.name,
        "title": model.title,
        "paper": model.paper,
        "jaxecon": jaxecon.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
        "precision": precision,
    }
    optional = {"commit": git_commit(), "seed": seed, "date": date, **more}
    return record | {k: v for k, v in optional.items() if v is not None}


def settings(tree: Any) -> dict[str, Any]:
    """Values of a `Params` or `Policy` by name, ready for JSON."""
    values = {}
    for name, f in fields_of(type(tree)).items():
        value = getattr(tree, name)
        values[name] = np.asarray(value, float).tolist() if f.kind == "real" else value
    return values


def as_attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as attributes that netCDF and Zarr accept: nested values become JSON text."""
    plain = (str, int, float, np.integer, np.floating)
    return {k: v if isinstance(v, plain) and not isinstance(v, bool) else json.dumps(v) for k, v in record.items()}


def field_attributes(f: Field) -> dict[str, Any]:
    """Attributes of a variable: `units`, `symbol`, `long_name`, `doc`, `grade`, `source`, finite `bounds`."""
    attributes: dict[str, Any] = {
        "units": f.unit,
        "symbol": f.symbol,
        "long_name": f.name.replace("_", " "),
        "doc": f.doc,
        "grade": f.grade,
        "source": f.source,
        "role": f.role,
    }
    # Not named "bounds": in the CF conventions that attribute names another variable.
    if any(np.isfinite(f.bounds)):
        attributes["valid_range"] = [float(x) for x in f.bounds]
    return attributes


def reason_counts(model: Model, status: Any) -> dict[str, int]:
    """How many cells failed, by name of the reason; solved cells are not listed."""
    codes, counts = np.unique(np.asarray(status), return_counts=True)
    return {model.reason(int(c))[0]: int(n) for c, n in zip(codes, counts, strict=True) if c != SOLVED}


def status_attributes(model: Model, status: Any) -> dict[str, Any]:
    """Attributes of a status variable: the codes that occur, their names and explanations."""
    codes = [int(c) for c in np.unique(np.asarray(status))]
    reasons = [model.reason(c) for c in codes]
    return {
        "long_name": "status",
        "units": "1",
        "flag_values": codes,
        "flag_meanings": " ".join(name for name, _ in reasons),
        "doc": "; ".join(f"{c} {name}: {why}" for c, (name, why) in zip(codes, reasons, strict=True)),
    }


def count_attributes(model: Model, status: Any) -> dict[str, Any]:
    """Attributes of a batch: cells, solved cells, and the failures by reason."""
    status = np.asarray(status)
    return {
        "cells": int(status.size),
        "solved": int(np.sum(status == SOLVED)),
        "failed": json.dumps(reason_counts(model, status)),
    }


def to_dataset(
    model: Model,
    evaluation: Evaluation,
    dims: Sequence[str] = (),
    coords: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """An `Evaluation`, single or batched, as a labelled dataset.

    **Arguments**

    - `dims`: names of the batch axes, in order; empty for one point.
    - `coords`: values along those axes; a coordinate named like a field gets its units and symbol.
    - `record`: provenance for the attributes, by default `provenance(model)`.

    **Returns** each outcome, `max_residual`, `status`, `residual` by `identity` and `branch_holds` by `branch`.
    """
    dims = tuple(dims)
    shape = np.shape(evaluation.status)
    variables: dict[str, Any] = {}
    for name, f in fields_of(model.Outcomes).items():
        variables[name] = (dims, np.asarray(getattr(evaluation.outcomes, name)), field_attributes(f))
    status = np.asarray(evaluation.status)
    variables["max_residual"] = (
        dims,
        np.asarray(evaluation.max_residual),
        {"units": "1", "long_name": "largest residual", "doc": "largest unit-free residual of a redundant identity"},
    )
    variables["status"] = (dims, status, status_attributes(model, status))
    for variable, dim, parts, doc in (
        ("residual", "identity", evaluation.residuals, "unit-free residual of each identity"),
        ("branch_holds", "branch", evaluation.branches, "which kind of equilibrium it is"),
    ):
        if parts:
            values = np.stack([np.broadcast_to(np.asarray(v), shape) for v in parts.values()])
            variables[variable] = ((dim, *dims), values, {"units": "1", "doc": doc})
    labels = {"identity": list(evaluation.residuals), "branch": list(evaluation.branches)}
    named = {k: v for k, v in labels.items() if v} | dict(coords or {})
    dataset = xr.Dataset(variables, coords=named)
    for name, f in model.fields.items():
        if name in dataset.coords:
            dataset[name].attrs.update(field_attributes(f))
    dataset.attrs = as_attributes(dict(record or provenance(model)) | count_attributes(model, status))
    return dataset


def path_dataset(result: Any, batch: str | None = None, record: Mapping[str, Any] | None = None) -> xr.Dataset:
    """A path record (fields declared with `series`) as a dataset; `batch` names a leading axis, if there is one.

    A series whose only dimension is its own name becomes a coordinate; it is the same along the batch.
    """
    lead = (batch,) if batch else ()
    variables, coords = {}, {}
    for name, f in fields_of(type(result)).items():
        value, attributes = np.asarray(getattr(result, name)), field_attributes(f)
        if f.dims == (name,):
            coords[name] = ((name,), value[0] if batch else value, attributes)
        else:
            variables[name] = ((*lead, *f.dims), value, attributes)
    if batch:
        coords[batch] = np.arange(len(next(iter(variables.values()))[1]))
    dataset = xr.Dataset(variables, coords=coords)
    dataset.attrs = as_attributes(record or {})
    return dataset
