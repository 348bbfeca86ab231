r"""What the data say about each parameter, and which data say it.

$J_{ij} = \partial m_i / \partial \theta_j$ at the estimate, V the covariance of the observed moments, W the weight:

- scaled Jacobian $V^{-1/2} J D$, D the widths of the ranges: a singular value is by how many standard errors the moments move when the
  parameters move by one width of their ranges along the right singular vector;
- sensitivity $\Lambda = (J'WJ)^{-1} J'W = \partial\hat\theta / \partial(\text{observed moments})'$ (Andrews, Gentzkow & Shapiro 2017, with
  the moment condition observed - model, whose Jacobian is $G = -J$: $\Lambda = -(G'WG)^{-1}G'W$);
- informativeness $\Delta = \Sigma_{c\gamma} \Sigma_{\gamma\gamma}^{-1} \Sigma_{\gamma c} / \sigma_c^2$ of the moments $\gamma$ for an
  estimate c (Andrews, Gentzkow & Shapiro 2020).

All to first order at the estimate. A parameter that is held at an end of its range does not move with the data: its row of $\Lambda$
is zero, and everything else is of the free ones. Grade [S].
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxecon.analysis.batch import Response, evaluate_slopes
from jaxecon.analysis.designs import outcome_names, replace
from jaxecon.analysis.moment_problem import MomentProblem
from jaxecon.analysis.optimum_slopes import optimum_slopes
from jaxecon.core.errors import InputError, name_problems
from jaxecon.core.fields import fields_of
from jaxecon.core.results import as_attributes, provenance

# Singular values below this share of the largest count as zero: derivatives are exact to about 1e-10.
TOLERANCE = 1e-8
# A parameter whose unit vector leans on the undetermined combinations by more than this has no estimate.
LEANS = 1e-6
WEIGHTS = ("optimal", "diagonal", "identity")


def weight_matrix(weight: Any, covariance: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The weight `[m, m]` by name or as a matrix, and what is wrong with it."""
    m = len(covariance)
    if isinstance(weight, str):
        problems = name_problems([weight], WEIGHTS, "weight")
        if problems:
            return np.eye(m), problems
        if weight == "optimal":
            return np.linalg.inv(covariance), []
        return np.diag(1.0 / np.diag(covariance)) if weight == "diagonal" else np.eye(m), []
    w = np.asarray(weight, float)
    if w.shape != (m, m) or not np.all(np.isfinite(w)):
        return np.eye(m), [f"the weight must be a finite matrix of shape ({m}, {m}), not of shape {w.shape}"]
    if not np.allclose(w, w.T) or np.min(np.linalg.eigvalsh((w + w.T) / 2)) < -1e-12 * np.max(np.abs(w)):
        return np.eye(m), ["the weight must be symmetric with no negative eigenvalue"]
    return w, []


