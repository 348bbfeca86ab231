"""Claims of the static layer as code: C3.1 to C3.4 and C3.8."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import Claim, claim_of_parts, part_of
from jaxecon.models.supply_shock import market
from jaxecon.models.supply_shock.accounts import accounts, pigou_charge, welfare_no_ai
from jaxecon.models.supply_shock.equilibrium import equilibrium, no_ai_cutoff, other_starts
from jaxecon.models.supply_shock.market import Cutoffs
from jaxecon.models.supply_shock.params import Params, Policy
from jaxecon.models.supply_shock.planner import (
    charge_for_revenue,
    choke_charge,
    choke_cost,
    social_optimum,
    welfare_of,
    with_charge,
)
from jaxecon.models.supply_shock.threshold import at, beta_local, beta_star, free_ai_gain

Margin = Float[Array, ""]


def solved_or_nan(status: Array, value: Array) -> Margin:
    """The margin where the equilibrium was found; not a number elsewhere, so that the draw counts as unsolved."""
    return jnp.where(status == 0, value, jnp.nan)


# C3.1
def unique_volume(p: Params, u: Policy, key: PRNGKeyArray) -> Margin:
    """1e-6 less the largest gap in AI volume and coverage between the equilibrium and those from other starts."""
    eq, others = equilibrium(p, u), other_starts(p, u)

    def both(x: Cutoffs) -> Array:
        return jnp.stack([market.ai_volume(p, x), market.coverage(p, x)])

    gaps = jnp.max(jnp.abs(jax.vmap(both)(others.cutoffs) - both(eq.cutoffs)), axis=1)
    valid = (others.status == 0) & jnp.isfinite(gaps)
    worst = jnp.max(jnp.where(valid, gaps, 0.0))
    return solved_or_nan(eq.status, 1e-6 - worst)


def three_segments(p: Params, u: Policy, key: PRNGKeyArray) -> Margin:
    """Shortest of the segments exit, AI, human by rising skill; negative where low-skill humans come between."""
    eq = equilibrium(p, u)
    x = eq.cutoffs
    shortest = jnp.minimum(jnp.minimum(x.s_0, x.s_H - x.s_1), 1 - x.s_H)
    low_humans = x.s_1 - x.s_0
    return solved_or_nan(eq.status, jnp.where(low_humans > 1e-9, -low_humans, shortest))


# C3.2
def active_quality_density(p: Params, x: Cutoffs, q: Float[Array, " k"], width: float) -> Float[Array, " k"]:
    """Density of the quality of active creators, smoothed by a logistic kernel of the given width."""
    s = (jnp.arange(512, dtype=q.dtype) + 0.5) / 512
    weight = market.skill_density(p.skill_law, s) / 512
    human = ((s >= x.s_0) & (s < x.s_1)) | (s >= x.s_H)
    with_ai = (s >= x.s_1) & (s < x.s_H)
    own = jnp.where(human, market.human_quality(p, s), market.ai_quality(p, s))
    weight = jnp.where(human | with_ai, weight, 0.0)
    kernel = jax.nn.sigmoid((q[:, None] - own) / width) * jax.nn.sigmoid((own - q[:, None]) / width) / width
    return kernel @ weight / jnp.sum(weight)


def bimodality(density: Float[Array, " k"]) -> Float[Array, ""]:
    """Depth of the deepest valley as a share of the lower of its two sides; 0 if there is one mode."""
    left = jax.lax.cummax(density)
    right = jax.lax.cummax(density, reverse=True)
    lower = jnp.minimum(left, right)
    return jnp.max(jnp.where(lower > 1e-3, 1 - density / jnp.maximum(lower, 1e-3), 0.0))


def two_modes(p: Params, u: Policy, key: PRNGKeyArray) -> Margin:
    """With Beta(2,2): a valley of a tenth of its lower side or deeper after AI, none so deep before."""
    q = dataclasses.replace(p, skill_law="beta22")
    eq = equilibrium(q, u)
    grid = jnp.linspace(0.0, 1.1, 161, dtype=p.q_A.dtype) * jnp.maximum(p.alpha, p.q_A)
    alone = no_ai_cutoff(q)
    empty = Cutoffs(alone, alone, alone)
    before, after = (bimodality(active_quality_density(q, x, grid, 0.015)) for x in (empty, eq.cutoffs))
    return solved_or_nan(eq.status, jnp.minimum(after - 0.1, 0.1 - before))


# C3.3
def single_crossing(p: Params, u: Policy, key: PRNGKeyArray) -> Margin:
    """Smallest secant slope of the gain from free AI through its root in beta: positive if it changes sign once."""
    star = beta_star(p, u)
    grid = jnp.linspace(0.0, 2.0, 25, dtype=star.beta.dtype) * p.theta_max
    gain = jax.lax.map(lambda b: free_ai_gain(b, (p, u)), grid)
    secant = gain / (star.beta - grid)
    near = jnp.abs(star.beta - grid) < 1e-6
    return jnp.where(star.found, jnp.min(jnp.where(near, jnp.inf, secant)), -jnp.abs(gain[0]))


def local_above_level(p: Params, u: Policy, key: PRNGKeyArray) -> Margin:
    """Local threshold less beta_star."""
    star, local = beta_star(p, u), beta_local(p, u)
    return jnp.where(star.found & local.found, local.beta - star.beta, jnp.nan)


# C3.4
def _response(p: Params, u: Policy) -> tuple[Array, Array, Array, Array]:
    """Along the charge: dW, dD, the wedge tau - S Phi'(D) at `u`, and the status."""

    def both(charge: Array) -> tuple[Array, tuple[Array, Array]]:
        v = with_charge(u, charge)
        eq = equilibrium(p, v)
        values = jnp.stack([welfare_of(p, v, eq), market.ai_volume(p, eq.cutoffs)])
        return values, (charge - pigou_charge(p, v, eq.cutoffs), eq.status)

    start = u.volume_charge
    _, slopes, (wedge, status) = jax.jvp(both, (start,), (jnp.ones_like(start),), has_aux=True)
    return slopes[0], slopes[1], wedge, status


