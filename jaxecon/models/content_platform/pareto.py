r"""The trilemma's Pareto surface, traced by gradients: welfare, equity, human data, at no lower platform profit.

For each direction of a simplex grid, all seven instruments climb the smooth minimum of the three weighted gains (Chebyshev's
scalarization reaches surfaces that are not concave too). What is passed on the way counts: a point is on the surface if no other point
that leaves the platform its laissez-faire profit is at least as good on all three axes and better on one.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.fields import fields_of, with_fields
from jaxecon.models.content_platform.equilibrium import accounts, settle
from jaxecon.models.content_platform.market import frame
from jaxecon.models.content_platform.params import Params, Policy
from jaxecon.models.content_platform.regimes import Regimes, at_equal_revenue, compare, coordinates, long_run, named

Scalar = Float[Array, ""]
INSTRUMENTS = tuple(fields_of(Policy))
# Instruments as a platform could use them: commissions and rebate up to a half, no quota beyond nine tenths.
RANGE = {"commission_human": (0.0, 0.6), "commission_ai": (0.0, 0.7), "creative_rebate": (0.0, 0.5), "diversity_weight": (0.0, 10.0),
         "ai_levy": (0.0, 0.28), "labeling": (0.0, 1.0), "human_quota": (0.0, 0.9)}  # fmt: skip
# Sizes of a gain on the three axes that count alike, as shares of laissez-faire.
SCALE = (0.02, 0.2, 1.0)
TEMPERATURE, PENALTY = 0.05, 20.0


def directions(n: int) -> Float[Array, "d 3"]:
    """Points of the simplex grid with `n` steps, kept off its edges."""
    grid = [(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)]
    w = jnp.asarray(grid, jnp.result_type(float)) / n
    return (w + 0.02) / jnp.sum(w + 0.02, axis=1, keepdims=True)


def undominated(z: Float[Array, "n 3"]) -> Array:
    """Whether no other point is at least as good on all three axes and better on one."""

    def beaten(x: Array) -> Array:
        return jnp.any(jnp.all(z >= x, axis=1) & jnp.any(z > x, axis=1))

    return ~jax.lax.map(beaten, z, batch_size=256)


def trace(p: Params, u: Policy, n: int = 21, steps: int = 40, rate: float = 0.08) -> tuple[Array, Array, Array]:
    """Points passed: coordinates `[m, 3]`, instruments `[m, 7]`, and whether each is on the surface; `[m] = steps` times the
    `(n + 1)(n + 2)/2` directions. Adam with a cosine schedule on the unit box."""
    p = long_run(p)
    lo, hi = (jnp.asarray([RANGE[k][i] for k in INSTRUMENTS], p.alpha.dtype) for i in (0, 1))
    f0 = frame(p, u)
    free = accounts(f0, settle(f0).market)
    base = jnp.stack([free.welfare, free.equity, free.data_flow])
    scale = jnp.asarray(SCALE, p.alpha.dtype)
    weights = directions(n).astype(p.alpha.dtype)

    def gains(x: Array) -> tuple[Array, Scalar, Array]:
        f = frame(p, with_fields(u, INSTRUMENTS, list(lo + (hi - lo) * x)))
        eq = settle(f)
        out = accounts(f, eq.market)
        z = jnp.stack([out.welfare, out.equity, out.data_flow]) / base - 1
        return z, out.platform_profit / free.platform_profit - 1, eq.status == 0

    def height(x: Array, w: Array) -> tuple[Scalar, tuple]:
        z, spare, ok = gains(x)
        # Far-away targets on all axes: the least weighted shortfall; weights pull toward the axis that counts.
        short = w * (2.0 - z / scale)
        value = -TEMPERATURE * jax.nn.logsumexp(short / TEMPERATURE) - PENALTY * jnp.maximum(-spare, 0.0)
        return jnp.where(ok, value, 0.0), (z, spare, ok)

    slopes = jax.vmap(jax.grad(height, has_aux=True))

    def climb(carry: tuple, k: Array) -> tuple[tuple, tuple]:
        x, mean, square = carry
        g, (z, spare, ok) = slopes(x, weights)
        g = jnp.where(jnp.isfinite(g), g, 0.0)
        mean, square = 0.8 * mean + 0.2 * g, 0.95 * square + 0.05 * g**2
        step = mean / (1 - 0.8 ** (k + 1)) / (jnp.sqrt(square / (1 - 0.95 ** (k + 1))) + 1e-9)
        now = rate * 0.5 * (1 + jnp.cos(jnp.pi * k / steps))
        fine = ok & (spare >= -1e-9) & jnp.all(jnp.isfinite(z), axis=1)
        return (jnp.clip(x + now * step, 0.0, 1.0), mean, square), (x, z, fine)

    here = (jnp.stack([getattr(u, k) for k in INSTRUMENTS]) - lo) / (hi - lo)
    x0 = jnp.broadcast_to(jnp.clip(here, 0.02, 0.98), (len(weights), len(INSTRUMENTS)))
    _, (x, z, fine) = jax.lax.scan(climb, (x0, 0 * x0, 0 * x0), jnp.arange(steps))
    x, z, fine = x.reshape(-1, len(INSTRUMENTS)), z.reshape(-1, 3), fine.ravel()
    z = jnp.where(fine[:, None], z, -jnp.inf)
    return z, lo + (hi - lo) * x, undominated(z) & fine


def distance(z: Float[Array, "n 3"], point: Float[Array, " 3"]) -> Scalar:
    """How much better some traced point is on all three axes, as a share of laissez-faire: positive inside the surface."""
    return jnp.max(jnp.min(z - point, axis=1))


def distances(p: Params, u: Policy, n: int = 21, steps: int = 40) -> tuple[Array, Array, Array]:
    """Distance of each named regime from the surface as it is, and with its platform profit restored by both commissions (NaN
    where it is not solved); and the number of points on the surface."""
    z, _, on = trace(p, u, n, steps)
    q = long_run(p)
    free = compare(q, named(u))
    equal = at_equal_revenue(q, named(u), free.out.platform_profit[0], "both")
    of = jax.vmap(lambda x: distance(z, x))

    def where_solved(found: Regimes) -> Array:
        return jnp.where(found.solved & free.solved[0], of(coordinates(found.out)), jnp.nan)

    return where_solved(free), where_solved(equal), jnp.sum(on)
