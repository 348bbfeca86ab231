"""Best policy: instruments that maximize an outcome within their bounds, from many starts, with a certificate."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxecon.analysis.batch import Response, evaluate_rows, evaluate_slopes
from jaxecon.analysis.designs import (
    count_problems,
    name_problems,
    replace,
    seed_problems,
)
from jaxecon.analysis.policies import choose
from jaxecon.core.errors import InputError
from jaxecon.core.fields import fields_of
from jaxecon.core.model import SOLVED, Model
from jaxecon.core.results import as_attributes, field_attributes, provenance, settings
from jaxecon.numerics.box_optimizer import Front, Values, adam, lbfgs, polish, projected_gradient


class OptimumStatus(enum.Enum):
    """Verdict on an optimum."""

    OPTIMAL = "first-order conditions hold, no instrument at a bound"
    AT_BOUND = "first-order conditions hold with an instrument at a bound"
    CONSTRAINED = "first-order conditions hold with a constraint that binds"
    AT_CLIFF = "the outcome jumps for the worse right beside this point, towards which it improves: no first-order condition can hold"
    NOT_CONVERGED = "the search stopped before the first-order conditions held; raise steps or starts"
    SADDLE = "first-order conditions hold, but the value still rises to second order in some allowed direction"
    INFEASIBLE = "no start met the constraints; relax them, widen the bounds or raise starts"
    NOT_SOLVED = "the model solved at no start; check the parameters and bounds"


@dataclasses.dataclass(frozen=True)
class Optimum:
    """The best policy found.

    **Attributes**

    - `values`: instruments at the optimum by name; `policy`: the whole policy; `bounds`: their ranges.
    - `objective`: which outcome; `value`: its size there; `reference`: its size at the policy that was passed in.
    - `kkt_residual`: largest entry of the projected gradient, instruments in units of their range, the objective in
      units of its size over the starts; `status`, `at_bounds` (instrument -> "lower" or "upper").
    - `agreement`: share of the starts that reach this value within 1e-6 of its size.
    - `starts`, `ends`: `[start, instrument]`; `end_values`, `end_kkt`: `[start]`, NaN where the model did not solve.
    - `outcomes`: all outcomes at the optimum; `record`: provenance.
    """

    model: Model
    values: dict[str, float]
    policy: Any
    bounds: dict[str, tuple[float, float]]
    objective: str
    maximize: bool
    value: float
    reference: float
    kkt_residual: float
    status: OptimumStatus
    at_bounds: dict[str, str]
    agreement: float
    starts: np.ndarray
    ends: np.ndarray
    end_values: np.ndarray
    end_kkt: np.ndarray
    outcomes: dict[str, float]
    record: dict[str, Any]

    def to_dataset(self) -> xr.Dataset:
        """The optimum as a dataset: `policy` by `instrument`, the outcomes, and all starts."""
        fields = self.model.fields
        names = list(self.values)
        variables: dict[str, Any] = {
            "policy": ("instrument", list(self.values.values()), {"doc": "instruments at the optimum"}),
            "kkt_residual": ((), self.kkt_residual, {"units": "1", "doc": "largest entry of the projected gradient"}),
            "start": (("run", "instrument"), self.starts, {"doc": "where each run started"}),
            "end": (("run", "instrument"), self.ends, {"doc": "where each run ended"}),
            "end_value": ("run", self.end_values, {"units": fields[self.objective].unit, "doc": self.objective}),
            "end_kkt": ("run", self.end_kkt, {"units": "1", "doc": "projected gradient at each run's end"}),
        }
        variables |= {n: ((), v, field_attributes(fields[n])) for n, v in self.outcomes.items()}
        coords = {
            "instrument": names,
            "unit": ("instrument", [fields[n].unit for n in names]),
            "lo": ("instrument", [self.bounds[n][0] for n in names]),
            "hi": ("instrument", [self.bounds[n][1] for n in names]),
            "run": np.arange(len(self.starts)),
        }
        dataset = xr.Dataset(variables, coords=coords)
        dataset.attrs = as_attributes(
            self.record | {
                "objective": self.objective, "status": self.status.name, "status_doc": self.status.value,
                "value": self.value, "reference": self.reference, "agreement": self.agreement,
                "at_bounds": self.at_bounds,
            }
        )  # fmt: skip
        return dataset


@dataclasses.dataclass(frozen=True)
class _Search:
    """The objective as a function of the unit box, in units of its size over the starts."""

    model: Model
    names: tuple[str, ...]
    objective: str
    sign: float
    p: Any
    u: Any
    lo: np.ndarray
    width: np.ndarray
    scale: float = 1.0

    @property
    def column(self) -> int:
        return list(fields_of(self.model.Outcomes)).index(self.objective)

    def values(self, z: np.ndarray) -> np.ndarray:
        """Objective at points `[n, k]` of the unit box; -inf where the model does not solve."""
        rows = evaluate_rows(Response(self.model), self.p, self.u, self.names, self.lo + self.width * z)
        value, ok = rows[:, self.column], rows[:, -1] == SOLVED
        return np.where(ok & np.isfinite(value), self.sign * value / self.scale, -np.inf)

    def slopes(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Objective and gradient; -inf and zero where the model or its derivative fails."""
        rows, slopes = evaluate_slopes(Response(self.model), self.p, self.u, self.names, self.lo + self.width * z)
        value, slope = rows[:, self.column], slopes[:, self.column] * self.width
        ok = (rows[:, -1] == SOLVED) & np.isfinite(value) & np.isfinite(slope).all(axis=1)
        factor = self.sign / self.scale
        return np.where(ok, factor * value, -np.inf), np.where(ok[:, None], factor * slope, 0.0)

    def run(self, starts: np.ndarray, method: str, steps: int) -> tuple[Front, float]:
        """The front after both phases, and the size of the objective over the starts."""
        values = self.values(starts)
        sizes = values[np.isfinite(values)]
        scale = max(np.ptp(sizes), np.max(np.abs(sizes))) if len(sizes) else 1.0
        unit = dataclasses.replace(self, scale=float(scale) or 1.0)
        front = Front(starts, *unit.slopes(starts))
        if method == "adam":
            front = adam(unit.slopes, front, steps)
        else:
            front = lbfgs(unit.values, unit.slopes, front, steps)
        return polish(unit.values, unit.slopes, front), unit.scale


