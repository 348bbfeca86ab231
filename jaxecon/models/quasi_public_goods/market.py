r"""The market: congestion, the externality, and the conditions of a Nash equilibrium in prices and capacity.

A closed provider chooses its price and its capacity, given those of the others. A change of either moves all
uses at once, because use congests every model: with $N(q^d, p)$ the logit demand and $\gamma_j = -dq^d_j/dn_j$,

$dn = (I + M \Gamma)^{-1} [M\, \Gamma\, (n/K)\, dK - A\, dp + M\, (q^d/q)\, dq]$, $A = -\partial N/\partial p$, $M = \partial N/\partial q^d$.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.quasi_public_goods.params import Params, Policy
from jaxecon.models.quasi_public_goods.users import Demand, Population, demand

Scalar = Float[Array, ""]
Three = Float[Array, "3"]


class Provision(NamedTuple):
    """What each model offers under a policy; the order is closed, closed, open.

    `r`: cost of capacity to its private owner; `K_o`: capacity of the open model, public compute included.
    """

    q: Three
    c: Three
    o: Three
    service: Three
    gate: Three
    z: Three
    r: Scalar
    K_o: Scalar
    voucher: Scalar


def _models(closed: Scalar, opened: Scalar) -> Three:
    return jnp.stack([closed, closed, opened])


def provision(p: Params, u: Policy) -> Provision:
    """Nature's offers after support, mandate, subsidy, public compute, safety standard and voucher [R]."""
    x = u.open_source_support
    cost = u.safety_standard * p.cost_safety
    return Provision(
        q=_models(p.q_c, p.q_o + 0.5 * (p.q_c - p.q_o) * x),
        c=_models(p.c_c + cost, p.c_o + cost),
        o=_models(p.o_c + (1 - p.o_c) * u.openness_mandate, p.o_o + (1 - p.o_o) * x),
        service=_models(p.service_c, p.service_o + (1 - p.service_o) * x),
        gate=_models(p.gate_c, p.gate_o),
        z=_models(p.z_c, p.z_o) * (1 - u.safety_standard),
        r=p.r_K * (1 - u.compute_subsidy),
        K_o=p.K_o + u.public_compute,
        voucher=u.access_voucher,
    )


def access_cost(offer: Provision, pop: Population, price: Three) -> Float[Array, "3 Y"]:
    r"""$e_{uj} = p_j + h_u (1 - service_j) + gate_j (1 - o_j)$, less the voucher where it reaches (2.2)."""
    fixed = price + offer.gate * (1 - offer.o)
    return fixed[:, None] + (1 - offer.service)[:, None] * pop.h - offer.voucher * pop.poor


def delivered_quality(q: Array, load: Array, k: Scalar) -> Array:
    r"""$q^d = q/(1 + x^k)$ at the load $x = n/K$ (2.1)."""
    return q / (1 + load**k)


def congestion(load: Array, k: Scalar) -> Array:
    r"""Elasticity of delivered quality to load, $-d\ln q^d/d\ln x = k x^k/(1 + x^k)$ (2.1)."""
    return k * load**k / (1 + load**k)


def channels(p: Params) -> tuple[Three, Three, Three]:
    """Scale, openness share and elasticity of the three spillover channels."""
    return jnp.stack([p.chi_1, p.chi_2, p.chi_3]), jnp.stack([p.w_1, p.w_2, p.w_3]), jnp.stack([p.nu_1, p.nu_2, p.nu_3])


def spillovers(p: Params, o: Three, n: Three) -> Float[Array, "3 3"]:
    r"""$\chi_c (1 - w_c + w_c o_j) n_j^{\nu_c}$ by channel (rows) and model (columns) (2.3)."""
    chi, w, nu = channels(p)
    return chi[:, None] * (1 - w[:, None] * (1 - o)) * n ** nu[:, None]


def network(p: Params, n: Three) -> Scalar:
    r"""$\chi_{net} (\sum_j n_j)^2/2$ (2.3)."""
    return p.chi_net * jnp.sum(n) ** 2 / 2


def externality(p: Params, offer: Provision, n: Three) -> Scalar:
    """X: spillovers and network less harm (2.3)."""
    return jnp.sum(spillovers(p, offer.o, n)) + network(p, n) - jnp.sum(offer.z * n)


