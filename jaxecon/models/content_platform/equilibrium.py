r"""Equilibrium of the platform: prices, shares, exposure and entry at once; its accounts; certificates.

The condition for a unique exposure is $\rho\kappa < 1$ (4.3): beyond it any lead grows until the rest have no exposure at all, log shares
have no root that is stable, and the point is not solved (`EXPOSURE_TIPS`).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxecon.core import model as core
from jaxecon.economics.inequality import gini, herfindahl
from jaxecon.models.content_platform.demand import Crowd, Tastes, gauss_tastes, surplus
from jaxecon.models.content_platform.market import (
    TYPES,
    Frame,
    Market,
    buyers,
    conditions,
    cost,
    data_flow,
    frame,
    human_quality,
    implied,
)  # fmt: skip
from jaxecon.models.content_platform.outcome_fields import Outcomes
from jaxecon.models.content_platform.params import Params, Policy
from jaxecon.models.content_platform.solver import solve_market, start

Scalar = Float[Array, ""]
NOTHING_LEFT, NO_SURCHARGE, EXPOSURE_TIPS = (core.FIRST_REASON + k for k in range(3))
REASONS = {
    NOTHING_LEFT: ("NOTHING_LEFT", "commission and levy together leave a seller nothing: 1 - tau <= 0"),
    EXPOSURE_TIPS: ("EXPOSURE_TIPS", "rho kappa >= 1: exposure feeds on itself, and items end up that nobody sees"),
    NO_SURCHARGE: ("NO_SURCHARGE", "no surcharge on commissions found that meets the platform's revenue requirement"),
}


class Equilibrium(core.Equilibrium):
    """The root (log shares, log prices, fund, surcharge) and everything it implies."""

    y: Float[Array, " k"]
    market: Market


def settle(f: Frame, first: Float[Array, " k"] | None = None) -> Equilibrium:
    """The equilibrium of a market, however much it takes as given."""
    y, found = solve_market(f, first)
    m = implied(y, f)
    missing = core.NOT_CONVERGED if f.p.requirement == "off" else NO_SURCHARGE
    missing = jnp.where(f.p.rho * f.p.kappa < 1, missing, EXPOSURE_TIPS)
    status = jnp.where(found, core.SOLVED, missing)
    status = jnp.where(jnp.max(m.commission) < 1, status, NOTHING_LEFT).astype(jnp.int32)
    return Equilibrium(status, y, m)


def equilibrium(p: Params, u: Policy) -> Equilibrium:
    """Solve the static benchmark: innate skills, free entry, AI quality as `ai_quality` says."""
    return settle(frame(p, u))


def restart(p: Params, u: Policy, eq: Equilibrium) -> Equilibrium:
    """The equilibrium found from another point's as the start."""
    return settle(frame(p, u), eq.y)


def starts(p: Params, u: Policy) -> Equilibrium:
    """Equilibria from starts that favor human items, nobody, and AI items: they agree where the exposure is unique."""
    f = frame(p, u)

    def groomed(tilt: Scalar) -> Equilibrium:
        # Shares and prices first move toward what demand makes of them, so that a lead can grow if it would.
        y = jax.lax.fori_loop(0, 300, lambda _, y: y - 0.2 * jnp.clip(conditions(y, f), -1.0, 1.0), start(f, tilt))
        return settle(f, y)

    return jax.vmap(groomed)(jnp.asarray([-3.0, 0.0, 3.0], p.alpha.dtype))


def producer_surplus(p: Params, income: Float[Array, " h"]) -> Scalar:
    r"""$\sum \bar N s_e \ln(e^{\Pi/s_e} + e^{w_0/s_e})$ [S]: the expected better of the platform and the outside."""
    return jnp.sum(p.Nbar * p.s_e * jnp.logaddexp(income / p.s_e, p.w_0 / p.s_e))


def matched_surplus(p: Params, income: Float[Array, " h"], active: Float[Array, " h"]) -> Scalar:
    r"""The same for any number of active creators, those with the least outside income: incomes and the entropy of who is in,
    $\sum N_i \Pi_i + (\bar N - N_i) w_0 + \bar N s_e H(N_i/\bar N)$; largest, and the log-sum, where entry is free [S]."""
    chance = active / p.Nbar
    entropy = -jax.scipy.special.xlogy(chance, chance) - jax.scipy.special.xlog1py(1 - chance, -chance)
    return p.Nbar * jnp.sum(chance * income + (1 - chance) * p.w_0 + p.s_e * entropy)


def incomes(p: Params, m: Market) -> tuple[Float[Array, " g"], Float[Array, " g"]]:
    """Incomes and how many people have them: nine types of active creators, exited ones at w_0, AI owners."""
    active = m.number[:TYPES]
    exited = TYPES * p.Nbar - jnp.sum(active)
    return (
        jnp.concatenate([m.profit[:TYPES], p.w_0[None], m.profit[TYPES:]]),
        jnp.concatenate([active, exited[None], m.number[TYPES:]]),
    )


def enjoyed(f: Frame, t: Tastes, c: Crowd, m: Market) -> Scalar:
    r"""What labels take from choices but not from enjoyment: $E[\sum_j n_j s_{ij}(V^{true}_{ij} - V_{ij})/\alpha_i]$ a buyer."""
    hidden = m.quality[:, TYPES] - m.perceived[:, TYPES]
    chosen = c.pull[:, TYPES, None] * c.push[:, TYPES] / c.total * m.number[TYPES]
    gain = t.a * hidden[0] + t.b * hidden[1]
    return jnp.sum(t.weight[:, None] * gain[:, None] * t.alpha_weight / t.alpha * chosen)


