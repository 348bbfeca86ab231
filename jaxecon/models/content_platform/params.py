"""Nature and government of the content-platform model: one declaration a field."""

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import instrument, parameter

_BASELINE = "baseline of the specification, assumed"
_DATA = "endogenous AI learning is documented [D]; law and value are assumed"


class Params(eqx.Module):
    """Structural parameters (nature). Money is in units of a price, a period is one year."""

    # Tastes (4.1)
    mu_a: Float[Array, ""] = parameter(
        3.0, symbol="mu_a", unit="utility per quality", doc="mean taste for technical quality", source=_BASELINE,
        bounds=(0.0, 8.0),
    )  # fmt: skip
    mu_b: Float[Array, ""] = parameter(
        3.0, unit="utility per quality", doc="mean taste for creative quality", source=_BASELINE, bounds=(0.0, 8.0)
    )
    sd_a: Float[Array, ""] = parameter(
        1.5, unit="utility per quality", doc="standard deviation of the taste for technical quality", source=_BASELINE,
        bounds=(0.0, 4.0),
    )  # fmt: skip
    sd_b: Float[Array, ""] = parameter(
        1.5, unit="utility per quality", doc="standard deviation of the taste for creative quality", source=_BASELINE,
        bounds=(0.0, 4.0),
    )  # fmt: skip
    alpha: Float[Array, ""] = parameter(
        2.0, unit="utility per money", doc="median marginal utility of money", source=_BASELINE, bounds=(0.1, 20.0)
    )
    sd_alpha: Float[Array, ""] = parameter(
        0.3, unit="log", doc="standard deviation of ln alpha across buyers", source=_BASELINE, bounds=(0.0, 1.0)
    )
    rho: Float[Array, ""] = parameter(
        0.3,
        unit="utility",
        doc="weight of log exposure in utility",
        source=_BASELINE,
        bounds=(0.0, 3.0),
        box="exponent",
    )
    omega: Float[Array, ""] = parameter(
        0.6, unit="utility", doc="weight of log clutter (information overload) in utility", source=_BASELINE,
        bounds=(0.0, 3.0), box="exponent",
    )  # fmt: skip
    flood: Float[Array, ""] = parameter(
        1.0, unit="items per generator", doc="clutter of one AI generator in units of a human creator", source=_BASELINE,
        bounds=(0.0, 100.0),
    )  # fmt: skip
    Mkt: Float[Array, ""] = parameter(1000.0, unit="buyers", doc="buyers", source=_BASELINE, bounds=(1.0, 1e6))
    nodes: int = parameter(
        7, unit="1", doc="Gauss-Hermite nodes an axis of the taste distribution", kind="integer", bounds=(1, 15),
        source="5 give 3e-5 in consumer surplus, 7 give 4e-7",
    )  # fmt: skip
    # Recommendation (4.3)
    kappa: Float[Array, ""] = parameter(
        0.5,
        unit="1",
        doc="elasticity of exposure in an item's share",
        source=_BASELINE,
        bounds=(0.0, 5.0),
        box="exponent",
    )
    # Sellers: types r x phi
    r_1: Float[Array, ""] = parameter(
        0.8, unit="quality", doc="skill length of the low types", source=_BASELINE, bounds=(0.01, 3.0), box="fixed"
    )
    r_2: Float[Array, ""] = parameter(
        1.0, unit="quality", doc="skill length of the middle types", source=_BASELINE, bounds=(0.01, 3.0), box="fixed"
    )
    r_3: Float[Array, ""] = parameter(
        1.2, unit="quality", doc="skill length of the high types", source=_BASELINE, bounds=(0.01, 3.0), box="fixed"
    )
    phi_1: Float[Array, ""] = parameter(
        30.0,
        unit="degrees",
        doc="skill angle of the technical types",
        source=_BASELINE,
        bounds=(0.0, 90.0),
        box="fixed",
    )
    phi_2: Float[Array, ""] = parameter(
        45.0, unit="degrees", doc="skill angle of the balanced types", source=_BASELINE, bounds=(0.0, 90.0), box="fixed"
    )
    phi_3: Float[Array, ""] = parameter(
        60.0, unit="degrees", doc="skill angle of the creative types", source=_BASELINE, bounds=(0.0, 90.0), box="fixed"
    )
    Nbar: Float[Array, ""] = parameter(
        60.0 / 9, unit="creators", doc="potential creators of each of the nine types", source=_BASELINE,
        bounds=(1e-3, 1e4),
    )  # fmt: skip
    K: int = parameter(
        3, unit="generators", doc="identical AI generators", kind="integer", bounds=(0, 1000), source=_BASELINE
    )
    c_0: Float[Array, ""] = parameter(
        0.6, unit="money", doc="human unit cost without quality", source=_BASELINE, bounds=(0.0, 50.0)
    )
    c_q: Float[Array, ""] = parameter(
        0.8, unit="money per quality^2", doc="human unit cost of quality", source=_BASELINE, bounds=(0.0, 50.0)
    )
    gamma_y: Float[Array, ""] = parameter(
        0.005, unit="money per unit", doc="slope of human marginal cost in output",
        source="convex human cost is documented [D]; the value is assumed", bounds=(0.0, 1.0),
    )  # fmt: skip
    c_A: Float[Array, ""] = parameter(
        0.05, unit="money", doc="marginal cost of AI content", grade="D",
        source="near zero in paper 4 [D]; the value is paper 3's documented one", bounds=(0.0, 10.0),
    )  # fmt: skip
    w_0: Float[Array, ""] = parameter(
        3.0, unit="money per yr", doc="mean outside income of creators", source=_BASELINE, bounds=(0.01, 1e3)
    )
    s_e: Float[Array, ""] = parameter(
        1.5, unit="money per yr", doc="scale of the logistic spread of outside incomes", source=_BASELINE,
        bounds=(0.01, 1e3),
    )  # fmt: skip
    psi: Float[Array, ""] = parameter(
        5.0, unit="money per rad^2", doc="cost of a skill angle away from the innate one", source=_BASELINE,
        bounds=(0.0, 1e3),
    )  # fmt: skip
    # AI quality and data (4.5)
    ai_quality: str = parameter(
        "given", unit="1", doc="AI quality: given, or at the steady stock of human data", kind="choice",
        choices=("given", "steady"), source="conventions of the suite",
    )  # fmt: skip
    qA_t: Float[Array, ""] = parameter(
        0.844, unit="quality", doc="technical quality of AI where it is given", source="steady value at the baseline",
        bounds=(0.0, 3.0),
    )  # fmt: skip
    qA_c: Float[Array, ""] = parameter(
        0.522, unit="quality", doc="creative quality of AI where it is given", source="steady value at the baseline",
        bounds=(0.0, 3.0),
    )  # fmt: skip
    lambda_t: Float[Array, ""] = parameter(
        1.0, unit="1", doc="technical data per unit of quality sold", source=_DATA, bounds=(0.0, 100.0)
    )
    lambda_c: Float[Array, ""] = parameter(
        0.5, unit="1", doc="creative data per unit of quality sold, below lambda_t", source=_DATA, bounds=(0.0, 100.0)
    )
    delta: Float[Array, ""] = parameter(
        0.1, unit="1/yr", doc="decay of data stocks", grade="E", source="specification, [E]", bounds=(1e-3, 5.0)
    )
    cont: Float[Array, ""] = parameter(
        0.5,
        unit="1",
        doc="contamination of human data per AI share of units",
        source=_DATA,
        bounds=(0.0, 1.0),
        box="share",
    )
    qmax_t: Float[Array, ""] = parameter(
        1.05, unit="quality", doc="technical quality of AI with unlimited data", source=_DATA, bounds=(0.0, 3.0)
    )
    qmax_c: Float[Array, ""] = parameter(
        0.75, unit="quality", doc="creative quality of AI with unlimited data", source=_DATA, bounds=(0.0, 3.0)
    )
    N0_t: Float[Array, ""] = parameter(
        400.0, unit="data", doc="technical data at half of qmax_t", source=_DATA, bounds=(1e-3, 1e6), box="scale"
    )
    N0_c: Float[Array, ""] = parameter(
        400.0, unit="data", doc="creative data at half of qmax_c", source=_DATA, bounds=(1e-3, 1e6), box="scale"
    )
    # Platform and labels
    c_host: Float[Array, ""] = parameter(
        0.02, unit="money", doc="hosting cost of the platform per unit sold", source="conventions of the suite, assumed",
        bounds=(0.0, 10.0),
    )  # fmt: skip
    R_req: Float[Array, ""] = parameter(
        0.0, unit="money per yr", doc="commissions net of hosting that the platform requires, where `requirement` is on",
        source="off by default", bounds=(-1e6, 1e6), box="fixed",
    )  # fmt: skip
    requirement: str = parameter(
        "off", unit="1", doc="what meets the requirement: a surcharge on both commissions or on that of AI", kind="choice",
        choices=("off", "both", "ai"), source="off by default",
    )  # fmt: skip
    l_t: Float[Array, ""] = parameter(
        0.05, unit="1", doc="fall of the taste for AI's technical quality under a full label",
        source="conventions of the suite, assumed", bounds=(0.0, 1.0),
    )  # fmt: skip
    l_c: Float[Array, ""] = parameter(
        0.2, unit="1", doc="fall of the taste for AI's creative quality under a full label",
        source="conventions of the suite, assumed", bounds=(0.0, 1.0),
    )  # fmt: skip
    # Co-evolution (4.5)-(4.7)
    chi: Float[Array, ""] = parameter(
        1.0, unit="rad^2 per money per yr", doc="speed of skill reallocation", source="conventions of the suite, assumed",
        bounds=(0.0, 20.0), layer="dynamics",
    )  # fmt: skip
    entry_rate: Float[Array, ""] = parameter(
        1.0, unit="1/yr", doc="speed of entry and exit", source="conventions of the suite, assumed", bounds=(0.0, 20.0),
        layer="dynamics",
    )  # fmt: skip
    training: str = parameter(
        "fresh", unit="1", doc="generations of AI: without own error, replacing or accumulating the data before", kind="choice",
        choices=("fresh", "replace", "accumulate"), source="specification, [S]", layer="dynamics",
    )  # fmt: skip
    e_gen: Float[Array, ""] = parameter(
        0.1, unit="1", doc="test error that one generation trained on AI output alone adds, d/(T - d - 1)", grade="S",
        source="conventions of the suite", bounds=(0.0, 10.0), layer="dynamics",
    )  # fmt: skip
    gen_rate: Float[Array, ""] = parameter(
        1.0, unit="1/yr", doc="generations of AI a year", source="assumed", bounds=(0.0, 20.0), layer="dynamics"
    )
    data_0: Float[Array, ""] = parameter(
        0.5, unit="1", doc="data stocks at the start in units of N0_t and N0_c", source="assumed", bounds=(0.0, 100.0),
        layer="dynamics",
    )  # fmt: skip


