"""Layer 3: human creators who learn, re-skill, adopt AI or exit while three AI models improve.

Consumers are aggregated in expectation over `n_omega` tastes; creators are agents with four action
values each. A period: (1) each active creator draws an action from the softmax of its values;
(2) re-skilling, adoption and exit take effect; (3) prices follow last period's shares, consumers
choose; (4) rewards update the value of the chosen action and the liquidity buffer; (5) creators with
an empty buffer are forced out. Prices, shares and the search penalty are lagged by one period, so no
fixed point is solved. Money of this layer is the consumers'; rewards, fees and buffers are in shares
of the creator's own mean income of the burn-in without AI.

The instruments act here by analogy with layer 1: `volume_charge` and `input_levy` (times the mean
quality of the product) are part of the marginal cost of AI content, of models and adopters;
`entry_fee` adds to the fee of adopting, `reskilling_subsidy` lowers `cr` (not below zero), both in
shares of pre-shock income; `search_quality` x turns `eta_ab` into `eta_ab/(1 + x)`.
"""

from functools import reduce
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxecon.core.fields import series
from jaxecon.core.model import Agents
from jaxecon.numerics.agents import (
    choice_probabilities,
    choice_weights,
    indicator,
    normals,
    simulate,
    uniforms,
    weighted_mean,
    weighted_median,
)

STAY, RESKILL, ADOPT, EXIT = range(4)
# Widths of the logistic functions that replace thresholds in the smooth variant.
LIQUIDITY_WIDTH = 0.05
SKILL_WIDTH = 0.02
# Skills stay positive (assumed; binds for about one creator in 10^5 at the start): ratios of skills are taken.
SKILL_FLOOR = 0.05


class State(NamedTuple):
    """All that is carried from period to period. `active` and `adopted` are weights in [0, 1]."""

    technique: Float[Array, " n"]
    creativity: Float[Array, " n"]
    active: Float[Array, " n"]
    adopted: Float[Array, " n"]
    liquidity: Float[Array, " n"]
    values: Float[Array, "4 n"]
    share: Float[Array, " n"]
    ai_share: Float[Array, " j"]
    ai_units: Float[Array, ""]
    exits: Float[Array, ""]
    exit_ratio: Float[Array, ""]


class Origin(NamedTuple):
    """What a creator remembers of the time before AI: skills and mean margin income."""

    technique: Float[Array, " n"]
    creativity: Float[Array, " n"]
    income: Float[Array, " n"]


class Sales(NamedTuple):
    """One period's market: shares of all consumers, prices, margins; creators' as if each were active."""

    share: Float[Array, " n"]
    ai_share: Float[Array, " j"]
    price: Float[Array, " n"]
    ai_price: Float[Array, " j"]
    margin: Float[Array, " n"]


class AgentPath(eqx.Module):
    """Cross-sections of the agent-based model by period; the pre-shock scalars come from the burn-in."""

    time: Array = series("time", unit="periods", doc="periods since the shock, 0, 1, ...")
    human_share: Array = series("time", unit="share", doc="human content in all content sold", bounds=(0.0, 1.0))
    active: Array = series("time", unit="share of creators", doc="creators who have not exited", bounds=(0.0, 1.0))
    active_humans: Array = series(
        "time", unit="share of creators", doc="active creators who work without AI", bounds=(0.0, 1.0)
    )
    ai_units: Array = series("time", unit="units per consumer", doc="AI content sold, adopters included", symbol="D")
    hhi: Array = series("time", unit="1", doc="sum of squared shares of all consumers over all sellers")
    mean_revenue: Array = series("time", unit="pre-shock mean", doc="mean revenue of active creators")
    median_revenue: Array = series("time", unit="pre-shock median", doc="median revenue of active creators")
    technique: Array = series("time", unit="technique", doc="mean technique of active creators")
    creativity: Array = series("time", unit="creativity", doc="mean creativity of active creators")
    technique_change: Array = series("time", unit="technique", doc="mean change since the start, active creators")
    creativity_change: Array = series("time", unit="creativity", doc="mean change since the start, active creators")
    skill_ratio: Array = series("time", unit="1", doc="mean creativity/technique of active creators")
    exiter_skill_ratio: Array = series(
        "time", unit="1", doc="mean creativity/technique, at exit, of creators who have exited so far; 0 before any has"
    )
    exits: Array = series("time", unit="share of creators", doc="creators who have exited so far")
    search_penalty: Array = series("time", unit="utility", doc="search penalty", symbol="Phi")
    human_price: Array = series("time", unit="money per unit", doc="mean price of active creators")
    ai_price: Array = series("time", unit="money per unit", doc="mean price of the AI models")
    covered: Array = series("time", unit="share of consumers", doc="consumers who buy", bounds=(0.0, 1.0))
    pre_shock_hhi: Array = series(unit="1", doc="mean of the HHI over the burn-in")
    pre_shock_human_units: Array = series(unit="units per consumer", doc="content sold at the end of the burn-in")


