"""Run the benchmarks and write JSON with device, versions and commit.

    python -m benchmarks [--device cpu|gpu] [--only sweep,gradient,...] [-o results.json]

Each module of this folder with a function `measure(device) -> list[dict]` is a benchmark. A row has
`work`, `ours_s`, `solved`, `max_residual`, and where a peer is installed `peer`, `peer_s`, `ratio`, `bar`; and the commit it was
measured at: `--only` replaces the rows of the named benchmarks and keeps the others.
"""

import argparse
import importlib
import json
import pkgutil
import sys
import traceback
from pathlib import Path

from benchmarks.timing import environment

FOLDER = Path(__file__).parent


def benchmarks() -> list[str]:
    """Names of the benchmark modules."""
    skip = {"__main__", "timing"}
    return sorted(m.name for m in pkgutil.iter_modules([str(FOLDER)]) if m.name not in skip and not m.ispkg)


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
    args = parser.parse_args(argv)
    chosen = [n for n in args.only.split(",") if n] or benchmarks()
    unknown = sorted(set(chosen) - set(benchmarks()))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(benchmarks())}")

    path = Path(args.output or FOLDER / "results" / f"{args.device}.json")
    where = environment(args.device)
    rows = kept_rows(path, chosen, args.device)
    for name in chosen:
        sys.stderr.write(f"{name} ...\n")
        try:
            measured = importlib.import_module(f"benchmarks.{name}").measure(args.device)
        except Exception as error:  # one benchmark that fails must not lose the others
            traceback.print_exc()
            measured = [{"work": name, "error": f"{type(error).__name__}: {error}"}]
        for row in measured:
            row = {"benchmark": name, **row, "commit": where["commit"]}
            sys.stderr.write("  " + json.dumps(row, default=float) + "\n")
            rows.append(row)
    rows.sort(key=lambda row: row["benchmark"])
    result = {"environment": where, "rows": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, default=float) + "\n", encoding="utf-8")
    sys.stderr.write(f"wrote {path}\n")
    return 1 if any("error" in r for r in rows if r["benchmark"] in chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
