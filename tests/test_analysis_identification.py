"""Identification against closed forms of linear moments and against estimates that are made again."""

import numpy as np
import pytest
from calibrations import ERRORS, LINEAR, MATRIX, linear_problem, market_problem, targets
from pigou import MODEL, optimal_tax
from scipy.optimize import least_squares
from scipy.stats import chi2

from jaxecon import InputError
from jaxecon.analysis.identification import identify
from jaxecon.analysis.inference import infer
from jaxecon.analysis.moment_problem import moment_problem
from jaxecon.analysis.profiles import profile

V = np.diag(ERRORS**2)
LAMBDA = np.linalg.inv(MATRIX.T @ np.linalg.inv(V) @ MATRIX) @ MATRIX.T @ np.linalg.inv(V)


def test_sensitivity_of_linear_moments():
    found = identify(linear_problem())
    np.testing.assert_allclose(found.jacobian, MATRIX, atol=1e-12)
    np.testing.assert_allclose(found.sensitivity, LAMBDA, atol=1e-12)
    np.testing.assert_allclose(
        found.estimate_covariance, np.linalg.inv(MATRIX.T @ np.linalg.inv(V) @ MATRIX), atol=1e-12
    )
    values = np.linalg.svd(MATRIX * 6.0 / ERRORS[:, None], compute_uv=False)
    np.testing.assert_allclose(found.singular_values, values, rtol=1e-12)
    assert found.rank == 3 and found.combinations() == []
    # Equal weights give least squares.
    equal = identify(linear_problem(), weight="identity").sensitivity
    np.testing.assert_allclose(equal, np.linalg.pinv(MATRIX), atol=1e-12)
    w = np.diag([1.0, 2.0, 3.0, 4.0])
    given = identify(linear_problem(), weight=w).sensitivity
    np.testing.assert_allclose(given, np.linalg.solve(MATRIX.T @ w @ MATRIX, MATRIX.T @ w), atol=1e-12)


def test_informativeness_of_moments():
    found = identify(linear_problem())
    h = np.array([[1.0, 0.0, 0.0], [0.2, -1.0, 0.5]])
    joint = h @ LAMBDA @ V
    for i, name in enumerate(found.moments):
        exact = joint[:, i] ** 2 / V[i, i] / np.einsum("om,om->o", joint, h @ LAMBDA)
        np.testing.assert_allclose(found.informativeness(h)[name], exact, rtol=1e-12)
    groups = found.informativeness(h, {"all": found.moments, "two": ("m0", "m3")})
    np.testing.assert_allclose(groups["all"], 1.0, rtol=1e-12)
    alone = found.informativeness(h)
    np.testing.assert_allclose(groups["two"], alone["m0"] + alone["m3"], rtol=1e-12)  # independent moments add up
    with pytest.raises(InputError, match="'m9' is no moment"):
        found.informativeness(h, {"bad": ("m9",), "empty": ()})


def test_a_parameter_at_an_end_of_its_range_counts_as_known():
    """As if it were no parameter, and as the standard errors of an estimate there have it."""
    problem = linear_problem(box=(-0.5, 0.65))
    found = identify(problem, [0.65, 0.1, -0.2])
    rest = MATRIX[:, 1:]
    less = np.linalg.inv(rest.T @ np.linalg.inv(V) @ rest) @ rest.T @ np.linalg.inv(V)
    assert list(found.held) == [True, False, False] and found.rank == 2
    np.testing.assert_allclose(found.sensitivity, np.concatenate([np.zeros((1, 4)), less]), atol=1e-12)
    values = np.linalg.svd(rest * 1.15 / ERRORS[:, None], compute_uv=False)
    np.testing.assert_allclose(found.singular_values, values, rtol=1e-12)
    worth = infer(MATRIX, np.linalg.inv(V), V, np.zeros(4), found.held, found.width)
    np.testing.assert_allclose(found.estimate_covariance, worth.spread, atol=1e-12)
    slopes = np.array([[1.0, 0.0, 0.0], [0.3, 1.0, -1.0]])
    informed = found.informativeness(slopes, {"all": found.moments})["all"]
    assert np.isnan(informed[0]) and informed[1] == pytest.approx(1.0)
    ds = found.to_dataset()
    assert np.isnan(ds.per_error[0]).all() and ds.sizes["direction"] == 2
    # Which parameters are held can be said.
    np.testing.assert_allclose(identify(problem, [0.65, 0.1, -0.2], held=[False] * 3).sensitivity, LAMBDA, atol=1e-12)
    assert identify(problem, [0.65, -0.5, -0.5]).rank == 0
    with pytest.raises(InputError, match="held must be 3 truth values"):
        identify(problem, held=[True])


