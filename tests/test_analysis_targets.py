"""Targets as data: what is read, how places and comparisons are computed, and that every wrong entry is named at once."""

import dataclasses
import html
import math
from pathlib import Path

import jax
import numpy as np
import pytest
from pigou import MODEL

from jaxecon.analysis.moment_problem import moment_problem
from jaxecon.analysis.targets import Place, Target, read_targets
from jaxecon.core.discovery import models
from jaxecon.core.errors import InputError
from jaxecon.core.model import RESTRICTED, SOLVED, Moments
from jaxecon.report.fit_records import stored_context
from jaxecon.report.fits import beside, numbers

GOOD = """
[model]
name = "pigou"

[[target]]
name = "quantity"
moment = "quantity"
value = 8
standard_error = 0.2
judgment = "two rounding units"
unit = "units"
year = 2025
grade = "E"
source = "a survey"
set = ["first"]

[[target]]
name = "other survey"
moment = "quantity"
value = 7.5
standard_error = 0.3
unit = "units"
source = "another survey"
reported = true
year = 2024
grade = "E"
set = ["first"]

[[target]]
name = "price"
moment = "price"
value = 2.0
standard_error = 0.1
unit = "money"
source = "a survey"
judgment = "one digit"
year = 2025
grade = "E"

[[target]]
name = "welfare"
moment = "welfare"
value = 16.0
unit = "money"
source = "an estimate"
use = "check"

[[context]]
name = "old price"
value = 3.0
unit = "money"
year = 1999
source = "an almanac"
grade = "E"
reason = "before the market of the model"

[[context]]
name = "price range"
lo = 1.5
hi = 2.5
unit = "money"
year = 2024
source = "a magazine"
grade = "E"
reason = "disagrees with price"

[[context]]
name = "price path"
path = [[2019, 1.0], [2020.5, 1.5]]
unit = "money"
source = "a magazine"
grade = "E"
reason = "the model is static"

[[correlation]]
between = ["quantity", "price"]
value = 0.5

[fit.first]
doc = "Demand."
free = { b = [0.5, 2.0], c = { lo = 1.0, hi = 4.0 } }

[fit.second]
free = { a = [5.0, 20.0] }
targets = ["price"]
params = { c = 1.5 }
regime = "pigou_tax"
"""


def wrong(text):
    with pytest.raises(InputError) as error:
        read_targets(MODEL, text)
    return error.value.problems


def test_targets_and_fits_are_read(tmp_path):
    (tmp_path / "targets.toml").write_text(GOOD)
    found = read_targets(MODEL, tmp_path / "targets.toml")
    assert found == read_targets(MODEL, GOOD) and len(found.hash) == 16
    assert read_targets(MODEL, GOOD.replace("two rounding units", "three of them")).hash == found.hash
    assert read_targets(MODEL, GOOD.replace("0.2", "0.3")).hash != found.hash
    assert list(found.targets) == ["quantity", "other survey", "price", "welfare"]
    one = found.targets["quantity"]
    assert (one.value, one.standard_error, one.year, one.judgment) == (8.0, 0.2, 2025, "two rounding units")
    assert [t.name for t in found.checks()] == ["welfare"]
    assert [t.reported for t in found.targets.values()] == [False, True, False, False]
    old, between, path = found.context.values()
    assert (old.values, old.year, old.reason) == ((3.0,), 1999, "before the market of the model")
    assert (between.values, between.dates) == ((1.5, 2.5), ())
    assert (path.values, path.dates, path.year) == ((1.0, 1.5), (2019.0, 2020.5), 2020)
    text = GOOD.replace("value = 3.0", "value = 9.0")
    assert read_targets(MODEL, text).context != found.context and read_targets(MODEL, text).hash == found.hash
    first, second = found.fits.values()
    assert first.targets == ("quantity", "other survey", "price") and first.free == {"b": (0.5, 2.0), "c": (1.0, 4.0)}
    assert second.targets == ("price",) and second.place.policy == (("tax", 8 / 3),)
    covariance = found.covariance(first.targets)
    np.testing.assert_allclose(covariance, [[0.04, 0, 0.01], [0, 0.09, 0], [0.01, 0, 0.01]])


