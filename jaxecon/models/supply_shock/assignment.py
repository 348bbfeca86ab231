r"""Occupations and prices at one date for any law of skills: the concave program of layer 1 on a quality grid.

Types (cells of the skill grid) choose exit, human or AI work; what they serve is deposited on a quality grid; two
cumulative sums give M and p (3.1). Prices and occupations are a joint fixed point *within* the date, found by
Newton on the nodal prices and $D_A$. It needs no pattern of cutoffs, so it holds for laws with several modes, for
ranges of skill that two occupations share, and for two skills.

Choices carry a small logit temperature tau (a numerical smoothing, `TEMPERATURE`): at fixed $\Phi$ the solution
maximizes the concave $W + n \tau \times$ entropy of occupations, and $\tau \ln\sum\exp(\pi_o/\tau)$ is its exact
derivative with respect to the law, cell by cell. Interpolation and deposit are adjoint, so this holds on the grid.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxecon.models.supply_shock import market
from jaxecon.models.supply_shock.params import Params, Policy
from jaxecon.numerics.linear import solve_dense

# In units of theta_max. The bias of payoffs is of this order, that of cutoffs of its square.
TEMPERATURE = 5e-4
_BELOW, _ABOVE = 40, 60
ANNEALING = (200.0, 60.0, 20.0, 8.0, 3.0, 1.5, 1.0)


class Types(NamedTuple):
    """Creators by kind: `mass` (sums to one), quality as human, quality with AI; shape `[I]`."""

    mass: Float[Array, " I"]
    human: Float[Array, " I"]
    ai: Float[Array, " I"]


class Grid(NamedTuple):
    """Quality nodes `q` `[K]` with one node at the AI ceiling; each type's lower node and weight of the upper one."""

    q: Float[Array, " K"]
    human_node: Int[Array, " I"]
    human_weight: Float[Array, " I"]
    ai_node: Int[Array, " I"]
    ai_weight: Float[Array, " I"]


class Occupations(NamedTuple):
    """Shares of each type that work as humans and with AI, the payoffs, and the expected best payoff; `[I]`."""

    human: Float[Array, " I"]
    ai: Float[Array, " I"]
    pay_human: Float[Array, " I"]
    pay_ai: Float[Array, " I"]
    best: Float[Array, " I"]


class Assignment(NamedTuple):
    """One date's solution: `state` (prices at the nodes, then D_A), grid, occupations, whether it is solved."""

    state: Float[Array, " K1"]
    grid: Grid
    types: Types
    occupations: Occupations
    human_capacity: Float[Array, ""]
    solved: Bool[Array, ""]


_Args = tuple[Params, Policy, Types, Grid, Float[Array, ""]]


def quality_grid(types: Types, ceiling: Float[Array, ""], top: Float[Array, ""]) -> Grid:
    """Nodes from 0 to `top`, even on both sides of the AI ceiling; AI content at the ceiling sits on a node."""
    dtype = types.mass.dtype
    low = ceiling * jnp.arange(_BELOW, dtype=dtype) / _BELOW
    top = jnp.maximum(top, 1.001 * ceiling)
    q = jnp.concatenate([low, ceiling + (top - ceiling) * jnp.arange(_ABOVE + 1, dtype=dtype) / _ABOVE])

    def locate(x: Array) -> tuple[Array, Array]:
        i = jnp.clip(jnp.searchsorted(lax.stop_gradient(q), lax.stop_gradient(x), side="right") - 1, 0, q.shape[0] - 2)
        return i, (x - q[i]) / (q[i + 1] - q[i])

    return Grid(q, *locate(types.human), *locate(types.ai))


def _at_types(nodal: Array, node: Array, weight: Array) -> Array:
    return nodal[node] * (1 - weight) + nodal[node + 1] * weight


def human_capacity(p: Params, volume: Float[Array, ""]) -> Float[Array, ""]:
    r"""Buyers a human serves under search friction, $k_H(D_A) = k_H/(1 + \chi D_A)$ [R]."""
    return p.k_H / (1 + p.chi * jnp.maximum(volume, 0.0))


