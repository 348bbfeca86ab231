"""Correlated inputs, Shapley effects against closed forms, active subspaces."""

import itertools
import math

import numpy as np
import pytest
from functions import G_WEIGHTS, ISHIGAMI, ISHIGAMI_EDGE, SOBOL_G
from pigou import MODEL
from scipy.stats import spearmanr

from jaxecon import InputError, sensitivity
from jaxecon.analysis.copula import copula_of, normal_scores
from jaxecon.analysis.designs import prior_draws, quasi_random
from jaxecon.analysis.shapley import shapley_design, shapley_effects, shapley_sums
from jaxecon.analysis.subspace import active_subspace

PI4, PI8 = np.pi**4, np.pi**8
V1, V2, V13 = 0.5 * (1 + 0.1 * PI4 / 5) ** 2, 49 / 8, 0.01 * PI8 * (1 / 18 - 1 / 50)
V = V1 + V2 + V13
PAIRS = {("g1", "g2"): 0.7, ("g2", "g3"): -0.4}


def by_subsets(k, explained):
    """Shapley values of `explained(subset)` by their definition."""
    effect = np.zeros(k)
    for j in range(k):
        rest = [i for i in range(k) if i != j]
        for size in range(k):
            weight = math.factorial(size) * math.factorial(k - size - 1) / math.factorial(k)
            effect[j] += weight * sum(explained((*s, j)) - explained(s) for s in itertools.combinations(rest, size))
    return effect


def linear_gaussian(beta, matrix):
    """Var E[beta'x | x_J] for jointly normal x."""

    def explained(subset):
        rest = [i for i in range(len(beta)) if i not in subset]
        if not rest:
            return beta @ matrix @ beta
        s, r = list(subset), rest
        left = matrix[np.ix_(r, r)]
        if s:
            left = left - matrix[np.ix_(r, s)] @ np.linalg.solve(matrix[np.ix_(s, s)], matrix[np.ix_(s, r)])
        return beta @ matrix @ beta - beta[r] @ left @ beta[r]

    return explained


@pytest.mark.parametrize("rho", [0.0, 0.5, -0.8])
def test_shapley_effects_of_a_linear_gaussian_outcome(rho):
    names, beta = ("a", "b", "c"), np.array([1.0, -2.0, 0.5])
    copula, problems = copula_of(names, {("a", "b"): rho, ("b", "c"): 0.3} if rho else None)
    assert not problems and copula.independent == (rho == 0)
    n = 2**14
    design = shapley_design(quasi_random(6, 3).random(n), copula, 4)
    y = (normal_scores(design.points) @ beta)[..., None]
    sums, kept = shapley_sums(design, y, 100, 5)
    found = shapley_effects(sums)
    exact = by_subsets(3, linear_gaussian(beta, copula.matrix)) / (beta @ copula.matrix @ beta)
    np.testing.assert_allclose(found.effect[0], exact, atol=0.015)
    # 1.5 half-widths of a 95 % interval are three standard errors.
    assert np.all(np.abs(found.effect[0] - exact) < 1.5 * found.effect_ci[0])
    assert kept.all() and found.effect.sum() == pytest.approx(1)
    assert found.std[0] == pytest.approx(np.sqrt(beta @ copula.matrix @ beta), rel=0.01)


def test_shapley_effects_of_two_inputs_are_owen_and_prieurs():
    b1, b2, rho = 2.0, 1.0, 0.6
    copula, _ = copula_of(("a", "b"), {("a", "b"): rho})
    design = shapley_design(quasi_random(4, 1).random(2**14), copula, 2)
    found = shapley_effects(shapley_sums(design, normal_scores(design.points) @ np.array([[b1], [b2]]), 50, 3)[0])
    variance = b1**2 + b2**2 + 2 * rho * b1 * b2
    exact = (b1**2 * (1 - rho**2 / 2) + rho * b1 * b2 + b2**2 * rho**2 / 2) / variance
    assert found.effect[0, 0] == pytest.approx(exact, abs=0.01)


def test_shapley_effects_of_independent_inputs():
    ds = sensitivity(ISHIGAMI, "shapley", samples=2**13, seed=1)
    one = ds.sel(outcome="welfare")
    exact = np.array([V1 + V13 / 2, V2, V13 / 2]) / V
    np.testing.assert_allclose(one.shapley, exact, atol=0.02)
    assert np.all(np.abs(one.shapley - exact) < 1.5 * one.shapley_ci)
    assert float(one["std"]) == pytest.approx(np.sqrt(V), rel=0.01) and ds.attrs["evaluations"] == 4 * 2**13
    assert np.all(ds.sel(outcome="constant").shapley == 0)
    g = sensitivity(SOBOL_G, "shapley", samples=2**12, seed=1, outcomes=["welfare"]).shapley[0]
    part = 1 / (3 * (1 + G_WEIGHTS) ** 2)
    exact = by_subsets(4, lambda s: np.prod(1 + part[list(s)]) - 1) / (np.prod(1 + part) - 1)
    np.testing.assert_allclose(g, exact, atol=0.03)


def test_shapley_drops_failed_samples_and_takes_correlations():
    ds = sensitivity(ISHIGAMI_EDGE, "shapley", samples=2**10, seed=1)
    assert ds.attrs["dropped"] > 0 and np.isfinite(ds.shapley).all()
    # Price = cost where markets compete: what moves with cost shares its effect, what does not has none.
    ds = sensitivity(MODEL, "shapley", samples=1024, outcomes=["price"], correlation={("c", "d"): 0.8})
    r = (6 / np.pi * np.arcsin(0.4)) ** 2  # share of a uniform input that one linked to it explains, nearly
    np.testing.assert_allclose(ds.shapley[0], [0, 0, 1 - r / 2, r / 2], atol=0.03)
    assert ds.attrs["correlation"] == '{"c ~ d": 0.8}'


