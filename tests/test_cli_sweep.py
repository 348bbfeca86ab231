"""`jaxecon sweep`: what it reads of its store, what it says while it runs."""

import json
import types

import numpy as np
import pytest
from pigou import MODEL

from jaxecon import sweep
from jaxecon.analysis import sweep as sweeps
from jaxecon.analysis.store import SweepStore
from jaxecon.cli import commands, main, output


@pytest.fixture(autouse=True)
def _pigou(monkeypatch):
    monkeypatch.setattr(commands, "load", lambda name: MODEL)


def run(capsys, words):
    assert main([*words.split(), "--no-cache"]) == 0
    return capsys.readouterr()


def test_the_table_of_a_large_store_reads_a_few_whole_chunks(capsys, tmp_path, monkeypatch):
    whole = sweep(MODEL, {"a": (4.0, 12.0, 200)})
    monkeypatch.setattr("jaxecon.analysis.labelled.IN_MEMORY", 1000)
    monkeypatch.setattr(commands, "MOST_READ", 48)
    read, seen = SweepStore.chunk, []
    monkeypatch.setattr(SweepStore, "chunk", lambda sink, number: seen.append(number) or read(sink, number))
    store = tmp_path / "s.zarr"
    out = run(capsys, f"sweep pigou a=4:12:200 --chunk 16 --outcome quantity --outcome price -o {store}").out
    assert len(seen) == 3 == len(set(seen)) and "medians are of 48 cells, in whole chunks" in out
    row = next(line for line in out.splitlines() if "quantity" in line).split()
    least, median, largest = (float(x) for x in row[-3:])
    assert (least, largest) == pytest.approx((float(whole.quantity.min()), float(whole.quantity.max())), rel=1e-5)
    cells = np.concatenate([whole.quantity[k * 16 : (k + 1) * 16] for k in seen])
    assert median == pytest.approx(np.median(cells), rel=1e-5)
    assert "welfare" not in out


def test_outcomes_and_chunks_are_chosen(capsys, tmp_path):
    got = json.loads(run(capsys, "sweep pigou a=4:12:5 --outcome price --chunk 2 --json").out)
    assert list(got["outcomes"]) == ["price"] and got["provenance"]["chunk"] == 2
    assert main(["sweep", "pigou", "a=4:12:5", "--outcome", "prize", "--chunk", "0"]) == 2
    said = capsys.readouterr().err
    assert "did you mean 'price'" in said and "--chunk" in said


class Clock:
    """A clock that a chunk moves by as many seconds as it takes."""

    now = 0.0

    def read(self):
        return self.now


def test_time_left_counts_computed_points_only(tmp_path, monkeypatch):
    axes, store, clock = {"a": (1.0, 10.0, 64)}, tmp_path / "s.zarr", Clock()
    monkeypatch.setattr(sweeps, "time", types.SimpleNamespace(perf_counter=clock.read))
    run, read = sweeps.evaluate_rows, SweepStore.chunk

    def slow(*args, **more):
        clock.now += 8.0
        return run(*args, **more)

    def slowly_read(sink, number):
        clock.now += 100.0
        return read(sink, number)

    sweep(MODEL, axes, store=store, chunk=16)
    for k in (2, 3):
        (store / "done" / "c" / str(k)).unlink()
    monkeypatch.setattr(SweepStore, "chunk", slowly_read)
    monkeypatch.setattr(sweeps, "evaluate_rows", slow)
    # One chunk after the other, so that the clock is read when it has moved for this chunk only.
    monkeypatch.setattr(sweeps, "ThreadPoolExecutor", AtOnce)
    seen = []
    found = sweep(MODEL, axes, store=store, chunk=16, resume=True, progress=lambda done, total, info: seen.append(info))
    assert [i["resumed"] for i in seen] == [True, True, False, False]
    assert np.isnan([i["left"] for i in seen[:2]]).all() and [i["left"] for i in seen[2:]] == [8.0, 0.0]
    assert [i["per s"] for i in seen[2:]] == [2.0, 2.0]
    assert seen[-1]["solved"] == found.attrs["solved"] / 64 and 0.5 < seen[-1]["solved"] < 1


class AtOnce:
    """An executor that does what it is given at once."""

    def __init__(self, workers):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def submit(self, f, *args):
        value = f(*args)
        return types.SimpleNamespace(result=lambda: value)


def test_off_a_terminal_a_line_every_half_minute(capsys, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(output, "time", types.SimpleNamespace(monotonic=clock.read))
    with output.progress_bar("sweep pigou") as progress:
        for k in range(1, 11):
            clock.now += 10
            info = {"solved": 0.9996, "failed": 4, "per s": 200.0, "left": 20.0 * (10 - k), "resumed": False}
            progress(k * 1000, 10_000, info)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "sweep pigou: 3000 of 10000  left 0:02:20  solved 99.9%  failed 4  per s 200"
    assert [line.split()[2] for line in lines] == ["3000", "6000", "9000"]
