r"""The regulator (6.5): minimize the discounted sum of $L(R, S)$ and the real cost of policy.

Four answers: constant instruments, a Ramsey path by gradient through time, a linear feedback rule, and, where the problem is
linear-quadratic, the exact Riccati solution that checks them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.core.fields import fields_of, with_fields
from jaxecon.models.rent_seeking.dynamics import capability, path
from jaxecon.models.rent_seeking.equilibrium import choices_at, loss, policy_cost
from jaxecon.models.rent_seeking.laws import advance
from jaxecon.models.rent_seeking.params import Params, Policy
from jaxecon.numerics.descent import minimize_many

Scalar = Float[Array, ""]
YEARS = 60
# The last policy stays in force for as long again: without it a plan would stop paying for the future at its end.
HELD = 60
ALL = tuple(fields_of(Policy))


def discounted_loss(p: Params, u: Policy, years: int = YEARS, held: int = HELD) -> Scalar:
    r"""$\sum_{t=0}^{T+H-1} \beta^t [L(R_t, S_t) + cost(u_t)]$; a path `[years]` holds its last value for `held` years more."""
    time = jnp.arange(years + held, dtype=p.A.dtype)

    def extended(x: Array) -> Array:
        return jnp.concatenate([jnp.broadcast_to(x, (years,)), jnp.broadcast_to(x[..., -1:], (held,))]) if x.ndim else x

    found = path(p, jax.tree.map(extended, u), time)
    return jnp.sum(p.discount**time * (found.loss + found.policy_cost))


class Plan(NamedTuple):
    """An optimal policy: its instruments, the discounted loss, that of laissez-faire, and the largest projected slope per
    width of an instrument's range, as a share of the loss."""

    policy: Policy
    loss: Scalar
    laissez_faire: Scalar
    kkt: Scalar


def optimal_policy(
    p: Params, u: Policy, names: tuple[str, ...] = ALL, *, constant: bool = True, steps: int = 300
) -> Plan:
    """Instruments that minimize `discounted_loss`: constants, or paths by gradient through time (Ramsey, with commitment).

    Taxes and fines are sought between zero and 5, detection and the mandate between zero and 3; the others stay as in `u`.
    """
    dtype = p.A.dtype
    known = fields_of(Policy)
    top = {"detection": 3.0, "transparency_mandate": 3.0}
    lo = jnp.asarray([max(0.0, known[n].bounds[0]) for n in names], dtype)
    hi = jnp.asarray([top.get(n, 5.0) for n in names], dtype)
    shape = (len(names),) if constant else (len(names), YEARS)
    lo, hi = (jnp.broadcast_to(v if constant else v[:, None], shape) for v in (lo, hi))

    def objective(x: Array) -> Array:
        return discounted_loss(p, with_fields(u, names, x))

    x, slope = minimize_many(objective, lo + 0.2 * (hi - lo), lo, hi, steps)
    best = with_fields(u, names, x)
    return Plan(best, discounted_loss(p, best), discounted_loss(p, u), slope)


class FeedbackRule(NamedTuple):
    """Instruments linear in the state: `level + rents R + opacity (1 - S)`, each `[k]`, held at zero from below."""

    level: Float[Array, " k"]
    rents: Float[Array, " k"]
    opacity: Float[Array, " k"]


def feedback_loss(
    p: Params, u: Policy, rule: FeedbackRule, names: tuple[str, ...], years: int = YEARS + HELD
) -> Scalar:
    """Discounted loss where the named instruments follow a feedback rule."""

    def period(state: tuple[Scalar, Scalar], t: Scalar) -> tuple[tuple[Scalar, Scalar], Scalar]:
        R, S = state
        v = with_fields(u, names, jnp.maximum(rule.level + rule.rents * R + rule.opacity * (1 - S), 0.0))
        A = capability(p, t)
        _, means = choices_at(p, v, A, R, S)
        flow = p.discount**t * (loss(p, R, S) + policy_cost(p, v))
        return advance(p, v, A, R, S, means.r, means.m), flow

    return jnp.sum(lax.scan(period, (p.R_0, p.S_0), jnp.arange(years, dtype=p.A.dtype))[1])


def optimal_feedback(
    p: Params, u: Policy, names: tuple[str, ...] = ("rent_tax", "manipulation_tax"), steps: int = 300
) -> tuple[FeedbackRule, Scalar]:
    """Best linear feedback rule and its discounted loss; coefficients between -20 and 20."""
    k = len(names)

    def objective(x: Array) -> Array:
        return feedback_loss(p, u, FeedbackRule(x[:k], x[k : 2 * k], x[2 * k :]), names)

    ends = jnp.full(3 * k, 20.0, p.A.dtype)
    start = jnp.concatenate([jnp.full(k, 0.5, p.A.dtype), jnp.full(2 * k, 0.5, p.A.dtype)])
    x, _ = minimize_many(objective, start, -ends, ends, steps)
    return FeedbackRule(x[:k], x[k : 2 * k], x[2 * k :]), objective(x)


class Regulation(NamedTuple):
    r"""Solution of the linear-quadratic problem: value $P R^2 + 2 q R + \dots$, rule $\tau = K R + k$."""

    P: Scalar
    q: Scalar
    K: Scalar
    k: Scalar


def riccati(
    delta: Scalar, phi: Scalar, kappa: Scalar, beta: Scalar, b: Scalar, inflow: Scalar | float = 0.0
) -> Regulation:
    r"""Exact regulator of $R' = (1-\delta) R + g - b\tau$ with flow $\phi R^2 + \kappa\tau^2$ [S].

    $\beta b^2 P^2 + (\kappa - \phi\beta b^2 - \beta a^2 \kappa) P - \phi\kappa = 0$, $a = 1-\delta$; $K = \beta a b P/D$,
    $D = \kappa + \beta b^2 P$; $q = \frac{\beta a \kappa P g/D}{1 - \beta a \kappa/D}$, $k = \beta b (P g + q)/D$.
    """
    a = 1 - delta
    linear = kappa - phi * beta * b**2 - beta * a**2 * kappa
    P = (-linear + jnp.sqrt(linear**2 + 4 * beta * b**2 * phi * kappa)) / (2 * beta * b**2)
    D = kappa + beta * b**2 * P
    q = beta * a * kappa * P * inflow / D / (1 - beta * a * kappa / D)
    return Regulation(P, q, beta * a * b * P / D, beta * b * (P * inflow + q) / D)
