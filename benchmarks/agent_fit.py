"""The agent layer of the supply shock fitted to its documented moments: 28 parameters, 11 moments, against CMA-ES and black-it.

One loss (squared errors in units of the stated tolerances, 200 common runs), one box (that of the fields), one count: an
evaluation is one parameter vector, whatever the number of its runs, and a Jacobian counts as one and one more for each
parameter. That is the count least favorable to us (slopes take 8 runs, most vectors of the first stages 8 or 40), so runs are
reported, too, in units of 200. A level of the loss counts as reached when it is seen over all 200 runs. Searches start from
the box, not from the fitted values of the specification.

black-it needs NumPy 1, which JAX no longer runs with: put it in an environment of its own and name its interpreter,
`python -m venv black-it && black-it/bin/pip install black-it`, `BLACK_IT_PYTHON=black-it/bin/python`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxecon.analysis.simulated import SimulatedFit, Trail, residuals, simulated_fit
from jaxecon.analysis.simulated_moments import SimulatedProblem, simulated_problem
from jaxecon.analysis.targets import read_targets
from jaxecon.models.supply_shock import MODEL

FREE = (
    "B", "bp", "v0", "sw", "beta_ab", "eta_ab", "chi_ab", "a0", "ra", "T0", "C0", "lT", "lC", "dA", "f", "w0_ab", "cr", "fee",
    "L", "dx", "dy", "two", "sdx", "sdy", "r_xy", "lr", "disc", "tau_q",
)  # fmt: skip
TARGETS = Path(__file__).parent.parent / "calibration" / "supply_shock" / "targets.toml"
# Runs of one evaluation, fresh runs that judge a fit, evaluations granted to a peer (in those that ours took, at least so many).
RUNS, FRESH, GRANTED, AT_LEAST = 200, 2000, 1.25, 400
BAR_MINUTES, SEEDS = 60.0, (0, 1, 2)


def paper_problem(seed: int = 0) -> SimulatedProblem:
    """All parameters that the documented design leaves open against all documented moments."""
    free = {n: MODEL.fields[n].box for n in FREE}
    return simulated_problem(MODEL, read_targets(MODEL, TARGETS), free, seed=seed)


def loss_at(problem: SimulatedProblem, share: np.ndarray, runs: int = RUNS, seed: int | None = None) -> np.ndarray:
    """The common loss at points of the unit cube `[n, k]`."""
    sample = problem.sample(problem.theta(np.atleast_2d(share)), runs, seed=seed)
    return np.sum(residuals(problem, sample, problem.observed) ** 2, axis=1)


class Ledger:
    """Best loss by the number of evaluations, for a peer that asks for one parameter vector or several."""

    def __init__(self, problem: SimulatedProblem, budget: int, goal: float) -> None:
        self.problem, self.budget, self.goal = problem, budget, goal
        self.losses: list[float] = []

    def __call__(self, share: np.ndarray) -> np.ndarray:
        """Losses at points `[n, k]`, which are counted."""
        found = loss_at(self.problem, share)
        self.losses += found.tolist()
        return found

    @property
    def over(self) -> bool:
        return len(self.losses) >= self.budget or min(self.losses, default=np.inf) <= self.goal

    def reached(self, level: float) -> int | None:
        """Evaluations until the loss was at the level; `None` if it never was."""
        hits = np.flatnonzero(np.asarray(self.losses) <= level)
        return int(hits[0]) + 1 if len(hits) else None


def cma_es(ledger: Ledger, seed: int) -> str:
    """pycma as its documentation advises: unit cube, step a quarter of its width, default population, a random start."""
    import cma

    k = len(ledger.problem.names)
    start = np.random.default_rng(seed).uniform(size=k)
    search = cma.CMAEvolutionStrategy(start, 0.25, {"bounds": [0, 1], "seed": seed + 1, "verbose": -9})
    while not ledger.over and not search.stop():
        points = search.ask()
        search.tell(points, ledger(np.array(points)).tolist())
    return f"CMA-ES (pycma {cma.__version__}), population {search.popsize}"


# The samplers and their batch of black-it's own first example; the model answers through the pipe.
_BLACK_IT = """
import json, sys
import numpy as np
pipe, sys.stdout = sys.stdout, sys.stderr
from black_it.calibrator import Calibrator
from black_it.loss_functions.base import BaseLoss
from black_it.samplers.best_batch import BestBatchSampler
from black_it.samplers.halton import HaltonSampler
from black_it.samplers.random_forest import RandomForestSampler

