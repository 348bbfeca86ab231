"""What data on incentives and signals say that no outcome measures: output under piece rates, what signals tell once agents use AI."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import SOLVED, Moments
from jaxecon.models.information_asymmetry.equilibrium import equilibrium
from jaxecon.models.information_asymmetry.params import Params, Policy

# Mean of a type that is uniform on [0, 1]: output without effort under (7.3).
MEAN_TYPE = 0.5


def incentive_moments(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Float[Array, ""]]:
    r"""Output gain of pay by performance under (7.3), $(E[b]/c)/E[\theta]$; correlation of the existing signal with ability,
    $\sqrt{v/(v + \sigma_x^2 + \sigma_g^2)}$, $v = 1/h_1$, and the part of it left once agents use AI; NaN where unsolved."""
    eq = equilibrium(p, u)
    v = 1 / p.h_1
    found = {
        "piece_rate_gain": eq.joint.piece_rate / p.c / MEAN_TYPE,
        "signal_correlation": jnp.sqrt(v / (v + p.s2_x)),
        "correlation_left": jnp.sqrt((v + p.s2_x) / (v + p.s2_x + p.s2_g * (1 - u.agent_ai_limit))),
    }
    return {name: jnp.where(eq.status == SOLVED, x, jnp.nan) for name, x in found.items()}


MOMENT_GROUPS = {
    "incentives": Moments(
        run=incentive_moments,
        about={
            "piece_rate_gain": ("share of output", "gain in output from pay by performance, types alike"),
            "signal_correlation": ("1", "correlation of the existing signal with ability, without agents' AI"),
            "correlation_left": ("1", "part of that correlation left with agents' AI"),
        },
    )
}
