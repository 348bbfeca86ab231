"""The best use of sets of instruments: the three failures alone, single instruments, the joint portfolio.

With fiduciary duty f = 1 the platform itself maximizes welfare over ln a, so that any set that holds the
duty is a smooth problem over its other instruments and ln a, without a first-order condition inside.
"""

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.core.fields import with_fields
from jaxecon.models.information_pollution import platform, producers
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.planner import (
    best_policy,
    instrument_bounds,
    market_welfare,
)
from jaxecon.models.information_pollution.solver import inner_conditions, inner_start, solve_inner
from jaxecon.numerics.box import Maximum, maximize_box
from jaxecon.numerics.roots import attach_derivative

Scalar = Float[Array, ""]
TAX, PROV, DUTY, COMPUTE = "low_quality_tax", "provenance", "fiduciary_duty", "ai_compute_tax"


def moderated_welfare(p: Params, u: Policy, ln_a: Scalar) -> Scalar:
    """Welfare when moderation is `ln_a` and stages 2 and 3 respond; minus infinity where they have no solution."""
    fixed_p, fixed_u, fixed_a = lax.stop_gradient((p, u, ln_a))
    h = producers.flag_rates(fixed_p, fixed_u)
    z, gap = solve_inner(fixed_p, fixed_u, fixed_a, inner_start(fixed_p, fixed_u, fixed_a, h), h)
    good = gap <= (1e-9 if jnp.finfo(z.dtype).bits == 64 else 1e-4)
    z = attach_derivative(inner_conditions, z, (p, u, ln_a), good)
    s = platform.allocation(p, u, ln_a, z)
    return jnp.where(good & (s.A > 0), platform.welfare(p, u, s), -jnp.inf)


def _duty_tax(x: Array, args: tuple[Params, Policy]) -> Scalar:
    return moderated_welfare(args[0], with_fields(args[1], (TAX,), x[1:]), x[0])


def _duty_prov(x: Array, args: tuple[Params, Policy]) -> Scalar:
    return moderated_welfare(args[0], with_fields(args[1], (PROV,), x[1:]), x[0])


def _duty_both(x: Array, args: tuple[Params, Policy]) -> Scalar:
    return moderated_welfare(args[0], with_fields(args[1], (TAX, PROV), x[1:]), x[0])


def _duty_only(x: Array, args: tuple[Params, Policy]) -> Scalar:
    return moderated_welfare(args[0], args[1], x[0])


_WITH_DUTY = {(): _duty_only, (TAX,): _duty_tax, (PROV,): _duty_prov, (TAX, PROV): _duty_both}


def best_with_duty(p: Params, u: Policy, names: tuple[str, ...] = (), steps: int = 40) -> Maximum:
    """Best `(ln a, instruments)` when the platform serves welfare (f = 1) and `names` of tax, provenance are free."""
    dtype = p.p_A.dtype
    lo, hi = instrument_bounds(names, dtype)
    starts = {
        (): [[-0.3], [-2.5], [0.5]],
        (TAX,): [[-0.3, 0.1], [-1.0, 0.6], [0.2, 1.5]],
        (PROV,): [[-0.3, 0.1], [-1.0, 0.5], [-0.5, 0.9]],
        (TAX, PROV): [[-0.3, 0.1, 0.1], [-0.5, 0.5, 0.5], [0.1, 1.0, 0.8], [-1.5, 0.0, 0.6]],
    }[names]
    ends = jnp.asarray([-6.0], dtype), jnp.asarray([5.0], dtype)
    u = eqx.tree_at(lambda q: q.fiduciary_duty, u, jnp.ones_like(u.fiduciary_duty))
    lo, hi = jnp.concatenate([ends[0], lo]), jnp.concatenate([ends[1], hi])
    return maximize_box(_WITH_DUTY[names], jnp.asarray(starts, dtype), lo, hi, (p, u), steps=steps)


def best_value(p: Params, u: Policy, names: tuple[str, ...]) -> Scalar:
    """Highest welfare that the named instruments of (tax, provenance, fiduciary duty) reach, the others as in `u`."""
    if DUTY in names:
        return best_with_duty(p, u, tuple(n for n in (TAX, PROV) if n in names)).value
    return best_policy(p, u, names).value


FAILURES = {"platform": (TAX, PROV), "verification": (TAX, DUTY), "externality": (PROV, DUTY)}


def failure_gaps(p: Params, u: Policy, planner: Scalar, names: tuple[str, ...] = tuple(FAILURES)) -> dict[str, Scalar]:
    r"""gap(S) = W(planner) - max over instruments in S: the failure that S leaves alone [R].

    `p` should have perfect identification and cert = 0, where all three together leave none.
    """
    return {n: planner - best_value(p, u, FAILURES[n]) for n in names}


def superadditivity(p: Params, u: Policy) -> dict[str, Scalar]:
    """Joint gain of (tax, provenance, duty) less the sum of single gains: at own optima and at the joint optimum."""
    base = market_welfare(p, u)
    joint = best_with_duty(p, u, (TAX, PROV))
    duty = best_with_duty(p, u).value - base
    tax = best_policy(p, u, (TAX,), starts=3, steps=25).value - base
    prov = best_policy(p, u, (PROV,), starts=3, steps=25).value - base
    tax_joint = market_welfare(p, with_fields(u, (TAX,), joint.x[1:2])) - base
    prov_joint = market_welfare(p, with_fields(u, (PROV,), joint.x[2:3])) - base
    gain = joint.value - base
    return {
        "joint": gain,
        "tax": tax,
        "provenance": prov,
        "duty": duty,
        "own_optima": gain - tax - prov - duty,
        "joint_optimum": gain - tax_joint - prov_joint - duty,
    }
