"""Targets of every model, the fits that ship with it, and what the report says about them."""

import dataclasses
import math
from pathlib import Path

import jax
import numpy as np
import pytest
from pigou import MODEL as PIGOU

from calibration.package_data import everything, run_fit, targets_of
from jaxecon.analysis.moment_problem import moment_problem
from jaxecon.analysis.simulated_estimate import simulated_of
from jaxecon.core.discovery import load, models
from jaxecon.core.fields import fields_of
from jaxecon.core.inputs import load_set, set_names
from jaxecon.report.fit_records import (
    ClaimRow,
    FitRecord,
    FreeParameter,
    MomentRow,
    claims_to_toml,
    fit_to_toml,
    parse_fit,
    read_claims,
    read_fits,
)
from jaxecon.report.fits import identification, one_fit, under_sets, verdict

MODELS = sorted(models())


def _record(**changes):
    moment = MomentRow("told", "price", "money", 3.0, 0.5, 1.0, 5.0, "fit", "E", "a source", 2025)
    check = dataclasses.replace(moment, target="other", use="check", standard_error=math.nan)
    free = FreeParameter("b", "money/unit", 0.1, 2.0, 1.0, 0.5, 0.2)
    record = FitRecord(
        "evidence", "pigou", "A fit.", "baseline", "gmm", 8, 0, 1, 16.0, 1, 6e-5, 1e-12, 2, ((16.0, 0.75), (20.0, 0.25)),
        (30.0, 3.0), {"b": 0.8, "c": -0.6}, {"b": {"told": 0.1}},
        (free, dataclasses.replace(free, name="c", estimate=2.0, standard_error=math.nan, at_bound="hi")), (moment, check), "hash",
    )  # fmt: skip
    return dataclasses.replace(record, **changes)


@pytest.mark.parametrize("name", MODELS)
def test_the_targets_are_valid_and_every_number_has_a_source(name):
    targets = targets_of(load(name))
    assert targets.fits
    for t in targets.targets.values():
        assert t.source and (t.use == "check" or t.standard_error > 0)
        assert (
            t.use == "check"
            or t.judgment
            or name in ("intelligence_capital", "quasi_public_goods", "information_pollution")
        )
    for fit in targets.fits.values():
        assert fit.doc and set(fit.targets) <= set(targets.targets)


@pytest.mark.parametrize("name", MODELS)
def test_moments_are_what_they_are_said_to_be(name):
    model = load(name)
    taken = set(fields_of(model.Outcomes))
    for group in model.moments.values():
        assert not taken & set(group.about)
        taken |= set(group.about)
        for run in (group.run, *([group.smooth] if group.smooth else [])):
            found = jax.eval_shape(run, model.params(), model.policy(), jax.random.key(0))
            assert set(found) == set(group.about) and all(x.shape == () for x in found.values())


@pytest.mark.parametrize("name", MODELS)
def test_stored_fits_belong_to_the_targets_of_today(name):
    model = load(name)
    targets, stored = targets_of(model), {r.name: r for r in read_fits(model)}
    assert set(targets.fits) <= set(stored)
    for r in stored.values():
        if r.name in targets.fits:
            fit = targets.fits[r.name]
            assert {p.name: (p.lo, p.hi) for p in r.parameters} == dict(fit.free)
            assert tuple(m.target for m in r.moments if m.use == "fit") == fit.targets
        else:  # a set that was found by a search over more parameters than there are moments
            fit = targets.fits["paper"]
            assert {p.name: p.estimate for p in r.parameters} == pytest.approx(load_set(model, r.name).params)
        for m in r.moments:
            t = targets.targets[m.target]
            assert (m.moment, m.value, m.unit, m.source) == (t.moment, t.value, t.unit, t.source)
            assert m.standard_error == pytest.approx(t.standard_error, nan_ok=True)
        errors = np.array([m.error for m in r.moments if m.use == "fit"])
        correlated = any({a, b} <= set(fit.targets) for a, b in targets.correlations)
        if r.method == "gmm" and not correlated:
            assert r.value == pytest.approx(float(errors @ errors), rel=1e-4, abs=1e-8)


def test_a_fit_survives_writing_and_reading():
    r = _record()
    again = parse_fit(fit_to_toml(r))
    assert fit_to_toml(again) == fit_to_toml(r)
    assert again.parameters[0] == r.parameters[0] and again.moments[0] == r.moments[0]
    assert again.basins == r.basins and again.weakest == r.weakest


