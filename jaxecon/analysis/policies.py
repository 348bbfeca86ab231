"""What all analyses of policy share: a validated choice of instruments, and exact first and second derivatives at many points."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxecon.analysis.batch import Response, _table, _unravel, p_dtype, padded
from jaxecon.analysis.designs import get_values, name_problems, quasi_random, range_problem, replace, resolve
from jaxecon.analysis.hosts import in_groups
from jaxecon.core.compiling import quick_jit, wide_jit
from jaxecon.core.fields import fields_of
from jaxecon.core.model import SOLVED, Model, evaluate_pure, precision_of

# A scalar of one point: `f(params, policy, outcomes)`, pure.
Function = Callable[[Any, Any, Any], Float[Array, ""]]
# Points of one call for second derivatives: of a search from a few starts, and of many draws.
FEW, WIDE = 8, 256
# Points from which a faster program is worth its longer compilation.
MANY = 20_000


@dataclasses.dataclass(frozen=True)
class Reading(Response):
    """Some outcomes by name and functions of a point `(params, policy, outcomes) -> scalar`, in place of all outcomes."""

    picks: tuple[str | Function, ...] = ()

    def values(self, p: Any, u: Any) -> tuple[Array, Array, Array]:
        evaluation = evaluate_pure(self.model, p, u)
        out = evaluation.outcomes
        values = [getattr(out, k) if isinstance(k, str) else jnp.asarray(k(p, u, out)) for k in self.picks]
        return jnp.stack(values), evaluation.max_residual, evaluation.status


@dataclasses.dataclass(frozen=True)
class Jets:
    """Rows at points, their slopes and curvatures along the named fields; where `ok` is false the rest means nothing."""

    value: np.ndarray  # [n, r]
    slope: np.ndarray  # [n, r, k]
    curvature: np.ndarray  # [n, r, k, k]
    ok: np.ndarray  # [n]
    status: np.ndarray  # [n]


def jet(f: Callable[[Array], Array], x: Float[Array, " k"]) -> tuple[Array, Array, Array]:
    """`f(x)`, its first and second derivatives by forward passes: a root inside `f` is solved once."""

    def first(s: Array) -> tuple[Array, tuple[Array, Array]]:
        slope, value = jax.jacfwd(lambda t: (f(t),) * 2, has_aux=True)(s)
        return slope, (slope, value)

    curvature, (slope, value) = jax.jacfwd(first, has_aux=True)(x)
    return value, slope, curvature


def _jets(response: Response, along: tuple[str, ...], p: Any, u: Any, table: Array) -> tuple[Array, Array, Array]:
    def one(row: Array) -> tuple[Array, Array, Array]:
        point = _unravel(p, u, row)
        # Only the named fields move: the derivative of a root then has as many columns as there are names.
        return jet(lambda x: response(*replace(*point, along, x)), get_values(*point, along))

    return jax.vmap(one, in_axes=1)(table)


_few_jets, _many_jets = quick_jit(_jets), wide_jit(_jets)


def evaluate_jets(
    response: Response,
    p: Any,
    u: Any,
    names: Sequence[str],
    vectors: np.ndarray,
    along: Sequence[str] | None = None,
    *,
    study: int | None = None,
) -> Jets:
    """Rows of a response at any number of points, with exact first and second derivatives along some of the named fields.

    **Arguments**

    - `names`, `vectors`: fields that differ between the points, `[n, len(names)]`, in their own units.
    - `along`: fields to differentiate by, default `names`. One program serves any number of points.
    - `study`: points of the whole study; it decides how well the program is compiled.
    """
    along = tuple(names if along is None else along)
    run = _many_jets if (study or len(vectors)) >= MANY else _few_jets
    size = FEW if len(vectors) <= 4 * FEW else WIDE

    def jets_of(start: int, stop: int, size: int, put: Callable[[Any], Any]) -> list[np.ndarray]:
        with precision_of(p):
            table = put(_table(p, u, tuple(names), padded(vectors[start:stop], size)))
            return [np.asarray(x)[: stop - start] for x in run(response, along, p, u, table)]

    program = ("jets", response, along, size, p_dtype(p, u), jax.tree.structure((p, u)))
    value, slope, curvature = in_groups(jets_of, len(vectors), size, program)
    status = value[:, -1].astype(int)
    value, slope, curvature = value[:, :-2], slope[:, :-2], curvature[:, :-2]
    finite = [np.isfinite(x).reshape(len(x), -1).all(axis=1) for x in (value, slope, curvature)]
    return Jets(value, slope, curvature, (status == SOLVED) & np.all(finite, axis=0), status)


@dataclasses.dataclass(frozen=True)
class Choice:
    """Instruments to choose within bounds, `lo + (hi - lo) z`, and the outcome that they serve (`sign` 1: at most)."""

    model: Model
    names: tuple[str, ...]
    objective: str
    sign: float
    p: Any
    u: Any
    lo: np.ndarray
    hi: np.ndarray

    @property
    def width(self) -> np.ndarray:
        return self.hi - self.lo

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Bounds by instrument."""
        return {n: (float(a), float(b)) for n, a, b in zip(self.names, self.lo, self.hi, strict=True)}

    @property
    def given(self) -> np.ndarray:
        """The instruments of the policy that was passed in."""
        return np.asarray(get_values(self.p, self.u, self.names), float)

    def at(self, z: np.ndarray) -> np.ndarray:
        """Instruments at points of the unit box; a bound that is reached is reached exactly."""
        return np.where(z >= 1, self.hi, self.lo + self.width * z)

    def starts(self, count: int, seed: int) -> np.ndarray:
        """Points of the unit box `[count, k]`: the given policy, then scrambled Sobol points."""
        here = np.clip((self.given - self.lo) / self.width, 0.0, 1.0)
        drawn = quasi_random(len(self.names), seed).random(1 << max(count - 1, 0).bit_length())
        return np.concatenate([here[None], drawn])[:count]


