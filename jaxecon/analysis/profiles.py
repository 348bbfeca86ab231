r"""Profile likelihoods: the best fit at each value of one parameter, and the interval that the likelihood ratio allows.

$$ PL(\theta_j) = \min_{\theta_{-j}} Q(\theta), \qquad Q = (y - m(\theta))' W (y - m(\theta)), \qquad
   \{\theta_j : PL(\theta_j) - Q_{min} \le \chi^2_1(level)\} $$

W is the inverse covariance of the observed moments, so that Q is minus twice the log likelihood (Murphy & van der Vaart 2000 [S]). All values of
the grid are fitted at once; then every value tries what its neighbors on both sides found, until none improves.
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
# An improvement below this share of 1 + Q is none; the projected gradient, in widths of the ranges, at which a fit has arrived.
GAIN, ARRIVED = 1e-9, 1e-9


@dataclasses.dataclass(frozen=True)
class _Fits:
    """Minima of Q at fixed values of one parameter: `x` [n, k] in the unit box, `q` [n]."""

    x: np.ndarray
    q: np.ndarray


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
        """Levenberg-Marquardt within the unit box over the `free` parameters [k], from all starts `[n, k]` at once."""
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
            step = np.linalg.solve(h, np.where(held[busy], 0.0, -g[busy])[:, :, None])[:, :, 0]
            trial = np.clip(x[busy] + step, 0.0, 1.0)
            new_q, new_miss, new_slope = self.look(trial)
            won = new_q < q[busy]
            rows = busy[won]
            x[rows], q[rows], miss[rows], slope[rows] = trial[won], new_q[won], new_miss[won], new_slope[won]
            damp[busy] = np.where(won, np.maximum(damp[busy] / 5, 1e-12), damp[busy] * 4)
        return _Fits(x, q)


def _sweep(misses: _Misses, fits: _Fits, j: int, free: np.ndarray) -> _Fits:
    """Fits improved from their neighbors' on both sides, until none improves."""
    x, q = fits.x, fits.q
    for _ in range(ROUNDS):
        starts = np.concatenate([np.roll(x, 1, axis=0), np.roll(x, -1, axis=0)])
        starts[:, j] = np.tile(x[:, j], 2)
        found = misses.minimize(starts, free)
        both = found.q.reshape(2, -1)
        side = np.argmin(both, axis=0)
        best = both[side, np.arange(len(x))]
        better = best < q - GAIN * (1 + np.where(np.isfinite(q), q, 0.0))
        x = np.where(better[:, None], found.x.reshape(2, *x.shape)[side, np.arange(len(x))], x)
        q = np.where(better, best, q)
        if not np.any(better):
            break
    return _Fits(x, q)


def _crossing(
    misses: _Misses, inside: np.ndarray, outside: np.ndarray, gaps: tuple[float, float], least: float, limit: float, j: int,
    free: np.ndarray,
) -> float:  # fmt: skip
    """Where the profile crosses its limit between two fits `[k]`, to 1e-9 of the range: secant steps within the bracket (Illinois)
    on the root of the excess, which is a straight line where the moments are linear."""
    (a, b), (fa, fb) = (inside, outside), gaps
    x = a
    for _ in range(REFINEMENTS):
        if abs(b[j] - a[j]) < 1e-9:
            break
        share = fa / (fa - fb) if np.isfinite(fb) else 0.5
        found = misses.minimize((a + share * (b - a))[None], free)
        x, gap = found.x[0], _gap(float(found.q[0]), least, limit)
        if abs(gap) < 1e-9:
            break
        if gap < 0:
            a, fa, fb = x, gap, fb / 2
        else:
            b, fb, fa = x, gap, fa / 2
    return float(x[j])


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
    first = misses.minimize(unit, np.ones(k, bool))
    if not np.any(np.isfinite(first.q)):
        raise InputError(["the model solves at no start; give theta"], f"the profiles of {problem.model.name}")
    best, least = first.x[int(np.argmin(first.q))], float(np.min(first.q))
    found = [_profile_fits(misses, problem.names.index(n), points, best) for n in wanted]
    # A better fit than the estimate: all intervals are around it.
    for fits in found:
        if fits.q.min() < least - GAIN * (1 + least):
            again = misses.minimize(fits.x[[int(np.argmin(fits.q))]], np.ones(k, bool))
            best, least = again.x[0], float(again.q[0])
    ends = np.array(
        [_interval(misses, fits, problem.names.index(n), best, least, limit) for n, fits in zip(wanted, found)]
    )
    return _dataset(problem, wanted, found, problem.lo + width * best, least, ends, limit, level)


def _spread(k: int, count: int, seed: int) -> np.ndarray:
    return quasi_random(k, seed).random(1 << max(count - 1, 0).bit_length())[:count]


def _profile_fits(misses: _Misses, j: int, points: int, best: np.ndarray) -> _Fits:
    """Fits on the grid of parameter j; the values are those of the grid and the estimate's."""
    grid = np.unique(np.append(np.linspace(0.0, 1.0, points), best[j]))
    free = np.arange(len(best)) != j
    x = np.tile(best, (len(grid), 1))
    x[:, j] = grid
    return _sweep(misses, misses.minimize(x, free), j, free)


def _interval(
    misses: _Misses, fits: _Fits, j: int, best: np.ndarray, least: float, limit: float
) -> tuple[float, float]:
    """Ends of the connected interval around the estimate, in widths of the range; NaN where it reaches the end of the range."""
    gaps = np.array([_gap(q, least, limit) for q in fits.q])
    free, ends = np.arange(len(best)) != j, []
    for side in (-1, 1):
        beyond = (fits.x[:, j] - best[j]) * side > 0
        order = np.argsort(np.abs(fits.x[:, j] - best[j]), kind="stable")
        row = [i for i in order if beyond[i]]
        out = next((n for n, i in enumerate(row) if gaps[i] > 0), None)
        if out is None:
            ends.append(np.nan)
            continue
        inside, low = (fits.x[row[out - 1]], gaps[row[out - 1]]) if out else (best, -np.sqrt(limit))
        around = (float(low), float(gaps[row[out]]))
        ends.append(_crossing(misses, inside, fits.x[row[out]], around, least, limit, j, free))
    return ends[0], ends[1]


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