@dataclasses.dataclass(frozen=True)
class Identification:
    """What the moments say at `theta`; NaN where they say nothing.

    **Attributes** (k parameters, f of them free, m moments)

    - `jacobian` [m, k]: of the moments, in their units per unit of the parameter; `covariance`, `weight` [m, m].
    - `held` [k]: parameters that count as known; of them no moment tells anything, and they move no estimate.
    - `singular_values` [f]: standard errors that the moments move along each direction when the parameters move by the widths
      of their ranges; zeros where there are fewer moments than parameters. `directions` [k, f]: the right singular vectors
      (columns), in widths of the ranges; zero for parameters that are held. `rank` with `tolerance`, a share of the largest singular value.
    - `estimate_covariance` [k, k]: $\\Lambda V \\Lambda'$; `sensitivity` [k, m]: $\\Lambda$, unit of the parameter per unit of the
      moment; zeros for parameters that are held.
    """

    problem: MomentProblem
    theta: np.ndarray
    held: np.ndarray
    jacobian: np.ndarray
    covariance: np.ndarray
    weight: np.ndarray
    singular_values: np.ndarray
    directions: np.ndarray
    rank: int
    tolerance: float
    full_sensitivity: np.ndarray

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self.problem.names)

    @property
    def moments(self) -> tuple[str, ...]:
        return tuple(t.name for t in self.problem.targets)

    @property
    def width(self) -> np.ndarray:
        """Widths of the ranges `[k]`."""
        return np.asarray(self.problem.hi, float) - np.asarray(self.problem.lo, float)

    @property
    def sensitivity(self) -> np.ndarray:
        return self.sensitivity_of(np.eye(len(self.parameters)))

    @property
    def estimate_covariance(self) -> np.ndarray:
        s = self.sensitivity
        return s @ self.covariance @ s.T

    def sensitivity_of(self, gradient: np.ndarray) -> np.ndarray:
        """Sensitivity `[o, m]` of anything with the given gradient by the parameters `[o, k]`; NaN where it depends on a combination
        that the moments do not determine."""
        gradient = np.atleast_2d(np.asarray(gradient, float))
        scaled = gradient * self.width
        leans = np.linalg.norm(scaled @ self.directions[:, self.rank :], axis=1)
        lost = leans > LEANS * np.maximum(np.linalg.norm(scaled, axis=1), 1e-300)
        # Rows that fail may hold NaN for their own reasons.
        return np.where(lost[:, None] & np.isfinite(leans)[:, None], np.nan, gradient @ self.full_sensitivity)

    def informativeness(
        self, gradient: np.ndarray, groups: Mapping[str, Sequence[str]] | None = None
    ) -> dict[str, np.ndarray]:
        """Share of the variance of each estimate `[o]` that a group of moments explains (default: each moment alone), between 0
        and 1; 1 for all moments together."""
        groups = {n: (n,) for n in self.moments} if groups is None else dict(groups)
        problems = [
            w for names in groups.values() for w in name_problems(names, self.moments, "moment of this problem")
        ]
        problems += [f"the group {n!r} is empty; name at least one moment" for n, names in groups.items() if not names]
        if problems:
            raise InputError(problems, "the groups of moments")
        joint = self.sensitivity_of(gradient) @ self.covariance
        variance = np.einsum("om,om->o", joint, self.sensitivity_of(gradient))
        shares = {}
        for name, names in groups.items():
            at = [self.moments.index(n) for n in names]
            part = joint[:, at]
            explained = np.einsum("oi,io->o", part, np.linalg.solve(self.covariance[np.ix_(at, at)], part.T))
            shares[name] = np.divide(explained, variance, out=np.full(len(variance), np.nan), where=variance > 0)
        return shares

    def combinations(self, largest: int = 4) -> list[str]:
        """The combinations of parameters, in widths of their ranges, that the moments do not determine."""
        return [self.combination(j, largest) for j in range(self.rank, self.directions.shape[1])]

    def combination(self, j: int, largest: int = 4) -> str:
        """Right singular vector j in words, its `largest` entries first."""
        v = self.directions[:, j]
        v = v * np.sign(v[np.argmax(np.abs(v))])
        order = [i for i in np.argsort(-np.abs(v), kind="stable")[:largest] if abs(v[i]) > LEANS]
        terms = [f"{'-' if v[i] < 0 else '+'} {abs(v[i]):.2f} {self.parameters[i]}" for i in order]
        return " ".join(terms).removeprefix("+ ")

    @property
    def learned(self) -> np.ndarray:
        """Share of the posterior's precision along each direction `[f]` that comes from the data, the prior uniform over
        the ranges (variance 1/12 in widths): $s^2 / (s^2 + 12)$."""
        return self.singular_values**2 / (self.singular_values**2 + 12.0)

    def outcomes(
        self, outcomes: Sequence[str] | None = None, *, policy: Any = None
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """Outcomes of the model and their gradients by the parameters `[o, k]` at `theta`, under `policy` (default: the problem's)."""
        model = self.problem.model
        names, problems = outcome_names(model, outcomes)
        if problems:
            raise InputError(problems, f"the outcomes of {model.name}")
        response = Response(model)
        columns = [list(response.fields()).index(n) for n in names]
        with jax.enable_x64(True):
            u = self.problem.u if policy is None else policy
            _, slopes = evaluate_slopes(response, self.problem.p, u, self.parameters, self.theta[None])
        return names, np.asarray(slopes[0][columns], float)

    def policy_sensitivity(self, instruments: Sequence[str], **options: Any) -> xr.Dataset:
        """Sensitivity of the optimal policy at `theta` to every moment: `optimum_slopes` (which takes the `options`) times
        $\\Lambda$.

        **Returns** a dataset by `instrument`, `parameter` and `moment`: `policy`, `policy_slope`, `sensitivity` (unit of the instrument per unit of
        the moment), `per_error` (per standard error of the moment), `standard_error` of the policy; the status of the optimum is
        an attribute."""
        with jax.enable_x64(True):
            p, u = replace(self.problem.p, self.problem.u, self.parameters, jax.numpy.asarray(self.theta))
        options = {"params": p, "policy": u} | options
        found = optimum_slopes(self.problem.model, instruments, self.parameters, **options)
        slope = found.policy_slope.values
        sensitivity = self.sensitivity_of(slope)
        error = np.sqrt(np.einsum("im,mn,in->i", sensitivity, self.covariance, sensitivity))
        both = ("instrument", "moment")
        made = found[["policy", "policy_slope", "singular", "one_sided"]].assign_coords(moment=list(self.moments))
        made["sensitivity"] = (both, sensitivity)
        made["per_error"] = (both, sensitivity * np.sqrt(np.diag(self.covariance)))
        made["standard_error"] = ("instrument", error)
        return made

    def to_dataset(self) -> xr.Dataset:
        """All of it by `moment`, `parameter` (`other` for the second index) and `direction`."""
        model, fields = self.problem.model, self.problem.model.fields
        sensitivity, se = self.sensitivity, np.sqrt(np.diag(self.covariance))
        error = np.sqrt(np.diag(self.estimate_covariance))
        shares = self.informativeness(np.eye(len(self.parameters)))
        variables: dict[str, Any] = {
            "jacobian": (("moment", "parameter"), self.jacobian),
            "scaled_jacobian": (
                ("moment", "parameter"),
                self.jacobian * self.width / se[:, None],
                {"units": "1", "doc": "standard errors of the moment per width of the range"},
            ),
            "sensitivity": (("parameter", "moment"), sensitivity, {"doc": "d estimate / d observed moment"}),
            "per_error": (
                ("parameter", "moment"),
                np.divide(sensitivity * se, error[:, None], out=np.full_like(sensitivity, np.nan), where=error[:, None] > 0),
                {"units": "1", "doc": "standard errors of the estimate per standard error of the moment; NaN where it is held"},
            ),
            "informativeness": (("parameter", "moment"), np.stack([*shares.values()], axis=1), {"units": "1"}),
            "estimate": ("parameter", self.theta),
            "held": ("parameter", self.held, {"doc": "counts as known: at an end of its range"}),
            "standard_error": ("parameter", error),
            "estimate_covariance": (("parameter", "other"), self.estimate_covariance),
            "singular_value": ("direction", self.singular_values, {"units": "1"}),
            "learned": ("direction", self.learned, {"units": "1", "doc": "share of the posterior's precision from data"}),
            "direction_vector": (("parameter", "direction"), self.directions, {"units": "1"}),
        }  # fmt: skip
        known = fields | fields_of(model.Outcomes)
        coords = {
            "parameter": list(self.parameters), "other": list(self.parameters), "moment": list(self.moments),
            "direction": np.arange(self.directions.shape[1]),
            "parameter_unit": ("parameter", [known[n].unit for n in self.parameters]),
        }  # fmt: skip
        record = provenance(
            model, method="identification", rank=self.rank, tolerance=self.tolerance,
            undetermined=self.combinations(),
        )  # fmt: skip
        return xr.Dataset(variables, coords=coords, attrs=as_attributes(record))


def identify(
    problem: MomentProblem,
    theta: Sequence[float] | None = None,
    weight: Any = "optimal",
    *,
    tolerance: float = TOLERANCE,
    held: Sequence[bool] | None = None,
) -> Identification:
    """What the moments of a calibration say about its parameters at one point.

    **Arguments**

    - `problem`: of `moment_problem`; `theta` [k]: an estimate, in the units of the parameters; default: the given parameters.
    - `weight`: of the estimator: `"optimal"` (inverse covariance of the observed moments), `"diagonal"`, `"identity"`, or a
      matrix `[m, m]`.
    - `tolerance`: singular values below this share of the largest count as zero.
    - `held` [k]: parameters that count as known, as in the standard errors of `estimate`; default: those of `theta` at an end of
      their range.

    **Returns** an `Identification`. Raises `InputError`, also where the model does not solve at `theta`.
    """
    point = problem.given if theta is None else np.asarray(theta, float)
    problems = []
    k = len(problem.names)
    if point.shape != (k,) or not np.all(np.isfinite(point)):
        problems.append(f"theta must be {k} finite numbers ({', '.join(problem.names)}), not {theta!r}")
    if not 0 < tolerance < 1:
        problems.append(f"tolerance = {tolerance!r} must be a number between 0 and 1")
    if held is not None and np.asarray(held).shape != (k,):
        problems.append(f"held must be {k} truth values ({', '.join(problem.names)}), not {held!r}")
    covariance = np.asarray(problem.covariance, float)
    w, why = weight_matrix(weight, covariance)
    if problems + why:
        raise InputError(problems + why, f"the identification of {problem.model.name}")
    moments, jacobian = (np.asarray(x, float)[0] for x in problem.slopes(point[None]))
    if not (np.all(np.isfinite(moments)) and np.all(np.isfinite(jacobian))):
        message = f"the model does not solve at theta = {point.tolist()}, or has no slope there; choose another point"
        raise InputError([message], f"the identification of {problem.model.name}")
    return from_jacobian(problem, point, jacobian, covariance, w, tolerance, held)


def from_jacobian(
    problem: MomentProblem, theta: np.ndarray, jacobian: np.ndarray, covariance: np.ndarray, weight: np.ndarray,
    tolerance: float, held: Sequence[bool] | None = None,
) -> Identification:  # fmt: skip
    """The record of `identify` from a Jacobian `[m, k]`; `held` as there."""
    lo, hi = np.asarray(problem.lo, float), np.asarray(problem.hi, float)
    fixed = (theta <= lo) | (theta >= hi) if held is None else np.asarray(held, bool)
    free, k = ~fixed, len(lo)
    scaled = jacobian[:, free] * (hi - lo)[free]
    _, size, axes = np.linalg.svd(np.linalg.solve(np.linalg.cholesky(covariance), scaled))
    size = np.concatenate([size, np.zeros(scaled.shape[1] - len(size))])
    rank = int(np.sum(size > tolerance * np.max(size, initial=1e-300)))
    directions = np.zeros((k, scaled.shape[1]))
    directions[free] = axes.T
    # (J'WJ)^+ J'W over the combinations that the moments determine, in widths of the ranges.
    basis = directions[:, :rank] * (hi - lo)[:, None]
    inner = jacobian @ basis
    full = basis @ np.linalg.solve(inner.T @ weight @ inner, inner.T @ weight) if rank else np.zeros(jacobian.T.shape)
    return Identification(problem, theta, fixed, jacobian, covariance, weight, size, directions, rank, tolerance, full)
