"""Inequality and concentration of a weighted population."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def gini(values: Float[Array, " n"], weights: Float[Array, " n"]) -> Float[Array, ""]:
    r"""Gini coefficient of `values >= 0` held by `weights >= 0` people each [S].

    $G = \frac{1}{2 m} \sum_{ij} w_i w_j |x_i - x_j| / (\sum w)^2$, `m` the mean; 0 where all is equal or nothing is held. By one sort:
    differentiable wherever no two values tie.
    """
    order = jnp.argsort(values)
    x, w = values[order], weights[order]
    people, held = jnp.sum(w), jnp.sum(w * x)
    # Twice the area under the Lorenz curve, by trapezoids: held up to and including each, plus up to the one before.
    upto = jnp.cumsum(w * x)
    area = jnp.sum(w * (2 * upto - w * x))
    scale = people * held
    return jnp.where(scale > 0, 1 - area / jnp.where(scale > 0, scale, 1.0), 0.0)


def herfindahl(shares: Float[Array, " n"], numbers: Float[Array, " n"] | float = 1.0) -> Float[Array, ""]:
    r"""Herfindahl-Hirschman index $\sum_k N_k s_k^2$ of `numbers` N of firms with the share s each [S]; in [0, 1]."""
    return jnp.sum(numbers * shares**2)
