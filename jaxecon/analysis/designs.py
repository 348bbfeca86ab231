"""Where to evaluate: points of the prior box, and vectors of named fields in and out of the two pytrees."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxecon.analysis.copula import Correlation, copula_of
from jaxecon.core.errors import InputError, name_problems
from jaxecon.core.fields import Field, fields_of
from jaxecon.core.model import Model

Progress = Callable[[int, int, dict[str, Any]], None]


class SavedArrays(Protocol):
    """Parts of a study that are done: `get(number)` gives the arrays of one or None, `put(number, arrays)` keeps them."""

    def get(self, number: int) -> dict[str, np.ndarray] | None: ...

    def put(self, number: int, arrays: dict[str, np.ndarray]) -> None: ...


def quasi_random(k: int, seed: int) -> Any:
    """A scrambled Sobol sequence in k dimensions; `.random(n)` draws the next n points of the unit cube."""
    # Imported late: scipy.stats takes longer to load than a model to solve.
    from scipy.stats import qmc

    return qmc.Sobol(k, rng=seed)


def get_values(p: Any, u: Any, names: Sequence[str]) -> Float[Array, " k"]:
    """The named scalar fields of the parameters and the policy as one vector."""
    return jnp.stack([jnp.asarray(getattr(p if hasattr(p, n) else u, n)) for n in names])


def replace(p: Any, u: Any, names: Sequence[str], vector: Float[Array, " k"]) -> tuple[Any, Any]:
    """Parameters and policy with the named fields taken from a vector; pure, for use inside jit and vmap."""
    nature = {n: vector[i] for i, n in enumerate(names) if hasattr(p, n)}
    government = {n: vector[i] for i, n in enumerate(names) if not hasattr(p, n)}
    return dataclasses.replace(p, **nature), dataclasses.replace(u, **government)


def resolve(model: Model, params: Any, policy: Any, precision: str) -> tuple[Any, Any]:
    """Parameters and policy of one analysis, in its precision; `None` is the baseline and laissez-faire."""
    problems = []
    if precision not in ("float64", "float32"):
        problems.append(f"precision {precision!r} is unknown; choose 'float64' or 'float32'")
    for what, value, cls in (("params", params, model.Params), ("policy", policy, model.Policy)):
        if value is not None and not isinstance(value, cls):
            problems.append(f"{what} must come from model.{what}(...) of {model.name}, not from {type(value).__name__}")
    if problems:
        raise InputError(problems, f"the settings for {model.name}")
    p = model.params() if params is None else params
    u = model.policy() if policy is None else policy
    with jax.enable_x64(precision == "float64"):
        return jax.tree.map(lambda x: jnp.asarray(x, precision), (p, u))


def inputs_of(model: Model) -> dict[str, Field]:
    """Parameters and instruments by name."""
    return fields_of(model.Params) | fields_of(model.Policy)


def count_problems(**counts: Any) -> list[str]:
    """Problems of numbers that must be whole and at least 1."""
    return [
        f"{name} = {value!r} must be a whole number of at least 1"
        for name, value in counts.items()
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1
    ]


def seed_problems(seed: Any) -> list[str]:
    """Problems of a seed: a whole number from 0 to 2^32 - 1."""
    ok = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and 0 <= seed < 2**32
    return [] if ok else [f"seed = {seed!r} must be a whole number in [0, 4294967295]"]


def outcome_names(model: Model, outcomes: Sequence[str] | None) -> tuple[tuple[str, ...], list[str]]:
    """The outcomes of an analysis (`None`: all of them) and what is wrong with the names."""
    known = list(fields_of(model.Outcomes))
    if outcomes is None:
        return tuple(known), []
    if isinstance(outcomes, str):
        outcomes = [outcomes]
    return tuple(outcomes), name_problems(outcomes, known, f"outcome of {model.name}")


def range_problem(f: Field, interval: Any) -> str | None:
    """Why an interval cannot be the range of a field."""
    try:
        lo, hi = (float(x) for x in interval)
    except (TypeError, ValueError):
        return f"the range of {f.name} must be two numbers (lo, hi), not {interval!r}"
    if not (np.isfinite(lo) and np.isfinite(hi)):
        return f"the range of {f.name}, ({lo:g}, {hi:g}), must be finite; choose both ends in [{f.bounds[0]:g}, {f.bounds[1]:g}]"
    if not lo < hi:
        return f"the range of {f.name} is empty: lo = {lo:g} must be below hi = {hi:g}"
    if lo < f.bounds[0] or hi > f.bounds[1]:
        return f"the range of {f.name}, ({lo:g}, {hi:g}), leaves its bounds [{f.bounds[0]:g}, {f.bounds[1]:g}]; choose both ends inside them"
    return None


@dataclasses.dataclass(frozen=True)
class Box:
    """Named real fields with the closed interval of each: the prior of an analysis."""

    names: tuple[str, ...]
    lo: np.ndarray
    hi: np.ndarray

    def scale(self, unit: np.ndarray) -> np.ndarray:
        """Points of the unit cube, shape `[..., k]`, as points of the box."""
        return self.lo + unit * (self.hi - self.lo)


def box_of(
    model: Model,
    names: Sequence[str] | None = None,
    prior: Mapping[str, tuple[float, float]] | None = None,
    layers: Sequence[str] = ("equilibrium", "dynamics", "agents"),
) -> tuple[Box, list[str]]:
    """The prior box and what is wrong with it.

    `names` defaults to the real parameters of `layers` that have a box, and those of `prior`; a named instrument without a
    prior ranges over its bounds. `prior` (name -> (lo, hi)) replaces the declared box of its fields.
    """
    known = {n: f for n, f in inputs_of(model).items() if f.kind == "real"}
    prior = dict(prior or {})
    problems = name_problems(prior, known, f"real parameter or instrument of {model.name}")
    if names is None:
        chosen = [
            n
            for n, f in known.items()
            if n in prior or (f.role == "parameter" and f.box is not None and f.layer in layers)
        ]
    else:
        chosen = [names] if isinstance(names, str) else list(names)
        problems += name_problems(chosen, known, f"real parameter or instrument of {model.name}")
        problems += [f"the prior of {n!r} is given, but it is not among the names" for n in prior if n not in chosen]
        if not chosen:
            problems.append("no parameter is named; name at least one, or leave names out")
    intervals = []
    for n in chosen:
        interval = prior.get(n, known[n].box if n in known else None)
        if n in known and interval is None:
            problems.append(f"{n} has no prior box; give one with prior={{{n!r}: (lo, hi)}}")
        elif n in known and (why := range_problem(known[n], interval)):
            problems.append(why)
        else:
            intervals.append(interval)
    if problems:
        return Box((), np.zeros(0), np.zeros(0)), problems
    lo, hi = np.array(intervals, float).reshape(-1, 2).T
    return Box(tuple(chosen), lo, hi), []


def restrictions_hold(model: Model, p: Any, u: Any, names: tuple[str, ...], points: np.ndarray) -> np.ndarray:
    """Which points, shape `[n, k]`, respect the order restrictions of the model."""

    def margins(vector: Array) -> dict[str, Array]:
        return dict(model.constraints(replace(p, u, names, vector)[0]))

    found = jax.jit(jax.vmap(margins))(jnp.asarray(points))
    return np.all([np.asarray(m) > 0 for m in found.values()], axis=0) if found else np.ones(len(points), bool)


@dataclasses.dataclass(frozen=True)
class Draws:
    """Draws from the prior box: `points` of shape `[n, k]` by `names`, and how many were rejected."""

    names: tuple[str, ...]
    points: np.ndarray
    rejected: int
    box: Box


def prior_draws(
    model: Model,
    n: int,
    seed: int = 0,
    names: Sequence[str] | None = None,
    prior: Mapping[str, tuple[float, float]] | None = None,
    *,
    params: Any = None,
    policy: Any = None,
    correlation: Correlation | None = None,
) -> Draws:
    """`n` scrambled Sobol points of the prior box that respect the order restrictions (by rejection).

    `correlation` ((name, name) -> number) makes fields move together by a Gaussian copula.

    Fields without a box, integers and choices stay as in `params` and `policy`. Raises `InputError` on a bad
    name or range, or if fewer than 1 in 64 points of the box respect the restrictions.
    """
    p, u = resolve(model, params, policy, "float64")
    box, problems = box_of(model, names, prior)
    copula, wrong = copula_of(box.names, correlation)
    problems += count_problems(n=n) + seed_problems(seed) + ([] if problems else wrong)
    if problems:
        raise InputError(problems, f"the prior of {model.name}")
    sequence = quasi_random(len(box.names), seed)
    batch = 1 << max(n - 1, 0).bit_length()
    kept, missing, rejected = [], n, 0
    with jax.enable_x64(True):
        while missing:
            points = box.scale(copula.correlate(sequence.random(batch)))
            good = np.flatnonzero(restrictions_hold(model, p, u, box.names, points))[:missing]
            missing -= len(good)
            looked_at = batch if missing else good[-1] + 1
            rejected += int(looked_at) - len(good)
            kept.append(points[good])
            if missing and rejected >= 64 * batch:
                message = "almost no point of the prior box respects the order restrictions; narrow the ranges"
                raise InputError([message], f"the prior of {model.name}")
    return Draws(box.names, np.concatenate(kept), rejected, box)
