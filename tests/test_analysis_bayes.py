"""Posteriors against closed forms and quadrature; ranks of the prior in its own posteriors; policy under a posterior."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from calibrations import CROWD, LINEAR, MATRIX, exact_posterior, linear_problem, market_problem, targets
from scipy import stats

from jaxecon import InputError
from jaxecon.analysis.bayes import sample_posterior
from jaxecon.analysis.density import density_of, prior_of
from jaxecon.analysis.moment_problem import moment_problem
from jaxecon.analysis.posterior_policy import posterior_policy
from jaxecon.analysis.rank_test import rank_test
from jaxecon.analysis.simulation_based import approximate_posterior
from jaxecon.analysis.targets import Target

# One program serves all posteriors of the linear model that differ in numbers only.
RUN = {"chains": 2, "draws": 1000, "warmup": 300}


def agrees(posterior, mean, sd):
    """Means and standard deviations of the draws within five Monte Carlo errors of the exact ones."""
    found = posterior.diagnostics()
    theta = posterior.theta
    assert np.all(np.abs(theta.mean(axis=0) - mean) < 5 * found["mcse_mean"])
    np.testing.assert_allclose(theta.std(axis=0), sd, rtol=5 / np.sqrt(2 * found["ess_bulk"].min()))


@pytest.fixture(scope="module")
def linear():
    return sample_posterior(linear_problem(), **RUN)


def test_nuts_finds_a_gaussian_posterior(linear):
    mean, cov = exact_posterior(linear.problem)
    agrees(linear, mean, np.sqrt(np.diag(cov)))
    drawn = np.corrcoef(linear.theta.T)
    exact = cov / np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    np.testing.assert_allclose(drawn, exact, atol=0.1)
    assert linear.verdict == "converged" and linear.divergences == 0
    np.testing.assert_allclose(linear.moments[1, 5], MATRIX @ linear.draws[1, 5], atol=1e-12)


def test_the_same_arguments_give_the_same_numbers(linear):
    again = sample_posterior(linear_problem(), **RUN)
    np.testing.assert_array_equal(linear.draws, again.draws)
    other = sample_posterior(linear_problem(), **RUN, seed=1)
    assert not np.any(other.draws == linear.draws)


def test_a_prior_from_a_source(linear):
    """A normal prior on y adds its precision and pulls the mean; x and w stay uniform."""
    problem = linear.problem
    posterior = sample_posterior(problem, **RUN, priors={"y": Target("y", "y", 0.5, 0.1, "1", "a study")})
    mean, cov = exact_posterior(problem)
    precision = np.linalg.inv(cov) + np.diag([0.0, 100.0, 0.0])
    updated = np.linalg.solve(precision, np.linalg.inv(cov) @ mean + np.array([0.0, 50.0, 0.0]))
    agrees(posterior, updated, np.sqrt(np.diag(np.linalg.inv(precision))))


def test_priors_are_densities():
    problem = linear_problem(box=(-1.0, 2.0))
    prior = prior_of(problem, {"x": (1.5, 0.5), "w": (-1.2, 0.4)})
    drawn = prior.sample(4000, seed=3)
    for j, (c, s) in enumerate([(1.5, 0.5), (0.0, np.inf), (-1.2, 0.4)]):
        law = stats.uniform(-1, 3) if np.isinf(s) else stats.truncnorm((-1 - c) / s, (2 - c) / s, c, s)
        assert stats.kstest(drawn[:, j], law.cdf).pvalue > 1e-3
    with jax.enable_x64(True):
        density = density_of(problem, prior)
        z = jnp.asarray([0.3, -1.0, 0.7])
        x, y, w = np.asarray(density.to_theta(z))
        exact = stats.truncnorm(-5, 1, 1.5, 0.5).logpdf(x) + stats.uniform(-1, 3).logpdf(y)
        exact += stats.truncnorm(0.5, 8, -1.2, 0.4).logpdf(w)
        stretch = np.log(np.abs(np.diag(jax.jacfwd(density.to_theta)(z)))).sum()
        assert float(density.log_prior(z)) == pytest.approx(exact + stretch, rel=1e-12)
        likelihood = stats.multivariate_normal(problem.observed, problem.covariance).logpdf(
            np.asarray(density.moments(z))
        )
        assert float(-density.potential(z)) == pytest.approx(exact + stretch + likelihood, rel=1e-12)


def test_correlated_errors_are_used():
    problem = linear_problem()
    cov = problem.covariance.copy()
    cov[0, 3] = cov[3, 0] = 0.8 * np.sqrt(cov[0, 0] * cov[3, 3])
    problem = problem.observing(problem.observed + np.array([0.1, 0.0, 0.0, -0.2]), cov)
    with jax.enable_x64(True):
        density = density_of(problem, prior_of(problem, None))
        z = jnp.asarray([0.1, 0.0, -0.2])
        exact = stats.multivariate_normal(problem.observed, cov).logpdf(np.asarray(density.moments(z)))
        assert float(density.log_likelihood(z)) == pytest.approx(exact, rel=1e-12)


def edge_problem():
    """x seen at 2.45 +- .3, and nothing solves above 2.5."""
    return moment_problem(
        LINEAR, targets([2.45, 0.3], [0.3, 0.5], ("m0", "root")), {"x": (0.0, 3.0)}, params=LINEAR.params(y=0.0)
    )


@pytest.mark.slow
def test_failed_points_have_density_zero_and_finite_gradients():
    problem = edge_problem()
    with jax.enable_x64(True):
        density = density_of(problem, prior_of(problem, None))
        z = problem.to_z(np.array([[1.0], [2.4], [2.6], [2.9]]))
        value, slope = jax.vmap(jax.value_and_grad(density.potential))(z)
        assert np.isfinite(value[:2]).all() and np.isposinf(value[2:]).all()
        assert np.isfinite(slope).all() and np.all(slope[2:] == 0)
        h = 1e-6
        ends = [jax.vmap(density.potential)(z[:2] + s) for s in (h, -h)]
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * h), slope[:2, 0], rtol=1e-6)


def test_what_is_not_free_is_a_constant_of_the_program():
    """Equal parameters share the program whatever is observed; others get their own and their own numbers."""
    traced = []

    @eqx.filter_jit
    def potential(density, z):
        traced.append(density)
        return density.potential(z)

    def at(problem):
        with jax.enable_x64(True):
            density, z = density_of(problem, prior_of(problem, None)), jnp.asarray(problem.to_z([1.0]))
            miss = (problem.observed - np.asarray(problem.moments(jnp.asarray([1.0])))) / problem.scale
            exact = float(-density.log_prior(z) - density.constants[1]) + miss @ miss / 2
            assert float(potential(density, z)) == pytest.approx(exact, rel=1e-12)
        return len(traced)

    assert at(edge_problem()) == 1
    assert at(edge_problem().observing([2.0, 0.4])) == 1
    assert at(dataclasses.replace(edge_problem(), p=LINEAR.params(y=0.5))) == 2
    assert at(dataclasses.replace(edge_problem(), p=LINEAR.params(y=0.5))) == 2


def test_a_posterior_with_an_edge():
    posterior = sample_posterior(edge_problem(), **RUN)
    x = np.linspace(0, 2.5, 100_001)
    weight = np.exp(-(((x - 2.45) / 0.3) ** 2) / 2 - ((np.sqrt(2.5 - x) - 0.3) / 0.5) ** 2 / 2)
    weight /= weight.sum()
    mean = weight @ x
    assert posterior.theta.max() <= 2.5
    agrees(posterior, mean, np.sqrt(weight @ (x - mean) ** 2))


def twin_problem():
    """x^2 = 1 with .1, and x + y/2 = .2 with .5: two modes at x = 1 and x = -1 of unequal weight."""
    made = targets([1.0, 0.2, 0.0], [0.1, 0.5, 0.4], ("square", "m0", "m1"))
    return moment_problem(LINEAR, made, {"x": (-2.0, 2.0), "y": (-2.0, 2.0)}, params=LINEAR.params(w=0.0))


@pytest.mark.slow
def test_sequential_monte_carlo_finds_both_modes_and_the_evidence():
    posterior = sample_posterior(twin_problem(), "smc", chains=2, draws=1500, seed=2)
    x, y = np.meshgrid(np.linspace(-2, 2, 1601), np.linspace(-2, 2, 801), indexing="ij")
    fit = stats.norm.logpdf(x**2, 1, 0.1) + stats.norm.logpdf(x + y / 2, 0.2, 0.5) + stats.norm.logpdf(y, 0, 0.4)
    evidence = np.log(np.mean(np.exp(fit)))
    right = np.exp(fit[x > 0]).sum() / np.exp(fit).sum()
    assert np.mean(posterior.theta[:, 0] > 0) == pytest.approx(right, abs=0.05) and 0.1 < right < 0.9
    np.testing.assert_allclose(posterior.log_evidence, evidence, atol=0.2)
    assert posterior.steps[-1]["temperature"] == 1.0
    weight = np.exp(fit) / np.exp(fit).sum()
    np.testing.assert_allclose(posterior.theta.mean(axis=0), [(weight * x).sum(), (weight * y).sum()], atol=0.1)


def test_inference_data(linear, tmp_path):
    data = linear.to_inference_data()
    groups = {
        "posterior",
        "sample_stats",
        "log_likelihood",
        "posterior_predictive",
        "observed_data",
        "prior",
        "constant_data",
    }
    assert set(data.groups()) == groups
    np.testing.assert_array_equal(data.posterior.x.values, linear.draws[:, :, 0])
    assert data.posterior.attrs["verdict"] == "converged" and data.posterior.x.attrs["units"] == "1"
    alone = stats.norm.logpdf(linear.problem.observed, linear.moments, linear.problem.scale)
    np.testing.assert_allclose(data.log_likelihood.moments, alone, rtol=1e-12)
    # Replicated moments spread by the posterior and by their own errors.
    spread = data.posterior_predictive.moments.values.reshape(-1, 4).var(axis=0)
    np.testing.assert_allclose(spread, linear.moments.reshape(-1, 4).var(axis=0) + linear.problem.scale**2, rtol=0.15)
    assert linear.to_inference_data().posterior_predictive.equals(data.posterior_predictive)
    table = linear.summary()
    np.testing.assert_allclose(table["quantile"].sel(level=0.5), np.median(linear.theta, axis=0))


def test_a_chain_that_has_not_arrived_is_told(linear):
    torn = linear.draws.copy()
    torn[1] += 0.5
    assert "R-hat" in dataclasses.replace(linear, draws=torn).verdict
    few = dataclasses.replace(linear, draws=linear.draws[:, :20])
    assert "effective draws" in few.verdict
    lost = linear.statistics["diverging"].copy()
    lost[0, [3, 8]] = lost[1, 7] = True
    strayed = dataclasses.replace(linear, statistics=linear.statistics | {"diverging": lost})
    assert strayed.divergences == 3 and strayed.verdict == "not converged: 3 divergences"
    short = dataclasses.replace(linear, record={"effective": 900.0, "reached": False, "threshold": 7.5})
    assert short.verdict == "not converged: the last population stands at 7.5 and not yet at its end"


class Memory(dict):
    """Chains that are done, in memory."""

    def put(self, number, arrays):
        self[number] = {k: np.array(x) for k, x in arrays.items()}


def test_chains_that_are_kept_are_not_run_again(linear):
    """Kept draws are taken as they are; missing ones are run to the same numbers."""
    memory = Memory()
    whole = sample_posterior(linear_problem(), **RUN, saved=memory)
    np.testing.assert_array_equal(whole.draws, linear.draws)
    memory[0]["theta"] = memory[0]["theta"] + 1.0
    del memory[1]
    again = sample_posterior(linear_problem(), **RUN, saved=memory)
    np.testing.assert_array_equal(again.draws[0], linear.draws[0] + 1.0)
    np.testing.assert_array_equal(again.draws[1], linear.draws[1])
    for name, x in linear.statistics.items():
        np.testing.assert_array_equal(again.statistics[name], x)


def crowd_problem():
    made = (Target("share", "share", 0.7, 0.03, "share", "textbook"),)
    return moment_problem(CROWD, made, {"c": (0.5, 6.0)})


@pytest.mark.slow
def test_discrete_agents_by_simulation_alone():
    """The share of 400 buyers is binomial with probability 1 - c/10, seen with an error of .03: posterior by quadrature."""
    posterior = approximate_posterior(crowd_problem(), particles=300, populations=8, seed=4)
    c = np.linspace(0.5, 6.0, 551)
    n = np.arange(401)
    seen = stats.norm.pdf(0.7, n / 400, 0.03)
    weight = np.array([stats.binom.pmf(n, 400, 1 - v / 10) @ seen for v in c])
    weight /= weight.sum()
    mean = weight @ c
    sd = np.sqrt(weight @ (c - mean) ** 2)
    assert posterior.record["reached"] and posterior.record["effective"] > 100
    error = sd / np.sqrt(posterior.record["effective"])
    assert posterior.theta.mean() == pytest.approx(mean, abs=5 * error)
    assert posterior.theta.std() == pytest.approx(sd, rel=0.25)


def test_simulation_alone_on_linear_moments():
    problem = linear_problem(free=("x",), moments=("m0", "m2"))
    state = np.random.get_state()[1].copy()
    posterior = approximate_posterior(problem, particles=60, populations=5)
    assert np.array_equal(np.random.get_state()[1], state)
    mean, cov = exact_posterior(problem)
    sd = float(np.sqrt(cov[0, 0]))
    assert posterior.record["reached"]
    assert posterior.theta.mean() == pytest.approx(float(mean[0]), abs=5 * sd / np.sqrt(posterior.record["effective"]))
    assert posterior.theta.std() == pytest.approx(sd, rel=0.4)


@pytest.mark.slow
def test_simulation_alone_at_a_distance_and_again():
    """Below a distance the draws spread more than the posterior; the same arguments give the same draws."""
    problem = linear_problem(free=("x",), moments=("m0", "m2"))
    one, two = (approximate_posterior(problem, particles=60, populations=3, exact=False) for _ in range(2))
    np.testing.assert_array_equal(one.draws, two.draws)
    assert not one.record["reached"] and one.steps[2]["threshold"] < one.steps[0]["threshold"]
    assert one.theta.std() > np.sqrt(exact_posterior(problem)[1][0, 0])


@pytest.mark.slow
def test_ranks_are_uniform_and_a_wrong_scale_is_seen():
    problem = linear_problem(box=(-1.5, 1.5))
    right = rank_test(problem, 320, seed=1)
    assert right.attrs["verdict"] == "uniform" and float(np.abs(right.ecdf).max()) < float(right.band)
    np.testing.assert_array_equal(right["count"].sum("bin"), 320)
    # A posterior that takes the errors for half of what they are.
    narrow = problem.observing(problem.observed, problem.covariance / 4)
    wrong = rank_test(narrow, 320, world=problem, seed=1)
    assert wrong.attrs["verdict"] == "not uniform"
    ends = wrong["count"].isel(bin=[0, -1]).sum("bin").sel(quantity=["x", "y"])
    assert np.all(ends.values > 2 * 320 / 16 * 1.3), ends


@pytest.mark.slow
def test_policy_under_a_posterior():
    """W is quadratic in the tax with curvature (b + d)/b^2, and tau* = d(a - c)/(b + d): information is worth half the curvature times
    the variance that it removes."""
    posterior = sample_posterior(market_problem(), chains=2, draws=1000, warmup=300)
    ds = posterior_policy(posterior, ["tax"], draws=768)
    a, c = ds.a.values, ds.c.values
    best = 0.5 * (a - c) / 1.5
    np.testing.assert_allclose(ds.policy.values[:, 0], best, atol=1e-7)
    np.testing.assert_allclose(ds.band.sel(level=0.95), np.quantile(best, 0.95), atol=1e-7)
    np.testing.assert_allclose(ds.robust.values, best.mean(), atol=1e-7)
    half = 1.5 / 2
    assert float(ds.evpi) == pytest.approx(half * best.var(), rel=1e-6)
    for j, x in enumerate((a, c)):
        explained = half * best.var() * np.corrcoef(best, x)[0, 1] ** 2
        assert float(ds.evppi[j]) == pytest.approx(explained, abs=0.05 * float(ds.evpi) + 3 * float(ds.evppi_error[j]))
    assert ds.evppi[0] > 0.6 * ds.evpi and ds.evppi[1] < 0.1 * ds.evpi
    only = posterior_policy(
        posterior, ["tax"], draws=256, parameters=["c"], criterion="worst", bounds={"tax": (0.0, 2.0)}
    )
    assert list(only.parameter.values) == ["c"] and float(only.robust[0]) <= 2.0 and np.all(only.policy <= 2.0)


def test_bad_requests_name_everything(linear):
    problem = linear.problem
    with pytest.raises(InputError) as error:
        sample_posterior(problem, "gibbs", chains=0, draws=1.5, warmup=0, seed=-1, target_accept=2, mass="full")
    assert len(error.value.problems) == 7
    with pytest.raises(InputError) as error:
        sample_posterior(problem, priors={"q": (0, 1), "x": (0.0, -1.0), "y": "wide", "w": (50.0, 1.0)})
    assert len(error.value.problems) == 4
    with pytest.raises(InputError, match="solves at none"):
        sample_posterior(moment_problem(LINEAR, targets([1.0], [1.0], ("m0",)), {"x": (2.6, 3.0)}))
    with pytest.raises(InputError, match="multiple of bins"):
        rank_test(problem, draws=30)
    with pytest.raises(InputError, match="at least 5 bins"):
        rank_test(problem, 20)
    cov = problem.covariance + 0.001
    with pytest.raises(InputError) as error:
        approximate_posterior(problem.observing(problem.observed, cov), particles=0, tolerance=-1)
    assert len(error.value.problems) == 3
    with pytest.raises(InputError) as error:
        posterior_policy(linear, ["dial"], draws=0, criterion="hope", parameters=["v"])
    assert len(error.value.problems) == 3
