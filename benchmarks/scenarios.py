"""PRIM on a million cells: the first box of `discover`, against the EMA workbench on the same data."""

import time
import warnings
from typing import Any

import numpy as np

from benchmarks.timing import peak_memory_gb, timed
from jaxecon import discover
from jaxecon.analysis.scenarios import Scenarios

CELLS, INPUTS, NOISE, SEED = 10**6, 15, 0.05, 1
BAR = 20.0


def _study() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Uniform inputs; of interest is a box of two of them, but for noise."""
    rng = np.random.default_rng(SEED)
    data = {f"x{j}": rng.random(CELLS) for j in range(INPUTS)}
    hit = (data["x0"] > 0.3) & (data["x0"] < 0.9) & (data["x1"] < 0.6)
    return data, hit ^ (rng.random(CELLS) < NOISE)


def measure(device: str) -> list[dict]:
    """Seconds of our and the EMA workbench's first box with its trajectory and quasi-p-values; largest difference of limits."""
    del device  # NumPy on the CPU
    data, hit = _study()
    _, ours_s, found = timed(lambda: discover(data, hit, density=0.5, boxes=1), repeats=3)
    row: dict[str, Any] = {
        "work": f"PRIM, first box, {CELLS} cells, {INPUTS} inputs",
        "ours_s": ours_s,
        "steps": len(found.trajectories[0]),
        "density": found.boxes[0].density,
        "coverage": found.boxes[0].coverage,
        "peak_gb": peak_memory_gb(),
        "bar": BAR,
        "bar_is": "times faster, at least",
    }
    peer = _ema(data, hit)
    if peer is None:
        return [row]
    peer_s, box = peer
    theirs = dict(peer="EMA workbench", peer_s=peer_s, ratio=peer_s / ours_s)
    return [row | theirs | {"largest_difference": _gap(found, box)}]


def _ema(data: dict[str, np.ndarray], hit: np.ndarray) -> tuple[float, Any] | None:
    """Seconds and box of the EMA workbench; `None` if it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import pandas as pd
            from ema_workbench.analysis import prim
        except ImportError:
            return None
        frame = pd.DataFrame(data)
        start = time.perf_counter()
        box = prim.Prim(frame, hit, 0.5).find_box()
        return time.perf_counter() - start, box


def _gap(found: Scenarios, box: Any) -> float:
    """Largest difference of a limit, a share or a quasi-p-value at any step; infinite if the numbers of steps differ."""
    table, steps = box.peeling_trajectory, found.trajectories[0]
    if len(table) != len(steps):
        return float("inf")
    gaps = []
    for s, step in enumerate(steps):
        row, p = table.iloc[s], box.qp[s]
        gaps += [abs(step.coverage - row.coverage), abs(step.density - row.density), abs(step.mass - row.mass)]
        for name in found.kinds:
            limit = step.limits.get(name, found.ranges[name])
            gaps += np.abs(np.array(limit) - box.box_lims[s][name]).tolist()
            ours = np.nan_to_num(step.quasi_p.get(name, (np.nan, np.nan)), nan=-1)
            gaps += np.abs(ours - p.get(name, [-1, -1])).tolist()
    return float(max(gaps))
