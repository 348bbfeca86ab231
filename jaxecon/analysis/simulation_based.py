"""Posteriors by simulation alone, for discrete rules that have no slope and no density: ABC through pyABC."""

import dataclasses
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxecon.analysis.density import Prior, prior_of
from jaxecon.analysis.designs import count_problems, seed_problems
from jaxecon.analysis.moment_problem import MomentProblem
from jaxecon.analysis.posterior import Posterior
from jaxecon.core.errors import InputError
from jaxecon.core.optional import optional_module

# A simulation of a point that does not solve is this many standard errors off in every moment.
FAR = 1e6


def pyabc() -> Any:
    """pyABC; what it loads announces changes of its own by warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optional_module("pyabc", "pyabc", "abc", "approximate_posterior")


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """pyABC draws from NumPy's global generator: seeded here, and put back as it was."""
    before = np.random.get_state()
    level = logging.getLogger("ABC").level
    np.random.seed(seed % 2**32)
    logging.getLogger("ABC").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(before)
        logging.getLogger("ABC").setLevel(level)


def _distribution(prior: Prior) -> Any:
    """The priors as pyABC takes them."""
    package, marginals = pyabc(), {}
    for name, lo, hi, c, s in zip(prior.names, prior.lo, prior.hi, prior.center, prior.error, strict=True):
        uniform = np.isinf(s)
        args = (lo, hi - lo) if uniform else ((lo - c) / s, (hi - c) / s, c, s)
        marginals[name] = package.RV("uniform" if uniform else "truncnorm", *(float(x) for x in args))
    return package.Distribution(**marginals)


@dataclasses.dataclass
class _Simulate:
    """One simulation after the other, each with random numbers of its own: standardized moments of the discrete rule."""

    problem: MomentProblem
    seed: int
    count: int = 0

    def __post_init__(self) -> None:
        map_, p, u = self.problem.map, self.problem.p, self.problem.u
        with jax.enable_x64(True):
            self.key = jax.random.key(self.seed)
            self.run = jax.jit(lambda theta, key, i: map_(p, u, theta, jax.random.fold_in(key, i), False)[0])

    def __call__(self, parameters: Mapping[str, float]) -> dict[str, float]:
        problem = self.problem
        theta = np.array([parameters[n] for n in problem.names], float)
        with jax.enable_x64(True):
            moments = np.asarray(self.run(jnp.asarray(theta), self.key, np.uint32(self.count)))
        self.count += 1
        miss = (moments - problem.observed) / problem.scale
        miss = np.where(np.isfinite(miss), miss, FAR)
        return {t.name: float(x) for t, x in zip(problem.targets, miss, strict=True)}


def approximate_posterior(
    problem: MomentProblem,
    *,
    priors: Mapping[str, Any] | None = None,
    particles: int = 200,
    populations: int = 8,
    exact: bool = True,
    tolerance: float = 0.0,
    seed: int = 0,
) -> Posterior:
    """The posterior of a calibration from simulations of the discrete rule, by ABC-SMC (Toni et al. 2009; pyABC).

    **Arguments**

    - `problem`: its targets are the summary statistics, in units of their standard errors; agent moments come from the discrete
      rule, with new random numbers at every simulation. `priors` as in `sample_posterior`.
    - `particles`, `populations`: accepted draws of each population and the most populations.
    - `exact`: accept with the probability that the errors of the targets explain the miss (Wilkinson 2013; Schaelte &
      Hasenauer 2020): the draws then come from the posterior itself, the simulation's own noise included. `False`: accept below a distance
      (root mean square of the misses) that falls from population to population down to `tolerance`.

    **Returns** a `Posterior` of one chain of equally weighted draws (resampled), `steps` with temperature or distance and number of
    simulations of each population, and in `record` whether the last one was `reached` (temperature 1, or the tolerance). Density is zero
    where the model does not solve. Errors of targets count as independent. Raises `InputError`.
    """
    problems = count_problems(particles=particles, populations=populations) + seed_problems(seed)
    if not (isinstance(tolerance, (int, float)) and 0 <= tolerance < np.inf):
        problems.append(f"tolerance = {tolerance!r} must be a number of at least 0")
    if np.any(problem.covariance - np.diag(np.diag(problem.covariance))):
        problems.append("the targets are correlated; leave the correlations out, or use sample_posterior")
    if problems:
        raise InputError(problems, f"the approximate posterior of {problem.model.name}")
    prior, package, simulate = prior_of(problem, priors), pyabc(), _Simulate(problem, int(seed))
    names = [t.name for t in problem.targets]
    options: dict[str, Any] = {"population_size": int(particles), "sampler": package.sampler.SingleCoreSampler()}
    if exact:
        options |= {
            "distance_function": package.IndependentNormalKernel(var=np.ones(len(names)), keys=names),
            "acceptor": package.StochasticAcceptor(),
            "eps": package.Temperature(),
        }
    else:
        options |= {"distance_function": _distance(names), "eps": package.QuantileEpsilon(alpha=0.5)}
    with _seeded(int(seed)):
        run = package.ABCSMC(simulate, _distribution(prior), **options)
        run.new("sqlite://", dict.fromkeys(names, 0.0))
        history = run.run(minimum_epsilon=1.0 if exact else float(tolerance), max_nr_populations=int(populations))
        frame, weights = history.get_distribution(t=history.max_t)
        stages = history.get_all_populations()
    stages = stages[stages.t >= 0]
    steps = tuple(
        {"population": int(t), "threshold": float(e), "simulations": int(n)}
        for t, e, n in zip(stages.t, stages.epsilon, stages.samples, strict=True)
    )
    last = steps[-1]["threshold"]
    w = np.asarray(weights, float)
    # Systematic resampling: each draw as often as its weight says, to within one.
    at = (np.random.default_rng(seed).random() + np.arange(particles)) / particles
    rows = np.searchsorted(np.cumsum(w / w.sum()), at).clip(0, len(w) - 1)
    theta = frame[list(problem.names)].to_numpy(float)[rows]
    moments, _ = problem.rows(theta, smooth=False)
    record = {
        "exact": exact, "reached": bool(last <= (1.0 if exact else tolerance) + 1e-12), "threshold": last,
        "simulations": int(sum(s["simulations"] for s in steps)), "effective": float(w.sum() ** 2 / np.sum(w**2)),
    }  # fmt: skip
    return Posterior(problem, prior, "abc", int(seed), theta[None], moments[None], {}, steps=steps, record=record)


def _distance(names: list[str]) -> Any:
    def distance(x: Mapping[str, float], y: Mapping[str, float]) -> float:
        return float(np.sqrt(np.mean([(x[n] - y[n]) ** 2 for n in names])))

    return distance
