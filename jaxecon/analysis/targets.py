"""Evidence as data: targets of a calibration and named fits (`evidence`), read from TOML and validated with every error at once."""

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxecon.analysis.context import read_context, year_problem
from jaxecon.analysis.designs import inputs_of, range_problem
from jaxecon.analysis.evidence import COMPARISONS, FitSpec, Place, Target, Targets, covariance_of, hash_of
from jaxecon.analysis.sourced_priors import read_priors
from jaxecon.core.errors import InputError, did_you_mean, name_problems
from jaxecon.core.fields import GRADES, fields_of
from jaxecon.core.inputs import check_values, known_regime, set_names
from jaxecon.core.model import Model

METHODS = ("gmm", "smm", "ml", "nuts", "smc", "abc")
POINT_KEYS = ("policy", "params", "scale", "regime")
TARGET_KEYS = (
    "name", "moment", "value", "standard_error", "unit", "year", "source", "grade", "judgment", "reported", *POINT_KEYS,
    "compare", "against", "use", "set", "note",
)  # fmt: skip
FIT_KEYS = ("doc", "free", "base", "targets", "method", "params", "policy", "regime")


def moment_units(model: Model) -> dict[str, str]:
    """Unit of every number that data can be compared with: outcomes and `Model.moments`."""
    units = {n: f.unit for n, f in fields_of(model.Outcomes).items()}
    for group in model.moments.values():
        units |= {n: about[0] for n, about in group.about.items()}
    return units


def read_targets(model: Model, source: str | Path) -> Targets:
    """Targets and fits of a model from a TOML file (a path, or a name that ends in `.toml`) or from its text.

    Tables: `[model]` (name), `[[target]]` (see `Target`), `[[correlation]]` (between = [a, b], value), `[fit.NAME]` (see
    `FitSpec`; `free` maps fields to `[lo, hi]`), `[prior.PARAMETER]` (see `SourcedPrior`), `[[context]]` (see `Context`; `value`, or `lo`
    and `hi`, or `path`, pairs `[year, value]`). A fitted target needs its year, its grade, and a judgment or `reported = true`. Raises `InputError`, which names every wrong entry at once.
    """
    text, where = _text_of(source)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError([f"{where} is not valid TOML: {error}; mend it there"], "the targets") from None
    known = ("model", "target", "correlation", "fit", "prior", "context")
    problems = [f"[{k}] is no table of targets; {did_you_mean(k, known)}" for k in data if k not in known]
    head, entries, pairs, tables, beliefs, rest = (data.get(k, e) for k, e in zip(known, ({}, [], [], {}, {}, [])))
    for word, value, kind, example in (
        ("model", head, dict, "[model]"), ("target", entries, list, "[[target]]"),
        ("correlation", pairs, list, "[[correlation]]"), ("fit", tables, dict, "[fit.NAME]"),
        ("prior", beliefs, dict, "[prior.PARAMETER]"), ("context", rest, list, "[[context]]"),
    ):  # fmt: skip
        items = value if isinstance(value, list) else list(value.values()) if word in ("fit", "prior") and value else []
        if not isinstance(value, kind) or any(not isinstance(x, dict) for x in items):
            raise InputError([f"{word} must be written as {example}"], where)
    if head.get("name", model.name) != model.name:
        problems.append(
            f"the targets are for model {head['name']!r}, not {model.name!r}; give the file of {model.name}"
        )
    if not entries:
        problems.append("there is no [[target]]; give at least one")
    targets: dict[str, Target] = {}
    seen = [entry.get("name") for entry in entries]
    for place, entry in enumerate(entries, 1):
        label = f"target {entry['name']!r}" if isinstance(entry.get("name"), str) else f"target number {place}"
        wrong, target = _target(model, entry, label)
        problems += wrong
        if target is not None:
            targets[target.name] = target
    problems += [
        f"{seen.count(n)} targets are named {n!r}; give each its own name (sources that disagree are both kept)"
        for n in sorted({n for n in seen if isinstance(n, str) and seen.count(n) > 1})
    ]
    named = {n for n in seen if isinstance(n, str)}
    correlations = _correlations(pairs, named, targets, problems)
    fits = {}
    for name, table in tables.items():
        wrong, fit = _fit(model, name, table, targets, named)
        problems += wrong
        if fit is not None:
            fits[name] = fit
    wrong, priors = read_priors(model, beliefs, fits, set(tables))
    problems += wrong
    wrong, context = read_context(rest, named)
    problems += wrong
    if problems:
        raise InputError(problems, where)
    return Targets(model.name, targets, fits, correlations, hash_of(targets, fits, correlations), priors, context)


