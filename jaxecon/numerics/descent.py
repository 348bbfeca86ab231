"""Minimize a smooth function of many variables on a box by its reverse gradient: paths of instruments, coefficients of rules.

`numerics.box` serves a few variables and a batch of problems by forward mode, `numerics.box_optimizer` many starts from the host.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float


def minimize_many(
    f: Callable[[Array], Array], x0: Float[Array, "*n"], lo: Float[Array, "*n"], hi: Float[Array, "*n"], steps: int
) -> tuple[Float[Array, "*n"], Float[Array, ""]]:
    """Smallest value of `f` on `[lo, hi]` that gradients find from `x0`.

    `steps` of projected Adam, then half as many of L-BFGS on the variables that no bound holds after them.

    **Returns** the point, and the largest projected slope per width of the box as a share of the value: zero where the
    first-order conditions hold.
    """
    width = hi - lo

    def value(z: Array) -> Array:
        return f(lo + width * jnp.clip(z, 0.0, 1.0))

    look = jax.value_and_grad(value)
    rule = optax.adam(optax.cosine_decay_schedule(0.02, steps))

    def adam(state: tuple, _: None) -> tuple[tuple, None]:
        z, memory, best, lowest = state
        v, g = look(z)
        best, lowest = jnp.where(v < lowest, z, best), jnp.minimum(v, lowest)
        change, memory = rule.update(g, memory)
        return (jnp.clip(z + change, 0.0, 1.0), memory, best, lowest), None

    z = jnp.clip((x0 - lo) / width, 0.0, 1.0)
    (_, _, z, _), _ = lax.scan(adam, (z, rule.init(z), z, jnp.asarray(jnp.inf, z.dtype)), None, steps)

    # The bounds that hold after Adam hold on; the rest is polished without them.
    _, g = look(z)
    free = jnp.where(((z <= 0) & (g > 0)) | ((z >= 1) & (g < 0)), 0.0, 1.0)
    fine = optax.lbfgs(memory_size=20)

    def polished(d: Array) -> Array:
        return value(z + free * d)

    both = optax.value_and_grad_from_state(polished)

    def quasi_newton(state: tuple, _: None) -> tuple[tuple, None]:
        d, memory = state
        v, slope = both(d, state=memory)
        change, memory = fine.update(slope, memory, d, value=v, grad=slope, value_fn=polished)
        return (optax.apply_updates(d, change), memory), None

    d = jnp.zeros_like(z)
    (d, _), _ = lax.scan(quasi_newton, (d, fine.init(d)), None, steps // 2)
    end = jnp.clip(z + free * d, 0.0, 1.0)
    z = jnp.where(value(end) <= value(z), end, z)
    v, g = look(z)
    slope = jnp.max(jnp.abs(jnp.clip(z - g, 0.0, 1.0) - z))
    return lo + width * z, slope / jnp.maximum(jnp.abs(v), 1e-12)