def peak_ratio(p: Params, u: Policy, key: PRNGKeyArray) -> Margin:
    """D_peak/D_A: AI volume at the social optimum over that of the market."""
    eq, best = equilibrium(p, u), social_optimum(p, u)
    ratio = market.ai_volume(p, best.cutoffs) / market.ai_volume(p, eq.cutoffs)
    return jnp.where((eq.status == 0) & best.solved, ratio, jnp.nan)


class _Along(NamedTuple):
    """Welfare, AI volume and marginal damage at a charge and an AI cost; the status; welfare without AI; the gap between
    AI's quality and the lowest above it."""

    welfare: Array
    volume: Array
    damage: Array
    status: Array
    without_ai: Array
    middle: Array


def shape_claims(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Margin]:
    r"""C3.2a and C3.4a, b, d through one copy of the equilibrium.

    C3.2a: gap in the middle of the quality range, alpha s_H - q_A. C3.4a: 1e-7 less the relative error of
    dW = [tau - S Phi'(D)] dD along a charge. C3.4b: the smaller of two slopes of W in volume, -dW/dD at the market's
    volume, and dW/dD where AI content vanishes (the choke charge less $S \beta \eta$ without AI: positive exactly if
    $\beta < \beta_1$ at D = 0). C3.4d: along c_A the opposite shape, welfare falls at c_A = 0, and near the choke lies
    below that without AI.
    """
    low = with_charge(u, jnp.zeros_like(u.volume_charge))
    here = u.volume_charge
    charges = jnp.stack([here + 0.01, low.volume_charge, here, here, here])
    costs = jnp.stack([p.c_A, p.c_A, jnp.zeros_like(p.c_A), 0.85 * choke_cost(p, u), p.c_A])

    def along(charge: Array, cost: Array) -> _Along:
        q, v = at(p, p.beta, cost), with_charge(u, charge)
        eq = equilibrium(q, v)
        without = welfare_no_ai(q, eq.no_ai_cutoff)
        damage = pigou_charge(q, v, eq.cutoffs)
        middle = market.human_quality(q, eq.cutoffs.s_H) - q.q_A
        return _Along(welfare_of(q, v, eq), market.ai_volume(q, eq.cutoffs), damage, eq.status, without, middle)

    def with_slopes(charge: Array, cost: Array, by_charge: Array, by_cost: Array) -> tuple[_Along, Array, Array]:
        found, slope = jax.jvp(along, (charge, cost), (by_charge, by_cost))
        return found, slope.welfare, slope.volume

    direction = jnp.asarray([1.0, 1.0, 0.0, 0.0, 1.0], p.q_A.dtype)
    found, d_w, d_d = jax.vmap(with_slopes)(charges, costs, direction, 1 - direction)
    wedge = charges[0] - found.damage[0]
    error = jnp.abs(d_w[0] - wedge * d_d[0]) / (jnp.abs(d_w[0]) + jnp.abs(d_d[0]) * p.theta_max * p.q_A + 1e-12)
    alone = no_ai_cutoff(p)
    first = choke_charge(p, low) - pigou_charge(p, low, Cutoffs(alone, alone, alone))
    rise = (found.without_ai[3] - found.welfare[3]) / (p.theta_max * p.alpha)
    return {
        "C3.2a": solved_or_nan(found.status[4], found.middle[4]),
        "C3.4a": solved_or_nan(found.status[0], 1e-7 - error),
        "C3.4b": solved_or_nan(found.status[1], jnp.minimum(found.damage[1], first)),
        "C3.4d": solved_or_nan(found.status[2] + found.status[3], jnp.minimum(-d_w[2] / p.alpha, rise)),
    }


# C3.8
def pigou_stationary(p: Params, u: Policy, key: PRNGKeyArray) -> Margin:
    """1e-7 less |dW/dtau| at the Pigou charge, in units of AI volume."""
    best = social_optimum(p, u)
    d_w, d_d, _, status = _response(p, with_charge(u, best.charge))
    error = jnp.abs(d_w) / (jnp.abs(d_d) * p.theta_max * p.q_A + 1e-12)
    return jnp.where(best.solved, solved_or_nan(status, 1e-7 - error), jnp.nan)


