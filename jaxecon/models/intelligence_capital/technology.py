"""Capability from compute and data (1.1), (1.2)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.intelligence_capital.params import Params


def _exponent(p: Params) -> Float[Array, ""]:
    """`rho`, kept off zero by 1e-6: the Cobb-Douglas limit then holds to 1e-6."""
    return jnp.where(jnp.abs(p.rho) < 1e-6, 1e-6, p.rho)


def log_capability(p: Params, ln_C: Float[Array, "..."], Dt: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\ln A = \frac{\gamma}{\rho} \ln[a C^\rho + (1-a) \tilde D^\rho]$, (1.1) [D]."""
    rho = _exponent(p)
    inner = p.a * jnp.expm1(rho * ln_C) + (1 - p.a) * jnp.expm1(rho * jnp.log(Dt))
    return p.gamma / rho * jnp.log1p(inner)


def data_elasticity(p: Params, ln_C: Float[Array, "..."], Dt: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\epsilon_D = \gamma (1-a) \tilde D^\rho / [a C^\rho + (1-a) \tilde D^\rho]$, (1.2); $\epsilon_C = \gamma - \epsilon_D$."""
    ratio = p.a / (1 - p.a) * jnp.exp(p.rho * (ln_C - jnp.log(Dt)))
    return p.gamma / (1 + ratio)


def public_data(p: Params) -> Float[Array, ""]:
    r"""$D_0 = \tilde D/(1 + \Omega)$: data that every provider has (shared conventions)."""
    return p.Dt / (1 + p.Omega)


def effective_data(own: Float[Array, "..."], total: Float[Array, ""], phi: Float[Array, ""]) -> Float[Array, "..."]:
    r"""$\tilde D_i/D_0 = 1 + (1-\phi) d_i + \phi \sum_j d_j$, data in units of $D_0$ (1.1)."""
    return 1 + (1 - phi) * own + phi * total


def symmetric_data(p: Params, phi: Float[Array, ""], Omega: Float[Array, ""]) -> Float[Array, ""]:
    r"""$\tilde D/D_0 = 1 + \Omega (1 - \phi + N \phi)$ at a symmetric state."""
    return 1 + Omega * (1 - phi + p.N * phi)
