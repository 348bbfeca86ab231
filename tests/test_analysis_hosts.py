"""One study on one device, on eight, and in two processes: the same numbers; and what becomes of one whose process is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from pigou import MODEL

import jaxecon
import jaxecon.analysis.claims as claims_module
import jaxecon.analysis.moment_problem as moments_module
import jaxecon.analysis.optima as optima_module
from jaxecon import load, moment_problem, multiplicity, open_sweep, sweep
from jaxecon.analysis import batch, conditions, policies
from jaxecon.analysis.conditions import condition, landscape_of
from jaxecon.analysis.designs import resolve
from jaxecon.analysis.hosts import from_first, in_groups, in_shares
from jaxecon.analysis.targets import Target
from jaxecon.cli import processes
from jaxecon.cli.arguments import build_parser

FOLDER = Path(__file__).parent


def test_every_process_gets_all_groups_in_order(monkeypatch):
    """Three processes, five groups: what is exchanged is put together as one process would have it."""
    from jax.experimental import multihost_utils

    values = np.arange(18.0).reshape(9, 2)
    sent = []

    def run(start, stop, size, put):
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


NO_MEMORY = "RESOURCE_EXHAUSTED: out of memory"


def test_a_group_without_memory_is_done_in_halves():
    """A device that takes at most three points still finishes, each point once and in order; one that takes none says so."""
    values, sizes = np.arange(34.0).reshape(17, 2), []

    def run(start, stop, size, put):
        assert stop - start <= size
        if size > most:
            raise jax.errors.JaxRuntimeError(NO_MEMORY)
        sizes.append((size, start, stop))
        return {"x": values[start:stop]}

    most = 3
    np.testing.assert_array_equal(in_groups(run, 17, 10, "halves")["x"], values)
    assert {size for size, _, _ in sizes} == {3} and sum(stop - start for _, start, stop in sizes) == 17
    most = 0
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        in_groups(run, 17, 10, "halves")


def _slopes():
    return batch.evaluate_slopes(batch.Response(MODEL), *resolve(MODEL, None, None, "float64"), ("b",), BS)


def _jets():
    found = policies.evaluate_jets(batch.Response(MODEL), *resolve(MODEL, None, None, "float64"), ("b",), BS)
    return found.value, found.slope, found.curvature


def _claims():
    return [np.array([c.margin, c.share, *c.quantiles.values()]) for c in jaxecon.claims(MODEL, ["P2"], draws=300)]


def _moments():
    return moment_problem(MODEL, TARGETS, {"b": (0.5, 2.0), "c": (1.0, 4.0)}).slopes(
        np.stack([BS, 2 * BS], axis=1)[:, :, 0]
    )


def _optima():
    found = jaxecon.optimal_policies(MODEL, ["tax"], 20)
    return found["policy"].values, found["kkt_residual"].values


def _thresholds():
    land = landscape_of(condition(MODEL, outcome="price", level=5.0), ["b"], None, None, None)
    return land.values(BS / 2.0), *land.slopes(BS / 2.0)


BS = np.linspace(0.6, 1.9, 9)[:, None]
TARGETS = [Target(n, n, 5.0, 0.2, MODEL.fields[n].unit, "synthetic") for n in ("quantity", "price")]
# What runs, the module and name of its program, where among the arguments the points are and along which axis, points that fit.
USERS = {
    "slopes": (_slopes, batch, "_rows_and_slopes", 3, 1, 1),
    "jets": (_jets, policies, "_few_jets", 4, 1, 3),
    "claims": (_claims, claims_module, "_few_margins", -1, 0, 100),
    "moments": (_moments, moments_module, "_PROGRAMS", 4, 0, 40),
    "optima": (_optima, optima_module, "_few_optima", 5, 1, 7),
    "thresholds": (_thresholds, conditions, "_values", 5, 0, 3),
}


@pytest.mark.parametrize("user", USERS)
def test_every_analysis_halves_what_does_not_fit(monkeypatch, user):
    study, module, name, which, axis, most = USERS[user]
    whole, refused = study(), []

    def strict(run):
        def call(*args):
            if args[which].shape[axis] > most:
                refused.append(args[which].shape[axis])
                raise jax.errors.JaxRuntimeError(NO_MEMORY)
            return run(*args)

        return call

    given = getattr(module, name)
    if isinstance(given, dict):
        given = {k: strict(v) for k, v in given.items()}
    else:
        given = tuple(strict(x) for x in given) if isinstance(given, tuple) else strict(given)
    monkeypatch.setattr(module, name, given)
    halved = study()
    assert refused
    for one, other in zip(whole, halved, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rows", [7, 2])
def test_every_process_gets_all_shares_in_order(monkeypatch, rows):
    """Three processes, each with its share of the rows (one may have none): all have them in order."""
    from jax.experimental import multihost_utils

    values = np.arange(21.0).reshape(7, 3)[:rows]
    sent, asked = [], []

    def run(start, stop):
        asked.append((start, stop))
        return {"x": values[start:stop], "rests": values[start:stop, 0] > 1}

    def found(host, answer):
        monkeypatch.setattr("jax.process_count", lambda: 3)
        monkeypatch.setattr("jax.process_index", lambda: host)
        monkeypatch.setattr(multihost_utils, "process_allgather", answer)
        return in_shares(run, rows)

    for host in range(3):
        found(host, lambda mine: sent.append(mine) or np.stack([mine] * 3))
    assert all(start < stop for start, stop in asked) and len(set(asked)) == min(rows, 3)
    for host in range(3):
        answers = iter([sent[0::2], sent[1::2]])
        whole = found(host, lambda mine, answers=answers: np.stack(next(answers)))
        np.testing.assert_array_equal(whole["x"], values)
        np.testing.assert_array_equal(whole["rests"], values[:, 0] > 1)


def test_what_the_first_process_reads_reaches_the_others(monkeypatch):
    from jax.experimental import multihost_utils

    sent = []
    monkeypatch.setattr("jax.process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", lambda x: sent.append(x) or x)
    assert from_first(b"a block") == b"a block"
    answers = iter(sent)
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", lambda x: next(answers))
    assert from_first(b"") == b"a block"


# Every analysis that spreads, on the model of the tests; the arrays in one file.
SPREAD = """
import sys
import jax
import numpy as np
folder, out, devices, hosts, host, port = sys.argv[1:]
sys.path.insert(0, folder)
if int(hosts) > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=int(hosts), process_id=int(host),
                               heartbeat_timeout_seconds=600)
