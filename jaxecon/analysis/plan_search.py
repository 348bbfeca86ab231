"""The search for a policy over time: first-order steps from several starts, then projected Newton with limits on sums over time.

A plan is a vector x in a box; what counts are sums over the path that it leads to: the objective, and those that are limited.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxecon.analysis.designs import get_values, replace
from jaxecon.core.compiling import quick_jit
from jaxecon.core.fields import with_fields
from jaxecon.core.model import Dynamics
from jaxecon.numerics.augmented import Local, Solution, critical_curvatures, maximize_constrained, residuals
from jaxecon.numerics.descent import minimize_many

# A series by name, or a function of the path: its flow at each date `[T]`, or a scalar.
Functional = str | Callable[[Any], Float[Array, "..."]]
# Variables of a plan up to which Newton steps are taken: each costs a product with the Hessian for every variable.
MOST = 400
# Penalty of the first-order search, in units of the objective; that with which the Newton search begins.
PENALTY = 10.0


def total(functional: Functional, path: Any, time: Float[Array, " T"], discount: Array) -> Float[Array, ""]:
    r"""$\sum_t discount^t\, flow_t\, h$ with h the step between the dates; a scalar functional as it is."""
    flow = getattr(path, functional) if isinstance(functional, str) else jnp.asarray(functional(path))
    return flow if flow.ndim == 0 else jnp.sum(discount**time * flow) * (time[1] - time[0])


def spread_pieces(x: Float[Array, "k pieces"], dates: int) -> Float[Array, "k T"]:
    """Piecewise constant paths: pieces of equal length over the dates."""
    return x[:, jnp.arange(dates) * x.shape[1] // dates]


def run_feedback(
    layer: Dynamics, p: Any, u: Any, time: Float[Array, " T"], names: tuple[str, ...], states: tuple[tuple[str, str], ...],
    level: Float[Array, " k"], slopes: Float[Array, "k s"], lo: Float[Array, " k"], hi: Float[Array, " k"],
) -> tuple[Any, Float[Array, "k T"]]:  # fmt: skip
    """The path where instruments follow $level + slopes (state - start)$ within [lo, hi], and the instruments.

    One step of the layer after the other, each from the state where the last one ended: `states` pairs each state's series with the
    parameter that holds its start.
    """
    starts = get_values(p, u, [start for _, start in states])
    step = time[1] - time[0]

    def period(state: Array, t: Array) -> tuple[Array, tuple[Any, Array]]:
        x = jnp.clip(level + slopes @ (state - starts), lo, hi)
        now, _ = replace(p, u, [start for _, start in states], state)
        path = layer.run(now, with_fields(u, names, x), jnp.stack([t, t + step]))
        return jnp.stack([getattr(path, name)[-1] for name, _ in states]), (jax.tree.map(lambda v: v[0], path), x)

    _, (path, x) = lax.scan(period, starts.astype(time.dtype), time)
    return path, x.T


@dataclasses.dataclass(frozen=True)
class Shape:
    """What is fixed of a plan: the layer, how its instruments follow from a vector x, and which sums are read."""

    layer: Dynamics
    rule: str
    names: tuple[str, ...]
    states: tuple[tuple[str, str], ...]
    pieces: int
    sums: tuple[Functional, ...]

    def unfold(self, x: Array, world: Any) -> tuple[Any, Array]:
        """The path and the instruments `[k, T]` of a plan; `world`: parameters, policy, dates, bounds of the instruments, discount."""
        p, u, time, lo, hi, _ = world
        k = len(self.names)
        if self.rule == "feedback":
            slopes = x[k:].reshape(k, len(self.states))
            return run_feedback(self.layer, p, u, time, self.names, self.states, x[:k], slopes, lo, hi)
        paths = spread_pieces(x.reshape(k, self.pieces), len(time))
        given = paths[:, 0] if self.rule == "constant" else paths
        return self.layer.run(p, with_fields(u, self.names, given), time), paths

    def read(self, path: Any, world: Any) -> Float[Array, " r"]:
        """The sums over a path."""
        return jnp.stack([total(f, path, world[2], world[5]) for f in self.sums])

    def totals(self, x: Array, world: Any) -> Float[Array, " r"]:
        """The sums of a plan."""
        return self.read(self.unfold(x, world)[0], world)


@quick_jit
def _values(shape: Shape, world: Any, x: Array) -> tuple[Any, Array, Array]:
    path, paths = shape.unfold(x, world)
    return path, paths, shape.read(path, world)


@quick_jit
def given_sums(shape: Shape, world: Any) -> Array:
    """The sums under the policy as it was given."""
    p, u, time, *_ = world
    return shape.read(shape.layer.run(p, u, time), world)


@quick_jit
def _descend(
    shape: Shape, iterations: int, world: Any, least: Array, most: Array, start: Array, sizes: Array, lo: Array, hi: Array
) -> Array:  # fmt: skip
    def loss(x: Array) -> Array:
        value = shape.totals(x, world) / sizes
        over = value[1:] - jnp.clip(value[1:], lo, hi)
        return -value[0] + PENALTY / 2 * jnp.sum(over**2)

    return minimize_many(loss, start, least, most, iterations)[0]


@quick_jit
def _look(shape: Shape, world: Any, least: Array, width: Array, sizes: Array, z: Array) -> tuple[Array, Array, Array]:
    def value(z: Array) -> Array:
        return shape.totals(least + width * z, world) / sizes

    slopes = jax.jacrev(value)
    if len(z) > MOST:
        return value(z), slopes(z), jnp.zeros((len(sizes), 0, 0), z.dtype)
    # Products with the Hessians, one variable after the other.
    bend = lax.map(lambda e: jax.jvp(slopes, (z,), (e,))[1], jnp.eye(len(z), dtype=z.dtype))
    return value(z), slopes(z), jnp.moveaxis(bend, 0, -1)


@dataclasses.dataclass(frozen=True)
class Found:
    """Where the starts of a search ended; the unit box spans `least` to `least + width`, sums are in units of `sizes`."""

    solution: Solution
    sizes: np.ndarray
    least: np.ndarray
    width: np.ndarray

    def x(self, run: int) -> np.ndarray:
        """The plan of a run in natural units; a bound that is reached is reached exactly."""
        z = self.solution.z[run]
        return np.where(z >= 1, self.least + self.width, self.least + self.width * z)

    def curvatures(self, run: int, held: np.ndarray, tol: float) -> np.ndarray:
        """Eigenvalues of the Lagrangian's Hessian in the directions that bounds and binding limits leave; NaN without Hessians."""
        here = self.solution.here
        if not here.ddf.size:
            return np.array([np.nan])
        slope, hessian = here.lagrangian(self.solution.y)
        return critical_curvatures(self.solution.z[run], slope[run], hessian[run], here.dc[run], held, tol)[0]


