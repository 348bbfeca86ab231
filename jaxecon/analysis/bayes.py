"""Posteriors of calibrations: NUTS with exact gradients through the equilibrium, tempered sequential Monte Carlo for several modes."""

import dataclasses
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from jaxecon.analysis.density import Density, Prior, density_of, prior_of
from jaxecon.analysis.designs import Progress, SavedArrays, count_problems, seed_problems
from jaxecon.analysis.moment_problem import MomentProblem
from jaxecon.analysis.posterior import Posterior
from jaxecon.core.errors import InputError, name_problems
from jaxecon.core.optional import optional_module

METHODS = {
    "nuts": "No-U-Turn sampler on z with exact gradients (Hoffman & Gelman 2014; NumPyro)",
    "smc": "adaptive tempered sequential Monte Carlo with random-walk moves (Del Moral et al. 2006; BlackJAX)",
}
# Prior draws among which each chain looks for a place to start.
CANDIDATES = 64
# Share of effective particles that a step of temperature keeps; random-walk moves a step; the acceptance that their size aims at.
KEEP, MOVES, AIM = 0.7, 12, 0.3
MOST_STEPS = 200


@dataclasses.dataclass(frozen=True)
class Nuts:
    """Options of the sampler that fix its program."""

    warmup: int
    draws: int
    target_accept: float
    depth: int
    dense: bool = True


def chain(options: Nuts, density: Density, start: Array, key: PRNGKeyArray) -> tuple[Array, dict[str, Array]]:
    """One chain of NUTS from `start` [k] (unbounded): draws `[n, k]` of theta and their statistics `[n]`; pure JAX."""
    hmc = optional_module("numpyro.infer.hmc", "numpyro", "bayes", "the sampler NUTS").hmc
    init, step = hmc(density.potential, algo="NUTS")
    state = init(
        start, options.warmup, dense_mass=options.dense, target_accept_prob=options.target_accept, max_tree_depth=options.depth, rng_key=key
    )  # fmt: skip

    def record(state: Any, _: None) -> tuple[Any, Any]:
        state = step(state)
        found = {
            "lp": -state.potential_energy, "energy": state.energy, "acceptance_rate": state.accept_prob,
            "n_steps": state.num_steps, "diverging": state.diverging,
        }  # fmt: skip
        return state, (state.z, found)

    # Warmup and draws in one loop: the model is compiled once less.
    state, rows = jax.lax.scan(record, state, None, length=options.warmup + options.draws)
    z, found = jax.tree.map(lambda x: x[options.warmup :], rows)
    found["step_size"] = jnp.full(options.draws, state.adapt_state.step_size)
    return jax.vmap(density.to_theta)(z), found


# One point at a time: barriers, which keep large batches from repeating work, only cost here.
_chain = eqx.filter_jit(chain)


def side_by_side() -> int:
    """Chains that run at once: a compiled chain keeps one core of a CPU busy and holds no lock of Python."""
    return min(os.cpu_count() or 1, 2) if jax.default_backend() == "cpu" else 1


def starts_of(problem: MomentProblem, prior: Prior, chains: int, seed: int) -> np.ndarray:
    """Where chains start, unbounded `[c, k]`: each at the most likely of its own draws of the prior, among those that solve."""
    drawn = prior.sample(chains * CANDIDATES, seed)
    moments, _ = problem.rows(drawn)
    inside = 1e-6 * (prior.hi - prior.lo)
    drawn = np.clip(drawn, prior.lo + inside, prior.hi - inside)
    miss = np.linalg.solve(np.linalg.cholesky(problem.covariance), (moments - problem.observed).T)
    fit = -np.sum(miss**2, axis=0) / 2
    if not np.any(np.isfinite(fit)):
        message = (
            f"the model solves at none of {len(drawn)} draws of the prior; narrow the ranges of the free parameters"
        )
        raise InputError([message], f"the posterior of {problem.model.name}")
    fit = np.where(np.isfinite(fit), fit, -np.inf).reshape(chains, CANDIDATES)
    rows = np.arange(chains) * CANDIDATES + np.argmax(fit, axis=1)
    # A chain all of whose draws fail starts with the best of the others.
    lost = ~np.isfinite(fit.max(axis=1))
    rows[lost] = int(np.argmax(fit))
    return np.asarray(problem.to_z(drawn[rows]), float)


