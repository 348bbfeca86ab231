"""Many points through one compiled function, a chunk at a time, with bounded memory."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxecon.analysis.designs import Progress, replace
from jaxecon.core.fields import Field, fields_of
from jaxecon.core.model import NOT_FINITE, RESTRICTED, SOLVED, Model, evaluate_pure

CHUNK = 16384
# Points that march in step inside a chunk: a vmapped solver waits for its slowest member, so small groups win.
GROUP = 1024


@dataclasses.dataclass(frozen=True)
class Response:
    """What an analysis reads at one point: `(p, u) -> row` of the outcomes, the largest residual and the status.

    A failed point is NaN with its reason; so is one that breaks an order restriction.
    """

    model: Model
    names: tuple[str, ...]
    group: int = GROUP

    def fields(self) -> dict[str, Field]:
        """Declarations of the outcomes, by name."""
        known = fields_of(self.model.Outcomes)
        return {n: known[n] for n in self.names}

    def values(self, p: Any, u: Any) -> tuple[Array, Array, Array]:
        """Outcomes, largest residual, status."""
        evaluation = evaluate_pure(self.model, p, u)
        values = jnp.stack([getattr(evaluation.outcomes, n) for n in self.names])
        return values, evaluation.max_residual, evaluation.status

    def __call__(self, p: Any, u: Any) -> Float[Array, " rows"]:
        values, residual, status = self.values(p, u)
        margins = [jnp.asarray(m) for m in self.model.constraints(p).values()]
        allowed = jnp.all(jnp.stack(margins) > 0) if margins else jnp.asarray(True)
        status = jnp.where(allowed, status, RESTRICTED).astype(values.dtype)
        return jnp.concatenate([jnp.where(allowed, values, jnp.nan), jnp.stack([residual, status])])


@dataclasses.dataclass(frozen=True)
class TerminalResponse(Response):
    """The last value of each time series of a dynamic layer, in place of the outcomes."""

    layer: str = ""
    group: int = 32

    def fields(self) -> dict[str, Field]:
        known = fields_of(self.model.dynamics[self.layer].Result)
        return {n: known[n] for n in self.names}

    def values(self, p: Any, u: Any) -> tuple[Array, Array, Array]:
        layer = self.model.dynamics[self.layer]
        path = layer.run(p, u, jnp.linspace(0.0, layer.horizon, layer.steps + 1, dtype=p_dtype(p, u)))
        values = jnp.stack([getattr(path, n)[-1] for n in self.names])
        return values, jnp.zeros((), values.dtype), jnp.where(jnp.all(jnp.isfinite(values)), SOLVED, NOT_FINITE)


def terminal_names(model: Model, layer: str) -> tuple[str, ...]:
    """Series of a dynamic layer that are scalars at each time."""
    fields = fields_of(model.dynamics[layer].Result)
    return tuple(n for n, f in fields.items() if len(f.dims) == 1 and f.dims != (n,))


@eqx.filter_jit
def _rows(response: Response, names: tuple[str, ...], p: Any, u: Any, vectors: Array) -> Array:
    return in_groups(lambda vector: response(*replace(p, u, names, vector)), vectors, response.group)


@eqx.filter_jit
def _rows_and_slopes(response: Response, names: tuple[str, ...], p: Any, u: Any, vectors: Array) -> Any:
    def one(vector: Array) -> tuple[Array, Array]:
        def row(v: Array) -> tuple[Array, Array]:
            found = response(*replace(p, u, names, v))
            return found[:-2], found

        slopes, found = jax.jacfwd(row, has_aux=True)(vector)
        return found, slopes

    return in_groups(one, vectors, min(response.group, 256))


def in_groups(f: Callable[[Any], Any], xs: Any, group: int = GROUP) -> Any:
    """`vmap(f)` over the leading axis, `group` elements at a time."""
    n = jax.tree.leaves(xs)[0].shape[0]
    if group == 1:
        return jax.lax.map(f, xs)
    return jax.vmap(f)(xs) if n <= group else jax.lax.map(f, xs, batch_size=group)


def chunk_size(n: int, chunk: int) -> int:
    """Points in a compiled chunk: `chunk`, or the next power of two for a smaller study (fewer compilations)."""
    return chunk if n >= chunk else min(chunk, max(16, 1 << (n - 1).bit_length()))


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


def evaluate_rows(
    response: Response, p: Any, u: Any, names: tuple[str, ...], vectors: np.ndarray, *, size: int
) -> np.ndarray:
    """Rows of outcomes, largest residual and status at up to `size` points; shape `[n, outcomes + 2]`."""
    rows = _rows(response, names, p, u, jnp.asarray(padded(vectors, size), p_dtype(p, u)))
    return np.asarray(rows)[: len(vectors)]


def evaluate_many(
    response: Response,
    p: Any,
    u: Any,
    names: tuple[str, ...],
    vectors: np.ndarray,
    *,
    slopes: bool = False,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows at all points, chunk after chunk; with `slopes` also the derivatives, shape `[n, outcomes, k]`."""
    n = len(vectors)
    size = chunk_size(n, chunk)
    rows, derivatives = [], []
    for _, start, stop in chunks_of(n, size):
        batch = jnp.asarray(padded(vectors[start:stop], size), p_dtype(p, u))
        if slopes:
            found, slope = _rows_and_slopes(response, names, p, u, batch)
            derivatives.append(np.asarray(slope)[: stop - start])
        else:
            found = _rows(response, names, p, u, batch)
        rows.append(np.asarray(found)[: stop - start])
        if progress is not None:
            progress(stop, n, {"points": stop})
    return np.concatenate(rows), np.concatenate(derivatives) if slopes else None
