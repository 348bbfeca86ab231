"""Reverse-mode gradient of welfare for all parameters and instruments, against the forward solve."""

import equinox as eqx
import jax
import numpy as np

from benchmarks.timing import timed
from jaxecon.analysis.designs import prior_draws
from jaxecon.core.discovery import models
from jaxecon.core.fields import fields_of
from jaxecon.core.model import evaluate_pure

POINTS = 20_000
BAR = 4.0


def measure(device: str) -> list[dict]:
    """One row a model: seconds for `POINTS` box points, solve alone and solve with gradient."""
    del device  # JAX uses the accelerator that it finds
    return [_row(model) for model in models().values()]


def _row(model) -> dict:
    with jax.enable_x64(True):
        p = prior_draws(model, POINTS, seed=0)
        u = model.policy()

        def welfare(q, v):
            ev = evaluate_pure(model, q, v)
            return getattr(ev.outcomes, model.objective), (ev.status, ev.max_residual)

        axes = (eqx.if_array(0), None)
        solve = eqx.filter_jit(eqx.filter_vmap(welfare, in_axes=axes))
        both = eqx.filter_jit(
            eqx.filter_vmap(lambda q, v: jax.value_and_grad(lambda z: welfare(*z), has_aux=True)((q, v)), in_axes=axes)
        )
        compile_solve, run_solve, (_, (status, residual)) = timed(lambda: solve(p, u))
        compile_both, run_both, (_, gradient) = timed(lambda: both(p, u))
        finite = np.mean([np.isfinite(np.asarray(g)) for g in jax.tree.leaves(gradient)])
        count = sum(f.kind == "real" for c in (model.Params, model.Policy) for f in fields_of(c).values())
    return {
        "work": f"gradient of {model.objective} of {model.name} for {count} fields, {POINTS} points",
        "ours_s": run_both,
        "compile_s": compile_both - run_both,
        "forward_s": run_solve,
        "forward_compile_s": compile_solve - run_solve,
        "ratio": run_both / run_solve,
        "bar": BAR,
        "bar_is": "at most",
        "finite": float(finite),
        "solved": float(np.mean(np.asarray(status) == 0)),
        "max_residual": float(np.nanmax(np.asarray(residual))),
    }
