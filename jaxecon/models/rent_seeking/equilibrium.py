r"""The rest point of rents and transparency at a constant AI capability: certificate, outcomes.

The unknown is transparency S, which drifts as much up as down; under capture detection depends on rents, and
$\rho = R/(1+R)$ is a second unknown: rents decay as fast as they flow in.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.core import model as core
from jaxecon.models.rent_seeking.choices import Gains, Means, gains, manipulation_benefit, mean_choices
from jaxecon.models.rent_seeking.laws import advance, clarity, opacity
from jaxecon.models.rent_seeking.params import Outcomes, Params, Policy
from jaxecon.numerics.roots import attach_derivative, first_success, newton

Scalar = Float[Array, ""]
NO_REST_POINT = core.FIRST_REASON
REASONS = {NO_REST_POINT: ("NO_REST_POINT", "the predator-prey law would rest at a transparency d/a above 1")}


class Equilibrium(core.Equilibrium):
    """A rest point: rents, transparency, and the agents' gains and mean choices there."""

    R: Scalar
    S: Scalar
    gains: Gains
    means: Means


def choices_at(p: Params, u: Policy, A: Scalar, R: Scalar, S: Scalar) -> tuple[Gains, Means]:
    """Gains and mean choices at a state."""
    g = gains(p, u, A, R, S)
    return g, mean_choices(p, g.X, g.Y)


def gaps(p: Params, u: Policy, S: Scalar, rho: Scalar) -> tuple[Scalar, Scalar]:
    r"""$l(1-S) = q S$ in units of $l$; $\delta R = \bar r + \bar m$ in units of $\delta(1 + R)$, at $\rho = R/(1+R)$."""
    _, means = choices_at(p, u, p.A, rho / (1 - rho), S)
    up, down = clarity(p, u, p.A), opacity(p, means.r, means.m)
    return (1 - S) - down * S / up, rho - (1 - rho) * (means.r + means.m) / p.delta


def conditions(y: Float[Array, " k"] | tuple[Array, ...], args: tuple[Params, Policy]) -> Float[Array, " k"]:
    """`gaps` of transparency alone; under capture also of rents."""
    p, u = args
    clear, rents = gaps(p, u, y[0], y[1] if p.capture else jnp.zeros_like(y[0]))
    return jnp.stack([clear, rents] if p.capture else [clear])


class Start(NamedTuple):
    """Where Newton begins, and the most transparency a rest point may have."""

    y: Float[Array, " k"]
    ceiling: Scalar


def starts(args: tuple[Params, Policy]) -> Start:
    """Starts for the lowest rest point, where a society that begins opaque ends up; it is stable.

    Nearly always transparency settles close to where it would if choices stayed as they are at S = .95; a few points
    below, on a coarse population, tell whether it gets stuck earlier. Full transparency is a rest point wherever nobody
    seeks rents there, but often one that no path reaches: it counts only if transparency rises all the way. In float32,
    which is enough to begin with.
    """
    dtype = args[0].A.dtype
    p, u = jax.tree.map(lambda x: x.astype(jnp.float32), args)
    R = jnp.full_like(p.A, 0.1)
    up = clarity(p, u, p.A)

    def down_at(S: Scalar) -> Scalar:
        g = gains(p, u, p.A, R, S)
        means = mean_choices(p, g.X, g.Y, nodes=3)
        return opacity(p, means.r, means.m)

    guess = jnp.minimum(up / (up + down_at(jnp.full_like(p.A, 0.95))), 0.9999)
    points = guess * jnp.asarray([0.05, 0.2, 0.4, 0.6, 0.8, 1.0], p.A.dtype)
    rise = (1 - points) - jax.vmap(down_at)(points) * points / up
    stuck = rise < 0
    j = jnp.argmax(stuck)
    hi, at_hi = points[j], rise[j]
    lo, at_lo = jnp.where(j > 0, points[j - 1], 0.0), jnp.where(j > 0, rise[j - 1], 1.0)
    between = lo + (hi - lo) * at_lo / (at_lo - jnp.minimum(at_hi, -1e-30))
    first = jnp.where(jnp.any(stuck), between, guess)
    guesses = jnp.stack([first, 0.5 * (lo + hi), lo])
    y = jnp.stack([guesses, jnp.full_like(guesses, 0.1)][: 2 if p.capture else 1], axis=1)
    ceiling = jnp.where(jnp.any(stuck), jnp.minimum(1.02 * hi, 1.0), 1.0)
    return jax.tree.map(lambda x: x.astype(dtype), Start(y, jnp.broadcast_to(ceiling, guesses.shape)))


