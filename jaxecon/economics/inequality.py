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


def gini_of_ranked(
    ranked: Float[Array, " n"],
    weights: Float[Array, " n"],
    few: Float[Array, " k"],
    numbers: Float[Array, " k"],
) -> Float[Array, ""]:
    r"""`gini` of many values in ascending order, `ranked` with their `weights`, and `few` more held by `numbers` people each [S].

    $G = (D_{rr} + 2 D_{rf} + D_{ff}) / (2 N X)$, `D` the sums of $w_i w_j |x_i - x_j|$ within and between both groups, N people who hold X.
    No sort: for a population whose order is known beforehand.
    """
    upto = jnp.cumsum(weights)
    within = 2 * jnp.sum(weights * ranked * (2 * upto - weights - upto[-1]))
    # One of the few after the other: what is large has people on its last axis.
    across = [jnp.sum(weights * jnp.abs(ranked - few[k])) for k in range(few.shape[0])]
    among = numbers @ jnp.abs(few[:, None] - few[None, :]) @ numbers
    people, held = upto[-1] + jnp.sum(numbers), jnp.sum(weights * ranked) + numbers @ few
    scale = 2 * people * held
    return jnp.where(
        scale > 0, (within + 2 * numbers @ jnp.stack(across) + among) / jnp.where(scale > 0, scale, 1.0), 0.0
    )


def herfindahl(shares: Float[Array, " n"], numbers: Float[Array, " n"] | float = 1.0) -> Float[Array, ""]:
    r"""Herfindahl-Hirschman index $\sum_k N_k s_k^2$ of `numbers` N of firms with the share s each [S]; in [0, 1]."""
    return jnp.sum(numbers * shares**2)
