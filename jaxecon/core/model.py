"""The Model record: a pure function from (nature, government) to outcomes, with its layers and claims."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from jaxecon.core.compiling import quick_jit
from jaxecon.core.fields import Field, fields_of
from jaxecon.core.systems import System

Expectation = Literal["exact", "limit", "baseline", "calibrated", "region", "report"]
Cost = Literal["equilibrium", "path", "agents", "optimization"]
COSTS: tuple[Cost, ...] = ("equilibrium", "path", "agents", "optimization")

EXPECTATIONS = {
    "exact": "holds to round-off wherever it is defined",
    "limit": "holds in a limit; the margin measures the approach",
    "baseline": "holds at the baseline; the share over the box is reported",
    "calibrated": "a number to match; the margin is tolerance minus error",
    "region": "holds in a part of the box; share and boundary are reported",
    "report": "a size, reported as found; no verdict",
}

# Status codes that every model shares; a model's own start at FIRST_REASON.
SOLVED, NOT_CONVERGED, RESIDUAL_TOO_LARGE, NOT_FINITE, RESTRICTED = 0, 1, 2, 3, 4
FIRST_REASON = 16
COMMON_REASONS = {
    SOLVED: ("SOLVED", "every identity holds within the tolerance"),
    NOT_CONVERGED: ("NOT_CONVERGED", "the solver stopped before its conditions held"),
    RESIDUAL_TOO_LARGE: ("RESIDUAL_TOO_LARGE", "the solver converged but a redundant identity fails"),
    NOT_FINITE: ("NOT_FINITE", "an outcome is not a finite number"),
    RESTRICTED: ("RESTRICTED", "an order restriction between parameters is broken at this point"),
}


class Equilibrium(eqx.Module):
    """Base of each model's equilibrium record. `status`: 0 solved, else a reason code."""

    status: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Claim:
    """A proposition of a paper as code.

    `margin(p, u, key)` is a pure function of one draw that returns a scalar, positive where the
    claim holds (for `expectation="report"`: the reported size); `key` serves stochastic claims.
    Claims of several parts have `parts`, and their margin is the smallest of those that carry a verdict;
    `joint` gives the margins of parts by id at once, where they share an expensive computation; claims with the same
    `joint` are checked in one program, and a part that it does not give has its own `margin`.
    `max_draws` caps the draws of an expensive claim (`None`: no cap; 1: the baseline only).
    """

    id: str
    statement: str
    grade: str
    expectation: Expectation
    margin: Callable[[Any, Any, PRNGKeyArray], Float[Array, ""]]
    cost: Cost = "equilibrium"
    max_draws: int | None = None
    details: Callable[[Any, Any, PRNGKeyArray], Mapping[str, Array]] | None = None
    parts: tuple["Claim", ...] = ()
    joint: Callable[[Any, Any, PRNGKeyArray], Mapping[str, Float[Array, ""]]] | None = None
    note: str = ""


def claim_of_parts(
    id: str,
    statement: str,
    grade: str,
    expectation: Expectation,
    parts: Sequence[Claim],
    *,
    max_draws: int | None = None,
    joint: Callable[[Any, Any, PRNGKeyArray], Mapping[str, Float[Array, ""]]] | None = None,
    note: str = "",
) -> Claim:
    """A claim of several parts: its margin is the smallest of those that carry a verdict.

    It costs what its most expensive part costs, and takes as many draws as its most limited part if `max_draws`
    does not say less.
    """
    judged = [c for c in parts if c.expectation != "report"] or list(parts)

    def margin(p: Any, u: Any, key: PRNGKeyArray) -> Float[Array, ""]:
        return jnp.min(jnp.stack([c.margin(p, u, key) for c in judged]))

    cost: Cost = max(parts, key=lambda c: COSTS.index(c.cost)).cost
    caps = [n for n in (max_draws, *(c.max_draws for c in parts)) if n is not None]
    return Claim(
        id=id, statement=statement, grade=grade, expectation=expectation, margin=margin, cost=cost,
        max_draws=min(caps, default=None), parts=tuple(parts), joint=joint, note=note,
    )  # fmt: skip


def part_of(joint: Callable[[Any, Any, PRNGKeyArray], Mapping[str, Array]], id: str) -> Callable[..., Array]:
    """The margin of one part of a claim whose parts are computed jointly."""
    return lambda p, u, key: joint(p, u, key)[id]


Joint = Callable[[Any, Any, PRNGKeyArray], Mapping[str, Float[Array, ""]]]
# Id, statement, expectation and grade of a part.
Part = tuple[str, str, Expectation, str]


def parts_of(
    joint: Joint, parts: Sequence[Part], *, cost: Cost = "equilibrium", max_draws: int | None = None
) -> list[Claim]:
    """Claims of parts whose margins `joint` computes at once."""
    return [
        Claim(id, statement, grade, expectation, part_of(joint, id), cost=cost, max_draws=max_draws)
        for id, statement, expectation, grade in parts
    ]


