"""The optimum as a differentiable function: Pigou's closed form, a real model against optimizing anew, bounds that hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from functions import HILLS
from pigou import MODEL

from jaxecon import InputError, constrained_optimum, load, optimum_function, optimum_slopes
from jaxecon.analysis.optimum_function import STATUS

BASE = {"a": 10.0, "b": 1.0, "c": 2.0, "d": 0.5}


def closed_tax(a, b, c, d):
    return d * (a - c) / (b + d)


def closed_value(a, b, c, d):
    return (a - c) ** 2 / (2 * (b + d))


@pytest.fixture(scope="module")
def best():
    return optimum_function(MODEL, ["tax"])


def test_tax_value_and_their_derivatives_are_pigous(best):
    here = best()
    assert float(here.policy.tax) == pytest.approx(8 / 3, abs=1e-12) and float(here.value) == pytest.approx(64 / 3)
    assert STATUS[int(here.status)] == "OPTIMAL" and here.kkt_residual <= 1e-9 and here.agreement == 1.0
    names, x = list(BASE), jnp.array(list(BASE.values()))

    def found(x):
        now = best(**dict(zip(names, x)))
        return jnp.stack([now.policy.tax, now.value])

    def exact(x):
        return jnp.stack([closed_tax(*x), closed_value(*x)])

    for derivative in (jax.jacfwd, jax.jacrev):
        np.testing.assert_allclose(jax.jit(derivative(found))(x), derivative(exact)(x), atol=1e-9)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(jax.jacrev(found)))(x), jax.hessian(exact)(x), atol=1e-8)


def test_a_batch_of_worlds_in_one_program(best):
    """Where the best tax would exceed its bound of 8 it stays there, and does not move."""
    d = jnp.linspace(0.1, 2.0, 40)
    a = jnp.where(jnp.arange(40) % 2 == 0, 10.0, 20.0)
    slope = jax.jit(jax.vmap(jax.grad(lambda d, a: best(d=d, a=a).policy.tax)))(d, a)
    here = jax.jit(jax.vmap(lambda d, a: best(d=d, a=a)))(d, a)
    free = closed_tax(a, 1.0, 2.0, d)
    np.testing.assert_allclose(here.policy.tax, jnp.minimum(free, 8.0), atol=1e-9)
    np.testing.assert_allclose(slope, jnp.where(free < 8.0, (a - 2.0) / (1 + d) ** 2, 0.0), atol=1e-9)
    np.testing.assert_array_equal(here.status, jnp.where(free < 8.0, 0, 1))
    assert 5 < int(jnp.sum(free > 8.0)) < 35


def test_a_bound_that_holds():
    """At a tax of 2 quantity is (a - c - 2)/b: the tax does not move, the value does, with the tax where it is."""
    held = optimum_function(MODEL, ["tax"], bounds={"tax": (0.0, 2.0)})
    assert float(held().policy.tax) == 2.0 and STATUS[int(held().status)] == "AT_BOUND"
    tax, value = jax.grad(lambda d: held(d=d).policy.tax)(0.5), jax.grad(lambda d: held(d=d).value)(0.5)
    assert float(tax) == 0.0 and float(value) == pytest.approx(-(6.0**2) / 2, abs=1e-12)


def test_minimum_of_an_outcome_and_parameters_as_a_pytree(best):
    least = optimum_function(MODEL, ["tax"], objective="damage", maximize=False)
    assert float(least().policy.tax) == 8.0 and float(least().value) == pytest.approx(0.0, abs=1e-12)
    slopes = jax.grad(lambda p: best(p).policy.tax)(MODEL.params(**BASE))
    exact = jax.grad(closed_tax, argnums=(0, 1, 2, 3))(*BASE.values())
    np.testing.assert_allclose([getattr(slopes, n) for n in BASE], exact, atol=1e-9)
    assert float(slopes.speed) == 0.0


def test_what_is_not_certain_is_not_a_number(best):
    """Without trade nothing is solved: value, policy and their derivatives are NaN, and the status says so."""
    none = best(a=1.0)
    assert STATUS[int(none.status)] == "NOT_SOLVED" and np.isnan(none.value) and np.isnan(none.policy.tax)
    assert np.isnan(jax.grad(lambda a: best(a=a).policy.tax)(1.0)) and np.isnan(
        jax.grad(lambda a: best(a=a).value)(1.0)
    )
    both = jax.vmap(lambda a: best(a=a))(jnp.array([1.0, 10.0]))
    assert np.isnan(both.value[0]) and float(both.value[1]) == pytest.approx(64 / 3)


def test_the_higher_of_two_hills_with_a_cliff_and_a_bound():
    best = optimum_function(HILLS, ["east", "north"], starts=8)
    same = constrained_optimum(HILLS, ["east", "north"], {})
    here = best()
    assert float(here.value) == pytest.approx(same.value, abs=1e-12) and float(here.policy.north) == 1.0
    np.testing.assert_allclose(here.instruments, list(same.values.values()), atol=1e-9)
    assert 0 < float(here.agreement) < 1


@pytest.mark.slow
def test_a_real_model_against_optimizing_anew():
    """Derivatives by the implicit function theorem against differences of optima that the host finds; and the table of slopes."""
    model, names = load("rent_seeking"), ["rent_tax", "detection"]
    best = optimum_function(model, names, starts=2)
    p = model.params()
    at = {n: float(getattr(p, n)) for n in ("A", "b")}

    def found(x):
        now = best(**dict(zip(at, x)))
        return jnp.concatenate([now.instruments, now.value[None]])

    jac = np.asarray(jax.jit(jax.jacrev(found))(jnp.array(list(at.values()))))
    table = optimum_slopes(model, names, list(at))
    np.testing.assert_allclose(jac[:2], table.policy_slope.values, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(jac[2], table.value_slope.values, rtol=1e-6, atol=1e-8)
    for j, n in enumerate(at):
        h = 1e-4 * at[n]
        ends = [constrained_optimum(model, names, {}, params=model.params(**(at | {n: at[n] + s * h}))) for s in (1, -1)]  # fmt: skip
        rows = [[*end.values.values(), end.value] for end in ends]
        np.testing.assert_allclose(jac[:, j], (np.array(rows[0]) - rows[1]) / (2 * h), rtol=1e-4, atol=1e-7)


def test_every_problem_is_named(best):
    with pytest.raises(InputError) as error:
        optimum_function(MODEL, ["taxx"], objective="welfar", starts=0, seed=-1, tolerance=2.0)
    assert len(error.value.problems) == 5
    with pytest.raises(InputError, match="'tax' is chosen"):
        best(tax=1.0)
    with pytest.raises(InputError, match="aa"):
        best(aa=1.0)
