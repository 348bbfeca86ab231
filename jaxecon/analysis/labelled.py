"""Rows of a sweep with labels: in memory, or read from a store as they are asked for."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from jaxecon.analysis.store import SweepStore, open_store, read_axes, values_of
from jaxecon.analysis.tally import PENDING, Tally
from jaxecon.core.errors import InputError
from jaxecon.core.fields import Field
from jaxecon.core.model import Model
from jaxecon.core.results import as_attributes, field_attributes, status_attributes

# Bytes of results from which a sweep on disk is opened lazily instead of being read.
IN_MEMORY = 1 << 28
# Values at the points of a chunk, by its number.
Block = Callable[[int], np.ndarray]


def dataset_of(
    model: Model,
    outcomes: Sequence[str],
    dims: tuple[str, ...],
    axes: Mapping[str, Any],
    rows: Sequence[Any],
    attributes: dict[str, Any],
    tally: Tally,
) -> xr.Dataset:
    """Outcomes, largest residual and status, one of `rows` each, along `dims`: the `axes` of a grid, or `point` with the
    axes as coordinates along it."""
    known = model.fields
    residual = {"units": "1", "long_name": "largest residual", "doc": "largest unit-free residual of an identity"}
    variables: dict[str, Any] = {
        n: (dims, rows[i], field_attributes(known[n]) | tally.range_of(i)) for i, n in enumerate(outcomes)
    }
    variables["max_residual"] = (dims, rows[-2], residual)
    variables["status"] = (dims, rows[-1], status_attributes(model, tuple(tally.counts)))
    coords = {n: ((n if n in dims else "point",), v, field_attributes(known[n])) for n, v in axes.items()}
    return xr.Dataset(variables, coords=coords, attrs=as_attributes(attributes | tally.attributes(model)))


def in_memory(model: Model, outcomes: Sequence[str], grid: tuple[int, ...] | None, axes: Mapping[str, np.ndarray],
              rows: np.ndarray, attributes: dict[str, Any], tally: Tally) -> xr.Dataset:  # fmt: skip
    """The dataset of rows `[row, point]`, those of a grid in its shape."""
    shaped: list[np.ndarray] = [x.reshape(grid) if grid else x for x in rows]
    dims = tuple(axes) if grid else ("point",)
    return dataset_of(model, outcomes, dims, axes, [*shaped[:-1], shaped[-1].astype(np.int32)], attributes, tally)


class _Column(BackendArray):
    """Numbers at all points, read chunk by chunk when they are asked for."""

    def __init__(self, block: Block, n: int, size: int, dtype: np.dtype) -> None:
        self.block, self.step, self.shape, self.dtype = block, size, (n,), dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> Any:
        (at,) = key
        if isinstance(at, (int, np.integer)):
            return self._values(np.array([at]))[0]
        return self._along(at) if isinstance(at, slice) else self._values(np.asarray(at))

    def _along(self, at: slice) -> np.ndarray:
        start, stop, step = at.indices(self.shape[0])
        found = np.empty(len(range(start, stop, step)), self.dtype)
        if step < 0:
            return self._values(np.arange(start, stop, step))
        for number in range(start // self.step, -(-stop // self.step) if len(found) else 0):
            first, last = (
                max(-(-(edge - start) // step), 0) for edge in (number * self.step, (number + 1) * self.step)
            )
            if first < min(last, len(found)):
                offset = start + first * step - number * self.step
                found[first:last] = self.block(number)[offset : offset + step * (min(last, len(found)) - first) : step]
        return found

    def _values(self, at: np.ndarray) -> np.ndarray:
        at = np.where(at < 0, at + self.shape[0], at)
        found, numbers = np.empty(len(at), self.dtype), at // self.step
        for number in np.unique(numbers):
            here = numbers == number
            found[here] = self.block(int(number))[at[here] - number * self.step]
        return found


class _Chunks:
    """The chunks of a store; of each array the last one read is kept, since variables are often read in turn."""

    def __init__(
        self, sink: SweepStore, known: dict[str, Field], axes: Sequence[str], grid: dict[str, np.ndarray]
    ) -> None:
        self.sink, self.known, self.axes, self.grid = sink, known, list(axes), grid
        self.done = sink.is_done()
        self.rows, self.inputs = (functools.lru_cache(maxsize=1)(f) for f in (self._rows, self._inputs))

    def _rows(self, number: int) -> np.ndarray:
        """Rows; where a chunk is not there yet NaN, with status -1."""
        if self.done[number]:
            return self.sink.chunk(number)
        rows = np.full((self.sink.rows.shape[0], self.sink.points(number)), np.nan, self.sink.rows.dtype)
        rows[-1] = PENDING
        return rows

    def _inputs(self, number: int) -> list[np.ndarray]:
        """Inputs in the order of the axes; those of a quasi-random design are NaN where a chunk is not there yet."""
        points = np.arange(self.sink.points(number)) + number * self.sink.size
        if self.grid:
            places = np.unravel_index(points, [len(v) for v in self.grid.values()])
            return [v[k] for v, k in zip(self.grid.values(), places, strict=True)]
        pending = not self.done[number] and all(self.known[n].kind == "real" for n in self.axes)
        numbers = np.full((len(self.axes), len(points)), np.nan) if pending else self.sink.inputs_of(number)
        return [values_of(self.known[n], x) for n, x in zip(self.axes, numbers, strict=True)]

    def row(self, i: int, dtype: Any) -> Any:
        """One row at all points, read when it is asked for."""
        return self._lazily(lambda number: self.rows(number)[i].astype(dtype, copy=False), np.dtype(dtype))

    def input(self, i: int) -> Any:
        """One input at all points, read or computed when it is asked for."""
        name = self.axes[i]
        dtype = self.grid[name].dtype if self.grid else values_of(self.known[name], np.zeros(1)).dtype
        return self._lazily(lambda number: self.inputs(number)[i], dtype)

    def _lazily(self, block: Block, dtype: np.dtype) -> Any:
        return indexing.LazilyIndexedArray(_Column(block, self.sink.rows.shape[1], self.sink.size, dtype))


def open_sweep(model: Model, store: str | Path) -> xr.Dataset:
    """The dataset of a store that `sweep` wrote; chunks not yet computed are NaN with status -1.

    A store of more than 256 MB is opened lazily, in constant memory, along `point`, with the inputs of every point (those of a
    grid are computed from its place). Raises `InputError` if it holds no sweep of the model, `StoreError` if a chunk
    that is read is damaged.
    """
    sink, manifest = open_store(Path(store))
    made = manifest["study"]
    if made["model"] != model.name:
        raise InputError([f"{store} holds a sweep of {made['model']!r}, not of {model.name!r}"], "the store")
    order, tally = list(made["axes"]), sink.tally()
    grid = read_axes(sink.path, order) if made["design"] == "grid" else {}
    chunks = _Chunks(sink, model.fields, order, grid)
    if sink.rows.dtype.itemsize * sink.rows.size <= IN_MEMORY:
        numbers = range(len(chunks.done))
        rows = np.concatenate([chunks.rows(k) for k in numbers], axis=1)
        shape = tuple(len(v) for v in grid.values()) or None
        axes = grid or dict(zip(order, map(np.concatenate, zip(*(chunks.inputs(k) for k in numbers))), strict=True))
        return in_memory(model, made["outcomes"], shape, axes, rows, manifest["about"], tally)
    kinds = [sink.rows.dtype] * (len(made["outcomes"]) + 1) + [np.int32]
    columns = [chunks.row(i, kind) for i, kind in enumerate(kinds)]
    axes = {name: chunks.input(i) for i, name in enumerate(order)}
    return dataset_of(model, made["outcomes"], ("point",), axes, columns, manifest["about"], tally)
