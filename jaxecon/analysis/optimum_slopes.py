r"""The optimum as a differentiable function of the parameters: d(best instruments)/d(parameter) and d(value)/d(parameter).

By the implicit function theorem at the first-order conditions, active bounds and constraints held; the value by the envelope theorem.
With $L = f - y \cdot c$, free instruments z and binding constraints $c = b$:

$$ \begin{pmatrix} L_{zz} & -c_z^T \\ c_z & 0 \end{pmatrix} \begin{pmatrix} dz \\ dy \end{pmatrix}
   = \begin{pmatrix} -L_{z\theta}\,d\theta \\ db - c_\theta\,d\theta \end{pmatrix}, \qquad dV = (f_\theta - y \cdot c_\theta)\,d\theta + y \cdot db $$
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from jaxecon.analysis.batch import Response
from jaxecon.analysis.constrained import (
    TOLERANCE,
    Constraint,
    Program,
    binding_limits,
    constrained_optimum,
    program_of,
    read_limits,
)
from jaxecon.analysis.designs import get_values, inputs_of, name_problems, replace
from jaxecon.analysis.policies import Choice, choose
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError
from jaxecon.core.model import Model
from jaxecon.core.results import as_attributes

# Condition number of the first-order conditions, in the units of the search, beyond which no derivative is given.
SINGULAR = 1e12


@quick_jit
def _mixed(
    response: Response, inner: tuple[str, ...], outer: tuple[str, ...], p: Any, u: Any
) -> tuple[Array, Array, Array]:
    """Slopes by the fields `inner` and `outer`, and the mixed second derivatives: `[r, k]`, `[r, d]`, `[r, k, d]`."""

    def first(t: Array) -> tuple[Array, Array]:
        at = replace(p, u, outer, t)
        return jax.jacfwd(lambda s: (response(*replace(*at, inner, s)),) * 2, has_aux=True)(get_values(p, u, inner))

    t = get_values(p, u, outer)
    (slope, _), push = jax.linearize(first, t)
    mixed, by_outer = jax.lax.map(push, jnp.eye(len(outer), dtype=t.dtype))
    return slope, by_outer.T, jnp.moveaxis(mixed, 0, -1)


def optimum_slopes(
    model: Model,
    instruments: Sequence[str],
    parameters: Sequence[str] | None = None,
    *,
    constraints: Mapping[str, Constraint] | None = None,
    objective: str | None = None,
    params: Any = None,
    policy: Any = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: int = 8,
    seed: int = 0,
    maximize: bool = True,
) -> xr.Dataset:
    """How the best policy and its value move with the parameters: one call.

    **Arguments**: `parameters` are real parameters, or instruments that are not chosen; default: all real parameters with a prior box. The
    others are those of `constrained_optimum`, which finds the policy.

    **Returns** a dataset by `instrument`, `parameter` and `constraint`: `policy_slope` (unit of the instrument per unit of the
    parameter), `policy_elasticity`, `value_slope`, `value_elasticity`, `multiplier_slope`, and by the limits that bind `policy_limit_slope`
    and `value_limit_slope` (the multiplier). `singular` is 1, and the slopes NaN, where the conditions do not determine the policy to first order;
    `one_sided` is 1 where a bound or a constraint is about to bind or to let go, so that the slopes hold on one side only. The status
    of the optimum is an attribute. Raises `InputError`.
    """
    choice, problems = choose(model, instruments, objective, params, policy, bounds, maximize)
    known = {n: f for n, f in inputs_of(model).items() if f.kind == "real"}
    wanted = [n for n, f in known.items() if f.role == "parameter" and f.box is not None]
    wanted = wanted if parameters is None else [parameters] if isinstance(parameters, str) else list(parameters)
    problems += name_problems(wanted, known, f"real parameter or instrument of {model.name}")
    chosen = [instruments] if isinstance(instruments, str) else list(instruments)
    problems += [f"{n!r} is chosen and cannot be a parameter too" for n in wanted if n in chosen]
    if not wanted:
        problems.append("no parameter is named; name at least one, or leave parameters out")
    limits, more = read_limits(model, constraints or {})
    if problems + more or choice is None:
        raise InputError(problems + more, f"the slopes of the optimum of {model.name}")
    found = constrained_optimum(
        model, instruments, constraints or {}, objective=objective, params=params, policy=policy, bounds=bounds,
        starts=starts, seed=seed, maximize=maximize,
    )  # fmt: skip
    with jax.enable_x64(True):
        program = program_of(choice, limits, choice.starts(starts, seed))
        y = np.asarray([*found.multipliers.values()], float) * choice.sign * program.sizes / program.scale
        z = (np.asarray([*found.values.values()], float) - choice.lo) / choice.width
        boxes = [known[n].box or (0.0, 1.0) for n in wanted]
        width = np.asarray([float(hi - lo) for lo, hi in boxes], float)
        slopes = _slopes(program, z, y, tuple(wanted), width)
        given = np.asarray(get_values(choice.p, choice.u, wanted), float)
    attributes = {
        "objective": found.objective, "status": found.status.name, "status_doc": found.status.value, "value": found.value,
        "kkt_residual": found.kkt_residual, "agreement": found.agreement,
        "instruments": found.values, "binding": found.binding, "at_bounds": found.at_bounds,
    }  # fmt: skip
    return _dataset(choice, program, wanted, given, found.value, slopes, found.record | attributes)


def _slopes(
    program: Program, z: np.ndarray, y: np.ndarray, wanted: tuple[str, ...], width: np.ndarray
) -> dict[str, Any]:
    """Slopes in natural units at the point `z` of the unit box with scaled multipliers `y`."""
    c, k, m = program.choice, len(z), len(y)
    p, u = replace(c.p, c.u, c.names, jnp.asarray(c.at(z)))
    slope, by_outer, mixed = (np.asarray(x)[: m + 1] for x in _mixed(program.reading, c.names, wanted, p, u))
    here = program.look(z[None])
    size = np.append(c.sign * program.scale, program.sizes)
    slope = slope * c.width / size[:, None]
    by_outer = by_outer * width / size[:, None]
    mixed = mixed * c.width[:, None] * width / size[:, None, None]
    # Lagrangian: rows of the objective and the constraints weighted by (1, -y).
    weights = np.append(1.0, -np.where(np.isfinite(y), y, 0.0))
    gradient = weights @ slope
    bends, twists = (
        here.lagrangian(np.where(np.isfinite(y), y, 0.0)[None])[1][0],
        np.einsum("r,rkd->kd", weights, mixed),
    )
    at_lo, at_hi = z <= 0, z >= 1
    free = np.flatnonzero(~((at_lo & (gradient <= 0)) | (at_hi & (gradient >= 0))))
    bind = sorted(binding_limits(program.limits, y))
    a = slope[1:][bind][:, free]
    matrix = np.block([[bends[free][:, free], -a.T], [a, np.zeros((len(bind), len(bind)))]])
    by_theta = -np.concatenate([twists[free], by_outer[1:][bind]])
    by_limit = np.concatenate([np.zeros((len(free), len(bind))), np.eye(len(bind))])
    singular = not np.all(np.isfinite(matrix)) or (matrix.size > 0 and np.linalg.cond(matrix) > SINGULAR)
    right = np.concatenate([by_theta, by_limit], axis=1)
    moved = np.full(right.shape, np.nan) if singular else np.linalg.solve(matrix, right)
    d = len(wanted)
    dz, dz_limit, dy = np.zeros((k, d)), np.zeros((k, m)), np.zeros((m, d))
    dz[free], dy[bind] = moved[: len(free), :d], moved[len(free) :, :d]
    dz_limit[free[:, None], np.array(bind, int)] = moved[: len(free), d:]
    lo, hi = program.ends
    value = here.c[0]
    near = np.minimum(np.abs(value - lo), np.abs(value - hi)) < 1e-7
    weak = [j for j in range(m) if near[j] and j not in bind]
    loose = (at_lo | at_hi) & (np.abs(gradient) <= TOLERANCE)
    unit = c.sign * program.scale
    return {
        "policy_slope": dz * c.width[:, None] / width,
        "policy_limit_slope": dz_limit * c.width[:, None] / program.sizes,
        "multiplier_slope": dy * unit / program.sizes[:, None] / width,
        "value_slope": (weights @ by_outer) * unit / width,
        "value_limit_slope": y * unit / program.sizes,
        "singular": int(singular),
        "one_sided": int(bool(weak) or bool(np.any(loose))),
    }


def _dataset(
    choice: Choice, program: Program, wanted: list[str], given: np.ndarray, value: float, slopes: dict[str, Any],
    attributes: dict[str, Any],
) -> xr.Dataset:  # fmt: skip
    fields = choice.model.fields
    best = np.array([attributes["instruments"][n] for n in choice.names])
    ratio: Callable[..., np.ndarray] = lambda x, base: np.divide(  # noqa: E731
        x, base, out=np.full(np.broadcast_shapes(np.shape(x), np.shape(base)), np.nan), where=np.asarray(base) != 0
    )
    both, doc = ("instrument", "parameter"), "d({})/d({}), active bounds and constraints held"
    variables: dict[str, Any] = {
        "policy_slope": (both, slopes["policy_slope"], {"doc": doc.format("best instrument", "parameter")}),
        "policy_elasticity": (both, ratio(slopes["policy_slope"] * given, best[:, None]), {"units": "1"}),
        "value_slope": (
            "parameter",
            slopes["value_slope"],
            {"doc": "envelope theorem: " + doc.format("value", "parameter")},
        ),
        "value_elasticity": ("parameter", ratio(slopes["value_slope"] * given, np.asarray(value)), {"units": "1"}),
        "multiplier_slope": (("constraint", "parameter"), slopes["multiplier_slope"]),
        "policy_limit_slope": (("instrument", "constraint"), slopes["policy_limit_slope"]),
        "value_limit_slope": ("constraint", slopes["value_limit_slope"]),
        "policy": ("instrument", best),
        "singular": ((), slopes["singular"]),
        "one_sided": ((), slopes["one_sided"]),
    }
    coords = {
        "instrument": list(choice.names),
        "parameter": wanted,
        "constraint": np.array([x.name for x in program.limits], dtype=str),
        "unit": ("instrument", [fields[n].unit for n in choice.names]),
        "parameter_unit": ("parameter", [fields[n].unit for n in wanted]),
        "given": ("parameter", given),
    }
    return xr.Dataset(variables, coords=coords, attrs=as_attributes(attributes))
