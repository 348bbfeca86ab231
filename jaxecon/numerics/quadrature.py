"""Quadrature nodes as constants: NumPy computes them, JAX uses them."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def gauss_legendre(n: int) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Nodes and weights on [0, 1]; exact for polynomials of degree 2n - 1."""
    x, w = np.polynomial.legendre.leggauss(n)
    return jnp.asarray((x + 1) / 2, jnp.result_type(float)), jnp.asarray(w / 2, jnp.result_type(float))


def gauss_hermite(n: int) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Nodes and weights of a standard normal: `sum w f(x)` approximates E f(Z)."""
    x, w = np.polynomial.hermite_e.hermegauss(n)
    return jnp.asarray(x, jnp.result_type(float)), jnp.asarray(w / np.sqrt(2 * np.pi), jnp.result_type(float))
