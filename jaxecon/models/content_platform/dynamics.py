r"""Co-evolution of AI quality, skills and population (4.5)-(4.7): the path layer.

At each date prices, shares and exposure clear given who is active, how skilled, and what AI has learnt. Then data stocks move by (4.5),
angles by (4.6), the population by (4.7). Each law moves by its exact solution over a step given the market (angles: linearized in the
seller's own angle): the rest point is exact and no rate is too fast, the path is right to first order in the step.
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.core.fields import series
from jaxecon.core.model import Dynamics
from jaxecon.models.content_platform.demand import gauss_tastes, pull
from jaxecon.models.content_platform.equilibrium import accounts, settle
from jaxecon.models.content_platform.market import (
    TYPES,
    Frame,
    Market,
    ai_quality,
    buyers,
    data_flow,
    entrants,
    human_quality,
    skills,
)
from jaxecon.models.content_platform.params import Params, Policy
from jaxecon.models.content_platform.solver import start

Scalar = Float[Array, ""]
SUBSTEPS = 2


class State(NamedTuple):
    """Active creators and their angles (radians) by type, data stocks (technical, creative), generations and own error of AI."""

    active: Float[Array, " h"]
    angle: Float[Array, " h"]
    data: Float[Array, " 2"]
    generation: Scalar
    error: Scalar


class PlatformPath(eqx.Module):
    """The platform over time. Series share names with the outcomes they trace."""

    time: Array = series("time", unit="yr", doc="time")
    type: Array = series("type", unit="1", doc="human type: three lengths of skill times three innate angles")
    technical_data: Array = series("time", symbol="N_t", unit="data", doc="stock of technical data")
    creative_data: Array = series("time", symbol="N_c", unit="data", doc="stock of creative data")
    generation_error: Array = series("time", unit="1", doc="error that AI has inherited from its own output")
    ai_technical_quality: Array = series("time", symbol="q_t_AI", unit="quality", doc="technical quality of AI")
    ai_creative_quality: Array = series("time", symbol="q_c_AI", unit="quality", doc="creative quality of AI")
    active_creators: Array = series("time", symbol="N_h", unit="creators", doc="active human creators")
    creative_share: Array = series("time", unit="1", doc="mean of q_c/(q_t + q_c) over active human creators")
    mean_angle: Array = series("time", symbol="phi", unit="degrees", doc="mean skill angle of active human creators")
    ai_share: Array = series("time", symbol="S", unit="1", doc="AI share of units")
    mean_price: Array = series("time", symbol="p", unit="money", doc="mean price of units sold")
    technical_quality: Array = series("time", symbol="q_t", unit="quality", doc="mean technical quality of units sold")
    consumer_surplus: Array = series("time", symbol="CS", unit="money per yr", doc="consumer surplus")
    welfare: Array = series("time", symbol="W", unit="money per yr", doc="welfare")
    equity: Array = series("time", unit="1", doc="1 - Gini over all incomes")
    hhi: Array = series("time", symbol="HHI", unit="1", doc="Herfindahl index of revenue over items")
    data_flow: Array = series("time", unit="data per yr", doc="usable human data a year")
    number: Array = series("time", "type", symbol="N_i", unit="creators", doc="active creators of each type")
    income: Array = series(
        "time", "type", symbol="Pi_i", unit="money per yr", doc="income of an active creator of each type"
    )
    angle: Array = series("time", "type", symbol="phi_i", unit="degrees", doc="skill angle of each type")


def deviator_income(f: Frame, m: Market, angle: Float[Array, " h"]) -> Float[Array, " h"]:
    r"""Income of one seller of each type who alone has another angle; price, exposure and all others given (4.6) [R].

    The price is optimal, so that its own response has no effect of first order; cost depends on the length of skill alone.
    """
    p, t = f.p, gauss_tastes(f.p, f.p.nodes)
    c = buyers(t, m)
    q = human_quality(p, angle)
    mine = pull(t, q)[:, None, :] * c.push[:, :TYPES]
    others = c.total[:, :, None] - c.pull[:, None, :TYPES] * c.push[:, :TYPES]
    share = jnp.einsum("m,l,mlh->h", t.weight, t.alpha_weight, mine / (others + mine))
    # Cost is linear here around the seller's output: its curvature belongs to the response of the price.
    tau = m.commission[:TYPES] - f.u.creative_rebate * (q[1] - m.quality[1, :TYPES])
    return ((1 - tau) * m.price[:TYPES] - m.marginal_cost[:TYPES]) * p.Mkt * share


def angle_drive(f: Frame, m: Market) -> tuple[Float[Array, " h"], Float[Array, " h"]]:
    r"""$\partial\Pi_i/\partial\phi$ of one seller and its slope in the seller's own angle (4.6)."""

    def slope(angle: Array) -> Array:
        return jax.jvp(lambda v: deviator_income(f, m, v), (angle,), (jnp.ones_like(angle),))[1]

    return jax.jvp(slope, (f.angle,), (jnp.ones_like(f.angle),))


def synthetic_share(p: Params, human: Float[Array, " 2"], ai_units: Scalar, ai: Float[Array, " 2"]) -> Scalar:
    """AI's part of new training data: its output enters with the weight `cont`; 1 where no human data are left [R]."""
    made = p.cont * ai_units * (p.lambda_t * ai[0] + p.lambda_c * ai[1])
    total = made + jnp.sum(human)
    return jnp.where(total > 0, made / jnp.where(total > 0, total, 1.0), 1.0)


