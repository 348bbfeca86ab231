r"""What an estimate is worth: sandwich standard errors, the J test, and intervals of any outcome or best policy.

With G the Jacobian of the moments, W the weight and $\Omega$ the covariance of the moments (Newey and McFadden 1994, theorem 3.4;
Hansen 1982 for the test, here without a sample size: the covariance is that of the moments themselves):

$$ V = (G'WG)^{-1} G'W \Omega W G (G'WG)^{-1}, \qquad J = e' N (N' R \Omega R' N)^{-1} N' e \sim \chi^2_{m-k} $$

with $W = R'R$, e the weighted gap, N a basis of what the weighted Jacobian does not span; $J = Q$ with the optimal weight.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from jaxecon.analysis.designs import name_problems, replace
from jaxecon.analysis.optimum_slopes import optimum_slopes
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError
from jaxecon.core.fields import fields_of
from jaxecon.core.model import SOLVED, Model, evaluate_pure

if TYPE_CHECKING:
    from jaxecon.analysis.estimate import Estimate

# Singular values of the weighted Jacobian, relative to the largest, below which a combination of parameters is not identified;
# and the share of a direction that may lie along such a combination.
RANK, ALONG = 1e-9, 1e-6
# A scalar of one point: `f(params, policy, outcomes)`, pure.
Function = Callable[[Any, Any, Any], Array]


@dataclasses.dataclass(frozen=True)
class Inference:
    """Uncertainty of the estimates, and the test of the model.

    **Attributes**

    - `spread`: covariance `[k, k]` of the identified combinations, zero for parameters that are held at a bound.
    - `held`: which parameters are held at a bound `[k]`; `lost`: unidentified combinations, unit vectors in shares of the ranges
      `[k, d]`; `width`: those ranges.
    - `singular`: singular values of the weighted Jacobian by shares of the ranges, of parameters that are not held.
    - `j`, `df`, `p_value`: whether the moments that are left over fit; NaN where none is left over.
    """

    spread: np.ndarray
    held: np.ndarray
    lost: np.ndarray
    width: np.ndarray
    singular: np.ndarray
    j: float
    df: int
    p_value: float

    @property
    def rank(self) -> int:
        """Combinations of parameters that the moments pin down."""
        return int(np.sum(~self.held)) - self.lost.shape[1]

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the estimates `[k, k]`; NaN for a parameter that is not identified, or held at a bound."""
        found = self.of(np.eye(len(self.held)))
        found[self.held] = found[:, self.held] = np.nan
        return found

    @property
    def standard_errors(self) -> np.ndarray:
        """Standard errors of the estimates `[k]`."""
        return np.sqrt(np.diag(self.covariance))

    def of(self, slopes: np.ndarray) -> np.ndarray:
        """Covariance `[r, r]` of functions with these slopes by the parameters `[r, k]`: the delta method. Parameters at a bound
        count as known; a function that moves along an unidentified combination is NaN."""
        found = slopes @ self.spread @ slopes.T
        by_share = slopes * self.width
        size = np.linalg.norm(by_share, axis=1, keepdims=True)
        loads = np.any(np.abs(by_share @ self.lost) > ALONG * size, axis=1)
        return np.where(np.logical_or.outer(loads, loads), np.nan, found)


def infer(
    g: np.ndarray, weight: np.ndarray, omega: np.ndarray, gap: np.ndarray, held: np.ndarray, width: np.ndarray
) -> Inference:
    """Inference from the Jacobian `g [m, k]`, weight, covariance of the moments, and `gap`: observed less model, `[m]`."""
    from scipy.special import chdtrc

    m, k = g.shape
    root, free = np.linalg.cholesky(weight).T, ~held
    left, singular, right = np.linalg.svd(root @ g[:, free] * width[free])
    rank = int(np.sum(singular > RANK * np.max(singular, initial=1e-300)))
    bread = width[free, None] * (right[:rank].T / singular[:rank]) @ left[:, :rank].T @ root
    spread, lost = np.zeros((k, k)), np.zeros((k, int(free.sum()) - rank))
    spread[np.ix_(free, free)] = bread @ omega @ bread.T
    lost[free] = right[rank:].T
    j, df, p_value = float("nan"), m - rank, float("nan")
    if df:
        over = left[:, rank:]
        along = over.T @ root @ gap
        j = float(along @ np.linalg.solve(over.T @ root @ omega @ root.T @ over, along))
        p_value = float(chdtrc(df, j))
    return Inference(spread, held, lost, width, singular, j, df, p_value)


@quick_jit
def _slopes(
    model: Model, picks: tuple[str | Function, ...], names: tuple[str, ...], p: Any, u: Any, theta: Array
) -> tuple[Array, Array, Array]:
    def values(theta: Array) -> tuple[Array, tuple[Array, Array]]:
        at = replace(p, u, names, theta)
        evaluation = evaluate_pure(model, *at)
        out = evaluation.outcomes
        found = jnp.stack([getattr(out, k) if isinstance(k, str) else jnp.asarray(k(*at, out)) for k in picks])
        return found, (found, evaluation.status)

    slope, (value, status) = jax.jacfwd(values, has_aux=True)(theta)
    return value, slope, status


