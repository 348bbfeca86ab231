"""Agent simulation: one `scan` of a pure step over arrays of agents, the same code for 50 and 10^6 of them.

A rule is a function `step(state, key, t) -> (state, statistics)`. Its arrays have agents on the last
axis, its statistics are small, and only they are kept, so memory does not grow with the number of
periods. A rule is written once: decisions are *weights* (`choice_weights`, `indicator`), which are 0
or 1 in the discrete variant and probabilities in the smooth one, and the state is updated linearly in
them. The smooth variant is then the expected move of each agent, differentiable in every parameter.

Randomness: one key a period, folded from the run's key and the period, so a longer run begins with
the shorter one; an agent's draw depends on the key and the agent's index alone
(`jax_threefry_partitionable`, JAX's default), so a larger population begins with the smaller one.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

Step = Callable[[Any, PRNGKeyArray, Int[Array, ""]], tuple[Any, Any]]


def simulate(
    step: Step,
    state: PyTree,
    key: PRNGKeyArray,
    periods: int,
    *,
    first: int = 0,
    checkpoint: bool = False,
) -> tuple[PyTree, PyTree]:
    """Run `step` for `periods` periods; returns the last state and the statistics `[periods, ...]`.

    Period `t = first, first + 1, ...` gets the key `fold_in(key, t)`. With `checkpoint` the reverse
    gradient recomputes each step: it stores one state a period instead of every intermediate.
    """

    def one(carry: PyTree, t: Int[Array, ""]) -> tuple[PyTree, PyTree]:
        return step(carry, jax.random.fold_in(key, t), t)

    body = jax.checkpoint(one) if checkpoint else one  # pyright: ignore[reportPrivateImportUsage]
    return lax.scan(body, state, first + jnp.arange(periods))


def uniforms(key: PRNGKeyArray, n: int, dtype: Any = None) -> Float[Array, " n"]:
    """One uniform draw an agent; agent i's number is the same for every n > i."""
    return jax.random.uniform(key, (n,), jnp.result_type(float) if dtype is None else dtype)


def uniform_pairs(key: PRNGKeyArray, n: int, dtype: Any = None) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Two independent uniform draws an agent, of 32 bits each, for the price of one in double precision: random bits are most
    of the cost of a simple rule. Agent i's numbers are the same for every n > i."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    if jnp.finfo(dtype).bits < 64:
        one, two = jax.random.split(key)
        return uniforms(one, n, dtype), uniforms(two, n, dtype)
    bits = jax.random.bits(key, (n,), jnp.uint64)
    scale = jnp.asarray(2.0**-32, dtype)
    return (bits >> 32).astype(dtype) * scale, (bits & 0xFFFFFFFF).astype(dtype) * scale


def normals(key: PRNGKeyArray, n: int, dtype: Any = None) -> Float[Array, " n"]:
    """One standard normal draw an agent; agent i's number is the same for every n > i."""
    return jax.random.normal(key, (n,), jnp.result_type(float) if dtype is None else dtype)


def choice_probabilities(
    values: Float[Array, "a n"], temperature: Float[Array, ""] | float, available: Float[Array, "a n"] | None = None
) -> Float[Array, "a n"]:
    """Softmax over the actions (first axis): `g_a exp(V_a/tau) / sum_b g_b exp(V_b/tau)`.

    `available` g is 0 for an action that cannot be taken, 1 for one that can, and between the two in a
    smooth variant; at least one action must be available.
    """
    score = values / temperature
    if available is None:
        return jax.nn.softmax(score, axis=0)
    open_ = available > 0
    # Reductions over the few actions are written out: they fuse with what surrounds them.
    top = lax.stop_gradient(reduce(jnp.maximum, list(jnp.where(open_, score, -jnp.inf))))
    odds = available * jnp.exp(jnp.where(open_, score - top, 0.0))
    return odds / reduce(jnp.add, list(odds))


def choice_weights(probabilities: Float[Array, "a n"], draw: Float[Array, " n"], smooth: bool) -> Float[Array, "a n"]:
    """Weights of the actions: the probabilities if smooth, else one action drawn by inverse distribution.

    One uniform draw an agent selects the action; the draw is common to all parameter values, so runs
    with the same key are coupled.
    """
    if smooth:
        return probabilities
    # Written out over the few actions: a cumulative sum over a short leading axis compiles to slow code. The last
    # action with positive probability also takes what round-off leaves.
    below, weights, rest = jnp.zeros_like(draw), [], jnp.ones_like(draw)
    total = reduce(jnp.add, list(probabilities))
    for q in probabilities:
        below = below + q
        taken = jnp.where((draw < below) | (below >= total), rest, 0.0)
        taken = jnp.where(q > 0, taken, 0.0)
        rest = rest - taken
        weights.append(taken)
    return jnp.stack(weights)


