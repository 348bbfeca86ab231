"""A thousand starts of GMM estimates of a static model, compilation included, against SciPy's `least_squares` from the same starts.

One with synthetic moments of one economy, and the fit to market evidence that ships with the model, whose moments compare two.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from scipy.optimize import least_squares
from threadpoolctl import threadpool_limits

from benchmarks.peers.supply_shock import solve
from jaxecon.analysis.estimate import Estimate, estimate, starting_points
from jaxecon.analysis.moment_problem import MomentProblem, moment_problem
from jaxecon.analysis.targets import Place, Target, read_targets
from jaxecon.core.discovery import load
from jaxecon.core.fields import fields_of
from jaxecon.core.model import evaluate

TARGETS = Path(__file__).parent.parent / "calibration" / "supply_shock" / "targets.toml"
STARTS, PEER_STARTS, SEED = 1000, 12, 0
BAR = 30.0
FREE = {"beta": (0.0, 0.2), "n": (0.2, 0.8), "q_A": (0.4, 0.8), "c_A": (0.0, 0.15), "gamma": (1.5, 4.0)}
MOMENTS = ("ai_volume", "coverage", "search_penalty", "mean_quality", "revenue", "creator_income")
# Relative standard error of each target; ends within SAME of the best distance have found it.
ERROR, SAME = 0.02, 1e-3


def synthetic_problem() -> MomentProblem:
    """Moments of the baseline of `supply_shock` with errors of two percent: six targets, five free parameters."""
    model = load("supply_shock")
    out, fields = evaluate(model).outcomes, fields_of(model.Outcomes)
    rng = np.random.default_rng(SEED)
    targets = []
    for name in MOMENTS:
        value = float(getattr(out, name))
        error = ERROR * abs(value)
        targets.append(
            Target(name, name, value + error * float(rng.standard_normal()), error, fields[name].unit, "synthetic")
        )
    return moment_problem(model, targets, FREE)


def shipped_problem() -> MomentProblem:
    """The fit of `supply_shock` to market evidence: six ratios of the market with AI to that without, four free parameters."""
    model = load("supply_shock")
    return moment_problem(model, read_targets(model, TARGETS), "evidence")


def measure(device: str) -> list[dict]:
    """One row a problem: seconds of the first call, which compiles, and of a second one; basins; the peer on some of the starts."""
    del device  # JAX computes on it
    return [
        _row("GMM of supply_shock", synthetic_problem()),
        _row("GMM of supply_shock to market evidence", shipped_problem()),
    ]


def _row(work: str, problem: MomentProblem) -> dict:
    start = time.perf_counter()
    found = estimate(problem, starts=STARTS, seed=SEED)
    first = time.perf_counter() - start
    start = time.perf_counter()
    estimate(problem, starts=STARTS, seed=SEED)
    again = time.perf_counter() - start
    row = {
        "work": f"{work}, {len(problem.targets)} targets, {len(problem.names)} parameters, {STARTS} starts, compilation included",
        "ours_s": first,
        "compile_s": first - again,
        "solved": 1 - found.search.failed,
        "best_share": found.search.basins[0].share,
        "basins": len(found.search.basins),
        "elsewhere": found.search.elsewhere,
        "unsettled": found.search.unsettled,
        "mean_steps": found.search.mean_steps,
        "distance": found.value,
        "max_residual": found.gradient,
        "max_residual_is": "largest projected gradient of half the distance by the share of a range",
        "devices": len(jax.devices()),
        "bar": BAR,
        "bar_is": "seconds, at most",
    }
    return row | _peer(problem, found, first)


def _peer(problem: MomentProblem, found: Estimate, ours: float) -> dict:
    """SciPy's trust region with finite differences on the model in plain Python, one thread, from the first starts of ours."""
    model, readings = problem.model, problem.map.readings
    base = {n: f.default for n, f in fields_of(model.Params).items()}
    policy = {n: f.default for n, f in fields_of(model.Policy).items()}
    symbols = [fields_of(model.Outcomes)[r.moment].symbol for r in readings]
    places = {place for r in readings for place in (r.place, r.against) if place is not None}
    width = problem.hi - problem.lo

    def worlds(theta: Mapping[str, float]) -> dict[Place, dict]:
        return {x: solve(base | dict(theta) | dict(x.params), policy | dict(x.policy)) for x in places}

    def residuals(share: np.ndarray) -> np.ndarray:
        at = worlds(dict(zip(problem.names, map(float, problem.lo + width * share))))
        if not all(x["solved"] for x in at.values()):
            return np.full(len(readings), 1e3)
        here = np.array([at[r.place][s] for r, s in zip(readings, symbols)])
        there = np.array([at[r.against][s] if r.against is not None else 1.0 for r, s in zip(readings, symbols)])
        return (here / there - problem.observed) / problem.scale

    starts = (starting_points(problem, STARTS, SEED)[:PEER_STARTS] - problem.lo) / width
    ends = []
    start = time.perf_counter()
    with threadpool_limits(1):
        for share in starts:
            end = least_squares(residuals, np.clip(share, 1e-6, 1 - 1e-6), bounds=(0, 1))
            ends.append(2 * end.cost)
    seconds = time.perf_counter() - start
    return {
        "peer": f"SciPy least_squares, one thread, {PEER_STARTS} starts scaled to {STARTS}",
        "peer_s": seconds / PEER_STARTS * STARTS,
        "peer_best_share": float(np.mean(np.array(ends) <= found.value + SAME * (1 + found.value))),
        "peer_distance": float(min(ends)),
        "ratio": seconds / PEER_STARTS * STARTS / ours,
    }
