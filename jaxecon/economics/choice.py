"""Discrete choice: logit shares and the expected value of the best alternative (log-sum)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def logit_shares(values: Float[Array, " n"], outside: Float[Array, ""] | float = 0.0) -> Float[Array, " n"]:
    r"""Logit probabilities of `n` alternatives beside an outside good [S].

    $s_j = e^{v_j} / (e^{v_0} + \sum_k e^{v_k})$; `outside = -inf` leaves the outside good out. Safe for any size of the values.
    """
    return jnp.exp(values - logit_value(values, outside))


def logit_value(values: Float[Array, " n"], outside: Float[Array, ""] | float = 0.0) -> Float[Array, ""]:
    r"""Expected value of the best alternative under extreme-value tastes, up to Euler's constant [S].

    $\ln(e^{v_0} + \sum_k e^{v_k})$: divided by the marginal utility of money it is consumer surplus.
    """
    everything = jnp.concatenate([values, jnp.asarray(outside, values.dtype)[None]])
    return jax.nn.logsumexp(everything)
