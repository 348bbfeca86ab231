r"""Users: who values what, what access costs them, and what they choose.

A user has a log valuation $\ln v = \ln v_{med} + \sigma_v z_v$ and a log income $s_y z_y$, standard normal $z$ with correlation
rho; skill follows income. Both integrals sit on fixed nodes: the trapezoid rule in $z_v$ (spectrally accurate for a smooth
integrand), Gauss-Legendre in $z_y$ inside each income decile. Gauss-Hermite is poor here: the choice
probability is a step in $z_v$ of width $\tau/(v \sigma_v)$.

The exponentials of utility separate, $e^{(v q^d_j - e_{uj})/\tau} = e^{v q^d_j/\tau}\,e^{-e_{yj}/\tau}$, because the access
cost depends on income alone. They are taken on the two axes of the grid, and what is left on the grid itself is one division and two
matrix products.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
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
# Unordered pairs of the three models.
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@lru_cache(maxsize=32)
def _rule(ny: int, nz: int) -> tuple[np.ndarray, ...]:
    """Nodes in z_y with weights that add to a tenth in each decile, decile of each node, nodes in z_v, their spacing."""
    x, w = np.polynomial.legendre.leggauss(ny)
    edges = np.concatenate([[-Y_MAX], ndtri(np.arange(1, 10) / 10), [Y_MAX]])
    width = np.diff(edges)[:, None]
    z = edges[:-1, None] + width * (x + 1) / 2
    weight = w * np.exp(-(z**2) / 2)
    weight = weight / (10 * weight.sum(axis=1, keepdims=True))
    z_v = np.linspace(-Z_MAX, Z_MAX, nz)
    return z.ravel(), weight.ravel(), z_v


class Population(NamedTuple):
    """Users on the grid: valuation `v` [Z], cost without service `h` [Y], weights [Y, Z] that add to one."""

    v: Float[Array, " Z"]
    h: Float[Array, " Y"]
    weight: Float[Array, "Y Z"]
    poor: Float[Array, " Y"]


def population(p: Params, ny: int | None = None, nz: int | None = None) -> Population:
    r"""Users on the grid: $h_u = h_0 e^{-\eta_h s_y z_y}$ and the density of $z_v$ given $z_y$ (2.2) [R].

    `poor` marks the nodes of deciles 1 to 3, which the voucher reaches.
    """
    ny, nz = ny or p.ny, nz or p.nz
    z_y, w_y, z_v = (jnp.asarray(x, p.v_med.dtype) for x in _rule(ny, nz))
    spread = 1 - p.rho**2
    step = 2 * Z_MAX / (nz - 1)
    density = jnp.exp(-((z_v - p.rho * z_y[:, None]) ** 2) / (2 * spread)) * step / jnp.sqrt(2 * jnp.pi * spread)
    poor = (np.arange(10 * ny) < 3 * ny).astype(p.v_med.dtype)
    return Population(
        v=p.v_med * jnp.exp(p.sd_v * z_v),
        h=p.h_0 * jnp.exp(-p.eta_h * p.s_y * z_y),
        weight=w_y[:, None] * density,
        poor=jnp.asarray(poor),
    )


class Tastes(NamedTuple):
    """Exponentials of utility over tau, in factors: `scaled[j] * factor[j]` against the outside option `outside`."""

    scaled: Float[Array, "3 Z"]
    factor: Float[Array, "3 Y"]
    outside: Float[Array, " Z"]
    top: Float[Array, " Z"]

    def total(self) -> Float[Array, "Y Z"]:
        """Sum over the options, relative to $e^{top/\tau}$."""
        return self.outside + jnp.sum(self.factor[:, :, None] * self.scaled[:, None, :], axis=0)


def tastes(tau: Scalar, v: Float[Array, " Z"], quality: Float[Array, "3"], access: Float[Array, "3 Y"]) -> Tastes:
    r"""$e^{(v q^d_j - e_{yj})/\tau}$ in factors, scaled by the largest $v q^d_j$ so that nothing overflows."""
    gross = quality[:, None] * v
    top = lax.stop_gradient(jnp.maximum(jnp.max(gross, axis=0), 0.0))
    return Tastes(jnp.exp((gross - top) / tau), jnp.exp(-access / tau), jnp.exp(-top / tau), top)


class Demand(NamedTuple):
    r"""Use $n_j = \int P_j$, benefit $B_j = \int v P_j$, use by income node, and the second moments
    $S_{jk} = \int P_j P_k$, $T_{jk} = \int v P_j P_k$ of which every derivative of demand is made."""

    n: Float[Array, "3"]
    B: Float[Array, "3"]
    n_y: Float[Array, "3 Y"]
    S: Float[Array, "3 3"]
    T: Float[Array, "3 3"]


def _rows(weight: Array, columns: Array) -> Array:
    """Integrals over valuation of several columns, by income node: [columns, Y]."""
    return jnp.matmul(columns, weight.T, precision=lax.Precision.HIGHEST)


def demand(tau: Scalar, pop: Population, quality: Float[Array, "3"], access: Float[Array, "3 Y"]) -> Demand:
    r"""Logit choice with an outside option, integrated over users (2.2).

    **Arguments**

    - `quality`: delivered quality $q^d_j$; `access`: access cost $e_{yj}$ at each income node, shape `[3, Y]`.
    """
    t = tastes(tau, pop.v, quality, access)
    inverse = 1 / t.total()
    once = pop.weight * inverse
    first = _rows(once, jnp.concatenate([t.scaled, t.scaled * pop.v]))
    n_y, B_y = t.factor * first[:3], t.factor * first[3:]
    j, k = (np.array(x) for x in zip(*PAIRS))
    product = t.scaled[j] * t.scaled[k]
    second = _rows(once * inverse, jnp.concatenate([product, product * pop.v]))
    weights = t.factor[j] * t.factor[k]
    s, t_ = jnp.sum(weights * second[:6], axis=1), jnp.sum(weights * second[6:], axis=1)
    # Back from pairs to matrices.
    where = np.zeros((3, 3), int)
    where[j, k] = where[k, j] = np.arange(6)
    return Demand(jnp.sum(n_y, axis=1), jnp.sum(B_y, axis=1), n_y, s[where], t_[where])


def consumer_surplus(tau: Scalar, pop: Population, quality: Float[Array, "3"], access: Float[Array, "3 Y"]) -> Scalar:
    r"""$\int \tau \ln(1 + \sum_j e^{(v q^d_j - e_{uj})/\tau})\,dF$ [S]."""
    t = tastes(tau, pop.v, quality, access)
    # The scale carries no derivative in `tastes`; here it is put back as a constant, which is exact.
    return jnp.sum(pop.weight * (tau * jnp.log(t.total()) + t.top))


def serving_users(
    tau: Scalar, pop: Population, quality: Scalar, access: Float[Array, " Y"], cost: Scalar
) -> tuple[Scalar, Scalar]:
    r"""Users for whom serving is worth its cost, $\int sg((v q^d - c)/\tau)$, and those of them for whom access is too (NE) [R]."""
    worth = jax.nn.sigmoid((pop.v * quality - cost) / tau)
    both = worth * jax.nn.sigmoid((pop.v * quality - access[:, None]) / tau)
    return jnp.sum(pop.weight * worth), jnp.sum(pop.weight * both)


def by_decile(values: Float[Array, " Y"], ny: int) -> Float[Array, "10"]:
    """Averages inside each income decile of a quantity already weighted by users."""
    return 10 * jnp.sum(values.reshape(10, ny), axis=1)
