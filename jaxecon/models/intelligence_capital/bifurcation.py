r"""All steady states of the flywheel, their stability, basins, and the threshold as a root (1.9).

Branches are continued in the leaders' share, over which each is a graph: so they pass folds and the threshold without a step control.
At the baseline a duopoly has a supercritical pitchfork, three providers and more a transcritical point with a fold below the threshold
and bistability between; elsewhere in the box either may turn (`docs/decisions.md`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.models.intelligence_capital import technology
from jaxecon.models.intelligence_capital.equilibrium import Industry
from jaxecon.models.intelligence_capital.flywheel import (
    Level,
    Where,
    branch_gap,
    drift,
    effective_theta,
    leadership,
    on_default_path,
    response,
    response_of,
    runge_kutta,
    share_at,
    state_of,
    strength,
    threshold,
)
from jaxecon.models.intelligence_capital.params import Params, Policy
from jaxecon.models.intelligence_capital.wrapper import NONE
from jaxecon.numerics.roots import bisect, find_root

Scalar = Float[Array, ""]


def growth_rates(p: Params, u: Policy, at: Industry, level: Level, x: Scalar, leaders: int = 1) -> Float[Array, " k"]:
    """All distinct eigenvalues of the autodiff Jacobian of (1.8) at a state with two kinds of providers, by symmetry.

    Two kinds leave at most four: differences among leaders, among followers, and the two of the means.
    """
    d = state_of(p, level, x, leaders)
    first = (jnp.arange(p.N) < leaders).astype(d.dtype)

    def along(v: Float[Array, " N"]) -> Float[Array, " N"]:
        return jax.jvp(lambda y: drift(p, u, at, level, y), (d,), (v,))[1]

    by_leaders, by_followers = along(first), along(1 - first)
    a, c, b, e = by_leaders[0], by_leaders[-1], by_followers[0], by_followers[-1]
    half = (a + e) / 2
    root = jnp.sqrt(jnp.maximum(((a - e) / 2) ** 2 + b * c, 0.0))
    found = [half + root, half - root]
    if leaders > 1:
        found.append(along(jnp.zeros_like(d).at[0].set(1.0).at[1].set(-1.0))[0])
    if p.N - leaders > 1:
        found.append(along(jnp.zeros_like(d).at[-1].set(1.0).at[-2].set(-1.0))[-1])
    return jnp.stack(found)


class Branch(NamedTuple):
    """A branch of steady states with k leaders: strength, each leader's share, and the largest growth rate."""

    Omega: Float[Array, " n"]
    share: Float[Array, " n"]
    growth: Float[Array, " n"]


