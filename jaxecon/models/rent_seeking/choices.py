r"""The agents' use of time (6.1): exact corners, their smooth version, and means over a heterogeneous population.

An agent splits a unit of time into production $1-r-m$, traditional rent-seeking $r$ and AI manipulation $m$:
$\max_{r, m \ge 0,\ r+m \le 1} w(1-r-m) + X r + Y m - (c_r r^2 + c_m m^2 + 2 c_x r m)/2$.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from jaxecon.models.rent_seeking.params import Params, Policy

Scalar = Float[Array, ""]
# Nodes an axis for ln c_r and ln c_m; w is integrated in closed form, so that nothing has a kink at a node.
NODES = 7


class Gains(NamedTuple):
    """Marginal gains of traditional rent-seeking X and of manipulation Y, and the probability of detection."""

    X: Scalar
    Y: Scalar
    pi: Scalar


class Means(NamedTuple):
    """Means over the population: time in either kind of rent-seeking, output, and the share of agents who seek rents."""

    r: Scalar
    m: Scalar
    output: Scalar
    active: Scalar


def manipulation_benefit(p: Params, A: Scalar) -> Scalar:
    r"""Extra benefit of manipulation $\Delta B(A) = dB_0 + dB_1 A$ [D object, R form]."""
    return p.dB_0 + p.dB_1 * A


def detection_probability(p: Params, u: Policy, R: Scalar) -> Scalar:
    r"""$\pi = (1 - e^{-(det_0 + detection)})(1 - capture\, R/(1+R))$ [R]: captured regulators see less where rents are large."""
    return -jnp.expm1(-(p.det_0 + u.detection)) * (1 - p.capture * R / (1 + R))


def gains(p: Params, u: Policy, A: Scalar, R: Scalar, S: Scalar) -> Gains:
    r"""$X = b(1-S) - \pi\tau_r$, $Y = \Delta B(A) - \pi(\tau_m + F)$, $F = F_0 + fine$ (6.1) [R]."""
    pi = detection_probability(p, u, R)
    X = p.b * (1 - S) - pi * u.rent_tax
    Y = manipulation_benefit(p, A) - pi * (u.manipulation_tax + p.F_0 + u.fine)
    return Gains(X, Y, pi)


def interior(X: Array, Y: Array, w: Array, c_r: Array, c_m: Array, c_x: Array) -> tuple[Array, Array]:
    r"""Both margins interior [R]: $r = [c_m (X-w) - c_x (Y-w)]/D$, $m = [c_r (Y-w) - c_x (X-w)]/D$, $D = c_r c_m - c_x^2$."""
    D = c_r * c_m - c_x**2
    return (c_m * (X - w) - c_x * (Y - w)) / D, (c_r * (Y - w) - c_x * (X - w)) / D


def best_reply(
    X: Array, Y: Array, w: Array, c_r: Array, c_m: Array, c_x: Array
) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Efforts (r, m) of agents with gains `X`, `Y`, productivity `w` and curvatures `c_r`, `c_m`; corners exact.

    The problem is concave, so the best of its four candidates (interior, either effort alone, no production) is the
    solution.
    """
    r_in, m_in = interior(X, Y, w, c_r, c_m, c_x)
    inside = (r_in >= 0) & (m_in >= 0) & (r_in + m_in <= 1)
    zero = jnp.zeros_like(r_in)
    edge = jnp.clip((X - Y + c_m - c_x) / (c_r + c_m - 2 * c_x), 0.0, 1.0) + zero
    r = jnp.stack([r_in, jnp.clip((X - w) / c_r, 0.0, 1.0) + zero, zero, edge])
    m = jnp.stack([m_in, zero, jnp.clip((Y - w) / c_m, 0.0, 1.0) + zero, 1 - edge])
    value = (X - w) * r + (Y - w) * m - (c_r * r**2 + c_m * m**2) / 2 - c_x * r * m
    value = value.at[0].set(jnp.where(inside, value[0], -jnp.inf))
    best = jnp.argmax(value, axis=0)[None]
    return jnp.take_along_axis(r, best, 0)[0], jnp.take_along_axis(m, best, 0)[0]


