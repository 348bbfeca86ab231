"""A model as other packages take it: SALib's problem, a prior with a simulator, NumPyro's model, optimagic's objective, tables.

The plain parts need no other package; those that do load it when they are called.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.analysis.batch import Response, evaluate_rows, evaluate_slopes
from jaxecon.analysis.designs import (
    Box,
    box_of,
    outcome_names,
    replace,
    resolve,
)
from jaxecon.analysis.policies import choose
from jaxecon.core.errors import InputError
from jaxecon.core.fields import fields_of
from jaxecon.core.model import SOLVED, Model, evaluate_pure
from jaxecon.core.optional import optional_module

# Rows of a table written at once, where the dataset does not say.
ROWS = 1 << 16
Prior = Mapping[str, tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Simulator:
    """A uniform prior over named fields of a model and the map from them to outcomes; every method is pure JAX in float64.

    `names`, `lo`, `hi`: the fields and their box; `outcomes`: what `simulate` returns. For BlackJAX take `log_posterior`,
    for anything else `log_prior` and `simulate`. Call them with `jax.enable_x64(True)`. For packages that hold arrays of their own,
    such as sbi, `lo`, `hi` and `simulate_rows` (NumPy, any number of points, NaN where one fails or is not allowed):

        prior = sbi.utils.BoxUniform(torch.as_tensor(sim.lo), torch.as_tensor(sim.hi))
        x = torch.as_tensor(sim.simulate_rows(theta.numpy()))
    """

    model: Model
    names: tuple[str, ...]
    lo: np.ndarray
    hi: np.ndarray
    outcomes: tuple[str, ...]
    p: Any
    u: Any

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n k"]:
        """Draws of the box; `log_prior` is -inf at those that break an order restriction."""
        unit = jax.random.uniform(key, (n, len(self.names)), float)
        return jnp.asarray(self.lo) + jnp.asarray(self.hi - self.lo) * unit

    def log_prior(self, theta: Float[Array, " k"]) -> Float[Array, ""]:
        """Log density of the box at one point, up to the share of it that order restrictions exclude; -inf outside."""
        p, _ = replace(self.p, self.u, self.names, theta)
        inside = jnp.all((theta >= self.lo) & (theta <= self.hi))
        for margin in self.model.constraints(p).values():
            inside = inside & (margin > 0)
        return jnp.where(inside, -np.sum(np.log(self.hi - self.lo)), -jnp.inf)

    def simulate(self, theta: Float[Array, " k"]) -> Float[Array, " o"]:
        """Outcomes at one point; NaN where the model does not solve. For many points: `jax.vmap`."""
        out = evaluate_pure(self.model, *replace(self.p, self.u, self.names, theta)).outcomes
        return jnp.stack([getattr(out, n) for n in self.outcomes])

    def simulate_rows(self, theta: np.ndarray) -> np.ndarray:
        """Outcomes `[n, o]` at points `[n, k]` as NumPy arrays, in batches of bounded memory."""
        response = Response(self.model)
        columns = [list(response.fields()).index(n) for n in self.outcomes]
        with jax.enable_x64(True):
            return evaluate_rows(response, self.p, self.u, self.names, np.asarray(theta, float))[:, columns]

    def to_theta(self, z: Float[Array, " k"]) -> Float[Array, " k"]:
        """From the whole real line to the box: lo + (hi - lo) / (1 + exp(-z))."""
        return jnp.asarray(self.lo) + jnp.asarray(self.hi - self.lo) * jax.nn.sigmoid(z)

    def log_posterior(self, observed: Any, scale: Any) -> Callable[[Float[Array, " k"]], Float[Array, ""]]:
        r"""Log density of `z` (unbounded, `to_theta` gives the point) given outcomes seen with Gaussian error `scale`.

        $$ \ln p(\theta(z)) + \ln \left| \frac{d\theta}{dz} \right| - \sum_o \left[ \tfrac12
           \left( \frac{y_o - m_o(\theta)}{s_o} \right)^2 + \ln (s_o \sqrt{2\pi}) \right] $$

        -inf where the model does not solve. Grade [S].
        """
        y, s = np.asarray(observed, float), np.broadcast_to(np.asarray(scale, float), (len(self.outcomes),))

        def log_density(z: Float[Array, " k"]) -> Float[Array, ""]:
            theta = self.to_theta(z)
            stretch = jnp.sum(jnp.log(self.hi - self.lo) + jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z))
            miss = (y - self.simulate(theta)) / s
            fit = -jnp.sum(miss**2 / 2 + np.log(s * np.sqrt(2 * np.pi)))
            solved = jnp.isfinite(fit)
            return jnp.where(solved, self.log_prior(theta) + stretch + jnp.where(solved, fit, 0.0), -jnp.inf)

        return log_density


def _box(model: Model, names: Sequence[str] | None, prior: Prior | None, problems: Sequence[str] = ()) -> Box:
    box, why = box_of(model, names, prior)
    if problems or why:
        raise InputError([*why, *problems], f"the export of {model.name}")
    return box


def simulator(
    model: Model,
    outcomes: Sequence[str] | None = None,
    *,
    names: Sequence[str] | None = None,
    prior: Prior | None = None,
    params: Any = None,
    policy: Any = None,
) -> Simulator:
    """A prior and a simulator for simulation-based inference and samplers.

    `names` and `prior` as in `sensitivity`: default, the parameters that have a box, over it. `outcomes`: default, all.
    `params` and `policy` hold what is not drawn. Raises `InputError`.
    """
    p, u = resolve(model, params, policy, "float64")
    chosen, problems = outcome_names(model, outcomes)
    box = _box(model, names, prior, problems)
    return Simulator(model, box.names, box.lo, box.hi, chosen, p, u)


def salib_problem(model: Model, names: Sequence[str] | None = None, prior: Prior | None = None) -> dict[str, Any]:
    """The prior box as the `problem` of SALib: `num_vars`, `names`, `bounds`. `Simulator.simulate_rows` evaluates its samples."""
    box = _box(model, names, prior)
    bounds = [[float(a), float(b)] for a, b in zip(box.lo, box.hi, strict=True)]
    return {"num_vars": len(box.names), "names": list(box.names), "bounds": bounds}


def numpyro_model(sim: Simulator, scale: Any) -> Callable[..., None]:
    """A NumPyro model: uniform fields by name, the outcomes as deterministic sites, `observed` Gaussian around them.

    Call it with `observed=` (one number an outcome) to condition, or without to draw from the prior predictive.
    Order restrictions and points that do not solve have probability zero.
    """
    numpyro = optional_module("numpyro", "numpyro", "bayes", "numpyro_model")
    distributions = optional_module("numpyro.distributions", "numpyro", "bayes", "numpyro_model")
    s = np.broadcast_to(np.asarray(scale, float), (len(sim.outcomes),))

    def model(observed: Any = None) -> None:
        drawn = [
            numpyro.sample(n, distributions.Uniform(float(a), float(b)))
            for n, a, b in zip(sim.names, sim.lo, sim.hi, strict=True)
        ]
        theta = jnp.stack(drawn)
        found = sim.simulate(theta)
        possible = jnp.all(jnp.isfinite(found)) & jnp.isfinite(sim.log_prior(theta))
        numpyro.factor("solved", jnp.where(possible, 0.0, -jnp.inf))
        mean = jnp.where(jnp.isfinite(found), found, 0.0)
        for i, name in enumerate(sim.outcomes):
            numpyro.deterministic(name, found[i])
        numpyro.sample("observed", distributions.Normal(mean, s).to_event(1), obs=observed)

    return model


@dataclasses.dataclass(frozen=True)
class PolicyProblem:
    """Choose instruments: minimize `fun` within `lo` and `hi` from `start`; exact derivatives in `jac`.

    `fun` is minus the outcome if it is to be maximized, and +inf where the model does not solve. Points are NumPy
    arrays in the order of `names`, so that SciPy takes them as they are.
    """

    model: Model
    names: tuple[str, ...]
    objective: str
    sign: float
    lo: np.ndarray
    hi: np.ndarray
    start: np.ndarray
    p: Any
    u: Any

    def fun(self, x: np.ndarray) -> float:
        """The objective at one point."""
        rows = evaluate_rows(Response(self.model), self.p, self.u, self.names, np.asarray(x, float)[None])[0]
        value = rows[list(fields_of(self.model.Outcomes)).index(self.objective)]
        return float(self.sign * value) if rows[-1] == SOLVED and np.isfinite(value) else np.inf

    def fun_and_jac(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """The objective and its gradient; zero where the model does not solve."""
        column = list(fields_of(self.model.Outcomes)).index(self.objective)
        with jax.enable_x64(True):
            rows, slopes = evaluate_slopes(Response(self.model), self.p, self.u, self.names, np.asarray(x, float)[None])
        value, slope = rows[0, column], np.asarray(slopes[0, column], float)
        if rows[0, -1] != SOLVED or not np.isfinite(value):
            return np.inf, np.zeros(len(self.names))
        return float(self.sign * value), self.sign * slope

    def jac(self, x: np.ndarray) -> np.ndarray:
        """The gradient at one point."""
        return self.fun_and_jac(x)[1]

    def for_optimagic(self) -> dict[str, Any]:
        """Arguments of `optimagic.minimize` but the algorithm: `fun`, `jac`, `fun_and_jac`, `params`, `bounds`."""
        optimagic = optional_module("optimagic", "optimagic", "optimagic", "for_optimagic")
        return {
            "fun": self.fun, "jac": self.jac, "fun_and_jac": self.fun_and_jac, "params": self.start,
            "bounds": optimagic.Bounds(lower=self.lo, upper=self.hi),
        }  # fmt: skip


def policy_problem(
    model: Model,
    instruments: Sequence[str],
    *,
    objective: str | None = None,
    params: Any = None,
    policy: Any = None,
    bounds: Prior | None = None,
    maximize: bool = True,
) -> PolicyProblem:
    """The problem that `optimize` solves, for another optimizer: instruments within their bounds, from `policy`.

    Raises `InputError`.
    """
    choice, problems = choose(model, instruments, objective, params, policy, bounds, maximize)
    if problems or choice is None:
        raise InputError(problems, f"the policy problem of {model.name}")
    with jax.enable_x64(True):
        start = np.clip(choice.given, choice.lo, choice.hi)
    return PolicyProblem(
        model, choice.names, choice.objective, -choice.sign, choice.lo, choice.hi, start, choice.p, choice.u
    )


def to_pandas(dataset: xr.Dataset) -> Any:
    """One row a cell, one column a coordinate or variable; `frame.attrs` has the dataset's and `units` by column."""
    frame = dataset.to_dataframe().reset_index()
    if dataset.attrs.get("design") == "grid" and tuple(dataset.dims) == ("point",):
        # A large grid, opened point by point: as a small one.
        frame = frame[[str(n) for n in (*dataset.coords, *dataset.data_vars) if n != "point"]]
    units = {str(n): str(v.attrs["units"]) for n, v in dataset.variables.items() if "units" in v.attrs}
    frame.attrs = {**dataset.attrs, "units": units}
    return frame


