r"""From a posterior to policy: the best instruments with their uncertainty, one policy for all draws, and what it is worth to know more.

With the objective $W(u, \theta)$ and draws of the posterior (Raiffa & Schlaifer 1961; Strong, Oakley & Brennan 2014 [S]):

$$ EVPI = E \max_u W - \max_u E\,W, \qquad EVPPI_j = E_{\theta_j} \max_u E[W | \theta_j] - \max_u E\,W $$

$EVPPI_j$ by nesting in bins: draws are sorted by $\theta_j$ and cut into bins of equal size, each bin with its own best policy. Choosing and judging
with the same n draws promises too much by c/n; choosing with one half and judging with the other falls short by 2c/n (to second order
in the spread of the best policies): the estimate is (2 x first + second)/3.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxecon.analysis.designs import count_problems, name_problems, seed_problems
from jaxecon.analysis.optima import common_starts, optimal_policies
from jaxecon.analysis.policies import Choice, Reading, choose, evaluate_jets
from jaxecon.analysis.posterior import Posterior
from jaxecon.analysis.robust import CRITERIA, robust_policy
from jaxecon.core.errors import InputError
from jaxecon.core.results import as_attributes, field_attributes, provenance, settings
from jaxecon.numerics.augmented import Local, maximize_constrained

LEVELS = (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)
# Draws of a bin, and the most bins.
IN_BIN, MOST_BINS = 32, 32


@dataclasses.dataclass(frozen=True)
class _Groups:
    """Groups of draws that share a policy: `points` [n, d] of `names`, `members` of each group, `scale` of the objective."""

    choice: Choice
    names: tuple[str, ...]
    points: np.ndarray
    members: tuple[np.ndarray, ...]
    scale: float

    def jets(self, z: np.ndarray, rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Objective, slopes, curvatures in units of the search at the draws of `rows`, each under its own row of `z`; -inf where it
        fails."""
        c = self.choice
        x = np.repeat(c.lo + c.width * z, [len(r) for r in rows], axis=0)
        vectors = np.concatenate([x, self.points[np.concatenate(rows)]], axis=1)
        found = evaluate_jets(
            Reading(c.model, picks=(c.objective,)), c.p, c.u, (*c.names, *self.names), vectors, along=c.names
        )
        unit = c.sign / self.scale
        value = np.where(found.ok, found.value[:, 0] * unit, -np.inf)
        bend = found.curvature[:, 0] * c.width[:, None] * c.width * unit
        return value, found.slope[:, 0] * c.width * unit, bend

    def look(self, z: np.ndarray, which: np.ndarray) -> Local:
        """Mean objective of some groups, with exact derivatives."""
        rows = [self.members[i] for i in which]
        edges = np.concatenate([[0], np.cumsum([len(r) for r in rows])[:-1]])
        size = np.array([len(r) for r in rows], float)
        f, g, h = (np.add.reduceat(x, edges, axis=0) for x in self.jets(z, rows))
        s, k = z.shape
        lost = ~np.isfinite(f)
        g, h = np.where(lost[:, None], 0.0, g), np.where(lost[:, None, None], 0.0, h)
        none = np.zeros((s, 0))
        return Local(
            f / size, g / size[:, None], h / size[:, None, None], none, np.zeros((s, 0, k)), np.zeros((s, 0, k, k))
        )

    def best(self, start: np.ndarray) -> np.ndarray:
        """Best policy of each group `[groups, k]` in the unit box, from one start."""
        z = np.tile(start, (len(self.members), 1))
        return maximize_constrained(self.look, z, np.zeros(0), np.zeros(0), outer=1, tol=1e-8).z

    def gains(self, z: np.ndarray, judged: Sequence[np.ndarray]) -> np.ndarray:
        """Objective of every draw `[n]` under the policy of the group that judges it, in units of the search."""
        value = np.full(len(self.points), np.nan)
        value[np.concatenate(judged)] = self.jets(z, list(judged))[0]
        return value


