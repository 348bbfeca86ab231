"""Stage 1: the economy that the platform faces, its profit, and its first-order condition (5.5)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.models.information_pollution import consumers, producers
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.producers import Pair

Scalar = Float[Array, ""]


class Allocation(eqx.Module):
    """Everything that follows from moderation and the inner unknowns (traffic M/A, wage, verification)."""

    ln_a: Scalar
    w: Scalar
    v: Scalar
    h: Pair
    weights: Pair
    cost: Pair
    net: Pair
    q: Pair
    A: Scalar
    M: Scalar
    x: Pair
    d: Scalar
    T: Scalar
    L_O: Scalar
    AI: Scalar
    spending: Pair


def ad_revenue(p: Params, M: Scalar, x: Pair, d: Scalar) -> Scalar:
    r"""Advertising revenue [R]: $AD = m M [e_L x_L (1-d) + e_H x_H]$."""
    return p.m * M * (p.e_L * x.L * (1 - d) + p.e_H * x.H)


def moderation_cost(p: Params, ln_a: Scalar) -> Scalar:
    r"""Cost of ranking away from neutral [R]: $c_a (\ln a)^2/2$."""
    return p.c_a * ln_a**2 / 2


def platform_profit(p: Params, u: Policy, s: Allocation) -> Scalar:
    r"""Profit of the platform [R]: $\Pi = (1-share) AD - c_a (\ln a)^2/2 - subsidy \ln a$."""
    return (1 - p.share) * ad_revenue(p, s.M, s.x, s.d) - moderation_cost(p, s.ln_a) - u.moderation_subsidy * s.ln_a


def welfare(p: Params, u: Policy, s: Allocation) -> Scalar:
    r"""Welfare (5.6) [R].

    $W = M[u_H x_H^\nu + u_0 x_L^\nu - u_L x_L(1-d)] - \kappa v^2/2 + \psi AD + Y_O - p_A AI
    - c_a(\ln a)^2/2 - cert\,prov^2/2$
    """
    return (
        s.M * consumers.value_per_hour(p, s.x.L, s.x.H, s.d)
        - consumers.verification_cost(p, s.v)
        + p.psi * ad_revenue(p, s.M, s.x, s.d)
        + producers.outside_output(p, s.L_O)
        - p.p_A * s.AI
        - moderation_cost(p, s.ln_a)
        - p.cert * u.provenance**2 / 2
    )


def allocation(
    p: Params,
    u: Policy,
    ln_a: Scalar,
    inner: Float[Array, "3"],
    stays: Pair | None = None,
    h: Pair | None = None,
) -> Allocation:
    """The economy at moderation `ln_a` and inner unknowns `(ln M/A, ln w, v)`; steady-state trust.

    With traffic M/A as the unknown every other quantity is explicit, trust included. `stays` (1 or 0 for each
    kind) holds a kind at zero that just breaks even; `h`: flag rates where a loop has them already.
    """
    traffic, w, v = jnp.exp(inner[0]), jnp.exp(inner[1]), inner[2]
    theta = consumers.verification_productivity(p, u)
    d = consumers.detection(theta, v)
    h = producers.flag_rates(p, u) if h is None else h
    weights = producers.exposure_weights(ln_a, h)
    cost, share = producers.costs_and_shares(p, u, w)
    net = producers.net_prices(p, u, weights, h, traffic, 1 - d)
    active = net if stays is None else Pair(net.L * stays.L, net.H * stays.H)
    q = producers.supply(p, active, cost)
    shown = Pair(weights.L * q.L, weights.H * q.H)
    A = shown.L + shown.H
    some = A > 0
    safe = jnp.where(some, A, 1.0)
    x = Pair(shown.L / safe, shown.H / safe)
    spending = producers.supply_costs(p, active, q)
    L_O = p.Lbar - producers.content_labor(w, spending, share)
    AI = producers.ai_use(producers.ai_price(p, u), spending, share)
    T = consumers.steady_trust(p, x.L, d)
    return Allocation(ln_a, w, v, h, weights, cost, net, q, A, A * traffic, x, d, T, L_O, AI, spending)


def log_labor(ratio: Scalar) -> Scalar:
    """Logarithm, continued smoothly and slowly below 1e-3 so that Newton steps may pass through negative labor."""
    floor = 1e-3
    above = jnp.log(jnp.maximum(ratio, floor))
    return jnp.where(ratio > floor, above, above - jnp.log1p(1 - jnp.minimum(ratio, floor) / floor))


def inner_gaps(p: Params, u: Policy, inner: Float[Array, "3"], s: Allocation) -> Float[Array, "3"]:
    r"""Unit-free conditions of stages 2 and 3 without the trust term.

    Attention $\ln(M/A) + \ln(A + A_0) - \ln M_0$ (less $\chi \ln T$), wage $\ln w - \ln z_O + \mu \ln(L_O/\bar L)$,
    verification $\ln(1 + \theta v e^{\theta v}) - \ln(1 + k)$ with k the stake of (5.2).
    """
    effort = consumers.verification_productivity(p, u) * s.v / (1 - s.d)  # theta v e^(theta v)
    stake = consumers.verification_stake(p, u, s.M, s.x.L)
    return jnp.stack(
        [
            inner[0] + jnp.log(s.A + p.A_0) - jnp.log(p.M_0),
            inner[1] - jnp.log(p.z_O) + p.mu * log_labor(s.L_O / p.Lbar),
            jnp.log1p(effort) - jnp.log1p(stake),
        ]
    )


def _described(y: Float[Array, "4"], args: tuple) -> tuple[Float[Array, "6"], tuple[Array, Array]]:
    """At `y = (ln a, inner)`: the stack to differentiate (inner gaps at given trust, log trust, profit, welfare);
    then the inner gaps and which kinds of content are supplied."""
    p, u, *flags = args
    s = allocation(p, u, y[0], y[1:], None, *flags)
    gaps = inner_gaps(p, u, y[1:], s)
    ln_T = jnp.log(s.T)
    stack = jnp.concatenate([gaps, jnp.stack([ln_T, platform_profit(p, u, s), welfare(p, u, s)])])
    return stack, (gaps.at[0].add(-p.chi * ln_T), jnp.stack([s.q.L > 0, s.q.H > 0]))


class Slopes(eqx.Module):
    """The inner problem at a point, and total derivatives with respect to ln a through (A, w, v).

    `gaps`: inner conditions; `newton`: their Newton step; `inner`: how the inner unknowns move with ln a;
    `profit_given_trust`, `profit`, `welfare`: derivatives; `profit_level`, `welfare_level`: values; `supplied`: low,
    high quality.
    """

    gaps: Float[Array, "3"]
    newton: Float[Array, "3"]
    inner: Float[Array, "3"]
    profit_given_trust: Scalar
    profit: Scalar
    welfare: Scalar
    profit_level: Scalar
    welfare_level: Scalar
    supplied: Bool[Array, "2"]


def slopes(y: Float[Array, "4"], args: tuple) -> Slopes:
    r"""Total derivatives with respect to ln a by the implicit function theorem, the wage included.

    At given trust, $dy = -G_y^{-1} G_a$ with T in G held fixed (`profit_given_trust`), and with trust
    adjusting along $T^*$ (`profit`, `welfare`, and `inner`). `args` is `(p, u)` or `(p, u, flag rates)`.
    """
    p = args[0]
    basis = jnp.eye(4, dtype=y.dtype)
    levels, columns, gaps, supplied = jax.vmap(lambda v: _along(y, args, v), out_axes=(None, 1, None, None))(basis)
    # The compiler would otherwise recompute the allocation inside every entry of the solves below.
    levels, gaps, columns = lax.optimization_barrier((levels, gaps, columns))
    moved = columns[:3] - p.chi * jnp.zeros_like(columns[:3]).at[0].set(columns[3])
    given = -solve3(columns[:3, 1:], columns[:3, 0])
    adjusting = -solve3(moved[:, 1:], moved[:, 0])
    return Slopes(
        gaps,
        solve3(moved[:, 1:], gaps),
        adjusting,
        columns[4, 0] + columns[4, 1:] @ given,
        columns[4, 0] + columns[4, 1:] @ adjusting,
        columns[5, 0] + columns[5, 1:] @ adjusting,
        levels[4],
        levels[5],
        supplied,
    )


def solve3(a: Float[Array, "3 3"], b: Float[Array, "3"]) -> Float[Array, "3"]:
    """Solve `a x = b` by cross products (Cramer): no pivot search, so that batches stay in vector registers."""
    c0, c1, c2 = a[:, 0], a[:, 1], a[:, 2]
    normal = jnp.cross(c1, c2)
    return jnp.stack([b @ normal, b @ jnp.cross(c2, c0), b @ jnp.cross(c0, c1)]) / (c0 @ normal)


def _along(y: Array, args: tuple, v: Array) -> tuple[Array, ...]:
    levels, tangent, (gaps, supplied) = jax.jvp(lambda z: _described(z, args), (y,), (v,), has_aux=True)
    return levels, tangent, gaps, supplied


def money_scale(p: Params) -> Scalar:
    """A size of money, to make (5.5) unit-free: engagement and use value of full attention."""
    return p.M_0 * (p.m * p.e_L + p.u_H)


def first_order_condition(p: Params, u: Policy, k: Slopes) -> Scalar:
    r"""The platform's condition (5.5) [R], unit-free.

    $(1-f)[(1-\iota)\, d\Pi/d\ln a|_T + \iota\, d\Pi/d\ln a|_{T^*(a)}] + f\, dW/d\ln a|_{T^*(a)} = 0$
    """
    f, iota = u.fiduciary_duty, p.iota
    private = (1 - iota) * k.profit_given_trust + iota * k.profit
    return ((1 - f) * private + f * k.welfare) / money_scale(p)
