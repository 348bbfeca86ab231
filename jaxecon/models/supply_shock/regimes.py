"""Named policies, and which kind of equilibrium a solution is."""

import jax.numpy as jnp
from jaxtyping import Array, Bool

from jaxecon.models.supply_shock import market
from jaxecon.models.supply_shock.equilibrium import Equilibrium
from jaxecon.models.supply_shock.params import Params, Policy

REGIMES = {
    "laissez_faire": {},
    "charge": {"volume_charge": 0.05},
    "levy": {"input_levy": 0.05},
    "licensing": {"entry_fee": 0.05},
    "better_search": {"search_quality": 0.5},
    "reskilling": {"reskilling_subsidy": 0.05},
    "mixed": {"volume_charge": 0.03, "search_quality": 0.3, "reskilling_subsidy": 0.05},
}


def branches(p: Params, u: Policy, eq: Equilibrium) -> dict[str, Bool[Array, ""]]:
    """Occupation pattern by rising skill (E exit, H human, A AI) and the reason codes of the specification."""
    x = eq.cutoffs
    tiny = 1e-9 if jnp.finfo(x.s_H.dtype).bits == 64 else 1e-5
    low_humans = x.s_1 - x.s_0 > tiny
    high_humans = 1 - x.s_H > tiny
    ai = eq.uses_ai
    slope = p.theta_max * (1 - market.supply_above(p, x, market.ai_quality(p, x.s_1)))
    overlap_high = p.alpha * x.s_H < p.q_A - tiny
    overlap_low = low_humans & (p.alpha * x.s_1 > market.ai_quality(p, x.s_1) + tiny)
    return {
        "EAH": ai & ~low_humans & high_humans,
        "EA": ai & ~low_humans & ~high_humans,
        "EHAH": ai & low_humans & high_humans,
        "EHA": ai & low_humans & ~high_humans,
        "EH": ~ai,
        "NO_AI": ~ai,
        "NO_HUMAN": ai & ~low_humans & ~high_humans,
        "POOLED": ai & (x.s_1 >= p.q_A / p.a),
        "QUALITY_SLACK": ai & (slope < p.c_A + u.input_levy),
        "OVERLAP": ai & ((high_humans & overlap_high) | overlap_low),
    }
