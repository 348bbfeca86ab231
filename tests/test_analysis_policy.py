"""Constrained optima and their slopes: closed forms, SciPy's SLSQP and trust-constr, finite differences of re-optimization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from functions import HILLS, KINK, LEVERS
from pigou import MODEL, optimal_tax
from scipy.optimize import LinearConstraint, NonlinearConstraint, minimize

from jaxecon import InputError, constrained_optimum, evaluate, optimize, optimum_slopes
from jaxecon.analysis.optimize import OptimumStatus
from jaxecon.numerics.augmented import Local, critical_curvatures, maximize_constrained

NAMES = ("x", "y", "v")


def revenue(p, u, out):
    return u.tax * out.quantity


def effort(p, u, out):
    return u.x**2 + u.y**2 + u.v**2


def balance(p, u, out):
    return u.x - 2 * u.y + u.v


def test_without_constraints_it_is_the_optimum():
    found = constrained_optimum(MODEL, ["tax"], {})
    assert found.values["tax"] == pytest.approx(float(optimal_tax(MODEL.params())), abs=1e-10)
    assert found.status is OptimumStatus.OPTIMAL and found.strict and found.agreement == 1.0
    assert found.kkt_residual <= 1e-9 and found.multipliers == {}
    # W'' in units of the search: (b + d) (width / b)^2 over the scale.
    assert found.curvatures.shape == (1,) and found.curvatures[0] < 0


def test_a_floor_on_quantity_and_its_multiplier():
    """q >= 6: tau = a - c - 6 b = 2, and dW/dq = (a - c) - (b + d) q = -1."""
    found = constrained_optimum(MODEL, ["tax"], {"quantity": (6.0, None)})
    assert found.values["tax"] == pytest.approx(2.0, abs=1e-8)
    assert found.multipliers["quantity"] == pytest.approx(-1.0, abs=1e-8)
    assert found.binding == {"quantity": "lower"} and found.status is OptimumStatus.CONSTRAINED
    assert max(found.stationarity, found.feasibility, found.complementarity) <= 1e-8
    assert found.curvatures.size == 0 and found.strict
    assert float(evaluate(MODEL, MODEL.params(), found.policy).outcomes.welfare) == found.value


def test_a_budget_that_several_taxes_meet():
    """Revenue of at most 7: tax 1 or 7; welfare is higher at 1, where half of the starts end."""
    found = constrained_optimum(MODEL, ["tax"], {"revenue": (revenue, None, 7.0)})
    assert found.values["tax"] == pytest.approx(1.0, abs=1e-8) and 0 < found.agreement < 1
    # dW/dtau / dR/dtau at tau = 1, q = 7: -(8 - 10.5) / (8 - 2) = 5/12.
    assert found.multipliers["revenue"] == pytest.approx(5 / 12, abs=1e-8)


def test_equality_minimum_and_what_does_not_bind():
    equal = constrained_optimum(MODEL, ["tax"], {"quantity": (5.0, 5.0), "price": (0.0, 9.0)})
    assert equal.values["tax"] == pytest.approx(3.0, abs=1e-8) and equal.binding == {"quantity": "equal"}
    assert equal.multipliers["price"] == 0.0
    least = constrained_optimum(MODEL, ["tax"], {"welfare": (20.0, None)}, objective="damage", maximize=False)
    # 8 q - 3 q^2/4 = 20 at the smaller root, q = 4; dX/dW = (q/2) / (8 - 1.5 q) = 1.
    assert least.outcomes["quantity"] == pytest.approx(4.0, abs=1e-7)
    assert least.multipliers["welfare"] == pytest.approx(1.0, abs=1e-6)


def test_what_cannot_be_met_is_said():
    none = constrained_optimum(MODEL, ["tax"], {"quantity": (50.0, None)})
    assert none.status is OptimumStatus.INFEASIBLE and np.isnan(none.multipliers["quantity"]) and not none.strict
    unsolved = constrained_optimum(MODEL, ["tax"], {"quantity": (6.0, None)}, params=MODEL.params(a=1.0))
    assert unsolved.status is OptimumStatus.NOT_SOLVED and np.isnan(unsolved.value)
    kink = constrained_optimum(KINK, ["east"], {})
    assert kink.status is OptimumStatus.NOT_CONVERGED


def test_a_saddle_is_not_called_an_optimum():
    """f = z_2^2 - z_1^2 shifted: the first-order conditions hold at the center, where f rises along z_2."""
    h = np.diag([-2.0, 2.0])
    curvatures, _, free = critical_curvatures(
        np.array([0.5, 0.5]), np.zeros(2), h, np.zeros((1, 2)), np.array([False]), 1e-8
    )
    assert curvatures.tolist() == [-2.0, 2.0] and free.all()
    # Along the constraint z_1 + z_2 = 1 the two cancel; with z_2 held by a bound only z_1 is left.
    held, _, _ = critical_curvatures(np.array([0.5, 0.5]), np.zeros(2), h, np.ones((1, 2)), np.array([True]), 1e-8)
    assert held == pytest.approx([0.0], abs=1e-14)
    bound, _, _ = critical_curvatures(
        np.array([0.5, 1.0]), np.array([0.0, 1.0]), h, np.zeros((1, 2)), np.array([False]), 1e-8
    )
    assert bound.tolist() == [-2.0]


@pytest.mark.parametrize("seed", range(3))
def test_three_instruments_against_scipy(seed):
    rng = np.random.default_rng(seed)
    p = LEVERS.params(**{f"c{i}": float(v) for i, v in enumerate(rng.uniform(0.5, 1.5, 3))})
    limits = {"effort": (effort, None, 1.0), "balance": (balance, 0.1, 0.1), "second": (None, 1.2)}
    found = constrained_optimum(LEVERS, NAMES, limits, params=p, starts=6)
    assert found.status is OptimumStatus.CONSTRAINED and found.strict and found.kkt_residual <= 1e-8

    def of(name, x):
        out = evaluate(LEVERS, p, LEVERS.policy(**dict(zip(NAMES, jnp.asarray(x))))).outcomes
        return getattr(out, name)

    value = jax.jit(lambda x: -of("welfare", x))
    second = jax.jit(lambda x: of("second", x))
    rows = lambda x: np.array([x @ x, float(second(x))])  # noqa: E731
    slopes = lambda x: np.stack([2 * x, np.asarray(jax.grad(second)(x))])  # noqa: E731
    rules = [NonlinearConstraint(rows, -np.inf, [1.0, 1.2], jac=slopes), LinearConstraint([[1.0, -2.0, 1.0]], 0.1, 0.1)]
    starts = rng.uniform(-1, 1, (6, 3))
    box, gradient = [(-2.0, 2.0)] * 3, jax.grad(value)
    for method, options in (("SLSQP", {"ftol": 1e-14}), ("trust-constr", {"gtol": 1e-9, "xtol": 1e-12})):
        runs = [
            minimize(lambda x: float(value(x)), s, jac=lambda x: np.asarray(gradient(x)), method=method, bounds=box,
                     constraints=rules, options=options)
            for s in (starts if method == "SLSQP" else [np.array(list(found.values.values())) + 0.02])
        ]  # fmt: skip
        best = min((r for r in runs if np.all(rows(r.x) <= [1 + 1e-6, 1.2 + 1e-6])), key=lambda r: r.fun)
        assert found.value == pytest.approx(-best.fun, abs=1e-6)
        np.testing.assert_allclose(list(found.values.values()), best.x, atol=1e-4)


def test_multipliers_are_slopes_of_the_value_by_the_limits():
    def value(hi, floor):
        return constrained_optimum(HILLS, ["east", "north"], {"s": (_sum, None, hi), "welfare": (floor, None)})

    found, h = value(1.2, 0.5), 1e-4
    slope = (value(1.2 + h, 0.5).value - value(1.2 - h, 0.5).value) / (2 * h)
    assert found.binding == {"s": "upper"} and found.multipliers["s"] == pytest.approx(slope, rel=1e-6)


def _sum(p, u, out):
    return u.east + u.north


def test_the_dataset_and_every_problem():
    found = constrained_optimum(HILLS, ["east", "north"], {"s": (_sum, None, 1.2)}, seed=3)
    ds = found.to_dataset()
    assert ds.attrs["status"] == "CONSTRAINED" and ds.limit_hi.values.tolist() == [1.2]
    assert ds.identical(constrained_optimum(HILLS, ["east", "north"], {"s": (_sum, None, 1.2)}, seed=3).to_dataset())
    with pytest.raises(InputError) as error:
        constrained_optimum(
            MODEL,
            ["taxx"],
            {"quantit": (0, 1), "price": (3, 1), "damage": (None, None), "welfare": 7},
            starts=0,
            seed=-1,
        )
    assert len(error.value.problems) == 7


PARAMETERS = ["a", "b", "c", "d"]


def test_the_slope_of_the_optimal_tax():
    """tau = d (a - c)/(b + d): slopes 1/3, -16/9, -1/3, 32/9 at the baseline; dV by the envelope theorem."""
    ds = optimum_slopes(MODEL, "tax", PARAMETERS)
    np.testing.assert_allclose(ds.policy_slope.values[0], [1 / 3, -16 / 9, -1 / 3, 32 / 9], atol=1e-10)
    q = 16 / 3
    np.testing.assert_allclose(ds.value_slope.values, [q, -(q**2) / 2, -q, -(q**2) / 2], atol=1e-9)
    np.testing.assert_allclose(ds.policy_elasticity.sel(parameter="d").values, [2 / 3], atol=1e-10)
    assert ds.attrs["status"] == "OPTIMAL" and not ds.singular and not ds.one_sided


def test_slopes_with_an_active_constraint():
    """At q = 6 the tax is a - c - 6 b, and the multiplier a - c - 6 (b + d)."""
    ds = optimum_slopes(MODEL, ["tax"], PARAMETERS, constraints={"quantity": (6.0, None)})
    np.testing.assert_allclose(ds.policy_slope.values[0], [1, -6, -1, 0], atol=1e-8)
    np.testing.assert_allclose(ds.multiplier_slope.values[0], [1, -6, -1, -6], atol=1e-7)
    np.testing.assert_allclose(ds.value_slope.values, [6, -18, -6, -18], atol=1e-7)
    assert float(ds.policy_limit_slope[0, 0]) == pytest.approx(-1.0) and float(
        ds.value_limit_slope[0]
    ) == pytest.approx(-1.0)
    bound = optimum_slopes(MODEL, ["tax"], PARAMETERS, bounds={"tax": (0.0, 2.0)})
    assert np.all(bound.policy_slope.values == 0) and bound.attrs["status"] == "AT_BOUND"
    edge = optimum_slopes(MODEL, ["tax"], PARAMETERS, constraints={"quantity": (16 / 3, None)})
    assert edge.one_sided == 1


def test_slopes_against_finite_differences_of_optimization():
    base = {"c0": 1.1, "c1": 0.8, "c2": 1.3}
    limits = {"effort": (effort, None, 1.0), "second": (None, 1.2)}
    names = list(base)
    ds = optimum_slopes(LEVERS, NAMES, names, constraints=limits, params=LEVERS.params(**base))
    h = 1e-4
    for j, name in enumerate(names):
        ends = [
            constrained_optimum(LEVERS, NAMES, limits, params=LEVERS.params(**(base | {name: base[name] + s * h})))
            for s in (1, -1)
        ]
        slope = (np.array(list(ends[0].values.values())) - np.array(list(ends[1].values.values()))) / (2 * h)
        np.testing.assert_allclose(ds.policy_slope.values[:, j], slope, atol=2e-6)
        assert float(ds.value_slope[j]) == pytest.approx((ends[0].value - ends[1].value) / (2 * h), abs=1e-6)
        gap = (ends[0].multipliers["effort"] - ends[1].multipliers["effort"]) / (2 * h)
        assert float(ds.multiplier_slope.sel(constraint="effort", parameter=name)) == pytest.approx(gap, abs=1e-5)


def test_problems_of_slopes():
    with pytest.raises(InputError) as error:
        optimum_slopes(MODEL, ["tax"], ["aa", "tax"], constraints={"x": (1, 2)})
    assert len(error.value.problems) == 3
    with pytest.raises(InputError, match="no parameter"):
        optimum_slopes(MODEL, ["tax"], [])


def test_failing_starts_are_left_behind():
    """Beyond the cliff nothing is solved: no step is taken there, and the other starts arrive."""

    def look(z, rows):
        f = np.where(z[:, 0] > 0.8, -np.inf, z[:, 0] * (1.2 - z[:, 0]))
        zero = np.zeros((len(z), 0))
        return Local(f, 1.2 - 2 * z, np.full((len(z), 1, 1), -2.0), zero, zero[:, :, None], zero[:, :, None, None])

    found = maximize_constrained(look, np.array([[0.1], [0.95]]), np.zeros(0), np.zeros(0))
    assert found.z[0, 0] == pytest.approx(0.6) and not np.isfinite(found.here.f[1]) and found.z[1, 0] == 0.95
    assert optimize(HILLS, ["east", "north"]).value == pytest.approx(
        constrained_optimum(HILLS, ["east", "north"], {}).value, abs=1e-9
    )
