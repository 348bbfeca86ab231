"""Demand, supply and payoffs of the vertical market: mass served, hedonic price, search penalty.

Every function is written for one market and plain arguments. Payoffs take a *price*, not an
assignment, so that the mean-field layer can use them with its own price schedule.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.supply_shock.params import Params, Policy


class Cutoffs(NamedTuple):
    """Occupations by rising skill: exit below s_0, human on [s_0, s_1], AI on [s_1, s_H], human above s_H."""

    s_0: Float[Array, ""]
    s_1: Float[Array, ""]
    s_H: Float[Array, ""]


def skill_cdf(law: str, s: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Skill distribution $F(s)$ on [0, 1]: uniform $s$, or Beta(2,2) $3 s^2 - 2 s^3$."""
    return s if law == "uniform" else s * s * (3 - 2 * s)


def skill_quantile(law: str, f: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Inverse of the skill distribution: uniform $f$, or Beta(2,2) $\tfrac12 - \sin(\tfrac13 \arcsin(1 - 2f))$."""
    f = jnp.clip(f, 0.0, 1.0)
    return f if law == "uniform" else 0.5 - jnp.sin(jnp.arcsin(1 - 2 * f) / 3)


def skill_density(law: str, s: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Skill density $F'(s)$: uniform 1, or Beta(2,2) $6 s (1 - s)$."""
    return jnp.ones_like(s) if law == "uniform" else 6 * s * (1 - s)


def skill_partial_mean(law: str, s: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Partial mean $\int_0^s t \, dF(t)$: uniform $s^2/2$, or Beta(2,2) $2 s^3 - \tfrac32 s^4$."""
    return s * s / 2 if law == "uniform" else s * s * s * (2 - 1.5 * s)


def human_quality(p: Params, s: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Quality without AI, $\alpha s$ [D]."""
    return p.alpha * s


def ai_quality(p: Params, s: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Quality with AI, $\min(a s, q_A)$ [R]: AI lifts skill up to the ceiling."""
    return jnp.minimum(p.a * s, p.q_A)


def human_cost(p: Params, q: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Cost of a human creator of quality q, $q^2/(2\gamma)$ [D]."""
    return q * q / (2 * p.gamma)


def ai_volume(p: Params, x: Cutoffs) -> Float[Array, ""]:
    r"""AI content sold, $D_A = n k_A [F(s_H) - F(s_1)]$."""
    return p.n * p.k_A * (skill_cdf(p.skill_law, x.s_H) - skill_cdf(p.skill_law, x.s_1))


def coverage(p: Params, x: Cutoffs) -> Float[Array, ""]:
    r"""Buyers served, $S = M(0)$."""
    f_0, f_1, f_h = (skill_cdf(p.skill_law, s) for s in x)
    return p.n * (p.k_H * (1 - f_h + f_1 - f_0) + p.k_A * (f_h - f_1))


def search_sensitivity(p: Params, u: Policy) -> Float[Array, ""]:
    r"""Sensitivity of search to AI volume with public effort x, $\eta/(1 + x)$ [R]."""
    return p.eta / (1 + u.search_quality)


def search_penalty(p: Params, u: Policy, d_a: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Search penalty $\Phi(D_A) = \beta \ln(1 + \eta D_A)$ [D, eq. 1]."""
    return p.beta * jnp.log1p(search_sensitivity(p, u) * d_a)


def penalized_demand(p: Params, s: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""What one unit of $\Phi$ takes from every price: 1, or $\theta_{max}(1 - S)$ if the penalty is proportional.

    Proportional: $U = \theta(q - \Phi) - p$; the marginal buyer of the lowest quality has taste
    $\theta_{max}(1 - S)$, and price steps between qualities do not depend on $\Phi$.
    """
    return jnp.ones_like(s) if p.penalty == "additive" else p.theta_max * (1 - s)


def penalty_burden(p: Params, s: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Surplus lost per unit of $\Phi$: $S$, or $\theta_{max}(S - S^2/2)$ if the penalty is proportional."""
    return s if p.penalty == "additive" else p.theta_max * s * (1 - s / 2)


def _segment_above(law: str, c: Float[Array, ""], q: Array, lo: Array, hi: Array) -> Array:
    """Mass of skills s in [lo, hi] with c s >= q."""
    return skill_cdf(law, hi) - skill_cdf(law, jnp.clip(q / c, lo, hi))


def capped_mean(law: str, c: Array, q: Array, lo: Array, hi: Array) -> Float[Array, "..."]:
    r"""$\int_{lo}^{hi} \min(c s, q)\,dF(s)$."""
    t = jnp.clip(q / c, lo, hi)
    rising = skill_partial_mean(law, t) - skill_partial_mean(law, lo)
    return c * rising + q * (skill_cdf(law, hi) - skill_cdf(law, t))


def squared_mean(law: str, lo: Float[Array, ""], hi: Float[Array, ""]) -> Float[Array, ""]:
    r"""$\int_{lo}^{hi} s^2\,dF(s)$: uniform $s^3/3$, Beta(2,2) $\tfrac32 s^4 - \tfrac65 s^5$."""

    def moment(s: Array) -> Array:
        return s**3 / 3 if law == "uniform" else s**4 * (1.5 - 1.2 * s)

    return moment(hi) - moment(lo)


def supply_above(p: Params, x: Cutoffs, q: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Buyers served at quality q or better.

    $M(q) = n [k_H F\{s \in H: \alpha s \ge q\} + k_A F\{s \in A: \min(a s, q_A) \ge q\}]$
    """
    law, one = p.skill_law, jnp.ones_like(x.s_H)
    human = _segment_above(law, p.alpha, q, x.s_0, x.s_1) + _segment_above(law, p.alpha, q, x.s_H, one)
    adopters = jnp.where(q <= p.q_A, _segment_above(law, p.a, q, x.s_1, x.s_H), 0.0)
    return p.n * (p.k_H * human + p.k_A * adopters)


def supply_integral(p: Params, x: Cutoffs, q: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\int_0^q M(z)\,dz = n [k_H \int_H \min(\alpha s, q) dF + k_A \int_A \min(a s, q_A, q) dF]$, in closed form."""
    law, one = p.skill_law, jnp.ones_like(x.s_H)
    human = capped_mean(law, p.alpha, q, x.s_0, x.s_1) + capped_mean(law, p.alpha, q, x.s_H, one)
    adopters = capped_mean(law, p.a, jnp.minimum(q, p.q_A), x.s_1, x.s_H)
    return p.n * (p.k_H * human + p.k_A * adopters)


def hedonic_price(
    p: Params, q: Float[Array, "..."], m_int: Float[Array, "..."], phi: Float[Array, ""], s: Float[Array, ""]
) -> Float[Array, "..."]:
    r"""Price of quality q (3.1) [R]: $p(q) = \theta_{max} \int_0^q (1 - M)\,dx - \Phi$.

    `m_int`: $\int_0^q M$; `phi`: $\Phi$; `s`: coverage (it matters for the proportional penalty only).
    Holds for every q, across gaps and overlaps.
    """
    return p.theta_max * (q - m_int) - phi * penalized_demand(p, s)


def price(p: Params, u: Policy, x: Cutoffs, q: Float[Array, "..."]) -> Float[Array, "..."]:
    """Price of quality q under the assignment `x` (3.1)."""
    phi = search_penalty(p, u, ai_volume(p, x))
    return hedonic_price(p, q, supply_integral(p, x, q), phi, coverage(p, x))


def ai_unit_cost(p: Params, u: Policy, q: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""What an adopter pays per buyer, $(c_A + levy) q + charge + fee/k_A$ (the fee is a charge of fee/k_A)."""
    return (p.c_A + u.input_levy) * q + u.volume_charge + u.entry_fee / p.k_A


def ai_payoff(p: Params, u: Policy, price: Float[Array, "..."], q: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Payoff with AI at quality q sold at `price`: $\pi_A = k_A [p(q) - (c_A + levy) q - charge] - \kappa - fee$."""
    return p.k_A * (price - ai_unit_cost(p, u, q)) - p.kappa


def human_payoff(
    p: Params, price: Float[Array, "..."], q: Float[Array, "..."], k_h: Float[Array, ""] | None = None
) -> Float[Array, "..."]:
    r"""Payoff without AI at quality q sold at `price`: $\pi_H = k_H p(q) - q^2/(2\gamma)$.

    `k_h` replaces $k_H$ where search friction lowers it (mean field).
    """
    return (p.k_H if k_h is None else k_h) * price - human_cost(p, q)
