"""Results as data: a TOML file for people and programs, and ArviZ InferenceData; equal runs give equal bytes."""

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxecon.analysis.estimate import Estimate
from jaxecon.analysis.evidence import SourcedPrior
from jaxecon.analysis.inference import delta_method, policy_intervals
from jaxecon.analysis.moment_problem import MomentProblem
from jaxecon.analysis.posterior import Posterior, arviz
from jaxecon.analysis.saved import write_atomically
from jaxecon.analysis.simulation_based import pyabc
from jaxecon.core.fields import fields_of
from jaxecon.core.optional import optional_module
from jaxecon.core.results import as_attributes, field_attributes

# Draws of the sampling distribution that are stored.
DRAWS = 1000


def _toml() -> Any:
    return optional_module("tomli_w", "tomli_w", "calibration", "the results of a calibration")


def check_packages(method: str) -> None:
    """Raise `MissingPackageError`, before anything is computed, where a package that the method or its results need is missing."""
    _toml()
    optional_module("h5netcdf", "h5netcdf", "calibration", "the results of a calibration")
    arviz()
    if method == "abc":
        pyabc()


def estimate_record(found: Estimate, study: dict[str, Any], instruments: list[str]) -> dict[str, Any]:
    """An estimate as plain tables: result, test, search, parameters, moments, outcomes, best policy, covariance, record."""
    problem, inference, search = found.problem, found.inference, found.search
    fields = problem.model.fields
    parameters = [
        {
            "name": n, "unit": fields[n].unit, "estimate": float(t), "standard_error": float(s), "given": float(g),
            "lo": float(a), "hi": float(b), "at_bound": end,
        }
        for n, t, s, g, a, b, end in zip(
            found.names, found.theta, found.standard_errors, problem.given, problem.lo, problem.hi, found.at_bound, strict=True
        )
    ]  # fmt: skip
    outcomes = delta_method(found, list(fields_of(problem.model.Outcomes)))
    record: dict[str, Any] = {
        "result": {
            "model": problem.model.name, "fit": study["fit"], "method": found.method, "weight": found.weighting,
            "distance": found.value, "largest_gradient": found.gradient, "converged": found.converged,
            "unique": search.unique, "rank": inference.rank, "singular_values": inference.singular.tolist(),
        },
        "test": {"statistic": inference.j, "degrees_of_freedom": inference.df, "p_value": inference.p_value},
        "parameter": parameters,
        "moment": _moments(problem, found.moments),
        "outcome": _quantities(outcomes, "quantity"),
        "search": {
            "starts": search.starts, "failed": search.failed, "elsewhere": search.elsewhere, "unsettled": search.unsettled, "reasons": search.reasons,
            "mean_steps": search.mean_steps,
        },
        "basin": [
            {"distance": b.value, "share": b.share, "extent": b.extent, "largest_gradient": b.gradient, "theta": b.theta.tolist()}
            for b in search.basins
        ],
        "covariance": inference.covariance.tolist(),
    }  # fmt: skip
    if instruments:
        policy, value = policy_intervals(found, instruments)
        record["policy"] = _quantities(policy, "instrument")
        record["policy_value"] = _quantities(value, "quantity")
        record["policy_status"] = str(policy.attrs["status"])
    return record | {"study": study, "record": _plain(found.record)}


def posterior_record(found: Posterior, study: dict[str, Any], priors: dict[str, SourcedPrior]) -> dict[str, Any]:
    """A posterior as plain tables: result, priors from sources, parameters with quantiles and diagnostics, moments at the posterior
    mean of each, record."""
    summary, problem = found.summary(), found.problem
    names = ("mean", "sd", "r_hat", "ess_bulk", "ess_tail", "mcse_mean", "lo", "hi")
    parameters = [
        {"name": n, "unit": str(summary.unit.values[j])}
        | {k: float(summary[k].values[j]) for k in names}
        | {
            "quantiles": {
                f"{level:g}": float(summary["quantile"].values[j, i]) for i, level in enumerate(summary.level.values)
            }
        }
        for j, n in enumerate(found.names)
    ]
    moments = np.nanmean(found.moments.reshape(-1, len(problem.observed)), axis=0)
    return {
        "result": {
            "model": problem.model.name, "fit": study["fit"], "method": found.method, "verdict": found.verdict,
            "divergences": found.divergences, "chains": found.draws.shape[0], "draws": found.draws.shape[1],
            "log_evidence": found.log_evidence.tolist(),
        },
        "prior": [_plain(dataclasses.asdict(p)) for p in priors.values()],
        "parameter": parameters,
        "moment": _moments(problem, moments),
        "study": study,
        "record": _plain(dict(summary.attrs)),
    }  # fmt: skip


