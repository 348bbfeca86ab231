"""Policies for many worlds: optima at every draw, robust rules against brute force, interactions, Pareto surfaces."""

import itertools
import math

import jax
import numpy as np
import pytest
from functions import HILLS, LEVERS
from pigou import MODEL, optimal_tax
from scipy.optimize import minimize

from jaxecon import (
    InputError,
    cross_derivatives,
    evaluate,
    optimal_policies,
    pareto_surface,
    robust_policy,
    shapley_split,
)
from jaxecon.analysis.complements import shapley_values
from jaxecon.analysis.designs import prior_draws, replace
from jaxecon.analysis.policies import jet
from jaxecon.numerics import robust as aggregate
from jaxecon.numerics.newton_box import ascent, maximize_each, secant
from jaxecon.numerics.pareto import hypervolume, nondominated, simplex_grid

DRAWS = prior_draws(MODEL, 48, seed=1, names=["a", "b", "c", "d"])
WORLD = dict(zip(DRAWS.names, DRAWS.points.T, strict=True))
NAMES = ("x", "y", "v")


def test_the_optimal_tax_of_every_draw():
    ds = optimal_policies(MODEL, ["tax"], 300, seed=2)
    exact = np.minimum(8.0, ds.d * (ds.a - ds.c) / (ds.b + ds.d))
    np.testing.assert_allclose(ds.policy[:, 0], exact, atol=1e-9)
    assert np.all(ds.status <= 1) and ds.kkt_residual.max() <= 1e-9
    assert set(np.unique(ds.status.values[exact.values >= 8.0])) <= {1}
    # An optimum does not depend on the draws beside it.
    some = optimal_policies(
        MODEL, ["tax"], {n: ds[n].values[40:50] for n in "abcd"} | {"speed": ds.speed.values[40:50]}
    )
    np.testing.assert_allclose(some.policy, ds.policy[40:50], rtol=1e-14)


def test_hessians_by_differences_find_the_same_optimum():
    ds = optimal_policies(MODEL, ["tax"], WORLD)
    apart = optimal_policies(MODEL, ["tax"], WORLD, hessian="differences")
    np.testing.assert_allclose(apart.policy, ds.policy, atol=1e-8)
    assert apart.kkt_residual.max() <= 1e-9 and apart.attrs["hessian"] == "differences"
    with pytest.raises(InputError, match="hessian = 'guess' must be one of 'exact', 'differences'"):
        optimal_policies(MODEL, ["tax"], WORLD, hessian="guess")


def test_a_draw_without_a_market_harms_no_other():
    ds = optimal_policies(MODEL, ["tax"], {"a": [10.0, 1.0, 12.0]})
    assert ds.status.values.tolist() == [0, 3, 0] and np.isnan(ds.policy.values[1, 0])
    np.testing.assert_allclose(ds.policy.values[[0, 2], 0], [8 / 3, 10 / 3], atol=1e-10)
    assert '"NOT_SOLVED": 1' in ds.attrs["counts"]


def test_three_instruments_at_draws_against_scipy():
    rng = np.random.default_rng(0)
    world = {f"c{j}": rng.uniform(0.3, 2.0, 6) for j in range(3)}
    ds = optimal_policies(LEVERS, NAMES, world, starts=3)
    assert np.all(ds.status <= 1) and np.all(ds.agreement == 1)

    @jax.jit
    def loss(z, c):
        p, u = replace(LEVERS.params(), LEVERS.policy(), (*world, *NAMES), jax.numpy.concatenate([c, z]))
        return -evaluate(LEVERS, p, u).outcomes.welfare

    slope = jax.jit(jax.grad(loss))
    for i in range(6):
        c = np.array([x[i] for x in world.values()])
        found = minimize(
            lambda z: (float(loss(z, c)), np.asarray(slope(z, c))), np.zeros(3), jac=True, method="L-BFGS-B",  # noqa: B023
            bounds=[(-2.0, 2.0)] * 3, options={"ftol": 1e-15, "gtol": 1e-10},
        )  # fmt: skip
        assert float(ds.value[i]) == pytest.approx(-found.fun, abs=1e-10)
        np.testing.assert_allclose(ds.policy.values[i], found.x, atol=1e-5)


