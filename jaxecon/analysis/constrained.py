"""Best policy under constraints on outcomes: a budget, a floor, an equality; with multipliers and both orders of conditions."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxecon.analysis.batch import Response, evaluate_rows
from jaxecon.analysis.designs import count_problems, name_problems, replace, seed_problems
from jaxecon.analysis.optimize import Optimum, OptimumStatus
from jaxecon.analysis.policies import Choice, Function, Reading, choose, evaluate_jets
from jaxecon.core.errors import InputError
from jaxecon.core.fields import fields_of
from jaxecon.core.model import Model
from jaxecon.core.results import provenance, settings
from jaxecon.numerics.augmented import Local, Residuals, Solution, critical_curvatures, maximize_constrained

# `(lo, hi)` on the outcome of that name, either may be None; or a function of a point with its interval.
Constraint = tuple[float | None, float | None] | tuple[Function, float | None, float | None]
TOLERANCE = 1e-8


@dataclasses.dataclass(frozen=True)
class Limit:
    """A constraint after validation: what is read, and its interval (equal ends: an equality)."""

    name: str
    pick: str | Function
    lo: float
    hi: float


@dataclasses.dataclass(frozen=True)
class ConstrainedOptimum(Optimum):
    """The best policy found under constraints. What `Optimum` has, and by constraint:

    - `limits`: `(lo, hi)`, infinite where there is none; `limit_values`: what is read at the optimum.
    - `multipliers`: d(value)/d(limit) of the end that binds, zero where none does; in units of the objective per unit of the limit.
    - `binding`: constraint -> "lower", "upper" or "equal". Multipliers are NaN where the constraints cannot be met.

    `kkt_residual` is the largest of `stationarity` (projected gradient of the Lagrangian, instruments in units of their range),
    `feasibility` (distance from the interval) and `complementarity` (smaller of multiplier and slack); objective and constraints in units of
    their size over the starts. `curvatures`: eigenvalues of the Lagrangian's Hessian in the directions that remain, in the same
    units, for a maximum all negative; `strict`: they are, and the optimum is a strict local one.
    """

    limits: dict[str, tuple[float, float]]
    limit_values: dict[str, float]
    multipliers: dict[str, float]
    binding: dict[str, str]
    stationarity: float
    feasibility: float
    complementarity: float
    curvatures: np.ndarray
    strict: bool

    def to_dataset(self) -> xr.Dataset:
        """What `Optimum.to_dataset` has, with the constraints by `constraint` and the `curvature` by `direction`."""
        ds = super().to_dataset()
        names = list(self.limits)
        lo, hi = np.array(list(self.limits.values()), float).reshape(-1, 2).T
        ds = ds.assign_coords(constraint=names)
        ds["multiplier"] = (
            "constraint",
            list(self.multipliers.values()),
            {"doc": "d(value)/d(limit) of the end that binds"},
        )
        ds["limit_lo"], ds["limit_hi"] = ("constraint", lo), ("constraint", hi)
        ds["limit_value"] = (
            "constraint",
            list(self.limit_values.values()),
            {"doc": "what is constrained, at the optimum"},
        )
        ds["curvature"] = (
            "direction",
            self.curvatures,
            {"doc": "eigenvalues of the reduced Hessian of the Lagrangian"},
        )
        for name in ("stationarity", "feasibility", "complementarity"):
            ds[name] = ((), getattr(self, name), {"units": "1"})
        ds.attrs |= {"binding": str(self.binding), "strict": int(self.strict)}
        return ds


def read_limits(
    model: Model, constraints: Mapping[str, Any], known: Iterable[str] | None = None, what: str = "outcome"
) -> tuple[list[Limit], list[str]]:
    """Constraints after validation, or what is wrong with them; on outcomes, or on what else is `known`."""
    known = fields_of(model.Outcomes) if known is None else known
    limits, problems = [], []
    for name, given in constraints.items():
        parts: tuple[Any, ...] = tuple(given) if isinstance(given, (tuple, list)) else (given,)
        pick: Any = parts[0] if len(parts) == 3 and callable(parts[0]) else name
        if pick is name:
            problems += name_problems([name], known, f"{what} of {model.name}")
        try:
            ends: Any = parts if pick is name else parts[1:]
            lo, hi = ends
            lo, hi = -np.inf if lo is None else float(lo), np.inf if hi is None else float(hi)
        except (TypeError, ValueError):
            problems.append(
                f"the constraint {name!r} must be (lo, hi) on an outcome, or (function, lo, hi), not {given!r}"
            )
            continue
        if not lo <= hi:
            problems.append(f"the constraint {name!r} is empty: lo = {lo:g} must not exceed hi = {hi:g}")
        elif np.isinf(lo) and np.isinf(hi):
            problems.append(f"the constraint {name!r} limits nothing; give lo or hi")
        limits.append(Limit(name, pick, lo, hi))
    return limits, problems


@dataclasses.dataclass(frozen=True)
class Program:
    """A choice under limits in the units of the search: the unit box, objective and limits in units of their size."""

    choice: Choice
    limits: tuple[Limit, ...]
    scale: float
    sizes: np.ndarray

    @property
    def reading(self) -> Reading:
        return Reading(self.choice.model, picks=(self.choice.objective, *(x.pick for x in self.limits)))

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Intervals of the limits in their units."""
        return (np.array([x.lo for x in self.limits]) / self.sizes, np.array([x.hi for x in self.limits]) / self.sizes)

    def look(self, z: np.ndarray) -> Local:
        """Value and exact derivatives at points `[s, k]` of the unit box; -inf where the model or a derivative fails."""
        c = self.choice
        found = evaluate_jets(self.reading, c.p, c.u, c.names, c.lo + c.width * z)
        size = np.append(c.sign * self.scale, self.sizes)
        value = found.value / size
        slope = found.slope * c.width / size[:, None]
        bend = found.curvature * c.width[:, None] * c.width / size[:, None, None]
        ok = found.ok
        value, slope, bend = (np.where(ok.reshape(-1, *[1] * (x.ndim - 1)), x, 0.0) for x in (value, slope, bend))
        f = np.where(ok, value[:, 0], -np.inf)
        return Local(f, slope[:, 0], bend[:, 0], value[:, 1:], slope[:, 1:], bend[:, 1:])


