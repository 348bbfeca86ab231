"""Generative AI as a non-convex supply shock (paper 3), on one page.

Buyers differ in their taste for quality; creators differ in skill and choose between exit, creating
without AI (quality alpha s, few buyers, convex cost) and creating with AI (quality up to the ceiling
q_A at almost no cost, many buyers). AI content makes search harder for everyone.

    (3.1)  p(q) = theta_max int_0^q (1 - M) dx - Phi(D_A),   Phi = beta ln(1 + eta D_A)       market.py
    (3.2)  W = theta_max int (M - M^2/2) - Phi S - costs + n w_0 F(exit)                      accounts.py
    (3.3)  exit, human, AI, human by rising skill: cutoffs (s_0, s_1, s_H) by indifference    equilibrium.py

The AI envelope is kinked at q_A, so choices are non-convex: the middle of the quality range empties.
"""

from jaxecon.core.model import Model
from jaxecon.models.supply_shock.accounts import identities, outcomes
from jaxecon.models.supply_shock.agents import AGENTS
from jaxecon.models.supply_shock.claims import CLAIMS
from jaxecon.models.supply_shock.claims_agents import CLAIMS_AGENTS
from jaxecon.models.supply_shock.claims_meanfield import CLAIMS_MEANFIELD
from jaxecon.models.supply_shock.dynamics import DYNAMICS
from jaxecon.models.supply_shock.equilibrium import REASONS, equilibrium, other_starts
from jaxecon.models.supply_shock.moments import MOMENT_GROUPS
from jaxecon.models.supply_shock.outcome_fields import Outcomes
from jaxecon.models.supply_shock.params import Params, Policy
from jaxecon.models.supply_shock.planner import planner_study
from jaxecon.models.supply_shock.regimes import REGIMES, branches
from jaxecon.models.supply_shock.threshold import threshold_study


def constraints(p: Params) -> dict:
    """Order restrictions: AI-assisted creators serve more buyers and reach more quality per skill."""
    return {"k_A > k_H": p.k_A - p.k_H, "a > alpha": p.a - p.alpha}


MODEL = Model(
    name="supply_shock",
    title="Generative AI as a non-convex supply shock",
    paper="paper 3",
    Params=Params,
    Policy=Policy,
    Outcomes=Outcomes,
    equilibrium=equilibrium,
    outcomes=outcomes,
    identities=identities,
    branches=branches,
    reasons=REASONS,
    claims=CLAIMS + CLAIMS_MEANFIELD + CLAIMS_AGENTS,
    dynamics=DYNAMICS,
    agents=AGENTS,
    regimes=REGIMES,
    studies={"planner": planner_study, "thresholds": threshold_study},
    moments=MOMENT_GROUPS,
    constraints=constraints,
    starts=other_starts,
)
