r"""The mean field (3.4) over any space of skills: path, stationary law, accounts. One skill or two are two `Space`s.

    mu_t = lambda div(sigma grad mu - mu grad pi(s, mu)),   pi = max{w_0, pi_A, pi_H} - maintenance + subsidy

The market clears at every date (`assignment`); skills then move one implicit step on those payoffs. A path is first
order in its step; its rest points are exact. The AI ceiling is $q_A(t) = q_A (1 - (1 - q_{A0}) e^{-\rho t})$.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.core.fields import series
from jaxecon.models.supply_shock import market
from jaxecon.models.supply_shock.assignment import (
    ANNEALING,
    Assignment,
    Types,
    assign,
    deposit,
    excess,
    first_guess,
    occupations,
    quality_grid,
    supply_above,
    tolerance,
)
from jaxecon.models.supply_shock.params import Params, Policy
from jaxecon.numerics.fokker_planck import entropy, evolve
from jaxecon.numerics.linear import solve_dense


class Space(NamedTuple):
    """A space of skills on a grid of equal cells.

    - `shape(p)`: cells per axis; `points`: quadrature points per cell (they follow one another in `types`).
    - `types(p, mass, ceiling)`: the creators behind cell masses of that shape; `top(p)`: best human quality.
    - `maintenance(p)`: cost of keeping a skill, per cell; `lift(p)`: the direction that `reskilling_subsidy` pays for.
    - `temperature`: of occupational choice, in units of theta_max.
    """

    shape: Callable[[Params], tuple[int, ...]]
    types: Callable[[Params, Array, Array], Types]
    top: Callable[[Params], Array]
    maintenance: Callable[[Params], Array]
    lift: Callable[[Params], Array]
    points: int
    temperature: float


class MarketPath(eqx.Module):
    """Series that both mean fields share; shape `[T]`."""

    time: Float[Array, " T"] = series("time", unit="periods", doc="date", symbol="t")
    ai_ceiling: Float[Array, " T"] = series("time", unit="quality", doc="AI ceiling q_A(t)", symbol="q_A")
    human_share: Float[Array, " T"] = series(
        "time", unit="share of creators", doc="creators who create without AI", symbol="share_H"
    )
    ai_share: Float[Array, " T"] = series(
        "time", unit="share of creators", doc="creators who work with AI", symbol="share_A"
    )
    exit_share: Float[Array, " T"] = series("time", unit="share of creators", doc="exits", symbol="share_E")
    ai_volume: Float[Array, " T"] = series("time", unit="items per buyer", doc="AI content sold", symbol="D_A")
    coverage: Float[Array, " T"] = series("time", unit="share of buyers", doc="buyers served, M(0)", symbol="S")
    search_penalty: Float[Array, " T"] = series("time", unit="money", doc="search penalty", symbol="Phi")
    revenue: Float[Array, " T"] = series("time", unit="money", doc="what buyers pay in all", symbol="R")
    human_income: Float[Array, " T"] = series(
        "time", unit="money", doc="income of human creators net of cost", symbol="Y_H"
    )
    ai_income: Float[Array, " T"] = series(
        "time", unit="money", doc="income of AI-assisted creators net of cost", symbol="Y_A"
    )
    median_income: Float[Array, " T"] = series(
        "time", unit="money per creator", doc="median income of active creators", symbol="y_med"
    )
    revenue_per_active: Float[Array, " T"] = series(
        "time", unit="money per creator", doc="revenue per active creator", symbol="R_active"
    )
    consumer_surplus: Float[Array, " T"] = series("time", unit="money", doc="buyers' surplus", symbol="CS")
    welfare: Float[Array, " T"] = series(
        "time", unit="money", doc="surplus of buyers and creators, maintenance of skill deducted", symbol="W"
    )
    free_energy: Float[Array, " T"] = series(
        "time", unit="money per creator", doc="sigma int mu ln mu - V(mu), V = W/n before rebates", symbol="F_energy"
    )
    accounts_gap: Float[Array, " T"] = series(
        "time", unit="1", doc="welfare by two routes: qualities less incomes", symbol="gap"
    )
    solved: Float[Array, " T"] = series("time", unit="1", doc="1 where the market of the date cleared", symbol="solved")


def ai_ceiling(p: Params, t: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""AI quality ceiling at date t [R]: $q_A(t) = q_A (1 - (1 - q_{A0}) e^{-\rho t})$."""
    return p.q_A * (1 - (1 - p.q_A0) * jnp.exp(-p.rho * t))


def without_ai(p: Params) -> Params:
    """The same economy with AI priced out of use and lending no technique: before the shock, and the control."""
    price_out = jnp.full_like(p.kappa, 1e3) * (1 + p.theta_max)
    return eqx.tree_at(lambda t: (t.kappa, t.T_A), p, (price_out, jnp.zeros_like(p.T_A)))


