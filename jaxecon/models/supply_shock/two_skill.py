r"""Mean field with two skills (paper 3, layer 2): technique x and creativity y on the unit square.

    q_H = omega max(x, T_A) + (1 - omega) y,    q_A = omega T_A + (1 - omega) min(y, C_A),
    pi  = max{w_0, pi_A, pi_H} - zeta (x + y)^2/2

Maintenance is a time budget: its cross term is what raises y when the return to x falls. AI technique and creativity
keep their proportion and are scaled so that the best AI quality is the ceiling q_A(t) of (3.4).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.fields import series
from jaxecon.core.model import Dynamics
from jaxecon.models.supply_shock import mean_field
from jaxecon.models.supply_shock.assignment import Assignment, Types
from jaxecon.models.supply_shock.mean_field import MarketPath, Space
from jaxecon.models.supply_shock.params import Params, Policy


class TwoSkillPath(MarketPath):
    """Path of the two-skill mean field: the market's series, means of both skills, marginal densities."""

    technique: Float[Array, " N"] = series("technique", unit="skill", doc="cell centers of technique", symbol="x")
    creativity: Float[Array, " N"] = series("creativity", unit="skill", doc="cell centers of creativity", symbol="y")
    density: Float[Array, "T N N"] = series(
        "time", "technique", "creativity", unit="share per skill^2", doc="density of both skills", symbol="mu"
    )
    mean_technique: Float[Array, " T"] = series("time", unit="skill", doc="mean technique", symbol="x_mean")
    mean_creativity: Float[Array, " T"] = series("time", unit="skill", doc="mean creativity", symbol="y_mean")
    mean_technique_active: Float[Array, " T"] = series(
        "time", unit="skill", doc="mean technique of active humans", symbol="x_active"
    )
    mean_creativity_active: Float[Array, " T"] = series(
        "time", unit="skill", doc="mean creativity of active humans", symbol="y_active"
    )
    ai_technique: Float[Array, " T"] = series("time", unit="skill", doc="technique of AI", symbol="T_A")
    ai_creativity: Float[Array, " T"] = series("time", unit="skill", doc="creativity of AI", symbol="C_A")


def square(p: Params) -> tuple[Float[Array, "N N"], Float[Array, "N N"]]:
    """Cell centers of technique (first axis) and creativity (second axis)."""
    s = (jnp.arange(p.n_grid, dtype=p.q_A.dtype) + 0.5) / p.n_grid
    return jnp.broadcast_to(s[:, None], (p.n_grid, p.n_grid)), jnp.broadcast_to(s[None], (p.n_grid, p.n_grid))


def ai_skills(p: Params, ceiling: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Technique and creativity of AI at a ceiling q: $(T_A, C_A) q/(\omega T_A + (1-\omega) C_A)$ [R]."""
    scale = ceiling / jnp.maximum(p.omega * p.T_A + (1 - p.omega) * p.C_A, 1e-6)
    return p.T_A * scale, p.C_A * scale


def _types(p: Params, mass: Array, ceiling: Array) -> Types:
    x, y = square(p)
    technique, creativity = ai_skills(p, ceiling)
    human = p.omega * jnp.maximum(x, technique) + (1 - p.omega) * y
    with_ai = p.omega * technique + (1 - p.omega) * jnp.minimum(y, creativity)
    return Types(mass.ravel(), human.ravel(), with_ai.ravel())


def _maintenance(p: Params) -> Array:
    x, y = square(p)
    return p.zeta * (x + y) ** 2 / 2


def _top(p: Params) -> Array:
    return jnp.maximum(p.omega * jnp.maximum(1.0, ai_skills(p, p.q_A)[0]) + 1 - p.omega, p.q_A)


SQUARE = Space(
    shape=lambda p: (p.n_grid, p.n_grid),
    types=_types,
    top=_top,
    maintenance=_maintenance,
    lift=lambda p: square(p)[1],
    points=1,
    temperature=2e-3,
)


def _skill_series(p: Params, mass: Array, a: Assignment) -> dict[str, Array]:
    """Means of both skills, over everyone and over active humans."""
    x, y = square(p)
    humans = mass * a.occupations.human.reshape(mass.shape)
    active = jnp.maximum(jnp.sum(humans), 1e-12)
    return dict(
        density=mass * mass.size,
        mean_technique=jnp.sum(mass * x),
        mean_creativity=jnp.sum(mass * y),
        mean_technique_active=jnp.sum(humans * x) / active,
        mean_creativity_active=jnp.sum(humans * y) / active,
    )


def _path(p: Params, u: Policy, time: Array, mass: Array, ceilings: Array) -> TwoSkillPath:
    s = square(p)[1][0]
    values = mean_field.march(SQUARE, p, u, time, mass, ceilings, partial(_skill_series, p))
    technique, creativity = ai_skills(p, ceilings)
    return TwoSkillPath(technique=s, creativity=s, ai_technique=technique, ai_creativity=creativity, **values)


def simulate(p: Params, u: Policy, time: Float[Array, " T"], mass: Float[Array, "N N"] | None = None) -> TwoSkillPath:
    """Path on the increasing dates `time` from cell masses `mass` (default: the no-AI fixed point, tilted in y)."""
    mass = mean_field.initial_law(SQUARE, p) if mass is None else mass
    time = jnp.asarray(time, mass.dtype)
    return _path(p, u, time, mass, mean_field.ai_ceiling(p, time - time[0]))


def control(p: Params, time: Float[Array, " T"]) -> TwoSkillPath:
    """The no-AI control: the same initial law, no AI and no instruments."""
    mass = mean_field.initial_law(SQUARE, p)
    return _path(mean_field.without_ai(p), Policy(), jnp.asarray(time, mass.dtype), mass, jnp.full_like(time, p.q_A))


def stationary(p: Params, u: Policy) -> TwoSkillPath:
    """The stationary state by its fixed point, not by a path: a `TwoSkillPath` of one date, at the full ceiling."""
    _, log_law = mean_field.stationary_state(SQUARE, p, u)
    mass = jax.nn.softmax(log_law.ravel()).reshape(log_law.shape)
    return _path(p, u, jnp.zeros((1,), mass.dtype), mass, p.q_A[None])


def run(p: Params, u: Policy, time: Float[Array, " T"]) -> TwoSkillPath:
    """Path of the two-skill mean field from its no-AI fixed point."""
    return simulate(p, u, time)


TWO_SKILL = Dynamics(
    run=run,
    Result=TwoSkillPath,
    doc="Two-skill mean field: technique and creativity under a joint maintenance cost",
    horizon=150.0,
    steps=151,
)
