r"""Moral hazard and adverse selection together (7.3): ability theta uniform on [0, 1] and private, $x = \theta + e + \epsilon$.

Performance has variance s2 and a signal $y = \theta + \sigma z$ tells about ability. The piece rate falls with the inverse hazard h
of the posterior, $b = B \max(0, 1 - c h)$, $B = 1/(1 + r c s2)$ (McAfee and McMillan) [S].

The expectation is over $\lambda = 1 - \theta$, uniform, and $t = (\theta - y)/\sigma$, standard normal and independent of it:

$$h = \frac{1-F}{f} = \sigma\,\frac{\Phi(t + \lambda/\sigma) - \Phi(t)}{\phi(t)}.$$

It rises in lambda, so that $c h < 1$ below some $\lambda^*(t)$; integrals over lambda are in closed form, that over t takes Gauss-Legendre
nodes on both sides of the kink where $\lambda^*(t) = 1$.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import erfc, ndtri
from jaxtyping import Array, Float

from jaxecon.numerics.quadrature import gauss_legendre

Scalar = Float[Array, ""]
# Beyond so many standard deviations the normal has a mass of 1e-13; nodes on each side of the kink.
REACH, NODES = 7.5, 32


class Joint(NamedTuple):
    r"""Means over ability and signal: $E\max(0, 1-ch)$, its square, $E h \max(0, 1-ch)$, and the mass of the nodes."""

    power: Scalar
    square: Scalar
    rent: Scalar
    mass: Scalar


def normal_density(t: Array) -> Array:
    r"""$\phi(t)$."""
    return jnp.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)


def _tail(x: Array) -> Array:
    r"""$\Phi(x)$, exact in the lower tail."""
    return erfc(-x / np.sqrt(2.0)) / 2


def _moments(t: Array, L: Array) -> tuple[Array, Array]:
    r"""$\int_0^L G\,ds$ and $\int_0^L G^2 ds$ of $G(s) = \Phi(t+s) - \Phi(t)$, in tails that do not cancel.

    With $\int\Phi = u\Phi + \phi$ and $\int\Phi^2 = u\Phi^2 + 2\Phi\phi - \Phi(\sqrt2 u)/\sqrt\pi$; for t > 0 with upper tails throughout.
    """
    # Reflected: the lower tail of v is the upper tail of u.
    sign = jnp.where(t > 0, -1.0, 1.0)
    v0, v1 = sign * t, sign * (t + L)
    P0, P1, d0, d1 = _tail(v0), _tail(v1), normal_density(v0), normal_density(v1)
    first = sign * ((v1 * P1 + d1) - (v0 * P0 + d0))

    def squared(v: Array, P: Array, d: Array) -> Array:
        return v * P**2 + 2 * P * d - erfc(-v) / (2 * np.sqrt(np.pi))

    second = sign * (squared(v1, P1, d1) - squared(v0, P0, d0))
    one = sign * (first - L * P0)
    two = second - 2 * P0 * first + L * P0**2
    return one, two


def hazard(t: Array, s: Array, sigma: Array) -> Array:
    r"""$\sigma[\Phi(t + s) - \Phi(t)]/\phi(t)$, by the tails that do not cancel."""
    sign = jnp.where(t > 0, -1.0, 1.0)
    return sigma * sign * (_tail(sign * (t + s)) - _tail(sign * t)) / normal_density(t)


def kink(sigma: Scalar, c: Scalar) -> Scalar:
    """t at which $c h(\\lambda = 1) = 1$, to the reach of the nodes; h falls in t. No derivative: the integrand has no jump there.

    To 4e-6: what lies between it and the true kink adds its square to the integrals.
    """
    sigma, c = lax.stop_gradient((sigma, c))

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        lo, hi = ends
        middle = 0.5 * (lo + hi)
        above = c * hazard(middle, 1 / sigma, sigma) > 1
        return jnp.where(above, middle, lo), jnp.where(above, hi, middle)

    zero = jnp.zeros_like(sigma + c)
    lo, hi = lax.fori_loop(0, 22, halve, (zero - REACH, zero + REACH))
    return 0.5 * (lo + hi)


def _edge(t: Array, sigma: Array, c: Array) -> Array:
    r"""$\lambda^*/\sigma$ for t below the kink: where $\Phi(t + s) = \Phi(t) + \phi(t)/(c\sigma)$, by the shorter tail; at most $1/\sigma$."""
    step, least = normal_density(t) / (c * sigma), jnp.finfo(t.dtype).tiny
    lower, upper = _tail(t) + step, _tail(-t) - step
    z = ndtri(jnp.clip(jnp.minimum(lower, upper), least, 0.5))
    return jnp.clip(jnp.where(lower < upper, z, -z) - t, 0.0, 1 / sigma)


def _integrals(t: Array, weight: Array, L: Array, sigma: Array, c: Array) -> Joint:
    r"""Over $\lambda = \sigma s$ up to $\sigma L$, of h = sigma G/density and of its square, then over t."""
    density = normal_density(t)
    G, G2 = _moments(t, L)
    h, h2 = sigma * sigma * G / density, sigma * (sigma / density) ** 2 * G2
    span, mass = sigma * L, weight * density
    return Joint(
        jnp.sum(mass * (span - c * h)),
        jnp.sum(mass * (span - 2 * c * h + c**2 * h2)),
        jnp.sum(mass * (h - c * h2)),
        jnp.sum(mass),
    )


def joint_means(sigma: Scalar, c: Scalar) -> Joint:
    """The three means of (7.3) at signal noise sigma and cost of effort c."""
    x, w = (y.astype(sigma.dtype) for y in gauss_legendre(NODES))
    middle = kink(sigma, c)
    below, above = middle + REACH, REACH - middle
    # Just above the kink lambda* runs off to infinity: nodes close up to it from below. There only lambda < lambda* earns a
    # piece rate; all integrands vanish at lambda*, so that it needs no derivative.
    t = middle - below * x**2
    part = _integrals(t, 2 * below * x * w, lax.stop_gradient(_edge(t, sigma, c)), sigma, c)
    whole = _integrals(middle + above * x, above * w, jnp.full_like(x, 1.0) / sigma, sigma, c)
    return Joint(*(a + b for a, b in zip(part, whole)))


class Solution(NamedTuple):
    """(7.3): mean piece rate, welfare, rent."""

    piece_rate: Scalar
    welfare: Scalar
    rent: Scalar


def solution(r: Scalar, c: Scalar, s2: Scalar, means: Joint) -> Solution:
    r"""Piece rate $B\,E\max(0,1-ch)$, welfare $E[\theta + b/c - b^2/(2c) - r s2 b^2/2]$, rent $E[h b]$ (7.3)."""
    B = 1 / (1 + r * c * s2)
    b, b2 = B * means.power, B**2 * means.square
    return Solution(b, 0.5 + b / c - b2 / (2 * c) - r * s2 * b2 / 2, B * means.rent)
