r"""Adverse selection with two types (7.2): $S(q) = a q - q^2/2$, costs $\theta q$, a share nu of efficient types.

Posteriors, contracts and rents under both timings of the signal. The efficient type always gets its first-best quantity;
what moves is the quantity q of the inefficient one, and the rent $D q$ that it leaves to the efficient, $D = \theta_H - \theta_L$.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.information_asymmetry.params import Params

Scalar = Float[Array, ""]


class Contract(NamedTuple):
    """Expected welfare, profit and rent of the two types, and the inefficient type's quantity."""

    welfare: Scalar
    profit: Scalar
    rent: Scalar
    q: Scalar


class Posterior(NamedTuple):
    """Chance of a signal and the share of efficient types after it."""

    chance: Scalar
    nu: Scalar


def posteriors(nu: Scalar, pi: Scalar) -> tuple[Posterior, Posterior]:
    r"""Bayes' rule after a good and a bad signal: $\nu\pi/(\nu\pi + (1-\nu)(1-\pi))$, and with $1 - \pi$ for pi [S]."""

    def after(hit: Scalar) -> Posterior:
        chance = nu * hit + (1 - nu) * (1 - hit)
        return Posterior(chance, nu * hit / chance)

    return after(pi), after(1 - pi)


def first_best_quantity(p: Params) -> Scalar:
    r"""$q_{fb} = a - \theta_H$ [S]."""
    return p.a - p.theta_high


def second_best_quantity(p: Params, nu: Scalar) -> Scalar:
    r"""$q_{sb} = \max(0, q_{fb} - \frac{\nu}{1-\nu} D)$ [S]; 0, shutdown, where all are efficient."""
    some = nu < 1
    odds = nu / jnp.where(some, 1 - nu, 1.0)
    q = first_best_quantity(p) - odds * (p.theta_high - p.theta_low)
    return jnp.where(some, jnp.maximum(q, 0.0), 0.0)


def shutdown_share(p: Params) -> Scalar:
    r"""Posterior share beyond which the inefficient are shut down, $\nu_s = q_{fb}/(q_{fb} + D)$ [S]."""
    return first_best_quantity(p) / (first_best_quantity(p) + p.theta_high - p.theta_low)


def first_best(p: Params, nu: Scalar) -> Scalar:
    r"""Welfare under full information, $\nu (a-\theta_L)^2/2 + (1-\nu) q_{fb}^2/2$ [S]."""
    return nu * (p.a - p.theta_low) ** 2 / 2 + (1 - nu) * first_best_quantity(p) ** 2 / 2


def _contract(p: Params, nu: Scalar, q: Scalar, rent: Scalar) -> Contract:
    """The contract with quantity q for the inefficient and `rent` for the efficient type."""
    welfare = nu * (p.a - p.theta_low) ** 2 / 2 + (1 - nu) * (first_best_quantity(p) * q - q**2 / 2)
    return Contract(welfare, welfare - nu * rent, nu * rent, q)


def contract_at(p: Params, nu: Scalar) -> Contract:
    """The principal's best contract at a posterior: rent $D q_{sb}$ for the efficient [S]."""
    q = second_best_quantity(p, nu)
    return _contract(p, nu, q, (p.theta_high - p.theta_low) * q)


def contract_before(p: Params, pi: Scalar) -> Contract:
    """A public signal before contracting: the mean over signals of the contract at each posterior [S].

    `q` is the mean quantity over the inefficient types.
    """
    good, bad = posteriors(p.nu, pi)
    one, two = contract_at(p, good.nu), contract_at(p, bad.nu)
    welfare, profit, rent = (good.chance * x + bad.chance * y for x, y in zip(one[:3], two[:3]))
    misjudged = good.chance * (1 - good.nu) / (1 - p.nu)
    return Contract(welfare, profit, rent, misjudged * one.q + (1 - misjudged) * two.q)


def contract_after(p: Params, pi: Scalar) -> Contract:
    r"""A signal verified after contracting, liability ell [S].

    Rent $\max(0, D q - (2\pi-1)\ell/\pi)$; $q = q_{sb}$ if $x = (2\pi-1)\ell/(\pi D) \le q_{sb}$, else $\min(q_{fb}, x)$.
    """
    D = p.theta_high - p.theta_low
    free = (2 * pi - 1) * p.ell / pi
    q_sb, q_fb = second_best_quantity(p, p.nu), first_best_quantity(p)
    q = jnp.clip(free / D, q_sb, q_fb)
    # Between the two bounds the rent is exactly zero: no rounding may make it negative.
    rent = jnp.where(free / D <= q_sb, D * q_sb - free, 0.0)
    return _contract(p, p.nu, q, rent)


def full_liability(p: Params, pi: Scalar) -> Scalar:
    r"""(C7.6) [S]: liability from which a verified signal gives the first best, $\pi D q_{fb}/(2\pi - 1)$; 1e12 if it tells nothing."""
    tells = pi > 0.5
    needed = pi * (p.theta_high - p.theta_low) * first_best_quantity(p) / jnp.where(tells, 2 * pi - 1, 1.0)
    return jnp.where(tells, needed, 1e12)
