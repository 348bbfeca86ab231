"""Claims of the macro report that need no transition: two countries, tasks, debt arithmetic."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.models.ai_growth import countries
from jaxecon.models.ai_growth.economy import task_price
from jaxecon.models.ai_growth.params import Params, Policy

Scalar = Float[Array, ""]
Margins = dict[str, Scalar]
T_2, BOUNDARY_T_2 = (5.0, 10.0, 15.0, 20.0, 30.0), (0.0018, 0.0032, 0.0047, 0.0062, 0.0092)
TH_A, BOUNDARY_TH_A = (0.0, 0.5, 1.0, 2.0), (0.0065, 0.0047, 0.0037, 0.0025)
# A number that is printed with four digits after the point.
FOUR_DIGITS = 6e-5


def _like(p: Params, x: float) -> Scalar:
    return jnp.full_like(p.alpha, x)


def _worst(*gaps: Array) -> Scalar:
    return jnp.max(jnp.stack([jnp.max(jnp.abs(g)) for g in gaps]))


# C8.2 ------------------------------------------------------------------------------------------------------


def growth_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """C8.2. a, b: growth of technology in 2020 by size, and by leading instead of following, relative to growth; c, d: without
    research and lead, ten times the size leaves growth over 40 years as it is, and the follower grows faster in each year."""
    leads, follows = jnp.abs(p.x_0), -jnp.abs(p.x_0)
    zero = _like(p, 0.0)

    def growth(sizes: tuple[Scalar, Scalar], x: Scalar) -> Array:
        q = eqx.tree_at(lambda r: (r.L_1, r.L_2), p, sizes)
        return jnp.stack(countries.technology_growth(q, x, zero))

    by_size = jax.jacfwd(growth)((p.L_1, p.L_2), leads)
    first = growth((p.L_1, p.L_2), leads)
    gain = countries.research(p, leads, zero)[0] - countries.research(p, follows, zero)[0]
    still = eqx.tree_at(lambda q: (q.nu, q.fm, q.x_0), p, (zero, zero, leads))
    time = jnp.arange(countries.HORIZON + 1, dtype=p.alpha.dtype)
    small = countries.simulate(still, u, time)
    large = countries.simulate(eqx.tree_at(lambda q: (q.L_1, q.L_2), still, (10 * p.L_1, 10 * p.L_2)), u, time)
    faster = jnp.where(leads > 0, jnp.min(small.technology_growth_2 - small.technology_growth_1), jnp.nan)
    return {
        "C8.2a": jnp.minimum(by_size[0][0] * p.L_1 / first[0], by_size[1][1] * p.L_2 / first[1]),
        "C8.2b": jnp.where(leads > 0, gain, jnp.nan),
        "C8.2c": 1e-14 - _worst(large.growth_1 - small.growth_1, large.growth_2 - small.growth_2),
        "C8.2d": faster,
    }


# C8.3 ------------------------------------------------------------------------------------------------------


def alike(p: Params) -> Params:
    """Two countries of the same size and research."""
    return eqx.tree_at(lambda q: (q.L_2, q.rd_2), p, (p.L_1, p.rd_1))


def boundary_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """C8.3a to d. a: four digits of the nine numbers; b: the boundary rises with t_2 and falls with th_A; c: it is one: the lead in
    2060 rises just below and falls just above; d: the boundary at the declared sizes."""
    same = alike(p)

    def boundary(t_2: Scalar, th_A: Scalar) -> Scalar:
        return countries.imitation_boundary(eqx.tree_at(lambda q: (q.t_2, q.th_A), same, (t_2, th_A)))

    pairs = [(x, p.th_A) for x in T_2] + [(p.t_2, x) for x in TH_A]
    t_2, th_A = (jnp.stack([jnp.asarray(x, p.alpha.dtype) for x in column]) for column in zip(*pairs))
    found = lax.map(lambda x: boundary(*x), (t_2, th_A))
    kap, (by_t_2, by_th_A) = jax.value_and_grad(boundary, argnums=(0, 1))(p.t_2, p.th_A)

    def gained(times: float) -> Scalar:
        return countries.lead_in(eqx.tree_at(lambda q: q.kap, same, times * kap)) - p.x_0

    return {
        "C8.3a": FOUR_DIGITS - jnp.max(jnp.abs(found - jnp.asarray(BOUNDARY_T_2 + BOUNDARY_TH_A, found.dtype))),
        "C8.3b": jnp.minimum(by_t_2 * p.t_2, -by_th_A * p.th_A) / kap,
        "C8.3c": jnp.minimum(gained(0.9), -gained(1.1)),
        "C8.3d": countries.imitation_boundary(p),
    }


def rest_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """C8.3e to g, at a growth advantage of three tenths of the leader's research. e: imitation equals the advantage at both rest points;
    f: a small lead more dies out at the lower one and grows at the upper one; g: at the saddle-node the imitation at x = h is the advantage,
    and the gap between the rest points closes with the root of the distance to it."""
    h = p.h_abs
    advantage = 0.3 * countries.basic_research(p)[0]
    fold = countries.saddle_node(advantage, h)
    speed = 1.5 * fold

    def drift(x: Scalar, speed: Scalar) -> Scalar:
        """Growth of the lead, in units of the advantage."""
        return 1 - speed * x * jnp.exp(-x / h) / advantage

    low, high = countries.rest_points(advantage, speed, h)
    slopes = [jax.grad(drift)(x, speed) * h for x in (low, high)]

    def width(times: float) -> Scalar:
        near = countries.rest_points(advantage, (1 + times) * fold, h)
        return (near[1] - near[0]) / h

    return {
        "C8.3e": 1e-9 - _worst(drift(low, speed), drift(high, speed)),
        "C8.3f": jnp.minimum(-slopes[0], slopes[1]),
        "C8.3g": jnp.minimum(1e-12 - jnp.abs(drift(h, fold)), 0.01 - jnp.abs(width(4e-4) / width(1e-4) - 2)),
    }


# C8.7 ------------------------------------------------------------------------------------------------------


def debt_claim(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """C8.7e: debt of a deficit of 1 in the year of slack, rolled over at r - g while lost output comes back for good. Margin: 1e-9
    less the gap between the debt after the first year and what the later revenue is worth, at r - g of the formula."""
    eta, multiplier, tax = _like(p, 0.3), _like(p, 1.0), p.tau_y0 + p.tau_c * (1 - p.tau_y0)
    cost = eta * multiplier * tax / (1 - multiplier * tax)
    debt = 1 - multiplier * tax

    def year(left: Scalar, _: None) -> tuple[Scalar, None]:
        return (1 + cost) * left - tax * eta * multiplier, None

    left, _ = lax.scan(year, debt, None, 30)
    return 1e-9 - jnp.abs(left / debt - 1)


# C8.9 ------------------------------------------------------------------------------------------------------


def task_gain(p: Params, a: Scalar, x: Scalar) -> Scalar:
    r"""Effect of automation on productivity (C8.9) [S], at the relative cost $x = v B/w$:
    $(1-\alpha)(1 - x^{1-s})/[(1-s)(a x^{1-s} + 1 - a)]$."""
    cost = x ** (1 - p.sig)
    return (1 - p.alpha) * (1 - cost) / ((1 - p.sig) * (a * cost + 1 - a))


def task_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """C8.9b to d. b: the formula is the derivative of the log cost of a sector by its automation share; c: as s goes to 1 and a to 0,
    the gain is the labor share times the log cost saving (Acemoglu); d: a cut of the cost of AI saves its share of cost (Hulten)."""
    a, x, tiny = p.x_s / 2, _like(p, 0.4), 1e-5

    def ln_cost(a: Scalar, x: Scalar, s: Scalar) -> Scalar:
        q = eqx.tree_at(lambda r: r.sig, p, s)
        return (1 - p.alpha) * task_price(q, a, jnp.log(x), jnp.zeros_like(x))[0]

    exact = -jax.grad(ln_cost)(a, x, p.sig)
    near_one = eqx.tree_at(lambda q: q.sig, p, _like(p, 1 - tiny))
    acemoglu = -(1 - p.alpha) * jnp.log(x)
    by_price = jax.grad(lambda ln_x: ln_cost(a, jnp.exp(ln_x), p.sig))(jnp.log(x))
    share = (1 - p.alpha) * task_price(p, a, jnp.log(x), jnp.zeros_like(x))[1]
    return {
        "C8.9b": 1e-12 - jnp.abs(task_gain(p, a, x) / exact - 1),
        "C8.9c": 1e-4 - jnp.abs(task_gain(near_one, _like(p, tiny), x) / acemoglu - 1),
        "C8.9d": 1e-12 - jnp.abs(by_price / share - 1),
    }
