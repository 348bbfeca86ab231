r"""The linearized transition solved year by year: one sweep backward, one forward.

The stacked conditions have a block band: a year's laws, markets and Euler equations touch that year and the next. Within a year
the two market balances give the two factor prices. From the last year to the first, elimination then leaves each year's choices
$\zeta = (\ln X_o, y, i)$ as a linear function of its six states, $d\zeta = P\,ds + p$; a sweep forward from the stocks of 2020
gives both. All small systems are written out, on numbers that are vectors in a batch: no library call, and no pivots to search,
since elimination runs from the future to the past as a saddle path asks for.
"""

from typing import NamedTuple

import jax
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
    inverse = {
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


def _stacked(tree: object) -> tuple[Array, jax.tree_util.PyTreeDef]:
    """Leaves `[T]` side by side, `[T, n]`: a scan then takes one slice a year."""
    leaves, shape = jax.tree.flatten(tree)
    return jnp.stack(leaves, axis=1), shape


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

    known = (
        {s: kept(row) for s, row in system.laws.items()},
        [kept(row) for row in system.euler],
        [kept(row) for row in system.ahead],
        system.weight,
    )
    slopes, shape = _stacked(known)
    sides, sides_shape = _stacked((pushed, wanted, seen))
    ahead_shape = [{s: 0 for s in STATES} for _ in range(3)]

    def back(carry: tuple[Array, Array], now: tuple[Array, Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        laws, euler, ahead, weight = jax.tree.unflatten(shape, list(now[0]))
        push, want, see = jax.tree.unflatten(sides_shape, list(now[1]))
        # The year's Euler equations with next year's choices substituted: a row times next year's states
        X, K, A = jax.tree.unflatten(jax.tree.structure(ahead_shape), list(carry[0]))
        H = [_scaled(-weight, X), _scaled(-jnp.ones_like(weight), K), _scaled(-jnp.ones_like(weight), A)]
        const = [-weight * carry[1][0], -carry[1][1], -carry[1][2]]
        rows = [_sum(row, *(_scaled(h[s], laws[s]) for s in STATES)) for row, h in zip(euler, H)]
        inverse = _inverse([[row[z] for z in CHOICES] for row in rows])
        P = {
            z: {s: -_total([inverse[k][r] * rows[r][s] for r in range(3)]) for s in STATES}
            for k, z in enumerate(CHOICES)
        }
        left = [b - k - _value(h, push) for b, k, h in zip(want, const, H)]
        p = {z: _total([inverse[k][r] * left[r] for r in range(3)]) for k, z in enumerate(CHOICES)}
        states = [_sum({s: row[s] for s in STATES if s in row}, *(_scaled(row[z], P[z]) for z in CHOICES if z in row))
                  for row in ahead]  # fmt: skip
        consts = [b + _value({z: row[z] for z in CHOICES if z in row}, p) for row, b in zip(ahead, see)]
        out = jnp.stack(jax.tree.leaves([P["ln_X_o"], *states]))
        rule = jnp.stack([P[z][s] for z in CHOICES for s in STATES])
        level = jnp.stack([p[z] for z in CHOICES])
        return (out, jnp.stack([p["ln_X_o"], *consts])), (rule, level)

    zero = jnp.zeros_like(right.laws[0, 0])
    start = (jnp.zeros(18, zero.dtype) + zero, jnp.zeros(3, zero.dtype) + zero)
    _, (rule, level) = lax.scan(back, start, (slopes, sides), reverse=True)

    def forward(state: Array, now: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
        laws, _, _, _ = jax.tree.unflatten(shape, list(now[0]))
        push, _, _ = jax.tree.unflatten(sides_shape, list(now[1]))
        s = dict(zip(STATES, state))
        chosen = [now[3][k] + _total([now[2][6 * k + j] * s[n] for j, n in enumerate(STATES)]) for k in range(3)]
        at = s | dict(zip(CHOICES, chosen))
        after = jnp.stack([_value(laws[n], at) + push[n] for n in STATES])
        return after, jnp.stack([*state, *chosen])

    _, moved = lax.scan(forward, right.laws[:, 0], (slopes, sides, rule, level))
    change = dict(zip(KEPT, moved.T))
    change |= {n: jump[n] + _value(system.prices[n], change) for n in PRICES}
    return Unknowns(**change)
