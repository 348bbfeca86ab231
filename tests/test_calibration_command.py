"""The command `python -m calibration`: results, equal runs, kill and resume, refusals, bad input."""

import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from pigou import MODEL

from calibration import command
from calibration.checkpoints import Blocks
from jaxecon.analysis.posterior import arviz

TARGETS = """
[[target]]
name = "quantity"
moment = "quantity"
value = 7.0
standard_error = 0.2
unit = "units"
source = "synthetic"
reported = true
year = 2025
grade = "S"

[[target]]
name = "price"
moment = "price"
value = 2.2
standard_error = 0.1
unit = "money"
source = "synthetic"
reported = true
year = 2025
grade = "S"

[[target]]
name = "damage"
moment = "damage"
value = 12.0
standard_error = 0.5
unit = "money"
source = "synthetic"
reported = true
year = 2025
grade = "S"

[[target]]
name = "taxed"
moment = "quantity"
value = 0.5
standard_error = 0.05
unit = "1"
source = "synthetic"
reported = true
year = 2025
grade = "S"
compare = "ratio"
policy = { tax = 4.0 }
against = {}

[fit.all]
free = { b = [0.5, 2.0], c = [1.0, 4.0], d = [0.1, 1.0] }
"""
ROOT = Path(__file__).parent.parent
PROGRAM = """
import sys
sys.path[:0] = sys.argv[1:3]
import pigou
from calibration import command
command.load = lambda name: pigou.MODEL
sys.exit(command.main(sys.argv[3:]))
"""


