r"""Minimum distance, GMM and simulated moments: parameters that bring a model's moments to the evidence, from very many starts.

$$ \hat\theta = \arg\min_{l \le \theta \le h} Q(\theta), \qquad Q(\theta) = (m(\theta) - m^{obs})' W (m(\theta) - m^{obs}) $$
"""

import dataclasses
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxecon.analysis.batch import chunks_of
from jaxecon.analysis.designs import Progress, count_problems, prior_draws, replace, seed_problems
from jaxecon.analysis.hosts import in_shares
from jaxecon.analysis.inference import Inference, infer
from jaxecon.analysis.least_squares import COARSE, FINE, Distance, Ends, descend
from jaxecon.analysis.moment_problem import MomentProblem
from jaxecon.core.errors import InputError, JaxeconError
from jaxecon.core.model import Model
from jaxecon.core.results import provenance, settings

Method = Literal["gmm", "smm", "ml"]
Weight = Literal["optimal", "diagonal", "identity"]
# Starts that descend at once, and the most that an interrupted run has to do again.
BLOCK = 1024
# Minima that are followed to round-off, and those of them at one distance. Ends this near in shares of the ranges, and in the
# distance, go to one minimum; minima at one distance up to LEVEL are one basin.
MINIMA, AT_ONE_LEVEL, NEAR, SAME, LEVEL = 16, 2, 0.02, 1e-3, 1e-6
# Seeds by which the variance of a simulated moment is measured; corrections of smooth by discrete moments, and the step, as a
# share of the ranges, at which they end.
NOISE_SEEDS, PASSES, SETTLED = 64, 8, 1e-4


class Saved(Protocol):
    """Blocks of starts that are done: `get(number)` gives one or None, `put(number, ends)` keeps one.

    Where processes share a search each of them asks and keeps all blocks; `get` must answer all alike.
    """

    def get(self, number: int) -> Ends | None: ...

    def put(self, number: int, ends: Ends) -> None: ...


@dataclasses.dataclass(frozen=True)
class Basin:
    """A local minimum: where it is, its weighted distance, largest projected gradient, and the share of starts that end there.

    `extent`: how far apart the ends at this distance lie, the largest share of a range; above `NEAR` it is a set (or several points)
    among which the data do not choose.
    """

    theta: np.ndarray
    value: float
    gradient: float
    share: float
    extent: float


@dataclasses.dataclass(frozen=True)
class Search:
    """What the starts found: basins, best first; shares of starts that failed at once, that came to rest in none of the basins, or that
    were still moving when their steps were spent (along a kink of the moments, say); failures by reason."""

    starts: int
    basins: tuple[Basin, ...]
    failed: float
    elsewhere: float
    unsettled: float
    reasons: dict[str, int]
    mean_steps: float

    @property
    def unique(self) -> bool:
        """Whether the best minimum is one point."""
        return self.basins[0].extent <= NEAR


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """An estimate with its certificate and its uncertainty.

    **Attributes**

    - `problem`, `method`, `weighting`, `weight`: what was minimized; `weight` is $W$, `[m, m]`.
    - `theta`: estimates `[k]`; `moments`, `jacobian`: of the model there, `[m]` and `[m, k]`; `value`: $Q$.
    - `gradient`: largest entry of the projected gradient of $Q/2$ by the share of the range; `converged` judges it.
    - `at_bound`: '' or the end ('lo', 'hi') at which each parameter is held; it counts as known there.
    - `covariance`: of the evidence and of the simulation, `[m, m]`; `inference`: standard errors, J test, rank.
    - `search`: the report of the starts; `record`: what is needed to repeat it.
    """

    problem: MomentProblem
    method: Method
    weighting: str
    weight: np.ndarray
    theta: np.ndarray
    moments: np.ndarray
    jacobian: np.ndarray
    value: float
    gradient: float
    at_bound: tuple[str, ...]
    covariance: np.ndarray
    inference: Inference
    search: Search
    record: dict[str, Any]

    @property
    def model(self) -> Model:
        return self.problem.model

    @property
    def names(self) -> tuple[str, ...]:
        """Free parameters, in the order of `theta`."""
        return self.problem.names

    @property
    def standard_errors(self) -> np.ndarray:
        """Of the estimates, `[k]`; NaN where not identified or at a bound."""
        return self.inference.standard_errors

    @property
    def converged(self) -> bool:
        """Whether the projected gradient vanishes against the size of its parts."""
        return bool(self.gradient <= 1e-7 * (1 + self.value))

    def point(self) -> tuple[Any, Any]:
        """Parameters and policy at the estimate."""
        return point_at(self.problem, self.theta)


