"""Many variables on a box: against SciPy's L-BFGS-B, bounds active and not."""

import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from jaxecon.core.compiling import quick_jit
from jaxecon.numerics.descent import minimize_many


def test_minimum_with_active_bounds_is_that_of_scipy():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(40, 40))
    h, c = a @ a.T / 40 + 0.1 * np.eye(40), rng.normal(size=40)

    def f(x):
        return 0.5 * x @ jnp.asarray(h) @ x - jnp.asarray(c) @ x + jnp.sum(x**4) / 4 + 5

    lo, hi = -0.3 * np.ones(40), 0.5 * np.ones(40)
    x, slope = quick_jit(lambda x0: minimize_many(f, x0, jnp.asarray(lo), jnp.asarray(hi), 400))(jnp.zeros(40))
    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-12}
    found = minimize(
        lambda x: 0.5 * x @ h @ x - c @ x + np.sum(x**4) / 4 + 5, np.zeros(40),
        jac=lambda x: h @ x - c + x**3, bounds=list(zip(lo, hi, strict=True)), options=options,
    )  # fmt: skip
    held = (np.asarray(x) <= lo) | (np.asarray(x) >= hi)
    assert 3 < held.sum() < 37 and float(slope) < 1e-8
    np.testing.assert_allclose(np.asarray(x), found.x, atol=1e-5)
