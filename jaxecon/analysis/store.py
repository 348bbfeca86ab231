"""A sweep on disk: a Zarr v3 group that survives a kill at any moment.

`rows` holds [outcome, point] (outcomes, `max_residual`, `status`), one chunk of points a file; `done` holds one
cell per chunk and is written after the chunk's rows, so that a chunk counts only if it is complete. The attribute
`manifest` says which study it is; a store of another study is refused.
"""

import dataclasses
import hashlib
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxecon.core.errors import InputError
from jaxecon.core.model import Model

FORMAT = "jaxecon sweep 1"


def source_hash(model: Model) -> str:
    """Hash of the source files of a model: a study does not go on with other equations."""
    path = Path(inspect.getfile(model.Params))
    files = sorted(path.parent.rglob("*.py")) if (path.parent / "__init__.py").exists() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def hash_of(study: dict[str, Any]) -> str:
    """Hash of what defines a study, apart from where and when it ran."""
    return hashlib.sha256(json.dumps(study, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class SweepStore:
    """An open store: the arrays and the points per chunk."""

    rows: Any
    done: Any
    size: int

    def write(self, number: int, values: np.ndarray) -> None:
        """Write chunk `number`, shape `[outcome, points]`, then mark it done."""
        start = number * self.size
        self.rows[:, start : start + values.shape[1]] = values
        self.done[number] = 1

    def is_done(self) -> np.ndarray:
        """Which chunks are complete."""
        return np.asarray(self.done[:]) == 1


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [
        f"its {key} differ{'' if key.endswith('s') else 's'}: {_short(old.get(key))} there, {_short(new.get(key))} here"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def open_store(path: Path, study: dict[str, Any], about: dict[str, Any], shape: tuple[int, int], size: int,
               resume: bool, dtype: str) -> SweepStore:  # fmt: skip
    """Create a store, or with `resume` go on with one of the same study.

    Raises `InputError` if the path cannot be written, holds something else, or holds another study.
    """
    what = f"the store {path}"
    # Imported late: only sweeps on disk pay for loading it.
    import zarr

    if path.exists() and not resume:
        raise InputError([f"{path} exists; pass resume=True (--resume) to go on with it, or choose another path"], what)
    if path.exists():
        manifest = read_manifest(path)
        if manifest["hash"] != hash_of(study):
            causes = _differences(manifest["study"], study)
            raise InputError([f"{path} holds another study: {c}; choose another path" for c in causes], what)
        group: Any = zarr.open_group(path, mode="r+")
        return SweepStore(group["rows"], group["done"], size)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        group = zarr.open_group(path, mode="w", zarr_format=3)
        count = -(-shape[1] // size)
        rows = group.create_array(
            "rows", shape=shape, chunks=(shape[0], size), dtype=dtype, fill_value=float("nan"),
            dimension_names=("row", "point"),
        )  # fmt: skip
        done = group.create_array("done", shape=(count,), chunks=(1,), dtype="uint8", fill_value=0)
    except OSError as error:
        raise InputError([f"{path} cannot be written: {error}; choose a writable path"], what) from None
    # The manifest comes last: a store without one was killed while it was made and is refused on resume.
    group.attrs["manifest"] = {"format": FORMAT, "hash": hash_of(study), "study": study, "about": about}
    return SweepStore(rows, done, size)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a store; raises `InputError` if there is none."""
    import zarr

    try:
        manifest: Any = zarr.open_group(path, mode="r").attrs["manifest"]
        if manifest["format"] == FORMAT:
            return manifest
    except (OSError, KeyError, ValueError, TypeError):
        pass
    raise InputError([f"{path} holds no sweep of jaxecon; remove it or choose another path"], f"the store {path}")


def read_rows(path: Path) -> np.ndarray:
    """All rows of a store, shape `[row, point]`; NaN where a chunk is not there yet."""
    import zarr

    group: Any = zarr.open_group(path, mode="r")
    return np.asarray(group["rows"][:])
