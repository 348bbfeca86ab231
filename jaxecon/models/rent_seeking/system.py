r"""All rest points of rents and transparency, and whether a society returns to them.

Unknowns are transparency S and $\rho = R/(1+R)$, so that both lie in [0, 1). What moves them is the yearly law of `p` (6.2), (6.3) at
the long-run capability. Predator-prey rests at a center: its largest modulus is one, it counts as not stable.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.systems import System
from jaxecon.models.rent_seeking.equilibrium import choices_at, equilibrium, gaps
from jaxecon.models.rent_seeking.laws import advance
from jaxecon.models.rent_seeking.params import Params, Policy


def residual(x: Float[Array, "2"], p: Params, u: Policy) -> Float[Array, "2"]:
    """The rest point's conditions in (S, rho); predator-prey has its own, $a S = d$ and $\\gamma = \\delta R$."""
    if p.law == "predator_prey":
        R = x[1] / (1 - x[1])
        return jnp.stack([p.a_pp * x[0] / p.d_pp - 1, p.delta * R / p.gamma_pp - 1])
    return jnp.stack(gaps(p, u, x[0], x[1]))


def motion(x: Float[Array, "2"], p: Params, u: Policy) -> Float[Array, "2"]:
    """(S, rho) a year later."""
    S, R = x[0], x[1] / (1 - x[1])
    _, means = choices_at(p, u, p.A, R, S)
    R, S = advance(p, u, p.A, R, S, means.r, means.m)
    return jnp.stack([S, R / (1 + R)])


def own(p: Params, u: Policy) -> Float[Array, "1 2"]:
    """The rest point that the model solves for."""
    eq = equilibrium(p, u)
    return jnp.where(eq.status == 0, jnp.stack([eq.S, eq.R / (1 + eq.R)]), jnp.nan)[None]


SYSTEM = System(
    residual,
    {"transparency": (0.0, 1.0), "rents_over_one_plus_rents": (0.0, 0.999)},
    motion,
    kind="map",
    own=own,
    doc="rest points of rents and transparency at the long-run capability, under the yearly law of motion",
)
