r"""Adaptive governance: a rule that moves three instruments with noisy readings of the index.

Every quarter the government reads the index with error and sets
$u' = u + K\,(IPI - target) + K_d\,\Delta IPI$ for $u$ = (tax, provenance, fiduciary duty), projected on
the instruments' bounds. The index has the weights of the first date. Worlds differ in (eta, u_L,
theta_v, price decline), which the government does not know; each starts at laissez-faire. Welfare is
the undiscounted average of the flow (5.6) over ten years.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.fields import fields_of
from jaxecon.models.information_pollution import dynamics, index, platform, stage
from jaxecon.models.information_pollution.dynamics import State
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.numerics.tracking import inverse_jacobian, track_root

Scalar = Float[Array, ""]
Instruments = Float[Array, "3"]

NAMES = ("low_quality_tax", "provenance", "fiduciary_duty")
REVIEW = 0.25  # years between readings
YEARS = 10.0
SUBSTEPS = 2  # integration steps a review
# A first look for the best constant policy before its gradient: optima jump, so one start is not enough.
LOOKS = tuple((a, b, c) for a in (0.0, 0.15, 0.5) for b in (0.4, 0.8) for c in (0.5, 1.0))


class Worlds(eqx.Module):
    """What the government does not know, `[n]` draws."""

    eta: Float[Array, " n"]
    u_L: Float[Array, " n"]
    theta_v: Float[Array, " n"]
    price_decline: Float[Array, " n"]


class GovernedPath(eqx.Module):
    """One world under a policy: by review date `[R]`, and its average welfare."""

    instruments: Float[Array, "R 3"]
    index: Float[Array, " R"]
    trust: Float[Array, " R"]
    flow: Float[Array, " R"]
    welfare: Scalar
    residual: Scalar


class Comparison(eqx.Module):
    """The trained rule against the best constant policy, welfare of each hold-out world `[n]`."""

    constant: Instruments
    gains: Instruments
    constant_welfare: Float[Array, " n"]
    adaptive_welfare: Float[Array, " n"]
    training_gain: Scalar


def draw_worlds(key: PRNGKeyArray, p: Params, n: int) -> Worlds:
    """Worlds of the prior: eta, u_L, theta_v lognormal around `p` (median) with log sd `world_sd`; price decline
    uniform on its prior interval (.3, .8)."""
    k, k_decline = jax.random.split(key)
    shocks = jnp.exp(p.world_sd * jax.random.normal(k, (3, n), p.eta.dtype))
    lo, hi = fields_of(Params)["price_decline"].box or (0.3, 0.8)
    decline = jax.random.uniform(k_decline, (n,), p.eta.dtype, lo, hi)
    return Worlds(p.eta * shocks[0], p.u_L * shocks[1], p.theta_v * shocks[2], decline)


def in_world(p: Params, world: Worlds) -> Params:
    """`p` with one world's values."""
    return eqx.tree_at(
        lambda q: (q.eta, q.u_L, q.theta_v, q.price_decline),
        p,
        (world.eta, world.u_L, world.theta_v, world.price_decline),
    )


def policy_of(base: Policy, x: Instruments) -> Policy:
    """`base` with the three governed instruments at `x`."""
    return eqx.tree_at(lambda u: [getattr(u, n) for n in NAMES], base, [x[0], x[1], x[2]])


def projected(x: Instruments) -> Instruments:
    """The nearest admissible instruments."""
    bounds = [fields_of(Policy)[n].bounds for n in NAMES]
    return jnp.clip(x, jnp.array([b[0] for b in bounds], x.dtype), jnp.array([b[1] for b in bounds], x.dtype))


def introduce(p: Params, u: Policy, start: State, stages: int = 8) -> State:
    """The instant after policy `u` replaces laissez-faire: slow variables stay, the platform reacts.

    The platform's choice is followed from laissez-faire through `stages` partial policies.
    """
    frozen = lax.stop_gradient((p, u))
    before = Policy()

    def portion(fast, c):
        part = jax.tree.map(lambda a, b: a + c * (b - a), before, frozen[1])
        args = frozen[0], part, start.T, start.q
        root = track_root(dynamics.fast_gaps, fast, inverse_jacobian(dynamics.fast_gaps, fast, args), args)
        return root.x, root.inverse

    fast, inverse = lax.scan(portion, start.fast, jnp.linspace(0.0, 1.0, stages + 1, dtype=start.T.dtype)[1:])
    return State(start.T, start.q, fast, inverse[-1], start.residual)


