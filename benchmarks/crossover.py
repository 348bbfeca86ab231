"""From how many points on an accelerator is faster than the CPU of its machine, for each model.

    python -m benchmarks --device gpu --only crossover [--models supply_shock,rent_seeking] [--budget 500]

Each device runs in a process of its own, one after the other: analyses ask JAX for its default device.
"""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.timing import timed
from jaxecon.analysis.batch import Response, evaluate_rows
from jaxecon.analysis.designs import prior_draws, resolve
from jaxecon.core.discovery import load, model_names

SIZES = tuple(1 << k for k in range(21))
# Points of the prior box, repeated for larger studies; seconds of a call after which a curve ends; repeats.
DRAWN, LONGEST_S, REPEATS = 4096, 0.5, 3
# Seconds of all curves, and the accelerator's share of them: it compiles longer.
BUDGET_S, SHARE = 500.0, 0.7


def crossover(cpu: Mapping[int, float], other: Mapping[int, float]) -> float | None:
    """Size from which `other` is faster at all larger ones, read off two curves {size: seconds}.

    Linear in the logarithms between two sizes; the smallest common size if `other` is faster at every one, None if it is not
    at the largest.
    """
    sizes = sorted(set(cpu) & set(other))
    gaps = [math.log(other[n] / cpu[n]) for n in sizes]
    if not sizes or gaps[-1] >= 0:
        return None
    slower = [k for k, gap in enumerate(gaps) if gap >= 0]
    if not slower:
        return float(sizes[0])
    k = slower[-1]
    x, y = math.log(sizes[k]), math.log(sizes[k + 1])
    return math.exp(x + (y - x) * gaps[k] / (gaps[k] - gaps[k + 1]))


def curve(name: str, sizes: Sequence[int]) -> dict[str, Any]:
    """Median seconds by size of a study of one model, compiled before; sizes after one that takes `LONGEST_S` are left out."""
    model = load(name)
    p, u = resolve(model, None, None, "float64")
    draws = prior_draws(model, DRAWN, seed=0)
    response, seconds, found, begin = Response(model), {}, np.zeros((0, 2)), time.perf_counter()
    for n in sizes:
        vectors = draws.points[np.arange(n) % DRAWN]
        _, seconds[n], found = timed(partial(evaluate_rows, response, p, u, draws.names, vectors), repeats=REPEATS)
        if seconds[n] > LONGEST_S:
            break
    solved = found[:, -1] == 0
    return {
        "model": name,
        "seconds": list(seconds.items()),
        "with_compilation_s": time.perf_counter() - begin,
        "solved": float(np.mean(solved)),
        "max_residual": float(np.max(found[solved, -2], initial=0.0)),
    }


def _curves(names: Sequence[str], sizes: Sequence[int], budget_s: float) -> None:
    """Curves of models, a line of JSON each, as a process of its own prints them; none is begun after the budget."""
    start = time.perf_counter()
    for name in names:
        if time.perf_counter() - start < budget_s:
            sys.stdout.write(json.dumps(curve(name, sizes)) + "\n")
            sys.stdout.flush()


def curves(names: Sequence[str], sizes: Sequence[int], budget_s: float, platform: str | None) -> dict[str, dict]:
    """Curves by model from a process of its own, on the given platform of JAX or on its default one; those that are done
    within the budget."""
    environment = os.environ | ({"JAX_PLATFORMS": platform} if platform else {})
    code = f"from benchmarks.crossover import _curves; _curves({list(names)!r}, {list(sizes)!r}, {budget_s})"
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        printed, _ = process.communicate(timeout=1.2 * budget_s)
        if process.returncode:
            raise RuntimeError(f"the process that measures {', '.join(names)} ended with {process.returncode}")
    except subprocess.TimeoutExpired:
        process.kill()
        printed, _ = process.communicate()
    found = [json.loads(line) for line in printed.splitlines() if line.endswith("}")]
    return {c.pop("model"): c | {"seconds": dict(c["seconds"])} for c in found}


def row(name: str, cpu: dict[str, Any], other: dict[str, Any] | None) -> dict[str, Any]:
    """The curves of one model and, where an accelerator was measured, the size from which it is faster."""
    rates = {"cpu_points_per_s": max(n / s for n, s in cpu["seconds"].items())}
    if other is None:
        return {"work": f"seconds by points of {name}", "cpu": _listed(cpu), **rates, **_certificate(cpu)}
    rates["accelerator_points_per_s"] = max(n / s for n, s in other["seconds"].items())
    return {
        "work": f"crossover of {name}",
        "crossover_points": crossover(cpu["seconds"], other["seconds"]),
        "largest_common_size": max(set(cpu["seconds"]) & set(other["seconds"])),
        **rates,
        "cpu": _listed(cpu),
        "accelerator": _listed(other),
        **_certificate(other),
    }


def _listed(found: dict[str, Any]) -> dict[str, Any]:
    """A curve ready for JSON, on few lines."""
    text = ", ".join(f"{n}: {s:.3g}" for n, s in found["seconds"].items())
    return {"seconds_by_points": text, "with_compilation_s": found["with_compilation_s"]}


def _certificate(found: dict[str, Any]) -> dict[str, float]:
    return {key: found[key] for key in ("solved", "max_residual")}


def measure(
    device: str, models: Sequence[str] | None = None, budget_s: float | None = None, sizes: Sequence[int] = SIZES
) -> list[dict]:
    """One row a model: the CPU's curve alone, or with the accelerator's and the crossover; models for which there was time."""
    names, budget = [load(n).name for n in models or model_names()], budget_s or BUDGET_S
    if device == "cpu":
        return [row(name, found, None) for name, found in curves(names, sizes, budget, "cpu").items()]
    other = curves(names, sizes, SHARE * budget, None)
    cpu = curves(list(other), sizes, (1 - SHARE) * budget, "cpu")
    late = [n for n in names if n not in cpu]
    if late:
        sys.stderr.write(f"  no time left for {', '.join(late)}: run again with --models {','.join(late)}\n")
    return [row(name, found, other[name]) for name, found in cpu.items()]
