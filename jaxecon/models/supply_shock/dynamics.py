"""Mean field with one skill (paper 3, layer 2): the skill law of the static model moves by (3.4)."""

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
from jaxecon.models.supply_shock.two_skill import TWO_SKILL

_POINTS = 4


class MeanFieldPath(MarketPath):
    """Path of the one-skill mean field: the market's series, cutoffs, and the skill density `[T, N]`."""

    skill: Float[Array, " N"] = series("skill", unit="skill", doc="cell centers", symbol="s")
    density: Float[Array, "T N"] = series("time", "skill", unit="share per skill", doc="skill density", symbol="mu")
    mean_skill: Float[Array, " T"] = series("time", unit="skill", doc="mean skill of all creators", symbol="s_mean")
    mean_skill_active: Float[Array, " T"] = series(
        "time", unit="skill", doc="mean skill of active creators (lower skills exit first)", symbol="s_active"
    )
    exit_cutoff: Float[Array, " T"] = series("time", unit="skill", doc="lower skills exit", symbol="s_0")
    human_cutoff: Float[Array, " T"] = series(
        "time", unit="skill", doc="above it creators work without AI", symbol="s_H"
    )


def skill_cells(p: Params) -> Float[Array, " N"]:
    """Centers of the skill cells."""
    return (jnp.arange(p.n_cells, dtype=p.q_A.dtype) + 0.5) / p.n_cells


def _points(p: Params) -> Array:
    n = p.n_cells * _POINTS
    return (jnp.arange(n, dtype=p.q_A.dtype) + 0.5) / n


def _types(p: Params, mass: Array, ceiling: Array) -> Types:
    s = _points(p)
    return Types(jnp.repeat(mass / _POINTS, _POINTS), p.alpha * s, jnp.minimum(p.a * s, ceiling))


def _maintenance(p: Params) -> Array:
    return p.zeta * skill_cells(p) ** 2 / 2


SKILL = Space(
    shape=lambda p: (p.n_cells,),
    types=_types,
    top=lambda p: p.alpha,
    maintenance=_maintenance,
    lift=skill_cells,
    points=_POINTS,
    temperature=5e-4,
)


def _skill_series(p: Params, mass: Array, a: Assignment) -> dict[str, Array]:
    """Mean skills and cutoffs of one date."""
    s, weight = _points(p), a.types.mass
    zero, edges = jnp.zeros_like(weight[:1]), jnp.linspace(0.0, 1.0, s.shape[0] + 1, dtype=s.dtype)
    below = jnp.concatenate([zero, jnp.cumsum(weight)])
    skill_below = jnp.concatenate([zero, jnp.cumsum(weight * s)])
    humans, adopters = weight * a.occupations.human, weight * a.occupations.ai
    active = jnp.sum(humans + adopters)
    middle = jnp.sum(adopters * s) / jnp.maximum(jnp.sum(adopters), 1e-12)
    top = jnp.sum(jnp.where(s >= middle, humans, 0.0))
    return dict(
        density=mass * mass.shape[0],
        mean_skill=skill_below[-1],
        mean_skill_active=(skill_below[-1] - jnp.interp(1 - active, below, skill_below)) / active,
        exit_cutoff=jnp.interp(1 - active, below, edges),
        human_cutoff=jnp.interp(1 - top, below, edges),
    )


def simulate(p: Params, u: Policy, time: Float[Array, " T"], mass: Float[Array, " N"] | None = None) -> MeanFieldPath:
    """Path of (3.4) on the increasing dates `time` from cell masses `mass` (default: the no-AI fixed point, tilted).

    Instruments may be scalars or paths of the length of `time`.
    """
    mass = mean_field.initial_law(SKILL, p) if mass is None else mass
    time = jnp.asarray(time, mass.dtype)
    ceilings = mean_field.ai_ceiling(p, time - time[0])
    values = mean_field.march(SKILL, p, u, time, mass, ceilings, partial(_skill_series, p))
    return MeanFieldPath(skill=skill_cells(p), **values)


def control(p: Params, time: Float[Array, " T"]) -> MeanFieldPath:
    """The no-AI control: the same economy and initial law, without AI and without instruments."""
    return simulate(mean_field.without_ai(p), Policy(), time, mean_field.initial_law(SKILL, p))


def stationary(p: Params, u: Policy) -> MeanFieldPath:
    """The stationary state by its fixed point, not by a path: a `MeanFieldPath` of one date, at the full ceiling."""
    _, log_law = mean_field.stationary_state(SKILL, p, u)
    mass = jax.nn.softmax(log_law)
    time = jnp.zeros((1,), mass.dtype)
    values = mean_field.march(SKILL, p, u, time, mass, p.q_A[None], partial(_skill_series, p))
    return MeanFieldPath(skill=skill_cells(p), **values)


def run(p: Params, u: Policy, time: Float[Array, " T"]) -> MeanFieldPath:
    """Path of the one-skill mean field from the no-AI fixed point (3.4)."""
    return simulate(p, u, time)


MEAN_FIELD = Dynamics(
    run=run,
    Result=MeanFieldPath,
    doc="One-skill mean field: drift and diffusion of skills, the market cleared at every date (3.4)",
    horizon=150.0,
    steps=301,
)

DYNAMICS = {"mean_field": MEAN_FIELD, "two_skill": TWO_SKILL}
