"""One study on one device, on eight, and in two processes: the same numbers; and what becomes of one whose process is lost."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxecon import load, open_sweep, sweep
from jaxecon.analysis.hosts import in_groups

FOLDER = Path(__file__).parent


def test_every_process_gets_all_groups_in_order(monkeypatch):
    """Three processes, five groups: what is exchanged is put together as one process would have it."""
    from jax.experimental import multihost_utils

    values = np.arange(18.0).reshape(9, 2)
    sent = []

    def run(start, stop, put):
        return values[start:stop]

    def found(host, answer):
        monkeypatch.setattr("jax.process_count", lambda: 3)
        monkeypatch.setattr("jax.process_index", lambda: host)
        monkeypatch.setattr(multihost_utils, "process_allgather", answer)
        return in_groups(run, 9, 2, "a test")

    for host in range(3):
        found(host, lambda mine: sent.append(mine) or np.stack([mine] * 3))
    for host in range(3):
        np.testing.assert_array_equal(found(host, lambda mine: np.stack(sent)), values)
    np.testing.assert_array_equal(in_groups(run, 9, 2, "a test", alone=True), values)


# Every analysis that spreads, on the model of the tests; the arrays in one file.
SPREAD = """
import sys
import jax
import numpy as np
folder, out, devices, hosts, host, port = sys.argv[1:]
sys.path.insert(0, folder)
if int(hosts) > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=int(hosts), process_id=int(host))
from pigou import MODEL
from jaxecon import claims, constrained_optimum, optimal_policies, optimize, sensitivity
assert jax.local_device_count() == int(devices) and jax.process_count() == int(hosts)
found = {}
for claim in claims(MODEL, ["P2", "P5", "P6"], draws=700):
    found[claim.id] = np.array([claim.margin, claim.share, *claim.quantiles.values()])
    if claim.boundary is not None:
        found[claim.id + " map"] = claim.boundary.margin
shares = sensitivity(MODEL, samples=128, second_order=True)
found |= {n: shares[n].values for n in ("first", "total", "second", "total_ci")}
found["nu"] = sensitivity(MODEL, "derivative", samples=32)["nu"].values
for method in ("adam", "lbfgs"):
    best = optimize(MODEL, ["tax"], starts=12, steps=20, method=method)
    found[method] = np.array([best.value, best.values["tax"], *best.end_values])
found["draws"] = optimal_policies(MODEL, ["tax"], 600, starts=2)["policy"].values
found["constrained"] = np.array([constrained_optimum(MODEL, ["tax"], {"quantity": (None, 6.0)}).value])
np.savez(out, **found)
"""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def spread(out, devices=1, hosts=1):
    """Start the analyses in `hosts` processes of `devices` devices each, wait, and read what the last one found."""
    port = free_port()
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    files = [out / f"{devices}_{hosts}_{host}.npz" for host in range(hosts)]
    started = [
        subprocess.Popen([sys.executable, "-c", SPREAD, str(FOLDER), *map(str, (file, devices, hosts, host, port))],
                         env=environment, stderr=subprocess.PIPE, text=True)
        for host, file in enumerate(files)
    ]  # fmt: skip
    errors = [p.communicate(timeout=1200)[1] for p in started]
    assert [p.returncode for p in started] == [0] * hosts, errors
    return [dict(np.load(file)) for file in files]


@pytest.mark.slow
def test_the_same_numbers_on_one_and_eight_devices_and_in_two_processes(tmp_path):
    (one,) = spread(tmp_path)
    assert all(np.isfinite(one[n]).any() for n in one) and "P2 map" in one
    for other in (*spread(tmp_path, devices=8), *spread(tmp_path, hosts=2)):
        assert other.keys() == one.keys()
        for name, values in one.items():
            np.testing.assert_allclose(other[name], values, rtol=1e-12, atol=1e-14, err_msg=name)


AXES = ("A=0.5:2:200", "c_r=1:3:500")


def sweep_process(store, host, port, resume=False):
    """One of two processes of a sweep of 100 000 points by the command line."""
    words = ["sweep", "rent_seeking", *AXES, "-o", str(store), "--no-cache", "--distributed", f"{host}/2@127.0.0.1:{port}",
             "--heartbeat", "20", *(["--resume"] if resume else [])]  # fmt: skip
    return subprocess.Popen([sys.executable, "-m", "jaxecon", *words], env=os.environ | {"JAX_PLATFORMS": "cpu"},
                            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_the_loss_of_a_process_ends_the_other_and_the_sweep_resumes(tmp_path, victim):
    store, port = tmp_path / "s.zarr", free_port()
    both = [sweep_process(store, host, port) for host in (0, 1)]
    while not any((store / "done" / "c" / str(k)).exists() for k in range(4)):
        assert all(p.poll() is None for p in both)
        time.sleep(0.1)
    both[victim].send_signal(signal.SIGKILL)
    start = time.monotonic()
    message = both[1 - victim].communicate(timeout=300)[1]
    assert time.monotonic() - start < 240 and both[1 - victim].returncode not in (0, None)
    assert "lost" in message and "--resume" in message
    both[victim].communicate()
    model = load("rent_seeking")
    assert int((open_sweep(model, store).status == -1).sum()) > 0
    port = free_port()
    again = [sweep_process(store, host, port, resume=True) for host in (0, 1)]
    errors = [p.communicate(timeout=1200)[1] for p in again]
    assert [p.returncode for p in again] == [0, 0], errors
    alone, shared = sweep(model, {"A": (0.5, 2.0, 200), "c_r": (1.0, 3.0, 500)}), open_sweep(model, store)
    for name in ("welfare", "rents", "status"):
        np.testing.assert_array_equal(shared[name], alone[name])
