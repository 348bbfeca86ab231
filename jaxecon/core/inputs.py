"""From what a user writes to validated parameters and policies; all errors at once."""

import dataclasses
import math
import numbers
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxecon.core.errors import InputError, did_you_mean
from jaxecon.core.fields import Field, fields_of
from jaxecon.core.model import Model, precision_of


@dataclasses.dataclass(frozen=True)
class NamedSet:
    """A named parameter set or reform: values by field name, with where they come from."""

    name: str
    doc: str
    source: str
    params: dict[str, Any]
    policy: dict[str, Any]


def _is_traced(value: Any) -> bool:
    return isinstance(value, jax.core.Tracer)


def field_problem(f: Field, value: Any, path_ok: bool = False) -> str | None:
    """Why `value` cannot be field `f`, with the remedy; `None` if it can."""
    lo, hi = f.bounds
    if f.kind == "choice":
        if value not in f.choices:
            allowed = ", ".join(map(repr, f.choices))
            return f"{f.name} = {value!r} is not one of {allowed}; {did_you_mean(str(value), map(str, f.choices))}"
        return None
    if f.kind == "integer":
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            return f"{f.name} = {value!r} must be a whole number in [{lo:g}, {hi:g}]"
        if not lo <= int(value) <= hi:
            return f"{f.name} = {value} is outside [{lo:g}, {hi:g}]; choose a whole number inside it"
        return None
    if _is_traced(value):
        return None
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return f"{f.name} = {value!r} is not a number; give a value in [{lo:g}, {hi:g}] ({f.unit})"
    if isinstance(value, (bool, str)):
        return f"{f.name} = {value!r} is not a number; give a value in [{lo:g}, {hi:g}] ({f.unit})"
    if array.ndim > (1 if path_ok else 0):
        shape = "a scalar or a path [T]" if path_ok else "a scalar"
        return f"{f.name} has shape {array.shape}; it must be {shape}. For many values use sweep or jax.vmap"
    if not np.all(np.isfinite(array)):
        return f"{f.name} = {value!r} is not finite; give a value in [{lo:g}, {hi:g}] ({f.unit})"
    if np.any(array < lo) or np.any(array > hi):
        bad = float(array[(array < lo) | (array > hi)][0]) if array.ndim else float(array)
        side = "raise" if bad < lo else "lower"
        return f"{f.name} = {bad:g} is outside [{lo:g}, {hi:g}] ({f.unit}); {side} it to at {'least' if bad < lo else 'most'} {lo if bad < lo else hi:g}"
    return None


def check_values(model: Model, values: Mapping[str, Any], roles: Iterable[str]) -> list[str]:
    """Problems of a mapping from field names to values, for the given roles."""
    roles = tuple(roles)
    known = {n: f for n, f in model.fields.items() if f.role in roles}
    problems = []
    for name, value in values.items():
        if name not in known:
            other = model.fields.get(name)
            if other is not None and other.role != "outcome":
                problems.append(f"{name!r} is one of the {other.role}s of {model.name}, not one of its {roles[0]}s")
            else:
                words = " or ".join(roles)
                problems.append(f"{name!r} is no {words} of {model.name}; {did_you_mean(name, known)}")
            continue
        why = field_problem(known[name], value, path_ok=known[name].role == "instrument")
        if why:
            problems.append(why)
    return problems


