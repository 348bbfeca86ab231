"""What data on rent-seeking say that no outcome measures: its cost as a share of output, and how much of it is manipulation."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import SOLVED, Moments
from jaxecon.models.rent_seeking.equilibrium import equilibrium
from jaxecon.models.rent_seeking.params import Params, Policy


def effort_moments(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Float[Array, ""]]:
    r"""Output forgone, $1 - E[w(1-r-m)]/E[w]$, and $\bar m/(\bar r + \bar m)$; NaN where unsolved."""
    eq = equilibrium(p, u)
    potential = p.w * jnp.exp(p.sd**2 / 2)
    r, m = eq.means.r, eq.means.m
    found = {"forgone_output": 1 - eq.means.output / potential, "manipulation_share": m / jnp.maximum(r + m, 1e-12)}
    return {name: jnp.where(eq.status == SOLVED, x, jnp.nan) for name, x in found.items()}


MOMENT_GROUPS = {
    "effort": Moments(
        run=effort_moments,
        about={
            "forgone_output": (
                "share of output",
                "output that time spent on rents would have made, of potential output",
            ),
            "manipulation_share": ("share of time", "manipulation in all time spent on rents"),
        },
    )
}