def test_more_starts_find_the_higher_hill():
    one = optimal_policies(HILLS, ["east"], {"g1": [0.2, 0.8]}, starts=8, policy=HILLS.policy(east=-1.0))
    assert np.all(one.policy.values > 0.9) and np.all(one.agreement < 1)


def test_steps_without_a_hessian_end_at_the_same_points():
    """A curved valley in the unit box, tilted from cell to cell, some optima at a bound; cells that are not live stay where they are."""
    tilt = np.linspace(-3.0, 3.0, 64)

    def f(z, t):
        return -((1.2 - 2 * z[0]) ** 2) - 20 * (z[1] - z[0] ** 2) ** 2 + t * jax.numpy.sin(z[0] + z[1])

    def look(z, t):
        return jet(lambda z: f(z, t), z)

    def slopes(z, t):
        return jax.value_and_grad(f)(z, t)

    with jax.enable_x64(True):
        start, args, live = np.full((64, 2), 0.3), jax.numpy.asarray(tilt), np.arange(64) < 60
        both = maximize_each(look, start, args, tol=1e-10, slopes=slopes, live=live, block=16)
        exact = maximize_each(look, start, args, tol=1e-10, block=16)
        apart = maximize_each(None, start, args, tol=1e-10, slopes=slopes, live=live, block=16)
    assert np.all(apart.kkt[:60] <= 1e-10) and np.all(apart.steps[:60] <= both.steps[:60] + 2)
    np.testing.assert_allclose(apart.z[:60], exact.z[:60], atol=1e-9)
    assert np.all(both.kkt[:60] <= 1e-10) and np.all(exact.kkt <= 1e-10)
    np.testing.assert_allclose(both.z[:60], exact.z[:60], atol=1e-9)
    assert np.any(exact.z <= 0) and np.any((exact.z > 0) & (exact.z < 1))
    assert np.all(both.steps[60:] == 0) and np.all(both.steps[:60] > 1)


def test_the_secant_reproduces_the_change_of_the_gradient():
    rng = np.random.default_rng(3)
    a = rng.normal(size=(3, 3))
    bend, steps = np.zeros((3, 3)), rng.normal(size=(3, 3))
    for step in steps:
        bend = secant(bend, step, (a + a.T) @ step)
    np.testing.assert_allclose(bend, a + a.T, atol=1e-4)
    assert np.array_equal(secant(bend, np.zeros(3), np.zeros(3)), bend)


def test_the_direction_always_rises():
    rng, ascend = np.random.default_rng(3), jax.jit(ascent)
    for k in (1, 3):
        for _ in range(20):
            h, g, free = rng.normal(size=(k, k)), rng.normal(size=k), (rng.random(k) > 0.3).astype(float)
            h = h + h.T
            step = np.asarray(ascend(h, g, free))
            assert step @ g > 0 or not free.any()
            assert np.all(step[free == 0] == 0)
            b = h @ h + np.eye(k)
            exact = np.linalg.solve(b, g)
            np.testing.assert_allclose(ascend(-b, g, np.ones(k)), exact, rtol=1e-9)


def _grid(n=160_001):
    tax = np.linspace(0.0, 8.0, n)[:, None]
    q = np.maximum(WORLD["a"] - WORLD["c"] - tax, 0.0) / WORLD["b"]
    return tax[:, 0], (WORLD["a"] - WORLD["c"]) * q - (WORLD["b"] + WORLD["d"]) * q**2 / 2


@pytest.mark.parametrize("criterion", ["mean", "cvar", "worst", "regret"])
def test_robust_taxes_against_brute_force(criterion):
    tax, welfare = _grid()
    best = welfare.max(axis=0)
    rule = {
        "mean": welfare.mean(axis=1), "cvar": np.sort(welfare, axis=1)[:, :12].mean(axis=1),
        "worst": welfare.min(axis=1), "regret": -(best - welfare).max(axis=1),
    }[criterion]  # fmt: skip
    ds = robust_policy(MODEL, ["tax"], DRAWS, criterion=criterion, share=0.25)
    assert float(ds.policy[0]) == pytest.approx(tax[rule.argmax()], abs=2e-4)
    exact = float(ds.criteria.sel(rule="robust", criterion=criterion)) * (-1 if criterion == "regret" else 1)
    assert exact == pytest.approx(rule.max(), abs=1e-4) and exact >= rule.max() - float(ds.gap) - 1e-8
    assert float(ds.kkt_residual) <= 1e-6
    given = welfare[0]
    assert float(ds.criteria.sel(rule="given", criterion="mean")) == pytest.approx(given.mean())
    assert float(ds.criteria.sel(rule="given", criterion="cvar")) == pytest.approx(np.sort(given)[:12].mean())


