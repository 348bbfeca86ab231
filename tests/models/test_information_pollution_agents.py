"""Paper 5 with agents: large numbers, heterogeneity, the smooth variant, one code for all sizes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxecon.models.information_pollution import agents, dynamics
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.numerics.agents import simulate


def with_values(tree, **values):
    names = list(values)
    return eqx.tree_at(lambda t: [getattr(t, n) for n in names], tree, [jnp.asarray(values[n]) for n in names])


STILL = with_values(Params(), price_decline=0.0)
EQUAL = with_values(STILL, cost_sd=0.0, taste_sd=0.0, choice_noise=0.0)
U = Policy(provenance=0.2)


@pytest.fixture(scope="module")
def rest():
    return jax.jit(dynamics.rest_point)(STILL, U)


def _run(n, periods, smooth=False):
    @jax.jit
    def run(key, p, economy):
        k = jax.random.split(key, 3)
        traits = agents.draw_traits(k[0], p, n)
        crowd = agents.start(k[1], p, economy, traits, smooth)
        return simulate(agents.step_of(p, U, traits, smooth), crowd, k[2], periods)[1]

    return run


@pytest.mark.slow
def test_equal_agents_approach_the_equilibrium_at_rate_root_n(rest):
    errors = []
    for n in (400, 25_600):
        path = jax.vmap(_run(n, 120), in_axes=(0, None, None))(jax.random.split(jax.random.key(0), 6), EQUAL, rest)
        assert float(jnp.max(path.residual)) < 1e-9
        errors.append(float(jnp.sqrt(jnp.mean((path.trust - rest.T) ** 2))))
        bias = float(jnp.mean(path.trust) - rest.T)
        assert abs(bias) < 3 * errors[-1] / np.sqrt(6)
    rate = np.log(errors[1] / errors[0]) / np.log(64)
    assert -0.6 < rate < -0.4, (rate, errors)
    # The stationary spread of n/2 independent two-state chains, up to the feedback through attention.
    binomial = float(jnp.sqrt(rest.T * (1 - rest.T) / 12_800))
    assert 0.6 < errors[1] / binomial < 1.4
    np.testing.assert_allclose(jnp.mean(path.low_quality_items), rest.q.L, rtol=5e-3)


@pytest.mark.slow
def test_smooth_equal_agents_rest_at_the_equilibrium(rest):
    path = _run(200, 24, smooth=True)(jax.random.key(0), EQUAL, rest)
    np.testing.assert_allclose(path.trust, rest.T, rtol=1e-9)
    np.testing.assert_allclose(path.low_quality_items, rest.q.L, rtol=1e-8)


@pytest.mark.slow
def test_the_gap_of_heterogeneity_is_of_second_order_and_the_smooth_gap_is_small(rest):
    def gap(scale):
        p = with_values(STILL, cost_sd=scale, taste_sd=scale, choice_noise=0.0)
        keys = jax.random.split(jax.random.key(3), 4)
        path = jax.vmap(smooth, in_axes=(0, None, None))(keys, p, rest)
        return float(jnp.mean(path.detection[:, -1])) - base

    smooth = _run(40_000, 60, smooth=True)
    base = float(smooth(jax.random.key(0), EQUAL, rest).detection[-1])
    small, large = gap(0.25), gap(0.5)
    assert large > small > 0, "cheap verifiers gain more than dear ones lose"
    assert 2.5 < large / small < 5.5
    noisy = with_values(STILL, cost_sd=0.3, taste_sd=0.3, choice_noise=0.1)
    one, two = _run(40_000, 60)(jax.random.key(1), noisy, rest), smooth(jax.random.key(1), noisy, rest)
    assert abs(float(jnp.mean(one.trust - two.trust))) < 0.01
    assert abs(float(jnp.mean(one.welfare - two.welfare))) < 0.02


@pytest.mark.slow
def test_fifty_agents_and_the_declared_layer():
    path = jax.jit(agents.AGENTS["producers_consumers"].run, static_argnums=(3, 4, 5))(
        jax.random.key(0), Params(), Policy(), 50, 24, False
    )
    assert path.trust.shape == (24,) and bool(jnp.all(jnp.isfinite(path.welfare)))
    np.testing.assert_allclose(path.trust * 25, jnp.round(path.trust * 25), atol=1e-9)
    assert agents.group_sizes(50) == (25, 12, 13)
