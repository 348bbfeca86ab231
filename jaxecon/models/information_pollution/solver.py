"""Solve the three-stage game: a bracketed root in ln a around a damped Newton for the inner stages.

The outer problem needs no second derivatives: (5.5) is an explicit function of ln a and the inner
unknowns (`platform.slopes`), nearly linear in ln a. Where the tax can stop supply, the objective may have
several peaks and kinks, so the whole range of ln a is scanned first and the highest peak is taken.
Every loop counts zero steps for a cell that does not need it: a batch without taxes never pays for the scan.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.models.information_pollution import platform, producers
from jaxecon.models.information_pollution.params import Params, Policy

Scalar = Float[Array, ""]
HIGHEST = 5.0
SCAN_NODES = 41
INTERIOR, LOW_EXIT, HIGH_EXIT = 0, 1, 2


def inner_conditions(z: Float[Array, "3"], args: tuple[Params, Policy, Scalar]) -> Float[Array, "3"]:
    """Stages 2 and 3 at moderation `ln_a`: conditions on `z = (ln M/A, ln w, v)`, unit-free."""
    p, u, ln_a = args
    s = platform.allocation(p, u, ln_a, z)
    return platform.inner_gaps(p, u, z, s).at[0].add(-p.chi * jnp.log(s.T))


def inner_start(p: Params) -> Float[Array, "3"]:
    """A start for the inner problem: about half the attention, the neutral wage, some verification."""
    return jnp.stack([jnp.log(p.M_0 / (p.A_0 + 1)), jnp.log(p.z_O), 0.2 * jnp.ones_like(p.p_A)])


def break_even_start(p: Params, u: Policy, ln_a: Scalar) -> Float[Array, "3"]:
    """A start just above the traffic at which taxed low-quality items break even."""
    h = producers.flag_rates(p, u)
    pay = p.share * p.m * p.e_L * producers.exposure_weights(ln_a, h).L
    traffic = jnp.maximum(u.low_quality_tax * h.L / pay, 1e-8)
    top = jnp.log(p.M_0 / p.A_0)
    return inner_start(p).at[0].set(jnp.minimum(jnp.log(traffic) + 0.1, top))


def _inner_step(z: Array, args: tuple[Params, Policy, Scalar]) -> tuple[Array, Array]:
    """Largest gap and the Newton step, capped at one log point."""
    basis = jnp.eye(3, dtype=z.dtype)
    gaps, columns = jax.vmap(lambda v: jax.jvp(lambda y: inner_conditions(y, args), (z,), (v,)), out_axes=(None, 1))(
        basis
    )
    step = platform.solve3(columns, gaps)
    step = jnp.where(jnp.isfinite(step), step, 0.0)
    size = jnp.max(jnp.abs(gaps))
    return jnp.where(jnp.isfinite(size), size, jnp.inf), step * jnp.minimum(1.0, 1.0 / jnp.max(jnp.abs(step) + 1e-30))


def solve_inner(
    p: Params, u: Policy, ln_a: Scalar, start: Float[Array, "3"], needed: Bool[Array, ""], max_steps: int = 40
) -> tuple[Float[Array, "3"], Scalar]:
    """Solution of stages 2 and 3 and its largest gap. Newton that takes back a step that did not help.

    The kink where a kind of content exits makes plain Newton cycle; taking back costs no extra evaluation.
    """
    args = (p, u, ln_a)
    tol = 2e-13 if jnp.finfo(start.dtype).bits == 64 else 2e-6

    def cond(c):
        _, gap, _, scale, k = c
        return needed & (gap > tol) & (k < max_steps) & (scale > 1e-6)

    def body(c):
        z, gap, step, scale, k = c
        trial = z - scale * step
        trial = trial.at[2].set(jnp.maximum(trial[2], 0.0))
        trial_gap, trial_step = _inner_step(trial, args)
        better = trial_gap < gap
        return (
            jnp.where(better, trial, z),
            jnp.where(better, trial_gap, gap),
            jnp.where(better, trial_step, step),
            jnp.where(better, jnp.minimum(1.0, 4 * scale), 0.35 * scale),
            k + 1,
        )

    gap, step = _inner_step(start, args)
    z, gap, *_ = lax.while_loop(cond, body, (start, gap, step, jnp.ones_like(gap), jnp.zeros((), jnp.int32)))
    return z, gap


class Visit(eqx.Module):
    """One value of ln a: inner solution, its gap, (5.5), how z moves with ln a, the objective."""

    ln_a: Scalar
    z: Float[Array, "3"]
    gap: Scalar
    slope: Scalar
    dz: Float[Array, "3"]
    objective: Scalar
    content: Array


def visit(p: Params, u: Policy, ln_a: Scalar, guess: Float[Array, "3"], needed: Bool[Array, ""]) -> Visit:
    """Solve the inner stages at `ln_a` and evaluate (5.5) there."""
    z, gap = solve_inner(p, u, ln_a, guess, needed)
    rough = 1e-9 if jnp.finfo(z.dtype).bits == 64 else 1e-4
    # A second start where the first one got stuck at a kink.
    again, gap_again = solve_inner(p, u, ln_a, break_even_start(p, u, ln_a), needed & (gap > rough))
    better = gap_again < gap
    z, gap = jnp.where(better, again, z), jnp.minimum(gap, gap_again)
    k = platform.slopes(jnp.concatenate([ln_a[None], z]), (p, u))
    s = platform.allocation(p, u, ln_a, z)
    f = u.fiduciary_duty
    objective = (1 - f) * platform.platform_profit(p, u, s) + f * platform.welfare(p, u, s)
    content = jnp.stack([s.q.L > 0, s.q.H > 0])
    slope = platform.first_order_condition(p, u, k)
    return Visit(ln_a, z, gap, slope, k.inner, objective, content)


def _usable(v: Visit) -> Bool[Array, ""]:
    rough = 1e-9 if jnp.finfo(v.gap.dtype).bits == 64 else 1e-4
    return (v.gap < rough) & jnp.isfinite(v.slope) & jnp.any(v.content)


def _pick(flag: Array, one: Visit, two: Visit) -> Visit:
    return jax.tree.map(lambda a, b: jnp.where(flag, a, b), one, two)


def _scan(p: Params, u: Policy, lowest: Scalar, needed: Bool[Array, ""]) -> tuple[Visit, Visit, Scalar]:
    """The interval of the grid on ln a where (5.5) turns from positive to negative at the highest objective."""

    def node(k: Array) -> Scalar:
        return lowest + (HIGHEST - lowest) * k.astype(lowest.dtype) / (SCAN_NODES - 1)

    def cond(c):
        return needed & (c[0] < SCAN_NODES)

    def body(c):
        k, last, lo, hi, best = c
        now = visit(p, u, node(k), last.z, needed)
        top = jnp.maximum(last.objective, now.objective)
        found = _usable(last) & _usable(now) & (last.slope > 0) & (now.slope <= 0) & (top > best)
        return k + 1, now, _pick(found, last, lo), _pick(found, now, hi), jnp.where(found, top, best)

    nothing = jnp.asarray(-jnp.inf, lowest.dtype)
    z = inner_start(p)
    blank = Visit(lowest, z, -nothing, nothing, z, nothing, jnp.zeros(2, bool))
    _, _, lo, hi, best = lax.while_loop(cond, body, (jnp.zeros((), jnp.int32), blank, blank, blank, nothing))
    return lo, hi, best


def solve(p: Params, u: Policy) -> tuple[Float[Array, "4"], Array]:
    """Unknowns `(ln a, ln M/A, ln w, v)` and the mode: interior, or at the exit of one kind of content.

    No derivative. The range of ln a extends downward by subsidy/c_a, the demotion the subsidy alone pays for.
    """
    dtype = p.p_A.dtype
    tol = 3e-13 if jnp.finfo(dtype).bits == 64 else 3e-7
    width = 8 * jnp.finfo(dtype).eps
    taxed = u.low_quality_tax > 0
    always = jnp.ones((), bool)
    lowest = -HIGHEST - u.moderation_subsidy / p.c_a
    lo, hi, best = _scan(p, u, lowest, taxed)
    # Without a tax (5.5) changes sign once: the ends need no visit, their slopes are known by sign.
    steep = p.c_a / platform.money_scale(p)
    first = jnp.where(taxed, lo.ln_a, jnp.asarray(0.3, dtype))
    begin = visit(p, u, first, jnp.where(taxed, lo.z, inner_start(p)), always)
    up = begin.slope > 0
    low_end = eqx.tree_at(lambda v: (v.ln_a, v.slope), begin, (lowest, steep))
    high_end = eqx.tree_at(lambda v: (v.ln_a, v.slope), begin, (jnp.full_like(lowest, HIGHEST), -steep))
    lo = _pick(taxed, lo, _pick(up, begin, low_end))
    hi = _pick(taxed, hi, _pick(up, high_end, begin))

    def cond(c):
        now, _, lo, hi, _, k = c
        gone = jnp.abs(now.slope) <= tol
        return ~gone & (hi.ln_a - lo.ln_a > width * (1 + jnp.abs(lo.ln_a))) & (k < 110)

    def body(c):
        now, before, lo, hi, rate, k = c
        guess = now.ln_a - now.slope / rate
        inside = (guess > lo.ln_a) & (guess < hi.ln_a)
        secant = inside & ((k < 10) | ((k < 30) & (k % 2 == 0)))
        ln_a = jnp.where(secant, guess, (lo.ln_a + hi.ln_a) / 2)
        near = jnp.abs(ln_a - now.ln_a) < 1.0
        new = visit(p, u, ln_a, jnp.where(near, now.z + now.dz * (ln_a - now.ln_a), now.z), always)
        move = new.ln_a - now.ln_a
        rate = (new.slope - now.slope) / jnp.where(move == 0, 1.0, move)
        rate = jnp.where(jnp.isfinite(rate) & (rate < 0), rate, -steep)
        up = new.slope > 0
        return new, now, _pick(up, new, lo), _pick(up, hi, new), rate, k + 1

    now = _pick(taxed & (jnp.abs(lo.slope) > jnp.abs(hi.slope)), hi, _pick(taxed, lo, begin))
    start_rate = jnp.where(taxed, (hi.slope - lo.slope) / jnp.maximum(hi.ln_a - lo.ln_a, 1e-6), -steep)
    start_rate = jnp.where(jnp.isfinite(start_rate) & (start_rate < 0), start_rate, -steep)
    now, _, lo, hi, _, _ = lax.while_loop(cond, body, (now, now, lo, hi, start_rate, jnp.zeros((), jnp.int32)))
    smooth = jnp.abs(now.slope) <= 1e3 * tol
    exits = lo.content != hi.content
    kink = jnp.where(exits[0], LOW_EXIT, jnp.where(exits[1], HIGH_EXIT, INTERIOR))
    mode = jnp.where(smooth | (jnp.isneginf(best) & taxed), INTERIOR, kink)
    y = jnp.concatenate([now.ln_a[None], now.z])
    return y, mode
