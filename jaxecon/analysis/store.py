"""A sweep on disk: a Zarr v3 group that survives a kill at any moment. It is made as `<name>.part` and moved to its place
when it is complete. A kill costs each process two chunks at most: the one that is being written and the one that is being computed.

`rows` holds [row, point] (outcomes, `max_residual`, `status`), one chunk of points a file with a checksum; `done` holds one
cell per chunk and is written after the chunk's rows, so that a chunk counts only if it is complete; `tries` holds how many
cells of a chunk were tried again and how many were rescued; `axes` holds the values of each axis. The attribute `manifest` says which study it is; a store of another study is refused.
"""

import dataclasses
import errno
import hashlib
import inspect
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jaxlib
import numpy as np
import scipy

import jaxecon
from jaxecon.core.errors import InputError, JaxeconError
from jaxecon.core.model import Model

FORMAT = "jaxecon sweep 3"
# What a store consists of.
PARTS = {"zarr.json", "rows", "tries", "done", "axes"}
PACKAGES = (jaxecon, jax, jaxlib, np, scipy)
# What a store is written by, in words.
WRITTEN_BY = {m.__name__: f"version of {m.__name__}" for m in PACKAGES} | {
    "code": "code of jaxecon (hash)",
    "source": "code of the model (hash)",
}


class StoreError(JaxeconError, OSError):
    """A store that cannot be written any further, or lost a part; the message says what is safe and what to do."""


