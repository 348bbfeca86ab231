r"""The posterior density of a calibration: priors over the box times a Gaussian likelihood of the observed moments.

$$ p(\theta | y) \propto \prod_j p_j(\theta_j) \; \exp\left(-\tfrac12 (y - m(\theta))' V^{-1} (y - m(\theta))\right), \qquad
   \theta = lo + \frac{hi - lo}{1 + e^{-z}} $$

A prior $p_j$ is uniform over the range of $\theta_j$, or normal around a sourced value with its standard error, truncated to the range.
Samplers move z. Where the model does not solve the density is zero. Grade [S].
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxecon.analysis.moment_problem import MomentMap, MomentProblem
from jaxecon.core.errors import InputError, name_problems

# Logarithm of a density that is zero, where a sampler needs a finite number.
ZERO = -1e30


@dataclasses.dataclass(frozen=True)
class Prior:
    """Independent priors over the box `[lo, hi]`: uniform where `error` is infinite, else normal(`center`, `error`), truncated."""

    names: tuple[str, ...]
    lo: np.ndarray
    hi: np.ndarray
    center: np.ndarray
    error: np.ndarray

    @property
    def log_constant(self) -> float:
        """Logarithm of the constant of the density by theta: what normalizes each prior on its range, summed."""
        from scipy.stats import norm

        total = 0.0
        for lo, hi, c, s in zip(self.lo, self.hi, self.center, self.error, strict=True):
            if np.isinf(s):
                total -= math.log(hi - lo)
            else:
                mass = norm.cdf(hi, c, s) - norm.cdf(lo, c, s)
                total -= math.log(s * math.sqrt(2 * math.pi)) + math.log(mass)
        return total

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Independent draws `[n, k]`."""
        from scipy.stats import norm

        unit = np.random.default_rng(seed).random((n, len(self.names)))
        drawn = self.lo + unit * (self.hi - self.lo)
        for j in np.flatnonzero(np.isfinite(self.error)):
            c, s = self.center[j], self.error[j]
            ends = norm.cdf([self.lo[j], self.hi[j]], c, s)
            drawn[:, j] = norm.ppf(ends[0] + unit[:, j] * (ends[1] - ends[0]), c, s)
        return np.clip(drawn, self.lo, self.hi)


def prior_of(problem: MomentProblem, priors: Mapping[str, Any] | None) -> Prior:
    """Priors of the free parameters: `{name: (value, standard error)}`, or anything with `value` and `standard_error` (a target);
    the others are uniform over their ranges. Raises `InputError`."""
    priors = dict(priors or {})
    problems = name_problems(priors, problem.names, "free parameter of this problem")
    k = len(problem.names)
    center, error = np.zeros(k), np.full(k, np.inf)
    lo, hi = np.asarray(problem.lo, float), np.asarray(problem.hi, float)
    for name, given in priors.items():
        if name not in problem.names:
            continue
        j = problem.names.index(name)
        try:
            c, s = (given.value, given.standard_error) if hasattr(given, "standard_error") else given
            c, s = float(c), float(s)
        except (TypeError, ValueError):
            problems.append(f"the prior of {name!r} must be (value, standard error) or a target, not {given!r}")
            continue
        if not (math.isfinite(c) and math.isfinite(s) and s > 0):
            problems.append(
                f"the prior of {name!r} must have a finite value and a positive standard error, not ({c:g}, {s:g})"
            )
        elif not lo[j] - 6 * s <= c <= hi[j] + 6 * s:
            problems.append(
                f"the prior of {name!r}, {c:g} with standard error {s:g}, lies outside the range [{lo[j]:g}, {hi[j]:g}]; widen it"
            )
        else:
            center[j], error[j] = c, s
    if problems:
        raise InputError(problems, f"the priors for {problem.model.name}")
    return Prior(tuple(problem.names), lo, hi, center, error)


@dataclasses.dataclass(frozen=True)
class Fixed:
    """A pytree of arrays as constants of a compiled program: compared by value, so that equal ones share the program."""

    structure: Any
    numbers: tuple[tuple[bytes, str, tuple[int, ...]], ...]

    @classmethod
    def of(cls, tree: Any) -> "Fixed":
        leaves, structure = jax.tree.flatten(tree)
        arrays = [np.asarray(x) for x in leaves]
        return cls(structure, tuple((x.tobytes(), x.dtype.str, x.shape) for x in arrays))

    def tree(self) -> Any:
        """The pytree; call it in the precision of its arrays."""
        leaves = [jnp.asarray(np.frombuffer(x, dtype).reshape(shape)) for x, dtype, shape in self.numbers]
        return jax.tree.unflatten(self.structure, leaves)


