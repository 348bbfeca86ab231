"""Tables for the report: depreciation, the race from all sides, the flywheel's hidden conditions, the trap's two readings."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxecon.models.intelligence_capital import bifurcation, flywheel, race, tokens, valuation, wrapper
from jaxecon.models.intelligence_capital.equilibrium import equilibrium
from jaxecon.models.intelligence_capital.params import Params, Policy


def depreciation(p: Params, u: Policy) -> Mapping[str, Array]:
    """Depreciation of 2 and 25 providers by source, and its linear projection on 512 simulated industries (rival growth, gap)."""
    table = {}
    for N in (2, 25):
        q = dataclasses.replace(p, N=N)
        at = equilibrium(q, u).industry
        table |= {f"N = {N}: {k}": v for k, v in valuation.depreciation_parts(q, u, at).items()}
        found = valuation.linear_projection(q, u, at.price, jax.random.key(0))
        table |= {f"N = {N}, projection: {k}": v for k, v in found.items()}
    return table


def red_queen(p: Params, u: Policy) -> Mapping[str, Array]:
    """Compute of the race, of joint profit and of the planner; certificates of Nash; what a planner gains by unequal treatment."""
    table = {}
    for timing in ("two_stage", "simultaneous"):
        q = dataclasses.replace(p, timing=timing)
        eq = equilibrium(q, u)
        found = race.nash_certificate(q, u, eq)
        table |= {
            f"{timing}: compute of Nash": jnp.exp(eq.industry.ln_C),
            f"{timing}: compute of the planner": jnp.exp(eq.planner.ln_C),
            f"{timing}: largest gain of a deviation (of rent)": found["gain"],
            f"{timing}: second derivative of profit (of rent)": found["curvature"],
        }
        if timing == "two_stage":
            table["compute of joint profit"] = race.joint_compute(q, u, eq)
            best = race.unrestricted_planner(q, eq)
            table["planner: gain from unequal treatment (M/alpha)"] = best["gain"]
    return table


def thresholds(p: Params, u: Policy) -> Mapping[str, Array]:
    """Strengths at which symmetry breaks, by what is held fixed, and the fold of the one-leader branch; 1e12 stands for none."""
    table = {}
    cases = {
        "fixed prices": {"price_response": "fixed"},
        "prices by (1.4)": {"price_response": "bertrand", "pricing": "logit"},
        "prices by (1.3')": {"price_response": "bertrand", "pricing": "loglinear"},
    }
    for label, static in cases.items():
        for N in (2, 25):
            q = dataclasses.replace(p, N=N, **static)
            at = equilibrium(q, u).industry
            table[f"Omega*, {label}, N = {N}"] = flywheel.threshold(q, u, at)
            if label == "fixed prices":
                table[f"fold, {label}, N = {N}"] = flywheel.leadership(q, u, at, at.own_data).fold
                if N == 2:
                    lost, regained = bifurcation.fixed_public_data_thresholds(q, u, at)
                    table["D_0 fixed: symmetry lost at"] = lost
                    table["D_0 fixed: symmetry regained at"] = regained
    return table


def trap(p: Params, u: Policy) -> Mapping[str, Array]:
    """Critical capability with its slopes, and the variant in which the app's margin is its logit share: a temporary trap."""
    found = {"A_w": wrapper.critical_capability(p, u)}
    slopes = jax.grad(lambda q: jnp.log(wrapper.critical_capability(q, u)))(p)
    for name in ("b_w", "m_w", "phi_w", "theta"):
        found[f"elasticity of A_w in {name}"] = getattr(slopes, name) * getattr(p, name)
    return found | {f"logit-share variant: {k}": v for k, v in wrapper.temporary_trap(p, u).items()}


def spending(p: Params, u: Policy) -> Mapping[str, Array]:
    """Price elasticity of all tokens by orchestrated share and dispersion of task values: spend rises with a lower price above 1."""
    table, price = {}, equilibrium(p, u).laissez_faire.price
    for share in (0.1, 0.37, 0.55, 0.74, 1.0):
        for sd in (0.5, 1.0, 2.0):
            q = dataclasses.replace(p, omega_a=jnp.full_like(p.r, share), sd_v=jnp.full_like(p.r, sd))
            table[f"omega_a {share:g}, sd_v {sd:g}"] = tokens.demand_elasticity(q, price, price)
    return table


STUDIES = {
    "depreciation": depreciation,
    "red_queen": red_queen,
    "thresholds": thresholds,
    "trap": trap,
    "spending": spending,
}
