r"""The transition as an equilibrium of the static contract: certificate and outcomes, with AI and without."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxecon.core import model as core
from jaxecon.models.ai_growth import accounts, ledger
from jaxecon.models.ai_growth.countries import countries_2060, imitation_boundary, tipping_gap
from jaxecon.models.ai_growth.economy import Unknowns, Year, year
from jaxecon.models.ai_growth.outcome_fields import Outcomes
from jaxecon.models.ai_growth.params import Params, Policy
from jaxecon.models.ai_growth.transition import beside, setting, transition

Scalar = Float[Array, ""]
NO_BASE, BRANCH_ENDS = core.FIRST_REASON, core.FIRST_REASON + 1
REASONS = {
    NO_BASE: (
        "NO_BASE",
        "no transition without AI was found: neither at once nor as the demand shock and its scars rose in small steps",
    ),
    BRANCH_ENDS: ("BRANCH_ENDS", "the transition exists without AI, but the branch ends before AI is fully on"),
}


class Equilibrium(core.Equilibrium):
    """The economy along the transition without and with AI, `[T]` each, and the unknowns behind both, `[2, 11, T]`."""

    without_ai: Year
    with_ai: Year
    x: Array


def equilibrium(p: Params, u: Policy) -> Equilibrium:
    """Solve the transition with AI, and without: that is what its effect is measured against."""
    found = transition(p, u)

    def economy(q: Params, x: Array) -> Year:
        given = setting(q, u)
        return year(given.p, given.u, given.at, given.now, Unknowns(*x))

    both = beside(economy, p, found.x)
    without, with_ai = (jax.tree.map(lambda v, k=k: v[k], both) for k in (0, 1))
    status = jnp.where(found.stage == 2, core.SOLVED, jnp.where(found.stage >= 1, BRANCH_ENDS, NO_BASE))
    return Equilibrium(status.astype(jnp.int32), without, with_ai, found.x)


def outcomes(p: Params, u: Policy, eq: Equilibrium) -> Outcomes:
    """All outcomes of a transition."""
    off, on = eq.without_ai, eq.with_ai
    ln_off, ln_on = accounts.chained_output(off), accounts.chained_output(on)
    effect = (ln_on - ln_off)[: accounts.REPORTED]
    extra, growth = jnp.diff(effect), jnp.diff(ln_on)
    peak = accounts.top(extra)
    a = accounts.automation_share(on)
    takeoff, maturity = accounts.inflections(a)
    owner, worker = accounts.utility(p, on)
    owner_off, worker_off = accounts.utility(p, off)
    rate = (on.r - off.r)[: accounts.REPORTED - 1]
    used = jnp.exp(on.ln_u[:15])
    labor, debt = accounts.labor_share(on), on.B / on.GDP
    real_wage = jnp.log(on.w / on.P) - jnp.log(off.w / off.P)
    x_2060, g_1, g_2 = countries_2060(p, u)
    y30, y35, y60 = 10, 15, 40
    return Outcomes(
        welfare=p.n_o * owner + (1 - p.n_o) * worker,
        welfare_owners=owner,
        welfare_workers=worker,
        gain_owners=accounts.as_consumption(p, owner - owner_off),
        gain_workers=accounts.as_consumption(p, worker - worker_off),
        effect_2030=jnp.expm1(effect[y30]),
        effect_2035=jnp.expm1(effect[y35]),
        effect_2060=jnp.expm1(effect[y60]),
        extra_growth=(effect[y35] - effect[3]) / 12,
        extra_growth_2035=extra[y35 - 1],
        peak_growth=peak.value,
        peak_year=2021 + peak.place,
        growth_2035=growth[y35 - 1],
        growth_2060=growth[y60 - 1],
        consumption_growth_2060=jnp.diff(jnp.log(accounts.real_consumption(on)))[y60 - 1],
        automation_2035=a[y35],
        automation_2060=a[y60],
        takeoff=takeoff,
        maturity=maturity,
        ai_cost_2035=(on.v_s / on.w)[y35],
        energy_unit_2035=(on.energy / on.M)[y35] / (on.energy / on.M)[0] * jnp.exp(on.ln_u[0] - on.ln_u[y35]),
        energy_use_2035=on.energy[y35] / on.energy[0],
        rate_2035=on.r[y35],
        rate_effect_2035=rate[y35],
        rate_effect_low=accounts.lowest(rate),
        utilization_low=accounts.lowest(used),
        utilization_mean=jnp.mean(used),
        labor_share_2035=labor[y35],
        labor_share_2060=labor[y60],
        labor_share_goods_2060=(1 - p.alpha) * (1 - on.theta_g[y60]),
        labor_share_services_2060=(1 - p.alpha) * (1 - on.theta_s[y60]),
        services_value_2060=accounts.services_value(on)[y60],
        goods_labor_2060=accounts.goods_labor(on)[y60],
        goods_labor_base_2060=accounts.goods_labor(off)[y60],
        wage_effect_2035=jnp.expm1(real_wage[y35]),
        consumption_gap_2060=(on.X_o / on.X_w)[y60] * (1 - p.n_o) / p.n_o,
        debt_2035=debt[y35],
        debt_2060=debt[y60],
        lead_2060=x_2060,
        growth_leader_2060=g_1,
        growth_follower_2060=g_2,
        tipping_gap=tipping_gap(p),
        imitation_boundary=imitation_boundary(p),
    )


def identities(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Scalar]:
    """Largest residual over all years of each equation of the specification, and of the identities that follow; with AI and without."""
    p, u, eq = jax.lax.stop_gradient((p, u, eq))

    def check(q: Params, at: tuple[Array, Year]) -> dict[str, Scalar]:
        x, e = Unknowns(*at[0]), at[1]
        given = setting(q, u)
        checked = ledger.equations(given, x, e) | ledger.identities(given, x, e)
        return {name: jnp.max(jnp.abs(r)) for name, r in checked.items()}

    economies = jax.tree.map(lambda *v: jnp.stack(v), eq.without_ai, eq.with_ai)
    return {name: jnp.max(r) for name, r in beside(check, p, (eq.x, economies)).items()}


def branches(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Bool[Array, ""]]:
    """Which kind of transition it is."""
    idle = -eq.with_ai.ln_u[: accounts.REPORTED]
    effect = accounts.chained_output(eq.with_ai) - accounts.chained_output(eq.without_ai)
    return {
        "LOWER_BOUND_BINDS": jnp.any(idle > 1e-3),
        "AI_RAISES_OUTPUT": effect[40] > 0,
        "AI_LOWERS_WAGES": (eq.with_ai.w / eq.with_ai.P)[15] < (eq.without_ai.w / eq.without_ai.P)[15],
        "RATE_ABOVE_GROWTH": eq.with_ai.r[39] > (jnp.log(eq.with_ai.GDP[40]) - jnp.log(eq.with_ai.GDP[39])),
    }
