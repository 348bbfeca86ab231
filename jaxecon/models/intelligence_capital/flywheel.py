r"""The data flywheel: usage makes data, data makes capability, capability makes usage (1.8), (1.9).

Data are in units of $D_0$: $d_i' = \delta_D (\Omega s_i/\bar s - d_i)$. A steady state with k leaders of the conditional share x each
solves one condition in x; along the default path D~ and C stay fixed while $\Omega$ varies, $D_0 = \tilde D/(1+\Omega)$.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.models.intelligence_capital import market, technology
from jaxecon.models.intelligence_capital.equilibrium import Industry
from jaxecon.models.intelligence_capital.params import Params, Policy
from jaxecon.models.intelligence_capital.wrapper import NONE
from jaxecon.numerics.roots import attach_derivative, bisect, find_root

Scalar = Float[Array, ""]
# Log odds of the leader's share above the symmetric one: dense near symmetry, up to a share of 1 - 10^-7.
_ODDS = [16.0 * (j / 48) ** 3 for j in range(1, 49)]


class Level(NamedTuple):
    """Where along a path of the flywheel's strength: public data `D_0` and strength `Omega`."""

    D_0: Scalar
    Omega: Scalar


def here(p: Params, at: Industry) -> Level:
    """The industry's own public data and strength."""
    return Level(technology.public_data(p), at.own_data)


def on_default_path(p: Params, u: Policy, at: Industry, Omega: Scalar) -> Level:
    r"""$D_0$ such that the symmetric effective data stay at the industry's D~ for any strength."""
    return Level(at.Dt / technology.symmetric_data(p, u.data_sharing, Omega), Omega)


def drift(p: Params, u: Policy, at: Industry, level: Level, d: Float[Array, " N"]) -> Float[Array, " N"]:
    r"""$d_i' = \delta_D (\Omega s_i/\bar s - d_i)$, (1.8) in units of $D_0$ [R form; decay E]."""
    Dt = level.D_0 * technology.effective_data(d, jnp.sum(d), u.data_sharing)
    s = market.market_shares(p, u, technology.log_capability(p, at.ln_C, Dt), at.price)
    return p.delta_D * (level.Omega * s / at.s - d)


def effective_theta(p: Params, u: Policy, at: Industry) -> Scalar:
    r"""$\theta/(1 + \rho(s))$ where prices follow: $\theta/(1 + s/(1-s)^2)$ with (1.4); $\theta$ at fixed prices."""
    if p.price_response == "fixed":
        return p.theta
    return p.theta / (1 + market.share_response(p, u, at.s))


def eigenvalue(p: Params, u: Policy, at: Industry, Omega: Scalar, eps_D: Scalar) -> Scalar:
    r"""Antisymmetric eigenvalue, multiplicity N - 1: $\delta_D [\theta \epsilon_D \frac{(1-\phi) \Omega}{1 + \Omega (1-\phi+N\phi)} - 1]$."""
    phi = u.data_sharing
    gain = effective_theta(p, u, at) * eps_D * (1 - phi) * Omega / technology.symmetric_data(p, phi, Omega)
    return p.delta_D * (gain - 1)


def threshold(p: Params, u: Policy, at: Industry) -> Scalar:
    r"""$\Omega^* = 1/[\theta \epsilon_D (1-\phi) - (1-\phi+N\phi)]$; $1/(\theta\epsilon_D - 1)$ without sharing (1.9) [D].

    `NONE` where the symmetric state is stable at every strength.
    """
    phi = u.data_sharing
    pull = effective_theta(p, u, at) * at.eps_D(p) * (1 - phi) - (1 - phi + p.N * phi)
    return 1 / jnp.maximum(pull, 1 / NONE)


def stabilizing_sharing(p: Params, u: Policy, at: Industry, Omega: Scalar) -> Scalar:
    r"""The least $\phi$ at which strength $\Omega$ is stable, $\epsilon_D$ held: $(\theta\epsilon_D - 1 - 1/\Omega)/(\theta\epsilon_D + N - 1)$."""
    pull = effective_theta(p, u, at) * at.eps_D(p)
    return jnp.clip((pull - 1 - 1 / Omega) / (pull + p.N - 1), 0.0, 1.0)


def branch_gap(p: Params, u: Policy, at: Industry, level: Level, x: Scalar, leaders: int = 1) -> Scalar:
    r"""$\ln(x/y) - \theta (\ln A_x - \ln A_y) + c(p(x)) - c(p(y))$: zero at a steady state with shares x (leaders) and y."""
    y = (1 - leaders * x) / (p.N - leaders)
    total = p.N * level.Omega
    Dt = [level.D_0 * technology.effective_data(total * s, total, u.data_sharing) for s in (x, y)]
    high, low = (technology.log_capability(p, at.ln_C, v) for v in Dt)
    gap = jnp.log(x) - jnp.log(y) - p.theta * (high - low)
    if p.price_response == "bertrand":
        cost = market.marginal_cost(p, u)
        dear, cheap = (market.price_disutility(p, cost + market.margin(p, u, s)) for s in (x, y))
        gap = gap + dear - cheap
    return gap


def share_at(p: Params, odds: Float[Array, "..."], leaders: int = 1) -> Float[Array, "..."]:
    r"""Leaders' share at log odds above symmetry: $kx/(1-kx) = \frac{k}{N-k} e^{odds}$."""
    even = jnp.log(leaders / (p.N - leaders))
    return jax.nn.sigmoid(even + odds) / leaders


