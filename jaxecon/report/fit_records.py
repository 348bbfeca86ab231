"""Fits that ship with a model: what was free, what was met and missed, what is identified; read from `models/<name>/fits/*.toml`.

A fit takes minutes, so the report shows stored results. They are written by `python -m calibration.package_data`, and a slow test
computes the moments again at the stored estimates.
"""

import dataclasses
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

from jaxecon.analysis.context import read_context
from jaxecon.analysis.evidence import Context
from jaxecon.core.errors import InputError
from jaxecon.core.model import Model

# Files beside the fits that are none.
OTHERS = ("claims.toml", "context.toml")


@dataclasses.dataclass(frozen=True)
class FreeParameter:
    """One free parameter: its range, its value in the base set, the estimate with its standard error (NaN where not identified)."""

    name: str
    unit: str
    lo: float
    hi: float
    given: float
    estimate: float
    standard_error: float
    at_bound: str = ""


@dataclasses.dataclass(frozen=True)
class MomentRow:
    """One target against the model: `before` at the base set, `model` at the estimate, `error` in standard errors of the target."""

    target: str
    moment: str
    unit: str
    value: float
    standard_error: float
    before: float
    model: float
    use: str
    grade: str
    source: str
    year: int = 0
    judgment: str = ""
    note: str = ""

    @property
    def error(self) -> float:
        """Model less target, in standard errors; NaN where the target has none."""
        return (self.model - self.value) / self.standard_error if self.standard_error > 0 else math.nan


@dataclasses.dataclass(frozen=True)
class BasinRow:
    """A minimum that starts have found: its distance, their share, how far apart their ends lie (largest share of a range), and where."""

    value: float
    share: float
    extent: float
    theta: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class FitRecord:
    """A stored fit.

    **Attributes**

    - `value`, `dof`, `p_value`: weighted distance at the minimum (J), degrees of freedom, chance of a larger one (NaN at 0 dof).
    - `starts`, `basins`: starts, and the minima that they found, best first; `failed`, `elsewhere`, `unsettled`: shares of starts at which
      the model is not solved, that came to rest in none of them, or still moved when their steps were spent (NaN and minima without
      place in older records).
    - `gradient`: largest projected gradient at the estimate; `rank`: of the Jacobian of moments.
    - `singular_values`: of the Jacobian in standard errors by shares of the ranges; `weakest`: weights of the
      parameters in the combination that moves the moments least. Both of parameters that are not held at an end of their range.
    - `shifts`: what a rise of each target by one standard error does to each estimate (Andrews, Gentzkow and Shapiro),
      `{parameter: {target: shift}}`; `informativeness`: share of the variance of each estimate that each target explains alone, likewise.
    - `intervals`: of 95 % by the profile likelihood, `{parameter: (lower, upper)}`, NaN where it reaches the end of the range; empty where
      that was not computed.
    - `targets_hash`: of the evidence that was read (`evidence.hash_of`).
    """

    name: str
    model: str
    doc: str
    base: str
    method: str
    starts: int
    seed: int
    draws: int
    value: float
    dof: int
    p_value: float
    gradient: float
    rank: int
    basins: tuple[BasinRow, ...]
    singular_values: tuple[float, ...]
    weakest: Mapping[str, float]
    shifts: Mapping[str, Mapping[str, float]]
    parameters: tuple[FreeParameter, ...]
    moments: tuple[MomentRow, ...]
    targets_hash: str = ""
    failed: float = 0.0
    elsewhere: float = 0.0
    unsettled: float = 0.0
    informativeness: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ClaimRow:
    """Margin of a claim, or of a part of one, at each named set: positive where it holds; NaN where it was not evaluated."""

    id: str
    expectation: str
    statement: str
    margins: Mapping[str, float]


def _folder(model: Model) -> Any:
    return resources.files("jaxecon.models") / model.name / "fits"


def read_fits(model: Model) -> list[FitRecord]:
    """The fits that ship with a model, by name; none for a model without the folder."""
    folder = _folder(model)
    if not folder.is_dir():
        return []
    files = sorted(x.name for x in folder.iterdir() if x.name.endswith(".toml") and x.name not in OTHERS)
    return [parse_fit((folder / name).read_text(encoding="utf-8")) for name in files]


