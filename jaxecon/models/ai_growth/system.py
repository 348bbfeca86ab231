r"""Leads of one country over another at which imitation keeps pace with research, after both inflections (8.22), (8.23).

Below the saddle-node there is none, and any lead grows; beyond it a stable lead and an unstable one, the tipping point. Where the follower's
research alone is as good as the leader's no lead lasts, and there is none either.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.systems import System
from jaxecon.models.ai_growth.countries import long_run, rest_points, technology_growth
from jaxecon.models.ai_growth.params import Params, Policy


def motion(x: Float[Array, "1"], p: Params, u: Policy) -> Float[Array, "1"]:
    """The lead a year later, in units of the absorptive capacity h, long after the inflections."""
    one, two = technology_growth(p, x[0] * p.h_abs, jnp.full_like(p.h_abs, jnp.inf))
    return x + (one - two)[None] / p.h_abs


def residual(x: Float[Array, "1"], p: Params, u: Policy) -> Float[Array, "1"]:
    """Growth of the lead a year over the fastest imitation there is, kappa (1 + theta_A) h/e."""
    return (motion(x, p, u) - x) / (p.kap * (1 + p.th_A) * jnp.exp(-1.0))


def own(p: Params, u: Policy) -> Float[Array, "2 1"]:
    """The closed form of both leads."""
    advantage, speed = long_run(p)
    return jnp.stack(rest_points(advantage, speed, p.h_abs))[:, None] / p.h_abs


SYSTEM = System(
    residual,
    {"lead_over_h": (1e-6, 10.0)},
    motion,
    kind="map",
    own=own,
    doc="leads in technology, at most ten times the absorptive capacity, at which imitation keeps pace with research",
)
