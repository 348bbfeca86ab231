r"""An agent layer from its box to estimates with standard errors: the fit of simulated moments, then steps with runs that it has not seen.

The search (`simulated_fit`) ends where its own runs happen to agree with the evidence. The estimate is two Gauss-Newton steps
from there, held to the box, each with fresh runs (`fresh_step`); its covariance is that of the evidence and of the means over the
runs, the J test is on the moments over the runs of the last step:

$$ \Omega = V + V_S(\hat\theta), \qquad J = e' N (N' R \Omega R' N)^{-1} N' e \sim \chi^2_{m-k} $$

With more parameters than moments there are no degrees of freedom: J is not defined, and parameters that lean on combinations
which no moment moves have no standard error.
"""

import dataclasses
from typing import Any

import numpy as np

from jaxecon.analysis.designs import Progress, SavedArrays, count_problems, seed_problems
from jaxecon.analysis.estimate import Basin, Estimate, Search, starting_points, weight_of
from jaxecon.analysis.inference import infer
from jaxecon.analysis.moment_problem import MomentProblem
from jaxecon.analysis.searches import Searches
from jaxecon.analysis.simulated import MARGIN, Trail, begin, fresh_step, residuals, simulated_fit
from jaxecon.analysis.simulated_moments import SimulatedMap, SimulatedProblem, covariance_of_means
from jaxecon.analysis.targets import Place
from jaxecon.core.errors import InputError, JaxeconError
from jaxecon.core.results import provenance, settings

# Runs behind each moment at the end, where the problem does not say more than one; runs that measure the noise.
RUNS, NOISE_RUNS = 200, 400
# Runs behind the slopes of the two steps with fresh runs; points of the box looked at for each search.
SLOPE_RUNS, DRAWS = (8, 48), 4
# A parameter this near to where searches end, in shares of its range, counts as held there.
NEAR = 1e-4
# The estimate has settled where the last step moved it by at most this many standard errors.
SETTLED = 0.5


def simulated_group(problem: MomentProblem) -> str | None:
    """The one group of agent moments that all targets read as levels at the base; None where they read anything else."""
    readings = problem.map.readings
    groups = {r.group for r in readings}
    plain = all(r.against is None and r.compare == "level" and r.place == Place() for r in readings)
    if not plain or len(groups) != 1 or not all(groups):
        return None
    (group,) = groups
    return group if problem.model.moments[group].cost == "agents" else None


def simulated_of(problem: MomentProblem) -> SimulatedProblem:
    """The same problem run by run, with the same random numbers; raises `InputError` where `simulated_group` has none."""
    group = simulated_group(problem)
    if group is None:
        message = "the targets do not all read one group of agent moments as levels at the base; use `estimate`"
        raise InputError([message], f"the simulated moments of {problem.model.name}")
    names = tuple(r.moment for r in problem.map.readings)
    return SimulatedProblem(
        SimulatedMap(problem.model, group, problem.names, names), problem.p, problem.u, problem.lo, problem.hi,
        problem.observed, problem.scale, problem.seed,
    )  # fmt: skip


