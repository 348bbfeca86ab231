"""Sobol indices with second order and bootstrap intervals: from given outputs against SALib's analysis of the same; many
outcomes streamed against one, of outputs that cost next to nothing and of a model of the suite."""

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks.timing import peak_memory_gb, timed
from jaxecon import load, sensitivity
from jaxecon.analysis.batch import PathResponse
from jaxecon.analysis.designs import box_of, quasi_random
from jaxecon.analysis.sobol import saltelli_blocks, saltelli_design, sobol_indices
from jaxecon.analysis.sobol_stream import SobolStream

PARAMETERS, BASE, RESAMPLES, SEED = 20, 2**16, 100, 1
BAR = 150.0
# The streamed study: base samples, those of one piece, outcomes; base samples that are resampled together.
STREAMED, PIECE, OUTCOMES, GROUPS = 2**12, 1024, 1000, (32, 16, 1)
BAR_STREAMED, BAR_MEMORY_GB = 20.0, 2.0
BAR_IS = f"times the cost of one outcome, at most, in {BAR_MEMORY_GB:g} GB"
# The study of a model: five series at 201 dates against the last value of the first.
MODEL, LAYER, SERIES = "intelligence_capital", "flywheel", 5


def _sobol_g(x: np.ndarray) -> np.ndarray:
    """Sobol's G function of the unit cube with coefficients 0, 1/2, 1, ...: all orders of interaction."""
    a = np.arange(x.shape[-1]) / 2
    return np.prod((np.abs(4 * x - 2) + a) / (1 + a), axis=-1)


def _pieces(outcomes: int) -> Iterator[np.ndarray]:
    """Outputs of a study of so many outcomes, a few base samples at a time: powers of Sobol's G, in the same memory; two cores
    share many outcomes, as they do in a sweep."""
    sequence, power = quasi_random(2 * PARAMETERS, SEED), np.linspace(0.5, 2.0, outcomes)
    y = np.empty((2 + 2 * PARAMETERS, PIECE, outcomes))
    for _ in range(STREAMED // PIECE):
        base = sequence.random(PIECE)
        logs = np.log(_sobol_g(saltelli_blocks(base[:, :PARAMETERS], base[:, PARAMETERS:], True)))

        def fill(block: int, logs: np.ndarray = logs) -> None:
            np.exp(np.multiply(logs[block, :, None], power, out=y[block]), out=y[block])

        with ThreadPoolExecutor(2 if outcomes > 1 else 1) as pool:
            list(pool.map(fill, range(len(y))))
        yield y


def _streamed(outcomes: int, group: int) -> tuple[float, float]:
    """Seconds of a streamed study, outputs included, and of its estimates alone."""
    stream, estimates, begin = SobolStream(PARAMETERS, RESAMPLES, SEED, group), 0.0, time.perf_counter()
    for y in _pieces(outcomes):
        start = time.perf_counter()
        stream.add(y)
        estimates += time.perf_counter() - start
    start = time.perf_counter()
    stream.indices()
    end = time.perf_counter()
    return end - begin, estimates + end - start


def _streams() -> list[dict]:
    """A thousand outcomes against one, resampled by groups of base samples and one by one; the second run of each. One outcome is
    measured before and again after the thousand, where its memory is at hand: most of what it costs a fresh process is memory."""
    rows = []
    for group in GROUPS:
        (_, one), (first, many) = ([_streamed(n, group) for _ in range(2)] for n in (1, OUTCOMES))
        again = _streamed(1, group)
        kind = "base samples" if group == 1 else f"groups of {group} base samples"
        rows.append(
            {
                "work": f"Sobol study with its outputs, {PARAMETERS} parameters, {OUTCOMES} outcomes streamed, N = {STREAMED}, "
                f"second order, {RESAMPLES} bootstraps of {kind}",
                "ours_s": many[0],
                "compile_s": first[0] - many[0],
                "estimates_s": many[1],
                "one_outcome_s": one[0],
                "one_outcome_estimates_s": one[1],
                "one_outcome_again_s": again[0],
                "times_one_outcome": many[0] / one[0],
                "times_one_outcome_again": many[0] / again[0],
                "times_one_outcome_estimates": many[1] / one[1],
                # Of a half-width: from so many resamples, and from so many groups that each of them draws.
                "relative_error_of_half_widths": float(
                    np.hypot((2 * RESAMPLES) ** -0.5, (2 * STREAMED / group) ** -0.5)
                ),
                "peak_gb": peak_memory_gb(),
                "bar": BAR_STREAMED,
                "bar_is": BAR_IS,
            }
        )
    return rows


def _study() -> dict:
    """The shipped analysis of a model's paths, every date of many series against one number of each path."""
    model = load(MODEL)
    box, _ = box_of(model, None, None, ("equilibrium", "dynamics"))
    series = list(PathResponse(model, layer=LAYER).fields())[:SERIES]

    def run(at: str, outcomes: list[str]) -> tuple[float, xr.Dataset]:
        start = time.perf_counter()
        found = sensitivity(
            model, samples=STREAMED, names=box.names[:PARAMETERS], outcomes=outcomes, second_order=True,
            resamples=RESAMPLES, seed=SEED, layer=LAYER, at=at,
        )  # fmt: skip
        return time.perf_counter() - start, found

    kinds = (("end", series[:1]), ("path", series))
    first = [run(*kind)[0] for kind in kinds]
    (one, _), (many, found) = (run(*kind) for kind in kinds)
    evaluations = found.attrs["evaluations"]
    return {
        "work": f"Sobol study of {MODEL}'s {LAYER}, {PARAMETERS} parameters, {found['mean'].size} outcomes streamed, "
        f"N = {STREAMED}, second order, {RESAMPLES} bootstraps of groups of {found.attrs['group']} base samples",
        "ours_s": many,
        "compile_s": first[1] - many,
        "one_outcome_s": one,
        "one_outcome_compile_s": first[0] - one,
        "times_one_outcome": many / one,
        "paths_per_s": evaluations / many,
        # The layer has no residual: what counts is that every date of a path is finite.
        "finite_fraction": 1 - sum(json.loads(found.attrs["failed"]).values()) / evaluations,
        "peak_gb": peak_memory_gb(),
        "bar": BAR_STREAMED,
        "bar_is": BAR_IS,
    }


def measure(device: str) -> list[dict]:
    """All rows; those of streamed outputs first and the model's last, so that each one's memory is the peak of the process."""
    streams = _streams()
    return [*streams, *_against_salib(device), _study()]


def _against_salib(device: str) -> list[dict]:
    """Seconds of our and SALib's analysis of the same outputs; largest differences of estimates and intervals."""
    del device  # JAX computes on it
    k = PARAMETERS
    y = np.stack([_sobol_g(block) for block in saltelli_design(k, BASE, SEED, True)])
    a, b, ab, ba = y[0], y[1], y[2 : 2 + k].T, y[2 + k :].T
    first_s, ours_s, found = timed(lambda: sobol_indices(a, b, ab, ba, resamples=RESAMPLES, seed=SEED))
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
