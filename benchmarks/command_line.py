"""The command line cold and with the compilation cache: `jaxecon solve` of each model, `jaxecon report` of all."""

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jaxecon.core.discovery import model_names

# The report of these two alone has a bar of its own.
FIRST = ("supply_shock", "information_pollution")


def _run(arguments: list[str], cache: Path) -> tuple[float, str]:
    """Seconds of one process, and what it printed."""
    env = {**os.environ, "JAXECON_CACHE": str(cache)}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "jaxecon", *arguments], env=env, check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, done.stdout


def _solve_rows(name: str) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        cold, printed = _run(["solve", name, "--json"], Path(folder))
        warm = sorted(_run(["solve", name, "--json"], Path(folder))[0] for _ in range(3))[1]
    answer = json.loads(printed)
    certificate = {"solved": float(answer["status"] == "SOLVED"), "max_residual": answer["max_residual"]}
    return [
        {"work": f"jaxecon solve {name}, {kind}", "ours_s": s, **certificate, "bar": bar, "bar_is": "seconds, at most"}
        for kind, s, bar in (("cold", cold, 8.0), ("cached", warm, 4.0))
    ]


def _report_row(models: tuple[str, ...], words: str, bar: float) -> dict:
    """One cold report: seconds, pieces that failed, and what share of its prior box was solved and how well."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.html"
        seconds, _ = _run(["report", *models, "-o", str(out)], Path(folder) / "cache")
        data = Path(folder) / "report_data"
        found = [json.loads(p.read_text(encoding="utf-8")) for p in data.glob("*.json")]
        points = [row for p in data.glob("*_box.csv") for row in csv.DictReader(p.open(encoding="utf-8"))]
    solved = [float(row["max_residual"]) for row in points if float(row["status"]) == 0]
    return {
        "work": f"jaxecon report, {words}, cold",
        "ours_s": seconds,
        "peak_gb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20,
        "models": len(found),
        "failed_pieces": sum(len(x["failed"]) for x in found),
        "solved": len(solved) / len(points),
        "max_residual": max(solved),
        "bar": bar,
        "bar_is": "seconds, at most",
    }


def measure(device: str) -> list[dict]:
    """Seconds of whole processes, compilation included; `cold` starts with an empty cache folder."""
    del device  # the processes compute on the device that JAX was told to use
    rows = [row for name in model_names() for row in _solve_rows(name)]
    return [*rows, _report_row(FIRST, " and ".join(FIRST), 120.0), _report_row((), "all models", 480.0)]