def indicator(margin: Float[Array, "*s"], width: Float[Array, ""] | float, smooth: bool) -> Float[Array, "*s"]:
    """1 where `margin >= 0`, else 0; smooth: the logistic function of `margin/width`."""
    if smooth:
        return jax.nn.sigmoid(margin / width)
    return (margin >= 0).astype(margin.dtype)


def weighted_mean(x: Float[Array, " n"], weight: Float[Array, " n"]) -> Float[Array, ""]:
    """`sum w x / sum w`; NaN-free: 0 where the weights sum to zero."""
    total = jnp.sum(weight)
    return jnp.sum(weight * x) / jnp.where(total > 0, total, 1.0)


def weighted_median(
    x: Float[Array, " n"], weight: Float[Array, " n"], *, smooth: bool = False, width: float = 1e-2, steps: int = 60
) -> Float[Array, ""]:
    """Median of `x` under nonnegative weights without a sort; 0 where the weights sum to zero.

    Discrete: for 0/1 weights the textbook median (mean of the two middle values of an even count).
    Smooth: the root m of `sum w (sg((x - m)/h) - 1/2) = 0`, h = `width` times the weighted mean of
    |x|; its derivative is that of the implicit function.
    """
    total = jnp.sum(weight)
    counted = weight > 0
    inside = jnp.where(counted, x, 0.0)
    low = jnp.min(jnp.where(counted, x, jnp.inf))
    high = jnp.max(jnp.where(counted, x, -jnp.inf))
    low, high = (lax.stop_gradient(jnp.where(total > 0, v, 0.0)) for v in (low, high))
    h = width * weighted_mean(jnp.abs(x), weight)
    h = jnp.where(h > 0, h, 1.0)

    def above(m: Float[Array, ""]) -> Float[Array, ""]:
        share = jax.nn.sigmoid((inside - m) / h) if smooth else (inside > m).astype(x.dtype)
        return jnp.sum(weight * share) - 0.5 * total

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        right = lax.stop_gradient(above(middle)) > 0
        return jnp.where(right, middle, ends[0]), jnp.where(right, ends[1], middle)

    margin = lax.stop_gradient(h) if smooth else 0.0
    a, b = lax.fori_loop(0, steps, halve, (low - margin, high + margin))
    if smooth:
        m = lax.stop_gradient(0.5 * (a + b))
        slope = lax.stop_gradient(jax.grad(lambda v: above(v))(m))
        root = m - above(m) / jnp.where(slope == 0, -1.0, slope)
        return jnp.where(total > 0, root, 0.0)
    # The bracket (a, b] holds the lower middle value; the upper one differs only if the count above b is a half.
    lower = jnp.max(jnp.where(counted & (x <= b), x, -jnp.inf))
    upper = jnp.min(jnp.where(counted & (x > b), x, jnp.inf))
    even = (above(b) >= 0) & jnp.isfinite(upper)
    return jnp.where(total > 0, jnp.where(even, 0.5 * (lower + jnp.where(even, upper, 0.0)), lower), 0.0)


def over_keys(run: Callable[[PRNGKeyArray], Any], keys: PRNGKeyArray, batch_size: int | None = None) -> Any:
    """`run` for each key: `vmap`, or in batches of `batch_size` so that memory stays bounded."""
    if batch_size is None:
        return jax.vmap(run)(keys)
    return lax.map(run, keys, batch_size=batch_size)


def mean_and_error(samples: Float[Array, "k *s"]) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
    """Mean over the first axis and its standard error, both over the finite samples only."""
    finite = jnp.isfinite(samples)
    count = jnp.maximum(jnp.sum(finite, axis=0), 1)
    mean = jnp.sum(jnp.where(finite, samples, 0.0), axis=0) / count
    variance = jnp.sum(jnp.where(finite, (samples - mean) ** 2, 0.0), axis=0) / jnp.maximum(count - 1, 1)
    return mean, jnp.sqrt(variance / count)
