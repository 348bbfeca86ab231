r"""The agents' use of time (6.1): exact corners, their smooth version, and means over a heterogeneous population.

An agent splits a unit of time into production $1-r-m$, traditional rent-seeking $r$ and AI manipulation $m$:
$\max_{r, m \ge 0,\ r+m \le 1} w(1-r-m) + X r + Y m - (c_r r^2 + c_m m^2 + 2 c_x r m)/2$.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.scipy.special import erfc
from jaxtyping import Array, Float

from jaxecon.models.rent_seeking.params import Params, Policy

Scalar = Float[Array, ""]
# Nodes an axis for ln c_r and ln c_m; w is integrated in closed form, so that nothing has a kink at a node.
NODES = 5
_ROOT_HALF, _DENSITY = 0.5**0.5, (2 * math.pi) ** -0.5


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
    found = -jnp.expm1(-(p.det_0 + u.detection))
    return found * (1 - R / (1 + R)) if p.capture else found


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
    within = jnp.where(total > 0, (total - floor(total - 1)) / jnp.where(total > 0, total, 1.0), 1.0)
    return r * within, m * within


def normal_cdf(z: Array) -> Array:
    r"""$\Phi(z)$, with relative accuracy in the left tail; half as many operations as `ndtr`."""
    return 0.5 * erfc(-z * _ROOT_HALF)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _shortfall(j: int, k: Array, w: Array, sd: Array) -> Array:
    r"""$E[w^j (k-w)^+]$ of lognormal w with median `w` and log standard deviation `sd` [S]; zero for $k \le 0$.

    $k B_j - B_{j+1}$ with $B_j = E[w^j; w<k] = w^j e^{j^2 sd^2/2}\, \Phi((\ln k - \ln w)/sd - j\,sd)$; its slope by k is $B_j$.
    """
    positive, z = _standardized(k, w, sd)
    return jnp.where(positive, k * _below(j, z, w, sd) - _below(j + 1, z, w, sd), 0.0)


def _standardized(k: Array, w: Array, sd: Array) -> tuple[Array, Array]:
    positive = k > 0
    return positive, jnp.log(jnp.where(positive, k, 1.0) / w) / sd


def _below(j: int, z: Array, w: Array, sd: Array) -> Array:
    return w**j * jnp.exp(j**2 * sd**2 / 2) * normal_cdf(z - j * sd)


@partial(_shortfall.defjvp, symbolic_zeros=True)
def _shortfall_jvp(j, primals, tangents):  # pyright: ignore
    """The densities at the kink cancel: what automatic derivatives would compute and subtract."""
    k, w, sd = primals
    positive, z = _standardized(k, w, sd)
    at, above = _below(j, z, w, sd), _below(j + 1, z, w, sd)
    value = _shortfall(j, k, w, sd)
    dk, dw, dsd = tangents
    slope = jnp.zeros_like(value)
    if not isinstance(dk, SymbolicZero):
        slope = slope + jnp.where(positive, at, 0.0) * dk
    if not isinstance(dw, SymbolicZero):
        slope = slope + jnp.where(positive, (j * k * at - (j + 1) * above) / w, 0.0) * dw
    if not isinstance(dsd, SymbolicZero):
        density = w**j * jnp.exp(j**2 * sd**2 / 2 - (z - j * sd) ** 2 / 2) * _DENSITY
        by_sd = sd * (j**2 * k * at - (j + 1) ** 2 * above) + k * density
        slope = slope + jnp.where(positive, by_sd, 0.0) * dsd
    return value, slope


def mean_choices(p: Params, X: Scalar, Y: Scalar, nodes: int = NODES) -> Means:
    """Means of the best replies over lognormal (c_r, c_m, w).

    As w falls an agent uses the better effort alone, then both, then all time; in between efforts are linear in w. So a
    best reply is a sum of terms $(k - w)^+$ whose means are known, and Gauss-Hermite nodes for the two curvatures meet
    no kink (five an axis: 5e-6).
    """
    z, weight = np.polynomial.hermite_e.hermegauss(nodes)
    z, weight = jnp.asarray(z, p.w.dtype), jnp.asarray(weight / weight.sum(), p.w.dtype)
    spread = jnp.exp(p.sd * z)
    mass = weight[:, None] * weight[None, :]
    first = X >= Y  # whether traditional rent-seeking is the better use
    hi, lo = jnp.maximum(X, Y), jnp.minimum(X, Y)
    # Curvatures of the better use along the first axis, of the other along the second.
    c_1, c_2 = (jnp.where(first, p.c_r, p.c_m) * spread)[:, None], (jnp.where(first, p.c_m, p.c_r) * spread)[None, :]
    c_x, D = p.c_x, c_1 * c_2 - p.c_x**2
    both = (lo - c_x / c_1 * hi) / (1 - c_x / c_1)  # below this w the second effort is used, too
    full_alone = hi - c_1  # below this w the first effort takes all time
    full_both = ((c_2 - c_x) * hi + (c_1 - c_x) * lo - D) / (c_1 + c_2 - 2 * c_x)
    full = jnp.where(both > full_alone, full_both, full_alone)

    def expected(at_hi: Array, at_both: Array, at_full: Array) -> tuple[Array, Array]:
        """Means of both efforts from those of $(k - w)^+$ at the three kinks; no kink lies below the last one."""
        at_both = jnp.maximum(at_both, at_full)
        pair = at_both - at_full
        one = (at_hi - at_both) / c_1 + (c_2 - c_x) / D * pair
        return jnp.sum(mass * one), jnp.sum(mass * (c_1 - c_x) / D * pair)

    # The barrier keeps the compiler from computing each mean anew in every sum.
    (e_1, e_2), (we_1, we_2) = (
        expected(*lax.optimization_barrier([_shortfall(j, k, p.w, p.sd) for k in (hi, both, full)])) for j in range(2)
    )
    output = p.w * jnp.exp(p.sd**2 / 2) - we_1 - we_2
    active = jnp.where(hi > 0, normal_cdf(jnp.log(jnp.where(hi > 0, hi, 1.0) / p.w) / p.sd), 0.0)
    return Means(jnp.where(first, e_1, e_2), jnp.where(first, e_2, e_1), output, active)
