"""A root followed along a path: quasi-Newton steps from the last root, with an implicit derivative.

Inside a time loop the root of the last step is nearly the root of this one. Broyden's method then needs
three or four evaluations of the conditions and no Jacobian, which matters where the conditions hold
derivatives themselves (first-order conditions): a Jacobian there is slow to run and slow to compile.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from jaxecon.numerics.linear import eliminate
from jaxecon.numerics.roots import attach_derivative, default_tolerance

Gaps = Callable[[Array, PyTree], Array]


class Tracked(eqx.Module):
    """A root `x`, the approximate inverse Jacobian for the next call, the largest absolute residual."""

    x: Float[Array, " n"]
    inverse: Float[Array, "n n"]
    residual: Float[Array, ""]


def inverse_jacobian(f: Gaps, x: Float[Array, " n"], args: PyTree) -> Float[Array, "n n"]:
    """Inverse of df/dx by one-sided differences: a start for `track_root`, without derivative."""
    x, args = lax.stop_gradient((x, args))
    h = jnp.sqrt(jnp.finfo(x.dtype).eps)
    eye = jnp.eye(x.shape[0], dtype=x.dtype)
    moved = lax.map(lambda e: f(x + h * e, args), jnp.concatenate([jnp.zeros_like(x)[None], eye]))
    jacobian = ((moved[1:] - moved[0]) / h).T
    return eliminate(jacobian, eye)


def _broyden(f: Gaps, tol: float, max_steps: int, x0: Array, inverse: Array, args: PyTree) -> Tracked:
    """Good Broyden steps, capped at 1, until the residual is below `tol`."""

    def unfinished(state: tuple[Array, ...]) -> Array:
        *_, size, k = state
        return (size > tol) & (k < max_steps)

    def body(state: tuple[Array, ...]) -> tuple[Array, ...]:
        x, step, last, inverse, _, k = state
        trial = x + step
        gaps = f(trial, args)
        seen = inverse @ (gaps - last)
        slope = step @ seen
        secant = (k > 0) & (jnp.abs(slope) > 1e-3 * (step @ step)) & jnp.all(jnp.isfinite(gaps))
        update = jnp.outer(step - seen, step @ inverse) / jnp.where(secant, slope, 1.0)
        inverse = inverse + jnp.where(secant, update, 0.0)
        move = -inverse @ gaps
        move = move / jnp.maximum(1.0, jnp.max(jnp.abs(move)))
        # A point outside the domain: go back halfway.
        move = jnp.where(jnp.all(jnp.isfinite(gaps)), move, -0.5 * step)
        return trial, move, gaps, inverse, jnp.max(jnp.abs(gaps)), k + 1

    start = (x0, jnp.zeros_like(x0), jnp.zeros_like(x0), inverse, jnp.asarray(jnp.inf, x0.dtype), jnp.asarray(0))
    x, _, _, inverse, size, _ = lax.while_loop(unfinished, body, start)
    return Tracked(x, inverse, size)


def track_root(
    f: Gaps,
    x0: Float[Array, " n"],
    inverse: Float[Array, "n n"],
    args: PyTree,
    *,
    max_steps: int = 12,
    tol: float | None = None,
) -> Tracked:
    """Root of `f(x, args)` near `x0`, and the updated approximate inverse Jacobian for the next call.

    **Arguments**

    - `f`: module-level residual, unit-free; everything differentiated enters through `args`.
    - `x0`, `inverse`: the last root and its approximate inverse Jacobian (no derivative).
    - `tol`: largest residual at the end; default that of the precision.

    **Returns** a `Tracked`. The derivative of `x` is that of the implicit function theorem, in both
    modes. No error is raised: read `residual`.
    """
    tol = default_tolerance(x0.dtype) if tol is None else tol
    found = _broyden(f, tol, max_steps, *lax.stop_gradient((x0, inverse, args)))
    good = jnp.all(jnp.isfinite(found.x))
    return Tracked(attach_derivative(f, found.x, args, good), found.inverse, found.residual)
