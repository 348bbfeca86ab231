r"""Data as a quasi-public good (macro report, section V): disclosure, and who trades where."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.quasi_public_goods.params import Params

Scalar = Float[Array, ""]


def disclosure_value(p: Params, d: Scalar) -> Scalar:
    r"""$b (D_0 + d D_p)^\beta - \pi_d d D_p - \kappa_d d^2/2$ [R]."""
    return p.b * (p.D_0 + d * p.D_p) ** p.beta_d - p.pi_d * d * p.D_p - p.kappa_d * d**2 / 2


def disclosure_gain(p: Params, d: Scalar) -> Scalar:
    """What disclosure adds to welfare: its value less that of the data which are public anyway."""
    return disclosure_value(p, d) - disclosure_value(p, jnp.zeros_like(d))


def disclosure_threshold(p: Params) -> Scalar:
    r"""Privacy cost below which some disclosure raises welfare, $\beta b D_0^{\beta - 1}$ [S]."""
    return p.beta_d * p.b * p.D_0 ** (p.beta_d - 1)


def traded_share(p: Params, cost: Scalar) -> Scalar:
    r"""Share of trades worth their cost when values are exponential with mean mu: $e^{-t/\mu}$ [S]."""
    return jnp.exp(-cost / p.mu)


def exchange_to_broker(p: Params) -> Scalar:
    r"""Volume on an exchange relative to brokers at equal supply, $e^{-(t_E - t_B)/\mu}$ [S]."""
    return traded_share(p, p.t_E) / traded_share(p, p.t_B)