def test_a_fit_becomes_a_problem_with_its_place():
    targets = read_targets(MODEL, GOOD)
    problem = moment_problem(MODEL, targets, "second")
    assert problem.names == ("a",) and float(problem.p.c) == 1.5 and float(problem.u.tax) == 8 / 3
    moments, status = problem.rows([[10.0], [12.0]])
    # P = a - b q with q = (a - c - tax)/b.
    np.testing.assert_allclose(moments[:, 0], 1.5 + 8 / 3)
    assert (status == SOLVED).all()
    with pytest.raises(InputError, match="there are: first, second"):
        moment_problem(MODEL, targets)


def test_places_and_comparisons_against_the_closed_form():
    base, taxed, cheap = Place(), Place(policy=(("tax", 2.0),)), Place(scale=(("c", 0.5),))
    # Of another form: a program of its own.
    alone = Place(params=(("market", "monopoly"),))
    kinds = (("level", taxed, None), ("difference", taxed, base), ("ratio", taxed, base), ("log_difference", cheap, base),
             ("elasticity", cheap, base), ("elasticity", Place(params=(("c", 3.0),)), base), ("ratio", alone, base))  # fmt: skip
    targets = [
        Target(f"t{i}", "quantity", 0.0, 1.0, "1", "s", place=at, compare=kind, against=other)
        for i, (kind, at, other) in enumerate(kinds)
    ]
    problem = moment_problem(MODEL, targets, {"b": (0.5, 2.0), "c": (1.0, 4.0)})
    assert len(problem.map.sources()) == 5  # each place once
    b, c = 1.25, 2.0
    q = lambda c, tax=0.0: (10 - c - tax) / b  # noqa: E731
    expected = [q(c, 2.0), q(c, 2.0) - q(c), q(c, 2.0) / q(c), np.log(q(c / 2) / q(c)),
                np.log(q(c / 2) / q(c)) / np.log(0.5), np.log(q(3.0) / q(c)) / np.log(3.0 / c), 0.5]  # fmt: skip
    np.testing.assert_allclose(problem.rows([b, c])[0][0], expected, rtol=1e-12)
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.jit(problem.moments)(np.array([b, c])), expected, rtol=1e-12)


def test_box_and_reals_are_a_bijection():
    problem = moment_problem(MODEL, read_targets(MODEL, GOOD), "first")
    z = np.random.default_rng(0).normal(size=(5, 2)) * 3
    with jax.enable_x64(True):
        np.testing.assert_allclose(problem.to_z(problem.to_theta(z)), z, rtol=1e-9)
        for i in range(5):
            slopes = jax.jacfwd(problem.to_theta)(z[i])
            np.testing.assert_allclose(problem.log_jacobian(z)[i], np.log(np.linalg.det(slopes)), rtol=1e-9)


def test_one_program_for_any_number_of_points_and_any_observed_values():
    problem = moment_problem(MODEL, read_targets(MODEL, GOOD), "first")
    points = np.random.default_rng(1).uniform(problem.lo, problem.hi, (300, 2))
    moments, slopes = problem.slopes(points)
    again, more = problem.observing(problem.observed + 1).slopes(points[:7])
    np.testing.assert_array_equal(moments[:7], again)
    np.testing.assert_array_equal(slopes[:7], more)
    q = (10 - points[:, 1]) / points[:, 0]
    np.testing.assert_allclose(moments[:, 0], q, rtol=1e-12)
    np.testing.assert_allclose(slopes[:, 0], np.stack([-q / points[:, 0], -1 / points[:, 0]], axis=1), rtol=1e-10)


def test_failed_and_forbidden_points_are_nan_with_a_status():
    model = dataclasses.replace(MODEL, constraints=lambda p: {"b < 1.5": 1.5 - p.b})
    problem = moment_problem(model, read_targets(MODEL, GOOD), {"b": (0.5, 2.0), "c": (1.0, 20.0)})
    moments, status = problem.rows([[1.0, 2.0], [1.0, 15.0], [1.8, 2.0]])
    assert status.tolist() == [SOLVED, 16, RESTRICTED]
    assert np.isfinite(moments[0]).all() and np.isnan(moments[1:]).all()


