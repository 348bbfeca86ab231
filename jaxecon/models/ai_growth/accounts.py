"""What is read off a transition: chained output, shares, inflection points, welfare. Paths are `[T]`, year 0 is 2020."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.models.ai_growth.economy import Year
from jaxecon.models.ai_growth.params import Params

Scalar = Float[Array, ""]
Path = Float[Array, " T"]
# Years that are reported: 2020 to 2060.
REPORTED = 41


def chained_output(e: Year) -> Path:
    r"""Log of chained GDP: Tornqvist index of goods net of energy, $Y_g - e u M$, and services $Y_s$.

    The anchor is 2019 with full utilization, common to all scenarios: the index begins at $\ln u_{2020}$.
    """
    goods, services = e.Y_g - e.energy, e.p_s * e.Y_s
    share = services / (goods + services)
    mean = (share[1:] + share[:-1]) / 2
    growth = (1 - mean) * jnp.diff(jnp.log(goods)) + mean * jnp.diff(jnp.log(e.Y_s))
    return e.ln_u[0] + jnp.concatenate([jnp.zeros_like(growth[:1]), jnp.cumsum(growth)])


def services_value(e: Year) -> Path:
    """Share of services in the value of output."""
    return e.p_s * e.Y_s / e.V


def goods_labor(e: Year) -> Path:
    """Share of labor in the goods sector (8.13)."""
    goods, services = e.Y_g * (1 - e.theta_g), e.p_s * e.Y_s * (1 - e.theta_s)
    return goods / (goods + services)


def automation_share(e: Year) -> Path:
    """Automation share, value-weighted mean of the sectors."""
    share = services_value(e)
    return (1 - share) * e.a_g + share * e.a_s


def labor_share(e: Year) -> Path:
    """Wages over GDP."""
    return e.w * jnp.exp(e.ln_u) / e.GDP


def real_consumption(e: Year) -> Path:
    """Consumption of all households in units of the basket."""
    return (e.X_o + e.X_w) / e.P


class Top(NamedTuple):
    """The largest entry of a path and its place, between years at the top of a parabola through the neighbors."""

    value: Scalar
    place: Scalar


def top(path: Float[Array, " n"]) -> Top:
    """The largest entry; at an end of the path without the parabola."""
    n = path.shape[0]
    k = lax.stop_gradient(jnp.argmax(path))
    inside = (k > 0) & (k < n - 1)
    before, here, after = path[jnp.maximum(k - 1, 0)], path[k], path[jnp.minimum(k + 1, n - 1)]
    bend = before - 2 * here + after
    offset = (before - after) / (2 * jnp.where(inside & (bend < 0), bend, -1.0))
    return Top(here, k + jnp.where(inside & (bend < 0), jnp.clip(offset, -0.5, 0.5), 0.0))


def lowest(path: Float[Array, " n"]) -> Scalar:
    """The smallest entry."""
    return path[lax.stop_gradient(jnp.argmin(path))]


def inflections(a: Path) -> tuple[Scalar, Scalar]:
    """Take-off and maturity: where the second difference of the automation share is largest and smallest; calendar years."""
    bend = jnp.diff(a[:REPORTED], n=2)
    return 2021 + top(bend).place, 2021 + top(-bend).place


def utility(p: Params, e: Year) -> tuple[Scalar, Scalar]:
    r"""Discounted utility of an owner and of a worker: $\sum_t \beta^t \ln(X_o/(n_o P))$, $\sum_t \beta^t \ln(X_w/((1-n_o) P))$."""
    discount = p.beta ** jnp.arange(p.T, dtype=e.P.dtype)
    owner = jnp.log(e.X_o / (p.n_o * e.P))
    worker = jnp.log(e.X_w / ((1 - p.n_o) * e.P))
    return jnp.sum(discount * owner), jnp.sum(discount * worker)


def as_consumption(p: Params, difference: Scalar) -> Scalar:
    r"""A difference in discounted utility as a share of consumption in all years: $e^{\Delta W/\sum\beta^t} - 1$."""
    return jnp.expm1(difference * (1 - p.beta) / (1 - p.beta**p.T))
