"""Estimates on the test model with closed forms: recovery, textbook formulas, Monte Carlo, bounds, basins, simulated moments."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pigou import MODEL, optimal_tax

from jaxecon.analysis.estimate import estimate, weight_of
from jaxecon.analysis.inference import delta_method, infer, policy_intervals
from jaxecon.analysis.least_squares import FINE, Distance, descend
from jaxecon.analysis.moment_problem import moment_problem
from jaxecon.analysis.targets import Place, Target
from jaxecon.core.errors import InputError, JaxeconError
from jaxecon.core.model import Moments

FREE = {"b": (0.5, 2.0), "c": (1.0, 4.0), "d": (0.1, 1.0)}
TRUE = np.array([1.2, 2.5, 0.4])


def target(name, moment, value, error=0.1, unit=None, **more):
    unit = unit or MODEL.fields[moment].unit
    return Target(name, moment, value, error, unit, "synthetic", **more)


def targets_at(b, c, d, a=10.0, tax=1.0):
    """Exact moments of the closed form: quantity, price and damage in laissez-faire, quantity and welfare under a tax."""
    q, taxed = (a - c) / b, (a - c - tax) / b
    place = Place(policy=(("tax", tax),))
    return [
        target("quantity", "quantity", q, 0.2),
        target("price", "price", a - b * q, 0.1),
        target("damage", "damage", d * q**2 / 2, 0.5),
        target("taxed", "quantity", taxed, 0.2, place=place),
        target("welfare", "welfare", (a - c) * taxed - b * taxed**2 / 2 - d * taxed**2 / 2, 0.3, place=place),
    ]


@pytest.fixture(scope="module")
def problem():
    return moment_problem(MODEL, targets_at(*TRUE), FREE)


def test_exact_moments_give_the_parameters_back(problem):
    found = estimate(problem, starts=64)
    np.testing.assert_allclose(found.theta, TRUE, rtol=1e-10)
    assert found.value < 1e-18 and found.converged and found.at_bound == ("", "", "")
    assert found.search.unique and found.search.basins[0].share == 1.0
    assert found.inference.rank == 3 and found.inference.df == 2
    p, _ = found.point()
    np.testing.assert_allclose(float(optimal_tax(p)), 0.4 * 7.5 / 1.6, rtol=1e-9)


def test_slopes_agree_with_finite_differences(problem):
    theta, step = np.array([1.1, 2.2, 0.5]), 1e-6
    _, slopes = problem.slopes(theta)
    for j in range(3):
        ends = problem.rows(theta + step * np.array([[1.0], [-1.0]]) * np.eye(3)[j])[0]
        np.testing.assert_allclose(slopes[0, :, j], (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_two_runs_are_equal_to_the_last_bit(problem):
    noisy = problem.observing(problem.observed + np.array([0.1, -0.05, 0.3, 0.2, -0.1]))
    one, two = (estimate(noisy, starts=50, seed=3) for _ in range(2))
    assert one.theta.tobytes() == two.theta.tobytes()
    assert one.covariance.tobytes() == two.covariance.tobytes()
    assert one.inference.covariance.tobytes() == two.inference.covariance.tobytes()
    assert repr(one.search) == repr(two.search)


def test_a_linear_model_is_generalized_least_squares():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 3)), rng.standard_normal(6)
    root = rng.standard_normal((6, 6))
    omega = root @ root.T + np.eye(6)
    weight = np.linalg.inv(omega)
    distance = Distance(np.full(3, -50.0), np.full(3, 50.0), y, np.linalg.cholesky(weight).T)

    def look(theta):
        return theta @ x.T, np.tile(x, (len(theta), 1, 1)), np.zeros(len(theta), int)

    ends = descend(distance, look, rng.uniform(-5, 5, (20, 3)), FINE)
    bread = np.linalg.inv(x.T @ weight @ x)
    textbook = bread @ x.T @ weight @ y
    np.testing.assert_allclose(ends.theta, np.tile(textbook, (20, 1)), rtol=0, atol=1e-10)
    gap = y - x @ textbook
    found = infer(x, weight, omega, gap, np.zeros(3, bool), np.full(3, 100.0))
    np.testing.assert_allclose(found.covariance, bread, rtol=1e-10)
    np.testing.assert_allclose(found.j, gap @ weight @ gap, rtol=1e-10)
    # Least squares with equal weights: the sandwich; and the test is the same for any weight.
    inner = np.linalg.inv(x.T @ x)
    ordinary = inner @ x.T @ y
    found_equal = infer(x, np.eye(6), omega, y - x @ ordinary, np.zeros(3, bool), np.full(3, 100.0))
    np.testing.assert_allclose(found_equal.covariance, inner @ x.T @ omega @ x @ inner, rtol=1e-10)
    np.testing.assert_allclose(found_equal.j, found.j, rtol=1e-9)


@pytest.mark.slow
def test_standard_errors_and_the_j_test_against_monte_carlo(problem):
    """200 samples: means of the estimates and of J within three of their own standard errors, coverage of 95 % in [.91, .99]."""
    rng = np.random.default_rng(1)
    thetas, errors, js = [], [], []
    for _ in range(200):
        sample = problem.observing(problem.observed + problem.scale * rng.standard_normal(5))
        found = estimate(sample, starts=1)
        thetas.append(found.theta)
        errors.append(found.standard_errors)
        js.append(found.inference.j)
    thetas, errors, js = np.array(thetas), np.array(errors), np.array(js)
    covered = np.mean(np.abs(thetas - TRUE) <= 1.96 * errors, axis=0)
    assert np.all((covered >= 0.91) & (covered <= 0.99)), covered
    ratio = np.std(thetas, axis=0, ddof=1) / np.mean(errors, axis=0)
    np.testing.assert_allclose(ratio, 1.0, atol=3 / np.sqrt(2 * 200))
    assert abs(np.mean(js) - 2.0) < 3 * 2.0 / np.sqrt(200)
    assert abs(np.mean(js > 5.991) - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 200)


def test_a_parameter_at_its_bound_is_named_and_counts_as_known(problem):
    narrow = moment_problem(MODEL, targets_at(*TRUE), FREE | {"d": (0.5, 1.0)})
    found = estimate(narrow, starts=32)
    assert found.at_bound == ("", "", "lo") and found.theta[2] == 0.5
    assert np.isnan(found.standard_errors[2]) and np.all(np.isfinite(found.standard_errors[:2]))
    assert found.inference.df == 3 and found.converged and found.value > 1
    # The same as when the parameter is set to the bound.
    fixed = moment_problem(MODEL, targets_at(*TRUE), {"b": FREE["b"], "c": FREE["c"]}, params=MODEL.params(d=0.5))
    again = estimate(fixed, starts=32)
    np.testing.assert_allclose(found.theta[:2], again.theta, rtol=1e-9)
    np.testing.assert_allclose(found.standard_errors[:2], again.standard_errors, rtol=1e-7)


def test_what_the_data_do_not_pin_down_is_nan_and_what_they_do_is_not():
    """a and c enter the quantity as a - c, and damage per unit is pinned down by the damage."""
    targets = [
        target("quantity", "quantity", 8.0),
        target("damage", "damage", 16.0),
        target("welfare", "welfare", 16.0),
    ]
    found = estimate(moment_problem(MODEL, targets, {"a": (5.0, 20.0), "c": (0.5, 10.0), "d": (0.1, 1.0)}), starts=64)
    assert found.inference.rank == 2 and not found.search.unique and found.search.basins[0].extent > 0.2
    assert np.isnan(found.standard_errors[:2]).all() and np.isfinite(found.standard_errors[2])
    quantities = delta_method(
        found, {"quantity": "quantity", "choke": lambda p, u, out: p.a, "gain": lambda p, u, out: p.a - p.c}
    )
    assert np.isfinite(quantities.standard_error.values[[0, 2]]).all() and np.isnan(quantities.standard_error.values[1])


def test_weights_and_correlated_errors(problem):
    correlated = problem.covariance.copy()
    correlated[0, 3] = correlated[3, 0] = 0.8 * problem.scale[0] * problem.scale[3]
    noisy = problem.observing(problem.observed + np.array([0.2, 0.0, 0.0, -0.2, 0.0]), correlated)
    found = {w: estimate(noisy, starts=8, weight=w) for w in ("optimal", "diagonal", "identity")}
    given = estimate(noisy, starts=8, weight=np.linalg.inv(correlated))
    np.testing.assert_allclose(given.theta, found["optimal"].theta, rtol=1e-9)
    # The optimal weight has the smallest standard errors, by Gauss and Markov.
    for other in ("diagonal", "identity"):
        assert np.all(found["optimal"].standard_errors <= found[other].standard_errors * (1 + 1e-6))
        # The Jacobian differs a little between the estimates, and so does the statistic.
        assert abs(found[other].inference.j - found["optimal"].inference.j) < 0.15 * found["optimal"].inference.j


def test_delta_method_against_the_closed_form(problem):
    found = estimate(problem, starts=8)
    made = delta_method(found, {"tax": lambda p, u, out: optimal_tax(p), "quantity": "quantity"}, policy={"tax": 0.0})
    b, c, d = TRUE
    slope = np.array([-d * (10 - c) / (b + d) ** 2, -d / (b + d), b * (10 - c) / (b + d) ** 2])
    np.testing.assert_allclose(made.slope.values[0], slope, rtol=1e-9)
    np.testing.assert_allclose(
        made.standard_error.values[0] ** 2, slope @ found.inference.covariance @ slope, rtol=1e-9
    )
    np.testing.assert_allclose(made.hi - made.lo, 2 * 1.959963985 * made.standard_error, rtol=1e-9)


@pytest.mark.slow
def test_interval_of_the_best_policy_against_the_closed_form(problem):
    found = estimate(problem, starts=8)
    policy, value = policy_intervals(found, ["tax"])
    tax = delta_method(found, {"tax": lambda p, u, out: optimal_tax(p)})
    np.testing.assert_allclose(policy.value, tax.value, rtol=1e-8)
    np.testing.assert_allclose(policy.standard_error, tax.standard_error, rtol=1e-6)
    assert np.isfinite(value.standard_error).all() and policy.attrs["singular"] == 0


def test_two_minima_are_two_basins():
    """The squared price alone: a quantity observed between what two costs give is met from both sides."""

    def run(p, u, key):
        return {"square": (p.c - 2.5) ** 2, "tilt": 0.05 * p.c}

    about = {"square": ("1", "squared distance"), "tilt": ("1", "breaks the tie")}
    model = dataclasses.replace(MODEL, moments={"squares": Moments(run, about)})
    targets = [target("square", "square", 1.0, unit="1"), target("tilt", "tilt", 0.05 * 1.5, unit="1")]
    found = estimate(moment_problem(model, targets, {"c": (1.0, 4.0)}), starts=100)
    assert len(found.search.basins) == 2
    np.testing.assert_allclose(found.theta, 1.5, rtol=1e-9)
    np.testing.assert_allclose(found.search.basins[1].theta, 3.5, atol=0.05)
    assert sum(b.share for b in found.search.basins) == 1.0


def test_starts_that_fail_are_counted_and_harm_no_other():
    targets = [target("quantity", "quantity", 8.0), target("price", "price", 2.0)]
    found = estimate(moment_problem(MODEL, targets, {"b": (0.5, 2.0), "c": (1.0, 20.0)}), starts=64)
    np.testing.assert_allclose(found.theta, [1.0, 2.0], rtol=1e-9)
    assert 0.3 < found.search.failed < 0.7 and found.search.reasons == {"NO_TRADE": round(64 * found.search.failed)}
    lost = moment_problem(MODEL, targets, {"b": (0.5, 2.0), "c": (12.0, 20.0)}, params=MODEL.params(c=15.0))
    with pytest.raises(JaxeconError, match=r"solved at none of the 16 starts.*NO_TRADE"):
        estimate(lost, starts=16)


def _noisy_model():
    """The share of buyers among 50 agents: discrete, and by a logistic rule that is off by construction."""

    def share(p, u, key, smooth):
        gap = p.a * jax.random.uniform(key, (50,), p.a.dtype) - p.c
        return {"share": jnp.mean(jax.nn.sigmoid(gap / 2.0) if smooth else (gap > 0).astype(p.a.dtype))}

    about = {"share": ("share", "agents who buy")}
    group = Moments(lambda p, u, k: share(p, u, k, False), about, "agents", lambda p, u, k: share(p, u, k, True))
    return dataclasses.replace(MODEL, moments={"buyers": group})


def test_simulated_moments_end_at_the_discrete_ones():
    model = _noisy_model()
    problem = moment_problem(model, [target("share", "share", 0.7, 0.05, "share")], {"c": (1.0, 6.0)}, seeds=40)
    smooth, discrete = estimate(problem, starts=8), estimate(problem, starts=8, method="smm")
    # 2000 common draws: the discrete share moves in steps of 1/2000 and meets the target to a few of them.
    bias = abs(problem.rows(smooth.theta, smooth=False)[0][0, 0] - 0.7)
    assert bias > 0.01 and abs(discrete.moments[0] - 0.7) < bias / 3
    # Variance of a share of 50, over 40 runs, on top of the evidence.
    extra = discrete.covariance[0, 0] - 0.05**2
    np.testing.assert_allclose(extra, 0.7 * 0.3 / 50 / 40, rtol=0.6)
    assert discrete.standard_errors[0] > smooth.standard_errors[0] * 0.9


def test_weights_and_options_that_cannot_be_are_named_at_once(problem):
    with pytest.raises(InputError) as error:
        estimate(problem, weight=np.eye(4), starts=0, seed=-1, method="gmmm")
    assert len(error.value.problems) == 4
    with pytest.raises(InputError, match="leave weight at 'optimal'"):
        estimate(problem, weight="identity", method="ml")
    assert "positive definite" in weight_of(-np.eye(5), problem.covariance)[2][0]
    assert "none of optimal" in weight_of("best", problem.covariance)[2][0]
    found = estimate(problem, starts=1)
    with pytest.raises(InputError) as error:
        delta_method(found, ["welfares", "price"], level=2.0, params={"b": 1.0})
    assert len(error.value.problems) == 3
