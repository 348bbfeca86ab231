r"""Profile likelihoods: the best fit at each value of one parameter, and the interval that the likelihood ratio allows.

$$ PL(\theta_j) = \min_{\theta_{-j}} Q(\theta), \qquad Q = (y - m(\theta))' W (y - m(\theta)), \qquad
   \{\theta_j : PL(\theta_j) - Q_{min} \le \chi^2_1(level)\} $$

W is the inverse covariance of the observed moments, so that Q is minus twice the log likelihood (Murphy & van der Vaart 2000 [S]). All values of
all grids are fitted at once; then a value whose neighbor improved tries what it found, until none improves; the ends of all intervals are
found side by side.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxecon.analysis.designs import count_problems, quasi_random, seed_problems
from jaxecon.analysis.moment_problem import MomentProblem
from jaxecon.core.errors import InputError, name_problems
from jaxecon.core.results import as_attributes, field_attributes, provenance

STEPS, ROUNDS, REFINEMENTS = 60, 20, 12
# An improvement below this share of 1 + Q is none. A fit has arrived where the projected gradient, in widths of the ranges, or the
# decrease that a step promises, as a share of 1 + Q, is below these.
GAIN, ARRIVED, PROMISED = 1e-9, 1e-9, 1e-13


@dataclasses.dataclass(frozen=True)
class _Fits:
    """Minima of Q at fixed values of parameters: `x` [n, k] in the unit box, `q` [n]."""

    x: np.ndarray
    q: np.ndarray

    def __getitem__(self, rows: Any) -> "_Fits":
        return _Fits(self.x[rows], self.q[rows])


@dataclasses.dataclass(frozen=True)
class _Misses:
    """Whitened misses as a function of points of the unit box."""

    problem: MomentProblem
    whiten: np.ndarray

    def look(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Q [n], misses [n, m] and their Jacobian [n, m, k]; Q is infinite where the model does not solve."""
        p = self.problem
        width = p.hi - p.lo
        moments, jacobian = p.slopes(p.lo + width * x)
        ok = np.all(np.isfinite(moments), axis=1) & np.all(np.isfinite(jacobian), axis=(1, 2))
        miss = np.where(ok[:, None], moments - p.observed, 0.0) @ self.whiten.T
        slope = np.einsum("ij,njk->nik", self.whiten, np.where(ok[:, None, None], jacobian * width, 0.0))
        return np.where(ok, np.sum(miss**2, axis=1), np.inf), miss, slope

    def minimize(self, x: np.ndarray, free: np.ndarray) -> _Fits:
        """Levenberg-Marquardt within the unit box over the `free` parameters `[n, k]`, from all starts `[n, k]` at once."""
        q, miss, slope = self.look(x)
        x, damp = x.copy(), np.full(len(x), 1e-3)
        for _ in range(STEPS):
            g = np.einsum("nik,ni->nk", slope, miss)
            held = ~free | ((x <= 0) & (g > 0)) | ((x >= 1) & (g < 0))
            size = np.max(np.where(held, 0.0, np.abs(np.clip(x - g, 0.0, 1.0) - x)), axis=1)
            busy = np.flatnonzero(np.isfinite(q) & (size > ARRIVED) & (damp < 1e12))
            if len(busy) == 0:
                break
            s = np.where(held[busy, None, :], 0.0, slope[busy])
            h = np.einsum("nik,nil->nkl", s, s)
            lift = damp[busy, None] * np.maximum(np.einsum("nkk->nk", h), 1e-12)
            h[:, range(h.shape[1]), range(h.shape[1])] += np.where(held[busy], 1.0, lift)
            down = np.where(held[busy], 0.0, -g[busy])
            step = np.linalg.solve(h, down[:, :, None])[:, :, 0]
            worth = np.sum(down * step, axis=1) > PROMISED * (1 + q[busy])
            damp[busy[~worth]] = np.inf
            busy, step = busy[worth], step[worth]
            if len(busy) == 0:
                break
            trial = np.clip(x[busy] + step, 0.0, 1.0)
            new_q, new_miss, new_slope = self.look(trial)
            won = new_q < q[busy]
            rows = busy[won]
            x[rows], q[rows], miss[rows], slope[rows] = trial[won], new_q[won], new_miss[won], new_slope[won]
            damp[busy] = np.where(won, np.maximum(damp[busy] / 5, 1e-12), damp[busy] * 4)
        return _Fits(x, q)


def _sweep(misses: _Misses, fits: _Fits, free: np.ndarray, beside: np.ndarray) -> _Fits:
    """Fits improved from their neighbors `beside` [2, n], until none improves."""
    x, q = fits.x.copy(), fits.q.copy()
    fresh = np.ones(len(q), bool)
    for _ in range(ROUNDS):
        side, row = np.nonzero(fresh[beside])
        starts = np.where(free[row], x[beside[side, row]], x[row])
        found = misses.minimize(starts, free[row])
        fresh[:] = False
        for n in np.argsort(found.q, kind="stable"):
            at = row[n]
            if found.q[n] < q[at] - GAIN * (1 + (q[at] if np.isfinite(q[at]) else 0.0)):
                x[at], q[at], fresh[at] = found.x[n], found.q[n], True
        if not np.any(fresh):
            break
    return _Fits(x, q)


