"""Nature and government of the intelligence-capital model: one declaration a field.

Providers compete with large models (capital), adopters buy capability, downstream firms choose architectures, wrappers
build on top. Reused letters carry the suffixes of the shared conventions: **w** wrapper, **v** task value.
"""

from functools import partial

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import instrument, parameter

_DOCUMENTED = "paper 1 (published reading notes of the full text)"
_RACE = "reconstruction: investment race, specification 1"
_BASELINE = "reconstruction: baseline of the shared conventions"

_real = partial(parameter, grade="R", source=_BASELINE)
_paper = partial(parameter, grade="D", source=_DOCUMENTED)

# The neutral value of the price cap: a margin so large that the cap is off.
NO_CAP = 1e3


class Params(eqx.Module):
    """Structural parameters (nature). Time in years; money in units of the marginal cost of serving one user."""

    # Demand
    theta: Float[Array, ""] = _paper(
        2.5,
        unit="1",
        doc="elasticity of demand with respect to relative capability",
        bounds=(0.05, 20.0),
        box="exponent",
    )
    alpha: Float[Array, ""] = _real(1.0, unit="1 per money", doc="price sensitivity of the logit", bounds=(0.02, 50.0))
    mc: Float[Array, ""] = _real(1.0, unit="money per user", doc="marginal cost of serving", bounds=(1e-4, 100.0))
    o: Float[Array, ""] = _real(0.0, unit="1", doc="weight of the outside good", bounds=(0.0, 1e4))
    M: Float[Array, ""] = _real(1.0, unit="users", doc="mass of adopters", bounds=(1e-3, 1e3), box="fixed")
    beta: Float[Array, ""] = _real(
        1.0, unit="1", doc="price elasticity of shares in (1.3')", source="reconstruction: fits [E] margins of 35-70 %",
        bounds=(0.05, 10.0), box="exponent",
    )  # fmt: skip
    E_T: Float[Array, ""] = _real(
        1.5, unit="1", doc="price elasticity of tokens per user in (1.3')", bounds=(1.01, 10.0), box="exponent",
        source="reconstruction: fits [E] margins of 35-70 %",
    )  # fmt: skip
    N: int = parameter(
        2, unit="providers", doc="number of upstream providers", kind="integer", bounds=(2, 200),
        source="specification 1: 2 for the flywheel, 25 for depreciation",
    )  # fmt: skip
    pricing: str = parameter(
        "logit", unit="1", doc="demand system: logit in the price (1.3) or in its logarithm (1.3')", kind="choice",
        choices=("logit", "loglinear"), source="paper 1 (logit); (1.3') is the calibrated variant",
    )  # fmt: skip

    # Technology
    a: Float[Array, ""] = _paper(
        0.35, unit="share", doc="weight of compute in capability", source=_DOCUMENTED + "; weak: not checked against the text",
        bounds=(0.01, 0.99), box="share",
    )  # fmt: skip
    rho: Float[Array, ""] = _paper(
        -0.2,
        unit="1",
        doc="CES exponent: elasticity of substitution 1/(1 - rho)",
        bounds=(-5.0, 0.95),
        box=(-0.5, -0.02),
    )
    gamma: Float[Array, ""] = _paper(
        1.3, unit="1", doc="returns to scale of capability", bounds=(0.1, 5.0), box="exponent"
    )
    C: Float[Array, ""] = _real(
        1.0, unit="compute", doc="compute of each provider at laissez-faire", bounds=(1e-3, 1e4)
    )
    Dt: Float[Array, ""] = _real(
        17.094034963240784, symbol="D~", unit="data", doc="effective data of each provider at the symmetric laissez-faire state",
        source="specification 1: eps_D = 2/3 at the baseline", bounds=(1e-2, 1e5),
    )  # fmt: skip

    # Value of a model as an asset
    delta_0: Float[Array, ""] = _paper(
        0.2, unit="1/yr", doc="physical depreciation", source=_DOCUMENTED + ": 5-year straight line", bounds=(0.0, 5.0)
    )
    r: Float[Array, ""] = _real(0.1, unit="1/yr", doc="discount rate", bounds=(1e-3, 2.0))
    g: Float[Array, ""] = _real(
        0.98, unit="1/yr", doc="growth of rivals' log capability: eps_C times compute growth ln 4.7", grade="E",
        source="targets: training compute 4.7x a year", bounds=(0.0, 10.0),
    )  # fmt: skip
    price_response: str = parameter(
        "fixed", unit="1", doc="do prices follow when relative capability changes", kind="choice",
        choices=("fixed", "bertrand"), source="specification 1: fixed by default",
    )  # fmt: skip

    # Investment race
    nu: Float[Array, ""] = _real(
        0.6, unit="1", doc="cost of compute kappa C^(1+nu)/(1+nu)", source=_RACE, bounds=(0.0, 10.0), box="exponent"
    )
    chi: Float[Array, ""] = _real(
        0.5, unit="share", doc="use-value share of capability; the rest is positional", source=_RACE, bounds=(0.01, 1.0),
        box="share",
    )  # fmt: skip
    kappa: Float[Array, ""] = _real(
        0.5277777777777778, unit="money per compute", doc="cost scale of compute, read only if cost_scale = given", source=_RACE,
        bounds=(1e-6, 1e6), box="fixed",
    )  # fmt: skip
    F_0: Float[Array, ""] = _real(
        0.05, unit="money/yr", doc="fixed cost of a provider", source="assumed", bounds=(0.0, 100.0), box="scale"
    )
    timing: str = parameter(
        "two_stage", unit="1", doc="prices follow investment, or are set at the same time", kind="choice",
        choices=("two_stage", "simultaneous"), source=_RACE,
    )  # fmt: skip
    cost_scale: str = parameter(
        "calibrated", unit="1", doc="kappa such that the laissez-faire race ends at C, or as given", kind="choice",
        choices=("calibrated", "given"), source="reconstruction: the conventions fix C, not kappa",
    )  # fmt: skip

    # Architecture and tokens
    psi: Float[Array, ""] = _paper(
        0.4, unit="1", doc="return to orchestration depth", bounds=(0.01, 0.98), box="exponent"
    )
    xi: Float[Array, ""] = _paper(0.2, unit="1", doc="token overhead of depth", bounds=(0.0, 3.0), box=(0.02, 0.5))
    mu_v: Float[Array, ""] = _real(
        0.0, unit="log money", doc="mean log value of a task", bounds=(-10.0, 10.0), box=(-0.3, 0.3)
    )
    sd_v: Float[Array, ""] = _real(1.0, unit="log money", doc="dispersion of log task values", bounds=(0.05, 5.0))
    F: Float[Array, ""] = _real(
        0.1, unit="money", doc="common cost of adopting a task", bounds=(1e-6, 100.0), box="scale"
    )
    omega_a: Float[Array, ""] = _real(
        1.0, unit="share", doc="orchestrated share of tokens at laissez-faire prices; the rest is one-shot",
        bounds=(0.01, 1.0), box=(0.8, 1.0),
    )  # fmt: skip
    k_T: Float[Array, ""] = _real(
        1.0, unit="compute per token", doc="compute per token", bounds=(1e-6, 1e6), box="scale"
    )
    e_T: Float[Array, ""] = _real(
        1.0, unit="energy per token", doc="energy per token unit", bounds=(0.0, 1e3), box="scale"
    )
    p_E: Float[Array, ""] = _real(
        0.1, unit="money per energy", doc="price of energy: the cost that serving leaves to others", bounds=(0.0, 100.0),
        box="scale",
    )  # fmt: skip

    # Data flywheel
    Omega: Float[Array, ""] = _real(
        1.0,
        unit="1",
        doc="flywheel strength (eta Q s/delta_D)/D_0 at the symmetric laissez-faire state",
        bounds=(1e-3, 1e4),
    )
    delta_D: Float[Array, ""] = _real(
        0.099, unit="1/yr", doc="decay of data", grade="E", source="targets: half-life of text data 7 years",
        bounds=(1e-3, 10.0), layer="dynamics",
    )  # fmt: skip

    # Wrappers
    m_w: Float[Array, ""] = _real(3.0, symbol="m_w", unit="1", doc="app's advantage R - 1 at A = 1", bounds=(1e-3, 1e3))
    b_w: Float[Array, ""] = _real(
        0.6, unit="1", doc="speed at which capability absorbs the app", bounds=(1e-3, 10.0), box="exponent"
    )
    phi_w: Float[Array, ""] = _real(
        0.4, unit="1", doc="elasticity of the app's market in capability", bounds=(1e-3, 10.0), box="exponent"
    )

    # Paths
    lam: Float[Array, ""] = _real(
        0.3, symbol="lambda", unit="1/yr", doc="partial adjustment of log depth", bounds=(1e-3, 100.0)
    )
    lambda_x: Float[Array, ""] = _real(
        1.0, unit="1/yr", doc="imitation in adoption", bounds=(0.0, 100.0), layer="dynamics"
    )
    x_0: Float[Array, ""] = _real(
        0.2, unit="share of tasks", doc="adoption at the shock", bounds=(1e-3, 0.99), box="share", layer="dynamics"
    )
    shock: Float[Array, ""] = _paper(0.5, unit="share", doc="fall of the API price", bounds=(0.01, 0.99), box="fixed")
    t_shock: Float[Array, ""] = _paper(5.0, unit="yr", doc="date of the shock", bounds=(0.0, 20.0), box="fixed")
    mc_fall: Float[Array, ""] = _real(
        0.2302585092994046,
        unit="1/yr",
        doc="decline of log serving cost: tenfold a decade",
        bounds=(0.0, 10.0),
        layer="dynamics",
    )
    e_eff: Float[Array, ""] = _real(
        0.4, unit="1/yr", doc="growth of energy efficiency", grade="E", source="targets: AI Index, +40 % a year",
        bounds=(0.0, 5.0), layer="dynamics",
    )  # fmt: skip
    adoption: str = parameter(
        "imitation", unit="1", doc="adoption spreads by imitation, or stays at the shock's (intensive margin alone)",
        kind="choice", choices=("imitation", "none"), source="specification 1", layer="dynamics",
    )  # fmt: skip

    # Agents
    n_providers: int = parameter(
        10, symbol="J", unit="providers", doc="places for providers in the agent layer", kind="integer", bounds=(2, 100),
        source=_BASELINE, layer="agents",
    )  # fmt: skip
    jump_rate: Float[Array, ""] = _real(
        1.0, unit="1/yr", doc="arrival of innovations", bounds=(0.0, 20.0), layer="agents"
    )
    jump_mean: Float[Array, ""] = _real(
        0.98, unit="log capability", doc="mean size of an innovation", bounds=(0.0, 10.0), layer="agents"
    )
    reconsider: Float[Array, ""] = _real(
        0.5, unit="1/yr", doc="rate at which adopters reconsider", bounds=(1e-3, 1e3), layer="agents"
    )
    entry_cost: Float[Array, ""] = _real(
        1.0, unit="yr of rent", doc="cost of entry in years of the symmetric rent", bounds=(0.0, 100.0), layer="agents"
    )
    patience: Float[Array, ""] = _real(
        1.0, unit="yr", doc="years of negative rent before exit", bounds=(0.05, 50.0), layer="agents"
    )
    spread_A: Float[Array, ""] = _real(
        0.1, symbol="sd_A", unit="log capability", doc="dispersion of providers' initial log capability", source="assumed",
        bounds=(0.0, 5.0), box="scale", layer="agents",
    )  # fmt: skip
    choice_noise: Float[Array, ""] = _real(
        0.1, symbol="sd_n", unit="log tokens", doc="noise in downstream firms' depth", source="assumed", bounds=(0.0, 3.0),
        box="scale", layer="agents",
    )  # fmt: skip


class Policy(eqx.Module):
    """Instruments of the government; neutral values are laissez-faire. Revenue is rebated lump-sum."""

    compute_tax: Float[Array, ""] = instrument(
        unit="ad-valorem rate", doc="tax on training and serving compute", bounds=(0.0, 2.0)
    )
    data_sharing: Float[Array, ""] = instrument(
        unit="share",
        doc="share phi of each provider's data that all can use; multi-homing of user data",
        bounds=(0.0, 1.0),
    )
    price_cap: Float[Array, ""] = instrument(
        NO_CAP,
        unit="money per user",
        doc="cap on the margin over marginal cost; the upper bound is off",
        bounds=(0.01, NO_CAP),
    )
    investment_subsidy: Float[Array, ""] = instrument(
        unit="ad-valorem rate", doc="subsidy on the cost of compute of providers", bounds=(0.0, 0.9)
    )
    app_access: Float[Array, ""] = instrument(
        unit="share", doc="lowers b_w, the speed at which capability absorbs apps", bounds=(0.0, 1.0)
    )
    provider_entry: Float[Array, ""] = instrument(
        unit="share", doc="public share of providers' fixed and entry cost", bounds=(0.0, 1.0)
    )
