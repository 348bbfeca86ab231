"""What data on content say that no outcome measures: AI in supply, and in attention relative to supply."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import SOLVED, Moments
from jaxecon.models.content_platform.equilibrium import equilibrium, outcomes
from jaxecon.models.content_platform.params import Params, Policy


def attention_moments(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Float[Array, ""]]:
    """AI share of items on offer, odds of AI in units sold over its odds on offer, share of buyers who buy; NaN where unsolved."""
    eq = equilibrium(p, u)
    out = outcomes(p, u, eq)
    ai, human = out.active_items - out.active_creators, out.active_creators
    found = {
        "ai_supply_share": ai / (ai + human),
        "attention_odds": out.ai_share / (1 - out.ai_share) * human / ai,
        "buyers_served": 1 - out.outside_share,
    }
    return {name: jnp.where(eq.status == SOLVED, x, jnp.nan) for name, x in found.items()}


MOMENT_GROUPS = {
    "attention": Moments(
        run=attention_moments,
        about={
            "ai_supply_share": ("share of items", "AI items in all items on offer, flood K over clutter"),
            "attention_odds": ("1", "odds of AI in units sold over its odds in items on offer"),
            "buyers_served": ("share of buyers", "buyers who buy something"),
        },
    )
}
