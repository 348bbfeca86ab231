"""Outcomes of the content-platform model: one declaration a field."""

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import outcome

_INF = float("inf")


class Outcomes(eqx.Module):
    """Outcomes of a market, all scalars; money and units are flows a year."""

    welfare: Float[Array, ""] = outcome(
        symbol="W", unit="money per yr", doc="consumer and producer surplus, profits of AI and platform, government"
    )
    consumer_surplus: Float[Array, ""] = outcome(symbol="CS", unit="money per yr", doc="Mkt E[ln(1 + sum n e^V)/alpha]")
    producer_surplus: Float[Array, ""] = outcome(
        symbol="PS", unit="money per yr", doc="of potential creators, outside incomes included"
    )
    ai_profit: Float[Array, ""] = outcome(unit="money per yr", doc="profit of all AI generators")
    platform_profit: Float[Array, ""] = outcome(unit="money per yr", doc="commissions less hosting")
    platform_revenue: Float[Array, ""] = outcome(
        unit="money per yr", doc="commissions of humans and AI, the levy apart"
    )
    government: Float[Array, ""] = outcome(unit="money per yr", doc="levy less what the creator fund pays out")
    equity: Float[Array, ""] = outcome(
        unit="1", doc="1 - Gini over all incomes: active and exited creators, AI owners", bounds=(-_INF, 1.0)
    )
    gini_revenue: Float[Array, ""] = outcome(
        unit="1", doc="Gini of sales over all sellers, AI included", bounds=(0.0, 1.0)
    )
    gini_active: Float[Array, ""] = outcome(unit="1", doc="Gini of income over active human creators")
    gini_humans: Float[Array, ""] = outcome(unit="1", doc="Gini of income over all human creators, exited ones at w_0")
    hhi: Float[Array, ""] = outcome(
        symbol="HHI", unit="1", doc="Herfindahl index of revenue over items", bounds=(0.0, 1.0)
    )
    hhi_consumers: Float[Array, ""] = outcome(
        unit="1", doc="sum of squared shares of items among all consumers", bounds=(0.0, 1.0)
    )
    data_flow: Float[Array, ""] = outcome(
        unit="data per yr", doc="usable human data a year, technical and creative", bounds=(0.0, _INF)
    )
    technical_data: Float[Array, ""] = outcome(
        symbol="N_t", unit="data", doc="steady stock of technical data at this market", bounds=(0.0, _INF)
    )
    creative_data: Float[Array, ""] = outcome(
        symbol="N_c", unit="data", doc="steady stock of creative data at this market", bounds=(0.0, _INF)
    )
    ai_technical_quality: Float[Array, ""] = outcome(symbol="q_t_AI", unit="quality", doc="technical quality of AI")
    ai_creative_quality: Float[Array, ""] = outcome(symbol="q_c_AI", unit="quality", doc="creative quality of AI")
    active_creators: Float[Array, ""] = outcome(
        symbol="N_h", unit="creators", doc="active human creators", bounds=(0.0, _INF)
    )
    active_items: Float[Array, ""] = outcome(
        symbol="N_active", unit="items", doc="clutter, sum N_i + flood K", bounds=(0.0, _INF)
    )
    mean_price: Float[Array, ""] = outcome(symbol="p", unit="money", doc="mean price of units sold", bounds=(0.0, _INF))
    human_price: Float[Array, ""] = outcome(
        symbol="p_h", unit="money", doc="mean price of human units sold", bounds=(0.0, _INF)
    )
    ai_price: Float[Array, ""] = outcome(symbol="p_A", unit="money", doc="price of an AI item", bounds=(0.0, _INF))
    ai_share: Float[Array, ""] = outcome(symbol="S", unit="1", doc="AI share of units", bounds=(0.0, 1.0))
    ai_revenue_share: Float[Array, ""] = outcome(unit="1", doc="AI share of revenue", bounds=(0.0, 1.0))
    ai_exposure: Float[Array, ""] = outcome(symbol="x_A", unit="1", doc="exposure of an AI item, mean item 1")
    outside_share: Float[Array, ""] = outcome(
        symbol="s_0", unit="1", doc="share of buyers who buy nothing", bounds=(0.0, 1.0)
    )
    technical_quality: Float[Array, ""] = outcome(
        symbol="q_t", unit="quality", doc="mean technical quality of units sold"
    )
    creative_quality: Float[Array, ""] = outcome(
        symbol="q_c", unit="quality", doc="mean creative quality of units sold"
    )
    creative_share: Float[Array, ""] = outcome(
        unit="1", doc="mean of q_c/(q_t + q_c) over active human creators", bounds=(0.0, 1.0)
    )
    mean_income: Float[Array, ""] = outcome(
        symbol="Pi", unit="money per yr", doc="mean income of active human creators"
    )
    creator_fund: Float[Array, ""] = outcome(
        symbol="fund", unit="money per yr", doc="payment of the fund to an active creator"
    )
    commission_surcharge: Float[Array, ""] = outcome(
        unit="ad-valorem rate", doc="surcharge that meets the platform's requirement, 0 where it is off"
    )
    experienced_surplus: Float[Array, ""] = outcome(
        unit="money per yr", doc="consumer surplus if labels move choices but not enjoyment", bounds=(-_INF, _INF)
    )
