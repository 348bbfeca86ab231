"""Solve the three-stage game: a bracketed root in ln a around a damped Newton for the inner stages.

The outer problem needs no second derivatives: (5.5) is an explicit function of ln a and the inner
unknowns (`platform.slopes`), nearly linear in ln a. Where the tax can stop supply, the objective may have
several peaks and kinks, so the whole range of ln a is scanned first and the highest peak is taken. One loop
does scan, root and inner steps, one evaluation a turn, so that the equations are compiled once; a cell without
a tax starts behind the scan.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxecon.models.information_pollution import consumers, platform, producers
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.platform import Triple
from jaxecon.models.information_pollution.producers import Pair

Scalar = Float[Array, ""]
HIGHEST = 5.0
SCAN_NODES = 41
# Inner steps from each of two starts; joint steps before the search goes on without them.
INNER_STEPS, JOINT_STEPS = 25, 12
INTERIOR, LOW_EXIT, HIGH_EXIT, SHUT = 0, 1, 2, 3


def inner_conditions(z: Float[Array, "3"], args: tuple) -> Float[Array, "3"]:
    """Stages 2 and 3 at moderation `ln_a`: conditions on `z = (ln M/A, ln w, v)`, unit-free.

    `args` is `(p, u, ln a)`, then optionally flag rates and the log of a given trust.
    """
    p, u, ln_a, *rest = args
    s = platform.allocation(p, u, ln_a, z, None, *rest[:1])
    ln_T = rest[1] if len(rest) > 1 else jnp.log(s.T)
    attention, wage, verification = platform.inner_gaps(p, u, (z[0], z[1], z[2]), s)
    return jnp.stack([attention - p.chi * ln_T, wage, verification])


def inner_start(p: Params, u: Policy, ln_a: Scalar, h: Pair) -> Float[Array, "3"]:
    """A start for the inner problem, within a few percent where there is no tax.

    At the neutral wage and given detection and trust, supply is a power of traffic and attention a monotone
    equation in ln M/A: two Newton steps. Verification (5.2) and trust (5.3) follow; three rounds. A tax is ignored.
    """
    weights, cost = producers.exposure_weights(ln_a, h), producers.unit_costs(p, u, p.z_O)
    theta = consumers.verification_productivity(p, u)
    one = jnp.ones_like(p.p_A)
    none = Pair(0.0 * one, 0.0 * one)
    ln_m, v, undetected, T = jnp.log(p.M_0 / (p.A_0 + 1)), 0.2 * one, 0.8 * one, 0.7 * one
    for _ in range(3):
        free = producers.net_prices(p, u, weights, none, one, undetected)  # at unit traffic, without tax
        q = producers.supply(p, free, cost)
        shown = Pair(weights.L * q.L, weights.H * q.H)
        attention = jnp.log(p.M_0) + p.chi * jnp.log(T)
        for _ in range(2):
            A = (shown.L + shown.H) * jnp.exp(p.eps * ln_m)
            ln_m = ln_m - (ln_m + jnp.log(A + p.A_0) - attention) / (1 + p.eps * A / (A + p.A_0))
        A = (shown.L + shown.H) * jnp.exp(p.eps * ln_m)
        x_L = shown.L / (shown.L + shown.H)
        v = consumers.rough_lambert_w(consumers.verification_stake(p, u, A * jnp.exp(ln_m), x_L)) / theta
        undetected = jnp.exp(-theta * v)
        T = consumers.steady_trust(p, x_L, 1 - undetected)
    return jnp.stack([ln_m, jnp.log(p.z_O), v])


def break_even_start(p: Params, u: Policy, ln_a: Scalar, h: Pair) -> Triple:
    """A start just above the traffic at which taxed low-quality items break even."""
    pay = p.share * p.m * p.e_L * producers.exposure_weights(ln_a, h).L
    traffic = jnp.maximum(u.low_quality_tax * h.L / pay, 1e-8)
    top = jnp.log(p.M_0 / p.A_0)
    return jnp.minimum(jnp.log(traffic) + 0.1, top), jnp.log(p.z_O), 0.2 * jnp.ones_like(top)


def _capped(step: Triple) -> Triple:
    """A Newton step of at most one log point; zero where it is not finite."""
    x, y, z = (jnp.where(jnp.isfinite(part), part, 0.0) for part in step)
    factor = jnp.minimum(1.0, 1.0 / (_size((x, y, z)) + 1e-30))
    return x * factor, y * factor, z * factor


def _size(gaps: Triple) -> Scalar:
    """The largest of three; infinite where one is not a number."""
    x, y, z = (jnp.abs(part) for part in gaps)
    size = jnp.maximum(jnp.maximum(x, y), z)
    return jnp.where(jnp.isfinite(size), size, jnp.inf)


def _inner_step(z: Array, args: tuple) -> tuple[Array, Array]:
    """Largest gap and the Newton step."""
    gaps, columns = jax.vmap(lambda v: jax.jvp(lambda y: inner_conditions(y, args), (z,), (v,)), out_axes=(None, 0))(
        jnp.eye(3, dtype=z.dtype)
    )
    triple = (gaps[0], gaps[1], gaps[2])
    return _size(triple), jnp.stack(_capped(platform.solve3([(c[0], c[1], c[2]) for c in columns], triple)))


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
    second = jnp.stack(break_even_start(p, u, ln_a, h))

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
    """A point: inner unknowns z, the largest gap of the inner stages and their Newton step, (5.5), how z moves with
    ln a, the platform's objective, which kinds are supplied."""

    z: Triple
    gap: Scalar
    step: Triple
    slope: Scalar
    dz: Triple
    objective: Scalar
    content: tuple[Bool[Array, ""], Bool[Array, ""]]


