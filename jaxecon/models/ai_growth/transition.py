r"""The transition with perfect foresight: Newton on all years at once, without AI first, then with it.

Unknowns are `[11, T]`. Each step is one elimination (`elimination.solve`). Where Newton fails from the usual start, the demand shock
with its scars and then AI are raised in steps that adapt (homotopy); a branch that ends before AI is fully on has no transition, and says so.
The derivative is that of the implicit function theorem: one more elimination, in either mode.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.core.fields import with_fields
from jaxecon.models.ai_growth.conditions import Gaps, Setting, gaps, parts, parts_and_slopes
from jaxecon.models.ai_growth.economy import Unknowns, year
from jaxecon.models.ai_growth.elimination import solve, sweep_side_by_side, system
from jaxecon.models.ai_growth.params import Params, Policy
from jaxecon.models.ai_growth.technology import discount, exogenous, stocks, years
from jaxecon.numerics.roots import first_success

Scalar = Float[Array, ""]
All = Float[Array, "11 T"]
LOGS = ("ln_K", "ln_M", "ln_w", "ln_r_M", "ln_X_o")
LARGEST_STEP = 1.5
MAX_STEPS = 24
# What a step in single precision may leave of the error.
SLOPPY = 1e-4
# Rounds in which a start adapts, and how much of the rise in output capital follows.
ROUNDS, FOLLOWS = 6, 0.8
# In the first start: the share of capital's distance from rest that is left after a year.
SPEED = 0.9
# A homotopy that would need smaller steps has come to the end of its branch.
SMALLEST_STEP = 1 / 400


def policy_path(u: Policy, T: int) -> Policy:
    """Every instrument as a path `[T]`; a shorter path holds its last value."""

    def long(x: Array) -> Array:
        if x.ndim == 0:
            return jnp.broadcast_to(x, (T,))
        held = jnp.broadcast_to(x[-1], (max(T - x.shape[0], 0),))
        return jnp.concatenate([x[:T], held])

    return jax.tree.map(long, u)


def setting(p: Params, u: Policy) -> Setting:
    """What the conditions take as given, all years."""
    u = policy_path(u, p.T)
    return Setting(p, u, stocks(p), exogenous(p, u))


def resting_rate(p: Params, g: Array) -> Array:
    r"""Interest rate of balanced growth at rate g without AI (8.16): $1 = \beta(1+r)e^{-g} + \beta\chi X_o/W$, by bisection.

    Per unit of output capital is $\alpha/(r + d_K)$, debt at its target, and owners consume what others leave.
    """
    workers = ((1 - p.tau_y0) * (1 - p.l_o) * (1 - p.alpha) * (1 - p.a_0) + p.t_w) / (1 + p.tau_c)

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        r = (ends[0] + ends[1]) / 2
        K = p.alpha / (r + p.dK)
        owners = jnp.maximum(1 - p.g_y - workers - (g + p.dK) * K, 0.02)
        saves = p.beta * ((1 + r) * jnp.exp(-g) + p.chi * owners / (jnp.exp(g) * K + p.b_bar)) > 1
        return jnp.where(saves, ends[0], r), jnp.where(saves, r, ends[1])

    lo, hi = lax.fori_loop(0, 12, halve, (0.02 - p.dK + 0 * g, 0.4 + 0 * g))
    return (lo + hi) / 2


def balanced(given: Setting) -> Unknowns:
    """A start without AI: near balanced growth at the rate of productivity of each year, with capital on its way there."""
    p, at, now, al = given.p, given.at, given.now, given.p.alpha
    t, trend = jnp.arange(p.T, dtype=al.dtype), now.ln_z_g / (1 - al)
    g = jnp.diff(trend, append=2 * trend[-1:] - trend[-2:-1])
    r = resting_rate(p, g)
    # Output per wage, and capital at rest: c_g = 1 with r_K = r + dK
    V = 1 / ((1 - al) * (1 - p.a_0))
    K_rest = jnp.log((1 - al) * al * V / (r + p.dK)) + trend + al / (1 - al) * jnp.log(al / (r + p.dK))
    ln_K = K_rest + (at.ln_K - K_rest[0]) * SPEED**t
    ln_w = (1 - al) * jnp.log(1 - al) + now.ln_z_g + al * (ln_K - jnp.log(V))
    i = jnp.append(jnp.expm1(jnp.diff(ln_K)), g[-1]) + p.dK
    V, w = V * jnp.exp(ln_w), jnp.exp(ln_w)
    X_w = ((1 - p.tau_y0) * (1 - p.l_o) * w + p.t_w * V) / (1 + p.tau_c)
    X_o = jnp.maximum(V * (1 - p.g_y) - i * jnp.exp(ln_K) - X_w, 0.02 * V)
    # (8.18): the rent that pays for the rate and the fall of the price
    fall = jnp.concatenate([now.ln_q[:1] - now.ln_q[1:2], now.ln_q[:-1] - now.ln_q[1:]])
    rent = jnp.exp(now.ln_q) * ((1 + r) * jnp.exp(fall) - 1 + p.dM)
    zero = jnp.zeros_like(t)
    return Unknowns(
        ln_K=ln_K, ln_M=at.ln_M + zero, B=jnp.where(t == 0, at.B, p.b_bar * V), a_g=p.a_0 + zero, a_s=p.a_0 + zero,
        ln_Zeta=zero, ln_w=ln_w, ln_r_M=jnp.log(jnp.where(t == 0, at.r_M, rent)), ln_X_o=jnp.log(X_o),
        y=r - now.r_min, i=i,
    )  # fmt: skip


def adapted(given: Setting, x: Unknowns) -> Unknowns:
    """A start moved toward `given`: automation diffuses at the prices of `x`; then AI capital and wages clear their markets, a few
    rounds, while capital, owners' consumption and debt follow most of the rise in output."""
    p, now = given.p, given.now
    at_start = year(p, given.u, given.at, now, x)

    def spread(v: Array, reach: Array, phi: Array) -> Array:
        pi = jax.nn.sigmoid((x.ln_w - jnp.log(v) - p.xi) / p.s_xi)
        bar = p.a_0 + p.ai_on * (reach - p.a_0) * phi * pi

        def diffuse(a: Array, bar: Array) -> tuple[Array, Array]:
            return a + p.lam * (1 + p.lam_1 * a / reach) * (bar - a), a

        return lax.scan(diffuse, p.a_0.astype(bar.dtype), bar)[1]

    a_g, a_s = spread(at_start.v_g, p.x_g, now.phi_g), spread(at_start.v_s, p.x_s, now.phi_s)
    later = jnp.arange(p.T) > 0

    def clear(_: int, y: Unknowns) -> Unknowns:
        v, e = parts(given, y), year(p, given.u, given.at, now, y)
        tasks, labor = (jnp.where(later, jnp.clip(g, -1.5, 1.5), 0.0) for g in (v.tasks, v.labor))
        rise = jnp.where(later, FOLLOWS * jnp.log(e.V / at_start.V), 0.0)
        return y._replace(
            ln_M=y.ln_M + tasks, ln_w=y.ln_w + 0.7 * labor, ln_K=x.ln_K + rise, ln_X_o=x.ln_X_o + rise,
            B=x.B * jnp.exp(rise),
        )  # fmt: skip

    y = lax.fori_loop(0, ROUNDS, clear, x._replace(a_g=a_g, a_s=a_s))
    return y._replace(i=jnp.append(jnp.expm1(jnp.diff(y.ln_K)) + p.dK, x.i[-1]))


