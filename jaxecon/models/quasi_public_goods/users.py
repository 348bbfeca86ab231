r"""Users: who values what, what access costs them, and what they choose.

A user has a log valuation $\ln v = \ln v_{med} + \sigma_v z_v$ and a log income $s_y z_y$, standard normal $z$ with correlation
rho; skill follows income. Both integrals sit on fixed nodes: the trapezoid rule in $z_v$ (spectrally accurate for a smooth
integrand), Gauss-Legendre in $z_y$ inside each income decile. Gauss-Hermite is poor here: the choice
probability is a step in $z_v$ of width $\tau/(v \sigma_v)$.

The exponentials of utility separate, $e^{(v q^d_j - e_{uj})/\tau} = e^{v q^d_j/\tau}\,e^{-e_{yj}/\tau}$, because the access
cost depends on income alone. They are taken on the two axes of the grid, and what is left on the grid itself is one division and two
matrix products.
"""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float
from scipy.special import ndtri

from jaxecon.models.quasi_public_goods.params import Params

Scalar = Float[Array, ""]

Z_MAX = 7.5
# The outer deciles end here: 3e-7 of the users live beyond, and the nodes inside resolve the rest better.
Y_MAX = 5.0
# The poorest, whom the voucher reaches.
POOR = 0.3


class Rule(NamedTuple):
    """Nodes: incomes `z_y` with weights `w_y` and whether the voucher reaches them, valuations `z_v`."""

    z_y: np.ndarray
    w_y: np.ndarray
    poor: np.ndarray
    z_v: np.ndarray


def rule(shares: Sequence[float], ny: int, nz: int) -> Rule:
    """`ny` Gauss-Legendre nodes in each group of incomes; `shares` of the users add to one, a border at .3."""
    x, w = np.polynomial.legendre.leggauss(ny)
    edges = np.concatenate([[-Y_MAX], ndtri(np.cumsum(shares)[:-1]), [Y_MAX]])
    width = np.diff(edges)[:, None]
    z = edges[:-1, None] + width * (x + 1) / 2
    weight = w * np.exp(-(z**2) / 2)
    weight = np.asarray(shares)[:, None] * weight / weight.sum(axis=1, keepdims=True)
    poor = np.repeat(np.cumsum(shares) < POOR + 1e-9, ny)
    return Rule(z.ravel(), weight.ravel(), poor, np.linspace(-Z_MAX, Z_MAX, nz))


def deciles(p: Params) -> Rule:
    """The rule of all results: `ny` nodes in each income decile, `nz` valuations."""
    return rule([0.1] * 10, p.ny, p.nz)


def _floor(dtype: np.dtype) -> float:
    """Logarithm of a weight that is nothing: further down `exp` leaves the range of normal numbers."""
    return 0.9 * float(np.log(jnp.finfo(dtype).tiny))


class Population(NamedTuple):
    """Users on the grid: valuation `v` [Z], cost without service `h` [Y], weights [Y, Z] that add to one."""

    v: Float[Array, " Z"]
    h: Float[Array, " Y"]
    weight: Float[Array, "Y Z"]
    poor: Float[Array, " Y"]


def population(p: Params, nodes: Rule | None = None) -> Population:
    r"""Users on the grid: $h_u = h_0 e^{-\eta_h s_y z_y}$ and the density of $z_v$ given $z_y$ (2.2) [R].

    `poor` marks the nodes of deciles 1 to 3, which the voucher reaches.
    """
    nodes = deciles(p) if nodes is None else nodes
    z_y, w_y, poor, z_v = (jnp.asarray(x, p.v_med.dtype) for x in nodes)
    spread = 1 - p.rho**2
    step = 2 * Z_MAX / (len(nodes.z_v) - 1)
    density = jnp.exp(-((z_v - p.rho * z_y[:, None]) ** 2) / (2 * spread)) * step / jnp.sqrt(2 * jnp.pi * spread)
    return Population(
        v=p.v_med * jnp.exp(p.sd_v * z_v),
        h=p.h_0 * jnp.exp(-p.eta_h * p.s_y * z_y),
        weight=w_y[:, None] * density,
        poor=poor,
    )


class Tastes(NamedTuple):
    """Exponentials of utility over tau, in factors, `scaled[j] * factor[j] / total` is a choice probability."""

    scaled: list[Float[Array, " Z"]]
    factor: list[Float[Array, " Y"]]
    top: Float[Array, " Z"]
    low: Float[Array, " Y"]
    total: Float[Array, "Y Z"]


def tastes(
    tau: Scalar, v: Float[Array, " Z"], quality: Sequence[Scalar], access: Sequence[Float[Array, " Y"]], alike: bool
) -> Tastes:
    r"""$e^{(v q^d_j - e_{yj})/\tau}$ in factors, scaled by that of the best model and the lowest access cost so that nothing overflows.

    `total` is the sum over all options; with `alike` the first of two models stands for two.
    """
    # By the difference of qualities, which is exactly zero for the best: that of the products v q is round-off times v.
    best = lax.stop_gradient(reduce(jnp.maximum, quality))
    scaled = [jnp.exp(jnp.maximum((q - best) * v / tau, _floor(v.dtype))) for q in quality]
    low = lax.stop_gradient(reduce(jnp.minimum, access))
    factor = [jnp.exp(-(e - low) / tau) for e in access]
    outside = jnp.exp(jnp.maximum(-best * v / tau, _floor(v.dtype)))
    number = [2.0, 1.0] if alike else [1.0] * len(scaled)
    total = jnp.exp(low / tau)[:, None] * outside + sum(m * f[:, None] * s for m, f, s in zip(number, factor, scaled))
    return Tastes(scaled, factor, best * v, low, total)


