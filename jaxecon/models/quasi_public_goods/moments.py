"""What market data say about open and closed models that no outcome measures: prices and revenues relative to each other."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import SOLVED, Moments
from jaxecon.models.quasi_public_goods.equilibrium import equilibrium
from jaxecon.models.quasi_public_goods.params import Params, Policy


def market_moments(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Float[Array, ""]]:
    """Relative price and revenue of the open model, and users' surplus over what they pay; NaN where unsolved."""
    eq = equilibrium(p, u)
    n, price = eq.state.demand.n, eq.state.price
    paid = price * n
    total = jnp.sum(paid)
    found = {
        "open_price_ratio": price[2] / price[0],
        "open_revenue_share": paid[2] / total,
        "surplus_to_revenue": eq.surplus / total,
    }
    return {name: jnp.where(eq.status == SOLVED, x, jnp.nan) for name, x in found.items()}


MOMENT_GROUPS = {
    "market": Moments(
        run=market_moments,
        about={
            "open_price_ratio": ("1", "price of the open model over that of a closed one"),
            "open_revenue_share": ("share of revenue", "revenue of the open model in that of all models"),
            "surplus_to_revenue": ("1", "users' surplus over what they pay"),
        },
    )
}
