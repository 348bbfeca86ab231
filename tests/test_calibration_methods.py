"""The command's other methods: discrete agents by simulated moments, samplers, ABC; priors from sources, policy under a posterior, kills."""

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from pigou import MODEL
from test_analysis_simulated import TOY, TRUTH, expected
from test_calibration_command import TARGETS

from calibration import command
from jaxecon.analysis.posterior import arviz

ROOT = Path(__file__).parent.parent
ERRORS = {"buying": 0.02, "spending": 0.2, "paying": 0.02}
# Buyers and spenders at a = 11, c = 2.5; payers at the default b = 1, d = 0.5.
VALUES = dict(zip(ERRORS, [*expected(TRUTH)[:2], 0.75], strict=True))
CROWD = "".join(
    f"""
[[target]]
name = "{name}"
moment = "{name}"
value = {VALUES[name]}
standard_error = {error}
unit = "1"
source = "closed form"
reported = true
year = 2025
grade = "S"
"""
    for name, error in ERRORS.items()
)
CROWD += """
[fit.two]
method = "smm"
free = { a = [8.0, 14.0], c = [1.0, 4.0] }

[fit.four]
method = "smm"
free = { a = [8.0, 14.0], b = [0.5, 1.5], c = [1.0, 4.0], d = [0.2, 1.2] }
"""
PRIOR = """
[prior.c]
value = 2.0
standard_error = 0.05
unit = "money"
source = "a survey"
"""
# The command in a process that kills itself as soon as a part of a number is kept.
PROGRAM = """
import os, signal, sys
sys.path[:0] = sys.argv[1:3]
from calibration import checkpoints, command
import test_analysis_simulated as toys
command.load = lambda name: toys.TOY if name == "crowd" else toys.MODEL
keep = checkpoints.Parts.put
def put(self, number, arrays):
    keep(self, number, arrays)
    if f"{self.kind}-{number}" == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoints.Parts.put = put
sys.exit(command.main(sys.argv[4:]))
"""