def _parts(dataset: xr.Dataset) -> Iterator[xr.Dataset]:
    """A dataset along one dimension chunk by chunk, any other whole."""
    if len(dataset.dims) != 1:
        yield dataset
        return
    ((dim, n),) = dataset.sizes.items()
    step = int(dataset.attrs.get("chunk", ROWS))
    for start in range(0, max(n, 1), step):
        part = dataset.isel({dim: slice(start, start + step)})
        yield part if dim in dataset.coords else part.assign_coords({dim: np.arange(start, min(start + step, n))})


def to_parquet(dataset: xr.Dataset, path: str | Path) -> Path:
    """Write `to_pandas` as Parquet, a lazily opened sweep in constant memory; attributes of every column and of the dataset
    are in its schema, as JSON under `jaxecon`."""
    arrow = optional_module("pyarrow", "pyarrow", "tables", "to_parquet")
    parquet = optional_module("pyarrow.parquet", "pyarrow", "tables", "to_parquet")
    writer = None
    try:
        for part in _parts(dataset):
            frame = to_pandas(part)
            frame.attrs = {}
            if writer is None:
                columns = {str(n): dict(v.attrs) for n, v in dataset.variables.items() if str(n) in frame.columns}
                text = json.dumps(
                    {"attributes": dataset.attrs, "columns": columns},
                    default=lambda x: x.item() if np.ndim(x) == 0 else np.asarray(x).tolist(),
                )
                schema = arrow.Schema.from_pandas(frame, preserve_index=False)
                schema = schema.with_metadata({**(schema.metadata or {}), b"jaxecon": text.encode()})
                writer = parquet.ParquetWriter(path, schema)
            writer.write_table(arrow.Table.from_pandas(frame, schema=writer.schema, preserve_index=False))
    finally:
        if writer is not None:
            writer.close()
    return Path(path)
