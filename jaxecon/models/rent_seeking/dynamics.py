r"""Rents and transparency while AI capability rises: the path layer.

Each period agents choose at the current state (6.1), rents move by the law of `p` (6.2), transparency by (6.3). On yearly dates this
is the model; on other dates each interval is one step of its length, the linear law by Euler.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.core.fields import series
from jaxecon.core.model import Dynamics
from jaxecon.models.rent_seeking.equilibrium import choices_at, loss, policy_cost, revenue
from jaxecon.models.rent_seeking.laws import advance
from jaxecon.models.rent_seeking.params import Params, Policy

Scalar = Float[Array, ""]


def capability(p: Params, t: Scalar) -> Scalar:
    r"""AI capability [R]: $A_0 + (A - A_0)/(1 + e^{-rate (t - mid)})$, logistic from `A_0` to `A`."""
    return p.A_0 + (p.A - p.A_0) * jax.nn.sigmoid(p.A_rate * (t - p.A_mid))


class RentPath(eqx.Module):
    """The economy over time. Series share names with the outcomes they trace."""

    time: Array = series("time", unit="yr", doc="time")
    capability: Array = series("time", symbol="A", unit="index", doc="AI capability")
    rents: Array = series("time", symbol="R", unit="rents", doc="stock of rents at the start of the period")
    transparency: Array = series("time", symbol="S", unit="1", doc="transparency at the start of the period")
    traditional_effort: Array = series("time", symbol="rbar", unit="time", doc="mean time in traditional rent-seeking")
    manipulation_effort: Array = series("time", symbol="mbar", unit="time", doc="mean time in AI manipulation")
    rent_seekers: Array = series("time", unit="1", doc="share of agents who seek rents of either kind")
    detection_probability: Array = series("time", symbol="pi", unit="1", doc="probability of detection")
    output: Array = series("time", unit="output per yr", doc="mean output")
    loss: Array = series("time", symbol="L", unit="output per yr", doc="welfare loss of rents and opacity")
    policy_cost: Array = series("time", unit="output per yr", doc="real cost of policy")
    revenue: Array = series("time", unit="output per yr", doc="taxes and fines collected")
    welfare: Array = series("time", symbol="W", unit="output per yr", doc="output less loss and policy cost")


def policy_path(u: Policy, time: Float[Array, " T"]) -> Policy:
    """Every instrument as a path `[T]`."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, time.shape).astype(time.dtype), u)


def path(p: Params, u: Policy, time: Float[Array, " T"]) -> RentPath:
    """The path from (R_0, S_0).

    **Arguments**

    - `p`, `u`: nature and policy; an instrument may be a path `[T]` on `time`, in force from each date to the next.
    - `time`: shape `[T]`, increasing, years.

    **Returns** a `RentPath` of series `[T]`.
    """
    us = policy_path(u, time)
    lengths = jnp.append(jnp.diff(time), 1.0)

    def period(state: tuple[Scalar, Scalar], now: tuple) -> tuple[tuple[Scalar, Scalar], tuple]:
        (R, S), (t, h, v) = state, now
        A = capability(p, t)
        g, means = choices_at(p, v, A, R, S)
        seen = (A, R, S, means, g.pi, loss(p, R, S), policy_cost(p, v), revenue(p, v, g, means))
        return advance(p, v, A, R, S, means.r, means.m, h), seen

    start = (p.R_0.astype(time.dtype), p.S_0.astype(time.dtype))
    _, (A, R, S, means, pi, L, cost, paid) = lax.scan(period, start, (time, lengths, us))
    return RentPath(
        time=time, capability=A, rents=R, transparency=S, traditional_effort=means.r, manipulation_effort=means.m,
        rent_seekers=means.active, detection_probability=pi, output=means.output, loss=L, policy_cost=cost,
        revenue=paid, welfare=means.output - L - cost,
    )  # fmt: skip


DYNAMICS = {
    "rents": Dynamics(
        path, RentPath, "rents and transparency while AI capability rises, year by year", horizon=60.0, steps=60
    )
}
