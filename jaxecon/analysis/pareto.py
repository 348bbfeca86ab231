"""What can be had together: the Pareto surface of several outcomes over the instruments, with certificates."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxecon.analysis.constrained import Constraint, Limit, program_of, read_limits
from jaxecon.analysis.designs import count_problems, name_problems, seed_problems
from jaxecon.analysis.policies import Choice, Reading, choose, evaluate_jets
from jaxecon.core.errors import InputError
from jaxecon.core.fields import fields_of
from jaxecon.core.model import Model
from jaxecon.core.results import as_attributes, field_attributes, provenance, settings
from jaxecon.numerics.augmented import Local, Solution, maximize_constrained
from jaxecon.numerics.pareto import hypervolume, nondominated, simplex_grid

# Weight of the sum of all axes beside the smallest: among points that tie on the worst axis the better one wins.
SUM = 1e-4
# Smallest weight of an axis, and the range of the common gain along a direction, in units of the payoff table.
EDGE, REACH = 1e-2, 4.0
TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class _Axes:
    """Outcomes as axes where more is better, zero at the worst and one at the best of the payoff table."""

    choice: Choice
    names: tuple[str, ...]
    signs: np.ndarray
    limits: tuple[Limit, ...]
    worst: np.ndarray
    best: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        gap = self.best - self.worst
        return np.where(
            gap > 1e-9 * (np.abs(self.best) + np.abs(self.worst)), gap, np.maximum(np.abs(self.best), 1e-12)
        )

    def look(self, w: np.ndarray, limit_sizes: np.ndarray, z: np.ndarray) -> Local:
        """Goal attainment at `z` [b, k + 1] with directions `w` [b, m]: the last variable is the common gain t, in units of REACH;
        constraints $y_i - t w_i$ on each axis, then the limits."""
        c, m = self.choice, len(self.names)
        picks = (*self.names, *(x.pick for x in self.limits))
        found = evaluate_jets(Reading(c.model, picks=picks), c.p, c.u, c.names, c.lo + c.width * z[:, :-1])
        size = np.concatenate([self.signs * self.sizes, limit_sizes])
        shift = np.concatenate([self.signs * self.worst, np.zeros(len(limit_sizes))])
        value = (found.value - shift) / size
        slope = found.slope * c.width / size[:, None]
        bend = found.curvature * c.width[:, None] * c.width / size[:, None, None]
        ok = found.ok
        value, slope, bend = (np.where(ok.reshape(-1, *[1] * (x.ndim - 1)), x, 0.0) for x in (value, slope, bend))
        slope = np.pad(slope, ((0, 0), (0, 0), (0, 1)))
        bend = np.pad(bend, ((0, 0), (0, 0), (0, 1), (0, 1)))
        t = REACH * z[:, -1] - REACH / 2
        f = np.where(ok, t + SUM * value[:, :m].sum(axis=1), -np.inf)
        df = SUM * slope[:, :m].sum(axis=1)
        df[:, -1] += REACH
        value[:, :m] -= t[:, None] * w
        slope[:, :m, -1] -= REACH * w
        return Local(f, df, SUM * bend[:, :m].sum(axis=1), value, slope, bend)


def pareto_surface(
    model: Model,
    instruments: Sequence[str],
    objectives: Mapping[str, str] | Sequence[str],
    *,
    constraints: Mapping[str, Constraint] | None = None,
    divisions: int = 10,
    params: Any = None,
    policy: Any = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: int = 2,
    seed: int = 0,
) -> xr.Dataset:
    """Policies at which no outcome can be improved without giving up another.

    **Arguments**

    - `objectives`: outcomes to raise, or outcome -> `"max"` or `"min"`; two or more.
    - `constraints`: as in `constrained_optimum`. `divisions`: steps of the simplex grid of directions; C(divisions + m - 1, m - 1) of
      them for m objectives. `starts`: climbs of each direction, and of each objective alone for the payoff table.

    For each direction w the largest t with $y_i \\ge t w_i$ on every axis (Chebyshev's scalarization as goal attainment, exact and smooth; it
    reaches surfaces that are not concave), by augmented Lagrangian; y is zero at the worst and one at the best of the payoff table.
    **Returns** a dataset by `point`: the outcomes, `policy`, `direction`, `kkt_residual`, `on_surface` (conditions hold and no other point
    dominates); by `objective`: `best` and `worst` of the payoff table; `hypervolume`: share of the box between them that is dominated (above one where
    the surface reaches beyond it). Raises `InputError`.
    """
    choice, problems = choose(model, instruments, None, params, policy, bounds, True)
    goals = {n: "max" for n in objectives} if not isinstance(objectives, Mapping) else dict(objectives)
    names = [objectives] if isinstance(objectives, str) else list(objectives)
    problems += name_problems(names, fields_of(model.Outcomes), f"outcome of {model.name}")
    problems += [f"the objective {n!r} must be 'max' or 'min', not {d!r}" for n, d in goals.items()
                 if d not in ("max", "min")]  # fmt: skip
    if len(names) < 2:
        problems.append("a surface needs two objectives; name at least two")
    limits, more = read_limits(model, constraints or {})
    problems += more + count_problems(divisions=divisions, starts=starts) + seed_problems(seed)
    if problems or choice is None:
        raise InputError(problems, f"the Pareto surface of {model.name}")
    signs = np.array([1.0 if goals[n] == "max" else -1.0 for n in names])
    with jax.enable_x64(True):
        unit = choice.starts(max(starts, 4), seed)
        corners, payoff = _payoff_table(choice, names, signs, limits, unit)
        if not np.all(np.isfinite(payoff)):
            raise InputError(
                ["some objective alone has no solution under these constraints"], f"the surface of {model.name}"
            )
        axes = _Axes(choice, tuple(names), signs, tuple(limits), payoff.min(axis=0), np.diagonal(payoff).copy())
        w = simplex_grid(len(names), divisions)
        w = (w + EDGE) / np.sum(w + EDGE, axis=1, keepdims=True)
        found = _trace(axes, w, corners, unit[:starts])
        return _dataset(axes, w, found, seed)


def _payoff_table(
    choice: Choice, names: list[str], signs: np.ndarray, limits: list[Limit], unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Best points of each objective alone, `[m, k]` in the unit box, and all objectives there, `[m, m]`, signed: more is better."""
    corners = []
    for name, sign in zip(names, signs, strict=True):
        alone = dataclasses.replace(choice, objective=name, sign=float(sign))
        program = program_of(alone, limits, unit)
        found = maximize_constrained(lambda z, _, at=program.look: at(z), unit, *program.ends)
        good = found.kkt.largest <= TOLERANCE
        corners.append(
            found.z[int(np.argmax(np.where(good, found.here.f, -np.inf)))] if good.any() else unit[0] * np.nan
        )
    z = np.array(corners)
    found = evaluate_jets(Reading(choice.model, picks=tuple(names)), choice.p, choice.u, choice.names, choice.at(z))
    return z, np.where(found.ok[:, None], signs * found.value, np.nan)


