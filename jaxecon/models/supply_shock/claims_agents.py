"""Claims of the agent layer: the documented moments (C3.7) and its own large-number limit (C3.9b).

A moment's margin is `TOLERANCE - |value/documented - 1|`, value = mean over `SEEDS` runs of 50
creators: the same rule for every moment, fixed in advance. The 28 fitted parameters against 11 moments
make agreement a check of consistency, not evidence.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import Claim, claim_of_parts
from jaxecon.models.supply_shock.agents import AgentPath, run
from jaxecon.models.supply_shock.claims_meanfield import PARTICLES
from jaxecon.numerics.agents import mean_and_error, over_keys

TOLERANCE = 0.10
SEEDS, CREATORS, PERIODS = 60, 50, 200
# C3.9b: populations, seeds of each, the large population that stands for the limit, tolerance of the rate.
SIZES, SIZE_SEEDS, LIMIT_SIZE, RATE_TOLERANCE = (200, 800, 3200), 24, 51200, 0.15


class Moment(NamedTuple):
    """A documented number, what it says, and the reference solution's value over 60 seeds."""

    documented: float
    reference: float
    statement: str


MOMENTS: Mapping[str, Moment] = {
    "share_before": Moment(0.98, 0.974, "mean share of human content in all content sold, t < 40"),
    "active_40": Moment(50.0, 50.0, "active creators (of 50) at t = 40"),
    "active_80": Moment(10.0, 10.9, "active creators (of 50) at t = 80"),
    "survivors": Moment(0.18, 0.155, "share of creators active at the end"),
    "share_final": Moment(0.164, 0.151, "share of human content in all content sold at the end"),
    "revenue_trough": Moment(-0.892, -0.880, "lowest median revenue of active creators over 40-80, against pre-shock"),
    "hhi_before": Moment(0.0174, 0.0183, "HHI over all consumers before the shock"),
    "hhi_after": Moment(0.1462, 0.1467, "HHI over all consumers at the end"),
    "technique": Moment(-0.120, -0.115, "survivors' own change in technique"),
    "creativity": Moment(0.148, 0.150, "survivors' own change in creativity"),
    "skill_ratio": Moment(2.71, 2.69, "mean creativity/technique of survivors over that of exiters at exit"),
}


def moments(path: AgentPath) -> dict[str, Float[Array, ""]]:
    """The moments of C3.7 of one run of at least 80 periods; `active_*` are scaled to 50 creators.

    "At t = 40" is the end of the 40th period; the last ratio is NaN where nobody has survived or nobody
    has left.
    """
    if path.time.shape[0] < 80:
        raise ValueError(f"the moments need 80 periods, the path has {path.time.shape[0]}")
    survivors, exiters = path.skill_ratio[-1], path.exiter_skill_ratio[-1]
    both = (path.active[-1] > 0) & (path.exits[-1] > 0)
    return {
        "share_before": jnp.mean(path.human_share[:40]),
        "active_40": CREATORS * path.active[39],
        "active_80": CREATORS * path.active[79],
        "survivors": path.active[-1],
        "share_final": path.human_share[-1],
        "revenue_trough": jnp.min(path.median_revenue[40:80]) - 1.0,
        "hhi_before": path.pre_shock_hhi,
        "hhi_after": path.hhi[-1],
        "technique": jnp.where(path.active[-1] > 0, path.technique_change[-1], jnp.nan),
        "creativity": jnp.where(path.active[-1] > 0, path.creativity_change[-1], jnp.nan),
        "skill_ratio": jnp.where(both, survivors / jnp.where(both, exiters, 1.0), jnp.nan),
    }


def sample_moments(p: Any, u: Any, key: PRNGKeyArray, seeds: int = SEEDS, smooth: bool = False) -> dict[str, Array]:
    """The moments of `seeds` independent runs, `[seeds]` each."""
    keys = jax.random.split(key, seeds)
    return over_keys(lambda k: moments(run(k, p, u, CREATORS, PERIODS, smooth)), keys)


def smooth_gap(p: Any, u: Any, key: PRNGKeyArray, seeds: int = SEEDS) -> dict[str, Float[Array, ""]]:
    """Smooth less discrete mean of each moment over the same seeds: the price of differentiability."""
    smooth, discrete = (sample_moments(p, u, key, seeds, s) for s in (True, False))
    return {name: mean_and_error(smooth[name])[0] - mean_and_error(discrete[name])[0] for name in MOMENTS}


