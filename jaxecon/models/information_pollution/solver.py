"""Solve the three-stage game: a bracketed root in ln a around a damped Newton for the inner stages.

The outer problem needs no second derivatives: (5.5) is an explicit function of ln a and the inner
unknowns (`platform.slopes`), nearly linear in ln a. Where the tax can stop supply, the objective may have
several peaks and kinks, so the whole range of ln a is scanned first and the highest peak is taken. One loop
does both, so that the equations are compiled once; a cell without a tax starts behind the scan.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxecon.models.information_pollution import platform, producers
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.producers import Pair

Scalar = Float[Array, ""]
HIGHEST = 5.0
SCAN_NODES = 41
INTERIOR, LOW_EXIT, HIGH_EXIT, SHUT = 0, 1, 2, 3


def inner_conditions(z: Float[Array, "3"], args: tuple) -> Float[Array, "3"]:
    """Stages 2 and 3 at moderation `ln_a`: conditions on `z = (ln M/A, ln w, v)`, unit-free.

    `args` is `(p, u, ln a)`, then optionally flag rates and the log of a given trust.
    """
    p, u, ln_a, *rest = args
    s = platform.allocation(p, u, ln_a, z, None, *rest[:1])
    ln_T = rest[1] if len(rest) > 1 else jnp.log(s.T)
    return platform.inner_gaps(p, u, z, s).at[0].add(-p.chi * ln_T)


def inner_start(p: Params) -> Float[Array, "3"]:
    """A start for the inner problem: about half the attention, the neutral wage, some verification."""
    return jnp.stack([jnp.log(p.M_0 / (p.A_0 + 1)), jnp.log(p.z_O), 0.2 * jnp.ones_like(p.p_A)])


def break_even_start(p: Params, u: Policy, ln_a: Scalar, h: Pair) -> Float[Array, "3"]:
    """A start just above the traffic at which taxed low-quality items break even."""
    pay = p.share * p.m * p.e_L * producers.exposure_weights(ln_a, h).L
    traffic = jnp.maximum(u.low_quality_tax * h.L / pay, 1e-8)
    top = jnp.log(p.M_0 / p.A_0)
    return inner_start(p).at[0].set(jnp.minimum(jnp.log(traffic) + 0.1, top))


def _inner_step(z: Array, args: tuple) -> tuple[Array, Array]:
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
    p: Params,
    u: Policy,
    ln_a: Scalar,
    start: Float[Array, "3"],
    h: Pair,
    max_steps: int = 25,
    ln_T: Scalar | None = None,
) -> tuple[Float[Array, "3"], Scalar]:
    """Solution of stages 2 and 3 and its largest gap. Newton that takes back a step that did not help.

    The kink where a kind of content exits makes plain Newton cycle; taking back costs no extra evaluation.
    Where it gets stuck it starts once more, just above break-even. `ln_T` holds trust fixed.
    """
    args = (p, u, ln_a, h) if ln_T is None else (p, u, ln_a, h, ln_T)
    double = jnp.finfo(start.dtype).bits == 64
    tol, rough = (2e-13, 1e-9) if double else (2e-6, 1e-4)
    second = break_even_start(p, u, ln_a, h)

    def cond(c):
        _, gap, _, _, k = c
        return (gap > tol) & (k < 2 * max_steps)

    def body(c):
        z, gap, step, scale, k = c
        trial = z - scale * step
        stuck = scale < 1e-6
        # Stuck at a gap of round-off size is solved; stuck elsewhere calls for the second start.
        restart = (stuck | (k == max_steps)) & (gap > rough) & (k <= max_steps)
        finished = stuck & ~restart
        trial = jnp.where(restart, second, trial.at[2].set(jnp.maximum(trial[2], 0.0)))
        trial_gap, trial_step = _inner_step(trial, args)
        better = (trial_gap < gap) | restart
        scale = jnp.where(restart, 1.0, jnp.where(better, jnp.minimum(1.0, 4 * scale), 0.35 * scale))
        k = jnp.where(restart, max_steps + 1, jnp.where(finished, 2 * max_steps, k + 1))
        return (
            jnp.where(better, trial, z),
            jnp.where(better, trial_gap, gap),
            jnp.where(better, trial_step, step),
            scale,
            k,
        )

    unknown = jnp.asarray(jnp.inf, start.dtype)
    first = (start, unknown, jnp.zeros_like(start), jnp.ones_like(unknown), jnp.zeros((), jnp.int32))
    z, gap, *_ = lax.while_loop(cond, body, first)
    return z, gap


class Visit(eqx.Module):
    """One value of ln a: inner solution, its gap, (5.5), how z moves with ln a, objective, which kinds are supplied."""

    ln_a: Scalar
    z: Float[Array, "3"]
    gap: Scalar
    slope: Scalar
    dz: Float[Array, "3"]
    objective: Scalar
    content: Bool[Array, "2"]


def visit(p: Params, u: Policy, ln_a: Scalar, guess: Float[Array, "3"], h: Pair) -> Visit:
    """Solve the inner stages at `ln_a` and evaluate (5.5) there; `h`: flag rates."""
    z, gap = solve_inner(p, u, ln_a, guess, h)
    k = platform.slopes(jnp.concatenate([ln_a[None], z]), (p, u, h))
    s = platform.allocation(p, u, ln_a, z, None, h)
    f = u.fiduciary_duty
    objective = (1 - f) * platform.platform_profit(p, u, s) + f * platform.welfare(p, u, s)
    content = jnp.stack([s.q.L > 0, s.q.H > 0])
    return Visit(ln_a, z, gap, platform.first_order_condition(p, u, k), k.inner, objective, content)


def _usable(v: Visit) -> Bool[Array, ""]:
    rough = 1e-9 if jnp.finfo(v.gap.dtype).bits == 64 else 1e-4
    # An empty catalogue is a choice too (profit from subsidies alone): a platform may prefer it to a costly rescue.
    return (v.gap < rough) & jnp.isfinite(v.slope)


def _pick(flag: Array, one: Any, two: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(flag, a, b), one, two)


class Search(eqx.Module):
    """State of the search: step, the point to visit next, the last visit, the bracket and its best objective."""

    k: Int[Array, ""]
    ln_a: Scalar
    guess: Float[Array, "3"]
    last: Visit
    lo: Visit
    hi: Visit
    best: Scalar
    done: Bool[Array, ""]


def lowest_moderation(p: Params, u: Policy) -> Scalar:
    """Lower end of the range: -5 and the demotion subsidy/c_a that the subsidy alone pays for."""
    return -HIGHEST - u.moderation_subsidy / p.c_a


def solve(p: Params, u: Policy) -> tuple[Float[Array, "4"], Array, Scalar]:
    """Unknowns `(ln a, ln M/A, ln w, v)` and the mode: interior, at the exit of one kind of content, or shut down;
    third, the largest gap of the conditions (at an exit that of the inner ones, for (5.5) is one-sided there).

    No derivative. With a tax: the interval of the grid where (5.5) turns from positive to negative at the
    highest objective, then its root. Without: (5.5) changes sign once, the ends are known by sign.
    """
    dtype = p.p_A.dtype
    tol = 3e-13 if jnp.finfo(dtype).bits == 64 else 3e-7
    width = 8 * jnp.finfo(dtype).eps
    taxed = u.low_quality_tax > 0
    h = producers.flag_rates(p, u)
    lowest = lowest_moderation(p, u)
    steep = p.c_a / platform.money_scale(p)
    start = inner_start(p)
    infinite = jnp.asarray(jnp.inf, dtype)

    def search(c: Search) -> Search:
        scanning = c.k < SCAN_NODES
        new = visit(p, u, c.ln_a, c.guess, h)
        # Scan: keep the best sign change so far.
        top = jnp.maximum(c.last.objective, new.objective)
        found = scanning & _usable(c.last) & _usable(new) & (c.last.slope > 0) & (new.slope <= 0) & (top > c.best)
        best = jnp.where(found, top, c.best)
        # Refine: shrink the bracket.
        up = new.slope > 0
        lo = _pick(jnp.where(scanning, found, up), _pick(scanning, c.last, new), c.lo)
        hi = _pick(jnp.where(scanning, found, ~up), new, c.hi)
        ends = c.k == SCAN_NODES - 1
        nearer = _pick(jnp.abs(lo.slope) < jnp.abs(hi.slope), lo, hi)
        now = _pick(ends, nearer, new)
        before = _pick(ends, _pick(jnp.abs(lo.slope) < jnp.abs(hi.slope), hi, lo), c.last)
        # The next point: along the secant if it stays inside the bracket, else the middle.
        move = now.ln_a - before.ln_a
        rate = (now.slope - before.slope) / jnp.where(move == 0, 1.0, move)
        rate = jnp.where(jnp.isfinite(rate) & (rate < 0), rate, -steep)
        secant = now.ln_a - now.slope / rate
        tries = c.k - SCAN_NODES
        allowed = (tries < 10) | ((tries < 30) & (tries % 2 == 0))
        inside = (secant > lo.ln_a) & (secant < hi.ln_a)
        refined = jnp.where(inside & allowed, secant, (lo.ln_a + hi.ln_a) / 2)
        node = lowest + (HIGHEST - lowest) * (c.k + 1).astype(dtype) / (SCAN_NODES - 1)
        ln_a = jnp.where(c.k + 1 < SCAN_NODES, node, refined)
        far = ln_a - now.ln_a
        guess = now.z + jnp.where((jnp.abs(far) < 1.0) & jnp.all(jnp.isfinite(now.dz)), now.dz * far, 0.0)
        closed = (jnp.abs(now.slope) <= tol) | (hi.ln_a - lo.ln_a <= width * (1 + jnp.abs(lo.ln_a)))
        nothing = taxed & jnp.isneginf(best)
        done = (c.k + 1 >= SCAN_NODES) & (closed | nothing | (tries >= 80))
        return Search(c.k + 1, ln_a, guess, now, lo, hi, best, done)

    first = jnp.where(taxed, lowest, jnp.asarray(0.3, dtype))
    blank = Visit(first, start, infinite, infinite, jnp.zeros_like(start), -infinite, jnp.zeros(2, bool))
    low_end = eqx.tree_at(lambda v: (v.ln_a, v.slope), blank, (lowest, steep))
    high_end = eqx.tree_at(lambda v: (v.ln_a, v.slope), blank, (jnp.full_like(lowest, HIGHEST), -steep))
    k = jnp.where(taxed, 0, SCAN_NODES).astype(jnp.int32)
    state = Search(k, first, start, blank, low_end, high_end, -infinite, jnp.zeros((), bool))
    state = lax.while_loop(lambda c: ~c.done, search, state)
    now, lo, hi = state.last, state.lo, state.hi
    exits = lo.content != hi.content
    kink = jnp.where(exits[0], LOW_EXIT, jnp.where(exits[1], HIGH_EXIT, INTERIOR))
    smooth = jnp.abs(now.slope) <= 1e3 * tol
    empty = (taxed & jnp.isneginf(state.best)) | ~jnp.any(now.content)
    mode = jnp.where(empty, SHUT, jnp.where(smooth, INTERIOR, kink))
    gap = jnp.where(mode == INTERIOR, jnp.maximum(now.gap, jnp.abs(now.slope)), now.gap)
    return jnp.concatenate([now.ln_a[None], now.z]), mode, gap
