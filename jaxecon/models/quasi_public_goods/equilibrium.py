r"""The market equilibrium: a symmetric Nash equilibrium of the closed providers, the open model's capacity, outcomes.

Unknowns: the log margin of a closed provider and the log loads of a closed and of the open model. The Jacobian and the
start come from a coarse population; Broyden steps on the full one do the rest.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.core import model as core
from jaxecon.core.fields import fields_of
from jaxecon.economics.inequality import gini, herfindahl
from jaxecon.models.quasi_public_goods import data, market
from jaxecon.models.quasi_public_goods.market import Provision, Responses, State
from jaxecon.models.quasi_public_goods.outcome_fields import Outcomes
from jaxecon.models.quasi_public_goods.params import Params, Policy
from jaxecon.models.quasi_public_goods.publicness import publicness
from jaxecon.models.quasi_public_goods.users import Population, by_decile, consumer_surplus, population, rule
from jaxecon.numerics.linear import solve_small
from jaxecon.numerics.roots import attach_derivative, find_root, first_success
from jaxecon.numerics.tracking import track_root

Scalar = Float[Array, ""]

# Where the search begins: (ln margin, ln closed load, ln open load) at the baseline, and their elasticities, a regression
# over solved points of the box. A start, not an answer: any number here gives the same equilibrium or none.
START = (2.89, -1.43, -0.73)
ELASTICITIES = {
    "v_med": (0.18, -0.17, 0.09), "sd_v": (1.0, -1.18, 0.13), "h_0": (-0.07, 0.04, -0.76), "tau": (0.29, 0.02, 0.36),
    "k": (-0.68, 0.99, -0.19), "p_o": (-0.02, 0.01, -0.17), "eta_h": (0.01, -0.01, 0.08), "q_c": (0.18, -0.12, -1.35),
    "q_o": (0.0, -0.05, 1.48), "service_c": (-0.21, 0.21, -0.59), "service_o": (0.06, -0.04, 0.52),
    "K_o": (-0.1, 0.03, -0.61), "r_K": (0.55, 0.14, 0.31),
}  # fmt: skip
# Further starts for cells where the first one fails.
SHIFTS = ((0.0, 0.0, 0.0), (0.4, -0.4, 0.0), (-0.4, 0.4, 0.0), (0.8, -0.8, -0.2), (0.2, -0.2, 0.5), (-0.2, 0.0, -0.6))
# Inverse Jacobian of the conditions at the baseline, where the search begins: no number of it matters for the answer.
INVERSE = ((0.74, 0.55, -0.14), (-0.37, 0.14, 0.04), (0.53, 0.41, -0.74))
# The search runs on a coarse population first: three groups of incomes (the voucher reaches the first), few nodes.
COARSE = rule((0.3, 0.5, 0.2), 4, 81)
COARSE_TOL = 1e-4

NO_MARGIN = core.FIRST_REASON
REASONS = {
    NO_MARGIN: ("NO_MARGIN", "closed providers would lose money: they leave and the equilibrium has no such model")
}


class Equilibrium(core.Equilibrium):
    """`y`: the unknowns (log margin, log loads); what the models offer, the users and their surplus, the market, the
    responses of use."""

    y: Float[Array, "3"]
    offer: Provision
    pop: Population
    state: State
    response: Responses
    surplus: Float[Array, ""]


Args = tuple[Params, Provision, Population]


def starts(args: Args) -> Float[Array, "6 3"]:
    """Where the search begins, the likeliest first."""
    p, offer, _ = args
    values = {
        "q_c": offer.q[0], "q_o": offer.q[2], "service_c": offer.service[0], "service_o": offer.service[2],
        "K_o": offer.K_o, "r_K": offer.r,
    }  # fmt: skip
    y = jnp.asarray(START, p.tau.dtype)
    for name, powers in ELASTICITIES.items():
        base = fields_of(Params)[name].default
        ratio = values.get(name, getattr(p, name)) / base
        y = y + jnp.asarray(powers, y.dtype) * jnp.log(jnp.maximum(ratio, 0.05))
    return y + jnp.asarray(SHIFTS, y.dtype)


def profitable(y: Float[Array, "3"], k: Scalar) -> Bool[Array, ""]:
    r"""Whether more capacity is worth less to a closed provider than the last unit.

    The value of capacity is proportional to $x^{k+1}/(1+x^k)^2$ at the load x, which rises with capacity beyond
    $x = ((k+1)/(k-1))^{1/k}$: there all conditions hold at a second root (2.4), in a minimum of profit.
    """
    most = jnp.where(k > 1, jnp.log((k + 1) / jnp.maximum(k - 1, 1e-6)) / k, jnp.inf)
    return y[1] < most


def attempt(y0: Float[Array, "3"], args: Args) -> tuple[Float[Array, "3"], Bool[Array, ""]]:
    """Safeguarded Newton from one start, for cells where Broyden's steps go astray."""
    root = find_root(market.conditions, y0, args, max_steps=60, max_step=0.7)
    return root.x, root.converged & profitable(root.x, args[0].k)


