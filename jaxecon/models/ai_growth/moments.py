"""What data on exposure say that no outcome measures: the share of tasks that AI can reach, by value and by labor."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import SOLVED, Moments
from jaxecon.models.ai_growth.accounts import goods_labor, services_value
from jaxecon.models.ai_growth.equilibrium import equilibrium
from jaxecon.models.ai_growth.params import Params, Policy


def exposure_moments(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Float[Array, ""]]:
    """Exposed share of tasks in 2020, sectors weighted by the value of output and by labor; NaN where unsolved."""
    eq = equilibrium(p, u)
    by_value, by_labor = services_value(eq.with_ai)[0], 1 - goods_labor(eq.with_ai)[0]
    found = {
        "exposure_by_value": p.x_g + (p.x_s - p.x_g) * by_value,
        "exposure_by_labor": p.x_g + (p.x_s - p.x_g) * by_labor,
    }
    return {name: jnp.where(eq.status == SOLVED, x, jnp.nan) for name, x in found.items()}


MOMENT_GROUPS = {
    "exposure": Moments(
        run=exposure_moments,
        about={
            "exposure_by_value": ("share of tasks", "exposed tasks in 2020, sectors weighted by value of output"),
            "exposure_by_labor": ("share of tasks", "exposed tasks in 2020, sectors weighted by labor"),
        },
        cost="path",
    )
}
