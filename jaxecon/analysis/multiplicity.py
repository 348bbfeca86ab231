"""How many equilibria there are, and which are stable, over a grid of parameters."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from jaxecon.analysis.batch import GROUP, chunks_of, in_blocks, padded
from jaxecon.analysis.designs import Progress, count_problems, inputs_of, quasi_random, replace, resolve, seed_problems
from jaxecon.analysis.study import plan
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError
from jaxecon.core.model import SOLVED, Model
from jaxecon.core.results import as_attributes, field_attributes, provenance, settings
from jaxecon.numerics.deflation import all_roots

Motion = Callable[[Float[Array, " n"], Any, Any], Float[Array, " n"]]


@dataclasses.dataclass(frozen=True, eq=False)
class System:
    """Conditions whose roots are the equilibria of a model.

    **Attributes**

    - `residual(x, p, u)`: shape `[n]`, zero at an equilibrium, unit-free; pure, unbatched.
    - `box`: unknown (name -> (lo, hi)) within which equilibria are looked for, in the order of `x`.
    - `motion(x, p, u)`: what moves the unknowns out of equilibrium; default: the residual is their time derivative.
    - `kind`: of the motion: `flow` (its value is the time derivative; stable where all eigenvalues of its Jacobian have
      negative real parts) or `map` (its value is the next x; stable where they lie within the unit circle).
    - `jacobian(x, p, u)`: of the motion, shape `[n, n]`; default: by automatic differentiation.
    """

    residual: Motion
    box: Mapping[str, tuple[float, float]]
    motion: Motion | None = None
    kind: Literal["flow", "map"] = "flow"
    jacobian: Motion | None = None


def _system_problems(system: System) -> list[str]:
    problems = [
        f"the range of the unknown {n}, {interval!r}, must be two finite numbers lo < hi"
        for n, interval in system.box.items()
        if not (len(interval) == 2 and np.isfinite(interval).all() and interval[0] < interval[1])
    ]
    if not system.box:
        problems.append("the system has no unknown; give box={'name': (lo, hi)}")
    if system.kind not in ("flow", "map"):
        problems.append(f"the kind of a motion is 'flow' or 'map', not {system.kind!r}")
    return problems


@quick_jit
def _roots(system: System, names: tuple[str, ...], slots: int, p: Any, u: Any, starts: Array, points: Array) -> tuple[Array, ...]:  # fmt: skip
    """Roots, their residuals and number, and the Jacobians of the motion, at each point."""
    lo, hi = (jnp.asarray(side, points.dtype) for side in zip(*system.box.values(), strict=True))
    motion = system.residual if system.motion is None else system.motion

    def at(x: Array, args: tuple[Any, Any]) -> Array:
        return system.residual(x, *args)

    def one(vector: Array) -> tuple[Array, ...]:
        q, v = replace(p, u, names, vector)
        found = all_roots(at, starts, (q, v), lo=lo, hi=hi, slots=slots)

        def jacobian(x: Array) -> Array:
            return jax.jacfwd(motion)(x, q, v) if system.jacobian is None else system.jacobian(x, q, v)

        return found.x, found.residual, found.count, jax.vmap(jacobian)(found.x)

    return jax.vmap(one)(points)


@quick_jit
def _from_starts(
    model: Model, names: tuple[str, ...], apart: float, p: Any, u: Any, points: Array
) -> tuple[Array, ...]:
    """Outcomes at the equilibria that the starts of the model reach, which of them solved, and which repeat no earlier one."""

    def one(vector: Array) -> tuple[Array, ...]:
        q, v = replace(p, u, names, vector)
        assert model.starts is not None
        eqs = model.starts(q, v)
        outcomes = jnp.stack(jax.tree.leaves(jax.vmap(lambda eq: model.outcomes(q, v, eq))(eqs)), axis=1)
        good = (eqs.status == SOLVED) & jnp.isfinite(outcomes).all(axis=1)
        gap = jnp.abs(outcomes[:, None] - outcomes[None]) / (1 + jnp.abs(outcomes[None]))
        same = (jnp.max(gap, axis=2) <= apart) & good[:, None] & good[None]
        earlier = jnp.tril(jnp.ones(same.shape, bool), -1)
        return outcomes, good, good & ~jnp.any(same & earlier, axis=1)

    return in_blocks(one, points, model.block)


def _leading(jacobians: np.ndarray, count: np.ndarray, kind: str) -> np.ndarray:
    """Largest real part of the eigenvalues (flow), or largest modulus less one (map), at each root; NaN in empty slots."""
    filled = np.arange(jacobians.shape[1]) < count[:, None]
    usable = filled & np.isfinite(jacobians).all(axis=(2, 3))
    values = np.linalg.eigvals(jacobians[usable])
    leading = np.full(usable.shape, np.nan)
    leading[usable] = values.real.max(axis=1) if kind == "flow" else np.abs(values).max(axis=1) - 1
    return leading


def multiplicity(
    model: Model,
    axes: Mapping[str, Any],
    system: System | None = None,
    *,
    params: Any = None,
    policy: Any = None,
    starts: int = 16,
    roots: int = 8,
    apart: float = 1e-6,
    seed: int = 0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Number and stability of equilibria over a grid of one or more parameters and instruments.

    **Arguments**

    - `axes`: name -> `(lo, hi, n)` or values, as in `sweep`; real fields.
    - `system`: the conditions of an equilibrium. Without one the model's own `starts` are compared: equilibria whose outcomes
      differ by more than `apart` (relative) count as different, and nothing is known of their stability.
    - `starts`: quasi-random points of the box of unknowns from which Newton starts, on the system and in each round of deflation.
    - `roots`: the most equilibria a cell can hold.

    **Returns** over the axes: `count`; with a system `stable` (number of stable ones) and by `root`, in ascending order of
    the first unknown, the unknowns, `leading` (largest real part of the eigenvalues, or largest modulus less one) and
    `residual`; without one the outcomes by `root`. The attribute `full` counts cells that hold as many as they can.
    Raises `InputError`.
    """
    p, u = resolve(model, params, policy, "float64")
    problems = count_problems(starts=starts, roots=roots) + seed_problems(seed)
    known = inputs_of(model)
    problems += [f"axis {n} is not real; fix it in params" for n in axes if n in known and known[n].kind != "real"]
    if system is not None:
        problems += _system_problems(system)
    elif model.starts is None:
        problems.append(f"{model.name} has no starts of its own; give the conditions of an equilibrium as a System")
    try:
        study = plan(model, axes, "grid", None, 0)
    except InputError as error:
        problems += error.problems
    else:
        if not problems:
            columns = study.columns()
            points = np.stack([columns[n] for n in study.axes], axis=1)
            shape = tuple(len(v) for v in study.axes.values())
            task = _Task(model, tuple(study.axes), points, shape, p, u, progress)
            with jax.enable_x64(True):
                variables, about = (
                    task.by_starts(apart) if system is None else task.by_system(system, starts, roots, seed)
                )
            coords = {n: (n, v, field_attributes(known[n])) for n, v in study.axes.items()}
            dataset = xr.Dataset(variables, coords=coords)
            dataset.attrs = as_attributes(
                provenance(model, seed=int(seed), params=settings(p), policy=settings(u)) | about
            )
            return dataset
    raise InputError(problems, f"the multiplicity map of {model.name}")


