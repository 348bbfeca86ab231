r"""The data flywheel: usage makes data, data makes capability, capability makes usage (1.8), (1.9).

Data are in units of $D_0$: $d_i' = \delta_D (\Omega s_i/\bar s - d_i)$. Along the default path D~ and C stay fixed while $\Omega$ varies,
$D_0 = \tilde D/(1 + \Omega(1-\phi+N\phi))$; the industry itself lies on it. At rest effective data there follow usage linearly:

$\tilde D_i/\tilde D = 1 + q (N s_i - 1)$, response $q = (1-\phi)\Omega/(1 + \Omega(1-\phi+N\phi))$,

so that steady states with k leaders of the share x (among those who buy) are one condition in x and q.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.models.intelligence_capital import market, technology
from jaxecon.models.intelligence_capital.equilibrium import Industry
from jaxecon.models.intelligence_capital.params import Params, Policy
from jaxecon.models.intelligence_capital.wrapper import NONE
from jaxecon.numerics.roots import bisect, find_root

Scalar = Float[Array, ""]
# Log odds of the leader's share above the symmetric one, at which the one-leader branch is followed: up to a share of 1 - 10^-6.
_ODDS = (0.2, 0.4, 0.65, 0.95, 1.3, 1.7, 2.15, 2.65, 3.2, 3.8, 4.5, 5.3, 6.2, 7.3, 8.6, 10.2, 12.0, 14.0)


class Level(NamedTuple):
    """Where along a path of the flywheel's strength: public data `D_0` and strength `Omega`."""

    D_0: Scalar
    Omega: Scalar


def on_default_path(p: Params, u: Policy, at: Industry, Omega: Scalar) -> Level:
    r"""$D_0$ such that the symmetric effective data stay at the industry's D~ for any strength."""
    return Level(at.Dt / technology.symmetric_data(p, u.data_sharing, Omega), Omega)


def shares_with(p: Params, u: Policy, at: Industry, level: Level, d: Float[Array, " N"]) -> Float[Array, " N"]:
    """Shares of users of providers with the data `d`."""
    Dt = level.D_0 * technology.effective_data(d, jnp.sum(d), u.data_sharing)
    return market.market_shares(p, u, technology.log_capability(p, at.ln_C, Dt), at.price)


def drift(p: Params, u: Policy, at: Industry, level: Level, d: Float[Array, " N"]) -> Float[Array, " N"]:
    r"""$d_i' = \delta_D (\Omega s_i/\bar s - d_i)$, (1.8) in units of $D_0$ [R form; decay E]."""
    return p.delta_D * (level.Omega * shares_with(p, u, at, level, d) / at.s - d)


