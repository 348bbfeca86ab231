"""Stage 3: consumers' attention, verification and trust."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.information_pollution.params import Params, Policy

Scalar = Float[Array, ""]


def verification_productivity(p: Params, u: Policy) -> Scalar:
    r"""$\theta = \theta_v (1 + g\,prov)$ [R]."""
    return p.theta_v * (1 + p.g * u.provenance)


def detection(theta: Scalar, v: Scalar) -> Scalar:
    r"""Share of low quality that verification detects [R]: $d = 1 - e^{-\theta v}$."""
    return -jnp.expm1(-theta * v)


def attention(p: Params, T: Scalar, A: Scalar) -> Scalar:
    r"""Attention [R]: $M = M_0 T^\chi A/(A + A_0)$."""
    return p.M_0 * T**p.chi * A / (A + p.A_0)


def steady_trust(p: Params, x_L: Scalar, d: Scalar) -> Scalar:
    r"""Steady-state trust (5.3) [R]: $T^* = (r_0 + \rho d)/(r_0 + \rho d + \eta x_L (1-d))$."""
    gain = p.r_0 + p.rho * d
    return gain / (gain + p.eta * x_L * (1 - d))


def trust_drift(p: Params, T: Scalar, x_L: Scalar, d: Scalar) -> Scalar:
    r"""Law of motion of trust (5.3) [R]: $T' = (r_0 + \rho d)(1-T) - \eta x_L (1-d) T$."""
    return (p.r_0 + p.rho * d) * (1 - T) - p.eta * x_L * (1 - d) * T


def _safe_power(x: Scalar, nu: Scalar) -> Scalar:
    """`x^nu` for x >= 0 with derivative zero, not infinity, where a kind of content is absent."""
    present = x > 0
    return jnp.where(present, jnp.exp(nu * jnp.log(jnp.where(present, x, 1.0))), 0.0)


def value_per_hour(p: Params, x_L: Scalar, x_H: Scalar, d: Scalar) -> Scalar:
    r"""Value of an hour of attention [R]: $u_H x_H^\nu + u_0 x_L^\nu - u_L x_L (1-d)$."""
    return p.u_H * _safe_power(x_H, p.nu) + p.u_0 * _safe_power(x_L, p.nu) - p.u_L * x_L * (1 - d)


def verification_stake(p: Params, u: Policy, M: Scalar, x_L: Scalar) -> Scalar:
    r"""Argument of the Lambert function in (5.2) [R]: $\theta^2 M u_L x_L/(\kappa (1-prov))$."""
    return verification_productivity(p, u) ** 2 * M * p.u_L * x_L / (p.kappa * (1 - u.provenance))


def rough_lambert_w(k: Scalar) -> Scalar:
    """`lambert_w` within a few percent for every k >= 0 [S]."""
    ln = jnp.log1p(k)
    return ln * (1 - jnp.log1p(ln) / (2 + ln))


@jax.custom_jvp
def lambert_w(k: Scalar) -> Scalar:
    r"""Principal Lambert function $W_0(k)$ for $k \ge 0$: $W e^W = k$ [S].

    Newton steps on the logarithm-free form from `rough_lambert_w`.
    """
    w = rough_lambert_w(k)
    for _ in range(4):
        gap = w - k * jnp.exp(-w)
        w = w - gap / (1 + w - gap)
    return w


@lambert_w.defjvp
def _lambert_w_jvp(primals, tangents):
    (k,), (k_dot,) = primals, tangents
    w = lambert_w(k)
    return w, k_dot * jnp.exp(-w) / (1 + w)


def private_verification(p: Params, u: Policy, M: Scalar, x_L: Scalar) -> Scalar:
    r"""Consumers' verification (5.2) [R]: $v = W_0(\theta^2 M u_L x_L/(\kappa(1-prov)))/\theta$."""
    return lambert_w(verification_stake(p, u, M, x_L)) / verification_productivity(p, u)


def verification_cost(p: Params, v: Scalar) -> Scalar:
    r"""Cost of verification, private and public [R]: $C_v = \kappa v^2/2$."""
    return p.kappa * v**2 / 2
