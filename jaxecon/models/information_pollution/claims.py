"""Propositions of paper 5 as functions of one draw: positive margin where the claim holds."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.fields import with_fields
from jaxecon.core.model import Claim, Expectation, Joint, claim_of_parts, part_of, parts_of
from jaxecon.economics.production import ces_unit_cost
from jaxecon.models.information_pollution import index, platform, producers
from jaxecon.models.information_pollution.equilibrium import equilibrium
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.planner import (
    best_policies,
    decentralization,
    margins_planner,
    market_welfare,
    perfect_identification,
    unconstrained_planner,
)
from jaxecon.models.information_pollution.portfolio import (
    COMPUTE,
    TAX,
    best_singles,
    failure_gaps,
    superadditivity,
)
from jaxecon.models.information_pollution.solver import HIGHEST, inner_start, lowest_moderation, visit
from jaxecon.models.information_pollution.turning import (
    LEVELS,
    given_trust_profit,
    response,
)

Scalar = Float[Array, ""]
Margin = Callable[[Params, Policy, PRNGKeyArray], Scalar]
NODES = 21


# C5.1 ------------------------------------------------------------------------------------------------------


def _cost_ratio(price: float, expected: float):
    def margin(p: Params, u: Policy, key) -> Scalar:
        # The closed form is at a = .5, z = 1, w = 1 and the two elasticities of the specification.
        one, base = jnp.ones_like(p.p_A), Params()
        c_L = ces_unit_cost(price * one, one, 0.5 * one, base.sigma_L.astype(one.dtype), one)
        c_H = ces_unit_cost(price * one, one, 0.5 * one, base.sigma_H.astype(one.dtype), one)
        return 5e-4 - jnp.abs(c_L / c_H - expected)

    return margin


# C5.2 ------------------------------------------------------------------------------------------------------


def _one_sign_change(p: Params, u: Policy, key) -> Scalar:
    """Smallest value of (5.5), counted positive below the equilibrium and negative above it, over ln a in [-5, 5]."""
    eq = equilibrium(p, u)
    grid = jnp.linspace(-HIGHEST, HIGHEST, 2 * NODES - 1, dtype=p.p_A.dtype)
    h = producers.flag_rates(p, u)
    found = jax.vmap(lambda a: visit(p, u, a, inner_start(p, u, a, h), h))(grid)
    away = jnp.abs(grid - eq.state.ln_a) > 0.05
    signed = found.slope * jnp.sign(eq.state.ln_a - grid)
    return jnp.min(jnp.where(away, jnp.where(found.gap < 1e-6, signed, -jnp.inf), jnp.inf))


def _global_maximum(p: Params, u: Policy, key) -> Scalar:
    """Profit at the equilibrium less the best deviation over ln a in [-5, 5], trust given, unit-free."""
    eq = equilibrium(p, u)
    grid = jnp.linspace(lowest_moderation(p, u), HIGHEST, 2 * NODES - 1, dtype=p.p_A.dtype)
    profit = jax.vmap(lambda a: given_trust_profit(p, u, a, eq))(grid)
    away = jnp.abs(grid - eq.state.ln_a) > 0.05
    best = jnp.max(jnp.where(away, profit, -jnp.inf))
    return (platform.platform_profit(p, u, eq.state) - best) / platform.money_scale(p)


# C5.3, C5.5 ------------------------------------------------------------------------------------------------


def _stack(*worlds):
    """Several parameter sets or policies as one batch."""
    return jax.tree.map(lambda *x: jnp.stack(x), *worlds)


def _failure_claims(p: Params, u: Policy, key) -> dict[str, Scalar]:
    """C5.3 through one copy of each planner. Neither planner depends on identification or on the cost of certifying.

    a: planner less market; b, c, d: what the best use of the other two instruments leaves of each failure, less 1e-9;
    e: 1e-8 less what the three together leave; f: the unconstrained planner less the planner over three margins.
    """
    ideal = perfect_identification(p, free_certification=True)
    best = margins_planner(ideal)
    gaps = failure_gaps(ideal, u, best.value)
    market, decentral = jax.vmap(market_welfare)(_stack(p, ideal), _stack(u, decentralization(ideal, best.x)))
    return {
        "C5.3a": best.value - market,
        "C5.3b": gaps["platform"] - 1e-9,
        "C5.3c": gaps["verification"] - 1e-9,
        "C5.3d": gaps["externality"] - 1e-9,
        "C5.3e": 1e-8 - jnp.abs(decentral - best.value),
        "C5.3f": unconstrained_planner(ideal).value - best.value,
    }


def _single_claims(p: Params, u: Policy, key) -> dict[str, Scalar]:
    """C5.5. a: the gap that the best single instrument leaves, less 1e-9; b: 1e-8 less what the three together leave;
    c: at u_0 = 0, 1e-4 less what a prohibitive tax alone leaves."""
    ideal = perfect_identification(p, free_certification=True)
    corner = eqx.tree_at(lambda q: q.u_0, ideal, jnp.zeros_like(p.u_0))
    ban = with_fields(u, (TAX,), jnp.full((1,), 3.0, p.p_A.dtype))
    best = jax.vmap(margins_planner)(_stack(ideal, corner))
    three = decentralization(ideal, best.x[0])
    three_left, ban_left = best.value - jax.vmap(market_welfare)(_stack(ideal, corner), _stack(three, ban))
    singles = jnp.stack(list(best_singles(ideal, u).values()))
    return {
        "C5.5a": best.value[0] - jnp.max(singles) - 1e-9,
        "C5.5b": 1e-8 - jnp.abs(three_left),
        "C5.5c": 1e-4 - jnp.abs(ban_left),
    }


# C5.4, C5.8, C5.9 ------------------------------------------------------------------------------------------


def _slope_claims(p: Params, u: Policy, key) -> dict[str, Scalar]:
    """Everything that is a slope of the equilibrium, through one copy of it.

    C5.9, at f = 0: largest welfare loss over provenance in (0, .95], its certification cost aside; and -dW/d(d'_0):
    sharper identification alone, nothing else changed.
    """
    r = response(p, u)
    turning = jnp.where(r.peak, jnp.exp(r.log_turning), jnp.nan)
    W = r.provenance.level
    return {
        "C5.4a": -r.here.welfare / r.here.frozen_index,
        "C5.4b": -r.here.welfare / r.here.index,
        "C5.8a": -r.here.exposure,
        "C5.8b": jnp.minimum(-r.dear.welfare, r.cheap.welfare),
        "C5.8c": turning,
        "C5.9a": W[0] - jnp.min(W[1:LEVELS]),
        "C5.9b": -r.provenance.welfare[-1],
    }


# C5.6 ------------------------------------------------------------------------------------------------------


def _superadditive_claims(p: Params, u: Policy, key) -> dict[str, Scalar]:
    """C5.6: what the three instruments gain together beyond the sum of their single gains; c, d: minus that at perfect
    identification."""
    found = jax.vmap(lambda q: superadditivity(q, u))(_stack(p, perfect_identification(p)))
    own, joint = found["own_optima"], found["joint_optimum"]
    return {"C5.6a": own[0], "C5.6b": joint[0], "C5.6c": -own[1], "C5.6d": -joint[1]}


# C5.10 --------------------------------------------------------------------------------------------------


def _tax_claims(p: Params, u: Policy, key) -> dict[str, Scalar]:
    """C5.10: best welfare by the compute tax alone less that by the tax on flags alone; b: minus that at perfect
    identification."""
    found = jax.vmap(lambda q: best_policies(q, u, ((COMPUTE,), (TAX,)), starts=4, steps=30).value)(
        _stack(p, perfect_identification(p))
    )
    lead = found[:, 0] - found[:, 1]
    return {"C5.10a": lead[0], "C5.10b": -lead[1]}


def _optimized(
    id: str, statement: str, expectation: Expectation, margin: Margin, draws: int, grade: str = "R"
) -> Claim:
    return Claim(id, statement, grade, expectation, margin, cost="optimization", max_draws=draws)


def _each(joint: Joint, rows: Sequence[tuple[str, str, Expectation, int, str]]) -> list[Claim]:
    """Parts that `joint` computes at once: id, statement, expectation, draws, grade."""
    return [_optimized(id, words, kind, part_of(joint, id), draws, grade) for id, words, kind, draws, grade in rows]


CLAIMS: tuple[Claim, ...] = (
    claim_of_parts("C5.1", "cheap AI cuts the cost of low quality by more: c_L/c_H at p_A = 1, .1, .01 is 1, .538, .118 (w = 1, mu = 0)",
                   "S", "exact", [
        Claim(f"C5.1{k}", f"c_L/c_H = {r} at p_A = {x}", "S", "exact", _cost_ratio(x, r))
        for k, x, r in (("a", 1.0, 1.0), ("b", 0.1, 0.538), ("c", 0.01, 0.118))
    ]),
    claim_of_parts("C5.2", "the Polluted Information Equilibrium is unique", "D", "region", [
        _optimized("C5.2a", "(5.5) changes sign once on ln a in [-5, 5]", "region", _one_sign_change, 4096, "D"),
        _optimized("C5.2b", "it is the global profit maximum at given trust", "region", _global_maximum, 4096),
    ]),
    claim_of_parts("C5.3", "the market is inefficient; each failure alone opens a gap; all three off: zero",
                   "D", "baseline", _each(_failure_claims, [
        ("C5.3a", "size of the gap W(planner) - W(market)", "report", 256, "R"),
        ("C5.3b", "platform governance alone opens a gap", "baseline", 64, "R"),
        ("C5.3c", "under-provided verification alone opens a gap", "baseline", 256, "R"),
        ("C5.3d", "the production externality alone opens a gap", "baseline", 256, "R"),
        ("C5.3e", "all three failures off: no gap", "exact", 256, "S"),
        ("C5.3f", "size of the fourth failure, the common-pool race for attention", "report", 256, "R"),
    ]), joint=_failure_claims),
    claim_of_parts("C5.4", "welfare falls in the Information Pollution Index (along the AI price)", "D", "region", [
        *parts_of(_slope_claims, [
            ("C5.4a", "-dW/dIPI > 0, weights frozen", "region", "D"),
            ("C5.4b", "-dW/dIPI > 0, weights endogenous", "region", "R"),
        ]),
        Claim("C5.4c", "deception has a positive weight: u_L > psi m e_L", "S", "region", lambda p, u, key: index.sign_condition(p)),
    ], joint=_slope_claims, note="holds only below a turning price: cheaper AI helps first"),
    claim_of_parts("C5.5", "no single instrument reaches first best, three together do under perfect identification",
                   "D", "baseline", _each(_single_claims, [
        ("C5.5a", "every single instrument leaves a gap (perfect identification)", "baseline", 64, "R"),
        ("C5.5b", "tax, provenance and f = 1 together reach first best", "exact", 256, "S"),
        ("C5.5c", "u_0 = 0: a prohibitive tax alone is first best", "region", 256, "R"),
    ]), joint=_single_claims),
    claim_of_parts("C5.6", "the three instruments gain more together than the sum of their single gains; substitutes at perfect identification",
                   "D", "region", _each(_superadditive_claims, [
        ("C5.6a", "superadditive at own optima", "region", 8192, "R"),
        ("C5.6b", "superadditive at the joint optimum", "region", 8192, "R"),
        ("C5.6c", "perfect identification: substitutes at own optima", "region", 8192, "R"),
        ("C5.6d", "perfect identification: substitutes at the joint optimum", "region", 8192, "R"),
    ]), joint=_superadditive_claims, note="the boundary in (d'_0, d'_1) is the study `superadditivity_map`"),
    claim_of_parts("C5.8", "as AI gets cheaper dilution rises, and welfare is an inverted U in -ln p_A",
                   "R", "region", parts_of(_slope_claims, [
        ("C5.8a", "x_L rises as p_A falls", "region", "R"),
        ("C5.8b", "welfare rises at p_A = 1 and falls at p_A = .01 as p_A falls", "region", "R"),
        ("C5.8c", "turning price", "report", "R"),
    ]), joint=_slope_claims),
    claim_of_parts("C5.9", "without fiduciary duty better provenance can lower welfare: it empowers an amplifying platform",
                   "R", "baseline", parts_of(_slope_claims, [
        ("C5.9a", "some level of provenance lowers welfare", "baseline", "R"),
        ("C5.9b", "sharper identification alone lowers welfare", "baseline", "R"),
    ]), joint=_slope_claims),
    claim_of_parts("C5.10", "with poor identification a compute tax beats the tax on flags; the order reverses at perfect identification",
                   "R", "baseline", _each(_tax_claims, [
        ("C5.10a", "poor identification: compute tax beats the tax on flags", "baseline", 256, "R"),
        ("C5.10b", "perfect identification: the tax on flags beats the compute tax", "baseline", 256, "R"),
    ]), joint=_tax_claims),
)  # fmt: skip
