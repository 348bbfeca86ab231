r"""Content platform (paper 4): a two-sided market with two dimensions of quality.

Human creators of nine types, skill length r x angle $\phi$, sell technical and creative quality $(q_t, q_c) = r(\cos\phi, \sin\phi)$
beside K AI generators whose marginal cost is near zero. Buyers with tastes $(a, b, \ln\alpha)$ of their own choose one item or none

$$V_{ij} = a_i q_{t,j} + b_i q_{c,j} - \alpha_i p_j + \rho\ln x_j - \omega\ln(1 + N_{active}) + \varepsilon_{ij}, \qquad (4.1)$$

where exposure $x_j$ is the platform's recommendation (4.3) and the last term is information overload. Sellers set Bertrand prices net
of an ad-valorem commission (4.2); creators enter or leave (4.4). Over time AI learns from what humans sell (4.5), creators turn
their skill toward what pays (4.6), and the population moves (4.7).

Six regimes of governance are compared by welfare, equity and the long-run flow of human data: the policy trilemma.
"""

from jaxecon.core.model import Model
from jaxecon.models.content_platform.agents import AGENTS
from jaxecon.models.content_platform.claims import CLAIMS
from jaxecon.models.content_platform.dynamics import DYNAMICS
from jaxecon.models.content_platform.equilibrium import (
    REASONS,
    branches,
    equilibrium,
    identities,
    outcomes,
    restart,
    starts,
)  # fmt: skip
from jaxecon.models.content_platform.moments import MOMENT_GROUPS
from jaxecon.models.content_platform.outcome_fields import Outcomes
from jaxecon.models.content_platform.params import REGIMES, Params, Policy
from jaxecon.models.content_platform.studies import STUDIES

MODEL = Model(
    name="content_platform",
    title="Content platform with generative AI",
    paper="paper 4: the impact of generative AI on content platforms, a two-sided market with multi-dimensional quality",
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
    regimes=REGIMES,
    moments=MOMENT_GROUPS,
    starts=starts,
    restart=restart,
    studies=STUDIES,
    block=64,
)

__all__ = ["MODEL"]
