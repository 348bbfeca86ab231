r"""Contracts in force under a policy: by timing of the signal and by market; certificate and outcomes.

All contracts are in closed form but (7.3), whose means over ability and signals are integrals.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxecon.core import model as core
from jaxecon.models.information_asymmetry import incentives, markets, screening
from jaxecon.models.information_asymmetry.both import Joint, Solution, joint_means, solution
from jaxecon.models.information_asymmetry.outcome_fields import Outcomes
from jaxecon.models.information_asymmetry.params import Params, Policy
from jaxecon.models.information_asymmetry.precision import (
    Precision,
    accuracy,
    answered_precision,
    counter_ai_threshold,
    noise_multiple,
    performance_precision,
    posterior_variance,
    relative_noise,
)
from jaxecon.models.information_asymmetry.screening import Contract

Scalar = Float[Array, ""]


class Equilibrium(core.Equilibrium):
    """What signals tell, the contracts under both timings, and the integrals of (7.3)."""

    pi: Scalar
    precision: Precision
    before: Contract
    after: Contract
    means: Joint
    joint: Solution


def equilibrium(p: Params, u: Policy) -> Equilibrium:
    """Signals after policy and the contracts that answer to them."""
    known = performance_precision(p, u)
    pi = accuracy(p.pi, noise_multiple(u))
    means = joint_means(jnp.sqrt(known.s2_theta), p.c)
    return Equilibrium(
        jnp.where(jnp.isfinite(pi + known.Q), core.SOLVED, core.NOT_FINITE).astype(jnp.int32),
        pi,
        known,
        screening.contract_before(p, pi),
        screening.contract_after(p, pi),
        means,
        solution(p.r, p.c, 1 / known.Q, means),
    )


def mix(share: Scalar, x: Contract, y: Contract) -> Contract:
    """`share` of the second contract, the rest of the first."""
    return Contract(*((1 - share) * a + share * b for a, b in zip(x, y)))


def monopoly(u: Policy, before: Contract, after: Contract) -> Contract:
    """Contracts of a principal without rivals: `disclosure_rule` is the share whose signal is verified after contracting [R]."""
    return mix(u.disclosure_rule, before, after)


def competitive(p: Params, pi: Scalar) -> Contract:
    """Contracts under the competitive form of the market that `market` names."""
    if p.market == "rothschild_stiglitz":
        return markets.rothschild_stiglitz(p, pi)
    if p.market == "miyazaki_wilson_spence":
        return markets.miyazaki_wilson_spence(p, pi)
    return markets.bertrand(p)


def in_force(p: Params, u: Policy, eq: Equilibrium) -> tuple[Scalar, Scalar, Scalar]:
    """Welfare, profit and rent of trade: the share `competition` is traded on the competitive form of the market [R]."""
    if p.market == "lemons":
        one, many = (markets.lemons(p, p.n_cell, competitive=c) for c in (False, True))
    else:
        one, many = monopoly(u, eq.before, eq.after), competitive(p, eq.pi)
    chi = u.competition
    welfare, profit, rent = (
        (1 - chi) * getattr(one, n) + chi * getattr(many, n) for n in ("welfare", "profit", "rent")
    )
    return welfare, profit, rent


def group_rents(p: Params, u: Policy, eq: Equilibrium) -> tuple[Scalar, Scalar]:
    """Rents of two groups, alike but for noisier signals about the second, under the principal's contracts [R]."""
    noisier = accuracy(p.pi, noise_multiple(u) * p.s2_ratio)
    second = monopoly(u, screening.contract_before(p, noisier), screening.contract_after(p, noisier))
    return monopoly(u, eq.before, eq.after).rent, second.rent


def ai_gain(p: Params, u: Policy) -> Scalar:
    """(7.6): surplus with the principal's AI, while agents' AI blurs output, less surplus without either [S]."""

    def surplus(Q: Scalar) -> Scalar:
        return incentives.incentive_power(p.r, p.c, Q) / (2 * p.c)

    return surplus(answered_precision(p.s2_x, p.s2_s, p.s2_g * (1 - u.agent_ai_limit))) - surplus(1 / p.s2_x)