def examine(p: Params, u: Policy, ln_a: Scalar, z: Triple, h: Pair) -> Visit:
    """All that the search needs at one point, from one evaluation with its Jacobian."""
    k = platform.look(ln_a, z, (p, u, h))
    f = u.fiduciary_duty
    objective = (1 - f) * k.profit + f * k.welfare
    slope = platform.first_order_condition(p, u, k.slopes)
    return Visit(z, _size(k.slopes.gaps), _capped(k.step), slope, k.slopes.inner, objective, k.supplied)


def visit(p: Params, u: Policy, ln_a: Scalar, guess: Float[Array, "3"], h: Pair) -> Visit:
    """Solve the inner stages at `ln_a` and evaluate (5.5) there; `h`: flag rates."""
    z, gap = solve_inner(p, u, ln_a, guess, h)
    return eqx.tree_at(lambda v: v.gap, examine(p, u, ln_a, (z[0], z[1], z[2]), h), gap)


def _pick(flag: Array, one: Any, two: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(flag, a, b), one, two)


class End(eqx.Module):
    """A settled point that bounds a bracket: ln a, (5.5), which kinds are supplied."""

    ln_a: Scalar
    slope: Scalar
    content: tuple[Bool[Array, ""], Bool[Array, ""]]


class Search(eqx.Module):
    """State of the search.

    `k`: place on the grid, then steps of the root; `joint`: inner and outer step are taken together. At the current
    ln a: `trial`, the inner point to examine next; `n`, points so far; `scale` of the next step; `now`, the best
    point. `last`: the last settled point, with `last_z` (z and its slope) and `objective`; `lo`, `hi`: the bracket; `best`: its objective;
    `z`: the inner unknowns to expect at its root.
    """

    k: Int[Array, ""]
    joint: Bool[Array, ""]
    ln_a: Scalar
    trial: Triple
    n: Int[Array, ""]
    scale: Scalar
    now: Visit
    last: End
    last_z: tuple[Triple, Triple]
    objective: Scalar
    lo: End
    hi: End
    best: Scalar
    z: Triple
    done: Bool[Array, ""]


def lowest_moderation(p: Params, u: Policy) -> Scalar:
    """Lower end of the range: -5 and the demotion subsidy/c_a that the subsidy alone pays for."""
    return -HIGHEST - u.moderation_subsidy / p.c_a