def inherited(p: Params, generation: Scalar, more: Scalar) -> Scalar:
    r"""Error that `more` generations add when trained on own output alone: $e$ each if data are replaced, $e/n^2$ the n-th if
    they accumulate, at most $e\pi^2/6$ in all [S]; between whole numbers by Hurwitz's zeta."""
    if p.training == "replace":
        return p.e_gen * more
    if p.training == "accumulate":
        two = jnp.full_like(generation, 2.0)
        zeta = jax.scipy.special.zeta
        return p.e_gen * (zeta(two, 1 + generation) - zeta(two, 1 + generation + more))
    return jnp.zeros_like(more)


def learnt(p: Params, s: State) -> Float[Array, " 2"]:
    r"""Quality of AI: $q^{max}_k N_k/(N_k + N^0_k)/(1 + error)$ (4.5), decreasing in the error of its generation [S: direction, R: form]."""
    return ai_quality(p, s.data) / (1 + s.error)


def opening(p: Params, K: Scalar) -> State:
    """The start: types as they enter at the innate skill where half of the potential creators are active, young AI."""
    _, angle = skills(p)
    zero = jnp.zeros_like(K)
    data = p.data_0 * jnp.stack([p.N0_t, p.N0_c])
    return State(jnp.full(TYPES, 0.5 * p.Nbar), angle, data, zero, zero)


def _share_of_way(rate: Scalar, h: Scalar) -> Scalar:
    return -jnp.expm1(-rate * h)


def advance(f: Frame, m: Market, s: State, h: Scalar) -> State:
    """All states a step of length `h` later, the market given."""
    p = f.p
    _, innate = skills(p)
    flow = data_flow(p, human_quality(p, f.angle) @ (m.number * m.units)[:TYPES], m.ai_share)
    data = s.data + _share_of_way(p.delta, h) * (flow / p.delta - s.data)
    active = s.active + _share_of_way(p.entry_rate, h) * (entrants(p, m.profit[:TYPES]) - s.active)
    drive, bend = angle_drive(f, m)
    # The law linearized in the seller's own angle, exactly: specialization feeds on itself where `bend` exceeds psi.
    rate = p.chi * jnp.clip(bend - p.psi, None, 4.0)
    span = jnp.where(jnp.abs(rate * h) > 1e-6, jnp.expm1(rate * h) / jnp.where(rate == 0, 1.0, rate), h)
    # Skill has no negative part: angles end at the axes.
    angle = jnp.clip(s.angle + p.chi * span * (drive - p.psi * (s.angle - innate)), 0.0, jnp.pi / 2)
    more = p.gen_rate * h
    error = s.error + synthetic_share(p, flow, (m.number * m.units)[TYPES], m.quality[:, TYPES]) * inherited(
        p, s.generation, more
    )
    return State(active, angle, data, s.generation + more, error)


def evolve(p: Params, u: Policy, time: Float[Array, " T"], K: Scalar, substeps: int = SUBSTEPS) -> PlatformPath:
    """The path with `K` generators from `opening`; each interval of `time` is `substeps` steps."""
    lengths = jnp.append(jnp.diff(time), jnp.ones(1, time.dtype)).astype(p.alpha.dtype) / substeps
    first = opening(p, K)

    def look(s: State, y: Array) -> tuple[Frame, Market, Array]:
        f = Frame(p, u, K, s.angle, s.active, learnt(p, s))
        eq = settle(f, y)
        failed = jnp.where(eq.status == 0, 0.0, jnp.nan)
        return f, dataclasses.replace(eq, market=jax.tree.map(lambda x: x + failed, eq.market)).market, eq.y

    def step(carry: tuple[State, Array], h: Scalar) -> tuple[tuple[State, Array], None]:
        s, y = carry
        f, m, y = look(s, y)
        return (advance(f, m, s, h), y), None

    def interval(carry: tuple[State, Array], h: Scalar) -> tuple[tuple[State, Array], tuple]:
        s, y = carry
        f, m, y = look(s, y)
        out = accounts(f, m)
        later, _ = lax.scan(step, (advance(f, m, s, h), y), jnp.broadcast_to(h, substeps - 1))
        return later, (s, out, m.profit[:TYPES], jnp.degrees(s.angle))

    # Without a market to start from: where free entry would put it.
    y0 = start(Frame(p, u, K, first.angle, first.active, learnt(p, first)))
    _, (s, out, income, degrees) = lax.scan(interval, (first, y0), lengths)
    return PlatformPath(
        time=time, type=jnp.arange(1, TYPES + 1), technical_data=s.data[:, 0], creative_data=s.data[:, 1],
        generation_error=s.error, ai_technical_quality=out.ai_technical_quality,
        ai_creative_quality=out.ai_creative_quality, active_creators=out.active_creators,
        creative_share=out.creative_share, mean_angle=jnp.sum(s.active * degrees, axis=1) / out.active_creators,
        ai_share=out.ai_share, mean_price=out.mean_price, technical_quality=out.technical_quality,
        consumer_surplus=out.consumer_surplus, welfare=out.welfare, equity=out.equity, hhi=out.hhi,
        data_flow=out.data_flow, number=s.active, income=income, angle=degrees,
    )  # fmt: skip


def path(p: Params, u: Policy, time: Float[Array, " T"]) -> PlatformPath:
    """The path layer: `evolve` with the generators of `p`."""
    return evolve(p, u, time, jnp.asarray(p.K, p.alpha.dtype))


DYNAMICS = {
    "co_evolution": Dynamics(
        path,
        PlatformPath,
        "AI learning, skill reallocation, entry and exit while the market clears",
        horizon=40.0,
        steps=40,
    )
}