def pigou_global(p: Params, u: Policy, key: PRNGKeyArray) -> Margin:
    """Welfare at the Pigou charge less the highest on a grid of charges from zero to the choke; 1e-9 allowed."""
    best = social_optimum(p, u)
    charges = jnp.linspace(0.0, 1.0, 17, dtype=best.charge.dtype) * choke_charge(p, u)

    def welfare(charge: Array) -> Array:
        v = with_charge(u, charge)
        eq = equilibrium(p, v)
        return jnp.where(eq.status == 0, welfare_of(p, v, eq), -jnp.inf)

    highest = jnp.max(jax.lax.map(welfare, charges))
    return jnp.where(best.solved, best.welfare - highest + 1e-9, jnp.nan)


def charge_beats_levy(p: Params, u: Policy, key: PRNGKeyArray) -> Margin:
    """Welfare under the charge less that under a small levy of equal revenue; equal (1e-9 allowed) if pooled."""
    none = with_charge(u, jnp.zeros_like(u.volume_charge))
    levied = eqx.tree_at(lambda v: v.input_levy, none, 0.02 + jnp.zeros_like(u.input_levy))
    eq = equilibrium(p, levied)
    revenue = accounts(p, levied, eq.cutoffs).public_revenue
    plain = eqx.tree_at(lambda v: v.input_levy, none, jnp.zeros_like(u.input_levy))
    charge = charge_for_revenue(p, plain, revenue, 0.02 * p.q_A * 1.0001)
    charged = with_charge(plain, charge)
    with_it = equilibrium(p, charged)
    gain = welfare_of(p, charged, with_it) - welfare_of(p, levied, eq)
    raised = accounts(p, charged, with_it.cutoffs).public_revenue
    good = (eq.status == 0) & (with_it.status == 0) & (jnp.abs(raised - revenue) < 1e-8)
    return jnp.where(good, gain + 1e-9, jnp.nan)


def _claim(id, statement, expectation, margin, grade="R", **more):
    return Claim(id=id, statement=statement, grade=grade, expectation=expectation, margin=margin, **more)


_OPTIMIZED = {"cost": "optimization", "max_draws": 256}

_C31 = (
    _claim("C3.1a", "AI volume and coverage are the same from every start", "region", unique_volume,
           cost="optimization", max_draws=2048),
    _claim("C3.1b", "three segments by rising skill: exit, AI, human", "region", three_segments),
)  # fmt: skip
_C32 = (
    _claim("C3.2a", "the middle of the quality range is empty: alpha s_H > q_A", "baseline",
           part_of(shape_claims, "C3.2a")),
    _claim("C3.2b", "with Beta(2,2) the quality of active creators has one mode before AI and two after", "baseline",
           two_modes),
)  # fmt: skip
_C33 = (
    _claim("C3.3a", "W(c_A = 0) less W without AI changes sign once in beta, at beta*", "baseline", single_crossing,
           **_OPTIMIZED),
    _claim("C3.3b", "the local threshold, dW/dc_A = 0 at c_A = 0, lies above beta*", "baseline", local_above_level,
           **_OPTIMIZED),
)  # fmt: skip
_C34 = (
    _claim("C3.4a", "along a charge dW/dD = tau(D) - S Phi'(D)", "exact", part_of(shape_claims, "C3.4a")),
    _claim("C3.4b", "welfare is an inverted U of AI volume", "baseline", part_of(shape_claims, "C3.4b")),
    _claim("C3.4d", "along c_A welfare falls, then rises", "baseline", part_of(shape_claims, "C3.4d")),
)  # fmt: skip
_C38 = (
    _claim("C3.8a", "at the charge tau* = S beta eta/(1 + eta D_A) welfare is stationary", "exact", pigou_stationary,
           **_OPTIMIZED),
    _claim("C3.8b", "no other charge gives more welfare than tau*", "region", pigou_global, **_OPTIMIZED),
    _claim("C3.8c", "at equal revenue the charge is at least as good as the levy", "region", charge_beats_levy,
           **_OPTIMIZED),
)  # fmt: skip

CLAIMS = (
    claim_of_parts("C3.1", "The equilibrium is unique and has three segments (Prop. 3.3)", "R", "region", _C31),
    claim_of_parts(
        "C3.2", "Creation becomes hollow in the middle (Lemma 3.2)", "R", "baseline", _C32, joint=shape_claims
    ),
    claim_of_parts("C3.3", "Above beta* free AI lowers welfare (Prop. 3.1)", "R", "baseline", _C33),
    claim_of_parts(
        "C3.4", "What moves AI volume decides the shape of welfare", "R", "baseline", _C34, joint=shape_claims
    ),
    _claim("C3.4c", "D_peak/D_A, optimal over market AI volume", "report", peak_ratio, **_OPTIMIZED),
    claim_of_parts("C3.8", "A Pigou charge on volume maximizes welfare; a levy does no better", "R", "region", _C38),
)
