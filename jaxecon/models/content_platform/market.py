r"""Prices, shares and exposure of ten products, entry of nine human types and the fund: one root.

Unknown are the log share and the log price of one item of each type, and the fund's payment; everything else follows from them in
closed form: output, cost, income and so the number of sellers (4.4), AI's share of units and so its steady quality (4.5), exposure (4.3).
The conditions say that buyers choose these shares (4.1), that no seller gains by another price (4.2), and that the fund is spent.
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.content_platform.demand import Crowd, Tastes, crowd, gauss_tastes, share_and_slope
from jaxecon.models.content_platform.params import Params, Policy

Scalar = Float[Array, ""]
TYPES = 9


class Frame(eqx.Module):
    """What a market takes as given: nature, policy, generators, skill angles in radians; on a path also the active sellers
    and the quality of AI `[2]`, which otherwise follow from entry (4.4) and from `ai_quality`."""

    p: Params
    u: Policy
    K: Scalar
    angle: Float[Array, " h"]
    active: Float[Array, " h"] | None = None
    quality: Float[Array, " 2"] | None = None


class Market(NamedTuple):
    """Everything that shares, prices and the fund imply. Arrays `[j]`: nine human types, then AI, per item."""

    share: Float[Array, " j"]
    price: Float[Array, " j"]
    commission: Float[Array, " j"]
    units: Float[Array, " j"]
    marginal_cost: Float[Array, " j"]
    profit: Float[Array, " j"]
    number: Float[Array, " j"]
    exposure: Float[Array, " j"]
    quality: Float[Array, "2 j"]
    perceived: Float[Array, "2 j"]
    level: Float[Array, " j"]
    data: Float[Array, " 2"]
    ai_share: Scalar
    fund: Scalar
    levy: Scalar
    surcharge: Scalar
    platform: Scalar


def skills(p: Params) -> tuple[Float[Array, " h"], Float[Array, " h"]]:
    """Length of skill and innate angle in radians of the nine human types, r x phi."""
    r = jnp.repeat(jnp.stack([p.r_1, p.r_2, p.r_3]), 3)
    return r, jnp.tile(jnp.deg2rad(jnp.stack([p.phi_1, p.phi_2, p.phi_3])), 3)


def frame(p: Params, u: Policy) -> Frame:
    """The market of the static benchmark: innate skills, free entry."""
    return Frame(p, u, jnp.asarray(p.K, p.alpha.dtype), skills(p)[1])


def human_quality(p: Params, angle: Float[Array, " h"]) -> Float[Array, "2 h"]:
    r"""$(q_t, q_c) = r(\cos\phi, \sin\phi)$ [D: two dimensions; R: form]."""
    r, _ = skills(p)
    return r * jnp.stack([jnp.cos(angle), jnp.sin(angle)])


def commissions(f: Frame, surcharge: Scalar) -> Float[Array, " j"]:
    r"""$\tau_i = \tau_h - rebate\,q_{c,i}$ for humans; $\tau_A$ = AI commission + levy. The surcharge meets the requirement."""
    u = f.u
    both = surcharge if f.p.requirement == "both" else jnp.zeros_like(surcharge)
    human = u.commission_human + both - u.creative_rebate * human_quality(f.p, f.angle)[1]
    return jnp.append(human, u.commission_ai + surcharge + u.ai_levy)


def cost(
    p: Params, angle: Float[Array, " h"], units: Float[Array, " j"]
) -> tuple[Float[Array, " j"], Float[Array, " j"]]:
    r"""Cost and marginal cost (4.4): $C_i(y) = (c_0 + c_q |q_i|^2/2) y + \gamma_y y^2/2$ for humans, $c_A y$ for AI [R]."""
    human = p.c_0 + 0.5 * p.c_q * jnp.sum(human_quality(p, angle) ** 2, axis=0)
    base, bend = jnp.append(human, p.c_A), jnp.append(jnp.full_like(human, p.gamma_y), 0.0)
    return (base + 0.5 * bend * units) * units, base + bend * units


def entrants(p: Params, income: Float[Array, " h"]) -> Float[Array, " h"]:
    r"""$N_i = \bar N_i \Lambda((\Pi_i - w_0)/s_e)$ (4.4) [R]."""
    return p.Nbar * jax.nn.sigmoid((income - p.w_0) / p.s_e)


def exposure(p: Params, u: Policy, share: Float[Array, " j"], number: Float[Array, " j"]) -> Float[Array, " j"]:
    r"""$x_j = s_j^\kappa (1 + d\,nov_j)/Z$, $nov_j = \bar s/(\bar s + s_j)$, mean of x over items 1 (4.3) [R].

    The quota cuts AI's weight before x is normalized: what AI items lose, all items share.
    """
    items = jnp.sum(number)
    mean = jnp.sum(number * share) / items
    # Shares relative to their mean: the same x, and no tiny number to a power.
    weight = (share / mean) ** p.kappa * (1 + u.diversity_weight * mean / (mean + share))
    weight = weight.at[TYPES].multiply(1 - u.human_quota)
    return weight * items / jnp.sum(number * weight)


def ai_quality(p: Params, data: Float[Array, " 2"]) -> Float[Array, " 2"]:
    r"""$q_k^{AI} = q^{max}_k N_k/(N_k + N^0_k)$ (4.5) [R]."""
    top, half = jnp.stack([p.qmax_t, p.qmax_c]), jnp.stack([p.N0_t, p.N0_c])
    return top * data / (data + half)


def data_flow(p: Params, supply: Float[Array, " 2"], ai_share: Scalar) -> Float[Array, " 2"]:
    r"""Usable human data a year (4.5): $\lambda_k Y_k (1 - cont\,S)$ [R]."""
    return jnp.stack([p.lambda_t, p.lambda_c]) * supply * (1 - p.cont * ai_share)


def implied(y: Float[Array, " k"], f: Frame) -> Market:
    """The market that log shares, log prices, the fund's payment and (where a requirement binds) the surcharge imply."""
    p, u, J = f.p, f.u, TYPES + 1
    share, price, fund = jnp.exp(y[:J]), jnp.exp(y[J : 2 * J]), y[2 * J]
    surcharge = jnp.zeros_like(fund) if p.requirement == "off" else y[2 * J + 1]
    tau = commissions(f, surcharge)
    units = p.Mkt * share
    total, marginal = cost(p, f.angle, units)
    _, innate = skills(p)
    moved = jnp.append(fund - 0.5 * p.psi * (f.angle - innate) ** 2, 0.0)
    profit = (1 - tau) * price * units - total + moved
    active = entrants(p, profit[:TYPES]) if f.active is None else f.active
    number = jnp.append(active, f.K)
    sold = number * units
    ai_share = sold[TYPES] / jnp.sum(sold)
    human = human_quality(p, f.angle)
    data = data_flow(p, human @ sold[:TYPES], ai_share) / p.delta
    if f.quality is not None:
        ai = f.quality
    else:
        ai = ai_quality(p, data) if p.ai_quality == "steady" else jnp.stack([p.qA_t, p.qA_c])
    x = exposure(p, u, share, number)
    clutter = jnp.sum(active) + p.flood * f.K
    level = p.rho * jnp.log(x) - p.omega * jnp.log1p(clutter)
    known = ai * (1 - u.labeling * jnp.stack([p.l_t, p.l_c]))
    revenue = number * price * units
    levy = u.ai_levy * revenue[TYPES]
    platform = tau @ revenue - levy - p.c_host * jnp.sum(sold)
    return Market(
        share, price, tau, units, marginal, profit, number, x, jnp.column_stack([human, ai]),
        jnp.column_stack([human, known]), level, data, ai_share, fund, levy, surcharge, platform,
    )  # fmt: skip