@pytest.fixture
def calibrate(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "load", lambda name: MODEL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets.toml").write_text(TARGETS)
    return lambda *words: command.main(["pigou", "--targets", "targets.toml", "--no-cache", *words])


def as_process(*words: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(ROOT), str(ROOT / "tests"), "pigou", "--no-cache", *words]


def test_results_are_data_and_equal_runs_give_equal_bytes(calibrate, capsys):
    assert calibrate("--starts", "64", "-o", "one") == 0
    text = capsys.readouterr().out
    assert "converged" in text and "J(1)" in text and "minimum at distance" in text
    assert calibrate("--starts", "64", "-o", "two") == 0
    for name in ("result.toml", "inference_data.nc"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    found = tomllib.loads(Path("one/result.toml").read_text())
    assert found["result"]["converged"] and found["result"]["rank"] == 3 and found["test"]["degrees_of_freedom"] == 1
    assert [x["name"] for x in found["parameter"]] == ["b", "c", "d"]
    assert len(found["moment"]) == 4 and len(found["outcome"]) == 4 and found["study"]["targets"]
    assert sum(x["share"] for x in found["basin"]) == 1.0
    data = arviz().from_netcdf("one/inference_data.nc")
    assert set(data.groups()) == {"observed_data", "constant_data", "estimate", "sampling_distribution"}
    errors = [x["standard_error"] for x in found["parameter"]]
    drawn = [float(data.sampling_distribution[n].std()) for n in "bcd"]
    np.testing.assert_allclose(drawn, errors, rtol=0.1)
    data.close()


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(calibrate, tmp_path):
    words = ["--targets", "targets.toml", "--starts", "800", "--block", "4", "-o"]
    assert calibrate("--starts", "800", "--block", "4", "-o", "whole") == 0
    child = subprocess.Popen(
        as_process(*words, "killed"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    blocks, limit = Blocks(tmp_path / "killed" / "checkpoint"), time.monotonic() + 120
    while blocks.done() < 20 and child.poll() is None and time.monotonic() < limit:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = blocks.done()
    assert 20 <= done < 200 and not (tmp_path / "killed" / "result.toml").exists()
    kept = {p.name: p.stat().st_mtime_ns for p in blocks.folder.glob("block-*.npz")}
    # What a kill in the middle of a write leaves behind.
    (blocks.folder / f"block-{done:05d}.npz.part").write_bytes(b"half")
    assert calibrate("--starts", "800", "--block", "4", "-o", "killed", "--resume") == 0
    for name, when in kept.items():
        assert (blocks.folder / name).stat().st_mtime_ns == when
    for name in ("result.toml", "inference_data.nc"):
        assert Path("whole", name).read_bytes() == Path("killed", name).read_bytes()


@pytest.mark.slow
def test_two_processes_share_the_starts_and_resume_to_the_same_bytes(calibrate, tmp_path):
    words = ["--targets", "targets.toml", "--starts", "100", "--block", "12", "--resume", "-o"]
    assert calibrate(*words[2:-2], "-o", "one") == 0

    def together(folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        both = [
            subprocess.Popen(as_process(*words, folder, "--distributed", f"{k}/2@127.0.0.1:{port}"), cwd=tmp_path,
                             env=os.environ | {"JAX_PLATFORMS": "cpu"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for k in (0, 1)
        ]  # fmt: skip
        said = [p.communicate(timeout=600) for p in both]
        assert [p.returncode for p in both] == [0, 0], said
        assert "converged" in said[0][0] and "Gloo" not in said[0][0] and said[1][0] == ""
        for name in ("result.toml", "inference_data.nc"):
            assert Path("one", name).read_bytes() == Path(folder, name).read_bytes()

    together("two")
    blocks = Blocks(tmp_path / "two" / "checkpoint")
    assert blocks.done() == 9
    for path in ("result.toml", "inference_data.nc", "checkpoint/block-00001.npz", "checkpoint/block-00004.npz"):
        (tmp_path / "two" / path).unlink()
    kept = {p.name: p.stat().st_mtime_ns for p in blocks.folder.glob("block-*.npz")}
    together("two")
    assert blocks.done() == 9
    for name, when in kept.items():
        assert (blocks.folder / name).stat().st_mtime_ns == when


def test_a_folder_of_another_study_is_refused_with_the_reason(calibrate, capsys):
    assert calibrate("--starts", "16", "-o", "fit") == 0
    capsys.readouterr()
    assert calibrate("--starts", "16", "-o", "fit") == 2
    assert "pass --resume" in capsys.readouterr().err
    assert calibrate("--starts", "32", "--seed", "5", "-o", "fit", "--resume") == 2
    message = capsys.readouterr().err
    assert "starts is 16 there and 32 here" in message and "seed is 0 there and 5 here" in message
    Path("targets.toml").write_text(TARGETS.replace("value = 7.0", "value = 7.1"))
    assert calibrate("--starts", "16", "-o", "fit", "--resume") == 2
    message = capsys.readouterr().err
    assert "targets is" in message and "observed is" in message
    os.mkdir("other")
    Path("other/notes.txt").write_text("mine")
    assert calibrate("-o", "other") == 2
    assert "holds no calibration" in capsys.readouterr().err and Path("other/notes.txt").read_text() == "mine"


def test_a_damaged_block_is_named_and_nothing_is_overwritten(calibrate, capsys):
    assert calibrate("--starts", "16", "--block", "8", "-o", "fit") == 0
    path = Path("fit/checkpoint/block-00001.npz")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    capsys.readouterr()
    assert calibrate("--starts", "16", "--block", "8", "-o", "fit", "--resume") == 1
    assert "block-00001.npz is damaged" in capsys.readouterr().err
    path.unlink()
    assert calibrate("--starts", "16", "--block", "8", "-o", "fit", "--resume") == 0
    assert path.read_bytes() == content


def test_bad_options_and_bad_targets_are_named_at_once(calibrate, capsys):
    Path("targets.toml").write_text(
        TARGETS.replace('moment = "price"', 'moment = "prize"').replace("0.5\nunit", "-1\nunit")
    )
    code = calibrate(
        "--starts", "many", "--seed", "-1", "--method", "gmmm", "--weight", "best", "--instruments", "taxes",
        "--distributed", "2/2@here:1", "--heartbeat", "soon",
    )  # fmt: skip
    message = capsys.readouterr().err
    assert code == 2
    for words in (
        "--starts many",
        "--seed -1",
        "--method gmmm",
        "--weight best",
        "K from 0 to N - 1",
        "--heartbeat: 'soon'",
        "'taxes'",
        "'prize'",
        "standard_error = -1",
    ):
        assert words in message
    assert not list(Path().glob("calibration-*"))


def test_samplers_run_in_one_process(calibrate, capsys, monkeypatch):
    monkeypatch.setattr(command.processes, "join", lambda args: None)
    assert calibrate("--method", "nuts", "--distributed", "0/2@here:1") == 2
    assert "leave it out with nuts" in capsys.readouterr().err


def test_a_fit_that_is_not_there_is_named(calibrate, capsys):
    assert calibrate("--set", "every") == 2
    assert "'every' is no fit" in capsys.readouterr().err
    assert command.main(["pigou", "--targets", "nowhere.toml"]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert command.main(["pigou"]) == 2
    assert "has no targets" in capsys.readouterr().err


@pytest.mark.slow
def test_posteriors_and_best_policies_are_written_too(calibrate, capsys):
    assert calibrate("--starts", "16", "--instruments", "tax", "-o", "policy") == 0
    found = tomllib.loads(Path("policy/result.toml").read_text())
    assert found["policy"][0]["name"] == "tax" and found["policy"][0]["lo"] < found["policy"][0]["value"]
    for name in ("one", "two"):
        assert calibrate("--method", "nuts", "--chains", "2", "--draws", "500", "--warmup", "300", "-o", name) == 0
    for name in ("result.toml", "inference_data.nc"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    posterior = tomllib.loads(Path("one/result.toml").read_text())
    for x, y in zip(found["parameter"], posterior["parameter"], strict=True):
        assert abs(x["estimate"] - y["mean"]) < x["standard_error"]
