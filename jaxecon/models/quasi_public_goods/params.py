"""Nature and government of the quasi-public-goods model: one declaration a field.

Money is dollars per month and potential user; the mass of potential users is one. The two closed models are
identical, so that `_c` names what each of them has; `_o` is the open model.
"""

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import instrument, parameter


class Params(eqx.Module):
    """Structural parameters (nature)."""

    # Users: valuation, income, skill
    v_med: Float[Array, ""] = parameter(
        11.4,
        unit="$ per user and month",
        doc="median valuation of a unit of quality",
        grade="E",
        source="willingness to accept to give up generative AI, median 11.4 (2026): an upper bound of willingness to pay",
        bounds=(0.01, 10000.0),
    )
    sd_v: Float[Array, ""] = parameter(
        2.19,
        unit="1",
        doc="standard deviation of log valuation",
        grade="E",
        source="implied by mean 124.5 and median 11.4",
        bounds=(0.1, 3.0),
    )
    s_y: Float[Array, ""] = parameter(0.8, unit="1", doc="standard deviation of log income", bounds=(0.05, 2.0))
    rho: Float[Array, ""] = parameter(
        0.3, unit="1", doc="correlation of log valuation and log income", bounds=(-0.9, 0.9), box="share"
    )
    h_0: Float[Array, ""] = parameter(
        18.628498,
        unit="$ per user and month",
        doc="cost of using a model without any service, at median income",
        source="fitted to an open share of .33 (matching it is not evidence)",
        bounds=(0.0, 1000.0),
    )
    eta_h: Float[Array, ""] = parameter(
        0.5,
        unit="1",
        doc="elasticity of skill to income: how fast that cost falls with income",
        bounds=(0.0, 3.0),
        box="exponent",
    )
    tau: Float[Array, ""] = parameter(
        4.0, unit="$ per user and month", doc="temperature of the logit choice", bounds=(0.05, 100.0)
    )
    # Models: two closed (c) and one open (o)
    q_c: Float[Array, ""] = parameter(
        1.0, unit="index", doc="quality of a closed model", source="normalization", bounds=(0.01, 1000000.0)
    )
    q_o: Float[Array, ""] = parameter(
        0.85,
        unit="index",
        doc="quality of the open model",
        source="assumed, within the documented 90 % at release",
        bounds=(0.01, 1000000.0),
    )
    c_c: Float[Array, ""] = parameter(
        3.0, unit="$ per user and month", doc="serving cost of a closed model", bounds=(0.001, 1000.0)
    )
    c_o: Float[Array, ""] = parameter(
        1.5, unit="$ per user and month", doc="serving cost of the open model", bounds=(0.001, 1000.0)
    )
    o_c: Float[Array, ""] = parameter(0.1, unit="1", doc="openness of a closed model", bounds=(0.0, 1.0), box="share")
    o_o: Float[Array, ""] = parameter(0.9, unit="1", doc="openness of the open model", bounds=(0.0, 1.0), box="share")
    service_c: Float[Array, ""] = parameter(
        1.0,
        unit="1",
        doc="service of a closed model: the share of the cost h_u it takes off the user",
        bounds=(0.0, 1.0),
        box=(0.8, 1.0),
    )
    service_o: Float[Array, ""] = parameter(
        0.4, unit="1", doc="service of the open model", bounds=(0.0, 1.0), box="share"
    )
    gate_c: Float[Array, ""] = parameter(
        3.0, unit="$ per user and month", doc="cost of gates of a closed model at openness zero", bounds=(0.0, 1000.0)
    )
    gate_o: Float[Array, ""] = parameter(
        1.0, unit="$ per user and month", doc="cost of gates of the open model at openness zero", bounds=(0.0, 1000.0)
    )
    z_c: Float[Array, ""] = parameter(
        1.0, unit="$ per user and month", doc="harm per user of a closed model", bounds=(0.0, 1000.0)
    )
    z_o: Float[Array, ""] = parameter(
        2.0, unit="$ per user and month", doc="harm per user of the open model", bounds=(0.0, 1000.0)
    )
    p_o: Float[Array, ""] = parameter(
        2.0, unit="$ per user and month", doc="price of the open model", bounds=(-100.0, 1000.0)
    )
    K_o: Float[Array, ""] = parameter(
        0.35, unit="users", doc="capacity of the open model (K_open)", bounds=(0.001, 10.0)
    )
    r_K: Float[Array, ""] = parameter(1.5, unit="$ per unit and month", doc="cost of capacity", bounds=(0.001, 1000.0))
    k: Float[Array, ""] = parameter(4.0, unit="1", doc="exponent of congestion", bounds=(0.2, 60.0))
    leak: Float[Array, ""] = parameter(
        0.1,
        unit="1",
        doc="share of revenue that full openness leaks to hosts of released weights",
        bounds=(0.0, 0.95),
        box="share",
    )
    kappa_q: Float[Array, ""] = parameter(
        40.914828721811,
        unit="$ per month",
        doc="slope of the marginal cost of quality",
        source="derived: q = 1 is optimal for a closed model at the baseline",
        bounds=(0.0, 10000.0),
    )
    # Externality: knowledge diffusion (1), innovation acceleration (2), industry transformation (3)
    chi_1: Float[Array, ""] = parameter(
        27.687603,
        unit="$ per month",
        doc="spillover of channel 1 at full use and openness",
        source="scale fitted to a PGI of .625 under S1 (matching it is not evidence)",
        bounds=(0.0, 10000.0),
    )
    chi_2: Float[Array, ""] = parameter(
        27.687603,
        unit="$ per month",
        doc="spillover of channel 2 at full use and openness",
        source="scale fitted to a PGI of .625 under S1 (matching it is not evidence)",
        bounds=(0.0, 10000.0),
    )
    chi_3: Float[Array, ""] = parameter(
        13.8438015,
        unit="$ per month",
        doc="spillover of channel 3 at full use and openness",
        source="scale fitted to a PGI of .625 under S1 (matching it is not evidence)",
        bounds=(0.0, 10000.0),
    )
    w_1: Float[Array, ""] = parameter(
        0.8, unit="1", doc="share of channel 1 that needs openness", bounds=(0.0, 1.0), box="share"
    )
    w_2: Float[Array, ""] = parameter(
        0.5, unit="1", doc="share of channel 2 that needs openness", bounds=(0.0, 1.0), box="share"
    )
    w_3: Float[Array, ""] = parameter(
        0.2, unit="1", doc="share of channel 3 that needs openness", bounds=(0.0, 1.0), box="share"
    )
    nu_1: Float[Array, ""] = parameter(
        0.8, unit="1", doc="elasticity of channel 1 to use", bounds=(0.1, 2.0), box="exponent"
    )
    nu_2: Float[Array, ""] = parameter(
        0.8, unit="1", doc="elasticity of channel 2 to use", bounds=(0.1, 2.0), box="exponent"
    )
    nu_3: Float[Array, ""] = parameter(
        1.0, unit="1", doc="elasticity of channel 3 to use", bounds=(0.1, 2.0), box="exponent"
    )
    chi_net: Float[Array, ""] = parameter(
        13.843801,
        unit="$ per month",
        doc="network externality of joint use",
        source="scale fitted to a PGI of .625 under S1 (matching it is not evidence)",
        bounds=(0.0, 10000.0),
    )
    # Government
    mcpf: Float[Array, ""] = parameter(1.3, unit="1", doc="marginal cost of public funds", bounds=(1.0, 3.0))
    cost_support: Float[Array, ""] = parameter(
        6.0, unit="$ per month", doc="cost of full open-source support", bounds=(0.0, 1000.0)
    )
    cost_safety: Float[Array, ""] = parameter(
        0.4, unit="$ per user and month", doc="serving cost of the full safety standard", bounds=(0.0, 100.0)
    )
    # Innovation
    g_0: Float[Array, ""] = parameter(
        0.3, unit="1/yr", doc="growth of closed quality at the baseline profit", bounds=(0.0, 3.0)
    )
    zeta: Float[Array, ""] = parameter(
        0.5, unit="1", doc="elasticity of innovation to profit", bounds=(0.0, 2.0), box="exponent"
    )
    lambda_0: Float[Array, ""] = parameter(
        3.4,
        unit="1/yr",
        doc="speed at which the open model catches up with a fully closed frontier",
        grade="E",
        source="lag of open behind closed models: 3.5 months",
        bounds=(0.01, 50.0),
    )
    kappa_o: Float[Array, ""] = parameter(
        1.0, unit="1", doc="effect of closed openness on the speed of catching up", bounds=(0.0, 20.0)
    )
    Pi_0: Float[Array, ""] = parameter(
        1.728335591065,
        unit="$ per month",
        doc="profit of a closed model at the baseline",
        source="derived: profit at the baseline",
        bounds=(0.001, 100000.0),
    )
    # Data as a quasi-public good
    b: Float[Array, ""] = parameter(1.0, unit="$ per month", doc="value of one unit of data", bounds=(0.0, 10000.0))
    D_0: Float[Array, ""] = parameter(1.0, unit="units", doc="data that are public already", bounds=(0.001, 10000.0))
    D_p: Float[Array, ""] = parameter(
        1.0, unit="units", doc="private data that could be disclosed", bounds=(0.0, 10000.0)
    )
    beta_d: Float[Array, ""] = parameter(
        0.5, unit="1", doc="elasticity of value to data", bounds=(0.05, 0.98), box="share"
    )
    pi_d: Float[Array, ""] = parameter(
        0.2, unit="$ per unit and month", doc="privacy cost of disclosed data", bounds=(0.0, 1000.0)
    )
    kappa_d: Float[Array, ""] = parameter(
        1.0, unit="$ per month", doc="slope of the marginal cost of disclosure", bounds=(0.0, 1000.0)
    )
    mu: Float[Array, ""] = parameter(
        1.0, unit="$ per trade", doc="mean value of a data trade (exponential)", bounds=(0.01, 1000.0)
    )
    t_B: Float[Array, ""] = parameter(0.1, unit="$ per trade", doc="trade cost through a broker", bounds=(0.0, 1000.0))
    t_E: Float[Array, ""] = parameter(
        1.486,
        unit="$ per trade",
        doc="trade cost on an exchange",
        grade="E",
        source="exchanges hold below 25 % of trade volume: t_E - t_B of at least 1.386 mu",
        bounds=(0.0, 1000.0),
        box=(1.0402, 1.9318),
    )
    # Integration
    ny: int = parameter(
        4, unit="1", doc="Gauss-Legendre nodes inside each income decile", bounds=(1, 16), kind="integer"
    )
    nz: int = parameter(
        161, unit="1", doc="trapezoid nodes of log valuation on [-7.5, 7.5]", bounds=(11, 2001), kind="integer"
    )


class Policy(eqx.Module):
    """Instruments (government). `Policy()` is laissez-faire."""

    open_source_support: Float[Array, ""] = instrument(
        unit="share", doc="raises service, openness and quality of the open model; costs 6 x^2", bounds=(0.0, 1.0)
    )
    openness_mandate: Float[Array, ""] = instrument(
        unit="share", doc="share of the missing openness that closed models must provide", bounds=(0.0, 1.0)
    )
    compute_subsidy: Float[Array, ""] = instrument(
        unit="rate", doc="share of the cost of private capacity that the state pays", bounds=(0.0, 0.95)
    )
    public_compute: Float[Array, ""] = instrument(
        unit="users", doc="public capacity added to the open model at its full cost", bounds=(0.0, 2.0)
    )
    safety_standard: Float[Array, ""] = instrument(
        unit="share", doc="share of harm removed, at a serving cost", bounds=(0.0, 1.0)
    )
    access_voucher: Float[Array, ""] = instrument(
        unit="$ per user and month", doc="paid to users of any model in income deciles 1 to 3", bounds=(0.0, 30.0)
    )
    data_disclosure: Float[Array, ""] = instrument(
        unit="share", doc="share of private data that is disclosed", bounds=(0.0, 1.0)
    )
