"""Paths: the dynamic layers (time) and the agent layers (time and seeds), as labelled datasets."""

import json
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxecon.analysis.designs import count_problems, resolve, seed_problems
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError, did_you_mean
from jaxecon.core.model import Agents, Dynamics, Model
from jaxecon.core.results import path_dataset, provenance, settings

# Agent-periods from which a program that runs faster is worth its longer compilation.
MANY = 10**7


@quick_jit
def _run_dynamics(layer: Dynamics, p: Any, u: Any, time: jax.Array) -> Any:
    return layer.run(p, u, time)


def _run_agents(layer: Agents, keys: jax.Array, p: Any, u: Any, n: int, periods: int, smooth: bool) -> Any:
    # One seed after the other: memory stays that of one run.
    return jax.lax.map(lambda key: layer.run(key, p, u, n, periods, smooth), keys)


_few_agents, _many_agents = quick_jit(_run_agents, effort=1), eqx.filter_jit(_run_agents)


def find_layer(model: Model, layer: str) -> tuple[str, str, Any]:
    """Kind, name and record of a layer, asked for by kind (its first layer) or by name."""
    kinds = {"dynamics": model.dynamics, "agents": model.agents}
    if kinds.get(layer):
        name = next(iter(kinds[layer]))
        return layer, name, kinds[layer][name]
    for kind, layers in kinds.items():
        if layer in layers:
            return kind, layer, layers[layer]
    known = [k for k, layers in kinds.items() if layers] + [n for layers in kinds.values() for n in layers]
    if layer in kinds:
        raise InputError([f"{model.name} has no {layer} layer; {did_you_mean(layer, known)}"], "the layer")
    raise InputError([f"{layer!r} is no layer of {model.name}; {did_you_mean(layer, known)}"], "the layer")


def simulate(
    model: Model,
    layer: str = "dynamics",
    *,
    params: Any = None,
    policy: Any = None,
    horizon: float | None = None,
    steps: int | None = None,
    n: int | None = None,
    periods: int | None = None,
    seeds: int = 1,
    seed: int = 0,
    smooth: bool = False,
    precision: str = "float64",
) -> xr.Dataset:
    """Run a layer over time.

    **Arguments**

    - `layer`: `"dynamics"` or `"agents"` (the first layer of that kind), or the name of one layer.
    - `horizon`, `steps`: of a dynamic layer, in its unit of time; `steps + 1` equally spaced times from 0.
    - `n`, `periods`: agents and periods of an agent layer; `smooth`: its differentiable variant.
    - `seeds`: number of runs of an agent layer; run `i` of seed `seed` is the same for any `seeds > i`.

    What is not given is as the layer declares. **Returns** a dataset with the layer's series and coordinates;
    an agent layer has the leading dimension `seed`. Raises `InputError`.
    """
    p, u = resolve(model, params, policy, precision)
    kind, name, record = find_layer(model, layer)
    given = {"horizon": horizon, "steps": steps, "n": n, "periods": periods}
    foreign = {"dynamics": ("n", "periods"), "agents": ("horizon", "steps")}[kind]
    mine = [k for k in given if k not in foreign]
    problems = [f"{k} does not apply to the {kind} layer {name!r}; it takes {' and '.join(mine)}"
                for k in foreign if given[k] is not None]  # fmt: skip
    if kind == "dynamics":
        if seeds != 1 or smooth:
            problems.append(f"seeds and smooth apply to agent layers only, not to the dynamics layer {name!r}")
        horizon = record.horizon if horizon is None else horizon
        if not (isinstance(horizon, (int, float)) and np.isfinite(horizon) and horizon > 0):
            problems.append(f"horizon = {horizon!r} must be a positive number")
        steps = record.steps if steps is None else steps
        problems += count_problems(steps=steps)
    else:
        n = record.n if n is None else n
        periods = record.periods if periods is None else periods
        problems += count_problems(n=n, periods=periods, seeds=seeds) + seed_problems(seed)
    if problems:
        raise InputError(problems, f"the simulation of {model.name}")
    about = {"layer": name, "kind": kind, "precision": precision, "params": settings(p), "policy": settings(u)}
    with jax.enable_x64(precision == "float64"):
        if kind == "dynamics":
            time = jnp.linspace(0.0, float(horizon), steps + 1, dtype=precision)  # pyright: ignore
            result = jax.device_get(_run_dynamics(record, p, u, time))
            return path_dataset(result, record=provenance(model, doc=record.doc, **about))
        root = jax.random.key(seed)
        keys = jax.vmap(lambda i: jax.random.fold_in(root, i))(jnp.arange(seeds))
        run = _few_agents if n * periods * seeds < MANY else _many_agents  # pyright: ignore
        result = jax.device_get(run(record, keys, p, u, int(n), int(periods), bool(smooth)))  # pyright: ignore
    more = {"doc": record.doc, "n": n, "periods": periods, "smooth": json.dumps(smooth), "seed": seed}
    return path_dataset(result, batch="seed", record=provenance(model, **about, **more))