def test_agent_moments_are_means_over_common_seeds():
    def run(p, u, key):
        return {"noise": jax.random.normal(key, (), p.a.dtype) + p.b}

    model = dataclasses.replace(MODEL, moments={"noise": Moments(run, {"noise": ("1", "noise")}, "agents")})
    target = Target("noise", "noise", 1.0, 0.1, "1", "s")
    one, many = (moment_problem(model, [target], {"b": (0.5, 2.0)}, seeds=s) for s in (1, 400))
    values = many.rows([[1.0], [1.5]])[0][:, 0]
    np.testing.assert_allclose(values[1] - values[0], 0.5, rtol=1e-12)
    assert abs(values[0] - 1.0) < 4 / 20
    single = [float(one.rows([1.0], seed=s)[0][0, 0]) for s in (0, 1)]
    assert single[0] != single[1] and single[0] == float(one.rows([1.0], seed=0)[0][0, 0])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("value = 8\n", "", "target 'quantity': value is missing"),
        ("value = 8\n", 'value = "eight"\n', "'eight' is not a finite number"),
        ("value = 8\n", "value = nan\n", "not a finite number"),
        ("value = 8\n", "value = 80000\n", "outside the range [0, 10000]"),
        ("standard_error = 0.2", "standard_error = -0.2", "must be a finite number above 0"),
        ("standard_error = 0.2\n", "", "standard_error is missing; give it, with its reason as judgment"),
        ('moment = "price"', 'moment = "prices"', "did you mean 'price'?"),
        ('unit = "money"\nsource = "a survey"', 'unit = "%"\nsource = "a survey"', "price is measured in 'money'; convert"),
        ('name = "other survey"', 'name = "quantity"', "2 targets are named 'quantity'"),
        ('source = "another survey"\n', "", "source is missing"),
        ("year = 2025", 'year = "2025"', "must be a whole number such as 2025"),
        ("year = 2025", "year = 25", "in [1900, 2100]"),
        ("year = 2025\n", "", "target 'quantity': year is missing; give it, that of the source"),
        ('grade = "E"\n', "", "target 'quantity': grade is missing; give it: D, R, S, E"),
        ('judgment = "two rounding units"\n', "", "standard_error has no reason; give it as judgment, or say reported = true"),
        ("reported = true", "reported = false", "target 'other survey': standard_error has no reason"),
        ("reported = true", "reported = 1", "reported = 1 must be true or false"),
        ('name = "old price"', 'name = "price"', "context 'price': a target has this name"),
        ('name = "price path"', 'name = "price range"', "context 'price range': the name is given 2 times"),
        ("value = 3.0", "value = inf", "context 'old price': value = inf is not a finite number"),
        ("value = 3.0", "lo = 3.0", "context 'old price': lo is given; give value, or lo and hi, or path alone"),
        ("hi = 2.5", "hi = 1.5", "context 'price range': the range [1.5, 1.5] is empty; lo must be below hi"),
        ("[2020.5, 1.5]", "[2018, 1.5]", "context 'price path': years of path = [2019.0, 2018.0] must rise within [1900, 2100]"),
        (", [2020.5, 1.5]", "", "context 'price path': path = [[2019, 1.0]] must be at least two pairs [year, value]"),
        ("year = 1999\n", "", "context 'old price': year is missing"),
        ("year = 1999", "year = true", "context 'old price': year = True must be a whole number"),
        ('reason = "disagrees with price"\n', "", "context 'price range': reason is missing; give it"),
        ('source = "an almanac"', 'source = ""', "context 'old price': source = '' must be text"),
        ('source = "an almanac"', 'source = "an almanac"\nnote = "old"', "'note' is no key of a context"),
        ("[[context]]", "[[contexts]]", "did you mean 'context'?"),
        ('grade = "E"', 'grade = "Z"', "none of D, R, S, E"),
        ('use = "check"', 'use = "maybe"', "none of fit, check"),
        ('use = "check"', 'use = "check"\nerror = 1', "'error' is no key of a target"),
        ('use = "check"', 'use = "check"\npolicy = { tax = 90.0 }', "tax = 90 is outside [0, 8]"),
        ('use = "check"', 'use = "check"\npolicy = { taxes = 1.0 }', "did you mean 'tax'?"),
        ('use = "check"', 'use = "check"\nregime = "pigou"', "is no regime of pigou"),
        ('unit = "money"\nsource = "an estimate"\nuse = "check"', 'unit = "1"\nsource = "an estimate"\nuse = "check"\ncompare = "ratio"\nagainst = {}', "ratio needs two places that differ"),
        ('use = "check"', 'use = "check"\nagainst = {}', "against is given, but compare is 'level'"),
        ('unit = "money"\nsource = "an estimate"\nuse = "check"', 'unit = "1"\nsource = "an estimate"\nuse = "check"\ncompare = "elasticity"\npolicy = { tax = 1.0 }\nscale = { c = 2.0 }\nagainst = {}',
         "exactly one field that differs from against; differing: c, tax"),
        ('use = "check"', 'use = "check"\nscale = { c = -1.0 }', "must be a factor above 0"),
        ('between = ["quantity", "price"]', 'between = ["quantity", "prize"]', "'prize' is no target"),
        ("value = 0.5\n", "value = 1.5\n", "inside (-1, 1)"),
        ("b = [0.5, 2.0]", "b = [2.0, 0.5]", "the range of b is empty"),
        ("b = [0.5, 2.0]", "b = [0.5, 20.0]", "leaves its bounds"),
        ("b = [0.5, 2.0]", "bb = [0.5, 2.0]", "'bb' is no real parameter"),
        ("b = [0.5, 2.0]", "b = 1.0", "must be two numbers"),
        ('doc = "Demand."', 'base = "paper"', "is no set of pigou"),
        ('doc = "Demand."', 'method = "ols"', "none of gmm"),
        ('targets = ["price"]', 'targets = ["prices"]', "'prices' is no target"),
        ('targets = ["price"]', 'targets = ["welfare"]', "'welfare' has no standard error"),
        ("free = { a = [5.0, 20.0] }", "free = { a = [5.0, 20.0], c = [1.0, 4.0] }", "2 free parameters (a, c) and 1 moments"),
        ("[fit.first]", "[fitt.first]", "did you mean 'fit'?"),
        ('name = "pigou"', 'name = "pollution"', "for model 'pollution', not 'pigou'"),
    ],
)  # fmt: skip
def test_each_kind_of_wrong_entry_is_named(old, new, words):
    assert GOOD.count(old) >= 1
    problems = wrong(GOOD.replace(old, new, 1))
    assert len(problems) == 1 and words in problems[0], problems