def point_at(problem: MomentProblem, theta: Any) -> tuple[Any, Any]:
    """Parameters and policy of a problem at one `theta`."""
    with jax.enable_x64(True):
        return replace(problem.p, problem.u, problem.names, jnp.asarray(theta, float))


def weight_of(weight: Any, covariance: np.ndarray) -> tuple[np.ndarray, str, list[str]]:
    """The weight matrix, what it is called, and what is wrong with it.

    `optimal`: inverse covariance of the moments; `diagonal`: inverse variances; `identity`: equal weights; or a matrix.
    """
    m = len(covariance)
    if isinstance(weight, str):
        if weight == "optimal":
            return np.linalg.inv(covariance), weight, []
        if weight == "diagonal":
            return np.diag(1 / np.diag(covariance)), weight, []
        if weight == "identity":
            return np.eye(m), weight, []
        return (
            np.eye(m),
            weight,
            [f"weight = {weight!r} is none of optimal, diagonal, identity; or give a matrix [{m}, {m}]"],
        )
    try:
        matrix = np.asarray(weight, float)
    except (TypeError, ValueError):
        return np.eye(m), "given", [f"weight = {weight!r} is no matrix of numbers of shape [{m}, {m}]"]
    if matrix.shape != (m, m) or not np.isfinite(matrix).all():
        return np.eye(m), "given", [f"weight has shape {matrix.shape}; it must be finite and of shape [{m}, {m}]"]
    if not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix)[0] <= 0:
        return np.eye(m), "given", ["weight must be symmetric and positive definite"]
    return matrix, "given", []


def starting_points(problem: MomentProblem, starts: int, seed: int) -> np.ndarray:
    """Starts `[n, k]`: the given parameters where they lie in the box, then scrambled Sobol points that respect the order
    restrictions of the model."""
    ranges = {n: (float(a), float(b)) for n, a, b in zip(problem.names, problem.lo, problem.hi)}
    draws = prior_draws(problem.model, starts, seed, problem.names, ranges, params=problem.p, policy=problem.u)
    inside = np.all((problem.given >= problem.lo) & (problem.given <= problem.hi))
    return np.concatenate([problem.given[None], draws.points])[:starts] if inside else draws.points


def search(
    problem: MomentProblem, distance: Distance, starts: np.ndarray, *, block: int = BLOCK,
    saved: Saved | None = None, progress: Progress | None = None,
) -> Ends:  # fmt: skip
    """All starts to the vicinity of their minima, a block at a time; blocks that `saved` knows are not done again.

    Under several processes as many blocks at a time as there are processes: each takes an equal share of their starts, and all
    get all ends.
    """
    ends: dict[int, Ends | None] = {}
    blocks = list(chunks_of(len(starts), block))
    for number, _, _ in blocks:
        ends[number] = saved.get(number) if saved is not None else None
    left, hosts = [b for b in blocks if ends[b[0]] is None], jax.process_count()

    def report() -> None:
        values = [x.value for x in ends.values() if x is not None]
        if progress is not None and values:
            done = sum(len(v) for v in values)
            progress(done, len(starts), {"starts": done, "best": min(float(np.min(v)) for v in values)})

    report()
    for first in range(0, len(left), hosts):
        some = left[first : first + hosts]
        these = np.concatenate([starts[start:stop] for _, start, stop in some])
        found = Ends(
            **in_shares(lambda i, j, x=these: vars(descend(distance, problem.look, x[i:j], COARSE)), len(these))
        )
        at = 0
        for number, start, stop in some:
            ends[number] = part = found.take(slice(at, at + stop - start))
            at += stop - start
            if saved is not None:
                saved.put(number, part)
        report()
    return Ends.joined([x for x in ends.values() if x is not None])


