r"""All roots of the market's conditions (2.4), and whether margin, capacity and use return to them.

Unknowns are those of the equilibrium, $(\ln m, \ln x_c, \ln x_o)$. First-order conditions also hold where profit is least in capacity, at a
load beyond $((k+1)/(k-1))^{1/k}$: such a root is no equilibrium, and it is not stable. For k > 1 and a given margin and open load there is
one wherever there is an equilibrium: capacity is worth nothing both where it is abundant and where it is overrun. What moves the unknowns: a margin falls where a
higher one loses more than it earns, capacity grows (its load falls) where it earns more than it costs, and the load of the
open model follows its use, each in proportion to its gap in logs.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.systems import System
from jaxecon.models.quasi_public_goods import market
from jaxecon.models.quasi_public_goods.equilibrium import Args, equilibrium
from jaxecon.models.quasi_public_goods.params import Params, Policy


class Market(NamedTuple):
    """What the conditions share at every x: offers and users; and the equilibrium's own unknowns, NaN where it is not solved."""

    args: Args
    y: Float[Array, "3"]


def given(p: Params, u: Policy) -> Market:
    """The market at a point."""
    eq = equilibrium(p, u)
    return Market((p, eq.offer, eq.pop), jnp.where(eq.status == 0, eq.y, jnp.nan))


def residual(y: Float[Array, "3"], w: Market, u: Policy) -> Float[Array, "3"]:
    """Both Nash conditions of a closed provider and the open model's capacity, in logs."""
    return market.conditions(y, w.args)


def motion(y: Float[Array, "3"], w: Market, u: Policy) -> Float[Array, "3"]:
    """Where margin, closed load and open load go."""
    price, capacity, use = market.conditions(y, w.args)
    return jnp.stack([-price, -capacity, use])


def own(w: Market, u: Policy) -> Float[Array, "1 3"]:
    """The equilibrium that the model solves for."""
    return w.y[None]


SYSTEM = System(
    residual,
    {"log_margin": (-1.0, 7.0), "log_closed_load": (-5.0, 3.0), "log_open_load": (-5.0, 3.0)},
    motion,
    given=given,
    own=own,
    starts=4,
    doc="roots of the Nash conditions of the closed providers; stable where margin, capacity and use return",
)
