"""Nature and government of the information-pollution model: one declaration a field.

Perfect identification is the parameter value `dp0 = PERFECT_DP`, not a switch: there the hit rate is
one and the false-alarm rate zero to the last bit, and everything stays differentiable on the way.
"""

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import Field, fields_of, instrument, parameter

# Phi(-PERFECT_DP/2) is below 1e-88: h_L = 1 and h_H = 0 in float64 and float32.
PERFECT_DP = 40.0

_PAPER = "paper 5, three-stage game; value: reconstruction, calibrated to trust near .40"


class Params(eqx.Module):
    """Structural parameters (nature). Quantities are per period and per unit of attention M_0."""

    # Technology and labor
    p_A: Float[Array, ""] = parameter(
        0.05, unit="money per AI service", doc="resource price of AI services", source=_PAPER, bounds=(1e-4, 10.0)
    )
    sigma_L: Float[Array, ""] = parameter(
        1.67,
        unit="1",
        doc="elasticity of substitution between AI and labor in low-quality content",
        source="by analogy with capital-skill estimates for unskilled labor (1.67)",
        bounds=(1.02, 6.0),
        box="exponent",
    )
    sigma_H: Float[Array, ""] = parameter(
        0.67,
        unit="1",
        doc="elasticity of substitution between AI and labor in high-quality content",
        source="by analogy with capital-skill estimates for skilled labor (.67)",
        bounds=(0.1, 0.98),
        box="exponent",
    )
    a_L: Float[Array, ""] = parameter(
        0.5,
        unit="1",
        doc="CES weight of AI in low-quality content",
        grade="S",
        source="closed form of the specification (5.1)",
        bounds=(0.02, 0.98),
        box="share",
    )
    a_H: Float[Array, ""] = parameter(
        0.5,
        unit="1",
        doc="CES weight of AI in high-quality content",
        grade="S",
        source="closed form of the specification (5.1)",
        bounds=(0.02, 0.98),
        box="share",
    )
    z_L: Float[Array, ""] = parameter(
        1.0, unit="index", doc="productivity in low-quality content", bounds=(0.01, 100.0)
    )
    z_H: Float[Array, ""] = parameter(
        1.0, unit="index", doc="productivity in high-quality content", bounds=(0.01, 100.0)
    )
    eps: Float[Array, ""] = parameter(
        1.0, unit="1", doc="supply elasticity of content", source=_PAPER, bounds=(0.1, 5.0), box="exponent"
    )
    Lbar: Float[Array, ""] = parameter(2.0, unit="workers", doc="labor endowment", source=_PAPER, bounds=(0.05, 1000.0))
    mu: Float[Array, ""] = parameter(
        0.35,
        unit="1",
        doc="inverse elasticity of outside labor demand; 0 is partial equilibrium",
        source=_PAPER,
        bounds=(0.0, 0.95),
        box="exponent",
    )
    # Platform and advertising
    m: Float[Array, ""] = parameter(
        1.0, unit="money per unit of engagement", doc="price of advertising", source=_PAPER, bounds=(1e-3, 100.0)
    )
    share: Float[Array, ""] = parameter(
        0.55,
        unit="1",
        doc="share of ad revenue that goes to producers",
        grade="E",
        source="revenue-sharing terms of large video platforms (55 %)",
        bounds=(0.02, 0.98),
        box="share",
    )
    e_L: Float[Array, ""] = parameter(
        1.7,
        unit="1",
        doc="engagement per exposure of low-quality items",
        grade="E",
        source="false news spread about 70 % more than true news",
        bounds=(0.02, 20.0),
        box=(1.245, 2.21),
    )
    e_H: Float[Array, ""] = parameter(
        1.0,
        unit="1",
        doc="engagement per exposure of high-quality items",
        source=_PAPER,
        bounds=(0.01, 10.0),
        box=(0.7, 1.245),
    )
    c_a: Float[Array, ""] = parameter(
        0.1, unit="money", doc="cost of moderation away from neutral", source=_PAPER, bounds=(1e-3, 100.0)
    )
    iota: Float[Array, ""] = parameter(
        0.0,
        unit="1",
        doc="weight of the platform on the response of trust to its moderation",
        bounds=(0.0, 1.0),
        box=(0.0, 0.2),
    )
    # Attention, value, verification, trust
    M_0: Float[Array, ""] = parameter(
        1.0, unit="hours", doc="attention at full trust and a large catalogue", source=_PAPER, bounds=(1e-2, 100.0)
    )
    chi: Float[Array, ""] = parameter(
        0.4, unit="1", doc="elasticity of attention to trust", source=_PAPER, bounds=(0.0, 2.0), box="exponent"
    )
    A_0: Float[Array, ""] = parameter(
        0.5, unit="items", doc="catalogue at which attention is half its maximum", source=_PAPER, bounds=(1e-3, 100.0)
    )
    u_H: Float[Array, ""] = parameter(
        1.3, unit="money per hour", doc="value of exposure to high-quality content", source=_PAPER, bounds=(0.0, 20.0)
    )
    u_0: Float[Array, ""] = parameter(
        1.3,
        unit="money per hour",
        doc="use value of cheap content; 0 is the prohibition corner",
        source=_PAPER,
        bounds=(0.0, 20.0),
    )
    u_L: Float[Array, ""] = parameter(
        1.0, unit="money per hour", doc="harm of undetected low-quality content", source=_PAPER, bounds=(0.0, 20.0)
    )
    nu: Float[Array, ""] = parameter(
        0.4, unit="1", doc="exponent of the value of exposure", source=_PAPER, bounds=(0.05, 1.0), box="exponent"
    )
    kappa: Float[Array, ""] = parameter(
        1.0, unit="money", doc="cost of verification", source=_PAPER, bounds=(1e-2, 100.0)
    )
    theta_v: Float[Array, ""] = parameter(
        0.65, unit="per unit of effort", doc="productivity of verification", source=_PAPER, bounds=(1e-2, 20.0)
    )
    g: Float[Array, ""] = parameter(0.0, unit="1", doc="gain of verification from provenance", bounds=(0.0, 5.0))
    rho: Float[Array, ""] = parameter(
        0.45, unit="1/yr", doc="trust rebuilt by detection", source=_PAPER, bounds=(0.0, 10.0)
    )
    eta: Float[Array, ""] = parameter(
        0.45, unit="1/yr", doc="trust eroded by undetected low-quality content", source=_PAPER, bounds=(0.0, 10.0)
    )
    r_0: Float[Array, ""] = parameter(
        0.15, unit="1/yr", doc="autonomous recovery of trust", source=_PAPER, bounds=(1e-3, 10.0)
    )
    # Identification and social values
    dp0: Float[Array, ""] = parameter(
        0.3,
        symbol="dp0",
        unit="sd",
        doc="sensitivity d' of the classifier without provenance; 40 is perfect identification",
        grade="E",
        source="unaided people d' ~ .1-.3, aided ~ .8, software to ~ 4",
        bounds=(0.0, PERFECT_DP),
    )
    dp1: Float[Array, ""] = parameter(
        3.0,
        symbol="dp1",
        unit="sd",
        doc="gain of sensitivity from full provenance",
        grade="E",
        source="software to d' ~ 4",
        bounds=(0.0, PERFECT_DP),
    )
    psi: Float[Array, ""] = parameter(
        0.25, unit="1", doc="social share of ad revenue", source=_PAPER, bounds=(0.0, 1.0), box="share"
    )
    cert: Float[Array, ""] = parameter(
        0.05, unit="money", doc="cost of the provenance standard", source=_PAPER, bounds=(0.0, 10.0)
    )
    # Receiving parameters of the coupled system, neutral here
    z_O: Float[Array, ""] = parameter(
        1.0,
        unit="index",
        doc="productivity of the outside sector; 1 is neutral",
        source="reconstruction: receives links of the coupled system",
        bounds=(0.05, 20.0),
        box="fixed",
    )
    n_L: Float[Array, ""] = parameter(
        1.0,
        unit="index",
        doc="mass of low-quality producers, shifts their supply; 1 is neutral",
        source="reconstruction: receives links of the coupled system",
        bounds=(1e-3, 1e3),
        box="fixed",
    )
    # Dynamics and governance
    price_decline: Float[Array, ""] = parameter(
        0.6,
        unit="1/yr",
        doc="yearly fall of the AI price",
        bounds=(0.0, 0.95),
        box=(0.3, 0.8),
        layer="dynamics",
    )
    decline_years: Float[Array, ""] = parameter(
        10.0,
        unit="yr",
        doc="years for which the AI price falls",
        bounds=(0.0, 50.0),
        box="fixed",
        layer="dynamics",
    )
    adjustment: Float[Array, ""] = parameter(
        1.0,
        unit="1/yr",
        doc="rate at which producers approach their optimal supply",
        bounds=(1e-2, 100.0),
        layer="dynamics",
    )
    reading_noise: Float[Array, ""] = parameter(
        0.02,
        unit="1",
        doc="standard deviation of the error with which the index is read",
        bounds=(0.0, 1.0),
        layer="dynamics",
    )
    target: Float[Array, ""] = parameter(
        0.3,
        unit="1",
        doc="target of the index in the adaptive rule",
        bounds=(0.0, 1.0),
        box="share",
        layer="dynamics",
    )
    K_d: Float[Array, ""] = parameter(
        0.0,
        unit="1",
        doc="gain of the adaptive rule on the change of the index",
        bounds=(-10.0, 10.0),
        box="fixed",
        layer="dynamics",
    )
    world_sd: Float[Array, ""] = parameter(
        0.3,
        unit="1",
        doc="log standard deviation of eta, u_L and theta_v across worlds",
        bounds=(0.0, 2.0),
        box="fixed",
        layer="dynamics",
    )
    # Agents
    cost_sd: Float[Array, ""] = parameter(
        0.3,
        unit="1",
        doc="log standard deviation of producers' costs, supply-weighted mean neutral",
        bounds=(0.0, 2.0),
        layer="agents",
    )
    taste_sd: Float[Array, ""] = parameter(
        0.3,
        unit="1",
        doc="log standard deviation of consumers' verification cost, mean neutral",
        bounds=(0.0, 2.0),
        layer="agents",
    )
    choice_noise: Float[Array, ""] = parameter(
        0.1,
        unit="1",
        doc="log standard deviation of errors in producers' and consumers' choices",
        bounds=(0.0, 2.0),
        layer="agents",
    )


