r"""Claims on the mean field: C3.5 (fixed point, free energy, uniqueness), C3.6 (collapse and recovery), C3.9a (particles).

Collapse and recovery are measured on a series X(t) relative to the no-AI control from the same initial law:
*depth* $X_0 - \min X$ and *recovery* $(X_T - \min X)/(X_0 - \min X)$, the share of the fall that is made up by the
end, T = 15/lambda. A fall counts from a depth of .1, a recovery from 1 % of the fall. Paths run on `CELLS` cells per
axis: the claims are on shapes, and the error of that grid is far below the thresholds.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import Claim, claim_of_parts
from jaxecon.models.supply_shock import dynamics, mean_field, particles, two_skill
from jaxecon.models.supply_shock.assignment import assign
from jaxecon.models.supply_shock.dynamics import SKILL
from jaxecon.models.supply_shock.params import Params, Policy

CELLS = 48
DEPTH, RECOVERY = 0.1, 0.01
_LOW_START = 10.0
_SPEEDS = 15.0


def _coarse(p: Params, **values: Array | float) -> Params:
    return dataclasses.replace(p, n_cells=CELLS, n_grid=CELLS // 2, **values)


def _dates(p: Params, steps: int) -> Float[Array, " T"]:
    """Dates up to 15/lambda, when the slowest mode has settled."""
    return jnp.linspace(0.0, 1.0, steps + 1, dtype=p.q_A.dtype) * _SPEEDS / p.lam


def shape_of(x: Float[Array, " T"]) -> dict[str, Float[Array, ""]]:
    """Depth of the fall of a series and the share of it that is made up by the end."""
    low = jnp.min(x)
    fall = x[0] - low
    return {"depth": fall, "recovery": (x[-1] - low) / jnp.maximum(fall, 1e-3), "trough": low, "end": x[-1]}


def relative_to_control(p: Params, u: Policy, skills: int, name: str, steps: int = 150) -> Float[Array, " T"]:
    """Series `name` of the mean field with one or two skills, over the same series of the no-AI control."""
    layer = dynamics if skills == 1 else two_skill
    space = SKILL if skills == 1 else two_skill.SQUARE
    time, mass = _dates(p, steps), mean_field.initial_law(space, p)
    # One batch of two: the economy, and the control with AI priced out and no instruments.
    economies = jax.tree.map(lambda *x: jnp.stack(x), p, mean_field.without_ai(p))
    policies = jax.tree.map(lambda *x: jnp.stack(x), u, Policy())
    values = jax.vmap(lambda q, v: getattr(layer.simulate(q, v, time, mass), name))(economies, policies)
    return values[0] / jnp.maximum(values[1], 1e-6)


def fixed_point_residual(p: Params, u: Policy) -> Float[Array, ""]:
    r"""Largest $|\ln\mu^* - \pi(\cdot,\mu^*)/\sigma|$ (less its mean), the market cleared anew for $\mu^*$."""
    state, log_law = mean_field.stationary_state(SKILL, p, u)
    types = SKILL.types(p, jax.nn.softmax(log_law), p.q_A)
    a = assign(p, u, types, p.q_A, SKILL.top(p), 0.9 * state, SKILL.temperature)
    gap = log_law - mean_field.skill_payoff(SKILL, p, u, a.occupations.best) / p.sigma
    return jnp.max(jnp.abs(gap - jnp.mean(gap)))


def largest_rise(p: Params, u: Policy) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Largest rise of free energy in a step, and the rise from its lowest point to the end; shares of the first fall.

    Where the law begins at rest the fall is rounding: then shares of a ten-thousandth of sigma, the unit of free energy.
    """
    p = dataclasses.replace(p, q_A0=jnp.ones_like(p.q_A0))
    energy = dynamics.simulate(p, u, _dates(p, 150)).free_energy
    scale = jnp.maximum(energy[0] - jnp.min(energy), 1e-4 * p.sigma)
    return jnp.max(jnp.diff(energy)) / scale, (energy[-1] - jnp.min(energy)) / scale


