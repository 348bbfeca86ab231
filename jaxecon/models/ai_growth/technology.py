r"""What moves by itself: compute, data, capability, feasible tasks, prices, productivity, and the stocks of 2020.

Everything here is a closed form of time and parameters; paths are `[T]`, year 0 is 2020.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.ai_growth.params import Params, Policy

Scalar = Float[Array, ""]
Path = Float[Array, " T"]


def years(p: Params) -> Path:
    """Years after 2020, `[T]`."""
    return jnp.arange(p.T, dtype=p.alpha.dtype)


def before(flow: Path) -> Path:
    """Sum of a flow over all earlier years."""
    return jnp.cumsum(flow) - flow


def decaying(first: Scalar, last: Scalar | float, rho: Scalar, t: Path) -> Path:
    r"""A rate that decays from `first` to `last`: $g_t = g_\infty + (g_0 - g_\infty)\rho^t$."""
    return last + (first - last) * rho**t


def compute(p: Params, t: Path) -> Path:
    r"""Log effective compute (8.1) [R]: $\ln C' = \ln C + g^C + g^A$, $g^C = g^C_\infty + (g^C_0 - g^C_\infty)\Lambda(-(t-t_C)/s_C)$,
    $g^A = g^A_0 \rho_A^t$."""
    gC = p.gC_inf + (p.gC_0 - p.gC_inf) * jax.nn.sigmoid(-(t - p.t_C) / p.s_C)
    return jnp.log(p.C_0) + before(gC + decaying(p.gA_0, 0.0, p.rho_A, t))


def optimal_data(p: Params, ln_C: Array) -> Array:
    r"""Log of compute-optimal data (8.2) [S]: $D^* = (\beta B/\alpha A)^{1/(\alpha+\beta)} (C/6)^{\alpha/(\alpha+\beta)}$."""
    al, be = p.N_al, p.N_be
    return (jnp.log(be * p.N_B / (al * p.N_A)) + al * (ln_C - jnp.log(6.0))) / (al + be)


def reducible_loss(p: Params, ln_C: Array, ln_D: Array) -> Array:
    r"""Log of the reducible loss (8.2) [S]: $l = A N^{-\alpha} + B D^{-\beta}$, $N = C/(6D)$."""
    ln_N = ln_C - jnp.log(6.0) - ln_D
    return jnp.logaddexp(jnp.log(p.N_A) - p.N_al * ln_N, jnp.log(p.N_B) - p.N_be * ln_D)


def capability(p: Params, public_data: Path, t: Path) -> Path:
    r"""Capability (8.2): $z = \ln l_{2020} - \ln l$, with data $\mathrm{smoothmin}(D^*, \bar D (1 + public\_data) e^{g_D \sum g^A})$."""
    ln_C = compute(p, t)
    wall = jnp.log(p.Dbar) + jnp.log1p(public_data) + p.gD * before(decaying(p.gA_0, 0.0, p.rho_A, t))
    best = optimal_data(p, ln_C)
    ln_D = -jnp.logaddexp(-8 * best, -8 * wall) / 8
    return reducible_loss(p, ln_C[0], best[0]) - reducible_loss(p, ln_C, ln_D)


class Stocks(NamedTuple):
    """The economy of 2020: stocks, factor prices and the price level of AI capital behind them."""

    ln_K: Scalar
    ln_M: Scalar
    B: Scalar
    w: Scalar
    r_M: Scalar
    e: Scalar
    q: Scalar
    GDP: Scalar


def stocks(p: Params) -> Stocks:
    r"""Stocks of 2020 from $r_K = r_{00} + d_K$, $v = w$, labor of 1 demanded and full utilization [R].

    With $a = a_0$ in both sectors $P_H = w$, so that $c_g = 1$ gives the wage; $V = w/((1-\alpha)(1-a_0))$ is the value of output,
    $K = \alpha V/r_K$, $M = a_0/(1-a_0)$. A unit of AI capital costs $m = w/\mu$ a year, the share $e_0$ of it energy; its price
    is `q_0` times the rest of that over $r_{00} + d_M + g^q_0$, the cost of holding it.
    """
    r_K = p.r_00 + p.dK
    w = (1 - p.alpha) * (p.alpha / r_K) ** (p.alpha / (1 - p.alpha))
    V = w / ((1 - p.alpha) * (1 - p.a_0))
    M = p.a_0 / (1 - p.a_0)
    e = p.pE * p.e_0 * w / p.mu
    r_M = w / p.mu - e
    GDP = V - e * M
    q = p.q_0 * r_M / (p.r_00 + p.dM + p.gq_0)
    return Stocks(jnp.log(p.alpha * V / r_K), jnp.log(M), p.b_bar * GDP, w, r_M, e, q, GDP)


def discount(p: Params, t: Path) -> Path:
    r"""Owners' discount factor with the demand shock (8.16): $\beta_t = \beta(1 + dem\,\rho_d^t)$."""
    return p.beta * (1 + decaying(p.dem, 0.0, p.rho_d, t))


class Exogenous(NamedTuple):
    """Paths that no market moves, `[T]` each."""

    phi_g: Path
    phi_s: Path
    ln_q: Path
    e: Path
    ln_z_g: Path
    ln_z_s: Path
    beta: Path
    r_min: Path
    window: Path
    last: Path


def exogenous(p: Params, u: Policy) -> Exogenous:
    r"""Feasible shares $\phi_j = \Lambda((z - z_j)/s_z)$ (8.3), the trends of (8.6), (8.7) and (8.10), $\beta_t$, the floor, the window, the last year."""
    t, at = years(p), stocks(p)
    z = capability(p, u.public_data, t)
    return Exogenous(
        phi_g=jax.nn.sigmoid((z - p.z_g) / p.s_z),
        phi_s=jax.nn.sigmoid((z - p.z_s) / p.s_z),
        ln_q=jnp.log(at.q) - before(decaying(p.gq_0, p.gq_inf, p.rho_q, t)),
        e=at.e * jnp.exp(-before(decaying(p.ge, 0.0, p.rho_e, t))),
        ln_z_g=before(decaying(p.gg_0, p.g_inf, p.rho_g, t)),
        ln_z_s=before(decaying(p.gs_0, p.gs_inf, p.rho_g, t)),
        beta=discount(p, t),
        r_min=jnp.where(t < p.t_fl, p.r_min, -1.0),
        window=((t >= p.t_on) & (t < p.t_off)).astype(t.dtype),
        last=t == p.T - 1,
    )
