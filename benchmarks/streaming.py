"""A sweep of 10^7 points to disk: its rate against the sweep in memory, its memory, and what a kill costs."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.timing import peak_memory_gb, timed
from jaxecon.analysis.batch import MANY
from jaxecon.analysis.store import open_store
from jaxecon.analysis.sweep import sweep
from jaxecon.core.discovery import load

MODEL, AXES = "information_asymmetry", {"r": (1.4, 2.6), "s2_e": (0.1, 0.7), "pi": (0.6, 0.98), "nu": (0.3, 0.7)}
POINTS, IN_MEMORY_POINTS = 10_000_000, 1_000_000
RATE_BAR, MEMORY_BAR_GB = 0.7, 2.0


def _stream(store: str, points: int, resume: bool) -> None:
    """The sweep to disk, as a process of its own runs it; prints seconds to compile, seconds of the sweep, and peak memory."""
    begin = time.perf_counter()
    sweep(load(MODEL), AXES, design="sobol", points=MANY)
    start = time.perf_counter()
    sweep(load(MODEL), AXES, design="sobol", points=points, store=store, resume=resume)
    sys.stdout.write(f"{start - begin} {time.perf_counter() - start} {peak_memory_gb()}\n")


def _process(store: Path, resume: bool, points: int) -> subprocess.Popen:
    code = f"from benchmarks.streaming import _stream; _stream({str(store)!r}, {points}, {resume})"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def _finished(process: subprocess.Popen) -> tuple[float, float, float]:
    printed, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the sweep to disk ended with {process.returncode}")
    compiling, seconds, peak = map(float, printed.split())
    return compiling, seconds, peak


def _killed(store: Path, points: int) -> int:
    """Start a sweep, kill it when a third of its chunks is done; the chunks that are safe."""
    process = _process(store, False, points)
    while process.poll() is None:
        time.sleep(0.2)
        if (store / "zarr.json").exists() and "manifest" in (store / "zarr.json").read_text(encoding="utf-8"):
            sink, _ = open_store(store)
            if np.mean(sink.is_done()) > 1 / 3:
                break
    process.kill()
    process.wait()
    return int(open_store(store)[0].is_done().sum())


def measure(device: str) -> list[dict]:
    """Rates in memory and to disk, peak memory of the process, and a run that was killed and resumed."""
    del device  # JAX computes on it
    _, in_memory, _ = timed(lambda: sweep(load(MODEL), AXES, design="sobol", points=IN_MEMORY_POINTS), repeats=3)
    rate = IN_MEMORY_POINTS / in_memory
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "whole.zarr"
        compiling, seconds, peak = _finished(_process(store, False, POINTS))
        sink, _ = open_store(store)
        solved, worst = 0, 0.0
        for residual, status, _ in sink.statuses():
            solved += int(np.sum(status == 0))
            worst = max(worst, float(np.max(residual[status == 0])))
        again = Path(folder) / "killed.zarr"
        safe = _killed(again, IN_MEMORY_POINTS)
        _finished(_process(again, True, IN_MEMORY_POINTS))
        resumed, _ = open_store(again)
        same = all(np.array_equal(sink.chunk(k)[:, :n], resumed.chunk(k)[:, :n], equal_nan=True)
                   for k, n in ((k, resumed.chunk(k).shape[1]) for k in range(len(resumed.is_done()))))  # fmt: skip
    return [
        {
            "work": f"sweep of {MODEL}, {POINTS} points to disk",
            "ours_s": seconds,
            "compile_s": compiling,
            "points_per_s": POINTS / seconds,
            "peer": f"the same in memory, {IN_MEMORY_POINTS} points, compiled before",
            "peer_s": in_memory * POINTS / IN_MEMORY_POINTS,
            "ratio": POINTS / seconds / rate,
            "bar": RATE_BAR,
            "bar_is": "at least",
            "peak_gb": peak,
            "peak_gb_bar": MEMORY_BAR_GB,
            "solved": solved / POINTS,
            "max_residual": worst,
            "killed_with_chunks_safe": safe,
            "resumed_equal": same,
        }
    ]
