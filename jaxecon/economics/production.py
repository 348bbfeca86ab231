"""Production: constant elasticity of substitution (CES) and its dual."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def ces_unit_cost(
    p: Float[Array, ""], w: Float[Array, ""], a: Float[Array, ""], sigma: Float[Array, ""], z: Float[Array, ""]
) -> Float[Array, ""]:
    r"""Unit cost of a CES technology with two inputs [S].

    $c(p, w) = \frac1z [a^\sigma p^{1-\sigma} + (1-a)^\sigma w^{1-\sigma}]^{1/(1-\sigma)}$

    `p`, `w`: input prices; `a`: share of the first input; `sigma` != 1: elasticity of
    substitution; `z`: productivity. By Shephard's lemma d ln c/d ln p is the first input's cost share.
    """
    return ces_cost_and_share(p, w, a, sigma, z)[0]


def ces_cost_and_share(
    p: Float[Array, ""], w: Float[Array, ""], a: Float[Array, ""], sigma: Float[Array, ""], z: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""`ces_unit_cost` and the cost share of the first input, from one exponential of their ratio [S].

    The share is $a^\sigma p^{1-\sigma} / [a^\sigma p^{1-\sigma} + (1-a)^\sigma w^{1-\sigma}]$.
    """
    x = jnp.log(a) * sigma + jnp.log(p) * (1 - sigma)
    y = jnp.log1p(-a) * sigma + jnp.log(w) * (1 - sigma)
    ratio = jnp.exp(-jnp.abs(x - y))
    cost = jnp.exp((jnp.maximum(x, y) + jnp.log1p(ratio)) / (1 - sigma)) / z
    return cost, jnp.where(x > y, 1.0, ratio) / (1 + ratio)
