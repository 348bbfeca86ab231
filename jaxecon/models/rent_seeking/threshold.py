r"""Where AI starts to raise rents: the threshold slope of manipulation benefits (C6.4), and the threshold capability."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.models.rent_seeking.choices import detection_probability, interior, manipulation_benefit
from jaxecon.models.rent_seeking.equilibrium import equilibrium
from jaxecon.models.rent_seeking.laws import clarity
from jaxecon.models.rent_seeking.params import Params, Policy
from jaxecon.numerics.roots import attach_derivative

Scalar = Float[Array, ""]


class Alike(NamedTuple):
    """Rest point of identical agents with both margins interior: transparency, efforts."""

    S: Scalar
    r: Scalar
    m: Scalar


def identical_agents(p: Params, u: Policy, A: Scalar, benefit: Scalar, w: Scalar) -> Alike:
    r"""Rest point of identical agents at both margins interior, in closed form [R]; no capture.

    With $o = 1 - S$, $q = q_0 + q_1 o$ and $l o = q (1 - o)$: $o = 2 q_0/[B + \sqrt{B^2 + 4 q_0 q_1}]$, $B = l + q_0 - q_1$.
    """
    pi = detection_probability(p, u, jnp.zeros_like(A))
    Y = benefit - pi * (u.manipulation_tax + p.F_0 + u.fine)

    def efforts(o: Scalar) -> tuple[Scalar, Scalar]:
        return interior(p.b * o - pi * u.rent_tax, Y, w, p.c_r, p.c_m, p.c_x)

    def opacity(o: Scalar) -> Scalar:
        r, m = efforts(o)
        return p.beta_m * m + p.beta_r * r

    up, q_0 = clarity(p, u, A), opacity(jnp.zeros_like(A))
    q_1 = opacity(jnp.ones_like(A)) - q_0
    B = up + q_0 - q_1
    o = 2 * q_0 / (B + jnp.sqrt(B**2 + 4 * q_0 * q_1))
    return Alike(1 - o, *efforts(o))


def rent_slope(p: Params, u: Policy, A: Scalar, g: Scalar, w: Scalar) -> tuple[Scalar, Scalar]:
    r"""$d(r+m)/dA$ and $dS/dA$ of identical agents where $\Delta B$ rises with slope g from its value at A."""
    here = manipulation_benefit(p, A)

    def along(a: Scalar) -> tuple[Scalar, Scalar]:
        x = identical_agents(p, u, a, here + g * (a - A), w)
        return x.r + x.m, x.S

    return jax.jvp(along, (A,), (jnp.ones_like(A),))[1]


def threshold_slope(p: Params, u: Policy, A: Scalar, w: Scalar) -> Scalar:
    r"""Slope $g^*$ of $\Delta B$ beyond which AI raises rents: root of $d(r+m)/dA$, which is affine in g [R].

    It satisfies $g^* = b \frac{c_m - c_x}{c_r - c_x} \frac{dS}{dA}$.
    """
    zero, one = jnp.zeros_like(A), jnp.ones_like(A)
    low, high = rent_slope(p, u, A, zero, w)[0], rent_slope(p, u, A, one, w)[0]
    return -low / (high - low)


class Capability(NamedTuple):
    """A capability beyond which more AI raises rents, and whether there is one."""

    A: Scalar
    found: Bool[Array, ""]


def _rents_slope(a: Float[Array, "1"], args: tuple[Params, Policy]) -> Float[Array, "1"]:
    p, u = args

    def log_rents(A: Scalar) -> Scalar:
        return jnp.log(equilibrium(eqx.tree_at(lambda q: q.A, p, A), u).R)

    return jax.jvp(log_rents, (a[0],), (jnp.ones_like(a[0]),))[1][None]


def threshold_capability(p: Params, u: Policy, highest: float = 5.0) -> Capability:
    r"""Capability where rents at rest are lowest: the first root of $d\ln R/dA$ from below on [0, highest], with its derivative.

    Below it AI lights up old rents faster than it creates new ones.
    """
    fixed = lax.stop_gradient((p, u))
    grid = jnp.linspace(0.0, highest, 41, dtype=p.A.dtype)
    slope = lax.map(lambda a: _rents_slope(a[None], fixed)[0], grid)
    turns = (slope[:-1] < 0) & (slope[1:] >= 0)
    k = jnp.argmax(turns)

    def halve(_: int, ends: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        middle = 0.5 * (ends[0] + ends[1])
        low = _rents_slope(middle[None], fixed)[0] < 0
        return jnp.where(low, middle, ends[0]), jnp.where(low, ends[1], middle)

    lo, hi = lax.fori_loop(0, 45, halve, (grid[k], grid[k + 1]))
    found = jnp.any(turns)
    A = attach_derivative(_rents_slope, 0.5 * (lo + hi)[None], (p, u), found)
    return Capability(jnp.where(found, A[0], jnp.nan), found)
