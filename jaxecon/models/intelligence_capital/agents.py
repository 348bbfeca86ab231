r"""Agent-based layer: providers that innovate, enter and exit; downstream firms that reconsider their provider, adopt and deepen.

A period of `DT` years: (1) firms reconsider their provider at the rate `reconsider` and draw it from (1.3); (2) eligible firms
(task value above $\hat v$) adopt by imitation, hazard $\lambda_x x/x^*$, and adjust log depth with noise; (3) usage becomes data (1.8);
(4) innovations arrive, raise log capability by exponential steps, and on an empty place bring an entrant where its value exceeds the
entry cost; (5) a provider whose net rent was below zero for `patience` years leaves, and its users choose anew.
Without jumps, entry and exit the shares follow $s' = reconsider\,(logit(A) - s)$, of which (1.8) is the limit of fast choice.
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxecon.core.fields import series
from jaxecon.core.model import Agents
from jaxecon.models.intelligence_capital import market, technology, tokens
from jaxecon.models.intelligence_capital.dynamics import arc_since, at_cost, logistic_hazard, shocked_price
from jaxecon.models.intelligence_capital.equilibrium import Industry, equilibrium
from jaxecon.models.intelligence_capital.params import Params, Policy
from jaxecon.numerics.agents import indicator, normals, simulate, uniform_pairs, uniforms

Scalar = Float[Array, ""]
# Years of a period: the documented experiment.
DT = 0.1
# Widths of the smooth variant: log value of tasks, rents over the symmetric rent.
SMOOTH_TASK, SMOOTH_RENT = 0.05, 0.05


class AgentPath(eqx.Module):
    """Statistics of the industry, period by period."""

    time: Array = series("time", unit="yr", doc="date")
    providers: Array = series("time", unit="providers", doc="active providers", symbol="N_t")
    leader: Array = series("time", unit="share of users", doc="largest share", symbol="s_max", bounds=(0.0, 1.0))
    hhi: Array = series("time", unit="1", doc="Herfindahl index of users", symbol="HHI")
    frontier: Array = series(
        "time", unit="log capability", doc="log capability of the best provider", symbol="ln A_max"
    )
    average_price: Array = series("time", unit="money per user", doc="usage-weighted price", symbol="p")
    provider_rent: Array = series(
        "time", unit="money/yr", doc="rents of all providers net of fixed cost", symbol="sum v"
    )
    adopted: Array = series("time", unit="share of tasks", doc="adopted tasks", symbol="x", bounds=(0.0, 1.0))
    token_index: Array = series("time", unit="tokens at t = 0", doc="tokens", symbol="T")
    spend_index: Array = series("time", unit="spend at t = 0", doc="spend on tokens", symbol="pT")
    elasticity: Array = series(
        "time", unit="1", doc="midpoint arc elasticity of tokens since the shock, 0 before", symbol="arc"
    )
    new_leader: Array = series("time", unit="1", doc="1 where another provider has become the most capable")


class Providers(NamedTuple):
    """State of the places for providers, `[J]`; `alive` is 0 or 1, a weight in the smooth variant."""

    innovation: Array
    data: Array
    alive: Array
    losses: Array


class Firms(NamedTuple):
    """State of downstream firms: provider (an index `[n]`; smooth: shares `[J]`), adoption, noise of log depth `[n]`; and the log
    depth that all follow, before a firm's own value and noise."""

    provider: Array
    adopted: Array
    noise: Array
    depth: Scalar


class World(NamedTuple):
    """What does not move: parameters with one provider a place, policy path, the symmetric industry, log task values."""

    p: Params
    us: Policy
    at: Industry
    Omega: Scalar
    rent: Scalar
    ln_v: Float[Array, " n"]


def log_capability(w: World, x: Providers, phi: Scalar) -> Float[Array, " J"]:
    """Capability from compute and data (1.1), raised by innovations; data of empty places are gone."""
    owned = x.alive * x.data
    Dt = technology.public_data(w.p) * technology.effective_data(owned, jnp.sum(owned), phi)
    return technology.log_capability(w.p, w.at.ln_C, Dt) + x.innovation


