"""Priors of parameters from sources, read from the tables `[prior.NAME]` of a file of targets and validated with every error at once."""

import math
from collections.abc import Mapping
from typing import Any

from jaxecon.analysis.designs import inputs_of
from jaxecon.analysis.evidence import FitSpec, SourcedPrior
from jaxecon.core.errors import did_you_mean, name_problems
from jaxecon.core.fields import GRADES
from jaxecon.core.model import Model

PRIOR_KEYS = ("value", "standard_error", "unit", "source", "year", "grade", "judgment", "set", "note")
# A prior must reach the range of the parameter within so many standard errors.
REACH = 6


def read_priors(
    model: Model, tables: Mapping[str, Mapping[str, Any]], fits: Mapping[str, FitSpec], named: set[str]
) -> tuple[list[str], dict[str, SourcedPrior]]:
    """What is wrong with the tables, and the priors by parameter; `named`: fits of the file, good or not."""
    problems: list[str] = []
    found = {}
    known = {n: f for n, f in inputs_of(model).items() if f.kind == "real"}
    for name, table in tables.items():
        label = f"[prior.{name}]"
        wrong = [f"{label} {x}" for x in name_problems([name], known, f"real parameter or instrument of {model.name}")]
        wrong += [f"{label} {k!r} is unknown; {did_you_mean(k, PRIOR_KEYS)}" for k in table if k not in PRIOR_KEYS]
        needed = ("value", "standard_error", "unit", "source")
        wrong += [f"{label} {k} is missing; give it" for k in needed if k not in table]
        wrong += [
            f"{label} {k} = {table[k]!r} must be text"
            for k in ("unit", "source", "judgment", "note")
            if k in table and (not isinstance(table[k], str) or (k in needed and not table[k].strip()))
        ]
        value, error = (table.get(k, 1.0) for k in ("value", "standard_error"))
        if not _finite(value):
            wrong.append(f"{label} value = {value!r} is not a finite number; give the number of the source")
        if not _finite(error) or error <= 0:
            wrong.append(
                f"{label} standard_error = {error!r} must be a finite number above 0; a parameter known without error is set, not free"
            )
        if table.get("grade", "E") not in tuple(GRADES):
            wrong.append(f"{label} grade = {table['grade']!r} is none of {', '.join(GRADES)}; choose one of them")
        year = table.get("year")
        if year is not None and (not isinstance(year, int) or isinstance(year, bool)):
            wrong.append(f"{label} year = {year!r} must be a whole number such as 2025")
        sets = table.get("set", [])
        sets = [sets] if isinstance(sets, str) else sets
        if not isinstance(sets, list) or any(not isinstance(x, str) for x in sets):
            wrong.append(f"{label} set = {sets!r} must be a list of names of fits")
            sets = []
        wrong += [f"{label} set: {x}" for x in name_problems(sets, named, "fit of this file")]
        wrong += [
            f"{label} set: the fit {x!r} does not free {name}; leave it out"
            for x in sets
            if x in fits and name not in fits[x].free
        ]
        if name in known and isinstance(table.get("unit"), str) and table["unit"] != known[name].unit:
            wrong.append(
                f"{label} unit = {table['unit']!r}, but {name} is measured in {known[name].unit!r}; convert value and standard error"
            )
        if not wrong:
            wrong += [
                f"{label} {value:g} with standard error {error:g} lies outside the range [{lo:g}, {hi:g}] of the fit {f.name!r}; widen that"
                for f in fits.values() if name in f.free and (not sets or f.name in sets)
                for lo, hi in [f.free[name]] if not lo - REACH * error <= value <= hi + REACH * error
            ]  # fmt: skip
        problems += wrong
        if not wrong:
            found[name] = SourcedPrior(
                name, float(value), float(error), table["unit"], table["source"], year, table.get("grade", "E"),
                table.get("judgment", ""), tuple(sets), table.get("note", ""),
            )  # fmt: skip
    return problems, found


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