def _text_of(source: str | Path) -> tuple[str, str]:
    if isinstance(source, str) and ("\n" in source or not source.endswith(".toml")):
        return source, "the targets"
    try:
        return Path(source).read_text(encoding="utf-8"), str(source)
    except (OSError, UnicodeDecodeError) as error:
        message = f"{source} cannot be read: {error}; give the path of a readable TOML file"
        raise InputError([message], "the targets") from None


def _number(value: Any) -> float | None:
    ok = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if ok else None


def place_of(model: Model, table: Any, label: str) -> tuple[list[str], Place]:
    """Where a moment is read, from its keys, and what is wrong with them."""
    if not isinstance(table, Mapping):
        return [f"{label}: against = {table!r} must be a table such as {{ policy = {{}}, params = {{}} }}"], Place()
    parts = {k: table.get(k, {}) for k in ("policy", "params", "scale")}
    problems = [
        f"{label}: {k} = {v!r} must be a table of name = value" for k, v in parts.items() if not isinstance(v, dict)
    ]
    if problems:
        return problems, Place()
    policy, params, scale = parts.values()
    problems += [f"{label}: {x}" for x in check_values(model, policy, ("instrument",))]
    problems += [f"{label}: {x}" for x in check_values(model, params, ("parameter",))]
    real = [n for n, f in inputs_of(model).items() if f.kind == "real"]
    problems += [f"{label}: scale: {x}" for x in name_problems(scale, real, f"real parameter of {model.name}")]
    problems += [
        f"{label}: scale {n} = {v!r} must be a factor above 0" for n, v in scale.items() if (_number(v) or 0) <= 0
    ]
    if "regime" in table:
        try:
            policy = {**known_regime(model, str(table["regime"])), **policy}
        except InputError as error:
            problems += [f"{label}: {x}" for x in error.problems]
    return problems, Place(*(tuple(sorted(x.items())) for x in (policy, params, scale)))


