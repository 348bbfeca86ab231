"""Claims and studies of the path and agent layers of paper 5."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import Claim
from jaxecon.models.information_pollution import agents, governance
from jaxecon.models.information_pollution.params import Params, Policy

Scalar = Float[Array, ""]

# Interior values of (tax, provenance, fiduciary duty) at which the agent layer measures joint gains (assumed).
PORTFOLIO = (0.15, 0.5, 1.0)
AGENTS, MONTHS, SEEDS = 4000, 60, 8


def adaptive_gains(p: Params, u: Policy, key: PRNGKeyArray) -> Mapping[str, Scalar]:
    """Gain of the adaptive rule over the best constant policy in hold-out worlds, money per period.

    `C5.7a`: the mean; `C5.7b`: the mean of the worst 5 % of worlds.
    """
    c = governance.compare(p, key)
    return {"C5.7a": governance.mean_difference(c), "C5.7b": governance.tail_difference(c)}


def adaptive_mean(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """Mean gain over hold-out worlds."""
    return adaptive_gains(p, u, key)["C5.7a"]


def adaptive_tail(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """Gain in the mean of the worst 5 % of hold-out worlds."""
    return adaptive_gains(p, u, key)["C5.7b"]


def adaptive_smallest(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """The smaller of the two gains."""
    return jnp.min(jnp.stack(list(adaptive_gains(p, u, key).values())))


def agent_superadditivity(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """Joint gain of `PORTFOLIO` less the sum of its single gains, among agents, money per period."""
    portfolio = jnp.asarray(PORTFOLIO, p.p_A.dtype)
    return agents.superadditivity(key, p, portfolio, AGENTS, MONTHS, SEEDS)[0]


def _agent_details(p: Params, u: Policy, key: PRNGKeyArray) -> Mapping[str, Array]:
    portfolio = jnp.asarray(PORTFOLIO, p.p_A.dtype)
    excess, error, welfare = agents.superadditivity(key, p, portfolio, AGENTS, MONTHS, SEEDS)
    return {"excess": excess, "standard_error": error, "welfare_none_tax_provenance_duty_all": welfare}


def adaptive_governance(p: Params, u: Policy) -> Mapping[str, Array]:
    """Study for the report: the trained rule, the constant policy and both in hold-out worlds."""
    c = governance.compare(p, jax.random.key(0))
    gain = c.adaptive_welfare - c.constant_welfare
    return {
        "best constant tax": c.constant[0],
        "best constant provenance": c.constant[1],
        "best constant fiduciary duty": c.constant[2],
        "gain K of the tax": c.gains[0],
        "gain K of provenance": c.gains[1],
        "gain K of fiduciary duty": c.gains[2],
        "mean welfare, constant": jnp.nanmean(c.constant_welfare),
        "mean welfare, adaptive": jnp.nanmean(c.adaptive_welfare),
        "mean difference": governance.mean_difference(c),
        "standard error of the mean difference": jnp.nanstd(gain) / jnp.sqrt(jnp.sum(jnp.isfinite(gain))),
        "worst 5 %, constant": governance.expected_shortfall(c.constant_welfare),
        "worst 5 %, adaptive": governance.expected_shortfall(c.adaptive_welfare),
        "worst 5 % difference": governance.tail_difference(c),
        "share of worlds where adaptive is better": jnp.nanmean(jnp.where(jnp.isfinite(gain), gain > 0, jnp.nan)),
        "share of worlds solved": jnp.mean(jnp.isfinite(gain)),
    }


CLAIMS_PATHS = (
    Claim(
        id="C5.7",
        statement="Adaptive governance by the index beats the best constant policy out of sample",
        grade="D",
        expectation="report",
        margin=adaptive_smallest,
        joint=adaptive_gains,
        cost="optimization",
        max_draws=1,
        note="K and the constant policy are trained on 16 worlds and compared on 200 others; welfare is the "
        "undiscounted average over ten years from the laissez-faire equilibrium; the rule starts at the best constant.",
        parts=(
            Claim(
                id="C5.7a",
                statement="Mean difference of welfare over hold-out worlds",
                grade="D",
                expectation="report",
                margin=adaptive_mean,
                cost="optimization",
                max_draws=1,
            ),
            Claim(
                id="C5.7b",
                statement="Difference of the mean of the worst 5 % of hold-out worlds",
                grade="D",
                expectation="report",
                margin=adaptive_tail,
                cost="optimization",
                max_draws=1,
            ),
        ),
    ),
    Claim(
        id="C5.6ag",
        statement="Agent-based validation: the joint gain of tax, provenance and duty exceeds the sum of single gains",
        grade="D",
        expectation="region",
        margin=agent_superadditivity,
        details=_agent_details,
        cost="agents",
        max_draws=8,
        note="4000 agents, 60 months, 8 seeds, common random numbers, at tax .15, provenance .5, duty 1",
    ),
)

STUDIES_PATHS = {"adaptive_governance": adaptive_governance}