def test_the_best_policy_does_not_move_with_what_is_held():
    """tau* = d(a - c)/(b + d): with c at an end of its range only a moves it."""
    problem = market_problem()
    found = identify(problem, [10.0, float(problem.lo[1])])
    p = MODEL.params(c=float(problem.lo[1]))
    tax = found.policy_sensitivity(["tax"])
    slope = float(p.d / (p.b + p.d))
    error = float(found.estimate_covariance[0, 0]) ** 0.5
    np.testing.assert_allclose(tax.standard_error.values, [slope * error], rtol=1e-6)


def test_a_combination_that_the_data_do_not_determine():
    """m0 twice tells x + y/2 only; w does not matter for it."""
    names = ("m0", "m0", "m1")
    made = targets([0.1, 0.1, 0.2], [0.1, 0.1, 0.1], names)
    made = tuple(t.__class__(**{**vars(t), "name": f"t{i}"}) for i, t in enumerate(made))
    found = identify(moment_problem(LINEAR, made, {"x": (-3, 3), "y": (-3, 3), "w": (-1, 1)}))
    assert found.rank == 2 and found.singular_values[2] <= 1e-8 * found.singular_values[0]
    # m0 = x + y/2, m1 = y - w/2: no moment moves along (1, -2, -4) in units of the parameters, (1, -2, -12)/6 in widths.
    null = np.array([1.0, -2.0, -4.0]) / found.width
    null /= np.linalg.norm(null)
    assert abs(null @ found.directions[:, 2]) == pytest.approx(1.0, abs=1e-12)
    (words,) = found.combinations()
    assert words == "0.98 w + 0.16 y - 0.08 x"
    assert np.all(np.isnan(found.sensitivity))
    # m0 itself is determined, though none of the parameters is.
    seen = found.sensitivity_of(np.array([[1.0, 0.5, 0.0]]))
    np.testing.assert_allclose(seen, [[0.5, 0.5, 0.0]], atol=1e-10)


def test_sensitivity_of_outcomes_and_of_the_optimal_policy():
    """tau* = d(a - c)/(b + d), and a = q b + P, c = P."""
    problem = market_problem()
    found = identify(problem, [10.0, 2.0])
    names, gradient = found.outcomes(["welfare", "quantity"])
    np.testing.assert_allclose(found.sensitivity_of(gradient)[1], [1.0, 0.0], atol=1e-12)
    p = MODEL.params()
    # W = (a - c) q - (b + d) q^2/2 at q = (a - c)/b: dW/dq = 8 - 1.5 * 8 + 8 along a - c = b q.
    np.testing.assert_allclose(found.sensitivity_of(gradient)[0], [2 * 8 - 1.5 * 8, 0.0], atol=1e-10)
    tax = found.policy_sensitivity(["tax"])
    slope = float(p.d / (p.b + p.d))
    assert names == ("welfare", "quantity") and float(tax.policy[0]) == pytest.approx(float(optimal_tax(p)))
    np.testing.assert_allclose(tax.sensitivity.values, [[slope, 0.0]], atol=1e-7)
    np.testing.assert_allclose(tax.standard_error.values, [slope * 0.4], rtol=1e-6)
    assert list(tax.moment.values) == ["q", "P"]


def test_sensitivity_against_estimates_made_again():
    """A nonlinear fit that meets its targets: the estimate is made again with each target a little higher."""
    errors = [0.4, 0.2, 0.5]
    names = ("quantity", "price", "welfare")
    theta = np.array([10.0, 2.0, 0.5])
    free = {"a": (6.0, 14.0), "c": (0.5, 3.5), "d": (0.1, 1.5)}
    problem = moment_problem(MODEL, targets([1.0, 1.0, 1.0], errors, names), free)
    problem = problem.observing(problem.rows(theta)[0][0])
    found = identify(problem, theta)
    for i in range(3):
        ends = []
        for h in (1e-4, -1e-4):
            moved = problem.observing(problem.observed + h * np.eye(3)[i])
            ends.append(estimated(moved, theta))
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-4, found.sensitivity[:, i], rtol=1e-5, atol=1e-6)