class Demand(NamedTuple):
    r"""Use $n_j = \int P_j$, benefit $B_j = \int v P_j$, use by income node, and the second moments
    $S_{jk} = \int P_j P_k$, $T_{jk} = \int v P_j P_k$ of which every derivative of demand is made."""

    n: Float[Array, "3"]
    B: Float[Array, "3"]
    n_y: Float[Array, "3 Y"]
    S: Float[Array, "3 3"]
    T: Float[Array, "3 3"]


def _integrals(weight: Float[Array, "Y Z"], columns: list[Float[Array, " Z"]]) -> list[Float[Array, " Y"]]:
    """Integrals over valuation of several columns, by income node."""
    rows = jnp.matmul(weight, jnp.stack(columns, axis=1), precision=lax.Precision.HIGHEST)
    return [rows[:, i] for i in range(len(columns))]


def demand(
    tau: Scalar, pop: Population, quality: Float[Array, "3"], access: Float[Array, "3 Y"], alike: bool = True
) -> Demand:
    r"""Logit choice with an outside option, integrated over users (2.2).

    **Arguments**

    - `quality`: delivered quality $q^d_j$; `access`: access cost $e_{yj}$ at each income node, shape `[3, Y]`.
    - `alike`: the first two models offer the same, so that one integral serves both.
    """
    kinds = (0, 2) if alike else (0, 1, 2)
    t = tastes(tau, pop.v, [quality[j] for j in kinds], [access[j] for j in kinds], alike)
    # Its square times v must stay finite; what is cut are rich valuations at the lowest incomes, of no weight.
    inverse = 1 / jnp.maximum(t.total, float(np.cbrt(jnp.finfo(pop.v.dtype).tiny)))
    once = pop.weight * inverse
    first = _integrals(once, [*t.scaled, *(pop.v * s for s in t.scaled)])
    count = len(kinds)
    n_y = [f * x for f, x in zip(t.factor, first[:count])]
    B_y = [f * x for f, x in zip(t.factor, first[count:])]
    pairs = [(j, k) for j in range(count) for k in range(j, count)]
    products = [t.scaled[j] * t.scaled[k] for j, k in pairs]
    second = _integrals(once * inverse, [*products, *(pop.v * x for x in products)])
    both = [jnp.sum(t.factor[j] * t.factor[k] * x) for (j, k), x in zip([*pairs, *pairs], second)]
    of = [0, 0, 1] if alike else [0, 1, 2]

    def matrix(values: list[Scalar]) -> Float[Array, "3 3"]:
        entry = dict(zip(pairs, values))
        return jnp.stack([jnp.stack([entry[min(of[j], of[k]), max(of[j], of[k])] for k in range(3)]) for j in range(3)])

    n, B = ([jnp.sum(x) for x in rows] for rows in (n_y, B_y))
    return Demand(
        n=jnp.stack([n[j] for j in of]),
        B=jnp.stack([B[j] for j in of]),
        n_y=jnp.stack([n_y[j] for j in of]),
        S=matrix(both[: len(pairs)]),
        T=matrix(both[len(pairs) :]),
    )


def consumer_surplus(
    tau: Scalar, pop: Population, quality: Float[Array, "3"], access: Float[Array, "3 Y"], alike: bool = True
) -> Scalar:
    r"""$\int \tau \ln(1 + \sum_j e^{(v q^d_j - e_{uj})/\tau})\,dF$ [S]."""
    kinds = (0, 2) if alike else (0, 1, 2)
    t = tastes(tau, pop.v, [quality[j] for j in kinds], [access[j] for j in kinds], alike)
    # The scale carries no derivative in `tastes`; here it is put back as a constant, which is exact.
    return jnp.sum(pop.weight * (tau * jnp.log(t.total) + t.top - t.low[:, None]))


def serving_users(
    tau: Scalar, pop: Population, quality: Scalar, access: Float[Array, " Y"], cost: Scalar
) -> tuple[Scalar, Scalar]:
    r"""Users for whom serving is worth its cost, $\int sg((v q^d - c)/\tau)$, and those of them for whom access is too (NE) [R]."""
    # As in `tastes`: exponentials on the axes, one division on the grid.
    floor = _floor(pop.v.dtype)
    shy = jnp.exp(jnp.maximum(-pop.v * quality / tau, floor))
    worth = 1 / (1 + shy * jnp.exp(cost / tau))
    willing = 1 / (1 + shy * jnp.exp(jnp.minimum(access / tau, -floor))[:, None])
    rows = _integrals(pop.weight, [worth])[0]
    return jnp.sum(rows), jnp.sum(_integrals(pop.weight * willing, [worth])[0])


def by_decile(values: Float[Array, " Y"], ny: int) -> Float[Array, "10"]:
    """Averages inside each income decile of a quantity already weighted by users."""
    return 10 * jnp.sum(values.reshape(10, ny), axis=1)
