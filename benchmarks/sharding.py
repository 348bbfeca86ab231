"""One sweep on one device, on two and eight virtual ones, and in two processes: what spreading costs, and that numbers stay."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import timed
from jaxecon.analysis.sweep import open_sweep, sweep
from jaxecon.core.discovery import load

MODEL, AXES = "information_asymmetry", {"r": (1.4, 2.6), "s2_e": (0.1, 0.7), "pi": (0.6, 0.98), "nu": (0.3, 0.7)}
POINTS, REPEATS = 1_000_000, 3
OVERHEAD_BAR, SAME = 1.1, 1e-12


def _sweep(file: str, points: int, repeats: int) -> None:
    """The sweep in memory, as a process of its own runs it: seconds of later runs on standard output, outcomes in the file."""
    model = load(MODEL)
    _, seconds, ds = timed(lambda: sweep(model, AXES, design="sobol", points=points), repeats=repeats)
    np.save(file, np.stack([v.values for v in ds.data_vars.values()]))
    sys.stdout.write(f"{seconds}\n")


def _share(store: str, points: int, place: str) -> None:
    """One of two processes of the sweep to disk."""
    import jax

    host, address = place.split("@")
    jax.distributed.initialize(address, num_processes=2, process_id=int(host))
    sweep(load(MODEL), AXES, design="sobol", points=points, store=store)


def _process(call: str, devices: int = 1) -> subprocess.Popen:
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    code = f"from benchmarks.sharding import _share, _sweep; {call}"
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)


def _finished(process: subprocess.Popen) -> str:
    printed, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a part of the study ended with {process.returncode}")
    return printed


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """Largest relative difference; infinite where one is a number and the other is none."""
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        return float("inf")
    return float(np.nanmax(np.abs(one - other) / np.maximum(np.abs(one), 1e-300)))


def measure(device: str) -> list[dict]:
    """Seconds on two devices against one, and the largest differences on eight devices and in two processes."""
    del device  # virtual devices are those of the CPU
    seconds, found = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for devices in (1, 2, 8):
            file = f"{folder}/{devices}.npy"
            seconds[devices] = float(_finished(_process(f"_sweep({file!r}, {POINTS}, {REPEATS})", devices)))
            found[devices] = np.load(file)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        store = f"{folder}/shared.zarr"
        both = [_process(f"_share({store!r}, {POINTS}, '{host}@127.0.0.1:{port}')") for host in (0, 1)]
        for process in both:
            _finished(process)
        ds = open_sweep(load(MODEL), Path(store))
        shared = np.stack([v.values for v in ds.data_vars.values()])
    gaps = {"2 devices": found[2], "8 devices": found[8], "2 processes": shared}
    gaps = {name: _gap(found[1], other) for name, other in gaps.items()}
    status = found[1][-1]
    return [
        {
            "work": f"sweep of {MODEL}, {POINTS} points, on two virtual devices",
            "ours_s": seconds[2],
            "peer": "the same on one device",
            "peer_s": seconds[1],
            "ratio": seconds[2] / seconds[1],
            "bar": OVERHEAD_BAR,
            "bar_is": "at most",
            "eight_devices_s": seconds[8],
            "largest_relative_difference": gaps,
            "equal_to_1e-12": max(gaps.values()) <= SAME,
            "solved": float(np.mean(status == 0)),
            "max_residual": float(np.max(found[1][-2][status == 0])),
        }
    ]
