r"""What data on pollution say that no outcome measures: shares of supply and of ad money, spending on moderation, the years so far.

Years enter by the AI price, which falls from the baseline's at the end of 2021 along the path of the dynamics, and the market
follows it.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import SOLVED, Moments
from jaxecon.models.information_pollution.dynamics import ai_price_path
from jaxecon.models.information_pollution.equilibrium import equilibrium
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.platform import ad_revenue

Scalar = Float[Array, ""]
# Years after the end of 2021 at which trust was asked, and at which unreliable sites were counted (December 2023 first).
ASKED = {"trust_2022": 0.1, "trust_2023": 1.1, "trust_2024": 2.1, "trust_2025": 3.1, "trust_2026": 4.1}
COUNTED = {"first": 1.93, "sites_2024": 2.86, "sites_2026": 4.2}


def pollution_moments(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Scalar]:
    r"""Low quality in supply, $q_L/(q_L+q_H)$; in ad money, $e_L x_L (1-d)$ of the engagement that pays (5.5); cost of
    moderation $c_a (\ln a)^2/2$ over ad money; trust and growth of low quality as AI gets cheaper; NaN where unsolved."""
    years = jnp.asarray([0.0, *ASKED.values(), *COUNTED.values()], p.p_A.dtype)

    def at(t: Scalar) -> tuple[Array, dict[str, Scalar]]:
        q = dataclasses.replace(p, p_A=ai_price_path(p, t))
        eq = equilibrium(q, u)
        s = eq.state
        low, high = p.e_L * s.x.L * (1 - s.d), p.e_H * s.x.H
        return eq.status, {
            "low_quality_supply": s.q.L / (s.q.L + s.q.H),
            "low_quality_ads": low / (low + high),
            "moderation_spending": p.c_a * s.ln_a**2 / 2 / ad_revenue(p, s.M, s.x, s.d),
            "trust": s.T,
            "items": s.q.L,
        }

    status, path = jax.vmap(at)(years)
    found = {n: path[n][0] for n in ("low_quality_supply", "low_quality_ads", "moderation_spending")}
    found |= {n: path["trust"][1 + k] for k, n in enumerate(ASKED)}
    first, *later = (jnp.log(path["items"][1 + len(ASKED) + k]) for k in range(len(COUNTED)))
    found |= {f"growth_{n}": x - first for n, x in zip(list(COUNTED)[1:], later)}
    return {n: jnp.where(jnp.all(status == SOLVED), x, jnp.nan) for n, x in found.items()}


MOMENT_GROUPS = {
    "pollution": Moments(
        run=pollution_moments,
        about={
            "low_quality_supply": ("share of items", "low-quality items in all items on offer"),
            "low_quality_ads": ("share of ad revenue", "advertising money that low-quality items earn"),
            "moderation_spending": ("share of ad revenue", "cost of moving the ranking away from neutral"),
            **{n: ("1", f"trust at the AI price of {n[-4:]}") for n in ASKED},
            **{
                f"growth_{n}": ("log", f"growth of low-quality items from December 2023 to {n[-4:]}")
                for n in list(COUNTED)[1:]
            },
        },
        cost="path",
    )
}
