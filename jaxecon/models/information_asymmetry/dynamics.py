r"""A career (7.4): effort from reputation, under pay with a ratchet, and what is known of ability, period by period."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.fields import series
from jaxecon.core.model import Dynamics
from jaxecon.models.information_asymmetry.incentives import (
    career_effort,
    incentive_power,
    precision_at,
    ratchet_effort,
)
from jaxecon.models.information_asymmetry.params import Params, Policy
from jaxecon.models.information_asymmetry.precision import performance_precision


class Career(eqx.Module):
    """A career of T periods; `time` counts periods before, 0 in the first."""

    time: Array = series("time", unit="periods", doc="periods of tenure so far")
    precision_of_ability: Array = series(
        "time", symbol="h_t", unit="1/output^2", doc="precision of what is known of ability"
    )
    career_effort: Array = series(
        "time", symbol="e_t", unit="effort", doc="effort from career concerns alone (7.4)", grade="S"
    )
    ratchet_effort: Array = series(
        "time", unit="effort", doc="effort under the piece rate B where later terms answer to performance"
    )
    contract_effort: Array = series(
        "time", unit="effort", doc="effort under the piece rate B with no later terms, B/c", grade="S"
    )
    first_best_effort: Array = series("time", unit="effort", doc="first-best effort 1/c", grade="S")
    surplus: Array = series(
        "time", unit="money", doc="output less cost of effort under career concerns alone, e - c e^2/2"
    )


def career(p: Params, u: Policy, time: Float[Array, " T"]) -> Career:
    """Efforts over a career.

    **Arguments**

    - `p`, `u`: nature and policy; `competition` for workers turns the ratchet into career concerns.
    - `time`: shape `[T]`, increasing, periods of tenure; beyond the career's end no reputation is left to earn.

    **Returns** a `Career` of series `[T]`.
    """
    B = incentive_power(p.r, p.c, performance_precision(p, u).Q)
    alone = jax.vmap(lambda t: career_effort(p, t))(time)
    return Career(
        time=time,
        precision_of_ability=precision_at(p, time),
        career_effort=alone,
        ratchet_effort=jax.vmap(lambda t: ratchet_effort(p, t, B, u.competition))(time),
        contract_effort=jnp.full_like(time, B / p.c),
        first_best_effort=jnp.full_like(time, 1 / p.c),
        surplus=alone - p.c * alone**2 / 2,
    )


DYNAMICS = {"career": Dynamics(career, Career, "effort over a career (7.4)", horizon=7.0, steps=7)}