def _target(model: Model, entry: Mapping[str, Any], label: str) -> tuple[list[str], Target | None]:
    units = moment_units(model)
    problems = [
        f"{label}: {k!r} is no key of a target; {did_you_mean(k, TARGET_KEYS)}" for k in entry if k not in TARGET_KEYS
    ]
    use, compare = entry.get("use", "fit"), entry.get("compare", "level")
    needed = ("name", "moment", "value", "unit", "source")
    needed += ("standard_error", "year", "grade") if use == "fit" else ()
    hints = {"standard_error": ", with its reason as judgment if the source reports none", "year": ", that of the source",
             "grade": f": {', '.join(GRADES)}"}  # fmt: skip
    problems += [f"{label}: {k} is missing; give it{hints.get(k, '')}" for k in needed if k not in entry]
    reported = entry.get("reported", False)
    if not isinstance(reported, bool):
        problems.append(f"{label}: reported = {reported!r} must be true or false")
    elif "standard_error" in entry and use == "fit" and not reported and not str(entry.get("judgment", "")).strip():
        problems.append(
            f"{label}: standard_error has no reason; give it as judgment, or say reported = true where the source reports it"
        )
    for key in ("name", "moment", "unit", "source", "judgment", "note"):
        if key in entry and (not isinstance(entry[key], str) or (key in needed and not entry[key].strip())):
            problems.append(f"{label}: {key} = {entry[key]!r} must be text")
    for key, allowed in (("use", ("fit", "check")), ("compare", COMPARISONS), ("grade", tuple(GRADES))):
        if key in entry and entry[key] not in allowed:
            problems.append(f"{label}: {key} = {entry[key]!r} is none of {', '.join(allowed)}; choose one of them")
    value, error = _number(entry.get("value", 0.0)), _number(entry.get("standard_error", 1.0))
    if value is None:
        problems.append(f"{label}: value = {entry['value']!r} is not a finite number; give the measured number")
    if error is None or error <= 0:
        problems.append(
            f"{label}: standard_error = {entry['standard_error']!r} must be a finite number above 0; a number known without error "
            'is a restriction: set the parameter, or say use = "check"'
        )
        error = None
    year = entry.get("year")
    problems += year_problem(label, year) if year is not None else []
    sets = entry.get("set", [])
    sets = [sets] if isinstance(sets, str) else sets
    if not isinstance(sets, list) or any(not isinstance(s, str) for s in sets):
        problems.append(f"{label}: set = {sets!r} must be a list of names")
    problems += _moment_problems(model, units, entry, label, value)
    wrong, place = place_of(model, entry, label)
    problems += wrong
    against = None
    if compare != "level":
        wrong, against = place_of(model, entry.get("against", {}), label)
        problems += [f"{label}: against: {k!r} is unknown; {did_you_mean(k, POINT_KEYS)}"
                     for k in entry.get("against", {}) if k not in POINT_KEYS]  # fmt: skip
        problems += wrong
        if not wrong and against == place:
            problems.append(f"{label}: {compare} needs two places that differ; say in against what was different")
        if compare == "elasticity" and not wrong and len(_changed(place, against)) != 1:
            names = ", ".join(sorted(_changed(place, against))) or "none"
            problems.append(
                f"{label}: elasticity needs exactly one field that differs from against; differing: {names}"
            )
    elif "against" in entry:
        problems.append(
            f"{label}: against is given, but compare is 'level'; choose one of {', '.join(COMPARISONS[1:])}"
        )
    if problems:
        return problems, None
    return [], Target(
        entry["name"], entry["moment"], value or 0.0, error if "standard_error" in entry and error else math.nan, entry["unit"],
        entry["source"], year, entry.get("grade", "E"), entry.get("judgment", ""), place, compare, against, use,
        tuple(sets), entry.get("note", ""), reported,
    )  # fmt: skip


def _changed(one: Place, two: Place) -> set[str]:
    """Fields that differ between two places."""
    first, second = ({(k, *x) for k in ("policy", "params", "scale") for x in getattr(p, k)} for p in (one, two))
    return {name for _, name, _ in first ^ second}


def _moment_problems(
    model: Model, units: Mapping[str, str], entry: Mapping[str, Any], label: str, value: float | None
) -> list[str]:
    """An unknown moment, a unit that is not the moment's, a level that the moment cannot take."""
    moment, unit, compare = entry.get("moment"), entry.get("unit"), entry.get("compare", "level")
    if not isinstance(moment, str):
        return []
    if moment not in units:
        return [f"{label}: {moment!r} is no moment of {model.name}; {did_you_mean(moment, units)}"]
    problems, wanted = [], units[moment] if compare in ("level", "difference") else "1"
    if isinstance(unit, str) and unit != wanted:
        what = (
            f"{moment} is measured in" if wanted == units[moment] else f"the {compare} of {moment} is a pure number, in"
        )
        problems.append(f"{label}: unit = {unit!r}, but {what} {wanted!r}; convert the value and its standard error")
    field = fields_of(model.Outcomes).get(moment)
    if (
        field is not None
        and compare == "level"
        and value is not None
        and not field.bounds[0] <= value <= field.bounds[1]
    ):
        lo, hi = field.bounds
        problems.append(f"{label}: value = {value:g} is outside the range [{lo:g}, {hi:g}] of {moment}; check its unit")
    return problems


