"""Stage 2 and technology: content producers, their costs, supply and use of labor and AI services."""

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from jaxecon.economics.production import ces_cost_and_share
from jaxecon.models.information_pollution.params import Params, Policy

Scalar = Float[Array, ""]


class Pair(eqx.Module):
    """A quantity of both kinds of content: `L` low quality, `H` high quality."""

    L: Scalar
    H: Scalar


def sensitivity(p: Params, u: Policy) -> Scalar:
    r"""Sensitivity of identification [R]: $d' = d'_0 + d'_1\,prov$."""
    return p.dp0 + p.dp1 * u.provenance


def flag_rates(p: Params, u: Policy) -> Pair:
    r"""Hit rate $h_L = \Phi(d'/2)$ and false-alarm rate $h_H = \Phi(-d'/2)$ of an unbiased classifier [S]."""
    half = sensitivity(p, u) / 2
    return Pair(norm.cdf(half), norm.cdf(-half))


def exposure_weights(ln_a: Scalar, h: Pair) -> Pair:
    r"""Ranking acts on flags [R]: $a_j = h_j a + 1 - h_j$."""
    lift = jnp.expm1(ln_a)
    return Pair(1 + h.L * lift, 1 + h.H * lift)


def ai_price(p: Params, u: Policy) -> Scalar:
    r"""Price of AI services that producers pay [R]: $p_A (1 + t_A)$."""
    return p.p_A * (1 + u.ai_compute_tax)


def unit_costs(p: Params, u: Policy, w: Scalar) -> Pair:
    r"""CES unit costs (5.1) [S] at the wage `w` and the price of AI services that producers pay."""
    return costs_and_shares(p, u, w)[0]


def costs_and_shares(p: Params, u: Policy, w: Scalar) -> tuple[Pair, Pair]:
    r"""CES unit costs (5.1) and the cost shares of AI services, $\partial \ln c_j/\partial \ln p$ (Shephard) [S]."""
    price = ai_price(p, u)
    low, low_share = ces_cost_and_share(price, w, p.a_L, p.sigma_L, p.z_L)
    high, high_share = ces_cost_and_share(price, w, p.a_H, p.sigma_H, p.z_H)
    return Pair(low, high), Pair(low_share, high_share)


def _power(x: Scalar, exponent: Scalar) -> Scalar:
    """`max(0, x)^exponent` with derivative zero, not NaN, at the corner."""
    positive = x > 0
    return jnp.where(positive, jnp.exp(exponent * jnp.log(jnp.where(positive, x, 1.0))), 0.0)


def net_prices(p: Params, u: Policy, weights: Pair, h: Pair, traffic: Scalar, undetected: Scalar) -> Pair:
    r"""What a producer gets for one item, net of the tax on flags [R].

    $share\,m\,e_j a_j (M/A)(1-d_j) - \tau h_j$, $d_H = 0$; `traffic` is $M/A$, `undetected` is $1 - d$.
    """
    tau, pay = u.low_quality_tax, p.share * p.m * traffic
    return Pair(pay * p.e_L * weights.L * undetected - tau * h.L, pay * p.e_H * weights.H - tau * h.H)


def supply(p: Params, net: Pair, cost: Pair) -> Pair:
    r"""Supply of items (5.4) [R]: $q_j = n_j \max(0, net_j/c_j)^{\epsilon}$, $n_H = 1$, $n_L$ the mass of producers."""
    return Pair(p.n_L * _power(net.L / cost.L, p.eps), _power(net.H / cost.H, p.eps))


def production_costs(p: Params, q: Pair, cost: Pair) -> Pair:
    r"""Cost of the supplied items (5.1) [R]: $C_j = n_j c_j (q_j/n_j)^{1+1/\epsilon}/(1+1/\epsilon)$."""
    power = 1 + 1 / p.eps
    return Pair(p.n_L * cost.L * _power(q.L / p.n_L, power) / power, cost.H * _power(q.H, power) / power)


def supply_costs(p: Params, net: Pair, q: Pair) -> Pair:
    r"""`production_costs` of the supply at its best: $C_j = q_j\,net_j\,\epsilon/(1+\epsilon)$ by (5.4), without a power."""
    part = p.eps / (1 + p.eps)
    return Pair(part * q.L * net.L, part * q.H * net.H)


def content_labor(w: Scalar, total: Pair, share: Pair) -> Scalar:
    r"""Labor in content (Shephard) [S]: $\sum_j C_j\, d \ln c_j/dw$."""
    return (total.L * (1 - share.L) + total.H * (1 - share.H)) / w


def ai_use(price: Scalar, total: Pair, share: Pair) -> Scalar:
    r"""AI services in content (Shephard) [S]: $\sum_j C_j\, d \ln c_j/dp$."""
    return (total.L * share.L + total.H * share.H) / price


def outside_output(p: Params, L_O: Scalar) -> Scalar:
    r"""Output of the outside sector, the numeraire [R]: $Y_O = z_O \bar L^\mu L_O^{1-\mu}/(1-\mu)$; at mu = 0, $z_O L_O$."""
    # Only mu = 0 admits L_O <= 0 (labor is then bought at a fixed wage), where output is linear.
    safe = jnp.where(L_O > 0, L_O, 1.0)
    concave = p.z_O * p.Lbar * jnp.exp((1 - p.mu) * jnp.log(safe / p.Lbar)) / (1 - p.mu)
    return jnp.where(L_O > 0, concave, p.z_O * L_O)
