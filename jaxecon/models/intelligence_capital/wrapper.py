r"""Wrappers: what an app is worth when capability can do its work, $R = 1 + m A^{-b}$ (1.10)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.intelligence_capital.params import Params, Policy
from jaxecon.numerics.roots import bisect, find_root

Scalar = Float[Array, ""]
# Stands for "none": no finite threshold.
NONE = 1e12


def absorption(p: Params, u: Policy) -> Scalar:
    """`b_w` after app access; kept off zero."""
    return jnp.maximum(p.b_w * (1 - u.app_access), 1e-6)


def app_advantage(p: Params, u: Policy, ln_A: Scalar) -> Scalar:
    r"""$R - 1 = m A^{-b}$."""
    return p.m_w * jnp.exp(-absorption(p, u) * ln_A)


def app_margin(p: Params, u: Policy, ln_A: Scalar) -> Scalar:
    r"""$\mu_{app} = 1 - R^{-\theta}$: what disappears if the app is withdrawn [R]."""
    return -jnp.expm1(-p.theta * jnp.log1p(app_advantage(p, u, ln_A)))


def app_value(p: Params, u: Policy, ln_A: Scalar) -> Scalar:
    r"""$A^{\phi} \mu_{app}$ [R]."""
    return jnp.exp(p.phi_w * ln_A) * app_margin(p, u, ln_A)


def erosion(theta: Scalar, y: Scalar) -> Scalar:
    r"""$-d\ln\mu_{app}/d\ln A$ over b as a function of $y = R - 1$: falls from 1 (y = 0) to 0."""
    power = theta * jnp.log1p(y)
    return theta * y / (1 + y) / jnp.expm1(power)


def _trap_gap(x: Float[Array, "1"], args: tuple[Scalar, Scalar]) -> Float[Array, "1"]:
    theta, ratio = args
    return (jnp.log(erosion(theta, jnp.exp(x[0]))) - jnp.log(ratio))[None]


def _trap_scalar(x: Scalar, args: tuple[Scalar, Scalar]) -> Scalar:
    return _trap_gap(x[None], args)[0]


def critical_capability(p: Params, u: Policy) -> Scalar:
    r"""$A_w$: beyond it the app's value falls with capability, $-d\ln\mu_{app}/d\ln A = \phi_w$ (1.10).

    A unique root exists iff $b > \phi_w$; `NONE` stands for no trap and for thresholds beyond it.
    """
    b = absorption(p, u)
    exists = b > p.phi_w
    ratio = jnp.where(exists, p.phi_w / b, 0.5)
    # Near y = 0 the erosion is 1 - (theta + 1) y/2: start from there or from the half-way point.
    low, high = jnp.log(jnp.finfo(b.dtype).eps) * jnp.ones_like(b), 8.0 * jnp.ones_like(b)
    start = bisect(_trap_scalar, low, high, (p.theta, ratio), steps=12)
    y = find_root(_trap_gap, start[None], (p.theta, ratio), max_step=1.0).x[0]
    ln_A_w = (jnp.log(p.m_w) - y) / jnp.where(exists, b, 1.0)
    top = jnp.log(NONE)
    return jnp.where(exists & (ln_A_w < top), jnp.exp(jnp.minimum(ln_A_w, top)), NONE)


def share_erosion(p: Params, b: Scalar, y: Scalar) -> Scalar:
    r"""Variant: the app's margin is its logit share $R^\theta/(1 + R^\theta)$; $-d\ln/d\ln A = \theta b \frac{y}{1+y} \frac{1}{1+R^\theta}$."""
    return p.theta * b * y / (1 + y) / (1 + jnp.exp(p.theta * jnp.log1p(y)))


def temporary_trap(p: Params, u: Policy) -> dict[str, Scalar]:
    r"""The variant's trap: hump-shaped erosion, so two roots in A (entry and exit) where its peak exceeds $\phi_w$, else none."""
    b = absorption(p, u)
    ln_y = jnp.linspace(-8.0, 5.0, 521, dtype=b.dtype)
    value = share_erosion(p, b, jnp.exp(ln_y))
    peak = jnp.argmax(value)

    def gap(x: Scalar, args: tuple[Scalar, Scalar]) -> Scalar:
        return share_erosion(p, args[0], jnp.exp(x)) - args[1]

    exists = value[peak] > p.phi_w
    level = jnp.where(exists, p.phi_w, 0.5 * value[peak])
    first = bisect(gap, ln_y[peak], ln_y[-1], (b, level))
    last = bisect(gap, ln_y[0], ln_y[peak], (b, level))
    enter, leave = (jnp.where(exists, jnp.exp((jnp.log(p.m_w) - x) / b), NONE) for x in (first, last))
    return {"peak erosion": value[peak], "trap": exists.astype(b.dtype), "enters at A": enter, "leaves at A": leave}
