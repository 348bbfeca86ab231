"""Stage 1: the economy that the platform faces, its profit, and its first-order condition (5.5)."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.models.information_pollution import consumers, producers
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.producers import Pair

Scalar = Float[Array, ""]
Triple = tuple[Scalar, Scalar, Scalar]


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
    inner: Triple | Float[Array, "3"],
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


def inner_gaps(p: Params, u: Policy, inner: Triple, s: Allocation) -> Triple:
    r"""Unit-free conditions of stages 2 and 3 without the trust term.

    Attention $\ln(M/A) + \ln(A + A_0) - \ln M_0$ (less $\chi \ln T$), wage $\ln w - \ln z_O + \mu \ln(L_O/\bar L)$,
    verification $\ln(1 + \theta v e^{\theta v}) - \ln(1 + k)$ with k the stake of (5.2).
    """
    effort = consumers.verification_productivity(p, u) * s.v / (1 - s.d)  # theta v e^(theta v)
    stake = consumers.verification_stake(p, u, s.M, s.x.L)
    return (
        inner[0] + jnp.log(s.A + p.A_0) - jnp.log(p.M_0),
        inner[1] - jnp.log(p.z_O) + p.mu * log_labor(s.L_O / p.Lbar),
        jnp.log1p(effort) - jnp.log1p(stake),
    )


class Slopes(eqx.Module):
    """Inner gaps at a point and total derivatives with respect to ln a through (A, w, v); `inner`: of the unknowns."""

    gaps: Triple
    profit_given_trust: Scalar
    profit: Scalar
    welfare: Scalar
    inner: Triple


class Look(eqx.Module):
    """What one evaluation with its Jacobian tells about a point: slopes, the Newton step of the inner stages, profit,
    welfare, and which kinds of content are supplied (low, high)."""

    slopes: Slopes
    step: Triple
    profit: Scalar
    welfare: Scalar
    supplied: tuple[Bool[Array, ""], Bool[Array, ""]]


def look(ln_a: Scalar, inner: Triple, args: tuple, *, brief: bool = False) -> Look:
    r"""Total derivatives with respect to ln a by the implicit function theorem, the wage included.

    At given trust, $dy = -G_y^{-1} G_a$ with T in G held fixed (`profit_given_trust`), and with trust
    adjusting along $T^*$ (`profit`, `welfare`, and `inner`). `args` is `(p, u)` or `(p, u, flag rates)`.
    Written in scalars, one pass an unknown: in a batch each number is a vector over cells, and what does not move with
    an unknown costs nothing. `brief`: all passes as one batch, a program of a quarter of the length.
    """
    p, u, *flags = args

    def describe(a: Scalar, x: Scalar, y: Scalar, z: Scalar) -> tuple:
        s = allocation(p, u, a, (x, y, z), None, *flags)
        gaps = inner_gaps(p, u, (x, y, z), s)
        return (*gaps, jnp.log(s.T), platform_profit(p, u, s), welfare(p, u, s)), (s.q.L > 0, s.q.H > 0)

    at = (ln_a, *inner)
    if brief:
        basis = tuple(jnp.eye(4, dtype=ln_a.dtype))
        levels, tangents, supplied = jax.vmap(
            lambda *v: jax.jvp(describe, at, v, has_aux=True), out_axes=(None, 0, None)
        )(*basis)
        columns = [[t[k] for t in tangents] for k in range(4)]
    else:
        passes = [
            jax.jvp(
                lambda t, k=k: describe(*(*at[:k], t, *at[k + 1 :])), (at[k],), (jnp.ones_like(ln_a),), has_aux=True
            )
            for k in range(4)
        ]
        levels, _, supplied = passes[0]
        columns = [tangent for _, tangent, _ in passes]
    # The compiler would otherwise recompute the allocation inside every entry of the solves below.
    levels, columns = lax.optimization_barrier((levels, columns))
    ln_T, profit, total = levels[3:]
    gaps = (levels[0] - p.chi * ln_T, levels[1], levels[2])
    moved = [(c[0] - p.chi * c[3], c[1], c[2]) for c in columns]
    given = solve3([c[:3] for c in columns[1:]], columns[0][:3])
    adjusting = solve3(moved[1:], moved[0])

    def slope(row: int, response: Triple) -> Scalar:
        return columns[0][row] - sum(c[row] * r for c, r in zip(columns[1:], response))

    return Look(
        Slopes(gaps, slope(4, given), slope(4, adjusting), slope(5, adjusting), _map3(jnp.negative, adjusting)),
        solve3(moved[1:], gaps),
        profit,
        total,
        supplied,
    )


def _map3(f: Callable[..., Array], *triples: Triple) -> Triple:
    x, y, z = (f(*parts) for parts in zip(*triples))
    return x, y, z


def _cross(a: Triple, b: Triple) -> Triple:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _dot(a: Triple, b: Triple) -> Scalar:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def solve3(columns: Sequence[Triple], b: Triple) -> Triple:
    """Solve three equations by cross products (Cramer): no pivot search, so that batches stay in vector registers."""
    c0, c1, c2 = columns
    normal = _cross(c1, c2)
    det = _dot(c0, normal)
    return _dot(b, normal) / det, _dot(b, _cross(c2, c0)) / det, _dot(b, _cross(c0, c1)) / det


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
