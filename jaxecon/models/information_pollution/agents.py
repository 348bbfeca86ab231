r"""Agent layer: heterogeneous producers and consumers with noisy choices, month by month.

Of `n` agents half are consumers, a quarter produce low quality, a quarter high quality. A period:
(1) the platform sets moderation by (5.5) at realized trust, expecting the stage game of representative
producers; (2) each consumer verifies with own cost and an error, $v_i = e^{\epsilon_i} W_0(k_i)/\theta$;
(3) each consumer gains or loses trust at the rates of (5.3) with own detection $d_i$: a two-state
chain, exact over the period; (4) each producer revises with probability $1 - e^{-adjustment\,\Delta}$ to a noisy
multiple of the stage game's supply, by own cost; (5) wages clear at realized supply and costs.
Supply heterogeneity aggregates exactly (mean one), so without errors and with equal consumers the
means follow the path layer, and rest at the static equilibrium, up to sampling noise of order $n^{-1/2}$.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.fields import series
from jaxecon.core.model import Agents
from jaxecon.models.information_pollution import consumers, dynamics, index, platform, stage
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.producers import Pair
from jaxecon.numerics.agents import choice_weights, normals, simulate, uniforms

Scalar = Float[Array, ""]
PERIOD = 1 / 12  # years


class Crowd(NamedTuple):
    """All that is carried from period to period: `trusting` [consumers] (0 or 1; smooth: probability), `supply`
    [producers, low quality first], and the fast variables of the economy."""

    trusting: Float[Array, " c"]
    supply: Float[Array, " s"]
    economy: dynamics.State


class Traits(NamedTuple):
    """What differs between agents for good: cost of verification over its mean, supply over its type's mean."""

    cost: Float[Array, " c"]
    ability: Float[Array, " s"]


class AgentPath(eqx.Module):
    """Means over agents, by period."""

    time: Array = series("time", unit="yr", doc="end of the period")
    trust: Array = series("time", symbol="T", unit="1", doc="share of consumers who trust", bounds=(0.0, 1.0))
    low_quality_items: Array = series("time", symbol="q_L", unit="items", doc="supply of low-quality items")
    high_quality_items: Array = series("time", symbol="q_H", unit="items", doc="supply of high-quality items")
    moderation: Array = series("time", symbol="a_mod", unit="1", doc="weight of flagged items in the ranking")
    low_quality_exposure: Array = series("time", symbol="x_L", unit="1", doc="share of attention on low quality")
    verification: Array = series("time", symbol="v", unit="effort", doc="mean verification effort")
    detection: Array = series("time", symbol="d", unit="1", doc="share of low quality that is detected")
    pollution_index: Array = series("time", symbol="IPI", unit="1", doc="index with the weights of each date")
    welfare: Array = series("time", symbol="W", unit="money per period", doc="flow of welfare (5.6), realized")
    residual: Array = series(
        "time", unit="1", doc="largest unit-free residual of the platform's and the wage condition"
    )


def group_sizes(n: int) -> tuple[int, int, int]:
    """Consumers, low-quality and high-quality producers among `n` agents."""
    count = n // 2
    low = (n - count) // 2
    return count, low, n - count - low


def draw_traits(key: PRNGKeyArray, p: Params, n: int) -> Traits:
    """Lognormal costs of verification (mean `kappa`) and producers' abilities (mean supply neutral)."""
    k = jax.random.split(key)
    count, low, high = group_sizes(n)
    dtype = p.p_A.dtype
    spread = p.eps * p.cost_sd
    cost = jnp.exp(p.taste_sd * normals(k[0], count, dtype) - p.taste_sd**2 / 2)
    return Traits(cost, jnp.exp(spread * normals(k[1], low + high, dtype) - spread**2 / 2))


def _means(x: Float[Array, " s"], low: int) -> Pair:
    return Pair(jnp.mean(x[:low]), jnp.mean(x[low:]))


def realized_supply(p: Params, supply: Float[Array, " s"], ability: Float[Array, " s"], low: int) -> tuple[Pair, Pair]:
    r"""Items of both kinds, and the items that representative producers would make at the same cost [R].

    Producer i pays $c_j \xi_i q_i^{1+1/\epsilon}/(1+1/\epsilon)$ with $\xi_i = ability_i^{-1/\epsilon}$.
    """
    items = _means(supply, low)
    power = 1 + 1 / p.eps
    made = supply > 0
    cost = jnp.where(made, jnp.exp(power * jnp.log(jnp.where(made, supply, 1.0)) - jnp.log(ability) / p.eps), 0.0)
    dear = jax.tree.map(lambda c: c ** (1 / power), _means(cost, low))
    return Pair(p.n_L * items.L, items.H), Pair(p.n_L * dear.L, dear.H)


def errors(p: Params, draw: Float[Array, " k"]) -> Float[Array, " k"]:
    """Multiplicative errors of choice, mean one."""
    return jnp.exp(p.choice_noise * draw - p.choice_noise**2 / 2)


def relaxed(x: Array, rest: Array, rate: Array | Scalar) -> Array:
    """`x` after one period of approach to `rest`."""
    return rest + (x - rest) * jnp.exp(-rate * PERIOD)


