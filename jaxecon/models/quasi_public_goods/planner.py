r"""The planner: prices and capacities that maximize W at given qualities, and the subsidies that decentralize them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.models.quasi_public_goods import market
from jaxecon.models.quasi_public_goods.market import Provision, State
from jaxecon.models.quasi_public_goods.params import Params
from jaxecon.models.quasi_public_goods.users import Population, consumer_surplus, demand
from jaxecon.numerics.roots import find_root

Scalar = Float[Array, ""]
Args = tuple[Params, Provision, Population]


class Optimum(NamedTuple):
    """The planner's market, its unknowns, welfare before public funds, and whether the conditions hold."""

    y: Array
    state: State
    welfare: Scalar
    solved: Bool[Array, ""]


def marginal_congestion_cost(p: Params, s: State) -> Float[Array, "3"]:
    r"""$MCC = -B\,dq^d/dn$ (2.6)."""
    return s.quality * s.demand.B * market.congestion(s.load, p.k) / s.demand.n


def planner_state(y: Float[Array, " n"], args: Args) -> State:
    r"""The market at loads and prices, $y = (\ln x, p/\tau)$: of (closed, open) or of all three models."""
    p, offer, pop = args
    alike = y.shape[0] == 4
    index = [0, 0, 1] if alike else [0, 1, 2]
    half = y.shape[0] // 2
    load = jnp.exp(jnp.stack([y[j] for j in index]))
    price = p.tau * jnp.stack([y[half + j] for j in index])
    quality = market.delivered_quality(offer.q, load, p.k)
    access = market.access_cost(offer, pop, price)
    d = demand(p.tau, pop, quality, access, alike)
    return State(price, load, d.n / load, quality, access, d)


def optimality(y: Float[Array, " n"], args: Args) -> Float[Array, " n"]:
    r"""$B\,dq^d/dK = r_K$ (2.7) in logs and $p_j = c_j + MCC_j - MX_j$ (2.6) over tau."""
    p, offer, _ = args
    s = planner_state(y, args)
    MCC = marginal_congestion_cost(p, s)
    capacity = jnp.log(MCC * s.load / p.r_K)
    price = (s.price - offer.c - MCC + market.marginal_externality(p, offer, s.demand.n)) / p.tau
    kinds = [0, 2] if y.shape[0] == 4 else [0, 1, 2]
    return jnp.stack([x[j] for x in (capacity, price) for j in kinds])


def gross_welfare(args: Args, s: State, alike: bool) -> Scalar:
    r"""W of (2.6) at an allocation without public funds: surplus, resources, externality."""
    p, offer, pop = args
    n = s.demand.n
    resources = jnp.sum((s.price - offer.c) * n - p.r_K * s.K - p.kappa_q * offer.q**2 / 2)
    return consumer_surplus(p.tau, pop, s.quality, s.access, alike) + resources + market.externality(p, offer, n)


def social_optimum(args: Args, starts: Float[Array, "S n"]) -> Optimum:
    """The best stationary point of W that Newton reaches from the starts: four unknowns treat the closed models alike,
    six do not. W has several, so that W decides and not the first that is found."""
    alike = starts.shape[1] == 4

    def one(y0: Array) -> Optimum:
        root = find_root(optimality, y0, args, tol=1e-9, max_steps=80, max_step=1.0)
        s = planner_state(root.x, args)
        W = gross_welfare(args, s, alike)
        return Optimum(root.x, s, W, root.converged & jnp.isfinite(W))

    found = lax.map(one, starts)
    best = jnp.argmax(jnp.where(found.solved, found.welfare, -jnp.inf))
    return jax.tree.map(lambda x: x[best], found)


def symmetric_starts(args: Args, s: State) -> Float[Array, "4 4"]:
    """The market's loads with the price rule at the market's use, with low prices, with a congested and an idle open model."""
    p, offer, _ = args
    closed, opened = jnp.log(s.load[0]), jnp.log(s.load[2])
    price = (offer.c + p.r_K / s.load - market.marginal_externality(p, offer, s.demand.n)) / p.tau
    low, lower = jnp.full_like(closed, -4.0), jnp.full_like(closed, -8.0)
    rows = [
        (closed, opened, price[0], price[2]),
        (closed, opened, low, lower),
        (closed, low / -4.0, price[0], price[2]),
        (low / 4.0, low / 4.0, price[0], price[2]),
    ]
    return jnp.stack([jnp.stack(row) for row in rows])


def asymmetric_starts(y: Float[Array, "4"]) -> Float[Array, "3 6"]:
    """From a symmetric optimum: one closed model emptier and dearer, the other fuller and cheaper, by three distances."""
    rows = [(y[0] - d, y[0] + d, y[1], y[2] + d, y[2] - d, y[3]) for d in (0.1, 0.5, 1.5)]
    return jnp.stack([jnp.stack(row) for row in rows])


def best_optimum(args: Args, s: State) -> tuple[Optimum, Optimum]:
    """The symmetric optimum, and what the search finds when the closed models start apart (2.9: W decides, not symmetry)."""
    alike = social_optimum(args, symmetric_starts(args, s))
    return alike, social_optimum(args, asymmetric_starts(alike.y))


class Subsidized(NamedTuple):
    """Unknowns and equilibrium of price setting at given capacities and a subsidy per use."""

    state: State
    welfare: Scalar
    solved: Bool[Array, ""]


def _price_state(y: Float[Array, "3"], args: tuple[Args, Float[Array, "3"], Scalar, Scalar]) -> State:
    (p, offer, pop), K, open_price, _ = args
    load = jnp.exp(jnp.stack([y[0], y[0], y[1]]))
    price = jnp.stack([p.tau * y[2], p.tau * y[2], open_price])
    quality = market.delivered_quality(offer.q, load, p.k)
    access = market.access_cost(offer, pop, price)
    return State(price, load, K, quality, access, demand(p.tau, pop, quality, access))


def price_setting(y: Float[Array, "3"], args: tuple[Args, Float[Array, "3"], Scalar, Scalar]) -> Float[Array, "3"]:
    r"""$n_j = x_j K_j$ and the closed price $p + \sigma - c = 1/(-d\ln n/dp)$ without leakage."""
    (p, offer, _), K, _, subsidy = args
    s = _price_state(y, args)
    r = market.responses(p.tau, p.k, offer.q, s.load, s.demand)
    use = jnp.log(s.demand.n / (s.load * K))
    return jnp.stack([use[0], use[2], (s.price[0] + subsidy - offer.c[0] - 1 / r.price) / p.tau])


def subsidized_market(args: Args, best: State, start: State, subsidy: Scalar) -> Subsidized:
    """Closed providers set prices at the planner's capacities with `subsidy` per use; the open price is the planner's."""
    inputs = (args, best.K, best.price[2], subsidy)
    y0 = jnp.stack([jnp.log(start.load[0]), jnp.log(start.load[2]), start.price[0] / args[0].tau])
    root = find_root(price_setting, y0, inputs, tol=1e-9, max_steps=80, max_step=1.0)
    s = _price_state(root.x, inputs)
    return Subsidized(s, gross_welfare(args, s, True), root.converged)


def restoring_subsidy(args: Args, best: State) -> tuple[Scalar, Scalar]:
    r"""Markup - MCC + MX at the planner's allocation, and MX alone [S]."""
    p, offer, _ = args
    r = market.responses(p.tau, p.k, offer.q, best.load, best.demand)
    MX = market.marginal_externality(p, offer, best.demand.n)[0]
    return 1 / r.price - marginal_congestion_cost(p, best)[0] + MX, MX
