"""The Polluted Information Equilibrium: unknowns (ln a, A, w, v, T), certificate, outcomes."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.core import model as core
from jaxecon.models.information_pollution import consumers, index, platform, producers
from jaxecon.models.information_pollution.params import Outcomes, Params, Policy
from jaxecon.models.information_pollution.platform import Allocation
from jaxecon.numerics.roots import find_root, solve_small

Scalar = Float[Array, ""]
NO_CONTENT, NO_OUTSIDE_LABOR = core.FIRST_REASON, core.FIRST_REASON + 1
REASONS = {
    NO_CONTENT: ("NO_CONTENT", "the tax stops all supply: exposure shares and trust are not defined"),
    NO_OUTSIDE_LABOR: ("NO_OUTSIDE_LABOR", "content would use more labor than there is"),
}


class Equilibrium(core.Equilibrium):
    """A Polluted Information Equilibrium.

    `y`: the solved unknowns (ln a, ln M/A, ln w, v); `state`: everything that follows from them, among
    it `ln_a`, `A`, `w`, `v`, `T`.
    """

    y: Float[Array, "4"]
    state: Allocation


def inner_conditions(z: Float[Array, "3"], args: tuple[Params, Policy, Scalar]) -> Float[Array, "3"]:
    """Stages 2 and 3 at moderation `ln_a`: conditions on `z = (ln M/A, ln w, v)`, unit-free."""
    p, u, ln_a = args
    s = platform.allocation(p, u, ln_a, z)
    return platform.inner_gaps(p, u, z, s).at[0].add(-p.chi * jnp.log(s.T))


def inner_newton(z: Float[Array, "3"], args: tuple[Params, Policy, Scalar], steps: int) -> Float[Array, "3"]:
    """A fixed number of capped Newton steps on `inner_conditions`."""
    basis = jnp.eye(3, dtype=z.dtype)

    def body(_: Array, z: Float[Array, "3"]) -> Float[Array, "3"]:
        gaps, columns = jax.vmap(
            lambda v: jax.jvp(lambda y: inner_conditions(y, args), (z,), (v,)), out_axes=(None, 1)
        )(basis)
        step = solve_small(columns, gaps)
        z = z - jnp.clip(jnp.where(jnp.isfinite(step), step, 0.0), -1.0, 1.0)
        return z.at[2].set(jnp.maximum(z[2], 0.0))

    return lax.fori_loop(0, steps, body, z)


def inner_start(p: Params) -> Float[Array, "3"]:
    """A start for the inner problem that works at any moderation."""
    return jnp.stack([jnp.log(p.M_0 / (p.A_0 + 1)), jnp.log(p.z_O), 0.2 * jnp.ones_like(p.p_A)])


def conditions(y: Float[Array, "4"], args: tuple[Params, Policy]) -> Float[Array, "4"]:
    """The four equations of the equilibrium: (5.5) and the inner conditions, unit-free."""
    p, u = args
    k = platform.slopes(y, args)
    return jnp.concatenate([platform.first_order_condition(p, u, k)[None], k.gaps])


def _scan_moderation(p: Params, u: Policy, nodes: int) -> Float[Array, "4"]:
    """Start of the joint Newton: the sign change of (5.5) with the largest objective, over ln a in [-5, 5].

    The range extends downward by subsidy/c_a, the demotion that the subsidy alone pays for.
    """
    lowest = -5.0 - u.moderation_subsidy / p.c_a
    grid = lowest + (5.0 - lowest) * jnp.linspace(0.0, 1.0, nodes, dtype=p.p_A.dtype)
    z0 = inner_newton(inner_start(p), (p, u, grid[0]), 20)

    def visit(z: Float[Array, "3"], ln_a: Scalar):
        z = inner_newton(z, (p, u, ln_a), 4)
        y = jnp.concatenate([ln_a[None], z])
        s = platform.allocation(p, u, ln_a, z)
        f = u.fiduciary_duty
        objective = (1 - f) * platform.platform_profit(p, u, s) + f * platform.welfare(p, u, s)
        slope = platform.first_order_condition(p, u, platform.slopes(y, (p, u)))
        return z, (y, slope, objective)

    _, (y, slope, objective) = lax.scan(visit, z0, grid)
    crossing = (slope[:-1] > 0) & (slope[1:] <= 0)
    best = jnp.where(crossing, jnp.maximum(objective[:-1], objective[1:]), -jnp.inf)
    k = jnp.argmax(best)
    weight = slope[k] / jnp.where(slope[k] == slope[k + 1], 1.0, slope[k] - slope[k + 1])
    return y[k] + jnp.clip(weight, 0.0, 1.0) * (y[k + 1] - y[k])


def equilibrium(p: Params, u: Policy) -> Equilibrium:
    """Solve the three-stage game: (5.1)-(5.5).

    All of (ln a, M/A, w, v) by one Newton whose platform condition carries its own total derivatives;
    A and T are explicit functions of them.
    """
    stopped = lax.stop_gradient((p, u))
    root = find_root(conditions, _scan_moderation(*stopped, nodes=21), (p, u))
    s = platform.allocation(p, u, root.x[0], root.x[1:])
    status = jnp.where(
        s.A <= 0,
        NO_CONTENT,
        jnp.where(
            (s.L_O <= 0) & (p.mu > 0), NO_OUTSIDE_LABOR, jnp.where(root.converged, core.SOLVED, core.NOT_CONVERGED)
        ),
    ).astype(jnp.int32)
    return Equilibrium(status, root.x, s)


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
        "DECEPTION_COSTLY": index.sign_condition(p) > 0,
    }
