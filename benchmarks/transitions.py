"""A Monte Carlo of 10^4 growth transitions with gradients of welfare by every parameter, against the ten minutes that it may take."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxecon.analysis.designs import prior_draws, replace
from jaxecon.core.discovery import load
from jaxecon.core.model import evaluate_pure

DRAWS = 10_000
BAR_S = 600.0
# Minutes that Epoch's full takeoff model needs for as many runs, as its authors report.
EPOCH_MINUTES = 80.0


def measure(device: str) -> list[dict]:
    """Seconds of one cold run, compilation included: draws of the prior box, the whole transition each, and its gradient."""
    del device  # JAX computes on it
    model = load("ai_growth")
    with jax.enable_x64(True):
        start = time.perf_counter()
        draws = prior_draws(model, DRAWS, seed=0)
        p, u = model.params(), model.policy()

        def one(vector):
            def welfare(pu):
                ev = evaluate_pure(model, *pu)
                return ev.outcomes.welfare, (ev.outcomes.effect_2035, ev.status, ev.max_residual)

            (_, seen), slopes = jax.value_and_grad(welfare, has_aux=True)(replace(p, u, draws.names, vector))
            return seen, jnp.stack(jax.tree.leaves(slopes))

        run = jax.jit(lambda x: jax.lax.map(one, x, batch_size=model.block))
        (effect, status, residual), slopes = jax.block_until_ready(run(jnp.asarray(draws.points)))
        seconds = time.perf_counter() - start
    ok = np.asarray(status) == 0
    return [
        {
            "work": f"{DRAWS} growth transitions of the prior box with gradients by {slopes.shape[1]} fields, cold",
            "ours_s": seconds,
            "peer": "Epoch's full takeoff model, as reported for the same number of runs, without gradients",
            "peer_s": 60 * EPOCH_MINUTES,
            "ratio": 60 * EPOCH_MINUTES / seconds,
            "bar": BAR_S,
            "bar_is": "seconds, at most",
            "solved": float(np.mean(ok)),
            "max_residual": float(np.max(np.asarray(residual)[ok])),
            "finite": float(np.mean(np.isfinite(np.asarray(slopes)[ok]))),
            "effect_2035_quantiles": np.quantile(np.asarray(effect)[ok], [0.05, 0.5, 0.95]).tolist(),
        }
    ]
