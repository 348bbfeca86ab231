"""One policy for many worlds: the best mean, the best mean of the worst worlds (CVaR), the best worst case, the least largest regret."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxecon.analysis.designs import count_problems, name_problems, seed_problems
from jaxecon.analysis.optima import common_starts, draw_table, solve_optima
from jaxecon.analysis.policies import Choice, Reading, choose, evaluate_jets
from jaxecon.core.errors import InputError
from jaxecon.core.model import Model
from jaxecon.core.results import as_attributes, field_attributes, provenance, settings
from jaxecon.numerics import robust as aggregate
from jaxecon.numerics.augmented import Local, Look, Solution, maximize_constrained

CRITERIA = {
    "mean": "largest mean over the draws",
    "cvar": "largest mean over the worst share of the draws (conditional value at risk)",
    "worst": "largest value in the worst draw",
    "regret": "smallest largest regret: the loss against the best policy of each draw",
}
# Temperatures of the search, in units of the objective's spread over the draws; the last one bounds the error.
TEMPERATURES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
EMPTY = np.zeros(0)


@dataclasses.dataclass(frozen=True)
class _Worlds:
    """The draws that count: points [n, d], weights, what each could reach, and the units of the search."""

    choice: Choice
    names: tuple[str, ...]
    points: np.ndarray
    weights: np.ndarray
    best: np.ndarray
    scale: float
    criterion: str
    share: float

    def jets(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Objective [s, n], slopes, curvatures at points `[s, k]` of the unit box in units of `scale`, and where they exist."""
        c, n = self.choice, len(self.points)
        x = np.repeat(c.lo + c.width * z, n, axis=0)
        vectors = np.concatenate([x, np.tile(self.points, (len(z), 1))], axis=1)
        reading = Reading(c.model, picks=(c.objective,))
        found = evaluate_jets(reading, c.p, c.u, (*c.names, *self.names), vectors, along=c.names)
        unit = c.sign / self.scale
        parts = (found.value[:, 0] * unit, found.slope[:, 0] * c.width * unit,
                 found.curvature[:, 0] * c.width[:, None] * c.width * unit, found.ok)  # fmt: skip
        f, g, h, ok = (x.reshape(len(z), n, *x.shape[1:]) for x in parts)
        return f, g, h, ok

    def smooth(self, f: np.ndarray, temperature: float) -> aggregate.Smooth:
        """The criterion, larger is better, from the objective by draw [n] in units of the search."""
        if self.criterion == "mean":
            return aggregate.mean(f, self.weights)
        if self.criterion == "cvar":
            return aggregate.cvar(f, self.weights, self.share, temperature)
        return aggregate.worst(f - self.best if self.criterion == "regret" else f, temperature)

    def exact(self, f: np.ndarray) -> dict[str, float]:
        """All criteria without smoothing, in units of the search, from the objective by draw [n]."""
        return {
            "mean": float(self.weights @ f),
            "cvar": aggregate.exact_cvar(f, self.weights, self.share),
            "worst": float(np.min(f)),
            "regret": float(np.max(self.best - f)),
        }

    def look(self, temperature: float) -> Look:
        """Value and derivatives of the criterion at points of the unit box; -inf where a draw fails."""

        def at(z: np.ndarray, _: np.ndarray) -> Local:
            s, k = z.shape
            f, g, h, ok = self.jets(z)
            value, slope, bend = np.full(s, -np.inf), np.zeros((s, k)), np.zeros((s, k, k))
            for i in np.flatnonzero(ok.all(axis=1)):
                found = self.smooth(f[i], temperature)
                value[i], slope[i] = found.value, found.weights @ g[i]
                bend[i] = np.einsum("n,nkl->kl", found.weights, h[i]) + found.spread(g[i])
            none = np.zeros((s, 0))
            return Local(value, slope, bend, none, np.zeros((s, 0, k)), np.zeros((s, 0, k, k)))

        return at


