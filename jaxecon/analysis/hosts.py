"""Many devices and processes, one study: who takes which part, and where the parts come together.

JAX's own engine starts and connects the processes (`jax.distributed.initialize`). Groups of points go to the processes in
turn and within each to its devices in turn, through the one program that a single device runs: the numbers do not depend
on how many there are. A sweep's chunks meet on disk; the groups of every other analysis are exchanged, so that all
processes hold the same numbers and go on alike. They must therefore be of the same kind.
"""

import itertools
import os
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from jaxecon.core.errors import ProcessLost

# Programs that some group ran before: threads need not wait until one of them is compiled.
_COMPILED: set[Hashable] = set()
# `run(start, stop, size, put)`: a pytree of arrays with the leading axis `stop - start`, through the program for `size` points; `put`
# moves an argument to the device.
Run = Callable[[int, int, int, Callable[[Any], Any]], Any]


def mine(parts: int) -> np.ndarray:
    """Which of the parts this process takes: every n-th of n processes."""
    return np.arange(parts) % jax.process_count() == jax.process_index()


def meet(place: str) -> None:
    """Wait until all processes are here; nothing to wait for if there is one. Raises `ProcessLost`."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        _or_lost(lambda: multihost_utils.sync_global_devices(place))


def _or_lost(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except jax.errors.JaxRuntimeError as error:
        raise ProcessLost(
            f"process {jax.process_index()} of {jax.process_count()} lost another one ({str(error)[:200]}). What a store "
            "holds is safe; start the same command again, one with a store with --resume (resume=True)"
        ) from error


def agreed(number: int) -> int:
    """The number that the first process has."""
    if jax.process_count() == 1:
        return number
    from jax.experimental import multihost_utils

    return int(_or_lost(lambda: multihost_utils.broadcast_one_to_all(np.int32(number))))


def from_first(content: bytes) -> bytes:
    """The bytes that the first process has."""
    size = agreed(len(content))
    if jax.process_count() == 1 or not size:
        return content[:size]
    from jax.experimental import multihost_utils

    own = np.frombuffer(content[:size].ljust(size, b"\0"), np.uint8)
    return np.asarray(_or_lost(lambda: multihost_utils.broadcast_one_to_all(own)), np.uint8).tobytes()


def groups_of(n: int, size: int) -> list[tuple[int, int]]:
    """Start and stop of each group of at most `size` of `n` points."""
    return [(start, min(start + size, n)) for start in range(0, n, size)]


def in_groups(run: Run, n: int, size: int, program: Hashable, *, side_by_side: int = 1, alone: bool = False) -> Any:
    """`run` on groups of `size` of `n` points, on all local devices and all processes; everything, in order, on each.

    A group for which a device has no memory is done in halves.

    **Arguments**

    - `program`: what tells the compiled program apart; its first group on each device runs before the others start, lest
      two threads compile the same.
    - `side_by_side`: groups that one device works on at a time, by threads.
    - `alone`: the other processes are busy with other parts: this one takes all groups and exchanges nothing.
    """
    groups = groups_of(n, size)
    hosts, host = (1, 0) if alone else (jax.process_count(), jax.process_index())
    # A process without a group of its own runs the first, to know what the others will send.
    taken = groups[host::hosts] or groups[:1]
    devices = jax.local_devices()

    def work(job: tuple[int, tuple[int, int]]) -> Any:
        place, (start, stop) = job
        on = devices[place % len(devices)]
        put = (lambda x: jax.device_put(x, on)) if len(devices) > 1 else lambda x: x
        return _as_fits(run, start, stop, size, put)

    jobs = list(enumerate(taken))
    first = 0 if program in _COMPILED else len(devices)
    workers = min(max(len(devices), side_by_side), len(jobs))
    if workers == 1:
        parts = [work(job) for job in jobs]
    else:
        with ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(work, jobs[:first]))
            parts += pool.map(work, jobs[first:])
    _COMPILED.add(program)
    own = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    return own if hosts == 1 else jax.tree.map(lambda x: _exchanged(x, groups, hosts), own)


def _as_fits(run: Run, start: int, stop: int, size: int, put: Callable[[Any], Any]) -> Any:
    """`run` on a group, as NumPy arrays; half of the points at a time where the device has no memory for all of them."""
    try:
        return jax.tree.map(np.asarray, run(start, stop, size, put))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error) or size < 2:
            raise
    half = -(-size // 2)
    halves = [(first, min(first + half, stop)) for first in range(start, stop, half)]
    return jax.tree.map(lambda *x: np.concatenate(x), *(_as_fits(run, *some, half, put) for some in halves))


def in_shares(run: Callable[[int, int], Any], n: int) -> Any:
    """`run(start, stop)` on one share of `n` rows a process; a pytree of arrays with that leading axis, everything on each.

    For work whose rows take many calls each, as a search does: the processes meet once, when all rows are done.
    """
    hosts = jax.process_count()
    stops = [n * k // hosts for k in range(hosts + 1)]
    shares = list(itertools.pairwise(stops))
    if hosts == 1:
        return run(0, n)
    start, stop = shares[jax.process_index()]
    # A process without rows runs those of another, to know what the others will send.
    own = run(start, stop) if start < stop else run(*max(shares, key=lambda share: share[1] - share[0]))
    return jax.tree.map(lambda x: _exchanged(x, shares, hosts), own)


def _exchanged(own: np.ndarray, groups: list[tuple[int, int]], hosts: int) -> np.ndarray:
    """The rows of all groups on every process, from those of its own; sent as bytes, whatever the precision."""
    from jax.experimental import multihost_utils

    shares = [groups[k::hosts] for k in range(hosts)]
    most = max(sum(stop - start for start, stop in share) for share in shares)
    padded = np.zeros((most, *own.shape[1:]), own.dtype)
    padded[: min(most, len(own))] = own[:most]
    sent = _or_lost(lambda: multihost_utils.process_allgather(np.frombuffer(padded.tobytes(), np.uint8)))
    everyone = np.frombuffer(np.asarray(sent).tobytes(), own.dtype).reshape(hosts, *padded.shape)
    whole = np.empty((groups[-1][1], *own.shape[1:]), own.dtype)
    for share, rows in zip(shares, everyone, strict=True):
        at = 0
        for start, stop in share:
            whole[start:stop] = rows[at : at + stop - start]
            at += stop - start
    return whole


def cores_side_by_side() -> int:
    """Groups that a CPU works on at a time: a compiled call holds no lock of Python and keeps one core busy at best."""
    return min(os.cpu_count() or 1, 2) if jax.default_backend() == "cpu" else 1