def minima(problem: MomentProblem, distance: Distance, ends: Ends) -> tuple[Ends, Search]:
    """The distinct minima among the ends of all starts, followed to round-off, best first; and the report of the starts."""
    solved = np.flatnonzero(np.isfinite(ends.value))
    if not len(solved):
        raise JaxeconError(
            f"{problem.model.name} is solved at none of the {len(ends.value)} starts: {_reasons(problem.model, ends.status)}. Narrow the "
            "ranges of the free parameters, or try one start with `MomentProblem.rows`"
        )
    chosen = _apart(distance, ends, solved)
    found = descend(distance, problem.look, ends.theta[chosen], FINE)
    found = found.take(np.argsort(found.value, kind="stable"))
    # One basin a level of the distance; an end belongs to the level that it has reached.
    first = [0]
    for i in range(1, len(found.value)):
        if found.value[i] - found.value[first[-1]] > LEVEL * (1 + found.value[i]):
            first.append(i)
    found, levels = found.take(first), found.value[first]
    gap = np.abs(ends.value[solved, None] - levels) / (1 + levels)
    home = np.where(np.min(gap, axis=1) <= SAME, np.argmin(gap, axis=1), -1)
    n, x = len(ends.value), (ends.theta - distance.lo) / (distance.hi - distance.lo)
    basins = []
    for j in range(len(levels)):
        mine = x[solved[home == j]]
        extent = float(np.max(np.ptp(mine, axis=0))) if len(mine) else 0.0
        basins.append(Basin(found.theta[j], float(levels[j]), float(found.gradient[j]), len(mine) / n, extent))
    return found, Search(
        n, tuple(basins), 1 - len(solved) / n, float(np.sum((home < 0) & ends.rests[solved]) / n),
        float(np.sum((home < 0) & ~ends.rests[solved]) / n), _reasons(problem.model, ends.status), float(np.mean(ends.steps)),
    )  # fmt: skip


def _apart(distance: Distance, ends: Ends, solved: np.ndarray) -> list[int]:
    """Ends that may be different minima, best first: the best of all, and of those at rest a few at each level of the distance."""
    x = (ends.theta - distance.lo) / (distance.hi - distance.lo)
    order = solved[np.argsort(ends.value[solved], kind="stable")]
    chosen = [int(order[0])]
    for i in order[ends.rests[order]]:
        level = [j for j in chosen if abs(ends.value[i] - ends.value[j]) <= SAME * (1 + ends.value[j])]
        far = all(np.max(np.abs(x[i] - x[j])) > NEAR for j in level)
        if far and len(level) < AT_ONE_LEVEL and len(chosen) < MINIMA:
            chosen.append(int(i))
    return chosen


def _reasons(model: Model, status: np.ndarray) -> dict[str, int]:
    codes, counts = np.unique(status[status != 0], return_counts=True)
    return {"NO_DERIVATIVE" if c == -1 else model.reason(int(c))[0]: int(n) for c, n in zip(codes, counts)}


def simulation_covariance(problem: MomentProblem, theta: np.ndarray, seeds: int = NOISE_SEEDS) -> np.ndarray:
    """Covariance `[m, m]` of the simulated moments of one run at `theta`, over seeds of the discrete rule; zero without agents."""
    if problem.map.cost != "agents":
        return np.zeros((len(problem.observed),) * 2)
    one = dataclasses.replace(problem, map=dataclasses.replace(problem.map, draws=1))
    runs = np.concatenate([one.rows(theta, smooth=False, seed=10**6 + s)[0] for s in range(seeds)])
    return np.cov(runs, rowvar=False).reshape((len(problem.observed),) * 2)


