"""The same economy with n agents, each with costs and productivity of its own, some of them caught.

A period is: each agent chooses by (6.1) at the current state; a detected agent pays taxes and fines; rents and transparency move
by the laws of the path layer with the agents' means. Draws of types: one key, an agent's type depends on key and index alone.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxecon.core.fields import series
from jaxecon.core.model import Agents
from jaxecon.models.rent_seeking.choices import best_reply, gains, smooth_reply
from jaxecon.models.rent_seeking.dynamics import capability, policy_path
from jaxecon.models.rent_seeking.equilibrium import loss, policy_cost
from jaxecon.models.rent_seeking.laws import advance
from jaxecon.models.rent_seeking.params import Params, Policy
from jaxecon.numerics.agents import normals, simulate, uniforms

Scalar = Float[Array, ""]


class Types(eqx.Module):
    """What does not change about an agent: productivity and curvatures, `[n]`."""

    w: Array
    c_r: Array
    c_m: Array


class AgentPath(eqx.Module):
    """Statistics of the population, period by period."""

    time: Array = series("time", unit="yr", doc="time")
    rents: Array = series("time", symbol="R", unit="rents", doc="stock of rents at the start of the period")
    transparency: Array = series("time", symbol="S", unit="1", doc="transparency at the start of the period")
    traditional_effort: Array = series("time", symbol="rbar", unit="time", doc="mean time in traditional rent-seeking")
    manipulation_effort: Array = series("time", symbol="mbar", unit="time", doc="mean time in AI manipulation")
    rent_seekers: Array = series("time", unit="1", doc="share of agents who seek rents of either kind")
    detected: Array = series("time", unit="1", doc="share of agents who seek rents and are caught")
    revenue: Array = series("time", unit="output per yr", doc="taxes and fines that were paid, per agent")
    output: Array = series("time", unit="output per yr", doc="mean output")
    welfare: Array = series("time", symbol="W", unit="output per yr", doc="output less loss and policy cost")


def draw_types(key: PRNGKeyArray, p: Params, n: int) -> Types:
    """Lognormal types around the medians of `p`."""
    z = [jnp.exp(p.sd * normals(k, n, p.w.dtype)) for k in jax.random.split(key, 3)]
    return Types(p.w * z[0], p.c_r * z[1], p.c_m * z[2])


def run(key: PRNGKeyArray, p: Params, u: Policy, n: int, periods: int, smooth: bool) -> AgentPath:
    """`periods` years of `n` agents from (R_0, S_0).

    `smooth=True`: corners rounded (`smooth_reply`) and detection in expectation, differentiable in every parameter.
    """
    types = draw_types(jax.random.fold_in(key, 0), p, n)
    time = jnp.arange(periods, dtype=p.w.dtype)
    us = policy_path(u, time)

    def period(state: tuple[Scalar, Scalar], draw: PRNGKeyArray, t: Int[Array, ""]) -> tuple[tuple, dict]:
        R, S = state
        v = jax.tree.map(lambda x: x[t], us)
        A = capability(p, time[t])
        g = gains(p, v, A, R, S)
        if smooth:
            r, m = smooth_reply(g.X, g.Y, types.w, types.c_r, types.c_m, p.c_x, p.temperature)
        else:
            r, m = best_reply(g.X, g.Y, types.w, types.c_r, types.c_m, p.c_x)
        caught = g.pi if smooth else (uniforms(draw, n, p.w.dtype) < g.pi).astype(p.w.dtype)
        active = 1 - jnp.exp(-(r + m) / p.temperature) if smooth else (r + m > 0).astype(p.w.dtype)
        mean_r, mean_m = jnp.mean(r), jnp.mean(m)
        output = jnp.mean(types.w * (1 - r - m))
        paid = caught * (v.rent_tax * r + (v.manipulation_tax + p.F_0 + v.fine) * m)
        seen = {
            "rents": R,
            "transparency": S,
            "traditional_effort": mean_r,
            "manipulation_effort": mean_m,
            "rent_seekers": jnp.mean(active),
            "detected": jnp.mean(active * caught),
            "revenue": jnp.mean(paid),
            "output": output,
            "welfare": output - loss(p, R, S) - policy_cost(p, v),
        }
        return advance(p, v, A, R, S, mean_r, mean_m), seen

    start = (p.R_0.astype(p.w.dtype), p.S_0.astype(p.w.dtype))
    _, seen = simulate(period, start, jax.random.fold_in(key, 1), periods)
    return AgentPath(time=time, **seen)


AGENTS = {
    "rent_seekers": Agents(run, AgentPath, "heterogeneous rent-seekers, some of them detected", n=1000, periods=60)
}