def step_of(p: Params, u: Policy, traits: Traits, smooth: bool):
    """The rule of one period, `(crowd, key, t) -> (crowd, statistics)`."""
    count, low = traits.cost.shape[0], traits.ability.shape[0] // 2
    dtype = p.p_A.dtype

    def step(crowd: Crowd, key: PRNGKeyArray, t: Array):
        now = dynamics.at_time(p, t.astype(dtype) * PERIOD)
        k = jax.random.split(key, 4)
        # A share below half an agent is read as half an agent: attention needs some trust.
        T = jnp.clip(jnp.mean(crowd.trusting), 0.5 / count, 1.0)
        items, dear = realized_supply(now, crowd.supply, traits.ability, low)
        economy = dynamics.State(T, dear, crowd.economy.fast, crowd.economy.inverse, crowd.economy.residual)
        economy, made = dynamics.respond(now, u, economy)
        seen = stage.instant(now, u, T, items, made.ln_a, jnp.log(made.w))

        theta = consumers.verification_productivity(now, u)
        stake = consumers.verification_stake(now, u, seen.M, seen.x.L) / traits.cost
        v = consumers.lambert_w(stake) / theta * errors(p, normals(k[0], count, dtype))
        d = consumers.detection(theta, v)
        gain, loss = p.r_0 + p.rho * d, p.eta * seen.x.L * (1 - d)
        odds = relaxed(crowd.trusting, gain / (gain + loss), gain + loss)
        trusting = choice_weights(jnp.stack([odds, 1 - odds]), uniforms(k[1], count, dtype), smooth)[0]

        aim = stage.choice_of(economy.fast[:4]).q
        size = traits.ability.shape[0]
        mean = jnp.where(jnp.arange(size) < low, aim.L / p.n_L, aim.H)
        target = mean * traits.ability * errors(p, normals(k[2], size, dtype))
        odds = jnp.broadcast_to(-jnp.expm1(-p.adjustment * PERIOD), (size,))
        revise = choice_weights(jnp.stack([odds, 1 - odds]), uniforms(k[3], size, dtype), smooth)[0]
        supply = crowd.supply + revise * (target - crowd.supply)

        # The consumer with the mean cost and the mean detection; costs and factors as they were paid.
        paid = jnp.sqrt(jnp.mean(traits.cost * v**2))
        s = eqx.tree_at(
            lambda a: (a.v, a.d, a.L_O, a.AI, a.spending), seen, (paid, jnp.mean(d), made.L_O, made.AI, made.spending)
        )
        x = index.dimensions(now, s)
        statistics = AgentPath(
            time=(t + 1).astype(dtype) * PERIOD,
            trust=T,
            low_quality_items=items.L,
            high_quality_items=items.H,
            moderation=jnp.exp(s.ln_a),
            low_quality_exposure=s.x.L,
            verification=jnp.mean(v),
            detection=s.d,
            pollution_index=index.endogenous_weights(now, x, s.A) @ x,
            welfare=platform.welfare(now, u, s),
            residual=economy.residual,
        )
        return Crowd(trusting, supply, economy), statistics

    return step


def start(key: PRNGKeyArray, p: Params, economy: dynamics.State, traits: Traits, smooth: bool) -> Crowd:
    """Everyone around an economy, such as the static equilibrium: a drawn share trusts, supply carries errors."""
    k = jax.random.split(key)
    count, size = traits.cost.shape[0], traits.ability.shape[0]
    odds = jnp.broadcast_to(economy.T, (count,))
    trusting = choice_weights(jnp.stack([odds, 1 - odds]), uniforms(k[0], count, p.p_A.dtype), smooth)[0]
    mean = jnp.where(jnp.arange(size) < size // 2, economy.q.L / p.n_L, economy.q.H)
    return Crowd(trusting, mean * traits.ability * errors(p, normals(k[1], size, p.p_A.dtype)), economy)


def run(key: PRNGKeyArray, p: Params, u: Policy, n: int, periods: int, smooth: bool = False) -> AgentPath:
    """Simulate `n` >= 4 agents for `periods` months; the price of AI falls as in the path layer.

    `smooth`: trust and revisions move by their expectation, which is differentiable; choice errors stay
    (they are smooth in the parameters). Returns an `AgentPath` of series `[periods]`.
    """
    k = jax.random.split(key, 3)
    traits = draw_traits(k[0], p, n)
    crowd = start(k[1], p, dynamics.rest_point(p, u), traits, smooth)
    return simulate(step_of(p, u, traits, smooth), crowd, k[2], periods)[1]


def superadditivity(
    key: PRNGKeyArray, p: Params, portfolio: Float[Array, "3"], n: int, periods: int, seeds: int
) -> tuple[Scalar, Scalar, Float[Array, "5"]]:
    r"""Joint gain of (tax, provenance, fiduciary duty) less the sum of their single gains, among agents.

    Welfare is the mean over periods and `seeds` with the price of AI at its first value; the five policies (none,
    three alone, all) share their random numbers. Returns the excess, its standard error over seeds, and
    mean welfare of the five policies.
    """
    still = eqx.tree_at(lambda q: q.price_decline, p, jnp.zeros_like(p.price_decline))
    masks = jnp.concatenate([jnp.zeros((1, 3)), jnp.eye(3), jnp.ones((1, 3))]).astype(portfolio.dtype)
    policies = jax.vmap(lambda x: _policy(x))(masks * portfolio)

    def one(k: PRNGKeyArray) -> Float[Array, "5"]:
        return jax.lax.map(lambda u: jnp.mean(run(k, still, u, n, periods).welfare), policies)

    welfare = jax.lax.map(one, jax.random.split(key, seeds))
    gains = welfare[:, 1:] - welfare[:, :1]
    excess = gains[:, 3] - jnp.sum(gains[:, :3], axis=1)
    return jnp.mean(excess), jnp.std(excess, ddof=1) / jnp.sqrt(seeds), jnp.mean(welfare, axis=0)


def _policy(x: Float[Array, "3"]) -> Policy:
    return Policy(low_quality_tax=x[0], provenance=x[1], fiduciary_duty=x[2])


AGENTS = {
    "producers_consumers": Agents(
        run, AgentPath, "heterogeneous producers and consumers with noisy choices, by month", n=10_000, periods=120
    )
}
