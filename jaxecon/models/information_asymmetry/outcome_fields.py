"""Outcomes of the model of contracts under AI-generated signals: one declaration a field."""

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import outcome

_ANY = float("inf")
_POSITIVE = (0.0, _ANY)


class Outcomes(eqx.Module):
    """Outcomes, all scalars: per agent, contract or period."""

    net_welfare: Float[Array, ""] = outcome(
        unit="money",
        doc="objective: welfare of trade and of (7.3), less costs of policy and privacy and the fairness gap",
    )
    # Two types: the contracts in force, by timing and market
    welfare: Float[Array, ""] = outcome(symbol="W", unit="money", doc="total welfare of the contracts in force")
    profit: Float[Array, ""] = outcome(unit="money", doc="profit of principals in force")
    rent: Float[Array, ""] = outcome(unit="money", doc="expected surplus of agents in force", bounds=_POSITIVE)
    first_best: Float[Array, ""] = outcome(symbol="FB", unit="money", doc="welfare of two types under full information")
    q_fb: Float[Array, ""] = outcome(unit="units", doc="first-best quantity of the inefficient type")
    q_sb: Float[Array, ""] = outcome(
        unit="units", doc="quantity of the inefficient type without a signal", bounds=_POSITIVE, grade="S"
    )
    accuracy: Float[Array, ""] = outcome(symbol="pi_eff", unit="1", doc="accuracy after policy", bounds=(0.5, 1.0))
    welfare_before: Float[Array, ""] = outcome(
        symbol="W_before", unit="money", doc="welfare, public signal before contracting", grade="S"
    )
    profit_before: Float[Array, ""] = outcome(unit="money", doc="profit, public signal before contracting", grade="S")
    rent_before: Float[Array, ""] = outcome(
        unit="money", doc="rent, public signal before contracting", bounds=_POSITIVE, grade="S"
    )
    welfare_after: Float[Array, ""] = outcome(
        symbol="W_after", unit="money", doc="welfare, signal verified after contracting", grade="S"
    )
    profit_after: Float[Array, ""] = outcome(unit="money", doc="profit, signal verified after contracting", grade="S")
    rent_after: Float[Array, ""] = outcome(
        unit="money", doc="rent, signal verified after contracting", bounds=_POSITIVE, grade="S"
    )
    q_low: Float[Array, ""] = outcome(
        unit="units",
        doc="quantity of the inefficient type, signal verified after contracting",
        bounds=_POSITIVE,
        grade="S",
    )
    ell_star: Float[Array, ""] = outcome(
        unit="money", doc="liability from which a signal verified after gives the first best; 1e12 where it tells nothing",
        grade="S",
    )  # fmt: skip
    shutdown_share: Float[Array, ""] = outcome(
        unit="1", doc="posterior share of the efficient type beyond which the inefficient is shut down (nu_s)",
        symbol="nu_s", bounds=(0.0, 1.0), grade="S",
    )  # fmt: skip
    # Competitive forms
    welfare_screening: Float[Array, ""] = outcome(
        symbol="W_rs", unit="money", doc="welfare of Rothschild-Stiglitz screening", grade="S"
    )
    welfare_subsidized: Float[Array, ""] = outcome(
        symbol="W_mws", unit="money", doc="welfare of Miyazaki-Wilson-Spence screening", grade="S"
    )
    welfare_lemons: Float[Array, ""] = outcome(
        symbol="W_lemons", unit="money", doc="gains from trade in the market for lemons, competitive buyers", grade="S",
        bounds=_POSITIVE,
    )  # fmt: skip
    welfare_monopsony: Float[Array, ""] = outcome(
        symbol="W_monopsony", unit="money", doc="gains from trade in the market for lemons, one buyer", grade="S",
        bounds=_POSITIVE,
    )  # fmt: skip
    trade: Float[Array, ""] = outcome(unit="1", doc="share of sellers who trade, competitive buyers", bounds=(0.0, 1.0))
    # Moral hazard
    incentive: Float[Array, ""] = outcome(
        symbol="B", unit="1", doc="power of incentives, surplus over first best", bounds=(0.0, 1.0), grade="S"
    )
    precision: Float[Array, ""] = outcome(
        symbol="Q", unit="1/output^2", doc="precision of performance l' Sigma^-1 l", bounds=_POSITIVE, grade="S"
    )
    effort: Float[Array, ""] = outcome(symbol="e", unit="effort", doc="effort B/c", bounds=_POSITIVE, grade="S")
    surplus: Float[Array, ""] = outcome(
        unit="money", doc="surplus under moral hazard B/(2c)", bounds=_POSITIVE, grade="S"
    )
    weight_x: Float[Array, ""] = outcome(unit="1", doc="weight of output in pay", grade="S")
    weight_s: Float[Array, ""] = outcome(unit="1", doc="weight of the AI signal in pay", grade="S")
    # Both together (7.3)
    piece_rate: Float[Array, ""] = outcome(
        symbol="b", unit="1", doc="mean piece rate under both frictions", bounds=(0.0, 1.0), grade="S"
    )
    welfare_joint: Float[Array, ""] = outcome(
        symbol="W_joint", unit="money", doc="welfare E[theta + b/c - b^2/(2c) - r s2 b^2/2]", grade="S"
    )
    rent_joint: Float[Array, ""] = outcome(
        unit="money", doc="information rent E[h b] under both frictions", bounds=_POSITIVE, grade="S"
    )
    # Career
    effort_first: Float[Array, ""] = outcome(
        symbol="e_1", unit="effort", doc="effort from career concerns in the first period", bounds=_POSITIVE, grade="S"
    )
    effort_ratchet: Float[Array, ""] = outcome(
        unit="effort", doc="effort in the first period where later terms answer to performance (ratchet)", grade="S"
    )
    # Agents' own AI, several agents, groups, costs
    s2_g_star: Float[Array, ""] = outcome(
        unit="output^2",
        doc="noise of agents' AI beyond which the principal's AI no longer pays; infinity: 1e12",
        grade="S",
    )
    ai_gain: Float[Array, ""] = outcome(
        unit="money", doc="gain in surplus from the principal's AI where agents answer with theirs", grade="S"
    )
    spence_waste: Float[Array, ""] = outcome(
        unit="money", doc="cost of the least-cost separating signal to a high type", bounds=_POSITIVE, grade="S"
    )
    zeta_star: Float[Array, ""] = outcome(
        unit="1", doc="elasticity of signaling cost below which both types prefer pooling", bounds=_POSITIVE, grade="S"
    )
    noise_relative: Float[Array, ""] = outcome(
        unit="output^2",
        doc="noise of output that comparison with other agents leaves (7.5)",
        bounds=_POSITIVE,
        grade="S",
    )
    signal_externality: Float[Array, ""] = outcome(
        unit="type^2", doc="posterior variance of a type that others' signals remove (7.5)", bounds=_POSITIVE, grade="S"
    )
    rent_1: Float[Array, ""] = outcome(unit="money", doc="rent of group 1", bounds=_POSITIVE)
    rent_2: Float[Array, ""] = outcome(unit="money", doc="rent of group 2, with noisier signals", bounds=_POSITIVE)
    signal_cost: Float[Array, ""] = outcome(unit="money", doc="cost of the signal subsidy", bounds=_POSITIVE)
    privacy_cost: Float[Array, ""] = outcome(
        unit="money", doc="privacy cost of signals about effort and type, k_p/sigma^2 each", bounds=_POSITIVE
    )
