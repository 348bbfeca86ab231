"""Evidence that no moment measures, read from the tables `[[context]]` of a file of targets and validated with every error at once."""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jaxecon.analysis.evidence import Context
from jaxecon.core.errors import did_you_mean
from jaxecon.core.fields import GRADES

CONTEXT_KEYS = ("name", "value", "lo", "hi", "path", "unit", "year", "source", "grade", "reason")
TEXTS = ("name", "unit", "source", "reason")
# Years that evidence can be from.
YEARS = (1900, 2100)


def year_problem(label: str, year: Any) -> list[str]:
    """What is wrong with a year, none if nothing is."""
    lo, hi = YEARS
    if isinstance(year, int) and not isinstance(year, bool) and lo <= year <= hi:
        return []
    return [
        f"{label}: year = {year!r} must be a whole number such as 2025, in [{lo}, {hi}]; give the year of the source"
    ]


def read_context(entries: Sequence[Mapping[str, Any]], taken: Collection[str] = ()) -> tuple[list[str], dict[str, Context]]:  # fmt: skip
    """What is wrong with the tables, and the evidence by name; `taken`: names of targets, which it must not repeat."""
    problems: list[str] = []
    found: dict[str, Context] = {}
    seen = [e.get("name") for e in entries]
    for place, entry in enumerate(entries, 1):
        name = entry.get("name")
        label = f"context {name!r}" if isinstance(name, str) else f"context number {place}"
        wrong = [f"{label}: {k!r} is no key of a context; {did_you_mean(k, CONTEXT_KEYS)}"
                 for k in entry if k not in CONTEXT_KEYS]  # fmt: skip
        wrong += [f"{label}: {k} is missing; give it" for k in (*TEXTS, "grade") if k not in entry]
        wrong += [f"{label}: {k} = {entry[k]!r} must be text"
                  for k in TEXTS if k in entry and not (isinstance(entry[k], str) and entry[k].strip())]  # fmt: skip
        if "grade" in entry and entry["grade"] not in tuple(GRADES):
            wrong.append(f"{label}: grade = {entry['grade']!r} is none of {', '.join(GRADES)}; choose one of them")
        if isinstance(name, str) and name in taken:
            wrong.append(f"{label}: a target has this name; give the context another one")
        if isinstance(name, str) and name in seen[: place - 1]:
            wrong.append(f"{label}: the name is given {seen.count(name)} times; give each its own name")
        more, dates, values = _numbers(entry, label)
        wrong += more
        year = entry.get("year", math.floor(dates[-1]) if dates else 0)
        if "year" in entry or dates:
            wrong += year_problem(label, year)
        elif "path" not in entry:
            wrong.append(f"{label}: year is missing; give the year of the source")
        problems += wrong
        if not wrong:
            found[entry["name"]] = Context(
                entry["name"], values, entry["unit"], entry["source"], year, entry["reason"], entry["grade"], dates
            )
    return problems, found


def _numbers(entry: Mapping[str, Any], label: str) -> tuple[list[str], tuple[float, ...], tuple[float, ...]]:
    """Problems, dates of a path and numbers of an entry that gives one of value, lo with hi, path."""
    given = [k for k in ("value", "lo", "hi", "path") if k in entry]
    if given not in (["value"], ["lo", "hi"], ["path"]):
        return [f"{label}: {', '.join(given) or 'nothing'} is given; give value, or lo and hi, or path alone"], (), ()
    if given != ["path"]:
        problems = [f"{label}: {k} = {entry[k]!r} is not a finite number; give the measured number"
                    for k in given if not _finite(entry[k])]  # fmt: skip
        if not problems and given == ["lo", "hi"] and not entry["lo"] < entry["hi"]:
            problems.append(f"{label}: the range [{entry['lo']:g}, {entry['hi']:g}] is empty; lo must be below hi")
        return problems, (), () if problems else tuple(float(entry[k]) for k in given)
    path = entry["path"]
    pairs = isinstance(path, list) and len(path) > 1 and all(isinstance(x, list) and len(x) == 2 for x in path)
    if not pairs or not all(_finite(x) for pair in path for x in pair):
        return [f"{label}: path = {path!r} must be at least two pairs [year, value] of finite numbers"], (), ()
    dates, values = (tuple(map(float, column)) for column in zip(*path, strict=True))
    if any(a >= b for a, b in itertools.pairwise(dates)) or not YEARS[0] <= dates[0] <= dates[-1] < YEARS[1] + 1:
        return [f"{label}: years of path = {list(dates)} must rise within [{YEARS[0]}, {YEARS[1]}]; sort them"], (), ()
    return [], dates, values


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
