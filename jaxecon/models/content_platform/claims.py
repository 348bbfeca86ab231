"""Propositions of paper 4 as functions of one draw: positive margin where the claim holds."""

import dataclasses

import jax
import jax.numpy as jnp
from jax.scipy.special import zeta
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import Claim, claim_of_parts, part_of
from jaxecon.models.content_platform import regimes
from jaxecon.models.content_platform.demand import Tastes, crowd, gauss_tastes, share_and_slope, surplus
from jaxecon.models.content_platform.dynamics import evolve, inherited
from jaxecon.models.content_platform.equilibrium import accounts, settle
from jaxecon.models.content_platform.market import TYPES, buyers, frame, human_quality, implied, skills, with_generators
from jaxecon.models.content_platform.params import Params, Policy
from jaxecon.models.content_platform.pareto import distances
from jaxecon.numerics.roots import find_root

Scalar = Float[Array, ""]
Margins = dict[str, Scalar]


def _like(p: Params, x: float) -> Scalar:
    return jnp.full_like(p.alpha, x)


def _where_solved(solved: Array, margins: Margins) -> Margins:
    """The margins; NaN, which counts as not evaluated, where they rest on a market that was not solved."""
    return {id: jnp.where(solved, margin, jnp.nan) for id, margin in margins.items()}


# C4.1 ------------------------------------------------------------------------------------------------------


def _reply_gap(y: Array, args: tuple) -> Array:
    """Condition (4.2) of one AI item at given rivals' prices, in logs."""
    t, c, level, cost = args
    price = jnp.exp(y[0])
    mine = c.pull[:, TYPES, None] * jnp.exp(level - t.alpha * price)
    s = mine / (c.total - c.pull[:, TYPES, None] * c.push[:, TYPES] + mine)
    weight = t.weight[:, None] * t.alpha_weight
    share, slope = jnp.sum(weight * s), jnp.sum(weight * t.alpha * s * (1 - s))
    return (y[0] - jnp.log(cost + share / slope))[None]


def commission_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """Zero-cost AI. a: 1e-9 less the response of its best reply (rivals' prices as they are) to ten points more of both
    commissions; b: rise of its equilibrium price with both commissions; c: of human prices beyond it."""
    p = dataclasses.replace(p, c_A=_like(p, 0.0))

    def at(more: Scalar) -> tuple[Array, tuple[Array, Array]]:
        v = regimes.with_values(
            u, {"commission_human": u.commission_human + more, "commission_ai": u.commission_ai + more}
        )
        eq = settle(frame(p, v))
        return jnp.log(eq.market.price), (eq.y, eq.status)

    zero = _like(p, 0.0)
    price, rise, (y, status) = jax.jvp(at, (zero,), (jnp.ones_like(zero),), has_aux=True)
    m = implied(y, frame(p, u))
    t = gauss_tastes(p, p.nodes)

    def reply(tau: Scalar) -> Scalar:
        return find_root(_reply_gap, price[TYPES:], (t, buyers(t, m), m.level[TYPES], p.c_A / (1 - tau))).x[0]

    move = reply(u.commission_ai + 0.1) - reply(u.commission_ai)
    stays = jnp.maximum(jnp.abs(move), jnp.abs(reply(u.commission_ai) - price[TYPES]))
    margins = {"C4.1a": 1e-9 - stays, "C4.1b": rise[TYPES], "C4.1c": jnp.min(rise[:TYPES]) - rise[TYPES]}
    return _where_solved(status == 0, margins)


# C4.2 ------------------------------------------------------------------------------------------------------


def lambert(x: Scalar) -> Scalar:
    """ln W(e^x) for Lambert's W, without overflow: the root of w + e^w = x."""
    w0 = jnp.where(x > 1, jnp.log(jnp.maximum(x, 1.0)), x - jnp.exp(jnp.minimum(x, 1.0)) / 2)

    def step(_: int, w: Scalar) -> Scalar:
        return w - (w + jnp.exp(w) - x) / (1 + jnp.exp(w))

    return jax.lax.fori_loop(0, 40, step, w0)


def monopoly_price(v: Scalar, alpha: Scalar, cost: Scalar) -> Scalar:
    r"""Closed form (C4.2) [S]: $p = c + [1 + W(e^{v - \alpha c - 1})]/\alpha$."""
    return cost + (1 + jnp.exp(lambert(v - alpha * cost - 1))) / alpha


def _single(v: Scalar, alpha: Scalar) -> Tastes:
    one = jnp.ones((1,), alpha.dtype)
    return Tastes(v[None], 0 * one, one, alpha[None], one)