def program_of(choice: Choice, limits: Sequence[Limit], starts: np.ndarray) -> Program:
    """A `Program` whose units are the sizes over the starts."""
    raw = Program(choice, tuple(limits), 1.0, np.ones(len(limits)))
    at = raw.look(starts)
    ok = np.isfinite(at.f)

    def size(x: np.ndarray) -> float:
        return float(max(np.ptp(x), np.max(np.abs(x)))) or 1.0 if len(x) else 1.0

    return dataclasses.replace(raw, scale=size(at.f[ok]), sizes=np.array([size(c) for c in at.c[ok].T]))


def constrained_optimum(
    model: Model,
    instruments: Sequence[str],
    constraints: Mapping[str, Constraint],
    *,
    objective: str | None = None,
    params: Any = None,
    policy: Any = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: int = 8,
    seed: int = 0,
    maximize: bool = True,
) -> ConstrainedOptimum:
    """Choose instruments to maximize (or minimize) an outcome under constraints.

    **Arguments**

    - `constraints`: outcome -> `(lo, hi)` in its unit, `None` for no limit, equal ends for an equality; or any name ->
      `(function, lo, hi)` with a pure `function(params, policy, outcomes) -> scalar`. May be empty.
    - `bounds` narrows the declared ranges of the instruments; the rest as in `optimize`.
    - `starts`: the first is `policy`, the others scrambled Sobol points; all are followed to the end.

    Augmented Lagrangian with exact first and second derivatives, in float64. **Returns** a `ConstrainedOptimum` with multipliers, the
    residuals of all first-order conditions, the second-order check and the share of starts that agree. Raises `InputError`.
    """
    choice, problems = choose(model, instruments, objective, params, policy, bounds, maximize)
    limits, more = read_limits(model, constraints)
    problems += more + count_problems(starts=starts) + seed_problems(seed)
    if problems or choice is None:
        raise InputError(problems, f"the constrained optimization of {model.name}")
    with jax.enable_x64(True):
        unit = choice.starts(starts, seed)
        program = program_of(choice, limits, unit)
        found = maximize_constrained(lambda z, _: program.look(z), unit, *program.ends)
        return _report(program, unit, found, seed)


def best_start(found: Solution) -> int:
    """The start that counts: highest value among those that meet all conditions, else the one that misses them least."""
    good = found.kkt.largest <= TOLERANCE
    if np.any(good):
        return int(np.argmax(np.where(good, found.here.f, -np.inf)))
    return int(np.argmin(found.kkt.largest))


