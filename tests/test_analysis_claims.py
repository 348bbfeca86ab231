"""Claims: margins, shares over the box, caps, parts, stochastic claims, maps."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pigou import MODEL, with_costly_claim

from jaxecon import InputError, claims
from jaxecon.analysis.boundary import influence_of
from jaxecon.core.model import Claim, claim_of_parts


@pytest.fixture(scope="module")
def found():
    return {c.id: c for c in claims(MODEL, draws=4000, seed=1)}


def test_verdicts_at_the_baseline(found):
    assert found["P1"].margin == pytest.approx(8 / 3) and found["P1"].holds is True and found["P1"].share == 1.0
    assert found["P2"].margin == pytest.approx(8 / 3 - 3.2) and found["P2"].holds is False
    assert list(found) == [c.id for c in MODEL.claims]


def test_the_share_is_that_of_the_box(found):
    rng = np.random.default_rng(0)
    a, b, c, d = (rng.uniform(lo, hi, 400_000) for lo, hi in ((7, 13), (0.7, 1.3), (1, 4), (0.5 / 3, 1.5)))
    assert found["P2"].share == pytest.approx(np.mean(d * (a - c) / (b + d) > 3.2), abs=0.01)
    assert found["P2"].draws == 4000 and found["P2"].solved == 1.0 and not found["P2"].capped
    assert found["P2"].quantiles["q50"] == pytest.approx(np.median(d * (a - c) / (b + d) - 3.2), abs=0.05)


def test_a_report_has_a_size_and_no_verdict(found):
    assert found["P3"].margin == pytest.approx(16 / 3) and found["P3"].holds is None and found["P3"].share is None
    assert found["P3"].quantiles["q05"] < found["P3"].quantiles["q95"]


def test_parents_take_the_smallest_part(found):
    parent, (one, two) = found["P4"], found["P4"].parts
    assert (one.id, two.id) == ("P4a", "P4b")
    assert parent.margin == min(one.margin, two.margin) == pytest.approx(0.3)
    assert parent.share is not None and parent.share < min(one.share, two.share)
    assert claims(MODEL, ["P4b"], draws=100)[0].margin == two.margin


def test_stochastic_claims_draw_their_own_keys(found):
    assert found["P5"].share == pytest.approx(0.75, abs=0.03)
    again = claims(MODEL, ["P5"], draws=4000, seed=1)[0]
    assert again.share == found["P5"].share and again.margin == found["P5"].margin
    assert claims(MODEL, ["P5"], draws=4000, seed=2)[0].margin != found["P5"].margin
    alone = claims(MODEL, ["P5"], draws=64, seed=1)[0]
    assert alone.margin == found["P5"].margin


def test_claims_that_share_a_joint_function_do_not_depend_on_which_are_asked_for():
    """One program for both; together and alone the same draws and margins, to the last digits that a compiler may round anew."""
    calls = []

    def joint(p, u, key):
        calls.append(1)
        noise = jax.random.normal(key, dtype=p.a.dtype)
        return {"Xa": p.a - 10 + noise, "Ya": noise}

    def whole(id):
        part = Claim(f"{id}a", "a part", "R", "region", lambda p, u, key: joint(p, u, key)[f"{id}a"])
        return claim_of_parts(id, "a whole", "R", "region", [part], joint=joint)

    model = dataclasses.replace(MODEL, claims=(whole("X"), whole("Y")))
    together = claims(model, draws=100, boundary=False)
    assert len(calls) == 1
    alone = [claims(model, [id], draws=100, boundary=False)[0] for id in ("X", "Y")]
    backwards = claims(model, ["Y", "X"], draws=100, boundary=False)[::-1]
    for one, two, three in zip(together, alone, backwards, strict=True):
        assert one.id == two.id == three.id
        for other in (two, three):
            assert other.margin == pytest.approx(one.margin, rel=1e-12)
            assert other.quantiles == pytest.approx(one.quantiles, rel=1e-12)
    assert together[1].quantiles != together[0].quantiles


def test_nan_margins_are_not_evaluated_and_said(found):
    assert found["P6"].solved == pytest.approx(0.5, abs=0.01) and found["P6"].share == 1.0
    assert "could not be evaluated on" in found["P6"].messages[0]
    here = claims(MODEL, "P6", draws=50, params=MODEL.params(c=3.0))[0]
    assert here.holds is None and here.to_dict()["margin"] is None and "given point" in here.messages[0]


def test_caps_are_said(found):
    assert found["P7"].draws == 8 and found["P7"].capped and "8 of 4000" in found["P7"].messages[0]
    assert found["P8"].draws == 0 and found["P8"].share is None and found["P8"].holds is True
    assert not claims(MODEL, ["P7"], draws=8)[0].capped


def test_the_map_is_over_the_two_that_matter(found):
    boundary = found["P2"].boundary
    assert boundary is not None and (boundary.x, boundary.y) == ("d", "a")
    d, a = np.meshgrid(boundary.x_values, boundary.y_values)
    np.testing.assert_allclose(boundary.margin, d * (a - 2) / (1 + d) - 3.2, rtol=1e-12)
    # `speed` moves no margin and is never named, whatever the draws look like; what holds everywhere depends on nothing.
    assert set(found["P2"].influence) == {"a", "b", "c", "d"} and found["P1"].influence == {}
    assert found["P1"].boundary is None and found["P3"].boundary is None and found["P7"].boundary is None
    assert claims(MODEL, ["P2"], draws=200, boundary=False)[0].boundary is None
    parts = found["P4"].boundary
    assert parts is not None and {parts.x, parts.y} == {"d", "a"}
    assert parts.margin.max() == pytest.approx(0.8 - 0.5 / 3)


def test_the_draws_themselves_show_the_boundary_of_a_costly_claim():
    """No margin is evaluated twice: the points are the draws on which the share rests."""
    found = claims(with_costly_claim(256), draws=1000)[0]
    boundary = found.boundary
    assert boundary is not None and (boundary.x, boundary.y) == ("d", "a") and boundary.margin.shape == (256,)
    a, d = boundary.y_values, boundary.x_values
    # At the draws b and c differ from the baseline: the sign agrees where d and a decide, not everywhere.
    assert np.mean(boundary.margin > 0) == found.share and 0 < found.share < 1
    assert np.mean((boundary.margin > 0) == (d * (a - 2) / (1 + d) > 3.2)) > 0.7
    assert claims(with_costly_claim(8), draws=1000)[0].boundary is None


def test_influence_finds_what_moves_the_margin():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(20_000, 3))
    shares = influence_of(("p", "q", "r"), x, np.exp(5 * (2 * x[:, 2] + x[:, 0])))
    # What moves nothing does not stand out from chance.
    few = influence_of(("p", "q", "r"), x[:200], 2 * x[:200, 2] + x[:200, 0])
    assert list(few)[:2] == ["r", "p"] and few["q"] == 0 < few["p"]
    assert set(influence_of(("p", "q"), x[:200, :2], rng.uniform(size=200)).values()) == {0.0}
    # Ranks undo the exponential: variance 4 : 1 : 0.
    assert list(shares) == ["r", "p", "q"] and shares["r"] == pytest.approx(0.8, abs=0.03)
    assert shares["p"] == pytest.approx(0.2, abs=0.03) and shares["q"] < 0.002


def test_priors_points_and_policies():
    flat = claims(MODEL, ["P2"], draws=256, prior={"d": (0.1, 0.2)})[0]
    assert flat.share == 0.0 and flat.margin == pytest.approx(8 / 3 - 3.2)
    steep = claims(MODEL, ["P2"], draws=64, params=MODEL.params(d=1.5))[0]
    assert steep.holds is True and steep.record["params"]["d"] == 1.5


def test_chunks_precision_reproducibility(found):
    many = claims(MODEL, ["P2"], draws=20_000, seed=1)[0]
    assert many.share == pytest.approx(found["P2"].share, abs=0.01)
    single = claims(MODEL, ["P2"], draws=4000, seed=1, precision="float32")[0]
    assert single.share == pytest.approx(found["P2"].share, abs=1e-3)
    assert claims(MODEL, ["P2"], draws=4000, seed=1)[0].quantiles == found["P2"].quantiles


def test_json_and_progress():
    seen = []
    results = claims(MODEL, draws=50, progress=lambda done, total, info: seen.append((done, total, info["id"])))
    assert [s[2] for s in seen] == [c.id for c in MODEL.claims] and seen[-1][:2] == (8, 8)
    rows = json.loads(json.dumps([c.to_dict() for c in results], allow_nan=False))
    wanted = {"id", "statement", "grade", "expectation", "margin", "holds", "share", "draws"}
    assert all(wanted <= set(row) for row in rows) and len(rows[3]["parts"]) == 2


def test_every_problem_is_named():
    with pytest.raises(InputError) as error:
        claims(MODEL, ["P22"], draws=0, prior={"zz": (0, 1), "a": (2, 1)})
    assert len(error.value.problems) == 4 and "did you mean 'P2'" in str(error.value)


def test_a_claim_of_parts_takes_the_smallest_judged_margin_and_the_tightest_cap():
    def part(margin, expectation="region", **more):
        return Claim("P", "a part", "R", expectation, lambda p, u, key: jnp.asarray(margin), **more)

    parts = [part(0.5, cost="path", max_draws=8), part(0.2), part(-3.0, "report", cost="agents")]
    whole = claim_of_parts("W", "a whole", "D", "region", parts)
    assert float(whole.margin(None, None, jax.random.key(0))) == 0.2
    assert (whole.cost, whole.max_draws, len(whole.parts)) == ("agents", 8, 3)
    assert claim_of_parts("W", "a whole", "D", "region", parts, max_draws=2).max_draws == 2
    assert claim_of_parts("W", "a whole", "D", "region", parts[1:2]).max_draws is None
