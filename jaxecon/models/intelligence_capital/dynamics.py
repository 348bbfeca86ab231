r"""Paths: the data flywheel of asymmetric providers (1.8), and the price shock among downstream firms (1.7)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.fields import series
from jaxecon.core.model import Dynamics
from jaxecon.economics.inequality import herfindahl
from jaxecon.models.intelligence_capital import flywheel, market, technology, tokens
from jaxecon.models.intelligence_capital.equilibrium import Equilibrium, equilibrium
from jaxecon.models.intelligence_capital.flywheel import Level
from jaxecon.models.intelligence_capital.params import Params, Policy

Scalar = Float[Array, ""]
# Runge-Kutta steps between two dates.
SUBSTEPS = 4


class FlywheelPath(eqx.Module):
    """Path of the providers: data, capability, shares; prices, tokens and energy as serving gets cheaper."""

    time: Array = series("time", unit="yr", doc="date")
    provider: Array = series("provider", unit="1", doc="provider; the first starts ahead")
    data: Array = series("time", "provider", unit="D_0", doc="own data over public data", symbol="D_i")
    capability: Array = series("time", "provider", unit="log capability", doc="log capability", symbol="ln A_i")
    shares: Array = series("time", "provider", unit="share of users", doc="shares", symbol="s_i", bounds=(0.0, 1.0))
    leader: Array = series("time", unit="share of users", doc="largest share", symbol="s_max", bounds=(0.0, 1.0))
    hhi: Array = series("time", unit="1", doc="Herfindahl index", symbol="HHI")
    average_price: Array = series("time", unit="money per user", doc="usage-weighted price", symbol="p")
    average_lerner: Array = series("time", unit="1", doc="usage-weighted margin over price", symbol="L")
    token_volume: Array = series("time", unit="tokens", doc="tokens demanded at the price", symbol="T")
    energy_use: Array = series("time", unit="energy", doc="energy, efficiency rising", symbol="E")


class ShockPath(eqx.Module):
    """Path of downstream firms after a fall of the API price."""

    time: Array = series("time", unit="yr", doc="date")
    api_price: Array = series("time", unit="money per token", doc="API price", symbol="p")
    depth: Array = series("time", unit="log tokens", doc="log tokens of a task of value one", symbol="ln T_1")
    adopted: Array = series("time", unit="share of tasks", doc="adopted tasks", symbol="x", bounds=(0.0, 1.0))
    token_index: Array = series("time", unit="tokens at t = 0", doc="tokens", symbol="T")
    spend_index: Array = series("time", unit="spend at t = 0", doc="spend on tokens", symbol="pT")
    energy_index: Array = series("time", unit="energy at t = 0", doc="energy, efficiency rising", symbol="E")
    elasticity: Array = series(
        "time", unit="1", doc="midpoint arc elasticity of tokens since the shock, 0 before", symbol="arc"
    )


def along_time(p: Params, u: Policy, time: Float[Array, " T"]) -> tuple[Policy, Equilibrium]:
    """The policy and its equilibrium at each date; instruments may be scalars or paths."""
    path = jax.tree.map(lambda x: jnp.broadcast_to(x, time.shape), u)
    if all(jnp.ndim(x) == 0 for x in jax.tree.leaves(u)):
        eq = equilibrium(p, u)
        return path, jax.tree.map(lambda x: jnp.broadcast_to(x, time.shape), eq)
    return path, jax.vmap(lambda v: equilibrium(p, v))(path)


def at_cost(p: Params, t: Scalar) -> Params:
    """The parameters with the serving cost of date t: it falls at the rate `mc_fall`."""
    return eqx.tree_at(lambda q: q.mc, p, p.mc * jnp.exp(-p.mc_fall * t))


def start_ahead(p: Params, Omega: Scalar, head_start: float) -> Float[Array, " N"]:
    """Symmetric data at rest, of which the first provider has a little more."""
    return Omega * jnp.where(jnp.arange(p.N) < 1, 1 + head_start, 1.0)


def simulate_flywheel(
    p: Params, u: Policy, time: Float[Array, " T"], start: Float[Array, " N"] | None = None, head_start: float = 0.05
) -> FlywheelPath:
    """Path of (1.8) from `start` (data over D_0), by default symmetric with a head start of the first provider."""
    time = jnp.asarray(time, p.theta.dtype)
    policies, eqs = along_time(p, u, time)
    D_0 = technology.public_data(p)
    d = start_ahead(p, p.Omega, head_start) if start is None else start

    def show(d: Array, t: Scalar, v: Policy, eq: Equilibrium) -> dict[str, Array]:
        q, at = at_cost(p, t), eq.industry
        Dt = D_0 * technology.effective_data(d, jnp.sum(d), v.data_sharing)
        ln_A = technology.log_capability(p, at.ln_C, Dt)
        s = market.market_shares(q, v, ln_A, at.price)
        cost = market.marginal_cost(q, v)
        over = market.margin(q, v, s if p.price_response == "bertrand" else jnp.broadcast_to(at.s, s.shape))
        weight = s / jnp.sum(s)
        price = jnp.sum(weight * (cost + over))
        volume = p.M * tokens.tokens(p, price, eq.laissez_faire.price)
        return dict(
            data=d, capability=ln_A, shares=s, leader=jnp.max(s), hhi=herfindahl(s), average_price=price,
            average_lerner=jnp.sum(weight * over / (cost + over)), token_volume=volume,
            energy_use=p.e_T * volume * (1 + p.e_eff) ** (-t),
        )  # fmt: skip

    def step(d: Array, x: tuple) -> tuple[Array, dict[str, Array]]:
        t, h, v, eq = x
        level = Level(D_0, p.Omega * eq.industry.s / eq.laissez_faire.s)
        shown = show(d, t, v, eq)
        for _ in range(SUBSTEPS):
            d = flywheel.runge_kutta(lambda y: flywheel.drift(p, v, eq.industry, level, y), d, h / SUBSTEPS)
        return d, shown

    gaps = jnp.diff(time, append=time[-1:])
    _, shown = jax.lax.scan(step, d, (time, gaps, policies, eqs))
    return FlywheelPath(time=time, provider=jnp.arange(1, p.N + 1, dtype=time.dtype), **shown)


def logistic(x: Scalar, ceiling: Scalar, rate: Scalar, t: Scalar) -> Scalar:
    r"""Adoption by imitation, $x' = \lambda_x x (1 - x/x^*)$, after time t [S]."""
    return ceiling / (1 + (ceiling / x - 1) * jnp.exp(-rate * t))


