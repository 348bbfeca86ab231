"""Fit of simulated moments: slopes of the smooth variant, corrected by the discrete moments, under common random numbers.

The discrete rule of an agent layer has no derivative; its smooth variant has one, but other means. A step therefore takes
residuals from the discrete runs and slopes from the smooth ones (few runs are enough: no action is drawn there); every
discrete evaluation then corrects the slopes along the step (Broyden's secant), and a step counts only if the discrete loss
falls. The runs are the same at every point, so losses can be compared, and their number grows as the fit converges.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import lsq_linear
from scipy.stats import qmc

from jaxecon.analysis.designs import SavedArrays, count_problems, seed_problems
from jaxecon.analysis.searches import Count, Searches, Trail, from_arrays, to_arrays
from jaxecon.analysis.simulated_moments import MomentSample, SimulatedProblem
from jaxecon.core.errors import InputError

# Searches stay this far inside the box, in shares of its widths: at the ends slopes may not exist.
MARGIN = 5e-3
# Trust region in shares of the box: at the start of a search, largest, and where a search gives up.
RADIUS, WIDEST, SMALLEST = 0.1, 0.3, 1e-3
# Damping of a step, in mean squared singular values of the slopes: among equal steps the shortest.
RIDGE = 1e-4


@dataclasses.dataclass(frozen=True, eq=False)
class SimulatedFit:
    """The best of the searches.

    **Attributes**

    - `theta` `[k]`, `loss`: sum of squared errors in units of the stated tolerances, over `seeds` runs.
    - `sample`: the discrete moments there, `[m]` each.
    - `slopes` `[m, k]`: of the smooth moments at `theta`, in tolerances per width of the box.
    - `trail`: one entry a round; `count`: what was spent in all; `finalists`: losses of the searches that reached the last stage.
    """

    problem: SimulatedProblem
    theta: np.ndarray
    loss: float
    sample: MomentSample
    slopes: np.ndarray
    seeds: int
    trail: tuple[Trail, ...]
    count: Count
    finalists: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Errors in units of the stated tolerances, `[m]`; an undefined moment counts as zero."""
        return residuals(self.problem, self.sample, self.problem.observed)

    def directions(self, cut: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Singular values of the slopes `[k]`, descending, and directions `[k, k]` in the unit cube, one a row.

        A direction is pinned down where its value exceeds `cut` tolerances per width of the box; the data say nothing of
        those with value 0, of which there are at least as many as parameters exceed moments. `cut` zeroes smaller ones.
        """
        _, values, rows = np.linalg.svd(self.slopes, full_matrices=True)
        values = np.concatenate([values, np.zeros(len(rows) - len(values))])
        return np.where(values < cut, 0.0, values), rows


def residuals(problem: SimulatedProblem, sample: MomentSample, observed: np.ndarray) -> np.ndarray:
    """Errors of the means in units of the stated tolerances; a moment that no run defines errs by all of its value."""
    return (np.where(np.isfinite(sample.mean), sample.mean, 0.0) - observed) / problem.scale


def bounded_step(slopes: np.ndarray, residual: np.ndarray, share: np.ndarray, radius: float) -> np.ndarray:
    """Step that minimizes the linearized loss within the trust region and the box; the shortest where many do.

    $$ min_d |r + J d|^2 + mu |d|^2 over -Delta <= d <= Delta, share + d in the box $$
    """
    k = len(share)
    damping = math.sqrt(RIDGE / len(residual)) * np.linalg.norm(slopes)
    lower = np.maximum(-radius, np.minimum(MARGIN - share, -1e-12))
    upper = np.minimum(radius, np.maximum(1 - MARGIN - share, 1e-12))
    a, b = np.vstack([slopes, damping * np.eye(k)]), np.concatenate([-residual, np.zeros(k)])
    return lsq_linear(a, b, (lower, upper)).x


def begin(problem: SimulatedProblem, share: np.ndarray, observed: np.ndarray, seeds: int, first: Any = 0) -> Searches:
    """Searches at places of the unit cube `[B, k]` for observed values `[B, m]`, without slopes yet."""
    n, (m, k) = len(share), (observed.shape[1], share.shape[1])
    numbers = np.array(np.broadcast_to(first, n))
    sample = problem.sample(problem.theta(share), seeds, first=numbers)
    return Searches(
        share, observed, numbers, sample, residuals(problem, sample, observed), np.zeros((n, m, k)), np.zeros(n, bool),
        np.full(n, RADIUS),
    )  # fmt: skip


def descend(
    problem: SimulatedProblem,
    at: Searches,
    seeds: int,
    steps: int,
    count: Count,
    *,
    slope_seeds: int,
    tolerance: float,
    enough: float,
    rule: Callable[[np.ndarray], np.ndarray] | None = None,
    report: Callable[[Trail], Any] = lambda trail: None,
) -> tuple[Searches, Count]:
    """At most `steps` steps of every search, all in the same programs; `rule` maps residuals and slopes into the metric of the loss.

    A search ends when its linearized loss would fall by less than the share `tolerance` with slopes taken at that very place,
    when its loss is below `enough` times what sampling error alone would give, or when its trust region has vanished.
    """
    metric = rule or (lambda x: x)
    share, residual, slopes = at.share.copy(), metric(at.residual), at.slopes.copy()
    mean, error, defined = (x.copy() for x in at.sample)
    fresh, stale, radius = at.fresh.copy(), ~at.fresh, at.radius.copy()
    done = np.zeros(len(share), bool)
    loss = np.sum(residual**2, axis=1)
    for _ in range(steps):
        noise = np.sum(metric(error / problem.scale) ** 2, axis=1)
        done |= loss <= enough * noise
        old = np.flatnonzero(~done & stale)
        if len(old):
            jacobian = (
                problem.slopes(problem.theta(share[old]), slope_seeds, first=at.first[old]) / problem.scale[:, None]
            )
            slopes[old] = np.stack([metric(j.T).T for j in jacobian])
            count = count.plus(slopes=len(old), slope_runs=len(old) * slope_seeds)
            fresh[old], stale[old] = True, False
        live = np.flatnonzero(~done)
        if not len(live):
            break
        step = np.stack([bounded_step(slopes[i], residual[i], share[i], radius[i]) for i in live])
        linear = residual[live] + np.einsum("bmk,bk->bm", slopes[live], step)
        promised = loss[live] - np.sum(linear**2, axis=1)
        small = promised <= tolerance * loss[live]
        done[live[small & fresh[live]]] = True
        stale[live[small & ~fresh[live]]] = True
        live, step, promised, linear = (x[~small] for x in (live, step, promised, linear))
        if not len(live):
            continue
        tried = problem.sample(problem.theta(share[live] + step), seeds, first=at.first[live])
        count = count.plus(vectors=len(live), runs=len(live) * seeds)
        found = metric(residuals(problem, tried, at.observed[live]))
        new = np.sum(found**2, axis=1)
        kept = (loss[live] - new) / promised
        # Broyden: the discrete moments say how far the slopes were off along the step.
        secant = np.einsum("bm,bk->bmk", found - linear, step) / np.sum(step**2, axis=1)[:, None, None]
        slopes[live] += secant
        size, better = np.max(np.abs(step), axis=1), new < loss[live]
        radius[live] = np.where(
            kept < 0.25, 0.4 * size, np.where(kept > 0.75, np.minimum(2 * radius[live], WIDEST), radius[live])
        )
        stale[live] = (kept < 0.25) & ~(fresh[live] & ~better)
        fresh[live] &= ~better
        done[live] |= radius[live] < SMALLEST
        won = live[better]
        share[won], residual[won], loss[won] = share[won] + step[better], found[better], new[better]
        for kept_values, values in zip((mean, error, defined), tried, strict=True):
            kept_values[won] = values[better]
        report(Trail(seeds, len(live), float(np.min(loss)), count))
    sample = MomentSample(mean, error, defined)
    after = Searches(
        share, at.observed, at.first, sample, residuals(problem, sample, at.observed), slopes, fresh, radius
    )
    return after, count


def fresh_step(
    problem: SimulatedProblem,
    at: Searches,
    seeds: int,
    *,
    slope_seeds: int,
    rule: Callable[[np.ndarray], np.ndarray],
    first: Any,
    bounded: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    r"""One Gauss-Newton step from the end of each search, with runs that the search has not seen, from number `first` on.

    $$ \hat\theta = \theta_0 - (G'WG)^{-1} G'W (m(\theta_0) - m^{obs}) $$

    A search ends where its own runs happen to agree with the data: that luck is no information. The one-step estimator (Newey
    and McFadden 1994, section 3.4) has the errors that the theory says. **Returns** places in the unit cube, held to the box only if
    `bounded`, and slopes of the moments by those places `[B, m, k]`.
    """
    points = problem.theta(at.share)
    slopes = problem.slopes(points, slope_seeds, first=first)
    gap = rule(residuals(problem, problem.sample(points, seeds, first=first), at.observed))
    weighted = [rule((g / problem.scale[:, None]).T).T for g in slopes]
    if bounded:
        # A move across the whole box costs one standard error: along what no moment moves, a step stays where it is.
        step, still = [], np.eye(at.share.shape[1])
        for g, e, x in zip(weighted, gap, at.share, strict=True):
            ends = np.minimum(MARGIN - x, 0.0), np.maximum(1 - MARGIN - x, 1e-12)
            step.append(lsq_linear(np.vstack([g, still]), np.concatenate([-e, 0 * x]), ends, method="bvls").x)
    else:
        step = [np.linalg.lstsq(g, -e, rcond=None)[0] for g, e in zip(weighted, gap, strict=True)]
    return at.share + np.array(step), slopes


def simulated_fit(
    problem: SimulatedProblem,
    *,
    seeds: Sequence[int] = (8, 40, 200),
    draws: int = 32,
    starts: int = 2,
    steps: int = 12,
    slope_seeds: int = 8,
    tolerance: float = 0.02,
    begin_at: np.ndarray | None = None,
    seed: int = 0,
    saved: SavedArrays | None = None,
    progress: Callable[[Trail], Any] | None = None,
) -> SimulatedFit:
    """Least squares of simulated moments, `min sum ((m(theta) - observed)/scale)^2` over the box.

    **Arguments**

    - `seeds`: runs behind each moment, stage by stage; fewer searches survive each stage, one the last.
    - `draws`, `starts`: quasi-random points of the box, and how many of the best of them start a search.
    - `steps`: at most so many steps of a search in a stage; `slope_seeds`: runs behind slopes.
    - `tolerance`: smallest relative decrease of the loss worth a step. A stage ends at the loss that sampling error alone would
      give with its runs, the last one at the share `tolerance` of that.
    - `begin_at`: points `[n, k]` from which to search instead of those of the box.
    - `seed`: of the points drawn; that of the runs belongs to the problem.
    - `saved`: where stages that are done are kept; one that is there is not done again.
    - `progress`: called with every round's `Trail`.

    The result depends on its arguments alone. Raises `InputError`.
    """
    problems = count_problems(draws=draws, starts=starts, steps=steps, slope_seeds=slope_seeds) + seed_problems(seed)
    if not len(seeds) or any(b <= a for a, b in itertools.pairwise(seeds)) or min(seeds) < 2:
        problems.append(f"seeds = {tuple(seeds)!r} must be growing numbers of runs, at least 2 each, e.g. (8, 40, 200)")
    if not tolerance > 0:
        problems.append(f"tolerance = {tolerance!r} must be positive")
    k = len(problem.names)
    if begin_at is not None:
        begin_at = np.atleast_2d(np.asarray(begin_at, float))
        inside = begin_at.shape[1:] == (k,) and bool(np.all((begin_at >= problem.lo) & (begin_at <= problem.hi)))
        if not inside:
            problems.append(f"begin_at must be points of {k} numbers inside the box")
    if problems:
        raise InputError(problems, "the simulated fit")
    trail: list[Trail] = []

    def report(entry: Trail) -> None:
        trail.append(entry)
        if progress is not None:
            progress(entry)

    if begin_at is None:
        share = qmc.Sobol(k, rng=np.random.default_rng(seed)).random(draws)
    else:
        share = problem.share(begin_at)
    share = np.clip(share, MARGIN, 1 - MARGIN)
    stages, starts, count, at = len(seeds), min(starts, len(share)), Count(), None
    for number, runs in enumerate(seeds):
        done = saved.get(number) if saved is not None else None
        if done is not None:
            at, count, trail = from_arrays(done)
            continue
        if at is None:
            at = begin(problem, share, np.tile(problem.observed, (len(share), 1)), runs)
            count = count.plus(vectors=len(share), runs=len(share) * runs)
            report(Trail(runs, len(share), float(np.min(at.loss)), count))
        # Geometric: `starts` searches in the first stage, one in the last.
        keep = round(starts ** (1 - number / max(stages - 1, 1))) if stages > 1 else starts
        at = at.pick(np.argsort(at.loss, kind="stable")[:keep])
        if number:
            again = begin(problem, at.share, at.observed, runs)
            count = count.plus(vectors=keep, runs=keep * runs)
            at = dataclasses.replace(again, slopes=at.slopes, fresh=at.fresh, radius=np.maximum(at.radius, RADIUS / 4))
            report(Trail(runs, keep, float(np.min(at.loss)), count))
        at, count = descend(
            problem, at, runs, steps, count, slope_seeds=min(slope_seeds, runs), tolerance=tolerance,
            enough=1.0 if number + 1 < stages else tolerance, report=report,
        )  # fmt: skip
        if saved is not None:
            saved.put(number, to_arrays(at, count, trail))
    assert at is not None
    last = at.pick(np.argsort(at.loss, kind="stable"))
    theta = problem.theta(last.share[0])
    slopes = problem.slopes(theta, slope_seeds)[0] / problem.scale[:, None]
    count = count.plus(slopes=1, slope_runs=slope_seeds)
    sample = MomentSample(*(x[0] for x in last.sample))
    return SimulatedFit(
        problem, theta, float(last.loss[0]), sample, slopes, seeds[-1], tuple(trail), count, last.loss
    )  # fmt: skip
