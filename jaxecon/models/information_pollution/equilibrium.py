"""The Polluted Information Equilibrium: unknowns (ln a, A, w, v, T), certificate, outcomes."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.core import model as core
from jaxecon.models.information_pollution import consumers, index, platform, producers
from jaxecon.models.information_pollution.outcome_fields import Outcomes
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.platform import Allocation
from jaxecon.models.information_pollution.producers import Pair
from jaxecon.models.information_pollution.solver import HIGH_EXIT, INTERIOR, LOW_EXIT, SHUT, solve
from jaxecon.numerics.roots import attach_derivative

Scalar = Float[Array, ""]
NO_CONTENT, NO_OUTSIDE_LABOR = core.FIRST_REASON, core.FIRST_REASON + 1
REASONS = {
    NO_CONTENT: ("NO_CONTENT", "the tax stops all supply: exposure shares and trust are not defined"),
    NO_OUTSIDE_LABOR: ("NO_OUTSIDE_LABOR", "content would use more labor than there is"),
}


class Equilibrium(core.Equilibrium):
    """A Polluted Information Equilibrium.

    `y`: the solved unknowns (ln a, ln M/A, ln w, v); `mode`: 0 where (5.5) holds, 1 or 2 where the platform
    stops at the exit of low or high quality; `state`: everything that follows, among it `ln_a`, `A`, `w`, `v`, `T`.
    """

    y: Float[Array, "4"]
    mode: Scalar
    state: Allocation


def conditions(y: Float[Array, "4"], args: tuple[Params, Policy, Scalar]) -> Float[Array, "4"]:
    """The four equations of the equilibrium: (5.5) and the inner conditions, unit-free.

    The third argument is the mode: where the platform stops exactly at the exit of one kind of content (a
    kink of its objective), that kind's break-even replaces (5.5).
    """
    p, u, mode = args
    stays = Pair(1.0 - (mode == LOW_EXIT), 1.0 - (mode == HIGH_EXIT))
    s = platform.allocation(p, u, y[0], y[1:], stays)
    inner = (y[1], y[2], y[3])
    attention, *others = platform.inner_gaps(p, u, inner, s)
    gaps = jnp.stack([attention - p.chi * jnp.log(s.T), *others])
    k = platform.look(y[0], inner, (p, u), brief=True).slopes
    first = jnp.where(mode == INTERIOR, platform.first_order_condition(p, u, k), 0.0)
    even = jnp.where(mode == LOW_EXIT, s.net.L, s.net.H) / platform.money_scale(p)
    return jnp.concatenate([jnp.where(mode == INTERIOR, first, even)[None], gaps])


def equilibrium(p: Params, u: Policy) -> Equilibrium:
    """Solve the three-stage game (5.1)-(5.5); the derivative is that of the implicit function theorem."""
    fixed_p, fixed_u = lax.stop_gradient((p, u))
    y, mode, gap = solve(fixed_p, fixed_u)
    mode = mode.astype(y.dtype)
    good = (gap <= (1e-9 if jnp.finfo(y.dtype).bits == 64 else 1e-4)) & (mode < SHUT)
    y = attach_derivative(conditions, y, (p, u, mode), good)
    s = platform.allocation(p, u, y[0], y[1:], Pair(1.0 - (mode == LOW_EXIT), 1.0 - (mode == HIGH_EXIT)))
    status = jnp.where(good, core.SOLVED, core.NOT_CONVERGED)
    status = jnp.where((s.L_O <= 0) & (p.mu > 0), NO_OUTSIDE_LABOR, status)
    status = jnp.where((mode == SHUT) | (s.A <= 0), NO_CONTENT, status).astype(jnp.int32)
    return Equilibrium(status, y, mode, s)


def government_revenue(p: Params, u: Policy, s: Allocation) -> Scalar:
    r"""Taxes less outlays [R]: $\tau \sum_j h_j q_j + t_A p_A AI + subsidy \ln a - prov\,\kappa v^2/2 - cert\,prov^2/2$."""
    return (
        u.low_quality_tax * (s.h.L * s.q.L + s.h.H * s.q.H)
        + u.ai_compute_tax * p.p_A * s.AI
        + u.moderation_subsidy * s.ln_a
        - u.provenance * consumers.verification_cost(p, s.v)
        - p.cert * u.provenance**2 / 2
    )


def producer_profit(p: Params, s: Allocation) -> Scalar:
    r"""Profit of producers [R]: $\sum_j (net_j q_j - C_j)$."""
    return s.net.L * s.q.L + s.net.H * s.q.H - s.spending.L - s.spending.H


def consumer_surplus(p: Params, u: Policy, s: Allocation) -> Scalar:
    r"""Consumers [R]: $M[u_H x_H^\nu + u_0 x_L^\nu - u_L x_L(1-d)] - (1-prov)\kappa v^2/2$."""
    cost = (1 - u.provenance) * consumers.verification_cost(p, s.v)
    return s.M * consumers.value_per_hour(p, s.x.L, s.x.H, s.d) - cost


def outcomes(p: Params, u: Policy, eq: Equilibrium) -> Outcomes:
    """All outcomes of an equilibrium."""
    s = eq.state
    x = index.dimensions(p, s)
    weights = index.endogenous_weights(p, x, s.A)
    return Outcomes(
        log_moderation=s.ln_a,
        moderation=jnp.exp(s.ln_a),
        catalogue=s.A,
        wage=s.w,
        verification=s.v,
        trust=s.T,
        low_quality_items=s.q.L,
        high_quality_items=s.q.H,
        low_quality_exposure=s.x.L,
        high_quality_exposure=s.x.H,
        detection=s.d,
        attention=s.M,
        low_quality_cost=s.cost.L,
        high_quality_cost=s.cost.H,
        sensitivity=producers.sensitivity(p, u),
        hit_rate=s.h.L,
        false_alarm_rate=s.h.H,
        ai_services=s.AI,
        outside_labor=s.L_O,
        outside_output=producers.outside_output(p, s.L_O),
        ad_revenue=platform.ad_revenue(p, s.M, s.x, s.d),
        platform_profit=platform.platform_profit(p, u, s),
        consumer_surplus=consumer_surplus(p, u, s),
        producer_profit=producer_profit(p, s),
        government_revenue=government_revenue(p, u, s),
        verification_cost=consumers.verification_cost(p, s.v),
        welfare=platform.welfare(p, u, s),
        burden=x[3],
        dilution_weight=weights[0],
        deception_weight=weights[1],
        distrust_weight=weights[2],
        burden_weight=weights[3],
        pollution_index=index.pollution_index(weights, x),
    )


def identities(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Scalar]:
    """Unit-free residuals of equations that the solver does not use in this form.

    `welfare`: (5.6) equals consumers + advertisers ((psi - 1) AD) + producers + platform + government
    + wages and outside profit. `labor`: wage from outside labor. `attention`, `verification` (Lambert),
    `trust` (law of motion at rest), `spending` (factor payments exhaust costs).
    """
    s = eq.state
    AD = platform.ad_revenue(p, s.M, s.x, s.d)
    # Output of the outside sector is its wages and profit; content adds its wages.
    wages = s.w * (p.Lbar - s.L_O) + producers.outside_output(p, s.L_O)
    parts = (
        consumer_surplus(p, u, s)
        + (p.psi - 1) * AD
        + producer_profit(p, s)
        + platform.platform_profit(p, u, s)
        + government_revenue(p, u, s)
        + wages
    )
    ratio = jnp.where(s.L_O > 0, s.L_O / p.Lbar, 1.0)
    C = s.spending.L + s.spending.H
    bill = s.w * (p.Lbar - s.L_O) + producers.ai_price(p, u) * s.AI
    return {
        "welfare": (platform.welfare(p, u, s) - parts) / platform.money_scale(p),
        "labor": jnp.log(s.w / p.z_O) + p.mu * jnp.log(ratio),
        "attention": s.M / consumers.attention(p, s.T, s.A) - 1,
        "verification": consumers.private_verification(p, u, s.M, s.x.L) - s.v,
        "trust": consumers.trust_drift(p, s.T, s.x.L, s.d) / (p.r_0 + p.rho + p.eta),
        "spending": (bill - C) / (C + platform.money_scale(p)),
    }


def branches(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Bool[Array, ""]]:
    """Which kind of equilibrium it is."""
    s = eq.state
    return {
        "AMPLIFYING": s.ln_a > 0,
        "NO_LOW_QUALITY": s.q.L <= 0,
        "NO_HIGH_QUALITY": s.q.H <= 0,
        "AT_EXIT": eq.mode > 0,
        "DECEPTION_COSTLY": index.sign_condition(p) > 0,
    }
