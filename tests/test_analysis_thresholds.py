"""Boundaries of conditions: roots, gradients, curves and distances against closed forms, differences and brute force."""

import dataclasses
import importlib

import jax.numpy as jnp
import numpy as np
import pytest
from functions import HILLS, ISHIGAMI, SOBOL_G
from pigou import MODEL
from scipy.optimize import brentq, minimize

from benchmarks.peers import supply_shock as peer
from jaxecon import InputError, evaluate, load
from jaxecon.analysis.conditions import condition
from jaxecon.analysis.multiplicity import multiplicity
from jaxecon.analysis.nearest import distance_to_threshold, project
from jaxecon.analysis.thresholds import threshold, threshold_curve
from jaxecon.core.fields import fields_of

# Optimal tax d (a - c)/(b + d) = 3.2 (claim P2).
P2 = condition(MODEL, claim="P2")


def critical_d(a, b, c):
    return 3.2 * b / (a - c - 3.2)


def test_root_and_gradient_of_a_claim():
    ds = threshold(P2, "d")
    assert ds.sizes["root"] == 1 and list(ds.other.values) == ["a", "b", "c"] and int(ds.kind[0]) == 0
    assert float(ds.value[0]) == pytest.approx(critical_d(10, 1, 2), rel=1e-12)
    assert float(ds.residual[0]) < 1e-12 and ds.attrs["condition"] == "margin of P2"
    h = 1e-5
    differences = [
        (critical_d(10 + h, 1, 2) - critical_d(10 - h, 1, 2)) / (2 * h),
        (critical_d(10, 1 + h, 2) - critical_d(10, 1 - h, 2)) / (2 * h),
        (critical_d(10, 1, 2 + h) - critical_d(10, 1, 2 - h)) / (2 * h),
    ]
    np.testing.assert_allclose(ds.gradient[0], differences, rtol=1e-8)
    np.testing.assert_allclose(ds.elasticity[0], np.array(differences) * [10, 1, 2] / float(ds.value[0]), rtol=1e-8)


def test_gradient_of_the_boundary_is_that_of_the_moved_root():
    """By differences of whole thresholds at moved parameters."""
    level = condition(MODEL, outcome="welfare", level=12.0)
    ds = threshold(level, "tax", names=["a", "c", "d"], params=MODEL.params(d=1.5))
    h = 1e-4
    for k, name in enumerate(("a", "c", "d")):
        base = {"a": 10.0, "c": 2.0, "d": 1.5}
        moved = [threshold(level, "tax", names=["a"], params=MODEL.params(**base | {name: base[name] + s})) for s in (-h, h)]  # fmt: skip
        slope = (float(moved[1].value[0]) - float(moved[0].value[0])) / (2 * h)
        assert float(ds.gradient[0, k]) == pytest.approx(slope, rel=1e-6)
    # W = (a - c) q - (b + d) q^2/2 = 12 at q = 4 and 2.4, and q = a - c - tax.
    np.testing.assert_allclose(ds.value, [4.0, 5.6], rtol=1e-10)


def test_all_roots_are_found_and_jumps_are_told_apart():
    ds = threshold(condition(ISHIGAMI, outcome="welfare", level=3.0), "x2", names=["x1"])
    sine = np.sqrt((3 - np.sin(0.5) - 0.1 * 0.5**4 * np.sin(0.5)) / 7)
    r = np.arcsin(sine)
    np.testing.assert_allclose(ds.value, [r - np.pi, -r, r, np.pi - r], rtol=1e-10)
    x1 = -np.cos(0.5) * (1 + 0.1 * 0.5**4) / (14 * np.sin(ds.value) * np.cos(ds.value))
    np.testing.assert_allclose(ds.gradient[:, 0], x1, rtol=1e-9)
    jump = threshold(condition(SOBOL_G, function=lambda p, u: (p.g1 > 0.3) - 0.5 + 0.1 * p.g1), "g1", names=["g2"])
    assert list(jump.kind.values) == [1] and float(jump.value[0]) == pytest.approx(0.3, abs=1e-9)
    assert np.isnan(jump.gradient).all()
    none = threshold(condition(SOBOL_G, outcome="constant"), "g1")
    assert none.sizes["root"] == 0


def test_undefined_cells_are_counted():
    ds = threshold(condition(HILLS, outcome="welfare", level=1.0), "east", names=["north"])
    assert ds.attrs["undefined"] > 0 and ds.sizes["root"] == 2, "up and down the high hill"
    restricted = dataclasses.replace(SOBOL_G, constraints=lambda p: {"g1 < g2": p.g2 - p.g1})
    parabola = condition(restricted, function=lambda p, u: (p.g1 - 0.2) * (p.g1 - 0.6))
    ds = threshold(parabola, "g1", names=["g2"], params=restricted.params(g2=0.5))
    np.testing.assert_allclose(ds.value, [0.2], rtol=1e-12)
    assert ds.attrs["undefined"] == 33, "from g1 = .5 on"