class Given(BaseLoss):
    def compute_loss(self, sim_data_ensemble, real_data):
        return float(sim_data_ensemble[0, 0, 0])

    def compute_loss_1d(self, sim_data_ensemble, real_data):
        return float(sim_data_ensemble[0, 0])

def model(theta, N, seed):
    pipe.write(json.dumps([float(x) for x in theta]) + "\\n")
    pipe.flush()
    answer = sys.stdin.readline().strip()
    if not answer:
        sys.exit(0)
    return np.array([[float(answer)]])

k, seed, batch = int(sys.argv[1]), int(sys.argv[2]), 8
samplers = [HaltonSampler(batch), RandomForestSampler(batch), BestBatchSampler(batch)]
Calibrator(Given(), np.zeros((1, 1)), model, [[0.0] * k, [1.0] * k], [0.01] * k, 1, samplers=samplers,
           random_state=seed, n_jobs=1, verbose=False).calibrate(10**6)
"""


def black_it(ledger: Ledger, seed: int) -> str:
    """black-it's Halton, random forest and best batch samplers in turn, eight points each, in a process of its own."""
    python = os.environ.get("BLACK_IT_PYTHON", sys.executable)
    command = [python, "-c", _BLACK_IT, str(len(ledger.problem.names)), str(seed)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as peer:
        assert peer.stdin and peer.stdout and peer.stderr
        while not ledger.over:
            asked = peer.stdout.readline()
            if not asked:
                message = peer.stderr.read().strip()
                raise ImportError(message.splitlines()[-1] if message else "black-it ended")
            peer.stdin.write(f"{float(ledger(np.array(json.loads(asked)))[0])!r}\n")
            peer.stdin.flush()
        peer.kill()
    return "black-it: Halton, random forest and best batch, 8 points each"


def _fit(problem: SimulatedProblem, **options: Any) -> tuple[SimulatedFit, dict[str, Any], list[tuple[int, float]]]:
    """A fit, what it cost, and its losses over all runs by the number of evaluations."""
    k, seen = len(problem.names), []

    def note(entry: Trail) -> None:
        if entry.seeds == RUNS:
            seen.append((entry.count.evaluations(k), entry.loss))

    wall, processor = time.perf_counter(), time.process_time()
    fit = simulated_fit(problem, progress=note, **options)
    cost = {
        "ours_s": time.perf_counter() - wall,
        "processor_s": time.process_time() - processor,
        "loss": fit.loss,
        "loss_fresh_runs": float(loss_at(problem, problem.share(fit.theta), FRESH, 10**6)[0]),
        "fresh_runs": FRESH,
        "evaluations": fit.count.evaluations(k),
        "vectors": fit.count.vectors,
        "jacobians": fit.count.slopes,
        "runs_in_units_of_200": fit.count.runs / RUNS,
        "runs_and_tangents_in_units_of_200": (fit.count.runs + (1 + k) * fit.count.slope_runs) / RUNS,
        "errors_in_tolerances": dict(zip(problem.map.moments, np.round(fit.errors, 4).tolist(), strict=True)),
    }
    return fit, cost, seen


def _row(problem: SimulatedProblem, seed: int, peers: dict[str, Callable[[Ledger, int], str]]) -> dict[str, Any]:
    """One start from the box, and what each peer needs to the same loss."""
    fit, cost, seen = _fit(problem, seed=seed)
    row = {"work": f"agents of supply_shock, {len(FREE)} parameters, {len(problem.observed)} moments, {RUNS} runs, seed {seed}",
           **cost, "bar": BAR_MINUTES * 60, "bar_is": "seconds at most; fewer evaluations than each peer"}  # fmt: skip
    budget = max(AT_LEAST, int(GRANTED * cost["evaluations"]))
    ratios = []
    for name, peer in peers.items():
        ledger, start = Ledger(problem, budget, fit.loss), time.perf_counter()
        try:
            about = peer(ledger, seed)
        except ImportError as error:
            row[name] = f"not installed: {error}"
            continue
        needed = ledger.reached(fit.loss)
        row[name] = {
            "peer": about,
            "evaluations": needed if needed is not None else f"more than {len(ledger.losses)}",
            "best_loss": min(ledger.losses),
            "best_loss_at_our_count": min(ledger.losses[: cost["evaluations"]]),
            "we_reach_its_best_after": next((n for n, loss in seen if loss <= min(ledger.losses)), None),
            "peer_s": time.perf_counter() - start,
        }
        ratios.append((needed if needed is not None else len(ledger.losses)) / cost["evaluations"])
    return row | ({"ratio": min(ratios)} if ratios else {})


def _polish(problem: SimulatedProblem) -> dict[str, Any]:
    """From the values of the specification: how much better the fit becomes, and what the moments do not say."""
    before = problem.share(problem.given)
    start, fresh = (float(loss_at(problem, before, n, s)[0]) for n, s in ((RUNS, None), (FRESH, 10**6)))
    fit, cost, _ = _fit(problem, seeds=(40, RUNS), draws=1, starts=1, begin_at=problem.given)
    values, _ = fit.directions()
    return {
        "work": f"the same from the values of the specification, {len(FREE)} parameters",
        **cost,
        "loss_before": start,
        "loss_fresh_runs_before": fresh,
        "singular_values": np.round(values[: len(problem.observed)], 2).tolist(),
        "directions_without_information": int(np.sum(values == 0)),
        "theta": dict(zip(problem.names, fit.theta.tolist(), strict=True)),
    }


def _derivatives(problem: SimulatedProblem, step: float = 1e-4, runs: int = 8) -> dict[str, Any]:
    """Exact slopes of the smooth moments against central differences, and the smooth less the discrete moments."""
    share = np.full(len(problem.names), 0.4)
    exact = problem.slopes(problem.theta(share), runs)[0] / problem.scale[:, None]
    ends = np.concatenate([share + step * np.eye(len(share)), share - step * np.eye(len(share))])
    means = problem.sample(problem.theta(ends), runs, smooth=True).mean / problem.scale
    differences = (means[: len(share)] - means[len(share) :]).T / (2 * step)
    smooth, discrete = (problem.sample(problem.given, FRESH, smooth=s) for s in (True, False))
    gap = (smooth.mean - discrete.mean)[0]
    return {
        "work": f"slopes of the smooth moments against differences, {len(share)} parameters; gap over {FRESH} runs",
        "largest_difference_over_largest_slope": float(np.max(np.abs(exact - differences)) / np.max(np.abs(exact))),
        "gap_in_tolerances": dict(zip(problem.map.moments, np.round(gap / problem.scale, 4).tolist(), strict=True)),
        "gap_in_percent": dict(zip(problem.map.moments, np.round(100 * gap / np.abs(problem.observed), 2).tolist(), strict=True)),
    }  # fmt: skip


def measure(device: str) -> list[dict]:
    """Starts from the box, the first against both peers; the fit from the specification's values; checks of the slopes."""
    del device  # JAX computes on it
    problem = paper_problem()
    peers = {"cma_es": cma_es, "black_it": black_it}
    starts = [_row(problem, seed, peers if seed == SEEDS[0] else {}) for seed in SEEDS]
    return [*starts, _polish(problem), _derivatives(problem)]
