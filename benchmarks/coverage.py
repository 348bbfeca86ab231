"""Coverage of nominal 95 % intervals over 200 synthetic replications, for one model of each layer type.

A static equilibrium (pollution), paths of rents and transparency (rent-seeking) and the agent layer of the supply shock.
Static and path data are the model's moments at the truth, its default parameters, plus noise with the stated standard errors;
agent data are means over runs with other seeds.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxecon.analysis.coverage import Coverage, coverage, simulated_coverage
from jaxecon.analysis.moment_problem import MomentProblem, moment_problem
from jaxecon.analysis.simulated_moments import SimulatedProblem, simulated_problem
from jaxecon.analysis.targets import Target
from jaxecon.core.model import Model, Moments
from jaxecon.models.information_pollution import MODEL as POLLUTION
from jaxecon.models.rent_seeking import MODEL as RENTS
from jaxecon.models.supply_shock import MODEL as SUPPLY

REPLICATIONS, LEVEL, RANGE = 200, 0.95, (0.91, 0.99)
# Standard errors of static and path data, in shares of the moments at the truth.
NOISE = 0.02
STATIC = {"z_L": (0.05, 1.5), "eta": (0.1, 2.5), "eps": (0.4, 2.5)}
PATH = {"delta": (0.05, 0.5), "R_0": (0.2, 1.2), "alpha": (0.03, 0.5)}
YEARS = (3, 10, 20)
AGENTS = {"L": (3.0, 10.0), "bp": (4.0, 5.6), "dx": (0.004, 0.011)}
AGENT_MOMENTS = ("active_80", "survivors", "share_final", "revenue_trough", "technique")


def _synthetic(
    model: Model, moments: tuple[str, ...], free: dict[str, tuple[float, float]], **params: Any
) -> tuple[MomentProblem, np.ndarray]:
    """A problem whose standard errors are shares of the moments at the truth, and the truth."""
    about = {name: unit for g in model.moments.values() for name, (unit, _) in g.about.items()}
    units = {n: about.get(n) or model.fields[n].unit for n in moments}

    def problem(values: np.ndarray) -> MomentProblem:
        targets = [
            Target(n, n, float(v), NOISE * abs(float(v)), units[n], "synthetic", grade="S")
            for n, v in zip(moments, values, strict=True)
        ]
        return moment_problem(model, targets, free, params=model.params(**params))

    first = problem(np.ones(len(moments)))
    return problem(first.rows(first.given)[0][0]), first.given


def static_problem() -> tuple[MomentProblem, np.ndarray]:
    """Three parameters of the pollution of information from five moments of its equilibrium."""
    moments = ("low_quality_supply", "low_quality_ads", "moderation_spending", "trust", "welfare")
    return _synthetic(POLLUTION, moments, STATIC)


def _rents(p: Any, u: Any, key: Any) -> dict[str, jax.Array]:
    """Rents and transparency along the path, at the dates of the data."""
    path = RENTS.dynamics["rents"].run(p, u, jnp.arange(YEARS[-1] + 1, dtype=p.delta.dtype))
    series = {"rents": path.rents, "transparency": path.transparency}
    return {f"{name}_{year}": x[year] for name, x in series.items() for year in YEARS}


def path_problem() -> tuple[MomentProblem, np.ndarray]:
    """Decay of rents, their start, and what manipulation does to transparency, from six points of a path of 20 years."""
    about = {
        f"{n}_{y}": (unit, f"{n} in year {y}") for n, unit in (("rents", "rents"), ("transparency", "1")) for y in YEARS
    }
    model = dataclasses.replace(RENTS, moments={"path": Moments(_rents, about, cost="path")})
    return _synthetic(model, tuple(about), PATH)


def agent_problem() -> tuple[SimulatedProblem, np.ndarray]:
    """Buffer, weight of the price and step of re-skilling from five documented moments; their values do not matter here."""
    about = SUPPLY.moments["agents"].about
    targets = [Target(n, n, 1.0, 1.0, about[n][0], "synthetic", grade="S") for n in AGENT_MOMENTS]
    problem = simulated_problem(SUPPLY, targets, AGENTS)
    return problem, problem.given


def _row(layer: str, found: Coverage, seconds: float, processor: float) -> dict[str, Any]:
    return {
        "work": f"coverage of {LEVEL:.0%} intervals, {layer}, {len(found.theta)} replications, {len(found.names)} parameters",
        "ours_s": seconds,
        "processor_s": processor,
        "coverage": dict(zip(found.names, found.share.round(4).tolist(), strict=True)),
        "deviation_over_standard_error": dict(zip(found.names, found.overconfidence.round(4).tolist(), strict=True)),
        "solved": float(np.mean(np.isfinite(found.standard_errors).all(axis=1))),
        "bar": list(RANGE),
        "bar_is": "range of the coverage of every parameter",
    }


def measure(device: str) -> list[dict]:
    """One row a layer type; problems are built, and programs compiled, within the time."""
    del device  # JAX computes on it
    studies: dict[str, Callable[[], Coverage]] = {
        "equilibrium of information_pollution": lambda: coverage(
            *static_problem(), replications=REPLICATIONS, level=LEVEL
        ),
        "paths of rent_seeking": lambda: coverage(*path_problem(), replications=REPLICATIONS, level=LEVEL),
        "agents of supply_shock": lambda: simulated_coverage(*agent_problem(), replications=REPLICATIONS, level=LEVEL),
    }
    rows = []
    for layer, study in studies.items():
        start, processor = time.perf_counter(), time.process_time()
        found = study()
        rows.append(_row(layer, found, time.perf_counter() - start, time.process_time() - processor))
    return rows