def _monopoly_gap(y: Array, args: tuple) -> Array:
    v, alpha, cost = args
    t, one = _single(v, alpha), jnp.ones_like(y)
    share, slope = share_and_slope(t, crowd(t, jnp.stack([one, 0 * one]), jnp.exp(y), 0 * y, one))
    return y - jnp.log(cost + share / slope)


def single_seller(v: Scalar, alpha: Scalar, cost: Scalar) -> Scalar:
    """Price of one seller beside the outside good by the model's own demand."""
    return jnp.exp(find_root(_monopoly_gap, jnp.log(cost + 1.5 / alpha)[None], (v, alpha, cost)).x[0])


def logit_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """a: 1e-10 less the gap of shares to plain logit where tastes do not vary; b: of a single seller's price to the closed form."""
    zero = _like(p, 0.0)
    q = dataclasses.replace(p, sd_a=zero, sd_b=zero, sd_alpha=zero)
    eq = settle(frame(q, u))
    m = eq.market
    v = q.mu_a * m.perceived[0] + q.mu_b * m.perceived[1] - q.alpha * m.price + m.level
    plain = jnp.exp(v) / (1 + m.number @ jnp.exp(v))
    cost = p.c_0 / (1 - u.commission_human)
    price, closed = single_seller(p.mu_a, p.alpha, cost), monopoly_price(p.mu_a, p.alpha, cost)
    gap = jnp.where(eq.status == 0, jnp.max(jnp.abs(m.share / plain - 1)), jnp.nan)
    return {"C4.2a": 1e-9 - gap, "C4.2b": 1e-9 - jnp.abs(price / closed - 1)}


# C4.3, C4.9c -----------------------------------------------------------------------------------------------

GENERATORS = (0.0, 1.0, 3.0, 6.0, 12.0, 24.0, 48.0, 96.0)


def arrival_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """AI's K generators against none, each gap relative to the outcome without AI; the peak of consumer surplus in K."""
    f = frame(p, u)
    counts = jnp.concatenate([f.K[None], jnp.asarray(GENERATORS, p.alpha.dtype)])

    def at(K: Scalar):
        g = with_generators(f, K)
        eq = settle(g)
        out = accounts(g, eq.market)
        return jax.tree.map(lambda x: jnp.where(eq.status == 0, x, jnp.nan), out)

    out = jax.vmap(at)(counts)

    def rise(n: str) -> Scalar:
        x = getattr(out, n)
        return x[0] / x[1] - 1

    CS = out.consumer_surplus[1:]
    inner, ends = jnp.max(CS[1:-1]), jnp.maximum(CS[0], CS[-1])
    peak = jnp.asarray(GENERATORS, CS.dtype)[jnp.argmax(CS)]
    return {
        "C4.3a": rise("consumer_surplus"),
        "C4.3b": -rise("mean_price"),
        "C4.3c": rise("technical_quality"),
        "C4.3d": -rise("active_creators"),
        "C4.3e": rise("hhi"),
        "C4.3f": (1 - out.equity[0]) / (1 - out.equity[1]) - 1,
        "C4.3g1": rise("gini_revenue"),
        "C4.3g2": rise("gini_active"),
        "C4.3g3": rise("gini_humans"),
        "C4.9c": inner / ends - 1,
        "C4.9d": jnp.where(jnp.all(jnp.isfinite(CS)), peak, jnp.nan),
    }


# C4.4 ------------------------------------------------------------------------------------------------------

YEARS = 40


def displacement_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """After `YEARS` years with AI against none. a: technical share of skill among the displaced less that among all without AI,
    by innate skill; b: rise of the creative share of those who are active; c, d: its parts."""
    time = jnp.linspace(0.0, YEARS, YEARS + 1, dtype=p.alpha.dtype)
    counts = jnp.stack([jnp.asarray(p.K, p.alpha.dtype), _like(p, 0.0)])
    found = jax.vmap(lambda K: evolve(p, u, time, K))(counts)
    number, angle = found.number[:, -1], jnp.deg2rad(found.angle[:, -1])
    q = human_quality(p, skills(p)[1])
    technical = q[0] / (q[0] + q[1])
    displaced = number[1] - number[0]
    skew = displaced @ technical / jnp.sum(displaced) - number[1] @ technical / jnp.sum(number[1])

    def creative(N: Array, phi: Array) -> Scalar:
        return N @ (jnp.sin(phi) / (jnp.sin(phi) + jnp.cos(phi))) / jnp.sum(N)

    before, after = creative(number[1], angle[1]), creative(number[0], angle[0])
    # Who stayed, at the skills without AI, and what they have become: the order of the two hardly matters; this is the mean.
    selection = 0.5 * (creative(number[0], angle[1]) - before + after - creative(number[1], angle[0]))
    return {"C4.4a": skew, "C4.4b": after - before, "C4.4c": selection, "C4.4d": after - before - selection}


