r"""The planner: the market maximizes W at a given $\Phi$; a charge equal to the marginal damage does the rest (C3.8)."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.models.supply_shock import market
from jaxecon.models.supply_shock.accounts import accounts, pigou_charge
from jaxecon.models.supply_shock.equilibrium import (
    Equilibrium,
    equilibrium,
    indifference,
    money_scale,
    no_ai_cutoff,
    payoffs,
    regret_sample,
)
from jaxecon.models.supply_shock.market import Cutoffs
from jaxecon.models.supply_shock.params import Params, Policy
from jaxecon.numerics.roots import bisect, find_root


class Optimum(NamedTuple):
    """Social optimum: assignment, the charge that supports it, welfare, and whether the conditions hold."""

    cutoffs: Cutoffs
    charge: Float[Array, ""]
    welfare: Float[Array, ""]
    solved: Bool[Array, ""]


def with_charge(u: Policy, charge: Float[Array, ""]) -> Policy:
    """The policy with another volume charge."""
    return eqx.tree_at(lambda v: v.volume_charge, u, charge)


def welfare_of(p: Params, u: Policy, eq: Equilibrium) -> Float[Array, ""]:
    """Welfare of an equilibrium."""
    return accounts(p, u, eq.cutoffs).welfare


def optimality(v: Float[Array, "3"], args: tuple[Params, Policy, Float[Array, ""]]) -> Float[Array, "3"]:
    r"""First-order conditions of $\max W$: indifference with every adopter paying the marginal damage."""
    p, u, system = args
    return indifference(v, (p, with_charge(u, pigou_charge(p, u, Cutoffs(v[0], v[1], v[2]))), system))


def _charge_gap(charge: Float[Array, ""], args: tuple[Params, Policy]) -> Float[Array, ""]:
    p, u = args
    v = with_charge(u, charge)
    return charge - pigou_charge(p, v, equilibrium(p, v).cutoffs)


def social_optimum(p: Params, u: Policy, steps: int = 12) -> Optimum:
    """Assignment that maximizes welfare, the externality internalized; the charge of `u` is replaced.

    Bisection on the charge between zero and the choke, then Newton on the cutoffs; derivatives by the implicit
    function theorem. Not solved where the optimum has no AI.
    """
    choke = jnp.maximum(choke_charge(p, u), 0.0)
    charge = bisect(_charge_gap, jnp.zeros_like(choke), choke, (p, u), steps=steps)
    near = equilibrium(*lax.stop_gradient((p, with_charge(u, charge))))
    root = find_root(optimality, jnp.stack(list(near.cutoffs)), (p, u, near.system), max_step=0.1)
    x = Cutoffs(*(root.x[k] for k in range(3)))
    charge = pigou_charge(p, u, x)
    ordered = (x.s_0 <= x.s_1) & (x.s_1 < x.s_H)
    return Optimum(x, charge, accounts(p, with_charge(u, charge), x).welfare, root.converged & ordered)


def _entry_margin(p: Params, u: Policy) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Per buyer, what AI would add to the best other payoff at the prices without AI, by skill; and its quality."""
    alone = no_ai_cutoff(p)
    empty = Cutoffs(alone, alone, alone)
    s = lax.stop_gradient(regret_sample(p, empty, 129))
    ai, human = payoffs(p, with_charge(u, jnp.zeros_like(u.volume_charge)), empty, s)
    return (ai - jnp.maximum(p.w_0, human)) / p.k_A, market.ai_quality(p, s)


def _largest(x: Float[Array, " k"]) -> Float[Array, ""]:
    """The largest entry by its place: its derivative does not hang on comparing numbers that a compiler may round anew."""
    return x[jnp.argmax(lax.stop_gradient(x))]


def choke_charge(p: Params, u: Policy) -> Float[Array, ""]:
    """Volume charge at which AI content disappears (the first adopter's margin at prices without AI)."""
    return _largest(_entry_margin(p, u)[0])


def choke_cost(p: Params, u: Policy) -> Float[Array, ""]:
    """AI cost c_A at which AI content disappears."""
    margin, q = _entry_margin(p, u)
    per_quality = jnp.where(q > 0.01 * p.q_A, margin / jnp.maximum(q, 1e-6), -jnp.inf)
    return p.c_A + _largest(per_quality)


def charge_for_revenue(p: Params, u: Policy, revenue: Float[Array, ""], highest: Float[Array, ""]) -> Float[Array, ""]:
    """Volume charge between zero and `highest` that raises `revenue` beside the other instruments of `u`."""

    def gap(charge: Array, args: tuple[Params, Policy, Array]) -> Array:
        q, v, target = args
        w = with_charge(v, charge)
        return accounts(q, w, equilibrium(q, w).cutoffs).public_revenue - target

    return bisect(gap, jnp.zeros_like(highest), highest, (p, u, revenue), steps=30)


def planner_study(p: Params, u: Policy) -> dict[str, Float[Array, ""]]:
    """Market against planner: welfare, AI volume, and the charge that closes the gap."""
    eq = equilibrium(p, u)
    best = social_optimum(p, u)
    volume = market.ai_volume(p, eq.cutoffs)
    return {
        "welfare, market": welfare_of(p, u, eq),
        "welfare, planner": best.welfare,
        "welfare gap / market scale": (best.welfare - welfare_of(p, u, eq)) / money_scale(p),
        "AI volume, market": volume,
        "AI volume, planner": market.ai_volume(p, best.cutoffs),
        "D_peak / D_A": market.ai_volume(p, best.cutoffs) / volume,
        "optimal charge": best.charge,
        "choke charge": choke_charge(p, u),
    }