def policy_record(found: xr.Dataset) -> dict[str, Any]:
    """Best instruments under a posterior with their bands, and the value of information of all parameters and of each."""
    ends = {"lo": 0.025, "median": 0.5, "hi": 0.975}
    policy = [
        {"name": str(n), "unit": str(found.unit.values[j])}
        | {k: float(found[k].values[j]) for k in ("mean", "sd", "best_mean", "robust")}
        | {k: float(found.band.sel(level=level).values[j]) for k, level in ends.items()}
        | {"quantiles": {f"{level:g}": float(x) for level, x in zip(found.level.values, found.band.values[j])}}
        for j, n in enumerate(found.instrument.values)
    ]
    each = [
        {"name": str(n), "value": float(found.evppi[j]), "standard_error": float(found.evppi_error[j]), "share": float(found.evppi_share[j])}
        for j, n in enumerate(found.parameter.values)
    ]  # fmt: skip
    about = {
        "objective": str(found.attrs["objective"]), "unit": found.evpi.attrs["units"], "evpi": float(found.evpi),
        "draws": int(found.sizes["draw"]), "left_out": int(found.attrs["left_out"]),
    }  # fmt: skip
    return {"policy": policy, "information": about, "information_parameter": each}


def _moments(problem: MomentProblem, moments: np.ndarray) -> list[dict[str, Any]]:
    """Each target beside the model; the error in standard errors of the target."""
    return [
        {
            "target": t.name, "moment": t.moment, "unit": t.unit, "value": float(o), "standard_error": float(s), "model": float(m),
            "error": float((m - o) / s), "grade": t.grade, "source": t.source, "judgment": t.judgment,
        }
        for t, o, s, m in zip(problem.targets, problem.observed, problem.scale, moments, strict=True)
    ]  # fmt: skip


def _quantities(found: xr.Dataset, dim: str) -> list[dict[str, Any]]:
    return [
        {"name": str(n), "unit": str(found.unit.values[j])}
        | {k: float(found[k].values[j]) for k in ("value", "standard_error", "lo", "hi")}
        for j, n in enumerate(found[dim].values)
    ]


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record that TOML accepts: no None; NumPy numbers and tuples as Python's numbers and lists."""
    return json.loads(
        json.dumps({k: v for k, v in record.items() if v is not None}, default=lambda x: np.asarray(x).tolist())
    )


def estimate_data(found: Estimate, study: dict[str, Any]) -> Any:
    """An estimate as InferenceData.

    Groups: `observed_data` and `constant_data` (targets and their standard errors), `estimate` (point, standard errors, covariance, moments and
    their Jacobian), and `sampling_distribution`: draws of the normal limit of the estimator, NaN where not identified. It is no
    posterior, and is not named one.
    """
    problem, az = found.problem, arviz()
    rng = np.random.default_rng([study["seed"], 2])
    values, vectors = np.linalg.eigh(found.inference.spread)
    draws = found.theta + rng.standard_normal((DRAWS, len(values))) * np.sqrt(np.maximum(values, 0)) @ vectors.T
    draws[:, np.isnan(found.standard_errors) & ~found.inference.held] = np.nan
    names, targets, fields = list(found.names), [t.name for t in problem.targets], problem.model.fields
    attributes = as_attributes({k: v for k, v in found.record.items() if v is not None} | {"study": study})
    groups = {
        "observed_data": xr.Dataset({"moments": ("target", problem.observed)}),
        "constant_data": xr.Dataset({"standard_error": ("target", problem.scale)}),
        "estimate": xr.Dataset(
            {
                "theta": ("parameter", found.theta),
                "standard_error": ("parameter", found.standard_errors),
                "covariance": (("parameter", "parameter_2"), found.inference.covariance),
                "moments": ("target", found.moments),
                "jacobian": (("target", "parameter"), found.jacobian),
                "weight": (("target", "target_2"), found.weight),
            },
            coords={"parameter": names, "parameter_2": names, "target_2": targets},
        ),
        "sampling_distribution": xr.Dataset(
            {n: (("chain", "draw"), draws[None, :, j], field_attributes(fields[n])) for j, n in enumerate(names)},
            coords={"chain": [0], "draw": np.arange(DRAWS)},
        ),
    }
    groups = {
        k: (g.assign_coords(target=targets) if "target" in g.dims else g).assign_attrs(attributes)
        for k, g in groups.items()
    }
    with warnings.catch_warnings():
        # ArviZ tells of groups that its schema does not name; these are none of its posterior.
        warnings.simplefilter("ignore")
        return az.InferenceData(**groups)


def write_results(folder: Path, record: dict[str, Any], data: Any) -> list[Path]:
    """Write `result.toml` and `inference_data.nc`; returns their paths."""
    paths = [folder / "result.toml", folder / "inference_data.nc"]
    beside = paths[1].with_name(paths[1].name + ".part")
    data.to_netcdf(str(beside), engine="h5netcdf")
    beside.replace(paths[1])
    write_atomically(paths[0], _toml().dumps(record).encode())
    return paths


def study_of(problem: MomentProblem, **settings: Any) -> dict[str, Any]:
    """What defines a calibration, ready for JSON and TOML."""
    readings = [dataclasses.asdict(r) for r in problem.map.readings]
    plain = {
        "model": problem.model.name, "free": {n: [float(a), float(b)] for n, a, b in zip(problem.names, problem.lo, problem.hi)},
        "readings": json.dumps(readings, sort_keys=True, default=str), "observed": problem.observed.tolist(),
        "covariance": problem.covariance.tolist(), "seeds": problem.seeds, **settings,
    }  # fmt: skip
    return _plain(plain)
