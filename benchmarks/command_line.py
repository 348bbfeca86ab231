"""The command line cold and with the compilation cache: `jaxecon solve` of each model, `jaxecon report` of all."""

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


def _seconds(arguments: list[str], cache: Path) -> float:
    env = {**os.environ, "JAXECON_CACHE": str(cache)}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "jaxecon", *arguments], env=env, check=True, capture_output=True)
    return time.perf_counter() - start


def measure(device: str) -> list[dict]:
    """Seconds of whole processes, compilation included; `cold` starts with an empty cache folder."""
    del device
    rows = []
    for name in model_names():
        with tempfile.TemporaryDirectory() as folder:
            cold = _seconds(["solve", name, "--json"], Path(folder))
            warm = sorted(_seconds(["solve", name, "--json"], Path(folder)) for _ in range(3))[1]
        rows.append({"work": f"jaxecon solve {name}, cold", "ours_s": cold, "bar": 8.0, "bar_is": "seconds, at most"})
        rows.append({"work": f"jaxecon solve {name}, cached", "ours_s": warm, "bar": 4.0, "bar_is": "seconds, at most"})
    for models, words, bar in ((FIRST, "supply_shock and information_pollution", 120.0), ((), "all models", 480.0)):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "report.html"
            seconds = _seconds(["report", *models, "-o", str(out)], Path(folder) / "cache")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        row = {"work": f"jaxecon report, {words}, cold", "ours_s": seconds, "peak_gb": peak}
        rows.append(row | {"bar": bar, "bar_is": "seconds, at most"})
    return rows
