"""Reverse-mode gradient of welfare for all parameters and instruments, against the forward solve."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import timed
from jaxecon.analysis.designs import prior_draws, replace
from jaxecon.core.discovery import models
from jaxecon.core.fields import fields_of
from jaxecon.core.model import evaluate_pure

POINTS, CHUNK = 20_000, 1000
# A transition of 81 years is a study of its own.
FEW = {"ai_growth": 512}
BAR = 4.0


def measure(device: str) -> list[dict]:
    """One row a model: seconds for `POINTS` box points, solve alone and solve with gradient."""
    del device  # JAX computes on it
    return [_row(model) for model in models().values()]


def _row(model) -> dict:
    with jax.enable_x64(True):
        points_drawn = FEW.get(model.name, POINTS)
        draws = prior_draws(model, points_drawn, seed=0)
        p, u = model.params(), model.policy()
        points = jnp.asarray(draws.points)

        def welfare(pu):
            ev = evaluate_pure(model, *pu)
            return getattr(ev.outcomes, model.objective), (ev.status, ev.max_residual)

        def gradient_at(pu):
            return jax.value_and_grad(welfare, has_aux=True)(pu)

        def over_points(f):
            def one(vector):
                return f(replace(p, u, draws.names, vector))

            return jax.jit(lambda x: jax.lax.map(one, x, batch_size=model.block or CHUNK))

        solve, both = over_points(welfare), over_points(gradient_at)
        compile_solve, run_solve, (_, (status, residual)) = timed(lambda: solve(points))
        compile_both, run_both, (_, gradient) = timed(lambda: both(points))
        finite = np.mean([np.isfinite(np.asarray(g)) for g in jax.tree.leaves(gradient)])
        count = sum(f.kind == "real" for c in (model.Params, model.Policy) for f in fields_of(c).values())
    return {
        "work": f"gradient of {model.objective} of {model.name} for {count} fields, {points_drawn} points",
        "ours_s": run_both,
        "compile_s": compile_both - run_both,
        "forward_s": run_solve,
        "forward_compile_s": compile_solve - run_solve,
        "ratio": run_both / run_solve,
        "bar": BAR,
        "bar_is": "at most",
        "finite": float(finite),
        "solved": float(np.mean(np.asarray(status) == 0)),
        "max_residual": float(np.max(np.asarray(residual)[np.asarray(status) == 0])),
    }
