r"""One year of the economy: from its states and the choices of markets to everything else, in closed form.

A year has eleven unknowns. Six states: ln K, ln M, B, a_g, a_s, ln Zeta. Five choices of markets: ln w, ln r_M, ln X_o, the
coordinate y of the lower bound, and the investment rate i. The other unknowns of (8.5)-(8.21) are explicit functions of these:
r_K from $c_g = 1$, the outputs from (8.11) and (8.15), r and u from (8.20).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxecon.models.ai_growth.params import Params, Policy
from jaxecon.models.ai_growth.technology import Exogenous, Stocks

STATES = ("ln_K", "ln_M", "B", "a_g", "a_s", "ln_Zeta")


class Unknowns(NamedTuple):
    """Unknowns of a year: six states, then five choices of markets."""

    ln_K: Array
    ln_M: Array
    B: Array
    a_g: Array
    a_s: Array
    ln_Zeta: Array
    ln_w: Array
    ln_r_M: Array
    ln_X_o: Array
    y: Array
    i: Array


class Year(NamedTuple):
    """The economy of a year; values in goods. `K_next`, `M_next`, ... are what the year leaves to the next."""

    K: Array
    M: Array
    B: Array
    a_g: Array
    a_s: Array
    w: Array
    r_K: Array
    r_M: Array
    r: Array
    ln_u: Array
    m: Array
    v_g: Array
    v_s: Array
    theta_g: Array
    theta_s: Array
    p_s: Array
    P: Array
    Y_g: Array
    Y_s: Array
    V: Array
    GDP: Array
    X_o: Array
    X_w: Array
    G: Array
    tau_y: Array
    T_w: Array
    T_o: Array
    taxes: Array
    i: Array
    Q: Array
    Phi: Array
    q: Array
    I_M: Array
    W: Array
    energy: Array
    ln_K_next: Array
    M_next: Array
    B_next: Array
    a_g_next: Array
    a_s_next: Array
    ln_Zeta_next: Array


def long_growth(p: Params) -> Array:
    r"""Growth of all values in goods in the long run, $\ln\hat g = g_\infty/(1-\alpha)$."""
    return p.g_inf / (1 - p.alpha)


def lower_bound(p: Params, y: Array, r_min: Array) -> tuple[Array, Array]:
    r"""Rate and log utilization (8.20): the points with $r - r_{min} + (-\ln u) = \sqrt{(r-r_{min})^2 + \ln^2 u + f_b^2}$.

    They are the hyperbola $(r - r_{min})(-\ln u) = f_b^2/2$, here in its coordinate $y = r - r_{min} + \ln u$.
    """
    root = jnp.sqrt(y**2 + 2 * p.fb**2)
    # The smaller of the two without cancellation.
    large = (jnp.abs(y) + root) / 2
    small = p.fb**2 / (2 * large)
    return r_min + jnp.where(y > 0, large, small), -jnp.where(y > 0, small, large)


def task_price(p: Params, a: Array, ln_v: Array, ln_wage: Array) -> tuple[Array, Array]:
    r"""Log price of a bundle of tasks (8.9) and the share of AI in its cost:
    $P_H^{1-s} = a v^{1-s} + (1-a)(w/B)^{1-s}$, $\theta = a v^{1-s}/P_H^{1-s}$."""
    s = p.sig
    by_ai, by_labor = a * jnp.exp((1 - s) * ln_v), (1 - a) * jnp.exp((1 - s) * ln_wage)
    return jnp.log(by_ai + by_labor) / (1 - s), by_ai / (by_ai + by_labor)


def automation(p: Params, a: Array, x: Array, phi: Array, ln_w: Array, ln_v: Array) -> Array:
    r"""Next year's automation share (8.4), (8.5): $a' = a + \lambda(1 + \lambda_1 a/x)(\bar a - a)$,
    $\bar a = a_0 + (x - a_0)\phi\pi$, $\pi = \Lambda((\ln w - \ln v - \xi)/s_\xi)$; `ai_on` scales the reach beyond $a_0$."""
    pi = jax.nn.sigmoid((ln_w - ln_v - p.xi) / p.s_xi)
    reach = p.a_0 + p.ai_on * (x - p.a_0) * phi * pi
    return a + p.lam * (1 + p.lam_1 * a / x) * (reach - a)


def services_share(p: Params, ln_p_s: Array) -> tuple[Array, Array]:
    r"""Share of services in expenditure and the price level (8.15): $P = [\omega + (1-\omega) p_s^{1-\epsilon}]^{1/(1-\epsilon)}$."""
    services = (1 - p.omega) * jnp.exp(p.demand_s)
    weight = services / (p.omega + services)
    by_services = weight * jnp.exp((1 - p.eps) * ln_p_s)
    total = 1 - weight + by_services
    return by_services / total, jnp.exp(jnp.log(total) / (1 - p.eps))


def ln_ai_price(p: Params, at: Stocks, now: Exogenous, ln_M: Array) -> Array:
    r"""Log price of AI capital (8.6): its trend, and learning by what is installed, $\ln q = \ln \bar q - \chi_q \ln(M/M_0)$."""
    return now.ln_q - p.chi_q * (ln_M - at.ln_M)


def year(p: Params, u: Policy, at: Stocks, now: Exogenous, x: Unknowns) -> Year:
    """Everything in a year; `u` and `now` are those of the year, or all years at once as paths."""
    al = p.alpha
    K, M, w, r_M, X_o = (jnp.exp(v) for v in (x.ln_K, x.ln_M, x.ln_w, x.ln_r_M, x.ln_X_o))
    r, ln_u = lower_bound(p, x.y, now.r_min)
    used = jnp.exp(ln_u)
    # Costs and prices: (8.7), (8.9), c_g = 1
    m = r_M + now.e * (1 + u.carbon_price)
    v_g, v_s = (1 + u.robot_tax) * p.mu * m, (1 + u.ai_tax) * p.mu * m
    # In logs: a power of reals is ten times as dear as an exponential.
    ln_v = jnp.log(p.mu * m)
    ln_v_g, ln_v_s = ln_v + jnp.log1p(u.robot_tax), ln_v + jnp.log1p(u.ai_tax)
    ln_H_g, theta_g = task_price(p, x.a_g, ln_v_g, x.ln_w - p.b_g * (x.a_g - p.a_0) / p.x_g)
    ln_H_s, theta_s = task_price(p, x.a_s, ln_v_s, x.ln_w - p.b_s * (x.a_s - p.a_0) / p.x_s)
    r_K = al * jnp.exp((now.ln_z_g + x.ln_Zeta - (1 - al) * (ln_H_g - jnp.log(1 - al))) / al)
    ln_p_s = now.ln_z_g - now.ln_z_s + (1 - al) * (ln_H_s - ln_H_g)
    p_s = jnp.exp(ln_p_s)
    # Output, income and demand: (8.11), (8.15), (8.19)
    V = r_K * used * K / al
    energy = now.e * used * M
    GDP = V - energy
    wages, profits = w * used, (p.mu - 1) * m * used * M
    tau_y = p.tau_y0 + p.phi_B * (x.B / GDP - p.b_bar)
    lost = at.w / at.GDP - wages / GDP
    basic = u.basic_income * GDP
    T_w = (p.t_w + u.social_insurance * lost + u.deficit_shift * now.window) * GDP + (1 - p.n_o) * basic
    T_o = p.n_o * basic
    G = (p.g_y + u.research_subsidy) * GDP
    X_w = ((1 - tau_y) * (1 - p.l_o) * wages + T_w) / (1 + p.tau_c)
    X = X_o + X_w + G
    share, P = services_share(p, ln_p_s)
    services = share * X
    Y_g = V - services
    # Investment: (8.6), (8.14)
    gap = x.i - p.dK - long_growth(p)
    Q, Phi = 1 + p.kK * gap, p.kK / 2 * gap**2
    q = jnp.exp(ln_ai_price(p, at, now, x.ln_M))
    grows = 1 + x.i - p.dK
    I_M = V - X - (x.i + Phi) * K - energy
    M_next = (1 - p.dM) * M + I_M / q
    # Government and wealth: (8.21); the tax on wealth and the debt that finances it are simultaneous
    on_ai = u.robot_tax / (1 + u.robot_tax) * theta_g * Y_g + u.ai_tax / (1 + u.ai_tax) * theta_s * services
    taxes = tau_y * (wages + profits) + p.tau_c * (X_o + X_w) + (1 - al) * on_ai + u.carbon_price * energy
    before_wealth_tax = x.B + G + T_w + T_o - taxes
    W = (Q * grows * K + q * M_next + before_wealth_tax) / (1 + u.property_tax)
    taxes = taxes + u.property_tax * W
    return Year(
        K=K, M=M, B=x.B, a_g=x.a_g, a_s=x.a_s, w=w, r_K=r_K, r_M=r_M, r=r, ln_u=ln_u, m=m, v_g=v_g, v_s=v_s,
        theta_g=theta_g, theta_s=theta_s, p_s=p_s, P=P, Y_g=Y_g, Y_s=services / p_s, V=V, GDP=GDP, X_o=X_o, X_w=X_w,
        G=G, tau_y=tau_y, T_w=T_w, T_o=T_o, taxes=taxes, i=x.i, Q=Q, Phi=Phi, q=q, I_M=I_M, W=W, energy=energy,
        ln_K_next=x.ln_K + jnp.log(grows), M_next=M_next,
        B_next=(1 + r) * (before_wealth_tax - u.property_tax * W),
        a_g_next=automation(p, x.a_g, p.x_g, now.phi_g, x.ln_w, ln_v_g),
        a_s_next=automation(p, x.a_s, p.x_s, now.phi_s, x.ln_w, ln_v_s),
        ln_Zeta_next=x.ln_Zeta + p.eta_u * ln_u + p.eta_R * p.rd_0 * jnp.log1p(u.research_subsidy / p.rd_0),
    )  # fmt: skip
