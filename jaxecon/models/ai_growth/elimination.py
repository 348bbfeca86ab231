r"""The linearized transition solved year by year: one sweep backward, one forward.

The stacked conditions have a block band: a year's laws, markets and Euler equations touch that year and the next. Within a year
the two market balances give the two factor prices. From the last year to the first, elimination then leaves each year's choices
$\zeta = (\ln X_o, y, i)$ as a linear function of its six states, $d\zeta = P\,ds + p$; a sweep forward from the stocks of 2020
gives both. All small systems are written out, on numbers that are vectors in a batch: no library call, and no pivots to search,
since elimination runs from the future to the past as a saddle path asks for.
"""

from collections.abc import Callable
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


class Band(NamedTuple):
    """The linear system after prices are substituted, years first; columns are the six states, then the three choices.

    `laws [T, 6, 9]`, `euler [T, 3, 9]`, `rents [T, 2, 9]`, `weight [T]`; right sides `push [T, 6]`, `want [T, 3]`, `see [T, 2]`.
    Any further axes come last: a batch there keeps the numbers of a column side by side.
    """

    laws: Array
    euler: Array
    rents: Array
    weight: Array
    push: Array
    want: Array
    see: Array


def _times(left: Array, right: Array) -> Array:
    """Product of two matrices, or of a matrix and a vector, in the leading axes; written out."""
    wide = right.ndim - left.ndim + 1
    columns = [left[:, k] if wide == 0 else left[:, k, None] for k in range(left.shape[1])]
    return _total([column * right[k] for k, column in enumerate(columns)])


def _inverse(m: Array) -> Array:
    """Inverse of a 3 x 3 matrix by cofactors, in the leading axes."""

    def cofactor(i: int, j: int) -> Array:
        (a, b), (c, d) = ([m[r, s] for s in range(3) if s != j] for r in range(3) if r != i)
        return (a * d - b * c) * (-1) ** (i + j)

    cof = [[cofactor(i, j) for j in range(3)] for i in range(3)]
    det = _total([m[0, j] * cof[0][j] for j in range(3)])
    return jnp.stack([jnp.stack([cof[j][i] / det for j in range(3)]) for i in range(3)])


def _back(ahead: tuple[Array, Array], now: Band) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """A year of the sweep backward: its Euler equations, with next year's choices substituted, give its choices.

    `ahead`: what it sees of the next year, by that year's states and a constant: consumption, and the rents of either capital.
    """
    one = jnp.ones_like(now.weight)
    sign = -jnp.stack([now.weight, one, one])
    minus, const = sign[:, None] * ahead[0], sign * ahead[1]
    # The barriers keep the compiler from computing each number anew in all that uses it.
    rows = lax.optimization_barrier(now.euler + _times(minus, now.laws))
    inverse = lax.optimization_barrier(_inverse(rows[:, 6:]))
    P = lax.optimization_barrier(-_times(inverse, rows[:, :6]))
    p = _times(inverse, now.want - const - _times(minus, now.push))
    seen = now.rents[:, :6] + _times(now.rents[:, 6:], P)
    level = now.see + _times(now.rents[:, 6:], p)
    return (jnp.concatenate([P[:1], seen]), jnp.concatenate([p[:1], level])), (P, p)


def _forward(state: Array, now: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
    """A year of the sweep forward: choices by the year's rule, then next year's states by the laws."""
    laws, push, P, p = now
    at = jnp.concatenate([state, p + _times(P, state)])
    return push + _times(laws, at), at


def sweep(band: Band, start: Array) -> Array:
    """States and choices `[T, 9]` of the linear system from the states `start` of the first year."""
    nothing = jnp.zeros_like(band.laws[0, :3, :6]), jnp.zeros_like(band.want[0])
    _, (P, p) = lax.scan(_back, nothing, band, reverse=True)
    return lax.scan(_forward, start, (band.laws, band.push, P, p))[1]


@jax.custom_batching.custom_vmap
def sweep_side_by_side(band: Band, start: Array) -> Array:
    """`sweep` where a batch comes last, so that the numbers of its points are vectors; has no derivative."""
    return sweep(band, start)


@sweep_side_by_side.def_vmap
def _(size: int, batched: tuple, band: Band, start: Array) -> tuple[Array, bool]:
    def last(x: Array, has: bool) -> Array:
        return jnp.moveaxis(x if has else jnp.broadcast_to(x, (size, *x.shape)), 0, -1)

    return jnp.moveaxis(sweep(*jax.tree.map(last, (band, start), tuple(batched))), -1, 0), True


def solve(system: System, right: Gaps, sweep: Callable[[Band, Array], Array] = sweep) -> Unknowns:
    """Solution of the linear system: the change of all unknowns at which the conditions change by `right`; linear in `right`."""
    # What the markets' right sides add to prices, and through them to the other conditions
    jump = {n: _value(system.inverse[n], dict(zip(MARKETS, right.markets))) for n in PRICES}
    later = jnp.concatenate([right.laws[:, 1:], jnp.zeros_like(right.laws[:, :1])], axis=1)
    zero = jnp.zeros_like(system.weight)

    def pushed(row: Row) -> Array:
        return _value(row, jump) if any(n in row for n in PRICES) else zero

    def dense(rows: list[Row]) -> Array:
        return jnp.stack([jnp.stack([row.get(n, zero) for n in KEPT], axis=1) for row in rows], axis=1)

    laws = [system.laws[s] for s in STATES]
    band = Band(
        laws=dense(laws),
        euler=dense(system.euler),
        rents=dense(system.ahead),
        weight=system.weight,
        push=jnp.stack([b + pushed(row) for b, row in zip(later, laws)], axis=1),
        want=jnp.stack([b - pushed(row) for b, row in zip(right.euler, system.euler)], axis=1),
        see=jnp.stack([pushed(row) for row in system.ahead], axis=1),
    )
    change: Row = dict(zip(KEPT, sweep(band, right.laws[:, 0]).T))
    change |= {n: jump[n] + _value(system.prices[n], change) for n in PRICES}
    return Unknowns(**change)
