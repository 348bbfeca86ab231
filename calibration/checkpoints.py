"""Parts of a calibration on disk (blocks of starts, stages of a search, chains): each is written beside its place, then moved there,
so that a kill at any moment loses at most those under way."""

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxecon.analysis.hosts import from_first
from jaxecon.analysis.least_squares import Ends
from jaxecon.analysis.saved import write_atomically
from jaxecon.analysis.store import StoreError
from jaxecon.core.errors import InputError

FORMAT = "jaxecon calibration 1"
# Bytes of the checksum that precedes a block.
DIGEST = 32


@dataclasses.dataclass(frozen=True)
class Parts:
    """Parts of one kind of a study in a folder, plain arrays each; what `simulated_fit` and `sample_posterior` ask as `saved`.
    Of several processes only the first reads and writes it."""

    folder: Path
    kind: str

    def _path(self, number: int) -> Path:
        return self.folder / f"{self.kind}-{number:05d}.npz"

    def get(self, number: int) -> dict[str, np.ndarray] | None:
        """A part that is done, or None; raises `StoreError` if it is damaged."""
        path = self._path(number)
        content = from_first(path.read_bytes() if jax.process_index() == 0 and path.exists() else b"")
        if not content:
            return None
        if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
            raise StoreError(
                f"{path} is damaged: its checksum differs. Remove that file and go on with --resume; the others are kept"
            )
        with np.load(io.BytesIO(content[DIGEST:]), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}

    def put(self, number: int, arrays: Mapping[str, Any]) -> None:
        """Keep a part."""
        if jax.process_index() != 0:
            return
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
        write_atomically(self._path(number), hashlib.sha256(content).digest() + content)

    def done(self) -> int:
        """Parts that are there."""
        return len(list(self.folder.glob(f"{self.kind}-*.npz")))


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Blocks of starts; what `estimate(saved=...)` asks. `parts` of another kind lie in the same folder."""

    folder: Path

    def parts(self, kind: str) -> Parts:
        return Parts(self.folder, kind)

    def get(self, number: int) -> Ends | None:
        """A block that is done, or None; raises `StoreError` if it is damaged."""
        found = self.parts("block").get(number)
        return None if found is None else Ends(**found)

    def put(self, number: int, ends: Ends) -> None:
        """Keep a block."""
        self.parts("block").put(number, {f.name: getattr(ends, f.name) for f in dataclasses.fields(ends)})

    def done(self) -> int:
        """Blocks that are there."""
        return self.parts("block").done()


def open_blocks(folder: Path, study: dict[str, Any], resume: bool) -> Blocks:
    """The parts of a study under `folder`; raises `InputError` if the folder holds another study, or this one and `resume` is false."""
    place, manifest = folder / "checkpoint", folder / "checkpoint" / "manifest.json"
    if jax.process_index() != 0:
        return Blocks(place)
    what = f"the folder {folder}"
    if manifest.exists():
        try:
            found = json.loads(manifest.read_text(encoding="utf-8"))
            old = found["study"] if found["format"] == FORMAT else None
        except (OSError, ValueError, KeyError, TypeError):
            old = None
        if old is None:
            raise InputError([f"{manifest} is no manifest of this version; choose another folder, or remove it"], what)
        if not resume:
            raise InputError(
                [f"{folder} holds a calibration; pass --resume to go on with it, or choose another folder"], what
            )
        causes = [
            f"{key} is {old.get(key)!r} there and {study.get(key)!r} here"
            for key in sorted(old.keys() | study.keys())
            if old.get(key) != study.get(key)
        ]
        if causes:
            raise InputError([f"{folder} holds another calibration: {c}; choose another folder" for c in causes], what)
        return Blocks(place)
    if folder.exists() and (not folder.is_dir() or any(x.name != "checkpoint" for x in folder.iterdir())):
        raise InputError([f"{folder} is there and holds no calibration; choose another folder"], what)
    try:
        write_atomically(
            manifest, (json.dumps({"format": FORMAT, "study": study}, indent=1, sort_keys=True) + "\n").encode()
        )
    except StoreError as error:
        raise InputError([f"{error}"], what) from None
    return Blocks(place)