@dataclasses.dataclass(frozen=True)
class Dynamics:
    """A path layer. `run(p, u, time)` with `time` of shape `[T]`, increasing, returns a `Result`."""

    run: Callable[[Any, Any, Float[Array, " T"]], PyTree]
    Result: type
    doc: str
    horizon: float
    steps: int


@dataclasses.dataclass(frozen=True)
class Agents:
    """An agent layer. `run(key, p, u, n, periods, smooth)` returns a `Result`.

    `n`, `periods` and `smooth` are static; `smooth=True` is the differentiable variant of the same rule.
    """

    run: Callable[..., PyTree]
    Result: type
    doc: str
    n: int
    periods: int


@dataclasses.dataclass(frozen=True)
class Moments:
    """Numbers that data can be compared with, from one computation. (Every outcome is a moment, too.)

    `run(p, u, key)` returns `{name: scalar}`; names are unique within the model and disjoint from its outcomes. `key`
    serves agent layers, whose `run` is the discrete rule; `smooth` is the differentiable variant of the same numbers.
    `about`: `{name: (unit, what it is)}`.
    """

    run: Callable[[Any, Any, PRNGKeyArray], Mapping[str, Float[Array, ""]]]
    about: Mapping[str, tuple[str, str]]
    cost: Cost = "equilibrium"
    smooth: Callable[[Any, Any, PRNGKeyArray], Mapping[str, Float[Array, ""]]] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """Everything the analyses need to know about one model.

    **Attributes**

    - `name`, `title`, `paper`: folder name, readable title, source.
    - `Params`, `Policy`, `Outcomes`: final `equinox.Module`s of declared fields, names disjoint.
    - `equilibrium(p, u) -> Equilibrium`: pure, unbatched, safe under jit, vmap and grad.
    - `outcomes(p, u, eq) -> Outcomes`; `identities(p, u, eq)`: unit-free residuals of redundant identities.
    - `branches(p, u, eq)`: named Booleans that describe which kind of equilibrium it is.
    - `reasons`: the model's own failure codes, `{code: (NAME, explanation)}`, codes from 16.
    - `dynamics`, `agents`: named layers, the first is the default.
    - `regimes`: named policies; `studies`: named functions `(p, u) -> {label: scalar}` for the report.
    - `moments`: named computations whose numbers calibration compares with data, besides the outcomes.
    - `constraints(p)`: named margins that must be positive (order restrictions), checked at the edge.
    - `objective`: the outcome that policies maximize; `tolerance`: of residuals, in float64.
    - `float32_exceptions`: outcomes that float32 does not reproduce to 1e-3.
    - `system`: conditions whose roots are the equilibria, or rest points of a path layer, for maps of their number and stability.
    - `starts(p, u) -> [S] batch` of equilibria from other starts, for uniqueness checks and retries.
    - `restart(p, u, eq)`: the equilibrium found from another point's as the start, for the continuation of failed cells.
    - `retried`: statuses that say that the solver failed, so that a sweep tries again; a model's own reasons are findings
      about the economy, and final, unless they are named here.
    - `block`: points that a CPU takes side by side, where a point holds grids and few of them fill the cache of a core.
    - `many`: points from which a study is worth a program that runs faster and compiles longer, where a point is costly.
    """

    name: str
    title: str
    paper: str
    Params: type
    Policy: type
    Outcomes: type
    equilibrium: Callable[[Any, Any], Any]
    outcomes: Callable[[Any, Any, Any], Any]
    identities: Callable[[Any, Any, Any], Mapping[str, Float[Array, ""]]]
    claims: tuple[Claim, ...] = ()
    branches: Callable[[Any, Any, Any], Mapping[str, Bool[Array, ""]]] = lambda p, u, eq: {}
    reasons: Mapping[int, tuple[str, str]] = dataclasses.field(default_factory=dict)
    dynamics: Mapping[str, Dynamics] = dataclasses.field(default_factory=dict)
    agents: Mapping[str, Agents] = dataclasses.field(default_factory=dict)
    regimes: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    studies: Mapping[str, Callable[[Any, Any], Mapping[str, Array]]] = dataclasses.field(default_factory=dict)
    moments: Mapping[str, Moments] = dataclasses.field(default_factory=dict)
    constraints: Callable[[Any], Mapping[str, Float[Array, ""]]] = lambda p: {}
    system: System | None = None
    starts: Callable[[Any, Any], Any] | None = None
    restart: Callable[[Any, Any, Any], Any] | None = None
    retried: tuple[int, ...] = (NOT_CONVERGED, RESIDUAL_TOO_LARGE, NOT_FINITE)
    objective: str = "welfare"
    tolerance: float = 1e-8
    float32_exceptions: tuple[str, ...] = ()
    block: int | None = None
    many: int | None = None

    @property
    def fields(self) -> dict[str, Field]:
        """All declared fields: parameters, instruments, outcomes."""
        return fields_of(self.Params) | fields_of(self.Policy) | fields_of(self.Outcomes)

    @property
    def layers(self) -> tuple[str, ...]:
        """Which of equilibrium, dynamics and agents the model has."""
        has = ["equilibrium"]
        has += ["dynamics"] if self.dynamics else []
        has += ["agents"] if self.agents else []
        return tuple(has)

    def params(self, **values: Any) -> Any:
        """Validated parameters in float64; what is not named keeps its default.

        Raises `InputError`, which names every wrong field at once.
        """
        from jaxecon.core.inputs import build_params

        return build_params(self, values)

    def policy(self, **values: Any) -> Any:
        """Validated policy in float64; what is not named stays neutral (laissez-faire)."""
        from jaxecon.core.inputs import build_policy

        return build_policy(self, values)

    def regime(self, name: str, **values: Any) -> Any:
        """The policy of a named regime, with further instruments on top."""
        from jaxecon.core.inputs import known_regime

        return self.policy(**{**known_regime(self, name), **values})

    def parameter_set(self, name: str, **values: Any) -> Any:
        """The parameters of a named set shipped with the model, with further values on top."""
        from jaxecon.core.inputs import load_set

        return self.params(**{**load_set(self, name).params, **values})

    def reason(self, code: int) -> tuple[str, str]:
        """Name and explanation of a status code."""
        table = {**COMMON_REASONS, **self.reasons}
        return table.get(int(code), (f"CODE_{int(code)}", "unknown code"))