# C4.5, C4.6 ------------------------------------------------------------------------------------------------

LOW, PRO = regimes.NAMES.index("low_commission"), regimes.NAMES.index("pro_creative")


def regime_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """The six regimes in the long run, as they are and with the platform's profit restored by a surcharge on AI's commission.

    `lead` and `dominance` are in shares of laissez-faire.
    """
    p = regimes.long_run(p)
    policies = regimes.named(u)
    found = regimes.compare(p, policies)
    margins = {"C4.5": -jnp.max(regimes.lead(regimes.coordinates(found.out)))}
    for letter, definition in zip("abcd", regimes.EQUITIES, strict=True):
        over = regimes.dominance(regimes.coordinates(found.out, definition))
        margins[f"C4.6{letter}"] = -jnp.maximum(over[LOW], over[PRO])
    margins = _where_solved(jnp.all(found.solved), margins)
    flat = jax.tree.map(lambda x, y: jnp.concatenate([x, y[None]]), policies, regimes.flat_cut(p, u))
    equal = regimes.at_equal_revenue(p, flat, found.out.platform_profit[0], "ai")
    # A regime for which no surcharge meets the requirement is not among the others.
    z = jnp.where(equal.solved[:, None], regimes.coordinates(equal.out), -jnp.inf)
    named = regimes.dominance(z[: len(regimes.NAMES)])
    base = found.solved[0] & equal.solved[0]
    low, pro, cut = (base & equal.solved[k] for k in (LOW, PRO, -1))
    return (
        margins
        | _where_solved(low, {"C4.6e": -named[LOW]})
        | _where_solved(pro, {"C4.6f": -named[PRO]})
        | _where_solved(
            pro & cut,
            {"C4.6g": equal.out.welfare[-1] / equal.out.welfare[PRO] - 1, "C4.6h": jnp.min(z[-1] - z[PRO])},
        )
    )


# C4.8 ------------------------------------------------------------------------------------------------------


def generation_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    r"""Trained on its own output alone. a: after 400 generations that replace data the error is 400 e and quality below a
    twentieth more than half; b: error of accumulating generations below $e\pi^2/6$ and, after 400, within half a percent of it."""
    zero, many = _like(p, 0.0), _like(p, 400.0)
    replaced = inherited(dataclasses.replace(p, training="replace"), zero, many)
    kept = inherited(dataclasses.replace(p, training="accumulate"), zero, many)
    bound = p.e_gen * zeta(_like(p, 2.0), _like(p, 1.0))
    line = 1e-9 - jnp.abs(replaced / (400 * p.e_gen) - 1)
    fades = 1 / (1 + p.e_gen) - 1 / (1 + replaced)
    return {"C4.8a": jnp.minimum(line, fades), "C4.8b": jnp.minimum(1 - kept / bound, kept / bound - 0.995)}


# C4.9 ------------------------------------------------------------------------------------------------------


def symmetric_surplus(p: Params, omega: Scalar, N: Scalar) -> Scalar:
    """Consumer surplus a buyer of N equal items at the price c_0 and with the clutter of N."""
    t = gauss_tastes(p, 3)
    one = jnp.ones_like(N)[None]
    c = crowd(t, jnp.stack([one, one]), p.c_0 * one, -omega * jnp.log1p(N)[None], N[None])
    return surplus(t, c)


def peak_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """a: with omega + 1 > 1, 1e-9 less the relative slope at N = 1/(omega' - 1), where surplus beats half and twice that N;
    b: with omega < 1, least rise of surplus over N from 1 to 4096 (NaN elsewhere)."""
    high = 1 + p.omega
    peak = 1 / p.omega

    def of(N: Scalar) -> Scalar:
        return symmetric_surplus(p, high, N)

    top, slope = jax.value_and_grad(of)(peak)
    beats = top - jnp.maximum(of(0.5 * peak), of(2 * peak))
    flat = 1e-9 - jnp.abs(slope * peak / top)
    counts = 2.0 ** jnp.arange(13, dtype=p.alpha.dtype)
    rises = jnp.diff(jax.vmap(lambda N: symmetric_surplus(p, p.omega, N))(counts))
    return {
        "C4.9a": jnp.where(p.omega > 0, jnp.minimum(flat, jnp.where(beats > 0, jnp.inf, beats)), jnp.nan),
        "C4.9b": jnp.where(p.omega < 1, jnp.min(rises), jnp.nan),
    }


