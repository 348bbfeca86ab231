"""What data say that no outcome of the static layer measures: the documented moments of the agent layer (C3.7)."""

from functools import partial
from typing import Any

from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import Moments
from jaxecon.models.supply_shock.agents import run
from jaxecon.models.supply_shock.claims_agents import CREATORS, MOMENTS, PERIODS, moments

_UNITS = {
    "share_before": "share of units",
    "active_40": "creators",
    "active_80": "creators",
    "survivors": "share of creators",
    "share_final": "share of units",
    "revenue_trough": "share of pre-shock median",
    "hhi_before": "1",
    "hhi_after": "1",
    "technique": "technique",
    "creativity": "creativity",
    "skill_ratio": "1",
}


def one_run(smooth: bool, p: Any, u: Any, key: PRNGKeyArray) -> dict[str, Float[Array, ""]]:
    """The moments of C3.7 of the run of one seed, 50 creators over 200 periods; means over keys are compared with data."""
    return moments(run(key, p, u, CREATORS, PERIODS, smooth))


AGENT_MOMENTS = Moments(
    run=partial(one_run, False),
    smooth=partial(one_run, True),
    about={name: (_UNITS[name], m.statement) for name, m in MOMENTS.items()},
    cost="agents",
)
MOMENT_GROUPS = {"agents": AGENT_MOMENTS}