def governed_path(p: Params, u0: Instruments, gains: Instruments, start: State, key: PRNGKeyArray) -> GovernedPath:
    """One world from `start` (laissez-faire) under the rule with `gains` K from `u0`; K = 0 is a constant policy."""
    base = Policy()
    now = stage.instant(
        dynamics.at_time(p, jnp.zeros_like(p.p_A)), base, start.T, start.q, start.fast[0], start.fast[4]
    )
    x = index.dimensions(p, now)
    omega = index.endogenous_weights(p, x, now.A)
    reviews = round(YEARS / REVIEW)
    noise = p.reading_noise * jax.random.normal(key, (reviews + 1,), p.p_A.dtype)
    h = jnp.asarray(REVIEW / SUBSTEPS, p.p_A.dtype)
    first = introduce(p, policy_of(base, u0), start)

    @jax.checkpoint
    def review(carry, inputs):
        state, instruments, last = carry
        k, error = inputs
        u = policy_of(base, instruments)

        def substep(inner, j):
            state, residual = inner
            state, ends = dynamics.step(p, u, u, state, k * REVIEW + j * h, h)
            dates = k * REVIEW + (j + jnp.arange(2)) * h
            flows = jax.vmap(lambda t, s: platform.welfare(dynamics.at_time(p, t), u, s))(dates, ends)
            x = index.dimensions(p, jax.tree.map(lambda a: a[1], ends))
            return (state, jnp.maximum(residual, state.residual)), (jnp.mean(flows), omega @ x)

        inner, (flow, ipi) = lax.scan(substep, (state, jnp.zeros_like(h)), jnp.arange(SUBSTEPS))
        state, residual = inner
        reading = ipi[-1] + error
        moved = instruments + gains * (reading - p.target) + p.K_d * (reading - last)
        out = instruments, ipi[-1], state.T, jnp.mean(flow), residual
        return (state, projected(moved), reading), out

    dates = jnp.arange(reviews), noise[1:]
    _, (u, ipi, trust, flow, residual) = lax.scan(review, (first, u0, omega @ x + noise[0]), dates)
    return GovernedPath(u, ipi, trust, flow, jnp.mean(flow), jnp.max(residual))


def starting_points(p: Params, worlds: Worlds) -> State:
    """The laissez-faire equilibrium of each world `[n]`; it does not depend on the policy, so find it once."""
    return lax.map(lambda w: dynamics.rest_point(in_world(p, w), Policy()), worlds)


def adaptive_path(
    p: Params, u0: Instruments, gains: Instruments, worlds: Worlds, key: PRNGKeyArray, starts: State | None = None
) -> GovernedPath:
    """The rule in every world.

    **Arguments**

    - `u0`: (tax, provenance, fiduciary duty) at the start; `gains`: K, units of the instrument per unit of the
      index and review; K_d, target and reading noise are parameters of `p`.
    - `worlds`: `[n]`; `key`: reading errors, one key a world; `starts`: from `starting_points`.

    **Returns** a `GovernedPath` with a leading axis `[n]`; NaN welfare where a path fails.
    """
    starts = starting_points(p, worlds) if starts is None else starts
    keys = jax.random.split(key, worlds.eta.shape[0])
    return jax.vmap(lambda w, s, k: governed_path(in_world(p, w), u0, gains, s, k))(worlds, starts, keys)


def mean_welfare(path: GovernedPath) -> Scalar:
    """Mean over the worlds whose path is solved."""
    solved = is_solved(path)
    return jnp.sum(jnp.where(solved, path.welfare, 0.0)) / jnp.maximum(jnp.sum(solved), 1)


def is_solved(path: GovernedPath) -> Array:
    """Worlds whose every instant is solved to 1e-6."""
    return jnp.isfinite(path.welfare) & (path.residual < 1e-6)