class Policy(eqx.Module):
    """Instruments of the government; the default is laissez-faire."""

    low_quality_tax: Float[Array, ""] = instrument(
        unit="money per flagged item", doc="Pigouvian tax on flagged items (negative: subsidy)", bounds=(-2.0, 10.0)
    )
    provenance: Float[Array, ""] = instrument(
        unit="1",
        doc="provenance standard: sharpens identification, pays this share of verification",
        bounds=(0.0, 0.95),
    )
    fiduciary_duty: Float[Array, ""] = instrument(
        unit="1", doc="weight of welfare in the platform's objective", bounds=(0.0, 1.0)
    )
    moderation_subsidy: Float[Array, ""] = instrument(
        unit="money per log point", doc="subsidy for demoting flagged items", bounds=(0.0, 2.0)
    )
    ai_compute_tax: Float[Array, ""] = instrument(
        symbol="ai_compute_tax", unit="rate", doc="ad-valorem tax on producers' AI services", bounds=(0.0, 20.0)
    )


def constraints(p: Params) -> dict[str, Float[Array, ""]]:
    """Order restrictions sigma_L > 1 > sigma_H, e_L > e_H: margins that must be positive."""
    return {"sigma_L > 1": p.sigma_L - 1, "1 > sigma_H": 1 - p.sigma_H, "e_L > e_H": p.e_L - p.e_H}


def fields_of_policy() -> dict[str, Field]:
    """Declared instruments by name."""
    return fields_of(Policy)
