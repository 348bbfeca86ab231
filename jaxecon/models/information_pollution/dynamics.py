r"""Slow trust and slow producers under a falling price of AI: the path layer.

State $(T, q_L, q_H)$. Within an instant, in this order: (1) the platform sets moderation by its
condition (5.5) at the current trust, price and policy, expecting the supply of the stage game that
follows; where (5.5) asks for trust to respond, it moves along $T^*(a)$; (2) consumers see the supply
that is there and choose verification (5.2); (3) the wage clears the labor market at that supply;
(4) supply moves toward the supply of the stage game, (5.4) at the platform's choice, at rate
`adjustment`; trust follows (5.3). A point at rest is the static equilibrium exactly, whatever the step.

Producers aim at the stage game's supply, not at the best reply to the traffic of the instant: the
reply's slope is -(price of an item)/(price net of tax), beyond -100 where a tax meets a vanishing cost,
and such a cobweb is an artifact of myopia, not of the model.

The integrator is a second-order exponential step on a fixed grid rather than an adaptive solver:
the platform's problem of the next stage starts from the last one and needs three or four evaluations
instead of a cold solve, supply and trust stay in bounds at any step, and all cells of a batch cost the same.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.core.fields import series
from jaxecon.core.model import Dynamics
from jaxecon.models.information_pollution import consumers, index, platform, stage
from jaxecon.models.information_pollution.equilibrium import equilibrium
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.producers import Pair
from jaxecon.numerics.tracking import inverse_jacobian, track_root

Scalar = Float[Array, ""]

# Fewest integration steps on a path: a year's sixteenth over ten years.
FEWEST_STEPS = 160


class State(eqx.Module):
    """Slow variables `(T, q_L, q_H)` and what the search for the fast ones starts from.

    `fast`: `(ln a, ln q_L, ln q_H, ln w)` of the stage game, then the log wage at the actual supply;
    `inverse`: an approximate inverse of the Jacobian of `fast_gaps`, updated along the path; `residual`:
    the largest gap left at the last instant.
    """

    T: Scalar
    q: Pair
    fast: Float[Array, "5"]
    inverse: Float[Array, "5 5"]
    residual: Scalar


def ai_price_path(p: Params, t: Scalar) -> Scalar:
    r"""Price of AI services [R]: $p_A (1 - decline)^{\min(t, years)}$."""
    return p.p_A * jnp.exp(jnp.log1p(-p.price_decline) * jnp.clip(t, 0.0, p.decline_years))


def at_time(p: Params, t: Scalar) -> Params:
    """Nature at time `t`: only the price of AI services moves."""
    return eqx.tree_at(lambda x: x.p_A, p, ai_price_path(p, t))


def fast_gaps(x: Float[Array, "5"], args: tuple[Params, Policy, Scalar, Pair]) -> Float[Array, "5"]:
    r"""Conditions of an instant: the platform's problem and $w = z_O (L_O/\bar L)^{-\mu}$ at the supply `q`."""
    p, u, T, q = args
    _, L_O, _ = stage.spending(p, u, q, jnp.exp(x[4]))
    return jnp.append(stage.choice_gaps(x[:4], (p, u, T)), stage.wage_gap(p, x[4], L_O))


def respond(p: Params, u: Policy, state: State) -> tuple[State, platform.Allocation]:
    """What follows within the instant from the slow variables: moderation, verification, wage."""
    root = track_root(fast_gaps, state.fast, state.inverse, (p, u, state.T, state.q))
    now = State(state.T, state.q, root.x, root.inverse, root.residual)
    return now, stage.instant(p, u, now.T, now.q, root.x[0], root.x[4])


def rest_and_rate(p: Params, state: State, s: platform.Allocation) -> tuple[Float[Array, "3"], Float[Array, "3"]]:
    r"""Where $(T, q_L, q_H)$ are heading and how fast, $x' = rate\,(rest - x)$: (5.3), (5.4) with partial adjustment."""
    aim = stage.choice_of(state.fast[:4]).q
    rate = p.r_0 + p.rho * s.d + p.eta * s.x.L * (1 - s.d)
    rest = jnp.stack([consumers.steady_trust(p, s.x.L, s.d), aim.L, aim.H])
    return rest, jnp.stack([rate, p.adjustment, p.adjustment])


def _slow(state: State) -> Float[Array, "3"]:
    return jnp.stack([state.T, state.q.L, state.q.H])


def _moved(state: State, x: Float[Array, "3"]) -> State:
    return State(x[0], Pair(x[1], x[2]), state.fast, state.inverse, state.residual)


def step(p: Params, u0: Policy, u1: Policy, state: State, t: Scalar, h: Scalar) -> tuple[State, platform.Allocation]:
    r"""One step from `t` to `t + h`, and the economy at its two ends (leading axis 2).

    Exponential Euler, then the second-order correction:

    $a = x^* + (x - x^*) e^{-kh}$, $x_1 = a + (N(a) - N(x))\,(e^{-kh} - 1 + kh)/(k^2 h)$,
    $N = k_a(x^*_a - a) + k a$: at rest, exact; for constant k a convex combination.
    """

    def visit(carry, c):
        state, rest0, k0 = carry
        state, s = respond(at_time(p, t + c * h), _between(u0, u1, c), state)
        x = _slow(state)
        rest, k = rest_and_rate(p, state, s)
        first = c == 0
        rest0, k0 = jnp.where(first, rest, rest0), jnp.where(first, k, k0)
        z = k0 * h
        guess = rest + (x - rest) * jnp.exp(-z)
        change = k * (rest - x) + k0 * (x - rest0)
        corrected = x + change * (jnp.expm1(-z) + z) / (k0 * z)
        return (_moved(state, jnp.where(first, guess, corrected)), rest0, k0), s

    blank = jnp.ones(3, state.T.dtype)
    (state, _, _), ends = lax.scan(visit, (state, blank, blank), jnp.array([0.0, 1.0], state.T.dtype))
    return state, ends