def runge_kutta(f, y: Array, h: Array | float) -> Array:
    """One classical Runge-Kutta step of y' = f(y)."""
    k1 = f(y)
    k2 = f(y + h / 2 * k1)
    k3 = f(y + h / 2 * k2)
    k4 = f(y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def state_of(p: Params, level: Level, x: Scalar, leaders: int = 1) -> Float[Array, " N"]:
    """Steady data over D_0 of all providers where the first `leaders` have the share x each."""
    y = (1 - leaders * x) / (p.N - leaders)
    return p.N * level.Omega * jnp.where(jnp.arange(p.N) < leaders, x, y)


# Symmetric state -------------------------------------------------------------------------------------------


def response(p: Params, u: Policy, Omega: Scalar) -> Scalar:
    r"""q of a strength: how effective data at rest follow a provider's own usage."""
    phi = u.data_sharing
    return (1 - phi) * Omega / technology.symmetric_data(p, phi, Omega)


def strength(p: Params, u: Policy, q: Scalar) -> Scalar:
    r"""$\Omega = q/[(1-\phi) - q (1-\phi+N\phi)]$, the inverse of `response`; `NONE` where no strength gives so strong a response."""
    phi = u.data_sharing
    room = (1 - phi) - q * (1 - phi + p.N * phi)
    return q / jnp.maximum(room, q / NONE)


def effective_theta(p: Params, u: Policy, at: Industry) -> Scalar:
    r"""$\theta/(1 + \rho(s))$ where prices follow: $\theta/(1 + s/(1-s)^2)$ with (1.4); $\theta$ at fixed prices."""
    if p.price_response == "fixed":
        return p.theta
    return p.theta / (1 + market.share_response(p, u, at.s))


def eigenvalue(p: Params, u: Policy, at: Industry, Omega: Scalar, eps_D: Scalar) -> Scalar:
    r"""Antisymmetric eigenvalue, multiplicity N - 1: $\delta_D [\theta \epsilon_D \frac{(1-\phi) \Omega}{1 + \Omega (1-\phi+N\phi)} - 1]$."""
    return p.delta_D * (effective_theta(p, u, at) * eps_D * response(p, u, Omega) - 1)


def threshold(p: Params, u: Policy, at: Industry) -> Scalar:
    r"""$\Omega^* = 1/[\theta \epsilon_D (1-\phi) - (1-\phi+N\phi)]$; $1/(\theta\epsilon_D - 1)$ without sharing (1.9) [D].

    `NONE` where the symmetric state is stable at every strength.
    """
    return strength(p, u, 1 / (effective_theta(p, u, at) * at.eps_D(p)))


def stabilizing_sharing(p: Params, u: Policy, at: Industry, Omega: Scalar) -> Scalar:
    r"""The least $\phi$ at which strength $\Omega$ is stable, $\epsilon_D$ held: $(\theta\epsilon_D - 1 - 1/\Omega)/(\theta\epsilon_D + N - 1)$."""
    pull = effective_theta(p, u, at) * at.eps_D(p)
    return jnp.clip((pull - 1 - 1 / Omega) / (pull + p.N - 1), 0.0, 1.0)


# One-leader branch -----------------------------------------------------------------------------------------


class Where(NamedTuple):
    """What a root of the flywheel depends on."""

    p: Params
    u: Policy
    at: Industry


def share_at(p: Params, odds: Float[Array, "..."], leaders: int = 1) -> Float[Array, "..."]:
    r"""Leaders' share at log odds above symmetry: $kx/(1-kx) = \frac{k}{N-k} e^{odds}$."""
    even = jnp.log(leaders / (p.N - leaders))
    return jax.nn.sigmoid(even + odds) / leaders


def branch_gap(w: Where, odds: Scalar, q: Scalar, leaders: int = 1) -> Scalar:
    r"""$\ln(x/y) - \theta (\ln A_x - \ln A_y) + c(p(x)) - c(p(y))$: zero at a steady state with shares x (leaders) and y."""
    p, u, at = w
    x = share_at(p, odds, leaders)
    y = (1 - leaders * x) / (p.N - leaders)
    high, low = (technology.log_capability(p, at.ln_C, at.Dt * (1 + q * (p.N * s - 1))) for s in (x, y))
    gap = jnp.log(x) - jnp.log(y) - p.theta * (high - low)
    if p.price_response == "bertrand":
        cost = market.marginal_cost(p, u)
        dear, cheap = (market.price_disutility(p, cost + market.margin(p, u, s)) for s in (x, y))
        gap = gap + dear - cheap
    return gap


def _slope_gap(w: Where, odds: Scalar, q: Scalar) -> Scalar:
    """The gap over the odds: else the symmetric state would be a root for every q."""
    return branch_gap(w, odds, q) / odds


def _leader_gap(x: Float[Array, "1"], args: tuple[Where, Scalar]) -> Float[Array, "1"]:
    return _slope_gap(args[0], x[0], args[1])[None]


def _fold_gaps(v: Float[Array, "2"], w: Where) -> Float[Array, "2"]:
    return jnp.stack(jax.jvp(lambda odds: _slope_gap(w, odds, v[1]), (v[0],), (jnp.ones_like(v[0]),)))


def _follow(w: Where, first: Scalar, odds: Float[Array, " k"]) -> Float[Array, " k"]:
    """The response at each of the odds along the branch, from `first` at symmetry, by Newton steps from the one before; no derivative."""

    def node(q: Scalar, t: Scalar) -> tuple[Scalar, Scalar]:
        # Followers' data must stay positive.
        y = (1 - share_at(w.p, t)) / (w.p.N - 1)
        most = (1 - 1e-5) / (1 - w.p.N * y)
        q = jnp.minimum(q, most)
        for _ in range(3):
            gap, slope = jax.jvp(lambda v: _slope_gap(w, t, v), (q,), (jnp.ones_like(q),))
            q = jnp.clip(q - gap / slope, 0.5 * q, jnp.minimum(2 * q, most))
        return q, q

    return lax.scan(node, first, odds)[1]


class Leadership(NamedTuple):
    """One-leader states: least strength that supports one and the leader's share there; the leader's share at the given strength
    at the steady state farthest from symmetry, 1/N where there is none."""

    fold: Scalar
    fold_share: Scalar
    leader_share: Scalar


def leadership(p: Params, u: Policy, at: Industry, Omega: Scalar) -> Leadership:
    r"""One-leader states along the default path. The fold is $\Omega^*$ itself, with the share 1/N, where no leader lasts below it
    (duopoly with a supercritical pitchfork), and `NONE` where none lasts at any strength."""
    w = Where(p, u, at)
    still = lax.stop_gradient(w)
    q_star = 1 / (effective_theta(p, u, at) * at.eps_D(p))
    odds = jnp.asarray(_ODDS, p.theta.dtype)
    along = _follow(still, lax.stop_gradient(q_star), odds)

    # Fold: the least response along the branch, polished where it is below that of the threshold.
    k = jnp.argmin(along)
    least = find_root(_fold_gaps, jnp.stack([odds[k], along[k]]), w, max_step=0.2)
    below = least.converged & (least.x[0] > 1e-3) & (least.x[1] < q_star)
    even = jnp.ones_like(q_star) / p.N
    fold = strength(p, u, jnp.where(below, least.x[1], q_star))
    fold_share = jnp.where(below, share_at(p, least.x[0]), even)

    # Leader: the last crossing of the response at this strength, upward, beyond the fold.
    q = response(p, u, Omega)
    last = jnp.max(jnp.where(along < q, jnp.arange(len(_ODDS)), -1))
    start = jnp.where(last >= 0, odds[last], jnp.where(below, least.x[0], 1e-3))
    end = odds[jnp.clip(last + 1, 0, len(_ODDS) - 1)]
    exists = (q > jnp.where(below, least.x[1], q_star)) & (last < len(_ODDS) - 1)
    # Where the fold lies beyond the node, the crossing does too.
    start, end = jnp.where(start < end, start, end - 1e-3), end
    guess = bisect(lambda t, a: _slope_gap(a[0], t, a[1]), start, end, (w, q), steps=10)
    root = find_root(_leader_gap, guess[None], (w, q), max_step=0.2)
    share = jnp.where(exists & root.converged, share_at(p, root.x[0]), even)
    return Leadership(fold, fold_share, jnp.where(last == len(_ODDS) - 1, share_at(p, odds[-1]), share))


def response_of(w: Where, x: Scalar, leaders: int = 1, steps: int = 60) -> Scalar:
    """The response q at which x is a steady share of each of so many leaders, by bisection; NaN if none. Each branch is a graph over x."""
    p = w.p
    y = (1 - leaders * x) / (p.N - leaders)
    most = 1 / jnp.maximum(1 - p.N * jnp.minimum(x, y), 1e-6)
    odds = jnp.log(x / y)

    def gap(q: Scalar, _: None) -> Scalar:
        return branch_gap(w, odds, q, leaders)

    low, high = 1e-6 * most, (1 - 1e-9) * most
    none: Bool[Array, ""] = (gap(low, None) > 0) == (gap(high, None) > 0)
    return jnp.where(none, jnp.nan, bisect(gap, low, high, None, steps=steps))