def test_the_copula_has_its_rank_correlations_and_uniform_margins():
    copula, _ = copula_of(("g1", "g2", "g3"), PAIRS)
    u = copula.correlate(quasi_random(3, 0).random(2**13))
    ranks = spearmanr(u).statistic
    np.testing.assert_allclose(ranks, 6 / np.pi * np.arcsin(copula.matrix / 2), atol=0.01)
    np.testing.assert_allclose(np.quantile(u, [0.1, 0.5, 0.9], axis=0), np.array([[0.1, 0.5, 0.9]]).T * np.ones(3), atol=0.01)  # fmt: skip
    assert np.isfinite(copula.correlate(np.array([[0.0, 1.0, 0.5]]))).all()


def test_draws_of_the_prior_move_together():
    draws = prior_draws(MODEL, 2000, correlation={("a", "c"): 0.9}).points
    assert spearmanr(draws[:, 0], draws[:, 2]).statistic == pytest.approx(6 / np.pi * np.arcsin(0.45), abs=0.02)
    np.testing.assert_array_equal(prior_draws(MODEL, 50).points, prior_draws(MODEL, 50, correlation={}).points)
    with pytest.raises(InputError, match="no input"):
        prior_draws(MODEL, 10, correlation={("a", "q"): 0.1})


def test_every_problem_of_a_correlation_is_named():
    names = ("a", "b", "c")
    bad = {("a", "x"): 0.5, ("b", "b"): 0.5, ("a", "b"): 1.5, "ac": 0.2, ("b", "c"): 0.1, ("c", "b"): 0.2, ("a", "c"): "x"}  # fmt: skip
    _, problems = copula_of(names, bad)
    assert len(problems) == 6 and any("differ" in p for p in problems)
    _, problems = copula_of(names, {("a", "b"): 0.9, ("b", "c"): 0.9, ("a", "c"): -0.9})
    assert len(problems) == 1 and "do not fit together" in problems[0]
    assert not copula_of(names, {("a", "b"): 0.5, ("b", "a"): 0.5})[1]
    with pytest.raises(InputError, match="correlation applies"):
        sensitivity(MODEL, "sobol", correlation={("a", "b"): 0.5})
    with pytest.raises(InputError, match="no input"):
        sensitivity(MODEL, "shapley", correlation={("a", "speed"): 0.5})


def test_active_subspace_of_a_quadratic_form():
    r"""y = x'Ax/2 with x uniform on [-1, 1]: C = A A'/3 in closed form."""
    rng = np.random.default_rng(0)
    w = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    a = w @ np.diag([5.0, 2.0, 0.1, 0.01]) @ w.T
    x = 2 * quasi_random(4, 1).random(2**13) - 1
    slopes = np.stack([x @ a, np.ones((len(x), 1)) * [3.0, 0, 0, 4.0], np.zeros_like(x)], axis=1)
    found = active_subspace(slopes, resamples=50, seed=1)
    np.testing.assert_allclose(found.eigenvalue[0], np.array([25, 4, 0.01, 1e-4]) / 3, rtol=0.03)
    assert list(found.dimension) == [2, 1, 0]
    for i in range(2):
        assert abs(found.vector[0, i] @ w[:, i]) == pytest.approx(1, abs=1e-3)
    scores = 25 / 3 * w[:, 0] ** 2 + 4 / 3 * w[:, 1] ** 2
    np.testing.assert_allclose(found.activity[0], scores, rtol=0.05)
    assert np.all(np.abs(found.activity[0] - scores) < 2 * found.activity_ci[0])
    assert np.all((found.lo[0] <= found.eigenvalue[0]) & (found.eigenvalue[0] <= found.hi[0]))
    assert 0 < found.error[0] < 0.05
    np.testing.assert_allclose(found.vector[1, 0], [0.6, 0, 0, 0.8], atol=1e-12)
    np.testing.assert_allclose(found.eigenvalue[1], [25, 0, 0, 0], atol=1e-10)
    assert found.error[1] == pytest.approx(0, abs=1e-12)


def test_active_subspaces_of_models():
    ds = sensitivity(MODEL, "active", samples=64, outcomes=["price"], prior={"b": (1.0, 1.1)})
    # Competitive price = cost: one direction, one full range of c moves it by 3.
    assert float(ds.dimension[0]) == 1
    np.testing.assert_allclose(ds.activity[0], [0, 0, 9, 0], atol=1e-9)
    np.testing.assert_allclose(ds.direction[0, 0], [0, 0, 1, 0], atol=1e-9)
    one = sensitivity(ISHIGAMI, "active", samples=2**10, outcomes=["welfare"]).sel(outcome="welfare")
    nu = np.array([0.5 * (1 + 0.2 * PI4 / 5 + 0.01 * PI8 / 9), 24.5, 0.16 * np.pi**6 / 7 / 2]) * (2 * np.pi) ** 2
    np.testing.assert_allclose(one.eigenvalue, np.sort(nu)[::-1], rtol=0.06)
    together = sensitivity(ISHIGAMI, "active", samples=2**10, correlation={("x1", "x2"): 0.9}, outcomes=["welfare"])
    assert not np.allclose(together.activity, one.activity, rtol=1e-3)