def occupations(state: Float[Array, " K1"], args: _Args) -> Occupations:
    r"""Logit choice among exit, human and AI work at the prices of `state` (3.3)."""
    p, u, types, grid, tau = args
    prices, volume = state[:-1], state[-1]
    price_h = _at_types(prices, grid.human_node, grid.human_weight)
    price_a = _at_types(prices, grid.ai_node, grid.ai_weight)
    pay_h = market.human_payoff(p, price_h, types.human, human_capacity(p, volume))
    pay_a = market.ai_payoff(p, u, price_a, types.ai)
    logits = jnp.stack([jnp.broadcast_to(p.w_0, pay_h.shape), pay_h, pay_a]) / tau
    share = jax.nn.softmax(logits, axis=0)
    return Occupations(share[1], share[2], pay_h, pay_a, tau * jax.nn.logsumexp(logits, axis=0))


def deposit(state: Float[Array, " K1"], args: _Args, occ: Occupations) -> Float[Array, " K"]:
    """Buyers served at each quality node."""
    p, _, types, grid, _ = args
    by_human = p.n * human_capacity(p, state[-1]) * types.mass * occ.human
    by_ai = p.n * p.k_A * types.mass * occ.ai
    nodes = jnp.concatenate([grid.human_node, grid.human_node + 1, grid.ai_node, grid.ai_node + 1])
    amounts = jnp.concatenate(
        [
            by_human * (1 - grid.human_weight),
            by_human * grid.human_weight,
            by_ai * (1 - grid.ai_weight),
            by_ai * grid.ai_weight,
        ]
    )
    return jnp.zeros_like(grid.q).at[nodes].add(amounts)


def supply_above(served: Float[Array, " K"]) -> Float[Array, " K"]:
    """M just below each node: buyers served at its quality or better."""
    return jnp.cumsum(served[::-1])[::-1]


def excess(state: Float[Array, " K1"], args: _Args) -> Float[Array, " K1"]:
    r"""Prices less (3.1) at the supply they call forth, in units of $\theta_{max}$; and the same for $D_A$."""
    p, u, types, grid, _ = args
    occ = occupations(state, args)
    served = deposit(state, args, occ)
    steps = jnp.diff(grid.q, prepend=0.0) * (1 - supply_above(served))
    volume = state[-1]
    penalty = market.search_penalty(p, u, jnp.maximum(volume, 0.0)) * market.penalized_demand(p, jnp.sum(served))
    gap = (state[:-1] - p.theta_max * jnp.cumsum(steps) + penalty) / p.theta_max
    return jnp.append(gap, volume - p.n * p.k_A * jnp.sum(types.mass * occ.ai))


def _jacobian(state: Array, args: _Args) -> Array:
    r"""Jacobian of `excess`: $1 + \min(q_k, q_l) \times$ supply response, bordered by $D_A$."""
    p, u, types, grid, tau = args
    occ = occupations(state, args)
    k_h, k = human_capacity(p, state[-1]), grid.q.shape[0]
    w_h = k_h * jnp.stack([1 - grid.human_weight, grid.human_weight])
    w_a = p.k_A * jnp.stack([1 - grid.ai_weight, grid.ai_weight])
    zero = jnp.zeros_like(w_h)
    reach_h, reach_a = jnp.concatenate([w_h, zero]), jnp.concatenate([zero, w_a])
    mean = occ.human * reach_h + occ.ai * reach_a
    block = (
        occ.human * reach_h[:, None] * reach_h[None]
        + occ.ai * reach_a[:, None] * reach_a[None]
        - mean[:, None] * mean[None]
    ) * (p.n * types.mass / tau)
    nodes = jnp.stack([grid.human_node, grid.human_node + 1, grid.ai_node, grid.ai_node + 1])
    rows = jnp.broadcast_to(nodes[:, None], block.shape)
    columns = jnp.broadcast_to(nodes[None], block.shape)
    response = jnp.zeros((k, k), grid.q.dtype).at[rows, columns].add(block)
    volume_row = jnp.zeros(k, grid.q.dtype).at[nodes].add(p.n * p.k_A * types.mass / tau * occ.ai * (reach_a - mean))
    served = jnp.sum(deposit(state, args, occ))
    burden = jax.grad(lambda s: jnp.sum(market.penalized_demand(p, s)))(served)
    burden = market.search_penalty(p, u, jnp.maximum(state[-1], 0.0)) * burden / p.theta_max
    overlap = jnp.minimum(grid.q[:, None], grid.q[None])
    prices = jnp.eye(k, dtype=grid.q.dtype) + overlap @ response + burden * jnp.sum(response, axis=0)
    last = jnp.zeros_like(state).at[-1].set(1.0)
    _, column = jax.jvp(lambda z: excess(z, args), (state,), (last,))
    return jnp.concatenate([jnp.concatenate([prices, -volume_row[None]]), column[:, None]], axis=1)


