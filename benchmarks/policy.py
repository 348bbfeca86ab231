"""The best policy at very many draws of the prior, against a loop of SciPy's BFGS and L-BFGS-B over the same objective and gradient."""

import time
from collections.abc import Iterator, Sequence
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from benchmarks.timing import timed
from jaxecon.analysis.designs import Draws, prior_draws, replace
from jaxecon.analysis.optima import common_starts, optimal_policies
from jaxecon.analysis.policies import Choice, Reading, choose
from jaxecon.core.discovery import load

DRAWS, PEER_DRAWS = 100_000, 100
TOLERANCE = 1e-8
BAR = 80.0
# Instruments, where Hessians come from, and draws: exact Hessians of information_pollution take minutes to compile, 10^5 of its optima
# minutes to find.
PROBLEMS = {
    "rent_seeking": (("rent_tax", "transparency_mandate"), "exact", DRAWS),
    "information_asymmetry": (("signal_subsidy", "agent_ai_limit"), "exact", DRAWS),
    "information_pollution": (("low_quality_tax", "provenance"), "differences", DRAWS // 20),
}


def measure(device: str, models: Sequence[str] = ()) -> Iterator[dict]:
    """One row a model: seconds of `optimal_policies`, and those of the faster method of SciPy on a sample of the draws."""
    del device  # JAX computes on it
    if unknown := [n for n in models if n not in PROBLEMS]:
        raise ValueError(f"no problem of policy for {', '.join(unknown)}; there are {', '.join(PROBLEMS)}")
    for name in models or PROBLEMS:
        yield _row(name, *PROBLEMS[name])


def _row(name: str, instruments: tuple[str, ...], hessian: str, count: int) -> dict:
    model = load(name)
    draws = prior_draws(model, count, seed=0)
    first, seconds, found = timed(
        lambda: optimal_policies(model, instruments, draws, tolerance=TOLERANCE, hessian=hessian), repeats=3
    )
    solved = found.status.values <= 1
    row = {
        "work": f"best {' and '.join(instruments)} of {name} at {count} draws",
        "ours_s": seconds,
        "compile_s": first - seconds,
        "hessian": hessian,
        "solved": float(np.mean(solved)),
        "statuses": found.attrs["counts"],
        "max_residual": float(np.max(found.kkt_residual.values[solved])),
        "median_residual": float(np.median(found.kkt_residual.values[solved])),
        "steps": float(found.steps.mean()),
        "bar": BAR,
        "bar_is": "times faster, at least",
    }
    with jax.enable_x64(True):
        choice, _ = choose(model, instruments, None, None, None, None, True)
    assert choice is not None
    return row | _peer(choice, draws, found, seconds)


def _peer(choice: Choice, draws: Draws, found: xr.Dataset, ours: float) -> dict:
    """SciPy at the first draws, from the same start, stopped at the same residual."""
    with jax.enable_x64(True), threadpool_limits(1):
        (start,), scale = common_starts(choice, 1, 0)
        reading = Reading(choice.model, picks=(choice.objective,))
        lo, width = jnp.asarray(choice.lo), jnp.asarray(choice.width)

        @jax.jit
        def look(z: jax.Array, point: jax.Array) -> tuple[jax.Array, jax.Array]:
            p, u = replace(choice.p, choice.u, draws.names, point)

            def loss(z: jax.Array) -> tuple[jax.Array, jax.Array]:
                value = -reading(*replace(p, u, choice.names, lo + width * z))[0] / scale
                return value, value

            slope, value = jax.jacfwd(loss, has_aux=True)(z)
            return value, slope

        runs = {m: _run(m, look, start, draws.points[:PEER_DRAWS]) for m in ("BFGS", "L-BFGS-B")}
    rows = {}
    for method, (z, times, kkt) in runs.items():
        value = [-float(look(jnp.asarray(x), jnp.asarray(point))[0]) * scale for x, point in zip(z, draws.points)]
        rows[method] = {
            "ratio": sum(times) / PEER_DRAWS * len(draws.points) / ours,
            "peer_s": sum(times) / PEER_DRAWS * len(draws.points),
            "median_ms": 1e3 * median(times),
            "reached": float(np.mean(kkt <= TOLERANCE)),
            "median_residual": float(np.median(kkt)),
            "largest_gain_over_ours": float(np.max((np.array(value) - found.value.values[:PEER_DRAWS]) / scale)),
        }
    method = min(rows, key=lambda m: rows[m]["peer_s"])
    return {
        "peer": f"scipy.optimize.minimize, {method} (the faster of two), one thread, {PEER_DRAWS} draws scaled to {len(draws.points)}",
        "peer_s": rows[method]["peer_s"],
        "peer_methods": rows,
        "ratio": rows[method]["peer_s"] / ours,
    }


def _run(method: str, look, start: np.ndarray, points: np.ndarray) -> tuple[list, list, np.ndarray]:
    """Ends, seconds and residuals of one method at each point; BFGS knows no bounds and is told so by clipping."""
    box = [(0.0, 1.0)] * len(start) if method == "L-BFGS-B" else None
    options = {"gtol": TOLERANCE} | ({"ftol": 0.0, "maxcor": 10} if box else {})
    ends, times, kkt = [], [], []
    jax.block_until_ready(look(jnp.asarray(start), jnp.asarray(points[0])))
    for point in points:
        world = jnp.asarray(point)

        def f(z: np.ndarray, world: jax.Array = world) -> tuple[float, np.ndarray]:
            value, slope = look(np.clip(z, 0.0, 1.0), world)
            return float(value), np.asarray(slope)

        began = time.perf_counter()
        end = minimize(f, start, jac=True, method=method, bounds=box, options=options).x
        times.append(time.perf_counter() - began)
        end = np.clip(end, 0.0, 1.0)
        kkt.append(np.max(np.abs(np.clip(end - f(end)[1], 0.0, 1.0) - end)))
        ends.append(end)
    return ends, times, np.array(kkt)