def _correlations(
    pairs: Any, named: set[str], targets: Mapping[str, Target], problems: list[str]
) -> dict[tuple[str, str], float]:
    """Correlations between the errors of targets; adds to `problems`."""
    found: dict[tuple[str, str], float] = {}
    before = len(problems)
    for entry in pairs:
        problems += [f"[[correlation]] {k!r} is unknown; {did_you_mean(k, ['between', 'value', 'source'])}"
                     for k in entry if k not in ("between", "value", "source")]  # fmt: skip
        both, value = entry.get("between"), _number(entry.get("value"))
        if not isinstance(both, list) or len(both) != 2 or len(set(map(str, both))) != 2:
            problems.append(f"[[correlation]] between = {both!r} must name two targets")
            continue
        problems += [f"[[correlation]] {x}" for x in name_problems(map(str, both), named, "target")]
        if value is None or not -1 < value < 1:
            problems.append(
                f"[[correlation]] between {both}: value = {entry.get('value')!r} must be a number inside (-1, 1)"
            )
        elif tuple(both[::-1]) in found or tuple(both) in found:
            problems.append(f"the correlation between {both[0]!r} and {both[1]!r} is given twice; give it once")
        else:
            found[both[0], both[1]] = value
    if found and len(problems) == before and {n for pair in found for n in pair} <= targets.keys():
        chosen = [
            dataclasses.replace(targets[n], standard_error=1.0) for n in sorted({n for pair in found for n in pair})
        ]
        smallest = float(np.linalg.eigvalsh(covariance_of(chosen, found))[0])
        if smallest <= 0:
            problems.append(
                f"the correlations contradict each other: the smallest eigenvalue of their matrix is {smallest:.3g}, "
                "must be above 0; shrink them or give the missing ones"
            )
    return found


def free_problems(
    model: Model, free: Mapping[str, Any], label: str
) -> tuple[list[str], dict[str, tuple[float, float]]]:
    """The ranges of free parameters, and what is wrong with them."""
    known = {n: f for n, f in inputs_of(model).items() if f.kind == "real"}
    problems = [
        f"{label}: free: {x}" for x in name_problems(free, known, f"real parameter or instrument of {model.name}")
    ]
    ranges = {}
    for name, interval in free.items():
        pair: Any = [interval.get("lo"), interval.get("hi")] if isinstance(interval, dict) else interval
        if name in known:
            if why := range_problem(known[name], pair):
                problems.append(f"{label}: free: {why}")
            else:
                ranges[name] = (float(pair[0]), float(pair[1]))
    return problems, ranges


def _fit(
    model: Model, name: str, table: Mapping[str, Any], targets: Mapping[str, Target], named: set[str]
) -> tuple[list[str], FitSpec | None]:
    label = f"[fit.{name}]"
    problems = [f"{label} {k!r} is unknown; {did_you_mean(k, FIT_KEYS)}" for k in table if k not in FIT_KEYS]
    free, base, method = table.get("free"), table.get("base"), table.get("method", "gmm")
    ranges: dict[str, tuple[float, float]] = {}
    if not isinstance(free, dict) or not free:
        problems.append(f"{label} free = {free!r} must be a table of at least one field = [lo, hi]")
    else:
        wrong, ranges = free_problems(model, free, label)
        problems += wrong
    if base is not None and base not in set_names(model):
        problems.append(
            f"{label} base = {base!r} is no set of {model.name}; {did_you_mean(str(base), set_names(model))}"
        )
    if method not in METHODS:
        problems.append(f"{label} method = {method!r} is none of {', '.join(METHODS)}; choose one of them")
    chosen = table.get("targets")
    if chosen is None:
        chosen = [t.name for t in targets.values() if t.use == "fit" and (not t.sets or {name, base} & set(t.sets))]
    elif not isinstance(chosen, list):
        problems.append(f"{label} targets = {chosen!r} must be a list of names")
        chosen = []
    else:
        problems += [f"{label} targets: {x}" for x in name_problems(map(str, chosen), named, "target")]
        problems += [f"{label} target {n!r} has no standard error; give it one" for n in chosen
                     if n in targets and math.isnan(targets[n].standard_error)]  # fmt: skip
    # Simulated moments of agents may be fewer than the parameters: that fit says which combinations they leave open.
    if isinstance(free, dict) and len(free) > len(chosen) and len(targets) == len(named) and method != "smm":
        problems.append(
            f"{label} has {len(free)} free parameters ({', '.join(free)}) and {len(chosen)} moments; free at most as many as there "
            "are moments, or add targets"
        )
    wrong, place = place_of(model, table, label)
    problems += wrong
    if problems:
        return problems, None
    return [], FitSpec(name, ranges, tuple(chosen), str(table.get("doc", "")), base, method, place)
