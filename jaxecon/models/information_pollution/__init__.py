r"""Information pollution in general equilibrium (paper 5).

A monopolistic platform, profit-maximizing producers of low- and high-quality content, and consumers
who verify play a three-stage game. Generative AI cuts the cost of low-quality content by more
(sigma_L > 1 > sigma_H), so that

- **1 platform**: chooses how much to demote or amplify flagged items, ln a, for advertising revenue (5.5);
- **2 producers**: supply items until cost equals their share of revenue less the tax on flags (5.4);
- **3 consumers**: verify, $v = W_0(\theta^2 M u_L x_L/(\kappa(1-prov)))/\theta$ (5.2), and trust settles at
  $T^*$ (5.3), which feeds back into attention $M = M_0 T^\chi A/(A + A_0)$.

The wage clears the labor market with an outside sector (5.1). Three failures interact: the production
externality (tax), platform governance (fiduciary duty), the trust commons with under-provided
verification (provenance). The Information Pollution Index weighs dilution, deception, distrust and
burden by their marginal damage to welfare (5.6).
"""

from jaxecon.core.model import Model
from jaxecon.models.information_pollution.agents import AGENTS
from jaxecon.models.information_pollution.claims import CLAIMS
from jaxecon.models.information_pollution.claims_paths import CLAIMS_PATHS, STUDIES_PATHS
from jaxecon.models.information_pollution.dynamics import DYNAMICS
from jaxecon.models.information_pollution.equilibrium import REASONS, branches, equilibrium, identities, outcomes
from jaxecon.models.information_pollution.moments import MOMENT_GROUPS
from jaxecon.models.information_pollution.outcome_fields import Outcomes
from jaxecon.models.information_pollution.params import Params, Policy, constraints
from jaxecon.models.information_pollution.studies import STUDIES
from jaxecon.models.information_pollution.system import SYSTEM

MODEL = Model(
    name="information_pollution",
    title="Information pollution in general equilibrium",
    paper="paper 5: information pollution, a three-stage game of a platform, producers and consumers",
    Params=Params,
    Policy=Policy,
    Outcomes=Outcomes,
    equilibrium=equilibrium,
    outcomes=outcomes,
    identities=identities,
    branches=branches,
    reasons=REASONS,
    claims=CLAIMS + CLAIMS_PATHS,
    dynamics=DYNAMICS,
    agents=AGENTS,
    regimes={
        "laissez_faire": {},
        "pigouvian_tax": {"low_quality_tax": 0.3},
        "provenance_standard": {"provenance": 0.5},
        "fiduciary_duty": {"fiduciary_duty": 1.0},
        "compute_tax": {"ai_compute_tax": 1.0},
        "portfolio": {"low_quality_tax": 0.3, "provenance": 0.5, "fiduciary_duty": 1.0},
    },
    moments=MOMENT_GROUPS,
    studies=STUDIES | STUDIES_PATHS,
    system=SYSTEM,
    constraints=constraints,
)

__all__ = ["MODEL"]
