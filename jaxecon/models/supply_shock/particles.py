r"""N interacting creators whose skills follow $ds = \lambda \pi'(s)\,dt + \sqrt{2 \lambda \sigma}\,dW$, reflected on [0, 1].

Their empirical law makes the market, the market makes the payoff. As N grows the law converges to (3.4), at the rate
$N^{-1/2}$ of sampling noise (C3.9).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.models.supply_shock import mean_field
from jaxecon.models.supply_shock.assignment import assign, first_guess, quality_grid
from jaxecon.models.supply_shock.dynamics import SKILL, skill_cells
from jaxecon.models.supply_shock.params import Params, Policy


def empirical_mass(skill: Float[Array, " n"], cells: int) -> Float[Array, " N"]:
    """Share of particles in each of `cells` equal cells of [0, 1]."""
    i = jnp.clip(jnp.floor(skill * cells).astype(jnp.int32), 0, cells - 1)
    return jnp.zeros(cells, skill.dtype).at[i].add(1.0 / skill.shape[0])


def reflect(s: Float[Array, " n"]) -> Float[Array, " n"]:
    """Fold into [0, 1] at both ends."""
    s = jnp.abs(s)
    return jnp.clip(1 - jnp.abs(1 - s), 0.0, 1.0)


def drift(payoff: Float[Array, " N"], skill: Float[Array, " n"]) -> Float[Array, " n"]:
    """Slope of the payoff at each particle: differences over cell edges, linear between them, level beyond the last."""
    n = payoff.shape[0]
    edges = jnp.arange(1, n, dtype=payoff.dtype) / n
    return jnp.interp(skill, edges, n * jnp.diff(payoff))


@partial(jax.jit, static_argnames=("n", "substeps"))
def simulate_particles(
    key: PRNGKeyArray, p: Params, u: Policy, time: Float[Array, " T"], n: int, substeps: int = 4
) -> tuple[Float[Array, "T N"], Float[Array, " T"]]:
    """Empirical cell masses and AI volume at the dates `time`, with n particles drawn from the initial law.

    `substeps`: Euler-Maruyama steps between two dates; the market clears at every step.
    """
    mass = mean_field.initial_law(SKILL, p)
    cells = mass.shape[0]
    key, sub = jax.random.split(key)
    below = jnp.concatenate([jnp.zeros_like(mass[:1]), jnp.cumsum(mass)])
    # Stratified draws: the initial law adds no sampling noise of its own beyond order 1/N.
    place = (jnp.arange(n, dtype=mass.dtype) + jax.random.uniform(sub, (n,), mass.dtype)) / n
    skill = jnp.interp(place * below[-1], below, jnp.arange(cells + 1, dtype=mass.dtype) / cells)
    ceilings = mean_field.ai_ceiling(p, time - time[0])

    def clear(skill: Array, ceiling: Array, state: Array) -> tuple[Array, Array, Array]:
        mass = empirical_mass(skill, cells)
        types = SKILL.types(p, mass, ceiling)
        a = assign(p, u, types, ceiling, SKILL.top(p), state, SKILL.temperature)
        return mass, mean_field.skill_payoff(SKILL, p, u, a.occupations.best), a.state

    def date(carry: tuple[Array, Array], x: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], tuple]:
        ceiling, dt, key = x

        def move(carry: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], None]:
            skill, state = carry
            _, pi, state = clear(skill, ceiling, state)
            noise = jax.random.normal(key, skill.shape, skill.dtype)
            h = dt / substeps
            step = p.lam * drift(pi, skill) * h + jnp.sqrt(2 * p.lam * p.sigma * h) * noise
            return (reflect(skill + step), state), None

        mass, _, state = clear(carry[0], ceiling, carry[1])
        carry, _ = lax.scan(move, (carry[0], state), jax.random.split(key, substeps))
        return carry, (mass, state[-1])

    nodes = quality_grid(SKILL.types(p, mass, ceilings[0]), ceilings[0], SKILL.top(p)).q
    dates = (ceilings, jnp.diff(time, append=time[-1:]), jax.random.split(key, time.shape[0]))
    _, (masses, volumes) = lax.scan(date, (skill, first_guess(p, nodes)), dates)
    return masses, volumes


def mean_skill(masses: Float[Array, "T N"], p: Params) -> Float[Array, " T"]:
    """Mean skill of cell masses at each date."""
    return masses @ skill_cells(p)
