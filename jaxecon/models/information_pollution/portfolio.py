"""The best use of sets of instruments: the three failures alone, single instruments, the joint portfolio.

With fiduciary duty f = 1 the platform itself maximizes welfare over ln a, so that any set that holds the
duty is a smooth problem over its other instruments and ln a, without a first-order condition inside.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.core.fields import with_fields
from jaxecon.models.information_pollution import platform, producers
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.planner import (
    Sets,
    best_policies,
    best_policy,
    free_bounds,
    market_welfare,
)
from jaxecon.models.information_pollution.solver import inner_conditions, inner_start, solve_inner
from jaxecon.numerics.box import Maximum, maximize_box
from jaxecon.numerics.roots import attach_derivative

Scalar = Float[Array, ""]
TAX, PROV, DUTY, COMPUTE = "low_quality_tax", "provenance", "fiduciary_duty", "ai_compute_tax"
LOWEST_LN_A, HIGHEST_LN_A = -6.0, 5.0
# Starts (ln a, tax, provenance); what a set holds fixed is held by the bounds.
STARTS = ((-0.3, 0.1, 0.1), (-0.5, 0.5, 0.5), (0.1, 1.0, 0.8), (-1.5, 0.0, 0.6), (-2.5, 0.3, 0.9))


def moderated_welfare(p: Params, u: Policy, ln_a: Scalar) -> Scalar:
    """Welfare when moderation is `ln_a` and stages 2 and 3 respond; minus infinity where they have no solution."""
    fixed_p, fixed_u, fixed_a = lax.stop_gradient((p, u, ln_a))
    h = producers.flag_rates(fixed_p, fixed_u)
    z, gap = solve_inner(fixed_p, fixed_u, fixed_a, inner_start(fixed_p, fixed_u, fixed_a, h), h)
    good = gap <= (1e-9 if jnp.finfo(z.dtype).bits == 64 else 1e-4)
    z = attach_derivative(inner_conditions, z, (p, u, ln_a), good)
    s = platform.allocation(p, u, ln_a, z)
    return jnp.where(good & (s.A > 0), platform.welfare(p, u, s), -jnp.inf)


def _dutiful_welfare(x: Float[Array, "3"], args: tuple[Params, Policy]) -> Scalar:
    return moderated_welfare(args[0], with_fields(args[1], (TAX, PROV), x[1:]), x[0])


def best_with_duty(p: Params, u: Policy, sets: Sets, steps: int = 40) -> Maximum:
    """Best `(ln a, tax, provenance)` when the platform serves welfare (f = 1): a batch over `sets`, from one program.

    Each set names which of tax and provenance are free; the other stays as in `u`.
    """
    dtype = p.p_A.dtype
    u = eqx.tree_at(lambda q: q.fiduciary_duty, u, jnp.ones_like(u.fiduciary_duty))
    starts = jnp.asarray(STARTS, dtype)

    def best(lo: Array, hi: Array) -> Maximum:
        lo = jnp.concatenate([jnp.asarray([LOWEST_LN_A], dtype), lo])
        hi = jnp.concatenate([jnp.asarray([HIGHEST_LN_A], dtype), hi])
        return maximize_box(_dutiful_welfare, starts, lo, hi, (p, u), steps=steps)

    return jax.vmap(best)(*free_bounds(u, (TAX, PROV), sets))


FAILURES = {"platform": (TAX, PROV), "verification": (TAX, DUTY), "externality": (PROV, DUTY)}


def failure_gaps(p: Params, u: Policy, planner: Scalar) -> dict[str, Scalar]:
    r"""gap(S) = W(planner) - max over instruments in S: the failure that S leaves alone [R].

    `p` should have perfect identification and cert = 0, where all three together leave none.
    """
    left_alone = {n: s for n, s in FAILURES.items() if DUTY in s}
    dutiful = best_with_duty(p, u, tuple(tuple(n for n in s if n != DUTY) for s in left_alone.values())).value
    values = dict(zip(left_alone, dutiful, strict=True)) | {
        n: best_policy(p, u, s).value for n, s in FAILURES.items() if DUTY not in s
    }
    return {n: planner - values[n] for n in FAILURES}


def best_singles(p: Params, u: Policy, *, starts: int = 6, steps: int = 40) -> dict[str, Scalar]:
    """Highest welfare that tax, provenance and fiduciary duty reach, each alone, the others as in `u`."""
    alone = best_policies(p, u, ((TAX,), (PROV,)), starts, steps).value
    return {TAX: alone[0], PROV: alone[1], DUTY: best_with_duty(p, u, ((),)).value[0]}


def superadditivity(p: Params, u: Policy) -> dict[str, Scalar]:
    """Joint gain of (tax, provenance, duty) less the sum of single gains: at own optima and at the joint optimum."""
    dutiful = best_with_duty(p, u, ((TAX, PROV), ()))
    joint, duty = (jax.tree.map(lambda x, k=k: x[k], dutiful) for k in range(2))
    alone = best_policies(p, u, ((TAX,), (PROV,)), starts=3, steps=25).value
    # Nothing; then the tax and the provenance of the joint optimum, each without the others.
    places = jnp.stack([jnp.stack([u.low_quality_tax, u.provenance])] * 3)
    places = places.at[1, 0].set(joint.x[1]).at[2, 1].set(joint.x[2])
    base, tax_joint, prov_joint = jax.vmap(lambda x: market_welfare(p, with_fields(u, (TAX, PROV), x)))(places)
    gain, duty_gain = joint.value - base, duty.value - base
    return {
        "joint": gain,
        "tax": alone[0] - base,
        "provenance": alone[1] - base,
        "duty": duty_gain,
        "own_optima": gain - jnp.sum(alone - base) - duty_gain,
        "joint_optimum": gain - (tax_joint - base) - (prov_joint - base) - duty_gain,
    }