def beside_cliff(values: Values, z: np.ndarray, gradient: np.ndarray) -> bool:
    """Whether the objective jumps down near `z` [k] of the unit box, in the direction in which its gradient points up.

    The first fall within 1e-4 is bracketed down to round-off: across a jump it stays, on a smooth function it vanishes.
    """
    rise = projected_gradient(z[None], gradient[None])[0]
    if not np.any(rise):
        return False
    direction = rise / np.max(np.abs(rise))

    def along(lengths: np.ndarray) -> np.ndarray:
        return values(np.clip(z + lengths[:, None] * direction, 0.0, 1.0))

    lengths = np.append(0.0, 10.0 ** np.arange(-9.0, -3.0))
    found = along(lengths)
    falls = np.flatnonzero(found < found[0])
    if len(falls) == 0:
        return False
    lo, hi = lengths[falls[0] - 1], lengths[falls[0]]
    for _ in range(40):
        middle = (lo + hi) / 2
        if along(np.array([middle]))[0] >= found[0]:
            lo = middle
        else:
            hi = middle
    before, after = along(np.array([lo, hi]))
    return bool(before - after > 1e-6)


def optimize(
    model: Model,
    instruments: Sequence[str],
    *,
    objective: str | None = None,
    params: Any = None,
    policy: Any = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    method: str = "adam",
    starts: int = 16,
    steps: int = 300,
    seed: int = 0,
    maximize: bool = True,
    precision: str = "float64",
) -> Optimum:
    """Choose instruments to maximize (or minimize) an outcome.

    **Arguments**

    - `instruments`: names; the others stay as in `policy`. `bounds` narrows their declared ranges.
    - `objective`: an outcome; default: the model's own.
    - `method`: `"adam"` or `"lbfgs"`, both projected on the bounds, both followed by a quasi-Newton polish.
    - `starts`: runs from scrambled Sobol points; the first starts at `policy`. `steps`: of each run.

    **Returns** an `Optimum` with the residual of the first-order conditions and a status. A run that leaves the
    region where the model solves turns back and harms no other. Raises `InputError`.
    """
    choice, problems = choose(model, instruments, objective, params, policy, bounds, maximize, precision)
    problems += name_problems([method], ("adam", "lbfgs"), "method of optimization")
    problems += count_problems(starts=starts, steps=steps) + seed_problems(seed)
    if problems or choice is None:
        raise InputError(problems, f"the optimization of {model.name}")
    names, p, u = choice.names, choice.p, choice.u
    with jax.enable_x64(precision == "float64"):
        unit = choice.starts(starts, seed)
        search = _Search(model, names, choice.objective, choice.sign, p, u, choice.lo, choice.width)
        found, scale = search.run(unit.astype(precision), method, int(steps))
        ok, z = np.isfinite(found.value), np.asarray(found.z, float)
        first = int(np.argmax(np.where(ok, found.value, -np.inf)))
        tolerance = 1e-6 if precision == "float64" else 1e-3
        cliff = bool(ok.any()) and found.kkt[first] > tolerance
        if cliff:
            scaled = dataclasses.replace(search, scale=scale)
            cliff = beside_cliff(scaled.values, found.z[first], found.gradient[first])
        z = np.where(z < 1e-12, 0.0, np.where(z > 1 - 1e-12, 1.0, z))
        values = np.where(ok, choice.sign * scale * found.value, np.nan)
        best = int(np.nanargmax(choice.sign * values)) if ok.any() else 0
        ends = choice.at(z)
        chosen = replace(p, u, names, jnp.asarray(ends[best], precision))[1]
        pair = np.stack([ends[best], choice.given])
        at_best, at_given = evaluate_rows(Response(model), p, u, names, pair)[:, :-2]
    outcomes = dict(zip(fields_of(model.Outcomes), at_best.tolist(), strict=True))
    reference = float(at_given[search.column])
    solved = bool(ok.any())
    kkt = float(found.kkt[best]) if solved else float("nan")
    sides = {
        n: "lower" if z[best, i] <= 0 else "upper" for i, n in enumerate(names) if solved and not 0 < z[best, i] < 1
    }
    if not solved:
        status = OptimumStatus.NOT_SOLVED
    elif not kkt <= tolerance:
        status = OptimumStatus.AT_CLIFF if cliff else OptimumStatus.NOT_CONVERGED
    else:
        status = OptimumStatus.AT_BOUND if sides else OptimumStatus.OPTIMAL
    close = np.abs(values - values[best]) <= 1e-6 * float(scale)
    record = provenance(
        model, seed=seed, precision=precision, method=method, steps=steps, maximize=maximize,
        params=settings(p), policy=settings(u),
    )  # fmt: skip
    return Optimum(
        model=model,
        values=dict(zip(names, ends[best].tolist(), strict=True)),
        policy=chosen,
        bounds=choice.ranges,
        objective=choice.objective,
        maximize=maximize,
        value=outcomes[choice.objective],
        reference=reference,
        kkt_residual=kkt,
        status=status,
        at_bounds=sides,
        agreement=float(np.mean(close)),
        starts=choice.lo + choice.width * unit,
        ends=ends,
        end_values=values,
        end_kkt=np.where(ok, found.kkt, np.nan),
        outcomes=outcomes,
        record=record,
    )
