"""Outcomes of the quasi-public-goods model: one declaration a field."""

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import outcome


class Outcomes(eqx.Module):
    """What the model says, scalar by scalar. `_c`: one closed model (of two), `_o`: the open model."""

    # Index
    publicness: Float[Array, ""] = outcome(
        symbol="PGI", unit="1", doc="Publicness Index of the market, weighted by use", bounds=(0.0, 1.0)
    )
    marginal_publicness: Float[Array, ""] = outcome(
        symbol="PGI_m", unit="1", doc="Publicness Index with marginal externalities, MX/(MX + p)"
    )
    closed_publicness: Float[Array, ""] = outcome(
        symbol="PGI_c", unit="1", doc="Publicness Index, closed model", bounds=(0.0, 1.0)
    )
    open_publicness: Float[Array, ""] = outcome(
        symbol="PGI_o", unit="1", doc="Publicness Index, open model", bounds=(0.0, 1.0)
    )
    closed_non_rivalry: Float[Array, ""] = outcome(
        symbol="NR_c", unit="1", doc="non-rivalry, closed model", bounds=(0.0, 1.0)
    )
    open_non_rivalry: Float[Array, ""] = outcome(
        symbol="NR_o", unit="1", doc="non-rivalry, open model", bounds=(0.0, 1.0)
    )
    closed_non_excludability: Float[Array, ""] = outcome(
        symbol="NE_c", unit="1", doc="non-excludability, closed model", bounds=(0.0, 1.0)
    )
    open_non_excludability: Float[Array, ""] = outcome(
        symbol="NE_o", unit="1", doc="non-excludability, open model", bounds=(0.0, 1.0)
    )
    closed_net_externality: Float[Array, ""] = outcome(
        symbol="NX_c", unit="1", doc="net externality, closed model", bounds=(0.0, 1.0)
    )
    open_net_externality: Float[Array, ""] = outcome(
        symbol="NX_o", unit="1", doc="net externality, open model", bounds=(0.0, 1.0)
    )
    # Welfare and its parts
    welfare: Float[Array, ""] = outcome(
        symbol="W", unit="$ per month", doc="welfare (2.4)-(2.6): surpluses and externality less public funds"
    )
    consumer_surplus: Float[Array, ""] = outcome(symbol="CS", unit="$ per month", doc="users' surplus")
    producer_surplus: Float[Array, ""] = outcome(
        symbol="PS", unit="$ per month", doc="revenue less costs of serving, capacity and quality, all models and hosts"
    )
    externality: Float[Array, ""] = outcome(
        symbol="X", unit="$ per month", doc="externality, network and harm included"
    )
    public_cost: Float[Array, ""] = outcome(
        symbol="G", unit="$ per month", doc="public outlays, each worth the marginal cost of public funds"
    )
    disclosure_gain: Float[Array, ""] = outcome(symbol="data", unit="$ per month", doc="gain from disclosed data")
    quality_cost: Float[Array, ""] = outcome(
        symbol="cost_q", unit="$ per month", doc="cost of quality, all models", bounds=(0.0, float("inf"))
    )
    closed_profit: Float[Array, ""] = outcome(
        symbol="Pi_c", unit="$ per month", doc="operating profit of a closed provider"
    )
    open_profit: Float[Array, ""] = outcome(
        symbol="Pi_o", unit="$ per month", doc="revenue less costs of the open model"
    )
    # Spillovers by channel
    knowledge_diffusion: Float[Array, ""] = outcome(
        symbol="X_1", unit="$ per month", doc="spillovers through knowledge diffusion", bounds=(0.0, float("inf"))
    )
    innovation_acceleration: Float[Array, ""] = outcome(
        symbol="X_2", unit="$ per month", doc="spillovers through innovation acceleration", bounds=(0.0, float("inf"))
    )
    industry_transformation: Float[Array, ""] = outcome(
        symbol="X_3", unit="$ per month", doc="spillovers through industry transformation", bounds=(0.0, float("inf"))
    )
    network_externality: Float[Array, ""] = outcome(
        symbol="X_net", unit="$ per month", doc="network externality", bounds=(0.0, float("inf"))
    )
    harm: Float[Array, ""] = outcome(unit="$ per month", doc="harm of use", bounds=(0.0, float("inf")))
    # Market
    use: Float[Array, ""] = outcome(symbol="n", unit="users", doc="use of all models", bounds=(0.0, 1.0))
    closed_use: Float[Array, ""] = outcome(symbol="n_c", unit="users", doc="use, closed model", bounds=(0.0, 1.0))
    open_use: Float[Array, ""] = outcome(symbol="n_o", unit="users", doc="use, open model", bounds=(0.0, 1.0))
    closed_share: Float[Array, ""] = outcome(
        symbol="s_c", unit="1", doc="share in use, closed model", bounds=(0.0, 1.0)
    )
    open_share: Float[Array, ""] = outcome(symbol="s_o", unit="1", doc="share in use, open model", bounds=(0.0, 1.0))
    concentration: Float[Array, ""] = outcome(
        symbol="HHI", unit="1", doc="Herfindahl-Hirschman index of use", bounds=(0.0, 1.0)
    )
    closed_price: Float[Array, ""] = outcome(symbol="p_c", unit="$ per user and month", doc="price of a closed model")
    closed_capacity: Float[Array, ""] = outcome(
        symbol="K_c", unit="users", doc="capacity of a closed model", bounds=(0.0, float("inf"))
    )
    open_capacity: Float[Array, ""] = outcome(
        symbol="K", unit="users", doc="capacity of the open model, public compute included", bounds=(0.0, float("inf"))
    )
    closed_load: Float[Array, ""] = outcome(
        symbol="x_c", unit="1", doc="load n/K, closed model", bounds=(0.0, float("inf"))
    )
    open_load: Float[Array, ""] = outcome(
        symbol="x_o", unit="1", doc="load n/K, open model", bounds=(0.0, float("inf"))
    )
    closed_delivered_quality: Float[Array, ""] = outcome(
        symbol="qd_c", unit="index", doc="delivered quality, closed model", bounds=(0.0, float("inf"))
    )
    open_delivered_quality: Float[Array, ""] = outcome(
        symbol="qd_o", unit="index", doc="delivered quality, open model", bounds=(0.0, float("inf"))
    )
    closed_benefit: Float[Array, ""] = outcome(
        symbol="B_c",
        unit="$ per quality and month",
        doc="benefit of one more unit of delivered quality, closed model",
        bounds=(0.0, float("inf")),
    )
    open_benefit: Float[Array, ""] = outcome(
        symbol="B_o",
        unit="$ per quality and month",
        doc="benefit of one more unit of delivered quality, open model",
        bounds=(0.0, float("inf")),
    )
    # Market and planner: wedges on every margin
    closed_congestion_cost: Float[Array, ""] = outcome(
        symbol="MCC_c",
        unit="$ per user and month",
        doc="marginal congestion cost, closed model",
        bounds=(0.0, float("inf")),
    )
    open_congestion_cost: Float[Array, ""] = outcome(
        symbol="MCC_o",
        unit="$ per user and month",
        doc="marginal congestion cost, open model",
        bounds=(0.0, float("inf")),
    )
    closed_marginal_externality: Float[Array, ""] = outcome(
        symbol="MX_c", unit="$ per user and month", doc="marginal externality, closed model"
    )
    open_marginal_externality: Float[Array, ""] = outcome(
        symbol="MX_o", unit="$ per user and month", doc="marginal externality, open model"
    )
    closed_price_wedge: Float[Array, ""] = outcome(
        symbol="wedge_p_c",
        unit="$ per user and month",
        doc="price less its planner rule c + MCC - MX (2.6), closed model",
    )
    open_price_wedge: Float[Array, ""] = outcome(
        symbol="wedge_p_o",
        unit="$ per user and month",
        doc="price less its planner rule c + MCC - MX (2.6), open model",
    )
    closed_capacity_wedge: Float[Array, ""] = outcome(
        symbol="wedge_K_c",
        unit="$ per unit and month",
        doc="marginal value of capacity less its cost (2.7), closed model",
    )
    open_capacity_wedge: Float[Array, ""] = outcome(
        symbol="wedge_K_o",
        unit="$ per unit and month",
        doc="marginal value of capacity less its cost (2.7), open model",
    )
    closed_quality_wedge: Float[Array, ""] = outcome(
        symbol="wedge_q_c",
        unit="$ per quality and month",
        doc="marginal value of quality less its marginal cost (2.8), closed model",
    )
    open_quality_wedge: Float[Array, ""] = outcome(
        symbol="wedge_q_o",
        unit="$ per quality and month",
        doc="marginal value of quality less its marginal cost (2.8), open model",
    )
    openness_wedge: Float[Array, ""] = outcome(
        symbol="wedge_o", unit="$ per month", doc="social less private value of a closed model's openness"
    )
    closed_markup: Float[Array, ""] = outcome(
        symbol="markup",
        unit="$ per user and month",
        doc="markup of a closed provider: semi-elasticity of its demand inverted",
        bounds=(0.0, float("inf")),
    )
    restoring_subsidy: Float[Array, ""] = outcome(
        symbol="sub_p",
        unit="$ per user and month",
        doc="subsidy per use that restores the planner's price at this allocation, markup - MCC + MX",
    )
    # Access
    served: Float[Array, ""] = outcome(unit="1", doc="share of users who use some model", bounds=(0.0, 1.0))
    access_1: Float[Array, ""] = outcome(
        unit="1", doc="share of income decile 1 that uses some model", bounds=(0.0, 1.0)
    )
    access_2: Float[Array, ""] = outcome(
        unit="1", doc="share of income decile 2 that uses some model", bounds=(0.0, 1.0)
    )
    access_3: Float[Array, ""] = outcome(
        unit="1", doc="share of income decile 3 that uses some model", bounds=(0.0, 1.0)
    )
    access_4: Float[Array, ""] = outcome(
        unit="1", doc="share of income decile 4 that uses some model", bounds=(0.0, 1.0)
    )
    access_5: Float[Array, ""] = outcome(
        unit="1", doc="share of income decile 5 that uses some model", bounds=(0.0, 1.0)
    )
    access_6: Float[Array, ""] = outcome(
        unit="1", doc="share of income decile 6 that uses some model", bounds=(0.0, 1.0)
    )
    access_7: Float[Array, ""] = outcome(
        unit="1", doc="share of income decile 7 that uses some model", bounds=(0.0, 1.0)
    )
    access_8: Float[Array, ""] = outcome(
        unit="1", doc="share of income decile 8 that uses some model", bounds=(0.0, 1.0)
    )
    access_9: Float[Array, ""] = outcome(
        unit="1", doc="share of income decile 9 that uses some model", bounds=(0.0, 1.0)
    )
    access_10: Float[Array, ""] = outcome(
        unit="1", doc="share of income decile 10 that uses some model", bounds=(0.0, 1.0)
    )
    access_gini: Float[Array, ""] = outcome(
        unit="1", doc="Gini coefficient of the deciles' served shares", bounds=(0.0, 1.0)
    )
    # Innovation and data
    frontier_growth: Float[Array, ""] = outcome(
        symbol="g", unit="1/yr", doc="growth of closed quality at this profit (2.5)"
    )
    open_lag: Float[Array, ""] = outcome(
        symbol="lag",
        unit="yr",
        doc="steady lag of the open model behind the frontier, 1/lambda (2.5)",
        bounds=(0.0, float("inf")),
    )
    steady_quality_gap: Float[Array, ""] = outcome(
        symbol="lag_q", unit="1", doc="steady gap in log quality, g/lambda (2.5)"
    )
    exchange_to_broker: Float[Array, ""] = outcome(
        symbol="v_EB", unit="1", doc="trade volume of a data exchange relative to brokers", bounds=(0.0, 1.0)
    )
