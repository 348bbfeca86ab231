"""Whether intervals cover: an estimator applied to synthetic data of a known truth, all replications in one batch.

Static and path models: data are the model's moments at the truth plus noise with the stated covariance. Agent layers: data
are means over runs with other seeds, and every replication has simulation runs of its own.
"""

import dataclasses
from typing import Any

import numpy as np
from scipy.stats import binom, norm

from jaxecon.analysis.designs import count_problems, seed_problems
from jaxecon.analysis.inference import infer, level_problems
from jaxecon.analysis.least_squares import COARSE, FINE, Distance, descend
from jaxecon.analysis.moment_problem import MomentProblem
from jaxecon.analysis.simulated import MARGIN, Count, begin, fresh_step
from jaxecon.analysis.simulated import descend as descend_simulated
from jaxecon.analysis.simulated_moments import SimulatedProblem, covariance_of_means, sample_of
from jaxecon.core.errors import InputError

# Runs that measure the covariance of simulated moments; steps of a search; runs behind slopes.
NOISE_RUNS, STEPS, SLOPE_RUNS = 400, 4, 8


@dataclasses.dataclass(frozen=True, eq=False)
class Coverage:
    """Estimates and standard errors of every replication `[R, k]` against the truth `[k]`, at a nominal `level`."""

    names: tuple[str, ...]
    truth: np.ndarray
    theta: np.ndarray
    standard_errors: np.ndarray
    level: float

    @property
    def covered(self) -> np.ndarray:
        """Whether each interval holds the truth `[R, k]`; one without a finite width does not."""
        reach = norm.ppf(0.5 + self.level / 2) * self.standard_errors
        return np.asarray(np.abs(self.theta - self.truth) <= reach)

    @property
    def share(self) -> np.ndarray:
        """Share of the replications whose interval holds the truth `[k]`."""
        return self.covered.mean(axis=0)

    @property
    def overconfidence(self) -> np.ndarray:
        """Standard deviation of the estimates over their mean standard error `[k]`; 1 if errors are right."""
        return np.std(self.theta, axis=0, ddof=1) / np.nanmean(self.standard_errors, axis=0)

    def band(self, trust: float = 0.999) -> tuple[float, float]:
        """Range of shares that a right interval gives with probability `trust`, one parameter at a time."""
        n = len(self.theta)
        lo, hi = binom.interval(trust, n, self.level)
        return float(lo) / n, float(hi) / n


