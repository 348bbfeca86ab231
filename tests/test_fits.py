"""Targets of every model, the fits that ship with it, and what the report says about them."""

import dataclasses
import math
import tomllib
from pathlib import Path

import jax
import numpy as np
import pytest
from pigou import MODEL as PIGOU

from calibration.package_data import claims_under, everything, run_fit, targets_of
from jaxecon.analysis.moment_problem import moment_problem
from jaxecon.analysis.simulated_estimate import simulated_of
from jaxecon.core.discovery import load, models
from jaxecon.core.fields import fields_of
from jaxecon.core.inputs import load_set, set_names
from jaxecon.report.fit_records import (
    BasinRow,
    ClaimRow,
    FitRecord,
    FreeParameter,
    MomentRow,
    claims_left_out,
    claims_to_toml,
    fit_to_toml,
    parse_fit,
    read_claims,
    read_fits,
)
from jaxecon.report.fits import identification, one_fit, under_sets, verdict

MODELS = sorted(models())
# Fits of agents, a point of which takes hundreds of runs: their searches begin at fewer than 1000 starts.
FEWER = {("supply_shock", "agents_fit"), ("supply_shock", "paper")}
# Sets that hold the estimates of a fit of another name.
FIT_OF = {
    ("supply_shock", "paper"): "agents_fit",
    ("information_asymmetry", "evidence"): "agents_ai",
    ("ai_growth", "evidence"): "exposure",
}


def _record(**changes):
    moment = MomentRow("told", "price", "money", 3.0, 0.5, 1.0, 5.0, "fit", "E", "a source", 2025)
    check = dataclasses.replace(moment, target="other", use="check", standard_error=math.nan)
    free = FreeParameter("b", "money/unit", 0.1, 2.0, 1.0, 0.5, 0.2)
    record = FitRecord(
        "evidence", "pigou", "A fit.", "baseline", "gmm", 8, 0, 1, 16.0, 1, 6e-5, 1e-12, 2,
        (BasinRow(16.0, 0.7, 0.0, {"b": 0.5, "c": 2.0}), BasinRow(20.0, 0.25, 0.0, {"b": 1.5, "c": 0.1})),
        (30.0, 3.0), {"b": 0.8, "c": -0.6}, {"b": {"told": 0.1}},
        (free, dataclasses.replace(free, name="c", estimate=2.0, standard_error=math.nan, at_bound="hi")), (moment, check), "hash",
        0.01, 0.02, 0.02, {"b": {"told": 1.0}}, {"b": (0.1234567890123, math.nan), "c": (math.nan, math.nan)},
    )  # fmt: skip
    return dataclasses.replace(record, **changes)


