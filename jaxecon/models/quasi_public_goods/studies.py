"""Tables for the report: the wedges of the planner, the certificate of the Nash equilibrium, local weights of the index."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.quasi_public_goods import market
from jaxecon.models.quasi_public_goods.equilibrium import Equilibrium, equilibrium, outcomes
from jaxecon.models.quasi_public_goods.params import Params, Policy
from jaxecon.models.quasi_public_goods.planner import best_optimum, gross_welfare, restoring_subsidy
from jaxecon.models.quasi_public_goods.users import demand
from jaxecon.numerics.roots import find_root

GRID = (0.3, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0)


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


def certificate(p: Params, u: Policy) -> Mapping[str, Array]:
    """Best deviation of a closed provider on a price-capacity grid against its equilibrium profit (2.4)."""
    eq = equilibrium(p, u)
    grid = jnp.asarray(GRID, p.tau.dtype)
    price, capacity = (x.ravel() for x in jnp.meshgrid(eq.state.price[0] * grid, eq.state.K[0] * grid))
    profit, ok = jax.lax.map(lambda x: deviation_profit(p, eq, *x), (price, capacity))
    own = market.operating_profit(p, eq.offer, eq.state)
    return {
        "profit": own,
        "best deviation": jnp.max(jnp.where(ok, profit, -jnp.inf)),
        "deviations settled": jnp.mean(ok),
        "no profitable deviation": (jnp.max(jnp.where(ok, profit, -jnp.inf)) <= own + 1e-9).astype(own.dtype),
    }


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
    w = jnp.linalg.solve(A.T @ A + 1e-8 * jnp.eye(3, dtype=y.dtype), A.T @ y)
    total = jnp.sum(jnp.abs(w))
    names = ("non-rivalry", "non-excludability", "net externality")
    return {f"weight of {n}": w[i] / total for i, n in enumerate(names)} | {
        "share of the gradient explained": 1 - jnp.sum((y - A @ w) ** 2) / jnp.sum(y**2)
    }


STUDIES = {"planner": planner_table, "certificate": certificate, "local_weights": local_weights}
