"""Functional forms that several models share, against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxecon.economics.inequality import gini, gini_of_ranked, herfindahl


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_gini_is_the_mean_absolute_difference():
    rng = np.random.default_rng(0)
    x, w = rng.lognormal(size=30), rng.uniform(0.1, 2, 30)
    direct = np.sum(w[:, None] * w * np.abs(x[:, None] - x)) / (2 * np.sum(w * x) * np.sum(w))
    np.testing.assert_allclose(float(gini(jnp.asarray(x), jnp.asarray(w))), direct, rtol=1e-12)
    assert abs(float(gini(jnp.ones(5), jnp.ones(5)))) < 1e-12
    assert float(gini(jnp.zeros(5), jnp.ones(5))) == 0.0
    # One of n holds everything.
    np.testing.assert_allclose(float(gini(jnp.asarray([0.0, 0, 0, 1]), jnp.ones(4))), 0.75)


def test_gini_of_ranked_values_and_a_few_more_is_the_gini():
    rng = np.random.default_rng(3)
    x, few = np.sort(rng.lognormal(0.0, 1.0, 200)), rng.lognormal(0.5, 1.0, 4)
    x[:5] = 0.0
    w, numbers = rng.uniform(0.0, 2.0, 200), rng.uniform(0.0, 30.0, 4)
    w[50:60] = 0.0
    whole = gini(jnp.asarray(np.append(x, few)), jnp.asarray(np.append(w, numbers)))
    parts = gini_of_ranked(jnp.asarray(x), jnp.asarray(w), jnp.asarray(few), jnp.asarray(numbers))
    np.testing.assert_allclose(float(parts), float(whole), rtol=1e-12)
    assert float(gini_of_ranked(jnp.zeros(3), jnp.ones(3), jnp.zeros(1), jnp.ones(1))) == 0.0


def test_gini_gradient():
    x, w = jnp.asarray([0.3, 1.2, 0.7, 2.5]), jnp.asarray([1.0, 0.5, 2.0, 0.3])
    slope = jax.grad(gini)(x, w)
    h = 1e-6
    rough = [(gini(x.at[k].add(h), w) - gini(x.at[k].add(-h), w)) / (2 * h) for k in range(4)]
    np.testing.assert_allclose(np.asarray(slope), np.asarray(rough), rtol=1e-6, atol=1e-9)


def test_herfindahl_counts_equal_firms():
    np.testing.assert_allclose(float(herfindahl(jnp.full(4, 0.25))), 0.25)
    np.testing.assert_allclose(float(herfindahl(jnp.asarray([0.1, 0.5]), jnp.asarray([5.0, 1.0]))), 0.3)