def _bins(column: np.ndarray) -> list[np.ndarray]:
    """Draws sorted by one parameter, in bins of equal size."""
    count = int(np.clip(len(column) // IN_BIN, 1, MOST_BINS))
    return np.array_split(np.argsort(column, kind="stable"), count)


def partial_information(
    choice: Choice, names: tuple[str, ...], points: np.ndarray, wanted: Sequence[str], start: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """EVPPI of each wanted parameter and its standard error over the draws, in units of the objective; `start`: the best policy for
    all draws, in the unit box."""
    whole, size = np.arange(len(points)), len(points)
    base = _Groups(choice, names, points, (whole,), scale).gains(start[None], [whole])
    value, error = np.zeros(len(wanted)), np.zeros(len(wanted))
    for j, name in enumerate(wanted):
        bins = _bins(points[:, names.index(name)])
        halves = [b[i::2] for b in bins for i in (0, 1)]
        groups = _Groups(choice, names, points, (*bins, *halves), scale)
        z = groups.best(start)
        same = groups.gains(z[: len(bins)], bins)
        # Each half is judged under the policy of the other one.
        other = [halves[i ^ 1] for i in range(len(halves))]
        gain = (2 * same + groups.gains(z[len(bins) :], other)) / 3 - base
        value[j], error[j] = np.mean(gain), np.std(gain) / np.sqrt(size)
    return value * scale, error * scale


def posterior_policy(
    posterior: Posterior,
    instruments: Sequence[str],
    *,
    draws: int = 1024,
    objective: str | None = None,
    criterion: str = "mean",
    share: float = 0.1,
    policy: Any = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    parameters: Sequence[str] | None = None,
    starts: int = 3,
    seed: int = 0,
    maximize: bool = True,
) -> xr.Dataset:
    """The best policy under a posterior: bands, a robust policy, the value of information.

    **Arguments**

    - `posterior`: of `sample_posterior` or `approximate_posterior`; `draws`: how many of it are used, evenly spaced.
    - `criterion`, `share`: of the robust policy, as in `robust_policy`. The value of information compares means.
    - `parameters`: whose EVPPI is wanted; default: all that were estimated. The rest as in `optimize`.

    **Returns** a dataset: by `draw` the best `policy` of each `instrument`, its `value`, and `robust_value` under the robust policy; by
    `instrument` `mean`, `sd`, `band` by `level`, `robust`, and `best_mean` (the policy with the largest mean); `evpi`; by `parameter` `evppi` with `evppi_error` and
    `evppi_share` of `evpi`. Information is in units of the objective and at least zero but for its error. Draws whose policy is not found
    are left out and counted. Raises `InputError`.
    """
    problem = posterior.problem
    choice, problems = choose(
        problem.model, instruments, objective, problem.p, problem.u if policy is None else policy, bounds, maximize
    )
    wanted = (
        posterior.names if parameters is None else (parameters,) if isinstance(parameters, str) else tuple(parameters)
    )
    problems += name_problems(wanted, posterior.names, "estimated parameter of this posterior")
    problems += name_problems([criterion], CRITERIA, "criterion")
    problems += count_problems(draws=draws, starts=starts) + seed_problems(seed)
    problems += [
        f"{n!r} was estimated and cannot be chosen too"
        for n in (choice.names if choice else ())
        if n in posterior.names
    ]
    if problems or choice is None:
        raise InputError(problems, f"the policy of {problem.model.name} under a posterior")
    options: dict[str, Any] = dict(
        objective=choice.objective, params=choice.p, policy=choice.u, bounds=bounds, starts=starts, seed=seed, maximize=maximize
    )  # fmt: skip
    each = optimal_policies(problem.model, choice.names, posterior.thinned(draws), **options)
    good = np.flatnonzero(each.status.values <= 1)
    if len(good) < 2:
        raise InputError(
            ["the best policy is found at fewer than two draws"],
            f"the policy of {problem.model.name} under a posterior",
        )
    table = {n: each[n].values[good] for n in posterior.names}
    mean = robust_policy(problem.model, choice.names, table, criterion="mean", **options)
    robust = mean if criterion == "mean" else robust_policy(
        problem.model, choice.names, table, criterion=criterion, share=share, **options
    )  # fmt: skip
    kept = mean.draw.values
    points = np.stack([table[n][kept] for n in posterior.names], axis=1)
    value = each.value.values[good][kept]
    evpi = float(choice.sign * np.mean(value - mean.robust.values))
    with jax.enable_x64(True):
        _, scale = common_starts(choice, starts, seed)
        start = np.clip((mean.policy.values - choice.lo) / choice.width, 0.0, 1.0)
        evppi, error = partial_information(choice, posterior.names, points, wanted, start, scale)
    found = {"evpi": evpi, "evppi": evppi, "evppi_error": error}
    return _dataset(posterior, choice, each, good[kept], mean, robust, wanted, found)


def _dataset(
    posterior: Posterior, choice: Choice, each: xr.Dataset, rows: np.ndarray, mean: xr.Dataset, robust: xr.Dataset,
    wanted: Sequence[str], found: dict[str, Any],
) -> xr.Dataset:  # fmt: skip
    fields, problem = choice.model.fields, posterior.problem
    best, about = each.policy.values[rows], {"units": fields[choice.objective].unit}
    evpi = found["evpi"]
    under = robust.robust.values if len(robust.draw) == len(rows) else np.full(len(rows), np.nan)
    variables: dict[str, Any] = {
        "policy": (("draw", "instrument"), best, {"doc": "best instruments of each draw"}),
        "value": (
            "draw",
            each.value.values[rows],
            about | {"doc": f"{choice.objective} under the best policy of each draw"},
        ),
        "robust_value": ("draw", under, about | {"doc": f"{choice.objective} under the robust policy"}),
        "mean": ("instrument", best.mean(axis=0)),
        "sd": ("instrument", best.std(axis=0, ddof=1)),
        "band": (("instrument", "level"), np.quantile(best, LEVELS, axis=0).T, {"doc": "quantiles over the draws"}),
        "robust": ("instrument", robust.policy.values, {"doc": CRITERIA[str(robust.attrs["rule"])]}),
        "best_mean": ("instrument", mean.policy.values, {"doc": "largest mean over the draws"}),
        "evpi": ((), evpi, about | {"doc": "expected gain from knowing all parameters before choosing"}),
        "evppi": (
            "parameter",
            found["evppi"],
            about | {"doc": "expected gain from knowing one parameter before choosing"},
        ),
        "evppi_error": ("parameter", found["evppi_error"], about | {"doc": "standard error over the draws"}),
        "evppi_share": (
            "parameter",
            found["evppi"] / evpi if evpi > 0 else np.full(len(wanted), np.nan),
            {"units": "1"},
        ),
    }
    variables |= {n: ("draw", each[n].values[rows], field_attributes(fields[n])) for n in posterior.names}
    coords = {
        "instrument": list(choice.names), "unit": ("instrument", [fields[n].unit for n in choice.names]),
        "draw": rows, "level": list(LEVELS), "parameter": list(wanted),
    }  # fmt: skip
    record = provenance(
        choice.model, seed=posterior.seed, sampler=posterior.method, objective=choice.objective, maximize=choice.sign > 0,
        criterion=str(robust.attrs["rule"]), bounds=choice.ranges, in_bin=IN_BIN, left_out=len(each.draw) - len(rows),
        params=settings(problem.p), policy=settings(choice.u),
    )  # fmt: skip
    return xr.Dataset(variables, coords=coords, attrs=as_attributes(record))
