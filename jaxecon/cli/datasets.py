"""Any labelled result as tables for people, JSON and flat records for machines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxecon.cli.output import Result, Table

# Rows and columns of a printed table; longer ones show their beginning and say so.
ROWS, COLUMNS = 24, 10


def part_along(dataset: xr.Dataset, dims: Sequence[str]) -> xr.Dataset:
    """The variables that live on these dimensions: what a flat table can hold without repeating others."""
    return dataset[[n for n, v in dataset.data_vars.items() if v.dims and set(map(str, v.dims)) <= set(dims)]]


def as_payload(dataset: xr.Dataset) -> dict[str, Any]:
    """Everything, ready for JSON."""
    return {
        "coords": {str(n): v.values for n, v in dataset.coords.items()},
        "variables": {
            str(n): {"dims": [str(d) for d in v.dims], "values": v.values, "unit": v.attrs.get("units"), "doc": v.attrs.get("doc")}
            for n, v in dataset.data_vars.items()
        },
        "provenance": dict(dataset.attrs),
    }  # fmt: skip


def _labels(dataset: xr.Dataset, dim: str) -> list[Any]:
    return dataset[dim].values.tolist() if dim in dataset.coords else list(range(dataset.sizes[dim]))


def _scalars(dataset: xr.Dataset) -> list[list[Any]]:
    flat = {n: v for n, v in dataset.data_vars.items() if v.ndim == 0}
    return [
        [str(n), v.values.item(), v.attrs.get("units", ""), v.attrs.get("doc") or v.attrs.get("long_name", "")]
        for n, v in flat.items()
    ]


def _along(dataset: xr.Dataset, dim: str) -> Table | None:
    """One row a place of a dimension: variables of that dimension alone, and those of it and one short other dimension."""
    columns: list[str] = []
    cells: list[list[Any]] = []
    for n, v in dataset.data_vars.items():
        others = [str(d) for d in v.dims if d != dim]
        if dim not in v.dims or len(others) > 1 or len(columns) >= COLUMNS:
            continue
        if not others:
            columns.append(str(n))
            cells.append(v.values.tolist())
        elif v.dims[0] == dim and v.sizes[others[0]] <= COLUMNS - len(columns):
            columns += [f"{n} {label}" for label in _labels(dataset, others[0])]
            cells += v.transpose(others[0], dim).values.tolist()
    if not columns:
        return None
    rows = list(zip(_labels(dataset, dim), *cells, strict=True))
    words = f", the first {ROWS} of {len(rows)}" if len(rows) > ROWS else ""
    return Table(f"by {dim}{words}", [dim, *columns], rows[:ROWS])


def result_of(
    model: Any, title: str, dataset: xr.Dataset, by: Sequence[str], notes: Sequence[str] = (), code: int = 0,
    *, shown: xr.Dataset | None = None,
) -> Result:  # fmt: skip
    """A result of a command whose analysis returns a dataset; `by`: dimensions of its flat records, for CSV and Parquet;
    `shown`: what the tables show, by default all of it."""
    shown = dataset if shown is None else shown
    rows = _scalars(shown)
    tables = [Table(f"{model.title}: {title}", ["name", "value", "unit", "meaning"], rows)] if rows else []
    found = (_along(shown, str(dim)) for dim in shown.dims)
    tables += [table for table in found if table is not None]
    part = part_along(dataset, by)
    records: Any = part.to_dataframe().reset_index().to_dict("records")
    return Result({"model": model.name, **as_payload(dataset)}, tables, records, notes, code, dataset=part)


def counts_of(dataset: xr.Dataset, name: str) -> str:
    """How many entries of a variable have which of its named codes."""
    meanings = str(dataset[name].attrs.get("flag_meanings", "")).split()
    codes, counts = np.unique(dataset[name].values, return_counts=True)
    return ", ".join(f"{n} {meanings[int(c)]}" for c, n in zip(codes, counts, strict=True))
