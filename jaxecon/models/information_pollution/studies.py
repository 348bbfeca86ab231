"""Tables for the report: planners and failures, the boundary of superadditivity."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.planner import (
    decentralization,
    margins_planner,
    market_welfare,
    perfect_identification,
    unconstrained_planner,
)
from jaxecon.models.information_pollution.portfolio import failure_gaps, superadditivity

DP0, DP1 = (0.0, 0.3, 1.0, 2.0, 4.0), (0.0, 1.0, 3.0)


def planners(p: Params, u: Policy) -> Mapping[str, Array]:
    """Welfare of the market and of both planners, the decentralizing instruments, gaps of single failures."""
    ideal = perfect_identification(p, free_certification=True)
    best = margins_planner(ideal)
    use = decentralization(ideal, best.x)
    gaps = failure_gaps(ideal, u, best.value)
    return {
        "market": market_welfare(p, u),
        "market with perfect identification": market_welfare(ideal, u),
        "planner over the three failing margins": best.value,
        "unconstrained planner": unconstrained_planner(ideal).value,
        "decentralizing tax": use.low_quality_tax,
        "decentralizing provenance": use.provenance,
        **{f"gap, {k} alone": v for k, v in gaps.items()},
    }


def superadditivity_map(p: Params, u: Policy) -> Mapping[str, Array]:
    """Joint gain less single gains at own optima over (d'_0, d'_1): where the sign changes is the boundary of C5.6."""
    points = jnp.asarray([(a, b) for a in DP0 for b in DP1], p.p_A.dtype)

    def at(x: Array) -> tuple[Array, Array]:
        found = superadditivity(eqx.tree_at(lambda q: (q.dp0, q.dp1), p, (x[0], x[1])), u)
        return found["own_optima"], found["joint_optimum"]

    own, joint = jax.lax.map(at, points)
    table = {}
    for k, (a, b) in enumerate((a, b) for a in DP0 for b in DP1):
        table[f"own optima, dp0 = {a:g}, dp1 = {b:g}"] = own[k]
        table[f"joint optimum, dp0 = {a:g}, dp1 = {b:g}"] = joint[k]
    return table


STUDIES = {"planners": planners, "superadditivity_map": superadditivity_map}
