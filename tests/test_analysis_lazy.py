"""A store that is too large for memory gives the same answers as the dataset in memory."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pigou import MODEL

from jaxecon import discover, open_sweep, sweep
from jaxecon.analysis import export
from jaxecon.analysis.store import SweepStore

N = 200
_BOX = np.random.default_rng(0).uniform((1.0, 0.0), (10.0, 2.0), (N, 2)).T.tolist()
STUDIES = {
    "grid": ({"a": (1.0, 10.0, 20), "tax": (0.0, 2.0, 5), "market": ["monopoly", "competitive"]}, {}),
    "line": ({"a": (1.0, 10.0, N)}, {}),
    "sobol": ({"a": (1.0, 10.0), "tax": (0.0, 2.0)}, {"design": "sobol", "points": N, "seed": 3}),
    "paired": (
        {"a": _BOX[0], "tax": _BOX[1], "market": ["monopoly", "competitive"] * (N // 2)}, {"design": "paired"},
    ),
}  # fmt: skip


@pytest.fixture(params=STUDIES)
def both(request, tmp_path, monkeypatch):
    """The dataset in memory, the lazy one of the same study, and its store; 13 chunks, the last one short."""
    axes, more = STUDIES[request.param]
    small = sweep(MODEL, axes, chunk=16, **more)
    store = tmp_path / "s.zarr"
    kept = sweep(MODEL, axes, chunk=16, store=store, **more)
    assert kept.identical(small)
    monkeypatch.setattr("jaxecon.analysis.labelled.IN_MEMORY", 1000)
    return small, open_sweep(MODEL, store), store


def test_coordinates_attributes_and_values_are_those_in_memory(both):
    small, lazy, _ = both
    assert lazy.status.dims == ("point",) and lazy.attrs == small.attrs and set(lazy.coords) == set(small.coords)
    assert not any(v.variable._in_memory for v in lazy.variables.values() if isinstance(v, xr.DataArray))
    flat = small.to_dataframe().reset_index()
    for name in (*small.data_vars, *small.coords):
        assert not lazy[name].variable._in_memory and lazy[name].attrs == small[name].attrs
        assert lazy[name].dtype.kind == small[name].dtype.kind
        np.testing.assert_array_equal(lazy[name].values, flat[name].to_numpy())


def test_any_part_is_read(both):
    small, lazy, _ = both
    flat, rng = small.to_dataframe().reset_index(), np.random.default_rng(1)
    parts = [7, slice(30, 35), slice(3, None, 17), slice(None, None, 50), slice(199, None, -3), slice(40, 40),
             rng.integers(0, N, 20), [-1, 0]]  # fmt: skip
    for name in ("welfare", "status", "a"):
        for part in parts:
            np.testing.assert_array_equal(lazy[name].isel(point=part).values, flat[name].to_numpy()[part])


def test_frames_and_boxes_are_the_same(both, tmp_path):
    small, lazy, _ = both
    frame = export.to_pandas(small)
    pd.testing.assert_frame_equal(export.to_pandas(lazy), frame)
    parquet = pytest.importorskip("pyarrow.parquet")
    tables = [
        parquet.ParquetFile(export.to_parquet(ds, tmp_path / f"{i}.parquet")) for i, ds in enumerate((small, lazy))
    ]
    assert tables[0].read().equals(tables[1].read()) and tables[1].num_row_groups == 13
    about = [json.loads(t.schema_arrow.metadata[b"jaxecon"]) for t in tables]
    assert about[0] == about[1] and about[1]["columns"]["a"]["units"] == "money"
    boxes = [discover(ds, ("quantity", ">", 5.0), density=0.6).table() for ds in (small, lazy)]
    assert boxes[0] and repr(boxes[0]) == repr(boxes[1])


def test_parquet_is_written_chunk_by_chunk(both, tmp_path, monkeypatch):
    pytest.importorskip("pyarrow.parquet")
    _, lazy, _ = both
    read, seen = SweepStore.chunk, []
    monkeypatch.setattr(SweepStore, "chunk", lambda sink, number: seen.append(number) or read(sink, number))
    export.to_parquet(lazy, tmp_path / "x.parquet")
    assert seen == list(range(13))


def test_xarray_opens_the_store_with_labels_and_without_a_warning(both):
    small, _, store = both
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = xr.open_zarr(store)
    welfare = plain.rows.sel(row="welfare")
    np.testing.assert_array_equal(welfare, small.to_dataframe().reset_index().welfare)
    assert plain.rows.attrs["row_units"]["welfare"] == "money"
    assert plain.rows.attrs["statuses"]["16"].startswith(MODEL.reason(16)[0])
    assert plain.attrs["manifest"]["about"]["model"] == "pigou"
    for name in small.coords:
        if small[name].dims == ("point",):
            found = plain.inputs.sel(axis=name).values
            if name == "market":
                found = np.array(plain.inputs.attrs["choices"]["market"])[found.astype(int)]
            np.testing.assert_array_equal(found, small[name])
        else:
            assert plain[name].values.tolist() == small[name].values.tolist() and plain[name].attrs["units"]


def test_chunks_that_are_missing_are_pending(both):
    _, _, store = both
    (store / "done" / "c" / "3").unlink()
    lazy = open_sweep(MODEL, store)
    here = slice(48, 64)
    assert (lazy.status[here] == -1).all() and np.isnan(lazy.welfare[here]).all()
    assert json.loads(lazy.attrs["failed"])["CODE_-1"] == 16
