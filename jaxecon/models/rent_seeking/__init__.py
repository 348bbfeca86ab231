r"""AI-enabled rent-seeking (paper 6).

Agents split their time between production, traditional rent-seeking r and AI manipulation m; a regulator minimizes the loss
$L(R, S) = \phi R^2 + \psi(1-S)^2$ from rents R and opacity 1 - S. AI does two things:

- **transparency**: it lights up old information rents, $X = b(1-S) - \pi\tau_r$ falls as S rises (6.3);
- **manipulation**: it creates new ones, $Y = \Delta B(A) - \pi(\tau_m + F)$ rises with capability A (6.1).

Rents accumulate, $R' = R + \bar r + \bar m - \delta R$ (6.2; two other laws with the same $R^* = \gamma/\delta$ can be chosen), and
breed opacity. Which effect wins is a threshold in the slope of $\Delta B$ (C6.4). Taxes and fines are due only when detected, so that
detection and taxes are complements (C6.8); the regulator's plan is found by gradient through time and checked by Riccati.
"""

from jaxecon.core.model import Model
from jaxecon.models.rent_seeking.agents import AGENTS
from jaxecon.models.rent_seeking.claims import CLAIMS
from jaxecon.models.rent_seeking.dynamics import DYNAMICS
from jaxecon.models.rent_seeking.equilibrium import REASONS, branches, equilibrium, identities, outcomes
from jaxecon.models.rent_seeking.moments import MOMENT_GROUPS
from jaxecon.models.rent_seeking.params import Outcomes, Params, Policy, constraints
from jaxecon.models.rent_seeking.studies import STUDIES
from jaxecon.models.rent_seeking.system import SYSTEM

MODEL = Model(
    name="rent_seeking",
    title="AI-enabled rent-seeking",
    paper="paper 6: AI and the transformation of rent-seeking, a dynamic model with a regulator",
    Params=Params,
    Policy=Policy,
    Outcomes=Outcomes,
    equilibrium=equilibrium,
    outcomes=outcomes,
    identities=identities,
    branches=branches,
    reasons=REASONS,
    claims=CLAIMS,
    dynamics=DYNAMICS,
    agents=AGENTS,
    regimes={
        "laissez_faire": {},
        "taxes": {"rent_tax": 0.4, "manipulation_tax": 0.4},
        "enforcement": {"detection": 0.5, "fine": 0.5},
        "transparency": {"transparency_mandate": 0.5},
        "governance": {"rent_tax": 0.4, "manipulation_tax": 0.4, "detection": 0.3, "transparency_mandate": 0.5},
    },
    moments=MOMENT_GROUPS,
    studies=STUDIES,
    system=SYSTEM,
    constraints=constraints,
)

__all__ = ["MODEL"]