def binding_limits(limits: Sequence[Limit], y: np.ndarray) -> dict[int, str]:
    """Constraints with a multiplier, and which end binds; equalities always bind."""
    bind = {}
    for j, limit in enumerate(limits):
        if limit.lo == limit.hi:
            bind[j] = "equal"
        elif abs(y[j]) > TOLERANCE:
            bind[j] = "upper" if y[j] > 0 else "lower"
    return bind


def status_of(
    solved: bool, kkt: Residuals, best: int, bind: dict, sides: dict, curvatures: np.ndarray
) -> OptimumStatus:
    """The verdict on the start that counts."""
    if not solved:
        return OptimumStatus.NOT_SOLVED
    if kkt.feasibility.min() > 1e-6:
        return OptimumStatus.INFEASIBLE
    if not kkt.largest[best] <= 1e-6:
        return OptimumStatus.NOT_CONVERGED
    if np.any(curvatures > 1e-6):
        return OptimumStatus.SADDLE
    if bind:
        return OptimumStatus.CONSTRAINED
    return OptimumStatus.AT_BOUND if sides else OptimumStatus.OPTIMAL


def _report(program: Program, unit: np.ndarray, found: Solution, seed: int) -> ConstrainedOptimum:
    c, scale = program.choice, program.scale
    ok = np.isfinite(found.here.f)
    solved, best = bool(ok.any()), best_start(found)
    z, y = found.z, found.y[best]
    ends = c.at(z)
    values = np.where(ok, c.sign * scale * found.here.f, np.nan)
    slope, hessian = found.here.lagrangian(found.y)
    bind = binding_limits(program.limits, y)
    held = np.array([j in bind for j in range(len(y))], bool)
    curvatures, _, _ = critical_curvatures(z[best], slope[best], hessian[best], found.here.dc[best], held, TOLERANCE)
    sides = {n: "lower" if z[best, i] <= 0 else "upper" for i, n in enumerate(c.names)
             if solved and not 0 < z[best, i] < 1}  # fmt: skip
    rows = evaluate_rows(Response(c.model), c.p, c.u, c.names, np.stack([ends[best], c.given]))
    outcomes = dict(zip(fields_of(c.model.Outcomes), rows[0, :-2].tolist(), strict=True))
    status = status_of(solved, found.kkt, best, bind, sides, curvatures)
    good = found.kkt.largest <= 1e-6
    labels = [x.name for x in program.limits]
    # More than the limit at an upper end raises the value by y; a multiplier at a lower end is negative.
    feasible = solved and found.kkt.feasibility[best] <= 1e-6
    prices = c.sign * y * scale / program.sizes if feasible else np.full(len(y), np.nan)
    record = provenance(
        c.model, seed=seed, method="augmented Lagrangian, projected Newton", maximize=c.sign > 0,
        params=settings(c.p), policy=settings(c.u),
    )  # fmt: skip
    return ConstrainedOptimum(
        model=c.model,
        values=dict(zip(c.names, ends[best].tolist(), strict=True)),
        policy=replace(c.p, c.u, c.names, jnp.asarray(ends[best]))[1],
        bounds=c.ranges,
        objective=c.objective,
        maximize=c.sign > 0,
        value=outcomes[c.objective],
        reference=float(rows[1, list(outcomes).index(c.objective)]),
        kkt_residual=float(found.kkt.largest[best]) if solved else float("nan"),
        status=status,
        at_bounds=sides,
        agreement=float(np.mean(good & (np.abs(found.here.f - found.here.f[best]) <= 1e-6))) if solved else 0.0,
        starts=c.lo + c.width * unit,
        ends=ends,
        end_values=values,
        end_kkt=np.where(ok, found.kkt.largest, np.nan),
        outcomes=outcomes,
        record=record,
        limits={x.name: (x.lo, x.hi) for x in program.limits},
        limit_values=dict(zip(labels, (found.here.c[best] * program.sizes).tolist(), strict=True)),
        multipliers=dict(zip(labels, prices.tolist(), strict=True)),
        binding={labels[j]: side for j, side in bind.items()},
        stationarity=float(found.kkt.stationarity[best]),
        feasibility=float(found.kkt.feasibility[best]),
        complementarity=float(found.kkt.complementarity[best]),
        curvatures=curvatures,
        strict=status in (OptimumStatus.OPTIMAL, OptimumStatus.AT_BOUND, OptimumStatus.CONSTRAINED)
        and bool(np.all(curvatures < -1e-9)),
    )
