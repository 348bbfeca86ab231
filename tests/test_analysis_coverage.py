"""Coverage of intervals: nominal where the theory is exact, off where standard errors are wrong, agents in the slow tests."""

import dataclasses

import numpy as np
import pytest
from pigou import MODEL
from test_analysis_simulated import BOX, TOY, TRUTH, problem_at, target

from jaxecon import InputError
from jaxecon.analysis.coverage import Coverage, coverage, simulated_coverage
from jaxecon.analysis.moment_problem import moment_problem
from jaxecon.analysis.simulated import begin, fresh_step
from jaxecon.analysis.simulated_moments import simulated_problem


def market_problem():
    """Quantity a - c, price c and damage d q^2/2 of the market: choke price and cost."""
    targets = [target(n, v, s) for n, v, s in (("quantity", 8.0, 0.2), ("price", 2.0, 0.1), ("damage", 16.0, 1.0))]
    return moment_problem(MODEL, targets, {"a": (5.0, 15.0), "c": (0.5, 4.5)})


def test_intervals_of_a_static_model_cover():
    found = coverage(market_problem(), [10.0, 2.0], replications=200, starts=2)
    lo, hi = found.band(0.9999)
    assert lo < 0.95 < hi
    assert np.all((found.share >= lo) & (found.share <= hi))
    np.testing.assert_allclose(found.overconfidence, 1.0, atol=0.2)
    # The price alone gives c, and c and the quantity give a: by hand, were damage not seen, .1 and sqrt(.1^2 + .2^2).
    assert np.all(found.standard_errors[:, 1] < 0.1) and np.all(found.standard_errors[:, 0] < np.hypot(0.1, 0.2))
    wrong = dataclasses.replace(found, standard_errors=found.standard_errors / 2)
    assert np.all(wrong.share < lo)
    again = coverage(market_problem(), [10.0, 2.0], replications=200, starts=2)
    np.testing.assert_array_equal(again.theta, found.theta)


def test_an_interval_without_width_covers_nothing():
    found = Coverage(("a",), np.array([1.0]), np.array([[1.0], [1.1]]), np.array([[np.nan], [0.1]]), 0.95)
    assert found.covered.tolist() == [[False], [True]]
    assert found.share.tolist() == [0.5]


def test_a_fresh_step_solves_linear_moments():
    """Shares of buyers are linear in c at given draws up to noise: from any place one step lands near the truth."""
    problem = simulated_problem(TOY, [target("buying", 1 - 2.5 / 10, 0.01)], {"c": (1.0, 4.0)})
    at = begin(problem, np.array([[0.2], [0.8]]), np.array([[0.75], [0.75]]), 20)
    share, slopes = fresh_step(problem, at, 200, slope_seeds=20, rule=lambda x: x, first=50)
    assert slopes.shape == (2, 1, 1)
    np.testing.assert_allclose(problem.theta(share), 2.5, atol=0.1)


def test_errors_name_every_problem():
    with pytest.raises(InputError) as error:
        coverage(market_problem(), [20.0, 2.0], replications=0, level=95)
    for words in ("truth", "replications", "level"):
        assert words in str(error.value)
    still = simulated_problem(
        TOY, [target("buying", 0.5, 0.1), target("buying", 0.6, 0.1)], {"a": BOX["a"], "c": BOX["c"]}
    )
    with pytest.raises(InputError, match="do not vary, or not independently"):
        simulated_coverage(still, [10.0, 2.0], replications=4)


@pytest.mark.slow
def test_intervals_of_an_agent_layer_cover():
    problem = problem_at(free={n: BOX[n] for n in ("a", "b", "c")})
    found = simulated_coverage(problem, TRUTH[:3], replications=150, data_runs=20, seeds=20)
    lo, hi = found.band(0.9999)
    assert np.all((found.share >= lo) & (found.share <= hi))
    np.testing.assert_allclose(found.overconfidence, 1.0, atol=0.25)
