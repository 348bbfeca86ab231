"""What data on pollution say that no outcome measures: shares of supply and of ad money, spending on moderation."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import SOLVED, Moments
from jaxecon.models.information_pollution.equilibrium import equilibrium
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.platform import ad_revenue


def pollution_moments(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Float[Array, ""]]:
    r"""Low quality in supply, $q_L/(q_L+q_H)$; in ad money, $e_L x_L (1-d)$ of the engagement that pays (5.5); cost of
    moderation $c_a (\ln a)^2/2$ over ad money; NaN where unsolved."""
    eq = equilibrium(p, u)
    s = eq.state
    low, high = p.e_L * s.x.L * (1 - s.d), p.e_H * s.x.H
    found = {
        "low_quality_supply": s.q.L / (s.q.L + s.q.H),
        "low_quality_ads": low / (low + high),
        "moderation_spending": p.c_a * s.ln_a**2 / 2 / ad_revenue(p, s.M, s.x, s.d),
    }
    return {name: jnp.where(eq.status == SOLVED, x, jnp.nan) for name, x in found.items()}


MOMENT_GROUPS = {
    "pollution": Moments(
        run=pollution_moments,
        about={
            "low_quality_supply": ("share of items", "low-quality items in all items on offer"),
            "low_quality_ads": ("share of ad revenue", "advertising money that low-quality items earn"),
            "moderation_spending": ("share of ad revenue", "cost of moving the ranking away from neutral"),
        },
    )
}