def test_weights_and_draws_that_fail():
    w = np.zeros(48)
    w[7] = 3.0
    p, _ = replace(MODEL.params(), MODEL.policy(), DRAWS.names, jax.numpy.asarray(DRAWS.points[7]))
    one = robust_policy(MODEL, ["tax"], DRAWS, weights=w)
    assert float(one.policy[0]) == pytest.approx(float(optimal_tax(p)), abs=1e-8) and one.attrs["dropped"] == 47
    part = robust_policy(MODEL, ["tax"], {"a": [10.0, 1.0]})
    assert float(part.policy[0]) == pytest.approx(8 / 3, abs=1e-8) and part.attrs["dropped"] == 1
    with pytest.raises(InputError, match="at no draw"):
        robust_policy(MODEL, ["tax"], {"a": [1.0]})
    with pytest.raises(InputError) as error:
        robust_policy(MODEL, ["tax"], {"a": [1.0, 2.0], "d": [99.0]}, criterion="x", share=0, weights=[1, -1])
    assert len(error.value.problems) == 5


@pytest.mark.parametrize("share", [0.05, 0.3, 0.77])
def test_smooth_aggregates_and_their_derivatives(share):
    rng = np.random.default_rng(4)
    f, g, w = rng.normal(size=60), rng.normal(size=(60, 2)), rng.random(60)
    w /= w.sum()
    # The Rockafellar-Uryasev program itself, by a fine grid over t (the maximum is at one of the f).
    exact = max(t - w @ np.maximum(t - f, 0) / share for t in f)
    assert aggregate.exact_cvar(f, w, share) == pytest.approx(exact, abs=1e-12)
    t = 0.05
    assert 0 <= exact - aggregate.cvar(f, w, share, t).value <= t * np.log(2) / share
    assert 0 <= f.min() - aggregate.worst(f, t).value <= t * np.log(60)
    for rule in (lambda x: aggregate.cvar(x, w, share, t), lambda x: aggregate.worst(x, t)):
        h = 1e-4
        along = lambda s: rule(f + g @ s)  # noqa: B023, E731
        found = along(np.zeros(2))
        ends = [[along(s * h * e) for s in (1, -1)] for e in np.eye(2)]
        np.testing.assert_allclose(found.weights @ g, [(a.value - b.value) / (2 * h) for a, b in ends], atol=1e-5)
        bend = [(a.weights @ g - b.weights @ g) / (2 * h) for a, b in ends]
        np.testing.assert_allclose(found.spread(g), bend, atol=1e-4)


def test_complements_and_substitutes():
    ds = cross_derivatives(LEVERS, NAMES, outcomes=["welfare", "second"])
    h = ds.cross.sel(outcome="welfare").values
    np.testing.assert_allclose(h, [[-2, 0.5, -0.4], [0.5, -2, 0], [-0.4, 0, -2]], atol=1e-12)
    np.testing.assert_allclose(ds.slope.sel(outcome="second").values, [0.5, 0.2, 0.0], atol=1e-12)
    assert float(ds.normalized.sel(outcome="welfare", instrument="x", other="y")) == pytest.approx(0.25)
    with pytest.raises(InputError, match="CLIFF"):
        cross_derivatives(HILLS, ["east"], policy=HILLS.policy(east=1.9))


