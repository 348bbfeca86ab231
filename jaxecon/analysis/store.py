"""A sweep on disk: a Zarr v3 group that survives a kill at any moment. It is made as `<name>.part` and moved to its place
when it is complete. A kill makes each process compute one chunk again at most, the one that was being written; the one that it
was computing begins anew.

`rows` holds [row, point] (outcomes, `max_residual`, `status`), one chunk of points a file with a checksum; `inputs` holds
[axis, point] of a design that is no grid (a choice as its place among the choices); a grid has one array an axis instead.
`statistics` holds counts and ranges of each chunk (`tally`). `done` holds one cell per chunk and is written last, so that a
chunk counts only if it is complete. The attribute `manifest` says which study it is; a store of another study is refused.
"""

import dataclasses
import errno
import hashlib
import inspect
import json
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import jaxlib
import numpy as np
import scipy

import jaxecon
from jaxecon.analysis.study import Study
from jaxecon.analysis.tally import Tally, names_of_numbers
from jaxecon.core.errors import InputError, JaxeconError
from jaxecon.core.fields import Field
from jaxecon.core.model import COMMON_REASONS, Model
from jaxecon.core.results import field_attributes

FORMAT = "jaxecon sweep 4"
PACKAGES = (jaxecon, jax, jaxlib, np, scipy)
# What a store is written by, in words.
WRITTEN_BY = {m.__name__: f"version of {m.__name__}" for m in PACKAGES} | {
    "code": "code of jaxecon (hash)",
    "source": "code of the model (hash)",
}
# Names of arrays and dimensions that no axis of a grid can have in a store.
TAKEN = {"rows", "row", "inputs", "axis", "statistics", "statistic", "done", "point", "chunk"}


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


def numbers_of(f: Field, values: np.ndarray) -> np.ndarray:
    """Values of an input as numbers, a choice as its place among the choices."""
    if f.kind == "choice":
        places = {c: k for k, c in enumerate(f.choices)}
        return np.array([places[v] for v in values.tolist()], float)
    return np.asarray(values, float)


def values_of(f: Field, numbers: np.ndarray) -> np.ndarray:
    """Values of an input from its numbers."""
    if f.kind == "choice":
        return np.asarray(f.choices)[numbers.astype(int)]
    return numbers.astype(int) if f.kind == "integer" else numbers


@dataclasses.dataclass(frozen=True)
class SweepStore:
    """An open store: where it is, its arrays (`inputs` is None for a grid), the points per chunk, and the statuses counted."""

    path: Path
    rows: Any
    inputs: Any
    statistics: Any
    done: Any
    size: int
    codes: tuple[int, ...]

    def write(self, number: int, values: np.ndarray, tally: Tally, inputs: np.ndarray | None = None) -> None:
        """Write chunk `number`, shape `[row, points]`, with the tally of its cells, then mark it done; `inputs`
        `[axis, points]` where they are not there from the beginning. Raises `StoreError` if the disk refuses."""
        start = number * self.size
        try:
            self.rows[:, start : start + values.shape[1]] = values
            if inputs is not None:
                self.inputs[:, start : start + values.shape[1]] = inputs
            self.statistics[number] = tally.numbers(self.codes)
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
        return self._read("rows", number)

    def inputs_of(self, number: int) -> np.ndarray:
        """Inputs of one chunk that is done, or of any chunk of a paired design; raises `StoreError` if it is damaged or gone."""
        return self._read("inputs", number)

    def _read(self, name: str, number: int) -> np.ndarray:
        start = number * self.size
        try:
            found = np.asarray(getattr(self, name)[:, start : start + self.size])
        except Exception as error:  # the codecs raise what they like
            raise self._damaged(name, number, f"cannot be read ({error})") from error
        if np.isnan(found[-1]).any():
            raise self._damaged(name, number, "is marked done but holds nothing")
        return found

    def _damaged(self, name: str, number: int, why: str) -> StoreError:
        place = Path(name) / "c" / "0" / str(number)
        return StoreError(
            f"chunk {number} of {self.path} {why}. Nothing was overwritten; to compute it again remove {self.path / place} and "
            f"{self.path / 'done' / 'c' / str(number)}, then go on with resume=True (--resume)"
        )

    def tally_of(self, number: int) -> Tally:
        """Counts and ranges of one chunk that is done."""
        return self._tally(number, np.asarray(self.statistics[number]))

    def _tally(self, number: int, numbers: np.ndarray) -> Tally:
        found = Tally.from_numbers(numbers, self.codes)
        if found.counts.total() == self.points(number):
            return found
        # A status that the model does not declare, or a file that is gone.
        return Tally.of(self.chunk(number), (found.retried, found.rescued))

    def tally(self) -> Tally:
        """Counts and ranges of the whole study; rows are not read for them."""
        whole, numbers = Tally(), np.asarray(self.statistics[:])
        for number, done in enumerate(self.is_done()):
            whole.add(self._tally(number, numbers[number]) if done else Tally.pending(self.points(number)))
        return whole

    def statuses(self) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
        """Largest residuals, statuses (-1 where a chunk is not there yet) and tries, one chunk after the other."""
        for number, done in enumerate(self.is_done()):
            rows = self.chunk(number) if done else np.full((2, self.points(number)), np.nan)
            tally = self.tally_of(number) if done else Tally()
            status = np.where(np.isnan(rows[-1]), -1, rows[-1]).astype(np.int32)
            yield rows[-2], status, (tally.retried, tally.rescued)

    def points(self, number: int) -> int:
        """Points of a chunk."""
        return min(self.size, self.rows.shape[1] - number * self.size)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
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