class Policy(eqx.Module):
    """Instruments of the platform and its regulator; the default is laissez-faire."""

    commission_human: Float[Array, ""] = instrument(
        0.3, unit="ad-valorem rate", doc="commission on human sales before the rebate", bounds=(0.0, 0.8),
        source="laissez-faire .30: baseline of the specification",
    )  # fmt: skip
    commission_ai: Float[Array, ""] = instrument(
        0.3, unit="ad-valorem rate", doc="commission on AI sales", bounds=(0.0, 0.8),
        source="laissez-faire .30: baseline of the specification",
    )  # fmt: skip
    creative_rebate: Float[Array, ""] = instrument(
        unit="ad-valorem rate per quality",
        doc="fall of the human commission per unit of creative quality",
        bounds=(0.0, 0.5),
    )
    diversity_weight: Float[Array, ""] = instrument(
        symbol="d_div", unit="1", doc="weight of novelty in recommendation", bounds=(0.0, 10.0)
    )
    ai_levy: Float[Array, ""] = instrument(
        unit="ad-valorem rate", doc="levy on AI sales, paid out to active human creators", bounds=(0.0, 0.8)
    )
    labeling: Float[Array, ""] = instrument(unit="share", doc="strength of the label on AI content", bounds=(0.0, 1.0))
    human_quota: Float[Array, ""] = instrument(
        unit="share", doc="share by which the exposure of AI items is cut", bounds=(0.0, 0.99)
    )


REGIMES = {
    "laissez_faire": {},
    "low_commission": {"commission_human": 0.1, "commission_ai": 0.1},
    "pro_creative": {"creative_rebate": 0.2},
    "diversity": {"diversity_weight": 2.0},
    "levy_fund": {"ai_levy": 0.2},
    "label_quota": {"labeling": 1.0, "human_quota": 0.3},
}