def test_the_joint_gain_is_split_by_shapley():
    ds = shapley_split(LEVERS, NAMES)
    gains = {frozenset(n for n, m in zip(NAMES, row) if m): float(g) for row, g in zip(ds.member.values, ds.gain)}
    assert float(ds.kkt_residual.max()) <= 1e-8 and gains[frozenset()] == 0
    orders = list(itertools.permutations(NAMES))
    for name in NAMES:
        added = [gains[frozenset(o[: o.index(name) + 1])] - gains[frozenset(o[: o.index(name)])] for o in orders]
        assert float(ds.shapley.sel(instrument=name)) == pytest.approx(np.mean(added), abs=1e-12)
    assert float(ds.shapley.sum()) == pytest.approx(gains[frozenset(NAMES)], abs=1e-12)
    assert float(ds.synergy.sel(instrument="x", other="y")) > 0 > float(ds.synergy.sel(instrument="x", other="v"))
    assert float(ds.synergy.sel(instrument="y", other="v")) == pytest.approx(0.0, abs=1e-9)
    # Alone y solves 1.5 = 2 y + .4 y^3.
    y = float(ds.policy.sel(subset="y", instrument="y"))
    assert 2 * y + 0.4 * y**3 == pytest.approx(1.5, abs=1e-8)
    assert float(ds.policy.sel(subset="y", instrument="x")) == 0.0
    with pytest.raises(InputError) as error:
        shapley_split(MODEL, ["tax"], bounds={"tax": (1.0, 2.0)}, starts=0)
    assert len(error.value.problems) == 2


def test_shapley_values_of_a_game_of_four():
    rng = np.random.default_rng(5)
    members = np.array(list(itertools.product([False, True], repeat=4)))
    gain = rng.random(16)
    index = {tuple(m): i for i, m in enumerate(members.tolist())}
    values = np.zeros(4)
    for order in itertools.permutations(range(4)):
        inside = [False] * 4
        for i in order:
            before = gain[index[tuple(inside)]]
            inside[i] = True
            values[i] += (gain[index[tuple(inside)]] - before) / math.factorial(4)
    np.testing.assert_allclose(shapley_values(members, gain), values, atol=1e-13)


def test_the_pareto_surface_of_welfare_and_damage():
    """On the surface the tax runs from Pigou's to the one that ends trade; every point is on the curve W(X)."""
    ds = pareto_surface(MODEL, ["tax"], {"welfare": "max", "damage": "min"}, divisions=8)
    assert ds.on_surface.all() and ds.kkt_residual.max() <= 1e-6
    q = np.sqrt(4 * ds.damage.values)
    np.testing.assert_allclose(ds.welfare.values, 8 * q - 0.75 * q**2, atol=1e-8)
    assert ds.best.values == pytest.approx([64 / 3, 0.0], abs=1e-8) and ds.worst.values == pytest.approx([0.0, 64 / 9])
    # Along a direction the shares of both axes are proportional to it.
    share = np.stack([ds.welfare / (64 / 3), 1 - ds.damage / (64 / 9)], axis=1)
    ratio = share / ds.direction.values
    np.testing.assert_allclose(ratio[:, 0], ratio[:, 1], rtol=1e-4)
    # Area below the staircase of the points.
    order = np.argsort(share[:, 0])
    area = np.sum(np.diff(np.append(0.0, share[order, 0])) * share[order, 1])
    assert float(ds.hypervolume) == pytest.approx(area, abs=1e-12)


def test_a_surface_under_a_constraint_and_its_problems():
    goals = {"welfare": "max", "damage": "min"}
    ds = pareto_surface(MODEL, ["tax"], goals, constraints={"quantity": (4.0, None)}, divisions=3)
    assert ds.on_surface.all() and np.all(ds.policy.values <= 4.0 + 1e-6)
    assert ds.best.values == pytest.approx([64 / 3, 4.0], abs=1e-6)
    with pytest.raises(InputError) as error:
        pareto_surface(MODEL, ["tax"], {"welfare": "up"}, divisions=0)
    assert len(error.value.problems) == 3


def test_sets_of_points():
    rng = np.random.default_rng(6)
    points = rng.random((40, 3))
    keep = nondominated(points)
    brute = [not any(np.all(b >= a) and np.any(b > a) for b in points) for a in points]
    assert keep.tolist() == brute
    corners = (points[:, None] > rng.random((40_000, 3))[None]).all(axis=2).any(axis=0).mean()
    assert hypervolume(points, np.zeros(3)) == pytest.approx(corners, abs=0.01)
    assert hypervolume(points[keep], np.zeros(3)) == pytest.approx(hypervolume(points, np.zeros(3)), abs=1e-14)
    assert hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros(2)) == 3.0
    grid = simplex_grid(3, 4)
    assert len(grid) == 15 and np.allclose(grid.sum(axis=1), 1) and len(np.unique(grid, axis=0)) == 15
