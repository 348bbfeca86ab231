r"""Moral hazard with linear contracts (7.1), career concerns and the ratchet (7.4), Spence's signaling (7.6)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.information_asymmetry.params import Params

Scalar = Float[Array, ""]


def incentive_power(r: Scalar, c: Scalar, Q: Scalar) -> Scalar:
    r"""(7.1) [S]: power of incentives $B = 1/(1 + r c/Q)$; effort is B/c and surplus B/(2c)."""
    return 1 / (1 + r * c / Q)


def contract_surplus(r: Scalar, c: Scalar, Q: Scalar, B: Scalar) -> Scalar:
    """Surplus of any power B: output less cost of effort and of risk, $B/c - B^2/(2c) - r B^2/(2Q)$."""
    return B / c - B**2 / (2 * c) - r * B**2 / (2 * Q)


def precision_at(p: Params, t: Scalar) -> Scalar:
    r"""(7.4): what is known of ability after t periods, $h_t = h_1 + t h_\epsilon$, with t = 0 in the first period."""
    return p.h_1 + t * p.h_eps


def career_value(p: Params, t: Scalar) -> Scalar:
    r"""(7.4) [S]: what a unit of output after t periods adds to later expected ability, $\sum_{s \ge 1} \beta^s h_\epsilon/h_{t+s}$ (Holmström).

    The sum ends with the career, after T periods.
    """
    total = jnp.zeros_like(p.beta * t)
    for s in range(1, p.T):
        total = total + jnp.where(t + s <= p.T - 1, p.beta**s * p.h_eps / precision_at(p, t + s), 0.0)
    return total


def career_effort(p: Params, t: Scalar) -> Scalar:
    """(7.4) [S]: effort from career concerns alone, after t periods: the career value over c."""
    return career_value(p, t) / p.c


def ratchet_effort(p: Params, t: Scalar, B: Scalar, competition: Scalar) -> Scalar:
    r"""Effort under pay $B x$ plus a fixed part that answers to performance [R]: $(1/c)[B + (\chi - B)\sum_s \beta^s h_\epsilon/h_{t+s}]$.

    An employer without rivals (chi = 0) takes back what ability is expected to earn, B of it: the ratchet. Rivals (chi = 1)
    pay the 1 - B of it that the piece rate does not. It is Meyer and Vickers' setting with bargaining power chi.
    """
    return (B + (competition - B) * career_value(p, t)) / p.c


def spence_waste(t_L: Scalar, t_H: Scalar, zeta: Scalar) -> Scalar:
    r"""(7.6) [S]: cost of the least-cost separating signal, $(t_H - t_L)(t_L/t_H)^\zeta$, whatever its unit cost kappa."""
    return (t_H - t_L) * (t_L / t_H) ** zeta


def spence_signal(t_L: Scalar, t_H: Scalar, zeta: Scalar, kappa: Scalar) -> Scalar:
    r"""Least signal that a low type does not imitate, $t_L^\zeta (t_H - t_L)/\kappa$ [S]."""
    return t_L**zeta * (t_H - t_L) / kappa


def pooling_elasticity(t_L: Scalar, t_H: Scalar, share: Scalar) -> Scalar:
    r"""(7.6) [S]: both types prefer pooling iff $\zeta < \ln(1-\lambda)/\ln(t_L/t_H)$."""
    return jnp.log1p(-share) / jnp.log(t_L / t_H)
