"""Optimal policies: closed forms, certificates, bounds, several hills, failing regions."""

import jax
import numpy as np
import pytest
from functions import HILLS, KINK
from pigou import MODEL, deadweight_loss, optimal_tax
from scipy.optimize import brentq

from jaxecon import InputError, evaluate, optimize
from jaxecon.analysis.designs import prior_draws, replace
from jaxecon.analysis.optimize import OptimumStatus, beside_cliff


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_the_optimal_tax_is_pigous(method):
    found = optimize(MODEL, ["tax"], method=method)
    p = MODEL.params()
    assert found.values["tax"] == pytest.approx(float(optimal_tax(p)), abs=1e-9)
    assert found.value - found.reference == pytest.approx(float(deadweight_loss(p)), abs=1e-9)
    assert found.status is OptimumStatus.OPTIMAL and found.kkt_residual <= 1e-8
    assert found.agreement == 1.0 and found.at_bounds == {}
    assert float(evaluate(MODEL, p, found.policy).outcomes.welfare) == found.value


def test_closed_form_over_the_box():
    draws = prior_draws(MODEL, 8, seed=4)
    for point in draws.points:
        p, _ = replace(MODEL.params(), MODEL.policy(), draws.names, jax.numpy.asarray(point))
        found = optimize(MODEL, "tax", params=p, starts=4, steps=100)
        assert found.values["tax"] == pytest.approx(min(8.0, float(optimal_tax(p))), abs=1e-8)
        assert found.kkt_residual <= 1e-8


def test_a_bound_that_binds_is_reported():
    found = optimize(MODEL, ["tax"], bounds={"tax": (0.0, 2.0)})
    assert found.values["tax"] == 2.0 and found.status is OptimumStatus.AT_BOUND
    assert found.at_bounds == {"tax": "upper"} and found.kkt_residual <= 1e-8


def test_minimize():
    found = optimize(MODEL, ["tax"], objective="damage", maximize=False)
    assert found.value == pytest.approx(0.0, abs=1e-12) and found.values["tax"] == pytest.approx(8.0)


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_the_higher_of_two_hills_with_a_bound_and_a_cliff(method):
    found = optimize(HILLS, ["east", "north"], method=method, starts=16)
    # At the north edge: root of the first-order condition in east.
    slope = lambda e: -4 * (e + 1) * np.exp(-2 * (e + 1) ** 2) - 12 * (e - 1) * np.exp(-4 * (e - 1) ** 2) + 0.1  # noqa: E731
    assert found.values["east"] == pytest.approx(brentq(slope, 0.8, 1.2, xtol=1e-14), abs=1e-8)
    assert found.values["north"] == 1.0 and found.at_bounds == {"north": "upper"}
    assert found.status is OptimumStatus.AT_BOUND and found.kkt_residual <= 1e-8
    # Some runs end on the low hill, those beyond the cliff harm no other.
    assert 0.2 < found.agreement < 1.0
    assert np.nanmax(found.end_kkt) <= 1e-6


def test_a_start_beyond_the_cliff_harms_no_other():
    inside = optimize(HILLS, ["east"], bounds={"east": (0.2, 1.6)}, starts=8)
    across = optimize(HILLS, ["east"], bounds={"east": (0.2, 2.0)}, starts=8, policy=HILLS.policy(east=1.9))
    assert across.values["east"] == pytest.approx(inside.values["east"], abs=1e-8)
    assert np.isnan(across.reference) and across.status is OptimumStatus.OPTIMAL


def test_nothing_solved_is_said():
    found = optimize(MODEL, ["tax"], params=MODEL.params(a=1.0), starts=4, steps=20)
    assert found.status is OptimumStatus.NOT_SOLVED and np.isnan(found.value) and np.isnan(found.kkt_residual)


def test_a_point_without_first_order_conditions_is_not_called_optimal():
    found = optimize(KINK, ["east"], starts=4)
    assert found.values["east"] == pytest.approx(0.3, abs=1e-3)
    assert found.status is OptimumStatus.NOT_CONVERGED and found.kkt_residual > 0.1


def test_precision_reproducibility_and_dataset():
    single = optimize(MODEL, ["tax"], precision="float32")
    assert single.values["tax"] == pytest.approx(8 / 3, rel=1e-3) and single.status is OptimumStatus.OPTIMAL
    one, two = (optimize(HILLS, ["east", "north"], seed=3) for _ in range(2))
    assert one.to_dataset().identical(two.to_dataset())
    ds = one.to_dataset()
    assert ds.attrs["status"] == "AT_BOUND" and ds.sizes["run"] == 16 and ds.welfare.attrs["units"] == "1"
    assert float(ds.policy.sel(instrument="north")) == 1.0


def test_every_problem_is_named():
    with pytest.raises(InputError) as error:
        optimize(MODEL, ["taxx"], objective="welfar", method="x", bounds={"tax": (3, 1)}, starts=0, seed=-1)
    assert len(error.value.problems) == 6 and "'tax'" in str(error.value) and "'welfare'" in str(error.value)
    with pytest.raises(InputError, match="leaves its bounds"):
        optimize(MODEL, ["tax"], bounds={"tax": (0.0, 9.0)})
    with pytest.raises(InputError, match="no instrument"):
        optimize(MODEL, [])
    with pytest.raises(InputError, match="is a path"):
        optimize(MODEL, ["tax"], policy=MODEL.policy(tax=[0.0, 1.0]))


def test_cliff_is_told_from_a_smooth_hill():
    """A jump beside the point in the direction of ascent; a hill that falls beyond its top, however near, is none."""
    z, up = np.array([0.3, 0.3 - 1e-7]), np.array([1.0, 1.0])

    def cliff(x):
        return np.where(x.sum(axis=1) <= 0.6, x.sum(axis=1), 0.1)

    def unsolved(x):
        return np.where(x.sum(axis=1) <= 0.6, x.sum(axis=1), -np.inf)

    def hill(x):
        return -np.abs(x.sum(axis=1) - 0.6) - (x.sum(axis=1) - 0.6) ** 2

    assert beside_cliff(cliff, z, up) and beside_cliff(unsolved, z, up)
    assert not beside_cliff(hill, z, up) and not beside_cliff(lambda x: x.sum(axis=1), z, up)
    assert not beside_cliff(cliff, z, 0 * up)
