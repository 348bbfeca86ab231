"""How many equilibria there are, and which are stable, over a grid of parameters."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from jaxecon.analysis.batch import CHUNK, GROUP, chunks_of, in_blocks, padded
from jaxecon.analysis.designs import Progress, count_problems, inputs_of, quasi_random, replace, resolve, seed_problems
from jaxecon.analysis.hosts import cores_side_by_side, in_groups
from jaxecon.analysis.study import plan
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError
from jaxecon.core.model import SOLVED, Model, precision_of
from jaxecon.core.results import as_attributes, field_attributes, provenance, settings
from jaxecon.core.systems import System
from jaxecon.numerics.deflation import all_roots

# Cells of one call on a CPU, where all wait for the slowest; a leading eigenvalue nearer to neutral than this is not stable.
FEW, NEUTRAL = 32, 1e-12


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


def _allowed(model: Model, p: Any) -> Array:
    """Whether the parameters keep the model's order restrictions."""
    margins = [jnp.asarray(m) > 0 for m in model.constraints(p).values()]
    return jnp.all(jnp.stack(margins)) if margins else jnp.asarray(True)


@quick_jit
def _roots(
    model: Model, system: System, names: tuple[str, ...], slots: int, p: Any, u: Any, starts: Array, points: Array
) -> tuple[Array, ...]:
    """Roots, their residuals and number, and the Jacobians of the motion, at each point."""
    lo, hi = (jnp.asarray(side, points.dtype) for side in zip(*system.box.values(), strict=True))
    motion = system.residual if system.motion is None else system.motion

    def at(x: Array, args: tuple[Any, Any, Array]) -> Array:
        *point, allowed = args
        return jnp.where(allowed, system.residual(x, *point), jnp.nan)

    def one(vector: Array) -> tuple[Array, ...]:
        q, v = replace(p, u, names, vector)
        allowed = _allowed(model, q)
        q = q if system.given is None else system.given(q, v)
        places = starts
        if system.own is not None:
            own = (system.own(q, v) - lo) / (hi - lo)
            solved = jnp.isfinite(own).all(axis=1, keepdims=True)
            places = jnp.concatenate([jnp.where(solved, own, starts[:1]), starts])
        found = all_roots(at, places, (q, v, allowed), lo=lo, hi=hi, slots=slots)

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
        good = (eqs.status == SOLVED) & jnp.isfinite(outcomes).all(axis=1) & _allowed(model, q)
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
    starts: int | None = None,
    roots: int = 8,
    apart: float = 1e-6,
    seed: int = 0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Number and stability of equilibria over a grid of one or more parameters and instruments.

    **Arguments**

    - `axes`: name -> `(lo, hi, n)` or values, as in `sweep`; real fields.
    - `system`: the conditions of an equilibrium; default: the model's own. Where it has none its `starts` are compared: equilibria
      whose outcomes differ by more than `apart` (relative) count as different, and nothing is known of their stability.
    - `starts`: quasi-random points of the box of unknowns from which Newton starts, on the system and in each round of deflation;
      default: the system's. What the model itself solves for (`System.own`) is a start besides.
    - `roots`: the most equilibria a cell can hold.

    **Returns** over the axes: `count`; with a system `stable` (number of stable ones) and by `root`, in ascending order of
    the first unknown, the unknowns, `leading` (largest real part of the eigenvalues, or largest modulus less one) and
    `residual`; without one the outcomes by `root`. The attribute `full` counts cells that hold as many as they can. Cells that
    break an order restriction of the model have none. Groups of cells go to all devices and processes. Raises `InputError`.
    """
    p, u = resolve(model, params, policy, "float64")
    system = model.system if system is None else system
    starts = (16 if system is None else system.starts) if starts is None else starts
    problems = count_problems(starts=starts, roots=roots) + seed_problems(seed)
    known = inputs_of(model)
    problems += [f"axis {n} is not real; fix it in params" for n in axes if n in known and known[n].kind != "real"]
    if system is not None:
        problems += _system_problems(system)
    elif model.starts is None:
        problems.append(
            f"{model.name} has neither a system nor starts of its own; give the conditions of an equilibrium as a System"
        )
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
            variables, about = task.by_starts(apart) if system is None else task.by_system(system, starts, roots, seed)
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

    def evaluate(self, run: Callable[..., tuple[Array, ...]], size: int, program: tuple[Any, ...]) -> list[np.ndarray]:
        """All cells, a group at a time on each device; `run(p, u, points)`."""
        parts, n = [], len(self.points)
        for _, first, last in chunks_of(n, CHUNK):

            def cells_of(
                start: int, stop: int, size: int, put: Callable[[Any], Any], first: int = first
            ) -> tuple[np.ndarray, ...]:
                with precision_of(self.p):
                    points = jnp.asarray(padded(self.points[first + start : first + stop], size))
                    found = run(*put((self.p, self.u, points)))
                return tuple(np.asarray(x)[: stop - start] for x in found)

            about = (*program, self.names, size, jax.tree.structure((self.p, self.u)))
            parts.append(in_groups(cells_of, last - first, size, about, side_by_side=cores_side_by_side()))
            if self.progress is not None:
                self.progress(last, n, {"points": last})
        return [np.concatenate(x) for x in zip(*parts, strict=True)]

    def cells(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(*self.shape, *values.shape[1:])

    def by_system(self, system: System, starts: int, roots: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
        unit = quasi_random(len(system.box), seed).random(1 << (starts - 1).bit_length())
        x, residual, count, jacobians = self.evaluate(
            lambda p, u, points: _roots(self.model, system, self.names, roots, p, u, unit, points),
            (self.model.block or FEW) if jax.default_backend() == "cpu" else GROUP,
            (self.model, system, roots, len(unit)),
        )
        leading = _leading(jacobians, count, system.kind)
        order = np.argsort(x[..., 0], axis=1)  # NaN last
        x = np.take_along_axis(x, order[..., None], axis=1)
        residual, leading = (np.take_along_axis(v, order, axis=1) for v in (residual, leading))
        wide = (*self.names, "root")
        measure = "largest real part" if system.kind == "flow" else "largest modulus less one"
        variables: dict[str, Any] = {
            "count": (self.names, self.cells(count), {"doc": "equilibria found"}),
            "stable": (self.names, self.cells(np.sum(leading < -NEUTRAL, axis=1)), {"doc": "stable ones among them"}),
            "leading": (wide, self.cells(leading), {"doc": f"{measure} of the eigenvalues; stable where negative"}),
            "residual": (wide, self.cells(residual), {"units": "1"}),
        }
        for k, name in enumerate(system.box):
            variables[name] = (wide, self.cells(x[..., k]), {"doc": "unknown, ascending in the first"})
        return variables, self.summary(count, roots) | {"kind": system.kind, "system": system.doc}

    def by_starts(self, apart: float) -> tuple[dict[str, Any], dict[str, Any]]:
        outcomes, good, new = self.evaluate(
            lambda p, u, points: _from_starts(self.model, self.names, apart, p, u, points),
            GROUP if self.model.block is None else self.model.block,
            (self.model, apart),
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