def rough(tree: Any) -> Any:
    """In single precision: enough for a start and for slopes, and twice as fast; integers and flags stay as they are."""

    def cast(x: Any) -> Any:
        return x.astype(jnp.float32) if jnp.issubdtype(jnp.result_type(x), jnp.floating) else x

    return jax.tree.map(cast, tree)


def newton(given: Setting, start: All, active: Bool[Array, ""]) -> tuple[All, Bool[Array, ""]]:
    """Newton's method on all years from `start`, and whether it converged; a step changes no log by more than `LARGEST_STEP`.

    The conditions are those of the full precision, their slopes and the elimination are in single precision: a step leaves at
    least `SLOPPY` of the error, whatever its size. It ends when the next step would be below rounding; at once where not `active`.
    """
    # Below rounding; and where the method is quadratic.
    small, quadratic = 400 * jnp.finfo(start.dtype).eps, jnp.finfo(start.dtype).eps ** 0.3
    near = rough(given)

    def go_on(state: tuple[Array, ...]) -> Array:
        _, size, before, k = state
        rate = size / jnp.maximum(before, 1e-30)
        ahead = size * jnp.maximum(rate**2, SLOPPY)
        done = (size < small) | ((size < quadratic) & (rate < 1) & (ahead < small))
        return ~done & (k < MAX_STEPS) & jnp.isfinite(size)

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        x, size, _, k = state
        at, close = Unknowns(*x), Unknowns(*rough(x))
        right = jax.tree.map(jnp.negative, gaps(given, at, parts(given, at)))
        # The barriers keep the compiler from computing each number anew in all that uses it.
        value, slopes = parts_and_slopes(near, close)
        linear, right = lax.optimization_barrier((system(near, close, value, slopes), rough(right)))
        move = Unknowns(*jnp.stack(solve(linear, right, sweep_side_by_side)).astype(x.dtype))
        logs = jnp.max(jnp.abs(jnp.stack([getattr(move, n) for n in LOGS])))
        scale = jnp.minimum(1.0, LARGEST_STEP / jnp.maximum(logs, 1e-30))
        debt = jnp.max(jnp.abs(move.B * jnp.exp(-at.ln_w)))
        rest = jnp.max(jnp.abs(jnp.stack([move.a_g, move.a_s, move.ln_Zeta, move.y, move.i])))
        return x + scale * jnp.stack(move), jnp.maximum(jnp.maximum(logs, debt), rest), size, k + 1

    first = jnp.where(active, jnp.full_like(start[0, 0], 1e3), 0.0)
    x, size, _, k = lax.while_loop(go_on, step, (start, first, first, jnp.zeros((), jnp.int32)))
    return x, jnp.isfinite(size) & (k < MAX_STEPS)