def _nuts(
    problem: MomentProblem,
    prior: Prior,
    options: Nuts,
    chains: int,
    seed: int,
    progress: Progress | None,
    saved: SavedArrays | None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """All chains of one compiled program; on a CPU two run side by side. Chains that `saved` knows are not run again."""
    density, starts = density_of(problem, prior), starts_of(problem, prior, chains, seed)
    done = []

    def run(i: int) -> Any:
        kept = saved.get(i) if saved is not None else None
        if kept is not None:
            found = kept.pop("theta"), kept
        else:
            with jax.enable_x64(True):
                key = jax.random.fold_in(jax.random.key(seed), i)
                found = jax.tree.map(np.asarray, _chain(options, density, jnp.asarray(starts[i]), key))
            if saved is not None:
                saved.put(i, {"theta": found[0], **found[1]})
        done.append(i)
        if progress is not None:
            progress(len(done), chains, {"chains": len(done)})
        return found

    # The first alone, lest two threads compile the same.
    parts = [run(0)]
    with ThreadPoolExecutor(side_by_side()) as pool:
        parts += pool.map(run, range(1, chains))
    return jax.tree.map(lambda *x: np.stack(x), *parts)


@eqx.filter_jit
def _temper(
    density: Density, state: Any, size: Array, key: PRNGKeyArray, batch: int, last: bool
) -> tuple[Any, Array, Array]:
    """One step of temperature: the state, the increment of the log evidence, the acceptance rate of its moves."""
    adaptive = optional_module("blackjax.smc.adaptive_tempered", "blackjax", "bayes", "the sampler smc")
    tempered = optional_module("blackjax.smc.tempered", "blackjax", "bayes", "the sampler smc")
    walk = optional_module("blackjax.mcmc.random_walk", "blackjax", "bayes", "the sampler smc")
    resampling = optional_module("blackjax.smc.resampling", "blackjax", "bayes", "the sampler smc")
    additive = walk.build_additive_step()

    def move(key: PRNGKeyArray, state: Any, log_density: Any, root: Array) -> Any:
        def proposal(key: PRNGKeyArray, z: Array) -> Array:
            return root @ jax.random.normal(key, z.shape, z.dtype)

        return additive(key, state, log_density, proposal)

    parts = (density.log_prior, density.log_likelihood, move, walk.init, resampling.systematic)
    if last:
        # Weights of the last step are spent and the particles moved once more, at full posterior.
        kernel = tempered.build_kernel(*parts, batch_size=batch)
        state, info = kernel(key, state, MOVES, 1.0, {"root": size[None]})
    else:
        kernel = adaptive.build_kernel(*parts, KEEP, batch_size=batch)
        state, info = kernel(key, state, MOVES, {"root": size[None]})
    return state, info.log_likelihood_increment, jnp.mean(info.update_info.acceptance_rate)


def _smc_run(
    problem: MomentProblem, prior: Prior, density: Density, particles: int, run: int, seed: int
) -> tuple[np.ndarray, float, list[dict[str, Any]]]:
    """One run of SMC: particles `[n, k]` of theta, the log evidence, what each step did."""
    init = optional_module("blackjax.smc.tempered", "blackjax", "bayes", "the sampler smc").init
    inside = 1e-9 * (prior.hi - prior.lo)
    drawn = np.clip(prior.sample(particles, int(np.random.SeedSequence([seed, run]).generate_state(1)[0])),
                    prior.lo + inside, prior.hi - inside)  # fmt: skip
    batch = problem.model.block or 0
    with jax.enable_x64(True):
        state = init(problem.to_z(drawn))
        state = state._replace(tempering_param=jnp.zeros((), jnp.float64))
        key, scale, evidence, steps = jax.random.fold_in(jax.random.key(seed), run), 1.0, 0.0, []
        while len(steps) < MOST_STEPS:
            last = bool(state.tempering_param >= 1)
            root = _proposal(np.asarray(state.particles), np.asarray(state.weights), scale)
            key_now = jax.random.fold_in(key, len(steps))
            state, more, accepted = _temper(density, state, jnp.asarray(root), key_now, batch, last)
            evidence += 0.0 if last else float(more)
            steps.append({"run": run, "temperature": float(state.tempering_param), "acceptance": float(accepted)})
            scale *= float(np.exp(np.clip(2 * (float(accepted) - AIM), -1.0, 1.0)))
            if last:
                break
        theta = np.asarray(jax.vmap(density.to_theta)(state.particles))
    return theta, evidence, steps


def _arrays_of(theta: np.ndarray, evidence: float, steps: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """A run of SMC as plain arrays."""
    rows = [(s["temperature"], s["acceptance"]) for s in steps]
    return {"theta": theta, "evidence": np.array(evidence), "steps": np.array(rows)}


def _run_of(kept: Mapping[str, np.ndarray], run: int) -> tuple[np.ndarray, float, list[dict[str, Any]]]:
    """Inverse of `_arrays_of`."""
    steps = [{"run": run, "temperature": float(t), "acceptance": float(a)} for t, a in kept["steps"]]
    return kept["theta"], float(kept["evidence"]), steps


def _proposal(z: np.ndarray, weights: np.ndarray, scale: float) -> np.ndarray:
    """Square root of the covariance of a random walk, from weighted particles (Roberts & Rosenthal 2001: 2.38/sqrt(k) of theirs)."""
    k = z.shape[1]
    center = weights @ z
    cov = (z - center).T @ ((z - center) * weights[:, None])
    cov += 1e-10 * np.eye(k) * max(float(np.trace(cov)) / k, 1e-12)
    return scale * 2.38 / np.sqrt(k) * np.linalg.cholesky(cov)


def sample_posterior(
    problem: MomentProblem,
    method: str = "nuts",
    *,
    priors: Mapping[str, Any] | None = None,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 500,
    seed: int = 0,
    target_accept: float = 0.8,
    mass: str = "dense",
    saved: SavedArrays | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """Draws of the posterior of a calibration.

    **Arguments**

    - `problem`: of `moment_problem`; its targets are Gaussian around the moments, with their covariance.
    - `method`: `"nuts"`, or `"smc"` where there may be several modes (`chains` independent runs of `draws` particles).
    - `priors`: `{name: (value, standard error)}` or `{name: target}`: normal around a source, truncated to the range; the
      others are uniform over their ranges.
    - `warmup`: draws of each chain that adapt the sampler (nuts); `target_accept`: a higher one takes smaller steps.
    - `mass`: `"dense"` learns how parameters move together in the posterior (nuts); `"diagonal"` costs a tenth less a step where they
      hardly do.
    - `saved`: where chains (runs of smc) that are done are kept; one that is there is not run again.
    - `progress(done, total, info)` hears of every chain.

    **Returns** a `Posterior`; its `verdict` says whether the chains agree. Density is zero where the model does not solve. Agent
    layers are taken in their smooth variant with common random numbers; `approximate_posterior` takes the discrete rule. Two
    runs with the same arguments give the same numbers. Raises `InputError`.
    """
    problems = name_problems([method], METHODS, "method of sample_posterior")
    problems += name_problems([mass], ("dense", "diagonal"), "mass matrix")
    problems += count_problems(chains=chains, draws=draws, warmup=warmup) + seed_problems(seed)
    if not (isinstance(target_accept, (int, float)) and 0 < target_accept < 1):
        problems.append(f"target_accept = {target_accept!r} must be a number between 0 and 1")
    if problems:
        raise InputError(problems, f"the posterior of {problem.model.name}")
    prior = prior_of(problem, priors)
    record = {
        "priors": {n: [float(c), float(s)] for n, c, s in zip(prior.names, prior.center, prior.error) if np.isfinite(s)}
    }
    with jax.enable_x64(True):
        if method == "nuts":
            options = Nuts(int(warmup), int(draws), float(target_accept), 10, mass == "dense")
            theta, found = _nuts(problem, prior, options, int(chains), int(seed), progress, saved)
            return Posterior(problem, prior, method, int(seed), theta, found, record=record | {"warmup": int(warmup)})
        density, runs = density_of(problem, prior), []
        for i in range(chains):
            kept = saved.get(i) if saved is not None else None
            runs.append(
                _smc_run(problem, prior, density, int(draws), i, int(seed)) if kept is None else _run_of(kept, i)
            )
            if saved is not None and kept is None:
                saved.put(i, _arrays_of(*runs[-1]))
            if progress is not None:
                progress(i + 1, chains, {"runs": i + 1})
    theta, evidence, steps = (list(x) for x in zip(*runs, strict=True))
    flat = tuple(s for part in steps for s in part)
    return Posterior(problem, prior, method, int(seed), np.stack(theta), {}, np.array(evidence), flat, record)
