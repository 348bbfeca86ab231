"""A scalar condition of a model, whose sign divides the parameters: values and exact gradients at points of a box."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxecon.analysis.batch import GROUP, in_blocks, padded
from jaxecon.analysis.designs import Box, box_of, get_values, name_problems, replace, resolve
from jaxecon.analysis.hosts import cores_side_by_side, in_groups
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError
from jaxecon.core.fields import fields_of
from jaxecon.core.model import SOLVED, Model, evaluate_pure
from jaxecon.core.results import as_attributes, provenance, settings

# Points of one compiled call for gradients: there are few of them at a time. More points than SOME take a whole group.
FEW, SOME = 8, 64
Function = Callable[[Any, Any], Float[Array, ""]]


@dataclasses.dataclass(frozen=True)
class Condition:
    """`function(p, u)` is a scalar, zero on the boundary and NaN where it is not defined; pure, unbatched."""

    model: Model
    name: str
    function: Function


@dataclasses.dataclass(frozen=True, eq=False)
class _OutcomeLess:
    """An outcome less a level."""

    model: Model
    outcome: str
    level: float

    def __call__(self, p: Any, u: Any) -> Array:
        return getattr(evaluate_pure(self.model, p, u).outcomes, self.outcome) - self.level


@dataclasses.dataclass(frozen=True, eq=False)
class _OfOutcomes:
    """A function of the outcomes, NaN where the model does not solve."""

    model: Model
    of: Callable[[Any], Array]

    def __call__(self, p: Any, u: Any) -> Array:
        evaluation = evaluate_pure(self.model, p, u)
        return jnp.where(evaluation.status == SOLVED, self.of(evaluation.outcomes), jnp.nan)


def condition(
    model: Model,
    *,
    outcome: str | None = None,
    level: float = 0.0,
    claim: str | None = None,
    seed: int = 0,
    of: Callable[[Any], Array] | None = None,
    function: Function | None = None,
    name: str = "condition",
) -> Condition:
    """A scalar condition of a model; give one of `outcome`, `claim`, `of`, `function`. Raises `InputError`.

    **Arguments**

    - `outcome`: its name; the condition is the outcome less `level`.
    - `claim`: the id of a claim or a part of one; the condition is its margin (`seed`: of a stochastic claim).
    - `of(outcomes)`: a function of the outcomes. `function(p, u)`: any function of parameters and policy, such as an
      eigenvalue or the width of a segment. `name`: what to call either of them.
    """
    given = {"outcome": outcome, "claim": claim, "of": of, "function": function}
    what = [n for n, value in given.items() if value is not None]
    problems = [] if len(what) == 1 else [f"give one of {', '.join(given)}; given: {', '.join(what) or 'none'}"]
    family = {c.id: c for parent in model.claims for c in (parent, *parent.parts)}
    if outcome is not None:
        problems += name_problems([outcome], fields_of(model.Outcomes), f"outcome of {model.name}")
    if claim is not None:
        problems += name_problems([claim], family, f"claim of {model.name}")
    if not np.isfinite(level):
        problems.append(f"level = {level!r} must be a finite number")
    if problems:
        raise InputError(problems, f"the condition of {model.name}")
    if outcome is not None:
        words = f"{outcome} - {level:g}" if level else outcome
        return Condition(model, words, _OutcomeLess(model, outcome, float(level)))
    if claim is not None:
        margin, crc = family[claim].margin, zlib.crc32(claim.encode())
        return Condition(
            model,
            f"margin of {claim}",
            lambda p, u: margin(p, u, jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), crc), 0)),
        )
    if of is not None:
        return Condition(model, name, _OfOutcomes(model, of))
    assert function is not None
    return Condition(model, name, function)


def _at(what: Condition, names: tuple[str, ...], p: Any, u: Any, x: Array) -> Array:
    """The condition at a vector of the named fields; NaN where it breaks an order restriction of the model."""
    q, v = replace(p, u, names, x)
    value = jnp.asarray(what.function(q, v)).astype(x.dtype)
    margins = [jnp.asarray(m) for m in what.model.constraints(q).values()]
    return jnp.where(jnp.all(jnp.stack(margins) > 0), value, jnp.nan) if margins else value


@quick_jit
def _values(what: Condition, names: tuple[str, ...], block: int | None, p: Any, u: Any, points: Array) -> Array:
    return in_blocks(lambda x: _at(what, names, p, u, x), points, block)


@quick_jit
def _slopes(what: Condition, names: tuple[str, ...], p: Any, u: Any, points: Array) -> tuple[Array, Array]:
    """Values and gradients; one point and one direction after the other: a short program."""

    def one(x: Array) -> tuple[Array, Array]:
        value, slope = jax.linearize(lambda x: _at(what, names, p, u, x), x)
        return value, jax.lax.map(slope, jnp.eye(len(names), dtype=x.dtype))

    return jax.lax.map(one, points)


@dataclasses.dataclass(frozen=True, eq=False)
class Landscape:
    """A condition over the unit cube of a box; the other parameters and instruments are those of the given point.

    `here`: the given point in units of the box; it may lie outside.
    """

    condition: Condition
    box: Box
    p: Any
    u: Any
    here: np.ndarray

    def values(self, z: np.ndarray) -> np.ndarray:
        """The condition at points `[n, k]`; NaN where it is not defined."""
        block, size = self.condition.model.block, GROUP if len(z) > SOME else FEW

        def run(points: Array) -> Array:
            return _values(self.condition, self.box.names, block, self.p, self.u, points)

        return self._through(run, z, size) if len(z) else np.zeros(0)

    def slopes(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The condition and its exact gradient by the coordinates of the unit cube, `[n]` and `[n, k]`."""

        def run(points: Array) -> tuple[Array, Array]:
            return _slopes(self.condition, self.box.names, self.p, self.u, points)

        values, slopes = self._through(run, z, 1 if len(z) == 1 else FEW)
        return values, slopes * (self.box.hi - self.box.lo)

    def _through(self, run: Callable[[Array], Any], z: np.ndarray, size: int) -> Any:
        """What a program finds at points of the unit cube, a group at a time, on all devices and processes."""
        points = self.box.scale(np.asarray(z, float))

        def part(start: int, stop: int, size: int, put: Callable[[Any], Any]) -> Any:
            with jax.enable_x64(True):
                found = run(put(padded(points[start:stop], size)))
                return jax.tree.map(lambda x: np.asarray(x)[: stop - start], found)

        program = (run.__qualname__, self.condition, self.box.names, size, jax.tree.structure((self.p, self.u)))
        return in_groups(part, len(points), size, program, side_by_side=cores_side_by_side())


def landscape_of(
    what: Condition,
    names: Sequence[str] | None,
    params: Any,
    policy: Any,
    prior: Mapping[str, tuple[float, float]] | None,
    problems: Sequence[str] = (),
) -> Landscape:
    """The condition over the box of the named fields; raises `InputError` with the problems found before, too."""
    p, u = resolve(what.model, params, policy, "float64")
    box, why = box_of(what.model, names, prior)
    problems = [*problems, *why]
    if not problems:
        x = [getattr(p if hasattr(p, n) else u, n) for n in box.names]
        problems += [f"{n} must be one number at the given point" for n, v in zip(box.names, x) if np.ndim(v)]
    if problems:
        raise InputError(problems, f"the thresholds of {what.model.name}")
    with jax.enable_x64(True):
        x = np.asarray(get_values(p, u, box.names), float)
    return Landscape(what, box, p, u, (x - box.lo) / (box.hi - box.lo))


def record_of(landscape: Landscape, **more: Any) -> dict[str, Any]:
    """Attributes of a result about the condition."""
    model = landscape.condition.model
    return as_attributes(
        provenance(
            model, condition=landscape.condition.name, params=settings(landscape.p), policy=settings(landscape.u)
        )
        | more
    )