def _attempt(start: Start, args: tuple[Params, Policy]) -> tuple[Float[Array, " k"], Bool[Array, ""]]:
    tol = 1e-12 if jnp.finfo(start.y.dtype).bits == 64 else 1e-6
    most = jnp.full_like(start.y, 1 - 1e-6).at[0].set(start.ceiling)
    root = newton(
        conditions, start.y, args, tol=tol, max_steps=40, max_step=0.3, project=lambda y: jnp.clip(y, 0.0, most)
    )
    return root.x, root.converged


def equilibrium(p: Params, u: Policy) -> Equilibrium:
    """Solve for the rest point; the derivative is that of the implicit function theorem.

    Where opacity breeds manipulation strongly there can be several rest points (none of 8192 draws of the box has two):
    this is the lowest, as far as `starts` can tell.
    """
    if p.law == "predator_prey":
        R, S = p.gamma_pp / p.delta, p.d_pp / p.a_pp
        g, means = choices_at(p, u, p.A, R, S)
        status = jnp.where(S <= 1, core.SOLVED, NO_REST_POINT).astype(jnp.int32)
        return Equilibrium(status, R, S, g, means)
    fixed = lax.stop_gradient((p, u))
    x, found = first_success(_attempt, starts, fixed)
    y = attach_derivative(conditions, x, (p, u), found)
    S = y[0]
    if p.capture:
        R = y[1] / (1 - y[1])
        g, means = choices_at(p, u, p.A, R, S)
    else:
        g, means = choices_at(p, u, p.A, jnp.zeros_like(S), S)
        R = (means.r + means.m) / p.delta
    status = jnp.where(found, core.SOLVED, core.NOT_CONVERGED).astype(jnp.int32)
    return Equilibrium(status, R, S, g, means)


def loss(p: Params, R: Scalar, S: Scalar) -> Scalar:
    r"""$L(R, S) = \phi R^2 + \psi (1 - S)^2$ [D]."""
    return p.phi * R**2 + p.psi * (1 - S) ** 2


def policy_cost(p: Params, u: Policy) -> Scalar:
    r"""Real cost of policy (6.4) [R]: $k_t(\tau_r^2 + \tau_m^2) + k_d\,detection^2 + k_f F^2 + k_m\,mandate^2$, $F = F_0 + fine$."""
    return (
        p.kt * (u.rent_tax**2 + u.manipulation_tax**2)
        + p.kd * u.detection**2
        + p.kf * (p.F_0 + u.fine) ** 2
        + p.km * u.transparency_mandate**2
    )


def revenue(p: Params, u: Policy, g: Gains, means: Means) -> Scalar:
    r"""Taxes and fines, paid when detected: $\pi[\tau_r \bar r + (\tau_m + F)\bar m]$; a transfer."""
    return g.pi * (u.rent_tax * means.r + (u.manipulation_tax + p.F_0 + u.fine) * means.m)


def outcomes(p: Params, u: Policy, eq: Equilibrium) -> Outcomes:
    """All outcomes of a rest point."""
    L, cost, means = loss(p, eq.R, eq.S), policy_cost(p, u), eq.means
    return Outcomes(
        welfare=means.output - L - cost,
        loss=L,
        rents=eq.R,
        transparency=eq.S,
        traditional_effort=means.r,
        manipulation_effort=means.m,
        rent_seekers=means.active,
        output=means.output,
        policy_cost=cost,
        revenue=revenue(p, u, eq.gains, means),
        detection_probability=eq.gains.pi,
        traditional_gain=eq.gains.X,
        manipulation_gain=eq.gains.Y,
        manipulation_benefit=manipulation_benefit(p, p.A),
        inflow=means.r + means.m,
    )


def identities(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Scalar]:
    """Unit-free residuals: the laws of motion, a year long, leave the rest point where it is, and nobody works more than
    a unit of time."""
    R, S = advance(p, u, p.A, eq.R, eq.S, eq.means.r, eq.means.m)
    ceiling = p.w * jnp.exp(p.sd**2 / 2)
    overdrawn = jnp.maximum(eq.means.output / ceiling - 1, 0.0) + jnp.maximum(eq.means.r + eq.means.m - 1, 0.0)
    return {"rents": (R - eq.R) / (1 + eq.R), "transparency": S - eq.S, "time": overdrawn}


def branches(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Bool[Array, ""]]:
    """Which kind of rest point it is."""
    return {
        "NO_TRADITIONAL_RENTS": eq.means.r <= 1e-12,
        "NO_MANIPULATION": eq.means.m <= 1e-12,
        "MANIPULATION_LEADS": eq.gains.Y > eq.gains.X,
    }
