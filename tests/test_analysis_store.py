"""Sweeps on disk: kills, other studies and versions, damage, full disks, and what a store opens as."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import jax
import pytest
import zarr
from pigou import MODEL, NO_TRADE

from jaxecon import InputError, open_sweep, sweep
from jaxecon.analysis import sweep as sweeps
from jaxecon.analysis.store import StoreError, code_hash


class Killed(Exception):
    pass


@pytest.mark.parametrize("design", ["grid", "sobol"])
def test_resume_after_a_kill_redoes_nothing_that_is_done(tmp_path, design):
    axes = {"a": (1.0, 10.0, 10), "tax": (0.0, 2.0, 10)} if design == "grid" else {"a": (1.0, 10.0), "tax": (0.0, 2.0)}
    more = {"design": design, "points": None if design == "grid" else 100, "chunk": 16}

    def kill(done, total, info):
        if done >= 48:
            raise Killed

    with pytest.raises(Killed):
        sweep(MODEL, axes, store=tmp_path / "s.zarr", progress=kill, **more)
    partial = open_sweep(MODEL, tmp_path / "s.zarr")
    assert int((partial.status == -1).sum()) == 100 - 48
    resumed = []
    ds = sweep(MODEL, axes, store=tmp_path / "s.zarr", resume=True,
               progress=lambda done, total, info: resumed.append(info["resumed"]), **more)  # fmt: skip
    assert resumed == [True] * 3 + [False] * 4
    fresh = sweep(MODEL, axes, **more)
    assert ds.identical(fresh) and open_sweep(MODEL, tmp_path / "s.zarr").equals(fresh)
    # The rows of a done chunk are read, never computed again.
    group = zarr.open_group(tmp_path / "s.zarr", mode="r+")
    group["rows"][0, 0] = 123.0  # pyright: ignore
    again = sweep(MODEL, axes, store=tmp_path / "s.zarr", resume=True, **more)
    assert float(again.quantity.values.ravel()[0]) == 123.0


def test_a_chunk_counts_only_when_marked_done(tmp_path):
    axes = {"a": (4.0, 10.0, 64)}
    full = sweep(MODEL, axes, store=tmp_path / "s.zarr", chunk=16)
    group = zarr.open_group(tmp_path / "s.zarr", mode="r+")
    group["rows"][:, 16:32] = -7.0  # pyright: ignore  # torn by a kill before it was marked
    group["done"][1] = 0  # pyright: ignore
    assert sweep(MODEL, axes, store=tmp_path / "s.zarr", chunk=16, resume=True).identical(full)


def test_a_chunk_of_failures_is_stored_too(tmp_path):
    axes = {"a": [1.0] * 16 + [5.0] * 16, "tax": [0.0] * 32}
    sweep(MODEL, axes, design="paired", chunk=16, store=tmp_path / "s.zarr")
    back = open_sweep(MODEL, tmp_path / "s.zarr")
    assert back.status.values.tolist() == [NO_TRADE] * 16 + [0] * 16


def test_a_store_of_another_study_is_refused_with_the_reason(tmp_path):
    store = tmp_path / "s.zarr"
    sweep(MODEL, {"a": (4.0, 10.0, 8)}, store=store)
    with pytest.raises(InputError, match="exists; pass resume=True"):
        sweep(MODEL, {"a": (4.0, 10.0, 8)}, store=store)
    with pytest.raises(InputError, match="its axes differ"):
        sweep(MODEL, {"a": (4.0, 11.0, 8)}, store=store, resume=True)
    with pytest.raises(InputError, match="its policy differ"):
        sweep(MODEL, {"a": (4.0, 10.0, 8)}, store=store, resume=True, policy=MODEL.policy(tax=1.0))
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="holds no sweep"):
        sweep(MODEL, {"a": (4.0, 10.0, 8)}, store=tmp_path / "other", resume=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        sweep(MODEL, {"a": (4.0, 10.0, 8)}, store=tmp_path / "file" / "s.zarr")
    with pytest.raises(InputError, match="holds no sweep"):
        open_sweep(MODEL, tmp_path / "nothing")


@pytest.mark.parametrize(
    ("place", "value", "what"),
    [
        ("jaxecon.analysis.store.code_hash", lambda: "another", 'its code of jaxecon .hash. differs: .*"another" here'),
        ("jaxecon.__version__", "9.9", 'its version of jaxecon differs: .* there, "9.9" here'),
        ("numpy.__version__", "9.9", "its version of numpy differs"),
    ],
)
def test_a_store_of_another_version_is_refused(tmp_path, monkeypatch, place, value, what):
    axes, store = {"a": (4.0, 10.0, 8)}, tmp_path / "s.zarr"
    sweep(MODEL, axes, store=store)
    monkeypatch.setattr(place, value)
    with pytest.raises(InputError, match=what) as caught:
        sweep(MODEL, axes, store=store, resume=True)
    assert len(caught.value.problems) == 1 and "go on with what wrote it" in str(caught.value)


def test_the_hash_of_the_code_covers_the_whole_package(tmp_path, monkeypatch):
    for folder in ("numerics", "analysis"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text("x = 1")
    monkeypatch.setattr("jaxecon.__file__", str(tmp_path / "__init__.py"))
    found = {code_hash()}
    (tmp_path / "numerics" / "a.py").write_text("x = 2")
    found.add(code_hash())
    (tmp_path / "analysis" / "a.py").rename(tmp_path / "analysis" / "b.py")
    assert len(found | {code_hash()}) == 3


def _chunk_file(store, number):
    return store / "rows" / "c" / "0" / str(number)


def test_a_damaged_or_lost_chunk_is_named_and_nothing_is_overwritten(tmp_path):
    store, axes = tmp_path / "s.zarr", {"a": (4.0, 10.0, 64)}
    full = sweep(MODEL, axes, store=store, chunk=16)
    file = _chunk_file(store, 2)
    whole = file.read_bytes()
    broken = bytearray(whole)
    broken[40] ^= 1
    file.write_bytes(broken)
    for again in (lambda: sweep(MODEL, axes, store=store, chunk=16, resume=True), lambda: open_sweep(MODEL, store)):
        with pytest.raises(StoreError, match=r"chunk 2 of .* cannot be read .* to compute it again remove"):
            again()
    assert file.read_bytes() == broken
    file.unlink()
    with pytest.raises(StoreError, match=r"chunk 2 of .* marked done but holds nothing"):
        sweep(MODEL, axes, store=store, chunk=16, resume=True)
    # The remedy that the message names.
    (store / "done" / "c" / "2").unlink()
    assert sweep(MODEL, axes, store=store, chunk=16, resume=True).identical(full) and file.read_bytes() == whole


def test_a_full_disk_says_what_is_safe(tmp_path, monkeypatch):
    store, axes = tmp_path / "s.zarr", {"a": (4.0, 10.0, 64)}
    write = zarr.Array.__setitem__

    def full(self, where, values):
        if self.name == "/rows" and where[1].start >= 32:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, where, values)

    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    with pytest.raises(StoreError, match=r"chunk 2 of 4 could not be written to .*: the disk is full.*safe.*resume"):
        sweep(MODEL, axes, store=store, chunk=16)
    monkeypatch.undo()
    redone = []
    whole = sweep(MODEL, axes, store=store, chunk=16, resume=True,
                  progress=lambda done, total, info: redone.append(info["resumed"]))  # fmt: skip
    assert redone == [True, True, False, False] and whole.equals(sweep(MODEL, axes))


@pytest.mark.parametrize(
    "error", [jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), MemoryError()]
)
def test_too_little_memory_says_what_is_safe(tmp_path, monkeypatch, error):
    store, axes = tmp_path / "s.zarr", {"a": (4.0, 10.0, 64)}
    run, sizes = sweeps.evaluate_rows, []

    def refuse(*args, **more):
        sizes.append(len(args[4]))
        if len(sizes) == 3:
            raise error
        return run(*args, **more)

    monkeypatch.setattr(sweeps, "evaluate_rows", refuse)
    with pytest.raises(
        StoreError, match=r"16 points at once; 2 of 4 chunks are safe in .*s\.zarr.*--resume.*smaller chunk"
    ):
        sweep(MODEL, axes, store=store, chunk=16)
    resumed = []
    found = sweep(MODEL, axes, store=store, chunk=5, resume=True,
                  progress=lambda done, total, info: resumed.append(info["resumed"]))  # fmt: skip
    assert resumed == [True, True, False, False] and sizes[3:] == [5, 5, 5, 1] * 2
    assert found.equals(sweep(MODEL, axes))


def test_another_failure_of_the_device_is_not_called_memory(tmp_path, monkeypatch):
    def fail(*args, **more):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(sweeps, "evaluate_rows", fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        sweep(MODEL, {"a": (4.0, 10.0, 64)}, store=tmp_path / "s.zarr")


def test_a_store_of_an_older_format_is_refused_with_the_reason(tmp_path):
    store, axes = tmp_path / "s.zarr", {"a": (4.0, 10.0, 8)}
    sweep(MODEL, axes, store=store)
    file = store / "zarr.json"
    file.write_text(file.read_text().replace("jaxecon sweep 4", "jaxecon sweep 3"))
    for again in (lambda: open_sweep(MODEL, store), lambda: sweep(MODEL, axes, store=store, resume=True)):
        with pytest.raises(InputError, match="its format is 'jaxecon sweep 3', this version writes 'jaxecon sweep 4'"):
            again()


def test_a_resumed_sweep_keeps_its_chunks(tmp_path):
    axes = {"a": (4.0, 10.0, 64)}
    whole = sweep(MODEL, axes, store=tmp_path / "s.zarr", chunk=16)
    assert sweep(MODEL, axes, store=tmp_path / "s.zarr", resume=True).identical(whole)


def test_a_kill_while_the_store_is_made_leaves_no_half_a_store(tmp_path, monkeypatch):
    axes, store, part = {"a": (4.0, 10.0, 64)}, tmp_path / "s.zarr", tmp_path / "s.zarr.part"

    def kill(*paths, **more):
        raise Killed

    for place in ("zarr.Group.create_array", "jaxecon.analysis.store.hash_of", "os.replace"):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(place, kill)
            sweep(MODEL, axes, store=store, chunk=16)
        assert part.exists() and not store.exists()
    found = sweep(MODEL, axes, store=store, chunk=16, resume=True)
    assert found.equals(sweep(MODEL, axes)) and not part.exists()
    part.mkdir()
    (part / "thesis.tex").write_text("years")
    with pytest.raises(InputError, match=r"s2.zarr.part is in the way and holds thesis.tex; move it"):
        sweep(MODEL, axes, store=part.rename(tmp_path / "s2.zarr.part").with_suffix(""))


_VICTIM = """
import sys
sys.path.insert(0, sys.argv[1])
from pigou import MODEL
from jaxecon import sweep
sweep(MODEL, {"a": (1.0, 10.0, 400), "tax": (0.0, 2.0, 100)}, chunk=64, store=sys.argv[2],
      progress=lambda done, total, info: print(done, flush=True))
"""


@pytest.mark.slow
def test_a_process_killed_outright_loses_no_chunk_that_was_reported(tmp_path):
    axes, store = {"a": (1.0, 10.0, 400), "tax": (0.0, 2.0, 100)}, tmp_path / "s.zarr"
    words = [sys.executable, "-c", _VICTIM, str(Path(__file__).parent), str(store)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reported = [int(process.stdout.readline()) for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        reported += [int(line) for line in process.stdout.read().split()]
    assert process.returncode == -signal.SIGKILL
    resumed = []
    found = sweep(MODEL, axes, chunk=64, store=store, resume=True,
                  progress=lambda done, total, info: resumed.append(info["resumed"]))  # fmt: skip
    assert len(reported) <= sum(resumed) <= len(reported) + 1 and len(resumed) == 625 > sum(resumed)
    assert found.equals(sweep(MODEL, axes, chunk=64))
