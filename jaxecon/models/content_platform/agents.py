r"""The same platform with n creators and n buyers: heterogeneous arrays, one scan.

Each creator has a type, an outside income of its own (logistic around w_0) and is active or not; each buyer has tastes (a, b, alpha) of
its own. n creators stand for the 9 Nbar potential ones of the model, n buyers for its Mkt. A period: buyers choose an item or none at
posted prices and exposure; creators earn; then each type posts its best reply to what it has seen of its buyers (4.2), exposure follows
shares (4.3), creators who reconsider enter or leave (4.7), angles turn (4.6), AI learns (4.5). At rest this is the static equilibrium.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxecon.core.fields import series
from jaxecon.core.model import Agents
from jaxecon.economics.inequality import gini_of_ranked, herfindahl
from jaxecon.models.content_platform.dynamics import State as Stock
from jaxecon.models.content_platform.dynamics import inherited, learnt, opening, synthetic_share
from jaxecon.models.content_platform.market import (
    TYPES,
    commissions,
    cost,
    data_flow,
    exposure,
    frame,
    human_quality,
    skills,
    with_generators,
)
from jaxecon.models.content_platform.params import Params, Policy
from jaxecon.models.content_platform.solver import start
from jaxecon.numerics.agents import indicator, normals, simulate, uniforms

Scalar = Float[Array, ""]
J = TYPES + 1


class Population(NamedTuple):
    """What does not change: buyers' tastes, creators' types (weights `[h, n]`) and outside incomes with their ascending order."""

    a: Float[Array, " n"]
    b: Float[Array, " n"]
    alpha: Float[Array, " n"]
    of_type: Float[Array, "h n"]
    outside: Float[Array, " n"]
    order: Int[Array, " n"]


class State(NamedTuple):
    """Activity of each creator; posted prices and exposure by type of item; skills and AI's learning."""

    active: Float[Array, " n"]
    price: Float[Array, " j"]
    exposure: Float[Array, " j"]
    stock: Stock


class AgentPath(eqx.Module):
    """Statistics of the population, period by period."""

    time: Array = series("time", unit="yr", doc="time")
    active_creators: Array = series("time", symbol="N_h", unit="creators", doc="active human creators")
    creative_share: Array = series("time", unit="1", doc="mean of q_c/(q_t + q_c) over active human creators")
    ai_share: Array = series("time", symbol="S", unit="1", doc="AI share of units")
    outside_share: Array = series("time", symbol="s_0", unit="1", doc="share of buyers who buy nothing")
    mean_price: Array = series("time", symbol="p", unit="money", doc="mean price of units sold")
    ai_price: Array = series("time", symbol="p_A", unit="money", doc="price of an AI item")
    consumer_surplus: Array = series(
        "time", symbol="CS", unit="money per yr", doc="consumer surplus, expected over choices"
    )
    mean_income: Array = series("time", symbol="Pi", unit="money per yr", doc="mean income of active human creators")
    gini_income: Array = series(
        "time", unit="1", doc="Gini over all creators' incomes, outside ones of their own, and AI owners"
    )
    hhi: Array = series("time", symbol="HHI", unit="1", doc="Herfindahl index of revenue over items")
    ai_technical_quality: Array = series("time", symbol="q_t_AI", unit="quality", doc="technical quality of AI")
    ai_creative_quality: Array = series("time", symbol="q_c_AI", unit="quality", doc="creative quality of AI")


def draw(key: PRNGKeyArray, p: Params, n: int) -> Population:
    """Tastes and outside incomes; types take turns, so that each has a ninth of the creators."""
    keys = jax.random.split(key, 4)
    a, b, z = (normals(k, n, p.alpha.dtype) for k in keys[:3])
    share = jnp.clip(uniforms(keys[3], n, p.alpha.dtype), 1e-6, 1 - 1e-6)
    of_type = (jnp.arange(TYPES)[:, None] == (jnp.arange(n) % TYPES)[None, :]).astype(p.alpha.dtype)
    outside = p.w_0 + p.s_e * (jnp.log(share) - jnp.log1p(-share))
    tastes = p.mu_a + p.sd_a * a, p.mu_b + p.sd_b * b, p.alpha * jnp.exp(p.sd_alpha * z)
    # The draws' own order: the same for all parameters, so that it has no derivative.
    return Population(*tastes, of_type, outside, jnp.argsort(share))


