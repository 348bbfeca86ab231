r"""The linearized transition solved year by year: one sweep backward, one forward.

The stacked conditions have a block band: a year's laws, markets and Euler equations touch that year and the next. Within a year
the two market balances give the two factor prices. From the last year to the first, elimination then leaves each year's choices
$\zeta = (\ln X_o, y, i)$ as a linear function of its six states, $d\zeta = P\,ds + p$; a sweep forward from the stocks of 2020
gives both. All small systems are written out, on numbers that are vectors in a batch: no library call, and no pivots to search,
since elimination runs from the future to the past as a saddle path asks for.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxecon.models.ai_growth.conditions import LAWS, MARKETS, Gaps, Parts, Setting, euler_terms, next_scale
from jaxecon.models.ai_growth.economy import STATES, Unknowns, long_growth

PRICES = ("ln_w", "ln_r_M")
CHOICES = ("ln_X_o", "y", "i")
KEPT = (*STATES, *CHOICES)
# A linear form in named unknowns; what is not named has slope zero.
Row = dict[str, Array]


class System(NamedTuple):
    """Slopes of all conditions, `[T]` each.

    In a row the slopes by states and choices are total, prices substituted; those by prices remain for right sides.
    `laws`: by the state of next year; `euler`: this year's part; `ahead`: what the Euler equations of the year before take from
    this year, rents of capital and of AI capital; `weight`: what they take from its consumption; `prices`: of the two prices by
    states and choices; `inverse`: of the two prices by the markets.
    """

    laws: dict[str, Row]
    euler: list[Row]
    ahead: list[Row]
    weight: Array
    prices: dict[str, Row]
    inverse: dict[str, Row]


def _scaled(number: Array, row: Row) -> Row:
    return {n: number * slope for n, slope in row.items()}


def _negative(row: Row) -> Row:
    return {n: -slope for n, slope in row.items()}


def _sum(*rows: Row) -> Row:
    names = dict.fromkeys(n for row in rows for n in row)
    return {n: _total([row[n] for row in rows if n in row]) for n in names}


def _total(terms: list[Array]) -> Array:
    return sum(terms[1:], terms[0])


def _value(row: Row, at: Row) -> Array:
    """A linear form at a point, over the names that both have."""
    return _total([slope * at[n] for n, slope in row.items() if n in at])


def _substituted(row: Row, prices: dict[str, Row]) -> Row:
    kept = {n: slope for n, slope in row.items() if n in KEPT}
    named = [n for n in PRICES if n in row]
    return _sum(kept, *(_scaled(row[n], prices[n]) for n in named)) | {n: row[n] for n in named}


def system(given: Setting, x: Unknowns, v: Parts, slopes: dict[str, Row]) -> System:
    """Slopes of the conditions in `conditions.gaps`, from those of their parts."""
    p, last = given.p, given.now.last
    # Prices from the two markets
    (a, b), (c, d) = ([slopes[m][n] for n in PRICES] for m in MARKETS)
    det = a * d - b * c
    inverse: dict[str, Row] = {
        "ln_w": dict(zip(MARKETS, (d / det, -b / det))),
        "ln_r_M": dict(zip(MARKETS, (-c / det, a / det))),
    }
    markets = {m: {n: slope for n, slope in slopes[m].items() if n in KEPT} for m in MARKETS}
    prices = {n: _sum(*(_scaled(-inverse[n][m], markets[m]) for m in MARKETS)) for n in PRICES}
    # Euler equations; in the last year balanced growth takes the place of (8.17) and (8.18)
    saving, _ = euler_terms(given, x, v)
    taste = given.now.beta * p.chi / (1 + given.u.property_tax)
    weight = jnp.where(last, 0.0, p.m_fore * saving)
    euler = [
        _sum({"ln_X_o": weight}, _scaled(saving, slopes["ln_gross"]), _scaled(taste, slopes["wealth"])),
        {n: jnp.where(last, 1.0 if n == "i" else 0.0, slope) for n, slope in slopes["capital_now"].items()},
    ]
    M_end = jnp.exp(x.ln_M + long_growth(p))
    at_end = _sum({"ln_M": -v.M_next / M_end}, _scaled(1 / M_end, slopes["M_next"]))
    zero = jnp.zeros_like(x.B)
    euler.append({n: jnp.where(last, slope, slopes["ai_now"].get(n, zero)) for n, slope in at_end.items()})
    scale = dict(zip(STATES, next_scale(x)))
    laws = {s: _scaled(1 / scale[s], slopes[law]) for s, law in zip(STATES, LAWS)}
    return System(
        laws={s: _substituted(row, prices) for s, row in laws.items()},
        euler=[_substituted(row, prices) for row in euler],
        ahead=[_substituted(slopes[n], prices) for n in ("capital_next", "ai_next")],
        weight=weight,
        prices=prices,
        inverse=inverse,
    )


def _inverse(m: list[list[Array]]) -> list[list[Array]]:
    """Inverse of a 3 x 3 matrix by cofactors."""

    def cofactor(i: int, j: int) -> Array:
        (a, b), (c, d) = ([m[r][s] for s in range(3) if s != j] for r in range(3) if r != i)
        return (a * d - b * c) * (-1) ** (i + j)

    cof = [[cofactor(i, j) for j in range(3)] for i in range(3)]
    det = _total([m[0][j] * cof[0][j] for j in range(3)])
    return [[cof[j][i] / det for j in range(3)] for i in range(3)]


class Ahead(NamedTuple):
    """What a year sees of the next, by next year's states and a constant: consumption, and the rents of either capital."""

    consumption: Row
    rents: list[Row]
    level: Array
    levels: list[Array]