def marginal_externality(p: Params, offer: Provision, n: Three) -> Three:
    r"""$MX_j = dX/dn_j$, network included."""
    _, _, nu = channels(p)
    return jnp.sum(nu[:, None] * spillovers(p, offer.o, n), axis=0) / n + p.chi_net * jnp.sum(n) - offer.z


class Responses(NamedTuple):
    r"""Responses of a closed model's use to its own offer, rivals' offers given and congestion settled everywhere:
    $-d\ln n/dp$, $dn/dK$, $dn/dq$."""

    price: Scalar
    capacity: Scalar
    quality: Scalar


def demand_slopes(tau: Scalar, d: Demand) -> tuple[Float[Array, "3 3"], Float[Array, "3 3"]]:
    r"""$A = -\partial N/\partial p$ and $M = \partial N/\partial q^d$ of the logit (2.2)."""
    eye = jnp.eye(3, dtype=d.n.dtype)
    return (eye * d.n - d.S) / tau, (eye * d.B - d.T) / tau


def responses(tau: Scalar, k: Scalar, q: Three, load: Three, d: Demand) -> Responses:
    """Own responses of the first model: the rivals are eliminated from the system of the module's head (Schur form)."""
    A, M = demand_slopes(tau, d)
    delivered = delivered_quality(q, load, k)
    slope = delivered * congestion(load, k) / d.n
    g0, g1, g2 = slope[0], slope[1], slope[2]
    a, b, c, e = 1 + M[1, 1] * g1, M[1, 2] * g2, M[2, 1] * g1, 1 + M[2, 2] * g2
    det = a * e - b * c
    # Pull of the rivals' uses on the first model's, per unit of what moves them.
    first = (M[0, 1] * g1 * e - M[0, 2] * g2 * c) / det
    second = (M[0, 2] * g2 * a - M[0, 1] * g1 * b) / det
    schur = 1 + g0 * (M[0, 0] - first * M[1, 0] - second * M[2, 0])
    by_price = (A[0, 0] - first * A[1, 0] - second * A[2, 0]) / schur
    by_quality = (M[0, 0] - first * M[1, 0] - second * M[2, 0]) / schur
    return Responses(by_price / d.n[0], by_quality * g0 * load[0], by_quality * delivered[0] / q[0])


class State(NamedTuple):
    """Prices, loads, capacities and demand at a guess or at the equilibrium."""

    price: Three
    load: Three
    K: Three
    quality: Three
    access: Float[Array, "3 Y"]
    demand: Demand


def kept(p: Params, offer: Provision) -> Scalar:
    r"""Fraction of its revenue that a closed provider keeps, $1 - leak\,o$ (2.4)."""
    return 1 - p.leak * offer.o[0]


def state(y: Float[Array, "3"], p: Params, offer: Provision, pop: Population) -> State:
    r"""The market at unknowns $y = (\ln m, \ln x_c, \ln x_o)$, $m = (1 - leak\,o_c) p_c - c_c$ the margin, $x = n/K$ the loads."""
    price = _models((offer.c[0] + jnp.exp(y[0])) / kept(p, offer), p.p_o)
    load = _models(jnp.exp(y[1]), jnp.exp(y[2]))
    quality = delivered_quality(offer.q, load, p.k)
    access = access_cost(offer, pop, price)
    d = demand(p.tau, pop, quality, access)
    return State(price, load, d.n / load, quality, access, d)


def conditions(y: Float[Array, "3"], args: tuple[Params, Provision, Population]) -> Float[Array, "3"]:
    r"""Nash conditions of a closed provider and the open model's capacity, in logs (2.4).

    Price: $(1 - leak\,o) = m\,(-d\ln n/dp)$. Capacity: $m\, dn/dK = r_K$. Open model: $n_o = x_o K_o$.
    """
    p, offer, pop = args
    s = state(y, p, offer, pop)
    r = responses(p.tau, p.k, offer.q, s.load, s.demand)
    return jnp.stack(
        [
            y[0] + jnp.log(r.price) - jnp.log(kept(p, offer)),
            y[0] + jnp.log(r.capacity) - jnp.log(offer.r),
            jnp.log(s.K[2]) - jnp.log(offer.K_o),
        ]
    )


def operating_profit(p: Params, offer: Provision, s: State) -> Scalar:
    r"""Profit of a closed provider before the cost of quality, $(1 - leak\,o) p n - c n - r_K K$ (2.4)."""
    margin = kept(p, offer) * s.price[0] - offer.c[0]
    return margin * s.demand.n[0] - offer.r * s.K[0]