def outcomes(p: Params, u: Policy, eq: Equilibrium) -> Outcomes:
    """All outcomes."""
    known = eq.precision
    B = incentives.incentive_power(p.r, p.c, known.Q)
    welfare, profit, rent = in_force(p, u, eq)
    rent_1, rent_2 = group_rents(p, u, eq)
    signal_cost = p.k_s * jnp.expm1(u.signal_subsidy)
    privacy_cost = p.k_p * (1 / known.s2_e + 1 / known.s2_theta)
    limit_cost = p.k_l * u.agent_ai_limit**2 / 2
    many, one = (markets.lemons(p, p.n_cell, competitive=x) for x in (True, False))
    alone, together = posterior_variance(p.n, p.rho_theta, known.s2_theta)
    start = jnp.zeros_like(B)
    fair = u.fairness_weight * jnp.abs(rent_1 - rent_2)
    return Outcomes(
        net_welfare=welfare + eq.joint.welfare - signal_cost - privacy_cost - limit_cost - fair,
        welfare=welfare,
        profit=profit,
        rent=rent,
        first_best=screening.first_best(p, p.nu),
        q_fb=screening.first_best_quantity(p),
        q_sb=screening.second_best_quantity(p, p.nu),
        accuracy=eq.pi,
        welfare_before=eq.before.welfare,
        profit_before=eq.before.profit,
        rent_before=eq.before.rent,
        welfare_after=eq.after.welfare,
        profit_after=eq.after.profit,
        rent_after=eq.after.rent,
        q_low=eq.after.q,
        ell_star=screening.full_liability(p, eq.pi),
        shutdown_share=screening.shutdown_share(p),
        welfare_screening=markets.rothschild_stiglitz(p, eq.pi).welfare,
        welfare_subsidized=markets.miyazaki_wilson_spence(p, eq.pi).welfare,
        welfare_lemons=many.welfare,
        welfare_monopsony=one.welfare,
        trade=many.trade,
        incentive=B,
        precision=known.Q,
        effort=B / p.c,
        surplus=B / (2 * p.c),
        weight_x=B * known.weight_x,
        weight_s=B * known.weight_s,
        piece_rate=eq.joint.piece_rate,
        welfare_joint=eq.joint.welfare,
        rent_joint=eq.joint.rent,
        effort_first=incentives.career_effort(p, start),
        effort_ratchet=incentives.ratchet_effort(p, start, B, u.competition),
        s2_g_star=counter_ai_threshold(p.s2_x, p.s2_s),
        ai_gain=ai_gain(p, u),
        spence_waste=incentives.spence_waste(p.t_L, p.t_H, p.zeta),
        zeta_star=incentives.pooling_elasticity(p.t_L, p.t_H, p.lam),
        noise_relative=relative_noise(p.s2_x, p.n, p.rho),
        signal_externality=alone - together,
        rent_1=rent_1,
        rent_2=rent_2,
        signal_cost=signal_cost,
        privacy_cost=privacy_cost,
    )


def _relative(gap: Scalar, scale: Scalar) -> Scalar:
    return gap / (1 + jnp.abs(scale))


def identities(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Scalar]:
    r"""Unit-free residuals of what the contracts satisfy by another route.

    Bayes plausibility and the budget of a contract; profit by the virtual surplus $q_{sb}^2/2$ of the inefficient; the agent's
    and the principal's first-order conditions for pay and effort; gains from lemons are shared between both sides; in (7.3) the nodes' mass is
    one, $E\max(0,1-ch)^2 = E\max(0,1-ch) - c\,E h\max(0,1-ch)$, and profit is $1/2 + (B/2c) E\max(0,1-ch)^2$.
    """
    known, B = eq.precision, incentives.incentive_power(p.r, p.c, eq.precision.Q)
    signals = screening.posteriors(p.nu, eq.pi)
    mean_nu = sum(s.chance * s.nu for s in signals)
    best = (p.a - p.theta_low) ** 2 / 2
    virtual = [s.nu * best + (1 - s.nu) * screening.second_best_quantity(p, s.nu) ** 2 / 2 for s in signals]
    expected = signals[0].chance * virtual[0] + signals[1].chance * virtual[1]
    w_x, w_s = B * known.weight_x, B * known.weight_s
    cov = p.rho_s * jnp.sqrt(known.s2_output * known.s2_e)
    # Variance of pay and the agent's effort, from the weights themselves.
    variance = w_x**2 * known.s2_output + 2 * w_x * w_s * cov + w_s**2 * known.s2_e
    effort = (w_x + p.l * w_s) / p.c
    value = effort - p.c * effort**2 / 2 - p.r * variance / 2
    sold = [markets.lemons(p, p.n_cell, competitive=x) for x in (True, False)]
    shared = [m.welfare - m.profit - m.rent for m in sold]
    power = 1 / (1 + p.r * p.c / known.Q)
    joint_profit = 0.5 + power * eq.means.square / (2 * p.c)
    return {
        "bayes": mean_nu - p.nu,
        "budget_before": _relative(eq.before.welfare - eq.before.profit - eq.before.rent, eq.before.welfare),
        "virtual_surplus": _relative(eq.before.profit - expected, expected),
        "budget_after": _relative(eq.after.welfare - eq.after.profit - eq.after.rent, eq.after.welfare),
        "first_best_bound": _relative(
            jnp.maximum(eq.after.welfare - screening.first_best(p, p.nu), 0.0), eq.after.welfare
        ),
        "surplus": p.c * (value - B / (2 * p.c)),
        "lemons": jnp.abs(shared[0]) + jnp.abs(shared[1]),
        "mass": eq.means.mass - 1,
        "square": eq.means.square - eq.means.power + p.c * eq.means.rent,
        "joint_profit": p.c * (eq.joint.welfare - eq.joint.rent - joint_profit),
    }


def branches(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Bool[Array, ""]]:
    """Which kind of contracts these are; Rothschild and Stiglitz's stand only where no subsidy between types attracts both."""
    good, bad = screening.posteriors(p.nu, eq.pi)
    return {
        "SHUTDOWN_AFTER_GOOD_SIGNAL": screening.second_best_quantity(p, good.nu) <= 0,
        "SHUTDOWN_AFTER_BAD_SIGNAL": screening.second_best_quantity(p, bad.nu) <= 0,
        "LIABILITY_GIVES_FIRST_BEST": eq.after.q >= screening.first_best_quantity(p),
        "SCREENING_STANDS": jnp.sqrt(2 * p.m) * p.nu <= p.theta_high - p.theta_low,
        "SIGNALS_LOWER_WELFARE": eq.before.welfare < screening.contract_at(p, p.nu).welfare,
        "AGENTS_AI_REVERSES_THE_GAIN": p.s2_g * (1 - u.agent_ai_limit) > counter_ai_threshold(p.s2_x, p.s2_s),
    }
