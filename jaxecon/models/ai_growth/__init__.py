r"""AI and growth: the macro report as a model.

Goods and services are made with capital and a bundle of tasks. Effective compute raises capability along a scaling law with a data
wall; capability makes tasks feasible, their cost against the wage decides whether they are automated, and automation diffuses:
an S curve with two inflection points. AI-robot capital is made of goods, ever more cheaply, and needs energy.

Owners hold all wealth and like to; workers consume what they earn; the interest rate has a floor, below which demand falls short. The
government taxes, transfers and borrows. All of it is one transition with perfect foresight, 2020 to 2100, solved by Newton's
method on all years at once with AI and without; derivatives by any parameter or path of policy are one more elimination.

Two countries share a separate, recursive block: research, imitation, and a gap that closes or tips (8.22)-(8.24).
"""

from jaxecon.core.model import Model
from jaxecon.models.ai_growth.claims import CLAIMS
from jaxecon.models.ai_growth.countries import COUNTRIES
from jaxecon.models.ai_growth.dynamics import DYNAMICS
from jaxecon.models.ai_growth.equilibrium import REASONS, branches, equilibrium, identities, outcomes
from jaxecon.models.ai_growth.moments import MOMENT_GROUPS
from jaxecon.models.ai_growth.outcome_fields import Outcomes
from jaxecon.models.ai_growth.params import Params, Policy
from jaxecon.models.ai_growth.regimes import REGIMES
from jaxecon.models.ai_growth.studies import STUDIES
from jaxecon.models.ai_growth.system import SYSTEM

MODEL = Model(
    name="ai_growth",
    title="AI and growth",
    paper="macro report: the economics of AI",
    Params=Params,
    Policy=Policy,
    Outcomes=Outcomes,
    equilibrium=equilibrium,
    outcomes=outcomes,
    identities=identities,
    branches=branches,
    reasons=REASONS,
    claims=CLAIMS,
    dynamics=DYNAMICS | {"countries": COUNTRIES},
    regimes=REGIMES,
    moments=MOMENT_GROUPS,
    studies=STUDIES,
    system=SYSTEM,
    float32_exceptions=("rate_effect_low",),
    block=16,
    many=1000,
)

__all__ = ["MODEL"]
