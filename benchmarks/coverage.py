"""Coverage of nominal 95 % intervals over 200 synthetic replications, for one model of each layer type.

A static equilibrium (pollution), paths of learning firms (intelligence capital) and the agent layer of the supply shock. Static and path data are the
model's moments at the truth, its default parameters, plus noise with the stated standard errors; agent data are means over
runs with other seeds.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxecon.analysis.coverage import Coverage, coverage, simulated_coverage
from jaxecon.analysis.moment_problem import MomentProblem, moment_problem
from jaxecon.analysis.simulated_moments import SimulatedProblem, simulated_problem
from jaxecon.analysis.targets import Target
from jaxecon.core.model import Model
from jaxecon.models.information_pollution import MODEL as POLLUTION
from jaxecon.models.intelligence_capital import MODEL as CAPITAL
from jaxecon.models.supply_shock import MODEL as SUPPLY

REPLICATIONS, LEVEL, RANGE = 200, 0.95, (0.91, 0.99)
# Standard errors of static and path data, in shares of the moments at the truth.
NOISE = 0.02
STATIC = {"z_L": (0.05, 1.5), "eta": (0.1, 2.5), "eps": (0.4, 2.5)}
PATH = {"delta_D": (0.05, 3.0), "Omega": (0.1, 4.0)}
AGENTS = {"L": (3.0, 10.0), "bp": (4.0, 5.6), "dx": (0.004, 0.011)}
AGENT_MOMENTS = ("active_80", "survivors", "share_final", "revenue_trough", "technique")


def _synthetic(model: Model, moments: tuple[str, ...], free: dict[str, tuple[float, float]], **params: Any) -> tuple[MomentProblem, np.ndarray]:
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


def path_problem() -> tuple[MomentProblem, np.ndarray]:
    """Decay and productivity of data from shares along the path of three providers."""
    return _synthetic(CAPITAL, tuple(CAPITAL.moments["shares"].about), PATH, N=3)


def agent_problem() -> tuple[SimulatedProblem, np.ndarray]:
    """Buffer, weight of the price and step of re-skilling from five documented moments; their values do not matter here."""
    about = SUPPLY.moments["agents"].about
    targets = [Target(n, n, 1.0, 1.0, about[n][0], "synthetic", grade="S") for n in AGENT_MOMENTS]
    problem = simulated_problem(SUPPLY, targets, AGENTS)
    return problem, problem.given


def _row(layer: str, measure_it: Callable[[], Coverage]) -> dict[str, Any]:
    start, processor = time.perf_counter(), time.process_time()
    found = measure_it()
    return {
        "work": f"coverage of {LEVEL:.0%} intervals, {layer}, {len(found.theta)} replications, {len(found.names)} parameters, "
        f"{found.df} moments more",
        "ours_s": time.perf_counter() - start,
        "processor_s": time.process_time() - processor,
        "coverage": dict(zip(found.names, found.share.round(4).tolist(), strict=True)),
        "deviation_over_standard_error": dict(zip(found.names, found.overconfidence.round(4).tolist(), strict=True)),
        "mean_j_over_df": float(np.mean(found.value) / found.df) if found.df else None,
        "solved": float(np.mean(np.isfinite(found.standard_errors).all(axis=1))),
        "bar": list(RANGE),
        "bar_is": "range of the coverage of every parameter",
    }


def measure(device: str) -> list[dict]:
    """One row a layer type."""
    del device  # JAX uses the accelerator that it finds
    rows = []
    for layer, build in (("equilibrium", static_problem), ("dynamics", path_problem)):
        problem, truth = build()
        rows.append(_row(f"{layer} of {problem.model.name}", lambda: coverage(problem, truth, replications=REPLICATIONS, level=LEVEL)))
    problem, truth = agent_problem()
    name = f"agents of {problem.map.model.name}"
    rows.append(_row(name, lambda: simulated_coverage(problem, truth, replications=REPLICATIONS, level=LEVEL)))
    return rows
