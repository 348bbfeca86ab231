"""Sensitivity: analytic indices of Ishigami and Sobol's G, SALib's numbers on the same sample, failed points."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from functions import G_WEIGHTS, ISHIGAMI, ISHIGAMI_EDGE, SOBOL_G
from pigou import MODEL

from jaxecon import InputError, load, sensitivity
from jaxecon.analysis.screening import elementary_effects, morris_design, morris_indices
from jaxecon.analysis.sobol import saltelli_design, sobol_indices

PI4, PI8 = np.pi**4, np.pi**8
V1, V2, V13 = 0.5 * (1 + 0.1 * PI4 / 5) ** 2, 49 / 8, 0.01 * PI8 * (1 / 18 - 1 / 50)
V = V1 + V2 + V13


def test_ishigami_indices():
    ds = sensitivity(ISHIGAMI, samples=2**14, second_order=True, seed=1)
    one = ds.sel(outcome="welfare")
    np.testing.assert_allclose(one["first"], np.array([V1, V2, 0]) / V, atol=0.02)
    np.testing.assert_allclose(one.total, np.array([V1 + V13, V2, V13]) / V, atol=0.02)
    np.testing.assert_allclose(one.second.sel(parameter="x1", parameter_2="x3"), V13 / V, atol=0.02)
    np.testing.assert_allclose(one.second.sel(parameter="x1", parameter_2="x2"), 0, atol=0.02)
    assert np.isnan(one.second.sel(parameter="x3", parameter_2="x1"))
    # 1.5 half-widths of a 95 % interval are three standard errors.
    assert np.all(abs(one["first"] - np.array([V1, V2, 0]) / V) < 1.5 * one.first_ci)
    assert np.all(abs(one.total - np.array([V1 + V13, V2, V13]) / V) < 1.5 * one.total_ci)
    assert float(one["std"]) == pytest.approx(np.sqrt(V), rel=0.01)
    # A constant outcome has no variance to share.
    assert np.all(ds.sel(outcome="constant")["first"] == 0) and np.all(ds.sel(outcome="constant").total == 0)


def test_sobol_g_indices():
    ds = sensitivity(SOBOL_G, samples=2**13, second_order=True, seed=2).sel(outcome="welfare")
    part = 1 / (3 * (1 + G_WEIGHTS) ** 2)
    variance = np.prod(1 + part) - 1
    np.testing.assert_allclose(ds["first"], part / variance, atol=0.01)
    np.testing.assert_allclose(ds.total, part * np.prod(1 + part) / (1 + part) / variance, atol=0.01)
    np.testing.assert_allclose(ds.second.values[0, 1], part[0] * part[1] / variance, atol=0.01)


@pytest.mark.parametrize("second_order", [False, True])
def test_indices_and_intervals_are_salibs_on_the_same_sample(second_order):
    analyze = pytest.importorskip("SALib.analyze.sobol").analyze
    k, n = 4, 256
    blocks = saltelli_design(k, n, 3, second_order)
    g = lambda x: np.prod((np.abs(4 * x - 2) + G_WEIGHTS) / (1 + G_WEIGHTS), axis=-1) + 100  # noqa: E731
    y = g(blocks)
    problem = {"num_vars": k, "names": list("abcd"), "bounds": [[0, 1]] * k}
    rows = np.concatenate([y[:1], y[2:], y[1:2]]).T.ravel()
    theirs = analyze(problem, rows, calc_second_order=second_order, num_resamples=50, seed=11)
    ours = sobol_indices(y[0], y[1], y[2 : 2 + k].T, y[2 + k :].T if second_order else None, resamples=50, seed=11)
    for name, field in (("S1", "first"), ("ST", "total")) + ((("S2", "second"),) if second_order else ()):
        np.testing.assert_allclose(getattr(ours, field)[0], theirs[name], atol=1e-10)
        np.testing.assert_allclose(getattr(ours, field + "_ci")[0], theirs[name + "_conf"], atol=1e-10)
    assert second_order or ours.second is None


def test_the_design_is_saltellis():
    blocks = saltelli_design(3, 8, 0, True)
    a, b = blocks[:2]
    for j in range(3):
        others = [i for i in range(3) if i != j]
        np.testing.assert_array_equal(blocks[2 + j][:, others], a[:, others])
        np.testing.assert_array_equal(blocks[2 + j][:, j], b[:, j])
        np.testing.assert_array_equal(blocks[5 + j][:, others], b[:, others])
        np.testing.assert_array_equal(blocks[5 + j][:, j], a[:, j])


def test_all_outcomes_at_once_equal_one_at_a_time():
    together = sensitivity(MODEL, samples=256)
    alone = sensitivity(MODEL, samples=256, outcomes=["damage"])
    np.testing.assert_allclose(together.total.sel(outcome="damage"), alone.total[0], rtol=1e-12)
    assert list(together.parameter.values) == ["a", "b", "c", "d"], "what matters only for the path is left out"
    assert together.parameter_unit.values.tolist() == ["money", "money/unit", "money", "money/unit"]
    np.testing.assert_allclose(together.lo, [7, 0.7, 1, 0.5 / 3])


def test_failed_points_drop_their_base_sample_and_are_counted():
    ds = sensitivity(ISHIGAMI_EDGE, samples=2**12, seed=1)
    share = (np.pi - 3) / (2 * np.pi)
    assert 0.5 * share < ds.attrs["dropped"] / ds.attrs["samples"] < 3 * share
    assert "CLIFF" in ds.attrs["failed"] and np.isfinite(ds["first"]).all()
    np.testing.assert_allclose(ds.total.sel(outcome="welfare"), np.array([V1 + V13, V2, V13]) / V, atol=0.05)
    with pytest.raises(InputError, match="CLIFF"):
        sensitivity(ISHIGAMI_EDGE, samples=64, prior={"x1": (3.05, 3.1)})


def test_morris_is_salibs_on_the_same_trajectories():
    analyze = pytest.importorskip("SALib.analyze.morris").analyze
    k, r = 4, 20
    design = morris_design(k, r, seed=6)
    assert design.points.shape == (r, k + 1, k) and design.points.min() >= 0 and design.points.max() <= 1
    assert np.all(np.count_nonzero(np.diff(design.points, axis=1), axis=2) == 1), "one parameter moves at a time"
    g = np.prod((np.abs(4 * design.points - 2) + G_WEIGHTS) / (1 + G_WEIGHTS), axis=-1) + design.points[..., 1]
    ours = morris_indices(elementary_effects(design, g[..., None]), resamples=500, seed=1)
    problem = {"num_vars": k, "names": list("abcd"), "bounds": [[0, 1]] * k, "groups": None}
    theirs = analyze(problem, design.points.reshape(-1, k), g.ravel(), num_resamples=500, seed=1)
    for name in ("mu", "mu_star", "sigma"):
        np.testing.assert_allclose(getattr(ours, name)[0], np.asarray(theirs[name], float), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.mu_star_ci[0], np.asarray(theirs["mu_star_conf"], float), rtol=0.2, atol=1e-3)


def test_morris_of_a_linear_outcome_is_exact():
    ds = sensitivity(MODEL, "morris", samples=10, outcomes=["price"], prior={"b": (1.0, 1.1)})
    # Competitive price = cost: one full range of c moves it by 3, nothing else does.
    np.testing.assert_allclose(ds.mu[0], [0, 0, 3, 0], atol=1e-9)
    np.testing.assert_allclose(ds.sigma[0], 0, atol=1e-9)


def test_derivative_measures_and_their_bound():
    ds = sensitivity(ISHIGAMI, "derivative", samples=2**12, outcomes=["welfare"])
    nu = [0.5 * (1 + 0.2 * PI4 / 5 + 0.01 * PI8 / 9), 24.5, 0.16 * np.pi**6 / 7 / 2]
    np.testing.assert_allclose(ds.nu[0], nu, rtol=0.01)
    np.testing.assert_allclose(ds.total_bound[0], np.array(nu) * 4 / V, rtol=0.02)
    assert np.all(ds.total_bound[0] >= np.array([V1 + V13, V2, V13]) / V)
    assert np.all(ds.nu_ci[0] < 0.2 * ds.nu[0])


def test_elasticities_are_closed_forms():
    ds = sensitivity(MODEL, "elasticities", policy=MODEL.policy(tax=1.0))
    q = ds.sel(outcome="quantity")
    assert list(ds.parameter.values) == ["a", "b", "c", "d", "tax"]
    np.testing.assert_allclose(q.derivative, [1, -7, -1, 0, -1], rtol=1e-12)
    np.testing.assert_allclose(q.elasticity, [10 / 7, -1, -2 / 7, 0, -1 / 7], rtol=1e-12)
    slope = -(10 - 2 - 1.5 * 7)  # (a - c - (b + d) q) dq/dtax
    np.testing.assert_allclose(ds.derivative.sel(outcome="welfare", parameter="tax"), slope, rtol=1e-12)
    failed = sensitivity(MODEL, "elasticities", params=MODEL.params(a=1.0))
    assert failed.attrs["reason"] == "NO_TRADE" and np.isnan(failed.value).all()


def test_the_last_value_of_a_path_can_be_the_outcome():
    path = sensitivity(MODEL, samples=256, layer="dynamics", prior={"speed": (0.01, 0.05)})
    assert list(path.outcome.values) == ["quantity_path"] and "speed" in path.parameter
    assert float(path.total.sel(parameter="speed")[0]) > 0.05
    q = sensitivity(MODEL, "elasticities", layer="adjustment", names=["a", "speed"])
    e = np.exp(-0.4 * 20)
    np.testing.assert_allclose(q.derivative[0], [1 - e, 8 * 20 * e], rtol=1e-9)


def test_instruments_and_other_priors():
    ds = sensitivity(MODEL, samples=512, names=["tax", "a"], prior={"tax": (0.0, 1.0)}, outcomes=["price"])
    np.testing.assert_allclose(ds.total[0], [1, 0], atol=1e-6)
    np.testing.assert_allclose(ds["std"], np.sqrt(1 / 12), rtol=1e-2)


def test_precision_seed_and_progress():
    calls = []
    double = sensitivity(MODEL, samples=256, seed=4, progress=lambda *a: calls.append(a))
    assert calls[-1][0] == calls[-1][1] == 256 * 6
    assert double.identical(sensitivity(MODEL, samples=256, seed=4))
    single = sensitivity(MODEL, samples=256, seed=4, precision="float32")
    np.testing.assert_allclose(single.total, double.total, atol=1e-3)
    assert not double.equals(sensitivity(MODEL, samples=256, seed=5))
    assert sensitivity(MODEL, samples=200).attrs["samples"] == 256


def test_every_problem_is_named():
    with pytest.raises(InputError) as error:
        sensitivity(MODEL, "sobl", names=["aa"], prior={"b": (3, 2)}, samples=0, outcomes=["q"], resamples=0)
    assert len(error.value.problems) == 6
    with pytest.raises(InputError, match="second_order"):
        sensitivity(MODEL, "morris", second_order=True)
    with pytest.raises(InputError, match="no layer"):
        sensitivity(MODEL, layer="crowd")
    with pytest.raises(InputError, match="does not apply"):
        sensitivity(MODEL, "elasticities", prior={"a": (1.0, 2.0)})
    with pytest.raises(InputError, match="leaves its bounds"):
        sensitivity(MODEL, prior={"a": (-1.0, 2.0)})


def test_results_are_plain_arrays():
    assert not any(isinstance(v.data, jax.Array) for v in sensitivity(MODEL, samples=64).values())


@pytest.mark.parametrize("method", ["sobol", "shapley", "morris", "derivative", "active"])
def test_series_by_date_are_runs_of_each_date(method):
    """With single base samples: the last date is what `at="end"` gives, and q(t) = q (1 - e^(-speed t)) decides the others."""
    about = dict(samples=128, layer="adjustment", prior={"speed": (0.1, 1.0)})
    path, end = sensitivity(MODEL, method, at="path", **about), sensitivity(MODEL, method, **about)
    assert path.attrs["at"] == "path" and path.sizes["time"] == 41 and float(path.time[-1]) == 20.0
    for name, v in end.data_vars.items():
        if "outcome" in v.dims:
            assert path[name].dims[:2] == ("outcome", "time") or path[name].dims[1:3] == ("outcome", "time")
            np.testing.assert_allclose(path[name].isel(time=-1, drop=True), v, rtol=1e-9, atol=1e-12)


def test_shares_over_time_are_those_of_each_date_alone():
    """The early quantity is decided by the speed, the late one by the market; each date equals its own study of the same sample."""
    ds = sensitivity(MODEL, samples=256, layer="adjustment", at="path", prior={"speed": (0.1, 1.0)}, group=1)
    k = ds.sizes["parameter"]
    points = ds.lo.values + (ds.hi - ds.lo).values * saltelli_design(k, 256, 0, False)
    a, b, c, _, speed = np.moveaxis(points, -1, 0)
    assert list(ds.parameter.values) == ["a", "b", "c", "d", "speed"] and np.all(ds.total[0, 0] == 0)
    for i in (1, 5, 20, 40):
        y = np.maximum(a - c, 0.0) / b * (1 - np.exp(-speed * float(ds.time[i])))
        alone = sobol_indices(y[0], y[1], y[2:].T, resamples=100, seed=0)
        for name in ("first", "first_ci", "total", "total_ci"):
            np.testing.assert_allclose(ds[name][0, i], getattr(alone, name)[0], rtol=1e-9, atol=1e-11)
    share = ds.total.sel(outcome="quantity_path", parameter="speed")
    assert share[1] > 0.4 and share[-1] < 0.02


def test_thousands_of_outcomes_are_resampled_in_groups():
    """1313 series and dates of a real model on a small design: intervals of groups agree with those of single samples."""
    model = load("rent_seeking")
    model = dataclasses.replace(model, dynamics={"rents": dataclasses.replace(model.dynamics["rents"], steps=100)})
    about = dict(samples=512, layer="rents", at="path", names=["A", "b"], seed=3)
    ds = sensitivity(model, **about)
    assert ds.sizes["outcome"] * ds.sizes["time"] > 1000 and ds.attrs["group"] == 8
    single = sensitivity(model, group=1, **about)
    np.testing.assert_allclose(ds.total, single.total, rtol=1e-7, atol=1e-7)
    wide = single.total_ci.values > 0.01
    ratio = (ds.total_ci.values / np.where(wide, single.total_ci.values, 1.0))[wide]
    low, middle, high = np.quantile(ratio, [0.02, 0.5, 0.98])
    assert 0.5 < low and abs(middle - 1) < 0.2 and high < 1.7, (low, middle, high)


def test_a_point_that_fails_drops_its_base_sample_at_every_date():
    """Without trade q is 0, and the test model's path is made NaN there: the rest is as if those samples were not there."""

    def run(p, u, time):
        path = MODEL.dynamics["adjustment"].run(p, u, time)
        return dataclasses.replace(path, quantity_path=jnp.where(p.a > p.c, path.quantity_path, jnp.nan))

    edge = dataclasses.replace(
        MODEL, dynamics={"adjustment": dataclasses.replace(MODEL.dynamics["adjustment"], run=run, steps=120)}
    )
    prior = {"a": (3.0, 10.0), "c": (1.0, 4.0)}
    ds = sensitivity(edge, samples=1024, layer="adjustment", at="path", names=["a", "c"], prior=prior)
    assert ds.attrs["group"] == 16 and 0 < ds.attrs["dropped"] < 200 and "NOT_FINITE" in ds.attrs["failed"]
    assert np.isfinite(ds.total).all() and np.isfinite(ds.total_ci).all()
    points = np.array([3.0, 1.0]) + np.array([7.0, 3.0]) * saltelli_design(2, 1024, 0, False)
    kept = np.all(points[..., 0] > points[..., 1], axis=0)
    q = (points[..., 0] - points[..., 1])[:, kept]
    alone = sobol_indices(q[0], q[1], q[2:].T)
    assert ds.attrs["dropped"] == 1024 - kept.sum()
    np.testing.assert_allclose(ds.total[0, -1], alone.total[0], rtol=1e-9)


def test_problems_of_dates_and_groups():
    with pytest.raises(InputError, match="needs a dynamic layer"):
        sensitivity(MODEL, at="path")
    with pytest.raises(InputError, match="'paths'"):
        sensitivity(MODEL, at="paths", layer="adjustment")
    with pytest.raises(InputError, match="group applies"):
        sensitivity(MODEL, "morris", group=2)
    with pytest.raises(InputError, match="group = 0"):
        sensitivity(MODEL, group=0)
    with pytest.raises(InputError, match="power of two, at most 32"):
        sensitivity(MODEL, samples=64, group=3)
