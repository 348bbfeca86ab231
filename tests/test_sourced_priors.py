"""Priors from sources in a file of targets: read, checked with every error at once, taken by the fits that they serve."""

import numpy as np
import pytest
from pigou import MODEL
from test_calibration_command import TARGETS

from calibration.package_data import targets_of
from jaxecon import InputError
from jaxecon.analysis.density import prior_of
from jaxecon.analysis.moment_problem import moment_problem
from jaxecon.analysis.targets import read_targets
from jaxecon.core.discovery import load, models

PRIORS = """
[fit.few]
free = { b = [0.5, 2.0], c = [1.0, 4.0] }

[prior.c]
value = 2.0
standard_error = 0.3
unit = "money"
year = 2024
grade = "E"
source = "a survey"
judgment = "as it says"

[prior.d]
value = 0.4
standard_error = 0.1
unit = "{unit}"
source = "another survey"
set = ["all"]
"""


def text(more=""):
    return TARGETS + PRIORS.replace("{unit}", MODEL.fields["d"].unit) + more


def test_priors_serve_the_fits_that_free_their_parameters():
    targets = read_targets(MODEL, text())
    all_, few = (targets.priors_of(targets.fits[n]) for n in ("all", "few"))
    assert set(all_) == {"c", "d"} and set(few) == {"c"}
    assert (all_["c"].source, all_["c"].year, all_["c"].judgment) == ("a survey", 2024, "as it says")
    prior = prior_of(moment_problem(MODEL, targets, "all"), all_)
    np.testing.assert_array_equal(prior.error, [np.inf, 0.3, 0.1])
    np.testing.assert_array_equal(prior.center[1:], [2.0, 0.4])
    assert not read_targets(MODEL, TARGETS).priors


def test_bad_priors_are_named_at_once():
    wrong = text("""
[prior.cost]
value = 1.0
[prior.b]
value = "one"
standard_error = 0
unit = "miles"
source = ""
sorce = "x"
grade = "Q"
year = 2024.5
set = ["few", "none"]
[prior.a]
value = 10.0
standard_error = 1.0
unit = "money"
source = "x"
set = ["few"]
""")
    with pytest.raises(InputError) as error:
        read_targets(MODEL, wrong)
    message = str(error.value)
    for words in (
        "'cost'", "[prior.cost] standard_error is missing", "[prior.cost] source is missing", "value = 'one'", "standard_error = 0",
        "unit = 'miles'", "source = ''", "'sorce' is unknown", "grade = 'Q'", "year = 2024.5", "'none'", "the fit 'few' does not free a",
    ):  # fmt: skip
        assert words in message, words
    far = text().replace("value = 2.0\nstandard_error = 0.3", "value = 90.0\nstandard_error = 0.3")
    with pytest.raises(InputError, match="lies outside the range") as error:
        read_targets(MODEL, far)
    assert len(error.value.problems) == 2
    with pytest.raises(InputError, match="must be written as"):
        read_targets(MODEL, TARGETS + "\n[prior]\nc = 2.0\n")


def test_the_priors_that_ship_serve_a_fit_each():
    served = set()
    for name in models():
        targets = targets_of(load(name))
        for p in targets.priors.values():
            fits = [f.name for f in targets.fits.values() if p.name in targets.priors_of(f)]
            assert fits and p.judgment, p.name
            served |= {(name, f, p.name) for f in fits}
    assert {("intelligence_capital", "shares", "delta_D"), ("quasi_public_goods", "evidence", "v_med")} <= served
