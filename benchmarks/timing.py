"""Timing that can be trusted: compile apart from run, medians, finished work, named machine."""

import os
import platform
import resource
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import jax

LIBRARIES = ("jax", "jaxlib", "equinox", "optax", "numpy", "scipy", "SALib", "mesa", "cma")


def timed(f: Callable[[], Any], repeats: int = 5) -> tuple[float, float, Any]:
    """First call (compile and run) and the median of later calls in seconds, and the result."""
    start = time.perf_counter()
    result = jax.block_until_ready(f())
    first = time.perf_counter() - start
    runs = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = jax.block_until_ready(f())
        runs.append(time.perf_counter() - start)
    return first, median(runs), result


def agents_row(name: str, run: Callable[..., Any], agents: int, periods: int, bar: float) -> tuple[dict[str, Any], Any]:
    """Seconds a period of an agent layer, `run(agents, periods)`, and its path."""
    first, total, path = timed(lambda: run(agents, periods), repeats=3)
    row = {
        "work": f"{name}, {agents} agents, one period",
        "ours_s": total / periods,
        "compile_s": first - total,
        "periods": periods,
        "bar": bar,
        "bar_is": "at least",
    }
    return row, path


def environment(device: str) -> dict[str, Any]:
    """Device, versions and commit, as they are recorded beside every rate."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "device": device,
        "jax_devices": [d.device_kind for d in jax.devices()],
        "machine": platform.machine(),
        "processor": _processor(),
        "cpu_cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
        "commit": _commit(),
    }


def peak_memory_gb() -> float:
    """Largest resident memory of this process so far.

    Linux counts it by program (`VmHWM`); what `getrusage` says starts at the memory of the process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**20
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def device_memory_gb() -> float | None:
    """Largest memory that the first device held so far; None where it does not tell, as on a CPU."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats["peak_bytes_in_use"] / 2**30 if "peak_bytes_in_use" in stats else None


def use(device: str) -> str | None:
    """Make JAX compute on the CPU or the GPU, here and in processes started from here; else why it cannot."""
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
        jax.config.update("jax_platforms", "cpu")
        return None
    # Processes share the device: none takes all of its memory at once.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if jax.default_backend() == device:
        return None
    return (
        f"--device {device}: JAX computes on {jax.default_backend()} here and found no GPU. Install jax[cuda12] (the extra "
        "`cuda`) on a machine with one, unset JAX_PLATFORMS, or measure with --device cpu"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    """The commit that is measured, and whether anything but rows of results differs from it."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        run = [*git, "rev-parse", "HEAD"]
        dirty = [*git, "status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude)results"]
        commit = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(dirty, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+changes" if changed else "")