def test_curve_over_two_parameters():
    ds = threshold_curve(P2, "c", "d")
    np.testing.assert_allclose(ds.d, critical_d(10, 1, ds.c), rtol=1e-9)
    assert ds.attrs["curves"] == 1 and ds.attrs["ends"] == '["edge, edge"]'
    np.testing.assert_allclose(ds.gradient, 3.2 / (8 - ds.c + 2 - 3.2) ** 2, rtol=1e-8)
    # From edge to edge: d reaches 1.5 at c = 10 - 3.2 - 3.2/1.5.
    np.testing.assert_allclose(sorted([float(ds.c[0]), float(ds.c[-1])]), [1.0, 4.0], atol=1e-9)
    assert float(ds.residual.max()) < 1e-11


def test_curves_turn_and_close():
    circle = condition(SOBOL_G, function=lambda p, u: (p.g1 - 0.5) ** 2 + (p.g2 - 0.5) ** 2 - 0.04, name="circle")
    ds = threshold_curve(circle, "g1", "g2")
    assert ds.attrs["curves"] == 1 and ds.attrs["ends"] == '["closed"]'
    np.testing.assert_allclose(np.hypot(ds.g1 - 0.5, ds.g2 - 0.5), 0.2, rtol=1e-9)
    length = np.sum(np.hypot(np.diff(ds.g1), np.diff(ds.g2)))
    assert length == pytest.approx(2 * np.pi * 0.2, rel=0.01)
    np.testing.assert_allclose(ds.gradient, -(ds.g1 - 0.5) / (ds.g2 - 0.5), rtol=1e-6)


def test_all_components_are_followed():
    waves = threshold_curve(condition(ISHIGAMI, outcome="welfare", level=3.0), "x1", "x2")
    value = np.sin(waves.x1) + 7 * np.sin(waves.x2) ** 2 + 0.1 * 0.5**4 * np.sin(waves.x1)
    np.testing.assert_allclose(value, 3, atol=1e-8)
    assert waves.attrs["curves"] == 4, "sin^2 x2 takes its value once in each quarter"
    starts = [float(waves.x1[waves.curve == k][i]) for k in range(4) for i in (0, -1)]
    np.testing.assert_allclose(np.abs(starts), np.pi, rtol=1e-9)
    assert threshold_curve(condition(ISHIGAMI, outcome="constant"), "x1", "x2").sizes["point"] == 0


def test_distance_against_scipy_and_brute_force():
    ds = distance_to_threshold(P2, seed=1)
    lo, hi = ds.lo.values, ds.hi.values
    start = (np.array([10, 1, 2, 0.5]) - lo) / (hi - lo)

    def margin(z):
        a, b, c, d = lo + z * (hi - lo)
        return d * (a - c) / (b + d) - 3.2

    found = minimize(
        lambda z: np.sum((z - start) ** 2), start + 0.1, bounds=[(0, 1)] * 4, method="SLSQP",
        constraints={"type": "eq", "fun": margin}, options={"ftol": 1e-14},
    )  # fmt: skip
    assert ds.attrs["verdict"] == "FOUND" and float(ds.kkt_residual) < 1e-6
    assert float(ds.distance) == pytest.approx(np.sqrt(found.fun), rel=1e-6)
    np.testing.assert_allclose(ds.move, found.x - start, atol=1e-5)
    assert abs(margin((ds.nearest.values - lo) / (hi - lo))) < 1e-9 and float(ds.share.sum()) == pytest.approx(1)
    draws = np.random.default_rng(0).random((20000, 4))
    beyond = np.array([margin(z) > 0 for z in draws])
    brute = np.min(np.linalg.norm(draws[beyond] - start, axis=1))
    assert float(ds.distance) <= brute < 1.6 * float(ds.distance) and float(ds.distance) <= float(ds.sampled)


def test_distance_with_a_bound_that_binds():
    """From z = (.4, .8) to z1 + z2/2 = 1.45 in units of the ranges: straight ahead lies z2 = 1.06, so z2 stops at 1."""
    total = condition(SOBOL_G, function=lambda p, u: p.g1 + p.g2 - 1.45)
    ds = distance_to_threshold(total, names=["g1", "g2"], prior={"g1": (0.0, 1.0), "g2": (0.0, 0.5)})
    np.testing.assert_allclose(ds.nearest, [0.95, 0.5], atol=1e-7)
    assert float(ds.distance) == pytest.approx(np.hypot(0.55, 0.2), rel=1e-7)
    assert float(ds.agreement) == 1
    far = condition(SOBOL_G, function=lambda p, u: p.g1 + p.g2 - 1.7)
    none = distance_to_threshold(far, names=["g1", "g2"], prior={"g1": (0.0, 1.0), "g2": (0.0, 0.6)})
    assert none.attrs["verdict"] == "NO_BOUNDARY" and np.isnan(none.distance)


