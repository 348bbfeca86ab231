r"""All interior solutions of the three-stage game, and whether the economy stays at them.

Unknowns are those of the equilibrium, (ln a, ln M/A, ln w, v). Solutions of (5.5) count whatever the platform's second order says; stable
are those where its objective has a peak, locally, and to which trust and supply return (5.3), (5.4) while moderation, verification and the
wage follow at once. Exits of one kind of content, where the platform stops at a kink, are no roots.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.systems import System
from jaxecon.models.information_pollution import platform, stage
from jaxecon.models.information_pollution.dynamics import State, fast_gaps, rest_and_rate
from jaxecon.models.information_pollution.equilibrium import conditions, equilibrium
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.producers import Pair
from jaxecon.models.information_pollution.solver import HIGHEST, INTERIOR
from jaxecon.numerics.linear import solve_small


def residual(y: Float[Array, "4"], p: Params, u: Policy) -> Float[Array, "4"]:
    """(5.5) and the inner conditions."""
    return conditions(y, (p, u, jnp.asarray(INTERIOR, y.dtype)))


def _eliminated(to: Array, at: Array, response: Array, shift: Array) -> Array:
    """d to/d x in all, where the variables in between solve `response @ dz + shift = 0`."""
    columns = [-solve_small(response, column) for column in shift.T]
    return to + at @ jnp.stack(columns, axis=1)


def jacobian(y: Float[Array, "4"], p: Params, u: Policy) -> Float[Array, "4 4"]:
    """Of (T, q_L, q_H) on their way to rest, per year; and, apart, the slope of (5.5) in ln a."""
    s = platform.allocation(p, u, y[0], y[1:])
    slow = jnp.stack([s.T, s.q.L, s.q.H])
    fast = jnp.stack([y[0], jnp.log(s.q.L + stage.FRINGE), jnp.log(s.q.H + stage.FRINGE), y[2], y[2]])

    def speed(fast: Array, slow: Array) -> Array:
        now = stage.instant(p, u, slow[0], Pair(slow[1], slow[2]), fast[0], fast[4])
        state = State(slow[0], Pair(slow[1], slow[2]), fast, jnp.eye(5, dtype=fast.dtype), jnp.zeros_like(slow[0]))
        rest, rate = rest_and_rate(p, state, now)
        return rate * (rest - slow)

    def gaps(fast: Array, slow: Array) -> Array:
        return fast_gaps(fast, (p, u, slow[0], Pair(slow[1], slow[2])))

    through, direct = jax.jacfwd(speed, argnums=(0, 1))(fast, slow)
    economy = _eliminated(direct, through, *jax.jacfwd(gaps, argnums=(0, 1))(fast, slow))
    J = jax.jacfwd(lambda z: residual(z, p, u))(y)
    peak = _eliminated(J[:1, :1], J[:1, 1:], J[1:, 1:], J[1:, :1])
    return jnp.zeros((4, 4), y.dtype).at[:3, :3].set(economy).at[3, 3].set(peak[0, 0])


def own(p: Params, u: Policy) -> Float[Array, "1 4"]:
    """The model's own equilibrium, where it is interior."""
    eq = equilibrium(p, u)
    return jnp.where((eq.status == 0) & (eq.mode == INTERIOR), eq.y, jnp.nan)[None]


SYSTEM = System(
    residual,
    {
        "log_moderation": (-HIGHEST, HIGHEST),
        "log_traffic": (-9.0, 1.5),
        "log_wage": (-0.5, 2.5),
        "verification": (0.0, 3.0),
    },
    jacobian=jacobian,
    own=own,
    doc="interior solutions of the three-stage game; stable where the platform's objective peaks and trust and supply return",
)
