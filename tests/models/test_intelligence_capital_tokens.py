"""Tokens and wrappers of paper 1 against the firms' problem by brute force, quadrature, differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from jaxecon import load
from jaxecon.core.compiling import quick_jit
from jaxecon.models.intelligence_capital import tokens, wrapper

MODEL = load("intelligence_capital")
P, U = MODEL.params(), MODEL.policy()


def test_tokens_against_the_firms_problem():
    """Depth by brute force, aggregation over lognormal values by quadrature, elasticity by differences, surplus by Hotelling."""
    price = 2.0
    K = np.exp(np.linspace(-12, 3, 200_001))

    def best(v):
        gain = v * K**0.4 - price * K**1.2
        k = np.argmax(gain)
        return gain[k], K[k] ** 1.2

    used = best(1.0)[1]
    assert used == pytest.approx(float(jnp.exp(tokens.log_depth(P, jnp.asarray(price)))), rel=1e-3)
    v_hat = float(jnp.exp(tokens.log_marginal_task(P, jnp.asarray(price))))
    assert best(v_hat)[0] == pytest.approx(0.1, rel=1e-6)
    deep = quad(lambda z: norm.pdf(z) * np.exp(1.5 * z) * used, np.log(v_hat), 12)[0]
    assert float(tokens.orchestrated_tokens(P, jnp.asarray(price))) == pytest.approx(deep, rel=1e-3)
    mixed = eqx.tree_at(lambda q: q.omega_a, P, jnp.asarray(0.55))
    reference = jnp.asarray(3.0)

    def total(x):
        return tokens.tokens(mixed, x, reference)

    slope = jax.grad(lambda x: jnp.log(total(jnp.exp(x))))(jnp.log(price))
    assert -float(slope) == pytest.approx(
        float(tokens.demand_elasticity(mixed, jnp.asarray(price), reference)), rel=1e-10
    )
    deep_0, shallow_0 = tokens.token_parts(mixed, reference, reference)
    assert float(deep_0 / (deep_0 + shallow_0)) == pytest.approx(0.55, rel=1e-12)
    hotelling = jax.grad(lambda x: tokens.task_surplus(P, x))(jnp.asarray(price))
    assert float(hotelling) == pytest.approx(-float(tokens.orchestrated_tokens(P, jnp.asarray(price))), rel=1e-9)


def test_documented_arc():
    """1.42 at lambda .30; complete adjustment gives the closed form's 1.43."""
    assert float(tokens.documented_arc(P)) == pytest.approx(1.42, abs=1e-3)
    fast = eqx.tree_at(lambda q: q.lam, P, jnp.asarray(50.0))
    assert float(tokens.documented_arc(fast)) == pytest.approx(1.43, abs=5e-3)


def test_the_trap_is_where_app_value_peaks():
    names = ("b_w", "m_w", "phi_w", "theta")

    def log_A_w(x):
        return jnp.log(
            wrapper.critical_capability(eqx.tree_at(lambda q: [getattr(q, n) for n in names], P, list(x)), U)
        )

    x = jnp.stack([getattr(P, n) for n in names])
    steps = 1e-5 * jnp.diag(x)
    ends = quick_jit(jax.vmap(log_A_w))(jnp.concatenate([x + steps, x - steps]))
    np.testing.assert_allclose(quick_jit(jax.grad(log_A_w))(x), (ends[:4] - ends[4:]) / (2e-5 * x), rtol=1e-5)
    best = minimize_scalar(
        lambda x: -float(wrapper.app_value(P, U, jnp.asarray(x))),
        bounds=(0, 10),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert np.exp(best.x) == pytest.approx(float(wrapper.critical_capability(P, U)), rel=1e-5)
    weak = eqx.tree_at(lambda q: q.b_w, P, jnp.asarray(0.35))
    assert float(wrapper.critical_capability(weak, U)) == pytest.approx(1e12)


def test_the_logit_share_reading_is_a_temporary_trap():
    p = eqx.tree_at(lambda q: (q.b_w, q.phi_w), P, (jnp.asarray(1.5), jnp.asarray(0.2)))
    found = {k: float(v) for k, v in quick_jit(wrapper.temporary_trap)(p, U).items()}
    assert found["trap"] == 1 and 0 < found["enters at A"] < found["leaves at A"] < 1e12

    def slope(A):
        """Of log value A^phi R^theta/(1 + R^theta), by differences."""

        def value(x):
            R = 1 + 3 * np.exp(-1.5 * x)
            return 0.2 * x + 2.5 * np.log(R) - np.log1p(R**2.5)

        return (value(np.log(A) + 1e-5) - value(np.log(A) - 1e-5)) / 2e-5

    for k in ("enters at A", "leaves at A"):
        assert abs(slope(found[k])) < 1e-8