def _between(u0: Policy, u1: Policy, c: Scalar) -> Policy:
    return jax.tree.map(lambda a, b: a + c * (b - a), u0, u1)


def advance(p: Params, u0: Policy, u1: Policy, state: State, t0: Scalar, t1: Scalar, substeps: int) -> State:
    """From `t0` to `t1` in equal substeps, the policy moving linearly from `u0` to `u1`."""
    h = (t1 - t0) / substeps

    @jax.checkpoint
    def body(state, j):
        c = j.astype(h.dtype) / substeps
        policies = _between(u0, u1, c), _between(u0, u1, c + 1 / substeps)
        return step(p, *policies, state, t0 + j * h, h)[0], None

    return lax.scan(body, state, jnp.arange(substeps))[0]


def rest_point(p: Params, u: Policy) -> State:
    """The static equilibrium as a state: trust at $T^*$, supply at the best reply."""
    eq = equilibrium(p, u)
    s = eq.state
    ln_w = jnp.log(s.w)
    fast = jnp.stack([s.ln_a, jnp.log(s.q.L + stage.FRINGE), jnp.log(s.q.H + stage.FRINGE), ln_w, ln_w])
    return State(s.T, s.q, fast, inverse_jacobian(fast_gaps, fast, (p, u, s.T, s.q)), jnp.zeros_like(s.T))


class TrustPath(eqx.Module):
    """The economy over time. Series share names with the outcomes they trace."""

    time: Array = series("time", unit="yr", doc="time")
    ai_price: Array = series("time", symbol="p_A", unit="money per AI service", doc="resource price of AI services")
    trust: Array = series("time", symbol="T", unit="1", doc="trust", bounds=(0.0, 1.0))
    low_quality_items: Array = series("time", symbol="q_L", unit="items", doc="supply of low-quality items")
    high_quality_items: Array = series("time", symbol="q_H", unit="items", doc="supply of high-quality items")
    moderation: Array = series("time", symbol="a_mod", unit="1", doc="weight of flagged items in the ranking")
    low_quality_exposure: Array = series("time", symbol="x_L", unit="1", doc="share of attention on low quality")
    verification: Array = series("time", symbol="v", unit="effort", doc="verification effort of consumers")
    detection: Array = series("time", symbol="d", unit="1", doc="share of low quality that verification detects")
    attention: Array = series("time", symbol="M", unit="hours", doc="attention")
    wage: Array = series("time", symbol="w", unit="money per worker", doc="wage")
    burden: Array = series("time", symbol="x_4", unit="1", doc="burden: C_v/(C_v + M u_H)")
    pollution_index: Array = series("time", symbol="IPI", unit="1", doc="index with the weights of each date")
    frozen_index: Array = series("time", symbol="IPI_0", unit="1", doc="index with the weights of the first date")
    welfare: Array = series("time", symbol="W", unit="money per period", doc="flow of welfare (5.6) at actual trust")
    residual: Array = series(
        "time", unit="1", doc="largest unit-free residual of the platform's and the wage condition"
    )


def path(p: Params, u: Policy, time: Float[Array, " T"]) -> TrustPath:
    """The path from the static equilibrium at the first date's price and policy.

    **Arguments**

    - `p`, `u`: nature and policy; an instrument may be a path `[T]` on `time`, linear in between.
    - `time`: shape `[T]`, increasing, years. The price of AI falls from time 0 on.

    **Returns** a `TrustPath` of series `[T]`. Dates where the model fails show in `residual`.
    """
    us = jax.tree.map(lambda x: jnp.broadcast_to(x, time.shape).astype(time.dtype), u)
    first = jax.tree.map(lambda x: x[0], us)
    substeps = max(4, -(-FEWEST_STEPS // max(1, time.shape[0] - 1)))
    start = rest_point(at_time(p, time[0]), first)

    def interval(state, x):
        t0, t1, u0, u1 = x
        state = advance(p, u0, u1, state, t0, t1, substeps)
        return state, state

    early = jax.tree.map(lambda x: x[:-1], (time, us))
    late = jax.tree.map(lambda x: x[1:], (time, us))
    _, later = lax.scan(interval, start, (early[0], late[0], early[1], late[1]))
    states = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), start, later)
    states, s = jax.vmap(lambda t, v, x: respond(at_time(p, t), v, x))(time, us, states)
    return _described(p, us, time, states, s)


def _described(p: Params, us: Policy, time: Array, states: State, s: platform.Allocation) -> TrustPath:
    """All series of a path from its states."""
    everywhere = jax.tree.map(lambda x: jnp.broadcast_to(x, time.shape), p)
    now = jax.vmap(at_time)(everywhere, time)
    x = jax.vmap(index.dimensions)(now, s)
    omega = jax.vmap(index.endogenous_weights)(now, x, s.A)
    return TrustPath(
        time=time,
        ai_price=now.p_A,
        trust=s.T,
        low_quality_items=s.q.L,
        high_quality_items=s.q.H,
        moderation=jnp.exp(s.ln_a),
        low_quality_exposure=s.x.L,
        verification=s.v,
        detection=s.d,
        attention=s.M,
        wage=s.w,
        burden=x[:, 3],
        pollution_index=jnp.sum(omega * x, axis=1),
        frozen_index=x @ omega[0],
        welfare=jax.vmap(platform.welfare)(now, us, s),
        residual=states.residual,
    )


DYNAMICS = {
    "trust": Dynamics(
        path,
        TrustPath,
        "trust and supply under a falling price of AI, from the static equilibrium",
        horizon=10.0,
        steps=41,
    )
}
