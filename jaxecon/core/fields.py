"""One declaration per field: what a parameter, instrument, outcome or series is.

Everything that needs to know a field reads this one declaration: validation, priors,
calibration transforms, axis labels, result attributes and the tables of the report.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

Kind = Literal["real", "integer", "choice"]
Role = Literal["parameter", "instrument", "outcome", "series"]
Layer = Literal["equilibrium", "dynamics", "agents"]
BoxRule = Literal["positive", "share", "exponent", "scale", "fixed"]
Grade = Literal["D", "R", "S", "E"]

GRADES = {
    "D": "documented in the paper",
    "R": "reconstructed by us from standard economics",
    "S": "textbook result with a closed form",
    "E": "empirical number from a named source",
}


@dataclasses.dataclass(frozen=True)
class Field:
    """What is known about one field, apart from its value.

    **Attributes**

    - `name`: the Python name, unique within a model.
    - `symbol`: the symbol of the specification in ASCII, e.g. `theta_max`.
    - `unit`: unit of measurement; `1` for a pure number.
    - `bounds`: closed interval of admissible values; outside it the model is not defined.
    - `box`: closed interval of plausible values, the prior of claims, sensitivity and
      robust policy; `None` if the field is held fixed there.
    - `grade`: one of `GRADES`; `source`: where the default comes from (`assumed` is legal).
    - `kind`: `real` fields are vmapped and differentiated; `integer` and `choice` are static.
    - `layer`: the first layer of the model in which the field matters.
    - `dims`: names of the axes of a series.
    """

    name: str
    role: Role
    symbol: str
    unit: str
    doc: str
    grade: Grade
    source: str
    default: Any = None
    bounds: tuple[float, float] = (-float("inf"), float("inf"))
    box: tuple[float, float] | None = None
    kind: Kind = "real"
    choices: tuple[Any, ...] = ()
    layer: Layer = "equilibrium"
    dims: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Axis label: words and unit."""
        words = self.name.replace("_", " ")
        return words if self.unit in ("", "1") else f"{words} ({self.unit})"


def as_real(x: Real[ArrayLike, "..."]) -> Float[Array, "..."]:
    """Convert to a strongly typed floating array, keeping a floating dtype that is already there."""
    dtype = getattr(x, "dtype", None)
    if dtype is not None and jnp.issubdtype(dtype, jnp.floating):
        return jnp.asarray(x, dtype)
    return jnp.asarray(x, jnp.result_type(float))


def prior_box(
    default: float, rule: BoxRule | tuple[float, float], bounds: tuple[float, float]
) -> tuple[float, float] | None:
    """Prior interval of a parameter: as given, or by the shared convention.

    Conventions: +-30 % of the baseline for positive parameters, +-.2 for shares (clipped to
    [.02, .98]), +-.3 for elasticities and exponents, a factor of 3 either way for scale
    parameters graded assumed; always clipped to `bounds`.
    """
    if isinstance(rule, tuple):
        lo, hi = rule
    elif rule == "fixed":
        return None
    elif rule == "positive":
        lo, hi = sorted((0.7 * default, 1.3 * default))
    elif rule == "share":
        lo, hi = max(0.02, default - 0.2), min(0.98, default + 0.2)
    elif rule == "exponent":
        lo, hi = default - 0.3, default + 0.3
    elif rule == "scale":
        lo, hi = default / 3.0, default * 3.0
    else:
        raise ValueError(f"box rule {rule!r} is not one of positive, share, exponent, scale, fixed")
    lo, hi = max(lo, bounds[0]), min(hi, bounds[1])
    if not lo < hi:
        return None
    return (float(lo), float(hi))


_KEY = "jaxecon"


def _field(default: Any, info: dict[str, Any], *, kind: Kind = "real") -> Any:
    metadata = {_KEY: info | {"kind": kind, "default": default}}
    if kind == "real":
        return eqx.field(default=default, converter=as_real, metadata=metadata)
    return eqx.field(default=default, static=True, metadata=metadata)


def parameter(
    default: Any,
    *,
    unit: str,
    doc: str,
    grade: Grade = "R",
    source: str = "assumed",
    symbol: str | None = None,
    bounds: tuple[float, float] = (-float("inf"), float("inf")),
    box: BoxRule | tuple[float, float] = "positive",
    kind: Kind = "real",
    choices: tuple[Any, ...] = (),
    layer: Layer = "equilibrium",
) -> Any:
    """Declare a structural parameter (nature). `box` is a rule of `prior_box` or an interval."""
    interval = None if kind != "real" else prior_box(default, box, bounds)
    info = dict(
        role="parameter", symbol=symbol, unit=unit, doc=doc, grade=grade, source=source,
        bounds=bounds, box=interval, choices=choices, layer=layer,
    )  # fmt: skip
    return _field(default, info, kind=kind)


def instrument(
    neutral: float = 0.0,
    *,
    unit: str,
    doc: str,
    bounds: tuple[float, float],
    grade: Grade = "R",
    source: str = "instrument: the neutral value is laissez-faire",
    symbol: str | None = None,
    layer: Layer = "equilibrium",
) -> Any:
    """Declare an instrument of the government. The default is its neutral value."""
    info = dict(
        role="instrument", symbol=symbol, unit=unit, doc=doc, grade=grade, source=source,
        bounds=bounds, box=bounds, choices=(), layer=layer,
    )  # fmt: skip
    return _field(neutral, info)


def outcome(
    *,
    unit: str,
    doc: str,
    symbol: str | None = None,
    bounds: tuple[float, float] = (-float("inf"), float("inf")),
    grade: Grade = "R",
    source: str = "model",
) -> Any:
    """Declare a scalar outcome."""
    info = dict(
        role="outcome", symbol=symbol, unit=unit, doc=doc, grade=grade, source=source,
        bounds=bounds, box=None, choices=(), layer="equilibrium",
    )  # fmt: skip
    return eqx.field(metadata={_KEY: info | {"kind": "real", "default": None}})


def series(
    *dims: str,
    unit: str,
    doc: str,
    symbol: str | None = None,
    bounds: tuple[float, float] = (-float("inf"), float("inf")),
    grade: Grade = "R",
    source: str = "model",
) -> Any:
    """Declare a path. A series whose only dimension is its own name is a coordinate."""
    info = dict(
        role="series", symbol=symbol, unit=unit, doc=doc, grade=grade, source=source,
        bounds=bounds, box=None, choices=(), layer="dynamics", dims=tuple(dims),
    )  # fmt: skip
    return eqx.field(metadata={_KEY: info | {"kind": "real", "default": None}})


def fields_of(cls: type) -> dict[str, Field]:
    """All declared fields of a `Params`, `Policy`, `Outcomes` or path class, by name."""
    found = {}
    for f in dataclasses.fields(cls):
        if _KEY in f.metadata:
            info = dict(f.metadata[_KEY])
            info["symbol"] = info["symbol"] or f.name
            found[f.name] = Field(name=f.name, **info)
    return found


def real_names(cls: type, layers: Iterable[Layer] = ("equilibrium", "dynamics", "agents")) -> list[str]:
    """Names of the fields that are vmapped and differentiated, of the given layers."""
    allowed = set(layers)
    return [n for n, f in fields_of(cls).items() if f.kind == "real" and f.layer in allowed]


def with_fields(module: Any, names: Sequence[str], values: Sequence[Any] | Array) -> Any:
    """The parameters or the policy with the named fields replaced, one value a name; pure, for use inside jit and grad."""
    return eqx.tree_at(lambda m: [getattr(m, n) for n in names], module, [values[k] for k in range(len(names))])
