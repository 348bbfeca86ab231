"""Outcomes and certificates of the symmetric industry."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxecon.economics.inequality import herfindahl
from jaxecon.models.intelligence_capital import flywheel, market, technology, tokens, valuation, wrapper
from jaxecon.models.intelligence_capital.equilibrium import (
    Equilibrium,
    Industry,
    private_return,
    social_return,
    training_price,
)
from jaxecon.models.intelligence_capital.outcome_fields import Outcomes
from jaxecon.models.intelligence_capital.params import Params, Policy
from jaxecon.models.intelligence_capital.race import training_cost

Scalar = Float[Array, ""]


def price_surplus(p: Params, price: Scalar) -> Scalar:
    r"""Surplus that prices leave to a user, quality apart: $-p$; in (1.3') $(p^{1-E_T} - 1)/(E_T - 1)$, by integration of $p^{-E_T}$."""
    if p.pricing == "logit":
        return -price
    return jnp.expm1((1 - p.E_T) * jnp.log(price)) / (p.E_T - 1)


def positional_part(p: Params, at: Industry) -> Scalar:
    r"""$\frac{M}{\alpha} (1-\chi) \theta \ln\bar A$: what adopters value only relative to others [R]."""
    return p.M / p.alpha * (1 - p.chi) * p.theta * at.ln_A(p)


def adopters_surplus(p: Params, at: Industry) -> Scalar:
    r"""$\frac{M}{\alpha}[\ln Z - (1-\chi)\theta\ln\bar A]$ [R]; in (1.3') quality has the same money value $1/\alpha$."""
    ln_A = at.ln_A(p)
    if p.pricing == "logit":
        value = p.theta * ln_A - p.alpha * at.price
        log_sum = value + jnp.log(p.N + p.o * jnp.exp(-value))
        return p.M / p.alpha * log_sum - positional_part(p, at)
    quality = p.M / p.alpha * (jnp.log(p.N) + p.theta * ln_A)
    return quality + p.M * price_surplus(p, at.price) - positional_part(p, at)


def outcomes(p: Params, u: Policy, eq: Equilibrium) -> Outcomes:
    """All outcomes at the equilibrium."""
    at, reference = eq.industry, eq.laissez_faire.price
    ln_A, eps_D = at.ln_A(p), at.eps_D(p)
    users = p.N * at.s * market.users_demand(p, at.price)
    rent = market.rent(p, u, at.s, at.margin)
    resources = training_cost(p, eq.kappa, at.ln_C)
    fixed = p.F_0 * (1 - u.provider_entry)
    profit = rent - training_price(p, u) * resources - fixed
    revenue = (
        u.compute_tax * p.mc * p.M * users
        + p.N * (training_price(p, u) - 1) * resources
        - p.N * p.F_0 * u.provider_entry
    )
    volume = p.M * tokens.tokens(p, at.price, reference)
    energy = p.e_T * volume
    surplus = adopters_surplus(p, at)
    value = wrapper.app_value(p, u, ln_A)
    externality = p.p_E * energy
    delta = valuation.depreciation(p, u, at)
    leaders = flywheel.leadership(p, u, at, at.own_data)
    return Outcomes(
        welfare=surplus + p.N * profit + p.M * value - externality + revenue,
        red_queen_ratio=private_return(p, u, at) / social_return(p, at),
        depreciation=delta,
        tokens=volume,
        share=at.s,
        outside_share=1 - p.N * at.s,
        price=at.price,
        margin=at.margin,
        lerner=at.margin / at.price,
        hhi=herfindahl(at.s[None], p.N),
        compute=jnp.exp(at.ln_C),
        effective_data=at.Dt,
        capability=jnp.exp(ln_A),
        eps_D=eps_D,
        eps_C=p.gamma - eps_D,
        rent=rent,
        cross_depreciation=valuation.cross_depreciation(p, u, at),
        obsolescence=delta - p.delta_0,
        half_life=jnp.log(2.0) / delta,
        asset_value=rent / (p.r + delta),
        standstill_value=valuation.discounted_value(p, u, at),
        cost_scale_used=eq.kappa,
        training_cost=resources,
        profit=profit,
        red_queen_factor=jnp.asarray(market.red_queen_factor(p.N), rent.dtype),
        planner_compute=jnp.exp(eq.planner.ln_C),
        compute_ratio=jnp.exp(at.ln_C - eq.planner.ln_C),
        participation=1 - training_price(p, u) * resources / rent,
        token_elasticity=tokens.token_elasticity(p),
        demand_elasticity=tokens.demand_elasticity(p, at.price, reference),
        arc_elasticity=tokens.documented_arc(p),
        adopted_share=tokens.adopted_share(p, at.price),
        spend=at.price * volume,
        compute_demand=p.k_T * volume,
        energy=energy,
        task_surplus=p.M * tokens.task_surplus(p, at.price),
        flywheel_strength=at.own_data,
        Omega_star=flywheel.threshold(p, u, at),
        flywheel_growth=flywheel.eigenvalue(p, u, at, at.own_data, eps_D),
        fold=leaders.fold,
        leader_share=leaders.leader_share,
        stabilizing_sharing=flywheel.stabilizing_sharing(p, u, at, at.own_data),
        A_w=wrapper.critical_capability(p, u),
        app_margin=wrapper.app_margin(p, u, ln_A),
        app_value=value,
        adopters_surplus=surplus,
        provider_profit=p.N * profit,
        app_profit=p.M * value,
        externality=externality,
        revenue=revenue,
    )


def _shares_again(p: Params, at: Industry) -> Scalar:
    """Shares by (1.3) at the solved prices and capabilities of all providers, over the solved share, less one."""
    found = market.shares_at_prices(p, jnp.broadcast_to(at.ln_A(p), (p.N,)), jnp.broadcast_to(at.price, (p.N,)))
    return jnp.max(jnp.abs(found / at.s - 1))


def _pricing_residual(p: Params, u: Policy, at: Industry) -> Scalar:
    """A provider's own first-order condition in its price, by autodiff of shares; under the cap, the sign of it."""
    ln_A = jnp.broadcast_to(at.ln_A(p), (p.N,))
    prices = jnp.broadcast_to(at.price, (p.N,))

    def own_profit(price: Scalar) -> Scalar:
        s = market.shares_at_prices(p, ln_A, prices.at[0].set(price))[0]
        # (1.3'): the Lerner index 1/(beta (1 - s) + E_T) is the first-order condition with tokens per user p^-E_T.
        return jnp.log(price - market.marginal_cost(p, u)) + jnp.log(s) + jnp.log(market.users_demand(p, price))

    slope = jax.grad(own_profit)(at.price) * at.margin
    capped = market.bertrand_margin(p, at.s, market.marginal_cost(p, u)) >= market.margin_cap(u)
    return jnp.where(capped, jnp.minimum(slope, 0.0), slope)


def _investment_residual(p: Params, u: Policy, eq: Equilibrium) -> Scalar:
    """A provider's first-order condition in compute, by autodiff through the asymmetric market of a deviator and its rivals."""
    at = eq.industry
    numbers = jnp.stack([jnp.ones_like(at.s), (p.N - 1) * jnp.ones_like(at.s)])

    def own_rent(ln_C: Scalar) -> Scalar:
        ln_A = technology.log_capability(p, jnp.stack([ln_C, at.ln_C]), at.Dt)
        if p.timing == "simultaneous":
            s = market.shares_at_prices(p, ln_A, at.price, numbers)
            return market.rent(p, u, s[0], at.margin)
        s = market.with_derivative(p, u, ln_A, numbers, jnp.stack([at.s, at.s]))
        return market.rent(p, u, s[0])

    slope = jax.jvp(own_rent, (at.ln_C,), (jnp.ones_like(at.ln_C),))[1]
    cost = training_price(p, u) * eq.kappa * jnp.exp((1 + p.nu) * at.ln_C)
    return slope / cost - 1


def resource_welfare(p: Params, u: Policy, eq: Equilibrium) -> Scalar:
    """Welfare from resources: value of use by entropy, less what serving, compute, fixed cost and energy take; no price in it."""
    at = eq.industry
    ln_A = at.ln_A(p)
    inside = p.N * at.s
    outside = 1 - inside
    mixing = -inside * jnp.log(at.s)
    some = p.o != 0
    mixing = mixing + jnp.where(some, outside * jnp.log(jnp.where(some, p.o, 1.0) / jnp.where(some, outside, 1.0)), 0.0)
    use = p.M / p.alpha * (mixing + inside * p.theta * ln_A) - positional_part(p, at)
    served = inside * market.users_demand(p, at.price)
    if p.pricing == "loglinear":
        use = p.M / p.alpha * (jnp.log(p.N) + p.theta * ln_A) - positional_part(p, at)
        use = use + p.M * (price_surplus(p, at.price) + at.price * served)
    costs = p.mc * p.M * served + p.N * (training_cost(p, eq.kappa, at.ln_C) + p.F_0)
    apps = p.M * wrapper.app_value(p, u, ln_A)
    energy = p.p_E * p.e_T * p.M * tokens.tokens(p, at.price, eq.laissez_faire.price)
    return use - costs + apps - energy


def identities(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Scalar]:
    """Residuals of equations that were not solved: second routes to shares, prices, compute, welfare and the steady leader."""
    at = eq.industry
    found = outcomes(p, u, eq)
    again = resource_welfare(p, u, eq)
    scale = jnp.abs(found.adopters_surplus) + jnp.abs(found.rent) * p.N + 1.0
    x = found.leader_share
    level = flywheel.on_default_path(p, u, at, at.own_data)
    rest = flywheel.drift(p, u, at, level, flywheel.state_of(p, level, x)) / p.delta_D
    steady = jnp.max(jnp.abs(rest)) / (1 + p.N * at.own_data)
    return {
        "shares": _shares_again(p, at),
        "pricing": _pricing_residual(p, u, at),
        "investment": _investment_residual(p, u, eq),
        "welfare": (found.welfare - again) / scale,
        "flywheel": jnp.where(p.o != 0, 0.0, steady),
    }


def branches(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Bool[Array, ""]]:
    """Which kind of industry it is."""
    at = eq.industry
    pull = flywheel.threshold(p, u, at)
    least = flywheel.leadership(p, u, at, at.own_data).fold
    cap = market.margin_cap(u)
    return {
        "SYMMETRY_STABLE": at.own_data < pull,
        "LEADER_POSSIBLE": at.own_data > least,
        "TRAP_EXISTS": wrapper.absorption(p, u) > p.phi_w,
        "IN_TRAP": jnp.exp(at.ln_A(p)) > wrapper.critical_capability(p, u),
        "CAP_BINDS": market.bertrand_margin(p, at.s, market.marginal_cost(p, u)) >= cap,
        "RACE_VIABLE": market.rent(p, u, at.s, at.margin) >= training_price(p, u) * training_cost(p, eq.kappa, at.ln_C),
    }
