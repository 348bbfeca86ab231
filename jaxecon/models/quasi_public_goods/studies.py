"""Tables for the report: the wedges of the planner, the certificate of the Nash equilibrium, local weights of the index."""

from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.fields import with_fields
from jaxecon.models.quasi_public_goods import market
from jaxecon.models.quasi_public_goods.equilibrium import Equilibrium, equilibrium, outcomes
from jaxecon.models.quasi_public_goods.params import Params, Policy
from jaxecon.models.quasi_public_goods.planner import best_optimum, gross_welfare, restoring_subsidy
from jaxecon.models.quasi_public_goods.regimes import REGIMES
from jaxecon.models.quasi_public_goods.users import demand
from jaxecon.numerics.linear import solve_small
from jaxecon.numerics.roots import bisect, find_root

PRICES = (0.3, 0.5, 0.7, 0.8, 0.84, 0.88, 0.92, 0.96, 1.0, 1.04, 1.1, 1.3, 1.6, 2.0, 3.0, 5.0)
SCALES = (0.0, 0.25, 0.5, 1.0, 2.0)
CAPACITIES = (0.2, 0.5, 0.7, 0.85, 0.95, 1.0, 1.05, 1.1, 1.2, 1.5, 2.0)


def _loads(y: Float[Array, "3"], args: tuple) -> Float[Array, "3"]:
    """n = x K for each model at given prices and capacities."""
    p, offer, pop, price, K = args
    load = jnp.exp(y)
    d = demand(p.tau, pop, market.delivered_quality(offer.q, load, p.k), market.access_cost(offer, pop, price), False)
    return jnp.log(d.n / (load * K))


def deviation_profit(p: Params, eq: Equilibrium, price: Array, capacity: Array) -> tuple[Array, Array]:
    """Profit of the first closed provider at its own price and capacity, the rivals' offers given, and whether use settled."""
    s, offer = eq.state, eq.offer
    prices = jnp.stack([price, s.price[1], s.price[2]])
    K = jnp.stack([capacity, s.K[1], s.K[2]])
    root = find_root(_loads, jnp.log(s.load), (p, offer, eq.pop, prices, K), tol=1e-9, max_step=1.0)
    use = jnp.exp(root.x[0]) * capacity
    return (market.kept(p, offer) * price - offer.c[0]) * use - offer.r * capacity, root.converged


class Deviation(NamedTuple):
    """The best deviation on the grid as a share of equilibrium profit, its price and capacity as multiples, and whether
    use settled at every point of the grid."""

    gain: Array
    price: Array
    capacity: Array
    settled: Array


def best_deviation(p: Params, u: Policy) -> Deviation:
    """Whether a closed provider gains by another price and capacity, the other's offer given (2.4): first-order conditions alone
    do not make an equilibrium."""
    eq = equilibrium(p, u)
    price, capacity = (x.ravel() for x in jnp.meshgrid(jnp.asarray(PRICES), jnp.asarray(CAPACITIES)))
    price, capacity = price.astype(p.tau.dtype), capacity.astype(p.tau.dtype)
    offers = (eq.state.price[0] * price, eq.state.K[0] * capacity)
    profit, settled = jax.lax.map(lambda x: deviation_profit(p, eq, *x), offers)
    own = market.operating_profit(p, eq.offer, eq.state)
    gain = jnp.where(settled & (eq.status == 0), profit / own - 1, -jnp.inf)
    best = jnp.argmax(gain)
    return Deviation(gain[best], price[best], capacity[best], jnp.mean(settled))


def certificate(p: Params, u: Policy) -> Mapping[str, Array]:
    """The best deviation of a closed provider from the symmetric equilibrium candidate on a price-capacity grid (2.4)."""
    found = best_deviation(p, u)
    return {
        "gain of the best deviation, share of profit": found.gain,
        "its price, multiple of the equilibrium price": found.price,
        "its capacity, multiple of the equilibrium capacity": found.capacity,
        "share of deviations where use settled": found.settled,
    }


def mandate_gain(leak: Array, args: tuple[Params, Policy]) -> Array:
    """Welfare gain of an openness mandate of one half at a leakage, the spillovers' share of it taken out, over tau."""
    p, u = args
    q = eqx.tree_at(lambda r: r.leak, p, leak)

    def without_spillovers(mandate: Array) -> Array:
        v = eqx.tree_at(lambda x: x.openness_mandate, u, mandate)
        o = outcomes(q, v, equilibrium(q, v))
        return o.welfare - (o.externality + o.harm)

    pair = jax.lax.map(without_spillovers, jnp.asarray([0.0, 0.5], p.tau.dtype))
    return (pair[1] - pair[0]) / p.tau