def _trace(axes: _Axes, w: np.ndarray, corners: np.ndarray, unit: np.ndarray) -> tuple[Solution, np.ndarray]:
    """The best end of each direction, from the common starts and from the corner nearest to its largest weight."""
    d = len(w)
    own = corners[np.argmax(w, axis=1)]
    z = np.concatenate([own[:, None], np.broadcast_to(unit, (d, *unit.shape))], axis=1)
    s = z.shape[1]
    z = np.concatenate([z, np.full((d, s, 1), 0.5)], axis=2).reshape(d * s, -1)
    weights = np.repeat(w, s, axis=0)
    program = program_of(axes.choice, axes.limits, unit)
    lo, hi = program.ends
    m = len(axes.names)
    found = maximize_constrained(
        lambda z, rows: axes.look(weights[rows], program.sizes, z), z,
        np.concatenate([np.zeros(m), lo]), np.concatenate([np.full(m, np.inf), hi]), tol=TOLERANCE / 10,
    )  # fmt: skip
    good = np.where(found.kkt.largest <= TOLERANCE, found.here.f, -np.inf).reshape(d, s)
    rank = np.where(
        np.isfinite(good).any(axis=1), np.argmax(good, axis=1), np.argmin(found.kkt.largest.reshape(d, s), axis=1)
    )
    return found, rank + s * np.arange(d)


def _dataset(axes: _Axes, w: np.ndarray, traced: tuple[Solution, np.ndarray], seed: int) -> xr.Dataset:
    found, rows = traced
    c, names = axes.choice, axes.names
    z, kkt = found.z[rows, :-1], found.kkt.largest[rows]
    at = evaluate_jets(Reading(c.model, picks=names), c.p, c.u, c.names, c.at(z))
    y = np.where(at.ok[:, None] & (kkt <= TOLERANCE)[:, None], axes.signs * at.value, np.nan)
    share = (y - axes.worst) / axes.sizes
    on = nondominated(share)
    fields = c.model.fields
    variables: dict[str, Any] = {
        n: ("point", axes.signs[j] * y[:, j], field_attributes(fields[n])) for j, n in enumerate(names)
    }
    variables |= {
        "policy": (("point", "instrument"), c.at(z), {"doc": "instruments at each point"}),
        "direction": (("point", "objective"), w, {"units": "1"}),
        "kkt_residual": ("point", kkt, {"units": "1", "doc": "of the goal attainment along the direction"}),
        "on_surface": ("point", on, {"doc": "first-order conditions hold and no other point dominates"}),
        "best": ("objective", axes.signs * axes.best, {"doc": "each objective alone"}),
        "worst": ("objective", axes.signs * axes.worst, {"doc": "least of each objective in the payoff table"}),
        "hypervolume": ((), hypervolume(share[on], np.zeros(len(names))), {"units": "1"}),
    }
    coords = {
        "point": np.arange(len(w)), "instrument": list(c.names), "objective": list(names),
        "unit": ("instrument", [fields[n].unit for n in c.names]),
    }  # fmt: skip
    record = provenance(
        c.model, seed=seed, objectives={n: "max" if s > 0 else "min" for n, s in zip(names, axes.signs, strict=True)},
        bounds=c.ranges, constraints={x.name: [x.lo, x.hi] for x in axes.limits},
        params=settings(c.p), policy=settings(c.u),
    )  # fmt: skip
    return xr.Dataset(variables, coords=coords, attrs=as_attributes(record))
