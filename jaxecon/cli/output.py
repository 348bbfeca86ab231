"""What a command gives back: tables for people, JSON and CSV for machines, progress on standard error."""

import argparse
import csv
import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from jaxecon.core.errors import InputError

FORMATS = {"sweep": (".zarr", ".json", ".csv", ".parquet"), "report": (".html",)}
# Seconds between two lines of progress where there is no terminal.
QUIET = 30.0
DEFAULT_FORMATS = (".json", ".csv")
# Commands whose result is a labelled dataset.
LABELLED = ("constrained", "optima", "robust", "pareto", "plan", "complements", "split", "slopes", "threshold", "curve",
            "distance", "multiplicity", "sensitivity")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: title, column names, rows of cells."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command found: `payload` for JSON, `tables` for people, `records` for CSV, the exit code.

    `written`: paths the command has written itself; `notes`: lines below the tables; `dataset`: for Parquet.
    """

    payload: Any
    tables: Sequence[Table]
    records: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    code: int = 0
    written: Sequence[str] = ()
    dataset: Any = None


def plain(value: Any) -> Any:
    """A value that strict JSON accepts: arrays as lists, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return plain(np.asarray(value).tolist())


def check_target(args: argparse.Namespace) -> None:
    """Refuse an output that cannot be written, before anything is computed."""
    if not args.output:
        return
    path = Path(args.output)
    formats = FORMATS.get(args.command, (*DEFAULT_FORMATS, ".parquet") if args.command in LABELLED else DEFAULT_FORMATS)
    problems = []
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        problems.append(f"{args.output!r} needs pyarrow: pip install 'jaxecon[tables]'")
    if path.suffix not in formats:
        problems.append(f"{args.output!r} has no suffix that {args.command} can write; choose {', '.join(formats)}")
    parent = path.parent
    if not parent.is_dir():
        problems.append(f"the folder {str(parent)!r} of {args.output!r} does not exist; create it first")
    elif not os.access(parent, os.W_OK | os.X_OK):
        problems.append(f"the folder {str(parent)!r} is not writable; choose another place")
    elif path.suffix != ".zarr" and path.is_dir():
        problems.append(f"{args.output!r} is a folder; name a file")
    elif path.suffix != ".zarr":
        existed = path.exists()
        try:
            with path.open("a", encoding="utf-8"):
                pass
            if not existed:
                path.unlink()
        except OSError as error:
            problems.append(f"{args.output!r} cannot be written: {error.strerror}")
    if problems:
        raise InputError(problems, "the output")


def deliver(result: Result, args: argparse.Namespace) -> None:
    """Write the file that was asked for, then JSON or tables to standard output."""
    written = list(result.written)
    if args.output and args.output not in written:
        path = Path(args.output)
        if path.suffix == ".json":
            path.write_text(_json(result.payload) + "\n", encoding="utf-8")
        elif path.suffix == ".parquet":
            from jaxecon.analysis.export import to_parquet

            to_parquet(result.dataset, path)
        else:
            _write_csv(path, result.records)
        written.append(args.output)
    if args.json:
        sys.stdout.write(_json(result.payload) + "\n")
        sys.stdout.flush()
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False)
    for table in result.tables:
        drawn = RichTable(title=Text(table.title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
        for k, name in enumerate(table.columns):
            numeric = bool(table.rows) and all(isinstance(row[k], (int, float)) or row[k] is None for row in table.rows)
            drawn.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in table.rows:
            drawn.add_row(*(Text(_cell(c)) for c in row))
        console.print(drawn)
    for line in [*result.notes, *(f"wrote {w}" for w in written)]:
        console.print(Text(line))


def _json(payload: Any) -> str:
    return json.dumps(plain(payload), indent=1, allow_nan=False, ensure_ascii=False)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_cell(v) for v in value)
    return str(value)


def _write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(k for record in records for k in record))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for record in records:
            writer.writerow({k: "" if (c := plain(v)) is None else c for k, v in record.items()})


def _info(info: Mapping[str, Any]) -> str:
    """What is known of a computation, in words."""
    shown = {k: f"{v:.3g}" if isinstance(v, float) else v for k, v in info.items() if k not in ("left", "solved")}
    if "solved" in info:
        # Not rounded up: all solved says 100%.
        shown = {"solved": f"{math.floor(1000 * info['solved']) / 10:g}%", **shown}
    return "  ".join(f"{k} {v}" for k, v in shown.items() if v not in (None, False))


def _duration(seconds: float | None) -> str:
    return "" if seconds is None or math.isnan(seconds) else f"left {timedelta(seconds=round(seconds))}"


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int, dict[str, Any]], None]]:
    """A progress callback with time left and what else is known: a bar on a terminal, elsewhere a line every `QUIET` seconds;
    on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[info]}"),
    )
    said = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, info="", left="")

        def update(done: int, total: int, info: dict[str, Any]) -> None:
            nonlocal said
            words, left = _info(info), _duration(info.get("left", bar.tasks[0].time_remaining))
            bar.update(task, completed=done, total=total, info=words[:60], left=left)
            if not console.is_terminal and time.monotonic() - said >= QUIET:
                said = time.monotonic()
                sys.stderr.write("  ".join(x for x in (f"{what}: {done} of {total}", left, words) if x) + "\n")
                sys.stderr.flush()

        yield update
