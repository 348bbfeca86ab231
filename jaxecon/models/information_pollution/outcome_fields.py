"""Outcomes of the information-pollution model: one declaration a field."""

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import outcome


class Outcomes(eqx.Module):
    """Outcomes, all scalars."""

    log_moderation: Float[Array, ""] = outcome(
        symbol="ln_a", unit="log", doc="log weight of flagged items in the ranking: below 0 demoted, above 0 amplified"
    )
    moderation: Float[Array, ""] = outcome(
        symbol="a_mod", unit="1", doc="weight of flagged items in the ranking", bounds=(0.0, float("inf"))
    )
    catalogue: Float[Array, ""] = outcome(
        symbol="A", unit="items", doc="exposure-weighted supply of items", bounds=(0.0, float("inf"))
    )
    wage: Float[Array, ""] = outcome(symbol="w", unit="money per worker", doc="wage", bounds=(0.0, float("inf")))
    verification: Float[Array, ""] = outcome(
        symbol="v", unit="effort", doc="verification effort of consumers", bounds=(0.0, float("inf"))
    )
    trust: Float[Array, ""] = outcome(symbol="T", unit="1", doc="steady-state trust", bounds=(0.0, 1.0))
    low_quality_items: Float[Array, ""] = outcome(
        symbol="q_L", unit="items", doc="supply of low-quality items", bounds=(0.0, float("inf"))
    )
    high_quality_items: Float[Array, ""] = outcome(
        symbol="q_H", unit="items", doc="supply of high-quality items", bounds=(0.0, float("inf"))
    )
    low_quality_exposure: Float[Array, ""] = outcome(
        symbol="x_L", unit="1", doc="share of attention on low-quality items: dilution", bounds=(0.0, 1.0)
    )
    high_quality_exposure: Float[Array, ""] = outcome(
        symbol="x_H", unit="1", doc="share of attention on high-quality items", bounds=(0.0, 1.0)
    )
    detection: Float[Array, ""] = outcome(
        symbol="d", unit="1", doc="share of low quality that verification detects", bounds=(0.0, 1.0)
    )
    attention: Float[Array, ""] = outcome(symbol="M", unit="hours", doc="attention", bounds=(0.0, float("inf")))
    low_quality_cost: Float[Array, ""] = outcome(
        symbol="c_L", unit="money", doc="unit cost of low-quality content", bounds=(0.0, float("inf"))
    )
    high_quality_cost: Float[Array, ""] = outcome(
        symbol="c_H", unit="money", doc="unit cost of high-quality content", bounds=(0.0, float("inf"))
    )
    sensitivity: Float[Array, ""] = outcome(
        symbol="dp", unit="sd", doc="sensitivity d' of identification", bounds=(0.0, float("inf"))
    )
    hit_rate: Float[Array, ""] = outcome(
        symbol="h_L", unit="1", doc="share of low-quality items that are flagged", bounds=(0.0, 1.0)
    )
    false_alarm_rate: Float[Array, ""] = outcome(
        symbol="h_H", unit="1", doc="share of high-quality items that are flagged", bounds=(0.0, 1.0)
    )
    ai_services: Float[Array, ""] = outcome(
        symbol="AI", unit="AI services", doc="AI services that producers use", bounds=(0.0, float("inf"))
    )
    outside_labor: Float[Array, ""] = outcome(symbol="L_O", unit="workers", doc="labor of the outside sector")
    outside_output: Float[Array, ""] = outcome(
        symbol="Y_O", unit="money", doc="output of the outside sector, the numeraire"
    )
    ad_revenue: Float[Array, ""] = outcome(
        symbol="AD", unit="money", doc="advertising revenue", bounds=(0.0, float("inf"))
    )
    platform_profit: Float[Array, ""] = outcome(symbol="Pi", unit="money", doc="profit of the platform")
    consumer_surplus: Float[Array, ""] = outcome(
        symbol="CS", unit="money", doc="value of attention less the consumers' cost of verification"
    )
    producer_profit: Float[Array, ""] = outcome(symbol="PS", unit="money", doc="profit of content producers")
    government_revenue: Float[Array, ""] = outcome(
        symbol="G", unit="money", doc="taxes less subsidies, public verification and certification"
    )
    verification_cost: Float[Array, ""] = outcome(
        symbol="C_v", unit="money", doc="cost of verification, private and public", bounds=(0.0, float("inf"))
    )
    welfare: Float[Array, ""] = outcome(symbol="W", unit="money", doc="welfare (5.6) at steady-state trust")
    burden: Float[Array, ""] = outcome(symbol="x_4", unit="1", doc="burden: C_v/(C_v + M u_H)", bounds=(0.0, 1.0))
    dilution_weight: Float[Array, ""] = outcome(
        symbol="omega_1", unit="1", doc="endogenous welfare weight of dilution (negative where welfare rises in it)"
    )
    deception_weight: Float[Array, ""] = outcome(
        symbol="omega_2", unit="1", doc="endogenous welfare weight of deception"
    )
    distrust_weight: Float[Array, ""] = outcome(symbol="omega_3", unit="1", doc="endogenous welfare weight of distrust")
    burden_weight: Float[Array, ""] = outcome(symbol="omega_4", unit="1", doc="endogenous welfare weight of burden")
    pollution_index: Float[Array, ""] = outcome(
        symbol="IPI", unit="1", doc="Information Pollution Index with endogenous weights"
    )