@dataclasses.dataclass(frozen=True)
class _Task:
    """A map after validation: `points` `[cells, axes]` of a grid of this shape."""

    model: Model
    names: tuple[str, ...]
    points: np.ndarray
    shape: tuple[int, ...]
    p: Any
    u: Any
    progress: Progress | None

    def evaluate(self, run: Callable[[Array], tuple[Array, ...]], size: int) -> list[np.ndarray]:
        """All cells, a group at a time."""
        parts, n = [], len(self.points)
        for _, start, stop in chunks_of(n, size):
            found = run(jnp.asarray(padded(self.points[start:stop], size)))
            parts.append([np.asarray(x)[: stop - start] for x in found])
            if self.progress is not None:
                self.progress(stop, n, {"points": stop})
        return [np.concatenate(x) for x in zip(*parts, strict=True)]

    def cells(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(*self.shape, *values.shape[1:])

    def by_system(self, system: System, starts: int, roots: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
        unit = jnp.asarray(quasi_random(len(system.box), seed).random(1 << (starts - 1).bit_length()))
        x, residual, count, jacobians = self.evaluate(
            lambda points: _roots(system, self.names, roots, self.p, self.u, unit, points), GROUP
        )
        leading = _leading(jacobians, count, system.kind)
        order = np.argsort(x[..., 0], axis=1)  # NaN last
        x = np.take_along_axis(x, order[..., None], axis=1)
        residual, leading = (np.take_along_axis(v, order, axis=1) for v in (residual, leading))
        wide = (*self.names, "root")
        measure = "largest real part" if system.kind == "flow" else "largest modulus less one"
        variables: dict[str, Any] = {
            "count": (self.names, self.cells(count), {"doc": "equilibria found"}),
            "stable": (self.names, self.cells(np.sum(leading < 0, axis=1)), {"doc": "stable ones among them"}),
            "leading": (wide, self.cells(leading), {"doc": f"{measure} of the eigenvalues; stable where negative"}),
            "residual": (wide, self.cells(residual), {"units": "1"}),
        }
        for k, name in enumerate(system.box):
            variables[name] = (wide, self.cells(x[..., k]), {"doc": "unknown, ascending in the first"})
        return variables, self.summary(count, roots) | {"kind": system.kind}

    def by_starts(self, apart: float) -> tuple[dict[str, Any], dict[str, Any]]:
        size = GROUP if self.model.block is None else self.model.block
        outcomes, good, new = self.evaluate(
            lambda points: _from_starts(self.model, self.names, apart, self.p, self.u, points), size
        )
        order = np.argsort(~new, axis=1, kind="stable")
        kept = np.take_along_axis(new, order, axis=1)
        values = np.where(kept[..., None], np.take_along_axis(outcomes, order[..., None], axis=1), np.nan)
        fields = [f for f in self.model.fields.values() if f.role == "outcome"]
        variables: dict[str, Any] = {
            "count": (self.names, self.cells(new.sum(axis=1)), {"doc": "different equilibria that the starts reach"}),
            "reached": (self.names, self.cells(good.sum(axis=1)), {"doc": "starts that ended in an equilibrium"}),
        }
        for k, f in enumerate(fields):
            variables[f.name] = ((*self.names, "root"), self.cells(values[..., k]), field_attributes(f))
        return variables, self.summary(new.sum(axis=1), new.shape[1])

    def summary(self, count: np.ndarray, most: int) -> dict[str, Any]:
        numbers, cells = np.unique(count, return_counts=True)
        return {
            "cells": len(count),
            "by_count": {str(int(n)): int(c) for n, c in zip(numbers, cells, strict=True)},
            "full": int(np.sum(count == most)),
        }
