r"""Adverse selection with a continuum of types (7.2): costs theta uniform on [0, 1], a signal $y = \theta + \sigma z$.

Virtual cost $\theta + h$ with the posterior's reversed hazard $h = F/f$; the principal buys $q = \max(0, a - \theta - h)$.
With $t = (y - \theta)/\sigma$ it is the ratio of (7.3), $h = \sigma[\Phi(t + \theta/\sigma) - \Phi(t)]/\phi(t)$: differences of the normal's tails, because
naive ratios overflow. Truncated normals are log-concave, so that q falls in theta; other posteriors are ironed.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.models.information_asymmetry.both import REACH, hazard, normal_density
from jaxecon.models.information_asymmetry.screening import Contract
from jaxecon.numerics.quadrature import gauss_legendre

Scalar = Float[Array, ""]
NODES = 32


def _bisect(f, lo: Array, hi: Array) -> Array:
    """Where a falling f turns negative; the upper end if it does not."""

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        above = f(middle) > 0
        return jnp.where(above, middle, ends[0]), jnp.where(above, ends[1], middle)

    return lax.fori_loop(0, 45, halve, (lo, hi))[1]


def continuum(a: Scalar, sigma: Scalar) -> Contract:
    r"""Expected welfare, profit, rent and quantity with a public signal before contracting (7.2) [S].

    Profit is $E q^2/2$, the virtual surplus; rent $E h q$. Types beyond $\theta^*(t)$ are shut out; Gauss-Legendre nodes lie on
    both sides of the t where $\theta^* = 1$.
    """
    fixed_a, fixed_sigma = lax.stop_gradient((a, sigma))
    zero = jnp.zeros_like(a + sigma)

    def quantity(theta: Array, t: Array) -> Array:
        return fixed_a - theta - hazard(t, theta / fixed_sigma, fixed_sigma)

    # At theta = 1 the quantity rises in t.
    turn = -_bisect(lambda s: quantity(zero + 1, -s), zero - REACH, zero + REACH)
    # Where some are always shut out there is no kink.
    turn = jnp.where(turn < REACH - 1e-6, turn, 0.0)
    x, w = (y.astype(sigma.dtype) for y in gauss_legendre(NODES))
    below, above = turn + REACH, REACH - turn
    t = jnp.concatenate([turn - below * x**2, turn + above * x])
    weight = jnp.concatenate([2 * below * x * w, above * w]) * normal_density(t)
    last = _bisect(lambda theta: quantity(theta, t), jnp.zeros_like(t), jnp.ones_like(t))
    theta = last[:, None] * x
    h = hazard(t[:, None], theta / sigma, sigma)
    q = jnp.maximum(a - theta - h, 0.0)
    mass = (weight * last)[:, None] * w
    profit, rent = jnp.sum(mass * q**2 / 2), jnp.sum(mass * h * q)
    return Contract(profit + rent, profit, rent, jnp.sum(mass * q))


def welfare_slope(a: Scalar, sigma: Scalar) -> Scalar:
    r"""Slope of welfare in the signal's precision $1/\sigma^2$; to first order $-1/40$ where the signal tells little (C7.4)."""
    by_sigma = jax.jvp(lambda s: continuum(a, s).welfare, (sigma,), (jnp.ones_like(sigma),))[1]
    return by_sigma * (-(sigma**3) / 2)


def ironed(values: Float[Array, " n"], weights: Float[Array, " n"]) -> Float[Array, " n"]:
    r"""The nearest non-increasing sequence in the weighted mean square: $\min_{j \le i}\max_{k \ge i}$ of the means over j..k [S]."""
    sums = jnp.concatenate([jnp.zeros(1, values.dtype), jnp.cumsum(values * weights)])
    sizes = jnp.concatenate([jnp.zeros(1, values.dtype), jnp.cumsum(weights)])
    n = values.shape[0]
    start, end = jnp.arange(n)[:, None], jnp.arange(n)[None, :]
    size = sizes[1:][None, :] - sizes[:-1][:, None]
    mean = (sums[1:][None, :] - sums[:-1][:, None]) / jnp.where(end >= start, size, 1.0)
    # best[j, i]: the largest mean over j..k with k >= i.
    best = lax.cummax(jnp.where(end >= start, mean, -jnp.inf), axis=1, reverse=True)
    return jnp.min(jnp.where(end >= start, best, jnp.inf), axis=0)


def ironed_contract(a: Scalar, theta: Float[Array, " n"], density: Float[Array, " n"]) -> tuple[Contract, Array, Array]:
    r"""The best contract under any posterior on a grid of types: totals, quantities, and quantities before ironing [S].

    `density` is the posterior at the midpoints of equal cells. $q = \max(0, a - \theta - F/f)$, ironed where it rises.
    """
    f = density / jnp.sum(density)
    F = jnp.cumsum(f) - f / 2
    cell = theta[1] - theta[0]
    h = cell * F / f
    naive = a - theta - h
    q = jnp.maximum(ironed(naive, f), 0.0)
    profit = jnp.sum(f * ((a - theta - h) * q - q**2 / 2))
    rent = jnp.sum(f * h * q)
    return Contract(profit + rent, profit, rent, jnp.sum(f * q)), q, naive