def read_claims(model: Model) -> list[ClaimRow]:
    """Claims under the named sets that ship with a model."""
    file = _folder(model) / "claims.toml"
    if not file.is_file():
        return []
    return [ClaimRow(**row) for row in tomllib.loads(file.read_text(encoding="utf-8")).get("claim", [])]


def claims_left_out(model: Model) -> dict[str, str]:
    """Claims that are not checked under the named sets, and why."""
    file = _folder(model) / "claims.toml"
    return dict(tomllib.loads(file.read_text(encoding="utf-8")).get("left_out", {})) if file.is_file() else {}


def stored_context(model: Model) -> list[Context]:
    """The evidence that no moment of a model measures, a copy of what its targets keep; none for a model without the file."""
    file = _folder(model) / "context.toml"
    entries = tomllib.loads(file.read_text(encoding="utf-8")).get("context", []) if file.is_file() else []
    problems, found = read_context(entries)
    if problems:
        raise InputError(problems, str(file))
    return list(found.values())


def context_to_toml(rows: Iterable[Context]) -> str:
    """The TOML of evidence that no moment measures, as `stored_context` reads it."""
    return "\n".join(_table("[[context]]", _entry(c)) for c in rows)


def _entry(c: Context) -> dict[str, Any]:
    if c.dates:
        numbers: dict[str, Any] = {"path": list(zip(c.dates, c.values, strict=True))}
    else:
        numbers = dict(zip(("lo", "hi"), c.values, strict=True)) if len(c.values) == 2 else {"value": c.values[0]}
    words = {k: getattr(c, k) for k in ("unit", "year", "source", "grade", "reason")}
    return {"name": c.name, **numbers, **words}


def parse_fit(text: str) -> FitRecord:
    """A stored fit from its TOML."""
    data = tomllib.loads(text)
    found: dict[str, Any] = {**data["fit"], **data["identification"]}
    found["singular_values"] = tuple(found["singular_values"])
    found["intervals"] = {n: (float(a), float(b)) for n, (a, b) in found["intervals"].items()}
    found["basins"] = tuple(BasinRow(**x) for x in data["basin"])
    found["parameters"] = tuple(FreeParameter(**x) for x in data["parameter"])
    found["moments"] = tuple(MomentRow(**x) for x in data["moment"])
    return FitRecord(**found)


IDENTIFICATION = ("rank", "singular_values", "weakest", "shifts", "informativeness", "intervals")
# Numbers at which the model is computed again are stored with all digits, others with DIGITS.
EXACT, DIGITS = ("estimate", "theta"), 8


def fit_to_toml(record: FitRecord) -> str:
    """The TOML of a fit; `parse_fit` is its inverse."""
    plain = dataclasses.asdict(record)
    lists = {k: plain.pop(k + "s") for k in ("basin", "parameter", "moment")}
    identification = {k: plain.pop(k) for k in IDENTIFICATION}
    parts = [_table("[fit]", plain), _table("[identification]", identification)]
    parts += [_table(f"[[{name}]]", x) for name, rows in lists.items() for x in rows]
    return "\n".join(parts)


def claims_to_toml(rows: Sequence[ClaimRow], left_out: Mapping[str, str] | None = None) -> str:
    """The TOML of claims under named sets; `left_out`: ids of those that were not checked, and why."""
    parts = [_table("[left_out]", left_out)] if left_out else []
    return "\n".join(parts + [_table("[[claim]]", dataclasses.asdict(x)) for x in rows])


def _table(head: str, values: Mapping[str, Any]) -> str:
    lines = (f"{_key(k)} = {_literal(v, 17 if k in EXACT else DIGITS)}" for k, v in values.items())
    return "\n".join([head, *lines, ""])


def _literal(value: Any, digits: int = DIGITS) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(k)} = {_literal(v, digits)}" for k, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_literal(v, digits) for v in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
        return repr(float(f"{value:.{digits}g}"))
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _literal(name)
