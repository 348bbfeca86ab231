"""Quantities, prices, surplus and welfare of an assignment, by two independent routes.

Route 1 (qualities): integrals of $M$ and $M^2$ over quality. Route 2 (skills): incomes of creators
priced one by one, plus buyers' surplus and rebated revenue. Both are exact: integrands are polynomials
between sorted breakpoints.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.supply_shock import market
from jaxecon.models.supply_shock.equilibrium import Equilibrium, money_scale
from jaxecon.models.supply_shock.market import Cutoffs
from jaxecon.models.supply_shock.outcome_fields import Outcomes
from jaxecon.models.supply_shock.params import Params, Policy
from jaxecon.numerics.quadrature import gauss_legendre

# Integrands have degree 6 at most (Beta(2,2): M^2, or price times density); four nodes integrate degree 7.
_NODES = 4


class Accounts(NamedTuple):
    """Surplus accounts of one assignment, in money per unit mass of buyers."""

    revenue: Float[Array, ""]
    consumer_surplus: Float[Array, ""]
    gross_value: Float[Array, ""]
    costs: Float[Array, ""]
    outside: Float[Array, ""]
    human_income: Float[Array, ""]
    ai_income: Float[Array, ""]
    public_revenue: Float[Array, ""]
    search_cost: Float[Array, ""]
    quality_sold: Float[Array, ""]
    welfare: Float[Array, ""]


def sort_network(x: Float[Array, " k"]) -> Float[Array, " k"]:
    """Sort a short vector by odd-even exchanges: under `vmap` far faster than a general sort."""
    v = [x[k] for k in range(x.shape[0])]
    for turn in range(len(v)):
        for k in range(turn % 2, len(v) - 1, 2):
            v[k], v[k + 1] = jnp.minimum(v[k], v[k + 1]), jnp.maximum(v[k], v[k + 1])
    return jnp.stack(v)


def piecewise_nodes(breaks: Float[Array, " k"]) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Gauss-Legendre nodes and weights on every interval between sorted breakpoints."""
    z, w = gauss_legendre(_NODES)
    z, w = z.astype(breaks.dtype), w.astype(breaks.dtype)
    width = breaks[1:] - breaks[:-1]
    return (breaks[:-1, None] + width[:, None] * z).ravel(), (width[:, None] * w).ravel()


def quality_breaks(p: Params, x: Cutoffs) -> Float[Array, "9"]:
    """Sorted qualities at which M has a kink or a jump, from 0 to the best quality."""
    own = [market.human_quality(p, s) for s in x]
    with_ai = [market.ai_quality(p, x.s_1), market.ai_quality(p, x.s_H)]
    top = jnp.maximum(p.alpha, p.q_A)
    return sort_network(jnp.stack([jnp.zeros_like(p.alpha), *own, *with_ai, p.q_A, p.alpha, top]))


def accounts(p: Params, u: Policy, x: Cutoffs) -> Accounts:
    r"""Surplus accounts (3.2).

    Revenue $\theta_{max} \int M(1-M) - \Phi S$, buyers' surplus $\tfrac12\theta_{max} \int M^2$, and
    $W = \theta_{max} \int (M - M^2/2) - \Phi S - costs + n w_0 F(exit) - c_x x^2/2$.
    """
    law = p.skill_law
    z, w = piecewise_nodes(quality_breaks(p, x))
    m = market.supply_above(p, x, z)
    first, second = jnp.sum(w * m), jnp.sum(w * m * m)
    d_a, served = market.ai_volume(p, x), market.coverage(p, x)
    phi = market.search_penalty(p, u, d_a)

    # Split of the penalty between what buyers pay and what they keep.
    paid = phi * served * market.penalized_demand(p, served)
    lost = phi * market.penalty_burden(p, served)
    revenue = p.theta_max * (first - second) - paid
    consumer_surplus = p.theta_max * second / 2 - (lost - paid)
    gross_value = p.theta_max * (first - second / 2) - lost

    f_0, f_1, f_h = (market.skill_cdf(law, s) for s in x)
    adopters = p.n * (f_h - f_1)
    ai_quality_sold = p.n * p.k_A * market.capped_mean(law, p.a, p.q_A, x.s_1, x.s_H)
    one = jnp.ones_like(x.s_H)
    squares = market.squared_mean(law, x.s_0, x.s_1) + market.squared_mean(law, x.s_H, one)
    costs = p.c_A * ai_quality_sold + p.kappa * adopters + p.n * p.alpha**2 * squares / (2 * p.gamma)
    outside = p.n * p.w_0 * f_0
    public = u.input_levy * ai_quality_sold + u.volume_charge * d_a + u.entry_fee * adopters
    search_cost = p.c_x * u.search_quality**2 / 2
    human_income, ai_income = incomes(p, u, x)
    return Accounts(
        revenue=revenue,
        consumer_surplus=consumer_surplus,
        gross_value=gross_value,
        costs=costs,
        outside=outside,
        human_income=human_income,
        ai_income=ai_income,
        public_revenue=public,
        search_cost=search_cost,
        quality_sold=first,
        welfare=gross_value - costs + outside - search_cost,
    )