def test_the_page_says_what_is_missed_rejected_and_not_identified():
    r = _record()
    words = verdict(r)
    assert "the data reject" in words and "told (+4.0)" in words and "c (hi)" in words
    assert "not rejected" in verdict(_record(p_value=0.4))
    assert "kink" in verdict(_record(gradient=1.0)) and "kink" not in verdict(r)
    fine = dataclasses.replace(r.moments[0], model=3.0)
    assert "tests nothing" in verdict(_record(dof=0, p_value=math.nan, moments=(fine,)))
    assert "no values in the ranges" in verdict(_record(dof=0, p_value=math.nan))
    assert "Not identified" in identification(_record(rank=1))
    assert "Hardly identified" in identification(_record(singular_values=(30.0, 0.5)))
    assert "weakest combination is (b +0.80, c -0.60)" in identification(r)
    page = one_fit(r)
    assert "told" in page and "1 checks" in page and "a source" in page


def test_claims_under_sets_put_changed_verdicts_first():
    rows = [ClaimRow("C1", "region", "same", {"paper": 1.0, "evidence": 2.0}), ClaimRow("C2", "region", "flips", {"paper": 1.0, "evidence": -1.0}),
            ClaimRow("C3", "report", "a size", {"paper": 1.0, "evidence": -1.0})]  # fmt: skip
    page = under_sets(rows)
    assert "changes for C2." in page and page.index("flips") < page.index("same")
    assert '"C1"' in claims_to_toml(rows)


def test_a_model_without_fits_has_no_section():
    assert read_fits(PIGOU) == [] and read_claims(PIGOU) == []


@pytest.mark.parametrize("name", MODELS)
def test_named_sets_hold_the_stored_estimates(name):
    model = load(name)
    for r in read_fits(model):
        if r.name in ("paper", "evidence") and r.name in set_names(model):
            values = load_set(model, r.name).params
            for p in r.parameters:
                if p.name in values:
                    assert values[p.name] == pytest.approx(p.estimate, rel=1e-5), (r.name, p.name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fit"),
    [
        ("intelligence_capital", "reading"),
        ("information_asymmetry", "agents_ai"),
        ("information_asymmetry", "telematics"),
    ],
)
def test_the_model_still_gives_the_stored_moments(name, fit):
    """Fits that end inside their ranges; that of rent_seeking ends at a jump, which eight stored digits do not hit."""
    model = load(name)
    targets, stored = targets_of(model), {r.name: r for r in read_fits(model)}[fit]
    problem = everything(model, targets, moment_problem(model, targets, fit), targets.fits[fit])
    points = np.array([[p.given for p in stored.parameters], [p.estimate for p in stored.parameters]])
    found, status = problem.rows(points)
    assert not status.any()
    np.testing.assert_allclose(
        found, [[m.before for m in stored.moments], [m.model for m in stored.moments]], rtol=2e-5, atol=1e-7
    )


@pytest.mark.slow
def test_discrete_agents_still_give_the_stored_moments():
    """Means over the runs of the last step; eight stored digits may turn a choice of one agent in one run."""
    model = load("supply_shock")
    stored = {r.name: r for r in read_fits(model)}["paper"]
    problem = simulated_of(moment_problem(model, targets_of(model), "paper"))
    theta = [p.estimate for p in stored.parameters]
    found = problem.sample(theta, stored.draws, first=2 * stored.draws).mean[0]
    np.testing.assert_allclose(found, [m.model for m in stored.moments if m.use == "fit"], rtol=5e-3)


@pytest.mark.slow
def test_a_cheap_fit_run_again_is_the_stored_one():
    model = load("intelligence_capital")
    stored = {r.name: r for r in read_fits(model)}["reading"]
    again = run_fit(model, "reading", starts=stored.starts)
    assert again.value == pytest.approx(stored.value, rel=1e-6) and again.rank == stored.rank == 1
    # Only the product of share and speed is pinned down: the moments agree, the parameters need not.
    np.testing.assert_allclose([m.model for m in again.moments], [m.model for m in stored.moments], rtol=1e-6)
    assert all(math.isnan(p.standard_error) for p in again.parameters)


def test_targets_lie_beside_the_command():
    root = Path(__file__).parents[1] / "calibration"
    assert sorted(p.parent.name for p in root.glob("*/targets.toml")) == MODELS
