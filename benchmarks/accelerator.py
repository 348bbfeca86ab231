"""A sweep of supply_shock that keeps only a tally, at any number of points: its rate, its memory, and its share of the limits.

    python -m benchmarks --device gpu --only accelerator [--points 1000000000] [--budget 360]

The rows of 10^9 points would fill 248 GB, more than the memory and most disks of a machine with a GPU. Each chunk is made,
evaluated and added up; nothing of it stays.
"""

import collections
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.limits import limits
from benchmarks.operations import counted
from benchmarks.timing import device_memory_gb, peak_memory_gb, timed
from jaxecon.analysis.batch import CHUNK, WIDE, Response, _table, _unravel, _wide_rows, evaluate_rows, points_at_once
from jaxecon.analysis.designs import box_of, resolve
from jaxecon.analysis.study import Study, plan
from jaxecon.analysis.tally import Tally
from jaxecon.core.compiling import quick_jit
from jaxecon.core.discovery import load
from jaxecon.core.fields import fields_of

# Axes of the prior box: those that the layer of equilibria reads first. More cost the host more than the device.
MODEL, AXES = "supply_shock", ("beta", "eta", "alpha", "gamma", "q_A", "c_A", "kappa", "w_0")
# Points and seconds of a plain run, by device.
POINTS, BUDGET_S = {"cpu": 1 << 21, "gpu": 1_000_000_000}, {"cpu": 60.0, "gpu": 360.0}
# Chunks that an accelerator's host makes and adds up side by side; a CPU adds one up while it evaluates the next.
WORKERS = 8


@dataclasses.dataclass
class Summary:
    """What is kept of a sweep: the tally of its cells, and the sum of each outcome over solved ones."""

    tally: Tally
    total: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "Summary":
        """The summary of one chunk, `rows` [points, outcomes + 2]."""
        return cls(Tally.of(rows.T, (0, 0)), np.nansum(rows[:, :-2], axis=0))

    def add(self, other: "Summary") -> None:
        self.tally.add(other.tally)
        self.total = self.total + other.total


def study_of(points: int) -> Study:
    """Quasi-random points of the prior box along `AXES`."""
    box, _ = box_of(load(MODEL), AXES)
    return plan(load(MODEL), dict(zip(box.names, zip(box.lo, box.hi, strict=True), strict=True)), "sobol", points, 0)


