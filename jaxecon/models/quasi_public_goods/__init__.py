r"""Language models as quasi-public goods (paper 2; data governance in the macro report, section V)."""

from jaxecon.core.model import Model
from jaxecon.models.quasi_public_goods.equilibrium import REASONS, branches, equilibrium, identities, outcomes
from jaxecon.models.quasi_public_goods.outcome_fields import Outcomes
from jaxecon.models.quasi_public_goods.params import Params, Policy

_S4 = {
    "open_source_support": 0.2, "openness_mandate": 0.5, "public_compute": 0.15, "compute_subsidy": 0.3,
    "safety_standard": 0.5, "access_voucher": 2.405676,
}  # fmt: skip

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
    regimes={
        "laissez_faire": {},
        "S0": {},
        "S1": {"openness_mandate": 0.5, "open_source_support": 0.08},
        "S2": {"public_compute": 0.15, "compute_subsidy": 0.3},
        "S3": {"safety_standard": 0.5},
        "S4": _S4,
    },
)

__all__ = ["MODEL"]
