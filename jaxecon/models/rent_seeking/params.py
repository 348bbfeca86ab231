"""Nature, government and outcomes of the rent-seeking model: one declaration a field."""

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import instrument, outcome, parameter

_BASELINE = "baseline of the specification, assumed"


class Params(eqx.Module):
    """Structural parameters (nature). One period is one year; time is each agent's endowment of 1."""

    # Agents (6.1)
    b: Float[Array, ""] = parameter(
        2.0, unit="output per unit of time", doc="traditional information rent at zero transparency", source=_BASELINE,
        bounds=(0.01, 50.0),
    )  # fmt: skip
    c_r: Float[Array, ""] = parameter(
        2.0, unit="output per time^2", doc="median curvature of the cost of traditional rent-seeking", source=_BASELINE,
        bounds=(0.05, 100.0),
    )  # fmt: skip
    c_m: Float[Array, ""] = parameter(
        2.0, unit="output per time^2", doc="median curvature of the cost of manipulation", source=_BASELINE,
        bounds=(0.05, 100.0),
    )  # fmt: skip
    c_x: Float[Array, ""] = parameter(
        0.2, unit="output per time^2", doc="substitution between the two efforts; 0 <= c_x < min(c_r, c_m)",
        source=_BASELINE, bounds=(0.0, 20.0),
    )  # fmt: skip
    w: Float[Array, ""] = parameter(
        1.0, unit="output per unit of time", doc="median productivity of production, the outside use of time",
        source="normalization", bounds=(1e-3, 50.0),
    )  # fmt: skip
    sd: Float[Array, ""] = parameter(
        0.3, unit="log", doc="standard deviation of ln c_r, ln c_m and ln w across agents", source=_BASELINE,
        bounds=(1e-3, 1.0),
    )  # fmt: skip
    dB_0: Float[Array, ""] = parameter(
        0.2, unit="output per unit of time", doc="extra benefit of manipulation without AI",
        source="documented object DeltaB_AI [D], assumed form and value", bounds=(0.0, 20.0),
    )  # fmt: skip
    dB_1: Float[Array, ""] = parameter(
        0.3, unit="output per unit of time", doc="slope of the extra benefit of manipulation in AI capability",
        source="documented object DeltaB_AI [D], assumed form and value", bounds=(0.0, 20.0),
    )  # fmt: skip
    F_0: Float[Array, ""] = parameter(
        0.5, unit="output per unit of time", doc="fine on detected manipulation before policy", source=_BASELINE,
        bounds=(0.0, 20.0),
    )  # fmt: skip
    det_0: Float[Array, ""] = parameter(
        0.1, unit="1", doc="detection effort without policy", source=_BASELINE, bounds=(0.0, 10.0)
    )
    capture: int = parameter(
        0, unit="1", doc="regulatory capture: 1 if rents disable the share R/(1+R) of detection", kind="integer",
        bounds=(0, 1), source="switch of the specification",
    )  # fmt: skip
    # Transparency (6.3) and rents (6.2)
    alpha_0: Float[Array, ""] = parameter(
        0.05, unit="1/yr", doc="drift to transparency without AI", source=_BASELINE, bounds=(1e-6, 5.0)
    )
    alpha: Float[Array, ""] = parameter(
        0.15, unit="1/yr", doc="drift to transparency per unit of AI capability", source=_BASELINE, bounds=(0.0, 5.0)
    )
    beta_m: Float[Array, ""] = parameter(
        0.8, unit="1/yr", doc="opacity per unit of manipulation", source=_BASELINE, bounds=(0.0, 20.0)
    )
    beta_r: Float[Array, ""] = parameter(
        0.2, unit="1/yr", doc="opacity per unit of traditional rent-seeking", source=_BASELINE, bounds=(0.0, 20.0)
    )
    delta: Float[Array, ""] = parameter(
        0.2, unit="1/yr", doc="decay of rents", source="R* = gamma/delta is documented [D]; the value is assumed",
        bounds=(0.01, 1.99),
    )  # fmt: skip
    A: Float[Array, ""] = parameter(
        1.1, unit="index", doc="AI capability in the long run, where the path of capability ends", source=_BASELINE,
        bounds=(0.0, 10.0),
    )  # fmt: skip
    law: str = parameter(
        "linear", unit="1", doc="law of motion of rents (R* does not identify it)", kind="choice",
        choices=("linear", "logistic", "predator_prey"), source="paper 6 documents R* = gamma/delta only",
    )  # fmt: skip
    a_pp: Float[Array, ""] = parameter(
        0.5, unit="1/yr", doc="predator-prey: growth of rents per unit of transparency", source=_BASELINE,
        bounds=(0.01, 10.0),
    )  # fmt: skip
    d_pp: Float[Array, ""] = parameter(
        0.3, unit="1/yr", doc="predator-prey: decay of rents", source=_BASELINE, bounds=(0.01, 10.0)
    )
    gamma_pp: Float[Array, ""] = parameter(
        0.06, unit="1/yr", doc="predator-prey: growth of transparency without rents", bounds=(1e-3, 10.0)
    )
    # Loss and cost of policy (6.4), (6.5)
    phi: Float[Array, ""] = parameter(
        1.0, unit="output", doc="weight of rents in the loss L = phi R^2 + psi (1 - S)^2",
        source="the form of L is documented [D]; the value is assumed", bounds=(0.0, 100.0),
    )  # fmt: skip
    psi: Float[Array, ""] = parameter(
        1.0, unit="output", doc="weight of opacity in the loss", source="the form of L is documented [D]; the value is assumed",
        bounds=(0.0, 100.0),
    )  # fmt: skip
    kt: Float[Array, ""] = parameter(
        0.05, unit="1/output", doc="real cost of taxes, kt (tau_r^2 + tau_m^2)", bounds=(0.0, 100.0)
    )
    kd: Float[Array, ""] = parameter(
        0.05, unit="output", doc="real cost of detection, kd detection^2", bounds=(0.0, 100.0)
    )
    kf: Float[Array, ""] = parameter(0.01, unit="1/output", doc="real cost of fines, kf F^2", bounds=(0.0, 100.0))
    km: Float[Array, ""] = parameter(
        0.02, unit="output", doc="real cost of the transparency mandate, km mandate^2", bounds=(0.0, 100.0)
    )
    # Path
    discount: Float[Array, ""] = parameter(
        0.95, unit="1/yr", doc="discount factor of the regulator", source=_BASELINE, bounds=(0.5, 0.995),
        box=(0.9, 0.98), layer="dynamics",
    )  # fmt: skip
    R_0: Float[Array, ""] = parameter(
        0.5, unit="rents", doc="rents at the start", source=_BASELINE, bounds=(1e-6, 50.0), layer="dynamics"
    )
    S_0: Float[Array, ""] = parameter(
        0.4, unit="1", doc="transparency at the start", source=_BASELINE, bounds=(0.01, 1.0), box="share",
        layer="dynamics",
    )  # fmt: skip
    A_0: Float[Array, ""] = parameter(
        0.1, unit="index", doc="AI capability long before the rise", source=_BASELINE, bounds=(0.0, 10.0),
        layer="dynamics",
    )  # fmt: skip
    A_rate: Float[Array, ""] = parameter(
        0.25, unit="1/yr", doc="rate of the logistic rise of AI capability", source=_BASELINE, bounds=(0.0, 10.0),
        layer="dynamics",
    )  # fmt: skip
    A_mid: Float[Array, ""] = parameter(
        10.0, unit="yr", doc="middle of the rise of AI capability", source=_BASELINE, bounds=(-100.0, 200.0),
        layer="dynamics",
    )  # fmt: skip
    temperature: Float[Array, ""] = parameter(
        0.02, unit="time", doc="temperature of the smooth corners", source=_BASELINE, bounds=(1e-4, 1.0), box="fixed",
        layer="agents",
    )  # fmt: skip


