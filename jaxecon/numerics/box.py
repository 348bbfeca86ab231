"""Maximize a smooth function of a few variables on a box: pure, batched, many starts."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, PyTree


class Maximum(eqx.Module):
    """Best point found, its value, and the largest slope along which the box would still allow a gain."""

    x: Float[Array, " n"]
    value: Float[Array, ""]
    slope: Float[Array, ""]
    converged: Bool[Array, ""]


def _free(x: Array, g: Array, lo: Array, hi: Array) -> Array:
    """One where a variable may move uphill, zero where it is held by a bound."""
    return jnp.where(((x <= lo) & (g < 0)) | ((x >= hi) & (g > 0)), 0.0, 1.0)


def _climb(f: Callable, x0: Array, lo: Array, hi: Array, args: PyTree, steps: int) -> tuple[Array, Array, Array]:
    """Quasi-Newton (BFGS) ascent with projection; a step that does not gain is shortened, at one evaluation each."""
    n = x0.shape[0]
    eye = jnp.eye(n, dtype=x0.dtype)
    width = hi - lo

    def look(t: Array) -> tuple[Array, Array]:
        # Forward mode: a few variables, and a much smaller program where `f` holds an implicit root.
        g, value = jax.jacfwd(lambda s: (f(lo + width * s, args),) * 2, has_aux=True)(t)
        ok = jnp.isfinite(value) & jnp.all(jnp.isfinite(g))
        return jnp.where(ok, value, -jnp.inf), jnp.where(ok, g, 0.0)

    zero, one = jnp.zeros_like(x0), jnp.ones_like(x0)

    def body(_: Any, c: tuple) -> tuple:
        t, value, g, inverse, scale = c
        free = _free(t, g, zero, one)
        held = inverse * free[:, None] * free[None, :]
        step = held @ g
        step = jnp.where(step @ g > 0, step, free * g)
        step = step * jnp.minimum(1.0, 0.25 / jnp.maximum(jnp.max(jnp.abs(step)), 1e-30))
        trial = jnp.clip(t + scale * step, 0.0, 1.0)
        new, slope = look(trial)
        gained = new > value
        s, y = trial - t, g - slope
        curved = (s @ y > 1e-14) & jnp.isfinite(value)
        rho = 1 / jnp.where(curved, s @ y, 1.0)
        left = eye - rho * jnp.outer(s, y)
        updated = left @ inverse @ left.T + rho * jnp.outer(s, s)
        inverse = jnp.where(gained & curved, updated, inverse)
        scale = jnp.where(gained, jnp.minimum(1.0, 3 * scale), 0.3 * scale)
        # A step that has become tiny starts again from the gradient direction.
        tired = scale < 1e-7
        inverse, scale = jnp.where(tired, eye, inverse), jnp.where(tired, 1.0, scale)
        return (
            jnp.where(gained, trial, t), jnp.where(gained, new, value), jnp.where(gained, slope, g), inverse, scale
        )  # fmt: skip

    # The first step evaluates the start itself: its step is zero and any value beats minus infinity.
    t = jnp.clip((x0 - lo) / jnp.where(width > 0, width, 1.0), 0.0, 1.0)
    unknown = jnp.asarray(-jnp.inf, x0.dtype)
    t, value, g, *_ = lax.fori_loop(0, steps + 1, body, (t, unknown, zero, eye, jnp.ones((), x0.dtype)))
    slope = jnp.max(jnp.abs(g * _free(t, g, zero, one)))
    return lo + width * t, value, slope


def maximize_box(
    f: Callable[[Array, PyTree], Array],
    starts: Float[Array, "s n"],
    lo: Float[Array, " n"],
    hi: Float[Array, " n"],
    args: PyTree,
    *,
    steps: int = 60,
    tol: float = 1e-5,
) -> Maximum:
    """Largest value of `f(x, args)` on `[lo, hi]` over climbs from all `starts`.

    `f` is differentiable where finite; points where it is not finite are never accepted. A variable with `lo = hi` is
    held there, so that one program serves several sets of free variables. The slope is measured per width of the box. No derivative passes through the climb (by the envelope theorem the derivative
    of the value with respect to `args` is that of `f` at the returned point).
    """
    args = lax.stop_gradient(args)
    x, value, slope = jax.vmap(lambda s: _climb(f, s, lo, hi, args, steps))(lax.stop_gradient(starts))
    k = jnp.argmax(value)
    return Maximum(x[k], value[k], slope[k], slope[k] <= tol * (1 + jnp.abs(value[k])))