def summarize(study: Study, chunk: int, whole: int, budget_s: float = float("inf")) -> Summary:
    """The summary of a study of `whole` points or of its beginning; as many chunks of it as are begun within the budget."""
    model = load(MODEL)
    p, u = resolve(model, None, None, "float64")
    workers = 2 if jax.default_backend() == "cpu" else min(WORKERS, os.cpu_count() or 1)

    def work(columns: dict[str, np.ndarray]) -> Summary:
        vectors = np.stack(list(columns.values()), axis=1)
        return Summary.of(
            evaluate_rows(Response(model), p, u, tuple(columns), vectors, study=whole, chunk=chunk, alone=True)
        )

    pending: collections.deque[Any] = collections.deque()
    kept, start = None, time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for *_, columns in study.chunks(chunk, np.zeros(-(-study.size // chunk), bool)):
            assert columns is not None
            pending.append(pool.submit(work, columns))
            while len(pending) > workers:
                kept = _added(kept, pending.popleft().result())
            if time.perf_counter() - start > budget_s:
                break
        while pending:
            kept = _added(kept, pending.popleft().result())
    assert kept is not None
    return kept


def _added(kept: Summary | None, new: Summary) -> Summary:
    if kept is None:
        return new
    kept.add(new)
    return kept


def sweep_row(points: int, budget_s: float) -> dict[str, Any]:
    """The sweep: a beginning that compiles, the same again for its rate and memory, then all points or what
    the rest of the budget allows."""
    begin = time.perf_counter()
    model, whole = load(MODEL), study_of(points)
    p, u = resolve(model, None, None, "float64")
    cpu = jax.default_backend() == "cpu"
    chunk = CHUNK if cpu else max(points_at_once(Response(model), p, u) * jax.local_device_count(), CHUNK)
    chunk = min(chunk, points)
    beginning = study_of(min(points, chunk * (2 if cpu else 2 * WORKERS)))
    first, again, _ = timed(lambda: summarize(beginning, chunk, points), repeats=1)
    early = peak_memory_gb(), device_memory_gb()
    sys.stderr.write(
        f"  {beginning.size / again:.3g} points/s: {points} take about {points * again / beginning.size:.0f} s\n"
    )
    start = time.perf_counter()
    found = summarize(whole, chunk, points, budget_s - (start - begin))
    seconds = time.perf_counter() - start
    done, solved = found.tally.counts.total(), found.tally.counts[0]
    outcomes = np.stack([found.tally.least, found.total / max(solved, 1), found.tally.largest], axis=1)
    row = {
        "work": f"sweep of {MODEL}, {points} points, only the tally kept",
        "ours_s": seconds,
        "compile_s": first - again,
        "points_per_s": done / seconds,
        "points_done": done,
        "complete": done == points,
        "budget_s": budget_s,
        "chunk": chunk,
        "solved": solved / done,
        "not_solved": {model.reason(c)[0]: n for c, n in sorted(found.tally.counts.items()) if c},
        "max_residual": found.tally.residual,
        "host_peak_gb": peak_memory_gb(),
        "host_peak_gb_at_the_beginning": early[0],
        "device_peak_gb": device_memory_gb(),
        "device_peak_gb_at_the_beginning": early[1],
        "least_mean_largest": dict(zip(fields_of(model.Outcomes), outcomes.tolist(), strict=True)),
    }
    if done < points:
        row["extrapolated_s"] = points * seconds / done
        row["extrapolated_is"] = f"seconds of all {points} points at the rate of those done; not measured"
    return row


def executed(points: int = WIDE) -> dict[str, float]:
    """Operations and transcendental functions of a mean point of the box, passes of loops included; and operations where the
    body of a loop counts once, as XLA counts."""
    model = load(MODEL)
    p, u = resolve(model, None, None, "float64")
    with jax.enable_x64(True):
        table = jnp.asarray(_table_of(points))

        def at(row: Any) -> Any:
            return Response(model)(*_unravel(p, u, row))

        counts = np.asarray(quick_jit(jax.vmap(counted(at), in_axes=1))(table)).mean(axis=0)
        once = jax.jit(at).lower(table[:, 0]).cost_analysis()["flops"]
    return {
        "operations_per_point": float(counts[0]),
        "transcendentals_per_point": float(counts[1]),
        "operations_once": once,
    }


def traffic(passes: float) -> dict[str, float]:
    """Bytes of a point: an estimate, and what any program moves, the numbers of the point and its row.

    The estimate is XLA's for the compiled program, which counts the body of a loop once, times `passes`, the operations
    executed per operation so counted.
    """
    model = load(MODEL)
    p, u = resolve(model, None, None, "float64")
    response, table = Response(model), _table_of(WIDE)
    with jax.enable_x64(True):
        once = _wide_rows.compiled(response, p, u, table).cost_analysis()["bytes accessed"] / WIDE  # pyright: ignore
    least = 8.0 * (len(table) + len(response.fields()) + 2)
    return {"bytes_per_point": once * passes, "bytes_once": once, "bytes_at_least": least}


def _table_of(points: int) -> np.ndarray:
    """Numbers of parameters and policy at points of the study, [numbers, points]."""
    p, u = resolve(load(MODEL), None, None, "float64")
    columns = study_of(points).columns()
    return _table(p, u, tuple(columns), np.stack(list(columns.values()), axis=1))


def call_rate(chunk: int) -> float:
    """Points a second of one call of the compiled program whose table is on the device: the host feeds nothing."""
    model = load(MODEL)
    p, u = resolve(model, None, None, "float64")
    with jax.enable_x64(True):
        table = jax.device_put(_table_of(chunk))
        return chunk / timed(lambda: _wide_rows(Response(model), p, u, table), repeats=3)[1]


def limits_row(rate: float, chunk: int) -> dict[str, Any]:
    """Shares of the arithmetic and the bandwidth limit at `rate` points a second, and of one call on the device.

    On a CPU the numbers of a call stay in its caches: only what any program moves counts as traffic of the memory.
    """
    cpu = jax.default_backend() == "cpu"
    most, measured = limits()
    # On the CPU in any case: it compiles faster, and the counts are the same.
    costs = _child("executed()", {"JAX_PLATFORMS": "cpu"})
    costs |= traffic(costs["operations_per_point"] / costs["operations_once"])
    moved = "bytes_at_least" if cpu else "bytes_per_point"
    took = costs["operations_per_point"], costs["transcendentals_per_point"], costs[moved]
    alone = call_rate(WIDE if cpu else chunk)
    call = most.shares(alone, *took)
    return {
        "work": f"share of the limits of {jax.devices()[0].device_kind}, {MODEL}",
        "points_per_s": rate,
        **most.shares(rate, *took),
        **costs,
        "traffic": moved,
        "limits": {**dataclasses.asdict(most), **measured},
        "one_call_points_per_s": alone,
        "one_call_share_of_limit": call["share_of_limit"],
    }


def _child(call: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """What a function of this module returns in a process of its own."""
    code = f"import json; from benchmarks import accelerator; print(json.dumps(accelerator.{call}))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


def measure(device: str, points: int | None = None, budget_s: float | None = None) -> Iterator[dict]:
    """The sweep, in a process of its own whose memory is then known, and its share of the limits of the device."""
    points, budget_s = points or POINTS[device], budget_s or BUDGET_S[device]
    row = _child(f"sweep_row({points}, {budget_s})")
    yield row
    yield limits_row(row["points_per_s"], row["chunk"] // jax.local_device_count())
