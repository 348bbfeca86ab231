"""Many points through one compiled function, a chunk at a time, with bounded memory."""

import dataclasses
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxecon.analysis.designs import Progress
from jaxecon.core.fields import Field, fields_of
from jaxecon.core.model import NOT_FINITE, RESTRICTED, SOLVED, Model, evaluate_pure, precision_of

# Points between two reports of progress, and of one write to a store.
CHUNK = 16384
# Points of one compiled call of a small study. Compilation, not arithmetic, is what it waits for: every analysis
# calls the same compiled function, whatever its names and number of points.
GROUP = 256
# Points of one call of a large study: as many as keep the caches of a CPU warm; a GPU takes a whole chunk.
WIDE = 1024


@dataclasses.dataclass(frozen=True)
class Response:
    """What an analysis reads at one point: `(p, u) -> row` of the outcomes, the largest residual and the status.

    A failed point is NaN with its reason; so is one that breaks an order restriction.
    """

    model: Model
    group: int = GROUP

    def fields(self) -> dict[str, Field]:
        """Declarations of the outcomes, by name, in the order of the row."""
        return fields_of(self.model.Outcomes)

    def values(self, p: Any, u: Any) -> tuple[Array, Array, Array]:
        """Outcomes, largest residual, status."""
        evaluation = evaluate_pure(self.model, p, u)
        values = jnp.stack([getattr(evaluation.outcomes, n) for n in self.fields()])
        return values, evaluation.max_residual, evaluation.status

    def __call__(self, p: Any, u: Any) -> Float[Array, " rows"]:
        values, residual, status = self.values(p, u)
        margins = [jnp.asarray(m) for m in self.model.constraints(p).values()]
        allowed = jnp.all(jnp.stack(margins) > 0) if margins else jnp.asarray(True)
        status = jnp.where(allowed, status, RESTRICTED).astype(values.dtype)
        return jnp.concatenate([jnp.where(allowed, values, jnp.nan), jnp.stack([residual, status])])


@dataclasses.dataclass(frozen=True)
class TerminalResponse(Response):
    """The last value of each series over time of a dynamic layer, in place of the outcomes."""

    layer: str = ""
    group: int = 32

    def fields(self) -> dict[str, Field]:
        known = fields_of(self.model.dynamics[self.layer].Result)
        return {n: f for n, f in known.items() if len(f.dims) == 1 and f.dims != (n,)}

    def values(self, p: Any, u: Any) -> tuple[Array, Array, Array]:
        layer = self.model.dynamics[self.layer]
        path = layer.run(p, u, jnp.linspace(0.0, layer.horizon, layer.steps + 1, dtype=p_dtype(p, u)))
        values = jnp.stack([getattr(path, n)[-1] for n in self.fields()])
        return values, jnp.zeros((), values.dtype), jnp.where(jnp.all(jnp.isfinite(values)), SOLVED, NOT_FINITE)


@eqx.filter_jit
def _rows(response: Response, p: Any, u: Any) -> Array:
    return jax.vmap(response)(p, u)


@eqx.filter_jit
def _rows_and_slopes(response: Response, p: Any, u: Any, p_dot: Any, u_dot: Any) -> tuple[Array, Array]:
    def one(cell: tuple[Any, Any, Any, Any]) -> tuple[Array, Array]:
        p, u, p_dot, u_dot = cell
        return jax.jvp(response, (p, u), (p_dot, u_dot))

    # One cell after the other on a CPU: slopes are asked at a few hard points, and the program is half as long.
    if jax.default_backend() == "cpu":
        return jax.lax.map(one, (p, u, p_dot, u_dot))
    return jax.vmap(one)((p, u, p_dot, u_dot))