def incomes(p: Params, u: Policy, x: Cutoffs) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Net incomes of human and AI-assisted creators, $n \int_H \pi_H dF$ and $n \int_A \pi_A dF$, skill by skill."""
    one = jnp.ones_like(x.s_H)
    ramp = jnp.clip(p.q_A / p.a, x.s_1, x.s_H)
    # Prices of high-skill humans have kinks where an AI quality passes; of adopters, where a low human's does.
    inner = jnp.clip(jnp.stack([market.ai_quality(p, x.s_1), market.ai_quality(p, x.s_H)]) / p.alpha, x.s_H, one)
    low = jnp.clip(jnp.stack([market.ai_quality(p, x.s_1) / p.alpha, p.q_A / p.alpha]), x.s_0, x.s_1)
    across = jnp.clip(jnp.stack([p.alpha * x.s_1 / p.a, p.alpha * x.s_H / p.a]), x.s_1, ramp)
    s_low, w_low = piecewise_nodes(sort_network(jnp.stack([x.s_0, *low, x.s_1])))
    s_top, w_top = piecewise_nodes(sort_network(jnp.stack([x.s_H, *inner, one])))
    s_ai, w_ai = piecewise_nodes(sort_network(jnp.stack([x.s_1, *across, ramp])))
    s_h, w_h = jnp.concatenate([s_low, s_top]), jnp.concatenate([w_low, w_top])
    q = jnp.concatenate([market.human_quality(p, s_h), market.ai_quality(p, s_ai), p.q_A[None]])
    price = market.price(p, u, x, q)
    k = s_h.shape[0]
    density_h, density_a = (market.skill_density(p.skill_law, s) for s in (s_h, s_ai))
    human = jnp.sum(w_h * density_h * market.human_payoff(p, price[:k], q[:k]))
    pay_ai = market.ai_payoff(p, u, price[k:], q[k:])
    flat = market.skill_cdf(p.skill_law, x.s_H) - market.skill_cdf(p.skill_law, ramp)
    return p.n * human, p.n * (jnp.sum(w_ai * density_a * pay_ai[:-1]) + flat * pay_ai[-1])


def welfare_no_ai(p: Params, s_0: Float[Array, ""]) -> Float[Array, ""]:
    """Welfare in the same economy without AI and without instruments, pattern EH."""
    return accounts(p, Policy(), Cutoffs(s_0, s_0, s_0)).welfare


def pigou_charge(p: Params, u: Policy, x: Cutoffs) -> Float[Array, ""]:
    r"""Marginal damage of AI volume (C3.8): $\tau^* = S \beta\eta/(1 + \eta D_A)$."""
    eta = market.search_sensitivity(p, u)
    slope = p.beta * eta / (1 + eta * market.ai_volume(p, x))
    return slope * market.penalty_burden(p, market.coverage(p, x))


def outcomes(p: Params, u: Policy, eq: Equilibrium) -> Outcomes:
    """All outcomes of an assignment equilibrium."""
    x = eq.cutoffs
    acc = accounts(p, u, x)
    d_a, served = market.ai_volume(p, x), market.coverage(p, x)
    f_0, f_1, f_h = (market.skill_cdf(p.skill_law, s) for s in x)
    kinds = jnp.stack([p.q_A, market.ai_quality(p, x.s_1), market.human_quality(p, x.s_H), p.alpha])
    price = market.price(p, u, x, kinds)
    without = welfare_no_ai(p, eq.no_ai_cutoff)
    return Outcomes(
        exit_cutoff=x.s_0,
        adoption_cutoff=x.s_1,
        human_cutoff=x.s_H,
        lowest_adopter=x.s_1,
        ai_volume=d_a,
        human_volume=served - d_a,
        coverage=served,
        search_penalty=market.search_penalty(p, u, d_a),
        price_ai_ceiling=price[0],
        price_lowest_ai=price[1],
        price_lowest_high_human=price[2],
        price_top=price[3],
        hollow_margin=market.human_quality(p, x.s_H) - p.q_A,
        mean_quality=acc.quality_sold / served,
        revenue=acc.revenue,
        consumer_surplus=acc.consumer_surplus,
        creator_income=acc.human_income + acc.ai_income + acc.outside,
        human_income=acc.human_income,
        ai_income=acc.ai_income,
        public_revenue=acc.public_revenue,
        welfare=acc.welfare,
        welfare_no_ai=without,
        welfare_gain=acc.welfare - without,
        pigou_charge=pigou_charge(p, u, x),
        human_share=1 - f_h + f_1 - f_0,
        ai_share=f_h - f_1,
        exit_share=f_0,
        ai_content_share=d_a / served,
        regret=eq.regret * money_scale(p),
    )


def identities(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Float[Array, ""]]:
    """Redundant identities, unit-free: two routes to W and to revenue, mass of creators, regret."""
    acc = accounts(p, u, eq.cutoffs)
    incomes_route = (
        acc.consumer_surplus + acc.human_income + acc.ai_income + acc.outside + acc.public_revenue - acc.search_cost
    )
    spending = acc.human_income + acc.ai_income + acc.costs + acc.public_revenue
    scale = p.theta_max * p.alpha
    return {
        "welfare by two routes": (acc.welfare - incomes_route) / scale,
        "revenue by two routes": (acc.revenue - spending) / scale,
        "regret": jnp.maximum(eq.regret, 0.0),
    }
