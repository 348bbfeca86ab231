"""Nature and government of the growth model: one declaration a field. One period is one year, year 0 is 2020."""

from functools import partial

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import instrument, parameter

Scalar = Float[Array, ""]

_EPOCH = "Epoch AI: training compute 4.7x a year, algorithmic progress halves needs in 8 months"
_SCALING = "Besiroglu et al. 2024, replication of the scaling law"
_CHINA = "assumed: China's baseline growth from 3.8 % to 2.6 % a year"
_rate = partial(parameter, unit="1/yr", bounds=(-0.5, 5.0))
_year = partial(parameter, unit="yr after 2020", bounds=(-100.0, 200.0))
_share = partial(parameter, unit="1", bounds=(0.0, 1.0))
_decay = partial(parameter, unit="1/yr", bounds=(0.0, 1.0))
_number = partial(parameter, unit="1", bounds=(0.0, 100.0))
_scaling = partial(parameter, grade="E", source=_SCALING)


class Params(eqx.Module):
    """Structural parameters (nature). The numeraire is the good; labor is 1; people are 1, the share n_o of them owners."""

    # Effective compute and the scaling law (8.1), (8.2)
    C_0: Scalar = parameter(
        3e23, symbol="C_2020", unit="FLOP", doc="effective training compute in 2020", grade="E", source=_EPOCH,
        bounds=(1e18, 1e30), box="scale",
    )  # fmt: skip
    gC_0: Scalar = _rate(1.548, doc="growth of training compute at the start", grade="E", source=_EPOCH)
    gC_inf: Scalar = _rate(0.35, doc="growth of training compute in the end")
    t_C: Scalar = _year(12.0, doc="middle of the slowdown of compute: the second inflection of the technology")
    s_C: Scalar = parameter(2.0, unit="yr", doc="width of the slowdown of compute", bounds=(0.05, 50.0))
    gA_0: Scalar = _rate(1.04, doc="algorithmic progress at the start", grade="E", source=_EPOCH)
    rho_A: Scalar = _decay(0.92, doc="persistence of algorithmic progress", box=(0.85, 0.96))
    N_A: Scalar = _scaling(482.01, unit="loss", doc="scaling law: weight of model size", bounds=(1.0, 1e5))
    N_B: Scalar = _scaling(2085.43, unit="loss", doc="scaling law: weight of data", bounds=(1.0, 1e6))
    N_al: Scalar = _scaling(
        0.3478, unit="1", doc="scaling law: exponent of model size", bounds=(0.05, 2.0), box=(0.30, 0.40)
    )
    N_be: Scalar = _scaling(0.3658, unit="1", doc="scaling law: exponent of data", bounds=(0.05, 2.0), box=(0.32, 0.42))
    Dbar: Scalar = parameter(3e14, unit="tokens", doc="stock of data: the data wall", bounds=(1e10, 1e22), box="scale")
    gD: Scalar = _number(0.5, doc="growth of the data stock per unit of algorithmic progress", bounds=(0.0, 5.0))
    # Tasks: feasibility and diffusion (8.3)-(8.5)
    x_g: Scalar = _share(
        0.30, doc="exposed share of tasks, goods", grade="E", source="IMF: mean exposure .40; split assumed"
    )
    x_s: Scalar = _share(
        0.45, doc="exposed share of tasks, services", grade="E", source="IMF: mean exposure .40; split assumed"
    )
    z_g: Scalar = parameter(
        4.2, unit="capability", doc="capability that does half of exposed tasks, goods", bounds=(-20.0, 50.0)
    )
    z_s: Scalar = parameter(
        3.2, unit="capability", doc="capability that does half of exposed tasks, services", bounds=(-20.0, 50.0)
    )
    s_z: Scalar = parameter(0.7, unit="capability", doc="spread of tasks over capability", bounds=(0.02, 20.0))
    xi: Scalar = parameter(
        0.0, unit="log", doc="cost advantage at which half of feasible tasks adopt", bounds=(-5.0, 5.0), box="exponent"
    )
    s_xi: Scalar = parameter(0.8, unit="log", doc="spread of adoption over cost advantage", bounds=(0.02, 20.0))
    a_0: Scalar = _share(0.01, doc="automation share in 2020", bounds=(1e-4, 0.3), box="positive")
    lam: Scalar = _rate(
        0.0755177, doc="speed of diffusion", source="fitted to the report's +9.8 % of GDP in 2035", bounds=(0.0, 0.6),
        box=(0.025, 0.3),
    )  # fmt: skip
    lam_1: Scalar = _number(
        0.0, doc="open-source feedback of adoption on the speed of diffusion", bounds=(0.0, 10.0), box="fixed"
    )
    ai_on: Scalar = _share(
        1.0, doc="1 with AI, 0 without: multiplies the reach of AI beyond a_0", bounds=(0.0, 1.0), box="fixed"
    )
    # AI-robot capital and its cost (8.6), (8.7)
    gq_0: Scalar = _rate(0.08, doc="fall of the price of AI capital at the start")
    gq_inf: Scalar = _rate(
        0.0, symbol="gqI", doc="fall of the price of AI capital in the end", source="shared conventions", box="fixed"
    )
    rho_q: Scalar = _decay(0.94, doc="persistence of the fall of the price of AI capital", box=(0.90, 0.97))
    chi_q: Scalar = _number(0.05, doc="external scale economies in making AI capital", bounds=(0.0, 1.0))
    q_0: Scalar = _number(
        1.0, doc="price of AI capital in 2020, as a multiple of its cost at the rates of 2020", bounds=(0.05, 20.0)
    )
    mu: Scalar = _number(1.3, doc="markup of AI providers (model 1)", bounds=(1.0, 10.0), box=(1.1, 1.6))
    e_0: Scalar = _share(
        0.10, doc="energy per unit of AI capital in 2020, share of the cost of AI", bounds=(0.0, 0.6), box="positive"
    )
    ge: Scalar = _rate(0.12, doc="growth of energy efficiency of AI at the start")
    rho_e: Scalar = _decay(0.97, doc="persistence of the growth of energy efficiency", box=(0.94, 0.985))
    pE: Scalar = _number(1.0, doc="price of energy in goods", source="shared conventions", bounds=(0.0, 20.0))
    b_g: Scalar = _number(
        0.02, doc="empowering: log gain of labor at full automation of exposed tasks, goods", bounds=(-2.0, 2.0)
    )
    b_s: Scalar = _number(
        0.05, doc="empowering: log gain of labor at full automation of exposed tasks, services", bounds=(-2.0, 2.0)
    )
    # Production (8.8)-(8.10)
    alpha: Scalar = _share(0.40, doc="capital share", bounds=(0.05, 0.9), box=(0.30, 0.50))
    dK: Scalar = _rate(0.07, doc="depreciation of capital", bounds=(0.0, 1.0))
    kK: Scalar = _number(4.0, doc="adjustment cost of capital")
    dM: Scalar = _rate(0.15, doc="depreciation of AI capital", bounds=(0.0, 1.0))
    sig: Scalar = _number(
        0.5, symbol="s", doc="elasticity of substitution between tasks", source="Humlum; Acemoglu and Restrepo", grade="E",
        bounds=(0.05, 0.98), box=(0.3, 0.8),
    )  # fmt: skip
    gg_0: Scalar = _rate(0.036, symbol="g_g", doc="growth of goods productivity at the start", source=_CHINA)
    g_inf: Scalar = _rate(0.010, symbol="ggI", doc="growth of goods productivity in the end", source=_CHINA)
    gs_0: Scalar = _rate(0.030, symbol="g_s", doc="growth of services productivity at the start", source=_CHINA)
    gs_inf: Scalar = _rate(0.006, symbol="gsI", doc="growth of services productivity in the end", source=_CHINA)
    rho_g: Scalar = _decay(0.96, doc="persistence of productivity growth", source=_CHINA, box=(0.93, 0.98))
    # Households (8.14)-(8.20)
    eps: Scalar = _number(
        0.5, doc="elasticity of substitution between goods and services", bounds=(0.05, 0.98), box=(0.3, 0.8)
    )
    omega: Scalar = _share(0.20, doc="weight of goods in expenditure", bounds=(0.01, 0.99), box=(0.10, 0.40))
    demand_s: Scalar = parameter(
        0.0,
        unit="log",
        doc="shift of demand to services: from other models, neutral at 0",
        bounds=(-3.0, 3.0),
        box="fixed",
    )
    beta: Scalar = _share(0.96, doc="discount factor of owners", bounds=(0.5, 0.999), box=(0.94, 0.98))
    chi: Scalar = _number(0.55, doc="weight of wealth in owners' utility", bounds=(0.0, 10.0))
    l_o: Scalar = _share(0.30, doc="owners' share of labor income", bounds=(0.0, 1.0))
    n_o: Scalar = _share(0.20, doc="owners' share of people", bounds=(0.01, 0.99), box="positive")
    m_fore: Scalar = _share(
        1.0, symbol="m", doc="foresight: 1 full, less is cognitive discounting", bounds=(0.0, 1.0), box=(0.3, 1.0)
    )
    r_min: Scalar = parameter(
        0.03, unit="1/yr", doc="effective lower bound of the interest rate", bounds=(-0.2, 0.2), box=(0.02, 0.035)
    )
    dem: Scalar = _number(
        0.0, doc="demand shock: relative rise of the discount factor in 2020", bounds=(-0.3, 0.3), box="fixed"
    )
    rho_d: Scalar = _decay(0.7, doc="persistence of the demand shock", bounds=(0.0, 0.99), box=(0.5, 0.85))
    fb: Scalar = _number(1e-4, doc="rounding of the corner at the lower bound", bounds=(1e-6, 0.1), box="fixed")
    t_fl: int = parameter(15, unit="yr", doc="years in which the lower bound applies", kind="integer", bounds=(0, 200))
    # Government (8.21)
    g_y: Scalar = _share(0.16, doc="government purchases, share of GDP", bounds=(0.0, 0.5), box="positive")
    tau_y0: Scalar = _share(
        0.22, symbol="tau_y", doc="tax on wages and AI profits at the debt target", bounds=(-0.5, 0.8), box="positive"
    )
    tau_c: Scalar = _share(0.15, doc="tax on consumption", bounds=(-0.5, 1.0), box="positive")
    t_w: Scalar = _share(0.05, doc="transfers to workers, share of GDP", bounds=(0.0, 0.3), box="positive")
    b_bar: Scalar = _number(0.60, doc="debt at the start and its target, share of GDP", bounds=(-2.0, 3.0))
    phi_B: Scalar = _number(0.15, doc="response of the income tax to debt", bounds=(0.02, 2.0))
    eta_u: Scalar = _number(
        0.0, doc="hysteresis: productivity lost per unit of idle capacity", bounds=(0.0, 1.0), box="fixed"
    )
    eta_R: Scalar = _number(0.10, doc="elasticity of productivity to research", bounds=(0.0, 2.0))
    rd_0: Scalar = _share(0.02, doc="research, share of GDP", bounds=(1e-3, 0.3), box="positive")
    r_00: Scalar = parameter(
        0.035,
        unit="1/yr",
        doc="interest rate in 2020 behind the stocks of capital",
        bounds=(-0.05, 0.3),
        box=(0.03, 0.045),
    )
    t_on: int = parameter(5, unit="yr", doc="first year of the shift of deficits", kind="integer", bounds=(0, 200))
    t_off: int = parameter(15, unit="yr", doc="first year after the shift of deficits", kind="integer", bounds=(0, 200))
    T: int = parameter(
        81, unit="yr", doc="years of the transition; the first 41 are reported", kind="integer", bounds=(46, 241)
    )
    # Two countries (8.22)-(8.24); 1 leads
    al_c: Scalar = _share(
        0.40, symbol="al", doc="capital share of both countries", bounds=(0.05, 0.9), box=(0.30, 0.50)
    )
    dk_c: Scalar = _rate(0.07, symbol="dk", doc="depreciation of both countries", bounds=(0.0, 1.0))
    sv_1: Scalar = _share(0.20, doc="saving of the leader", box="positive")
    sv_2: Scalar = _share(0.30, doc="saving of the follower", box="positive")
    L_1: Scalar = _number(1.0, doc="size of the leader", bounds=(0.01, 100.0))
    L_2: Scalar = _number(4.0, doc="size of the follower", bounds=(0.01, 100.0))
    rd_1: Scalar = _share(0.03, symbol="s_1", doc="research share of the leader", bounds=(1e-4, 0.5), box="positive")
    rd_2: Scalar = _share(0.02, symbol="s_2", doc="research share of the follower", bounds=(1e-4, 0.5), box="positive")
    rd_bar: Scalar = _share(
        0.03, symbol="s_bar", doc="reference research, share times size", bounds=(1e-4, 1.0), box="positive"
    )
    x_0: Scalar = parameter(0.9, unit="log", doc="lead in 2020, ln A_1 - ln A_2", bounds=(-5.0, 10.0))
    g_c: Scalar = _rate(0.012, symbol="g_0", doc="growth that both countries share")
    nu: Scalar = _rate(0.012, doc="growth from research at the reference", bounds=(0.0, 1.0))
    lam_R: Scalar = _number(0.5, doc="exponent of research", bounds=(0.0, 2.0), box="exponent")
    fm: Scalar = _number(0.6, doc="advantage of the leader in research with AI", bounds=(0.0, 10.0))
    t_2: Scalar = _year(15.0, doc="middle of the rise of the leader's advantage: the second inflection")
    s_2c: Scalar = parameter(
        3.0, symbol="s_2_width", unit="yr", doc="width of the rise of the leader's advantage", bounds=(0.05, 50.0)
    )
    kap: Scalar = _rate(0.02, doc="speed of imitation", bounds=(0.0, 1.0))
    th_A: Scalar = _number(0.5, doc="gain of imitation from AI", bounds=(0.0, 20.0))
    t_A: Scalar = _year(8.0, doc="middle of the rise of imitation with AI")
    s_A: Scalar = parameter(3.0, unit="yr", doc="width of the rise of imitation with AI", bounds=(0.05, 50.0))
    h_abs: Scalar = parameter(
        1.2, symbol="h", unit="log", doc="absorptive capacity: lead at which imitation is fastest", bounds=(0.05, 20.0)
    )
    phi_k: Scalar = _number(0.0, doc="capital flows per unit of return gap", bounds=(0.0, 5.0), box="fixed")