def estimated(problem, start):
    def miss(theta):
        return (problem.rows(theta)[0][0] - problem.observed) / problem.scale

    return least_squares(miss, start, xtol=1e-14, ftol=1e-14, gtol=1e-14).x


def test_profiles_of_linear_moments():
    """The profile is a parabola around least squares; the interval is the estimate +- 1.96 standard errors."""
    problem = linear_problem()
    problem = problem.observing(problem.observed + np.array([0.05, -0.1, 0.1, 0.2]))
    ds = profile(problem, points=9)
    exact = LAMBDA @ problem.observed
    error = np.sqrt(np.diag(LAMBDA @ V @ LAMBDA.T))
    np.testing.assert_allclose(ds.estimate, exact, atol=1e-8)
    half = np.sqrt(chi2.ppf(0.95, 1)) * error
    np.testing.assert_allclose(ds.lower, exact - half, atol=1e-7)
    np.testing.assert_allclose(ds.upper, exact + half, atol=1e-7)
    for j in range(3):
        # Where the other parameters reach their bounds the parabola ends.
        free = np.all(np.abs(ds.fit[j].values) < 3 - 1e-9, axis=1) | (np.abs(np.abs(ds.value[j].values) - 3) < 1e-12)
        inner = np.all(np.abs(np.delete(ds.fit[j].values, j, axis=1)) < 3 - 1e-9, axis=1) & free
        assert inner.sum() >= 5
        parabola = ((ds.value[j].values - exact[j]) / error[j]) ** 2
        solved = inner & np.isfinite(ds.excess[j].values)
        np.testing.assert_allclose(ds.excess[j].values[solved], parabola[solved], rtol=1e-6, atol=1e-7)


def test_a_profile_of_two_valleys():
    """x^2 = 1 cannot tell x from -x; what y says of x + y/2 then depends on the side. From one side the other is found."""
    made = targets([1.0, 0.5, 0.0], [0.05, 0.1, 0.1], ("square", "m0", "m1"))
    problem = moment_problem(LINEAR, made, {"x": (-2.0, 2.0), "y": (-4.5, 4.5), "w": (-9.0, 9.0)})
    ds = profile(problem, ["y"], [-1.0, 3.0, 6.0], points=19)
    y, excess = ds.value[0].values, ds.excess[0].values
    for value in (-1.0, 3.0):
        at = np.argmin(np.abs(y - value))
        assert excess[at] < 1e-6, (value, excess[at])

    # Each value of y is fitted by the better of the two signs.
    def least(v):
        x = np.linspace(-2, 2, 400_001)
        return np.min(((x**2 - 1) / 0.05) ** 2 + ((x + v / 2 - 0.5) / 0.1) ** 2)

    np.testing.assert_allclose(ds.profile[0].values, [least(v) for v in y], rtol=1e-4, atol=1e-4)


def test_an_interval_that_the_range_cuts():
    ds = profile(linear_problem(box=(-0.5, 0.65)), ["x", "w"], points=5)
    assert bool(ds.open.sel(parameter="w", end="upper")) and np.isnan(float(ds.upper.sel(parameter="w")))
    assert not bool(ds.open.sel(parameter="x", end="lower"))


def test_bad_requests_name_everything():
    problem = linear_problem()
    with pytest.raises(InputError) as error:
        identify(problem, [0.0, 1.0], weight="best", tolerance=2)
    assert len(error.value.problems) == 3
    with pytest.raises(InputError, match="does not solve at theta"):
        identify(problem, [2.7, 0.0, 0.0])
    with pytest.raises(InputError, match="negative eigenvalue"):
        identify(problem, weight=-np.eye(4))
    with pytest.raises(InputError) as error:
        profile(problem, ["q"], [9.0, 0.0, 0.0], points=0, level=2)
    assert len(error.value.problems) == 4