def start_spread(p: Params, u: Policy) -> Float[Array, ""]:
    """Largest difference of stationary densities between starts at low, middle and high prices and volumes."""
    starts = jnp.asarray([0.05, 0.5, 1.0, 1.8], p.q_A.dtype)
    log_laws = jax.vmap(lambda k: mean_field.stationary_state(SKILL, p, u, k)[1])(starts)
    density = CELLS * jax.nn.softmax(log_laws, axis=1)
    return jnp.max(jnp.max(density, axis=0) - jnp.min(density, axis=0))


def _potential_game(p: Params) -> Params:
    zero = jnp.zeros_like(p.beta)
    return _coarse(p, beta=zero, chi=zero)


def _fixed_point_margin(p: Params, u: Policy, key: PRNGKeyArray) -> Float[Array, ""]:
    return 1e-6 - fixed_point_residual(_coarse(p), u)


def _energy_margin(p: Params, u: Policy, key: PRNGKeyArray) -> Float[Array, ""]:
    return 1e-9 - largest_rise(_potential_game(p), u)[0]


def _energy_details(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Array]:
    rises = {}
    for name, q in (
        ("beta = chi = 0", _potential_game(p)),
        ("beta = 0, friction", _coarse(p, beta=jnp.zeros_like(p.beta))),
        ("beta and friction", _coarse(p)),
    ):
        rises[f"largest rise in a step: {name}"], rises[f"rise from the lowest point: {name}"] = largest_rise(q, u)
    return rises


def _unique_margin(p: Params, u: Policy, key: PRNGKeyArray) -> Float[Array, ""]:
    return 1e-6 - start_spread(_potential_game(p), u)


def _unique_details(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Array]:
    return {"spread at this beta and friction": start_spread(_coarse(p), u)}


def _falls_and_recovers(x: Float[Array, " T"]) -> Float[Array, ""]:
    found = shape_of(x)
    return jnp.minimum(found["recovery"] - RECOVERY, found["depth"] - DEPTH)


def _no_recovery_margin(p: Params, u: Policy, key: PRNGKeyArray) -> Float[Array, ""]:
    return RECOVERY - shape_of(relative_to_control(_coarse(p), u, 1, "human_share"))["recovery"]


def _low_start_margin(p: Params, u: Policy, key: PRNGKeyArray) -> Float[Array, ""]:
    p = _coarse(p, tilt=jnp.full_like(p.tilt, _LOW_START))
    return _falls_and_recovers(relative_to_control(p, u, 1, "human_share"))


def _two_skill_margin(p: Params, u: Policy, key: PRNGKeyArray) -> Float[Array, ""]:
    return _falls_and_recovers(relative_to_control(_coarse(p), u, 2, "median_income"))


def _friction_margin(p: Params, u: Policy, key: PRNGKeyArray) -> Float[Array, ""]:
    p = _coarse(p)

    def trough(chi: Array) -> Array:
        q = dataclasses.replace(p, chi=chi)
        return shape_of(relative_to_control(q, u, 1, "human_share"))["trough"]

    troughs = jax.vmap(trough)(jnp.stack([jnp.zeros_like(p.chi), p.chi]))
    return troughs[0] - troughs[1]


def _shapes(skills: int, name: str, **values: float):
    def details(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Array]:
        p = _coarse(p, **{k: jnp.full_like(p.q_A, v) for k, v in values.items()})
        return dict(shape_of(relative_to_control(p, u, skills, name)))

    return details


def particle_errors(
    p: Params, u: Policy, key: PRNGKeyArray, sizes: tuple[int, ...] = (250, 4000), seeds: int = 8
) -> Float[Array, " sizes"]:
    """Root mean square error of the particles' distribution function against (3.4), over dates, skills and seeds."""
    p = _coarse(p)
    # The particles' own step, so that the two differ by sampling and not by the step in time.
    substeps, dates = 4, 20
    time = jnp.linspace(0.0, 2.0, dates + 1, dtype=p.q_A.dtype) / p.lam
    fine = jnp.linspace(0.0, 2.0, substeps * dates + 1, dtype=p.q_A.dtype) / p.lam
    limit = dynamics.simulate(p, u, fine).density[::substeps] / CELLS
    exact = jnp.cumsum(limit, axis=1)

    def error(n: int) -> Array:
        runs = jax.vmap(lambda k: particles.simulate_particles(k, p, u, time, n, substeps)[0])
        found = jnp.cumsum(runs(jax.random.split(key, seeds)), axis=2)
        return jnp.sqrt(jnp.mean((found - exact)[:, 1:] ** 2))

    return jnp.stack([error(n) for n in sizes])


