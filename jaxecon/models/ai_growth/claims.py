"""Claims of the macro report as functions of one draw: positive margin where the claim holds."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.fields import with_fields
from jaxecon.core.model import Claim, Expectation, Joint, Part, claim_of_parts, part_of, parts_of
from jaxecon.models.ai_growth.accounts import chained_output, goods_labor, real_consumption
from jaxecon.models.ai_growth.claims_closed import boundary_claims, debt_claim, growth_claims, rest_claims, task_claims
from jaxecon.models.ai_growth.equilibrium import equilibrium
from jaxecon.models.ai_growth.params import Params, Policy

Scalar = Float[Array, ""]
Margins = dict[str, Scalar]
# Half of the last digit of a number printed in hundredths of a percentage point, and of one in tenths of a percent.
HUNDREDTHS, TENTHS = 5.1e-5, 5.1e-4


class Seen(NamedTuple):
    """What the claims read off one transition: numbers, and paths from 2020 on."""

    status: Array
    effect: Array
    growth: Array
    r: Array
    r_without: Array
    u: Array
    debt: Array
    GDP: Array
    consumption: Array
    labor_goods: Array
    labor_goods_without: Array
    energy_unit: Array
    energy_use: Array


def look(p: Params, u: Policy) -> Seen:
    """The transition with AI and the one without."""
    eq = equilibrium(p, u)
    on, off = eq.with_ai, eq.without_ai
    ln_on, ln_off = chained_output(on), chained_output(off)
    unit = on.energy / (on.M * jnp.exp(on.ln_u))
    return Seen(
        status=eq.status, effect=ln_on - ln_off, growth=jnp.diff(ln_off), r=on.r, r_without=off.r, u=jnp.exp(on.ln_u),
        debt=on.B_next / ((1 + on.r) * on.GDP), GDP=ln_on, consumption=jnp.log(real_consumption(off)), labor_goods=goods_labor(on),
        labor_goods_without=goods_labor(off), energy_unit=unit / unit[0], energy_use=on.energy / on.energy[0],
    )  # fmt: skip


# Scenarios -------------------------------------------------------------------------------------------------

SLUMP = {"dem": 0.06, "r_min": 0.045}
SCARRED = {"eta_u": 0.3}
SPENDING, SPENT_YEARS = 0.02, 6
# A slump is one where utilization of 2020 is below this: the floor binds.
SLACK = 0.999
# Productivity on its long-run path soon, and hardly any goods in expenditure: what services-led growth tends to.
SERVICES = {"rho_g": 0.5, "omega": 0.01, "ai_on": 0.0}
WIDER = 0.01


def scenarios(p: Params, u: Policy) -> dict[str, tuple[Params, Policy]]:
    """The draw, and what the claims compare with it; all policies carry a path of deficits, in force in the years that it says."""
    p = dataclasses.replace(p, t_on=0, t_off=p.T)
    t = jnp.arange(p.T, dtype=p.alpha.dtype)

    def world(**values: float | Array) -> Params:
        return with_fields(p, tuple(values), tuple(jnp.full_like(p.alpha, 1) * v for v in values.values()))

    def deficit(years: int) -> Policy:
        return with_fields(u, ("deficit_shift",), (jnp.where(t < years, SPENDING, 0.0),))

    ramsey = {"chi": 0.0, "gg_0": p.g_inf, "gs_0": p.gs_inf, "ai_on": 0.0}
    return {
        "draw": (p, deficit(0)),
        "deficit": (p, deficit(SPENT_YEARS)),
        "slump": (world(**SLUMP), deficit(0)),
        "slump, deficit": (world(**SLUMP), deficit(SPENT_YEARS)),
        "scarred slump": (world(**SLUMP, **SCARRED), deficit(0)),
        "scarred slump, deficit": (world(**SLUMP, **SCARRED), deficit(SPENT_YEARS)),
        "services": (world(**SERVICES), deficit(0)),
        "ramsey": (world(**ramsey), deficit(0)),
        "efficient": (world(ge=p.ge * (1 + WIDER)), deficit(0)),
        "inefficient": (world(ge=p.ge * (1 - WIDER)), deficit(0)),
    }


def scenarios_seen(p: Params, u: Policy) -> dict[str, Seen]:
    """The transitions of all scenarios, by name."""
    cases = scenarios(p, u)
    points = jax.tree.map(lambda *x: jnp.stack(x), *cases.values())
    found = lax.map(lambda x: look(*x), points)
    return {name: jax.tree.map(lambda x, k=k: x[k], found) for k, name in enumerate(cases)}


# C8.1, C8.4 to C8.7, C8.9 over transitions -----------------------------------------------------------------

EXTRA = {2022: 0.0002, 2026: 0.0019, 2029: 0.0069, 2031: 0.0107, 2035: 0.0150}
PEAK, PEAK_YEAR = 0.0170, 2042


def _growth_effect(d: Seen) -> Margins:
    """C8.1: level and growth that AI adds, in logs but for the level."""
    extra = jnp.diff(d.effect)[:40]
    told = jnp.stack([extra[y - 2021] for y in EXTRA])
    mean = (d.effect[15] - d.effect[3]) / 12
    gaps = jnp.append(told - jnp.asarray(list(EXTRA.values()), told.dtype), jnp.max(extra) - PEAK)
    return {
        "C8.1a": HUNDREDTHS - jnp.abs(jnp.expm1(d.effect[15]) - 0.098),
        "C8.1b": TENTHS - jnp.abs(mean - 0.008),
        "C8.1c": jnp.min(jnp.diff(told)),
        "C8.1d": HUNDREDTHS - jnp.max(jnp.abs(jnp.append(gaps, mean - 0.0077))),
        "C8.1e": 0.5 - jnp.abs(2021.0 + jnp.argmax(extra) - PEAK_YEAR),
        "C8.1f": d.effect[15] / 10,
    }


def _sectors(p: Params, d: Seen, services: Seen) -> Margins:
    """C8.4: growth that services lead, ten years before the end of a path without transitional growth, and whether half of the gap of
    2050 has closed by then; labor that leaves them."""
    limit = p.gs_inf + p.alpha * p.g_inf / (1 - p.alpha)
    at = p.T - 11
    gap = jnp.abs(jnp.diff(services.consumption) - limit)
    both = jnp.stack([d.labor_goods[40] - 0.506, d.labor_goods_without[40] - 0.458])
    return {
        "C8.4a": gap[30] / 2 - gap[at],
        "C8.4b": services.growth[at] - limit - 5e-4,
        "C8.4c": d.labor_goods[40] - d.labor_goods_without[40],
        "C8.4d": TENTHS - jnp.max(jnp.abs(both)),
    }


def _rates(d: Seen, slump: Seen, helped: Seen) -> Margins:
    """C8.5: the natural rate with AI against without; utilization of 2020 in a slump, with deficits and without."""
    change = (d.r - d.r_without)[:40]
    as_told = jnp.min(jnp.where(jnp.arange(40) < 7, -change, change))
    size = TENTHS - jnp.abs(change[15] - 0.011)
    least = HUNDREDTHS - jnp.abs(jnp.min(change) + 0.0006)
    u = jnp.stack([slump.u[0] - 0.986, helped.u[0] - 0.992])
    slack = slump.u[0] < SLACK
    return {
        "C8.5a": -jnp.min(change) - 5e-4,
        "C8.5b": -change[15],
        "C8.5c": jnp.minimum(as_told, jnp.minimum(size, least)),
        "C8.5d": jnp.where(slack, helped.u[0] - slump.u[0], jnp.nan),
        "C8.5e": 1e-3 - jnp.max(jnp.abs(u)),
    }


def _energy(d: Seen, efficient: Seen, inefficient: Seen) -> Margins:
    """C8.6 in 2035; the elasticity of energy use by energy per unit is that of faster efficiency growth from 2020 on."""
    use, unit = (jnp.log(getattr(efficient, n) / getattr(inefficient, n))[15] for n in ("energy_use", "energy_unit"))
    return {
        "C8.6a": jnp.minimum(0.0051 - jnp.abs(d.energy_unit[15] - 0.23), 0.051 - jnp.abs(d.energy_use[15] - 5.8)),
        "C8.6b": 0.01 - jnp.abs(use / unit - 0.95),
        "C8.6c": -use / unit,
    }


def _deficits(d: Seen, spent: Seen, scarred: Seen, helped: Seen) -> Margins:
    """C8.7: six years of deficits of 2 % of GDP from 2020, without slack and in a slump that leaves scars; where that has no
    transition, only the first."""
    debt, debt_slack = spent.debt[40] - d.debt[40], helped.debt[40] - scarred.debt[40]
    output, output_slack = spent.GDP - d.GDP, helped.GDP - scarred.GDP
    slack = (scarred.u[0] < SLACK) & (scarred.status == 0) & (helped.status == 0)
    gaps = jnp.stack([debt - 0.008, debt_slack - 0.008, output[15] + 0.003, output_slack[40] - 0.010])
    return {
        "C8.7a": -debt,
        "C8.7b": jnp.where(slack, -debt_slack, jnp.nan),
        "C8.7c": jnp.where(slack, output_slack[40], jnp.nan),
        "C8.7d": jnp.where(slack, TENTHS - jnp.max(jnp.abs(gaps)), jnp.nan),
    }


def transition_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """All claims over transitions: ten scenarios in one program; NaN where a scenario has no solution."""
    s = scenarios_seen(p, u)
    ramsey = jnp.expm1(p.g_inf / (1 - p.alpha) - jnp.log(p.beta))
    groups = (
        (("draw",), _growth_effect(s["draw"])),
        (("draw", "services"), _sectors(p, s["draw"], s["services"])),
        (("draw", "slump", "slump, deficit"), _rates(s["draw"], s["slump"], s["slump, deficit"])),
        (("draw", "efficient", "inefficient"), _energy(s["draw"], s["efficient"], s["inefficient"])),
        (("draw", "deficit"),
         _deficits(s["draw"], s["deficit"], s["scarred slump"], s["scarred slump, deficit"])),
        (("ramsey",), {"C8.9a": jnp.abs(s["ramsey"].r_without[30] - ramsey) / 2 - jnp.abs(s["ramsey"].r_without[60] - ramsey)}),
    )  # fmt: skip
    margins = {}
    for needs, found in groups:
        solved = jnp.all(jnp.stack([s[name].status == 0 for name in needs]))
        margins |= {name: jnp.where(solved, x, jnp.nan) for name, x in found.items()}
    return margins


def two_country_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """C8.3, all parts."""
    return {**boundary_claims(p, u, key), **rest_claims(p, u, key)}


def _exposure(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """Largest mean exposure that any mix of the two sectors gives, less the 60 % of advanced economies."""
    return jnp.maximum(p.x_g, p.x_s) - 0.6


# The table -------------------------------------------------------------------------------------------------

OVER_TRANSITIONS = {"cost": "path", "max_draws": 32}


def _group(joint: Joint, id: str, statement: str, grade: str, expectation: Expectation, parts: list[Part], note: str = "", **limits) -> Claim:  # fmt: skip
    return claim_of_parts(id, statement, grade, expectation, parts_of(joint, parts, **limits), joint=joint, note=note)


def _transitions(id: str, statement: str, expectation: Expectation, parts: list[Part], note: str = "") -> Claim:
    return _group(transition_claims, id, statement, "D", expectation, parts, note, **OVER_TRANSITIONS)


CLAIMS = (
    _transitions("C8.1", "AI adds 9.8 % to GDP in 2035; extra growth is low at first, then rises", "calibrated", [
        ("C8.1a", "9.8 % within .005 (the speed of diffusion is fitted to it)", "calibrated", "D"),
        ("C8.1b", "mean extra growth 2023-2035 is .8 points to the last digit", "calibrated", "D"),
        ("C8.1c", "extra growth rises from 2022 by way of 2026, 2029, 2031 to 2035", "baseline", "D"),
        ("C8.1d", ".02, .19, .69, 1.07, 1.50 in these years, peak 1.70, mean .77", "calibrated", "R"),
        ("C8.1e", "the peak is in 2042", "calibrated", "R"),
        ("C8.1f", "extra growth a year that ten years would need", "report", "D"),
    ], "the report's 9.8 % and .8 points agree over twelve years, not ten"),
    _group(growth_claims, "C8.2", "scale and lead raise growth where research counts; without it the follower is faster", "D", "exact", [
        ("C8.2a", "with nu > 0 a larger country grows faster", "exact", "R"),
        ("C8.2b", "with nu > 0 a country that leads grows faster than if it followed", "exact", "R"),
        ("C8.2c", "with nu = fm = 0 growth does not depend on size", "exact", "S"),
        ("C8.2d", "with nu = fm = 0 the follower's technology grows faster", "exact", "S"),
    ], "alone, without a transition"),
    _group(two_country_claims, "C8.3", "imitation faster than kap* closes a gap, slower lets it grow", "R", "region", [
        ("C8.3a", "kap* at five dates of the second inflection and four gains of imitation, equals", "calibrated", "R"),
        ("C8.3b", "a later second inflection raises kap*, AI in imitation lowers it, equals", "region", "R"),
        ("C8.3c", "between equals the lead in 2060 is larger than today's just below kap*, smaller just above", "exact", "R"),
        ("C8.3d", "kap* at the sizes of the draw (negative: the follower catches up without imitation)", "report", "R"),
        ("C8.3e", "rest points x = -h W_b(-Dg/(kap h))", "exact", "S"),
        ("C8.3f", "b = 0 is stable, b = -1 tips", "exact", "S"),
        ("C8.3g", "both meet at x = h where kap = e Dg/h, and part with its root", "exact", "S"),
    ]),
    _transitions("C8.4", "services lead growth; they automate faster, so that labor moves to goods", "baseline", [
        ("C8.4a", "without AI growth of consumption tends to g_s + alpha g_g/(1 - alpha): half of the gap of 2050 is closed ten years before the end", "limit", "S"),
        ("C8.4b", "growth of GDP does not: investment is goods", "limit", "S"),
        ("C8.4c", "a larger share of labor works in goods in 2060 with AI than without", "region", "R"),
        ("C8.4d", ".506 of labor in goods in 2060 with AI, .458 without", "calibrated", "R"),
    ]),
    _transitions("C8.5", "AI lowers the natural rate; in a slump deficits raise utilization", "baseline", [
        ("C8.5a", "the rate falls by more than .05 points at some date", "region", "D"),
        ("C8.5b", "the rate is lower in 2035", "baseline", "D"),
        ("C8.5c", "lower in 2020-26 only, by .06 points at most; 1.1 points higher in 2035", "calibrated", "R"),
        ("C8.5d", "deficits of 2 % of GDP raise utilization in a slump", "baseline", "D"),
        ("C8.5e", "utilization .986 in the slump, .992 with deficits", "calibrated", "R"),
    ], "dem .06 and r_min .045 for the slump, evaluated where the floor then binds; deficits of six years from 2020"),
    _transitions("C8.6", "energy per unit falls to .23, energy use of AI rises 5.8 times", "baseline", [
        ("C8.6a", ".23 and 5.8 in 2035", "calibrated", "R"),
        ("C8.6b", "use moves with energy per unit by .95: scale, not rebound", "calibrated", "R"),
        ("C8.6c", "true rebound: less energy per unit raises use", "region", "R"),
    ]),
    claim_of_parts("C8.7", "deficits pay for themselves", "D", "region", [
        *parts_of(transition_claims, [
            ("C8.7a", "without slack the debt ratio of 2060 is lower", "baseline", "D"),
            ("C8.7b", "in a slump that leaves scars (eta_u = .3) it is lower", "baseline", "D"),
            ("C8.7c", "in that slump output of 2060 is higher", "baseline", "D"),
            ("C8.7d", "debt +.8 points in both; GDP -.3 % in 2035 without slack, +1.0 % in 2060 with", "calibrated", "R"),
        ], **OVER_TRANSITIONS),
    ], joint=transition_claims, note="debt at the end of the year, at its market value; 2 % of GDP in 2020-25"),
    Claim("C8.7e", "they do if r - g <= eta mult tau/(1 - mult tau)", "S", "exact", debt_claim),
    Claim("C8.8", "the mix of sectors alone gives the 60 % of jobs exposed in advanced economies", "D", "baseline", _exposure,
          note="an over-identifying test: x_g and x_s bound the mean"),
    _group(task_claims, "C8.9", "what automation adds to productivity has a closed form", "S", "exact", [
        ("C8.9b", "d ln TFP/da is the formula", "exact", "S"),
        ("C8.9c", "at s = 1, a = 0 it is the labor share times the log cost saving (Acemoglu)", "limit", "S"),
        ("C8.9d", "a cut of the cost of AI saves its share of cost (Hulten)", "exact", "S"),
    ]),
    Claim("C8.9a", "without wealth in utility, AI and transitional growth r tends to e^g/beta - 1: half of the gap of 2050 is closed in 2080", "S", "limit",
          part_of(transition_claims, "C8.9a"), joint=transition_claims, **OVER_TRANSITIONS),
)  # fmt: skip