def choice(
    p: Params, ln_A: Float[Array, " J"], price: Float[Array, " J"], alive: Float[Array, " J"]
) -> Float[Array, " J"]:
    """Probabilities of (1.3) among active providers; users who leave the market are not followed (`o` plays no part)."""
    value = p.theta * ln_A - market.price_disutility(p, price)
    top = lax.stop_gradient(jnp.max(jnp.where(alive > 0, value, -jnp.inf)))
    odds = alive * jnp.exp(jnp.where(alive > 0, value - top, 0.0))
    return odds / jnp.sum(odds)


def prices(w: World, u: Policy, s: Float[Array, " J"], t: Scalar) -> Float[Array, " J"]:
    """The API price of each provider: that of the symmetric industry, or by (1.4) at the shares of the last period; the shock on it."""
    price = jnp.broadcast_to(w.at.price, s.shape)
    if w.p.price_response == "bertrand":
        price = market.marginal_cost(w.p, u) + market.margin(w.p, u, jnp.minimum(s, 0.98))
    return shocked_price(w.p, price, t)


def shares_of(provider: Array, J: int, dtype, smooth: bool) -> Float[Array, " J"]:
    """Shares of users by provider."""
    if smooth:
        return provider
    # A comparison a place: counting by scatter is slower.
    return jnp.stack([jnp.mean((provider == j).astype(dtype)) for j in range(J)])


def drawn(odds: Float[Array, " J"], draw: Float[Array, " n"]) -> Int[Array, " n"]:
    """A provider for each draw in [0, 1), by inverse distribution; places that are empty are never drawn."""
    edges = jnp.cumsum(odds)
    # Round-off at the upper end goes to the last active place.
    last = jnp.max(jnp.where(odds > 0, jnp.arange(odds.shape[0]), 0))
    return jnp.minimum(sum((draw >= e).astype(jnp.int32) for e in edges), last.astype(jnp.int32))


def reconsider(w: World, provider: Array, odds: Array, alive: Array, draw: Array, smooth: bool) -> Array:
    """Who reconsiders, or has lost the provider, draws from `odds`; one uniform number decides both."""
    rate = -jnp.expm1(-w.p.reconsider * DT)
    if smooth:
        stay = provider * alive * (1 - rate)
        return stay + (1 - jnp.sum(stay)) * odds
    lost = _looked_up(alive, provider) == 0
    # A firm that lost its provider uses the whole of the unit interval, another the part below `rate`.
    moves = lost | (draw < rate)
    return jnp.where(moves, drawn(odds, jnp.where(lost, draw, draw / rate)), provider)


def _looked_up(table: Float[Array, " J"], index: Int[Array, " n"]) -> Float[Array, " n"]:
    """`table[index]` by comparisons: for few places faster than a gather."""
    return sum(jnp.where(index == j, table[j], 0.0) for j in range(table.shape[0]))  # pyright: ignore[reportReturnType]


def start(key: PRNGKeyArray, w: World, n: int, smooth: bool) -> tuple[Providers, Firms, Float[Array, " J"]]:
    """Providers with a spread of capability and data at rest; firms distributed by (1.3), a share x_0 of tasks adopted."""
    p, J, dtype = w.p, w.p.N, w.ln_v.dtype
    keys = jax.random.split(key, 4)
    u = jax.tree.map(lambda x: x[0], w.us)
    spread = p.spread_A * jax.random.normal(keys[0], (J,), dtype)
    x = Providers(spread, jnp.full((J,), 1.0, dtype) * w.Omega, jnp.ones(J, dtype), jnp.zeros(J, dtype))
    even = jnp.full((J,), 1 / J, dtype)
    price = prices(w, u, even, jnp.zeros((), dtype))
    odds = choice(p, log_capability(w, x, u.data_sharing), price, x.alive)
    provider = odds if smooth else drawn(odds, uniforms(keys[1], n, dtype))
    eligible = indicator(w.ln_v - tokens.log_marginal_task(p, w.at.price), SMOOTH_TASK, smooth)
    chance = eligible * jnp.minimum(p.x_0 / tokens.adopted_share(p, w.at.price), 1.0)
    adopted = chance if smooth else (uniforms(keys[2], n, dtype) < chance).astype(dtype)
    noise = p.choice_noise * normals(keys[3], n, dtype)
    return x, Firms(provider, adopted, noise, tokens.log_depth(p, w.at.price)), odds