def _hash_of_files(folder: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def source_hash(model: Model) -> str:
    """Hash of the source files of a model, which need not be one of the package: a study does not go on with other equations."""
    path = Path(inspect.getfile(model.Params))
    whole = (path.parent / "__init__.py").exists()
    return _hash_of_files(path.parent, path.parent.rglob("*.py") if whole else [path])


def code_hash() -> str:
    """Hash of the source files of the package: a study does not go on with other solvers, designs or analyses."""
    folder = Path(jaxecon.__file__).parent
    return _hash_of_files(folder, folder.rglob("*.py"))


def versions() -> dict[str, str]:
    """What the numbers of a study depend on besides its definition: packages (SciPy draws the Sobol points) and the code."""
    return {m.__name__: m.__version__ for m in PACKAGES} | {"code": code_hash()}


def hash_of(study: dict[str, Any]) -> str:
    """Hash of what defines a study, apart from where and when it ran."""
    return hashlib.sha256(json.dumps(study, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class SweepStore:
    """An open store: where it is, the arrays, and the points per chunk."""

    path: Path
    rows: Any
    tries: Any
    done: Any
    size: int

    def write(self, number: int, values: np.ndarray, tries: tuple[int, int]) -> None:
        """Write chunk `number`, shape `[row, points]`, with the cells retried and rescued in it, then mark it done; raises
        `StoreError` if the disk refuses."""
        start = number * self.size
        try:
            self.rows[:, start : start + values.shape[1]] = values
            self.tries[number] = tries
            self.done[number] = 1
        except OSError as error:
            why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
            raise StoreError(
                f"chunk {number} of {self.done.shape[0]} could not be written to {self.path}: {why}. The chunks marked done "
                "are safe; mend the cause and go on with resume=True (--resume)"
            ) from error

    def is_done(self) -> np.ndarray:
        """Which chunks are complete."""
        return np.asarray(self.done[:]) == 1

    def chunk(self, number: int) -> np.ndarray:
        """Rows of one chunk that is done; raises `StoreError` if it is damaged or gone."""
        start = number * self.size
        try:
            rows = np.asarray(self.rows[:, start : start + self.size])
        except Exception as error:  # the codecs raise what they like
            raise self._damaged(number, f"cannot be read ({error})") from error
        if np.isnan(rows[-1]).any():
            raise self._damaged(number, "is marked done but holds nothing")
        return rows

    def tries_of(self, number: int) -> tuple[int, int]:
        """Cells of a chunk that were retried, and rescued."""
        retried, rescued = np.asarray(self.tries[number]).tolist()
        return retried, rescued

    def _damaged(self, number: int, why: str) -> StoreError:
        place = Path("rows") / "c" / "0" / str(number)
        return StoreError(
            f"chunk {number} of {self.path} {why}. Nothing was overwritten; to compute it again remove {self.path / place} and "
            f"{self.path / 'done' / 'c' / str(number)}, then go on with resume=True (--resume)"
        )

    def statuses(self) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
        """Largest residuals, statuses (-1 where a chunk is not there yet) and tries, one chunk after the other."""
        for number, done in enumerate(self.is_done()):
            rows = self.chunk(number) if done else np.full((2, self._points(number)), np.nan)
            yield rows[-2], np.where(np.isnan(rows[-1]), -1, rows[-1]).astype(np.int32), self.tries_of(number)

    def _points(self, number: int) -> int:
        return min(self.size, self.rows.shape[1] - number * self.size)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two definitions, one sentence each with its remedy."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            what, remedy = key, "choose another path"
            if key in WRITTEN_BY:
                what, remedy = WRITTEN_BY[key], f"go on with what wrote it, or {remedy}"
            values = f"{_short(old.get(key))} there, {_short(new.get(key))} here"
            found.append(f"its {what} differ{'' if what.endswith('s') else 's'}: {values}; {remedy}")
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def create_store(path: Path, study: dict[str, Any], about: dict[str, Any], axes: Mapping[str, np.ndarray],
                 shape: tuple[int, int], size: int, dtype: str) -> SweepStore:  # fmt: skip
    """A new store, made beside its place and moved there whole; raises `InputError` if the path exists or cannot be written."""
    # Imported late: only sweeps on disk pay for loading it.
    import zarr
    from zarr.codecs import Crc32cCodec

    what, part = f"the store {path}", path.with_name(path.name + ".part")
    if path.exists():
        raise InputError([f"{path} exists; pass resume=True (--resume) to go on with it, or choose another path"], what)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if part.exists():  # left by a kill
            if strange := sorted({x.name for x in part.iterdir()} - PARTS):
                raise InputError([f"{part} is in the way and holds {', '.join(strange[:5])}; move it"], what)
            shutil.rmtree(part)
        group = zarr.open_group(part, mode="w", zarr_format=3)
        group.create_array(
            "rows", shape=shape, chunks=(shape[0], size), dtype=dtype, fill_value=float("nan"),
            compressors=(Crc32cCodec(),), dimension_names=("row", "point"),
            attributes={"row": [*study["outcomes"], "max_residual", "status"]},
        )  # fmt: skip
        chunks = -(-shape[1] // size)
        group.create_array(
            "tries", shape=(chunks, 2), chunks=(1, 2), dtype="int32", fill_value=0, dimension_names=("chunk", "try"),
            attributes={"try": ["retried", "rescued"]},
        )  # fmt: skip
        group.create_array(
            "done", shape=(chunks,), chunks=(1,), dtype="uint8", fill_value=0, dimension_names=("chunk",)
        )
        values = group.create_group("axes")
        for name, axis in axes.items():
            _write_axis(values, name, axis)
        group.attrs["manifest"] = {"format": FORMAT, "hash": hash_of(study), "study": study, "about": about}
        os.replace(part, path)
    except OSError as error:
        raise InputError([f"{path} cannot be written: {error}; choose a writable path"], what) from None
    return open_store(path)[0]


def _write_axis(group: Any, name: str, values: np.ndarray) -> None:
    """Numbers as they are, choices as places in a list of names."""
    choices: dict[str, Any] = {}
    if values.dtype.kind not in "if":
        names, values = np.unique(values.astype(str), return_inverse=True)
        choices = {"choices": names.tolist()}
    group.create_array(name, data=values, dimension_names=(name,), attributes=choices)


def resume_store(path: Path, study: dict[str, Any], size: int) -> SweepStore:
    """The store of the same study; raises `InputError` if it holds another one, or none."""
    store, manifest = open_store(path)
    if manifest["hash"] != hash_of(study):
        causes = _differences(manifest["study"], study)
        problems = [f"{path} holds another study: {c}" for c in causes]
        raise InputError(problems, f"the store {path}")
    return dataclasses.replace(store, size=size)


def open_store(path: Path) -> tuple[SweepStore, dict[str, Any]]:
    """A store and its manifest; raises `InputError` if there is none."""
    import zarr

    try:
        group: Any = zarr.open_group(path, mode="r+")
        manifest: Any = group.attrs["manifest"]
        if manifest["format"] == FORMAT:
            return SweepStore(path, group["rows"], group["tries"], group["done"], group["rows"].chunks[1]), manifest
        why = f"its format is {manifest['format']!r}, this version writes {FORMAT!r}"
    except (OSError, KeyError, ValueError, TypeError):
        why = "it has no manifest"
    raise InputError(
        [f"{path} holds no sweep of jaxecon: {why}; remove it or choose another path"], f"the store {path}"
    )


def read_axes(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Values of the axes of a store."""
    import zarr

    group: Any = zarr.open_group(path, mode="r")["axes"]
    found = {}
    for name in names:
        values, choices = np.asarray(group[name][:]), group[name].attrs.get("choices")
        found[name] = values if choices is None else np.asarray(choices, dtype=object)[values].astype(str)
    return found