def beside(f: Callable[[Params, Any], Any], p: Params, x: Any) -> Any:
    """`f` of the economy without AI and of the one with it, side by side; `x` has a leading axis of two."""
    levels = jnp.stack([jnp.zeros_like(p.ai_on), p.ai_on])
    return jax.vmap(lambda on, x: f(with_fields(p, ("ai_on",), (on,)), x))(levels, x)


class Search(NamedTuple):
    """Where the homotopy stands. `stage`: -1 nothing solved, 0 no demand shock nor scars, 1 without AI, 2 with AI, and between."""

    stage: Scalar
    step: Scalar
    x: All
    off: All


def _attempt(step: Scalar, args: tuple[Params, Policy]) -> tuple[tuple[All, All, Scalar], Bool[Array, ""]]:
    """Transitions without and with AI: at once for a step of 1, else by homotopy whose steps begin with `step`."""
    p, u = args
    at_once, whole = step >= 1, setting(p, u)
    base = jnp.stack(balanced(whole))

    def unfinished(s: Search) -> Array:
        return (s.stage < 2) & (s.step > SMALLEST_STEP)

    def advance(s: Search) -> Search:
        raised = jnp.minimum(s.stage + s.step, jnp.where(s.stage < 1, 1.0, 2.0))
        target = jnp.where(s.stage < 0, jnp.where(at_once, 1.0, 0.0), raised)
        slump, reach = jnp.clip(target, 0.0, 1.0), jnp.clip(target - 1, 0.0, 1.0)
        q = with_fields(p, ("dem", "eta_u", "ai_on"), (slump * p.dem, slump * p.eta_u, reach * p.ai_on))
        given = whole._replace(p=q, now=whole.now._replace(beta=discount(q, years(q))))
        start = jnp.stack(adapted(rough(given), Unknowns(*rough(s.x)))).astype(s.x.dtype)
        x, ok = newton(given, start, unfinished(s))
        failed = jnp.where(at_once | (s.stage < 0), 0.0, s.step / 4)
        return Search(
            stage=jnp.where(ok, target, s.stage),
            step=jnp.where(ok, jnp.minimum(1.5 * s.step, 1.0), failed),
            x=jnp.where(ok, x, s.x),
            off=jnp.where(ok & (target == 1), x, s.off),
        )

    s = lax.while_loop(unfinished, advance, Search(-jnp.ones_like(step), step, base, base))
    return (s.off, s.x, s.stage), s.stage == 2


def _steps(args: tuple[Params, Policy]) -> Float[Array, " 2"]:
    return jnp.asarray([1.0, 1 / 12], args[0].alpha.dtype)


@jax.custom_jvp
def _attached(x: All, p: Params, u: Policy, good: Bool[Array, ""]) -> All:
    return x


@_attached.defjvp
def _attached_jvp(primals: tuple, tangents: tuple) -> tuple[All, All]:
    x, p, u, good = primals
    # The tangent is taken at the attached path, which moves with `p` and `u`: derivatives of second order are right too.
    x = _attached(x, p, u, good)
    at = Unknowns(*x)

    def conditions(p: Params, u: Policy) -> Gaps:
        given = setting(p, u)
        return gaps(given, at, parts(given, at))

    _, moved = jax.jvp(conditions, (p, u), tangents[1:3])
    # Masked before the elimination: a failed cell has no derivative and must not produce one.
    right = jax.tree.map(lambda v: jnp.where(good, -v, 0.0), moved)
    given = setting(p, u)
    value, slopes = parts_and_slopes(given, at)
    return x, jnp.stack(solve(system(given, at, value, slopes), right))


class Transition(NamedTuple):
    """Paths of the unknowns without and with AI, `[2, 11, T]`, and the last stage of the homotopy: 2 if all is solved."""

    x: Float[Array, "2 11 T"]
    stage: Scalar


def transition(p: Params, u: Policy) -> Transition:
    """Solve the transition without and with AI. Where it fails the paths are the last that was solved, or a start, and have no derivative."""
    (off, on, stage), found = first_success(_attempt, _steps, (p, u))
    x = lax.stop_gradient(jnp.stack([off, on]))
    return Transition(beside(lambda q, x: _attached(x, q, u, found), p, x), stage)
