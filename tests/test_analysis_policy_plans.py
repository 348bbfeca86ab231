"""Policy over time: closed forms on the Pigou model, and the regulator of rents by a second route."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pigou import MODEL
from scipy.optimize import brentq, minimize

from jaxecon import InputError, load, policy_plan, simulate
from jaxecon.models.rent_seeking.regulator import FeedbackRule, discounted_loss, feedback_loss

TAXES = ("rent_tax", "manipulation_tax")


def surplus(path):
    """Best at a quantity of 6."""
    return 6 * path.quantity_path - path.quantity_path**2 / 2


def rent_loss(path):
    return path.loss + path.policy_cost


def test_the_best_path_of_the_tax():
    """q(t) = (8 - tau(t)) (1 - e^(-.4 t)) is brought to 6 as soon as it can be: tau = max(0, 8 - 6/(1 - e^(-.4 t)))."""
    ds = policy_plan(MODEL, ["tax"], surplus, horizon=20.0, steps=20, discount=0.97)
    exact = np.maximum(0.0, 8 - 6 / (1 - np.exp(-0.4 * np.arange(1, 21))))
    np.testing.assert_allclose(ds.plan.values[0, 1:], exact, atol=1e-5)
    assert float(ds.kkt_residual) <= 1e-8
    flows = 6 * ds.quantity_path - ds.quantity_path**2 / 2
    assert float(ds.value) == pytest.approx(float((0.97**ds.time * flows).sum()), rel=1e-12)
    laissez_faire = simulate(MODEL, horizon=20.0, steps=20).quantity_path
    given = float((0.97**laissez_faire.time * (6 * laissez_faire - laissez_faire**2 / 2)).sum())
    assert float(ds.value_given) == pytest.approx(given) and ds.value > ds.value_given


def test_pieces_and_a_constant():
    """One value maximizes sum of 6 x s - x^2 s^2/2 with x = 8 - tau and s = 1 - e^(-.4 t): x = 6 sum s / sum s^2."""
    s = 1 - np.exp(-0.4 * np.linspace(0, 20, 41))
    one = policy_plan(MODEL, ["tax"], surplus, rule="constant")
    assert np.ptp(one.plan.values) == 0
    assert float(one.plan[0, 0]) == pytest.approx(8 - 6 * s.sum() / (s**2).sum(), abs=1e-8)
    two = policy_plan(MODEL, ["tax"], surplus, pieces=2)
    halves = [s[:21], s[21:]]
    exact = [max(0.0, 8 - 6 * h.sum() / (h**2).sum()) for h in halves]
    np.testing.assert_allclose(two.plan.values[0, [0, -1]], exact, atol=1e-6)
    assert one.value < two.value < policy_plan(MODEL, ["tax"], surplus).value


def test_minimum_of_a_series():
    ds = policy_plan(MODEL, ["tax"], "quantity_path", maximize=False, horizon=4.0, steps=4)
    np.testing.assert_allclose(ds.plan.values[0, 1:], 8.0)
    assert float(ds.value) == pytest.approx(0.0, abs=1e-12)


def test_a_budget_over_time():
    """At most B units in all: 6 - q(t) = y wherever the tax can bring q down to it; y is what one unit more is worth."""
    s = 1 - np.exp(-0.4 * np.arange(13))
    budget = 40.0
    y = brentq(lambda y: np.minimum(6 - y, 8 * s).sum() - budget, 0.0, 6.0)
    about = dict(horizon=12.0, steps=12, constraints={"quantity_path": (None, budget)})
    ds = policy_plan(MODEL, ["tax"], surplus, **about)
    np.testing.assert_allclose(ds.quantity_path, np.minimum(6 - y, 8 * s), atol=1e-7)
    assert float(ds.multiplier[0]) == pytest.approx(y, abs=1e-7) and float(ds.limit_value[0]) == pytest.approx(budget)
    assert ds.attrs["status"] == "CONSTRAINED" and ds.agreement == 1.0 and ds.sizes["run"] == 2
    assert float(ds.kkt_residual) <= 1e-8 and float(ds.curvature) <= 1e-9


def test_second_order_conditions_of_a_plan():
    """In units of the box the Hessian of sum of 6 q - q^2/2 is -64 sum of s^2 for each piece; the size is that of the start."""
    s = 1 - np.exp(-0.4 * np.linspace(0, 20, 41))
    ds = policy_plan(MODEL, ["tax"], surplus, pieces=2, starts=1)
    h = 0.5
    size = max(abs(h * np.sum(6 * x * s - (x * s) ** 2 / 2)) for x in (8 - 0.4, 8.0))
    exact = -64 * h * min(np.sum(s[:21] ** 2), np.sum(s[21:] ** 2)) / size
    assert float(ds.plan[0, 0]) > 0 and float(ds.curvature) == pytest.approx(exact, rel=1e-6)
    assert ds.attrs["status"] == "OPTIMAL"


def test_starts_that_end_on_different_hills():
    """Best at a quantity of 0 or of 8 (the edges of the tax), worst at 3: where a start is decides where it ends."""
    ds = policy_plan(MODEL, ["tax"], lambda path: (path.quantity_path - 3) ** 2, rule="constant", starts=8, seed=1)
    assert 0 < float(ds.agreement) < 1 and ds.sizes["run"] == 8 and ds.attrs["status"] == "AT_BOUND"
    assert float(ds.value) == pytest.approx(float(ds.end_value.max())) and ds.end_value.max() > ds.end_value.min() + 1


def test_a_layer_that_takes_no_paths_says_of_what():
    layer = MODEL.dynamics["adjustment"]
    held = dataclasses.replace(
        layer, run=lambda p, u, t: layer.run(p, dataclasses.replace(u, tax=u.tax.reshape(())), t)
    )
    model = dataclasses.replace(MODEL, dynamics={"held": held, "adjustment": layer})
    with pytest.raises(
        InputError, match=r"takes no path of tax, but of no instrument; .* another layer \(adjustment\)"
    ):
        policy_plan(model, ["tax"], surplus, layer="held")


def test_problems_of_constraints_and_starts():
    with pytest.raises(InputError) as error:
        policy_plan(MODEL, ["tax"], surplus, constraints={"price": (0, 1), "quantity_path": (2, 1)}, starts=0, seed=-1)
    assert len(error.value.problems) == 4
    with pytest.raises(InputError, match="set pieces"):
        policy_plan(MODEL, ["tax"], surplus, constraints={"quantity_path": (None, 1.0)}, steps=500)


def test_problems_of_a_plan():
    with pytest.raises(InputError) as error:
        policy_plan(MODEL, ["taxx"], "quantity", rule="x", discount=2.0, horizon=-1.0, steps=0, states={"q": "z"})
    assert len(error.value.problems) == 9
    with pytest.raises(InputError, match="no dynamic layer"):
        policy_plan(MODEL, ["tax"], surplus, layer="crowd")
    with pytest.raises(InputError, match="needs states"):
        policy_plan(MODEL, ["tax"], surplus, rule="feedback")


@pytest.mark.slow
def test_the_regulator_of_rents_by_a_second_route():
    """The step-by-step run is the model's own law; feedback beats a constant, commitment to a path beats both."""
    model = load("rent_seeking")
    p, u = model.params(), model.policy()
    about = dict(discount=0.95, maximize=False, bounds={n: (0.0, 5.0) for n in TAXES}, horizon=39.0, steps=39)
    rule = policy_plan(model, TAXES, rent_loss, rule="feedback", states={"rents": "R_0", "transparency": "S_0"},
                       iterations=40, **about)  # fmt: skip
    k, level = rule.coefficient.values, rule.level.values
    own = FeedbackRule(level - k[:, 0] * 0.5 + k[:, 1] * 0.6, k[:, 0], -k[:, 1])
    assert float(jax.jit(lambda: feedback_loss(p, u, own, TAXES, years=40))()) == pytest.approx(
        float(rule.value), rel=1e-10
    )
    constant = policy_plan(model, TAXES, rent_loss, rule="constant", **about)
    path = policy_plan(model, TAXES, rent_loss, **about)
    given = float(jax.jit(lambda: discounted_loss(p, u, years=40, held=0))())
    assert float(constant.value_given) == pytest.approx(given, rel=1e-12)
    assert path.value < rule.value < constant.value < given
    assert float(path.kkt_residual) <= 1e-5