@pytest.fixture
def calibrate(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "load", lambda name: TOY if name == "crowd" else MODEL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crowd.toml").write_text(CROWD)
    (tmp_path / "pigou.toml").write_text(TARGETS + PRIOR)
    return lambda model, *words: command.main([model, "--targets", f"{model}.toml", "--no-cache", *words])


def killed(part: str, model: str, *words: str) -> None:
    """Run the command in a process that is killed once it has kept `part`."""
    program = [sys.executable, "-c", PROGRAM, str(ROOT), str(ROOT / "tests"), part]
    done = subprocess.run([*program, model, "--targets", f"{model}.toml", "--no-cache", *words], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def parts(folder: str) -> dict[str, int]:
    """Parts that are kept, and when each was written."""
    return {p.name: p.stat().st_mtime_ns for p in Path(folder, "checkpoint").glob("*.npz")}


def same(one: str, two: str) -> None:
    for name in ("result.toml", "inference_data.nc"):
        assert Path(one, name).read_bytes() == Path(two, name).read_bytes(), name


def read(folder: str) -> dict:
    return tomllib.loads(Path(folder, "result.toml").read_text())


AGENTS = ("--set", "two", "--seeds", "100", "--starts", "2", "-o")


def test_discrete_agents_are_fitted_run_by_run(calibrate, capsys):
    assert calibrate("crowd", *AGENTS, "one") == 0
    text = capsys.readouterr().out
    assert "J(1)" in text and "100 runs at the end" in text and "SETTLED" not in text
    found = read("one")
    assert found["result"]["converged"] and found["result"]["rank"] == 2
    assert found["test"]["degrees_of_freedom"] == 1 and found["test"]["p_value"] > 0.01
    estimates = {x["name"]: (x["estimate"], x["standard_error"]) for x in found["parameter"]}
    # Slopes of 1 - c/a and (a^2 - c^2)/(2 a) at the truth; the noise of 100 runs is a hundredth of the targets' variance.
    a, c = TRUTH[[0, 2]]
    slopes = np.array([[c / a**2, -1 / a], [(1 + c**2 / a**2) / 2, -c / a]]) / [[0.02], [0.2]]
    exact = np.sqrt(np.diag(np.linalg.inv(slopes.T @ slopes)))
    np.testing.assert_allclose([estimates[n][1] for n in "ac"], exact, rtol=0.1)
    # The runs' own errors move the estimates by about a tenth of that.
    np.testing.assert_allclose([estimates[n][0] for n in "ac"], [a, c], atol=0.5 * exact.max())


@pytest.mark.slow
def test_a_killed_fit_of_agents_goes_on_and_ends_with_the_same_bytes(calibrate):
    assert calibrate("crowd", *AGENTS, "whole") == 0
    assert set(parts("whole")) == {f"stage-{i:05d}.npz" for i in range(6)}
    killed("stage-1", "crowd", *AGENTS, "killed")
    kept = parts("killed")
    assert len(kept) == 2
    assert calibrate("crowd", *AGENTS, "killed", "--resume") == 0
    assert {n: parts("killed")[n] for n in kept} == kept
    same("whole", "killed")


def test_more_parameters_than_moments_of_agents_are_said_to_be_free(calibrate, capsys):
    words = ("--set", "four", "--seeds", "40", "--starts", "2", "-o", "four")
    assert calibrate("crowd", *words) == 0
    text = capsys.readouterr().out
    assert "0 degrees of freedom, J is not defined" in text and "1 combination(s)" in text
    found = read("four")
    assert found["test"]["degrees_of_freedom"] == 0 and np.isnan(found["test"]["statistic"])
    errors = {x["name"]: x["standard_error"] for x in found["parameter"]}
    assert np.isnan(errors["b"]) and np.isnan(errors["d"]) and errors["a"] > 0 and errors["c"] > 0
    assert calibrate("crowd", "--set", "four", "--method", "gmm") == 2
    assert "4 parameters are free and there are 3 moments" in capsys.readouterr().err
    assert calibrate("crowd", "--set", "two", "--seeds", "1") == 2
    assert "must be at least 2" in capsys.readouterr().err


CHAINS = ("--method", "nuts", "--chains", "3", "--draws", "300", "--warmup", "200", "-o")


@pytest.mark.slow
def test_a_killed_sampler_goes_on_and_the_policy_knows_what_is_uncertain(calibrate, capsys):
    assert calibrate("pigou", *CHAINS, "whole", "--instruments", "tax") == 0
    text = capsys.readouterr().out
    assert "prior of c: 2 (0.05), a survey" in text and "Value of information" in text
    killed("chain-0", "pigou", *CHAINS, "killed", "--instruments", "tax")
    kept = parts("killed")
    assert "chain-00000.npz" in kept and len(kept) < 3
    assert calibrate("pigou", *CHAINS, "killed", "--instruments", "tax", "--resume") == 0
    assert "chain(s) of this calibration are there already" in capsys.readouterr().err
    assert {n: parts("killed")[n] for n in kept} == kept
    same("whole", "killed")
    found = read("whole")
    assert found["prior"][0]["source"] == "a survey" and found["study"]["priors"] == {"c": [2.0, 0.05]}
    # The targets alone leave c a standard error of about .1.
    assert next(x["sd"] for x in found["parameter"] if x["name"] == "c") < 0.05
    data = arviz().from_netcdf("whole/inference_data.nc")
    b, c, d = (data.posterior[n].values.ravel() for n in "bcd")
    best = d * (10 - c) / (b + d)
    (tax,) = found["policy"]
    np.testing.assert_allclose([tax["mean"], tax["sd"]], [best.mean(), best.std(ddof=1)], rtol=1e-5)
    np.testing.assert_allclose([tax["lo"], tax["hi"]], np.quantile(best, [0.025, 0.975]), rtol=1e-5)
    about, each = found["information"], {x["name"]: x for x in found["information_parameter"]}
    assert about["evpi"] > 0 and about["left_out"] == 0 and set(each) == {"b", "c", "d"}
    assert max(each, key=lambda n: each[n]["value"]) == "d"
    assert all(x["value"] < about["evpi"] + 3 * x["standard_error"] for x in each.values())
    data.close()
    assert calibrate("pigou", "--method", "nuts", "--instruments", "b") == 2
    assert "'b'" in capsys.readouterr().err


@pytest.mark.slow
def test_sequential_monte_carlo_and_its_runs_are_kept(calibrate):
    # Without the prior, which the point estimate does not know.
    Path("pigou.toml").write_text(TARGETS)
    words = ("--method", "smc", "--chains", "2", "--draws", "400", "-o")
    assert calibrate("pigou", *words, "whole") == 0
    killed("run-0", "pigou", *words, "killed")
    assert list(parts("killed")) == ["run-00000.npz"]
    assert calibrate("pigou", *words, "killed", "--resume") == 0
    same("whole", "killed")
    assert calibrate("pigou", "--starts", "16", "-o", "point") == 0
    found = read("whole")
    assert len(found["result"]["log_evidence"]) == 2 and np.ptp(found["result"]["log_evidence"]) < 1
    for x, y in zip(read("point")["parameter"], found["parameter"], strict=True):
        assert abs(x["estimate"] - y["mean"]) < 1.5 * x["standard_error"]


@pytest.mark.slow
def test_agents_by_simulation_alone(calibrate, capsys):
    pytest.importorskip("pyabc")
    words = ("--set", "two", "--method", "abc", "--draws", "80", "--populations", "5", "-o")
    for name in ("one", "two"):
        assert calibrate("crowd", *words, name) == 0
    same("one", "two")
    assert "verdict: not converged" in capsys.readouterr().out
    for x, truth in zip(read("one")["parameter"], TRUTH[[0, 2]], strict=True):
        assert abs(x["mean"] - truth) < 3 * x["sd"] and x["sd"] < (x["hi"] - x["lo"]) / 5
    Path("crowd.toml").write_text(CROWD + '\n[[correlation]]\nbetween = ["buying", "spending"]\nvalue = 0.3\n')
    assert calibrate("crowd", "--set", "two", "--method", "abc", "-o", "three") == 2
    assert "these targets are correlated" in capsys.readouterr().err and not Path("three").exists()


@pytest.mark.slow
def test_the_shipped_agents_by_simulation_alone(monkeypatch, tmp_path):
    """Two parameters of the supply shock's own discrete agents against four of its documented moments."""
    pytest.importorskip("pyabc")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "calibration" / "supply_shock" / "targets.toml").read_text()
    fit = '\n[fit.few]\ntargets = ["active_40", "hhi_before", "share_before", "survivors"]\n'
    Path("shock.toml").write_text(text + fit + "free = { f = [0.1, 0.6], sdx = [0.05, 0.25] }\n")
    words = [
        "supply_shock",
        "--targets",
        "shock.toml",
        "--set",
        "few",
        "--method",
        "abc",
        "--draws",
        "40",
        "--populations",
        "4",
    ]
    assert command.main([*words, "-o", "few"]) == 0
    found = read("few")
    means, widths = ({x["name"]: x[k] for x in found["parameter"]} for k in ("mean", "sd"))
    # The HHI before the shock moves with the spread of skills: the posterior is narrower than the uniform prior (.058).
    assert widths["sdx"] < 0.05 and 0.05 < means["sdx"] < 0.25
    assert found["record"]["simulations"] > 160
