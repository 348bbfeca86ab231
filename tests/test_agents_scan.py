"""The agent scan: keys, discrete and smooth weights, medians without a sort, bounded memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxecon.numerics.agents import (
    choice_probabilities,
    choice_weights,
    indicator,
    mean_and_error,
    normals,
    over_keys,
    simulate,
    uniform_pairs,
    uniforms,
    weighted_mean,
    weighted_median,
)

median = jax.jit(weighted_median, static_argnames=("smooth", "width"))


def _walk(state, key, t):
    state = state + normals(key, state.shape[0], state.dtype)
    return state, {"mean": jnp.mean(state), "first": state[0], "time": t}


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_pairs_of_uniform_draws_are_uniform_independent_and_stable(key, dtype):
    x, y = uniform_pairs(key, 100_000, dtype)
    assert x.dtype == y.dtype == dtype
    for z in (x, y):
        assert 0 <= float(z.min()) and float(z.max()) < 1
        np.testing.assert_allclose(np.histogram(z, 10, (0, 1))[0], 10_000, atol=500)
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.015
    for whole, part in zip((x, y), uniform_pairs(key, 7, dtype), strict=True):
        np.testing.assert_array_equal(part, whole[:7])


def test_prefixes_are_stable_in_periods_and_agents(key):
    short = simulate(_walk, jnp.zeros(5), key, 10)[1]
    long = simulate(_walk, jnp.zeros(50), key, 30)[1]
    np.testing.assert_array_equal(short["first"], long["first"][:10])
    np.testing.assert_array_equal(uniforms(key, 7), uniforms(key, 1000)[:7])
    assert not np.array_equal(long["first"], simulate(_walk, jnp.zeros(50), jax.random.key(1), 30)[1]["first"])


def test_two_halves_make_the_whole(key):
    whole, _ = simulate(_walk, jnp.zeros(5), key, 10)
    half, _ = simulate(_walk, jnp.zeros(5), key, 4)
    rest, _ = simulate(_walk, half, key, 6, first=4)
    np.testing.assert_array_equal(whole, rest)


def test_checkpointed_gradient_is_the_gradient(key):
    def last(scale, checkpoint):
        def step(state, k, t):
            state = jnp.tanh(scale * state + normals(k, 3))
            return state, jnp.sum(state)

        return jnp.sum(simulate(step, jnp.ones(3), key, 20, checkpoint=checkpoint)[1])

    plain, kept = (jax.grad(lambda s, c=c: last(s, c))(0.7) for c in (False, True))
    np.testing.assert_allclose(plain, kept, rtol=1e-12)
    h = 1e-6
    np.testing.assert_allclose(plain, (last(0.7 + h, False) - last(0.7 - h, False)) / (2 * h), rtol=1e-7)


def test_discrete_choices_have_the_smooth_probabilities(key):
    n = 200_000
    values = jnp.broadcast_to(jnp.array([0.3, 0.0, -0.2, 5.0])[:, None], (4, n))
    allowed = jnp.broadcast_to(jnp.array([1.0, 1.0, 1.0, 0.0])[:, None], (4, n))
    q = choice_probabilities(values, 0.5, allowed)
    w = choice_weights(q, uniforms(key, n), smooth=False)
    np.testing.assert_array_equal(jnp.sum(w, axis=0), np.ones(n))
    assert float(w[3].sum()) == 0.0, "a forbidden action is never drawn"
    expected = np.exp(np.array([0.6, 0.0, -0.4]))
    expected /= expected.sum()
    np.testing.assert_allclose(q[:3, 0], expected, rtol=1e-12)
    error = np.sqrt(expected * (1 - expected) / n)
    assert np.all(np.abs(np.asarray(w[:3].mean(axis=1)) - expected) < 5 * error)
    np.testing.assert_array_equal(choice_weights(q, uniforms(key, n), smooth=True), q)


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.9999999999999999])
def test_every_draw_selects_one_action(draw):
    q = jnp.array([[0.25, 1.0, 0.0, 0.1], [0.75, 0.0, 0.0, 0.2], [0.0, 0.0, 1.0, 0.7]])
    w = choice_weights(q, jnp.full(4, draw), smooth=False)
    np.testing.assert_array_equal(w.sum(axis=0), np.ones(4))
    assert float(jnp.sum(w * (q == 0.0))) == 0.0


def test_indicator_tends_to_the_step():
    x = jnp.array([-1.0, -1e-9, 0.0, 2.0])
    np.testing.assert_array_equal(indicator(x, 0.1, smooth=False), [0.0, 0.0, 1.0, 1.0])
    np.testing.assert_allclose(indicator(x[jnp.array([0, 3])], 1e-3, smooth=True), [0.0, 1.0], atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 51])
def test_median_is_numpys(n):
    rng = np.random.default_rng(n)
    for _ in range(20):
        x = rng.lognormal(sigma=2.0, size=n)
        w = (rng.random(n) < 0.6).astype(float)
        expected = np.median(x[w > 0]) if w.any() else 0.0
        np.testing.assert_allclose(median(jnp.asarray(x), jnp.asarray(w)), expected, rtol=1e-12)


def test_median_with_ties():
    x = jnp.array([1.0, 1.0, 2.0, 2.0, 7.0])
    assert float(median(x, jnp.ones(5))) == 2.0
    assert float(median(x[:4], jnp.ones(4))) == 1.5
    assert float(median(x, jnp.zeros(5))) == 0.0


def test_smooth_median_approaches_the_median_and_has_its_gradient():
    rng = np.random.default_rng(0)
    x, w = jnp.asarray(rng.lognormal(size=401)), jnp.asarray(rng.random(401))
    close = median(x, w, smooth=True, width=1e-4)
    order = np.argsort(x)
    by_sort = np.asarray(x)[order][np.searchsorted(np.cumsum(np.asarray(w)[order]), 0.5 * float(w.sum()))]
    np.testing.assert_allclose(close, by_sort, rtol=2e-2)

    def f(s):
        return median(x * (1 + s * w), w**s, smooth=True, width=0.1)

    h = 1e-5
    np.testing.assert_allclose(jax.grad(f)(0.5), (f(0.5 + h) - f(0.5 - h)) / (2 * h), rtol=1e-6)


def test_means_and_errors():
    assert float(weighted_mean(jnp.array([1.0, 5.0]), jnp.zeros(2))) == 0.0
    samples = jnp.array([[1.0, 2.0], [3.0, jnp.nan], [5.0, 4.0]])
    mean, error = mean_and_error(samples)
    np.testing.assert_allclose(mean, [3.0, 3.0])
    np.testing.assert_allclose(error, [2.0 / np.sqrt(3.0), np.sqrt(2.0) / np.sqrt(2.0)])


def test_batches_of_keys_change_nothing():
    keys = jax.random.split(jax.random.key(3), 7)

    def run(k):
        return simulate(_walk, jnp.zeros(4), k, 5)[1]["mean"]

    np.testing.assert_allclose(over_keys(run, keys), over_keys(run, keys, batch_size=3), rtol=1e-12)
