"""Sobol studies on disk: kills, other studies and versions, damage, full disks."""

import errno
import json
import os

import numpy as np
import pytest
from functions import ISHIGAMI_EDGE, SOBOL_G

from jaxecon import InputError, sensitivity
from jaxecon.analysis import measures
from jaxecon.analysis.store import StoreError
from jaxecon.cli import commands, main

# Base samples of a piece: 8 blocks of a study of three inputs with second order fill a chunk.
PIECE, BLOCKS = 32, 8


class Killed(Exception):
    pass


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(measures, "CHUNK", PIECE * BLOCKS)


def study(store=None, kill=None, seen=None, **options):
    """Some inputs fail; `kill`: the piece that is computed when the process dies."""

    def progress(done, total, info):
        if seen is not None:
            seen.append(done)
        if done == (kill or 0) * PIECE * BLOCKS:
            raise Killed

    given = {"samples": 8 * PIECE, "second_order": True, "seed": 3} | options
    return sensitivity(ISHIGAMI_EDGE, store=store, progress=progress, **given)


# Of 8 pieces; with a tolerance too small and one that stops at the third look.
@pytest.mark.parametrize("options", [{}, {"tolerance": 1e-6}, {"tolerance": 0.5, "samples": 2**12}, {"group": 2}])
def test_a_killed_study_goes_on_to_the_same_bytes(tmp_path, options):
    store, counts, redone = tmp_path / "run.npz", [], []
    whole = study(seen=counts, **options)
    assert whole.attrs["dropped"] > 0 and len(counts) > 3
    killed = counts[2]
    with pytest.raises(Killed):
        study(store, kill=killed // (PIECE * BLOCKS), **options)
    with np.load(store, allow_pickle=False) as file:
        assert file["counts"][0] * BLOCKS == counts[1]
    found = study(store, seen=redone, resume=True, **options)
    assert redone == counts[2:], "the piece that was lost, and those after it"
    assert found.identical(whole)
    # A study that is done computes nothing.
    redone.clear()
    assert study(store, seen=redone, resume=True, **options).identical(whole) and not redone


def test_a_study_that_was_killed_at_once_or_is_not_there_begins(tmp_path):
    with pytest.raises(Killed):
        study(tmp_path / "run", kill=1)
    whole = study()
    assert study(tmp_path / "run", resume=True).identical(whole)
    assert study(tmp_path / "deep" / "new.npz", resume=True).identical(whole)


def test_another_study_or_version_is_refused_and_kept(tmp_path, monkeypatch):
    store = tmp_path / "run.npz"
    study(store, samples=PIECE)
    content = store.read_bytes()
    with pytest.raises(InputError, match=r"exists; pass resume=True \(--resume\)"):
        study(store, samples=PIECE)
    for options, why in (
        ({"seed": 4}, "its seed differs: 3 there, 4 here"),
        ({"prior": {"x1": (0.0, 1.0)}}, "its lo differs"),
        ({"outcomes": ["welfare"]}, "its outcomes differ"),
        ({"params": ISHIGAMI_EDGE.params(x2=0.1)}, "its params differ"),
    ):
        with pytest.raises(InputError, match=why):
            study(store, resume=True, **{"samples": PIECE} | options)
    for place, value, why in (
        (
            "store.code_hash",
            lambda: "another",
            r'its code of jaxecon \(hash\) differs: .*"another" here; go on with what wrote',
        ),
        ("saved.FORMAT", "jaxecon study 0", "its format is 'jaxecon study 1', this version writes 'jaxecon study 0'"),
    ):
        with monkeypatch.context() as patch, pytest.raises(InputError, match=why):
            patch.setattr(f"jaxecon.analysis.{place}", value)
            study(store, samples=PIECE, resume=True)
    assert store.read_bytes() == content


def test_a_damaged_file_is_named_and_kept(tmp_path):
    store = tmp_path / "run.npz"
    study(store, samples=PIECE)
    whole = store.read_bytes()
    with np.load(store) as file:
        terms = file["terms"].tobytes()
    broken = bytearray(whole)
    broken[whole.index(terms) + len(terms) // 2] ^= 1
    for content in (bytes(broken), whole[: len(whole) // 2], b"", b"something else"):
        store.write_bytes(content)
        with pytest.raises(StoreError, match=r"run\.npz cannot be read .*damaged.*Nothing was overwritten; remove it"):
            study(store, samples=PIECE, resume=True)
        assert store.read_bytes() == content
    with pytest.raises(StoreError, match="no study of jaxecon"):
        study(tmp_path, samples=PIECE, resume=True)
    store.write_bytes(b"junk")
    with pytest.raises(StoreError, match="it is no npz archive") as error:
        study(store, samples=PIECE, resume=True)
    assert "pickle" not in str(error.value)


def test_a_full_disk_says_what_is_safe(tmp_path, monkeypatch):
    store, move, moved = tmp_path / "run.npz", os.replace, []

    def full(a, b):
        moved.append(b)
        if len(moved) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        move(a, b)

    with monkeypatch.context() as patch:
        patch.setattr("jaxecon.analysis.saved.os.replace", full)
        with pytest.raises(StoreError, match=r"the disk is full\. What was done before is safe; .*--resume"):
            study(store)
    redone = []
    found = study(store, seen=redone, resume=True)
    assert redone[0] == 3 * PIECE * BLOCKS, "the start and two pieces were saved"
    assert found.identical(study())
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="could not be written"):
        study(tmp_path / "file" / "run.npz")


def test_only_the_sobol_study_has_a_store(tmp_path):
    with pytest.raises(InputError, match="store applies to the method 'sobol', not to 'morris'"):
        sensitivity(SOBOL_G, "morris", store=tmp_path / "run.npz")
    with pytest.raises(InputError, match=r"resume=True \(--resume\) needs the store"):
        sensitivity(SOBOL_G, resume=True)


def test_the_command_keeps_and_resumes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(commands, "load", lambda name: SOBOL_G)
    line = ["sensitivity", "g", "--samples", "64", "--json", "--no-cache"]

    def found(*more):
        code = main([*line, *more])
        out, err = capsys.readouterr()
        return code, json.loads(out) if code == 0 else err

    plain, store = found(), str(tmp_path / "run.npz")
    assert found("--store", store) == plain and plain[0] == 0
    code, said = found("--store", store)
    assert code == 2 and "--resume" in said
    assert found("--store", store, "--resume") == plain
    assert found("--resume")[0] == 2
