r"""Buyers: mixed logit over items with tastes for technical and creative quality (4.1).

Utility of an item splits into factors of one taste each, $e^{V} = e^{a q_t} e^{b q_c} e^{-\alpha p + v}$, so that on a tensor grid of
tastes a product costs three exponentials a node of an axis rather than one a node of the grid.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxecon.models.content_platform.params import Params

Scalar = Float[Array, ""]


class Tastes(NamedTuple):
    """Weighted buyers on a grid: its axes of tastes `[k]`, `[n]`, weights of the pairs (a, b) `[m]`, m = k n, and marginal
    utilities of money `[l]` with weights."""

    axis_a: Float[Array, " k"]
    axis_b: Float[Array, " n"]
    weight: Float[Array, " m"]
    alpha: Float[Array, " l"]
    alpha_weight: Float[Array, " l"]

    @property
    def a(self) -> Float[Array, " m"]:
        """Taste for technical quality of each pair."""
        return jnp.repeat(self.axis_a, self.axis_b.shape[0])

    @property
    def b(self) -> Float[Array, " m"]:
        """Taste for creative quality of each pair."""
        return jnp.tile(self.axis_b, self.axis_a.shape[0])


def gauss_tastes(p: Params, nodes: int) -> Tastes:
    """Tensor Gauss-Hermite nodes of (a, b, ln alpha), normal and independent [R]."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    z, w = jnp.asarray(x, p.alpha.dtype), jnp.asarray(w / np.sum(w), p.alpha.dtype)
    return Tastes(
        p.mu_a + p.sd_a * z, p.mu_b + p.sd_b * z, jnp.outer(w, w).ravel(), p.alpha * jnp.exp(p.sd_alpha * z), w
    )


def pull(t: Tastes, quality: Float[Array, "2 j"]) -> Float[Array, "m j"]:
    r"""$e^{a q_t + b q_c}$ of each type of item for each pair of tastes."""
    technical, creative = jnp.exp(t.axis_a[:, None] * quality[0]), jnp.exp(t.axis_b[:, None] * quality[1])
    return (technical[:, None] * creative).reshape(-1, quality.shape[1])


class Crowd(NamedTuple):
    r"""What all items together do to each buyer: $e^{-\alpha p + v}$ of an item `[l, j]`, pull `[m, j]`, and one plus the
    sum of $e^V$ over items, `[m, l]`."""

    push: Float[Array, "l j"]
    pull: Float[Array, "m j"]
    total: Float[Array, "m l"]


def crowd(
    t: Tastes, quality: Float[Array, "2 j"], price: Float[Array, " j"], level: Float[Array, " j"], n: Float[Array, " j"]
) -> Crowd:
    r"""The inclusive value of `n` items of each type with the quality that buyers perceive.

    `level`: $\rho \ln x_j - \omega \ln(1 + N_{active})$, the part of utility that all buyers share.
    """
    drawn = pull(t, quality)
    push = jnp.exp(level - t.alpha[:, None] * price)
    return Crowd(push, drawn, 1 + drawn @ (n * push).T)


def share_and_slope(t: Tastes, c: Crowd) -> tuple[Float[Array, " j"], Float[Array, " j"]]:
    r"""Share of one item and $-ds_j/dp_j = E[\alpha_i s_{ij}(1 - s_{ij})]$ (4.2) [S]."""
    weight = t.weight[:, None] / c.total
    once, twice = c.pull.T @ weight, (c.pull**2).T @ (weight / c.total)
    one = once.T * c.push * t.alpha_weight[:, None]
    two = twice.T * c.push**2 * t.alpha_weight[:, None]
    return jnp.sum(one, axis=0), jnp.sum(t.alpha[:, None] * (one - two), axis=0)


def surplus(t: Tastes, c: Crowd) -> Scalar:
    r"""Consumer surplus a buyer, $E[\ln(1 + \sum n e^V)/\alpha]$ [S], on the tastes of decisions."""
    return jnp.sum(t.weight[:, None] * t.alpha_weight / t.alpha * jnp.log(c.total))


def choice_probabilities(c: Crowd) -> Float[Array, "m l j"]:
    """Probability that a buyer chooses one given item of each type."""
    return c.pull[:, None, :] * c.push / c.total[:, :, None]


def quality_response(t: Tastes, c: Crowd) -> Float[Array, "2 j"]:
    r"""$\partial s_j/\partial q_k = E[a_{ik} s_{ij}(1 - s_{ij})]$, k = t, c [S]."""
    s = choice_probabilities(c)
    steep = s * (1 - s) * t.alpha_weight[:, None]
    return jnp.stack([jnp.sum((t.weight * v)[:, None, None] * steep, axis=(0, 1)) for v in (t.a, t.b)])
