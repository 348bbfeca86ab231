r"""Symmetric industry: investment race, then Bertrand-Nash prices, on data at rest (1.1) to (1.6).

Unknowns are $\ln C$ and $\ln s$; prices, data and capability are closed forms of them. The laissez-faire industry has the compute
`C` of the parameters: it sets the scale $\kappa$ of the cost of compute and what the flywheel turns usage into.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.model import NOT_CONVERGED, SOLVED
from jaxecon.core.model import Equilibrium as BaseEquilibrium
from jaxecon.models.intelligence_capital import market, technology
from jaxecon.models.intelligence_capital.params import Params, Policy
from jaxecon.numerics.roots import find_root

Scalar = Float[Array, ""]


class Industry(NamedTuple):
    """A symmetric industry: log compute, share and margin of each provider, price, own data over D_0, effective data."""

    ln_C: Scalar
    s: Scalar
    margin: Scalar
    price: Scalar
    own_data: Scalar
    Dt: Scalar

    def ln_A(self, p: Params) -> Scalar:
        return technology.log_capability(p, self.ln_C, self.Dt)

    def eps_D(self, p: Params) -> Scalar:
        return technology.data_elasticity(p, self.ln_C, self.Dt)


class Equilibrium(BaseEquilibrium):
    """The industry under the policy and at laissez-faire, the planner's, and the cost scale of compute."""

    industry: Industry
    laissez_faire: Industry
    planner: Industry
    kappa: Scalar
    residual: Scalar


def private_return(p: Params, u: Policy, at: Industry) -> Scalar:
    r"""$d\pi_i/d\ln C_i$ gross of cost: rent times own elasticity times $\epsilon_C$ [R]; under a cap prices do not follow."""
    capped = market.bertrand_margin(p, at.s, market.marginal_cost(p, u)) >= market.margin_cap(u)
    own = market.own_value_elasticity(p, u, at.s, p.timing)
    own = jnp.where(capped, p.theta * (1 - at.s), own)
    return market.rent(p, u, at.s, at.margin) * own * (p.gamma - at.eps_D(p))


def social_return(p: Params, at: Industry) -> Scalar:
    r"""$\chi \theta s M/\alpha \, \epsilon_C$: use value of capability that a provider's compute adds [R]."""
    return p.chi * p.theta * at.s * p.M / p.alpha * (p.gamma - at.eps_D(p))


def training_price(p: Params, u: Policy) -> Scalar:
    """What a provider pays per unit of training cost: tax on, subsidy off."""
    return (1 + u.compute_tax) * (1 - u.investment_subsidy)


def market_gap(p: Params, at: Industry) -> Scalar:
    r"""$\ln s + \ln(N + o\, e^{-(\theta \ln A - c(p))}) = 0$: shares and outside good add up (1.3)."""
    value = p.theta * at.ln_A(p) - market.price_disutility(p, at.price)
    return jnp.log(at.s) + jnp.log(p.N + p.o * jnp.exp(-value))


def industry_at(p: Params, u: Policy, ln_C: Scalar, ln_s: Scalar, s_ref: Scalar, priced: bool = True) -> Industry:
    """The industry with compute and shares as given; `s_ref` is the laissez-faire share, which scales the flywheel."""
    s = jnp.exp(ln_s)
    over = market.margin(p, u, s) if priced else jnp.zeros_like(s)
    cost = market.marginal_cost(p, u) if priced else p.mc
    own = p.Omega * s / s_ref
    Dt = technology.public_data(p) * technology.symmetric_data(p, u.data_sharing, own)
    return Industry(ln_C, s, over, cost + over, own, Dt)


def _reference_gap(x: Float[Array, "1"], p: Params) -> Float[Array, "1"]:
    u = Policy()
    return market_gap(p, industry_at(p, u, jnp.log(p.C), x[0], jnp.exp(x[0])))[None]


def _race_gaps(x: Float[Array, "2"], args: tuple[Params, Policy, Scalar, Scalar]) -> Float[Array, "2"]:
    p, u, kappa, s_ref = args
    at = industry_at(p, u, x[0], x[1], s_ref)
    cost = jnp.log(kappa * training_price(p, u)) + (1 + p.nu) * x[0]
    return jnp.stack([cost - jnp.log(private_return(p, u, at)), market_gap(p, at)])


def _planner_gaps(x: Float[Array, "2"], args: tuple[Params, Policy, Scalar, Scalar]) -> Float[Array, "2"]:
    p, u, kappa, s_ref = args
    at = industry_at(p, u, x[0], x[1], s_ref, priced=False)
    cost = jnp.log(kappa) + (1 + p.nu) * x[0]
    return jnp.stack([cost - jnp.log(social_return(p, at)), market_gap(p, at)])


def equilibrium(p: Params, u: Policy) -> Equilibrium:
    """Solve the industry; pure, unbatched, differentiable by the implicit function theorem."""
    ln_C, none = jnp.log(p.C), Policy()
    even = -jnp.log(p.N * jnp.ones_like(p.C))
    reference = find_root(_reference_gap, even[None], p, max_step=1.0)
    s_ref = jnp.exp(reference.x[0])
    before = industry_at(p, none, ln_C, reference.x[0], s_ref)
    kappa = p.kappa
    if p.cost_scale == "calibrated":
        kappa = private_return(p, none, before) / p.C ** (1 + p.nu)
    args = (p, u, kappa, s_ref)
    start = jnp.stack([ln_C, reference.x[0]])
    race = find_root(_race_gaps, start, args, max_step=1.0)
    wedge = jnp.log(social_return(p, before) / (kappa * p.C ** (1 + p.nu)))
    best = find_root(_planner_gaps, start + jnp.stack([wedge / (1 + p.nu), jnp.zeros_like(wedge)]), args, max_step=1.0)
    good = reference.converged & race.converged & best.converged
    return Equilibrium(
        status=jnp.where(good, SOLVED, NOT_CONVERGED).astype(jnp.int32),
        industry=industry_at(p, u, race.x[0], race.x[1], s_ref),
        laissez_faire=before,
        planner=industry_at(p, u, best.x[0], best.x[1], s_ref, priced=False),
        kappa=kappa,
        residual=jnp.maximum(race.residual, best.residual),
    )
