"""Planners and the best use of a set of instruments.

(i) The planner over the three failing margins (q_L, v, a): q_H supplied as in the market, identification
perfect. (ii) The unconstrained planner also chooses q_H; the difference is the common-pool race for attention.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.core.fields import with_fields
from jaxecon.models.information_pollution import consumers, platform, producers
from jaxecon.models.information_pollution.equilibrium import equilibrium
from jaxecon.models.information_pollution.params import PERFECT_DP, Params, Policy, fields_of_policy
from jaxecon.models.information_pollution.platform import Allocation
from jaxecon.models.information_pollution.producers import Pair
from jaxecon.numerics.box import Maximum, maximize_box
from jaxecon.numerics.roots import find_root

Scalar = Float[Array, ""]
Sets = tuple[tuple[str, ...], ...]


def perfect_identification(p: Params, *, free_certification: bool = False) -> Params:
    """The same world with h_L = 1, h_H = 0; with `free_certification` also cert = 0."""
    p = eqx.tree_at(lambda q: q.dp0, p, jnp.full_like(p.dp0, PERFECT_DP))
    return eqx.tree_at(lambda q: q.cert, p, jnp.zeros_like(p.cert)) if free_certification else p


def _planned(p: Params, ln_a: Scalar, q: Pair, v: Scalar, w: Scalar) -> Allocation:
    """The allocation at quantities chosen directly; identification perfect, no instruments."""
    u = _no_policy(p)
    h = Pair(jnp.ones_like(w), jnp.zeros_like(w))
    weights = producers.exposure_weights(ln_a, h)
    cost, share = producers.costs_and_shares(p, u, w)
    spending = producers.production_costs(p, q, cost)
    d = consumers.detection(consumers.verification_productivity(p, u), v)
    A = weights.L * q.L + weights.H * q.H
    x = Pair(weights.L * q.L / A, weights.H * q.H / A)
    T = consumers.steady_trust(p, x.L, d)
    M = consumers.attention(p, T, A)
    L_O = p.Lbar - producers.content_labor(w, spending, share)
    AI = producers.ai_use(producers.ai_price(p, u), spending, share)
    net = producers.net_prices(p, u, weights, h, M / A, 1 - d)
    return Allocation(ln_a, w, v, h, weights, cost, net, q, A, M, x, d, T, L_O, AI, spending)


def _no_policy(p: Params) -> Policy:
    zero = jnp.zeros_like(p.p_A)
    return Policy(zero, zero, zero, zero, zero)


def _wage_gap(p: Params, ln_w: Scalar, s: Allocation) -> Scalar:
    return ln_w - jnp.log(p.z_O) + p.mu * platform.log_labor(s.L_O / p.Lbar)


def _market_conditions(z: Float[Array, "2"], args: tuple) -> Float[Array, "2"]:
    """Supply of high quality as in the market (5.4) and the labor market, in `z = (ln q_H, ln w)`."""
    p, x = args
    s = _planned(p, x[0], Pair(jnp.exp(x[1]), jnp.exp(z[0])), x[2], jnp.exp(z[1]))
    supply = p.eps * jnp.log(s.net.H / s.cost.H)
    return jnp.stack([z[0] - supply, _wage_gap(p, z[1], s)])


def _labor_condition(z: Float[Array, "1"], args: tuple) -> Float[Array, "1"]:
    """The labor market in `z = (ln w,)`."""
    p, x = args
    s = _planned(p, x[0], Pair(jnp.exp(x[1]), jnp.exp(x[3])), x[2], jnp.exp(z[0]))
    return _wage_gap(p, z[0], s)[None]


def margins_allocation(p: Params, x: Float[Array, "3"]) -> tuple[Allocation, Array]:
    """The allocation of planner (i) at `x = (ln a, ln q_L, v)` and whether the market part was solved."""
    start = jnp.stack([jnp.full_like(p.p_A, -1.0), jnp.log(p.z_O)])
    root = find_root(_market_conditions, start, (p, x))
    return _planned(p, x[0], Pair(jnp.exp(x[1]), jnp.exp(root.x[0])), x[2], jnp.exp(root.x[1])), root.converged


def free_allocation(p: Params, x: Float[Array, "4"]) -> tuple[Allocation, Array]:
    """The allocation of planner (ii) at `x = (ln a, ln q_L, v, ln q_H)`."""
    root = find_root(_labor_condition, jnp.log(p.z_O)[None], (p, x))
    return _planned(p, x[0], Pair(jnp.exp(x[1]), jnp.exp(x[3])), x[2], jnp.exp(root.x[0])), root.converged


def _margins_welfare(x: Array, p: Params) -> Scalar:
    s, solved = margins_allocation(p, x)
    return jnp.where(solved, platform.welfare(p, _no_policy(p), s), -jnp.inf)


def _free_welfare(x: Array, p: Params) -> Scalar:
    s, solved = free_allocation(p, x)
    return jnp.where(solved, platform.welfare(p, _no_policy(p), s), -jnp.inf)


def margins_planner(p: Params) -> Maximum:
    r"""Planner (i) over `(ln a, ln q_L, v)` [R]: $\max W$ with q_H and w as in the market, identification perfect."""
    starts = jnp.asarray([[0.0, -1.0, 0.3], [-1.5, 0.0, 0.5], [0.5, -3.0, 0.1]], p.p_A.dtype)
    lo = jnp.asarray([-6.0, -16.0, 0.0], p.p_A.dtype)
    hi = jnp.asarray([6.0, 5.0, 5.0], p.p_A.dtype)
    return maximize_box(_margins_welfare, starts, lo, hi, p)


def unconstrained_planner(p: Params) -> Maximum:
    r"""Planner (ii) over `(ln a, ln q_L, v, ln q_H)` [R]; needs A_0 > 0."""
    starts = jnp.asarray([[0.0, -1.0, 0.3, -1.0], [-1.5, 0.0, 0.5, -2.0], [0.5, -3.0, 0.1, 0.0]], p.p_A.dtype)
    lo = jnp.asarray([-6.0, -16.0, 0.0, -16.0], p.p_A.dtype)
    hi = jnp.asarray([6.0, 5.0, 5.0, 5.0], p.p_A.dtype)
    return maximize_box(_free_welfare, starts, lo, hi, p)


def decentralization(p: Params, x: Float[Array, "3"]) -> Policy:
    r"""Instruments (tax, prov, f = 1) that make the market choose the planner's `x` under perfect identification [S].

    $\tau = share\,m\,e_L a (M/A)(1-d) - c_L (q_L/n_L)^{1/\epsilon}$ and prov from (5.2), for g = 0.
    """
    s, _ = margins_allocation(p, x)
    u = _no_policy(p)
    tax = s.net.L - s.cost.L * (s.q.L / p.n_L) ** (1 / p.eps)
    effort = consumers.verification_productivity(p, u) * s.v
    prov = 1 - consumers.verification_stake(p, u, s.M, s.x.L) / (effort * jnp.exp(effort))
    return eqx.tree_at(
        lambda q: (q.low_quality_tax, q.provenance, q.fiduciary_duty), u, (tax, prov, jnp.ones_like(tax))
    )


def instrument_bounds(names: tuple[str, ...], dtype) -> tuple[Array, Array]:
    """Bounds over which instruments are optimized: their admissible range, taxes capped at 3."""
    table = fields_of_policy()
    lo = [table[n].bounds[0] for n in names]
    hi = [min(table[n].bounds[1], 3.0) for n in names]
    return jnp.asarray(lo, dtype), jnp.asarray(hi, dtype)


def market_welfare(p: Params, u: Policy) -> Scalar:
    """Welfare of the equilibrium; minus infinity where there is none."""
    eq = equilibrium(p, u)
    return jnp.where(eq.status == 0, platform.welfare(p, u, eq.state), -jnp.inf)


def best_policies(p: Params, u: Policy, sets: Sets, starts: int = 6, steps: int = 40) -> Maximum:
    """Best use of each set of instruments, the others as in `u`: a batch over `sets`, from one program.

    `x` has the instruments of all sets in the order of their first appearance. Several starts, for optima jump.
    """
    names = tuple(dict.fromkeys(n for free in sets for n in free))

    def f(x: Array, args: tuple[Params, Policy]) -> Scalar:
        return market_welfare(args[0], with_fields(args[1], names, x))

    def best(lo: Array, hi: Array) -> Maximum:
        return maximize_box(f, _spread(starts, lo, hi), lo, hi, (p, u), steps=steps)

    return jax.vmap(best)(*free_bounds(u, names, sets))


def best_policy(p: Params, u: Policy, names: tuple[str, ...], starts: int = 6, steps: int = 40) -> Maximum:
    """Best use of the named instruments, the others as in `u`."""
    return jax.tree.map(lambda x: x[0], best_policies(p, u, (names,), starts, steps))


def free_bounds(u: Policy, names: tuple[str, ...], sets: Sets) -> tuple[Float[Array, "k n"], Float[Array, "k n"]]:
    """Bounds of the instruments `names` by set: an instrument outside of the set is held at its value in `u`."""
    lo, hi = instrument_bounds(names, u.low_quality_tax.dtype)
    held = lax.stop_gradient(jnp.stack([getattr(u, n) for n in names]))
    free = jnp.asarray([[n in s for n in names] for s in sets])
    return jnp.where(free, lo, held), jnp.where(free, hi, held)


def _spread(count: int, lo: Array, hi: Array) -> Array:
    """Starts: the neutral point and an additive-recurrence sequence over the box."""
    golden = jnp.asarray([0.7548776662, 0.5698402910, 0.8191725134, 0.6710436067, 0.5497004779], lo.dtype)
    k = jnp.arange(1, count, dtype=lo.dtype)[:, None]
    points = lo + (hi - lo) * ((0.5 + k * golden[: len(lo)]) % 1.0)
    return jnp.concatenate([jnp.clip(jnp.zeros_like(lo), lo, hi)[None], points])