from pigou import MODEL
from jaxecon import (
    claims, constrained_optimum, estimate, load, moment_problem, optimal_policies, optimize, sensitivity,
)
from jaxecon.analysis.conditions import condition, landscape_of
from jaxecon.analysis.targets import Target
from jaxecon.analysis.thresholds import threshold
assert jax.local_device_count() == int(devices) and jax.process_count() == int(hosts)
found = {}
for claim in claims(MODEL, ["P2", "P5", "P6"], draws=700):
    found[claim.id] = np.array([claim.margin, claim.share, *claim.quantiles.values()])
    if claim.boundary is not None:
        found[claim.id + " map"] = claim.boundary.margin
shares = sensitivity(MODEL, samples=128, second_order=True)
found |= {n: shares[n].values for n in ("first", "total", "second", "total_ci")}
# Killed in the third piece; the first process wrote what the others go on from.
store, pieces, study = out.rsplit("_", 1)[0] + ".run", [], dict(samples=256, tolerance=1e-9)
def kill(done, total, info):
    pieces.append(done)
    if len(pieces) == 3:
        raise KeyError
try:
    sensitivity(MODEL, store=store, progress=kill, **study)
except KeyError:
    pass
resumed = sensitivity(MODEL, store=store, resume=True, progress=kill, **study)
assert len(pieces) == 5 and pieces[3] == pieces[2] and resumed.identical(sensitivity(MODEL, **study))
found["resumed"] = resumed["total_path"].values
found["nu"] = sensitivity(MODEL, "derivative", samples=32)["nu"].values
for method in ("adam", "lbfgs"):
    best = optimize(MODEL, ["tax"], starts=12, steps=20, method=method)
    found[method] = np.array([best.value, best.values["tax"], *best.end_values])
found["draws"] = optimal_policies(MODEL, ["tax"], 600, starts=2)["policy"].values
# Three groups of eight; more than 32 starts go through one group of 256.
best = constrained_optimum(MODEL, ["tax"], {"quantity": (None, 6.0)}, starts=24)
found["constrained"] = np.array([best.value, best.kkt_residual < 1e-6, best.agreement, *best.end_values])
targets = [Target(n, n, x, e, MODEL.fields[n].unit, "synthetic")
           for n, x, e in (("quantity", 6.0, 0.2), ("price", 3.0, 0.1), ("damage", 7.0, 0.5), ("welfare", 16.0, 0.3))]
problem = moment_problem(MODEL, targets, {"b": (0.5, 2.0), "c": (1.0, 4.0), "d": (0.1, 1.0)})
for block in (1024, 70):
    fit = estimate(problem, starts=300, block=block)
    found[f"estimate {block}"] = np.array([*fit.theta, fit.value, *fit.standard_errors])
    found[f"basins {block}"] = np.array([[b.value, b.share, *b.theta] for b in fit.search.basins])
    assert fit.converged and fit.value > 0