def test_distance_to_a_curved_boundary_from_inside_and_where_undefined():
    circle = condition(SOBOL_G, function=lambda p, u: (p.g1 - 0.5) ** 2 + (p.g2 - 0.5) ** 2 - 0.04)
    ds = distance_to_threshold(circle, names=["g1", "g2"])
    assert float(ds.distance) == pytest.approx(0.2 - np.hypot(0.1, 0.1), rel=1e-5) and float(ds.value) < 0
    np.testing.assert_allclose(ds.nearest, 0.5 - 0.2 / np.sqrt(2), atol=1e-5)
    undefined = condition(SOBOL_G, function=lambda p, u: p.g1 * np.nan)
    assert distance_to_threshold(undefined, names=["g1"]).attrs["verdict"] == "UNDEFINED"


def test_projection_on_a_plane_in_a_box():
    z, m = project(np.array([0.5, 0.5]), np.array([[1.0, 3.0]]), np.array([3.2]), np.zeros(2), np.ones(2))
    np.testing.assert_allclose(z, [[0.5 + 0.12 * 1, 0.5 + 0.12 * 3]] if m[0] < 1 / 6 else [[0.2, 1.0]], atol=1e-9)
    z, _ = project(np.array([0.5, 0.5]), np.array([[1.0, 3.0]]), np.array([3.9]), np.zeros(2), np.ones(2))
    np.testing.assert_allclose(z, [[0.9, 1.0]], atol=1e-9)


def test_every_problem_is_named():
    with pytest.raises(InputError, match="give one of"):
        condition(MODEL)
    with pytest.raises(InputError) as error:
        condition(MODEL, outcome="wefare", claim="P99", level=np.nan)
    assert len(error.value.problems) == 4
    with pytest.raises(InputError, match="no real parameter"):
        threshold(P2, "dd")
    with pytest.raises(InputError) as error:
        threshold_curve(P2, "c", "q", grid=0)
    assert len(error.value.problems) == 2
    with pytest.raises(InputError, match="samples"):
        distance_to_threshold(P2, samples=0)


# Conditions of shipped models that are no outcome ----------------------------------------------------------------


@pytest.mark.slow
def test_an_eigenvalue_of_the_flywheel_is_zero_where_its_equilibria_become_three():
    """The autodiff eigenvalue of symmetric data against (1.9) and its derivatives, and against the map of equilibria."""
    model = load("intelligence_capital")
    bifurcation = importlib.import_module("jaxecon.models.intelligence_capital.bifurcation")
    flywheel = importlib.import_module("jaxecon.models.intelligence_capital.flywheel")

    def eigenvalue(p, u):
        return bifurcation.symmetric_growth(flywheel.Where(p, u, model.equilibrium(p, u).industry), p.Omega)

    what = condition(model, function=eigenvalue, name="antisymmetric eigenvalue")
    ds = threshold(what, "Omega", names=["theta", "gamma"], prior={"Omega": (1.1, 2.0)}, scan=8)
    eps = 2 / 3
    assert float(ds.value[0]) == pytest.approx(1.5, rel=1e-9) and ds.sizes["root"] == 1
    # Omega* = 1/(theta eps_D - 1), and eps_D is proportional to gamma.
    np.testing.assert_allclose(ds.gradient[0], [-eps * 1.5**2, -2.5 * eps / 1.3 * 1.5**2], rtol=1e-8)
    star = float(ds.value[0])
    cells = multiplicity(model, {"Omega": [0.999 * star, 1.001 * star]})
    assert list(cells["count"].values) == [1, 3] and list(cells.stable.values) == [1, 2]


@pytest.mark.slow
def test_the_width_of_a_segment_of_the_supply_shock_is_zero_where_the_pattern_changes():
    """Adopters whom the ceiling of AI does not bind are those from s_1 to q_A/a: their width by rising capacity against the branch
    and against the assignment in plain Python."""
    model = load("supply_shock")

    def width(p, u):
        eq = model.equilibrium(p, u)
        return jnp.where(eq.status == 0, p.q_A / p.a - eq.cutoffs.s_1, jnp.nan)

    what = condition(model, function=width, name="width of the adopters below the ceiling")
    ds = threshold(what, "k_A", names=["n"], prior={"k_A": (1.5, 6.0)}, scan=8)
    assert ds.sizes["root"] == 1 and int(ds.kind[0]) == 0 and float(ds.residual[0]) < 1e-10
    root = float(ds.value[0])
    pooled = [bool(evaluate(model, model.params(k_A=root + step)).branches["POOLED"]) for step in (-1e-4, 1e-4)]
    assert pooled == [False, True]
    base = {name: f.default for name, f in fields_of(model.Params).items()}

    def in_plain_python(k_A, n):
        found = peer.solve(base | {"k_A": k_A, "n": n})
        return base["q_A"] / base["a"] - found["s_L"]

    edge = {n: brentq(in_plain_python, root - 0.1, root + 0.1, args=(n,), xtol=1e-12) for n in (0.499, 0.5, 0.501)}
    assert edge[0.5] == pytest.approx(root, abs=1e-6)
    assert float(ds.gradient[0, 0]) == pytest.approx((edge[0.501] - edge[0.499]) / 0.002, rel=1e-2)