def branch(p: Params, u: Policy, at: Industry, leaders: int = 1, points: int = 60, reach: float = 7.0) -> Branch:
    """Continuation of the k-leader branch in the leaders' share, through threshold and fold, on both sides of symmetry."""
    odds = jnp.linspace(-reach, reach, 2 * (points // 2), dtype=p.theta.dtype)
    x = share_at(p, odds, leaders)

    def one(x: Scalar) -> tuple[Scalar, Scalar]:
        Omega = strength(p, u, response_of(Where(p, u, at), x, leaders))
        Omega = jnp.where(Omega < NONE, Omega, jnp.nan)
        safe = jnp.where(jnp.isnan(Omega), 1.0, Omega)
        rates = growth_rates(p, u, at, on_default_path(p, u, at, safe), x, leaders)
        return Omega, jnp.where(jnp.isnan(Omega), jnp.nan, jnp.max(rates))

    Omega, growth = lax.map(one, x)
    return Branch(Omega, x, growth)


def settle(
    p: Params, u: Policy, at: Industry, level: Level, d: Float[Array, " N"], years: float = 600.0, steps: int = 600
) -> Float[Array, " N"]:
    """Data after so many years from `d`, by Runge-Kutta steps: where a path ends."""
    h = years / steps

    def body(_: int, d: Array) -> Array:
        return runge_kutta(lambda y: drift(p, u, at, level, y), d, h)

    return lax.fori_loop(0, steps, body, d)


def basin_boundary(p: Params, u: Policy, at: Industry, Omega: Scalar) -> Scalar:
    r"""Share of all data beyond which one provider ends as the leader, the others equal and total data at rest.

    On that line (1.8) moves in one dimension, and the boundary is the unstable one-leader state: between fold and $\Omega^*$ a head
    start must exceed it, beyond $\Omega^*$ any head start will do (1/N), before the fold none (NaN).
    """
    w = Where(p, u, at)
    found = leadership(p, u, at, Omega)
    x = found.fold_share
    top = jnp.log(x * (p.N - 1) / (1 - x))
    odds = bisect(lambda t, q: branch_gap(w, t, q) / t, 1e-4 * jnp.ones_like(x), top, response(p, u, Omega))
    inside = jnp.where(Omega > found.fold, share_at(p, odds), jnp.nan)
    return jnp.where(threshold(p, u, at) < Omega, 1 / p.N, inside)


def symmetric_growth(w: Where, Omega: Scalar) -> Scalar:
    """Growth rate of differences at the symmetric state: the autodiff Jacobian of (1.8) along (1, -1, 0, ...)."""
    level = on_default_path(w.p, w.u, w.at, Omega)
    d = jnp.broadcast_to(level.Omega, (w.p.N,))
    apart = jnp.zeros_like(d).at[0].set(1.0).at[1].set(-1.0)
    return jax.jvp(lambda y: drift(w.p, w.u, w.at, level, y), (d,), (apart,))[1][0]


def _growth_gap(x: Float[Array, "1"], w: Where) -> Float[Array, "1"]:
    return (symmetric_growth(w, jnp.exp(x[0])) / w.p.delta_D)[None]


def threshold_root(p: Params, u: Policy, at: Industry) -> Scalar:
    r"""$\Omega^*$ as the root of the autodiff growth rate; its derivatives by the implicit function theorem. NaN if none."""
    w = Where(p, u, at)
    exists = _growth_gap(jnp.full((1,), 20.0, p.theta.dtype), lax.stop_gradient(w))[0] > 0
    start = bisect(
        lambda x, w: _growth_gap(x[None], w)[0], -5.0 * jnp.ones_like(p.r), 20.0 * jnp.ones_like(p.r), w, steps=12
    )
    root = find_root(_growth_gap, start[None], w, max_step=1.0)
    return jnp.where(exists & root.converged, jnp.exp(root.x[0]), jnp.nan)


def fixed_public_data_thresholds(p: Params, u: Policy, at: Industry) -> tuple[Scalar, Scalar]:
    r"""Strengths at which symmetry loses and regains stability along the path with D_0 and C fixed, D~ growing with $\Omega$.

    The path crosses the default one at $\Omega^*$, where symmetry is lost. $\epsilon_D$ falls along it ($\rho < 0$), so that the
    condition is implicit and has a second root. NaN for one that is not there.
    """
    D_0 = on_default_path(p, u, at, jnp.minimum(threshold(p, u, at), 1e6)).D_0
    pull = effective_theta(p, u, at)

    def gain(ln_Omega: Scalar, _: None = None) -> Scalar:
        Omega = jnp.exp(ln_Omega)
        spread = 1 + Omega * (1 - u.data_sharing + p.N * u.data_sharing)
        eps_D = technology.data_elasticity(p, at.ln_C, D_0 * spread)
        return pull * eps_D * (1 - u.data_sharing) * Omega / spread - 1

    ln_Omega = jnp.linspace(-5.0, 30.0, 1401, dtype=p.theta.dtype)
    up = gain(ln_Omega) > 0
    top = jnp.argmax(gain(ln_Omega))
    first = bisect(gain, ln_Omega[0], ln_Omega[top], None)
    last = bisect(gain, ln_Omega[top], ln_Omega[-1], None)
    any_ = jnp.any(up)
    return jnp.where(any_ & ~up[0], jnp.exp(first), jnp.nan), jnp.where(any_ & ~up[-1], jnp.exp(last), jnp.nan)
