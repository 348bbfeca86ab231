"""A study that is added up piece by piece, on disk: one file that is replaced whole after each piece, so that a kill at any
moment costs at most the piece that was being computed.

The file is an npz of plain arrays, no pickles: `manifest` (JSON text: which study it is) beside those of the state. Its checksums are
those of the format (CRC-32 of each array). Of several processes the first reads and writes, and the others hear from it.
"""

import dataclasses
import errno
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxecon.analysis.hosts import agreed, from_first
from jaxecon.analysis.store import StoreError, differences, hash_of
from jaxecon.core.errors import InputError

FORMAT = "jaxecon study 1"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file in full or not at all; raises `StoreError` if the disk refuses."""
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
        raise StoreError(
            f"{path} could not be written: {why}. What was done before is safe; mend the cause and go on with --resume"
        ) from error


@dataclasses.dataclass(frozen=True)
class SavedStudy:
    """An open study: its file, which study it is, and the state it was found in (empty if nothing is done)."""

    path: Path
    manifest: Mapping[str, Any]
    state: Mapping[str, np.ndarray]

    def save(self, state: Mapping[str, np.ndarray]) -> None:
        """Put a state in the place of the last one; raises `StoreError` if the disk refuses."""
        if jax.process_index() != 0:
            return
        buffer = io.BytesIO()
        np.savez(buffer, manifest=np.array(json.dumps(self.manifest)), **state)  # pyright: ignore
        write_atomically(self.path, buffer.getvalue())


def open_study(path: Path, definition: dict[str, Any], about: dict[str, Any], resume: bool) -> SavedStudy:
    """The study at `path`: a new one, or with `resume` the one that is there, if there is one.

    `definition` says which study it is, ready for JSON; `about` is kept for people. Nothing is overwritten: raises `InputError` if
    the path exists and `resume` is false, holds another study or something else, or cannot be written; `StoreError` if it is damaged.
    """
    what, first = f"the study {path}", jax.process_index() == 0
    manifest = {"format": FORMAT, "hash": hash_of(definition), "study": definition, "about": about}
    if not agreed(int(first and path.exists())):
        study = SavedStudy(path, manifest, {})
        try:
            study.save({})
        except StoreError as error:
            raise InputError([f"{error}"], what) from None
        return study
    if not resume:
        raise InputError([f"{path} exists; pass resume=True (--resume) to go on with it, or choose another path"], what)
    there, state = _read(path, from_first(path.read_bytes() if first and path.is_file() else b""))
    if there["format"] != FORMAT:
        why = f"its format is {there['format']!r}, this version writes {FORMAT!r}"
        raise InputError([f"{path} holds a study of another version: {why}; choose another path"], what)
    if there["hash"] != manifest["hash"]:
        causes = differences(there["study"], definition)
        raise InputError([f"{path} holds another study: {c}" for c in causes], what)
    return SavedStudy(path, manifest, state)


def _read(path: Path, content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Manifest and state of a file; raises `StoreError` if it is no such file, or damaged."""
    try:
        if not content.startswith(b"PK"):  # else NumPy takes it for a pickle and advises to load that
            raise ValueError("it is no npz archive")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        manifest = json.loads(str(arrays.pop("manifest")))
        if {"format", "hash", "study"} <= manifest.keys() and hash_of(manifest["study"]) == manifest["hash"]:
            return manifest, arrays
        why = "its manifest is not complete"
    except Exception as error:  # what a broken archive raises is not documented
        why = f"{type(error).__name__}: {error}"
    raise StoreError(
        f"{path} cannot be read ({why}): it is damaged, or no study of jaxecon. Nothing was overwritten; remove it to begin anew, "
        "or choose another path"
    )
