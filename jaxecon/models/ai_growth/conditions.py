r"""The conditions of the transition: what links a year to the next, and their slopes.

With the explicit unknowns of a year substituted (`economy.year`), the 14 equations (8.5)-(8.21) of a year are the laws of six
states, two market balances within the year, and three Euler equations that look one year ahead.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.models.ai_growth.economy import STATES, Unknowns, Year, ln_ai_price, long_growth, year
from jaxecon.models.ai_growth.params import Params, Policy
from jaxecon.models.ai_growth.technology import Exogenous, Stocks

# What a part of the conditions depends on; all else has slope zero.
_PRICES = ("ln_w", "ln_r_M")
_ALL = Unknowns._fields
_BUT_I = tuple(n for n in _ALL if n != "i")
DEPENDS = {
    "ln_K_next": ("ln_K", "i"),
    "M_next": _ALL,
    "B_next": _ALL,
    "a_g_next": ("a_g", *_PRICES),
    "a_s_next": ("a_s", *_PRICES),
    "ln_Zeta_next": ("ln_Zeta", "y"),
    "tasks": _BUT_I,
    "labor": _BUT_I,
    "wealth": _ALL,
    "ln_gross": ("y",),
    "capital_now": ("y", "i"),
    "ai_now": ("ln_M", "y"),
    "capital_next": ("a_g", "ln_Zeta", *_PRICES, "y", "i"),
    "ai_next": ("ln_M", "ln_r_M", "y"),
}
LAWS = ("ln_K_next", "M_next", "B_next", "a_g_next", "a_s_next", "ln_Zeta_next")
MARKETS = ("tasks", "labor")


class Parts(NamedTuple):
    """Building blocks of the conditions, a number a year each."""

    ln_K_next: Array
    M_next: Array
    B_next: Array
    a_g_next: Array
    a_s_next: Array
    ln_Zeta_next: Array
    tasks: Array
    labor: Array
    wealth: Array
    ln_gross: Array
    capital_now: Array
    ai_now: Array
    capital_next: Array
    ai_next: Array


class Setting(NamedTuple):
    """What the conditions take as given."""

    p: Params
    u: Policy
    at: Stocks
    now: Exogenous


def parts(given: Setting, x: Unknowns) -> Parts:
    r"""Building blocks of a year [R]: laws of motion, the market for tasks by AI (8.12), the market for labor (8.13), and the two
    sides of the Euler equations: $X_o/W$ and $\ln(1+r)$ (8.16), $Q(1+r)$ and $u r_K - \Phi + k_K(i-\bar\imath)i + (1-d_K)Q$ (8.17),
    $\ln q(1+r)$ and $\ln[u r_M + q(1-d_M)]$ (8.18)."""
    p = given.p
    e = year(p, given.u, given.at, given.now, x)
    used, goods, services = jnp.exp(e.ln_u), e.Y_g, e.p_s * e.Y_s
    by_ai = goods * e.theta_g / e.v_g + services * e.theta_s / e.v_s
    by_labor = goods * (1 - e.theta_g) + services * (1 - e.theta_s)
    rent_K = used * e.r_K - e.Phi + (e.Q - 1) * e.i + (1 - p.dK) * e.Q
    return Parts(
        ln_K_next=e.ln_K_next, M_next=e.M_next, B_next=e.B_next, a_g_next=e.a_g_next, a_s_next=e.a_s_next,
        ln_Zeta_next=e.ln_Zeta_next,
        tasks=jnp.log((1 - p.alpha) * by_ai) - e.ln_u - x.ln_M,
        labor=jnp.log((1 - p.alpha) * by_labor) - e.ln_u - x.ln_w,
        wealth=e.X_o / jnp.where(given.now.last, end_wealth(p, e), e.W),
        ln_gross=jnp.log1p(e.r),
        capital_now=e.Q * (1 + e.r),
        ai_now=ln_ai_price(p, given.at, given.now, x.ln_M) + jnp.log1p(e.r),
        capital_next=rent_K,
        ai_next=jnp.log(used * e.r_M + e.q * (1 - p.dM)),
    )  # fmt: skip


def parts_and_slopes(given: Setting, x: Unknowns) -> tuple[Parts, dict[str, dict[str, Array]]]:
    """The parts, and their slopes by the unknowns on which they depend: one forward pass for all unknowns and all years."""
    value, linear = jax.linearize(lambda x: parts(given, x), x)
    # The barriers keep the compiler from computing anew, for each slope, what all slopes share.
    value, linear = lax.optimization_barrier((value, linear))
    one = jnp.eye(len(x), dtype=x.B.dtype)[..., None] + jnp.zeros_like(x.B)
    moved = lax.optimization_barrier(jax.vmap(linear)(Unknowns(*jnp.moveaxis(one, 1, 0))))
    place = {name: k for k, name in enumerate(_ALL)}
    return value, {part: {n: getattr(moved, part)[place[n]] for n in by} for part, by in DEPENDS.items()}


class Gaps(NamedTuple):
    """How far the conditions are from holding: laws `[6, T]` (the first year: the stocks of 2020), markets `[2, T]`, Euler
    equations `[3, T]` (the last year: balanced growth after the end)."""

    laws: Float[Array, "6 T"]
    markets: Float[Array, "2 T"]
    euler: Float[Array, "3 T"]


class Euler(NamedTuple):
    """The two terms of (8.16), `[T]`: saving for consumption, and for wealth itself."""

    saving: Array
    wealth: Array


def euler_terms(given: Setting, x: Unknowns, v: Parts) -> Euler:
    r"""(8.16) [R]: $1 = [\beta_t(1+r)(X_o/X_o')^m \hat g^{-(1-m)} + \beta_t\chi X_o/W]/(1+\tau_p)$; after the end all grow at $\hat g$."""
    p, growth = given.p, long_growth(given.p)
    rise = jnp.append(jnp.diff(x.ln_X_o), growth)
    weight = given.now.beta / (1 + given.u.property_tax)
    saving = weight * jnp.exp(v.ln_gross - p.m_fore * rise - (1 - p.m_fore) * growth)
    return Euler(saving, weight * p.chi * v.wealth)


def end_wealth(p: Params, e: Year) -> Array:
    r"""Wealth at the end of the last year, with $K$, $M$ and $B$ growing at $\hat g$ from there: $W = \hat g[QK + qM + B/(1+r)]$."""
    return (e.Q * e.K + e.q * e.M + e.B / (1 + e.r)) * jnp.exp(long_growth(p))


def gaps(given: Setting, x: Unknowns, v: Parts) -> Gaps:
    """All conditions, at the parts of the years."""
    p, at, growth = given.p, given.at, long_growth(given.p)
    states = jnp.stack([getattr(x, n) for n in STATES])
    scale = next_scale(x)
    reached = jnp.stack([getattr(v, n) for n in LAWS])
    start = jnp.stack([at.ln_K, at.ln_M, at.B, p.a_0, p.a_0, jnp.zeros_like(p.a_0)])
    expected = jnp.concatenate([states[:1], jnp.exp(states[1:2]), states[2:]])
    laws = (expected[:, 1:] - reached[:, :-1]) / scale[:, :-1]
    first = states[:, 0] - start
    saving, wealth = euler_terms(given, x, v)
    capital = v.capital_now[:-1] - v.capital_next[1:]
    ai = v.ai_now[:-1] - v.ai_next[1:]
    end_K = x.i[-1] - (jnp.expm1(growth) + p.dK)
    end_M = v.M_next[-1] / jnp.exp(x.ln_M[-1] + growth) - 1
    return Gaps(
        laws=jnp.concatenate([first[:, None], laws], axis=1),
        markets=jnp.stack([v.tasks, v.labor]),
        euler=jnp.stack([saving + wealth - 1, jnp.append(capital, end_K), jnp.append(ai, end_M)]),
    )


def next_scale(x: Unknowns) -> Float[Array, "6 T"]:
    """Units of the laws of a year: the slope of the left side by next year's state, one but for M, whose law is in levels."""
    one = jnp.ones_like(x.B)
    M_next = jnp.exp(jnp.append(x.ln_M[1:], x.ln_M[-1]))
    return jnp.stack([one, M_next, one, one, one, one])
