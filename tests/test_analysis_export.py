"""A model in other packages: the plain parts against closed forms, the packages' own functions where they are installed."""

import json
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pigou import MODEL, optimal_tax

from jaxecon import InputError, optimize, sweep
from jaxecon.analysis import export
from jaxecon.core.optional import MissingPackageError, optional_module


@pytest.fixture(scope="module")
def sim():
    return export.simulator(MODEL, ["quantity", "welfare"], names=["a", "d"])


def test_salib_problem_is_the_prior_box():
    problem = export.salib_problem(MODEL, prior={"tax": (0.0, 2.0)})
    assert problem["names"] == ["a", "b", "c", "d", "speed", "tax"] and problem["num_vars"] == 6
    assert problem["bounds"][2] == [1.0, 4.0] and problem["bounds"][5] == [0.0, 2.0]
    saltelli = pytest.importorskip("SALib.sample.sobol")
    analyze = pytest.importorskip("SALib.analyze.sobol").analyze
    problem = export.salib_problem(MODEL, ["a", "c"])
    rows = saltelli.sample(problem, 256, calc_second_order=False)
    y = export.simulator(MODEL, ["quantity"], names=problem["names"]).simulate_rows(rows)[:, 0]
    np.testing.assert_allclose(y, rows[:, 0] - rows[:, 1], rtol=1e-12)
    found = analyze(problem, y, calc_second_order=False, seed=1)
    widths = np.array([b - a for a, b in problem["bounds"]]) ** 2
    np.testing.assert_allclose(found["S1"], widths / widths.sum(), atol=0.05)


def test_prior_and_simulator(sim):
    draws = np.asarray(sim.sample(jax.random.key(0), 4000))
    assert draws.shape == (4000, 2) and np.all(draws >= sim.lo) and np.all(draws <= sim.hi)
    np.testing.assert_allclose(draws.mean(axis=0), (sim.lo + sim.hi) / 2, rtol=0.02)
    inside, outside = jnp.array([10.0, 0.5]), jnp.array([10.0, 99.0])
    assert float(sim.log_prior(inside)) == pytest.approx(-np.log(np.prod(sim.hi - sim.lo)))
    assert float(sim.log_prior(outside)) == -np.inf
    # q = (a - c)/b = 8; W = 8 q - q^2/2 - d q^2/2.
    np.testing.assert_allclose(sim.simulate(inside), [8.0, 16.0], rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(sim.simulate)(jnp.asarray(draws[:5])), sim.simulate_rows(draws[:5]), rtol=1e-12)
    np.testing.assert_allclose(jax.jacobian(sim.simulate)(inside), [[1.0, 0.0], [4.0, -32.0]], rtol=1e-9, atol=1e-9)
    # No trade: the choke price is below marginal cost.
    none = export.simulator(MODEL, ["quantity"], names=["a"], prior={"a": (0.0, 5.0)})
    assert np.isnan(none.simulate(jnp.array([1.0]))).all() and np.isnan(none.simulate_rows(np.array([[1.0]]))).all()


def test_simulation_based_inference_with_arrays_alone():
    """What a package with arrays of its own needs: the box, and rows of outcomes at its own (single-precision) draws; NaN where a point
    fails. Rejection: the price is the cost c, so that given a price near 3 the draws of c are those near 3, and q is at most a - 2.8."""
    one = export.simulator(MODEL, ["price", "quantity"], names=["a", "c"], prior={"a": (2.0, 12.0), "c": (1.0, 4.0)})
    theta = np.random.default_rng(0).uniform(one.lo, one.hi, (4000, 2)).astype(np.float32)
    rows = one.simulate_rows(theta)
    trade = theta[:, 0] > theta[:, 1]
    assert (
        rows.shape == (4000, 2) and np.array_equal(np.isfinite(rows).all(axis=1), trade) and 0 < (~trade).sum() < 1000
    )
    kept = theta[np.abs(rows[:, 0] - 3.0) < 0.2]
    assert 200 < len(kept) < 800 and np.all(np.abs(kept[:, 1] - 3.0) < 0.2)
    assert kept[:, 1].mean() == pytest.approx(3.0, abs=0.02) and np.all(kept[:, 0] > 2.8)
    np.testing.assert_allclose(rows[trade, 1], (theta[:, 0].astype(float) - theta[:, 1])[trade], rtol=1e-12)


