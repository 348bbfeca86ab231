r"""What signals tell after policy: noise, accuracy, the precision of performance, and what others' signals add.

The subsidy lowers and the privacy tax raises the noise of AI signals by one factor,
$\sigma^2 = \sigma_0^2 e^{-x}(1 + \text{privacy tax})$ [R].
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float

from jaxecon.models.information_asymmetry.params import Params, Policy

Scalar = Float[Array, ""]
# Variance of a type that is uniform on [0, 1].
TYPE_VARIANCE = 1 / 12


class Precision(NamedTuple):
    """Performance (output, AI signal): precision Q, weights of the two per unit of incentive, and the signals' noises."""

    Q: Scalar
    weight_x: Scalar
    weight_s: Scalar
    s2_output: Scalar
    s2_e: Scalar
    s2_theta: Scalar


def noise_multiple(u: Policy) -> Scalar:
    """Noise of AI signals relative to that before policy, $e^{-x}(1 + tax)$ [R]."""
    return jnp.exp(-u.signal_subsidy) * (1 + u.privacy_tax)


def accuracy(pi: Scalar, multiple: Scalar) -> Scalar:
    r"""Accuracy of a binary signal whose noise is multiplied, $\Phi(\Phi^{-1}(\pi)/\sqrt{multiple})$ [R].

    It is that of a normal signal cut halfway between two equally likely types; perfect signals stay perfect.
    """
    noisy = pi < 1
    return jnp.where(noisy, ndtr(ndtri(jnp.where(noisy, pi, 0.75)) / jnp.sqrt(multiple)), pi)


def relative_noise(s2: Scalar, n: int, rho: Scalar) -> Scalar:
    r"""Noise that comparison with n - 1 others leaves (7.5) [S]: $\sigma^2 (1-\rho)(1+(n-1)\rho)/(1+(n-2)\rho)$."""
    return s2 * (1 - rho) * (1 + (n - 1) * rho) / (1 + (n - 2) * rho)


def output_noise(p: Params, u: Policy) -> Scalar:
    """Noise of output: what comparison leaves, plus what agents' own AI adds and no limit keeps out (7.6)."""
    return relative_noise(p.s2_x, p.n, p.rho) + p.s2_g * (1 - u.agent_ai_limit)


def performance_precision(p: Params, u: Policy) -> Precision:
    r"""(7.1) [S]: $Q = l'\Sigma^{-1}l$ of output (loading 1) and AI signal (loading l), and $\Sigma^{-1}l/Q$."""
    multiple = noise_multiple(u)
    v_x, v_e = output_noise(p, u), p.s2_e * multiple
    cov = p.rho_s * jnp.sqrt(v_x * v_e)
    det = v_x * v_e - cov**2
    by_x, by_s = (v_e - cov * p.l) / det, (p.l * v_x - cov) / det
    Q = by_x + p.l * by_s
    return Precision(Q, by_x / Q, by_s / Q, v_x, v_e, p.s2_theta * multiple)


def counter_ai_threshold(s2_x: Scalar, s2_s: Scalar) -> Scalar:
    r"""(7.6) [S]: $\sigma_g^{2*} = \sigma_x^4/(\sigma_s^2 - \sigma_x^2)$ if the principal's AI is noisier than output, else none (1e12)."""
    noisier = s2_s > s2_x
    return jnp.where(noisier, s2_x**2 / jnp.where(noisier, s2_s - s2_x, 1.0), 1e12)


def answered_precision(s2_x: Scalar, s2_s: Scalar, s2_g: Scalar) -> Scalar:
    """Precision of output and the principal's AI where agents' AI adds s2_g to the noise of output (7.6) [S]."""
    return 1 / (s2_x + s2_g) + 1 / s2_s


def posterior_variance(n: int, rho_theta: Scalar, s2_theta: Scalar) -> tuple[Scalar, Scalar]:
    r"""Variance of a type given its own signal, and given the signals of all n agents (7.5) [S].

    Types have variance v and correlation rho, so that the variance splits into that of their sum, $v(1+(n-1)\rho)$, and of
    differences, $v(1-\rho)$; a signal turns a variance x into $x\sigma^2/(x + \sigma^2)$.
    """

    def left(x: Scalar) -> Scalar:
        return x * s2_theta / (x + s2_theta)

    v = jnp.full_like(s2_theta, TYPE_VARIANCE)
    together = (left(v * (1 + (n - 1) * rho_theta)) + (n - 1) * left(v * (1 - rho_theta))) / n
    return left(v), together
