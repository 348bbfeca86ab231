r"""Information asymmetry with AI-generated signals (paper 7).

A principal contracts with agents whose effort and type it does not see. AI signals about effort (noise $\sigma_e^2$) and type
(noise $\sigma_\theta^2$, or accuracy pi) enter pay and contracts:

- **moral hazard** (7.1): the signals' precision Q fixes the power of incentives, $B = 1/(1 + rc/Q)$;
- **adverse selection** (7.2): two types or a continuum, with the signal public *before* contracting or verifiable *after*;
- **both** (7.3): ability and effort are mixed in output; as both noises vanish welfare tends to first best (C7.3).

The principal always gains from accuracy, total welfare need not (C7.4); whether gains are larger under competition depends on the
market (C7.5). Careers, several agents, agents' own AI, privacy and fairness complete the picture. `disclosure_rule` mixes the two
timings, `competition` a monopoly and the competitive form that `market` names.
"""

from jaxecon.core.model import Model
from jaxecon.models.information_asymmetry.claims import CLAIMS
from jaxecon.models.information_asymmetry.dynamics import DYNAMICS
from jaxecon.models.information_asymmetry.equilibrium import branches, equilibrium, identities, outcomes
from jaxecon.models.information_asymmetry.moments import MOMENT_GROUPS
from jaxecon.models.information_asymmetry.outcome_fields import Outcomes
from jaxecon.models.information_asymmetry.params import Params, Policy, constraints
from jaxecon.models.information_asymmetry.studies import STUDIES

MODEL = Model(
    name="information_asymmetry",
    title="Contracts under AI-generated signals",
    paper="paper 7: generative AI and information asymmetry, adverse selection and moral hazard",
    Params=Params,
    Policy=Policy,
    Outcomes=Outcomes,
    equilibrium=equilibrium,
    outcomes=outcomes,
    identities=identities,
    branches=branches,
    claims=CLAIMS,
    dynamics=DYNAMICS,
    regimes={
        "laissez_faire": {},
        "signals": {"signal_subsidy": 0.5},
        "verified_disclosure": {"disclosure_rule": 1.0},
        "competition": {"competition": 1.0},
        "privacy": {"privacy_tax": 0.5},
        "fair_signals": {"signal_subsidy": 0.5, "disclosure_rule": 1.0, "fairness_weight": 1.0},
    },
    moments=MOMENT_GROUPS,
    studies=STUDIES,
    objective="net_welfare",
    constraints=constraints,
)

__all__ = ["MODEL"]