def test_log_posterior_integrates_to_the_evidence_of_the_box(sim):
    """The integral over z is the integral of likelihood times prior over the box: the change of variables is exact."""
    one = export.simulator(MODEL, ["quantity"], names=["a"])
    density = one.log_posterior([8.3], 0.4)
    z = jnp.linspace(-25.0, 25.0, 20001)[:, None]
    over_z = float(jnp.trapezoid(jnp.exp(jax.vmap(density)(z)), z[:, 0]))
    a = np.linspace(one.lo[0], one.hi[0], 20001)
    likelihood = np.exp(-(((a - 2.0) - 8.3) ** 2) / (2 * 0.16)) / (0.4 * np.sqrt(2 * np.pi))
    assert over_z == pytest.approx(np.trapezoid(likelihood, a) / (one.hi[0] - one.lo[0]), rel=1e-6)
    gradient = jax.grad(sim.log_posterior([8.0, 16.0], [0.1, 1.0]))(jnp.array([0.3, -0.2]))
    step = 1e-6
    log_density = sim.log_posterior([8.0, 16.0], [0.1, 1.0])
    for j in range(2):
        move = step * jnp.eye(2)[j]
        at = jnp.array([0.3, -0.2])
        numeric = (log_density(at + move) - log_density(at - move)) / (2 * step)
        assert float(gradient[j]) == pytest.approx(float(numeric), rel=1e-5)


def test_log_posterior_is_minus_infinity_where_the_model_does_not_solve():
    none = export.simulator(MODEL, ["quantity"], names=["a"], prior={"a": (0.0, 5.0)})
    density = none.log_posterior([1.0], 1.0)
    assert float(density(jnp.array([-3.0]))) == -np.inf and np.isfinite(float(density(jnp.array([3.0]))))


def test_blackjax_samples_the_posterior():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        blackjax = pytest.importorskip("blackjax")
    one = export.simulator(MODEL, ["quantity"], names=["a"])
    kernel = blackjax.nuts(one.log_posterior([8.5], 0.3), step_size=0.3, inverse_mass_matrix=jnp.ones(1))
    step = lambda state, key: (lambda s: (s, s.position))(kernel.step(key, state)[0])  # noqa: E731
    _, z = jax.lax.scan(step, kernel.init(jnp.zeros(1)), jax.random.split(jax.random.key(1), 2000))
    a = np.asarray(jax.vmap(one.to_theta)(z))[200:, 0]
    assert a.mean() == pytest.approx(10.5, abs=0.1) and a.std() == pytest.approx(0.3, abs=0.06)


def test_numpyro_model(sim):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        numpyro = pytest.importorskip("numpyro")
    model = export.numpyro_model(sim, [0.1, 1.0])
    draws = numpyro.infer.Predictive(model, num_samples=50)(jax.random.key(0))
    assert draws["observed"].shape == (50, 2)
    np.testing.assert_allclose(draws["quantity"], draws["a"] - 2.0, rtol=1e-6)
    observed = jnp.array([8.0, 16.0])
    point = {"a": jnp.array(10.2), "d": jnp.array(0.45)}
    theirs, _ = numpyro.infer.util.log_density(model, (), {"observed": observed}, point)
    theta = jnp.array([10.2, 0.45])
    miss, s = (observed - sim.simulate(theta)) / jnp.array([0.1, 1.0]), np.array([0.1, 1.0])
    ours = sim.log_prior(theta) - jnp.sum(miss**2 / 2) - np.sum(np.log(s * np.sqrt(2 * np.pi)))
    assert float(theirs) == pytest.approx(float(ours), rel=1e-6)


