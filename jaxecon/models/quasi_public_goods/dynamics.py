r"""The quality ladder (2.5): the closed frontier grows with profit, the open model closes in on it.

State $(\ln q_c, \ln q_o)$; each date is a market equilibrium at the qualities of that date. Steps are Heun's in the
frontier; the lag is relaxed exactly at the speed $\lambda$, so that any step is stable.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.core.fields import series
from jaxecon.core.model import Dynamics
from jaxecon.models.quasi_public_goods import market
from jaxecon.models.quasi_public_goods.equilibrium import Equilibrium, catch_up, equilibrium, frontier_growth, outcomes
from jaxecon.models.quasi_public_goods.params import Params, Policy

FEWEST_STEPS = 40


class LadderPath(eqx.Module):
    """The economy on the quality ladder. Series share names with the outcomes they trace."""

    time: Array = series("time", unit="yr", doc="time")
    closed_quality: Array = series("time", symbol="q_c", unit="index", doc="quality of a closed model")
    open_quality: Array = series("time", symbol="q_o", unit="index", doc="quality of the open model")
    quality_gap: Array = series("time", unit="1", doc="gap in log quality")
    closed_profit: Array = series(
        "time", symbol="Pi_c", unit="$ per month", doc="operating profit of a closed provider"
    )
    frontier_growth: Array = series("time", symbol="g", unit="1/yr", doc="growth of closed quality")
    open_share: Array = series("time", symbol="s_o", unit="1", doc="open share in use")
    use: Array = series("time", symbol="n", unit="users", doc="use of all models")
    closed_price: Array = series("time", symbol="p_c", unit="$ per user and month", doc="price of a closed model")
    publicness: Array = series("time", symbol="PGI", unit="1", doc="Publicness Index")
    access_gini: Array = series("time", unit="1", doc="Gini coefficient of the deciles' served shares")
    externality: Array = series("time", symbol="X", unit="$ per month", doc="externality")
    welfare: Array = series(
        "time", symbol="W", unit="$ per month", doc="welfare; a quality costs less as the frontier moves"
    )
    residual: Array = series("time", unit="1", doc="zero where every date was solved")


def at_quality(p: Params, ln_q: Float[Array, "2"]) -> Params:
    r"""Nature at a date. The cost of quality is that of the distance to the frontier of the first date: $\kappa_q (q/q_c)^2$ scaled."""
    q_c, q_o = jnp.exp(ln_q[0]), jnp.exp(ln_q[1])
    return eqx.tree_at(lambda x: (x.q_c, x.q_o, x.kappa_q), p, (q_c, q_o, p.kappa_q * (p.q_c / q_c) ** 2))


def visit(p: Params, u: Policy, ln_q: Float[Array, "2"]) -> tuple[Equilibrium, Array, Array]:
    """The market at a date's qualities, the growth of the frontier and the speed of catching up."""
    now = at_quality(p, ln_q)
    eq = equilibrium(now, u)
    profit = market.operating_profit(now, eq.offer, eq.state)
    return eq, frontier_growth(p, profit), catch_up(p, eq.offer.o[0])


def step(p: Params, u0: Policy, u1: Policy, ln_q: Float[Array, "2"], h: Array) -> Float[Array, "2"]:
    """Heun in the frontier; the gap solves d gap/dt = g - lambda gap exactly at the step's mean growth."""

    def stage(carry, u):
        moved, first = carry
        _, g, speed = visit(p, u, moved)
        growth = jnp.where(first > 0, 0.5 * (first + g), g)
        gap = (ln_q[0] - ln_q[1]) * jnp.exp(-speed * h) - growth / speed * jnp.expm1(-speed * h)
        ahead = ln_q[0] + growth * h
        return (jnp.stack([ahead, ahead - gap]), g), None

    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), u0, u1)
    (ln_q, _), _ = lax.scan(stage, (ln_q, jnp.zeros_like(h)), both)
    return ln_q


def path(p: Params, u: Policy, time: Float[Array, " T"]) -> LadderPath:
    """The ladder from the baseline qualities.

    **Arguments**

    - `p`, `u`: nature and policy; an instrument may be a path `[T]` on `time`, linear in between.
    - `time`: shape `[T]`, increasing, years.
    """
    us = jax.tree.map(lambda x: jnp.broadcast_to(x, time.shape).astype(time.dtype), u)
    substeps = max(1, -(-FEWEST_STEPS // max(1, time.shape[0] - 1)))

    def interval(ln_q, x):
        t0, t1, u0, u1 = x
        h = (t1 - t0) / substeps

        def inner(ln_q, j):
            def between(c):
                return jax.tree.map(lambda a, b: a + c * (b - a), u0, u1)

            return step(p, between(j / substeps), between((j + 1) / substeps), ln_q, h), None

        ln_q = lax.scan(inner, ln_q, jnp.arange(substeps).astype(time.dtype))[0]
        return ln_q, ln_q

    start = jnp.log(jnp.stack([p.q_c, p.q_o]))
    early, late = (jax.tree.map(lambda x, s=s: x[s], (time, us)) for s in (slice(None, -1), slice(1, None)))
    _, later = lax.scan(interval, start, (early[0], late[0], early[1], late[1]))
    states = jnp.concatenate([start[None], later])

    def described(x):
        ln_q, v = x
        now = at_quality(p, ln_q)
        eq = equilibrium(now, v)
        return outcomes(now, v, eq), eq.status

    o, status = lax.map(described, (states, us))
    return LadderPath(
        time=time,
        closed_quality=jnp.exp(states[:, 0]),
        open_quality=jnp.exp(states[:, 1]),
        quality_gap=states[:, 0] - states[:, 1],
        closed_profit=o.closed_profit,
        frontier_growth=o.frontier_growth,
        open_share=o.open_share,
        use=o.use,
        closed_price=o.closed_price,
        publicness=o.publicness,
        access_gini=o.access_gini,
        externality=o.externality,
        welfare=o.welfare,
        residual=status.astype(time.dtype),
    )


DYNAMICS = {"ladder": Dynamics(path, LadderPath, "quality ladder of closed and open models", horizon=10.0, steps=21)}
