"""Claims on the data flywheel: C1.7 (threshold), C1.8 (steady states) and C1.11 (sharing)."""

import dataclasses
from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.models.intelligence_capital import bifurcation, flywheel
from jaxecon.models.intelligence_capital.equilibrium import Equilibrium, equilibrium
from jaxecon.models.intelligence_capital.params import Params, Policy

Scalar = Float[Array, ""]
Margins = Mapping[str, Scalar]
# Relative to the threshold of the flywheel: the six strengths of C1.7.
STRENGTHS = (0.9, 0.95, 0.98, 1.02, 1.05, 1.1)


def solved(p: Params, u: Policy, **static: int | str) -> tuple[Params, Equilibrium]:
    """The same industry with other static parameters, and its equilibrium."""
    q = dataclasses.replace(p, **static)
    return q, equilibrium(q, u)


def where_solved(good: Array, margins: Margins) -> Margins:
    """The margins where everything was solved; not a number elsewhere, so that the draw counts as unsolved."""
    return {k: jnp.where(good, v, jnp.nan) for k, v in margins.items()}


def fitted_growth(p: Params, u: Policy, eq: Equilibrium, Omega: Scalar, years: float = 10.0) -> Scalar:
    """Growth rate of a small difference between two providers along a simulated path."""
    level = flywheel.on_default_path(p, u, eq.industry, Omega)
    apart = 1e-5 * Omega * jnp.where(jnp.arange(p.N) < 1, 1.0, jnp.where(jnp.arange(p.N) < 2, -1.0, 0.0))
    end = bifurcation.settle(p, u, eq.industry, level, Omega + apart, years=years, steps=40)
    return jnp.log((end[0] - end[1]) / (2e-5 * Omega)) / years


def _duopoly(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """C1.7, C1.8a to c and C1.11: two providers at fixed prices."""
    p, eq = solved(p, u, N=2, price_response="fixed")
    at = eq.industry
    star = flywheel.threshold(p, u, at)
    exists = (eq.status == 0) & (star < 1e6)
    star = jnp.where(exists, star, 1.5)
    near = jnp.asarray(STRENGTHS, star.dtype) * star
    rates = lax.map(lambda v: fitted_growth(p, u, eq, v), near)
    x, y = near - jnp.mean(near), rates - jnp.mean(rates)
    zero = jnp.mean(near) - jnp.mean(rates) * jnp.sum(x * x) / jnp.sum(x * y)

    multiples = jnp.asarray([0.95, 1.2, 5.0, 50.0], star.dtype) * star
    documented = jnp.asarray([1.51, 1.6, 2.0, 5.0], star.dtype)
    levels = jnp.concatenate([multiples, documented])
    shares = lax.map(lambda v: flywheel.leadership(p, u, at, v).leader_share, levels)
    told = jnp.asarray([0.558, 0.676, 0.833, 0.979], star.dtype)

    def sharing(N: int) -> tuple[Scalar, Scalar]:
        """The formula of C1.11 at Omega = 3, and the autodiff growth rate there."""
        q, three = dataclasses.replace(p, N=N), jnp.full_like(star, 3.0)
        phi = flywheel.stabilizing_sharing(q, u, at, three)
        v = eqx.tree_at(lambda w: w.data_sharing, u, phi)
        level = flywheel.on_default_path(q, v, at._replace(s=jnp.ones_like(star) / N), three)
        rate = bifurcation.symmetric_growth(flywheel.Where(q, v, at._replace(s=jnp.ones_like(star) / N)), level.Omega)
        return phi, jnp.where(phi > 0, rate / p.delta_D, 0.0)

    pairs = {N: sharing(N) for N in (2, 5)}
    return where_solved(exists, {
        "C1.7a": 1e-8 - jnp.abs(bifurcation.threshold_root(p, u, at) / star - 1),
        "C1.7b": 0.05 - jnp.abs(zero / star - 1),
        "C1.8a": 1e-9 - jnp.abs(shares[0] - 0.5),
        "C1.8b": jnp.min(jnp.append(jnp.diff(shares[:4]), shares[3] - 0.98)),
        "C1.8c": 6e-4 - jnp.max(jnp.abs(shares[4:] - told)),
        "C1.11a": 1e-8 - jnp.maximum(jnp.abs(pairs[2][1]), jnp.abs(pairs[5][1])),
        "C1.11b": 6e-4 - jnp.maximum(jnp.abs(pairs[2][0] - 0.125), jnp.abs(pairs[5][0] - 0.059)),
    })  # fmt: skip


def _several(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """C1.8d and e: three providers between fold and threshold; the folds of 3, 5 and 25."""
    p, eq = solved(p, u, N=3, price_response="fixed")
    at = eq.industry
    star = flywheel.threshold(p, u, at)
    low = flywheel.leadership(p, u, at, at.own_data).fold
    exists = (eq.status == 0) & (star < 1e6)
    between = jnp.where(exists, jnp.sqrt(low * star), 1.5)
    level = flywheel.on_default_path(p, u, at, between)
    x = flywheel.leadership(p, u, at, between).leader_share
    rates = [bifurcation.growth_rates(p, u, at, level, s) for s in (x, jnp.ones_like(x) / 3)]
    stable = -jnp.max(jnp.concatenate(rates)) / p.delta_D
    gap = jnp.abs(low - 1.436)
    for N, told in ((5, 1.274), (25, 0.792)):
        q = dataclasses.replace(p, N=N)
        found = flywheel.leadership(q, u, at._replace(s=jnp.ones_like(x) / N), between)
        gap = jnp.maximum(gap, jnp.abs(found.fold - told))
    together = jnp.minimum(jnp.minimum(star / low - 1, x - 1 / 3), stable)
    return where_solved(exists, {"C1.8d": together, "C1.8e": 6e-4 - gap})


def flywheel_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    return {**_duopoly(p, u, key), **_several(p, u, key)}