def _clear(part: Path) -> None:
    """Remove what a kill left of a store that was being made; raises `InputError` if it is something else."""
    files = [x.relative_to(part) for x in part.rglob("*") if not x.is_dir()] if part.is_dir() else [part]
    strange = [str(x) for x in files if not x.name.startswith("zarr.json") and "c" not in x.parts]
    if strange:
        raise InputError(
            [f"{part} is in the way and holds {', '.join(strange[:5])}; move it"], "the place where a store is made"
        )
    shutil.rmtree(part)


def create_store(path: Path, definition: dict[str, Any], about: dict[str, Any], model: Model, study: Study, size: int) -> SweepStore:  # fmt: skip
    """A new store, made beside its place and moved there whole; raises `InputError` if the path exists or cannot be written."""
    # Imported late: only sweeps on disk pay for loading it.
    import zarr

    what, part = f"the store {path}", path.with_name(path.name + ".part")
    if path.exists():
        raise InputError([f"{path} exists; pass resume=True (--resume) to go on with it, or choose another path"], what)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if part.exists():
            _clear(part)
        group = zarr.open_group(part, mode="w", zarr_format=3)
        _add_arrays(group, definition, model, study, size)
        group.attrs["manifest"] = {
            "format": FORMAT, "hash": hash_of(definition), "study": definition, "about": about, "codes": _codes(model)
        }  # fmt: skip
        with warnings.catch_warnings():
            # Zarr 3 has no standard for them yet; without them xarray warns when it opens the store.
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(part)
        os.replace(part, path)
    except OSError as error:
        raise InputError([f"{path} cannot be written: {error}; choose a writable path"], what) from None
    return open_store(path)[0]


def _codes(model: Model) -> list[int]:
    return sorted({**COMMON_REASONS, **model.reasons})