@dataclasses.dataclass
class _Bracket:
    """Two fits `[k]` between which a profile crosses its limit, and their excess."""

    place: tuple[int, int]
    inside: np.ndarray
    outside: np.ndarray
    below: float
    above: float
    at: np.ndarray
    done: bool = False

    def width(self, j: int) -> float:
        """Distance of the fits along parameter j."""
        return abs(self.outside[j] - self.inside[j])

    def crossing(self) -> np.ndarray:
        """The secant's, which is exact where the moments are linear."""
        share = self.below / (self.below - self.above) if np.isfinite(self.above) else 0.5
        return self.inside + share * (self.outside - self.inside)

    def narrow(self, x: np.ndarray, gap: float) -> None:
        """The bracket after the fit at its crossing (Illinois: the end that stays counts half)."""
        self.at, self.done = x, abs(gap) < 1e-9
        if gap < 0:
            self.inside, self.below, self.above = x, gap, self.above / 2
        else:
            self.outside, self.above, self.below = x, gap, self.below / 2


def _cross(
    misses: _Misses, brackets: list[_Bracket], least: float, limit: float, at: list[int], free: np.ndarray
) -> None:
    """Narrow all brackets to 1e-9 of the range or of the root of the excess."""
    for _ in range(REFINEMENTS):
        brackets = [b for b in brackets if not b.done and b.width(at[b.place[0]]) >= 1e-9]
        if not brackets:
            break
        found = misses.minimize(np.stack([b.crossing() for b in brackets]), free[[b.place[0] for b in brackets]])
        for b, x, q in zip(brackets, found.x, found.q):
            b.narrow(x, _gap(float(q), least, limit))


def _gap(q: float, least: float, limit: float) -> float:
    return float(np.sqrt(max(q - least, 0.0)) - np.sqrt(limit)) if np.isfinite(q) else np.inf


def profile(
    problem: MomentProblem,
    parameters: Sequence[str] | None = None,
    theta: Sequence[float] | None = None,
    *,
    points: int = 25,
    level: float = 0.95,
    starts: int = 16,
    seed: int = 0,
) -> xr.Dataset:
    """Profile likelihoods of the free parameters of a calibration, with confidence intervals.

    **Arguments**

    - `parameters`: which; default: all. `points`: of the grid of each, over its range, with the estimate among them.
    - `theta` [k]: the estimate; default: the best fit from the given parameters and `starts` points of the box. A better fit
      found on the way replaces it.

    **Returns** a dataset: `estimate`, `lower`, `upper` by `parameter` (NaN where the interval reaches an end of the range, which `open`
    by `end` says), `profile` by `parameter` and `point` with `value`, `excess` = profile - minimum (against `limit`), `fit`: the other parameters
    there. Raises `InputError`.
    """
    k = len(problem.names)
    wanted = (
        list(problem.names) if parameters is None else [parameters] if isinstance(parameters, str) else list(parameters)
    )
    problems = name_problems(wanted, problem.names, "free parameter of this problem")
    problems += count_problems(points=points, starts=starts) + seed_problems(seed)
    if not (isinstance(level, (int, float)) and 0 < level < 1):
        problems.append(f"level = {level!r} must be a number between 0 and 1")
    given = None if theta is None else np.asarray(theta, float)
    if given is not None and (given.shape != (k,) or not np.all((given >= problem.lo) & (given <= problem.hi))):
        problems.append(f"theta must be {k} numbers within the ranges of {', '.join(problem.names)}, not {theta!r}")
    if problems:
        raise InputError(problems, f"the profiles of {problem.model.name}")
    from scipy.stats import chi2

    limit = float(chi2.ppf(level, 1))
    width = problem.hi - problem.lo
    misses = _Misses(problem, np.linalg.inv(np.linalg.cholesky(problem.covariance)))
    here = np.clip(((problem.given if given is None else given) - problem.lo) / width, 0.0, 1.0)
    unit = here[None] if given is not None else np.concatenate([here[None], _spread(k, starts, seed)])
    first = misses.minimize(unit, np.ones_like(unit, bool))
    if not np.any(np.isfinite(first.q)):
        raise InputError(["the model solves at no start; give theta"], f"the profiles of {problem.model.name}")
    best, least = first.x[int(np.argmin(first.q))], float(np.min(first.q))
    at = [problem.names.index(n) for n in wanted]
    found = _profile_fits(misses, at, points, best)
    # A better fit than the estimate: all intervals are around it.
    x, q = np.concatenate([f.x for f in found]), np.concatenate([f.q for f in found])
    if q.min() < least - GAIN * (1 + least):
        again = misses.minimize(x[[int(np.argmin(q))]], np.ones((1, k), bool))
        best, least = again.x[0], float(again.q[0])
    ends = _intervals(misses, found, at, best, least, limit)
    return _dataset(problem, wanted, found, problem.lo + width * best, least, ends, limit, level)


