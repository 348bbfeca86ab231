"""The moments of a model as a function of its free parameters: one compiled program for any number of points."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.analysis.batch import in_blocks, padded
from jaxecon.analysis.designs import get_values, resolve, seed_problems
from jaxecon.analysis.hosts import cores_side_by_side, in_groups
from jaxecon.analysis.moment_map import MomentMap, Reading, moved
from jaxecon.analysis.targets import FitSpec, Place, Target, Targets, covariance_of, free_problems
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError
from jaxecon.core.fields import fields_of
from jaxecon.core.inputs import load_set
from jaxecon.core.model import Cost, Model, precision_of

# Points of one compiled call, by what one point costs.
POINTS: dict[Cost, int] = {"equilibrium": 128, "path": 16, "agents": 2, "optimization": 2}


def _rows(moments: MomentMap, smooth: bool, p: Any, u: Any, thetas: Array, seed: Array) -> tuple[Array, Array]:
    key = jax.random.key(seed)
    return in_blocks(lambda theta: moments(p, u, theta, key, smooth), thetas, moments.model.block)


def _slopes(moments: MomentMap, smooth: bool, p: Any, u: Any, thetas: Array, seed: Array) -> tuple[Array, Array, Array]:
    key, columns = jax.random.key(seed), jnp.eye(thetas.shape[1], dtype=thetas.dtype)

    def one(theta: Array) -> tuple[Array, Array, Array]:
        value, push, status = jax.linearize(lambda t: moments(p, u, t, key, smooth), theta, has_aux=True)
        return value, jax.vmap(push)(columns).T, status

    return in_blocks(one, thetas, moments.model.block)


# Measured on 128 points of five static models: effort 0 compiles in 3 s less of 7 to 19 and runs at a half to a fifth of this speed.
_PROGRAMS = quick_jit(_rows, effort=1), quick_jit(_slopes, effort=1)


@dataclasses.dataclass(frozen=True, eq=False)
class MomentProblem:
    """Moments, what was observed of them, and the box in which the free parameters are sought.

    **Attributes**

    - `map`: `theta -> moments`; `p`, `u`: parameters and policy around which the free ones move.
    - `lo`, `hi`: ends of the box `[k]`; `targets`: one a moment, in order.
    - `observed`, `covariance`: measured values `[m]` and the covariance of their errors `[m, m]`.
    - `seed`: of the common random numbers of agent moments, of which each takes the mean of `map.draws` runs.
    """

    map: MomentMap
    p: Any
    u: Any
    lo: np.ndarray
    hi: np.ndarray
    targets: tuple[Target, ...]
    observed: np.ndarray
    covariance: np.ndarray
    seed: int = 0

    @property
    def model(self) -> Model:
        return self.map.model

    @property
    def names(self) -> tuple[str, ...]:
        """Free parameters, in the order of `theta`."""
        return self.map.names

    @property
    def seeds(self) -> int:
        """Runs behind each agent moment."""
        return self.map.draws

    @property
    def scale(self) -> np.ndarray:
        """Standard errors of the targets, `[m]`."""
        return np.sqrt(np.diag(self.covariance))

    @functools.cached_property
    def given(self) -> np.ndarray:
        """The free parameters as they are in `p` and `u`, `[k]`."""
        return np.asarray(get_values(self.p, self.u, self.names), float)

    def moments(
        self, theta: Float[Array, " k"], key: PRNGKeyArray | None = None, smooth: bool = True
    ) -> Float[Array, " m"]:
        """Moments at one point; pure, for use inside jit, vmap and grad. NaN where the model is not solved.

        Call it in the precision of `p` (`jax.enable_x64(True)`). `smooth`: differentiable variants of agent moments.
        """
        return self.map(self.p, self.u, theta, jax.random.key(self.seed) if key is None else key, smooth)[0]

    def rows(self, theta: Any, *, smooth: bool = True, seed: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Moments `[n, m]` and statuses `[n]` at points `[n, k]`, through one program whatever n."""
        return self._through(0, theta, smooth, seed)

    def slopes(self, theta: Any, *, smooth: bool = True, seed: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Moments `[n, m]` and their exact Jacobian by `theta` `[n, m, k]` at points `[n, k]`, through one program whatever n."""
        return self.look(theta, smooth=smooth, seed=seed)[:2]

    def look(
        self, theta: Any, *, smooth: bool = True, seed: int | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`slopes` and the statuses `[n]`."""
        return self._through(1, theta, smooth, seed)

    def _through(self, which: int, theta: Any, smooth: bool, seed: int | None) -> Any:
        theta = np.atleast_2d(np.asarray(theta, float))
        size, number = POINTS[self.map.cost], np.uint32(self.seed if seed is None else seed)
        run = _PROGRAMS[which]

        def part(start: int, stop: int, size: int, put: Any) -> Any:
            with precision_of(self.p):
                found = run(self.map, smooth, self.p, self.u, put(padded(theta[start:stop], size)), number)
                return tuple(np.asarray(x)[: stop - start] for x in found)

        program = (run, self.map, smooth, jax.tree.structure((self.p, self.u)))
        # Alone: processes share the starts of a search, not each look; chains of a sampler look from threads, where processes cannot meet.
        return in_groups(part, len(theta), size, program, side_by_side=cores_side_by_side(), alone=True)

    def to_theta(self, z: Any) -> Array:
        """From all reals to the box, `lo + (hi - lo) / (1 + exp(-z))`; pure, for any leading axes."""
        return jnp.asarray(self.lo) + (self.hi - self.lo) * jax.nn.sigmoid(jnp.asarray(z))

    def to_z(self, theta: Any) -> Array:
        """Inverse of `to_theta`; infinite at the ends of the box."""
        share = (jnp.asarray(theta) - self.lo) / (self.hi - self.lo)
        return jnp.log(share) - jnp.log1p(-share)

    def log_jacobian(self, z: Any) -> Array:
        """Logarithm of |d theta / d z| at one point or many: the density of `z` where `theta` is uniform, up to a constant."""
        z = jnp.asarray(z)
        return jnp.sum(jnp.log(self.hi - self.lo) + jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z), axis=-1)

    def observing(self, values: Any, covariance: Any = None) -> "MomentProblem":
        """The same problem with other observed values, and another covariance if one is given: no new program."""
        cov = self.covariance if covariance is None else np.asarray(covariance, float)
        return dataclasses.replace(self, observed=np.asarray(values, float), covariance=cov)