def _add_arrays(group: Any, definition: dict[str, Any], model: Model, study: Study, size: int) -> None:
    from zarr.codecs import Crc32cCodec

    known, outcomes, codes = model.fields, definition["outcomes"], _codes(model)
    n, chunks = study.size, -(-study.size // size)
    rows = [*outcomes, "max_residual", "status"]
    reasons = {str(c): ": ".join(model.reason(c)) for c in codes}
    _add_labels(group, "row", rows)
    order = (
        "" if study.design != "grid" else f"; the last of the axes {', '.join(study.axes)} is the fastest along them"
    )
    group.create_array(
        "rows", shape=(len(rows), n), chunks=(len(rows), size), dtype=definition["precision"], fill_value=float("nan"),
        compressors=(Crc32cCodec(),), dimension_names=("row", "point"),
        attributes={
            "long_name": "outcomes, largest residual and status of the points" + order, "statuses": reasons,
            "row_units": {**{o: known[o].unit for o in outcomes}, "max_residual": "1", "status": "1"},
        },
    )  # fmt: skip
    names = names_of_numbers(codes, outcomes)
    group.create_array(
        "statistics", shape=(chunks, len(names)), chunks=(1, len(names)), dtype="float64", fill_value=float("nan"),
        dimension_names=("chunk", "statistic"), attributes={"long_name": "counts and ranges of the cells of a chunk"},
    )  # fmt: skip
    _add_labels(group, "statistic", names)
    group.create_array(
        "done", shape=(chunks,), chunks=(1,), dtype="uint8", fill_value=0, dimension_names=("chunk",),
        attributes={"long_name": "whether a chunk is complete"},
    )  # fmt: skip
    if study.design == "grid":
        for name, values in study.axes.items():
            place = axis_name(name)
            if known[name].kind == "choice":
                _add_labels(group, place, [str(v) for v in values.tolist()], field_attributes(known[name]))
            else:
                group.create_array(place, data=values, dimension_names=(place,), attributes=field_attributes(known[name]))  # fmt: skip
        return
    _add_labels(group, "axis", list(study.axes))
    choices = {name: [str(c) for c in known[name].choices] for name in study.axes if known[name].kind == "choice"}
    inputs = group.create_array(
        "inputs", shape=(len(study.axes), n), chunks=(len(study.axes), size), dtype="float64", fill_value=float("nan"),
        compressors=(Crc32cCodec(),), dimension_names=("axis", "point"),
        attributes={
            "long_name": "inputs of the points, a choice as its place in `choices`", "choices": choices,
            "axis_units": {name: known[name].unit for name in study.axes},
        },
    )  # fmt: skip
    if study.design == "paired":
        for _, start, stop, columns in study.chunks(size, np.zeros(chunks, bool)):
            assert columns is not None
            inputs[:, start:stop] = np.stack([numbers_of(known[name], v) for name, v in columns.items()])


def axis_name(name: str) -> str:
    """Name of the array of an axis of a grid."""
    return name + "_" if name in TAKEN else name


def _add_labels(group: Any, name: str, labels: list[str], about: dict[str, Any] | None = None) -> None:
    array = group.create_array(name, shape=(len(labels),), dtype="string", dimension_names=(name,), attributes=about)
    array[:] = np.array(labels, dtype=object)


def resume_store(path: Path, study: dict[str, Any]) -> SweepStore:
    """The store of the same study; raises `InputError` if it holds another one, or none."""
    store, manifest = open_store(path)
    if manifest["hash"] != hash_of(study):
        causes = differences(manifest["study"], study)
        raise InputError([f"{path} holds another study: {c}" for c in causes], f"the store {path}")
    return store


def open_store(path: Path) -> tuple[SweepStore, dict[str, Any]]:
    """A store and its manifest; raises `InputError` if there is none."""
    import zarr

    try:
        group: Any = zarr.open_group(path, mode="r+")
        manifest: Any = group.attrs["manifest"]
        if manifest["format"] == FORMAT:
            rows, inputs = group["rows"], group["inputs"] if "inputs" in group else None
            codes = tuple(manifest["codes"])
            return SweepStore(path, rows, inputs, group["statistics"], group["done"], rows.chunks[1], codes), manifest
        why = f"its format is {manifest['format']!r}, this version writes {FORMAT!r}"
    except (OSError, KeyError, ValueError, TypeError):
        why = "it has no manifest"
    raise InputError(
        [f"{path} holds no sweep of jaxecon: {why}; remove it or choose another path"], f"the store {path}"
    )


def read_axes(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Values of the axes of a store that holds a grid."""
    import zarr

    group: Any = zarr.open_group(path, mode="r")
    found = {name: np.asarray(group[axis_name(name)][:]) for name in names}
    return {name: v if v.dtype.kind in "if" else np.array(v.tolist()) for name, v in found.items()}
