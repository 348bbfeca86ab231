"""Roots: closed forms, implicit derivatives at every order, failed cells kept apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from jaxecon.core.compiling import quick_jit
from jaxecon.numerics.linear import solve_dense, solve_small
from jaxecon.numerics.quadrature import gauss_hermite, gauss_legendre
from jaxecon.numerics.roots import (
    attach_derivative,
    bisect,
    find_root,
    first_success,
    newton,
    value_and_jacobian,
)


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


@pytest.mark.parametrize("n", [3, 6])
def test_solve_small_can_be_transposed(n):
    rng = np.random.default_rng(n)
    a, b, c = jnp.asarray(rng.normal(size=(n, n))), jnp.asarray(rng.normal(size=n)), jnp.asarray(rng.normal(size=n))
    (back,) = jax.linear_transpose(lambda y: solve_small(a, y), b)(c)
    np.testing.assert_allclose(back, np.linalg.solve(np.asarray(a).T, c), rtol=1e-8)


@pytest.mark.parametrize("n", [1, 5, 40])
def test_solve_dense_equals_numpy_in_value_and_derivative(n):
    rng = np.random.default_rng(n)
    a, b, c = rng.normal(size=(6, n, n)), rng.normal(size=(6, n)), rng.normal(size=(6, n))
    run = jax.jit(
        jax.vmap(lambda a, b, c: jax.value_and_grad(lambda a, b: c @ solve_dense(a, b), argnums=(0, 1))(a, b))
    )
    value, (by_a, by_b) = run(*map(jnp.asarray, (a, b, c)))
    x = np.linalg.solve(a, b[..., None])[..., 0]
    adjoint = np.linalg.solve(np.swapaxes(a, 1, 2), c[..., None])[..., 0]
    np.testing.assert_allclose(value, np.sum(c * x, axis=1), rtol=1e-8)
    np.testing.assert_allclose(by_b, adjoint, rtol=1e-8)
    np.testing.assert_allclose(by_a, -adjoint[:, :, None] * x[:, None], rtol=1e-7)


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


@pytest.mark.slow
def test_an_attached_derivative_is_right_at_every_order_in_both_modes():
    """x = sqrt(a) found elsewhere: derivatives of the first three orders, forward over reverse and reverse over reverse."""

    def root(a):
        return attach_derivative(_square, jnp.sqrt(jax.lax.stop_gradient(a))[None], a[None], jnp.asarray(True))[0]

    a = jnp.asarray(2.3)
    exact = [0.5 * a**-0.5, -0.25 * a**-1.5, 0.375 * a**-2.5]
    for modes in ((jax.jacfwd,) * 3, (jax.grad,) * 3, (jax.grad, jax.jacfwd, jax.grad)):
        f = root
        for mode, value in zip(modes, exact, strict=True):
            f = mode(f)
            np.testing.assert_allclose(f(a), value, rtol=1e-8)


def test_a_failed_cell_has_no_derivative_and_harms_no_other():
    a = jnp.array([4.0, -1.0, 9.0])  # x^2 = -1 has no real root

    def total(a):
        roots = jax.vmap(lambda b: find_root(_square, jnp.ones(1), b[None]))(a)
        return jnp.sum(jnp.where(roots.converged, roots.x[:, 0], 0.0)), roots.converged

    (value, converged), grad = jax.value_and_grad(total, has_aux=True)(a)
    assert converged.tolist() == [True, False, True]
    np.testing.assert_allclose(value, 5.0)
    np.testing.assert_allclose(grad, [0.25, 0.0, 1 / 6])


def test_newton_takes_back_steps_and_stays_in_the_domain():
    """arctan: plain Newton diverges from 3; the projection keeps the path where the function is defined."""
    steps = {"tol": 1e-12, "max_steps": 60, "max_step": 1e6}
    root = newton(lambda x, _: jnp.arctan(x[0])[None], jnp.array([3.0]), None, **steps)
    assert bool(root.converged) and abs(float(root.x[0])) < 1e-12
    log = newton(
        lambda x, _: jnp.log(x[0])[None], jnp.array([9.0]), None, **steps, project=lambda x: jnp.maximum(x, 1e-3)
    )
    assert bool(log.converged) and abs(float(log.x[0]) - 1) < 1e-12
    none = newton(lambda x, _: x[0][None] ** 2 + 1, jnp.array([0.5]), None, **steps)
    assert not bool(none.converged) and float(none.residual) >= 1


def test_value_and_jacobian_written_out_equal_those_of_jacfwd():
    def f(x):
        return jnp.stack([x[0] * jnp.exp(x[1]), x[2] - x[0] ** 2])

    x = jnp.array([0.3, -1.2, 2.0])
    value, jacobian = value_and_jacobian(f, x)
    np.testing.assert_array_equal(value, f(x))
    np.testing.assert_allclose(jacobian, jax.jacfwd(f)(x), rtol=1e-14)


def _near(start, args):
    """Succeeds where the start is within .5 of the target; the answer is the start."""
    return {"x": start["x"], "tag": start["tag"]}, jnp.abs(start["x"] - args) < 0.5


def _by_cell(t):
    return {"x": jnp.stack([t + 1, t + 0.1]), "tag": jnp.arange(2)}


@pytest.mark.parametrize("n", [1, 7, 300])
def test_first_success_in_a_batch_is_that_of_each_cell(n):
    targets = jnp.linspace(0.0, 5.6, n)
    starts = {"x": jnp.array([1.0, 3.0, 0.2, 5.0]), "tag": jnp.arange(4)}
    batch, ok = jax.jit(jax.vmap(lambda t: first_success(_near, lambda _: starts, t)))(targets)
    for k in range(n):
        found = np.abs(np.asarray(starts["x"]) - float(targets[k])) < 0.5
        expected = int(np.argmax(found)) if found.any() else 0
        assert bool(ok[k]) == found.any() and int(batch["tag"][k]) == expected
    single, good = jax.jit(lambda t: first_success(_near, lambda _: starts, t))(targets[-1])
    assert int(single["tag"]) == int(batch["tag"][-1]) and bool(good) == bool(ok[-1])
    # A batch of batches, and starts that differ by cell.
    twice = jax.vmap(jax.vmap(lambda t: first_success(_near, _by_cell, t)[0]["tag"]))
    np.testing.assert_array_equal(twice(targets[None])[0], 1)


def test_first_success_has_no_derivative():
    starts = {"x": jnp.array([1.0, 3.0]), "tag": jnp.arange(2)}
    assert float(jax.grad(lambda t: first_success(_near, lambda _: starts, t)[0]["x"] + t)(2.7)) == 1.0


def test_bisection():
    np.testing.assert_allclose(bisect(lambda x, a: x**3 - a, 0.0, 5.0, jnp.asarray(2.0)), 2 ** (1 / 3), rtol=1e-12)
    np.testing.assert_allclose(bisect(lambda x, a: a - x**3, 0.0, 5.0, jnp.asarray(2.0)), 2 ** (1 / 3), rtol=1e-12)


def test_quadrature_is_exact_for_polynomials():
    x, w = gauss_legendre(4)
    np.testing.assert_allclose(jnp.sum(w * x**7), 1 / 8, rtol=1e-13)
    z, v = gauss_hermite(5)
    np.testing.assert_allclose(jnp.sum(v * z**8), 105.0, rtol=1e-12)


def test_slopes_through_a_small_solve_equal_differences_when_compiled_fast():
    """With three unknowns, in a batch, where every entry of the matrix moves; the row scale carries no derivative."""
    rng = np.random.default_rng(3)
    points = jnp.asarray(rng.uniform(0.2, 2.0, (64, 3)))

    def solution(x):
        a = jnp.stack([jnp.stack([jnp.exp(x[i] * x[j]) * (1.3 + i * j) - x[j] for j in range(3)]) for i in range(3)])
        return solve_small(a + 2 * jnp.eye(3), jnp.sin(x))

    slopes = quick_jit(jax.vmap(jax.jacfwd(solution)))(points)
    step = 1e-6 * jnp.eye(3)
    value = jax.jit(jax.vmap(solution))
    rough = jnp.stack([(value(points + e) - value(points - e)) / 2e-6 for e in step], axis=2)
    np.testing.assert_allclose(slopes, rough, rtol=1e-5, atol=1e-7)
