"""One sweep on one device, on two and eight virtual ones, and in two processes: what spreading costs, and that numbers stay."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from jaxecon.analysis.sweep import open_sweep, sweep
from jaxecon.core.discovery import load

MODEL, AXES = "information_asymmetry", {"r": (1.4, 2.6), "s2_e": (0.1, 0.7), "pi": (0.6, 0.98), "nu": (0.3, 0.7)}
# Pairs of processes, and runs of each pair in turn: what a process or a moment has of its own leaves the median.
POINTS, PAIRS, RUNS = 300_000, 3, 5
OVERHEAD_BAR, SAME = 1.1, 1e-12


def _serve(file: str, points: int) -> None:
    """The sweep in memory once for each line of standard input, its seconds on standard output; the outcomes in the file."""
    model = load(MODEL)
    for _ in sys.stdin:
        start = time.perf_counter()
        ds = sweep(model, AXES, design="sobol", points=points)
        sys.stdout.write(f"{time.perf_counter() - start}\n")
        sys.stdout.flush()
    np.save(file, np.stack([v.values for v in ds.data_vars.values()]))


def _share(store: str, points: int, place: str) -> None:
    """One of two processes of the sweep to disk."""
    import jax

    host, address = place.split("@")
    jax.distributed.initialize(address, num_processes=2, process_id=int(host))
    sweep(load(MODEL), AXES, design="sobol", points=points, store=store)


def _process(call: str, cache: str, devices: int = 1) -> subprocess.Popen:
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "JAX_COMPILATION_CACHE_DIR": cache}
    code = f"from benchmarks.sharding import _serve, _share; {call}"
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _run(process: subprocess.Popen) -> float:
    """Seconds of one more sweep of a process that serves."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def _finish(process: subprocess.Popen) -> None:
    process.communicate()
    if process.returncode:
        raise RuntimeError(f"a part of the study ended with {process.returncode}")


def _in_turn(folder: str, devices: tuple[int, ...], runs: int) -> dict[int, list[float]]:
    """Seconds of the sweep in processes with so many devices each, which run it one after the other, again and again."""
    processes = {n: _process(f"_serve({f'{folder}/{n}.npy'!r}, {POINTS})", f"{folder}/cache", n) for n in devices}
    for process in processes.values():  # compiles
        _run(process)
    seconds: dict[int, list[float]] = {n: [] for n in devices}
    for _ in range(runs):
        for n, process in processes.items():
            seconds[n].append(_run(process))
    for process in processes.values():
        _finish(process)
    return seconds


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """Largest relative difference; infinite where one is a number and the other is none."""
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        return float("inf")
    return float(np.nanmax(np.abs(one - other) / np.maximum(np.abs(one), 1e-300)))


def measure(device: str) -> list[dict]:
    """Seconds on two devices against one, and the largest differences on eight devices and in two processes."""
    del device  # virtual devices are those of the CPU
    with tempfile.TemporaryDirectory() as folder:
        pairs = [_in_turn(folder, (1, 2), RUNS) for _ in range(PAIRS)]
        eight = median(_in_turn(folder, (8,), RUNS)[8])
        found = {n: np.load(f"{folder}/{n}.npy") for n in (1, 2, 8)}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        store = f"{folder}/shared.zarr"
        both = [
            _process(f"_share({store!r}, {POINTS}, '{host}@127.0.0.1:{port}')", f"{folder}/cache") for host in (0, 1)
        ]
        for process in both:
            _finish(process)
        ds = open_sweep(load(MODEL), Path(store))
        shared = np.stack([v.values for v in ds.data_vars.values()])
    ratios = [[two / one for one, two in zip(pair[1], pair[2], strict=True)] for pair in pairs]
    gaps = {"2 devices": found[2], "8 devices": found[8], "2 processes": shared}
    gaps = {name: _gap(found[1], other) for name, other in gaps.items()}
    status = found[1][-1]
    return [
        {
            "work": f"sweep of {MODEL}, {POINTS} points, on two virtual devices",
            "ours_s": median(x for pair in pairs for x in pair[2]),
            "peer": "the same on one device, in turn",
            "peer_s": median(x for pair in pairs for x in pair[1]),
            "ratio": median(x for pair in ratios for x in pair),
            "ratios_of_pairs_of_processes": [median(pair) for pair in ratios],
            "bar": OVERHEAD_BAR,
            "bar_is": "at most",
            "eight_devices_s": eight,
            "largest_relative_difference": gaps,
            "equal_to_1e-12": max(gaps.values()) <= SAME,
            "solved": float(np.mean(status == 0)),
            "max_residual": float(np.max(found[1][-2][status == 0])),
        }
    ]