def break_even_leakage(p: Params, u: Policy) -> Mapping[str, Array]:
    """Leakage above which an openness mandate backfires unless spillovers pay for it (C2.7): a root on [0, .95]."""
    lo, hi = jnp.zeros_like(p.leak), jnp.full_like(p.leak, 0.95)
    found = (mandate_gain(lo, (p, u)) > 0) & (mandate_gain(hi, (p, u)) < 0)
    root = bisect(lambda x, args: -mandate_gain(x, args), lo, hi, (p, u), steps=30)
    return {"break-even leakage without spillovers": jnp.where(found, root, jnp.nan), "leakage": p.leak}


def comprehensive_policy(p: Params, u: Policy) -> Mapping[str, Array]:
    """Welfare of S4 less that of S1 by the scale of the spillovers, baseline 1 (C2.4): exact, for the market does not depend on the
    scale and W is linear in it."""
    pair = [with_fields(u, tuple(REGIMES[name]), list(REGIMES[name].values())) for name in ("S1", "S4")]

    def parts(v: Policy) -> tuple[Array, Array]:
        o = outcomes(p, v, equilibrium(p, v))
        return o.welfare, o.externality + o.harm

    W, spill = jax.lax.map(parts, jax.tree.map(lambda *x: jnp.asarray(x, p.tau.dtype), *pair))
    lead, of_spill = W[1] - W[0], spill[1] - spill[0]
    table = {f"S4 less S1, spillovers times {k:g}": lead + (k - 1) * of_spill for k in SCALES}
    return table | {"scale at which they are equal": 1 - lead / of_spill}


def planner_table(p: Params, u: Policy) -> Mapping[str, Array]:
    """Market against planner, symmetric and not."""
    eq = equilibrium(p, u)
    args = (p, eq.offer, eq.pop)
    alike, apart = best_optimum(args, eq.state)
    full, spill = restoring_subsidy(args, alike.state)
    return {
        "welfare, market": gross_welfare(args, eq.state, True),
        "welfare, planner, closed models alike": alike.welfare,
        "welfare, planner, closed models apart": apart.welfare,
        "solved, alike": alike.solved.astype(p.tau.dtype),
        "solved, apart": apart.solved.astype(p.tau.dtype),
        "use, market": jnp.sum(eq.state.demand.n),
        "use, planner": jnp.sum(alike.state.demand.n),
        "closed price, planner": alike.state.price[0],
        "open price, planner": alike.state.price[2],
        "restoring subsidy": full,
        "of which externality": spill,
    }


def local_weights(p: Params, u: Policy) -> Mapping[str, Array]:
    """Weights of the three parts that make the index the best local predictor of welfare over the instruments.

    Least squares of the welfare gradient on the gradients of the market's NR, NE and NX (a ridge of 1e-8 keeps it defined).
    """

    def parts(v: Policy) -> Array:
        o = outcomes(p, v, equilibrium(p, v))
        c, f = 1 - o.open_share, o.open_share
        return jnp.stack(
            [
                c * o.closed_non_rivalry + f * o.open_non_rivalry,
                c * o.closed_non_excludability + f * o.open_non_excludability,
                c * o.closed_net_externality + f * o.open_net_externality,
                o.welfare,
            ]
        )

    slopes = jnp.stack(jax.tree.leaves(jax.jacfwd(parts)(u)))
    A, y = slopes[:, :3], slopes[:, 3]
    w = solve_small(A.T @ A + 1e-8 * jnp.eye(3, dtype=y.dtype), A.T @ y)
    total = jnp.sum(jnp.abs(w))
    names = ("non-rivalry", "non-excludability", "net externality")
    return {f"weight of {n}": w[i] / total for i, n in enumerate(names)} | {
        "share of the gradient explained": 1 - jnp.sum((y - A @ w) ** 2) / jnp.sum(y**2)
    }


STUDIES = {
    "planner": planner_table,
    "certificate": certificate,
    "break_even_leakage": break_even_leakage,
    "comprehensive_policy": comprehensive_policy,
    "local_weights": local_weights,
}