def solve(p: Params, offer: Provision, pop: Population) -> tuple[Float[Array, "3"], Bool[Array, ""]]:
    """Root of `market.conditions`: Broyden's steps on a coarse population, then on the full one; no derivative."""
    args = lax.stop_gradient((p, offer, pop))
    y0, rough = starts(args)[0], (*args[:2], population(args[0], COARSE))
    inverse = jnp.asarray(INVERSE, y0.dtype)
    near = track_root(market.conditions, y0, inverse, rough, max_steps=25, tol=COARSE_TOL)
    root = track_root(market.conditions, near.x, near.inverse, args, max_steps=20)
    good = root.residual <= (1e-10 if jnp.finfo(root.x.dtype).bits == 64 else 1e-3)
    good = good & profitable(root.x, args[0].k)
    return lax.cond(good, lambda: (root.x, good), lambda: first_success(attempt, starts, args))


def equilibrium(p: Params, u: Policy) -> Equilibrium:
    """Solve (2.1)-(2.4); the derivative is that of the implicit function theorem."""
    offer, pop = market.provision(p, u), population(p)
    y, good = solve(p, offer, pop)
    y = attach_derivative(market.conditions, y, (p, offer, pop), good)
    # The barrier keeps the compiler from recomputing the market in every outcome.
    s = lax.optimization_barrier(market.state(y, p, offer, pop))
    r = market.responses(p.tau, p.k, offer.q, s.load, s.demand)
    status = jnp.where(good, core.SOLVED, core.NOT_CONVERGED)
    status = jnp.where(good & (market.operating_profit(p, offer, s) < 0), NO_MARGIN, status).astype(jnp.int32)
    users = consumer_surplus(p.tau, pop, s.quality, s.access)
    return Equilibrium(status, y, offer, pop, s, r, users)


def public_cost(p: Params, u: Policy, s: State, pop: Population) -> Scalar:
    r"""Outlays [R]: support, capacity paid by the state, public compute, vouchers."""
    private = s.K[0] + s.K[1] + p.K_o
    reached = jnp.sum(pop.poor * s.demand.n_y)
    return (
        p.cost_support * u.open_source_support**2
        + p.r_K * (u.compute_subsidy * private + u.public_compute)
        + u.access_voucher * reached
    )


def quality_cost(p: Params, q: Array) -> Array:
    r"""$cost(q) = \kappa_q q^2/2$ (2.8)."""
    return p.kappa_q * q**2 / 2


def producer_surplus(p: Params, u: Policy, offer: Provision, s: State) -> Scalar:
    r"""$\sum_j [(p_j - c_j) n_j - r K_j - cost(q_j)]$ at private costs of capacity; hosts of leaked revenue included."""
    private = s.K - jnp.stack([0.0, 0.0, 1.0]) * u.public_compute
    return jnp.sum((s.price - offer.c) * s.demand.n - offer.r * private - quality_cost(p, offer.q))


def welfare(p: Params, u: Policy, eq: Equilibrium) -> Scalar:
    r"""$W = CS + PS + X - \text{mcpf}\,G$ plus the gain from disclosed data (2.6) [S]."""
    firms, outlays = producer_surplus(p, u, eq.offer, eq.state), public_cost(p, u, eq.state, eq.pop)
    X = market.externality(p, eq.offer, eq.state.demand.n)
    return eq.surplus + firms + X - p.mcpf * outlays + data.disclosure_gain(p, u.data_disclosure)


def frontier_growth(p: Params, profit: Scalar) -> Scalar:
    r"""$d\ln q_c/dt = g_0 (\Pi_c/\Pi_0)^\zeta$ (2.5)."""
    return p.g_0 * jnp.exp(p.zeta * jnp.log(jnp.maximum(profit / p.Pi_0, 1e-12)))


def catch_up(p: Params, o_c: Scalar) -> Scalar:
    r"""$\lambda = \lambda_0 (1 + \kappa_o o_c)$ (2.5)."""
    return p.lambda_0 * (1 + p.kappa_o * o_c)


def openness_wedge(p: Params, offer: Provision, s: State, r: Responses) -> Scalar:
    r"""Social less private value of a closed model's openness, use and prices given to society [R].

    Social: $gate\,n + \sum_c \chi_c w_c n^{\nu_c}$. Private: lower gates sell like a lower price, and the leak costs revenue.
    """
    chi, w, nu = market.channels(p)
    n, gate = s.demand.n[0], offer.gate[0]
    social = gate * n + jnp.sum(chi * w * n**nu)
    margin = market.kept(p, offer) * s.price[0] - offer.c[0]
    return social - (margin * gate * r.price * n - p.leak * s.price[0] * n)