class Density(eqx.Module):
    """Log posterior as a pure function of the unbounded `z`. Problems that differ in ranges, priors and what is observed share
    compiled programs; parameters and policy that are not free are constants of the program, which the compiler folds."""

    map: MomentMap = eqx.field(static=True)
    around: Fixed = eqx.field(static=True)
    lo: Array
    hi: Array
    center: Array
    precision: Array
    observed: Array
    whiten: Array
    constants: Array
    seed: Array

    def to_theta(self, z: Float[Array, " k"]) -> Float[Array, " k"]:
        return self.lo + (self.hi - self.lo) * jax.nn.sigmoid(z)

    def log_prior(self, z: Float[Array, " k"]) -> Float[Array, ""]:
        """Log prior density of z, the Jacobian of the bijection included."""
        theta = self.to_theta(z)
        stretch = jnp.sum(jnp.log(self.hi - self.lo) + jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z))
        return stretch - jnp.sum(((theta - self.center) * self.precision) ** 2) / 2 + self.constants[0]

    def moments(self, z: Float[Array, " k"]) -> Float[Array, " m"]:
        """Moments of the model, smooth; NaN where it does not solve."""
        p, u = self.around.tree()
        return self.map(p, u, self.to_theta(z), jax.random.key(self.seed), True)[0]

    def log_likelihood_of(self, moments: Float[Array, " m"]) -> Float[Array, ""]:
        """Log likelihood at given moments; NaN where they are."""
        miss = (
            self.whiten * (self.observed - moments)
            if self.whiten.ndim == 1
            else self.whiten @ (self.observed - moments)
        )
        return self.constants[1] - jnp.sum(miss**2) / 2

    def log_likelihood(self, z: Float[Array, " k"]) -> Float[Array, ""]:
        """Log likelihood; `ZERO` where the model does not solve."""
        found = self.log_likelihood_of(self.moments(z))
        return jnp.where(jnp.isfinite(found), found, ZERO)

    def potential(self, z: Float[Array, " k"]) -> Float[Array, ""]:
        """Minus the log posterior, +inf where the model does not solve; its gradient is exact, and zero there."""
        return _potential(z, self)


def _raw(z: Array, density: Density) -> Array:
    return -density.log_prior(z) - density.log_likelihood_of(density.moments(z))


@eqx.filter_custom_jvp
def _potential(z: Array, density: Density) -> Array:
    found = _raw(z, density)
    return jnp.where(jnp.isfinite(found), found, jnp.inf)


@_potential.def_jvp
def _potential_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    # The gradient is taken here, in one evaluation of the model, so that a failed point cannot spoil it: no NaN passes a zero.
    z, density = primals
    found, slope = jax.value_and_grad(_raw)(z, density)
    ok = jnp.isfinite(found) & jnp.all(jnp.isfinite(slope))
    return jnp.where(ok, found, jnp.inf), jnp.sum(jnp.where(ok, slope, 0.0) * tangents[0])


def density_of(problem: MomentProblem, prior: Prior) -> Density:
    """The density of a problem under a prior, in float64; call it in `jax.enable_x64(True)`."""
    covariance = np.asarray(problem.covariance, float)
    diagonal = not np.any(covariance - np.diag(np.diag(covariance)))
    whiten = 1 / np.sqrt(np.diag(covariance)) if diagonal else np.linalg.inv(np.linalg.cholesky(covariance))
    m = len(covariance)
    log_size = np.linalg.slogdet(covariance)[1]
    numbers = (
        prior.lo, prior.hi, prior.center, np.where(np.isinf(prior.error), 0.0, 1 / prior.error),
        np.asarray(problem.observed, float), whiten,
        np.array([prior.log_constant, -(m * math.log(2 * math.pi) + log_size) / 2]),
    )  # fmt: skip
    lo, hi, center, precision, y, root, constants = (jnp.asarray(x, jnp.float64) for x in numbers)
    seed = jnp.asarray(problem.seed, jnp.uint32)
    around = Fixed.of((problem.p, problem.u))
    return Density(problem.map, around, lo, hi, center, precision, y, root, constants, seed)
