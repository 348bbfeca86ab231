r"""Market structures: Bertrand, competitive screening, and the market for lemons with competitive buyers or one.

Competitive screening uses the two types of (7.2): an efficient agent is worth m more to a buyer, so that the inefficient
would like to pass for efficient. Buyers earn nothing; the efficient type's quantity is raised by x beyond the first best
quantity of the inefficient, $x \ge \sqrt{2m}$ keeps them apart, and the efficient choice is x = D: the waste is $(x - D)^2/2$.
Welfare leaves out the constant $\nu m$.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.information_asymmetry.params import Params
from jaxecon.models.information_asymmetry.screening import Contract, first_best, first_best_quantity, posteriors

Scalar = Float[Array, ""]


def bertrand(p: Params) -> Contract:
    """Private values: competition gives every agent its first best with any signal, or none [S]."""
    W = first_best(p, p.nu)
    return Contract(W, jnp.zeros_like(W), W, first_best_quantity(p))


def _competitive(p: Params, waste: Scalar) -> Contract:
    W = first_best(p, p.nu) - waste
    return Contract(W, jnp.zeros_like(W), W, first_best_quantity(p))


def rothschild_stiglitz(p: Params, pi: Scalar) -> Contract:
    r"""Each contract breaks even: waste $\nu\max(0, \sqrt{2m} - D)^2/2$ at any posterior inside (0, 1), none if types are seen [S]."""
    D = p.theta_high - p.theta_low
    waste = p.nu * jnp.maximum(jnp.sqrt(2 * p.m) - D, 0.0) ** 2 / 2
    return _competitive(p, jnp.where(pi < 1, waste, 0.0))


def miyazaki_wilson_spence(p: Params, pi: Scalar) -> Contract:
    r"""Efficient types subsidize the others where that costs less than keeping apart: $x = \max(D, \min(\sqrt{2m}, D/\nu))$ [S].

    They choose x to maximize $-(x-D)^2/2 - (1-\nu)(m - x^2/2)$, the subsidy per inefficient agent being $\nu(m - x^2/2)$.
    """
    D = p.theta_high - p.theta_low
    waste = jnp.zeros_like(pi)
    for s in posteriors(p.nu, pi):
        # Where next to none is efficient, next to none bears the waste.
        x = jnp.clip(D / jnp.maximum(s.nu, 1e-9), D, jnp.maximum(jnp.sqrt(2 * p.m), D))
        waste = waste + s.chance * s.nu * (x - D) ** 2 / 2
    return _competitive(p, waste)


class Lemons(NamedTuple):
    """The market for lemons: gains from trade, buyers' profit, sellers' surplus, share of sellers who trade."""

    welfare: Scalar
    profit: Scalar
    rent: Scalar
    trade: Scalar


def lemons(p: Params, n_cell: int, *, competitive: bool) -> Lemons:
    r"""Qualities uniform on [0, 1] that sellers know and buyers value k times as much, sorted into cells from y to y + 1/n [S].

    Sellers below $\min(y + 1/n, k y/(2-k))$ trade where buyers compete, below $\min(y + 1/n, y/(2-k))$ with one buyer. Welfare
    $(k-1)(p^2-y^2)/2$, summed. One buyer pays what the last seller asks, competitors what the mean seller is worth.
    """
    y = jnp.arange(n_cell, dtype=p.k.dtype) / n_cell
    last = jnp.minimum(y + 1 / n_cell, (p.k if competitive else 1.0) * y / (2 - p.k))
    worth = p.k * (last + y) / 2
    price = worth if competitive else last
    rent = price * (last - y) - (last**2 - y**2) / 2
    welfare = (p.k - 1) * (last**2 - y**2) / 2
    return Lemons(jnp.sum(welfare), jnp.sum((worth - price) * (last - y)), jnp.sum(rent), jnp.sum(last - y))


def verified_lemons(p: Params, share: Scalar) -> Lemons:
    """A share of sellers whose quality is verified and who all trade, and one unsorted cell of the others (Akerlof) [S].

    The price of a verified unit is its value to buyers, k theta, so that sellers get all gains from trade.
    """
    pooled = lemons(p, 1, competitive=True)
    gains = (p.k - 1) / 2
    one = jnp.ones_like(share)
    return Lemons(*(share * x + (1 - share) * y for x, y in zip((gains, 0 * one, gains, one), pooled)))
