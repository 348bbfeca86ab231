"""Policy over time: instruments as paths and as rules of the state, by gradient through a model's dynamic layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from jaxecon.analysis.constrained import (
    TOLERANCE,
    Constraint,
    Limit,
    best_start,
    binding_limits,
    read_limits,
    status_of,
)
from jaxecon.analysis.designs import count_problems, name_problems, seed_problems
from jaxecon.analysis.plan_search import MOST, Found, Functional, Shape, given_sums, outcome_of, search
from jaxecon.analysis.policies import Choice, choose
from jaxecon.analysis.simulate import find_layer
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError
from jaxecon.core.fields import fields_of, with_fields
from jaxecon.core.model import Dynamics, Model
from jaxecon.core.results import as_attributes, path_dataset, provenance, settings

RULES = {
    "path": "a value for each piece of time, chosen once and for all (commitment)",
    "constant": "one value for all time",
    "feedback": "linear in the state: level + coefficient (state - its start)",
}


def _takes_paths(layer: Dynamics, p: Any, u: Any, names: tuple[str, ...], time: Array) -> bool:
    """Whether the layer runs with these instruments as paths, and its series keep their shapes."""

    def shapes(u: Any) -> list[tuple[int, ...]]:
        return [x.shape for x in jax.tree.leaves(jax.eval_shape(lambda: layer.run(p, u, time)))]

    paths = [jnp.broadcast_to(getattr(u, n), time.shape) for n in names]
    try:
        return shapes(with_fields(u, names, paths)) == shapes(u)
    except (TypeError, ValueError):
        return False


def _no_paths(model: Model, name: str, layer: Dynamics, choice: Choice, time: Float[Array, " T"]) -> str:
    """Why the layer takes no paths of the chosen instruments, and of which it does."""
    takers = [n for n in fields_of(model.Policy) if _takes_paths(layer, choice.p, choice.u, (n,), time)]
    wrong = [n for n in choice.names if n not in takers] or list(choice.names)
    others = [n for n in model.dynamics if n != name]
    layers = f", or another layer ({', '.join(others)})" if others else ""
    return (
        f"the layer {name!r} takes no path of {', '.join(wrong)}, but of {', '.join(takers) or 'no instrument'}; "
        f"use rule='constant'{layers}"
    )


def policy_plan(
    model: Model,
    instruments: Sequence[str],
    objective: Functional,
    *,
    rule: str = "path",
    discount: float = 1.0,
    layer: str = "dynamics",
    pieces: int | None = None,
    constraints: Mapping[str, Constraint] | None = None,
    states: Mapping[str, str] | None = None,
    reach: float = 5.0,
    params: Any = None,
    policy: Any = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    horizon: float | None = None,
    steps: int | None = None,
    iterations: int = 300,
    starts: int = 2,
    seed: int = 0,
    maximize: bool = True,
) -> xr.Dataset:
    """Instruments over time that maximize (or minimize) a discounted sum over a path of the model.

    **Arguments**

    - `objective`: a series of the layer, or a pure function of its path that returns a flow `[T]` or a scalar. A flow counts
      `discount` to the power of time, times the step between two dates.
    - `rule`: `"path"` (`pieces` values of equal duration; default: one a date), `"constant"`, or `"feedback"`: level +
      coefficients (state - its start) within the bounds. `states` then pairs the series that are states with the parameters that hold
      their starts; coefficients are sought up to `reach` times (range of the instrument / largest move of the state under `policy`).
    - `constraints`: series -> `(lo, hi)` of its discounted sum, `None` for no limit; or any name -> `(function, lo, hi)` with a pure
      function of the path as in `objective`: a budget over time, a floor.
    - `bounds`: narrow them where the declared ranges are wide. `horizon`, `steps`: of the layer, default as it declares.
    - `starts`: searches; the first from `policy`, the others from levels of a scrambled Sobol sequence, the same at all dates.

    Adam and L-BFGS on the reverse gradient, then augmented Lagrangian and projected Newton with exact Hessians; the latter up to 400
    variables (values over time of all instruments): beyond there are no constraints and no second-order check. **Returns** the best path as
    `simulate` does, with `plan` by `instrument` and `time`, `value` and `value_given` (under `policy`); `kkt_residual` (largest of projected
    slope, distance from the limits, and smaller of multiplier and slack; instruments in units of their range, sums of their size over the
    starts), `curvature` (largest eigenvalue of the Lagrangian's Hessian in the directions that bounds and limits leave: not positive at a
    maximum, zero where a value does not matter), `agreement` (share of starts that reach the value within 1e-6 of its size), `end_value` by
    `run`; by `constraint` `limit_value` and `multiplier` (d(value)/d(limit)); for feedback `level` and `coefficient` by `state`. The
    attribute `status` is the verdict. Raises `InputError`, also where the layer takes no paths.
    """
    choice, problems = choose(model, instruments, None, params, policy, bounds, maximize)
    kind, name, record = find_layer(model, layer)
    problems += name_problems([rule], RULES, "rule")
    if kind != "dynamics":
        problems.append(
            f"{layer!r} is no dynamic layer of {model.name}; name one of {', '.join(model.dynamics) or 'none'}"
        )
        raise InputError(problems, f"the plan for {model.name}")
    known = {n: f for n, f in fields_of(record.Result).items() if f.dims != (n,)}
    limits, more = read_limits(model, constraints or {}, known, f"series of {name}")
    problems += more + seed_problems(seed)
    if isinstance(objective, str):
        problems += name_problems([objective], known, f"series of {name}")
    states = dict(states or {})
    problems += name_problems(states, known, f"series of {name}")
    problems += name_problems(states.values(), fields_of(model.Params), f"parameter of {model.name}")
    if rule == "feedback" and not states:
        problems.append("a feedback rule needs states, e.g. states={series: parameter that holds its start}")
    if rule != "feedback" and states:
        problems.append(f"states apply to the rule 'feedback' only, not to {rule!r}")
    for what, value, low, high in (("discount", discount, 0.0, 1.0), ("reach", reach, 0.0, np.inf)):
        if not (isinstance(value, (int, float)) and low < value <= high):
            problems.append(
                f"{what} = {value!r} must be above {low:g}" + (f" and at most {high:g}" if high < np.inf else "")
            )
    span_of_time: Any = record.horizon if horizon is None else horizon
    count: Any = record.steps if steps is None else steps
    if not (isinstance(span_of_time, (int, float)) and np.isfinite(span_of_time) and span_of_time > 0):
        problems.append(f"horizon = {horizon!r} must be a positive number")
    problems += count_problems(
        steps=count, iterations=iterations, starts=starts, **({} if pieces is None else {"pieces": pieces})
    )
    if problems or choice is None:
        raise InputError(problems, f"the plan for {model.name}")
    with jax.enable_x64(True):
        time = jnp.linspace(0.0, float(span_of_time), count + 1)
        parts: int = 1 if rule == "constant" else min(pieces or count + 1, count + 1)
        if rule == "path" and not _takes_paths(record, choice.p, choice.u, choice.names, time):
            raise InputError([_no_paths(model, name, record, choice, time)], f"the plan for {model.name}")
        if limits and len(choice.names) * parts > MOST:
            message = f"constraints need at most {MOST} values over time, not {len(choice.names) * parts}; set pieces"
            raise InputError([message], f"the plan for {model.name}")
        span = np.ones((len(choice.names), len(states)))
        if states:
            base = quick_jit(record.run)(choice.p, choice.u, time)
            moves = [np.max(np.abs(np.asarray(getattr(base, s)) - float(getattr(base, s)[0]))) for s in states]
            span = reach * choice.width[:, None] / np.maximum(np.array(moves), 1e-9)
        # Off the bounds: there half of the directions are closed.
        levels = np.stack([choice.given, *choice.at(choice.starts(starts, seed))[1:]])
        levels = np.clip(levels, choice.lo + 0.05 * choice.width, choice.hi - 0.05 * choice.width)
        if rule == "feedback":
            least, most = np.concatenate([choice.lo, -span.ravel()]), np.concatenate([choice.hi, span.ravel()])
            firsts = [np.concatenate([x, np.zeros(span.size)]) for x in levels]
        else:
            least, most, *firsts = (np.repeat(v, parts) for v in (choice.lo, choice.hi, *levels))
        shape = Shape(record, rule, choice.names, tuple(states.items()), parts, (objective, *(x.pick for x in limits)))  # pyright: ignore
        bounds_of = (jnp.asarray(choice.lo), jnp.asarray(choice.hi))
        world = (choice.p, choice.u, time, *bounds_of, jnp.asarray(float(discount)))
        floor, ceiling = np.array([[x.lo, x.hi] for x in limits], float).reshape(-1, 2).T
        found = search(shape, world, least, most, firsts, choice.sign, floor, ceiling, int(iterations))
        best = best_start(found.solution)
        path, plan, sums = outcome_of(shape, world, found.x(best))
        given = float(given_sums(shape, world)[0])
    y = found.solution.y[best]
    bind = binding_limits(limits, y)
    about = provenance(
        model, layer=name, rule=rule, discount=discount, horizon=span_of_time, steps=count, pieces=parts,
        objective=objective if isinstance(objective, str) else getattr(objective, "__name__", "a function"),
        maximize=maximize, iterations=iterations, starts=starts, seed=seed, bounds=choice.ranges,
        params=settings(choice.p), policy=settings(choice.u),
    )  # fmt: skip
    ds = _with_plan(path_dataset(path, record=about), choice, plan, found.x(best), list(states))
    ds["value"] = ((), float(sums[0]), {"doc": "discounted sum under the plan"})
    ds["value_given"] = ((), given, {"doc": "discounted sum under the given policy"})
    return _with_certificate(ds, found, best, limits, sums, bind)


def _with_plan(ds: xr.Dataset, choice: Choice, plan: np.ndarray, x: np.ndarray, states: list[str]) -> xr.Dataset:
    """The path with the instruments over time, and with the rule behind them."""
    fields, k = choice.model.fields, len(choice.names)
    units = [fields[n].unit for n in choice.names]
    ds = ds.assign_coords(instrument=list(choice.names), unit=("instrument", units))
    ds["plan"] = (("instrument", "time"), plan, {"doc": "instruments over time"})
    if states:
        ds = ds.assign_coords(state=states)
        ds["level"] = ("instrument", x[:k], {"doc": "instrument at the start"})
        ds["coefficient"] = (("instrument", "state"), x[k:].reshape(k, -1), {"doc": "instrument per unit of the state"})
    return ds


def _with_certificate(
    ds: xr.Dataset, found: Found, best: int, limits: Sequence[Limit], sums: np.ndarray, bind: dict[int, str]
) -> xr.Dataset:
    """Both orders of conditions, the agreement of the starts, and the limits with their multipliers."""
    solution, y = found.solution, found.solution.y[best]
    held = np.array([j in bind for j in range(len(limits))], bool)
    curvatures = found.curvatures(best, held, TOLERANCE)
    z, value = solution.z[best], solution.here.f
    sides = {i: "bound" for i in range(len(z)) if z[i] <= 0 or z[i] >= 1}
    status = status_of(bool(np.isfinite(value).any()), solution.kkt, best, bind, sides, curvatures)
    good = solution.kkt.largest <= 1e-6
    close = good & (np.abs(value - value[best]) <= 1e-6)
    # More than the limit at an upper end raises the value by y; a multiplier at a lower end is negative.
    prices = y * found.sizes[0] / found.sizes[1:]
    ds["kkt_residual"] = ((), float(solution.kkt.largest[best]), {"units": "1", "doc": "first-order conditions"})
    curvature = float(np.max(curvatures)) if curvatures.size else 0.0
    ds["curvature"] = ((), curvature, {"units": "1", "doc": "largest of the Lagrangian in a direction that is left"})
    ds["agreement"] = ((), float(np.mean(close)), {"units": "1", "doc": "share of starts that reach the value"})
    ends = np.where(np.isfinite(value), value * found.sizes[0], np.nan)
    ds["end_value"] = ("run", ends, {"doc": "discounted sum where each start ended"})
    if limits:
        ds = ds.assign_coords(constraint=[x.name for x in limits])
        ds["limit_lo"] = ("constraint", [x.lo for x in limits])
        ds["limit_hi"] = ("constraint", [x.hi for x in limits])
        ds["limit_value"] = ("constraint", sums[1:], {"doc": "what is limited, under the plan"})
        ds["multiplier"] = ("constraint", prices, {"doc": "d(value)/d(limit) of the end that binds"})
    verdict = {"status": status.name, "status_doc": status.value}
    verdict["binding"] = {limits[j].name: side for j, side in bind.items()}  # pyright: ignore
    ds.attrs |= as_attributes(verdict)
    return ds
