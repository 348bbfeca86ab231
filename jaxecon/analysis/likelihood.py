r"""Maximum likelihood where the data have one: any log-likelihood written in JAX, from many starts at once, by exact second derivatives.

With $\ell = \sum_i \ell_i$, H the Hessian of $-\ell$ and S the scores $[n, k]$ at the maximum (White 1982):

$$ V_{hessian} = H^{-1}, \qquad V_{opg} = (S'S)^{-1}, \qquad V_{sandwich} = H^{-1} S'S H^{-1} $$

Targets as observations with Gaussian errors are a likelihood too: `estimate(problem, method="ml")`.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxecon.analysis.designs import count_problems, quasi_random, seed_problems
from jaxecon.analysis.policies import jet
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError, JaxeconError
from jaxecon.numerics.newton_box import Climb, maximize_each

# Projected gradient of the scaled log-likelihood by shares of the ranges at which a climb ends; and how near to the best it counts as
# the same maximum.
TOLERANCE, SAME = 1e-9, 1e-6
# Condition number of the Hessian beyond which no standard error is given.
SINGULAR = 1e12


@dataclasses.dataclass(frozen=True, eq=False)
class Likelihood:
    """A maximum of a likelihood.

    **Attributes**

    - `names`, `theta [k]`, `at_bound`: '' or the end ('lo', 'hi') at which a parameter is held; it counts as known there.
    - `log_likelihood`, `observations`: its size and the number of contributions (1 where they were not given one by one).
    - `gradient`: largest projected gradient by the share of the range, over `scale`, the size of the log-likelihood over the starts;
      `converged` judges it. `agreement`: share of the starts that end at this maximum.
    - `hessian`, `opg`, `sandwich`: covariances `[k, k]`; NaN where they do not exist, or where contributions were not given.
    """

    names: tuple[str, ...]
    theta: np.ndarray
    at_bound: tuple[str, ...]
    log_likelihood: float
    observations: int
    gradient: float
    scale: float
    agreement: float
    hessian: np.ndarray
    opg: np.ndarray
    sandwich: np.ndarray

    @property
    def converged(self) -> bool:
        """Whether the first-order conditions hold."""
        return bool(self.gradient <= 1e-7)

    @property
    def standard_errors(self) -> np.ndarray:
        """By the sandwich where contributions were given, else by the Hessian, `[k]`."""
        return np.sqrt(np.diag(self.sandwich if self.observations > 1 else self.hessian))


@quick_jit
def _climb(total: Callable[[Array], Array], starts: Array, lo: Array, width: Array, scale: Array) -> Climb:
    def look(z: Array, _: Array) -> tuple[Array, Array, Array]:
        return jet(lambda z: total(lo + width * z) / scale, z)

    return maximize_each(look, starts, jnp.zeros(len(starts)), tol=TOLERANCE, steps=100)


def maximum_likelihood(
    log_likelihood: Callable[[Float[Array, " k"]], Array],
    free: Mapping[str, tuple[float, float]],
    *,
    starts: int = 64,
    seed: int = 0,
) -> Likelihood:
    """The most likely parameters within their ranges.

    **Arguments**

    - `log_likelihood`: pure JAX, from `theta [k]` in the order of `free` to contributions of independent observations `[n]`, or to their sum
      (then only the Hessian gives standard errors). NaN where a model is not solved: such points are never accepted. Solve a model
      inside by `evaluate_pure`, or take `MomentProblem.moments`.
    - `free`: ranges `{name: (lo, hi)}`; `starts`, `seed`: scrambled Sobol points of the box.

    Projected Newton with exact second derivatives, all starts in one program. Raises `InputError`; `JaxeconError` where no start has a
    likelihood.
    """
    problems = count_problems(starts=starts) + seed_problems(seed) + _range_problems(free)
    if problems:
        raise InputError(problems, "the likelihood")
    lo, hi = np.array(list(free.values()), float).T
    width = hi - lo
    with jax.enable_x64(True):
        unit = quasi_random(len(lo), seed).random(1 << max(starts - 1, 0).bit_length())[:starts]

        def total(theta: Array) -> Array:
            return jnp.sum(log_likelihood(theta))

        values = np.asarray(jax.jit(jax.vmap(total))(jnp.asarray(lo + width * unit)))
        finite = values[np.isfinite(values)]
        if not len(finite):
            raise JaxeconError(
                f"the log-likelihood is finite at none of {starts} starts; narrow the ranges of {', '.join(free)}"
            )
        scale = float(np.ptp(finite)) or max(1.0, float(np.max(np.abs(finite))))
        ends = jax.device_get(_climb(total, jnp.asarray(unit), jnp.asarray(lo), jnp.asarray(width), jnp.asarray(scale)))
        best = int(np.argmax(np.where(np.isfinite(ends.value), ends.value, -np.inf)))
        z = np.asarray(ends.z[best])
        theta = np.where(z >= 1, hi, np.where(z <= 0, lo, lo + width * z))
        at_bound = tuple("lo" if t <= a else "hi" if t >= b else "" for t, a, b in zip(theta, lo, hi))
        contributions = jnp.atleast_1d(log_likelihood(jnp.asarray(theta)))
        bend = -np.asarray(ends.bend[best]) * scale / np.outer(width, width)
        scores = np.asarray(jax.jacfwd(lambda t: jnp.atleast_1d(log_likelihood(t)))(jnp.asarray(theta)))
    gradient = np.max(np.abs(np.clip(z + ends.slope[best], 0.0, 1.0) - z))
    agreement = float(np.mean(ends.value >= ends.value[best] - SAME))
    free_ones = np.array([not x for x in at_bound])
    return Likelihood(
        tuple(free), theta, at_bound, float(np.sum(contributions)), contributions.size, float(gradient), scale, agreement,
        *_covariances(bend, scores, free_ones, width),
    )  # fmt: skip


def _range_problems(free: Mapping[str, Sequence[float]]) -> list[str]:
    problems = [] if free else ["no parameter is free; name at least one with its range"]
    for name, interval in free.items():
        try:
            lo, hi = (float(x) for x in interval)
        except (TypeError, ValueError):
            problems.append(f"the range of {name} must be two numbers (lo, hi), not {interval!r}")
            continue
        if not (np.isfinite(lo) and np.isfinite(hi) and lo < hi):
            problems.append(f"the range of {name}, ({lo:g}, {hi:g}), must be finite with lo below hi")
    return problems


def _covariances(bend: np.ndarray, scores: np.ndarray, free: np.ndarray, width: np.ndarray) -> list[np.ndarray]:
    """Inverse Hessian, inverse outer product of scores and sandwich, of the parameters that are not at a bound; NaN elsewhere."""
    inside, found = np.ix_(free, free), []
    h, b = bend[inside], scores[:, free].T @ scores[:, free]

    def inverse(matrix: np.ndarray) -> np.ndarray:
        scaled = matrix * np.outer(width[free], width[free])
        values = np.linalg.eigvalsh(scaled) if np.isfinite(scaled).all() and len(scaled) else np.array([np.nan])
        regular = values[0] > 0 and values[-1] / values[0] < SINGULAR
        return np.linalg.inv(matrix) if regular else np.full_like(matrix, np.nan)

    by_hessian = inverse(h)
    apart = len(scores) > 1
    by_scores = inverse(b) if apart else np.full_like(h, np.nan)
    between = by_hessian @ b @ by_hessian if apart else np.full_like(h, np.nan)
    for matrix in (by_hessian, by_scores, between):
        full = np.full_like(bend, np.nan)
        full[inside] = matrix
        found.append(full)
    return found