def test_policy_problem_for_scipy():
    from scipy.optimize import minimize

    problem = export.policy_problem(MODEL, ["tax"])
    found = minimize(problem.fun_and_jac, problem.start, jac=True, bounds=list(zip(problem.lo, problem.hi)))
    best = float(optimal_tax(MODEL.params()))
    assert found.x[0] == pytest.approx(best, rel=1e-6)
    assert found.x[0] == pytest.approx(optimize(MODEL, ["tax"]).values["tax"], rel=1e-6)
    assert problem.fun(np.array([1.0])) == pytest.approx(-(8 * 7 - 49 / 2 - 49 / 4))
    # dW/dtau = -(8 - q - d q) at q = 7, so the problem's is its negative.
    np.testing.assert_allclose(problem.jac(np.array([1.0])), [8 - 7 - 3.5], rtol=1e-9)
    assert problem.start[0] == 0 and (problem.lo[0], problem.hi[0]) == (0.0, 8.0)
    unsolved = export.policy_problem(MODEL, ["tax"], params=MODEL.params(a=1.0))
    assert unsolved.fun(np.array([1.0])) == np.inf and unsolved.jac(np.array([1.0])) == 0.0
    least = export.policy_problem(MODEL, ["tax"], objective="damage", bounds={"tax": (1.0, 2.0)}, maximize=False)
    assert least.start[0] == 1.0 and least.fun(np.array([1.0])) == pytest.approx(49 / 4)


def test_policy_problem_for_optimagic():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimagic = pytest.importorskip("optimagic")
        given = export.policy_problem(MODEL, ["tax"]).for_optimagic()
        found = optimagic.minimize(algorithm="scipy_lbfgsb", **given)
    assert found.params[0] == pytest.approx(float(optimal_tax(MODEL.params())), rel=1e-5)


def test_pandas_and_parquet(tmp_path):
    ds = sweep(MODEL, {"a": (1.0, 12.0, 4), "market": ["competitive", "monopoly"]}, outcomes=["quantity"])
    frame = export.to_pandas(ds)
    assert list(frame.columns) == ["a", "market", "quantity", "max_residual", "status"] and len(frame) == 8
    assert frame.attrs["units"]["a"] == "money" and frame.attrs["model"] == "pigou"
    row = frame[(frame.a == 12.0) & (frame.market == "monopoly")]
    assert float(row.quantity.iloc[0]) == pytest.approx(5.0)
    parquet = pytest.importorskip("pyarrow.parquet")
    path = export.to_parquet(ds, tmp_path / "sweep.parquet")
    table = parquet.read_table(path)
    about = json.loads(table.schema.metadata[b"jaxecon"])
    assert about["columns"]["quantity"]["units"] == "units" and about["attributes"]["model"] == "pigou"
    np.testing.assert_array_equal(table.column("quantity").to_numpy(), frame.quantity.to_numpy())


def test_bad_input_and_missing_packages(monkeypatch, sim, tmp_path):
    with pytest.raises(InputError, match="did you mean 'welfare'"):
        export.simulator(MODEL, ["welfar"])
    with pytest.raises(InputError, match="'x' is no real parameter"):
        export.salib_problem(MODEL, ["x"])
    with pytest.raises(InputError) as caught:
        export.policy_problem(MODEL, ["tx"], objective="w", bounds={"tax": (0, 1)})
    assert len(caught.value.problems) == 3
    for module, call in [
        ("numpyro", lambda: export.numpyro_model(sim, 1.0)),
        ("optimagic", lambda: export.policy_problem(MODEL, ["tax"]).for_optimagic()),
        ("pyarrow", lambda: export.to_parquet(sweep(MODEL, {"a": [5.0]}), tmp_path / "x.parquet")),
    ]:
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingPackageError, match=f"needs the package {module}; install it"):
            call()


def test_a_package_that_is_broken_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "halfway.py").write_text("import surely_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="surely_not_there"):
        optional_module("halfway", "halfway", "halves", "this test")