def entrants(
    w: World, u: Policy, x: Providers, ln_A: Array, s: Array, jump: Array, arrives: Array, t: Scalar, smooth: bool
) -> Providers:
    """An innovation on an empty place: capability at the users' average plus the step; who expects a value above the entry cost enters.

    Value is the rent at the share that (1.3) would give, over r + (1.5); the cost is `entry_cost` years of the symmetric rent.
    """
    p = w.p
    empty = 1 - x.alive
    level = jnp.sum(s * ln_A)
    fresh = technology.log_capability(
        p, w.at.ln_C, technology.public_data(p) * (1 + u.data_sharing * jnp.sum(x.alive * x.data))
    )
    step = level + jump - fresh
    mine = level + jump
    top = lax.stop_gradient(jnp.max(ln_A))
    rivals = jnp.sum(x.alive * jnp.exp(p.theta * (ln_A - top)))
    odds = jnp.exp(p.theta * (mine - top))
    share = odds / (odds + rivals)
    over = jnp.mean(prices(w, u, s, t)) - market.marginal_cost(at_cost(p, t), u)
    value = p.M * over * share / (p.r + p.delta_0 + p.theta * (1 - share) * p.g)
    cost = p.entry_cost * (1 - u.provider_entry) * w.rent
    enters = empty * arrives * indicator((value - cost) / w.rent, SMOOTH_RENT, smooth)
    return Providers(
        innovation=x.innovation + enters * (step - x.innovation),
        data=x.data * (1 - enters),
        alive=x.alive + enters,
        losses=x.losses * (1 - enters),
    )


def move_providers(key: PRNGKeyArray, w: World, u: Policy, x: Providers, ln_A: Array, s: Array, price: Array, t: Scalar, smooth: bool) -> tuple[Providers, Array]:  # fmt: skip
    """Data, innovations, entry, exit; and the net rents of the period."""
    p, J, dtype = w.p, w.p.N, w.ln_v.dtype
    q = at_cost(p, t)
    rent = p.M * (price - market.marginal_cost(q, u)) * s * market.users_demand(p, price)
    rent = x.alive * (rent - p.F_0 * (1 - u.provider_entry))
    # (1.8) over one period, usage as it is: s J is the share over that of the symmetric state.
    keep = jnp.exp(-p.delta_D * DT)
    data = keep * x.data + (1 - keep) * w.Omega * s * J
    arrive, size = jax.random.split(key)
    chance = -jnp.expm1(-p.jump_rate * DT)
    draw = uniforms(arrive, J, dtype)
    arrives = jnp.broadcast_to(chance, (J,)) if smooth else (draw < chance).astype(dtype)
    jump = p.jump_mean * -jnp.log1p(-uniforms(size, J, dtype))
    losing = indicator(-rent / w.rent - 1e-12, SMOOTH_RENT, smooth)
    losses = losing * (x.losses + DT)
    leaves = indicator(losses - p.patience + 0.5 * DT, SMOOTH_RENT, smooth)
    # The last provider stays: someone serves the market.
    best = jnp.arange(J) == jnp.argmax(jnp.where(x.alive > 0, ln_A, -jnp.inf))
    leaves = jnp.where(best, 0.0, leaves)
    x = Providers(x.innovation + x.alive * arrives * jump, data, x.alive * (1 - leaves), losses)
    return entrants(w, u, x, ln_A, s, jump, arrives, t, smooth), rent


def move_firms(w: World, f: Firms, z: Array, draw: Array, price: Scalar, t: Scalar, smooth: bool) -> Firms:
    """Adoption by imitation and partial adjustment of log depth, with noise `z` of its own for each firm."""
    p, dtype = w.p, w.ln_v.dtype
    goal = tokens.log_depth(p, price)
    keep = jnp.exp(-p.lam * DT)
    noise = keep * f.noise + p.choice_noise * jnp.sqrt(1 - keep**2) * z
    depth = goal + keep * (f.depth - goal)
    if p.adoption == "none":
        return Firms(f.provider, f.adopted, noise, depth)
    x = jnp.mean(f.adopted)
    chance = jnp.where(t >= p.t_shock - 1e-6, logistic_hazard(x, tokens.adopted_share(p, price), p.lambda_x, DT), 0.0)
    eligible = indicator(w.ln_v - tokens.log_marginal_task(p, price), SMOOTH_TASK, smooth)
    hit = chance if smooth else (draw < chance).astype(dtype)
    return Firms(f.provider, f.adopted + (1 - f.adopted) * eligible * hit, noise, depth)


