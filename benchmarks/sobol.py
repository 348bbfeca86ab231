"""Sobol indices with second order and bootstrap intervals from given outputs, against SALib's analysis of the same."""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

from benchmarks.timing import peak_memory_gb, timed
from jaxecon.analysis.sobol import saltelli_design, sobol_indices

PARAMETERS, BASE, RESAMPLES, SEED = 20, 2**14, 100, 1
BAR = 100.0


def _sobol_g(x: np.ndarray) -> np.ndarray:
    """Sobol's G function of the unit cube with coefficients 0, 1/2, 1, ...: all orders of interaction."""
    a = np.arange(x.shape[-1]) / 2
    return np.prod((np.abs(4 * x - 2) + a) / (1 + a), axis=-1)


def measure(device: str) -> list[dict]:
    """Seconds of our and SALib's analysis of the same outputs; largest differences of estimates and intervals."""
    del device  # JAX uses the accelerator that it finds
    k = PARAMETERS
    y = np.stack([_sobol_g(block) for block in saltelli_design(k, BASE, SEED, True)])
    a, b, ab, ba = y[0], y[1], y[2 : 2 + k].T, y[2 + k :].T
    with jax.enable_x64(True):
        first_s, ours_s, found = timed(lambda: sobol_indices(a, b, ab, ba, resamples=RESAMPLES, seed=SEED))
        found = jax.device_get(found)
    row = {
        "work": f"Sobol analysis, {k} parameters, N = {BASE}, second order, {RESAMPLES} bootstraps",
        "ours_s": ours_s,
        "compile_s": first_s - ours_s,
        "peak_gb": peak_memory_gb(),
        "bar": BAR,
        "bar_is": "times faster, at least",
    }
    rows = np.concatenate([y[:1], y[2:], y[1:2]]).T.ravel()
    peer = _salib(rows)
    if peer is None:
        return [row]
    times = peer.pop("seconds")
    peer_s = float(min(times))

    def gap(suffix: str, ours: str) -> float:
        pairs = (("S1", "first"), ("ST", "total"), ("S2", "second"))
        return max(float(np.nanmax(np.abs(peer[s + suffix] - getattr(found, o + ours)[0]))) for s, o in pairs)

    return [
        row
        | {
            "peer": "SALib, the faster of one process and its pool",
            "peer_s": peer_s,
            "peer_one_process_s": float(times[0]),
            "peer_pool_s": float(times[1]),
            "ratio": peer_s / ours_s,
            "largest_difference": gap("", ""),
            "largest_interval_difference": gap("_conf", "_ci"),
        }
    ]


def _salib(rows: np.ndarray) -> dict[str, np.ndarray] | None:
    """SALib's indices and seconds, with and without its process pool; `None` if it is not installed.

    In a process of its own: its pool forks, which a process that runs JAX must not do.
    """
    if importlib.util.find_spec("SALib") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "rows.npy", rows)
        subprocess.run([sys.executable, "-c", _PEER, folder, str(PARAMETERS), str(RESAMPLES), str(SEED)], check=True)
        with np.load(Path(folder) / "found.npz") as found:
            return dict(found)


_PEER = """
import sys, time
import numpy as np
from SALib.analyze import sobol

folder, k, resamples, seed = sys.argv[1], *map(int, sys.argv[2:])
problem = {"num_vars": k, "names": [f"x{j}" for j in range(k)], "bounds": [[0.0, 1.0]] * k}
rows, seconds = np.load(folder + "/rows.npy"), []
for pool in (False, True):
    start = time.perf_counter()
    found = sobol.analyze(problem, rows, num_resamples=resamples, seed=seed, parallel=pool)
    seconds.append(time.perf_counter() - start)
names = [s + c for s in ("S1", "ST", "S2") for c in ("", "_conf")]
np.savez(folder + "/found.npz", seconds=seconds, **{n: found[n] for n in names})
"""
