"""What a sampler found: draws of the posterior with diagnostics, as a table and as ArviZ InferenceData."""

import dataclasses
import functools
import warnings
from typing import Any

import numpy as np
import xarray as xr

from jaxecon.analysis.density import Prior
from jaxecon.analysis.moment_problem import MomentProblem
from jaxecon.core.optional import optional_module
from jaxecon.core.results import as_attributes, field_attributes, provenance, settings

# Largest R-hat and fewest effective draws a parameter with which a posterior counts as found (Vehtari et al. 2021).
LARGEST_RHAT, FEWEST_EFFECTIVE = 1.01, 400
LEVELS = (0.025, 0.05, 0.5, 0.95, 0.975)


def arviz() -> Any:
    """ArviZ, whose 0.23 announces its successor by a warning when it is loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optional_module("arviz", "arviz", "bayes", "the diagnostics of a posterior")


@dataclasses.dataclass(frozen=True, eq=False)
class Posterior:
    """Draws of the posterior of a calibration.

    **Attributes** (c chains, n draws each, k parameters, m moments)

    - `problem`, `prior`, `method`, `seed`; `draws` [c, n, k] in the units of the parameters.
    - `moments` [c, n, m]: of the model at the draws, computed when asked for (of `abc`: by the discrete rule, in one run of
      agents that all draws share).
    - `statistics`: by name `[c, n]`: `lp` (log posterior density of the unbounded z), `diverging`, `acceptance_rate`, `n_steps`, ...
    - `log_evidence`: logarithm of the marginal likelihood, one a run, of `smc`; `steps`: `smc` and `abc`, what each stage did.
    - `record`: options of the run.
    """

    problem: MomentProblem
    prior: Prior
    method: str
    seed: int
    draws: np.ndarray
    statistics: dict[str, np.ndarray]
    log_evidence: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    steps: tuple[dict[str, Any], ...] = ()
    record: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.problem.names)

    @property
    def theta(self) -> np.ndarray:
        """All draws, `[c * n, k]`, chain after chain."""
        return self.draws.reshape(-1, len(self.names))

    @functools.cached_property
    def moments(self) -> np.ndarray:
        found, _ = self.problem.rows(self.theta, smooth=self.method != "abc")
        return found.reshape(*self.draws.shape[:2], -1)

    @property
    def divergences(self) -> int:
        """Trajectories that left the energy surface: the draws may miss a part of the posterior."""
        return int(np.sum(self.statistics.get("diverging", 0)))

    def thinned(self, n: int) -> dict[str, np.ndarray]:
        """`n` draws evenly spaced over all of them (fewer if there are fewer), by name, as analyses of policy take them."""
        rows = np.unique(np.linspace(0, len(self.theta) - 1, min(n, len(self.theta))).round().astype(int))
        return dict(zip(self.names, self.theta[rows].T, strict=True))

    def diagnostics(self) -> dict[str, np.ndarray]:
        """By parameter `[k]`: rank-normalized split R-hat, effective draws in the bulk and in the tails, Monte Carlo error of
        the mean (Vehtari et al. 2021); R-hat is NaN for one chain."""
        az = arviz()
        columns = [self.draws[:, :, j] for j in range(len(self.names))]
        many = len(self.draws) > 1
        return {
            "r_hat": np.array([float(az.rhat(x)) if many else np.nan for x in columns]),
            "ess_bulk": np.array([float(az.ess(x, method="bulk")) for x in columns]),
            "ess_tail": np.array([float(az.ess(x, method="tail")) for x in columns]),
            "mcse_mean": np.array([float(az.mcse(x, method="mean")) for x in columns]),
        }

    @property
    def verdict(self) -> str:
        """`converged`, or what stands against it."""
        found, against = self.diagnostics(), []
        if np.any(found["r_hat"] > LARGEST_RHAT):
            against.append(f"R-hat up to {np.nanmax(found['r_hat']):.3f} (at most {LARGEST_RHAT})")
        # Draws of abc are resampled from weighted ones: their weights say how many there are, not their order.
        least = self.record.get("effective", min(float(found["ess_bulk"].min()), float(found["ess_tail"].min())))
        if not least >= FEWEST_EFFECTIVE:
            against.append(f"{least:.0f} effective draws (at least {FEWEST_EFFECTIVE})")
        if self.divergences:
            against.append(f"{self.divergences} divergences")
        if not self.record.get("reached", True):
            against.append(f"the last population stands at {self.record['threshold']:.3g} and not yet at its end")
        return "converged" if not against else "not converged: " + "; ".join(against)

    def summary(self) -> xr.Dataset:
        """By `parameter`: mean, standard deviation, quantiles by `level`, prior and posterior width, diagnostics."""
        theta, fields = self.theta, self.problem.model.fields
        variables: dict[str, Any] = {
            "mean": ("parameter", theta.mean(axis=0)),
            "sd": ("parameter", theta.std(axis=0, ddof=1)),
            "quantile": (("parameter", "level"), np.quantile(theta, LEVELS, axis=0).T),
            "lo": ("parameter", self.prior.lo),
            "hi": ("parameter", self.prior.hi),
        }
        variables |= {n: ("parameter", x) for n, x in self.diagnostics().items()}
        coords = {
            "parameter": list(self.names),
            "level": list(LEVELS),
            "unit": ("parameter", [fields[n].unit for n in self.names]),
        }
        return xr.Dataset(variables, coords=coords, attrs=as_attributes(self._record()))

    def _record(self) -> dict[str, Any]:
        p = self.problem
        more = {"log_evidence": self.log_evidence.tolist()} if len(self.log_evidence) else {}
        return provenance(
            p.model, seed=self.seed, method=self.method, divergences=self.divergences, verdict=self.verdict,
            params=settings(p.p), policy=settings(p.u), **self.record, **more,
        )  # fmt: skip

    def to_inference_data(self) -> Any:
        """ArviZ InferenceData: `posterior`, `sample_stats`, `log_likelihood` (a draw's, and by target where their errors are
        independent), `posterior_predictive` (moments with a draw of their errors), `observed_data`, `prior`, `constant_data` (standard errors)."""
        az, p, fields = arviz(), self.problem, self.problem.model.fields
        n = self.draws.shape[1]
        targets = [t.name for t in p.targets]
        rng = np.random.default_rng([self.seed, 1])
        root = np.linalg.cholesky(np.asarray(p.covariance, float))
        noise = rng.standard_normal(self.moments.shape) @ root.T
        miss = self.moments - p.observed
        alone = -(miss**2) / (2 * p.scale**2) - np.log(p.scale * np.sqrt(2 * np.pi))
        before = self.prior.sample(n, self.seed)
        groups: dict[str, Any] = {
            "posterior": {name: self.draws[:, :, j] for j, name in enumerate(self.names)},
            "posterior_predictive": {"moments": self.moments + noise},
            "prior": {name: before[None, :, j] for j, name in enumerate(self.names)},
            "observed_data": {"moments": np.asarray(p.observed, float)},
            "constant_data": {"standard_error": np.asarray(p.scale, float)},
        }
        if self.statistics:
            groups["sample_stats"] = self.statistics
        if not np.any(p.covariance - np.diag(np.diag(p.covariance))):
            groups["log_likelihood"] = {"moments": alone}
        dims = {"moments": ["target"], "standard_error": ["target"]}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = az.from_dict(**groups, coords={"target": targets}, dims=dims)
        for name in self.names:
            made.posterior[name].attrs.update(field_attributes(fields[name]))
        attributes = as_attributes(self._record())
        for group in made.groups():
            # A date would make two equal runs differ.
            made[group].attrs = dict(attributes)
        return made