def split_values(model: Model, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sort values into parameters and instruments; raises `InputError` naming every wrong one."""
    problems = check_values(model, values, ("parameter", "instrument"))
    if problems:
        raise InputError(problems, f"the values for {model.name}")
    instruments = fields_of(model.Policy)
    return (
        {k: v for k, v in values.items() if k not in instruments},
        {k: v for k, v in values.items() if k in instruments},
    )


def _dtype_of(values: Mapping[str, Any]) -> Any:
    dtypes = {v.dtype for v in values.values() if isinstance(v, jax.Array) and jnp.issubdtype(v.dtype, jnp.floating)}
    return jnp.float32 if dtypes and all(d == jnp.float32 for d in dtypes) else jnp.float64


def _build(cls: type, values: Mapping[str, Any], dtype: Any) -> Any:
    with jax.enable_x64(dtype == jnp.float64):
        made = {}
        for name, f in fields_of(cls).items():
            value = values.get(name, f.default)
            if f.kind == "real":
                made[name] = value.astype(dtype) if _is_traced(value) else jnp.asarray(value, dtype)
            elif f.kind == "integer":
                made[name] = int(value)
            else:
                made[name] = value
        return cls(**made)


def build_params(model: Model, values: Mapping[str, Any], dtype: Any = None) -> Any:
    """Parameters from values by name; see `Model.params`."""
    problems = check_values(model, values, ("parameter",))
    if not problems:
        made = _build(model.Params, values, dtype or _dtype_of(values))
        if not any(_is_traced(v) for v in values.values()):
            problems = constraint_problems(model, made)
        if not problems:
            return made
    raise InputError(problems, f"the parameters of {model.name}")


def constraint_problems(model: Model, p: Any) -> list[str]:
    """Order restrictions that `p` breaks."""
    broken = []
    with precision_of(p):
        margins = dict(model.constraints(p))
    for name, margin in margins.items():
        if _is_traced(margin):  # built inside a transformation: defaults are constants there, sums of them are traced
            continue
        if not float(margin) > 0 or math.isnan(float(margin)):
            names = [n for n in fields_of(model.Params) if n in name.replace(">", " ").replace("<", " ").split()]
            now = ", ".join(f"{n} = {float(getattr(p, n)):g}" for n in names)
            broken.append(f"the order restriction {name} is broken ({now}); change one of them so that it holds")
    return broken


def build_policy(model: Model, values: Mapping[str, Any], dtype: Any = None) -> Any:
    """Policy from values by name; see `Model.policy`."""
    problems = check_values(model, values, ("instrument",))
    if problems:
        raise InputError(problems, f"the policy for {model.name}")
    return _build(model.Policy, values, dtype or _dtype_of(values))


def known_regime(model: Model, name: str) -> Mapping[str, float]:
    """Instruments of a named regime."""
    if name not in model.regimes:
        raise InputError([f"{name!r} is no regime of {model.name}; {did_you_mean(name, model.regimes)}"], "the regime")
    return model.regimes[name]


def set_names(model: Model) -> list[str]:
    """Names of the parameter sets that ship with the model."""
    folder = resources.files("jaxecon.models") / model.name / "sets"
    if not folder.is_dir():
        return []
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_set(model: Model, name: str) -> NamedSet:
    """A shipped set by name, or a TOML file by path (a name that ends in `.toml`)."""
    if name.endswith(".toml"):
        path = Path(name)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                [f"{name} cannot be read: {error}; give the path of a readable TOML file"], "the set"
            ) from None
        return parse_set(model, text, where=name)
    if name not in set_names(model):
        known = set_names(model)
        raise InputError(
            [f"{name!r} is no set of {model.name}; {did_you_mean(name, known)}; the path of a .toml file works too"],
            "the set",
        )
    text = (resources.files("jaxecon.models") / model.name / "sets" / f"{name}.toml").read_text(encoding="utf-8")
    return parse_set(model, text, where=name)


def parse_set(model: Model, text: str, where: str) -> NamedSet:
    """Parse and validate a set: tables `[set]` (name, doc, source), `[params]`, `[policy]`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError([f"{where} is not valid TOML: {error}; mend it there"], "the set") from None
    problems = []
    for key, value in data.items():
        if key not in ("set", "params", "policy"):
            problems.append(f"[{key}] is no table of a set; {did_you_mean(key, ['set', 'params', 'policy'])}")
        elif not isinstance(value, dict):
            problems.append(f"{key} must be a table, e.g. [{key}]")
    head, params, policy = (data.get(k, {}) for k in ("set", "params", "policy"))
    if not problems:
        allowed = ["name", "doc", "source", "model"]
        problems += [f"[set] {k} is unknown; {did_you_mean(k, allowed)}" for k in head if k not in allowed]
        if head.get("model", model.name) != model.name:
            problems.append(f"the set is for model {head['model']!r}, not {model.name!r}")
        problems += check_values(model, params, ("parameter",))
        problems += check_values(model, policy, ("instrument",))
    if problems:
        raise InputError(problems, where)
    return NamedSet(
        str(head.get("name", where)),
        str(head.get("doc", "")),
        str(head.get("source", "assumed")),
        dict(params),
        dict(policy),
    )


def diff_sets(model: Model, one: NamedSet, two: NamedSet) -> list[dict[str, Any]]:
    """Where two sets differ: field, symbol, unit, the default and both values."""
    rows = []
    for name, f in model.fields.items():
        if f.role == "outcome":
            continue
        a = {**one.params, **one.policy}.get(name, f.default)
        b = {**two.params, **two.policy}.get(name, f.default)
        if a != b:
            rows.append(
                {"name": name, "symbol": f.symbol, "unit": f.unit, "default": f.default, "first": a, "second": b}
            )
    return rows
