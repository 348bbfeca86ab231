"""Regimes of governance side by side: the trilemma's coordinates, dominance, and the same at equal platform revenue."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.content_platform.equilibrium import accounts, settle
from jaxecon.models.content_platform.market import frame, human_quality, skills
from jaxecon.models.content_platform.outcome_fields import Outcomes
from jaxecon.models.content_platform.params import REGIMES, Params, Policy

Scalar = Float[Array, ""]
NAMES = tuple(REGIMES)
EQUITIES = ("equity", "gini_revenue", "gini_active", "gini_humans")


class Regimes(NamedTuple):
    """Outcomes of several policies, a leading axis in every leaf, and whether each is an equilibrium."""

    out: Outcomes
    solved: Array


def long_run(p: Params) -> Params:
    """The same world with AI quality at the steady stock of human data."""
    return dataclasses.replace(p, ai_quality="steady")


def with_values(u: Policy, values: dict[str, float | Scalar]) -> Policy:
    """The policy with the named instruments at the given values."""
    like = u.commission_human
    return dataclasses.replace(
        u, **{k: jnp.broadcast_to(jnp.asarray(v, like.dtype), like.shape) for k, v in values.items()}
    )


def stack(policies: list[Policy]) -> Policy:
    """Policies with a leading axis."""
    return jax.tree.map(lambda *x: jnp.stack(x), *policies)


def named(u: Policy) -> Policy:
    """The six named regimes; what a regime does not set is as in `u`."""
    return stack([with_values(u, values) for values in REGIMES.values()])


def compare(p: Params, policies: Policy) -> Regimes:
    """Outcomes of each of the policies."""

    def one(u: Policy) -> Regimes:
        f = frame(p, u)
        eq = settle(f)
        return Regimes(accounts(f, eq.market), eq.status == 0)

    return jax.vmap(one)(policies)


def at_equal_revenue(p: Params, policies: Policy, required: Scalar, by: str) -> Regimes:
    """Outcomes where a surcharge on both commissions (`both`) or on AI's (`ai`) restores the platform's profit."""
    return compare(dataclasses.replace(p, requirement=by, R_req=required), policies)


def equity_of(out: Outcomes, definition: str) -> Array:
    """Equity by one of four definitions of the Gini: all incomes, sellers' revenue, active humans, all humans."""
    value = getattr(out, definition)
    return value if definition == "equity" else 1 - value


def coordinates(out: Outcomes, definition: str = "equity") -> Float[Array, "r 3"]:
    """Trilemma: welfare, equity, long-run human data flow, each relative to the first regime, less one."""
    raw = jnp.stack([out.welfare, equity_of(out, definition), out.data_flow], axis=-1)
    return raw / raw[0] - 1


def lead(z: Float[Array, "r 3"]) -> Float[Array, " r"]:
    """By how much a regime beats the best of the others on its worst axis: positive if it is best on all three."""
    others = jnp.where(jnp.eye(len(z), dtype=bool)[:, :, None], -jnp.inf, z[None, :, :])
    return jnp.min(z - jnp.max(others, axis=1), axis=1)


def dominance(z: Float[Array, "r 3"]) -> Float[Array, " r"]:
    """By how much the most threatening other regime is better on its worst axis: negative if a regime is undominated."""
    gain = jnp.min(z[None, :, :] - z[:, None, :], axis=2)
    return jnp.max(jnp.where(jnp.eye(len(z), dtype=bool), -jnp.inf, gain), axis=1)


def flat_cut(p: Params, u: Policy) -> Policy:
    """The flat cut of the human commission that equals the pro-creative rebate at the mean creative quality of all types."""
    mean = jnp.mean(human_quality(p, skills(p)[1])[1])
    return with_values(u, {"commission_human": u.commission_human - REGIMES["pro_creative"]["creative_rebate"] * mean})