def item_probabilities(
    who: Population,
    known: Float[Array, "2 j"],
    price: Float[Array, " j"],
    level: Float[Array, " j"],
    number: Float[Array, " j"],
) -> tuple[Float[Array, "j n"], Float[Array, " n"]]:
    """Probability that each buyer takes one given item of each type, and the log of the inclusive value."""
    # One type of item after the other: what is large has buyers on its last axis.
    value = jnp.stack(
        [who.a * known[0, j] + who.b * known[1, j] - who.alpha * price[j] + level[j] for j in range(J)]
    )  # fmt: skip
    # A scale without derivative, which is exact; that of `max` compares recomputed numbers, and none may be equal.
    top = jax.lax.stop_gradient(jnp.maximum(jnp.max(value, axis=0), 0.0))
    odds = jnp.exp(value - top)
    total = jnp.exp(-top) + number @ odds
    return odds / total, jnp.log(total) + top


def buyers_by_item(
    one: Float[Array, "j n"], number: Float[Array, " j"], draw: Float[Array, " n"], smooth: bool
) -> Float[Array, " j"]:
    """Buyers who take an item of each type, from the probabilities of `one` item and one uniform draw a buyer.

    The expected number if smooth, else a count by inverse distribution: who draws below the summed probability of the
    types up to j, but not below that of the types before.
    """
    if smooth:
        return number * jnp.sum(one, axis=1)
    below, counts = jnp.zeros_like(draw), []
    for j in range(J):
        below = below + number[j] * one[j]
        counts.append(jnp.sum((draw < below).astype(draw.dtype)))
    return jnp.diff(jnp.stack(counts), prepend=0.0)