def _newton(state: Array, args: _Args, tol: float, max_steps: int | Array) -> tuple[Array, Array]:
    """Damped Newton; returns the state and its largest residual."""
    shrink = jnp.asarray([1.0, 0.5, 0.2, 0.05, 0.01], state.dtype)

    def size(value: Array) -> Array:
        r = jnp.linalg.norm(value)
        return jnp.where(jnp.isfinite(r), r, jnp.inf)

    def body(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        state, best, count = carry
        step = solve_dense(_jacobian(state, args), excess(state, args))
        step = jnp.where(jnp.isfinite(step), step, 0.0)
        trials = state - shrink[:, None] * step
        sizes = jax.vmap(lambda z: size(excess(z, args)))(trials)
        pick = jnp.argmin(sizes)
        better = sizes[pick] < best
        # No step helps: round-off is reached, or the point is stuck; either way stop.
        return (
            jnp.where(better, trials[pick], state),
            jnp.where(better, sizes[pick], best),
            jnp.where(better, count + 1, max_steps),
        )

    start = (state, size(excess(state, args)), jnp.zeros((), jnp.int32))
    state, best, _ = lax.while_loop(lambda c: (c[1] > tol) & (c[2] < max_steps), body, start)
    return state, best


def tolerance(dtype: jnp.dtype) -> float:
    """Norm of `excess` that counts as solved: 1e-10 in float64, 3e-5 in float32."""
    return 1e-10 if jnp.finfo(dtype).bits == 64 else 3e-5


def first_guess(p: Params, nodes: Float[Array, " K"]) -> Float[Array, " K1"]:
    """A state to start from when nothing is known: half of the buyers served at every quality."""
    return jnp.append(p.theta_max * nodes * 0.5, 0.1 * p.n)


def assign(
    p: Params,
    u: Policy,
    types: Types,
    ceiling: Float[Array, ""],
    top: Float[Array, ""],
    start: Float[Array, " K1"],
    temperature: float = TEMPERATURE,
) -> Assignment:
    """Occupations and prices of one date for types `types`, AI ceiling `ceiling`, best human quality `top`.

    `start`: the state of the date before, or `first_guess`; where Newton fails from it, the temperature is lowered
    in stages. One last Newton step with point and Jacobian held fixed carries the implicit derivative (first order).
    """
    grid = quality_grid(types, ceiling, top)
    tau = temperature * p.theta_max
    args = (p, u, types, grid, tau)
    fixed = lax.stop_gradient(args)
    tol = tolerance(types.mass.dtype)

    warm, warm_size = _newton(lax.stop_gradient(start), fixed, tol, 25)
    good = warm_size <= tol
    # Zero steps where the warm start was enough: in a batch only the failed cells keep the loop going.
    limit = jnp.where(good, 0, 40)

    def stage(state: Array, factor: Array) -> tuple[Array, Array]:
        return _newton(state, (*fixed[:4], fixed[4] * factor), tol, limit)

    cold, sizes = lax.scan(stage, first_guess(fixed[0], fixed[3].q), jnp.asarray(ANNEALING, tau.dtype))
    state, size = jnp.where(good, warm, cold), jnp.where(good, warm_size, sizes[-1])
    state, size = lax.stop_gradient((state, size))
    jac = lax.stop_gradient(_jacobian(state, fixed))
    state = state - solve_dense(jac, excess(state, args))
    return Assignment(state, grid, types, occupations(state, args), human_capacity(p, state[-1]), size <= 10 * tol)
