r"""Simulation-based calibration: does the sampler find the posterior that it claims to find?

Draw $\theta$ from the prior and data from the model at $\theta$; then the rank of $\theta_j$ among L independent draws of its posterior is uniform on
0..L, and so is that of the log posterior density at $\theta$ (Talts et al. 2018; Modrak et al. 2023 [S]). Intervals that are too narrow put
too many ranks at the ends, too wide ones too few, a bias tilts them.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray

from jaxecon.analysis.bayes import CANDIDATES, Nuts, chain, side_by_side
from jaxecon.analysis.density import Density, Prior, density_of, prior_of
from jaxecon.analysis.designs import Progress, count_problems, seed_problems
from jaxecon.analysis.moment_problem import MomentProblem
from jaxecon.core.errors import InputError
from jaxecon.core.results import as_attributes, provenance

# Name of the last quantity that is ranked.
DENSITY = "log_density"
# Probability of a false alarm of the whole test.
LEVEL = 0.01
# Draws of the prior among which starts are sought, and replications that a call hands to its threads at once.
POOL, BATCH = 1024, 16


@eqx.filter_jit
def _ranks(options: Nuts, thin: int, density: Density, start: Array, truth: Array, key: PRNGKeyArray) -> Any:
    """How many of the thinned draws lie below the truth `[k + 1]`, and the number of divergences."""
    theta, found = chain(options, density, start, key)
    below = jnp.sum(theta[thin - 1 :: thin] < density.to_theta(truth), axis=0)
    likely = jnp.sum(found["lp"][thin - 1 :: thin] < -density.potential(truth))
    return jnp.append(below, likely), jnp.sum(found["diverging"])


def _worlds(world: MomentProblem, prior: Prior, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the prior at which the model solves `[n, k]` and its moments there `[n, m]`."""
    thetas, moments = [], []
    for _ in range(64):
        drawn = prior.sample(max(n, 64), int(rng.integers(2**32)))
        found, _ = world.rows(drawn)
        good = np.all(np.isfinite(found), axis=1)
        thetas.append(drawn[good])
        moments.append(found[good])
        if sum(map(len, thetas)) >= n:
            return np.concatenate(thetas)[:n], np.concatenate(moments)[:n]
    message = "the model solves at fewer than 1 in 64 draws of the prior; narrow the ranges of the free parameters"
    raise InputError([message], f"the rank test of {world.model.name}")


