r"""Claims of paper 1 as margins, positive where they hold. The number of providers is an input of each."""

import dataclasses
import math
from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import Claim, Expectation, Joint, Part, claim_of_parts, parts_of
from jaxecon.models.intelligence_capital import agents, dynamics, market, tokens, wrapper
from jaxecon.models.intelligence_capital.claims_flywheel import flywheel_claims, solved, where_solved
from jaxecon.models.intelligence_capital.equilibrium import Equilibrium, equilibrium, private_return, social_return
from jaxecon.models.intelligence_capital.params import Params, Policy

Scalar = Float[Array, ""]
Margins = Mapping[str, Scalar]
# Training compute grows 4.7 times a year (calibration targets).
COMPUTE_GROWTH = math.log(4.7)


def _alone(p: Params) -> Params:
    """The same industry without an outside good."""
    return eqx.tree_at(lambda q: q.o, p, jnp.zeros_like(p.o))


def _free_logit(p: Params, u: Policy) -> Array:
    """Where (1.6) is stated: logit demand, and no policy that moves prices or the cost of compute."""
    free = (u.compute_tax == 0) & (u.investment_subsidy == 0) & (u.price_cap >= market.NO_CAP)
    return free & (p.pricing == "logit")


# C1.1, C1.2, C1.12: depreciation ---------------------------------------------------------------------------