def skill_payoff(space: Space, p: Params, u: Policy, best: Float[Array, " I"]) -> Float[Array, "..."]:
    r"""Payoff of each cell that moves skills (3.4): $\max\{w_0, \pi_A, \pi_H\}$ - maintenance + subsidy.

    `best`: expected best payoff of each type. The subsidy b pays b per unit of skill and period, a drift $\lambda b$.
    """
    cells = jnp.mean(best.reshape(*space.shape(p), space.points), axis=-1)
    return cells - space.maintenance(p) + u.reskilling_subsidy * space.lift(p)


def stationary_state(
    space: Space, p: Params, u: Policy, start: Float[Array, ""] | float = 1.0
) -> tuple[Float[Array, " K1"], Float[Array, "..."]]:
    r"""Stationary prices and law (Theorem 3.4): $\mu^* \propto \exp(\pi(\cdot; p^*)/\sigma)$ and $p^*$ clears for $\mu^*$.

    Newton on the nodal prices and D_A alone: the law is a closed form of them. Returns the state and the log of the
    law (up to a constant), whose derivative is that of the implicit function theorem (first order). `start` scales
    the first guess of prices and volume, for multi-start.
    """
    tol = tolerance(p.q_A.dtype)
    uniform = jnp.full(space.shape(p), 1.0, p.q_A.dtype)

    def law(state: Array, p: Params, u: Policy, factor: Array | float) -> tuple[Array, Any]:
        blank = space.types(p, uniform / uniform.size, p.q_A)
        grid = quality_grid(blank, p.q_A, space.top(p))
        tau = space.temperature * p.theta_max * factor
        occ = occupations(state, (p, u, blank, grid, tau))
        log_law = skill_payoff(space, p, u, occ.best) / p.sigma
        mass = jax.nn.softmax(log_law.ravel()).reshape(log_law.shape)
        return log_law, (p, u, space.types(p, mass, p.q_A), grid, tau)

    def gap(state: Array, p: Params, u: Policy, factor: Array | float) -> Array:
        return excess(state, law(state, p, u, factor)[1])

    fixed_p, fixed_u = lax.stop_gradient((p, u))
    shrink = jnp.asarray([1.0, 0.5, 0.2, 0.05, 0.01], p.q_A.dtype)

    def stage(state: Array, factor: Array) -> tuple[Array, None]:
        def body(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            state, best, count = carry
            jac = jax.jacfwd(gap)(state, fixed_p, fixed_u, factor)
            step = solve_dense(jac, gap(state, fixed_p, fixed_u, factor))
            trials = state - shrink[:, None] * jnp.where(jnp.isfinite(step), step, 0.0)
            sizes = jax.vmap(lambda z: jnp.linalg.norm(gap(z, fixed_p, fixed_u, factor)))(trials)
            sizes = jnp.where(jnp.isfinite(sizes), sizes, jnp.inf)
            pick = jnp.argmin(sizes)
            better = sizes[pick] < best
            return (
                jnp.where(better, trials[pick], state),
                jnp.where(better, sizes[pick], best),
                jnp.where(better, count + 1, 30),
            )

        first = jnp.linalg.norm(gap(state, fixed_p, fixed_u, factor))
        start = (state, first, jnp.zeros((), jnp.int32))
        return lax.while_loop(lambda c: (c[1] > tol) & (c[2] < 30), body, start)[0], None

    nodes = quality_grid(space.types(fixed_p, uniform / uniform.size, fixed_p.q_A), fixed_p.q_A, space.top(fixed_p)).q
    state, _ = lax.scan(stage, start * first_guess(fixed_p, nodes), jnp.asarray(ANNEALING, nodes.dtype))
    state = lax.stop_gradient(state)
    jac = lax.stop_gradient(jax.jacfwd(gap)(state, fixed_p, fixed_u, 1.0))
    state = state - solve_dense(jac, gap(state, p, u, 1.0))
    return state, law(state, p, u, 1.0)[0]


def no_ai_log_law(space: Space, p: Params) -> Float[Array, "..."]:
    """Log of the stationary law without AI and without instruments, up to a constant."""
    return stationary_state(space, without_ai(p), Policy())[1]


def initial_law(space: Space, p: Params) -> Float[Array, "..."]:
    """Cell masses at the shock: the no-AI fixed point times exp(-tilt x lift)."""
    log_law = no_ai_log_law(space, p) - p.tilt * space.lift(p)
    return jax.nn.softmax(log_law.ravel()).reshape(log_law.shape)


def weighted_median(values: Float[Array, " k"], weights: Float[Array, " k"]) -> Float[Array, ""]:
    """Median of a weighted sample, linear between the midpoints of its steps."""
    order = jnp.argsort(lax.stop_gradient(values))
    v, w = values[order], weights[order]
    return jnp.interp(jnp.sum(w) / 2, jnp.cumsum(w) - w / 2, v)


def market_accounts(space: Space, p: Params, u: Policy, mass: Array, a: Assignment) -> dict[str, Array]:
    r"""Quantities, incomes, welfare (3.2) and free energy of one date.

    $V = W/n$ before rebated revenue, plus the entropy of occupational choice at its small temperature: exactly the
    function whose derivative is `skill_payoff` at beta = chi = 0. Free energy is $\sigma\int\mu\ln\mu - V$.
    """
    occ, types = a.occupations, a.types
    tau = space.temperature * p.theta_max
    args = (p, u, types, a.grid, tau)
    served = deposit(a.state, args, occ)
    above, width = supply_above(served), jnp.diff(a.grid.q, prepend=0.0)
    first, second, total = jnp.sum(width * above), jnp.sum(width * above**2), jnp.sum(served)
    humans, adopters = types.mass * occ.human, types.mass * occ.ai
    share_h, share_a = jnp.sum(humans), jnp.sum(adopters)
    volume = p.n * p.k_A * share_a
    phi = market.search_penalty(p, u, volume)
    paid = phi * total * market.penalized_demand(p, total)
    lost = phi * market.penalty_burden(p, total)
    ai_quality_sold = p.n * p.k_A * jnp.sum(adopters * types.ai)
    human_cost = p.n * jnp.sum(humans * market.human_cost(p, types.human))
    costs = p.c_A * ai_quality_sold + p.n * p.kappa * share_a + human_cost
    outside = p.n * p.w_0 * (1 - share_h - share_a)
    public = u.input_levy * ai_quality_sold + u.volume_charge * volume + p.n * u.entry_fee * share_a
    search_cost = p.c_x * u.search_quality**2 / 2
    revenue = p.theta_max * (first - second) - paid
    surplus = p.theta_max * second / 2 - (lost - paid)
    welfare = p.theta_max * (first - second / 2) - lost - costs + outside - search_cost
    human_income = p.n * jnp.sum(humans * occ.pay_human)
    ai_income = p.n * jnp.sum(adopters * occ.pay_ai)
    by_incomes = surplus + human_income + ai_income + outside + public - search_cost
    maintenance = jnp.sum(mass * space.maintenance(p))
    pull = u.reskilling_subsidy * jnp.sum(mass * space.lift(p))
    choices = jnp.stack([1 - occ.human - occ.ai, occ.human, occ.ai])
    noise = -tau * jnp.sum(types.mass * jnp.sum(jax.scipy.special.xlogy(choices, jnp.maximum(choices, 1e-300)), axis=0))
    potential = (welfare - public) / p.n - maintenance + pull + noise
    return dict(
        human_share=share_h,
        ai_share=share_a,
        exit_share=1 - share_h - share_a,
        ai_volume=volume,
        coverage=total,
        search_penalty=phi,
        revenue=revenue,
        human_income=human_income,
        ai_income=ai_income,
        median_income=weighted_median(
            jnp.concatenate([occ.pay_human, occ.pay_ai]), jnp.concatenate([humans, adopters])
        ),
        revenue_per_active=revenue / (p.n * (share_h + share_a)),
        consumer_surplus=surplus,
        welfare=welfare - p.n * maintenance,
        free_energy=p.sigma * entropy(mass, 1.0 / mass.size) - potential,
        accounts_gap=(welfare - by_incomes) / p.theta_max,
        solved=a.solved.astype(mass.dtype),
    )


def march(
    space: Space,
    p: Params,
    u: Policy,
    time: Float[Array, " T"],
    mass: Float[Array, "..."],
    ceilings: Float[Array, " T"],
    more: Callable[[Array, Assignment], dict[str, Array]],
) -> dict[str, Array]:
    """All series of `MarketPath` and those of `more(mass, assignment)` at the dates `time`, from `mass` at the first.

    One implicit step between two dates, on the payoffs of the earlier one; checkpointed for reverse mode.
    Instruments may be scalars or paths of the length of `time`.
    """
    widths = tuple(1 / k for k in mass.shape)
    paths = jax.tree.map(lambda x: jnp.broadcast_to(x, time.shape), u)

    @jax.checkpoint
    def step(carry: tuple[Array, Array], date: tuple[Array, Array, Policy]) -> tuple[tuple[Array, Array], dict]:
        mass, state = carry
        ceiling, dt, u = date
        types = space.types(p, mass, ceiling)
        a = assign(p, u, types, ceiling, space.top(p), state, space.temperature)
        values = market_accounts(space, p, u, mass, a) | more(mass, a)
        after = evolve(mass, skill_payoff(space, p, u, a.occupations.best), p.sigma, p.lam, widths, dt)
        return (after, lax.stop_gradient(a.state)), values

    dates = (ceilings, jnp.diff(time, append=time[-1:]), paths)
    nodes = quality_grid(space.types(p, mass, ceilings[0]), ceilings[0], space.top(p)).q
    _, values = lax.scan(step, (mass, lax.stop_gradient(first_guess(p, nodes))), dates)
    return dict(time=time, ai_ceiling=ceilings, **values)
