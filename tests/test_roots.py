"""Roots: closed forms, implicit derivatives at every order, failed cells kept apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from jaxecon.numerics.quadrature import gauss_hermite, gauss_legendre
from jaxecon.numerics.roots import bisect, find_root, solve_small


def _cubic(x, a):
    return jnp.stack([x[0] ** 2 + x[1] - a[0], x[1] ** 3 - a[1] * x[0]])


def _square(x, a):
    return x**2 - a


@pytest.mark.parametrize("n", range(1, 8))
def test_solve_small_equals_numpy(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=(50, n, n)), rng.normal(size=(50, n))
    got = jax.jit(jax.vmap(solve_small))(jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_allclose(got, np.linalg.solve(a, b[..., None])[..., 0], rtol=1e-8, atol=1e-10)


def test_solve_small_pivots():
    a = jnp.array([[0.0, 1.0], [2.0, 0.0]])
    np.testing.assert_allclose(solve_small(a, jnp.array([3.0, 4.0])), [2.0, 3.0])


def test_root_equals_scipy():
    rng = np.random.default_rng(0)
    args = rng.uniform(1, 3, size=(40, 2))
    got = jax.jit(jax.vmap(lambda a: find_root(_cubic, jnp.ones(2), a)))(jnp.asarray(args))
    assert bool(jnp.all(got.converged))
    for a, x in zip(args, np.asarray(got.x), strict=True):
        ref = optimize.root(lambda y, a=a: [y[0] ** 2 + y[1] - a[0], y[1] ** 3 - a[1] * y[0]], [1.0, 1.0], tol=1e-13)
        np.testing.assert_allclose(x, ref.x, rtol=1e-8)


def test_derivatives_of_every_order_and_mode():
    def root(a):
        return find_root(_square, jnp.ones(1), a[None]).x[0]

    a = jnp.asarray(2.3)
    np.testing.assert_allclose(jax.grad(root)(a), 0.5 / jnp.sqrt(a), rtol=1e-10)
    np.testing.assert_allclose(jax.jvp(root, (a,), (1.0,))[1], 0.5 / jnp.sqrt(a), rtol=1e-10)
    np.testing.assert_allclose(jax.hessian(root)(a), -0.25 * a**-1.5, rtol=1e-9)
    np.testing.assert_allclose(jax.grad(jax.grad(jax.grad(root)))(a), 0.375 * a**-2.5, rtol=1e-8)


def test_a_failed_cell_has_no_derivative_and_harms_no_other():
    a = jnp.array([4.0, -1.0, 9.0])  # x^2 = -1 has no real root

    def total(a):
        roots = jax.vmap(lambda b: find_root(_square, jnp.ones(1), b[None]))(a)
        return jnp.sum(jnp.where(roots.converged, roots.x[:, 0], 0.0)), roots.converged

    (value, converged), grad = jax.value_and_grad(total, has_aux=True)(a)
    assert converged.tolist() == [True, False, True]
    np.testing.assert_allclose(value, 5.0)
    np.testing.assert_allclose(grad, [0.25, 0.0, 1 / 6])


def test_bisection():
    np.testing.assert_allclose(bisect(lambda x, a: x**3 - a, 0.0, 5.0, jnp.asarray(2.0)), 2 ** (1 / 3), rtol=1e-12)
    np.testing.assert_allclose(bisect(lambda x, a: a - x**3, 0.0, 5.0, jnp.asarray(2.0)), 2 ** (1 / 3), rtol=1e-12)


def test_quadrature_is_exact_for_polynomials():
    x, w = gauss_legendre(4)
    np.testing.assert_allclose(jnp.sum(w * x**7), 1 / 8, rtol=1e-13)
    z, v = gauss_hermite(5)
    np.testing.assert_allclose(jnp.sum(v * z**8), 105.0, rtol=1e-12)