def robust_policy(
    model: Model,
    instruments: Sequence[str],
    draws: Any = 256,
    *,
    criterion: str = "mean",
    share: float = 0.1,
    weights: Sequence[float] | None = None,
    objective: str | None = None,
    params: Any = None,
    policy: Any = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: int = 3,
    seed: int = 0,
    maximize: bool = True,
) -> xr.Dataset:
    """One policy for all draws of the parameters.

    **Arguments**

    - `draws`: how many draws of the prior box, or `Draws`, or a mapping from parameters to values `[n]` (of a posterior, say);
      `weights`: of the draws, default equal (for `"mean"` and `"cvar"`).
    - `criterion`: `"mean"`, `"cvar"` (mean over the worst `share` of the draws), `"worst"`, or `"regret"` (minimax against the best
      policy of each draw). The rest as in `optimize`.

    Newton on a smoothed criterion with exact derivatives, the temperature falling to 1e-6 of the objective's spread. **Returns** a
    dataset: `policy` by `instrument`; by `draw` the objective under the `robust` and the `given` policy, and with `"regret"` what is `attainable`;
    `criteria` by `rule` (robust, given) and `criterion`, without smoothing; `kkt_residual` of the smoothed criterion; `gap`: bound on what
    smoothing costs, in units of the objective; `agreement` of the starts. Draws that the model does not solve at the first start are left
    out and counted; where another draw fails, a policy is not accepted. Raises `InputError`.
    """
    choice, problems = choose(model, instruments, objective, params, policy, bounds, maximize)
    chosen = [instruments] if isinstance(instruments, str) else list(instruments)
    problems += name_problems([criterion], CRITERIA, "criterion")
    problems += count_problems(starts=starts) + seed_problems(seed)
    if not (isinstance(share, (int, float)) and 0 < share <= 1):
        problems.append(f"share = {share!r} must be above 0 and at most 1")
    names, points, more = draw_table(model, draws, seed, params, policy, chosen)
    problems += more
    w = np.ones(len(points)) if weights is None else np.asarray(weights, float)
    if w.shape != (len(points),) or not np.all(np.isfinite(w)) or np.any(w < 0) or (len(w) > 0 and w.sum() <= 0):
        problems.append("weights must be numbers of at least zero, one a draw, not all zero")
    if problems or choice is None:
        raise InputError(problems, f"the robust policy of {model.name}")
    with jax.enable_x64(True):
        unit, scale = common_starts(choice, starts, seed)
        worlds = _Worlds(choice, names, points, w, np.zeros(len(points)), scale, criterion, float(share))
        f, _, _, ok = worlds.jets(unit[:1])
        keep = ok[0] & (w > 0)
        if criterion == "regret":
            top, _ = solve_optima(choice, names, points, unit, scale, 1e-9)
            keep &= np.isfinite(top.value)
            worlds = dataclasses.replace(worlds, best=np.asarray(top.value, float))
        if not np.any(keep):
            raise InputError(["the model solves at no draw; check the draws"], f"the robust policy of {model.name}")
        worlds = dataclasses.replace(
            worlds, points=points[keep], weights=w[keep] / w[keep].sum(), best=worlds.best[keep]
        )
        spread = float(np.std(f[0][keep])) or 1.0
        found, temperature = _search(worlds, unit, spread)
        return _dataset(worlds, found, temperature, keep, seed)


def _search(worlds: _Worlds, unit: np.ndarray, spread: float) -> tuple[Solution, float]:
    """All starts through falling temperatures; the mean needs none."""
    z, found = unit, None
    ladder = TEMPERATURES[-1:] if worlds.criterion == "mean" else TEMPERATURES
    for t in ladder:
        found = maximize_constrained(worlds.look(t * spread), z, EMPTY, EMPTY, outer=1, tol=1e-9)
        z = found.z
    assert found is not None
    return found, ladder[-1] * spread


def _dataset(worlds: _Worlds, found: Solution, temperature: float, keep: np.ndarray, seed: int) -> xr.Dataset:
    c, n = worlds.choice, len(worlds.points)
    best = int(np.argmax(found.here.f))
    here = np.clip((c.given - c.lo) / c.width, 0.0, 1.0)
    f, _, _, ok = worlds.jets(np.stack([found.z[best], here]))
    unit = c.sign * worlds.scale
    table = [list(worlds.exact(x).values()) if good.all() else [np.nan] * 4 for x, good in zip(f, ok, strict=True)]
    # A regret is a loss: it does not change sign with the objective.
    factor = np.array([unit, unit, unit, worlds.scale if worlds.criterion == "regret" else np.nan])
    misses = {"mean": 0.0, "cvar": np.log(2) / worlds.share, "worst": np.log(n), "regret": np.log(n)}
    fields = c.model.fields
    about = {"units": fields[c.objective].unit}
    variables: dict[str, Any] = {
        "policy": ("instrument", c.at(found.z[best]), {"doc": "instruments of the robust policy"}),
        "robust": ("draw", unit * f[0], about | {"doc": f"{c.objective} under the robust policy"}),
        "given": (
            "draw",
            np.where(ok[1], unit * f[1], np.nan),
            about | {"doc": f"{c.objective} under the given policy"},
        ),
        "criteria": (("rule", "criterion"), np.array(table) * factor, about),
        "kkt_residual": ((), float(found.kkt.largest[best]), {"units": "1"}),
        "gap": ((), misses[worlds.criterion] * temperature * worlds.scale, about),
        "end": (("run", "instrument"), c.at(found.z), {"doc": "where each start ended"}),
    }
    if worlds.criterion == "regret":
        variables["attainable"] = ("draw", unit * worlds.best, about | {"doc": "under the best policy of each draw"})
    variables |= {m: ("draw", worlds.points[:, j], field_attributes(fields[m])) for j, m in enumerate(worlds.names)}
    coords = {
        "instrument": list(c.names), "unit": ("instrument", [fields[m].unit for m in c.names]),
        "draw": np.flatnonzero(keep), "rule": ["robust", "given"], "criterion": list(CRITERIA),
        "run": np.arange(len(found.z)),
    }  # fmt: skip
    record = provenance(
        c.model, seed=seed, objective=c.objective, maximize=c.sign > 0, rule=worlds.criterion, share=worlds.share,
        dropped=int(np.sum(~keep)), temperature=temperature * worlds.scale, bounds=c.ranges,
        agreement=float(np.mean(np.abs(found.here.f - found.here.f[best]) <= 1e-6)),
        params=settings(c.p), policy=settings(c.u),
    )  # fmt: skip
    return xr.Dataset(variables, coords=coords, attrs=as_attributes(record))