def search(
    shape: Shape, world: Any, least: np.ndarray, most: np.ndarray, starts: Sequence[np.ndarray], sign: float,
    lo: np.ndarray, hi: np.ndarray, iterations: int,
) -> Found:  # fmt: skip
    """The best plans between `least` and `most` from each of the starts (natural units); `lo`, `hi`: limits of the other sums.

    Adam and L-BFGS on the reverse gradient with a penalty on the limits; from there augmented Lagrangian and projected Newton.
    """
    width = most - least
    firsts = np.stack([np.asarray(_values(shape, world, jnp.asarray(x))[2]) for x in starts])
    firsts = np.concatenate([firsts, np.asarray(given_sums(shape, world))[None]])
    spread = np.nanmax(np.where(np.isfinite(firsts), np.abs(firsts), np.nan), axis=0, initial=0.0)
    limits = np.maximum(*(np.where(np.isfinite(x), np.abs(x), 0.0) for x in (lo, hi))) if len(lo) else lo
    sizes = np.maximum(spread, np.concatenate([[0.0], limits]))
    sizes = np.where(sizes > 0, sizes, 1.0) * np.concatenate([[sign], np.ones(len(lo))])
    lo, hi = lo / sizes[1:], hi / sizes[1:]
    box = (jnp.asarray(least), jnp.asarray(most))
    ends = [
        _descend(shape, iterations, world, *box, jnp.asarray(x), jnp.asarray(sizes), jnp.asarray(lo), jnp.asarray(hi))
        for x in starts
    ]
    z = np.clip((np.stack([np.asarray(x) for x in ends]) - least) / width, 0.0, 1.0)

    def look(points: np.ndarray, _: np.ndarray) -> Local:
        args = (shape, world, box[0], jnp.asarray(width), jnp.asarray(sizes))
        rows = [[np.asarray(v) for v in _look(*args, jnp.asarray(point))] for point in points]
        value, slope, bend = (np.stack(x) for x in zip(*rows, strict=True))
        ok = np.all([np.isfinite(x).reshape(len(x), -1).all(axis=1) for x in (value, slope, bend)], axis=0)
        value, slope, bend = (np.where(ok.reshape(-1, *[1] * (x.ndim - 1)), x, 0.0) for x in (value, slope, bend))
        f = np.where(ok, value[:, 0], -np.inf)
        return Local(f, slope[:, 0], bend[:, 0], value[:, 1:], slope[:, 1:], bend[:, 1:])

    if z.shape[1] <= MOST:
        return Found(maximize_constrained(look, z, lo, hi), sizes, least, width)
    here, y = look(z, np.arange(len(z))), np.zeros((len(z), len(lo)))
    return Found(Solution(z, here, y, residuals(z, here, y, lo, hi)), sizes, least, width)


def outcome_of(shape: Shape, world: Any, x: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    """Path, instruments `[k, T]` and sums of a plan, as NumPy arrays."""
    return jax.device_get(_values(shape, world, jnp.asarray(x)))