def group_of(model: Model, moment: str) -> str:
    """The group of `Model.moments` that gives a moment; '' for an outcome."""
    if moment in fields_of(model.Outcomes):
        return ""
    return next(g for g, m in model.moments.items() if moment in m.about)


def fit_of(targets: Targets, name: str | None) -> FitSpec:
    """A fit by name, or the only one; raises `InputError`."""
    if name is None and len(targets.fits) == 1:
        return next(iter(targets.fits.values()))
    if name is None or name not in targets.fits:
        known = ", ".join(targets.fits) or "none; give free parameters by name"
        what = "no fit is named" if name is None else f"{name!r} is no fit of the targets of {targets.model}"
        raise InputError([f"{what}; there are: {known}"], "the fit")
    return targets.fits[name]


def moment_problem(
    model: Model,
    targets: Targets | Sequence[Target],
    free: Mapping[str, Any] | str | None = None,
    *,
    params: Any = None,
    policy: Any = None,
    seeds: int = 1,
    seed: int = 0,
) -> MomentProblem:
    """Free parameters against targets.

    **Arguments**

    - `targets`: from `read_targets`, or a sequence of `Target`.
    - `free`: ranges of the free parameters or instruments, `{name: (lo, hi)}`; or the name of a fit of `targets`, which also
      says base, place and targets (`None`: its only fit).
    - `params`, `policy`: around which the free ones move; default: the base set of the fit, else the baseline and laissez-faire.
    - `seeds`, `seed`: runs behind each agent moment, and where their common random numbers begin.

    Raises `InputError` with all problems: unknown names, bad ranges, more free parameters than moments (which a fit of agent moments by
    `smm` may have).
    """
    problems = seed_problems(seed)
    if isinstance(seeds, bool) or not isinstance(seeds, (int, np.integer)) or seeds < 1:
        problems.append(f"seeds = {seeds!r} must be a whole number of at least 1")
    correlations: Mapping[tuple[str, str], float] = {}
    place, simulated = Place(), False
    if isinstance(targets, Targets):
        correlations = targets.correlations
        if free is None or isinstance(free, str):
            fit = fit_of(targets, free)
            if params is None and fit.base is not None:
                named = load_set(model, fit.base)
                params, policy = model.params(**named.params), policy or model.policy(**named.policy)
            chosen, free, place = targets.of(fit), fit.free, fit.place
            simulated = fit.method == "smm" and all(
                (g := group_of(model, t.moment)) and model.moments[g].cost == "agents" for t in chosen
            )
        else:
            chosen = tuple(t for t in targets.targets.values() if t.use == "fit")
    else:
        chosen = tuple(targets)
    wrong, ranges = free_problems(model, dict(free or {}), "the problem")  # pyright: ignore
    problems += wrong
    if not free:
        problems.append("no parameter is free; name at least one with its range, e.g. {'b': (0.5, 2.0)}")
    if len(free or {}) > len(chosen) and not simulated:
        problems.append(
            f"{len(free or {})} parameters are free and there are {len(chosen)} moments; free at most as many as there are "
            "moments, or add targets"
        )
    problems += [f"target {t.name!r} has no standard error; give it one" for t in chosen if not t.standard_error > 0]
    if problems:
        raise InputError(problems, f"the calibration of {model.name}")
    p, u = resolve(model, params, policy, "float64")
    with jax.enable_x64(True):
        p, u = moved(model, p, u, place)
    readings = tuple(Reading(t.moment, group_of(model, t.moment), t.place, t.compare, t.against) for t in chosen)
    lo, hi = np.array(list(ranges.values()), float).T
    return MomentProblem(
        MomentMap(model, tuple(ranges), readings, int(seeds)), p, u, lo, hi, chosen,
        np.array([t.value for t in chosen]), covariance_of(chosen, correlations), int(seed),
    )  # fmt: skip
