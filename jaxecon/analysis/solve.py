"""One point, as a labelled dataset."""

from typing import Any

import jax
import xarray as xr

from jaxecon.analysis.designs import resolve
from jaxecon.core.model import Model, evaluate
from jaxecon.core.results import provenance, settings, to_dataset


def solve(model: Model, params: Any = None, policy: Any = None, *, precision: str = "float64") -> xr.Dataset:
    """Solve the model at one point.

    **Arguments**

    - `params`, `policy`: from `model.params(...)` and `model.policy(...)`; default: the baseline, laissez-faire.
    - `precision`: `"float64"` or `"float32"`.

    **Returns** a dataset of scalars: each outcome with unit and symbol, `max_residual`, `status` (0 solved; its
    attributes name the reason otherwise), `residual` by `identity`, `branch_holds` by `branch`. The attributes
    hold versions, commit, and the values of all parameters and instruments.

    Raises `InputError` if `params` or `policy` are of another model. For jit, grad and vmap use `evaluate`.
    """
    p, u = resolve(model, params, policy, precision)
    with jax.enable_x64(precision == "float64"):
        evaluation = jax.device_get(evaluate(model, p, u))
    record = provenance(model, precision=precision, params=settings(p), policy=settings(u))
    return to_dataset(model, evaluation, record=record)
