"""The Fokker-Planck scheme: closed forms, mass, positivity, orders of convergence, derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxecon.numerics.fokker_planck import (
    HopRates,
    bernoulli,
    evolve,
    free_energy,
    hop_rates,
    implicit_step,
    mass_flow,
    stationary_mass,
)


def _centers(n):
    return (jnp.arange(n) + 0.5) / n


def _path(mass, potential, sigma, speed, widths, dt, steps):
    def step(m, _):
        m = evolve(m, potential, sigma, speed, widths, dt)
        return m, m

    return jax.jit(lambda m: jax.lax.scan(step, m, None, length=steps))(mass)


def _random_potential(key, n):
    a = jax.random.normal(key, (6,))
    s = _centers(n)
    return sum(a[k] * jnp.cos((k + 1) * jnp.pi * s) / (k + 1) for k in range(6))


def test_bernoulli_both_signs_and_near_zero():
    x = np.array([-700.0, -30.0, -1.0, -2e-2, -1e-2, -9.9e-3, -1e-5, 0.0, 1e-5, 9.9e-3, 1.01e-2, 1.0, 30.0, 700.0])
    with np.errstate(invalid="ignore"):
        exact = np.where(x == 0, 1.0, x / np.expm1(np.where(x == 0, 1.0, x)))
    np.testing.assert_allclose(bernoulli(jnp.asarray(x)), exact, rtol=1e-13)
    slope = jax.vmap(jax.grad(bernoulli))(jnp.asarray([-1e-9, 0.0, 1e-9, 1e4, -1e4]))
    np.testing.assert_allclose(slope, [-0.5, -0.5, -0.5, 0.0, -1.0], atol=1e-8)


def test_linear_potential_closed_form():
    """mean e^L/(e^L - 1) - 1/L and free energy -sigma ln Z at k = 1, sigma = .2; second order in h.

    Paper evidence: free energy -.676739; that is its value on 100 cells, the limit is -.676760.
    """
    k, sigma = 1.0, 0.2
    exact_mean, exact_energy = 0.8067836549, -0.6767603
    big_l = k / sigma
    assert exact_mean == pytest.approx(np.exp(big_l) / np.expm1(big_l) - 1 / big_l, abs=1e-9)
    errors = []
    for n in (200, 400, 800, 1600):
        s = _centers(n)
        m = stationary_mass(k * s, jnp.asarray(sigma))
        errors.append(abs(float(jnp.sum(m * s)) - exact_mean))
        energy = float(free_energy(m, k * s, jnp.asarray(sigma), 1 / n))
    s = _centers(100)
    on_100_cells = free_energy(stationary_mass(k * s, jnp.asarray(sigma)), k * s, jnp.asarray(sigma), 1 / 100)
    assert float(on_100_cells) == pytest.approx(-0.676739, abs=1e-6)
    assert energy == pytest.approx(-sigma * np.log(np.expm1(big_l) / big_l), abs=1e-6)
    assert energy == pytest.approx(exact_energy, abs=1e-6)
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 2.0, atol=0.05)


@pytest.mark.parametrize("dt", [1e-6, 1.0, 1e6, 1e14])
def test_mass_positive_and_stationary_law_for_any_step(key, dt):
    n = 200
    pi, sigma, speed = _random_potential(key, n), jnp.asarray(0.02), jnp.asarray(0.7)
    rates = hop_rates(pi, sigma, speed, 1 / n)
    m = jax.random.exponential(jax.random.fold_in(key, 1), (n,)) ** 8
    m = jnp.where(jnp.arange(n) % 3 == 0, 0.0, m) / 3.0
    out = implicit_step(m, rates, dt)
    assert float(jnp.min(out)) >= 0.0
    assert float(jnp.sum(out)) == pytest.approx(float(jnp.sum(m)), rel=1e-12 if dt < 1e7 else 1e-10)
    star = stationary_mass(pi, sigma)
    np.testing.assert_allclose(implicit_step(star, rates, dt), star, rtol=1e-10)
    scale = float(jnp.max(rates.up[:-1] * star[:-2]))
    assert float(jnp.max(jnp.abs(mass_flow(star, rates)))) < 1e-13 * scale * n


def test_fixed_potential_free_energy_falls_and_settles(key):
    n = 100
    pi, sigma = _random_potential(key, n), jnp.asarray(0.1)
    m0 = jnp.zeros(n).at[3].set(0.5).at[90].set(0.5)
    last, path = _path(m0, pi, sigma, jnp.asarray(1.0), (1 / n,), 0.05, 800)
    energy = np.asarray(jax.vmap(lambda m: free_energy(m, pi, sigma, 1 / n))(path))
    assert np.all(np.diff(energy) <= 1e-14)
    assert energy[0] - energy[-1] > 0.01
    settled, _ = _path(last, pi, sigma, jnp.asarray(1.0), (1 / n,), 1e4, 30)
    np.testing.assert_allclose(settled, stationary_mass(pi, sigma), rtol=1e-9)


def test_product_law_in_two_dimensions():
    """pi = k1 x + k2 y: the law is the product of the two linear laws, and the path is a product path."""
    n, sigma, speed = 32, jnp.asarray(0.2), jnp.asarray(0.5)
    s = _centers(n)
    px, py = 1.0 * s, -0.6 * s
    pi = px[:, None] + py[None, :]
    star = stationary_mass(pi, sigma)
    product = stationary_mass(px, sigma)[:, None] * stationary_mass(py, sigma)[None, :]
    np.testing.assert_allclose(star, product, rtol=1e-12)
    np.testing.assert_allclose(evolve(star, pi, sigma, speed, (1 / n, 1 / n), 10.0), star, rtol=1e-11)
    mx, my = jnp.zeros(n).at[4].set(1.0), jnp.full(n, 1 / n)
    last, path = _path(mx[:, None] * my[None, :], pi, sigma, speed, (1 / n, 1 / n), 0.3, 200)
    _, path_x = _path(mx, px, sigma, speed, (1 / n,), 0.3, 200)
    _, path_y = _path(my, py, sigma, speed, (1 / n,), 0.3, 200)
    np.testing.assert_allclose(path[9], path_x[9][:, None] * path_y[9][None, :], rtol=1e-11)
    assert float(jnp.min(path[0])) >= 0.0
    np.testing.assert_allclose(jnp.sum(path, axis=(1, 2)), 1.0, rtol=1e-12)
    np.testing.assert_allclose(last, star, rtol=1e-6)
    energy = np.asarray(jax.vmap(lambda m: free_energy(m, pi, sigma, 1 / n**2))(path))
    assert np.all(np.diff(energy) <= 1e-14)


def test_stationary_law_of_a_coupled_potential_is_kept_by_the_splitting(key):
    n, sigma = 24, jnp.asarray(0.05)
    x, y = jnp.meshgrid(_centers(n), _centers(n), indexing="ij")
    pi = jnp.sin(3 * x * y) - 0.4 * (x + y) ** 2
    star = stationary_mass(pi, sigma)
    np.testing.assert_allclose(evolve(star, pi, sigma, jnp.asarray(1.0), (1 / n, 1 / n), 50.0), star, rtol=1e-10)
    start = jnp.full((n, n), 1.0 / n**2)
    last, _ = _path(start, pi, sigma, jnp.asarray(1.0), (1 / n, 1 / n), 5.0, 400)
    np.testing.assert_allclose(last, star, rtol=1e-8)


def test_first_order_in_time_against_an_independent_integrator(key):
    n, sigma, speed, horizon = 40, 0.1, 0.3, 2.0
    pi = _random_potential(key, n)
    rates = hop_rates(pi, jnp.asarray(sigma), jnp.asarray(speed), 1 / n)
    up, down = np.asarray(rates.up), np.asarray(rates.down)
    generator = np.zeros((n, n))
    i = np.arange(n - 1)
    generator[i + 1, i] += up
    generator[i, i] -= up
    generator[i, i + 1] += down
    generator[i + 1, i + 1] -= down
    m0 = np.full(n, 1 / n)
    exact = solve_ivp(lambda t, m: generator @ m, (0, horizon), m0, method="BDF", jac=generator, rtol=1e-10, atol=1e-13)
    errors = []
    for steps in (200, 400, 800):
        last, _ = _path(jnp.asarray(m0), pi, jnp.asarray(sigma), jnp.asarray(speed), (1 / n,), horizon / steps, steps)
        errors.append(np.max(np.abs(np.asarray(last) - exact.y[:, -1])))
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 1.0, atol=0.05)


def test_derivatives_in_both_modes_equal_finite_differences(key):
    n = 48
    s = _centers(n)

    def outcome(theta):
        pi = theta[0] * s + theta[1] * jnp.sin(4 * s)

        @jax.checkpoint
        def step(m, _):
            return evolve(m, pi, theta[2], theta[3], (1 / n,), theta[4]), None

        m, _ = jax.lax.scan(step, jnp.full(n, 1 / n), None, length=30)
        return jnp.sum(m * s**2)

    theta = jnp.asarray([1.0, 0.5, 0.1, 0.8, 0.05])
    value = jax.jit(outcome)
    h = 1e-5
    numeric = np.array([(value(theta.at[k].add(h)) - value(theta.at[k].add(-h))) / (2 * h) for k in range(5)])
    np.testing.assert_allclose(jax.jit(jax.grad(outcome))(theta), numeric, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(outcome))(theta), numeric, rtol=1e-6, atol=1e-8)


def test_single_precision_and_batches(key):
    n, batch = 64, 5
    with jax.enable_x64(False):
        pi = jax.random.normal(key, (batch, n), jnp.float32)
        m = jnp.full((batch, n), 1 / n, jnp.float32)
        step = jax.vmap(lambda m, pi: evolve(m, pi, jnp.float32(0.3), jnp.float32(1.0), (1 / n,), 100.0))
        out = step(m, pi)
        assert out.dtype == jnp.float32
        np.testing.assert_allclose(jnp.sum(out, axis=1), 1.0, rtol=1e-5)
    one = evolve(m[2], pi[2], jnp.float32(0.3), jnp.float32(1.0), (1 / n,), 100.0)
    np.testing.assert_allclose(one, out[2], rtol=1e-5)


def test_rates_satisfy_detailed_balance(key):
    pi, sigma = _random_potential(key, 64), jnp.asarray(0.05)
    star = stationary_mass(pi, sigma)
    up, down = hop_rates(pi, sigma, jnp.asarray(1.0), 1 / 64)
    np.testing.assert_allclose(up * star[:-1], down * star[1:], rtol=1e-11)
    assert isinstance(hop_rates(pi, sigma, jnp.asarray(1.0), 1 / 64), HopRates)
