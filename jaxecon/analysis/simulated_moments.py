"""Simulated moments: means over runs of an agent layer with common random numbers, and slopes of their smooth variant."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxecon.analysis.batch import chunks_of, padded
from jaxecon.analysis.designs import get_values, replace, resolve, seed_problems
from jaxecon.analysis.moment_problem import group_of
from jaxecon.analysis.targets import Place, Target, Targets, free_problems
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError
from jaxecon.core.model import Model, precision_of

# Runs of one compiled call, and tangents of one that takes derivatives.
RUNS, TANGENTS = 100, 224


class MomentSample(NamedTuple):
    """Moments of runs at points.

    - `mean` `[n, m]`: over the runs in which a moment is defined; NaN where it is in none.
    - `error` `[n, m]`: standard error of the mean; `defined` `[n, m]`: share of runs in which the moment is defined.
    """

    mean: np.ndarray
    error: np.ndarray
    defined: np.ndarray


@dataclasses.dataclass(frozen=True)
class SimulatedMap:
    """`(theta, key) -> moments` of one run, as a hashable description: problems that differ in data share one program."""

    model: Model
    group: str
    names: tuple[str, ...]
    moments: tuple[str, ...]

    def __call__(self, p: Any, u: Any, theta: Array, key: Array, smooth: bool) -> Array:
        """Moments `[m]` of one run; NaN where one is not defined."""
        group = self.model.moments[self.group]
        run = group.smooth if smooth and group.smooth is not None else group.run
        found = run(*replace(p, u, self.names, theta), key)
        return jnp.stack([found[name] for name in self.moments])


def _runs(moments: SimulatedMap, smooth: bool, p: Any, u: Any, seed: Array, thetas: Array, places: Array) -> Array:
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(places)
    return jax.vmap(lambda theta, key: moments(p, u, theta, key, smooth))(thetas, keys)


def _slopes(
    moments: SimulatedMap, unit: tuple[float, ...], p: Any, u: Any, seed: Array, thetas: Array, places: Array
) -> Array:
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(places)
    columns = jnp.diag(jnp.asarray(unit, thetas.dtype))

    def one(theta: Array, key: Array) -> Array:
        push = lambda d: jax.jvp(lambda t: moments(p, u, t, key, True), (theta,), (d,))[1]  # noqa: E731
        return jax.vmap(push)(columns).T

    return jax.vmap(one)(thetas, keys)


_run_program, _slope_program = quick_jit(_runs, effort=1), quick_jit(_slopes, effort=1)


@dataclasses.dataclass(frozen=True, eq=False)
class SimulatedProblem:
    """Moments of an agent layer, their targets, and the box of the free parameters. There may be more parameters than moments.

    **Attributes**

    - `map`: `(theta, key) -> moments` of one run; `p`, `u`: parameters and policy around which the free ones move.
    - `lo`, `hi`: ends of the box `[k]`; `observed`, `scale`: values and standard errors (stated tolerances) of the targets `[m]`.
    - `seed`: where the common random numbers begin; run i is the same at every point and for any number of runs above i.
    """

    map: SimulatedMap
    p: Any
    u: Any
    lo: np.ndarray
    hi: np.ndarray
    observed: np.ndarray
    scale: np.ndarray
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Free parameters, in the order of `theta`."""
        return self.map.names

    @property
    def given(self) -> np.ndarray:
        """The free parameters as they are in `p` and `u`, `[k]`."""
        return np.asarray(get_values(self.p, self.u, self.names), float)

    def theta(self, share: np.ndarray) -> np.ndarray:
        """From the unit cube to the box."""
        return self.lo + (self.hi - self.lo) * np.asarray(share, float)

    def share(self, theta: np.ndarray) -> np.ndarray:
        """From the box to the unit cube."""
        return (np.asarray(theta, float) - self.lo) / (self.hi - self.lo)

    def runs(
        self, theta: Any, seeds: int, *, smooth: bool = False, first: Any = 0, seed: int | None = None
    ) -> np.ndarray:
        """Moments of each run at each point, `[n, seeds, m]`: the discrete rule, or its smooth variant.

        `first`: number of the first run, of all points or of each `[n]`; points with the same numbers share the random numbers.
        """
        theta = np.atleast_2d(np.asarray(theta, float))
        found = self._through(_run_program, smooth, theta, seeds, RUNS, first, seed)
        return found.reshape(len(theta), seeds, -1)

    def sample(
        self, theta: Any, seeds: int, *, smooth: bool = False, first: Any = 0, seed: int | None = None
    ) -> MomentSample:
        """Means over `seeds` runs at points `[n, k]`; arguments of `runs`."""
        return sample_of(self.runs(theta, seeds, smooth=smooth, first=first, seed=seed))

    def slopes(self, theta: Any, seeds: int, *, first: Any = 0, seed: int | None = None) -> np.ndarray:
        """Jacobian of the smooth means by the place in the unit cube, `[n, m, k]`; runs without a finite one do not count."""
        theta = np.atleast_2d(np.asarray(theta, float))
        size = max(1, TANGENTS // theta.shape[1])
        unit = tuple(float(w) for w in self.hi - self.lo)
        found = self._through(_slope_program, unit, theta, seeds, size, first, seed)
        found = found.reshape(len(theta), seeds, *found.shape[1:])
        finite = np.isfinite(found)
        return np.where(finite, found, 0.0).sum(1) / np.maximum(finite.sum(1), 1)

    def _through(
        self, program: Callable, static: Any, theta: np.ndarray, seeds: int, size: int, first: Any, seed: int | None
    ) -> np.ndarray:
        """`program` over all pairs of points and runs, `size` at a time."""
        begin = np.broadcast_to(np.asarray(first, np.uint32), len(theta))
        points, places = np.repeat(theta, seeds, axis=0), (begin[:, None] + np.arange(seeds, dtype=np.uint32)).ravel()
        number = np.uint32(self.seed if seed is None else seed)

        def part(job: tuple[int, int, int]) -> np.ndarray:
            _, start, stop = job
            with precision_of(self.p):
                pair = padded(points[start:stop], size), padded(places[start:stop], size)
                return np.asarray(program(self.map, static, self.p, self.u, number, *pair))[: stop - start]

        jobs = list(chunks_of(len(points), size))
        workers = min(os.cpu_count() or 1, 2) if jax.default_backend() == "cpu" else 1
        with ThreadPoolExecutor(workers) as pool:
            # The first call goes alone, lest two threads compile the same.
            parts = [part(jobs[0]), *pool.map(part, jobs[1:])]
        return np.concatenate(parts)


def sample_of(runs: np.ndarray) -> MomentSample:
    """Means over the runs (axis 1) in which a moment is defined, their standard errors, and the share of such runs."""
    finite = np.isfinite(runs)
    count = finite.sum(1)
    mean = np.where(finite, runs, 0.0).sum(1) / np.maximum(count, 1)
    square = np.where(finite, (runs - mean[:, None]) ** 2, 0.0).sum(1)
    error = np.sqrt(square / np.maximum(count - 1, 1) / np.maximum(count, 1))
    return MomentSample(np.where(count > 0, mean, np.nan), error, count / runs.shape[1])


def covariance_of_means(runs: np.ndarray, size: int, *, draws: int = 4000, seed: int = 0) -> np.ndarray:
    """Covariance `[m, m]` of means over `size` runs, each over those in which its moment is defined, by the bootstrap of runs `[N, m]`.

    Moments that are defined in different runs are less correlated in means than in the runs that define both.
    """
    picks = np.random.default_rng(seed).integers(0, len(runs), (draws, size))
    means = sample_of(runs[picks]).mean
    means = means[np.isfinite(means).all(axis=1)]
    return np.cov(means, rowvar=False).reshape(runs.shape[1], runs.shape[1])


def simulated_problem(
    model: Model,
    targets: Targets | Sequence[Target],
    free: Mapping[str, Any],
    *,
    params: Any = None,
    policy: Any = None,
    seed: int = 0,
) -> SimulatedProblem:
    """Free parameters of an agent layer against targets of one group of its moments.

    **Arguments**

    - `targets`: those with `use = "fit"` that read the agent moments as levels at the base; others of `Targets` are left out.
    - `free`: ranges `{name: (lo, hi)}`. More parameters than moments are allowed: the fit then says how many directions are free.

    Raises `InputError` with all problems.
    """
    agents = {g for g, m in model.moments.items() if m.cost == "agents"}
    chosen = [t for t in (targets.targets.values() if isinstance(targets, Targets) else targets)]
    if isinstance(targets, Targets):
        chosen = [t for t in chosen if t.use == "fit" and group_of(model, t.moment) in agents]
    wrong, ranges = free_problems(model, dict(free), "the problem")  # pyright: ignore
    problems = seed_problems(seed) + list(wrong)
    if not free:
        problems.append("no parameter is free; name at least one with its range, e.g. {'b': (0.5, 2.0)}")
    if not chosen:
        problems.append(
            f"no target reads the agent moments of {model.name}; groups with cost 'agents': {sorted(agents)}"
        )
    groups = {group_of(model, t.moment) for t in chosen}
    if len(groups) > 1 or not groups <= agents:
        problems.append(
            f"targets read the groups {sorted(groups)}; simulated moments come from one of {sorted(agents)}"
        )
    for t in chosen:
        if t.compare != "level" or t.place != Place():
            problems.append(
                f"target {t.name!r} is read elsewhere or as {t.compare}; simulated moments are levels at the base"
            )
        if not t.standard_error > 0:
            problems.append(f"target {t.name!r} has no standard error; give it one")
    if problems:
        raise InputError(problems, f"the simulated moments of {model.name}")
    p, u = resolve(model, params, policy, "float64")
    lo, hi = np.array(list(ranges.values()), float).T
    return SimulatedProblem(
        SimulatedMap(model, groups.pop(), tuple(ranges), tuple(t.moment for t in chosen)), p, u, lo, hi,
        np.array([t.value for t in chosen]), np.array([t.standard_error for t in chosen]), int(seed),
    )  # fmt: skip