where = condition(MODEL, of=lambda out: out.price * out.quantity**0.2 - 3.0)
land = landscape_of(where, ["a", "b"], None, None, {"a": (5.0, 15.0), "b": (0.5, 2.0)})
points = np.stack([np.linspace(0.1, 1.0, 700), np.linspace(1.0, 0.2, 700)], axis=1)
found["condition"], (found["values"], found["slopes"]) = land.values(points), land.slopes(points[:60])
root = threshold(where, "a", scan=300)
found["threshold"] = np.concatenate([root["value"].values, root["gradient"].values.ravel()])
rents = load("rent_seeking")
for claim in claims(rents, ["C6.2"], draws=600):
    found[f"rents {claim.id}"] = np.array([claim.margin, claim.share, *claim.quantiles.values()])
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


SLURM = {
    "SLURM_JOB_ID": "1",
    "SLURM_STEP_NODELIST": "localhost",
    "SLURM_NTASKS": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
}
MANAGERS = {
    "Slurm, one process a node": ({"SLURM_STEP_TASKS_PER_NODE": "1(x4)", "SLURM_NTASKS_PER_NODE": "8"}, True),
    "Slurm by its option": ({"SLURM_NTASKS_PER_NODE": "1"}, True),
    "Slurm, one process a GPU": ({"SLURM_STEP_TASKS_PER_NODE": "8(x4)", "SLURM_NTASKS_PER_NODE": "8"}, False),
    "Slurm, uneven": ({"SLURM_STEP_TASKS_PER_NODE": "1,2"}, False),
    "Open MPI, one process a node": ({"OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, True),
    "Open MPI, two processes a node": ({"OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, False),
    "devices given": ({"SLURM_STEP_TASKS_PER_NODE": "1", "JAX_LOCAL_DEVICE_IDS": "0,1"}, False),
    "none": ({}, False),
}


@pytest.mark.parametrize("manager", MANAGERS)
def test_the_only_process_of_a_node_takes_all_its_devices(monkeypatch, manager):
    variables, every = MANAGERS[manager]
    given = []
    for name in {n for known, _ in MANAGERS.values() for n in known}:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(jax.distributed, "initialize", lambda **options: given.append(options))
    for words in (["--distributed"], ["--distributed", "1/2@here:9"]):
        processes.join(build_parser().parse_args(["claims", "pigou", *words]))
    for options in given:
        assert ("local_device_ids" in options, options.get("local_device_ids", [])) == (every, [])
        assert options["heartbeat_timeout_seconds"] == 100
    assert given[1]["coordinator_address"] == "here:9" and given[1]["process_id"] == 1 and "process_id" not in given[0]


@pytest.mark.parametrize(("tasks", "devices"), [("1(x2)", "all"), ("2", "0")])
def test_jax_hears_which_devices_are_meant(tasks, devices):
    """One task that Slurm started: what JAX itself then lets it see."""
    code = """
import jax
from jaxecon.cli import processes
from jaxecon.cli.arguments import build_parser
processes.join(build_parser().parse_args(["claims", "pigou", "--distributed"]))
print(jax.config.values["jax_cuda_visible_devices"], jax.process_count())
"""
    environment = os.environ | SLURM | {"SLURM_STEP_TASKS_PER_NODE": tasks, "JAX_PLATFORMS": "cpu"}
    environment["JAX_COORDINATOR_PORT"] = str(free_port())
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600)
    assert done.stdout.split() == [devices, "1"], done.stderr


AXES = ("A=0.5:2:200", "c_r=1:3:500")


def command_process(words, host, port):
    """One of two processes of a command."""
    words = [*words, "--no-cache", "--distributed", f"{host}/2@127.0.0.1:{port}", "--heartbeat", "20"]
    return subprocess.Popen([sys.executable, "-m", "jaxecon", *words], env=os.environ | {"JAX_PLATFORMS": "cpu"},
                            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)  # fmt: skip


def sweep_process(store, host, port, resume=False):
    """One of two processes of a sweep of 100 000 points by the command line."""
    words = ["sweep", "rent_seeking", *AXES, "-o", str(store), *(["--resume"] if resume else [])]
    return command_process(words, host, port)


@pytest.mark.slow
def test_a_map_of_two_processes_is_that_of_one(tmp_path):
    """72 cells are several groups for each; the first process writes the map."""
    out, port = tmp_path / "map.json", free_port()
    words = ["multiplicity", "ai_growth", "kap=0.002:0.03:8", "L_1=1:8:9", "-o", str(out)]
    both = [command_process(words, host, port) for host in (0, 1)]
    errors = [p.communicate(timeout=600)[1] for p in both]
    assert [p.returncode for p in both] == [0, 0], errors
    found = json.loads(out.read_text())["variables"]
    one = multiplicity(load("ai_growth"), {"kap": (0.002, 0.03, 8), "L_1": (1.0, 8.0, 9)})
    assert set(np.unique(one["count"])) == {0, 2}
    for name in ("count", "stable", "lead_over_h", "leading"):
        values = np.array(found[name]["values"], float)
        np.testing.assert_allclose(values, one[name].values, rtol=1e-12, atol=1e-14, err_msg=name)


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