def accounts(f: Frame, m: Market) -> Outcomes:
    """All outcomes of a market."""
    p = f.p
    t = gauss_tastes(p, p.nodes)
    c = buyers(t, m)
    humans, sold, revenue = m.number[:TYPES], m.number * m.units, m.number * m.price * m.units
    active, total = jnp.sum(humans), jnp.sum(revenue)
    CS = p.Mkt * surplus(t, c)
    PS = producer_surplus(p, m.profit[:TYPES]) if f.active is None else matched_surplus(p, m.profit[:TYPES], humans)
    ai = m.number[TYPES] * m.profit[TYPES]
    government = m.levy - m.fund * active
    income, people = incomes(p, m)
    human_only = jnp.append(humans, people[TYPES])
    q = human_quality(p, f.angle)
    mean_quality = m.quality @ sold / jnp.sum(sold)
    return Outcomes(
        welfare=CS + PS + ai + m.platform + government,
        consumer_surplus=CS,
        producer_surplus=PS,
        ai_profit=ai,
        platform_profit=m.platform,
        platform_revenue=m.platform + p.c_host * jnp.sum(sold),
        government=government,
        equity=1 - gini(income, people),
        gini_revenue=gini(m.price * m.units, m.number),
        gini_active=gini(income[:TYPES], humans),
        gini_humans=gini(income[: TYPES + 1], human_only),
        hhi=herfindahl(m.price * m.units / total, m.number),
        hhi_consumers=herfindahl(m.share, m.number),
        data_flow=jnp.sum(data_flow(p, q @ sold[:TYPES], m.ai_share)),
        technical_data=m.data[0],
        creative_data=m.data[1],
        ai_technical_quality=m.quality[0, TYPES],
        ai_creative_quality=m.quality[1, TYPES],
        active_creators=active,
        active_items=active + p.flood * f.K,
        mean_price=total / jnp.sum(sold),
        human_price=jnp.sum(revenue[:TYPES]) / jnp.sum(sold[:TYPES]),
        ai_price=m.price[TYPES],
        ai_share=m.ai_share,
        ai_revenue_share=revenue[TYPES] / total,
        ai_exposure=m.exposure[TYPES],
        outside_share=1 - jnp.sum(sold) / p.Mkt,
        technical_quality=mean_quality[0],
        creative_quality=mean_quality[1],
        creative_share=humans @ (q[1] / (q[0] + q[1])) / active,
        mean_income=humans @ m.profit[:TYPES] / active,
        creator_fund=m.fund,
        commission_surcharge=m.surcharge,
        experienced_surplus=CS + p.Mkt * enjoyed(f, t, c, m),
    )


def outcomes(p: Params, u: Policy, eq: Equilibrium) -> Outcomes:
    """All outcomes of the static equilibrium."""
    return accounts(frame(p, u), eq.market)


def own_price_response(t: Tastes, m: Market, c: Crowd) -> Float[Array, " j"]:
    """Derivative of one item's share in its own price, by differentiating the share of a seller who deviates."""

    def deviator(v: Array) -> Array:
        push = jnp.exp(m.level - t.alpha[:, None] * v)
        others = c.total[:, :, None] - c.pull[:, None, :] * c.push
        mine = c.pull[:, None, :] * push
        return jnp.sum((t.weight[:, None] * t.alpha_weight)[:, :, None] * (mine / (others + mine)), axis=(0, 1))

    return jax.jvp(deviator, (m.price,), (jnp.ones_like(m.price),))[1]


def identities(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Scalar]:
    r"""Residuals that were not solved, unit-free.

    Buyers add up; no seller gains by another price, by differentiating a deviator's profit; Roy's identity
    $\partial CS/\partial p_j = -Mkt\,n_j s_j$; exposure averages 1; the fund spends the levy; and welfare is what buyers and
    outside options yield net of real cost, transfers apart, with the entropy of entry in place of the log-sum.
    """
    f, m = frame(p, u), eq.market
    t = gauss_tastes(p, p.nodes)
    c = buyers(t, m)
    nobody = jnp.sum(t.weight[:, None] * t.alpha_weight / c.total)
    response = own_price_response(t, m, c)
    gain = (1 - m.commission) * (m.share + m.price * response) - m.marginal_cost * response
    roy = jax.grad(lambda v: surplus(t, buyers(t, m._replace(price=v))))(m.price)
    bought = m.number * m.share
    out = accounts(f, m)
    spent, _ = cost(p, f.angle, m.units)
    sold = m.number * m.units
    real = out.consumer_surplus + sold @ m.price - m.number @ spent - p.c_host * jnp.sum(sold)
    active = m.number[:TYPES]
    real = real + matched_surplus(p, jnp.zeros_like(active), active)
    return {
        "buyers": bought.sum() + nobody - 1,
        "prices": jnp.max(jnp.abs(jnp.where(m.number > 0, gain / (m.share * (1 - m.commission)), 0.0))),
        "surplus": jnp.max(jnp.abs(roy + bought)) / jnp.sum(bought),
        "exposure": m.number @ m.exposure / jnp.sum(m.number) - 1,
        "fund": out.government / out.welfare,
        "welfare": out.welfare / real - 1,
    }


def branches(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Bool[Array, ""]]:
    """Which kind of equilibrium it is."""
    m = eq.market
    return {
        "EXPOSURE_UNIQUE": p.rho * p.kappa < 1,
        "AI_LEADS": m.ai_share > 0.5,
        "HALF_OF_CREATORS_LEFT": jnp.sum(m.number[:TYPES]) < 0.5 * TYPES * p.Nbar,
        "LABEL_OR_QUOTA_ON": (u.labeling > 0) | (u.human_quota > 0),
    }