def buyers(t: Tastes, m: Market) -> Crowd:
    """Inclusive values of all buyers in a market."""
    return crowd(t, m.perceived, m.price, m.level, m.number)


def where_sold(f: Frame, share: Float[Array, " j"], markup: Float[Array, " j"]) -> tuple[Array, Array]:
    """Share and markup; without generators those of an AI item are placeholders, a thousandth and the median buyer's 1/alpha:
    an item of no weight could be better than all others together, and nothing depends on it."""
    sold = jnp.arange(TYPES + 1) < jnp.where(f.K > 0, TYPES + 1, TYPES)
    return jnp.where(sold, share, 1e-3), jnp.where(sold, markup, 1 / f.p.alpha)


def gaps(y: Float[Array, " k"], f: Frame, t: Tastes) -> Float[Array, " k"]:
    r"""Unit-free conditions: buyers choose the shares, $p_j = C_j'/(1-\tau_j) + s_j/(-ds_j/dp_j)$ (4.2), the fund is spent,
    the platform earns what it requires."""
    m = implied(y, f)
    share, slope = share_and_slope(t, buyers(t, m))
    share, markup = where_sold(f, share, share / slope)
    reply = m.marginal_cost / (1 - m.commission) + markup
    fund = (m.fund - m.levy / jnp.sum(m.number[:TYPES])) / f.p.w_0
    rest = [fund] if f.p.requirement == "off" else [fund, (m.platform - f.p.R_req) / f.p.Mkt]
    return jnp.concatenate([jnp.log(m.share / share), jnp.log(m.price / reply), jnp.stack(rest)])


def conditions(y: Float[Array, " k"], f: Frame) -> Float[Array, " k"]:
    """`gaps` on the taste grid of `nodes` nodes an axis."""
    return gaps(y, f, gauss_tastes(f.p, f.p.nodes))


def with_generators(f: Frame, K: Scalar) -> Frame:
    """The same market with another number of generators."""
    return dataclasses.replace(f, K=K)