def _all_rivals(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """1e-10 less the gap, at an unequal industry of five, between the derivative of ln v_i by all rivals' ln A and -theta (1 - s_i)
    (with an outside good: -theta times the rivals' shares)."""
    ln_A = jax.random.normal(key, (5,), p.theta.dtype)
    price = jnp.full((5,), 2.0, p.theta.dtype) * p.mc
    slopes = jax.jacfwd(lambda x: jnp.log(market.shares_at_prices(p, x, price)))(ln_A)
    s = market.shares_at_prices(p, ln_A, price)
    by_rivals = jnp.sum(slopes, axis=1) - jnp.diagonal(slopes)
    return 1e-10 - jnp.max(jnp.abs(by_rivals + p.theta * (jnp.sum(s) - s)))


def _asset(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """C1.2, C1.12 and (1.6) among 25 providers and no outside good."""
    q, eq = solved(_alone(p), u, N=25, timing="two_stage")
    at = eq.industry

    def cross(response: str) -> Scalar:
        return (q.N - 1) * market.cross_value_elasticity(q, u, at.s, response)

    ln_A = jnp.stack([at.ln_A(q)] * 2)

    def rent(rivals: Scalar) -> Scalar:
        """Log rent of one of them, prices following, as its rivals get better."""
        numbers = jnp.asarray([1.0, 24.0], ln_A.dtype)
        s = market.with_derivative(q, u, ln_A.at[1].add(rivals), numbers, jnp.stack([at.s] * 2))
        return jnp.log(market.rent(q, u, s[0]))

    slope = jax.jvp(rent, (jnp.zeros_like(at.s),), (jnp.ones_like(at.s),))[1]
    growth = (q.gamma - at.eps_D(q)) * COMPUTE_GROWTH
    half_life = jnp.log(2.0) / (q.delta_0 - cross("fixed") * growth)
    return where_solved(eq.status == 0, {
        "C1.2a": 1e-10 - jnp.abs(cross("fixed") + q.theta * (1 - at.s)),
        "C1.2b": 0.005 - jnp.abs(cross("fixed") + 2.4),
        "C1.2c": 1e-8 - jnp.abs(cross("bertrand") - slope),
        "C1.2d": 5e-4 - jnp.abs(cross("bertrand") + 2.396),
        "C1.12a": 0.05 - jnp.abs(12 * half_life - 3.3),
        "C1.12b": 365 * half_life / 35,
        "C1.12c": 12 * half_life / 5,
        "C1.3d": jnp.where(
            _free_logit(q, u), 1e-9 - jnp.abs(private_return(q, u, at) / social_return(q, at) * q.chi - market.red_queen_factor(25)), jnp.nan
        ),
    })  # fmt: skip


# C1.3: Red Queen -------------------------------------------------------------------------------------------


def _race(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """(1.6) in both timings, the side of phi(N) on which chi lies against the side of the planner on which the race ends, chi = 1."""
    p = _alone(p)
    two, eq = solved(p, u, timing="two_stage")
    one, other = solved(p, u, timing="simultaneous")
    factor = market.red_queen_factor(p.N)

    def ratio(q: Params, e: Equilibrium) -> Scalar:
        return private_return(q, u, e.industry) / social_return(q, e.industry)

    absolute = eqx.tree_at(lambda q: q.chi, two, jnp.ones_like(p.chi))
    # On which side: the logarithms agree in sign, and their product is positive.
    apart = jnp.log(factor / p.chi)
    race = (1 + p.nu) * (eq.industry.ln_C - eq.planner.ln_C)
    return where_solved((eq.status == 0) & (other.status == 0) & _free_logit(p, u), {
        "C1.3a": 1e-9 - jnp.abs(ratio(two, eq) * p.chi / factor - 1),
        "C1.3b": 1e-9 - jnp.abs(ratio(one, other) * p.chi - 1),
        "C1.3c": jnp.sign(apart) * race,
        "C1.3e": apart,
        "C1.3f": 1 - ratio(absolute, eq),
    })  # fmt: skip


# C1.4 to C1.6: tokens --------------------------------------------------------------------------------------


def _tokens(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """C1.4 with all tokens orchestrated; C1.5: what two readings of the measured elasticities .55 and 1.11 imply."""
    full = eqx.tree_at(lambda q: q.omega_a, p, jnp.ones_like(p.omega_a))
    slow = eqx.tree_at(lambda q: q.lam, full, jnp.full_like(p.lam, 0.1))
    eq = equilibrium(p, u)
    b = tokens.token_elasticity(p)
    margins = {
        "C1.4a": 0.01 - jnp.abs(tokens.documented_arc(full) - 1.42),
        "C1.4b": 0.01 - jnp.abs(tokens.documented_arc(slow) - 1.15),
        "C1.5a": tokens.demand_elasticity(p, eq.industry.price, eq.laissez_faire.price) - 1,
    }
    for measured, id_share, id_years in ((0.55, "C1.5b", "C1.5d"), (1.11, "C1.5c", "C1.5e")):
        margins[id_share] = measured / b
        margins[id_years] = -jnp.log1p(-measured / b) / p.lam
    return where_solved(eq.status == 0, margins)


def _convexity(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """C1.6 on the documented path: signs of second differences after the shock."""
    time = jnp.linspace(0.0, 20.0, 201, dtype=p.lam.dtype)
    found = dynamics.simulate_shock(dataclasses.replace(p, adoption="imitation"), u, time)
    alone = dynamics.simulate_shock(dataclasses.replace(p, adoption="none"), u, time)
    ceiling = tokens.adopted_share(p, found.api_price[-1])
    # The first difference that lies wholly after the shock starts at its date.
    after = time[1:-1] > p.t_shock + 1e-6

    def bend(x: Array) -> Array:
        return x[2:] - 2 * x[1:-1] + x[:-2]

    x = found.adopted[1:-1]
    scale = jnp.max(jnp.abs(bend(found.adopted)))
    early, late = after & (found.adopted[2:] < ceiling / 2), after & (found.adopted[:-2] > ceiling / 2)
    signed = jnp.where(early, bend(found.adopted), jnp.where(late, -bend(found.adopted), jnp.inf))
    # Once adoption is complete there is nothing left to bend.
    signed = jnp.where(x < 0.99 * ceiling, signed, jnp.inf)

    def convex_years(path: Array) -> Scalar:
        return 0.1 * jnp.sum(jnp.cumprod(jnp.where(after, bend(path) > 0, True)) * after)

    with_spread, without = convex_years(found.token_index), convex_years(alone.token_index)
    return {
        "C1.6a": jnp.min(signed) / scale,
        "C1.6b": with_spread - without - 0.5,
        "C1.6c": with_spread,
        "C1.6d": without,
    }


# C1.9: Wrapper Trap ----------------------------------------------------------------------------------------


def _trap(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """a: one peak of app value exactly where b > phi_w, by the sign of its slope on a grid; b: the peak is A_w."""
    ln_A_w = jnp.log(wrapper.critical_capability(p, u))
    exists = wrapper.absorption(p, u) > p.phi_w
    around = jnp.where(exists, ln_A_w, jnp.log(p.m_w) / wrapper.absorption(p, u))
    grid = around + jnp.linspace(-20.0, 20.0, 400, dtype=p.m_w.dtype)
    slope = jax.vmap(jax.grad(lambda x: jnp.log(wrapper.app_value(p, u, x))))(grid)
    peaks = jnp.sum((slope[:-1] > 0) & (slope[1:] < 0))
    right = jnp.where(exists, (peaks == 1) & (slope[-1] < 0), peaks == 0)
    at_peak = jax.grad(lambda x: jnp.log(wrapper.app_value(p, u, x)))(around)
    return {
        "C1.9a": jnp.where(right, jnp.abs(wrapper.absorption(p, u) - p.phi_w), -1.0),
        "C1.9b": 1e-8 - jnp.where(exists, jnp.abs(at_peak), 0.0),
        "C1.9c": wrapper.absorption(p, u) - p.phi_w,
    }


# C1.10: agents ---------------------------------------------------------------------------------------------


def convergence_rate(
    p: Params, u: Policy, key: PRNGKeyArray, sizes: tuple[int, ...] = (250, 1000, 4000), seeds: int = 32
) -> Scalar:
    """Exponent of the root mean square gap of the leader's share between n adopters and their expected moves; no jumps, no exit."""
    still = eqx.tree_at(lambda q: (q.jump_rate, q.F_0), p, (jnp.zeros_like(p.theta),) * 2)
    keys = jax.random.split(key, seeds)

    def gap(n: int) -> Scalar:
        def one(k: PRNGKeyArray) -> Scalar:
            many = agents.run(k, still, u, n, 100, False)
            # Shares move by expectation whatever the number of firms: two are enough.
            limit = agents.run(k, still, u, 2, 100, True)
            return jnp.mean((many.leader - limit.leader)[1:] ** 2)

        return jnp.sqrt(jnp.mean(lax.map(one, keys)))

    y = jnp.log(jnp.stack([gap(n) for n in sizes]))
    x = jnp.log(jnp.asarray(sizes, y.dtype))
    x = x - jnp.mean(x)
    return jnp.sum(x * y) / jnp.sum(x * x)


def _large_numbers(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """.1 less the distance of the exponent from -1/2."""
    return 0.1 - jnp.abs(convergence_rate(p, u, key) + 0.5)


# The table -------------------------------------------------------------------------------------------------


def _group(joint: Joint, id: str, statement: str, grade: str, expectation: Expectation, parts: list[Part], note: str = "", **limits) -> Claim:  # fmt: skip
    return claim_of_parts(id, statement, grade, expectation, parts_of(joint, parts, **limits), joint=joint, note=note)


CLAIMS = (
    Claim("C1.1", "depreciation from all rivals is theta (1 - s_i) at fixed prices", "S", "exact", _all_rivals),
    _group(_asset, "C1.2", "cross-depreciation is -2.4: a provider faces 96 % of the market", "D", "baseline", [
        ("C1.2a", "N = 25, fixed prices: -theta (1 - 1/N)", "exact", "S"),
        ("C1.2b", "-2.4 within .005", "calibrated", "D"),
        ("C1.2c", "re-equilibrated prices: the closed form is the derivative through the market", "exact", "S"),
        ("C1.2d", "-2.396 with re-equilibrated prices", "calibrated", "R"),
    ]),
    claim_of_parts("C1.3", "Red Queen: private over social return above one iff chi < phi(N)", "R", "exact", [
        *parts_of(_race, [
            ("C1.3a", "two-stage race: the ratio is phi(N)/chi", "exact", "R"),
            ("C1.3b", "simultaneous race: the ratio is 1/chi", "exact", "R"),
            ("C1.3c", "the race ends above the planner's compute iff chi < phi(N)", "exact", "R"),
        ]),
        *parts_of(_asset, [("C1.3d", "25 providers: the ratio is phi(25)/chi", "exact", "R")]),
        *parts_of(_race, [
            ("C1.3e", "ln(phi(N)/chi): over-investment where positive", "region", "R"),
            ("C1.3f", "no Red Queen where capability counts in full (chi = 1)", "exact", "R"),
        ]),
    ], joint=_race, note="stated without outside good and policy"),
    _group(_tokens, "C1.4", "midpoint arc elasticity of tokens 1.42, shock at t = 5 against T = 20", "D", "baseline", [
        ("C1.4a", "1.42 within .01 at lambda .30, intensive margin, omega_a = 1", "calibrated", "D"),
        ("C1.4b", "1.15 within .01 at lambda .10: the number is about lambda", "calibrated", "R"),
    ]),
    _group(_tokens, "C1.5", "spend rises when the price falls", "D", "region", [
        ("C1.5a", "price elasticity of all tokens less one, in the long run", "region", "D"),
        ("C1.5b", "orchestrated share that .55 implies, adjustment complete", "report", "E"),
        ("C1.5c", "orchestrated share that 1.11 implies, adjustment complete", "report", "E"),
        ("C1.5d", "horizon in years that .55 implies, all tokens orchestrated", "report", "E"),
        ("C1.5e", "horizon in years that 1.11 implies, all tokens orchestrated", "report", "E"),
    ], "the measured elasticities fix a product of share and adjustment: the two readings are not separately identified"),
    _group(_convexity, "C1.6", "tokens are convex after the shock until adoption passes half of its ceiling", "D", "baseline", [
        ("C1.6a", "adoption by imitation: convex below x*/2, concave above", "baseline", "S"),
        ("C1.6b", "imitation keeps tokens convex for half a year longer than partial adjustment alone", "baseline", "R"),
        ("C1.6c", "years of convexity with imitation", "report", "R"),
        ("C1.6d", "years of convexity with partial adjustment alone", "report", "R"),
    ], cost="path", max_draws=4096),
    _group(flywheel_claims, "C1.7", "Omega* = 1/(theta eps_D - 1) is where symmetry breaks", "D", "exact", [
        ("C1.7a", "root of the autodiff growth rate", "exact", "S"),
        ("C1.7b", "zero of growth rates fitted on simulated paths at six strengths, within 5 %", "exact", "R"),
    ], "fixed prices, eps_D held (default path); not a number where no strength breaks symmetry", cost="path", max_draws=4096),
    _group(flywheel_claims, "C1.8", "duopoly: share .5 below Omega*, to 1 above; three and more: bistability below Omega*", "D", "baseline", [
        ("C1.8a", "duopoly: share .5 at .95 Omega*", "baseline", "D"),
        ("C1.8b", "duopoly: the leader's share rises with strength and passes .98 at 50 Omega*", "baseline", "D"),
        ("C1.8c", "duopoly: .558, .676, .833, .979 at strengths 1.51, 1.6, 2, 5", "calibrated", "R"),
        ("C1.8d", "three providers: leader and symmetry both stable between fold and Omega*", "baseline", "R"),
        ("C1.8e", "folds at 1.436, 1.274, .792 for 3, 5, 25 providers", "calibrated", "R"),
    ], cost="path", max_draws=4096),
    _group(_trap, "C1.9", "app value peaks at a finite A_w iff b > phi_w", "R", "exact", [
        ("C1.9a", "one peak where b > phi_w, none elsewhere", "exact", "R"),
        ("C1.9b", "the slope of log app value is zero at A_w", "exact", "R"),
        ("C1.9c", "b less phi_w: a trap exists where positive", "region", "R"),
    ]),
    Claim("C1.10", "agents converge to their expected moves at rate n^(-1/2), jumps off", "R", "limit", _large_numbers,
          cost="agents", max_draws=1),
    _group(flywheel_claims, "C1.11", "data sharing that stabilizes Omega = 3: .125 (N = 2), .059 (N = 5)", "R", "exact", [
        ("C1.11a", "the autodiff growth rate is zero at the formula's phi", "exact", "R"),
        ("C1.11b", ".125 and .059 at eps_D = 2/3", "calibrated", "R"),
    ], cost="path", max_draws=4096),
    _group(_asset, "C1.12", "half-life of value 3.3 months at compute growth ln 4.7 a year", "R", "baseline", [
        ("C1.12a", "3.3 months within .05, N = 25", "calibrated", "R"),
        ("C1.12b", "half-life over the 35 days that a model stays at rank 1", "report", "E"),
        ("C1.12c", "half-life over the five months that a model stays in the top five", "report", "E"),
    ]),
)  # fmt: skip
