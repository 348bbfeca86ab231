"""Outcomes over named axes: a grid, paired values, or a quasi-random design; in memory, or streamed to disk."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxecon.analysis.batch import CHUNK, MANY, Response, evaluate_rows, points_at_once
from jaxecon.analysis.designs import Progress, count_problems, inputs_of, outcome_names, resolve
from jaxecon.analysis.hosts import agreed, groups_of, meet, mine
from jaxecon.analysis.labelled import in_memory, open_sweep
from jaxecon.analysis.retries import Retries
from jaxecon.analysis.store import (
    StoreError,
    SweepStore,
    create_store,
    open_store,
    resume_store,
    source_hash,
    versions,
)
from jaxecon.analysis.study import Study, plan
from jaxecon.analysis.tally import Tally
from jaxecon.core.errors import InputError
from jaxecon.core.model import SOLVED, Model
from jaxecon.core.results import provenance, settings


def _evaluate_chunk(
    model: Model,
    p: Any,
    u: Any,
    columns: dict[str, np.ndarray],
    study: Study,
    chunk: int,
    outcomes: tuple[str, ...],
    retry: bool,
) -> tuple[np.ndarray, tuple[int, int]]:
    """Rows of one chunk of a study, shape `[rows, points]`, and how many cells were retried and rescued; static axes take
    one compiled function per combination, `chunk` is the most points at once."""
    known = inputs_of(model)
    real = tuple(n for n in columns if known[n].kind == "real")
    fixed = [n for n in columns if known[n].kind != "real"]
    count = len(next(iter(columns.values())))
    if real:
        vectors = np.stack([columns[n] for n in real], axis=1)
        lo, hi = (np.array([end(study.axes[n]) for n in real]) for end in (np.min, np.max))
    else:
        # Only static axes: sweep over the first real parameter at its own value.
        real = (next(n for n, f in known.items() if f.kind == "real"),)
        vectors = np.full((count, 1), float(getattr(p, real[0], np.nan)))
        lo = hi = vectors[0]
    response = Response(model)
    retries = Retries(response, real, lo, hi)
    order = list(response.fields())
    kept = [*(order.index(n) for n in outcomes), -2, -1]
    tries = np.zeros(2, int)

    def rows_at(p: Any, vectors: np.ndarray) -> np.ndarray:
        rows = evaluate_rows(response, p, u, real, vectors, study=study.size, chunk=chunk, alone=True)
        failed = np.flatnonzero(retries.wanted(rows)) if retry else ()
        if len(failed):
            again = retries.again(p, u, vectors[failed])
            better = again[:, -1] == SOLVED
            rows[failed[better]] = again[better]
            tries[:] += len(failed), np.count_nonzero(better)
        return rows[:, kept]

    combinations = list(zip(*(columns[n].tolist() for n in fixed), strict=True)) or [()] * count
    rows = np.empty((count, len(outcomes) + 2), vectors.dtype)
    for combination in dict.fromkeys(combinations):
        where = np.array([c == combination for c in combinations]) if fixed else slice(None)
        q = dataclasses.replace(p, **dict(zip(fixed, combination, strict=True)))
        some = vectors[where]
        rows[where] = np.concatenate([rows_at(q, some[a:b]) for a, b in groups_of(len(some), chunk)])
    return rows.T, (int(tries[0]), int(tries[1]))


def sweep(
    model: Model,
    axes: Mapping[str, Any],
    *,
    design: str = "grid",
    points: int | None = None,
    params: Any = None,
    policy: Any = None,
    chunk: int | None = None,
    store: str | Path | None = None,
    resume: bool = False,
    retry: bool = True,
    seed: int = 0,
    outcomes: Sequence[str] | None = None,
    progress: Progress | None = None,
    precision: str = "float64",
) -> xr.Dataset:
    """Evaluate the model over named axes.

    **Arguments**

    - `axes`: parameters and instruments by name; each a list of values, or a range `(lo, hi, n)` as a tuple
      (`(lo, hi)` for `design="sobol"`). Integers and choices take lists of values.
    - `design`: `"grid"` (every combination), `"paired"` (equal lengths, point by point), or `"sobol"`
      (`points` scrambled Sobol points of the ranges).
    - `params`, `policy`: what is not an axis; `outcomes`: which outcomes to keep, default all.
    - `chunk`: points between two reports of progress, and of one write to the store. By default 32 768 on a CPU; elsewhere,
      in a large study, what all local devices hold at once, measured on the compiled program. A resumed sweep keeps the
      writes of its store; a smaller `chunk` then only means fewer points at once, for want of memory.
    - `store`: path of a Zarr store that is written chunk by chunk; memory then does not grow with the number of points.
      `resume=True` goes on after a kill at any moment: of what a process had computed at most one chunk is computed again, the one
      that was being written, and the one that it was computing begins anew; chunks that are there are read once and checked. A store of another study
      or version is refused, a damaged chunk named. `xarray.open_zarr` opens it, `open_sweep` in the shape of this result.
    - `retry`: try cells again whose solver failed (`Model.retried`), from other starts and solved neighbors; a bounded
      effort for each such cell, and none for others. `jaxecon.analysis.retries` says how.
    - `progress(done, total, info)`: called after each chunk; `info`: `solved`, the share of the cells so far; `failed` cells;
      points computed `per s` and the seconds `left` at that rate (NaN until one is computed), of this process; `resumed`.

    All local devices take part. Under `jax.distributed` every process calls `sweep` with the same store and takes its share
    of the chunks.

    **Returns** a dataset with one dimension per axis (grid) or the dimension `point`: outcomes, `max_residual`,
    `status`. Failed cells are NaN with a reason; the attributes count them, and those `retried` and `rescued`. A store of more than 256 MB is opened lazily
    along `point` (a grid in the order of its axes, the last one fastest). Raises `InputError` before computing,
    `StoreError` where the disk or, with a store, the memory fails: it says what is safe.
    """
    p, u = resolve(model, params, policy, precision)
    chosen, problems = outcome_names(model, outcomes)
    problems += count_problems(chunk=chunk) if chunk is not None else []
    if resume and store is None:
        problems.append("resume=True needs a store")
    if jax.process_count() > 1 and store is None:
        problems.append(
            f"{jax.process_count()} processes share a sweep through a store; name one that all of them reach"
        )
    try:
        study = plan(model, axes, design, points, seed)
    except InputError as error:
        problems = list(error.problems) + problems
        study = None
    if study is None or problems:
        raise InputError(problems, f"the sweep of {model.name}")
    wide = [n for n in study.axes if np.ndim(getattr(p if hasattr(p, n) else u, n)) > 0]
    if wide:
        raise InputError([f"{n} is a path in the given policy; sweep a scalar" for n in wide], "the sweep")
    there = Path(store) if resume and store and Path(store).exists() else None
    size = open_store(there)[0].size if there else min(chunk or _chunk_of(Response(model), p, u, study), study.size)
    at_once = min(chunk or size, size)
    record = provenance(
        model, seed=seed if design == "sobol" else None, precision=precision, design=design, axes=study.label(),
        params=settings(p), policy=settings(u), chunk=size,
    )  # fmt: skip
    sink = None
    if store is not None:
        definition = {
            "model": model.name, "design": design, "seed": seed, "precision": precision, "chunk": size,
            "axes": study.describe(), "points": study.size, "outcomes": list(chosen),
            "params": settings(p), "policy": settings(u), "source": source_hash(model), "retry": retry, **versions(),
        }  # fmt: skip
        sink = _sink(Path(store), definition, record, model, study, size, resume)
    rows = None if sink else np.empty((len(chosen) + 2, study.size), precision)
    tally, computed, begin = Tally(), 0, time.perf_counter()
    chunks = -(-study.size // size)
    finished, own = sink.is_done() if sink else np.zeros(chunks, bool), mine(chunks)
    to_do = sum(min(size, study.size - k * size) for k in np.flatnonzero(own & ~finished).tolist())

    def keep(
        number: int, start: int, stop: int, block: np.ndarray, part: Tally, inputs: np.ndarray | None, resumed: bool
    ) -> None:
        nonlocal computed, begin
        if sink and not resumed:
            sink.write(number, block, part, inputs)
        elif rows is not None:
            rows[:, start:stop] = block
        tally.add(part)
        now = time.perf_counter()
        if not resumed:
            computed += stop - start
        elif not computed:
            begin = now  # reading what is there says nothing about the rate
        if progress is not None:
            rate = computed / max(now - begin, 1e-9)
            left = (to_do - computed) / rate if computed else float("nan")
            solved = tally.counts[SOLVED] / tally.counts.total()
            progress(
                stop,
                study.size,
                {"solved": solved, "failed": tally.failed, "per s": rate, "left": left, "resumed": resumed},
            )

    def run() -> None:
        # One chunk is written while the next one is computed.
        with jax.enable_x64(precision == "float64"), ThreadPoolExecutor(1) as writer:
            pending: Future[None] | None = None
            for number, start, stop, columns in study.chunks(size, finished | ~own):
                inputs = None
                if columns is not None:
                    block, tries = _evaluate_chunk(model, p, u, columns, study, at_once, chosen, retry)
                    part = Tally.of(block, tries)
                    if sink and design == "sobol":
                        inputs = np.stack(list(columns.values()))
                elif sink and own[number]:
                    block, part = sink.chunk(number), sink.tally_of(number)
                else:
                    continue
                if pending is not None:
                    pending.result()
                pending = writer.submit(keep, number, start, stop, block, part, inputs, columns is None)
            if pending is not None:
                pending.result()

    try:
        run()
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if sink is None or not (isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)):
            raise
        raise StoreError(
            f"out of memory with {at_once} points at once; {int(sink.is_done().sum())} of {chunks} chunks are safe in {sink.path}. "
            "Go on with resume=True (--resume) and a smaller chunk (chunk=, --chunk), or start another store with "
            "precision='float32' (--x32)"
        ) from error
    if rows is not None:
        grid = design == "grid"
        columns = study.axes if grid else study.columns()
        return in_memory(model, chosen, study.shape if grid else None, columns, rows, record, tally)
    assert sink is not None
    meet("sweep done")
    return open_sweep(model, sink.path)


def _chunk_of(response: Response, p: Any, u: Any, study: Study) -> int:
    """Points of a chunk: as many as the devices take at once."""
    if jax.default_backend() == "cpu" or study.size < (response.model.many or MANY):
        return CHUNK
    return agreed(max(points_at_once(response, p, u) * jax.local_device_count(), CHUNK))


def _sink(
    path: Path, definition: dict[str, Any], about: dict[str, Any], model: Model, study: Study, size: int, resume: bool
) -> SweepStore:  # fmt: skip
    """The store of the study: a new one, made by the first process, or one to go on with."""
    there = path.exists()
    meet("store looked for")
    if there and resume:
        return resume_store(path, definition)
    if jax.process_index() == 0:
        made = create_store(path, definition, about, model, study, size)
        meet("store made")
        return made
    meet("store made")
    return resume_store(path, definition)