@pytest.mark.slow
def test_a_compute_tax_on_the_flywheel_against_scipy():
    """Capability less a convex damage of energy, in two pieces: first the highest tax, then one inside its range. SciPy's search with
    differences over the simulated path, the sum written anew, ends there from two sides and finds nothing better."""
    model = load("intelligence_capital")
    p, dates = model.params(Omega=2.0), dict(horizon=6.0, steps=10)

    def flow(path):
        return jnp.mean(path.capability, axis=1) - 650 * path.energy_use**2

    def loss(x):
        taxed = model.policy(compute_tax=np.repeat(x, [6, 5]).tolist())
        path = simulate(model, "flywheel", params=p, policy=taxed, **dates)
        flows = path.capability.mean("provider") - 650 * path.energy_use**2
        return -float((0.97**path.time * flows).sum()) * 0.6

    ds = policy_plan(
        model, ["compute_tax"], flow, layer="flywheel", discount=0.97, pieces=2, params=p, iterations=60, **dates
    )
    plan = ds.plan.values[0, [0, -1]]
    assert plan[0] == 2.0 and 1.0 < plan[1] < 1.9 and ds.attrs["status"] == "AT_BOUND" and ds.agreement == 1.0
    assert float(ds.kkt_residual) < 1e-8 and float(ds.curvature) < 0
    assert float(ds.value) == pytest.approx(-loss(plan), rel=1e-12)
    assert float(ds.value_given) == pytest.approx(-loss(np.zeros(2)), rel=1e-12)
    for start in ([0.3, 0.3], [1.5, 1.9]):
        found = minimize(loss, start, method="L-BFGS-B", bounds=[(0, 2)] * 2, options={"ftol": 1e-15, "gtol": 1e-8})
        np.testing.assert_allclose(found.x, plan, atol=1e-3)
        assert -found.fun <= float(ds.value) + 1e-10
