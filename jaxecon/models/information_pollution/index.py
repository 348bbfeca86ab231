"""The four-dimensional Information Pollution Index (IPI) and its endogenous welfare weights."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.information_pollution import consumers, platform
from jaxecon.models.information_pollution.params import Params
from jaxecon.models.information_pollution.platform import Allocation
from jaxecon.models.information_pollution.producers import Pair

Scalar = Float[Array, ""]


def dimensions(p: Params, s: Allocation) -> Float[Array, "4"]:
    r"""Dilution, deception, distrust, burden [D dimensions, R forms]: $(x_L, 1-d, 1-T, C_v/(C_v + M u_H))$."""
    C_v = consumers.verification_cost(p, s.v)
    return jnp.stack([s.x.L, 1 - s.d, 1 - s.T, C_v / (C_v + s.M * p.u_H)])


def structural_welfare(p: Params, x: Float[Array, "4"], A: Scalar) -> Scalar:
    r"""Welfare as a function of the four dimensions, production costs and the catalogue fixed [R].

    $\tilde W(x) = M[u_H (1-x_1)^\nu + u_0 x_1^\nu - u_L x_1 x_2] - \frac{x_4}{1-x_4} M u_H
    + \psi m M [e_L x_1 x_2 + e_H (1-x_1)]$, $M = M_0 (1-x_3)^\chi A/(A + A_0)$
    """
    dilution, deception, distrust, burden = x
    M = consumers.attention(p, 1 - distrust, A)
    share = Pair(dilution, 1 - dilution)
    value = M * consumers.value_per_hour(p, share.L, share.H, 1 - deception)
    return value - burden / (1 - burden) * M * p.u_H + p.psi * platform.ad_revenue(p, M, share, 1 - deception)


def marginal_damages(p: Params, x: Float[Array, "4"], A: Scalar) -> Float[Array, "4"]:
    r"""$-d\tilde W/dx_k$, money per unit of each dimension; negative where welfare rises in it."""
    return -jax.grad(structural_welfare, argnums=1)(p, x, A)


def endogenous_weights(p: Params, x: Float[Array, "4"], A: Scalar) -> Float[Array, "4"]:
    r"""Weights $(-d\tilde W/dx_k)/\sum_j(-d\tilde W/dx_j)$ [R]; a negative weight is kept."""
    damages = marginal_damages(p, x, A)
    return damages / jnp.sum(damages)


def pollution_index(weights: Float[Array, "4"], x: Float[Array, "4"]) -> Scalar:
    r"""$IPI = \sum_k \omega_k x_k$ [R]; pass weights of another point to hold them frozen."""
    return weights @ x


def sign_condition(p: Params) -> Scalar:
    r"""Deception has a positive weight if and only if $u_L > \psi m e_L$ [R]: the margin."""
    return p.u_L - p.psi * p.m * p.e_L
