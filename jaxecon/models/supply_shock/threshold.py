r"""Pollution thresholds: where free AI leaves welfare as it was without AI (Prop. 3.1), where cheaper AI stops helping, and
where no AI volume is best."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.models.supply_shock.accounts import accounts, pigou_charge, welfare_no_ai
from jaxecon.models.supply_shock.equilibrium import equilibrium
from jaxecon.models.supply_shock.params import Params, Policy
from jaxecon.models.supply_shock.planner import choke_charge, with_charge
from jaxecon.numerics.roots import bisect


class Threshold(NamedTuple):
    """A threshold of beta and whether the sign changes there."""

    beta: Float[Array, ""]
    found: Bool[Array, ""]


def at(p: Params, beta: Float[Array, ""], c_a: Float[Array, ""]) -> Params:
    """The parameters at another penalty weight and AI cost."""
    return eqx.tree_at(lambda q: (q.beta, q.c_A), p, (beta, c_a))


def welfare_at(p: Params, u: Policy) -> Float[Array, ""]:
    """Equilibrium welfare."""
    return accounts(p, u, equilibrium(p, u).cutoffs).welfare


def free_ai_gain(beta: Float[Array, ""], args: tuple[Params, Policy]) -> Float[Array, ""]:
    r"""$W(c_A = 0) - W_{noAI}$ at a penalty weight, in units of $\theta_{max}\alpha$."""
    p, u = args
    q = at(p, beta, jnp.zeros_like(p.c_A))
    eq = equilibrium(q, u)
    return (accounts(q, u, eq.cutoffs).welfare - welfare_no_ai(q, eq.no_ai_cutoff)) / (p.theta_max * p.alpha)


def cost_slope(beta: Float[Array, ""], args: tuple[Params, Policy]) -> Float[Array, ""]:
    r"""$dW/dc_A$ at $c_A = 0$ and a penalty weight, per unit of quality."""
    p, u = args
    return (
        jax.jvp(lambda c: welfare_at(at(p, beta, c), u), (jnp.zeros_like(p.c_A),), (jnp.ones_like(p.c_A),))[1] / p.alpha
    )


def beta_star(p: Params, u: Policy, steps: int = 40) -> Threshold:
    r"""Penalty weight $\beta^*$ at which free AI ($c_A = 0$) leaves welfare as without AI.

    Bisection, then one Newton step, which carries the derivative of the implicit function theorem (first order).
    """
    highest = 2 * p.theta_max
    start = bisect(free_ai_gain, jnp.zeros_like(highest), highest, (p, u), steps=steps)
    gain, slope = jax.jvp(lambda b: free_ai_gain(b, (p, u)), (start,), (jnp.ones_like(start),))
    x = start - gain / lax.stop_gradient(slope)
    return Threshold(x, (start > 1e-9) & (start < 0.999 * highest) & (slope < 0))


def beta_local(p: Params, u: Policy, steps: int = 30) -> Threshold:
    r"""Penalty weight at which $dW/dc_A = 0$ at $c_A = 0$: above it cheaper AI hurts at the margin. No derivative."""
    highest = 2 * p.theta_max
    x = bisect(cost_slope, jnp.zeros_like(highest), highest, (p, u), steps=steps)
    found = (cost_slope(jnp.zeros_like(highest), (p, u)) < 0) & (cost_slope(highest, (p, u)) > 0)
    return Threshold(x, found)


def _highest_wedge(beta: Float[Array, ""], args: tuple[Params, Policy]) -> Float[Array, ""]:
    """Largest of tau(D) - S Phi'(D) along the charge from zero to the choke, at a penalty weight."""
    p, u = args
    q = at(p, beta, p.c_A)
    charges = jnp.linspace(0.0, 1.0, 33, dtype=beta.dtype) * choke_charge(q, u)

    def wedge(charge: Array) -> Array:
        v = with_charge(u, charge)
        eq = equilibrium(q, v)
        return jnp.where(eq.status == 0, charge - pigou_charge(q, v, eq.cutoffs), -jnp.inf)

    return jnp.max(lax.map(wedge, charges))


def beta_one(p: Params, u: Policy, steps: int = 24) -> Threshold:
    r"""$\beta_1 = \max_D \tau(D)(1+\eta D)/(\eta S)$ (C3.4): above it welfare falls in AI volume everywhere. No derivative."""
    highest = 2 * p.theta_max
    x = bisect(_highest_wedge, 1e-6 * highest, highest, (p, u), steps=steps)
    return Threshold(x, (x > 1e-3 * highest) & (x < 0.999 * highest))


def threshold_study(p: Params, u: Policy) -> dict[str, Float[Array, ""]]:
    """The thresholds of C3.3 and C3.4, and the elasticity of the first to the sensitivity of search."""
    star, slope = jax.jvp(
        lambda e: beta_star(eqx.tree_at(lambda q: q.eta, p, e), u).beta, (p.eta,), (jnp.ones_like(p.eta),)
    )
    local = beta_local(p, u)
    return {
        "beta_star": star,
        "elasticity of beta_star to eta": slope * p.eta / star,
        "local threshold": local.beta,
        "beta / beta_star": p.beta / star,
        "beta_1: above it no AI volume is best": beta_one(p, u).beta,
    }