def world(key: PRNGKeyArray, p: Params, u: Policy, n: int, periods: int) -> World:
    """The fixed part: `p` with as many providers as places, and the symmetric industry at the policy of the first period."""
    p = dataclasses.replace(p, N=p.n_providers)
    us = jax.tree.map(lambda x: jnp.broadcast_to(x, (periods,)), u)
    first = jax.tree.map(lambda x: x[0], us)
    eq = equilibrium(p, first)
    ln_v = p.mu_v + p.sd_v * normals(key, n, p.theta.dtype)
    rent = market.rent(p, first, eq.industry.s, eq.industry.margin)
    return World(p, us, eq.industry, eq.industry.own_data, rent, ln_v)


def run(key: PRNGKeyArray, p: Params, u: Policy, n: int, periods: int, smooth: bool) -> AgentPath:
    """`periods` periods of `DT` years with `n` downstream firms and `n_providers` places for providers.

    `smooth=True`: expected moves instead of drawn ones and rounded thresholds, differentiable in every parameter; innovations then
    trickle in at their expected size.
    """
    w = world(jax.random.fold_in(key, 0), p, u, n, periods)
    p, J, dtype = w.p, w.p.N, w.ln_v.dtype
    x, f, s = start(jax.random.fold_in(key, 1), w, n, smooth)
    own = jnp.exp(tokens.token_elasticity(p) * w.ln_v)

    def volumes(f: Firms) -> tuple[Scalar, Scalar]:
        """Orchestrated tokens at depth zero of all firms, and adopted tasks."""
        return jnp.mean(f.adopted * own * jnp.exp(f.noise)), jnp.mean(f.adopted)

    deep_0, adopted_0 = volumes(f)
    deep_0 = deep_0 * jnp.exp(f.depth)
    leader_0 = jnp.argmax(x.innovation)

    def period(state: tuple, draw: PRNGKeyArray, k: Int[Array, ""]) -> tuple[tuple, dict]:
        x, f, s, leader = state
        t = k * jnp.asarray(DT, dtype)
        v = jax.tree.map(lambda y: y[k], w.us)
        one, two, three = jax.random.split(draw, 3)
        price = prices(w, v, s, t)
        ln_A = jnp.where(x.alive > 0, log_capability(w, x, v.data_sharing), -30.0)
        odds = choice(p, ln_A, price, x.alive)
        zero = jnp.zeros((), dtype)
        moves, adopts = (zero, zero) if smooth else uniform_pairs(one, n, dtype)
        # Noise in single precision: its rounding is far below its size, and it is half of what a period costs.
        noise = normals(three, n, jnp.float32).astype(dtype)
        f = f._replace(provider=reconsider(w, f.provider, odds, x.alive, moves, smooth))
        s = shares_of(f.provider, J, dtype, smooth)
        paid = jnp.sum(s * price)
        deep, adopted = volumes(f)
        volume = p.omega_a * deep * jnp.exp(f.depth) / deep_0 + (1 - p.omega_a) * adopted / adopted_0
        now = jnp.argmax(ln_A)
        after, rent = move_providers(two, w, v, x, ln_A, s, price, t, smooth)
        seen = {
            "time": t,
            "providers": jnp.sum(x.alive),
            "leader": jnp.max(s),
            "hhi": jnp.sum(s**2),
            "frontier": ln_A[now],
            "new_leader": (now != leader).astype(dtype),
            "average_price": paid,
            "provider_rent": jnp.sum(rent),
            "adopted": adopted,
            "token_index": volume,
            "spend_index": volume * paid / w.at.price,
            "elasticity": arc_since(volume, paid, w.at.price),
        }
        return (after, move_firms(w, f, noise, adopts, paid, t, smooth), s, now), seen

    _, seen = simulate(period, (x, f, s, leader_0), jax.random.fold_in(key, 2), periods)
    return AgentPath(**seen)


AGENTS = {
    "industry": Agents(run, AgentPath, "providers with innovations, entry and exit; downstream firms; API price -50 % at t = 5", n=2000, periods=200)
}  # fmt: skip
