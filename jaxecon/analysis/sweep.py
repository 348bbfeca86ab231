"""Outcomes over named axes: a grid, paired values, or a quasi-random design."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

import jaxecon
from jaxecon.analysis.batch import CHUNK, Response, chunks_of, evaluate_rows
from jaxecon.analysis.designs import (
    Progress,
    count_problems,
    inputs_of,
    name_problems,
    outcome_names,
    quasi_random,
    range_problem,
    resolve,
    seed_problems,
)
from jaxecon.analysis.store import open_store, read_manifest, read_rows, source_hash
from jaxecon.core.errors import InputError
from jaxecon.core.fields import Field, fields_of
from jaxecon.core.inputs import field_problem
from jaxecon.core.model import Model
from jaxecon.core.results import (
    as_attributes,
    count_attributes,
    field_attributes,
    provenance,
    settings,
    status_attributes,
)

DESIGNS = ("grid", "paired", "sobol")


@dataclasses.dataclass(frozen=True)
class Study:
    """The points of a sweep: `axes` as the user named them, and each axis's value at every point."""

    design: str
    axes: dict[str, np.ndarray]
    columns: dict[str, np.ndarray]

    @property
    def size(self) -> int:
        return len(next(iter(self.columns.values())))


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
    elif points is not None:
        problems.append(f"points applies to the design 'sobol', not to {design!r}; give n in (lo, hi, n)")
    lengths = {n: len(v) for n, v in values.items()}
    if design == "paired" and len(set(lengths.values())) > 1:
        problems.append(f"paired axes must have equal lengths, not {lengths}")
    if problems:
        raise InputError(problems, f"the sweep of {model.name}")
    if design == "grid":
        mesh = np.meshgrid(*values.values(), indexing="ij")
        columns = {n: m.ravel() for n, m in zip(values, mesh, strict=True)}
    elif design == "paired":
        columns = values
    else:
        assert points is not None
        ranges = np.array(list(values.values()))
        # A power of two is drawn and cut: the sequence is balanced, and a prefix of a larger one.
        unit = quasi_random(len(ranges), seed).random(1 << (points - 1).bit_length())[:points]
        columns = dict(zip(values, (ranges[:, 0] + unit * (ranges[:, 1] - ranges[:, 0])).T, strict=True))
    return Study(design, values, columns)


def _evaluate_chunk(
    model: Model, p: Any, u: Any, study: Study, start: int, stop: int, outcomes: tuple[str, ...]
) -> np.ndarray:
    """Rows of one chunk, shape `[rows, points]`; static axes take one compiled function per combination."""
    known = inputs_of(model)
    real = tuple(n for n in study.columns if known[n].kind == "real")
    fixed = [n for n in study.columns if known[n].kind != "real"]
    if real:
        vectors = np.stack([study.columns[n][start:stop] for n in real], axis=1)
    else:
        # Only static axes: sweep over the first real parameter at its own value.
        real = (next(n for n, f in known.items() if f.kind == "real"),)
        vectors = np.full((stop - start, 1), float(getattr(p, real[0], np.nan)))
    response = Response(model)
    order = list(response.fields())
    columns = [*(order.index(n) for n in outcomes), -2, -1]
    if not fixed:
        return evaluate_rows(response, p, u, real, vectors, study=study.size).T[columns]
    combinations = list(zip(*(study.columns[n][start:stop].tolist() for n in fixed), strict=True))
    rows = np.empty((stop - start, len(outcomes) + 2), vectors.dtype)
    for combination in dict.fromkeys(combinations):
        mine = np.array([c == combination for c in combinations])
        q = dataclasses.replace(p, **dict(zip(fixed, combination, strict=True)))
        rows[mine] = evaluate_rows(response, q, u, real, vectors[mine], study=study.size)[:, columns]
    return rows.T


