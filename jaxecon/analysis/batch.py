"""Many points through one compiled function, a chunk at a time, with bounded memory."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxecon.analysis.designs import Progress
from jaxecon.analysis.hosts import cores_side_by_side, in_groups
from jaxecon.core.compiling import memory_of, quick_jit, wide_jit
from jaxecon.core.fields import Field, fields_of
from jaxecon.core.model import NOT_FINITE, RESTRICTED, SOLVED, Model, evaluate_pure, precision_of

# Points between two reports of progress, and of one write to a store.
CHUNK = 32768
# Points of one compiled call of a small study. Compilation, not arithmetic, is what it waits for: every analysis
# calls the same compiled function, whatever its names and number of points.
GROUP = 256
# Points of one call of a large study on a CPU, where caches and not memory decide: as many as keep them warm. Also of the
# program whose memory is measured elsewhere.
WIDE = 1024
# Share of a device's free memory that a call may fill; the most points of one call, and of all devices: the host keeps them.
FILLED, MOST, MOST_OF_ALL = 0.7, 1 << 18, 1 << 20
# Points from which a study is large: the program for it takes 6 to 10 s of a core to compile and saves .02 to .03 ms a point.
MANY = 65_536
# Where a CPU takes the points one by one, padding costs time and running costs more: fewer points of a small study's call,
# and the point from which a study is large.
ONE_BY_ONE, MANY_ONE_BY_ONE = 16, 8192
# Points of one call on a device, by program and memory.
_FITTING: dict[Any, int] = {}
# Points of one call for slopes on a CPU, where they follow one another and padding costs time; directions of one call.
FEW, DIRECTIONS = 4, 8


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

    def read(self, series: Float[Array, " T"]) -> Array:
        """What is read of a series."""
        return series[-1]

    def values(self, p: Any, u: Any) -> tuple[Array, Array, Array]:
        layer = self.model.dynamics[self.layer]
        path = layer.run(p, u, jnp.linspace(0.0, layer.horizon, layer.steps + 1, dtype=p_dtype(p, u)))
        values = jnp.stack([self.read(getattr(path, n)) for n in self.fields()]).ravel()
        return values, jnp.zeros((), values.dtype), jnp.where(jnp.all(jnp.isfinite(values)), SOLVED, NOT_FINITE)


@dataclasses.dataclass(frozen=True)
class PathResponse(TerminalResponse):
    """All dates of each series over time of a dynamic layer, one series after the other."""

    def read(self, series: Float[Array, " T"]) -> Array:
        return series

    @property
    def time(self) -> np.ndarray:
        """The dates, in the unit of time of the layer."""
        layer = self.model.dynamics[self.layer]
        return np.linspace(0.0, layer.horizon, layer.steps + 1)


def _unravel(p: Any, u: Any, row: Any) -> tuple[Any, Any]:
    """Parameters and policy whose numbers are `row`, in the order of the leaves."""
    leaves, tree = jax.tree.flatten((p, u))
    stops = np.cumsum([np.size(leaf) for leaf in leaves])
    numbers = [row[stop - np.size(leaf) : stop].reshape(np.shape(leaf)) for leaf, stop in zip(leaves, stops)]
    return jax.tree.unflatten(tree, numbers)


def in_blocks(f: Callable[[Any], Any], points: Any, block: int | None) -> Any:
    """`f` at each point; on a CPU `block` points side by side, all of them if it is None."""
    if block is None or jax.default_backend() != "cpu":
        return jax.vmap(f)(points)
    return jax.lax.map(f, points, batch_size=block if block > 1 else None)


def _rows(response: Response, p: Any, u: Any, table: Any) -> Array:
    if response.model.block and jax.default_backend() == "cpu":
        return in_blocks(lambda row: response(*_unravel(p, u, row)), table.T, response.model.block)
    # Each number in a buffer of its own.
    point = jax.lax.optimization_barrier(jax.vmap(lambda row: _unravel(p, u, row), in_axes=1)(table))
    return jax.vmap(response)(*point)


# A small study waits for compilation, a large one for arithmetic.
_small_rows, _wide_rows, _wide_grids = quick_jit(_rows), wide_jit(_rows), wide_jit(_rows, grids=True)


@quick_jit
def _rows_and_slopes(response: Response, p: Any, u: Any, table: Array, directions: Array) -> tuple[Array, Array]:
    """Rows at the points of `table` [numbers, points] and slopes along `directions` [numbers, directions] at each."""

    def one(point: Array) -> tuple[Array, Array]:
        row, slope = jax.linearize(lambda row: response(*_unravel(p, u, row)), point)
        along = directions.T
        return row, jax.lax.map(slope, along) if jax.default_backend() == "cpu" else jax.vmap(slope)(along)

    # One point after the other on a CPU: slopes are asked at a few hard points, and the program is half as long.
    if jax.default_backend() == "cpu":
        return jax.lax.map(one, table.T)
    return jax.vmap(one, in_axes=1)(table)


def _table(p: Any, u: Any, names: tuple[str, ...], vectors: np.ndarray, base: float | None = None) -> np.ndarray:
    """Every number of parameters and policy at each point, shape `[numbers, n]`: one compiled function serves any
    choice of names. `base` replaces the numbers that are not named."""
    flat = np.concatenate([np.ravel(x) for x in jax.tree.leaves((p, u))])
    where_p, where_u = _unravel(p, u, np.arange(flat.size))
    table = np.empty((flat.size, len(vectors)), p_dtype(p, u))
    table[:] = flat[:, None] if base is None else base
    for i, name in enumerate(names):
        table[int(getattr(where_p if hasattr(p, name) else where_u, name))] = vectors[:, i]
    return table


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


def points_at_once(response: Response, p: Any, u: Any, memory: int | None = None) -> int:
    """Points of one call of a large study: on a CPU `WIDE`, or `GROUP` where points come in blocks; elsewhere the power of two that fills the device's free memory.

    What a point takes is read off the compiled program (`memory_analysis`, at `WIDE` points), what is free off the device
    (`memory_stats`); `memory` replaces that number of bytes. A backend that does not tell gets a chunk.
    """
    given = memory
    if memory is None:
        if jax.default_backend() == "cpu":
            # Points that are taken in blocks fill no call better than a small one does, and small ones keep all cores busy.
            return WIDE if response.model.block is None else GROUP
        stats = jax.local_devices()[0].memory_stats() or {}
        if "bytes_limit" not in stats:
            return CHUNK
        memory = int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    program = (response, p_dtype(p, u), jax.tree.structure((p, u)), given)
    if program not in _FITTING:
        with precision_of(p):
            table = _table(p, u, (), np.zeros((WIDE, 0)))
            needed = memory_of(_wide_grids if response.model.block else _wide_rows, response, p, u, table)
        fitting = int(FILLED * memory * WIDE / max(needed, 1))
        most = min(MOST, MOST_OF_ALL // jax.local_device_count())
        _FITTING[program] = min(1 << max(fitting.bit_length() - 1, 0), most)
    return _FITTING[program]


def evaluate_rows(
    response: Response,
    p: Any,
    u: Any,
    names: tuple[str, ...],
    vectors: np.ndarray,
    *,
    study: int | None = None,
    chunk: int = CHUNK,
    alone: bool = False,
) -> np.ndarray:
    """Rows of outcomes, largest residual and status at any number of points; shape `[n, outcomes + 2]`.

    `study`: points of the whole study of which these are a part; it decides how well the program is compiled, so that
    the numbers do not depend on how a study is cut. `chunk`: the most points that the study hands over at once, which are
    split among the devices. Groups go to all local devices in turn, and to all processes unless
    this one is `alone` with these points; on a CPU two run side by side.
    """
    cpu = jax.default_backend() == "cpu"
    size, run = response.group, _wide_grids if response.model.block else _wide_rows
    if response.group == GROUP:
        few, many = (ONE_BY_ONE, MANY_ONE_BY_ONE) if cpu and response.model.block == 1 else (GROUP, MANY)
        many = response.model.many or many
        large = (study or len(vectors)) >= many
        size, run = (points_at_once(response, p, u), run) if large else (few, _small_rows)
    if not cpu:
        each = -(-chunk // jax.local_device_count())
        size = min(size, 1 << (each - 1).bit_length())

    def rows_of(start: int, stop: int, size: int, put: Callable[[Any], Any]) -> np.ndarray:
        with precision_of(p):
            table = put(_table(p, u, names, padded(vectors[start:stop], size)))
            return np.asarray(run(response, p, u, table))[: stop - start]

    program = (response, size, p_dtype(p, u), jax.tree.structure((p, u)))
    return in_groups(rows_of, len(vectors), size, program, side_by_side=cores_side_by_side(), alone=alone)


def evaluate_slopes(
    response: Response, p: Any, u: Any, names: tuple[str, ...], vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and their exact derivatives by the named fields, shapes `[n, outcomes + 2]` and `[n, outcomes, k]`.

    A few directions a call: the compiled function is the same for any names and any number of points. Groups of points go
    to all devices and processes.
    """
    k = vectors.shape[1]
    size = FEW if jax.default_backend() == "cpu" else response.group

    def slopes_of(start: int, stop: int, size: int, put: Callable[[Any], Any]) -> tuple[np.ndarray, np.ndarray]:
        row, parts = np.zeros(0), []
        with precision_of(p):
            at = put(_table(p, u, names, padded(vectors[start:stop], size)))
            for _, first, last in chunks_of(k, DIRECTIONS):
                along = _table(p, u, names, padded(np.eye(k)[first:last], DIRECTIONS), base=0.0)
                row, slope = _rows_and_slopes(response, p, u, at, along)
                parts.append(np.asarray(slope)[: stop - start, : last - first, :-2])
        return np.asarray(row)[: stop - start], np.moveaxis(np.concatenate(parts, axis=1), 1, 2)

    program = ("slopes", response, size, p_dtype(p, u), jax.tree.structure((p, u)))
    return in_groups(slopes_of, len(vectors), size, program)


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
            found = evaluate_rows(response, p, u, names, vectors[start:stop], study=n)
        rows.append(found)
        if progress is not None:
            progress(stop, n, {"points": stop})
    return np.concatenate(rows), np.concatenate(derivatives) if slopes else None