def solve(p: Params, u: Policy) -> tuple[Float[Array, "4"], Array, Scalar]:
    """Unknowns `(ln a, ln M/A, ln w, v)` and the mode: interior, at the exit of one kind of content, or shut down;
    third, the largest gap of the conditions (at an exit that of the inner ones, for (5.5) is one-sided there).

    No derivative. With a tax: the interval of the grid where (5.5) turns from positive to negative at the
    highest objective, then its root. Without: (5.5) changes sign once, the ends are known by sign; ln a moves
    as soon as the inner stages are solved to a tenth of its distance from the root. Should that fail, the inner
    stages are solved at each ln a.
    """
    dtype = p.p_A.dtype
    double = jnp.finfo(dtype).bits == 64
    tol, fine, rough = (3e-13, 2e-13, 1e-9) if double else (3e-7, 2e-6, 1e-4)
    width = 8 * jnp.finfo(dtype).eps
    taxed = u.low_quality_tax > 0
    h = producers.flag_rates(p, u)
    lowest = lowest_moderation(p, u)
    steep = p.c_a / platform.money_scale(p)  # what (5.5) loses, at least, with one unit of ln a
    infinite = jnp.asarray(jnp.inf, dtype)
    usual = jnp.asarray(0.4, dtype)

    def search(c: Search) -> Search:
        # The inner stages at this ln a: Newton that takes back a step that did not help (as `solve_inner`).
        new = lax.optimization_barrier(examine(p, u, c.ln_a, c.trial, h))
        better = (new.gap < c.now.gap) | (c.n == 0) | (c.n == INNER_STEPS + 1)
        now = _pick(better, new, c.now)
        scale = jnp.where(better, jnp.minimum(1.0, 4 * c.scale), 0.35 * c.scale)
        stuck = scale < 1e-6
        again = (stuck | (c.n == INNER_STEPS)) & (now.gap > rough) & (c.n <= INNER_STEPS)
        near = jnp.where(c.joint, jnp.maximum(fine, 0.1 * jnp.minimum(jnp.abs(now.slope) / steep, 1.0)), fine)
        settled = (now.gap <= near) | (c.n >= 2 * INNER_STEPS) | (stuck & ~again)
        retry = tuple(x - scale * step for x, step in zip(now.z, now.step))
        retry = _pick(again, break_even_start(p, u, c.ln_a, h), retry)
        n = jnp.where(again, INNER_STEPS + 1, c.n + 1)
        scale = jnp.where(again, 1.0, scale)
        # The barriers keep the compiler from recomputing all this in every number that the loop carries.
        now, scale, settled, retry, n = lax.optimization_barrier((now, scale, settled, retry, n))

        # Settled. Scan: keep the best sign change so far. A point that is not usable has no slope.
        scanning = c.k < SCAN_NODES
        known = c.joint | (now.gap < rough)
        here = End(c.ln_a, jnp.where(known, now.slope, jnp.nan), now.content)
        top = jnp.maximum(c.objective, now.objective)
        found = scanning & (c.last.slope > 0) & (here.slope <= 0) & (top > c.best)
        best = jnp.where(found, top, c.best)
        # Its root lies about here, and z there along the tangent at the nearer end.
        ahead = (c.ln_a - c.last.ln_a) * c.last.slope / (c.last.slope - here.slope)
        nearer = -here.slope < c.last.slope
        base, along = _pick(nearer, (now.z, now.dz), c.last_z)
        ahead = jnp.where(nearer, ahead + c.last.ln_a - c.ln_a, ahead)
        z = _pick(found, tuple(x + dx * ahead for x, dx in zip(base, along)), c.z)
        # Refine: shrink the bracket. A point that is not usable is passed over.
        lo = _pick(jnp.where(scanning, found, here.slope > 0), _pick(scanning, c.last, here), c.lo)
        hi = _pick(jnp.where(scanning, found, here.slope <= 0), here, c.hi)
        passed_over = ~scanning & ~known
        here = _pick(passed_over, c.last, here)
        here_z = _pick(passed_over, c.last_z, (tuple(x - step for x, step in zip(now.z, now.step)), now.dz))
        # The next ln a: along the secant if it stays inside the bracket, else the middle.
        ends = c.k == SCAN_NODES - 1
        from_ = _pick(ends, hi, here)
        before = _pick(ends, lo, c.last)
        move = from_.ln_a - before.ln_a
        rate = (from_.slope - before.slope) / jnp.where(move == 0, 1.0, move)
        rate = jnp.where(jnp.isfinite(rate) & (rate < 0), rate, -steep)
        secant = from_.ln_a - from_.slope / rate
        tries = c.k - SCAN_NODES
        allowed = (tries < 10) | ((tries < 30) & (tries % 2 == 0))
        inside = (secant > lo.ln_a) & (secant < hi.ln_a)
        middle = lo.ln_a + (hi.ln_a - lo.ln_a) * jnp.where(passed_over, jnp.where(tries % 2 == 0, 0.38, 0.62), 0.5)
        refined = jnp.where(inside & allowed & ~passed_over, secant, middle)
        node = lowest + (HIGHEST - lowest) * (c.k + 1).astype(dtype) / (SCAN_NODES - 1)
        ln_a = jnp.where(c.k + 1 < SCAN_NODES, node, refined)
        far = ln_a - here.ln_a
        far = jnp.where(jnp.abs(far) < 1.0, far, 0.0)
        guess = tuple(x + jnp.where(jnp.isfinite(dx), dx * far, 0.0) for x, dx in zip(*here_z))
        guess = _pick(ends, z, guess)
        root = jnp.abs(now.slope) <= tol
        closed = root | (hi.ln_a - lo.ln_a <= width * (1 + jnp.abs(lo.ln_a)))
        # Without a tax the inner stages always have a solution: if not found, another ln a does not help.
        nothing = jnp.where(taxed, jnp.isneginf(best), ~c.joint & (now.gap > rough))
        # The joint steps failed: once more from the start, one after the other.
        failed = c.joint & ~(root & (now.gap <= fine)) & (closed | (tries >= JOINT_STEPS) | (c.n >= INNER_STEPS))
        done = (c.k + 1 >= SCAN_NODES) & (closed | nothing | (tries >= 80)) & ~failed
        lo, hi, here, ln_a, guess, failed, done, best, z = lax.optimization_barrier(
            (lo, hi, here, ln_a, guess, failed, done, best, z)
        )
        moved = Search(
            jnp.where(failed, SCAN_NODES, c.k + 1),
            c.joint & ~failed,
            jnp.where(done, c.ln_a, jnp.where(failed, usual, ln_a)),
            _pick(failed, break_even_start(p, u, usual, h), guess),
            jnp.zeros_like(c.n),
            jnp.ones_like(scale),
            now,
            here,
            here_z,
            now.objective,
            _pick(failed, low_end, lo),
            _pick(failed, high_end, hi),
            best,
            z,
            done,
        )
        waiting = eqx.tree_at(lambda s: (s.trial, s.n, s.scale, s.now), c, (retry, n, scale, now))
        following = _pick(settled, moved, waiting)
        return eqx.tree_at(lambda s: s.trial[2], following, jnp.maximum(following.trial[2], 0.0))

    first = jnp.where(taxed, lowest, usual)
    x, y, v = inner_start(p, u, first, h)
    nil = jnp.zeros_like(x)
    start, zeros = (x, y, v), (nil, nil, nil)
    no = jnp.zeros((), bool)
    blank = Visit(start, infinite, zeros, infinite, zeros, -infinite, (no, no))
    low_end = End(lowest, steep, (no, no))
    high_end = End(jnp.full_like(lowest, HIGHEST), -steep, (no, no))
    state = Search(
        k=jnp.where(taxed, 0, SCAN_NODES).astype(jnp.int32),
        joint=~taxed,
        ln_a=first,
        trial=start,
        n=jnp.zeros((), jnp.int32),
        scale=jnp.ones((), dtype),
        now=blank,
        last=End(first, jnp.full_like(first, jnp.nan), (no, no)),
        last_z=(start, zeros),
        objective=-infinite,
        lo=low_end,
        hi=high_end,
        best=-infinite,
        z=start,
        done=no,
    )
    state = lax.while_loop(lambda c: ~c.done, search, state)
    now, lo, hi = state.now, state.lo, state.hi
    exits = [a != b for a, b in zip(lo.content, hi.content)]
    kink = jnp.where(exits[0], LOW_EXIT, jnp.where(exits[1], HIGH_EXIT, INTERIOR))
    smooth = jnp.abs(now.slope) <= 1e3 * tol
    empty = (taxed & jnp.isneginf(state.best)) | ~(now.content[0] | now.content[1])
    mode = jnp.where(empty, SHUT, jnp.where(smooth, INTERIOR, kink))
    gap = jnp.where(mode == INTERIOR, jnp.maximum(now.gap, jnp.abs(now.slope)), now.gap)
    return jnp.stack([state.ln_a, *now.z]), mode, gap
