"""Tables for the report: accuracy and timing, market structures, the joint limit, contracts beyond linear, agents' own AI."""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array

from jaxecon.core.fields import with_fields
from jaxecon.models.information_asymmetry import screening
from jaxecon.models.information_asymmetry.both import joint_means, solution
from jaxecon.models.information_asymmetry.claims import implied_counter_noise
from jaxecon.models.information_asymmetry.claims_accuracy import market_gains, turning_accuracy
from jaxecon.models.information_asymmetry.continuum import continuum
from jaxecon.models.information_asymmetry.equilibrium import ai_gain
from jaxecon.models.information_asymmetry.first_order import first_order_contract
from jaxecon.models.information_asymmetry.params import Params, Policy
from jaxecon.models.information_asymmetry.precision import counter_ai_threshold, performance_precision

ACCURACIES = (0.5, 0.7, 0.8, 0.9, 0.99, 1.0)


def timing(p: Params, u: Policy) -> Mapping[str, Array]:
    """Welfare and profit by accuracy under both timings (C7.4, C7.6), and where welfare turns."""
    table = {}
    for x in ACCURACIES:
        for name, contract in (("before", screening.contract_before), ("after", screening.contract_after)):
            found = contract(p, jnp.full_like(p.pi, x))
            table[f"welfare, accuracy {x:g}, signal {name}"] = found.welfare
            table[f"profit, accuracy {x:g}, signal {name}"] = found.profit
    least, back = turning_accuracy(p)
    return table | {"accuracy of least welfare, signal before": least, "accuracy where welfare is back": back}


def market_structures(p: Params, u: Policy) -> Mapping[str, Array]:
    """Gain in welfare from the AI signal, by market and timing (C7.5)."""
    return market_gains(p)


def joint_limit(p: Params, u: Policy) -> Mapping[str, Array]:
    """(7.3) as noises shrink: share of first-best welfare, and rent (C7.2, C7.3)."""
    best, table = 0.5 + 1 / (2 * p.c), {}
    for x in (1.0, 0.1, 0.01, 0.001):
        for name, noises in (
            ("both noises", ("s2_e", "s2_theta")),
            ("type noise", ("s2_theta",)),
            ("effort noise", ("s2_e",)),
        ):
            q = with_fields(p, noises, [getattr(p, n) * x for n in noises])
            found = solution(p.r, p.c, 1 / performance_precision(q, u).Q, joint_means(jnp.sqrt(q.s2_theta), p.c))
            table[f"welfare over first best, {name} times {x:g}"] = found.welfare / best
            table[f"rent, {name} times {x:g}"] = found.rent
    return table


def beyond_linear(p: Params, u: Policy) -> Mapping[str, Array]:
    """The best contract over 41 outcomes, by the first-order approach, against the linear one (output only), as the outcomes reach further."""
    table = {}
    for reach in (2.0, 3.0, 4.0):
        best = first_order_contract(p.r, p.c, p.s2_x, jnp.full_like(p.r, reach))
        table |= {
            f"profit, outcomes to {reach:g} standard deviations": best.profit,
            f"effort, outcomes to {reach:g} standard deviations": best.effort,
            f"pay in the worst outcome, outcomes to {reach:g} standard deviations": best.wages[0],
            f"gain of the best deviation, outcomes to {reach:g} standard deviations": best.deviation_gain,
        }
        linear = best.linear_profit
    return table | {"profit, linear contract": linear, "first best": 1 / (2 * p.c)}


def continuum_of_types(p: Params, u: Policy) -> Mapping[str, Array]:
    """Welfare, profit and rent of a continuum of costs on [0, 1] by the noise of the signal (C7.4d to f)."""
    table = {}
    for x in (10.0, 2.0, 1.0, 0.5, 0.3, 0.1, 0.05):
        found = continuum(p.a, jnp.full_like(p.a, x))
        table |= {f"{n}, type noise {x:g}": getattr(found, n) for n in ("welfare", "profit", "rent")}
    return table


def agents_ai(p: Params, u: Policy) -> Mapping[str, Array]:
    """Gain from the principal's AI while agents answer with AI of their own (7.6), its threshold, and the noise that the evidence implies."""
    star = counter_ai_threshold(p.s2_x, p.s2_s)
    implied = implied_counter_noise(p)
    levels = {
        "none": 0 * star,
        "half of the threshold": star / 2,
        "the threshold": star,
        "twice the threshold": 2 * star,
        "as the evidence implies": implied,
    }
    table = {f"gain, agents' AI: {n}": ai_gain(with_fields(p, ["s2_g"], [x]), u) for n, x in levels.items()}
    return {"threshold of agents' noise": star, "noise that the evidence implies": implied} | table


STUDIES = {
    "timing": timing,
    "market_structures": market_structures,
    "joint_limit": joint_limit,
    "beyond_linear": beyond_linear,
    "continuum_of_types": continuum_of_types,
    "agents_ai": agents_ai,
}