def _claim(id: str, statement: str, expectation, source, grade="R", **more) -> Claim:
    return Claim(id, statement, grade, expectation, part_of(source, id), **more)


def _parts(joint, expectation, grade, rows, **more) -> tuple[Claim, ...]:
    return tuple(_claim(f"C4.{id}", words, kind or expectation, joint, grade, **more) for id, words, kind in rows)


def _whole(id: str, statement: str, grade: str, expectation, joint, rows, *, note: str = "", **more) -> Claim:
    parts = _parts(joint, expectation, grade, rows, **more)
    return claim_of_parts(f"C4.{id}", statement, grade, expectation, parts, joint=joint, note=note)


_PATH = {"cost": "path", "max_draws": 64}
CLAIMS: tuple[Claim, ...] = (
    _whole(
        "1", "a uniform commission leaves the effective cost and the best reply of zero-cost AI as they are", "S", "exact",
        commission_claims,
        (("1a", "best reply at given prices of rivals does not move", None),
         ("1b", "its equilibrium price rises by strategic complementarity", "baseline"),
         ("1c", "by less than any human price, in logs", "baseline")),
    ),
    _whole(
        "2", "closed forms of demand", "S", "exact", logit_claims,
        (("2a", "zero variance of tastes: plain logit", None),
         ("2b", "single seller: p = c + [1 + W(e^(v - alpha c - 1))]/alpha", None)),
    ),
    _whole(
        "3", "AI: consumer surplus up, price down, technical quality up, human exit, concentration and inequality up", "D",
        "baseline", arrival_claims,
        (("3a", "consumer surplus up", None), ("3b", "mean price down", None), ("3c", "technical quality of units up", "region"),
         ("3d", "human creators leave", None), ("3e", "Herfindahl index of revenue up", None),
         ("3f", "Gini of all incomes up", None)),
        note="signs are documented, without their domain",
    ),
    _whole(
        "3g", "AI raises inequality by the other definitions too", "R", "region", arrival_claims,
        (("3g1", "Gini of sellers' revenue up", None), ("3g2", "Gini of active humans up", None),
         ("3g3", "Gini of all humans up", None)), note="definitions disagree: exit equalizes those who are left",
    ),
    _whole(
        "4", "displaced humans are technique-heavy, the creative share of survivors rises", "D", "baseline",
        displacement_claims,
        (("4a", "technical share of the displaced above that of all", None),
         ("4b", "creative share of survivors rises", None), ("4c", "of which selection", "report"),
         ("4d", "of which adaptation", "report")), **_PATH,
    ),
    _claim("C4.5", "no named regime is best on welfare, equity and human data at once", "baseline", regime_claims, "D",
           joint=regime_claims),
    _whole(
        "6", "low commission and pro-creative are undominated among the six regimes", "D", "region", regime_claims,
        (("6a", "Gini of all incomes", None), ("6b", "Gini of sellers' revenue", None), ("6c", "Gini of active humans", None),
         ("6d", "Gini of all humans", None), ("6e", "low commission at equal platform profit by AI's commission", None),
         ("6f", "pro-creative at equal platform profit by AI's commission", None),
         ("6g", "welfare of a flat human-only cut less pro-creative's, at equal platform profit", "report"),
         ("6h", "worst axis of the flat cut less pro-creative's (positive: dominates)", "report")),
        note="reported as efficient in the abstract; at equal profit by both commissions low commission is laissez-faire",
    ),
    Claim("C4.7", "largest distance of a named regime from the Pareto surface at no lower platform profit, as a share of "
          "laissez-faire on every axis", "R", "report", lambda p, u, key: jnp.max(distances(p, u)[0]),
          cost="optimization", max_draws=1),
    _whole(
        "8", "AI without human data declines if data are replaced and stays bounded if they accumulate", "S", "limit",
        generation_claims,
        (("8a", "replace: the error grows linearly", None), ("8b", "accumulate: the error stays below e pi^2/6", None)),
    ),
    _whole(
        "9", "information overload: consumer surplus peaks in the number of items", "S", "exact", peak_claims,
        (("9a", "equal items, omega > 1: peak at N = 1/(omega - 1)", None), ("9b", "omega < 1: no peak", None)),
    ),
    _claim("C4.9c", "full model: consumer surplus peaks at an inner number of generators", "region", arrival_claims,
           joint=arrival_claims),
    _claim("C4.9d", "full model: number of generators (of 0, 1, 3, 6, ... 96) with the largest consumer surplus", "report",
           arrival_claims, joint=arrival_claims),
)  # fmt: skip
