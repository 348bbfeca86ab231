"""Equilibrium sweep of each model over its prior box, against a `scipy.optimize.root` loop on the same equations."""

import importlib
import importlib.util
import time
from statistics import median

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from benchmarks.timing import timed
from jaxecon.analysis.designs import Draws, prior_draws
from jaxecon.analysis.sweep import sweep
from jaxecon.core.discovery import models
from jaxecon.core.fields import fields_of
from jaxecon.core.model import Model

POINTS, PEER_POINTS = 100_000, 200
# A transition of 81 years is a study of its own.
FEW = {"ai_growth": (1_000, 40)}
BAR = 100.0


def measure(device: str) -> list[dict]:
    """One row a model: seconds of `jaxecon.sweep` over `POINTS` points, and the peer's on `PEER_POINTS` of them (fewer where `FEW` says so)."""
    del device  # JAX computes on it; SciPy on the CPU
    return [_row(model) for model in models().values()]


def _row(model: Model) -> dict:
    points, peers = FEW.get(model.name, (POINTS, PEER_POINTS))
    draws = prior_draws(model, points, seed=0)
    axes = dict(zip(draws.names, draws.points.T, strict=True))
    first, seconds, found = timed(lambda: sweep(model, axes, design="paired"))
    status = found.status.values
    codes, counts = np.unique(status, return_counts=True)
    row = {
        "work": f"{points} equilibria of {model.name}",
        "ours_s": seconds,
        "compile_s": first - seconds,
        "points_per_s": points / seconds,
        "solved": float(np.mean(status == 0)),
        "not_solved": {model.reason(c)[0]: int(n) for c, n in zip(codes, counts, strict=True) if c != 0},
        "max_residual": float(np.max(found.max_residual.values[status == 0])),
    }
    return row | _peer(model, draws, found, seconds, peers)


def _peer(model: Model, draws: Draws, found: xr.Dataset, ours: float, peers: int) -> dict:
    if importlib.util.find_spec(f"benchmarks.peers.{model.name}") is None:
        return {}
    solve = importlib.import_module(f"benchmarks.peers.{model.name}").solve
    base = {n: f.default for n, f in fields_of(model.Params).items()}
    by_symbol = {f.symbol: n for n, f in fields_of(model.Outcomes).items()}
    policy = {n: f.default for n, f in fields_of(model.Policy).items()}
    times, gaps, solved = [], [], 0
    with threadpool_limits(1):
        for k in range(peers):
            point = base | dict(zip(draws.names, map(float, draws.points[k])))
            start = time.perf_counter()
            answer = solve(point, policy)
            times.append(time.perf_counter() - start)
            if not answer["solved"] or found.status.values[k] != 0:
                continue
            solved += 1
            for symbol, value in answer.items():
                if symbol in by_symbol:
                    mine = float(found[by_symbol[symbol]].values[k])
                    gaps.append(abs(mine - float(value)) / max(1.0, abs(float(value))))
    points = len(draws.points)
    peer_seconds = sum(times) / peers * points
    return {
        "peer": f"SciPy, one thread, {peers} points scaled to {points}",
        "peer_s": peer_seconds,
        "peer_median_ms": 1e3 * median(times),
        "peer_solved": solved / peers,
        "largest_gap_to_peer": max(gaps) if gaps else None,
        "ratio": peer_seconds / ours,
        "bar": BAR,
        "bar_is": "at least",
    }