def coverage(
    problem: MomentProblem, truth: Any, *, replications: int = 200, starts: int = 3, level: float = 0.95, seed: int = 0
) -> Coverage:
    """Coverage of the optimally weighted estimates of a static or path model.

    **Arguments**: `truth` `[k]` inside the box; `starts`: random points of the box from which every replication is estimated,
    the best minimum counts; `level` of the intervals; `seed` of noise and starts. Raises `InputError`.
    """
    truth = _checked(problem, truth, level, replications, starts, seed)
    rng = np.random.default_rng(seed)
    moments, status = problem.rows(truth)
    if status[0] != 0:
        raise InputError(
            [f"the model is not solved at the truth: {problem.model.reason(status[0])[0]}"], "the coverage"
        )
    root, k = np.linalg.cholesky(problem.covariance), len(truth)
    data = moments + rng.standard_normal((replications, len(root))) @ root.T
    # The number of its replication rides along with every start as one more parameter, which no moment depends on.
    lo, hi = np.append(problem.lo, -1.0), np.append(problem.hi, float(replications))

    def look(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found, jacobian, status = problem.look(theta[:, :k])
        mine = data[np.rint(theta[:, k]).astype(int)]
        return found - mine, np.concatenate([jacobian, np.zeros_like(jacobian[:, :, :1])], axis=2), status

    weight = np.linalg.inv(problem.covariance)
    distance = Distance(lo, hi, np.zeros(len(root)), np.linalg.cholesky(weight).T)
    places = problem.lo + (problem.hi - problem.lo) * rng.uniform(0.05, 0.95, (starts * replications, k))
    tags = np.tile(np.arange(replications, dtype=float), starts)
    ends = descend(distance, look, np.column_stack([places, tags]), COARSE)
    best = np.argmin(ends.value.reshape(starts, replications), axis=0) * replications + np.arange(replications)
    ends = descend(distance, look, ends.theta[best], FINE)
    theta = ends.theta[:, :k]
    held = (theta <= problem.lo) | (theta >= problem.hi)
    errors = [
        infer(g[:, :k], weight, problem.covariance, -gap, h, problem.hi - problem.lo).standard_errors
        for g, gap, h in zip(ends.jacobian, ends.moments, held, strict=True)
    ]
    return Coverage(problem.names, truth, theta, np.array(errors), level)


def simulated_coverage(
    problem: SimulatedProblem,
    truth: Any,
    *,
    replications: int = 200,
    data_runs: int = 24,
    seeds: int = 24,
    level: float = 0.95,
    seed: int = 0,
) -> Coverage:
    r"""Coverage of the optimally weighted simulated moments of an agent layer.

    Data are means over `data_runs` runs at `truth`, the model's moments means over `seeds` others; with $\Omega_R$ the covariance
    of means over R runs (by the bootstrap: not every run defines every moment) the errors have $\Omega_R (1 + R/S)$. Every
    replication starts at a random point of the box around the truth, half as wide as the box; a short search and two steps with
    fresh runs give its estimate. Raises `InputError`.
    """
    truth = _checked(problem, truth, level, replications, data_runs, seed, seeds)
    rng = np.random.default_rng(seed)
    m, k = len(problem.observed), len(truth)
    noise = problem.runs(truth, NOISE_RUNS, seed=seed + 10**6)[0]
    omega = covariance_of_means(noise, data_runs, seed=seed) * (1 + data_runs / seeds)
    if not np.linalg.eigvalsh(omega / np.sqrt(np.outer(np.diag(omega), np.diag(omega))))[0] > 1e-9:
        raise InputError(["moments do not vary, or not independently, between runs; leave some out"], "the coverage")
    weight = np.linalg.inv(omega)
    root = np.linalg.cholesky(weight).T * problem.scale

    def metric(x: np.ndarray) -> np.ndarray:
        return x @ root.T

    runs = problem.runs(truth, data_runs * replications, seed=seed + 2 * 10**6)[0]
    data = sample_of(runs.reshape(replications, data_runs, m)).mean
    at = np.clip(problem.share(truth) + rng.uniform(-0.25, 0.25, (replications, k)), 0.02, 0.98)
    searches = begin(problem, at, data, seeds, first=seeds * np.arange(replications))
    ends, _ = descend_simulated(
        problem, searches, seeds, STEPS, Count(), slope_seeds=min(SLOPE_RUNS, seeds), tolerance=1e-3, enough=0.0,
        rule=metric,
    )  # fmt: skip
    # Twice, for the error that the slopes leave in the first step is of the order of its length.
    for number, slope_runs in enumerate((SLOPE_RUNS, 2 * seeds), start=1):
        fresh = 2 * seeds * (number * replications + np.arange(replications))
        share, slopes = fresh_step(problem, ends, seeds, slope_seeds=slope_runs, rule=metric, first=fresh)
        ends = dataclasses.replace(ends, share=np.clip(share, MARGIN, 1 - MARGIN))
    width, held = problem.hi - problem.lo, np.zeros(k, bool)
    errors = [infer(g / width, weight, omega, np.zeros(m), held, width).standard_errors for g in slopes]
    return Coverage(problem.names, truth, problem.theta(share), np.array(errors), level)


def _checked(
    problem: Any, truth: Any, level: Any, replications: Any, runs: Any, seed: Any, seeds: Any = 2
) -> np.ndarray:
    problems = count_problems(replications=replications, runs=runs, seeds=seeds) + seed_problems(seed)
    problems += level_problems(level)
    point = np.asarray(truth, float)
    if point.shape != problem.lo.shape or not np.all((point > problem.lo) & (point < problem.hi)):
        problems.append(
            f"truth = {truth!r} must be {len(problem.lo)} numbers inside the box of {', '.join(problem.names)}"
        )
    if problems:
        raise InputError(problems, "the coverage")
    return point