class Policy(eqx.Module):
    """Instruments of the regulator; the default is laissez-faire. On a path each may be a scalar or `[T]`."""

    rent_tax: Float[Array, ""] = instrument(
        symbol="tau_r", unit="output per unit of time", doc="tax on detected traditional rent-seeking",
        bounds=(-5.0, 20.0), source="a per-unit tax tau_t is documented [D]; due when detected: reconstruction",
    )  # fmt: skip
    manipulation_tax: Float[Array, ""] = instrument(
        symbol="tau_m", unit="output per unit of time", doc="tax on detected manipulation", bounds=(-5.0, 20.0)
    )
    detection: Float[Array, ""] = instrument(unit="effort", doc="detection effort beyond det_0", bounds=(0.0, 10.0))
    fine: Float[Array, ""] = instrument(
        unit="output per unit of time", doc="fine on detected manipulation beyond F_0", bounds=(0.0, 20.0)
    )
    transparency_mandate: Float[Array, ""] = instrument(
        unit="1", doc="raises the drift to transparency per unit of AI by this factor", bounds=(0.0, 10.0)
    )


class Outcomes(eqx.Module):
    """Outcomes at the rest point, all scalars; flows per year and agent."""

    welfare: Float[Array, ""] = outcome(symbol="W", unit="output", doc="output less loss and policy cost (6.4)")
    loss: Float[Array, ""] = outcome(
        symbol="L", unit="output", doc="welfare loss of rents and opacity", bounds=(0.0, float("inf")), grade="D"
    )
    rents: Float[Array, ""] = outcome(symbol="R", unit="rents", doc="stock of rents", bounds=(0.0, float("inf")))
    transparency: Float[Array, ""] = outcome(symbol="S", unit="1", doc="transparency", bounds=(0.0, 1.0))
    traditional_effort: Float[Array, ""] = outcome(
        symbol="rbar", unit="time", doc="mean time in traditional rent-seeking", bounds=(0.0, 1.0)
    )
    manipulation_effort: Float[Array, ""] = outcome(
        symbol="mbar", unit="time", doc="mean time in AI manipulation", bounds=(0.0, 1.0)
    )
    rent_seekers: Float[Array, ""] = outcome(
        unit="1", doc="share of agents who seek rents of either kind", bounds=(0.0, 1.0)
    )
    output: Float[Array, ""] = outcome(unit="output", doc="mean output, E w (1 - r - m)")
    policy_cost: Float[Array, ""] = outcome(unit="output", doc="real cost of policy", bounds=(0.0, float("inf")))
    revenue: Float[Array, ""] = outcome(unit="output", doc="taxes and fines collected, a transfer")
    detection_probability: Float[Array, ""] = outcome(
        symbol="pi", unit="1", doc="probability of detection, after capture", bounds=(0.0, 1.0)
    )
    traditional_gain: Float[Array, ""] = outcome(
        symbol="X", unit="output per unit of time", doc="marginal gain of traditional rent-seeking"
    )
    manipulation_gain: Float[Array, ""] = outcome(
        symbol="Y", unit="output per unit of time", doc="marginal gain of manipulation"
    )
    manipulation_benefit: Float[Array, ""] = outcome(
        symbol="DeltaB",
        unit="output per unit of time",
        doc="extra benefit of manipulation: documented object [D], linear form reconstructed",
    )
    inflow: Float[Array, ""] = outcome(symbol="gamma", unit="rents per yr", doc="inflow of rents, rbar + mbar")


def constraints(p: Params) -> dict[str, Float[Array, ""]]:
    """Order restrictions c_x < min(c_r, c_m): margins that must be positive."""
    return {"c_x < c_r": p.c_r - p.c_x, "c_x < c_m": p.c_m - p.c_x}