def stages_of(seeds: int) -> tuple[int, ...]:
    """Runs behind each moment, stage by stage: a 25th, a fifth, all of them; at least 2."""
    return tuple(sorted({max(seeds // 25, 2), max(seeds // 5, 2), max(seeds, 2)}))


def simulated_estimate(
    problem: MomentProblem,
    *,
    weight: Any = "optimal",
    starts: int = 8,
    seed: int = 0,
    saved: SavedArrays | None = None,
    progress: Progress | None = None,
) -> Estimate:
    """Parameters of an agent layer by the discrete moments, with standard errors and the J test.

    **Arguments**

    - `problem`: all targets read one group of agent moments; `problem.seeds` runs are behind each at the end. There may be more parameters than moments.
    - `weight`: of the last steps, as in `estimate`, with the noise of the simulation in the optimal one; the search before weighs by the standard errors of
      the targets.
    - `starts`: searches from the best of four times as many points: the given one and quasi-random ones of the box; `seed`: of those.
    - `saved`: where each stage of the search, each step with fresh runs and the runs behind the covariance are kept when done.
    - `progress(done, stages, {...})`.

    **Returns** an `Estimate` without a gradient (discrete moments have none): its `record` says by how many standard errors the
    last step moved it (`last_step`), whether it has `settled`, and what the search cost. The same arguments give the same numbers. Raises
    `InputError`, and `JaxeconError` where a moment is defined in no run.
    """
    problems = count_problems(starts=starts) + seed_problems(seed)
    weighting, wrong = weight_of(weight, problem.covariance)[1:]
    if problems + wrong:
        raise InputError(problems + wrong, f"the estimate of {problem.model.name}")
    sim, stages = simulated_of(problem), stages_of(problem.seeds)
    total, seeds = len(stages) + len(SLOPE_RUNS) + 1, stages[-1]

    points = starting_points(problem, DRAWS * starts, seed)

    def report(entry: Trail) -> None:
        if progress is not None:
            at = {"runs": entry.seeds, "searches": entry.searches, "loss": entry.loss}
            progress(stages.index(entry.seeds), total, at)

    fit = simulated_fit(sim, seeds=stages, begin_at=points, starts=starts, seed=seed, saved=saved, progress=report)

    def once(number: int, make: Any) -> dict[str, np.ndarray]:
        """The arrays of one part after the search, from where they are kept or made now."""
        found = saved.get(number) if saved is not None else None
        if found is None:
            found = make()
            if saved is not None:
                saved.put(number, found)
        if progress is not None:
            progress(number + 1, total, {})
        return found

    number = len(stages)
    noise = once(number, lambda: {"runs": sim.runs(fit.theta, NOISE_RUNS, seed=sim.seed + 10**6)[0]})["runs"]
    undefined = [n for n, x in zip(sim.map.moments, noise.T) if not np.isfinite(x).any()]
    if undefined:
        raise JaxeconError(
            f"the fit of {problem.model.name} ends where no run defines {', '.join(undefined)}; narrow the ranges of the free parameters"
        )
    covariance = problem.covariance + covariance_of_means(noise, seeds)
    matrix = weight_of(weight, covariance)[0]
    root = np.linalg.cholesky(matrix).T * sim.scale
    at = begin(sim, sim.share(fit.theta)[None], problem.observed[None], 2)
    width, step = problem.hi - problem.lo, {}
    for i, runs in enumerate(SLOPE_RUNS, start=1):
        step = once(number + i, lambda at=at, i=i, runs=runs: _fresh(sim, at, seeds, runs, root, i * seeds))
        at = dataclasses.replace(at, share=step["share"][None])
    theta, jacobian = sim.theta(step["share"]), step["slopes"] / width
    at_bound = tuple("lo" if x <= MARGIN + NEAR else "hi" if x >= 1 - MARGIN - NEAR else "" for x in step["share"])
    gap = problem.observed - step["mean"]
    inference = infer(jacobian, matrix, covariance, gap, np.array([bool(x) for x in at_bound]), width)
    errors = inference.standard_errors
    sized = np.isfinite(errors) & (errors > 0)
    moved = float(np.max(np.abs(width * step["step"])[sized] / errors[sized], initial=0.0))
    value = float(gap @ matrix @ gap)
    basin = Basin(theta, value, np.nan, 1 / starts, 0.0)
    search = Search(starts, (basin,), 0.0, 1 - 1 / starts, 0.0, {}, fit.count.vectors / starts)
    record = provenance(
        problem.model, seed=seed, method="smm", weighting=weighting, starts=starts, stages=list(stages), moment_seeds=seeds,
        moment_seed=problem.seed, params=settings(problem.p), policy=settings(problem.u), search_loss=fit.loss,
        evaluations=fit.count.evaluations(len(theta)), runs=fit.count.runs, last_step=moved, settled=moved <= SETTLED,
    )  # fmt: skip
    return Estimate(
        problem, "smm", weighting, matrix, theta, step["mean"], jacobian, value, np.nan, at_bound, covariance, inference,
        search, record,
    )  # fmt: skip


def _fresh(
    sim: SimulatedProblem, at: Searches, seeds: int, slope_seeds: int, root: np.ndarray, first: int
) -> dict[str, np.ndarray]:
    """One step with fresh runs inside the box, halved while it makes the distance over those runs larger: place, slopes by the place,
    moments there, and the whole step."""

    def distance(share: np.ndarray) -> tuple[float, np.ndarray]:
        sample = sim.sample(sim.theta(share), seeds, first=first)
        return float(np.sum((residuals(sim, sample, at.observed) @ root.T) ** 2)), sample.mean[0]

    share, slopes = fresh_step(
        sim, at, seeds, slope_seeds=slope_seeds, rule=lambda x: x @ root.T, first=first, bounded=True
    )
    before, mean = distance(at.share[0])
    whole = step = share[0] - at.share[0]
    for _ in range(4):
        after, tried = distance(at.share[0] + step)
        if after <= before:
            return {"share": at.share[0] + step, "slopes": slopes[0], "mean": tried, "step": whole}
        step = step / 2
    return {"share": at.share[0], "slopes": slopes[0], "mean": mean, "step": whole}
