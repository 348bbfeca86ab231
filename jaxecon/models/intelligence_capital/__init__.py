"""Digital intelligence capital (paper 1), on one page.

Large models are assets whose worth depends on relative capability. Providers buy compute, usage gives them data, adopters choose by
capability and price, downstream firms choose how deeply to orchestrate, wrappers live on what models cannot yet do.

    (1.1)  A = [a C^rho + (1-a) D~^rho]^(gamma/rho)                                          technology.py
    (1.3)  s_i = A_i^theta e^(-alpha p_i)/(o + sum), (1.4) p_i = mc + 1/(alpha (1 - s_i))       market.py
    (1.5)  delta_i = delta_0 - sum_(j != i) (d ln v_i/d ln A_j) g_j                            valuation.py
    (1.6)  Red Queen ratio phi(N)/chi: private over social return to compute                   equilibrium.py
    (1.7)  tokens T ~ p^-b, b = (1+xi)/(1+xi-psi)                                              tokens.py
    (1.8)  D_i' = eta Q s_i - delta_D D_i, (1.9) Omega* = 1/(theta eps_D - 1)                  flywheel.py
    (1.10) Wrapper Trap beyond A_w, -d ln mu_app/d ln A = phi_w                                wrapper.py

Rivals' progress depreciates a model faster than time does; cheap tokens raise spending where depth is elastic; a strong enough
flywheel splits a symmetric industry.
"""

from jaxecon.core.model import Model
from jaxecon.models.intelligence_capital.accounts import branches, identities, outcomes
from jaxecon.models.intelligence_capital.agents import AGENTS
from jaxecon.models.intelligence_capital.claims import CLAIMS
from jaxecon.models.intelligence_capital.dynamics import DYNAMICS
from jaxecon.models.intelligence_capital.equilibrium import equilibrium
from jaxecon.models.intelligence_capital.moments import MOMENT_GROUPS
from jaxecon.models.intelligence_capital.outcome_fields import Outcomes
from jaxecon.models.intelligence_capital.params import Params, Policy
from jaxecon.models.intelligence_capital.regimes import REGIMES
from jaxecon.models.intelligence_capital.studies import STUDIES
from jaxecon.models.intelligence_capital.system import SYSTEM


def constraints(p: Params) -> dict:
    """Order restrictions: depth has decreasing returns."""
    return {"psi < 1 + xi": 1 + p.xi - p.psi}


MODEL = Model(
    name="intelligence_capital",
    title="Digital intelligence capital: endogenous depreciation and the structural Jevons paradox",
    paper="paper 1",
    Params=Params,
    Policy=Policy,
    Outcomes=Outcomes,
    equilibrium=equilibrium,
    outcomes=outcomes,
    identities=identities,
    branches=branches,
    dynamics=DYNAMICS,
    agents=AGENTS,
    claims=CLAIMS,
    regimes=REGIMES,
    moments=MOMENT_GROUPS,
    studies=STUDIES,
    system=SYSTEM,
    constraints=constraints,
)
