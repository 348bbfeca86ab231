"""Which parameters matter: variance shares, screening, derivatives over the box, elasticities at a point."""

import dataclasses
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxecon.analysis.batch import Response, TerminalResponse, evaluate_many
from jaxecon.analysis.designs import (
    Box,
    Progress,
    box_of,
    count_problems,
    get_values,
    inputs_of,
    name_problems,
    outcome_names,
    quasi_random,
    resolve,
    seed_problems,
)
from jaxecon.analysis.screening import elementary_effects, morris_design, morris_indices
from jaxecon.analysis.sobol import resample_counts, saltelli_design, sobol_indices
from jaxecon.core.errors import InputError
from jaxecon.core.model import SOLVED, Model
from jaxecon.core.results import as_attributes, provenance, reason_counts, settings

METHODS = {
    "sobol": "variance shares: first and total order (Saltelli 2010, Jansen 1999), second order (Saltelli 2002)",
    "morris": "elementary effects on trajectories (Morris 1991, Campolongo 2007)",
    "derivative": "mean squared exact derivatives and the bound they put on the total order (Sobol & Kucherenko 2009)",
    "elasticities": "exact derivatives and elasticities at the given point",
}
Variables = dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]]
PAIR = ("outcome", "parameter")


@dataclasses.dataclass(frozen=True)
class _Task:
    """One sensitivity analysis after validation."""

    model: Model
    response: Response
    outcomes: tuple[str, ...]
    box: Box
    p: Any
    u: Any
    samples: int
    second_order: bool
    resamples: int
    seed: int
    progress: Progress | None

    def evaluate(self, unit: np.ndarray, slopes: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """Rows at points of the unit cube, any leading shape."""
        rows, found = self.evaluate_at(self.box.scale(unit.reshape(-1, unit.shape[-1])), slopes)
        return rows.reshape(*unit.shape[:-1], -1), found

    def evaluate_at(self, points: np.ndarray, slopes: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Rows (the chosen outcomes, largest residual, status) and derivatives at points, shape `[n, k]`."""
        rows, found = evaluate_many(
            self.response, self.p, self.u, self.box.names, points, slopes=slopes, progress=self.progress
        )
        order = list(self.response.fields())
        chosen = [order.index(n) for n in self.outcomes]
        return rows[:, [*chosen, -2, -1]], None if found is None else found[:, chosen]


def _counts(task: _Task, rows: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    """Attributes: evaluations, failures by reason, samples kept. Raises if too few are left."""
    status = rows[..., -1].astype(int)
    if kept.sum() < 2:
        why = ", ".join(f"{k}: {v}" for k, v in reason_counts(task.model, status).items())
        message = (
            f"only {int(kept.sum())} of {kept.size} samples solved everywhere ({why}); narrow the ranges or add samples"
        )
        raise InputError([message], f"the sensitivity analysis of {task.model.name}")
    return {
        "samples": int(kept.size),
        "dropped": int(kept.size - kept.sum()),
        "evaluations": int(status.size),
        "failed": reason_counts(task.model, status),
    }


def _sobol(task: _Task) -> tuple[Variables, dict[str, Any]]:
    n, k = 1 << (task.samples - 1).bit_length(), len(task.box.names)
    rows, _ = task.evaluate(saltelli_design(k, n, task.seed, task.second_order))
    # One failure drops its base sample in all blocks: the estimators compare the blocks row by row.
    kept = np.all(np.isfinite(rows[..., :-2]).all(axis=-1) & (rows[..., -1] == SOLVED), axis=0)
    about = _counts(task, rows, kept)
    y = rows[:, kept, :-2]
    ab, ba = np.moveaxis(y[2 : 2 + k], 0, 1), np.moveaxis(y[2 + k :], 0, 1) if task.second_order else None
    with jax.enable_x64(True):
        found = jax.device_get(
            sobol_indices(*(np.asarray(x, float) if x is not None else None for x in (y[0], y[1], ab, ba)),  # pyright: ignore
                          resamples=task.resamples, seed=task.seed)
        )  # fmt: skip
    interval = f"half-width of the 95 % interval, {task.resamples} bootstrap resamples"
    variables: Variables = {
        "first": (PAIR, found.first, {"long_name": "first-order share of variance"}),
        "first_ci": (PAIR, found.first_ci, {"doc": interval}),
        "total": (PAIR, found.total, {"long_name": "total-order share of variance"}),
        "total_ci": (PAIR, found.total_ci, {"doc": interval}),
    }
    if task.second_order:
        wide = (*PAIR, "parameter_2")
        variables["second"] = (wide, found.second, {"long_name": "interaction share of variance"})
        variables["second_ci"] = (wide, found.second_ci, {"doc": interval})
    both = y[:2].reshape(-1, y.shape[-1])
    variables["mean"] = (("outcome",), both.mean(axis=0), {"doc": "mean over the prior box"})
    variables["std"] = (("outcome",), both.std(axis=0), {"doc": "standard deviation over the prior box"})
    return variables, about


def _morris(task: _Task) -> tuple[Variables, dict[str, Any]]:
    design = morris_design(len(task.box.names), task.samples, task.seed)
    rows, _ = task.evaluate(design.points)
    kept = np.all(np.isfinite(rows[..., :-2]).all(axis=-1) & (rows[..., -1] == SOLVED), axis=1)
    about = _counts(task, rows, kept)
    effects = elementary_effects(design, rows[..., :-2])[kept]
    found = morris_indices(effects, resamples=task.resamples, seed=task.seed)
    docs = {
        "mu": "mean elementary effect: change of the outcome per full range of the parameter",
        "mu_star": "mean absolute elementary effect",
        "mu_star_ci": f"half-width of the 95 % interval, {task.resamples} bootstrap resamples",
        "sigma": "standard deviation of the elementary effects: curvature and interactions",
    }
    return {n: (PAIR, getattr(found, n), {"doc": doc}) for n, doc in docs.items()}, about


def _derivative(task: _Task) -> tuple[Variables, dict[str, Any]]:
    r"""$\nu_j = E[(\partial y/\partial x_j)^2]$ and $T_j \le \nu_j (hi_j - lo_j)^2 / (\pi^2 V)$ [S]."""
    n = 1 << (task.samples - 1).bit_length()
    rows, slopes = task.evaluate(quasi_random(len(task.box.names), task.seed).random(n), slopes=True)
    assert slopes is not None
    kept = np.isfinite(rows[:, :-2]).all(axis=1) & (rows[:, -1] == SOLVED) & np.isfinite(slopes).all(axis=(1, 2))
    about = _counts(task, rows, kept)
    y, slopes = rows[kept, :-2], slopes[kept]
    squares = slopes**2
    nu, m = squares.mean(axis=0), len(y)
    resampled = resample_counts(m, task.resamples, task.seed) @ squares.reshape(m, -1) / m
    z = NormalDist().inv_cdf(0.975)
    variance = y.var(axis=0)[:, None]
    bound = np.where(variance > 0, nu * (task.box.hi - task.box.lo) ** 2 / np.where(variance > 0, variance, 1), 0.0)
    return {
        "nu": (PAIR, nu, {"doc": "mean squared derivative of the outcome over the prior box"}),
        "nu_ci": (PAIR, (z * resampled.std(axis=0, ddof=1)).reshape(nu.shape),
                  {"doc": f"half-width of the 95 % interval, {task.resamples} bootstrap resamples"}),
        "total_bound": (PAIR, bound / np.pi**2, {"doc": "Poincare upper bound of the total-order share of variance"}),
        "mean_derivative": (PAIR, slopes.mean(axis=0), {"doc": "mean derivative over the prior box"}),
    }, about  # fmt: skip


def _elasticities(task: _Task) -> tuple[Variables, dict[str, Any]]:
    x = np.asarray(get_values(task.p, task.u, task.box.names), float)
    rows, slopes = task.evaluate_at(x[None], True)
    assert slopes is not None
    y, slope, status = rows[0, :-2], slopes[0], int(rows[0, -1])
    with np.errstate(divide="ignore", invalid="ignore"):
        elasticity = np.where(y[:, None] != 0, slope * x / y[:, None], np.nan)
    return {
        "derivative": (PAIR, slope, {"doc": "d outcome / d parameter, exact, in units of outcome per unit of parameter"}),
        "elasticity": (PAIR, elasticity, {"doc": "d ln outcome / d ln parameter; NaN where the outcome is zero"}),
        "value": (("outcome",), y, {"doc": "the outcome at the point"}),
        "at": (("parameter",), x, {"doc": "the parameter at the point"}),
    }, {"status": status, "reason": task.model.reason(status)[0]}  # fmt: skip


_RUN = {"sobol": _sobol, "morris": _morris, "derivative": _derivative, "elasticities": _elasticities}


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
    second_order: bool = False,
    resamples: int = 100,
    seed: int = 0,
    layer: str = "equilibrium",
    progress: Progress | None = None,
    precision: str = "float64",
) -> xr.Dataset:
    """Sensitivity of all outcomes to parameters and instruments.

    **Arguments**

    - `method`: `"sobol"` (`samples` base points, rounded up to a power of two), `"morris"` (`samples`
      trajectories), `"derivative"` (`samples` points, rounded up likewise), `"elasticities"` (at `params`, `policy`).
    - `names`: which parameters and instruments; default: all parameters with a prior box (elasticities: all real
      ones and the instruments). `prior` (name -> (lo, hi)) replaces the box of its fields.
    - `second_order`: also the interactions of pairs (sobol). `resamples`: bootstrap resamples of the intervals.
    - `layer`: `"equilibrium"`, or a dynamic layer (or `"dynamics"`), whose last values are then the outcomes.

    **Returns** a dataset over `outcome` and `parameter` (with `lo` and `hi` of the ranges): `first`, `total` with
    `*_ci`, `second`; or `mu`, `mu_star`, `sigma`; or `nu`, `total_bound`; or `derivative`, `elasticity`. Samples
    with a failed point are dropped and counted in the attributes. Raises `InputError`.
    """
    p, u = resolve(model, params, policy, precision)
    problems = name_problems([method], METHODS, "method of sensitivity")
    problems += count_problems(samples=samples, resamples=resamples) + seed_problems(seed)
    if second_order and method in METHODS and method != "sobol":
        problems.append(f"second_order applies to the method 'sobol', not to {method!r}")
    response, chosen, layers, why = _response(model, layer, outcomes)
    problems += why
    if method == "elasticities":
        box, why = _point_box(model, names, p, u, layers)
        if prior:
            problems.append("prior does not apply to elasticities: they are taken at the point")
    else:
        box, why = box_of(model, names, prior, layers)
    problems += why
    if problems or response is None:
        raise InputError(problems, f"the sensitivity analysis of {model.name}")
    task = _Task(model, response, chosen, box, p, u, int(samples), second_order, int(resamples), int(seed), progress)
    with jax.enable_x64(precision == "float64"):
        variables, about = _RUN[method](task)
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
    dataset = xr.Dataset(variables, coords=coords)
    dataset.attrs = as_attributes(
        provenance(model, seed=seed, precision=precision, method=method, doc=METHODS[method], layer=layer,
                   params=settings(p), policy=settings(u)) | about
    )  # fmt: skip
    return dataset


def _response(
    model: Model, layer: str, outcomes: Sequence[str] | None
) -> tuple[Response | None, tuple[str, ...], tuple[str, ...], list[str]]:
    """What is read at each point, the chosen outcomes, the layers whose parameters matter, and what is wrong."""
    if layer == "equilibrium":
        chosen, problems = outcome_names(model, outcomes)
        return Response(model), chosen, ("equilibrium",), problems
    name = next(iter(model.dynamics), "") if layer == "dynamics" else layer
    if name not in model.dynamics:
        known = ["equilibrium", *(["dynamics"] if model.dynamics else []), *model.dynamics]
        return None, (), (), name_problems([layer], known, f"layer of {model.name} with derivatives")
    response = TerminalResponse(model, layer=name)
    known = tuple(response.fields())
    chosen = known if outcomes is None else (outcomes,) if isinstance(outcomes, str) else tuple(outcomes)
    return response, chosen, ("equilibrium", "dynamics"), name_problems(chosen, known, f"series of {name}")