class Where(NamedTuple):
    """What a root of the flywheel depends on."""

    p: Params
    u: Policy
    at: Industry
    level: Level


def _leader_gap(odds: Scalar, w: Where) -> Scalar:
    return branch_gap(w.p, w.u, w.at, w.level, share_at(w.p, odds))


def _leader_gap_vector(x: Float[Array, "1"], w: Where) -> Float[Array, "1"]:
    return _leader_gap(x[0], w)[None]


def leader_share(p: Params, u: Policy, at: Industry, level: Level | None = None) -> Scalar:
    """Share of the leader at the steady state farthest from symmetry (stable); 1/N where there is no other than the symmetric."""
    w = Where(p, u, at, here(p, at) if level is None else level)
    odds = jnp.asarray(_ODDS, p.theta.dtype)
    below = jax.vmap(lambda t: _leader_gap(t, lax.stop_gradient(w)))(odds) < 0
    last = jnp.max(jnp.where(below, jnp.arange(len(_ODDS)), -1))
    exists = (last >= 0) & (last < len(_ODDS) - 1)
    low = odds[jnp.clip(last, 0, len(_ODDS) - 2)]
    high = odds[jnp.clip(last, 0, len(_ODDS) - 2) + 1]
    root = bisect(_leader_gap, low, high, w, steps=44)
    root = attach_derivative(_leader_gap_vector, root[None], w, exists)[0]
    top = share_at(p, odds[-1])
    share = jnp.where(exists, share_at(p, root), 1 / p.N)
    return jnp.where(last == len(_ODDS) - 1, top, share)


def _strength_gap(ln_Omega: Scalar, args: tuple[Where, Scalar]) -> Scalar:
    w, x = args
    return branch_gap(w.p, w.u, w.at, on_default_path(w.p, w.u, w.at, jnp.exp(ln_Omega)), x)


def strength_of(p: Params, u: Policy, at: Industry, x: Float[Array, ""], leaders: int = 1, steps: int = 60) -> Scalar:
    r"""The strength $\Omega$ at which x is a steady share of each leader: every branch is a graph over x. NaN if none."""

    def gap(ln_Omega: Scalar, args: tuple) -> Scalar:
        p, u, at, x = args
        return branch_gap(p, u, at, on_default_path(p, u, at, jnp.exp(ln_Omega)), x, leaders)

    low, high = -7.0 * jnp.ones_like(x), 9.0 * jnp.ones_like(x)
    args = (p, u, at, x)
    found = bisect(gap, low, high, args, steps=steps)
    return jnp.where((gap(low, args) > 0) == (gap(high, args) > 0), jnp.nan, jnp.exp(found))


def _fold_gaps(v: Float[Array, "2"], w: Where) -> Float[Array, "2"]:
    level = on_default_path(w.p, w.u, w.at, jnp.exp(v[1]))

    def gap(odds: Scalar) -> Scalar:
        """Divided by the odds: else the symmetric state would solve both conditions at the threshold."""
        return _leader_gap(odds, w._replace(level=level)) / odds

    return jnp.stack(jax.jvp(gap, (v[0],), (jnp.ones_like(v[0]),)))


def fold(p: Params, u: Policy, at: Industry) -> tuple[Scalar, Scalar]:
    r"""Fold of the one-leader branch: the least strength with a one-leader steady state, and the leader's share there.

    The threshold and 1/N where no leader lasts below $\Omega^*$ (duopoly with a supercritical pitchfork); `NONE` where none lasts at all.
    """
    star = threshold(p, u, at)
    even = jnp.ones_like(star) / p.N
    w = Where(p, u, at, here(p, at))
    still = lax.stop_gradient((p, u, at))

    def least(odds: Float[Array, " k"], steps: int) -> tuple[Scalar, Scalar, Scalar]:
        """Place and log of the least strength on a grid, and whether there is one."""
        found = jax.vmap(lambda t: strength_of(*still, share_at(p, t), steps=steps))(odds)
        found = jnp.where(jnp.isnan(found), jnp.inf, found)
        k = jnp.argmin(found)
        return odds[k], jnp.log(jnp.where(jnp.isfinite(found[k]), found[k], 1.0)), jnp.isfinite(found[k])

    step = 0.35
    coarse, _, exists = least(jnp.arange(step / 2, 9.0, step, dtype=star.dtype), 18)
    fine = jnp.linspace(-step, step, 12, dtype=star.dtype)
    start = jnp.stack(least(jnp.maximum(coarse + fine, 0.02), 24)[:2])
    root = find_root(_fold_gaps, start, w, max_step=0.2)
    found = exists & root.converged & (root.x[0] > 0)
    Omega = jnp.where(found, jnp.exp(root.x[1]), NONE)
    inside = found & (Omega < star)
    return jnp.where(inside, Omega, star), jnp.where(inside, share_at(p, root.x[0]), even)


def state_of(p: Params, level: Level, x: Scalar, leaders: int = 1) -> Float[Array, " N"]:
    """Steady data over D_0 of all providers where the first `leaders` have the share x each."""
    y = (1 - leaders * x) / (p.N - leaders)
    first = jnp.arange(p.N) < leaders
    return p.N * level.Omega * jnp.where(first, x, y)


def runge_kutta(f, y: Array, h: Array | float) -> Array:
    """One classical Runge-Kutta step of y' = f(y)."""
    k1 = f(y)
    k2 = f(y + h / 2 * k1)
    k3 = f(y + h / 2 * k2)
    k4 = f(y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
