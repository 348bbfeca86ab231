"""Maximization over the unit box from one start; vmap it over starts.

A global phase (Adam, or L-BFGS) with projection, then a projected quasi-Newton polish (BFGS on the free variables)
that drives the projected gradient to round-off. The objective returns `(value, ok)`; where it is not `ok` the step is
not taken, so that a failed point harms no other and the search stays where the model solves.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

Objective = Callable[[Float[Array, " k"]], tuple[Float[Array, ""], Bool[Array, ""]]]


class BoxOptimum(eqx.Module):
    """Best point of the unit box, its value, gradient and projected-gradient norm; `ok` if the model solves there."""

    z: Float[Array, " k"]
    value: Float[Array, ""]
    gradient: Float[Array, " k"]
    kkt: Float[Array, ""]
    ok: Bool[Array, ""]


class _Point(eqx.Module):
    z: Array
    value: Array
    gradient: Array
    ok: Array


def _look(f: Objective, z: Array) -> _Point:
    """Value and gradient, -inf and zero where the objective fails. Forward mode: there are few instruments."""

    def split(x: Array) -> tuple[Array, tuple[Array, Array]]:
        value, ok = f(x)
        return value, (value, ok)

    gradient, (value, ok) = jax.jacfwd(split, has_aux=True)(z)
    ok = ok & jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
    return _Point(z, jnp.where(ok, value, -jnp.inf), jnp.where(ok, gradient, 0.0), ok)


def _better(new: _Point, old: _Point) -> _Point:
    return jax.tree.map(lambda a, b: jnp.where(new.value > old.value, a, b), new, old)


def projected_gradient(z: Float[Array, " k"], gradient: Float[Array, " k"]) -> Float[Array, " k"]:
    r"""$P(z + \nabla f) - z$ on the unit box: zero at a point that satisfies the first-order conditions."""
    return jnp.clip(z + gradient, 0.0, 1.0) - z


def adam(f: Objective, z: Float[Array, " k"], scale: Float[Array, ""], steps: int, rate: float = 0.05) -> _Point:
    """Projected Adam with a cosine schedule; returns the best point seen."""
    # Imported late: only an optimization pays for loading it.
    import optax

    rule: Any = optax.adam(optax.cosine_decay_schedule(rate, steps))
    start = _look(f, z)

    def step(state: tuple[_Point, _Point, Any], _: None) -> tuple[tuple[_Point, _Point, Any], None]:
        here, best, memory = state
        update, memory = rule.update(-here.gradient / scale, memory)
        there = _look(f, jnp.clip(here.z + update, 0.0, 1.0))
        # Where the model does not solve, go back halfway to the best point.
        retreat = _Point(0.5 * (there.z + best.z), best.value, best.gradient, best.ok)
        moved = jax.tree.map(lambda a, b: jnp.where(there.ok, a, b), there, retreat)
        return (moved, _better(there, best), memory), None

    (_, best, _), _ = lax.scan(step, (start, start, rule.init(z)), None, length=steps)
    return best


def _line_search(f: Objective, here: _Point, direction: Array, lengths: Array) -> _Point:
    """Best of several projected steps and the point itself."""
    trials = jnp.clip(here.z + lengths[:, None] * direction, 0.0, 1.0)
    values, oks = jax.vmap(f)(trials)
    values = jnp.where(oks & jnp.isfinite(values), values, -jnp.inf)
    return _better(_look(f, trials[jnp.argmax(values)]), here)


def lbfgs(f: Objective, z: Float[Array, " k"], scale: Float[Array, ""], steps: int) -> _Point:
    """Projected L-BFGS (optax) on the free variables with a line search over fixed step lengths."""
    import optax

    rule: Any = optax.scale_by_lbfgs(memory_size=10)
    lengths = jnp.asarray([1.0, 0.5, 0.1, 0.01, 1e-3, 1e-4], z.dtype)
    start = _look(f, z)

    def step(state: tuple[_Point, Any], _: None) -> tuple[tuple[_Point, Any], None]:
        here, memory = state
        free = jnp.abs(projected_gradient(here.z, here.gradient)) > 0
        uphill = jnp.where(free, here.gradient, 0.0) / scale
        direction, memory = rule.update(-uphill, memory, here.z)
        direction = -jnp.where(free & jnp.isfinite(direction), direction, 0.0)
        direction = jnp.where(jnp.sum(direction * uphill) > 0, direction, uphill)
        return (_line_search(f, here, direction, lengths), memory), None

    (best, _), _ = lax.scan(step, (start, rule.init(z)), None, length=steps)
    return best


def polish(f: Objective, start: _Point, scale: Float[Array, ""], steps: int = 40) -> BoxOptimum:
    """Projected BFGS: quasi-Newton on the variables that are not held at a bound, to round-off."""
    k = start.z.shape[0]
    lengths = jnp.asarray([4.0, 1.0, 0.5, 0.1, 0.01, 1e-3, 1e-5], start.z.dtype)
    eye = jnp.eye(k, dtype=start.z.dtype)
    noise = jnp.finfo(start.z.dtype).eps ** 0.6

    def residual(x: _Point) -> Array:
        return jnp.max(jnp.abs(projected_gradient(x.z, x.gradient / scale)))

    def step(state: tuple[_Point, Array], _: None) -> tuple[tuple[_Point, Array], None]:
        here, curvature = state
        g = here.gradient / scale
        free = ~(((here.z <= 0) & (g <= 0)) | ((here.z >= 1) & (g >= 0)))
        pair = free[:, None] & free[None, :]
        direction = jnp.linalg.solve(jnp.where(pair, curvature, eye), jnp.where(free, g, 0.0))
        direction = jnp.where(jnp.isfinite(direction), direction, g)
        trials = jnp.clip(here.z + lengths[:, None] * direction, 0.0, 1.0)
        looked = jax.vmap(lambda z: _look(f, z))(trials)
        gain = jnp.where(looked.ok, (looked.value - here.value) / scale, -jnp.inf)
        left = jnp.where(jnp.abs(gain) <= noise, jax.vmap(residual)(looked), jnp.inf)
        # Near the optimum values differ by round-off only: there the smallest projected gradient decides.
        climbs, settles = jnp.max(gain) > noise, jnp.min(left) < residual(here)
        moved = climbs | settles
        pick = jnp.where(climbs, jnp.argmax(gain), jnp.argmin(left))
        there = jax.tree.map(lambda x: x[pick], looked)
        s, y = there.z - here.z, -(there.gradient - here.gradient) / scale
        sy, bs = jnp.sum(s * y), curvature @ s
        sbs = jnp.sum(s * bs)
        valid = moved & (sy > 1e-10 * jnp.sum(s**2)) & (sbs > 0)
        safe_sy, safe_sbs = jnp.where(valid, sy, 1.0), jnp.where(valid, sbs, 1.0)
        updated = curvature + jnp.outer(y, y) / safe_sy - jnp.outer(bs, bs) / safe_sbs
        here = jax.tree.map(lambda a, b: jnp.where(moved, a, b), there, here)
        # No progress: forget the curvature and try a gradient step next.
        return (here, jnp.where(valid, updated, jnp.where(moved, curvature, eye))), None

    (best, _), _ = lax.scan(step, (start, eye), None, length=steps)
    return BoxOptimum(best.z, best.value, best.gradient, residual(best), best.ok)
