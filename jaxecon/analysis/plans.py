"""Policy over time: instruments as paths and as rules of the state, by gradient through a model's dynamic layer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import lax
from jaxtyping import Array, Float

from jaxecon.analysis.designs import count_problems, get_values, name_problems, replace
from jaxecon.analysis.policies import Choice, choose
from jaxecon.analysis.simulate import find_layer
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError
from jaxecon.core.fields import fields_of, with_fields
from jaxecon.core.model import Dynamics, Model
from jaxecon.core.results import path_dataset, provenance, settings
from jaxecon.numerics.descent import minimize_many

# A series by name, or a function of the path: its flow at each date `[T]`, or a scalar.
Functional = str | Callable[[Any], Float[Array, "..."]]
RULES = {
    "path": "a value for each piece of time, chosen once and for all (commitment)",
    "constant": "one value for all time",
    "feedback": "linear in the state: level + coefficient (state - its start)",
}


def total(functional: Functional, path: Any, time: Float[Array, " T"], discount: Array) -> Float[Array, ""]:
    r"""$\sum_t discount^t\, flow_t\, h$ with h the step between the dates; a scalar functional as it is."""
    flow = getattr(path, functional) if isinstance(functional, str) else jnp.asarray(functional(path))
    return flow if flow.ndim == 0 else jnp.sum(discount**time * flow) * (time[1] - time[0])


def spread_pieces(x: Float[Array, "k pieces"], dates: int) -> Float[Array, "k T"]:
    """Piecewise constant paths: pieces of equal length over the dates."""
    return x[:, jnp.arange(dates) * x.shape[1] // dates]


def run_feedback(
    layer: Dynamics, p: Any, u: Any, time: Float[Array, " T"], names: tuple[str, ...], states: tuple[tuple[str, str], ...],
    level: Float[Array, " k"], slopes: Float[Array, "k s"], lo: Float[Array, " k"], hi: Float[Array, " k"],
) -> tuple[Any, Float[Array, "k T"]]:  # fmt: skip
    """The path where instruments follow $level + slopes (state - start)$ within [lo, hi], and the instruments.

    One step of the layer after the other, each from the state where the last one ended: `states` pairs each state's series with the
    parameter that holds its start.
    """
    starts = get_values(p, u, [start for _, start in states])
    step = time[1] - time[0]

    def period(state: Array, t: Array) -> tuple[Array, tuple[Any, Array]]:
        x = jnp.clip(level + slopes @ (state - starts), lo, hi)
        now, _ = replace(p, u, [start for _, start in states], state)
        path = layer.run(now, with_fields(u, names, x), jnp.stack([t, t + step]))
        return jnp.stack([getattr(path, name)[-1] for name, _ in states]), (jax.tree.map(lambda v: v[0], path), x)

    _, (path, x) = lax.scan(period, starts.astype(time.dtype), time)
    return path, x.T


@quick_jit
def _plan(
    layer: Dynamics, functional: Functional, rule: str, names: tuple[str, ...], states: tuple[tuple[str, str], ...],
    pieces: int, iterations: int, p: Any, u: Any, time: Array, lo: Array, hi: Array, start: Array, reach: Array,
    sign: Array, discount: Array,
) -> tuple[Any, Array, Array, Array, Array, Array]:  # fmt: skip
    k, s = len(names), len(states)

    def unfold(x: Array) -> tuple[Any, Array]:
        if rule == "feedback":
            slopes = x[k:].reshape(k, s)
            return run_feedback(layer, p, u, time, names, states, x[:k], slopes, lo, hi)
        paths = spread_pieces(x.reshape(k, pieces), len(time))
        return layer.run(p, with_fields(u, names, paths[:, 0] if rule == "constant" else paths), time), paths

    def loss(x: Array) -> Array:
        return -sign * total(functional, unfold(x)[0], time, discount)

    if rule == "feedback":
        least, most = jnp.concatenate([lo, -reach.ravel()]), jnp.concatenate([hi, reach.ravel()])
        first = jnp.concatenate([start, jnp.zeros(k * s, time.dtype)])
    else:
        least, most, first = (jnp.repeat(v, pieces) for v in (lo, hi, start))
    x, slope = minimize_many(loss, first, least, most, iterations)
    path, paths = unfold(x)
    given = total(functional, layer.run(p, u, time), time, discount)
    return path, paths, x, -sign * loss(x), given, slope


def _takes_paths(layer: Dynamics, p: Any, u: Any, names: tuple[str, ...], time: Array) -> bool:
    """Whether the layer runs with these instruments as paths, and its series keep their shapes."""

    def shapes(u: Any) -> list[tuple[int, ...]]:
        return [x.shape for x in jax.tree.leaves(jax.eval_shape(lambda: layer.run(p, u, time)))]

    paths = [jnp.broadcast_to(getattr(u, n), time.shape) for n in names]
    try:
        return shapes(with_fields(u, names, paths)) == shapes(u)
    except (TypeError, ValueError):
        return False


def policy_plan(
    model: Model,
    instruments: Sequence[str],
    objective: Functional,
    *,
    rule: str = "path",
    discount: float = 1.0,
    layer: str = "dynamics",
    pieces: int | None = None,
    states: Mapping[str, str] | None = None,
    reach: float = 5.0,
    params: Any = None,
    policy: Any = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    horizon: float | None = None,
    steps: int | None = None,
    iterations: int = 300,
    maximize: bool = True,
) -> xr.Dataset:
    """Instruments over time that maximize (or minimize) a discounted sum over a path of the model.

    **Arguments**

    - `objective`: a series of the layer, or a pure function of its path that returns a flow `[T]` or a scalar. A flow counts
      `discount` to the power of time, times the step between two dates.
    - `rule`: `"path"` (`pieces` values of equal duration; default: one a date), `"constant"`, or `"feedback"`: level +
      coefficients (state - its start) within the bounds. `states` then pairs the series that are states with the parameters that hold
      their starts; coefficients are sought up to `reach` times (range of the instrument / largest move of the state under `policy`).
    - `bounds`: narrow them where the declared ranges are wide. `horizon`, `steps`: of the layer, default as it declares.

    Adam and L-BFGS on the reverse gradient. **Returns** the best path as `simulate` does, with `plan` by `instrument` and `time`, `value` and
    `value_given` (under `policy`), `kkt_residual` (largest projected slope per range of a variable, as a share of the value), and for feedback
    `level` and `coefficient` by `state`. Raises `InputError`, also where the layer takes no paths.
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
    problems += count_problems(steps=count, iterations=iterations, **({} if pieces is None else {"pieces": pieces}))
    if problems or choice is None:
        raise InputError(problems, f"the plan for {model.name}")
    with jax.enable_x64(True):
        time = jnp.linspace(0.0, float(span_of_time), count + 1)
        pieces = 1 if rule == "constant" else min(pieces or count + 1, count + 1)
        if rule == "path" and not _takes_paths(record, choice.p, choice.u, choice.names, time):
            raise InputError([f"the layer {name!r} takes no paths of {', '.join(choice.names)}; use rule='constant'"],
                             f"the plan for {model.name}")  # fmt: skip
        span = np.ones((len(choice.names), len(states)))
        if states:
            base = quick_jit(record.run)(choice.p, choice.u, time)
            moves = [np.max(np.abs(np.asarray(getattr(base, s)) - float(getattr(base, s)[0]))) for s in states]
            span = reach * choice.width[:, None] / np.maximum(np.array(moves), 1e-9)
        # Off the bounds: there half of the directions are closed.
        start = np.clip(choice.given, choice.lo + 0.05 * choice.width, choice.hi - 0.05 * choice.width)
        found = _plan(
            record, objective, rule, choice.names, tuple(states.items()), pieces, int(iterations), choice.p, choice.u, time,
            jnp.asarray(choice.lo), jnp.asarray(choice.hi), jnp.asarray(start), jnp.asarray(span),
            jnp.asarray(choice.sign), jnp.asarray(float(discount)),
        )  # fmt: skip
        path, plan, x, value, given, slope = jax.device_get(found)
    about = provenance(
        model, layer=name, rule=rule, discount=discount, horizon=span_of_time, steps=count, pieces=pieces,
        objective=objective if isinstance(objective, str) else getattr(objective, "__name__", "a function"),
        maximize=maximize, iterations=iterations, bounds=choice.ranges,
        params=settings(choice.p), policy=settings(choice.u),
    )  # fmt: skip
    return _dataset(choice, path, plan, x, float(value), float(given), float(slope), list(states), about)


def _dataset(
    choice: Choice, path: Any, plan: np.ndarray, x: np.ndarray, value: float, given: float, slope: float,
    states: list[str], about: dict[str, Any],
) -> xr.Dataset:  # fmt: skip
    ds = path_dataset(path, record=about)
    fields, k = choice.model.fields, len(choice.names)
    units = [fields[n].unit for n in choice.names]
    ds = ds.assign_coords(instrument=list(choice.names), unit=("instrument", units))
    ds["plan"] = (("instrument", "time"), plan, {"doc": "instruments over time"})
    ds["value"] = ((), value, {"doc": "discounted sum under the plan"})
    ds["value_given"] = ((), given, {"doc": "discounted sum under the given policy"})
    ds["kkt_residual"] = ((), slope, {"units": "1"})
    if states:
        ds = ds.assign_coords(state=states)
        ds["level"] = ("instrument", x[:k], {"doc": "instrument at the start"})
        ds["coefficient"] = (("instrument", "state"), x[k:].reshape(k, -1), {"doc": "instrument per unit of the state"})
    return ds