def test_all_wrong_entries_are_named_at_once():
    text = (
        GOOD.replace("value = 8\n", "")
        .replace("0.3", "-0.3")
        .replace('"price"\nvalue', '"prize"\nvalue')
        .replace("b =", "bb =")
    )
    found = "\n".join(wrong(text))
    for words in ("value is missing", "standard_error = -0.3", "'prize' is no moment", "'bb' is no real parameter"):
        assert words in found


def test_a_bad_context_names_all_that_is_wrong_beside_the_targets():
    text = GOOD.replace("value = 8\n", "") + '[[context]]\nvalue = "much"\nlo = 1\ngrade = "Z"\nreason = 3\nyear = 1\n'
    problems = wrong(text)
    assert len(problems) == 8
    for words in ("value is missing", "context number 4: name is missing", "unit is missing", "source is missing", "reason = 3 must be text",
                  "grade = 'Z' is none of D, R, S, E", "value, lo is given", "year = 1 must be a whole number"):  # fmt: skip
        assert any(words in x for x in problems), words


def test_correlations_that_contradict_each_other_are_refused():
    more = '[[correlation]]\nbetween = ["{}", "{}"]\nvalue = {}\n'
    text = GOOD.replace("value = 0.5\n", "value = 0.9\n")
    text += more.format("quantity", "other survey", 0.9) + more.format("price", "other survey", -0.9)
    (problem,) = wrong(text)
    assert "contradict each other" in problem


def test_what_is_no_toml_and_what_is_no_file_say_so(tmp_path):
    assert "is not valid TOML" in wrong("[[target\n")[0]
    assert "cannot be read" in wrong(str(tmp_path / "none.toml"))[0]
    assert "must be written as [[target]]" in wrong("target = 1\n")[0]
    assert any("there is no [[target]]" in x for x in wrong("[model]\nname = 'pigou'\n"))


def test_a_problem_names_all_that_is_wrong_with_it():
    target = Target("price", "price", 2.0, 0.1, "money", "s")
    with pytest.raises(InputError) as error:
        moment_problem(MODEL, [target], {"bb": (0.5, 2.0), "c": (4.0, 1.0)}, seeds=0, seed=-1)
    found = "\n".join(error.value.problems)
    for words in (
        "seed = -1",
        "seeds = 0",
        "'bb' is no real",
        "the range of c is empty",
        "2 parameters are free and there are 1 moments",
    ):
        assert words in found
    with pytest.raises(InputError, match="no parameter is free"):
        moment_problem(MODEL, [target])


