r"""Laws of motion of rents R and transparency S (6.2), (6.3): one year ahead, or a fraction of it.

$R^* = \gamma/\delta$ is documented but does not identify the law, so the law is a choice; each result states its own.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.models.rent_seeking.params import Params, Policy

Scalar = Float[Array, ""]
# Steps a year of the predator-prey law: second order and symplectic.
SUBSTEPS = 16


def clarity(p: Params, u: Policy, A: Scalar) -> Scalar:
    r"""Drift to transparency $l = \alpha_0 + \alpha A (1 + mandate)$ [R]."""
    return p.alpha_0 + p.alpha * A * (1 + u.transparency_mandate)


def opacity(p: Params, r: Scalar, m: Scalar) -> Scalar:
    r"""Drift to opacity $q = \beta_m \bar m + \beta_r \bar r$ [R]."""
    return p.beta_m * m + p.beta_r * r


def transparency_step(S: Scalar, up: Scalar, down: Scalar, h: Scalar | float = 1.0) -> Scalar:
    r"""$S' = \bar S + (S - \bar S) e^{-(l+q)h}$, $\bar S = l/(l+q)$ (6.3) [R], `up` = l, `down` = q; S stands still where both are 0."""
    total = up + down
    rate = jnp.where(total > 0, -jnp.expm1(-total * h) / jnp.where(total > 0, total, 1.0), h)
    return S + (up - total * S) * rate


def linear_step(R: Scalar, inflow: Scalar, delta: Scalar, h: Scalar | float = 1.0) -> Scalar:
    r"""$R' = R + h(\gamma - \delta R)$ (6.2) [R]: the default; stable for $0 < \delta < 2$."""
    return R + h * (inflow - delta * R)


def logistic_step(R: Scalar, inflow: Scalar, delta: Scalar, h: Scalar | float = 1.0) -> Scalar:
    r"""Exact step of $\dot R = R(\gamma - \delta R)$ [R]: $R' = R e^{\gamma h}/(1 + \frac{\delta}{\gamma} R (e^{\gamma h} - 1))$.

    Stable for every inflow, where the discrete logistic is stable for $\gamma < 2$ only.
    """
    grown = jnp.where(inflow > 0, jnp.expm1(inflow * h) / jnp.where(inflow > 0, inflow, 1.0), h)
    return R * jnp.exp(inflow * h) / (1 + delta * R * grown)


def predator_prey_step(p: Params, R: Scalar, S: Scalar, h: Scalar | float = 1.0) -> tuple[Scalar, Scalar]:
    r"""$\dot S = S(\gamma - \delta R)$, $\dot R = R(a S - d)$ [R]: rents feed on transparency.

    Symplectic (Strang) steps in logs, so that cycles stay closed; $\gamma/\delta$ is the time average of R over a cycle.
    """
    step = h / SUBSTEPS

    def half(ln_R: Scalar, ln_S: Scalar) -> Scalar:
        return ln_S + 0.5 * step * (p.gamma_pp - p.delta * jnp.exp(ln_R))

    def body(_: int, state: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        ln_R, ln_S = state
        ln_S = half(ln_R, ln_S)
        ln_R = ln_R + step * (p.a_pp * jnp.exp(ln_S) - p.d_pp)
        return ln_R, half(ln_R, ln_S)

    ln_R, ln_S = lax.fori_loop(0, SUBSTEPS, body, (jnp.log(R), jnp.log(S)))
    return jnp.exp(ln_R), jnp.exp(ln_S)


INFLOW_LAWS = {"linear": linear_step, "logistic": logistic_step}


def advance(
    p: Params, u: Policy, A: Scalar, R: Scalar, S: Scalar, r: Scalar, m: Scalar, h: Scalar | float = 1.0
) -> tuple[Scalar, Scalar]:
    """(R, S) after `h` years under the law of `p`, from mean efforts `r`, `m`."""
    if p.law == "predator_prey":
        return predator_prey_step(p, R, S, h)
    rents = INFLOW_LAWS[p.law](R, r + m, p.delta, h)
    return rents, transparency_step(S, clarity(p, u, A), opacity(p, r, m), h)
