r"""Language models as quasi-public goods (paper 2; data governance in the macro report, section V).

Users differ in valuation and income, and skill follows income. Two closed models and an open one offer quality that use congests,
$q^d = q/(1 + (n/K)^k)$ (2.1), at an access cost of price, missing service and gates (2.2). Use spills over,
more so the more open a model is (2.3). Closed providers keep $1 - leak\,o$ of their revenue and set price and capacity in
Nash equilibrium without regard to the spillovers (2.4). Profit drives the frontier, openness the speed at which
the open model follows (2.5).

The planner's rules (2.6)-(2.9) give the wedge on every margin: price, capacity, quality, openness. The Publicness Index
averages non-rivalry, non-excludability and net externality. Regimes S0 to S4 run from laissez-faire to comprehensive policy.
Data are a second good in the same code (set `data_market`), with disclosure and circulation in `data.py`.
"""

from jaxecon.core.model import Model
from jaxecon.models.quasi_public_goods.claims import CLAIMS
from jaxecon.models.quasi_public_goods.dynamics import DYNAMICS
from jaxecon.models.quasi_public_goods.equilibrium import REASONS, branches, equilibrium, identities, outcomes
from jaxecon.models.quasi_public_goods.moments import MOMENT_GROUPS
from jaxecon.models.quasi_public_goods.outcome_fields import Outcomes
from jaxecon.models.quasi_public_goods.params import Params, Policy
from jaxecon.models.quasi_public_goods.regimes import REGIMES
from jaxecon.models.quasi_public_goods.studies import STUDIES
from jaxecon.models.quasi_public_goods.system import SYSTEM

MODEL = Model(
    name="quasi_public_goods",
    title="Language models as quasi-public goods",
    paper="paper 2: language models between private good and commons, a Publicness Index; macro report, section V",
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
    regimes=REGIMES,
    moments=MOMENT_GROUPS,
    studies=STUDIES,
    system=SYSTEM,
    block=1,
)

__all__ = ["MODEL"]