_GDP = "share of GDP"


class Policy(eqx.Module):
    """Instruments of the government; the default is laissez-faire. Each may be a scalar or a path `[T]`."""

    ai_tax: Scalar = instrument(unit="1", doc="ad-valorem tax on AI in services", bounds=(-0.3, 2.0))
    robot_tax: Scalar = instrument(unit="1", doc="ad-valorem tax on AI and robots in goods", bounds=(-0.3, 2.0))
    basic_income: Scalar = instrument(unit=_GDP, doc="basic income to everybody", bounds=(0.0, 0.15))
    research_subsidy: Scalar = instrument(unit=_GDP, doc="public research", bounds=(0.0, 0.05))
    deficit_shift: Scalar = instrument(
        unit=_GDP, doc="transfers to workers by deficit from year t_on to year t_off", bounds=(-0.05, 0.05)
    )
    social_insurance: Scalar = instrument(
        unit="1", doc="replacement of the labor share that is lost since 2020, paid to workers", bounds=(0.0, 1.0)
    )
    public_data: Scalar = instrument(unit="1", doc="relative addition to the stock of data", bounds=(0.0, 10.0))
    carbon_price: Scalar = instrument(unit="price of energy", doc="tax on energy of AI", bounds=(0.0, 5.0))
    property_tax: Scalar = instrument(symbol="tau_p", unit="1/yr", doc="tax on wealth", bounds=(0.0, 0.03))