class Evaluation(eqx.Module):
    """The answer at one point: outcomes, certificate, and the equilibrium behind them.

    `status` is 0 where solved; elsewhere the outcomes are NaN and `model.reason(status)` says why.
    """

    outcomes: Any
    max_residual: Float[Array, ""]
    status: Int[Array, ""]
    residuals: dict[str, Array]
    branches: dict[str, Array]
    equilibrium: Any

    @property
    def solved(self) -> Bool[Array, ""]:
        return self.status == SOLVED


def tolerance_for(model: Model, dtype: Any) -> float:
    """Largest residual that counts as solved: the model's in float64, 1e-3 in float32."""
    return model.tolerance if jnp.finfo(dtype).bits == 64 else max(1e-3, model.tolerance)


def evaluate_pure(model: Model, p: Any, u: Any) -> Evaluation:
    """Solve the model at one point; pure, for use inside jit, vmap and grad."""
    return certify(model, p, u, model.equilibrium(p, u))


def certify(model: Model, p: Any, u: Any, eq: Any) -> Evaluation:
    """Outcomes of an equilibrium and whether it is one: its own status, finite outcomes, the redundant identities."""
    out = model.outcomes(p, u, eq)
    residuals = dict(model.identities(p, u, eq))
    stacked = jnp.stack([jnp.abs(jnp.asarray(r)) for r in residuals.values()])
    worst = jnp.max(jnp.where(jnp.isnan(stacked), jnp.inf, stacked))
    worst = jax.lax.stop_gradient(worst)
    leaves = jax.tree.leaves(out)
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in leaves]))
    tol = tolerance_for(model, worst.dtype)
    status = jnp.where(
        eq.status != SOLVED,
        eq.status,
        jnp.where(~finite, NOT_FINITE, jnp.where(worst > tol, RESIDUAL_TOO_LARGE, SOLVED)),
    ).astype(jnp.int32)
    # The barrier keeps the compiler from judging the point anew in every outcome.
    status = jax.lax.optimization_barrier(status)
    solved = status == SOLVED
    masked = jax.tree.map(lambda x: jnp.where(solved, x, jnp.nan), out)
    flags = {k: jnp.asarray(v) for k, v in model.branches(p, u, eq).items()}
    return Evaluation(masked, worst, status, residuals, flags, eq)


_jitted, _quick = eqx.filter_jit(evaluate_pure), quick_jit(evaluate_pure)


def evaluate(model: Model, params: Any = None, policy: Any = None) -> Evaluation:
    """Solve the model at one point, or differentiate, vmap and jit through it.

    Precision follows the parameters: float64 unless they were built in float32.
    Defaults: the baseline and laissez-faire.
    """
    p = model.params() if params is None else params
    u = model.policy() if policy is None else policy
    inside = any(isinstance(x, Tracer) for x in jax.tree.leaves((p, u)))
    with precision_of(p):
        return (_jitted if inside else _quick)(model, p, u)


def precision_of(p: Any) -> Any:
    """Context in which the floating leaves of `p` keep their precision."""
    leaves = [x for x in jax.tree.leaves(p) if hasattr(x, "dtype")]
    double = bool(leaves) and all(x.dtype == "float64" for x in leaves)
    return jax.enable_x64(double or jax.config.read("jax_enable_x64"))
