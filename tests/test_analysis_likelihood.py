"""Maximum likelihood against textbook estimators: normal regression, logit choices, a model's own outcomes, bounds, misspecification."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pigou import MODEL

from jaxecon.analysis.estimate import estimate
from jaxecon.analysis.likelihood import maximum_likelihood
from jaxecon.analysis.moment_problem import moment_problem
from jaxecon.analysis.targets import Target
from jaxecon.core.errors import InputError, JaxeconError


def regression(noise):
    """Contributions of a normal regression with unit variance, the data, and least squares."""
    rng = np.random.default_rng(0)
    x = np.stack([np.ones(400), rng.uniform(0, 2, 400)], axis=1)
    y = x @ np.array([1.0, -0.5]) + noise(rng, x)
    return lambda t: -0.5 * (y - x @ t) ** 2 - 0.5 * np.log(2 * np.pi), x, y, np.linalg.lstsq(x, y, rcond=None)[0]


def test_a_normal_regression_is_least_squares():
    contributions, x, y, ols = regression(lambda rng, x: rng.standard_normal(400))
    found = maximum_likelihood(contributions, {"intercept": (-5.0, 5.0), "slope": (-5.0, 5.0)}, starts=8)
    np.testing.assert_allclose(found.theta, ols, rtol=1e-8)
    np.testing.assert_allclose(found.hessian, np.linalg.inv(x.T @ x), rtol=1e-8)
    residual = y - x @ ols
    np.testing.assert_allclose(found.opg, np.linalg.inv((x * residual[:, None] ** 2).T @ x), rtol=1e-6)
    np.testing.assert_allclose(found.log_likelihood, -0.5 * residual @ residual - 200 * np.log(2 * np.pi), rtol=1e-12)
    assert found.converged and found.agreement == 1.0 and found.observations == 400


def test_the_sandwich_is_whites_where_the_variance_is_wrong():
    contributions, x, y, ols = regression(lambda rng, x: rng.standard_normal(400) * (0.2 + x[:, 1] ** 2))
    found = maximum_likelihood(contributions, {"intercept": (-5.0, 5.0), "slope": (-5.0, 5.0)}, starts=8)
    residual, bread = y - x @ ols, np.linalg.inv(x.T @ x)
    white = bread @ (x * residual[:, None] ** 2).T @ x @ bread
    np.testing.assert_allclose(found.sandwich, white, rtol=1e-6)
    np.testing.assert_allclose(found.standard_errors, np.sqrt(np.diag(white)), rtol=1e-6)
    assert found.standard_errors[1] > 1.3 * np.sqrt(found.hessian[1, 1])


def test_logit_choices_satisfy_their_score_equations():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((500, 2))
    chosen = rng.uniform(size=500) < 1 / (1 + np.exp(-x @ np.array([0.8, -0.4])))
    sign = jnp.where(chosen, 1.0, -1.0)
    found = maximum_likelihood(
        lambda t: jax.nn.log_sigmoid(sign * (x @ t)), {"one": (-3.0, 3.0), "two": (-3.0, 3.0)}, starts=8
    )
    share = 1 / (1 + np.exp(-x @ found.theta))
    np.testing.assert_allclose(x.T @ (chosen - share), 0.0, atol=1e-5)
    np.testing.assert_allclose(found.hessian, np.linalg.inv((x * (share * (1 - share))[:, None]).T @ x), rtol=1e-6)


def test_gaussian_targets_give_the_same_by_both_entries():
    targets = [
        Target(n, n, v, e, "u", "s") for n, v, e in (("quantity", 7.0, 0.2), ("price", 2.2, 0.1), ("damage", 12.0, 0.5))
    ]
    problem = moment_problem(MODEL, targets, {"b": (0.5, 2.0), "c": (1.0, 4.0)})
    observed, scale = problem.observed, problem.scale

    def log_likelihood(theta):
        return jnp.sum(-0.5 * ((problem.moments(theta) - observed) / scale) ** 2)

    one = maximum_likelihood(log_likelihood, {"b": (0.5, 2.0), "c": (1.0, 4.0)}, starts=16)
    two = estimate(problem, method="ml", starts=16)
    np.testing.assert_allclose(one.theta, two.theta, rtol=1e-6)
    np.testing.assert_allclose(-2 * one.log_likelihood, two.value, rtol=1e-9)
    # The Hessian keeps the curvature of the moments, which the minimum distance leaves out.
    np.testing.assert_allclose(one.standard_errors, two.standard_errors, rtol=0.2)
    assert np.isnan(one.sandwich).all()


def test_a_bound_holds_and_other_maxima_are_counted():
    found = maximum_likelihood(
        lambda t: -((t[0] - 3.0) ** 2) - (t[1] ** 2 - 1.0) ** 2 + 0.1 * t[1], {"x": (0.0, 2.0), "y": (-2.0, 2.0)}
    )
    assert found.at_bound == ("hi", "") and found.theta[0] == 2.0 and np.isnan(found.standard_errors[0])
    assert 0.2 < found.agreement < 0.8 and abs(found.theta[1] - 1.0125) < 0.01


def test_what_cannot_be_is_said():
    with pytest.raises(InputError) as error:
        maximum_likelihood(jnp.sum, {"x": (1.0, 0.0), "y": 3.0}, starts=0, seed=-1)  # pyright: ignore
    assert len(error.value.problems) == 4
    with pytest.raises(JaxeconError, match="finite at none of 4 starts"):
        maximum_likelihood(lambda t: jnp.nan * t[0], {"x": (0.0, 1.0)}, starts=4)
