"""Which parameters matter: variance shares, screening, derivatives over the box, elasticities at a point."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxecon.analysis.batch import PathResponse, Response, TerminalResponse
from jaxecon.analysis.copula import Correlation, copula_of
from jaxecon.analysis.designs import (
    Box,
    Progress,
    box_of,
    count_problems,
    inputs_of,
    name_problems,
    outcome_names,
    resolve,
    seed_problems,
)
from jaxecon.analysis.measures import RUN, Task
from jaxecon.analysis.saved import SavedStudy, open_study
from jaxecon.analysis.store import source_hash, versions
from jaxecon.core.errors import InputError
from jaxecon.core.model import Model
from jaxecon.core.results import as_attributes, provenance, settings

METHODS = {
    "sobol": "variance shares: first and total order (Saltelli 2010, Jansen 1999), second order (Saltelli 2002)",
    "shapley": "Shapley effects: the variance split among inputs that may move together (Owen 2014)",
    "morris": "elementary effects on trajectories (Morris 1991, Campolongo 2007)",
    "derivative": "mean squared exact derivatives and the bound they put on the total order (Sobol & Kucherenko 2009)",
    "active": "active subspaces and activity scores from exact derivatives (Constantine 2015)",
    "elasticities": "exact derivatives and elasticities at the given point",
}
# What only some methods take.
CORRELATED = ("shapley", "active")
# What is read of a series of a dynamic layer.
AT = {"end": "its last value", "path": "its value at every date"}


def _option_problems(
    method: str, second_order: bool, tolerance: Any, correlation: Correlation | None, group: int | None,
    store: str | Path | None, resume: bool,
) -> list[str]:  # fmt: skip
    """Problems of options that the method does not take, and of the tolerance."""
    problems = [] if group is None else count_problems(group=group)
    if resume and store is None:
        problems.append("resume=True (--resume) needs the store to go on with: store= (--store)")
    if method in METHODS:
        for name, given, takes in (
            ("second_order", second_order, ("sobol",)),
            ("tolerance", tolerance is not None, ("sobol",)),
            ("group", group is not None, ("sobol",)),
            ("store", store is not None, ("sobol",)),
            ("correlation", bool(correlation), CORRELATED),
        ):
            if given and method not in takes:
                words = " or ".join(repr(m) for m in takes)
                problems.append(f"{name} applies to the method {words}, not to {method!r}")
    number = isinstance(tolerance, (int, float, np.number)) and not isinstance(tolerance, bool)
    if tolerance is not None and not (number and 0 < tolerance < math.inf):
        problems.append(f"tolerance = {tolerance!r} must be a positive number, a share of the variance")
    return problems


def _point_box(
    model: Model, names: Sequence[str] | None, p: Any, u: Any, layers: Sequence[str]
) -> tuple[Box, list[str]]:
    """All real scalars of the layers, or the named ones, without ranges: for the elasticities."""
    known = {n: f for n, f in inputs_of(model).items() if f.kind == "real"}
    chosen = tuple(known) if names is None else (names,) if isinstance(names, str) else tuple(names)
    problems = name_problems(chosen, known, f"real parameter or instrument of {model.name}")
    if names is None:
        scalar = {n for n in known if np.ndim(getattr(p if hasattr(p, n) else u, n)) == 0}
        chosen = tuple(n for n, f in known.items() if n in scalar and f.layer in layers)
    lo, hi = np.array([known[n].bounds if n in known else (0, 0) for n in chosen], float).reshape(-1, 2).T
    return Box(chosen, lo, hi), problems


def sensitivity(
    model: Model,
    method: str = "sobol",
    *,
    samples: int = 1024,
    names: Sequence[str] | None = None,
    outcomes: Sequence[str] | None = None,
    params: Any = None,
    policy: Any = None,
    prior: Mapping[str, tuple[float, float]] | None = None,
    correlation: Correlation | None = None,
    second_order: bool = False,
    tolerance: float | None = None,
    resamples: int = 100,
    seed: int = 0,
    group: int | None = None,
    layer: str = "equilibrium",
    at: str = "end",
    store: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    precision: str = "float64",
) -> xr.Dataset:
    """Sensitivity of all outcomes to parameters and instruments.

    **Arguments**

    - `method`: `"sobol"`, `"shapley"` (`samples` base points, rounded up to a power of two), `"morris"` (`samples`
      trajectories), `"derivative"`, `"active"` (`samples` points, rounded up likewise), `"elasticities"` (at `params`, `policy`).
    - `names`: which parameters and instruments; default: all parameters with a prior box (elasticities: all real
      ones and the instruments). `prior` (name -> (lo, hi)) replaces the box of its fields.
    - `correlation` ((name, name) -> number): inputs that move together by a Gaussian copula (shapley, active).
    - `second_order`: also the interactions of pairs (sobol). `resamples`: bootstrap resamples of the intervals.
    - `tolerance` (sobol): stop at the first power of two where no half-width of a first or total share, and no change since
      the last one, exceeds it; `samples` is then the most it may take, and the attribute `verdict` says what happened.
    - `group` (sobol): base samples that the bootstrap draws together. The time that intervals of thousands of outcomes take falls by
      this factor; half-widths then have a relative error of 1/sqrt(2 samples/group) beside the 1/sqrt(2 resamples) of any bootstrap.
      Default: 1; above 100 outcomes up to 16, with at least 64 groups.
    - `layer`: `"equilibrium"`, or a dynamic layer (or `"dynamics"`), whose series are then the outcomes: their last values
      (`at="end"`), or every date of them (`at="path"`), which adds the dimension `time` after `outcome`.
    - `store` (sobol): path of a file that holds the sums so far, replaced whole after each piece of the study. `resume=True` goes on
      after a kill at any moment, also from no file, redoing at most one piece, to the numbers of an uninterrupted run. A store of another
      study or version is refused with the reason, and never overwritten. Of several processes the first reads and writes it.

    **Returns** a dataset over `outcome` and `parameter` (with `lo` and `hi` of the ranges): `first`, `total` with
    `*_ci`, `second`, with a tolerance also `*_path` by `look`; or `shapley`; or `mu`, `mu_star`, `sigma`; or `nu`,
    `total_bound`; or `activity`, `eigenvalue`, `direction` by `component`; or `derivative`, `elasticity`. Samples with a
    failed point are dropped and counted in the attributes. Raises `InputError`, and `StoreError` where the disk fails or the store is
    damaged.
    """
    p, u = resolve(model, params, policy, precision)
    problems = name_problems([method], METHODS, "method of sensitivity")
    problems += count_problems(samples=samples, resamples=resamples) + seed_problems(seed)
    problems += _option_problems(method, second_order, tolerance, correlation, group, store, resume)
    response, chosen, layers, why = _response(model, layer, outcomes, at)
    problems += why
    if method == "elasticities":
        box, why = _point_box(model, names, p, u, layers)
        if prior:
            problems.append("prior does not apply to elasticities: they are taken at the point")
    else:
        box, why = box_of(model, names, prior, layers)
    problems += why
    copula, wrong = copula_of(box.names, correlation)
    problems += [] if why else wrong  # without a box its names are not known
    if problems or response is None:
        raise InputError(problems, f"the sensitivity analysis of {model.name}")
    time = response.time if isinstance(response, PathResponse) else None
    record = provenance(model, seed=seed, precision=precision, method=method, doc=METHODS[method], layer=layer, at=at,
                        params=settings(p), policy=settings(u), correlation=_pairs(correlation))  # fmt: skip
    saved: SavedStudy | None = None
    if store is not None:
        definition = {
            "model": model.name, "method": method, "samples": int(samples), "parameters": list(box.names), "lo": box.lo.tolist(),
            "hi": box.hi.tolist(), "outcomes": list(chosen), "layer": layer, "at": at, "second_order": second_order,
            "tolerance": None if tolerance is None else float(tolerance), "resamples": int(resamples), "group": group,
            "seed": int(seed), "precision": precision, "params": settings(p), "policy": settings(u),
            "source": source_hash(model), **versions(),
        }  # fmt: skip
        saved = open_study(Path(store), definition, record, resume)
    task = Task(model, response, chosen, box, copula, p, u, int(samples), second_order, int(resamples), int(seed),
                tolerance, progress, group, 1 if time is None else len(time), saved)  # fmt: skip
    with jax.enable_x64(precision == "float64"):
        variables, about = RUN[method](task)
    if time is not None:
        variables = {n: _by_date(*v, len(chosen)) for n, v in variables.items()}
    fields = inputs_of(model)
    coords: dict[str, Any] = {
        "outcome": list(chosen),
        "parameter": list(box.names),
        "outcome_symbol": ("outcome", [response.fields()[n].symbol for n in chosen]),
        "outcome_unit": ("outcome", [response.fields()[n].unit for n in chosen]),
        "parameter_symbol": ("parameter", [fields[n].symbol for n in box.names]),
        "parameter_unit": ("parameter", [fields[n].unit for n in box.names]),
    }
    if method != "elasticities":
        coords |= {"lo": ("parameter", box.lo), "hi": ("parameter", box.hi)}
    if second_order:
        coords["parameter_2"] = list(box.names)
    if time is not None:
        coords["time"] = time
    dataset = xr.Dataset(variables, coords=coords)
    dataset.attrs = as_attributes(record | about)
    return dataset


def _pairs(correlation: Correlation | None) -> dict[str, float] | None:
    """Correlations ready for JSON; `None` (not recorded) without any."""
    return {" ~ ".join(pair): float(value) for pair, value in correlation.items()} if correlation else None


def _by_date(dims: tuple[str, ...], values: Any, about: dict[str, Any], outcomes: int) -> tuple[Any, Any, Any]:
    """A variable by outcome, whose outcomes are all dates of one series after the other, by outcome and time."""
    if "outcome" not in dims:
        return dims, values, about
    axis, values = dims.index("outcome"), np.asarray(values)
    shape = (*values.shape[:axis], outcomes, -1, *values.shape[axis + 1 :])
    return (*dims[: axis + 1], "time", *dims[axis + 1 :]), values.reshape(shape), about


def _response(
    model: Model, layer: str, outcomes: Sequence[str] | None, at: str
) -> tuple[Response | None, tuple[str, ...], tuple[str, ...], list[str]]:
    """What is read at each point, the chosen outcomes, the layers whose parameters matter, and what is wrong."""
    wrong = name_problems([at], AT, "part of a series to read")
    if layer == "equilibrium":
        chosen, problems = outcome_names(model, outcomes)
        problems += wrong
        if at == "path":
            problems.append('at = "path" needs a dynamic layer, e.g. layer="dynamics"')
        return Response(model), chosen, ("equilibrium",), problems
    name = next(iter(model.dynamics), "") if layer == "dynamics" else layer
    if name not in model.dynamics:
        known = ["equilibrium", *(["dynamics"] if model.dynamics else []), *model.dynamics]
        return None, (), (), wrong + name_problems([layer], known, f"layer of {model.name} with derivatives")
    response = (PathResponse if at == "path" else TerminalResponse)(model, layer=name)
    known = tuple(response.fields())
    chosen = known if outcomes is None else (outcomes,) if isinstance(outcomes, str) else tuple(outcomes)
    return response, chosen, ("equilibrium", "dynamics"), wrong + name_problems(chosen, known, f"series of {name}")