def outcomes(p: Params, u: Policy, eq: Equilibrium) -> Outcomes:
    """All outcomes at an equilibrium."""
    offer, pop, s, r = eq.offer, eq.pop, eq.state, eq.response
    n, B = s.demand.n, s.demand.B
    total = jnp.sum(n)
    share = n / total
    index = publicness(p, offer, pop, s)
    spill = jnp.sum(market.spillovers(p, offer.o, n), axis=1)
    X = market.externality(p, offer, n)
    profit = market.operating_profit(p, offer, s)
    MCC = s.quality * B * market.congestion(s.load, p.k) / n
    MX = market.marginal_externality(p, offer, n)
    wedge_p = s.price - (offer.c + MCC - MX)
    wedge_K = MCC * s.load - p.r_K
    wedge_q = B * s.quality / offer.q - p.kappa_q * offer.q
    markup = 1 / r.price
    served = by_decile(jnp.sum(s.demand.n_y, axis=0), p.ny)
    growth, speed = frontier_growth(p, profit), catch_up(p, offer.o[0])
    closed_and_open = {
        "publicness": index.index, "non_rivalry": index.NR, "non_excludability": index.NE, "net_externality": index.NX,
        "use": n, "share": share, "load": s.load, "delivered_quality": s.quality, "benefit": B, "congestion_cost": MCC,
        "marginal_externality": MX, "price_wedge": wedge_p, "capacity_wedge": wedge_K, "quality_wedge": wedge_q,
    }  # fmt: skip
    return Outcomes(
        publicness=index.market,
        marginal_publicness=index.marginal,
        welfare=welfare(p, u, eq),
        consumer_surplus=eq.surplus,
        producer_surplus=producer_surplus(p, u, offer, s),
        externality=X,
        public_cost=public_cost(p, u, s, pop),
        disclosure_gain=data.disclosure_gain(p, u.data_disclosure),
        quality_cost=jnp.sum(quality_cost(p, offer.q)),
        closed_profit=profit,
        open_profit=(s.price[2] - offer.c[2]) * n[2] - offer.r * p.K_o,
        knowledge_diffusion=spill[0],
        innovation_acceleration=spill[1],
        industry_transformation=spill[2],
        network_externality=market.network(p, n),
        harm=jnp.sum(offer.z * n),
        use=total,
        concentration=herfindahl(share),
        closed_price=s.price[0],
        closed_capacity=s.K[0],
        open_capacity=s.K[2],
        openness_wedge=openness_wedge(p, offer, s, r),
        closed_markup=markup,
        restoring_subsidy=markup - MCC[0] + MX[0],
        served=total,
        access_gini=gini(served, jnp.full(10, 0.1, total.dtype)),
        frontier_growth=growth,
        open_lag=1 / speed,
        steady_quality_gap=growth / speed,
        exchange_to_broker=data.exchange_to_broker(p),
        **{f"access_{d + 1}": served[d] for d in range(10)},
        **{f"closed_{name}": x[0] for name, x in closed_and_open.items()},
        **{f"open_{name}": x[2] for name, x in closed_and_open.items()},
    )


def closed_responses(p: Params, s: State, offer: Provision) -> tuple[Scalar, Scalar]:
    r"""Own price semi-elasticity and capacity response of a closed model by a second route: the 3 x 3 system itself."""
    A, M = market.demand_slopes(p.tau, s.demand)
    slope = s.quality * market.congestion(s.load, p.k) / s.demand.n
    system = jnp.eye(3, dtype=slope.dtype) + M * slope
    by_price, by_quality = solve_small(system, A[:, 0])[0], solve_small(system, M[:, 0])[0]
    return by_price / s.demand.n[0], by_quality * slope[0] * s.load[0]


def identities(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Float[Array, ""]]:
    """Residuals of equations that were not solved: mass, both Nash conditions by a second route, welfare in parts."""
    offer, pop, s = eq.offer, eq.pop, eq.state
    d = s.demand
    price, capacity = closed_responses(p, s, offer)
    margin = market.kept(p, offer) * s.price[0] - offer.c[0]
    # The planner's formula: transfers cancel, resources and the excess burden of public funds remain.
    outlays = public_cost(p, u, s, pop)
    resources = jnp.sum((s.price - offer.c) * d.n - p.r_K * s.K - quality_cost(p, offer.q))
    voucher = u.access_voucher * jnp.sum(pop.poor * d.n_y)
    burden = (p.mcpf - 1) * outlays + voucher + p.cost_support * u.open_source_support**2
    X = jnp.sum(market.spillovers(p, offer.o, d.n)) + market.network(p, d.n) - jnp.sum(offer.z * d.n)
    second = eq.surplus + resources + X - burden + data.disclosure_gain(p, u.data_disclosure)
    first = welfare(p, u, eq)
    return {
        "population": jnp.sum(pop.weight) - 1,
        "closed_price": margin * price / market.kept(p, offer) - 1,
        "closed_capacity": margin * capacity / offer.r - 1,
        "open_load": d.n[2] / offer.K_o / s.load[2] - 1,
        "closed_congestion": s.quality[0] * (1 + (d.n[0] / s.K[0]) ** p.k) / offer.q[0] - 1,
        "welfare": (first - second) / (jnp.abs(first) + eq.surplus),
    }


def branches(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Bool[Array, ""]]:
    """Which models congest, and whether the market under-prices."""
    return {
        "open model overloaded": eq.state.load[2] > 1,
        "closed model overloaded": eq.state.load[0] > 1,
        "closed profit covers quality": market.operating_profit(p, eq.offer, eq.state) > quality_cost(p, eq.offer.q[0]),
    }
