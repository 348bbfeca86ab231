"""Tables for the report: regulators compared, thresholds, the law of motion."""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array

from jaxecon.models.rent_seeking.claims import CAPABILITY, cost_boundary, cycle_mean
from jaxecon.models.rent_seeking.contest import kyle_profit, posterior_sd
from jaxecon.models.rent_seeking.dynamics import path
from jaxecon.models.rent_seeking.params import Params, Policy
from jaxecon.models.rent_seeking.regulator import ALL, discounted_loss, optimal_feedback, optimal_policy
from jaxecon.models.rent_seeking.threshold import threshold_capability, threshold_slope


def regulators(p: Params, u: Policy) -> Mapping[str, Array]:
    """Discounted loss under laissez-faire, the best feedback rule, constants and Ramsey path, with the constants and the path's ends."""
    constant, ramsey = (optimal_policy(p, u, constant=c) for c in (True, False))
    rule, by_rule = optimal_feedback(p, u, ALL)
    table = {
        "discounted loss, laissez-faire": discounted_loss(p, u),
        "discounted loss, constant instruments": constant.loss,
        "discounted loss, linear feedback rule": by_rule,
        "discounted loss, Ramsey path": ramsey.loss,
    }
    for n in ALL:
        table[f"{n}, constant"] = getattr(constant.policy, n)
        table[f"{n}, Ramsey path, year 0"] = getattr(ramsey.policy, n)[0]
        table[f"{n}, Ramsey path, year 59"] = getattr(ramsey.policy, n)[-1]
    for k, n in enumerate(ALL):
        table[f"{n}, rule: level"] = rule.level[k]
        table[f"{n}, rule: on rents"] = rule.rents[k]
        table[f"{n}, rule: on opacity"] = rule.opacity[k]
    return table


def thresholds(p: Params, u: Policy) -> Mapping[str, Array]:
    """Threshold slope (C6.4), threshold capability, and the policy cost at which governance begins to fail (C6.5)."""
    zero = jnp.zeros_like(p.A)
    return {
        "threshold slope g*, A = .5, w = 0": threshold_slope(p, u, zero + CAPABILITY, zero),
        "threshold capability": threshold_capability(p, u).A,
        "multiple of policy cost at which C6.5 fails": cost_boundary(p, u),
    }


def laws(p: Params, u: Policy) -> Mapping[str, Array]:
    """Rents after 60 years under each law, and the time average of the cycle."""
    time = jnp.arange(61, dtype=p.A.dtype)
    table = {f"R after 60 years, {law}": path(dataclasses.replace(p, law=law), u, time).rents[-1]
             for law in ("linear", "logistic", "predator_prey")}  # fmt: skip
    return table | {
        "predator-prey: time average of R": cycle_mean(p)[0],
        "predator-prey: gamma/delta": p.gamma_pp / p.delta,
    }


def information_rents(p: Params, u: Policy) -> Mapping[str, Array]:
    """Kyle's insider profit as AI disclosure gets more precise (s_v = s_u = 1)."""
    one = jnp.ones_like(p.A)
    noises = (10.0, 1.0, 0.5, 0.1)
    return {f"insider profit, disclosure noise {s:g}": kyle_profit(posterior_sd(one, s * one), one) for s in noises}


STUDIES = {"regulators": regulators, "thresholds": thresholds, "laws": laws, "information_rents": information_rents}