def step_of(p: Params, u: Policy, who: Population, smooth: bool):
    """The rule of one period."""
    n = who.a.shape[0]
    buyers, creators = p.Mkt / n, TYPES * p.Nbar / n
    base = with_generators(frame(p, u), jnp.asarray(p.K, p.alpha.dtype))
    zero = jnp.zeros_like(p.alpha)
    moves = -jnp.expm1(-p.entry_rate)
    ranked = jnp.maximum(who.outside[who.order], 0.0)

    def period(s: State, key: PRNGKeyArray, t: Int[Array, ""]) -> tuple[State, dict[str, Array]]:
        del t
        choice, revision = jax.random.split(key)
        f = eqx.tree_at(lambda g: g.angle, base, s.stock.angle)
        human, ai = human_quality(p, f.angle), learnt(p, s.stock)
        number = jnp.append(creators * (who.of_type @ s.active), f.K)
        known = jnp.column_stack([human, ai * (1 - u.labeling * jnp.stack([p.l_t, p.l_c]))])
        level = p.rho * jnp.log(s.exposure) - p.omega * jnp.log1p(jnp.sum(number[:TYPES]) + p.flood * f.K)
        one, inclusive = item_probabilities(who, known, s.price, level, number)
        # Each buyer takes a type of item (or none), then one of its items at random.
        sold = buyers * buyers_by_item(one, number, uniforms(choice, n, p.alpha.dtype), smooth)
        units = sold / jnp.where(number > 0, number, 1.0)
        # Means over buyers of s and s^2, weighted by 1, alpha, a, b: two products of matrices.
        by = jnp.stack([jnp.ones_like(who.a), who.alpha, who.a, who.b], axis=1) / n
        once, twice = one @ by, (one * one) @ by
        share, slope = once[:, 0], (once - twice)[:, 1]
        tau = commissions(f, zero)
        spent, marginal = cost(p, f.angle, units)
        fund = u.ai_levy * s.price[TYPES] * sold[TYPES] / jnp.sum(number[:TYPES])
        _, innate = skills(p)
        profit = (1 - tau) * s.price * units - spent
        profit = profit.at[:TYPES].add(fund - 0.5 * p.psi * (f.angle - innate) ** 2)
        # Creators who reconsider go where they expect more: the platform's income of their type or their own outside one.
        mine = profit[:TYPES] @ who.of_type
        stays = indicator(mine - who.outside, 0.05 * p.s_e, smooth)
        revises = moves if smooth else (uniforms(revision, n, p.alpha.dtype) < moves).astype(p.alpha.dtype)
        active = s.active + revises * (stays - s.active)
        price = marginal / (1 - tau) + share / slope
        turn = skills(p)[0] * jnp.stack([-jnp.sin(f.angle), jnp.cos(f.angle)])
        response = (once - twice)[:TYPES, 2:].T
        margin = ((1 - tau) * s.price - marginal)[:TYPES]
        drive = margin * p.Mkt * jnp.sum(response * turn, axis=0)
        drive = drive + u.creative_rebate * turn[1] * s.price[:TYPES] * units[:TYPES]
        # Part of the way within a period: the drive falls with the angle about twice as fast as the pull to the innate one.
        wanted = f.angle + p.chi * (drive - p.psi * (f.angle - innate)) / (1 + 3 * p.chi * p.psi)
        ai_share = sold[TYPES] / jnp.sum(sold)
        flow = data_flow(p, human @ sold[:TYPES], ai_share)
        data = s.stock.data - jnp.expm1(-p.delta) * (flow / p.delta - s.stock.data)
        more = p.gen_rate
        error = s.stock.error + synthetic_share(p, flow, sold[TYPES], ai) * inherited(p, s.stock.generation, more)
        stock = Stock(
            creators * (who.of_type @ active), jnp.clip(wanted, 0.0, jnp.pi / 2), data, s.stock.generation + more, error
        )
        new = exposure(p, u, share, jnp.append(stock.active, f.K))
        revenue = s.price * sold
        # Creators who are active earn what their type earns, the others their own outside income.
        outsiders = creators * (1 - s.active)[who.order]
        held = profit.at[:TYPES].set(jnp.maximum(profit[:TYPES], 0.0))
        statistics = {
            "active_creators": jnp.sum(number[:TYPES]),
            "creative_share": number[:TYPES] @ (human[1] / (human[0] + human[1])) / jnp.sum(number[:TYPES]),
            "ai_share": ai_share,
            "outside_share": 1 - jnp.sum(sold) / p.Mkt,
            "mean_price": jnp.sum(revenue) / jnp.sum(sold),
            "ai_price": s.price[TYPES],
            "consumer_surplus": p.Mkt * jnp.mean(inclusive / who.alpha),
            "mean_income": number[:TYPES] @ profit[:TYPES] / jnp.sum(number[:TYPES]),
            "gini_income": gini_of_ranked(ranked, outsiders, held, number),
            "hhi": herfindahl(s.price * units / jnp.sum(revenue), number),
            "ai_technical_quality": ai[0],
            "ai_creative_quality": ai[1],
        }
        return State(active, price, new, stock), statistics

    return period


def run(key: PRNGKeyArray, p: Params, u: Policy, n: int, periods: int, smooth: bool) -> AgentPath:
    """`periods` years of `n` creators and `n` buyers from the opening of the path layer.

    `smooth=True`: choices and entry in expectation, differentiable in every parameter.
    """
    who = draw(jax.random.fold_in(key, 0), p, n)
    K = jnp.asarray(p.K, p.alpha.dtype)
    stock = opening(p, K)
    f = with_generators(frame(p, u), K)
    y = jax.lax.stop_gradient(start(f))
    # Half of each type begins active, those with the least outside income.
    active = indicator(p.w_0 - who.outside, 0.05 * p.s_e, smooth)
    first = State(active, jnp.exp(y[J : 2 * J]), jnp.ones(J, p.alpha.dtype), stock)
    _, seen = simulate(step_of(p, u, who, smooth), first, jax.random.fold_in(key, 1), periods)
    return AgentPath(time=jnp.arange(periods, dtype=p.alpha.dtype), **seen)


AGENTS = {
    "creators_and_buyers": Agents(
        run, AgentPath, "heterogeneous creators and buyers, choice by choice", n=2000, periods=40
    )
}
