"""The best policy in very many worlds at once: an optimum at each draw of the parameters, in one compiled program."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from jaxecon.analysis.batch import Response, _table, _unravel, evaluate_rows, p_dtype, padded
from jaxecon.analysis.constrained import program_of
from jaxecon.analysis.designs import (
    Draws,
    count_problems,
    inputs_of,
    name_problems,
    prior_draws,
    replace,
    seed_problems,
)
from jaxecon.analysis.hosts import cores_side_by_side, in_groups
from jaxecon.analysis.policies import MANY, Choice, Reading, choose
from jaxecon.core.compiling import quick_jit, wide_jit
from jaxecon.core.errors import InputError
from jaxecon.core.model import SOLVED, Model, precision_of
from jaxecon.core.results import as_attributes, field_attributes, provenance, settings
from jaxecon.numerics.augmented import maximize_constrained
from jaxecon.numerics.newton_box import Climb, maximize_each

# Draws of one call: of a small study, which waits for compilation, and of a large one.
SMALL, LARGE = 256, 16_384
# Cells side by side on a CPU; a GPU takes all of a call.
BLOCK = 256
STATUS = ("OPTIMAL", "AT_BOUND", "NOT_CONVERGED", "NOT_SOLVED")


def draw_table(
    model: Model, draws: Any, seed: int, params: Any, policy: Any, chosen: Sequence[str]
) -> tuple[tuple[str, ...], np.ndarray, list[str]]:
    """Names and points `[n, d]` of draws given as a number (of the prior), `Draws`, or a mapping from names to values `[n]`."""
    if isinstance(draws, (int, np.integer)) and not isinstance(draws, bool):
        problems = count_problems(draws=draws) + seed_problems(seed)
        if problems:
            return (), np.zeros((0, 0)), problems
        draws = prior_draws(model, int(draws), seed, params=params, policy=policy)
    if isinstance(draws, Draws):
        draws = dict(zip(draws.names, draws.points.T, strict=True))
    if not isinstance(draws, Mapping) or not draws:
        return (
            (),
            np.zeros((0, 0)),
            [f"draws must be a number, Draws, or a mapping from parameters to values, not {draws!r}"],
        )
    known = {n: f for n, f in inputs_of(model).items() if f.kind == "real"}
    problems = name_problems(draws, known, f"real parameter or instrument of {model.name}")
    problems += [f"{n!r} is chosen and cannot be drawn too" for n in draws if n in chosen]
    columns = {}
    for n, values in draws.items():
        try:
            columns[n] = np.asarray(values, float)
        except (TypeError, ValueError):
            problems.append(f"the draws of {n!r} are not numbers; give one value a draw")
            continue
        if columns[n].ndim != 1 or len(columns[n]) == 0 or not np.all(np.isfinite(columns[n])):
            problems.append(f"the draws of {n!r} must be a list of finite numbers, one a draw")
        elif n in known and (columns[n].min() < known[n].bounds[0] or columns[n].max() > known[n].bounds[1]):
            lo, hi = known[n].bounds
            problems.append(f"some draws of {n!r} leave its bounds [{lo:g}, {hi:g}]")
    lengths = {n: x.shape for n, x in columns.items()}
    if len(set(lengths.values())) > 1:
        problems.append(f"the draws differ in length: {', '.join(f'{n} {s}' for n, s in lengths.items())}")
    if problems:
        return (), np.zeros((0, 0)), problems
    return tuple(columns), np.stack(list(columns.values()), axis=1), []


def _optima(
    response: Response, names: tuple[str, ...], block: int, p: Any, u: Any, table: Array, lo: Array, width: Array,
    starts: Array, factor: Array, tol: Array, count: Array, *, hessian: str | None = None,
) -> tuple[Climb, Array]:  # fmt: skip
    """Best climb of each of the first `count` draws (columns of `table`) over the starts, and the share of its starts that reach that
    value; `hessian`: where it comes from if steps that need none are to do without, else every step has an exact one.

    Only the instruments move inside a climb. Gradients are taken in reverse, Hessians forward over that: one pass back costs less
    than a pass for each instrument, and a root inside is solved once.
    """
    worlds = jax.vmap(lambda row: _unravel(p, u, row), in_axes=1)(table)
    n, s = table.shape[1], len(starts)

    def goal(cell: Array) -> Callable[[Array], Array]:
        world = jax.tree.map(lambda x: x[cell // s], worlds)
        return lambda z: factor * response(*replace(world[0], world[1], names, lo + width * z))[0]

    def slopes(z: Array, cell: Array) -> tuple[Array, Array]:
        return jax.value_and_grad(goal(cell))(z)

    def look(z: Array, cell: Array) -> tuple[Array, Array, Array]:
        def slope_of(z: Array) -> tuple[Array, tuple[Array, Array]]:
            value, slope = slopes(z, cell)
            return slope, (value, slope)

        bend, (value, slope) = jax.jacfwd(slope_of, has_aux=True)(z)
        return value, slope, bend

    cells = jnp.arange(n * s)
    ends = maximize_each(
        look,
        jnp.tile(starts, (n, 1)),
        cells,
        tol=tol,
        slopes=slopes if hessian else None,
        live=cells < count * s,
        block=block,
    )
    ends = jax.tree.map(lambda x: x.reshape(n, s, *x.shape[1:]), ends)
    best = jnp.argmax(ends.value, axis=1)
    top = jax.tree.map(lambda x: x[jnp.arange(n), best], ends)
    close = jnp.abs(ends.value - top.value[:, None]) <= 1e-6
    return top, jnp.mean(close, axis=1, dtype=lo.dtype)


HESSIANS = ("exact", "differences")
_few_optima = {
    "exact": quick_jit(_optima, effort=1),
    "differences": quick_jit(partial(_optima, hessian="differences"), effort=1),
}
_many_optima = {kind: wide_jit(partial(_optima, hessian=kind)) for kind in HESSIANS}


def common_starts(choice: Choice, starts: int, seed: int) -> tuple[np.ndarray, float]:
    """Starts of every draw in the unit box `[starts, k]`: the optimum at the given parameters, then scrambled Sobol points; and the
    size of the objective over the starts there, in which residuals are measured."""
    unit = choice.starts(max(starts, 8), seed)
    program = program_of(choice, (), unit)
    found = maximize_constrained(lambda z, _: program.look(z), unit, *program.ends)
    ok = np.isfinite(found.here.f)
    first = found.z[int(np.argmax(np.where(ok, found.here.f, -np.inf)))] if ok.any() else unit[0]
    return np.concatenate([first[None], unit[1:starts]]), program.scale


def solve_optima(
    choice: Choice,
    names: tuple[str, ...],
    points: np.ndarray,
    starts: np.ndarray,
    scale: float,
    tol: float,
    hessian: str = "exact",
    *,
    study: int | None = None,
) -> tuple[Climb, np.ndarray]:
    """The best climb at each draw, as NumPy arrays, and the share of its starts that agree; `study`: draws of the whole study, which
    decide how well the program is compiled."""
    many, cpu = (study or len(points)) >= MANY, jax.default_backend() == "cpu"
    run, size = (_many_optima[hessian], LARGE) if many else (_few_optima[hessian], SMALL)
    numbers = [
        np.asarray(x, p_dtype(choice.p, choice.u)) for x in (choice.lo, choice.width, starts, choice.sign / scale, tol)
    ]
    reading = Reading(choice.model, picks=(choice.objective,))

    def optima_of(start: int, stop: int, size: int, put: Callable[[Any], Any]) -> Any:
        block = BLOCK if cpu else size * len(starts)
        with precision_of(choice.p):
            table = put(_table(choice.p, choice.u, names, padded(points[start:stop], size)))
            count = np.asarray(stop - start)
            found = jax.device_get(run(reading, choice.names, block, choice.p, choice.u, table, *numbers, count))
        return jax.tree.map(lambda x: x[: stop - start], found)

    program = (run, reading, choice.names, size, len(starts), p_dtype(choice.p, choice.u))
    return in_groups(optima_of, len(points), size, program, side_by_side=cores_side_by_side())


def _starts_by_differences(choice: Choice, starts: int, seed: int, draws: int, tol: float) -> tuple[np.ndarray, float]:
    """`common_starts` without a program of second derivatives: climbs at the given parameters in the program of the draws."""
    unit = choice.starts(max(starts, 8), seed)
    reading = Reading(choice.model, picks=(choice.objective,))
    rows = evaluate_rows(reading, choice.p, choice.u, choice.names, choice.at(unit))
    values = rows[(rows[:, -1] == SOLVED) & np.isfinite(rows[:, 0]), 0]
    scale = (float(max(np.ptp(values), np.max(np.abs(values)))) or 1.0) if len(values) else 1.0
    here = np.zeros((1, 0))
    # As many starts at a time as a draw has: then the program is the same.
    groups = [np.resize(unit[i : i + starts], (starts, len(choice.names))) for i in range(0, len(unit), starts)]
    found = [solve_optima(choice, (), here, group, scale, tol, "differences", study=draws)[0] for group in groups]
    best = max(found, key=lambda top: top.value[0])
    first = best.z[0] if np.isfinite(best.value[0]) else unit[0]
    return np.concatenate([first[None], unit[1:starts]]), scale


def optimal_policies(
    model: Model,
    instruments: Sequence[str],
    draws: Any = 1024,
    *,
    objective: str | None = None,
    params: Any = None,
    policy: Any = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: int = 1,
    seed: int = 0,
    maximize: bool = True,
    tolerance: float | None = None,
    hessian: str = "exact",
    precision: str = "float64",
) -> xr.Dataset:
    """The best policy at each of many draws of the parameters.

    **Arguments**

    - `draws`: how many draws of the prior box, or `Draws`, or a mapping from parameters to values `[n]` (of a posterior, say).
    - `starts`: climbs of each draw: the first from the best policy at `params`, the others from scrambled Sobol points.
    - `tolerance`: of the projected gradient, instruments in units of their range and the objective in units of `scale`, its
      size over the starts at `params`; default 1e-9, in float32 1e-3. The rest as in `optimize`.

    - `hessian`: second derivatives are `"exact"`, or `"differences"` of exact gradients, where the program of exact ones takes too long
      to compile; optima and residuals are the same.

    Projected Newton, all draws in one program. **Returns** a dataset by `draw` and `instrument`:
    `policy`, `value`, `kkt_residual`, `status` (0 optimal, 1 at a bound, 2 not converged, 3 not solved), `steps`, `agreement` (share of the starts
    that reach the value within 1e-6 of `scale`), and the drawn parameters. A draw that fails harms no other. Raises `InputError`.
    """
    choice, problems = choose(model, instruments, objective, params, policy, bounds, maximize, precision)
    chosen = [instruments] if isinstance(instruments, str) else list(instruments)
    problems += count_problems(starts=starts) + seed_problems(seed)
    tol = (1e-9 if precision == "float64" else 1e-3) if tolerance is None else tolerance
    if not (isinstance(tol, (int, float)) and 0 < tol < 1):
        problems.append(f"tolerance = {tolerance!r} must be a number between 0 and 1")
    if hessian not in HESSIANS:
        problems.append(f"hessian = {hessian!r} must be one of {', '.join(map(repr, HESSIANS))}")
    names, points, more = draw_table(model, draws, seed, params, policy, chosen)
    problems += more
    if problems or choice is None:
        raise InputError(problems, f"the optima of {model.name}")
    with jax.enable_x64(precision == "float64"):
        if hessian == "exact":
            unit, scale = common_starts(choice, starts, seed)
        else:
            unit, scale = _starts_by_differences(choice, starts, seed, len(points), tol)
        top, agreement = solve_optima(choice, names, points, unit, scale, tol, hessian)
    solved = np.isfinite(top.value)
    kkt = np.where(solved, np.max(np.abs(np.clip(top.z + top.slope, 0.0, 1.0) - top.z), axis=1), np.nan)
    held = np.any((top.z <= 0) | (top.z >= 1), axis=1)
    status = np.where(~solved, 3, np.where(kkt <= tol, np.where(held, 1, 0), 2))
    fields = model.fields
    unit_of = fields[choice.objective].unit
    variables: dict[str, Any] = {
        "policy": (
            ("draw", "instrument"),
            np.where(solved[:, None], choice.at(np.asarray(top.z)), np.nan),
            {"doc": "best instruments"},
        ),
        "value": (
            "draw",
            np.where(solved, choice.sign * scale * top.value, np.nan),
            {"units": unit_of, "doc": choice.objective},
        ),
        "kkt_residual": ("draw", kkt, {"units": "1", "doc": "largest entry of the projected gradient"}),
        "status": ("draw", status, {"flag_values": list(range(len(STATUS))), "flag_meanings": " ".join(STATUS)}),
        "steps": ("draw", np.asarray(top.steps), {"doc": "evaluations of the climb that counts"}),
        "agreement": ("draw", np.asarray(agreement), {"units": "1"}),
    }
    variables |= {n: ("draw", points[:, j], field_attributes(fields[n])) for j, n in enumerate(names)}
    coords = {
        "instrument": list(choice.names),
        "unit": ("instrument", [fields[n].unit for n in choice.names]),
        "draw": np.arange(len(points)),
    }
    record = provenance(
        model, seed=seed, precision=precision, method="projected Newton", objective=choice.objective,
        maximize=maximize, starts=starts, scale=scale, tolerance=tol, hessian=hessian, bounds=choice.ranges,
        params=settings(choice.p), policy=settings(choice.u),
    )  # fmt: skip
    counts = {name: int(np.sum(status == code)) for code, name in enumerate(STATUS)}
    return xr.Dataset(variables, coords=coords, attrs=as_attributes(record | {"counts": counts}))