def instrument_problems(
    model: Model, names: Sequence[str], goal: str, u: Any, bounds: Mapping[str, tuple[float, float]]
) -> list[str]:
    """What is wrong with a choice of instruments, its objective and its bounds."""
    known = fields_of(model.Policy)
    problems = name_problems(names, known, f"instrument of {model.name}")
    problems += name_problems([goal], fields_of(model.Outcomes), f"outcome of {model.name}")
    if not names:
        problems.append("no instrument is named; name at least one")
    problems += [
        f"the bounds of {n!r} are given, but it is not among the instruments" for n in bounds if n not in names
    ]
    problems += [w for n in bounds if n in known and n in names and (w := range_problem(known[n], bounds[n]))]
    problems += [f"{n} is a path in the given policy; optimize a scalar" for n in names
                 if n in known and np.ndim(getattr(u, n)) > 0]  # fmt: skip
    return problems


def choose(
    model: Model,
    instruments: Sequence[str],
    objective: str | None,
    params: Any,
    policy: Any,
    bounds: Mapping[str, tuple[float, float]] | None,
    maximize: bool,
    precision: str = "float64",
) -> tuple[Choice | None, list[str]]:
    """A validated `Choice`, or what is wrong with it."""
    p, u = resolve(model, params, policy, precision)
    names = (instruments,) if isinstance(instruments, str) else tuple(instruments)
    goal, bounds = objective or model.objective, dict(bounds or {})
    problems = instrument_problems(model, names, goal, u, bounds)
    if problems:
        return None, problems
    known = fields_of(model.Policy)
    lo, hi = np.array([[float(x) for x in bounds.get(n, known[n].bounds)] for n in names]).T
    return Choice(model, names, goal, 1.0 if maximize else -1.0, p, u, lo, hi), []
