r"""The Publicness Index (PGI): non-rivalry, non-excludability, net externality, each in [0, 1]."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.quasi_public_goods import market
from jaxecon.models.quasi_public_goods.market import Provision, State
from jaxecon.models.quasi_public_goods.params import Params
from jaxecon.models.quasi_public_goods.users import Population, serving_users

Scalar = Float[Array, ""]
Three = Float[Array, "3"]


class Publicness(NamedTuple):
    """The parts by model, the index by model and of the market, and the market index with marginal externalities."""

    NR: Three
    NE: Three
    NX: Three
    index: Three
    market: Scalar
    marginal: Scalar


def non_rivalry(load: Three, k: Scalar) -> Three:
    r"""$NR = 1/(1 + k x^k/(1 + x^k))$: average benefit over itself plus the marginal congestion cost [R]."""
    return 1 / (1 + market.congestion(load, k))


def non_excludability(p: Params, offer: Provision, pop: Population, s: State) -> Three:
    r"""$NE_j = \int sg((v q^d - c)/\tau)\,sg((v q^d - e)/\tau) \big/ \int sg((v q^d - c)/\tau)$ [R]."""
    parts = []
    # The closed models are alike: one of them and the open one.
    for j in (0, 2):
        worth, both = serving_users(p.tau, pop, s.quality[j], s.access[j], offer.c[j])
        parts.append(both / worth)
    return jnp.stack([parts[0], parts[0], parts[1]])


def externality_by_model(p: Params, offer: Provision, n: Three) -> Three:
    r"""$X_j$: a model's spillovers, its usage share of the network externality, less its harm."""
    return jnp.sum(market.spillovers(p, offer.o, n), axis=0) + market.network(p, n) * n / jnp.sum(n) - offer.z * n


def net_externality(p: Params, offer: Provision, s: State) -> Three:
    r"""$NX_j = \max(X_j, 0)/(\max(X_j, 0) + q^d_j B_j - c_j n_j)$ [R]."""
    n, B = s.demand.n, s.demand.B
    positive = jnp.maximum(externality_by_model(p, offer, n), 0.0)
    return positive / (positive + s.quality * B - offer.c * n)


def marginal_net_externality(p: Params, offer: Provision, s: State) -> Three:
    r"""The marginal version $MX_j/(MX_j + p_j)$, with $MX_j$ at least zero [R]."""
    positive = jnp.maximum(market.marginal_externality(p, offer, s.demand.n), 0.0)
    return positive / (positive + s.price)


def publicness(p: Params, offer: Provision, pop: Population, s: State) -> Publicness:
    """The index with weights of a third, weighted by use in the market [R]."""
    NR, NE, NX = non_rivalry(s.load, p.k), non_excludability(p, offer, pop, s), net_externality(p, offer, s)
    use = s.demand.n / jnp.sum(s.demand.n)
    index = (NR + NE + NX) / 3
    marginal = (NR + NE + marginal_net_externality(p, offer, s)) / 3
    return Publicness(NR, NE, NX, index, jnp.sum(use * index), jnp.sum(use * marginal))