def sweep(
    model: Model,
    axes: Mapping[str, Any],
    *,
    design: str = "grid",
    points: int | None = None,
    params: Any = None,
    policy: Any = None,
    chunk: int | None = None,
    store: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    outcomes: Sequence[str] | None = None,
    progress: Progress | None = None,
    precision: str = "float64",
) -> xr.Dataset:
    """Evaluate the model over named axes.

    **Arguments**

    - `axes`: parameters and instruments by name; each a list of values, or a range `(lo, hi, n)` as a tuple
      (`(lo, hi)` for `design="sobol"`). Integers and choices take lists of values.
    - `design`: `"grid"` (every combination), `"paired"` (equal lengths, point by point), or `"sobol"`
      (`points` scrambled Sobol points of the ranges).
    - `params`, `policy`: what is not an axis; `outcomes`: which outcomes to keep, default all.
    - `chunk`: points between two reports of progress, and of one write to the store.
    - `store`: path of a Zarr store that is written chunk by chunk; `resume=True` goes on after a kill, redoing
      at most one chunk. A store of another study is refused.
    - `progress(done, total, info)`: called after each chunk.

    **Returns** a dataset with one dimension per axis (grid) or the dimension `point`: outcomes, `max_residual`,
    `status`. Failed cells are NaN with a reason; the attributes count them. Raises `InputError` before computing.
    """
    p, u = resolve(model, params, policy, precision)
    chosen, problems = outcome_names(model, outcomes)
    problems += count_problems(chunk=chunk) if chunk is not None else []
    if resume and store is None:
        problems.append("resume=True needs a store")
    try:
        study = plan(model, axes, design, points, seed)
    except InputError as error:
        problems = list(error.problems) + problems
        study = None
    if study is None or problems:
        raise InputError(problems, f"the sweep of {model.name}")
    wide = [n for n in study.axes if np.ndim(getattr(p if hasattr(p, n) else u, n)) > 0]
    if wide:
        raise InputError([f"{n} is a path in the given policy; sweep a scalar" for n in wide], "the sweep")
    size = min(chunk or CHUNK, study.size)
    record = provenance(
        model, seed=seed if design == "sobol" else None, precision=precision, design=design,
        axes={n: v.tolist() if len(v) <= 64 else [v[0].item(), v[-1].item(), len(v)] for n, v in study.axes.items()},
        params=settings(p), policy=settings(u), chunk=size,
    )  # fmt: skip
    sink = None
    if store is not None:
        definition = {
            "model": model.name, "design": design, "seed": seed, "precision": precision, "chunk": size,
            "axes": {n: v.tolist() for n, v in study.axes.items()}, "points": study.size, "outcomes": list(chosen),
            "params": settings(p), "policy": settings(u), "source": source_hash(model),
            "jaxecon": jaxecon.__version__, "jax": jax.__version__,
        }  # fmt: skip
        sink = open_store(Path(store), definition, record, (len(chosen) + 2, study.size), size, resume, precision)
    finished = sink.is_done() if sink else np.zeros(-(-study.size // size), bool)
    rows = None if sink else np.empty((len(chosen) + 2, study.size), precision)
    failed = 0
    with jax.enable_x64(precision == "float64"):
        for number, start, stop in chunks_of(study.size, size):
            if not finished[number]:
                block = _evaluate_chunk(model, p, u, study, start, stop, chosen)
                failed += int(np.sum(block[-1] != 0))
                if sink:
                    sink.write(number, block)
                else:
                    rows[:, start:stop] = block  # pyright: ignore
            if progress is not None:
                progress(stop, study.size, {"failed": failed, "resumed": bool(finished[number])})
    values = np.asarray(sink.rows[:]) if sink else rows
    return _dataset(model, study, chosen, values, record)


def _dataset(model: Model, study: Study, outcomes: tuple[str, ...], rows: Any, record: dict[str, Any]) -> xr.Dataset:
    grid = study.design == "grid"
    dims = tuple(study.axes) if grid else ("point",)
    shape = tuple(len(v) for v in study.axes.values()) if grid else (study.size,)
    known = model.fields
    variables: dict[str, Any] = {
        n: (dims, rows[i].reshape(shape), field_attributes(known[n])) for i, n in enumerate(outcomes)
    }
    residual = {"units": "1", "long_name": "largest residual", "doc": "largest unit-free residual of an identity"}
    variables["max_residual"] = (dims, rows[-2].reshape(shape), residual)
    status = rows[-1].reshape(shape).astype(np.int32)
    variables["status"] = (dims, status, status_attributes(model, status))
    coords = {
        n: ((n,) if grid else ("point",), study.axes[n] if grid else study.columns[n], field_attributes(known[n]))
        for n in study.axes
    }
    dataset = xr.Dataset(variables, coords=coords)
    dataset.attrs = as_attributes(record | count_attributes(model, status))
    return dataset


def open_sweep(model: Model, store: str | Path) -> xr.Dataset:
    """The dataset of a store that `sweep` wrote; chunks not yet computed are NaN with status -1."""
    manifest = read_manifest(Path(store))
    made = manifest["study"]
    if made["model"] != model.name:
        raise InputError([f"{store} holds a sweep of {made['model']!r}, not of {model.name!r}"], "the store")
    axes = made["axes"]
    specs = {n: tuple(v) if made["design"] == "sobol" else v for n, v in axes.items()}
    points = made["points"] if made["design"] == "sobol" else None
    study = plan(model, specs, made["design"], points, made["seed"])
    rows = read_rows(Path(store))
    rows[-1] = np.where(np.isnan(rows[-1]), -1, rows[-1])
    names = tuple(n for n in fields_of(model.Outcomes) if n in made["outcomes"])
    order = [made["outcomes"].index(n) for n in names]
    return _dataset(model, study, names, rows[[*order, -2, -1]], manifest["about"])