def ai_skills(p, t: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""$T = T_A - (T_A - T_0) e^{-l_T t}$ and $C = C_A - (C_A - C_0) e^{-l_C t}$ [R]: AI improves faster on technique."""
    return p.T_A - (p.T_A - p.T0) * jnp.exp(-p.lT * t), p.C_A - (p.C_A - p.C0) * jnp.exp(-p.lC * t)


def consideration(p, t: Array) -> Float[Array, ""]:
    r"""Share of consumers who consider AI, $1/(1 + e^{-(a_0 + r_a t)})$ [R]: inertia."""
    return jax.nn.sigmoid(p.a0 + p.ra * t)


def search_penalty(p, u, ai_units: Array) -> Float[Array, ""]:
    r"""$\Phi = \beta \ln(1 + \eta D)$, paper 3, eq. 1, $D$ = AI units per consumer; effort x in search: $\eta/(1+x)$."""
    return p.beta_ab * jnp.log1p(p.eta_ab / (1 + u.search_quality) * ai_units)


def logit_price(p, cost: Array, share: Array) -> Array:
    r"""$c + 1/[b_p (1 - s)]$ [S]: Bertrand-logit markup at last period's share."""
    return cost + 1 / (p.bp * (1 - share))


def ai_marginal_cost(p, u, technique: Array, creativity: Array) -> Array:
    """`c_A`, plus the charge per unit sold, plus the levy per unit of mean quality."""
    return p.c_A + u.volume_charge + u.input_levy * 0.5 * (technique + creativity)


def tastes(p, dtype) -> Float[Array, " k"]:
    r"""`n_omega` equal nodes of $[1/2 - s_w, 1/2 + s_w]$, weights of creativity in utility."""
    return 0.5 + p.sw * jnp.linspace(-1.0, 1.0, p.n_omega, dtype=dtype)


def initial_skills(p, key: PRNGKeyArray, n: int) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    r"""$x = x_0 + s_x z_1$, $y = y_0 + s_y (r z_1 + \sqrt{1 - r^2} z_2)$ [R]: technique and creativity of humans."""
    k1, k2 = jax.random.split(key)
    z1, z2 = normals(k1, n, p.x_0.dtype), normals(k2, n, p.x_0.dtype)
    independent = jnp.sqrt(jnp.maximum(1 - p.r_xy**2, 1e-12))
    technique, creativity = p.x_0 + p.sdx * z1, p.y_0 + p.sdy * (p.r_xy * z1 + independent * z2)
    return jnp.maximum(technique, SKILL_FLOOR), jnp.maximum(creativity, SKILL_FLOOR)


def initial_values(p, u, n: int) -> Float[Array, "4 n"]:
    r"""$Q_0$(stay) $= (1-f)/(1-\delta)$, re-skill and adopt lower by their cost, exit worth $w_0/(1-\delta)$ [R]."""
    stay = (1 - p.f) / (1 - p.disc)
    values = jnp.stack([stay, stay - reskilling_cost(p, u), stay - p.fee - u.entry_fee, p.w0_ab / (1 - p.disc)])
    return jnp.broadcast_to(values[:, None], (4, n))


def reskilling_cost(p, u) -> Float[Array, ""]:
    """`cr` less the subsidy, not below zero; share of pre-shock income."""
    return jnp.maximum(p.cr - u.reskilling_subsidy, 0.0)


def market(p, u, state: State, t: Array, considered: Array) -> tuple[Sales, Float[Array, ""]]:
    r"""One period's sales and the search penalty.

    $V_{ik} = v_0 + B(\omega_k y_i + (1-\omega_k) x_i - .85) - b_p p_i - (1+\chi)\Phi$ for creators; AI model j has
    $(T, C)$, a step $d_A (1 - j)$, j = 0, 1, 2, and $\Phi$; outside good 0; with n creators their $v_0$ falls by ln(n/50),
    that of the AI models does not: the same models meet the same mass of human content.
    An adopter sells quality $(\max(x, T), \min(y, C))$ at cost $c_A$ with the penalty of AI content, to those
    who consider AI.
    """
    n = state.share.shape[0]
    level = p.v0 - jnp.log(n / 50.0)
    T, C = ai_skills(p, t)
    phi = search_penalty(p, u, state.ai_units)
    a = state.adopted
    x = state.technique + a * (jnp.maximum(state.technique, T) - state.technique)
    y = state.creativity + a * (jnp.minimum(state.creativity, C) - state.creativity)
    cost = p.c_H + a * (ai_marginal_cost(p, u, x, y) - p.c_H)
    price = logit_price(p, cost, state.share)
    ai_price = logit_price(p, ai_marginal_cost(p, u, T, C), state.ai_share)

    omega = tastes(p, x.dtype)[:, None]
    penalty = (1 + (1 - a) * p.chi_ab) * phi
    utility = level + p.B * (x - 0.85) - p.bp * price - penalty + omega * (p.B * (y - x))
    steps = p.dA * (1.0 - jnp.arange(p.J_A))
    ai_utility = p.v0 + p.B * (omega * C + (1 - omega) * T - 0.85) + steps - p.bp * ai_price - phi

    # Logit shares, scaled by each taste's best alternative so that no exponential overflows.
    top = jnp.maximum(jnp.maximum(jnp.max(utility, axis=1), jnp.max(ai_utility, axis=1)), 0.0)[:, None]
    top = jax.lax.stop_gradient(top)
    odds = jnp.exp(utility - top)
    weight = state.active * odds
    ai_weight, outside = jnp.exp(ai_utility - top), jnp.exp(-top[:, 0])
    with_ai = considered / (outside + jnp.sum(weight, axis=1) + jnp.sum(ai_weight, axis=1))
    without = (1 - considered) / (outside + weight @ (1 - a))
    share = (with_ai @ odds + (without @ odds) * (1 - a)) / p.n_omega
    ai_share = (with_ai @ ai_weight) / p.n_omega
    return Sales(share, ai_share, price, ai_price, (price - cost) * share), phi


def burn_in(p, u, technique: Array, creativity: Array) -> tuple[Origin, State, Array, Array]:
    """`n_burn` periods without AI, nobody acts: own mean income, mean revenue, mean HHI."""
    n = technique.shape[0]
    zeros, ones = jnp.zeros_like(technique), jnp.ones_like(technique)
    zero = jnp.zeros((), technique.dtype)
    start = State(
        technique, creativity, ones, zeros, zeros, jnp.zeros((4, n), technique.dtype), zeros,
        jnp.zeros(p.J_A, technique.dtype), zero, zero, zero,
    )  # fmt: skip

    def period(_: int, carry: tuple) -> tuple:
        state, income, revenue, hhi = carry
        sales, _phi = market(p, u, state, zero, zero)
        state = state._replace(share=sales.share)
        return state, income + sales.margin, revenue + sales.price * sales.share, hhi + jnp.sum(sales.share**2)

    state, income, revenue, hhi = jax.lax.fori_loop(0, p.n_burn, period, (start, zeros, zeros, zero))
    return Origin(technique, creativity, income / p.n_burn), state, revenue / p.n_burn, hhi / p.n_burn


def act(p, u, state: State, draw: Float[Array, " n"], smooth: bool) -> tuple[State, Float[Array, "3 n"]]:
    """Actions of the active creators and what they do to skills, adoption and activity.

    The weight of re-skilling is split in two, toward creativity and toward technique, before the draw: a
    share `two` of those with x/x_0 > y/y_0 go toward technique.
    """
    everyone = jnp.ones_like(state.adopted)
    available = jnp.stack([everyone, everyone, 1 - state.adopted, everyone])
    q = choice_probabilities(state.values, p.tau_q, available)
    strong = indicator(state.technique / p.x_0 - state.creativity / p.y_0, SKILL_WIDTH, smooth)
    back = q[RESKILL] * p.two * strong
    five = jnp.stack([q[STAY], q[RESKILL] - back, back, q[ADOPT], q[EXIT]])
    # In the smooth variant a creator's skills, values and buffer are those of the part of it that is active.
    w = choice_weights(five, draw, smooth)
    lasting = 1.0 if p.adoption == "lasting" else 0.0
    leave = state.active * w[4]
    moved = state._replace(
        technique=jnp.maximum(state.technique - p.dx * (w[1] - w[2]), SKILL_FLOOR),
        creativity=jnp.maximum(state.creativity + p.dy * (w[1] - w[2]), SKILL_FLOOR),
        adopted=state.adopted + lasting * (1 - state.adopted) * w[3],
        active=state.active - leave,
        exits=state.exits + jnp.sum(leave),
        exit_ratio=state.exit_ratio + jnp.sum(leave * state.creativity / state.technique),
    )
    return moved, jnp.stack([w[0], w[1] + w[2], w[3]])


def learn(p, u, state: State, origin: Origin, sales: Sales, w: Float[Array, "3 n"], smooth: bool) -> State:
    r"""Rewards, action values $Q \leftarrow (1-l) Q + l (r + \delta \max Q)$, liquidity $m \leftarrow \min(m + r, L)$."""
    base = sales.margin / origin.income - p.f
    costs = jnp.stack([jnp.zeros_like(p.cr), reskilling_cost(p, u), p.fee + u.entry_fee])
    target = base - costs[:, None] + p.disc * reduce(jnp.maximum, list(state.values))
    rest = state.values[EXIT:]
    values = jnp.concatenate([state.values[:EXIT] + w * p.lr * (target - state.values[:EXIT]), rest])
    reward = base - costs @ w
    liquidity = jnp.minimum(state.liquidity + reward, p.L)
    kept = state.active * indicator(liquidity, LIQUIDITY_WIDTH, smooth)
    forced = state.active - kept
    return state._replace(
        values=values,
        liquidity=liquidity,
        active=kept,
        share=sales.share,
        ai_share=sales.ai_share,
        ai_units=jnp.sum(sales.ai_share) + jnp.sum(state.active * sales.share * state.adopted),
        exits=state.exits + jnp.sum(forced),
        exit_ratio=state.exit_ratio + jnp.sum(forced * state.creativity / state.technique),
    )


def run(
    key: PRNGKeyArray, p, u, n: int = 50, periods: int = 200, smooth: bool = False, checkpoint: bool = True
) -> AgentPath:
    """The agent-based model with `n` creators; `smooth` is the differentiable variant of the same rule.

    Pure; `n`, `periods`, `smooth` and `checkpoint` (of reverse gradients) are static. Memory is that
    of one period, whatever the number of periods.
    """
    skills_key, action_key = jax.random.split(key)
    technique, creativity = initial_skills(p, skills_key, n)
    origin, state, revenue, hhi = burn_in(p, u, technique, creativity)
    everyone = jnp.ones_like(technique)
    mean_before = weighted_mean(revenue, everyone)
    median_before = weighted_median(revenue, everyone, smooth=smooth)
    state = state._replace(liquidity=0.5 * p.L * everyone, values=initial_values(p, u, n))

    def step(state: State, k: PRNGKeyArray, t: Int[Array, ""]) -> tuple[State, dict[str, Array]]:
        time = t.astype(technique.dtype)
        state, w = act(p, u, state, uniforms(k, n, technique.dtype), smooth)
        sales, phi = market(p, u, state, time, consideration(p, time))
        active, revenue = state.active, sales.price * sales.share
        sold = jnp.sum(active * sales.share) + jnp.sum(sales.ai_share)
        humans = jnp.sum(active * sales.share * (1 - state.adopted))
        statistics = {
            "human_share": humans / sold,
            "hhi": jnp.sum(active * sales.share**2) + jnp.sum(sales.ai_share**2),
            "mean_revenue": weighted_mean(revenue, active) / mean_before,
            "median_revenue": weighted_median(revenue, active, smooth=smooth) / median_before,
            "search_penalty": phi,
            "human_price": weighted_mean(sales.price, active),
            "ai_price": jnp.mean(sales.ai_price),
            "covered": sold,
        }
        state = learn(p, u, state, origin, sales, w, smooth)
        return state, statistics | _composition(state, origin)

    _, statistics = simulate(step, state, action_key, periods, checkpoint=checkpoint)
    return AgentPath(
        time=jnp.arange(periods, dtype=technique.dtype),
        pre_shock_hhi=hhi,
        pre_shock_human_units=jnp.sum(state.share),
        **statistics,
    )


def _composition(state: State, origin: Origin) -> dict[str, Array]:
    """Who is left at the end of a period."""
    n, active = state.share.shape[0], state.active
    return {
        "active": jnp.sum(active) / n,
        "active_humans": jnp.sum(active * (1 - state.adopted)) / n,
        "ai_units": state.ai_units,
        "technique": weighted_mean(state.technique, active),
        "creativity": weighted_mean(state.creativity, active),
        "technique_change": weighted_mean(state.technique - origin.technique, active),
        "creativity_change": weighted_mean(state.creativity - origin.creativity, active),
        "skill_ratio": weighted_mean(state.creativity / state.technique, active),
        "exiter_skill_ratio": state.exit_ratio / jnp.where(state.exits > 0, state.exits, 1.0),
        "exits": state.exits / n,
    }


AGENTS = {
    "creators": Agents(
        run=run,
        Result=AgentPath,
        doc="human creators learn, re-skill, adopt AI or exit while AI models improve; consumers in expectation",
        n=50,
        periods=200,
    )
}