@pytest.mark.parametrize("name", MODELS)
def test_the_targets_are_valid_and_every_number_has_a_source(name):
    targets = targets_of(load(name))
    assert targets.fits
    for t in targets.targets.values():
        assert t.source and (t.use == "check" or t.standard_error > 0)
        assert t.use == "check" or t.judgment or t.reported
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
        assert r.targets_hash == targets.hash
        if r.name in targets.fits:
            fit = targets.fits[r.name]
            assert {p.name: (p.lo, p.hi) for p in r.parameters} == dict(fit.free)
            assert tuple(m.target for m in r.moments if m.use == "fit") == fit.targets
        else:  # a set that was found by a search over more parameters than there are moments
            fit = targets.fits["paper"]
            assert {p.name: p.estimate for p in r.parameters} == pytest.approx(load_set(model, "paper").params)
        for m in r.moments:
            t = targets.targets[m.target]
            assert (m.moment, m.value, m.unit, m.source, m.year) == (t.moment, t.value, t.unit, t.source, t.year)
            assert m.standard_error == pytest.approx(t.standard_error, nan_ok=True)
        errors = np.array([m.error for m in r.moments if m.use == "fit"])
        correlated = any({a, b} <= set(fit.targets) for a, b in targets.correlations)
        if r.method == "gmm" and not correlated:
            assert r.value == pytest.approx(float(errors @ errors), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_shifts_and_standard_errors_are_of_one_covariance(name):
    """With R the correlations of the targets the shifts that they cause have the variance of the estimate, held parameters none."""
    model = load(name)
    targets = targets_of(model)
    for r in read_fits(model):
        if r.name not in targets.fits:
            continue
        v = targets.covariance(targets.fits[r.name].targets)
        correlation = v / np.sqrt(np.outer(np.diag(v), np.diag(v)))
        told = {p.name: p.standard_error for p in r.parameters if math.isfinite(p.standard_error)}
        assert set(r.shifts) == set(r.informativeness) == set(told)
        for parameter, se in told.items():
            shift = np.array(list(r.shifts[parameter].values()))
            # The noise of simulated means, which the record does not hold, is correlated and small.
            rel = 0.1 if r.method == "smm" else 1e-6
            assert shift @ correlation @ shift == pytest.approx(se**2, rel=rel), (r.name, parameter)
            alone, room = (correlation @ shift) ** 2 / se**2, 0.1 if r.method == "smm" else 1e-10
            np.testing.assert_allclose(list(r.informativeness[parameter].values()), alone, rtol=1e-5, atol=room)
        assert len(r.singular_values) == sum(not p.at_bound for p in r.parameters) >= r.rank


@pytest.mark.parametrize("name", MODELS)
def test_stored_fits_say_where_all_starts_went(name):
    for r in read_fits(load(name)):
        assert r.basins[0].value == r.value and list(r.basins[0].theta.values()) == [p.estimate for p in r.parameters]
        assert (r.starts < 1000) == ((name, r.name) in FEWER)
        if not math.isnan(r.failed):
            gone = r.failed + r.elsewhere + r.unsettled
            assert sum(b.share for b in r.basins) + gone == pytest.approx(1.0, abs=1e-6)
        for n, (lower, upper) in r.intervals.items():
            x = next(p.estimate for p in r.parameters if p.name == n)
            assert not lower > x and not upper < x


def test_a_fit_survives_writing_and_reading():
    r = _record()
    again = parse_fit(fit_to_toml(r))
    assert fit_to_toml(again) == fit_to_toml(r)
    assert again.parameters[0] == r.parameters[0] and again.moments[0] == r.moments[0]
    assert again.basins == r.basins and again.weakest == r.weakest and again.informativeness == r.informativeness
    assert again.intervals["b"][0] == pytest.approx(r.intervals["b"][0]) and math.isnan(again.intervals["b"][1])
    # Where the model is computed again no digit is lost.
    third = dataclasses.replace(r, parameters=(dataclasses.replace(r.parameters[0], estimate=1 / 3),))
    assert parse_fit(fit_to_toml(third)).parameters[0].estimate == 1 / 3


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
    assert "0.1235 to open" in page and "Informativeness" in page and "1.0% not solved" in page
    assert "95 %" in page and "–" in one_fit(_record(intervals={}))


def test_the_page_names_minima_that_the_data_do_not_tell_apart():
    r = _record()
    assert "another minimum" not in verdict(r) and "no point" not in verdict(r)
    near = dataclasses.replace(r.basins[1], value=16.2)
    words = verdict(_record(basins=(r.basins[0], near)))
    assert "J = 16.2 at b 1.5, c 0.1, where 25.0% of the starts end (70.0% end at the best one)" in words
    assert "another minimum" not in verdict(_record(basins=(r.basins[0], near), gradient=1.0))
    assert "up to 40% of a range" in verdict(_record(basins=(dataclasses.replace(r.basins[0], extent=0.4),)))


def test_claims_under_sets_put_changed_verdicts_first():
    rows = [ClaimRow("C1", "region", "same", {"paper": 1.0, "evidence": 2.0}), ClaimRow("C2", "region", "flips", {"paper": 1.0, "evidence": -1.0}),
            ClaimRow("C3", "report", "a size", {"paper": 1.0, "evidence": -1.0})]  # fmt: skip
    page = under_sets(rows)
    assert "changes for C2." in page and page.index("flips") < page.index("same")
    assert '"C1"' in claims_to_toml(rows)
    left = {"C4": "too dear"}
    assert "Not checked here: C4 (too dear)" in under_sets(rows, left)
    assert tomllib.loads(claims_to_toml(rows, left))["left_out"] == left


def test_a_model_without_fits_has_no_section():
    assert read_fits(PIGOU) == [] and read_claims(PIGOU) == []


@pytest.mark.parametrize("name", MODELS)
def test_named_sets_hold_the_stored_estimates(name):
    model = load(name)
    stored = {r.name: r for r in read_fits(model)}
    for chosen in set(set_names(model)) & {"paper", "evidence"}:
        values, r = load_set(model, chosen).params, stored[FIT_OF.get((name, chosen), chosen)]
        held = {p.name: p.estimate for p in r.parameters if p.name in values}
        assert held and {n: values[n] for n in held} == pytest.approx(held, rel=1e-6), (r.name, held)


def test_an_evidence_set_is_there_where_the_fit_is_a_minimum():
    """That of rent_seeking ends at a jump of the model, J = 105 for two numbers: no set."""
    without = {name for name in MODELS if "evidence" not in set_names(load(name))}
    assert without == {"rent_seeking"}
    (r,) = read_fits(load("rent_seeking"))
    assert r.gradient > 1.0 and r.intervals == {}


@pytest.mark.parametrize("name", MODELS)
def test_an_evidence_set_comes_with_its_claims(name):
    model = load(name)
    rows = {row.id: row for row in read_claims(model)}
    if "evidence" not in set_names(model):
        assert not rows
        return
    first = "paper" if "paper" in set_names(model) else "baseline"
    assert all(set(row.margins) == {first, "evidence"} for row in rows.values())
    assert claims_left_out(model) == {}
    for claim in model.claims:
        assert {claim.id, *(c.id for c in claim.parts)} <= set(rows), claim.id


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fit"),
    [
        ("intelligence_capital", "reading"),
        ("information_asymmetry", "agents_ai"),
        ("information_asymmetry", "telematics"),
        ("information_pollution", "evidence"),
        ("rent_seeking", "evidence"),
    ],
)
def test_the_model_still_gives_the_stored_moments(name, fit):
    """Fits inside their ranges, at an end of them, and at a jump (rent_seeking), which all stored digits hit."""
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


@pytest.mark.slow
def test_claims_under_the_sets_come_out_again():
    model = load("information_asymmetry")
    stored = {row.id: row for row in read_claims(model)}
    again = {row.id: row for row in claims_under(model)}
    assert set(again) == set(stored)
    for i, row in again.items():
        assert row.margins == pytest.approx(stored[i].margins, rel=1e-5, abs=1e-7, nan_ok=True), i


def test_targets_lie_beside_the_command():
    root = Path(__file__).parents[1] / "calibration"
    assert sorted(p.parent.name for p in root.glob("*/targets.toml")) == MODELS
