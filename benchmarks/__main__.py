"""Run the benchmarks and write JSON with device, versions and commit.

    python -m benchmarks [--device cpu|gpu] [--only sweep,gradient,...] [-o results.json]
                         [--points N] [--budget SECONDS] [--models NAME,...]

Each module of this folder with a function `measure(device, ...)`, which gives rows, is a benchmark. JAX computes on `device` when
it is called, in the processes that it starts, too; most benchmarks need not look at it. On a GPU a plain run is that of `ON_GPU`;
`--only` asks for others. A row has `work`, `ours_s`, `solved`, `max_residual`, and where a peer is installed `peer`, `peer_s`,
`ratio`, `bar`; and the commit it was measured at: `--only` replaces the rows of the named benchmarks and keeps the others,
`--models` replaces those of the same work. The file is written after each row.
"""

import argparse
import importlib
import json
import pkgutil
import sys
import traceback
from pathlib import Path

from benchmarks.timing import environment, use

FOLDER = Path(__file__).parent
# Modules that measure nothing themselves.
PARTS = ("__main__", "limits", "operations", "timing")
ON_GPU = ("accelerator", "crossover")
# Options and the benchmarks that take them.
OPTIONS = {"points": ("accelerator",), "budget_s": ("accelerator", "crossover"), "models": ("crossover", "policy")}


def benchmarks() -> list[str]:
    """Names of the benchmark modules."""
    return sorted(m.name for m in pkgutil.iter_modules([str(FOLDER)]) if m.name not in PARTS and not m.ispkg)


def kept_rows(path: Path, chosen: list[str], device: str) -> list[dict]:
    """Rows of an earlier run on the same kind of device that this run does not replace; each carries its own commit."""
    if not path.exists():
        return []
    earlier = json.loads(path.read_text(encoding="utf-8"))
    if earlier["environment"]["device"] != device:
        return []
    commit = earlier["environment"]["commit"]
    return [{"commit": commit, **row} for row in earlier["rows"] if row["benchmark"] not in chosen]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--only", default="", help="comma-separated: " + ", ".join(benchmarks()))
    parser.add_argument("-o", "--output", default=None, help="JSON file; default benchmarks/results/<device>.json")
    parser.add_argument("--points", type=int, help="points of the sweep of `accelerator`")
    parser.add_argument(
        "--budget", type=float, dest="budget_s", help="seconds that `accelerator` or `crossover` may take"
    )
    parser.add_argument("--models", type=_names, help="models of `crossover` or `policy`, comma-separated")
    args = parser.parse_args(argv)
    chosen = _names(args.only) or (list(ON_GPU) if args.device == "gpu" else benchmarks())
    problems = [
        f"no benchmark {n}; there are {', '.join(benchmarks())}" for n in sorted(set(chosen) - set(benchmarks()))
    ]
    options = {n: v for n in OPTIONS if (v := getattr(args, n)) is not None}
    problems += [f"{n} is for {', '.join(OPTIONS[n])}" for n in options if not set(OPTIONS[n]) & set(chosen)]
    problems += [f"{n} = {options[n]} must be above 0" for n in ("points", "budget_s") if options.get(n, 1) <= 0]
    if why_not := use(args.device):
        problems.append(why_not)
    if problems:
        parser.error("; ".join(problems))

    path = Path(args.output or FOLDER / "results" / f"{args.device}.json")
    where, failed = environment(args.device), False
    for name in chosen:
        sys.stderr.write(f"{name} ...\n")
        wanted = {n: v for n, v in options.items() if name in OPTIONS[n]}
        earlier, fresh = kept_rows(path, [] if "models" in wanted else [name], args.device), []
        try:
            for row in importlib.import_module(f"benchmarks.{name}").measure(args.device, **wanted):
                fresh.append({"benchmark": name, **row, "commit": where["commit"]})
                sys.stderr.write("  " + json.dumps(fresh[-1], default=float) + "\n")
                _write(path, where, earlier, fresh)
        except Exception as error:  # one benchmark that fails must not lose the others
            traceback.print_exc()
            what = f"{type(error).__name__}: {error}"
            fresh.append({"benchmark": name, "work": name, "error": what, "commit": where["commit"]})
            _write(path, where, earlier, fresh)
            failed = True
    sys.stderr.write(f"wrote {path}\n")
    return 1 if failed else 0


def _write(path: Path, where: dict, earlier: list[dict], fresh: list[dict]) -> None:
    """Write the earlier rows, but for those of the same work, and the fresh ones."""
    done = {(row["benchmark"], row["work"]) for row in fresh}
    rows = [row for row in earlier if (row["benchmark"], row["work"]) not in done] + fresh
    rows.sort(key=lambda row: row["benchmark"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"environment": where, "rows": rows}, indent=1, default=float) + "\n", encoding="utf-8")


def _names(text: str) -> list[str]:
    """Names of a comma-separated list."""
    return [n.strip() for n in text.split(",") if n.strip()]


if __name__ == "__main__":
    sys.exit(main())