class Rule(NamedTuple):
    """A year's choices as linear functions of its states: slopes by choice and state, and constants."""

    slopes: dict[str, Row]
    level: Row


def _back(ahead: Ahead, now: tuple) -> tuple[Ahead, Rule]:
    """A year of the sweep backward: its Euler equations, with next year's choices substituted, give its choices."""
    laws, euler, rents, weight, (push, want, see) = now
    minus = [_scaled(-weight, ahead.consumption), *(_negative(row) for row in ahead.rents)]
    const = [-weight * ahead.level, *(-level for level in ahead.levels)]
    rows = [_sum(row, *(_scaled(h[s], laws[s]) for s in STATES)) for row, h in zip(euler, minus)]
    inverse = _inverse([[row[z] for z in CHOICES] for row in rows])
    slopes = {
        z: {s: -_total([inverse[k][r] * rows[r][s] for r in range(3)]) for s in STATES} for k, z in enumerate(CHOICES)
    }
    left = [b - k - _value(h, push) for b, k, h in zip(want, const, minus)]
    level = {z: _total([inverse[k][r] * left[r] for r in range(3)]) for k, z in enumerate(CHOICES)}
    by_state = [_sum({s: row[s] for s in STATES if s in row}, *(_scaled(row[z], slopes[z]) for z in CHOICES if z in row))
                for row in rents]  # fmt: skip
    levels = [b + _value({z: row[z] for z in CHOICES if z in row}, level) for row, b in zip(rents, see)]
    return Ahead(slopes["ln_X_o"], by_state, level["ln_X_o"], levels), Rule(slopes, level)


def _forward(state: Row, now: tuple) -> tuple[Row, Row]:
    """A year of the sweep forward: choices by its rule, then next year's states by the laws."""
    laws, push, rule = now
    at = state | {z: rule.level[z] + _value(rule.slopes[z], state) for z in CHOICES}
    return {s: _value(laws[s], at) + push[s] for s in STATES}, at


def solve(system: System, right: Gaps) -> Unknowns:
    """Solution of the linear system: the change of all unknowns at which the conditions change by `right`; linear in `right`."""
    # What the markets' right sides add to prices, and through them to the other conditions
    jump = {n: _value(system.inverse[n], dict(zip(MARKETS, right.markets))) for n in PRICES}
    later = jnp.concatenate([right.laws[:, 1:], jnp.zeros_like(right.laws[:, :1])], axis=1)
    pushed = {s: b + _value(row, jump) if any(n in row for n in PRICES) else b
              for (s, row), b in zip(system.laws.items(), later)}  # fmt: skip
    wanted = [
        b - _value(row, jump) if any(n in row for n in PRICES) else b for row, b in zip(system.euler, right.euler)
    ]
    seen = [_value(row, jump) for row in system.ahead]

    def kept(row: Row) -> Row:
        return {n: slope for n, slope in row.items() if n in KEPT}

    laws = {s: kept(row) for s, row in system.laws.items()}
    euler, rents = [kept(row) for row in system.euler], [kept(row) for row in system.ahead]
    zero = jnp.zeros_like(right.laws[0, 0])
    nothing = Ahead({s: zero for s in STATES}, [{s: zero for s in STATES}] * 2, zero, [zero] * 2)
    sides = (pushed, wanted, seen)
    _, rules = lax.scan(_back, nothing, (laws, euler, rents, system.weight, sides), reverse=True)
    start: Row = dict(zip(STATES, right.laws[:, 0]))
    _, change = lax.scan(_forward, start, (laws, pushed, rules))
    change |= {n: jump[n] + _value(system.prices[n], change) for n in PRICES}
    return Unknowns(**change)