def _particle_margin(p: Params, u: Policy, key: PRNGKeyArray) -> Float[Array, ""]:
    errors = particle_errors(p, u, key)
    rate = jnp.log(errors[1] / errors[0]) / jnp.log(4000 / 250)
    return 0.15 - jnp.abs(rate + 0.5)


def _particle_details(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Array]:
    errors = particle_errors(p, u, key)
    rate = jnp.log(errors[1] / errors[0]) / jnp.log(4000 / 250)
    return {"error at 250": errors[0], "error at 4000": errors[1], "rate in N": rate}


_FIXED_POINT = Claim(
    id="C3.5a",
    statement="The stationary law solves mu* ~ exp(pi(s, mu*)/sigma)",
    grade="D",
    expectation="exact",
    margin=_fixed_point_margin,
    cost="path",
    max_draws=64,
)
_ENERGY = Claim(
    id="C3.5b",
    statement="At beta = 0, without search friction and at a constant ceiling, free energy never rises",
    grade="R",
    expectation="exact",
    margin=_energy_margin,
    details=_energy_details,
    cost="path",
    max_draws=16,
    note="friction is an externality too: with chi > 0 the payoff is no derivative and free energy may rise",
)
_UNIQUE = Claim(
    id="C3.5c",
    statement="At beta = 0 without friction the stationary law is unique (multi-start)",
    grade="R",
    expectation="exact",
    margin=_unique_margin,
    details=_unique_details,
    cost="path",
    max_draws=16,
)


_RECOVERY_PARTS = (
    Claim(
        id="C3.6a",
        statement="One skill, from the pre-AI stationary law: the human share falls and does not recover",
        grade="R",
        expectation="region",
        margin=_no_recovery_margin,
        details=_shapes(1, "human_share"),
        cost="path",
        max_draws=16,
    ),
    Claim(
        id="C3.6b",
        statement="One skill, initial law below its own stationary law (tilt 10): the human share falls, then recovers",
        grade="R",
        expectation="region",
        margin=_low_start_margin,
        details=_shapes(1, "human_share", tilt=_LOW_START),
        cost="path",
        max_draws=16,
    ),
    Claim(
        id="C3.6c",
        statement="Two skills: the median income of active creators falls, then recovers",
        grade="R",
        expectation="region",
        margin=_two_skill_margin,
        details=_shapes(2, "median_income"),
        cost="path",
        max_draws=4,
    ),
    Claim(
        id="C3.6d",
        statement="Search friction deepens the trough of the human share",
        grade="R",
        expectation="region",
        margin=_friction_margin,
        cost="path",
        max_draws=16,
    ),
)
_FIXED_POINT_PARTS = (_FIXED_POINT, _ENERGY, _UNIQUE)
PARTICLES = Claim(
    id="C3.9a",
    statement="Particles with drift pi' converge to the mean field (3.4) at the rate N^-1/2",
    grade="R",
    expectation="limit",
    margin=_particle_margin,
    details=_particle_details,
    cost="path",
    max_draws=1,
)
CLAIMS_MEANFIELD = (
    claim_of_parts(
        "C3.5",
        "mu* is a fixed point; at beta = 0 free energy falls and mu* is unique",
        "D",
        "exact",
        _FIXED_POINT_PARTS,
        max_draws=4,
    ),
    claim_of_parts(
        "C3.6",
        "Collapse then recovery: not from the pre-AI stationary law, but from below it or with two skills",
        "R",
        "region",
        _RECOVERY_PARTS,
        max_draws=2,
    ),
)
