"""Simulated moments: closed forms of a crowd of buyers, slopes, common random numbers, the fit, coverage of its intervals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pigou import MODEL

from jaxecon import InputError
from jaxecon.analysis.simulated import Searches, bounded_step, residuals, simulated_fit
from jaxecon.analysis.simulated_moments import MomentSample, covariance_of_means, sample_of, simulated_problem
from jaxecon.analysis.targets import Target
from jaxecon.core.model import Moments

BOX = {"a": (8.0, 14.0), "b": (0.5, 1.5), "c": (1.0, 4.0), "d": (0.2, 1.2)}
TRUTH = np.array([11.0, 0.8, 2.5, 0.6])


def crowd(smooth, p, u, key):
    """200 buyers with values a U, and 200 with values 2 b U; the smooth variant blurs who buys a great deal."""
    one, two = jax.random.uniform(key, (2, 200), p.a.dtype)
    first, second = p.a * one - p.c, 2 * two - p.d / p.b
    buys, pays = (
        (jax.nn.sigmoid(x / w) if smooth else (x > 0).astype(x.dtype)) for x, w in ((first, 0.8), (second, 0.2))
    )
    total = jnp.sum(buys)
    spent = jnp.sum(buys * p.a * one)
    return {
        "buying": jnp.mean(buys),
        "spending": spent / 200,
        "paying": jnp.mean(pays),
        "mean_price": jnp.where(total > 0, spent / jnp.where(total > 0, total, 1.0), jnp.nan),
    }


ABOUT = {n: ("1", n) for n in ("buying", "spending", "paying", "mean_price")}
CROWD = Moments(lambda *a: crowd(False, *a), ABOUT, cost="agents", smooth=lambda *a: crowd(True, *a))
TOY = dataclasses.replace(MODEL, moments={"crowd": CROWD})


def expected(theta):
    """Closed forms of the first three moments: 1 - c/a, (a^2 - c^2)/(2 a), 1 - d/(2 b)."""
    a, b, c, d = np.asarray(theta).T
    return np.stack([1 - c / a, (a**2 - c**2) / (2 * a), 1 - d / (2 * b)], axis=-1)


def target(moment, value, error, **more):
    return Target(moment, moment, float(value), error, "1", "closed form", grade="S", **more)


def problem_at(theta=TRUTH, model=TOY, free=None, seed=0):
    found = [
        target(n, v, s) for n, v, s in zip(("buying", "spending", "paying"), expected(theta), (0.005, 0.05, 0.005))
    ]
    return simulated_problem(model, found, BOX if free is None else free, seed=seed)


def test_means_of_runs_are_the_closed_forms():
    problem = problem_at()
    sample = problem.sample([TRUTH, [9.0, 1.2, 3.5, 0.9]], 400)
    gap = (sample.mean - expected([TRUTH, [9.0, 1.2, 3.5, 0.9]])) / sample.error
    assert np.max(np.abs(gap)) < 4
    assert np.all(sample.defined == 1)


def test_runs_are_common_to_all_points_and_do_not_depend_on_their_number():
    problem = problem_at()
    few, many = problem.runs(TRUTH, 3), problem.runs([TRUTH, TRUTH], 130)
    np.testing.assert_array_equal(many[0], many[1])
    np.testing.assert_array_equal(few[0], many[0, :3])
    apart = problem.runs([TRUTH, TRUTH], 3, first=[0, 2])
    np.testing.assert_array_equal(apart[0], few[0])
    np.testing.assert_array_equal(apart[1], many[0, 2:5])
    assert not np.array_equal(problem.runs(TRUTH, 3, seed=1), few)


def test_slopes_are_those_of_the_smooth_means_in_shares_of_the_box():
    problem, h = problem_at(), 1e-5
    share = problem.share(TRUTH)
    ends = np.concatenate([share + h * np.eye(4), share - h * np.eye(4)])
    means = problem.sample(problem.theta(ends), 6, smooth=True).mean
    np.testing.assert_allclose(problem.slopes(TRUTH, 6)[0], (means[:4] - means[4:]).T / (2 * h), rtol=1e-6, atol=1e-8)


def test_means_count_the_runs_in_which_a_moment_is_defined():
    runs = np.array([[[1.0, np.nan, 4.0], [3.0, np.nan, np.nan]]])
    found = sample_of(runs)
    np.testing.assert_allclose(found.mean, [[2.0, np.nan, 4.0]])
    np.testing.assert_allclose(found.defined, [[1.0, 0.0, 0.5]])
    np.testing.assert_allclose(found.error, [[1.0, 0.0, 0.0]])
    problem = problem_at()
    np.testing.assert_allclose(
        residuals(problem, found, problem.observed), (np.array([[2.0, 0.0, 4.0]]) - problem.observed) / problem.scale
    )
    # Nobody buys where cost exceeds every value: the mean price is defined in no run.
    none = simulated_problem(TOY, [target("mean_price", 5.0, 0.1)], {"c": (1.0, 20.0)})
    sample = none.sample([[19.0]], 4)
    assert np.isnan(sample.mean[0, 0]) and sample.defined[0, 0] == 0
    assert residuals(none, sample, none.observed)[0, 0] == pytest.approx(-50.0)


def test_covariance_of_means_knows_where_moments_are_defined():
    """Two equal moments, the second defined in half of the runs: means of n and of n/2 of the same numbers."""
    x = np.random.default_rng(1).standard_normal(4000)
    found = covariance_of_means(np.column_stack([x, np.where(np.arange(4000) % 2, x, np.nan)]), 40)
    # Var(mean of 40), of about 20, and covariance 1/40: correlation sqrt(1/2), though the runs that define both correlate by 1.
    np.testing.assert_allclose(found, [[1 / 40, 1 / 40], [1 / 40, 1 / 20]], rtol=0.12)


def test_fit_from_the_box_meets_the_moments_and_says_what_they_leave_open():
    problem, seen = problem_at(), []
    fit = simulated_fit(problem, seeds=(4, 40, 400), draws=16, starts=2, progress=seen.append)
    assert fit.loss < 0.05
    # 400 runs of 200 buyers: the closed forms differ from the means by sampling error only.
    assert np.max(np.abs(expected(fit.theta) - problem.observed) / fit.sample.error) < 4
    values, directions = fit.directions()
    assert np.all(values[:3] > 1) and values[3] == 0
    along = np.array([0, fit.theta[1], 0, fit.theta[3]]) / (problem.hi - problem.lo)
    np.testing.assert_allclose(np.abs(directions[3]), along / np.linalg.norm(along), atol=1e-6)
    # The books: every round's points and runs, slopes of 4 + 1 vectors each.
    assert [t.seeds for t in seen] == sorted(t.seeds for t in seen) and {t.seeds for t in seen} == {4, 40, 400}
    assert seen == list(fit.trail)
    assert fit.count.vectors == sum(t.searches for t in seen)
    assert fit.count.runs == sum(t.searches * t.seeds for t in seen)
    assert fit.count.evaluations(4) == fit.count.vectors + 5 * fit.count.slopes
    again = simulated_fit(problem, seeds=(4, 40, 400), draws=16, starts=2)
    np.testing.assert_array_equal(again.theta, fit.theta)


def test_discrete_moments_correct_the_smooth_ones():
    problem = problem_at()
    blurred = dataclasses.replace(MODEL, moments={"crowd": dataclasses.replace(CROWD, run=CROWD.smooth)})
    options = {"seeds": (4, 200), "draws": 8, "starts": 1}
    smooth, fit = simulated_fit(problem_at(model=blurred), **options), simulated_fit(problem, **options)
    errors = residuals(problem, problem.sample(smooth.theta, 200), problem.observed)
    assert smooth.loss < 0.05
    assert np.sum(errors**2) > 25 * max(fit.loss, 0.02)


def test_a_fit_starts_where_it_is_told():
    problem = problem_at()
    start = TRUTH + 0.3
    fit = simulated_fit(problem, seeds=(50, 200), draws=1, starts=1, begin_at=start)
    before = problem.sample(start, 200)
    assert fit.trail[0].searches == 1
    assert fit.loss < 1e-2 * np.sum(residuals(problem, before, problem.observed) ** 2)
    assert np.max(np.abs(problem.share(fit.theta) - problem.share(start))) < 0.4


def test_steps_stay_in_the_box_and_are_the_shortest():
    slopes = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    step = bounded_step(slopes, np.array([-0.2, 0.1]), np.full(3, 0.5), 0.3)
    np.testing.assert_allclose(step, [0.1, 0.1, -0.05], atol=1e-4)
    held = bounded_step(slopes, np.array([-0.2, 0.1]), np.array([0.5, 0.98, 0.01]), 0.3)
    assert held[1] == pytest.approx(0.015, abs=1e-6) and held[0] == pytest.approx(0.185, abs=1e-3)
    assert held[2] == pytest.approx(-0.005, abs=1e-6)
    assert np.max(np.abs(bounded_step(100 * slopes, np.array([-900.0, 900.0]), np.full(3, 0.5), 0.3))) <= 0.3


def test_searches_can_be_picked():
    sample = MomentSample(*(np.arange(6.0).reshape(3, 2) + i for i in range(3)))
    all_ = Searches(np.eye(3), np.ones((3, 2)), np.arange(3), sample, np.arange(6.0).reshape(3, 2), np.zeros((3, 2, 3)),
                    np.array([True, False, True]), np.ones(3))  # fmt: skip
    some = all_.pick(np.array([2, 0]))
    np.testing.assert_array_equal(some.first, [2, 0])
    np.testing.assert_array_equal(some.sample.error, sample.error[[2, 0]])
    np.testing.assert_array_equal(some.loss, [41.0, 1.0])


def test_errors_name_every_problem():
    bad = [target("quantity", 1.0, 0.1), dataclasses.replace(target("paying", 0.5, 0.1), compare="ratio"),
           target("buying", 0.5, float("nan"))]  # fmt: skip
    with pytest.raises(InputError) as error:
        simulated_problem(TOY, bad, {"a": (14.0, 8.0), "speeed": (0.1, 1.0)}, seed=-1)
    text = str(error.value)
    for words in ("speeed", "a", "crowd", "paying", "buying", "seed"):
        assert words in text
    with pytest.raises(InputError, match="no target reads the agent moments of pigou"):
        simulated_problem(MODEL, [], BOX)
    with pytest.raises(InputError) as error:
        simulated_fit(problem_at(), seeds=(40, 8), starts=0, tolerance=-1.0, begin_at=np.zeros(3))
    for words in ("growing numbers of runs", "starts", "tolerance", "begin_at"):
        assert words in str(error.value)