def logistic_hazard(x: Scalar, ceiling: Scalar, rate: Scalar, t: Scalar | float) -> Scalar:
    """Chance that one of the `ceiling - x` who have not adopted yet does so within t, such that x moves as in `logistic`."""
    stay = jnp.exp(-rate * t)
    return jnp.clip(x * (1 - stay) / (x + (ceiling - x) * stay), 0.0, 1.0)


def shocked_price(p: Params, price: Scalar, t: Scalar) -> Scalar:
    """API price at date t: it falls by the share `shock` at `t_shock`."""
    return price * jnp.where(t >= p.t_shock - 1e-6, 1 - p.shock, 1.0)


def simulate_shock(p: Params, u: Policy, time: Float[Array, " T"]) -> ShockPath:
    r"""Partial adjustment of log depth at the rate lambda, imitation in adoption after the shock; exact on each step."""
    time = jnp.asarray(time, p.theta.dtype)
    _, eqs = along_time(p, u, time)
    base = eqs.industry.price
    prices = shocked_price(p, base, time)
    before = base[0]
    first = tokens.log_depth(p, prices[0])

    def index(depth: Array, x: Array) -> Array:
        return x / p.x_0 * (p.omega_a * jnp.exp(depth - first) + 1 - p.omega_a)

    def step(state: tuple[Array, Array], inputs: tuple) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        depth, x = state
        t, h, price = inputs
        goal = tokens.log_depth(p, price)
        deeper = goal + (depth - goal) * jnp.exp(-p.lam * h)
        wider = x
        if p.adoption == "imitation":
            ceiling = tokens.adopted_share(p, price)
            wider = jnp.where(t >= p.t_shock - 1e-6, logistic(x, ceiling, p.lambda_x, h), x)
        return (deeper, wider), (depth, x)

    gaps = jnp.diff(time, append=time[-1:])
    _, (depth, x) = jax.lax.scan(step, (first, p.x_0), (time, gaps, prices))
    volume = index(depth, x)
    arc = jax.vmap(lambda q, v: arc_since(q, v, before))(volume, prices)
    return ShockPath(
        time=time,
        api_price=prices,
        depth=depth,
        adopted=x,
        token_index=volume,
        spend_index=volume * prices / before,
        energy_index=volume * (1 + p.e_eff) ** (-time),
        elasticity=arc,
    )


def arc_since(volume: Scalar, price: Scalar, before: Scalar) -> Scalar:
    """Arc elasticity against the first date, 0 while the price has not moved."""
    moved = jnp.abs(price / before - 1) > 1e-9
    safe = jnp.where(moved, price, 2 * before)
    one = jnp.ones_like(volume)
    return jnp.where(moved, tokens.arc_elasticity(jnp.stack([one, volume]), jnp.stack([before, safe])), 0.0)


DYNAMICS = {
    "flywheel": Dynamics(
        run=lambda p, u, time: simulate_flywheel(p, u, time),
        Result=FlywheelPath,
        doc="Data flywheel (1.8): one provider starts 5 % ahead; serving gets cheaper",
        horizon=100.0,
        steps=200,
    ),
    "price_shock": Dynamics(
        run=simulate_shock,
        Result=ShockPath,
        doc="API price -50 % at t = 5 over 20 years, dt = 0.1: depth adjusts partially, adoption spreads by imitation",
        horizon=20.0,
        steps=200,
    ),
}