def _spread(p: Any, u: Any, names: tuple[str, ...], vectors: np.ndarray) -> tuple[Any, Any]:
    """Parameters and policy with every leaf along the batch: one compiled function serves any choice of names."""
    n, dtype = len(vectors), p_dtype(p, u)
    p, u = jax.tree.map(lambda x: np.broadcast_to(np.asarray(x), (n, *np.shape(x))), (p, u))
    columns = {name: np.ascontiguousarray(vectors[:, i]).astype(dtype) for i, name in enumerate(names)}
    nature = {k: v for k, v in columns.items() if hasattr(p, k)}
    government = {k: v for k, v in columns.items() if not hasattr(p, k)}
    return dataclasses.replace(p, **nature), dataclasses.replace(u, **government)


def padded(vectors: np.ndarray, size: int) -> np.ndarray:
    """Rows up to `size`, the first row repeated at the end."""
    return (
        vectors if len(vectors) == size else np.concatenate([vectors, np.repeat(vectors[:1], size - len(vectors), 0)])
    )


def chunks_of(n: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and stop of each chunk of `n` points."""
    for number, start in enumerate(range(0, n, size)):
        yield number, start, min(start + size, n)


def p_dtype(p: Any, u: Any) -> Any:
    """Floating type of the parameters and the policy."""
    return jax.tree.leaves((p, u))[0].dtype


def evaluate_rows(response: Response, p: Any, u: Any, names: tuple[str, ...], vectors: np.ndarray) -> np.ndarray:
    """Rows of outcomes, largest residual and status at any number of points; shape `[n, outcomes + 2]`.

    On a CPU two groups run side by side: a compiled call holds no lock of Python, and keeps one core busy at best.
    """
    cpu = jax.default_backend() == "cpu"
    wide = WIDE if cpu else CHUNK
    size = wide if response.group == GROUP and len(vectors) >= 4 * wide else response.group

    def rows_of(group: tuple[int, int, int]) -> np.ndarray:
        _, start, stop = group
        with precision_of(p):
            rows = _rows(response, *_spread(p, u, names, padded(vectors[start:stop], size)))
            return np.asarray(rows)[: stop - start]

    first, *others = chunks_of(len(vectors), size)
    parts = [rows_of(first)]  # compiles
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 2) if cpu else 1) as pool:
        parts += pool.map(rows_of, others)
    return np.concatenate(parts)


def evaluate_slopes(
    response: Response, p: Any, u: Any, names: tuple[str, ...], vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and their exact derivatives by the named fields, shapes `[n, outcomes + 2]` and `[n, outcomes, k]`.

    One direction per point of the batch: the compiled function is the same for any names and any number of points.
    """
    n, k = vectors.shape
    points = np.repeat(vectors, k, axis=0)
    directions = np.tile(np.eye(k), (n, 1))
    zero = jax.tree.map(lambda x: np.zeros(np.shape(x), np.asarray(x).dtype), (p, u))
    rows, slopes = [], []
    for _, start, stop in chunks_of(n * k, response.group):
        at = _spread(p, u, names, padded(points[start:stop], response.group))
        along = _spread(zero[0], zero[1], names, padded(directions[start:stop], response.group))
        row, slope = _rows_and_slopes(response, at[0], at[1], along[0], along[1])
        rows.append(np.asarray(row)[: stop - start])
        slopes.append(np.asarray(slope)[: stop - start])
    tangents = np.concatenate(slopes).reshape(n, k, -1)[..., :-2]
    return np.concatenate(rows)[::k], np.moveaxis(tangents, 1, 2)


def evaluate_many(
    response: Response,
    p: Any,
    u: Any,
    names: tuple[str, ...],
    vectors: np.ndarray,
    *,
    slopes: bool = False,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows at all points, and with `slopes` their derivatives; `progress` hears of every chunk."""
    n = len(vectors)
    rows, derivatives = [], []
    for _, start, stop in chunks_of(n, CHUNK // (len(names) if slopes else 1) or 1):
        if slopes:
            found, slope = evaluate_slopes(response, p, u, names, vectors[start:stop])
            derivatives.append(slope)
        else:
            found = evaluate_rows(response, p, u, names, vectors[start:stop])
        rows.append(found)
        if progress is not None:
            progress(stop, n, {"points": stop})
    return np.concatenate(rows), np.concatenate(derivatives) if slopes else None
