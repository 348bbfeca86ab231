"""Equilibrium sweep of each model over its prior box, against a `scipy.optimize.root` loop on the same equations."""

import importlib
import importlib.util
import time
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.timing import timed
from jaxecon.analysis.designs import Draws, prior_draws, replace
from jaxecon.core.discovery import models
from jaxecon.core.fields import fields_of
from jaxecon.core.model import Model, evaluate_pure

POINTS, PEER_POINTS, CHUNK = 100_000, 200, 1000
BAR = 100.0


def measure(device: str) -> list[dict]:
    """One row a model: seconds for `POINTS` equilibria with certificates, and the peer's on `PEER_POINTS` of the same points."""
    return [_row(model, device) for model in models().values()]


def _row(model: Model, device: str) -> dict:
    with jax.enable_x64(True):
        draws = prior_draws(model, POINTS, seed=0)
        p, u = model.params(), model.policy()
        points = jnp.asarray(draws.points)

        def one(vector):
            ev = evaluate_pure(model, *replace(p, u, draws.names, vector))
            return ev.outcomes, ev.status, ev.max_residual

        chunk = CHUNK if device == "cpu" else POINTS
        run = jax.jit(lambda x: jax.lax.map(one, x, batch_size=chunk))
        first, seconds, (outcomes, status, residual) = timed(lambda: run(points))
    row = {
        "work": f"{POINTS} equilibria of {model.name}",
        "ours_s": seconds,
        "compile_s": first - seconds,
        "points_per_s": POINTS / seconds,
        "solved": float(np.mean(np.asarray(status) == 0)),
        "max_residual": float(np.max(np.asarray(residual))),
    }
    return row | _peer(model, draws, outcomes, seconds)


def _peer(model: Model, draws: Draws, outcomes, ours: float) -> dict:
    if importlib.util.find_spec(f"benchmarks.peers.{model.name}") is None:
        return {}
    solve = importlib.import_module(f"benchmarks.peers.{model.name}").solve
    base = {n: f.default for n, f in fields_of(model.Params).items()}
    by_symbol = {f.symbol: n for n, f in fields_of(model.Outcomes).items()}
    policy = {n: f.default for n, f in fields_of(model.Policy).items()}
    times, gaps, solved = [], [], 0
    with threadpool_limits(1):
        for k in range(PEER_POINTS):
            point = base | dict(zip(draws.names, map(float, draws.points[k])))
            start = time.perf_counter()
            answer = solve(point, policy)
            times.append(time.perf_counter() - start)
            if not answer["solved"]:
                continue
            solved += 1
            for symbol, value in answer.items():
                if symbol in by_symbol:
                    mine = float(getattr(outcomes, by_symbol[symbol])[k])
                    gaps.append(abs(mine - float(value)) / max(1.0, abs(float(value))))
    peer_seconds = sum(times) / PEER_POINTS * POINTS
    return {
        "peer": f"scipy.optimize.root, one thread, {PEER_POINTS} points scaled to {POINTS}",
        "peer_s": peer_seconds,
        "peer_median_ms": 1e3 * median(times),
        "peer_solved": solved / PEER_POINTS,
        "largest_gap_to_peer": max(gaps) if gaps else None,
        "ratio": peer_seconds / ours,
        "bar": BAR,
        "bar_is": "at least",
    }