def rank_test(
    problem: MomentProblem,
    replications: int = 256,
    *,
    priors: Mapping[str, Any] | None = None,
    world: MomentProblem | None = None,
    draws: int = 31,
    thin: int = 6,
    warmup: int = 200,
    target_accept: float = 0.8,
    bins: int = 16,
    seed: int = 0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Ranks of draws of the prior in their own posteriors, as NUTS finds them, and tests of their uniformity.

    **Arguments**

    - `draws`: L, of which every `thin`-th of a chain is kept after `warmup`; L + 1 must be a multiple of `bins`.
    - `world`: the problem that makes the data; default: `problem` itself. Another one shows that the test sees a wrong posterior.

    **Returns** a dataset by `quantity` (the free parameters, then `log_density`): `rank` by `replication`; `count` by `bin`; `chi2`
    with `chi2_p`; `ks` with `ks_p` (ranks spread within their step); `ecdf` minus the uniform's at `position`, which stays within `band` with
    probability .99 (Dvoretzky-Kiefer-Wolfowitz). Attributes: `p_value` (the least, times the number of tests), `verdict` at 1 %.
    Raises `InputError`.
    """
    problems = count_problems(
        replications=replications, draws=draws, thin=thin, warmup=warmup, bins=bins
    ) + seed_problems(seed)
    if not problems and (draws + 1) % bins:
        problems.append(
            f"draws + 1 = {draws + 1} must be a multiple of bins = {bins}, so that each bin holds as many ranks"
        )
    if not problems and replications < 5 * bins:
        problems.append(f"replications = {replications} must be at least 5 bins = {5 * bins}; take more, or fewer bins")
    if problems:
        raise InputError(problems, f"the rank test of {problem.model.name}")
    prior, world, rng = prior_of(problem, priors), world or problem, np.random.default_rng(seed)
    truth, at_truth = _worlds(world, prior, replications, rng)
    data = at_truth + rng.standard_normal(at_truth.shape) @ np.linalg.cholesky(world.covariance).T
    pool, at_pool = _worlds(problem, prior, POOL, rng)
    inverse = np.linalg.inv(np.linalg.cholesky(problem.covariance))
    options = Nuts(int(warmup), int(draws * thin), float(target_accept), 10)
    picks = rng.integers(POOL, size=(replications, CANDIDATES))
    inside = 1e-9 * (prior.hi - prior.lo)

    def one(i: int) -> tuple[np.ndarray, int]:
        # Not at the truth, which would be a draw of the posterior already.
        fit = np.sum(((at_pool[picks[i]] - data[i]) @ inverse.T) ** 2, axis=1)
        start = pool[picks[i, int(np.argmin(fit))]]
        with jax.enable_x64(True):
            density = density_of(problem.observing(data[i]), prior)
            z = problem.to_z(np.clip([start, truth[i]], prior.lo + inside, prior.hi - inside))
            found = _ranks(options, int(thin), density, z[0], z[1], jax.random.fold_in(jax.random.key(seed), i))
            return np.asarray(found[0]), int(found[1])

    rows = [one(0)]
    with ThreadPoolExecutor(side_by_side()) as threads:
        for first in range(1, replications, BATCH):
            rows += threads.map(one, range(first, min(first + BATCH, replications)))
            if progress is not None:
                progress(len(rows), replications, {"replications": len(rows)})
    ranks = np.stack([r for r, _ in rows])
    record = {
        "divergences": sum(d for _, d in rows),
        "warmup": warmup,
        "thin": thin,
        "other_world": world is not problem,
    }
    return _dataset(problem, ranks, draws, bins, seed, rng, record)


def _dataset(
    problem: MomentProblem,
    ranks: np.ndarray,
    draws: int,
    bins: int,
    seed: int,
    rng: np.random.Generator,
    record: dict[str, Any],
) -> xr.Dataset:
    from scipy import stats

    n, quantities = len(ranks), [*problem.names, DENSITY]
    counts = np.stack([np.bincount(r * bins // (draws + 1), minlength=bins) for r in ranks.T])
    size = np.sum((counts - n / bins) ** 2, axis=1) * bins / n
    unit = (ranks + rng.random(ranks.shape)) / (draws + 1)
    tests = [stats.kstest(u, "uniform") for u in unit.T]
    position = np.linspace(0.0, 1.0, 65)
    ecdf = np.stack([np.searchsorted(np.sort(u), position, side="right") / n - position for u in unit.T])
    chi2_p = stats.chi2.sf(size, bins - 1)
    ks_p = np.array([float(t.pvalue) for t in tests])
    least = float(min(1.0, 2 * len(quantities) * min(chi2_p.min(), ks_p.min())))
    variables: dict[str, Any] = {
        "rank": (("replication", "quantity"), ranks),
        "count": (("quantity", "bin"), counts),
        "chi2": ("quantity", size),
        "chi2_p": ("quantity", chi2_p),
        "ks": ("quantity", np.array([float(t.statistic) for t in tests])),
        "ks_p": ("quantity", ks_p),
        "ecdf": (("quantity", "position"), ecdf, {"doc": "share of ranks below, minus the uniform's"}),
        "band": ((), float(np.sqrt(np.log(2 / LEVEL) / (2 * n)))),
    }
    coords = {"quantity": quantities, "replication": np.arange(n), "bin": np.arange(bins), "position": position}
    verdict = "uniform" if least > LEVEL else "not uniform"
    more = provenance(
        problem.model, seed=seed, method="rank test of NUTS", draws=draws, p_value=least, verdict=verdict, **record
    )
    return xr.Dataset(variables, coords=coords, attrs=as_attributes(more))
