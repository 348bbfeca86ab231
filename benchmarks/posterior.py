"""Effective draws a second of `sample_posterior`, against the same likelihood written by hand in NumPyro with the same equilibrium.

The peer is the model that a user of NumPyro would write: uniform priors by name, `jaxecon.evaluate` inside, a Gaussian likelihood; sampled by
NumPyro's NUTS with a diagonal and with a dense mass matrix, ours with the same. Its chains are one compiled program, too: `numpyro.infer.MCMC`
compiles such a model anew for every run, which took minutes and is not counted. The rate is the least bulk ESS of a parameter over
seconds, warmup included, compilation apart. `ratio_cpu`: the same per CPU second, for our chains run two at a time.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import arviz
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import init_to_median
from numpyro.infer.hmc import hmc
from numpyro.infer.util import initialize_model

from jaxecon import evaluate, load
from jaxecon.analysis.bayes import sample_posterior
from jaxecon.analysis.moment_problem import MomentProblem, moment_problem
from jaxecon.analysis.targets import Target

CHAINS, WARMUP, DRAWS, REPEATS = 4, 500, 1000, 5
BAR = 0.9
# Free parameters and outcomes that are seen with an error of 5 %, at the values of the baseline.
PROBLEMS = {
    "rent_seeking": (("b", "c_r", "c_m"), ("transparency", "rent_seekers", "output", "detection_probability")),
    "intelligence_capital": (("theta", "alpha", "mc"), ("price", "share", "tokens", "depreciation")),
}


def measure(device: str) -> list[dict]:
    """Two rows a model: with a diagonal and with a dense mass matrix."""
    del device  # JAX computes on it
    return [row(name, mass) for name in PROBLEMS for mass in ("diagonal", "dense")]


def problem_of(name: str) -> MomentProblem:
    """Targets at the baseline's outcomes with standard errors of 5 %."""
    model = load(name)
    free, seen = PROBLEMS[name]
    found = evaluate(model).outcomes
    made = [(n, float(getattr(found, n)), model.fields[n].unit) for n in seen]
    targets = tuple(Target(n, n, v, 0.05 * abs(v), unit, "baseline") for n, v, unit in made)
    return moment_problem(model, targets, {n: model.fields[n].box for n in free})


def by_hand(problem: MomentProblem) -> Callable[[Any], None]:
    """The NumPyro model that a user would write."""
    model, seen = problem.model, [t.moment for t in problem.targets]

    def likelihood(observed: Any) -> None:
        ranges = zip(problem.names, problem.lo, problem.hi, strict=True)
        drawn = {n: numpyro.sample(n, dist.Uniform(float(lo), float(hi))) for n, lo, hi in ranges}
        found = evaluate(model, replace(problem.p, **drawn), problem.u).outcomes
        moments = jnp.stack([getattr(found, n) for n in seen])
        numpyro.sample("moments", dist.Normal(moments, problem.scale), obs=observed)

    return likelihood


def _chain_of(likelihood: Callable[[Any], None], dense: bool) -> Callable[[Any, Any], Any]:
    """One chain of NUTS on a NumPyro model, from the middle of the ranges."""

    def chain(key: Any, observed: Any) -> Any:
        start, sample = jax.random.split(key)
        info = initialize_model(
            start, likelihood, init_strategy=init_to_median, model_args=(observed,), validate_grad=False
        )
        init, step = hmc(info.potential_fn, algo="NUTS")
        state = init(info.param_info.z, WARMUP, dense_mass=dense, rng_key=sample)

        def record(state: Any, _: None) -> tuple[Any, Any]:
            state = step(state)
            return state, state.z

        _, z = jax.lax.scan(record, state, None, length=WARMUP + DRAWS)
        return jax.vmap(info.postprocess_fn)(jax.tree.map(lambda x: x[WARMUP:], z))

    return chain


def _ess(draws: dict[str, np.ndarray]) -> float:
    return min(float(arviz.ess(x, method="bulk")) for x in draws.values())


def _timed(run: Callable[[int], dict[str, np.ndarray]], seed: int) -> tuple[float, float, float, dict[str, np.ndarray]]:
    wall, cpu = time.perf_counter(), time.process_time()
    draws = run(seed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return _ess(draws), wall, cpu, draws


def row(name: str, mass: str) -> dict:
    """One model with one kind of mass matrix."""
    problem = problem_of(name)
    chain = jax.jit(_chain_of(by_hand(problem), mass == "dense"))

    def ours(seed: int) -> dict[str, np.ndarray]:
        found = sample_posterior(problem, chains=CHAINS, draws=DRAWS, warmup=WARMUP, seed=seed, mass=mass)
        return {n: found.draws[:, :, j] for j, n in enumerate(problem.names)}

    def peer(seed: int) -> dict[str, np.ndarray]:
        keys = jax.random.split(jax.random.key(seed), CHAINS)
        found = [jax.block_until_ready(chain(key, jnp.asarray(problem.observed))) for key in keys]
        return {n: np.stack([np.asarray(x[n]) for x in found]) for n in problem.names}

    runs = {"ours": ours, "peer": peer}
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = {n: _timed(run, 1000) for n, run in runs.items()}
        # In turn, so that a slow minute of the machine hits both alike.
        later = {n: [] for n in runs}
        for seed in range(REPEATS):
            for n, run in runs.items():
                later[n].append(_timed(run, seed))
    rate = {n: median(e / wall for e, wall, _, _ in found) for n, found in later.items()}
    rate_cpu = {n: median(e / cpu for e, _, cpu, _ in found) for n, found in later.items()}
    seconds = {n: median(wall for _, wall, _, _ in found) for n, found in later.items()}
    means = {n: np.array([np.mean(x) for x in found[0][3].values()]) for n, found in later.items()}
    spread = np.array([np.std(x) for x in later["ours"][0][3].values()])
    return {
        "work": f"posterior of {name}: {len(problem.names)} parameters, {len(problem.targets)} moments, {CHAINS} chains of {DRAWS}, "
        f"{mass} mass matrix",
        "ours_s": seconds["ours"],
        "compile_s": first["ours"][1] - seconds["ours"],
        "effective_a_second": rate["ours"],
        "effective_a_cpu_second": rate_cpu["ours"],
        "peer": "NumPyro by hand",
        "peer_s": seconds["peer"],
        "peer_compile_s": first["peer"][1] - seconds["peer"],
        "peer_effective_a_second": rate["peer"],
        "peer_effective_a_cpu_second": rate_cpu["peer"],
        "ratio": rate["ours"] / rate["peer"],
        "ratio_cpu": rate_cpu["ours"] / rate_cpu["peer"],
        "means_apart_in_sd": float(np.max(np.abs(means["ours"] - means["peer"]) / spread)),
        "bar": BAR,
        "bar_is": "at least",
    }
