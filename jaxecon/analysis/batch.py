"""Many points through one compiled function, a chunk at a time, with bounded memory."""

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxecon.analysis.designs import Progress, replace
from jaxecon.core.model import RESTRICTED, Model, evaluate_pure

CHUNK = 16384
# Points that march in step inside a chunk: a vmapped solver waits for its slowest member, so small groups win.
GROUP = 1024


def point(model: Model, outcomes: tuple[str, ...], p: Any, u: Any) -> Float[Array, " rows"]:
    """Outcomes, largest residual and status of one point as a row; NaN and a reason where it failed."""
    evaluation = evaluate_pure(model, p, u)
    values = jnp.stack([getattr(evaluation.outcomes, n) for n in outcomes])
    margins = [jnp.asarray(m) for m in model.constraints(p).values()]
    allowed = jnp.all(jnp.stack(margins) > 0) if margins else jnp.asarray(True)
    status = jnp.where(allowed, evaluation.status, RESTRICTED).astype(values.dtype)
    tail = jnp.stack([evaluation.max_residual, status])
    return jnp.concatenate([jnp.where(allowed, values, jnp.nan), tail])


@eqx.filter_jit
def _rows(model: Model, outcomes: tuple[str, ...], names: tuple[str, ...], p: Any, u: Any, vectors: Array) -> Array:
    def one(vector: Array) -> Array:
        return point(model, outcomes, *replace(p, u, names, vector))

    return in_groups(one, vectors)


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
    return vectors if len(vectors) == size else np.concatenate([vectors, np.repeat(vectors[:1], size - len(vectors), 0)])


def chunks_of(n: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and stop of each chunk of `n` points."""
    for number, start in enumerate(range(0, n, size)):
        yield number, start, min(start + size, n)


def evaluate_rows(
    model: Model,
    p: Any,
    u: Any,
    names: tuple[str, ...],
    vectors: np.ndarray,
    outcomes: tuple[str, ...],
    *,
    size: int,
) -> np.ndarray:
    """Rows of outcomes, largest residual and status at up to `size` points; shape `[n, outcomes + 2]`."""
    rows = _rows(model, outcomes, names, p, u, jnp.asarray(padded(vectors, size), p_dtype(p, u)))
    return np.asarray(rows)[: len(vectors)]


def p_dtype(p: Any, u: Any) -> Any:
    """Floating type of the parameters and the policy."""
    return jax.tree.leaves((p, u))[0].dtype


def evaluate_many(
    model: Model,
    p: Any,
    u: Any,
    names: tuple[str, ...],
    vectors: np.ndarray,
    outcomes: tuple[str, ...],
    *,
    chunk: int = CHUNK,
    progress: Progress | None = None,
    done: int = 0,
    total: int | None = None,
) -> np.ndarray:
    """`evaluate_rows` over all points, chunk after chunk."""
    n = len(vectors)
    size = chunk_size(n, chunk)
    parts = []
    for _, start, stop in chunks_of(n, size):
        parts.append(evaluate_rows(model, p, u, names, vectors[start:stop], outcomes, size=size))
        if progress is not None:
            progress(done + stop, total or n, {"points": done + stop})
    return np.concatenate(parts)
