"""Outcomes of the static layer: one declaration a field."""

from functools import partial

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import outcome

_cutoff = partial(outcome, unit="skill", bounds=(0.0, 1.0), source="paper 3, Prop. 3.3; reconstruction (3.3)")
_share = partial(outcome, unit="share of creators", bounds=(0.0, 1.0))
_money = partial(outcome, unit="money", source="reconstruction (3.2)")
_price = partial(outcome, unit="money per item", source="reconstruction (3.1)")


class Outcomes(eqx.Module):
    """Outcomes of the static assignment equilibrium."""

    exit_cutoff: Float[Array, ""] = _cutoff(symbol="s_0", doc="lower skills exit")
    adoption_cutoff: Float[Array, ""] = _cutoff(
        symbol="s_1", doc="between s_0 and s_1 low-skill humans, from s_1 AI-assisted creators"
    )
    human_cutoff: Float[Array, ""] = _cutoff(symbol="s_H", doc="higher skills create without AI")
    lowest_adopter: Float[Array, ""] = _cutoff(
        symbol="s_L", doc="lowest skill that works with AI (equal to s_1; s_0 = s_1 in the pattern EAH)"
    )
    ai_volume: Float[Array, ""] = outcome(
        symbol="D_A", unit="items per buyer", doc="AI content sold", source="paper 3, eq. 1"
    )
    human_volume: Float[Array, ""] = outcome(symbol="D_H", unit="items per buyer", doc="human content sold")
    coverage: Float[Array, ""] = outcome(symbol="S", unit="share of buyers", doc="buyers served, M(0)")
    search_penalty: Float[Array, ""] = outcome(
        symbol="Phi", unit="money", doc="search penalty per purchase", source="paper 3, eq. 1"
    )
    price_ai_ceiling: Float[Array, ""] = _price(symbol="p_qA", doc="price at the AI ceiling, p(q_A)")
    price_lowest_ai: Float[Array, ""] = _price(symbol="p_L", doc="price at the lowest adopter's quality")
    price_lowest_high_human: Float[Array, ""] = _price(symbol="p_H", doc="price at quality alpha s_H")
    price_top: Float[Array, ""] = _price(symbol="p_top", doc="price at the best human quality, p(alpha)")
    hollow_margin: Float[Array, ""] = outcome(
        symbol="hollow", unit="quality", doc="gap in the middle, alpha s_H - q_A", source="paper 3, Lemma 3.2"
    )
    mean_quality: Float[Array, ""] = outcome(symbol="q_mean", unit="quality", doc="mean quality of content sold")
    revenue: Float[Array, ""] = _money(symbol="R", doc="what buyers pay in all")
    consumer_surplus: Float[Array, ""] = _money(symbol="CS", doc="buyers' surplus after the search penalty")
    creator_income: Float[Array, ""] = _money(
        symbol="Y", doc="income of all creators net of cost, outside wages included"
    )
    human_income: Float[Array, ""] = _money(symbol="Y_H", doc="income of human creators net of cost")
    ai_income: Float[Array, ""] = _money(symbol="Y_A", doc="income of AI-assisted creators net of cost")
    public_revenue: Float[Array, ""] = _money(symbol="G", doc="revenue of charge, levy and fee, rebated")
    welfare: Float[Array, ""] = _money(symbol="W", doc="surplus of buyers and creators and rebated revenue")
    welfare_no_ai: Float[Array, ""] = _money(symbol="W_noAI", doc="welfare in the same economy without AI, pattern EH")
    welfare_gain: Float[Array, ""] = _money(symbol="dW", doc="welfare less welfare without AI")
    pigou_charge: Float[Array, ""] = outcome(
        symbol="tau_star",
        unit="money per buyer served",
        doc="marginal damage of AI volume, S beta eta/(1 + eta D_A); the optimal charge at the optimum",
    )
    human_share: Float[Array, ""] = _share(symbol="share_H", doc="creators who create without AI")
    ai_share: Float[Array, ""] = _share(symbol="share_A", doc="creators who work with AI")
    exit_share: Float[Array, ""] = _share(symbol="share_E", doc="creators who exit")
    ai_content_share: Float[Array, ""] = outcome(
        symbol="share_DA", unit="share of items", bounds=(0.0, 1.0), doc="AI content in all content sold"
    )
    regret: Float[Array, ""] = outcome(
        symbol="regret", unit="money", doc="largest gain of any creator from another occupation"
    )
