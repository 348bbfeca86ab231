r"""The certificate: all conditions of the specification in their own form, and the identities that follow from them.

The solver works with fewer unknowns (`economy.year` substitutes the explicit ones) and with its own form of the equations. Here each
of (8.5)-(8.21) is written as in the specification, between the unknowns of a year and the next, and checked at the solution.
"""

import jax.numpy as jnp
from jaxtyping import Array

from jaxecon.models.ai_growth.conditions import Setting
from jaxecon.models.ai_growth.economy import Unknowns, Year, automation, long_growth


def equations(given: Setting, x: Unknowns, e: Year) -> dict[str, Array]:
    """Unit-free residuals of the 14 equations of a year, `[T]` or, where they look ahead, `[T - 1]`."""
    p, u, now = given.p, given.u, given.now
    s, al = p.sig, p.alpha
    K, M, B = jnp.exp(x.ln_K), jnp.exp(x.ln_M), x.B
    used, w, r = jnp.exp(e.ln_u), e.w, e.r
    growth = long_growth(p)
    goods, services = e.Y_g, e.p_s * e.Y_s
    X = e.X_o + e.X_w + e.G
    # (8.9) by the unit cost of goods
    wage_g = w / jnp.exp(p.b_g * (x.a_g - p.a_0) / p.x_g)
    P_Hg = (x.a_g * e.v_g ** (1 - s) + (1 - x.a_g) * wage_g ** (1 - s)) ** (1 / (1 - s))
    Z_g = jnp.exp(now.ln_z_g + x.ln_Zeta)
    c_g = (e.r_K / al) ** al * (P_Hg / (1 - al)) ** (1 - al) / Z_g
    # (8.14), (8.15)
    omega = p.omega / (p.omega + (1 - p.omega) * jnp.exp(p.demand_s))
    P = (omega + (1 - omega) * e.p_s ** (1 - p.eps)) ** (1 / (1 - p.eps))
    i = K[1:] / K[:-1] - 1 + p.dK
    Phi = p.kK / 2 * (i - p.dK - growth) ** 2
    q = jnp.exp(now.ln_q) * (M / M[0]) ** -p.chi_q
    invests = K[1:] - (1 - p.dK) * K[:-1] + Phi * K[:-1] + q[:-1] * (M[1:] - (1 - p.dM) * M[:-1]) + e.energy[:-1]
    wants = (omega * P ** (p.eps - 1) * X)[:-1] + invests
    # (8.16)-(8.18)
    Q = 1 + p.kK * (i - p.dK - growth)
    W = Q * K[1:] + q[:-1] * M[1:] + B[1:] / (1 + r[:-1])
    rise = (e.X_o[1:] / e.X_o[:-1]) ** p.m_fore * jnp.exp((1 - p.m_fore) * growth)
    saved = now.beta[:-1] * ((1 + r[:-1]) / rise + p.chi * e.X_o[:-1] / W)
    rent = (used * e.r_K)[1:-1] - Phi[1:] + p.kK * (i[1:] - p.dK - growth) * i[1:] + (1 - p.dK) * Q[1:]
    slack = r - now.r_min
    idle = jnp.sqrt(slack**2 + e.ln_u**2 + p.fb**2)
    owed = (1 + r) * (B + e.G + e.T_w + e.T_o - e.taxes)
    researched = p.eta_R * p.rd_0 * jnp.log1p(u.research_subsidy / p.rd_0)
    return {
        "automation of goods (8.5)": (
            x.a_g[1:] - automation(p, x.a_g, p.x_g, now.phi_g, jnp.log(w), jnp.log(e.v_g))[:-1]
        ),
        "automation of services (8.5)": (
            x.a_s[1:] - automation(p, x.a_s, p.x_s, now.phi_s, jnp.log(w), jnp.log(e.v_s))[:-1]
        ),
        "price of goods (8.9)": c_g - 1,
        "productivity (8.10)": x.ln_Zeta[1:] - (x.ln_Zeta + p.eta_u * e.ln_u + researched)[:-1],
        "capital (8.11)": al * (goods + services) / (e.r_K * used * K) - 1,
        "AI capital (8.12)": (1 - al) * (goods * e.theta_g / e.v_g + services * e.theta_s / e.v_s) / (used * M) - 1,
        "labor (8.13)": (1 - al) * (goods * (1 - e.theta_g) + services * (1 - e.theta_s)) / (w * used) - 1,
        "goods (8.14)": wants / goods[:-1] - 1,
        "services (8.15)": (1 - omega) * e.p_s**-p.eps * P ** (p.eps - 1) * X / e.Y_s - 1,
        "saving (8.16)": saved / (1 + u.property_tax[:-1]) - 1,
        "investment (8.17)": rent / (Q[:-1] * (1 + r[:-2])) - 1,
        "investment in AI (8.18)": (used * e.r_M + q * (1 - p.dM))[1:] / (q * (1 + r))[:-1] - 1,
        "lower bound (8.20)": slack - e.ln_u - idle,
        "debt (8.21)": (B[1:] - owed[:-1]) / e.GDP[:-1],
    }


def identities(given: Setting, x: Unknowns, e: Year) -> dict[str, Array]:
    """Unit-free residuals of what follows from the equations: incomes exhaust GDP, and owners keep their budget."""
    p, u = given.p, given.u
    used = jnp.exp(e.ln_u)
    rents = e.r_K * used * e.K + e.r_M * used * e.M
    profits = (p.mu - 1) * e.m * used * e.M
    # AI capital of each sector, by its cost there
    M_g = (1 - p.alpha) * e.Y_g * e.theta_g / e.v_g
    M_s = (1 - p.alpha) * e.p_s * e.Y_s * e.theta_s / e.v_s
    on_ai = p.mu * e.m * (u.robot_tax * M_g + u.ai_tax * M_s) + u.carbon_price * e.energy
    incomes = rents + e.w * used + profits + on_ai
    net = (1 - e.tau_y) * (p.l_o * e.w * used + profits) + rents + e.T_o + x.B
    invests = (e.i + e.Phi) * e.K + e.q * (jnp.append(jnp.exp(x.ln_M[1:]), e.M_next[-1]) - (1 - p.dM) * e.M)
    debt = jnp.append(x.B[1:], e.B_next[-1]) / (1 + e.r)
    spends = (1 + p.tau_c) * e.X_o + u.property_tax * e.W + invests + debt
    return {"incomes exhaust GDP": incomes / e.GDP - 1, "owners' budget": (net - spends) / e.GDP}
