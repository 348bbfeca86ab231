"""The benchmarks lose no row, measure on the device that they name, and count what they say."""

import json
import math
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import accelerator, crossover
from benchmarks.__main__ import kept_rows, main
from benchmarks.limits import Limits, limits
from benchmarks.operations import counted
from jaxecon.analysis.sweep import sweep
from jaxecon.core.discovery import load


def test_a_partial_run_keeps_the_other_rows_with_their_commit(tmp_path):
    path = tmp_path / "cpu.json"
    assert kept_rows(path, ["sweep"], "cpu") == []
    rows = [{"benchmark": "sweep", "ours_s": 1.0}, {"benchmark": "sobol", "ours_s": 2.0, "commit": "old"}]
    rows.append({"benchmark": "gradient", "ours_s": 3.0})
    path.write_text(json.dumps({"environment": {"device": "cpu", "commit": "new"}, "rows": rows}))
    kept = kept_rows(path, ["sweep"], "cpu")
    assert {r["benchmark"]: r["commit"] for r in kept} == {"sobol": "old", "gradient": "new"}
    assert kept_rows(path, ["sweep"], "gpu") == []


@pytest.fixture
def platform(monkeypatch):
    """Whatever a run tells JAX and its child processes is forgotten."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    before = jax.config.jax_platforms
    yield
    jax.config.update("jax_platforms", before)


@pytest.mark.skipif(jax.default_backend() == "gpu", reason="there is a GPU")
def test_a_machine_without_gpu_writes_no_gpu_results(tmp_path, capsys, platform):
    path = tmp_path / "gpu.json"
    with pytest.raises(SystemExit) as stopped:
        main(["--device", "gpu", "--points", "0", "-o", str(path)])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and not path.exists()
    assert "found no GPU" in said and "--device cpu" in said and "points = 0" in said


def test_options_reach_their_benchmark_and_models_replace_their_rows(tmp_path, capsys, monkeypatch, platform):
    path, asked = tmp_path / "cpu.json", []

    def measure(device, models=None, budget_s=None):
        asked.append((device, models, budget_s))
        return [{"work": name, "ours_s": len(asked)} for name in models or ("a", "b")]

    monkeypatch.setattr(crossover, "measure", measure)
    run = ["--only", "crossover", "-o", str(path)]
    assert main([*run, "--budget", "7"]) == 0 and main([*run, "--models", "b,c"]) == 0
    assert asked == [("cpu", None, 7.0), ("cpu", ["b", "c"], None)]
    rows = json.loads(path.read_text())["rows"]
    assert {r["work"]: r["ours_s"] for r in rows} == {"a": 1, "b": 2, "c": 2}
    with pytest.raises(SystemExit):
        main([*run, "--points", "8"])
    assert "points is for accelerator" in capsys.readouterr().err


def test_the_crossover_is_read_off_two_curves():
    sizes = [1 << k for k in range(0, 21, 2)]
    cpu = {n: 1e-6 * n for n in sizes}
    constant = {n: 1e-3 for n in sizes}
    assert crossover.crossover(cpu, constant) == pytest.approx(1000)
    assert crossover.crossover(cpu, {n: 2 * s for n, s in cpu.items()}) is None, "never faster"
    assert crossover.crossover(cpu, {n: 0.5 * s for n, s in cpu.items()}) == 1, "always faster"
    assert crossover.crossover(cpu, {}) is None, "no size in common"
    fast_once = cpu | {16: 1e-6 * 1} | {n: 1e-3 for n in sizes if n >= 4096}
    fast_once = {n: s if n in (16,) or n >= 4096 else 2 * s for n, s in fast_once.items()}
    found = crossover.crossover(cpu, fast_once)
    assert found is not None and 1024 < found < 4096, "faster at all larger sizes, not at one in between"
    part = {n: s for n, s in constant.items() if n >= 256}
    assert crossover.crossover(cpu, part) == pytest.approx(1000), "sizes that one curve lacks do not count"


def test_passes_of_loops_are_counted():
    def halved(x):
        return jax.lax.while_loop(lambda x: x > 1.0, lambda x: 0.5 * x, x)

    # One comparison at the start; each pass multiplies and compares.
    found = np.asarray(jax.vmap(counted(halved))(jnp.asarray([0.5, 8.0, 1024.0])))
    np.testing.assert_array_equal(found, [[1, 0], [1 + 2 * 3, 0], [1 + 2 * 10, 0]])

    def nested(x):
        def step(total, row):
            return total + jax.jit(jnp.exp)(row) * row, None

        return jax.lax.scan(step, 0.0, jnp.ones((7,)) * x)[0]

    assert np.asarray(counted(nested)(2.0)).tolist() == [7 + 7 * 2, 7], (
        "a product each, then 7 times * and +, and 7 exponentials"
    )
    either = counted(lambda x: jax.lax.cond(x > 0, lambda x: x * x * x, lambda x: x, x))
    assert np.asarray(jax.vmap(either)(jnp.asarray([1.0, -1.0])))[:, 0].tolist() == pytest.approx([4, 2], abs=1)
    assert float(either(1.0)[0] - either(-1.0)[0]) == 2, "only the branch that is taken"


def test_without_loops_the_count_is_that_of_the_compiler():
    def f(a, x):
        y = a @ jnp.exp(x) / (1.0 + x[0] ** 2)
        return jnp.sum(jnp.where(y > 0, y, -y)) + jnp.max(jnp.log1p(jnp.abs(y)))

    a, x = jnp.ones((5, 3)), jnp.ones(3)
    theirs = jax.jit(f).lower(a, x).cost_analysis()
    operations, transcendentals = np.asarray(counted(f)(a, x)).tolist()
    assert operations == pytest.approx(theirs["flops"], rel=0.05) and operations > 2 * 15
    assert transcendentals == theirs["transcendentals"] == 3 + 5


def test_the_shares_of_the_limits_say_which_binds():
    most = Limits(operations=1e12, transcendentals=1e10, bytes=1e11, source="made up")
    found = most.shares(1e8, operations=2000.0, transcendentals=10.0, traffic=100.0)
    assert found["arithmetic_share"] == pytest.approx(1e8 * (2e-9 + 1e-9)) and found["binding"] == "arithmetic"
    found = most.shares(1e8, operations=20.0, transcendentals=0.0, traffic=500.0)
    assert found["binding"] == "bandwidth" and found["share_of_limit"] == pytest.approx(0.5)
    assert found["limit_points_per_s"] == pytest.approx(2e8)
    here, measured = limits(scale=0.02)
    assert all(math.isfinite(v) and v > 0 for v in measured.values())
    if jax.default_backend() == "cpu":
        assert here.operations == measured["matrix_product_flops"] and here.bytes == measured["copy_bytes_per_s"]


def test_the_summary_is_that_of_the_sweep():
    points = 1 << 12
    study = accelerator.study_of(points)
    found = accelerator.summarize(study, 1000, points)
    axes = {n: tuple(v.tolist()) for n, v in study.axes.items()}
    ds = sweep(load(accelerator.MODEL), axes, design="sobol", points=points, retry=False)
    solved = int((ds.status == 0).sum())
    assert found.tally.counts.total() == points and found.tally.counts[0] == solved > 0.99 * points
    assert found.tally.residual == float(ds.max_residual.where(ds.status == 0).max())
    for k, name in enumerate(load(accelerator.MODEL).Outcomes.__dataclass_fields__):
        assert found.tally.least[k] == float(ds[name].min()) and found.tally.largest[k] == float(ds[name].max())
        assert found.total[k] / solved == pytest.approx(float(ds[name].mean()), rel=1e-9, abs=1e-12)
    part = accelerator.summarize(study, 1000, points, budget_s=0.0)
    assert 1000 <= part.tally.counts.total() < points, "the budget ends the sweep between chunks"


@pytest.mark.slow
def test_the_accelerator_rows_on_a_cpu():
    row = accelerator.sweep_row(1 << 12, 60.0)
    assert row["complete"] and row["points_done"] == 1 << 12 and "extrapolated_s" not in row
    assert row["solved"] > 0.99 and row["max_residual"] < 1e-8
    part = accelerator.sweep_row(1 << 17, 1e-6)
    assert (
        not part["complete"] and part["extrapolated_s"] > part["ours_s"] and "not measured" in part["extrapolated_is"]
    )
    costs = accelerator.executed(64)
    passes = costs["operations_per_point"] / costs["operations_once"]
    assert passes > 1 and costs["transcendentals_per_point"] > 0, "loops run more than once"
    bytes_ = accelerator.traffic(passes)
    assert bytes_["bytes_per_point"] == pytest.approx(passes * bytes_["bytes_once"])
    assert bytes_["bytes_once"] > bytes_["bytes_at_least"] > 0
    assert accelerator.call_rate(64) > 0


@pytest.mark.slow
def test_two_processes_measure_two_curves():
    rows = crossover.measure(
        "gpu" if jax.default_backend() == "gpu" else "other", ["rent_seeking"], 300.0, (1, 64, 1024)
    )
    assert [r["work"] for r in rows] == ["crossover of rent_seeking"] and rows[0]["largest_common_size"] == 1024
    assert rows[0]["solved"] == 1.0 and rows[0]["cpu_points_per_s"] > 0


def test_the_gpu_rows_need_no_further_package():
    """A machine with a GPU may hold JAX and little else."""
    code = (
        "import sys\n"
        "for name in ('zarr', 'matplotlib', 'rich', 'threadpoolctl', 'SALib', 'mesa', 'cma', 'ema_workbench'):\n"
        "    sys.modules[name] = None\n"
        "from benchmarks import __main__, accelerator, crossover\n"
        "assert accelerator.study_of(8).size == 8 and len(crossover.model_names()) > 1\n"
        "crossover.curve('rent_seeking', (1,))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