def delta_method(
    estimate: "Estimate",
    what: Sequence[str] | Mapping[str, str | Function],
    *,
    params: Mapping[str, Any] | None = None,
    policy: Mapping[str, Any] | None = None,
    level: float = 0.95,
) -> xr.Dataset:
    """Intervals of outcomes, or of functions `(params, policy, outcomes) -> scalar`, by the delta method.

    **Arguments**: `what`: names of outcomes, or a mapping from labels to them or to functions; `params`, `policy`: values in which the point
    differs from that of the estimate (a counterfactual); `level` of the intervals.

    **Returns** a dataset by `quantity`: `value`, `standard_error`, `lo`, `hi`, and `slope` by `parameter`. NaN where the quantity moves along
    a combination of parameters that is not identified, or is not solved. Raises `InputError`.
    """
    picks = dict(what) if isinstance(what, Mapping) else {n: n for n in ([what] if isinstance(what, str) else what)}
    model, names = estimate.model, estimate.names
    known = fields_of(model.Outcomes)
    problems = name_problems([x for x in picks.values() if isinstance(x, str)], known, f"outcome of {model.name}")
    problems += level_problems(level) + ([] if picks else ["no quantity is named; name at least one"])
    problems += [
        f"{n!r} is free in the estimate and cannot be set" for n in {**(params or {}), **(policy or {})} if n in names
    ]
    if problems:
        raise InputError(problems, f"the intervals for {model.name}")
    p, u = estimate.point()
    other_p, other_u = model.params(**(params or {})), model.policy(**(policy or {}))
    with jax.enable_x64(True):
        p = dataclasses.replace(p, **{n: getattr(other_p, n) for n in params or {}})
        u = dataclasses.replace(u, **{n: getattr(other_u, n) for n in policy or {}})
        value, slope, status = map(
            np.asarray, _slopes(model, tuple(picks.values()), names, p, u, jnp.asarray(estimate.theta))
        )
    if status != SOLVED:
        value, slope = np.full_like(value, np.nan), np.full_like(slope, np.nan)
    units = [known[x].unit if isinstance(x, str) else "" for x in picks.values()]
    return intervals("quantity", list(picks), units, value, slope, estimate, level)


def policy_intervals(
    estimate: "Estimate", instruments: Sequence[str], *, level: float = 0.95, **options: Any
) -> tuple[xr.Dataset, xr.Dataset]:
    """The best policy under the estimate and its value, with intervals by the delta method.

    `options` are those of `optimum_slopes` (objective, bounds, constraints, starts, ...), which gives the slopes: active bounds and
    constraints are held, so that an instrument at its bound has no width. **Returns** two datasets as `delta_method` does: of the
    instruments and of the value. Raises `InputError`.
    """
    if problems := level_problems(level):
        raise InputError(problems, f"the best policy of {estimate.model.name}")
    p, u = estimate.point()
    best = optimum_slopes(estimate.model, instruments, estimate.names, params=p, policy=u, **options)
    fields = estimate.model.fields
    names = [str(n) for n in best.instrument.values]
    chosen = intervals(
        "instrument",
        names,
        [fields[n].unit for n in names],
        best.policy.values,
        best.policy_slope.values,
        estimate,
        level,
    )
    goal = best.attrs["objective"]
    value = intervals(
        "quantity",
        [goal],
        [fields[goal].unit],
        np.array([best.attrs["value"]]),
        best.value_slope.values[None],
        estimate,
        level,
    )
    for found in (chosen, value):
        found.attrs |= {n: best.attrs[n] for n in ("status", "status_doc", "at_bounds", "binding")}
        found.attrs |= {"singular": int(best.singular), "one_sided": int(best.one_sided)}
    return chosen, value


def level_problems(level: Any) -> list[str]:
    """Problems of a level of confidence."""
    ok = isinstance(level, (int, float)) and 0 < level < 1
    return [] if ok else [f"level = {level!r} must be a number between 0 and 1, such as 0.95"]


def intervals(
    dim: str,
    labels: Sequence[str],
    units: Sequence[str],
    value: np.ndarray,
    slope: np.ndarray,
    estimate: "Estimate",
    level: float,
) -> xr.Dataset:
    """Quantities with these slopes by the estimated parameters, as a dataset with intervals of the given level."""
    from scipy.special import ndtri

    covariance = estimate.inference.of(slope)
    error = np.sqrt(np.diag(covariance))
    reach = float(ndtri(0.5 + level / 2)) * error
    return xr.Dataset(
        {
            "value": (dim, value),
            "standard_error": (dim, error, {"doc": "delta method; parameters at a bound count as known"}),
            "lo": (dim, value - reach),
            "hi": (dim, value + reach),
            "slope": ((dim, "parameter"), slope, {"doc": "derivative by each estimated parameter"}),
            "covariance": ((dim, f"{dim}_2"), covariance),
        },
        coords={
            dim: list(labels),
            f"{dim}_2": list(labels),
            "unit": (dim, list(units)),
            "parameter": list(estimate.names),
        },
        attrs={"model": estimate.model.name, "level": level, "method": estimate.method},
    )