def simulated(problem: MomentProblem, found: Ends, weight: Any) -> tuple[Ends, np.ndarray, np.ndarray, dict[str, Any]]:
    r"""From the minimum of the smooth moments to that of the discrete ones: `found` corrected, covariance, weight, and what was left.

    $$ \theta_{j+1} = \arg\min Q(m_s(\theta) + m_d(\theta_j) - m_s(\theta_j)) $$

    with the same random numbers throughout: at the fixed point the moments are the discrete ones and the slopes the smooth ones. The
    covariance of the evidence gains that of the simulation over the number of runs, measured at the current point: with data as
    noisy as one run this is the textbook factor 1 + 1/S. A fixed point need not exist; the step that is left is reported.
    """
    width, step = problem.hi - problem.lo, np.inf
    covariance, (matrix, _, _) = problem.covariance, weight_of(weight, problem.covariance)
    found = found.take([0])
    for _ in range(PASSES):
        gap = problem.rows(found.theta, smooth=False)[0] - problem.rows(found.theta)[0]
        covariance = problem.covariance + simulation_covariance(problem, found.theta[0]) / problem.seeds
        matrix, _, _ = weight_of(weight, covariance)

        def look(theta: np.ndarray, gap: np.ndarray = gap) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            moments, jacobian, status = problem.look(theta)
            return moments + gap, jacobian, status

        before = found.theta[0]
        found = descend(_distance(problem, matrix), look, found.theta, FINE)
        step = float(np.max(np.abs(found.theta[0] - before) / width))
        if step <= SETTLED:
            break
    discrete = problem.rows(found.theta, smooth=False)[0]
    value = _distance(problem, matrix).value(discrete)
    found = dataclasses.replace(found, moments=discrete, value=value)
    return found, covariance, matrix, {"correction_step": step}


def estimate(
    problem: MomentProblem,
    *,
    weight: Any = "optimal",
    starts: int = 1000,
    seed: int = 0,
    method: Method = "gmm",
    progress: Progress | None = None,
    block: int = BLOCK,
    saved: Saved | None = None,
) -> Estimate:
    """Parameters that minimize the weighted distance of the moments from the evidence.

    **Arguments**

    - `weight`: `optimal` (inverse covariance of the evidence; of simulated moments with the noise of the simulation), `diagonal`,
      `identity`, or a symmetric positive definite matrix `[m, m]`.
    - `starts`, `seed`: scrambled Sobol points of the box that respect the order restrictions; the first is the given point.
    - `method`: `gmm`; `smm`: see `simulated`, the same without agents; `ml` takes the targets as observations with Gaussian errors, so
      that the weight must be optimal.
    - `progress(done, starts, {...})`; `block`, `saved`: starts of one block and where blocks that are done are kept.

    Under `jax.distributed` call it in every process: they share the starts, and each returns the same. Levenberg-Marquardt over all starts at once (`least_squares`); the distinct minima are followed to round-off. Raises `InputError`
    with all problems, `JaxeconError` if no start is solved.
    """
    problems = count_problems(starts=starts, block=block) + seed_problems(seed)
    if method not in ("gmm", "smm", "ml"):
        problems.append(f"method = {method!r} is none of gmm, smm, ml")
    matrix, weighting, wrong = weight_of(weight, problem.covariance)
    problems += wrong
    if method == "ml" and not wrong and weighting != "optimal":
        problems.append("method 'ml' weighs by the likelihood; leave weight at 'optimal', or choose method 'gmm'")
    if problems:
        raise InputError(problems, f"the estimate of {problem.model.name}")
    covariance, corrected = problem.covariance, {}
    distance = _distance(problem, matrix)
    ends = search(
        problem, distance, starting_points(problem, starts, seed), block=block, saved=saved, progress=progress
    )
    found, report = minima(problem, distance, ends)
    if method == "smm" and problem.map.cost == "agents":
        found, covariance, matrix, corrected = simulated(problem, found, weight)
    theta = found.theta[0]
    at_bound = tuple("lo" if t <= a else "hi" if t >= b else "" for t, a, b in zip(theta, problem.lo, problem.hi))
    held = np.array([bool(x) for x in at_bound])
    gap = problem.observed - found.moments[0]
    inference = infer(found.jacobian[0], matrix, covariance, gap, held, problem.hi - problem.lo)
    record = provenance(
        problem.model, seed=seed, method=method, weighting=weighting, starts=starts, block=block, moment_seeds=problem.seeds,
        moment_seed=problem.seed, params=settings(problem.p), policy=settings(problem.u), **corrected,
    )  # fmt: skip
    return Estimate(
        problem, method, weighting, matrix, theta, found.moments[0], found.jacobian[0], float(found.value[0]),
        float(found.gradient[0]), at_bound, covariance, inference, report, record,
    )  # fmt: skip


def _distance(problem: MomentProblem, weight: np.ndarray) -> Distance:
    return Distance(problem.lo, problem.hi, problem.observed, np.linalg.cholesky(weight).T)