def _moment_margins(p: Any, u: Any, key: PRNGKeyArray) -> dict[str, Float[Array, ""]]:
    """Margins of all moments by the id of their claim, from one sample."""
    sample = sample_moments(p, u, key)
    errors = {name: mean_and_error(sample[name])[0] / m.documented - 1 for name, m in MOMENTS.items()}
    return {f"C3.7 {name}": TOLERANCE - jnp.abs(error) for name, error in errors.items()}


def _moment_margin(id: str, p: Any, u: Any, key: PRNGKeyArray) -> Float[Array, ""]:
    return _moment_margins(p, u, key)[id]


def _all_margins(p: Any, u: Any, key: PRNGKeyArray) -> Float[Array, ""]:
    return jnp.min(jnp.stack(list(_moment_margins(p, u, key).values())))


def _moment_details(p: Any, u: Any, key: PRNGKeyArray) -> dict[str, Array]:
    """For each moment: value, documented value, error, and error in sampling standard errors."""
    found = {}
    for name, sample in sample_moments(p, u, key).items():
        mean, error = mean_and_error(sample)
        gap = mean - MOMENTS[name].documented
        found[f"{name}: value"] = mean
        found[f"{name}: documented"] = jnp.asarray(MOMENTS[name].documented)
        found[f"{name}: error"] = gap
        found[f"{name}: standard error of the value"] = error
        found[f"{name}: error in standard errors"] = gap / jnp.where(error > 0, error, jnp.nan)
    return found


def deviations(p: Any, u: Any, key: PRNGKeyArray, periods: int = PERIODS) -> Float[Array, " s"]:
    """Root mean square distance of human share and activity from the large population, for each of `SIZES`."""
    keys = jax.random.split(key, len(SIZES) + 1)

    def states(k: PRNGKeyArray, n: int) -> Float[Array, "2 t"]:
        path = run(k, p, u, n, periods, False)
        return jnp.stack([path.human_share, path.active])

    limit = states(keys[0], LIMIT_SIZE)

    def distance(k: PRNGKeyArray, n: int) -> Float[Array, ""]:
        found = over_keys(lambda seed: states(seed, n), jax.random.split(k, SIZE_SEEDS), batch_size=8)
        return jnp.sqrt(jnp.mean((found - limit) ** 2))

    return jnp.stack([distance(k, n) for k, n in zip(keys[1:], SIZES, strict=True)])


def convergence_rate(distances: Float[Array, " s"]) -> Float[Array, ""]:
    """Least-squares slope of the log distance in the log number of creators."""
    x = jnp.log(jnp.asarray(SIZES, distances.dtype))
    x = x - jnp.mean(x)
    return jnp.sum(x * jnp.log(distances)) / jnp.sum(x * x)


def _rate_margin(p: Any, u: Any, key: PRNGKeyArray) -> Float[Array, ""]:
    return RATE_TOLERANCE - jnp.abs(convergence_rate(deviations(p, u, key)) + 0.5)


def _rate_details(p: Any, u: Any, key: PRNGKeyArray) -> dict[str, Array]:
    distances = deviations(p, u, key)
    return {
        "creators": jnp.asarray(np.array(SIZES)),
        "root mean square distance": distances,
        "rate": convergence_rate(distances),
    }


def _calibrated(id: str, statement: str, margin: Callable, **more: Any) -> Claim:
    return Claim(
        id=id,
        statement=statement,
        grade="D",
        expectation="calibrated",
        margin=margin,
        cost="agents",
        max_draws=1,
        **more,
    )


_OWN_LIMIT = Claim(
    id="C3.9b",
    statement="with 50 k creators the agent layer converges in k to its own limit at the rate N^-1/2",
    grade="S",
    expectation="limit",
    margin=_rate_margin,
    cost="agents",
    max_draws=1,
    details=_rate_details,
    note="margin: tolerance of the fitted exponent; the limit is not the mean field (3.4)",
)


CLAIMS_AGENTS = (
    _calibrated(
        "C3.7",
        f"the agent-based model reproduces its documented moments to {TOLERANCE:.0%}",
        _all_margins,
        details=_moment_details,
        joint=_moment_margins,
        parts=tuple(
            _calibrated(
                f"C3.7 {name}", f"{m.statement}: documented {m.documented}", partial(_moment_margin, f"C3.7 {name}")
            )
            for name, m in MOMENTS.items()
        ),
        note="28 fitted parameters, 11 moments: consistency, not evidence",
    ),
    claim_of_parts(
        "C3.9",
        "Particles converge to the mean field, and the agent layer to its own limit, at the rate N^-1/2",
        "S",
        "limit",
        (PARTICLES, _OWN_LIMIT),
    ),
)