def _spread(k: int, count: int, seed: int) -> np.ndarray:
    return quasi_random(k, seed).random(1 << max(count - 1, 0).bit_length())[:count]


def _profile_fits(misses: _Misses, at: list[int], points: int, best: np.ndarray) -> list[_Fits]:
    """Fits on the grids of the parameters `at`; the values are those of the grid and the estimate's."""
    grids = [np.unique(np.append(np.linspace(0.0, 1.0, points), best[j])) for j in at]
    ends = np.cumsum([len(g) for g in grids])
    blocks = [np.arange(end - len(g), end) for end, g in zip(ends, grids)]
    x, free = np.tile(best, (ends[-1], 1)), np.ones((ends[-1], len(best)), bool)
    for j, rows, grid in zip(at, blocks, grids):
        x[rows, j], free[rows, j] = grid, False
    beside = np.stack([np.concatenate([np.roll(rows, way) for rows in blocks]) for way in (1, -1)])
    found = _sweep(misses, misses.minimize(x, free), free, beside)
    return [found[rows] for rows in blocks]


def _intervals(
    misses: _Misses, found: list[_Fits], at: list[int], best: np.ndarray, least: float, limit: float
) -> np.ndarray:
    """Ends `[parameter, 2]` of the connected intervals around the estimate, in widths of the ranges; NaN where one reaches the end
    of its range."""
    brackets = []
    for n, (j, fits) in enumerate(zip(at, found)):
        gaps = np.array([_gap(q, least, limit) for q in fits.q])
        order = np.argsort(np.abs(fits.x[:, j] - best[j]), kind="stable")
        for way, side in enumerate((-1, 1)):
            row = [i for i in order if (fits.x[i, j] - best[j]) * side > 0]
            out = next((m for m, i in enumerate(row) if gaps[i] > 0), None)
            if out is None:
                continue
            inside, low = (fits.x[row[out - 1]], gaps[row[out - 1]]) if out else (best, -np.sqrt(limit))
            outside, high = fits.x[row[out]], gaps[row[out]]
            brackets.append(_Bracket((n, way), inside, outside, float(low), float(high), inside))
    free = np.arange(len(best)) != np.asarray(at)[:, None]
    _cross(misses, brackets, least, limit, at, free)
    ends = np.full((len(at), 2), np.nan)
    for b in brackets:
        ends[b.place] = b.at[at[b.place[0]]]
    return ends


def _dataset(
    problem: MomentProblem, wanted: list[str], found: list[_Fits], best: np.ndarray, least: float, ends: np.ndarray,
    limit: float, level: float,
) -> xr.Dataset:  # fmt: skip
    fields, width = problem.model.fields, problem.hi - problem.lo
    at = [problem.names.index(n) for n in wanted]
    size = max(len(f.q) for f in found)

    def stacked(rows: list[np.ndarray]) -> np.ndarray:
        return np.stack([np.concatenate([r, np.full((size - len(r), *r.shape[1:]), np.nan)]) for r in rows])

    theta = stacked([problem.lo + width * f.x for f in found])
    q = stacked([np.where(np.isfinite(f.q), f.q, np.nan) for f in found])
    variables: dict[str, Any] = {
        "estimate": ("parameter", best[at]),
        "lower": ("parameter", problem.lo[at] + width[at] * ends[:, 0]),
        "upper": ("parameter", problem.lo[at] + width[at] * ends[:, 1]),
        "open": (("parameter", "end"), np.isnan(ends)),
        "value": (("parameter", "point"), np.stack([t[:, j] for t, j in zip(theta, at)])),
        "profile": (("parameter", "point"), q, {"units": "1", "doc": "least weighted sum of squared misses"}),
        "excess": (("parameter", "point"), q - least, {"units": "1"}),
        "fit": (("parameter", "point", "other"), theta, {"doc": "all free parameters at the best fit"}),
    }
    coords = {
        "parameter": wanted, "other": list(problem.names), "end": ["lower", "upper"], "point": np.arange(size),
        "unit": ("parameter", [fields[n].unit for n in wanted]),
    }  # fmt: skip
    record = provenance(
        problem.model, method="profile likelihood", level=level, limit=limit, minimum=least,
        ranges={n: field_attributes(fields[n]) | {"lo": float(problem.lo[j]), "hi": float(problem.hi[j])} for n, j in zip(wanted, at)},
    )  # fmt: skip
    return xr.Dataset(variables, coords=coords, attrs=as_attributes(record))