def smooth_reply(
    X: Array, Y: Array, w: Array, c_r: Array, c_m: Array, c_x: Array, temperature: Array
) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    r"""`best_reply` with every corner rounded: $\max(0, z)$ becomes $T \ln(1 + e^{z/T})$ [R].

    Each effort is the rounded best reply to the other, $r = \max_T(0, [X - w - c_x m]/c_r)$, found by twelve
    rounds (a contraction, $c_x^2 < c_r c_m$); then the total is rounded at 1, both efforts in proportion.
    """

    def floor(z: Array) -> Array:
        return temperature * jax.nn.softplus(z / temperature)

    r, m = jnp.zeros_like(X + w + c_r), jnp.zeros_like(X + w + c_r)
    for _ in range(12):
        r = floor((X - w - c_x * m) / c_r)
        m = floor((Y - w - c_x * r) / c_m)
    total = r + m
    within = (total - floor(total - 1)) / total
    return r * within, m * within


class _Moments(NamedTuple):
    """E[w^j; w < k] for j = 0, 1, 2."""

    zero: Array
    one: Array
    two: Array


def _moments_below(p: Params, k: Array) -> _Moments:
    r"""$E[w^j; w<k] = w^j e^{j^2 sd^2/2}\, \Phi((\ln k - \ln w)/sd - j\,sd)$, zero for $k \le 0$ [S]."""
    positive = k > 0
    z = jnp.log(jnp.where(positive, k, 1.0) / p.w) / p.sd

    def moment(j: int) -> Array:
        return jnp.where(positive, p.w**j * jnp.exp(j**2 * p.sd**2 / 2) * ndtr(z - j * p.sd), 0.0)

    return _Moments(moment(0), moment(1), moment(2))


def mean_choices(p: Params, X: Scalar, Y: Scalar) -> Means:
    """Means of the best replies over lognormal (c_r, c_m, w).

    In w a best reply is linear by pieces as w falls: no rents, the better effort alone, both, no production. So w is
    integrated in closed form, and Gauss-Hermite nodes for the two curvatures meet no kink.
    """
    z, weight = np.polynomial.hermite_e.hermegauss(NODES)
    z, weight = jnp.asarray(z, p.w.dtype), jnp.asarray(weight / weight.sum(), p.w.dtype)
    spread = jnp.exp(p.sd * z)
    c_r, c_m = (p.c_r * spread)[:, None], (p.c_m * spread)[None, :]
    nodes = weight[:, None] * weight[None, :]
    first = X >= Y  # whether traditional rent-seeking is the better use
    hi, lo = jnp.maximum(X, Y), jnp.minimum(X, Y)
    c_1, c_2 = jnp.where(first, c_r, c_m), jnp.where(first, c_m, c_r)
    c_x, D = p.c_x, c_r * c_m - p.c_x**2
    both = (lo - c_x / c_1 * hi) / (1 - c_x / c_1)  # below this w the second effort is used, too
    full_alone = hi - c_1  # below this w the first effort takes all time
    full_both = ((c_2 - c_x) * hi + (c_1 - c_x) * lo - D) / (c_1 + c_2 - 2 * c_x)
    full = jnp.where(both > full_alone, full_both, full_alone)
    both = jnp.maximum(both, full)
    edge = jnp.minimum((hi - lo + c_2 - c_x) / (c_1 + c_2 - 2 * c_x), 1.0)

    at_hi, at_both, at_full = _moments_below(p, hi), _moments_below(p, both), _moments_below(p, full)
    alone = _Moments(*(a - b for a, b in zip(at_hi, at_both, strict=True)))
    pair = _Moments(*(a - b for a, b in zip(at_both, at_full, strict=True)))
    slope_1, slope_2 = (c_2 - c_x) / D, (c_1 - c_x) / D
    level_1, level_2 = (c_2 * hi - c_x * lo) / D, (c_1 * lo - c_x * hi) / D

    def expected(j: int) -> tuple[Array, Array]:
        """E[w^j e] of both efforts."""
        one = (hi * alone[j] - alone[j + 1]) / c_1 + level_1 * pair[j] - slope_1 * pair[j + 1] + edge * at_full[j]
        two = level_2 * pair[j] - slope_2 * pair[j + 1] + (1 - edge) * at_full[j]
        return jnp.sum(nodes * one), jnp.sum(nodes * two)

    (e_1, e_2), (we_1, we_2) = expected(0), expected(1)
    output = p.w * jnp.exp(p.sd**2 / 2) - we_1 - we_2
    return Means(jnp.where(first, e_1, e_2), jnp.where(first, e_2, e_1), output, at_hi.zero)
