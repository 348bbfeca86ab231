"""What data on exposure say that no outcome measures: the share of tasks that AI can reach."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import SOLVED, Moments
from jaxecon.models.ai_growth.accounts import services_value
from jaxecon.models.ai_growth.equilibrium import equilibrium
from jaxecon.models.ai_growth.params import Params, Policy


def exposure_moments(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Float[Array, ""]]:
    """Exposed share of tasks in 2020, sectors weighted by the value of output (by labor it is the same: automation is still
    alike); NaN where unsolved."""
    eq = equilibrium(p, u)
    exposed = p.x_g + (p.x_s - p.x_g) * services_value(eq.with_ai)[0]
    return {"exposure": jnp.where(eq.status == SOLVED, exposed, jnp.nan)}


MOMENT_GROUPS = {
    "exposure": Moments(
        run=exposure_moments,
        about={"exposure": ("share of tasks", "exposed tasks in 2020, sectors weighted by value of output")},
        cost="path",
    )
}