# What the collection of evidence holds and no moment measures: names by model, each of which must be kept with its number.
KEPT = {
    "intelligence_capital": {
        "price_fall_by_milestone": (9, 900), "price_fall_phd_science": (40,), "price_gpt35_level": (20, 0.07), "elasticity_tokens_two_years": (1.26,),
        "api_spend": (3.5, 8.4), "training_cost": (2.4,), "gpu_life_accounting": (5, 6), "months_in_top_ten": (0.583,),
        "margin_openai_path": (0.35, 0.52, 0.70), "margin_anthropic_path": (-0.90, 0.53), "margin_survey_path": (0.41, 0.45, 0.52),
        "hhi_path": (0.755, 0.466, 0.381), "multihoming_three": (0.81,), "agents_time_step": (0.1,), "agents_horizon": (20,),
    },
    "quasi_public_goods": {
        "consumer_surplus": (97, 116, 172), "nairr_budget": (2.6,), "industry_models": (0.6, 0.9), "research_spillover": (3, 4), "value_not_used": (25,),
    },
    "content_platform": {
        "youtube_random_top": (0.5,), "tail_youtube_random": (1.02, 1.12), "best_sellers_images": (0.6,), "download_image_ai": (1.94,),
        "download_image_human": (1.22,), "adopters_output": (0.25,), "adopters_favourites": (0.5,), "spotify_10k": (71200,),
        "supply_web_path": (0.05, 0.39, 0.503), "supply_music_path": (0.10, 0.18, 0.28, 0.34, 0.39, 0.44),
    },
    "supply_shock": {
        "posts_writers": (-0.3,), "posts_coders": (-0.2,), "posts_data_entry": (-0.13,), "posts_translation": (-0.19,), "posts_support": (-0.16,),
        "posts_video": (0.39,), "any_job_writing": (-0.012,), "jobs_taken_writing": (-0.047,), "trial_time": (-0.8,), "trial_quality": (0.4,),
        "humans": (50,), "periods": (200,), "unit_cost_ai": (0.05,),
    },
    "information_pollution": {
        "ahrefs_rank_ai": (0.046,), "ahrefs_rank_human": (0.135,), "ahrefs_rank_mixed": (0.819,), "detection_image": (0.5316,),
        "detection_audio": (0.6208,), "detection_video": (0.5731,), "unreliable_sites_path": (49, 125, 150, 583, 713, 1121, 3006),
    },
    "rent_seeking": {"monopoly_united_states": (0.13, 0.5), "fake_reviews_other": (0.3, 0.4)},
    "information_asymmetry": {"monitoring_cost": (93,), "hired_top_quintile": (-0.19,), "hired_bottom_quintile": (0.14,)},
    "ai_growth": {"robots_china": (0.5,), "search_google": (0.9,), "countries_with_strategy": (60,)},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(models()))
def test_the_targets_that_ship_are_valid_and_keep_what_no_moment_measures(name):
    found = read_targets(models()[name], Path(__file__).parent.parent / "calibration" / name / "targets.toml")
    for t in found.targets.values():
        assert t.source and t.year and t.grade
        # A standard error of a check, too, is reported by its source or judged; never both.
        assert math.isnan(t.standard_error) or t.reported != bool(t.judgment)
    for key, values in KEPT[name].items():
        assert found.context[key].values == values, key


@pytest.mark.parametrize("name", sorted(models()))
def test_the_page_shows_what_the_targets_keep(name):
    model = models()[name]
    kept = read_targets(model, Path(__file__).parent.parent / "calibration" / name / "targets.toml").context
    stored = stored_context(model)
    assert [(c.name, c.unit, c.year, c.source, c.grade, c.reason, c.dates) for c in stored] == [
        (c.name, c.unit, c.year, c.source, c.grade, c.reason, c.dates) for c in kept.values()
    ]
    for c in stored:
        np.testing.assert_allclose(c.values, kept[c.name].values, rtol=1e-7)
    page = beside(stored)
    assert f"{len(kept)} entries" in page and all(html.escape(c.reason) in page for c in stored)


def test_numbers_of_the_page():
    found = read_targets(MODEL, GOOD).context
    assert [numbers(c) for c in found.values()] == ["3", "1.5 to 2.5", "2019: 1, 2020.50: 1.5"]
    assert beside([]) == ""
