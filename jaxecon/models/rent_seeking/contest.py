"""Contests and information rents [S]: Tullock's contest, and Kyle's insider with and without AI disclosure."""

import jax.numpy as jnp
from jaxtyping import Array, Float

Scalar = Float[Array, ""]


def tullock_effort(n: Scalar, prize: Scalar, g: Scalar, cost: Scalar) -> Scalar:
    r"""Effort of each of n players for the prize V with exponent $g \le n/(n-1)$ and unit cost k: $g (n-1) V/(n^2 k)$."""
    return g * (n - 1) * prize / (n**2 * cost)


def tullock_spending(n: Scalar, prize: Scalar, g: Scalar, cost: Scalar) -> Scalar:
    r"""Total spending $n k\,effort = g (n-1) V/n$: the share $g(n-1)/n$ of the prize, whatever the cost."""
    return n * cost * tullock_effort(n, prize, g, cost)


def posterior_sd(value_sd: Scalar, disclosure_sd: Scalar) -> Scalar:
    r"""Standard deviation of a value that is left after a public signal with noise: $(1/s_v^2 + 1/s_d^2)^{-1/2}$."""
    return 1 / jnp.sqrt(1 / value_sd**2 + 1 / disclosure_sd**2)


def kyle_impact(value_sd: Scalar, noise_sd: Scalar) -> Scalar:
    r"""Price impact $\lambda = s_v/(2 s_u)$."""
    return value_sd / (2 * noise_sd)


def kyle_profit(value_sd: Scalar, noise_sd: Scalar) -> Scalar:
    r"""Expected profit of the informed trader $s_v s_u/2$; AI disclosure puts `posterior_sd` in place of $s_v$."""
    return value_sd * noise_sd / 2


def kyle_posterior_variance(value_sd: Scalar) -> Scalar:
    r"""Variance of the value that the price leaves, $s_v^2/2$: half of what insiders know becomes public."""
    return value_sd**2 / 2