def _ascend(value, looks: Float[Array, "k 3"], rate: float, steps: int, project) -> tuple[Instruments, Scalar]:
    """Best of `looks`, then projected Adam from there; the best point seen and its value.

    Forward mode, for three unknowns. Looks and ascent share one loop, so that the path is compiled once.
    """
    rule = optax.adam(optax.cosine_decay_schedule(rate, steps))
    first = looks.shape[0]

    def look(x):
        f = value(x)
        return f, f

    def move(carry, k):
        x, memory, best, best_value = carry
        slope, f = jax.jacfwd(look, has_aux=True)(x)
        better = f > best_value
        best, best_value = jnp.where(better, x, best), jnp.where(better, f, best_value)
        slope = jnp.where(jnp.isfinite(slope), slope, 0.0)
        update, after = rule.update(-slope, memory)
        climbed = jnp.where(k == first - 1, best, project(x + update))
        looking = k < first - 1
        memory = jax.tree.map(lambda new, old: jnp.where(k < first, old, new), after, memory)
        x = jnp.where(looking, looks[jnp.minimum(k + 1, first - 1)], climbed)
        return (x, memory, best, best_value), None

    start = (looks[0], rule.init(looks[0]), looks[0], jnp.asarray(-jnp.inf, looks.dtype))
    (_, _, best, best_value), _ = lax.scan(move, start, jnp.arange(first + steps))
    return best, best_value


def best_constant(
    p: Params, worlds: Worlds, key: PRNGKeyArray, starts: State, steps: int = 30
) -> tuple[Instruments, Scalar]:
    """The constant policy with the largest mean welfare over `worlds`: the best of `LOOKS`, then ascent."""
    still = jnp.zeros(3, p.p_A.dtype)

    def value(x):
        return mean_welfare(adaptive_path(p, x, still, worlds, key, starts))

    return _ascend(value, jnp.asarray(LOOKS, p.p_A.dtype), 0.05, steps, projected)


def train_rule(
    p: Params, u0: Instruments, worlds: Worlds, key: PRNGKeyArray, starts: State, steps: int = 30
) -> tuple[Instruments, Scalar]:
    """Gains K by gradient through the path on training `worlds`, from K = 0 (the constant policy `u0`)."""

    def value(x):
        return mean_welfare(adaptive_path(p, u0, x, worlds, key, starts))

    return _ascend(value, jnp.zeros_like(u0)[None], 0.01, steps, lambda x: x)


def compare(p: Params, key: PRNGKeyArray, training: int = 16, holdout: int = 200, steps: int = 30) -> Comparison:
    """Train both policies on `training` worlds and run them in `holdout` others."""
    k = jax.random.split(key, 3)
    worlds = draw_worlds(k[0], p, training + holdout)
    starts = starting_points(p, worlds)
    known, new = (jax.tree.map(lambda x, part=part: x[part], (worlds, starts)) for part in _split(training))
    constant, base = best_constant(p, known[0], k[1], known[1], steps)
    gains, trained = train_rule(p, constant, known[0], k[1], known[1], steps)
    rules = jnp.stack([jnp.zeros_like(gains), gains])
    paths = lax.map(lambda g: adaptive_path(p, constant, g, new[0], k[2], new[1]), rules)
    solved = jnp.all(is_solved(paths), axis=0)
    welfare = jnp.where(solved, paths.welfare, jnp.nan)
    return Comparison(constant, gains, welfare[0], welfare[1], trained - base)


def _split(training: int) -> tuple[slice, slice]:
    return slice(0, training), slice(training, None)


def expected_shortfall(welfare: Float[Array, " n"], level: float = 0.05) -> Scalar:
    """Mean of the lowest `level` of welfare, NaN left out."""
    count = max(1, round(level * welfare.shape[0]))
    return jnp.mean(jnp.sort(welfare)[:count])


def mean_difference(c: Comparison) -> Scalar:
    """Adaptive less constant, mean over the hold-out worlds that are solved."""
    return jnp.nanmean(c.adaptive_welfare - c.constant_welfare)


def tail_difference(c: Comparison) -> Scalar:
    """Adaptive less constant: difference of the means of each policy's worst 5 % of hold-out worlds."""
    return expected_shortfall(c.adaptive_welfare) - expected_shortfall(c.constant_welfare)
