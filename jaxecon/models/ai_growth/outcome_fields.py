"""Outcomes of the growth model: scalars read off the transition with AI, beside the same economy without."""

from functools import partial

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import outcome

Scalar = Float[Array, ""]

_rate = partial(outcome, unit="1/yr")
_share = partial(outcome, unit="1", bounds=(0.0, 1.0))
_year = partial(outcome, unit="calendar year")
_utility = partial(outcome, unit="utility")
_ratio = partial(outcome, unit="1", bounds=(0.0, float("inf")))


class Outcomes(eqx.Module):
    """Outcomes of the transition; a year in a name is the date, "effect" and "gain" compare with ai_on = 0."""

    welfare: Scalar = _utility(symbol="W", doc="discounted utility, mean over people")
    welfare_owners: Scalar = _utility(symbol="W_o", doc="discounted utility of an owner")
    welfare_workers: Scalar = _utility(symbol="W_w", doc="discounted utility of a worker")
    gain_owners: Scalar = outcome(
        symbol="gain_o", unit="share of consumption", doc="gain of owners from AI, as consumption in all years"
    )
    gain_workers: Scalar = outcome(
        symbol="gain_w", unit="share of consumption", doc="gain of workers from AI, as consumption in all years"
    )
    # Growth: chained GDP
    effect_2030: Scalar = outcome(unit="share of GDP", doc="effect of AI on GDP in 2030")
    effect_2035: Scalar = outcome(unit="share of GDP", doc="effect of AI on GDP in 2035 (C8.1)")
    effect_2060: Scalar = outcome(unit="share of GDP", doc="effect of AI on GDP in 2060")
    extra_growth: Scalar = _rate(doc="extra growth from AI, mean 2023-2035")
    extra_growth_2035: Scalar = _rate(doc="extra growth from AI in 2035")
    peak_growth: Scalar = _rate(doc="largest extra growth from AI, 2021-2060")
    peak_year: Scalar = _year(doc="year of the largest extra growth, between years by a parabola")
    growth_2035: Scalar = _rate(doc="growth of GDP in 2035")
    growth_2060: Scalar = _rate(doc="growth of GDP in 2060")
    consumption_growth_2060: Scalar = _rate(doc="growth of real consumption of households in 2060")
    # Adoption of AI
    automation_2035: Scalar = _share(symbol="a_2035", doc="automation share, value-weighted, in 2035")
    automation_2060: Scalar = _share(symbol="a_2060", doc="automation share, value-weighted, in 2060")
    takeoff: Scalar = _year(doc="first inflection: largest second difference of the automation share, by a parabola")
    maturity: Scalar = _year(doc="second inflection: smallest second difference of the automation share, by a parabola")
    ai_cost_2035: Scalar = _ratio(symbol="v/w", doc="cost of AI over the wage in 2035, services")
    energy_unit_2035: Scalar = _ratio(doc="energy per unit of AI capital in 2035, over 2020 (C8.6)")
    energy_use_2035: Scalar = _ratio(doc="energy use of AI in 2035, over 2020 (C8.6)")
    # Factors
    rate_2035: Scalar = _rate(symbol="r_2035", doc="interest rate in 2035")
    rate_effect_2035: Scalar = _rate(doc="effect of AI on the interest rate in 2035")
    rate_effect_low: Scalar = _rate(doc="lowest effect of AI on the interest rate, 2020-2059 (C8.5)")
    utilization_low: Scalar = _share(symbol="u_low", doc="lowest utilization, 2020-2034")
    utilization_mean: Scalar = _share(symbol="u_mean", doc="mean utilization, 2020-2034")
    labor_share_2035: Scalar = _share(symbol="LS_2035", doc="labor share of GDP in 2035")
    labor_share_2060: Scalar = _share(symbol="LS_2060", doc="labor share of GDP in 2060")
    labor_share_goods_2060: Scalar = _share(symbol="LS_g", doc="labor share of the goods sector in 2060 (C8.4)")
    labor_share_services_2060: Scalar = _share(symbol="LS_s", doc="labor share of the services sector in 2060 (C8.4)")
    services_value_2060: Scalar = _share(doc="services in the value of output in 2060")
    goods_labor_2060: Scalar = _share(doc="share of labor in goods in 2060 (C8.4)")
    goods_labor_base_2060: Scalar = _share(doc="share of labor in goods in 2060 without AI (C8.4)")
    wage_effect_2035: Scalar = outcome(unit="share of the wage", doc="effect of AI on the real wage in 2035")
    consumption_gap_2060: Scalar = _ratio(doc="consumption of an owner over that of a worker in 2060")
    # Government
    debt_2035: Scalar = outcome(symbol="B_2035", unit="share of GDP", doc="public debt in 2035")
    debt_2060: Scalar = outcome(symbol="B_2060", unit="share of GDP", doc="public debt in 2060")
    # Two countries
    lead_2060: Scalar = outcome(symbol="x_2060", unit="log", doc="lead of country 1 in 2060")
    growth_leader_2060: Scalar = _rate(symbol="g_1", doc="growth of output of country 1 in 2060")
    growth_follower_2060: Scalar = _rate(symbol="g_2", doc="growth of output of country 2 in 2060")
    tipping_gap: Scalar = outcome(
        symbol="x_tip", unit="log",
        doc="lead in the long run from which imitation no longer closes the gap; 0 if from any, at most 10 h",
        bounds=(0.0, float("inf")), grade="S",
    )  # fmt: skip
    imitation_boundary: Scalar = _rate(
        symbol="kap_star", doc="speed of imitation at which the lead in 2060 is that of 2020 (C8.3)"
    )
