"""Figures have labelled axes; the report stands alone, agrees with its data files and survives a failing piece."""

import csv
import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from pigou import MODEL, with_costly_claim

from jaxecon import InputError, claims, plots, sensitivity, simulate, sweep
from jaxecon.report import study, write_report
from jaxecon.report.page import text
from jaxecon.report.study import Sizes


def _assert_labelled(figure: Figure, panels: int = 1) -> None:
    """At least `panels` visible axes, each with a label along x and a label or title for what is shown."""
    shown = [ax for ax in figure.axes if ax.get_visible() and ax.get_label() != "<colorbar>"]
    assert isinstance(figure, Figure) and len(shown) == panels
    for ax in shown:
        assert ax.get_xlabel()
        assert ax.get_ylabel() or ax.get_title() or any(t.get_text() for t in ax.get_yticklabels())
    figure.draw_without_rendering()


def test_lines_of_a_sweep():
    one = sweep(MODEL, {"tax": (0.0, 4.0, 5)})
    figure = plots.sweep_lines(one, ["welfare", "quantity"])
    _assert_labelled(figure, 2)
    assert figure.axes[0].get_xlabel() == "tax (money)" and figure.axes[0].get_ylabel() == "welfare (money)"
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), one.welfare)
    two = sweep(MODEL, {"tax": (0.0, 4.0, 5), "d": (0.2, 1.0, 3)})
    assert len(plots.sweep_lines(two, ["welfare"]).axes[0].lines) == 3
    with pytest.raises(ValueError, match="one or two axes"):
        plots.sweep_lines(sweep(MODEL, {"tax": (0.0, 4.0, 2), "d": (0.2, 1.0, 2), "c": (1.0, 2.0, 2)}), ["welfare"])


def test_the_map_hatches_what_is_not_solved():
    def hatched(found):
        figure = plots.sweep_map(found, "welfare")
        _assert_labelled(figure)
        return [h for c in figure.axes[0].collections for h in (getattr(c, "hatches", None) or [])]

    assert not hatched(sweep(MODEL, {"c": (1.0, 4.0, 6), "tax": (0.0, 4.0, 5)}))
    assert "///" in hatched(sweep(MODEL, {"c": (1.0, 20.0, 6), "tax": (0.0, 4.0, 5)}))
    with pytest.raises(ValueError, match="two axes"):
        plots.sweep_map(sweep(MODEL, {"tax": (0.0, 4.0, 5)}), "welfare")


def test_paths_show_the_middle_of_the_seeds():
    _assert_labelled(plots.path_bands(simulate(MODEL, steps=8), ["quantity_path"]))
    runs = simulate(MODEL, "agents", n=30, periods=6, seeds=5)
    figure = plots.path_bands(runs, ["share_buying"])
    _assert_labelled(figure)
    middle = np.median(runs.share_buying, axis=0)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), middle)
    assert len(figure.axes[0].collections) == 1


def test_a_density_lies_over_time():
    path = simulate(MODEL, steps=4)
    skill = np.linspace(0.0, 1.0, 6)
    density = path.quantity_path.expand_dims(skill=skill).transpose("time", "skill").rename("density")
    figure = plots.density_map(path.assign(density=density), "density")
    _assert_labelled(figure)
    assert figure.axes[0].get_xlabel() == "time (years)"


def test_bars_of_sensitivities():
    exact = sensitivity(MODEL, "elasticities", outcomes=["welfare"])
    figure = plots.elasticity_bars(exact, "welfare", top=3)
    _assert_labelled(figure)
    names = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    values = [bar.get_width() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(values, exact.elasticity.sel(outcome="welfare", parameter=names))
    assert np.all(np.diff(np.abs(values)) >= 0)
    sobol = sensitivity(MODEL, "sobol", samples=16, outcomes=["welfare"])
    _assert_labelled(plots.sobol_bars(sobol, "welfare"))
    morris = sensitivity(MODEL, "morris", samples=8, outcomes=["welfare"])
    _assert_labelled(plots.morris_scatter(morris, "welfare"))


def test_few_entries_are_lines():
    path = xr.Dataset(
        {"data": (("time", "provider"), np.ones((4, 3)), {"long_name": "data", "units": "D_0"})},
        coords={"time": np.arange(4.0), "provider": [1.0, 2.0, 3.0]},
    )
    figure = plots.entry_lines(path, "data")
    _assert_labelled(figure)
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["provider 1", "provider 2", "provider 3"]


def test_the_margin_map_draws_its_boundary():
    found = claims(MODEL, ["P2"], draws=200)[0]
    figure = plots.margin_map(found.boundary, found.id)
    _assert_labelled(figure)
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("d", "a")
    assert len(figure.axes[0].collections) == 2


def test_draws_of_a_costly_claim_are_points():
    found = claims(with_costly_claim(64), draws=64)[0]
    figure = plots.margin_map(found.boundary, found.id)
    _assert_labelled(figure)
    holds, fails = figure.axes[0].collections
    assert len(holds.get_offsets()) + len(fails.get_offsets()) == 64
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["holds", "fails"]


def test_policies_compared():
    figure = plots.comparison_bars({"none": 2.0, "tax": 5.0, "ban": 1.0}, "welfare (money)", reference="none")
    _assert_labelled(figure)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [-1.0, 3.0]


class _Page(HTMLParser):
    """Tables as rows of text, addresses, anchors and all the words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows, self.links, self.anchors, self.words, self.in_cell = [], [], [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.links += [(tag, given[k]) for k in ("src", "href") if k in given]
        self.anchors += [given["id"]] if "id" in given else []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, data):
        self.words += data
        if self.in_cell:
            self.rows[-1][-1] += data.strip()


def _broken(p, u):
    raise ArithmeticError("no <b>such</b> study")


SICK = dataclasses.replace(
    MODEL,
    title="Pigou & <i>co</i>",
    studies={"broken": _broken, "double": lambda p, u: {"twice the cost": 2 * p.c}},
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    seen = []
    path = write_report(
        [SICK], folder / "r.html", quick=True, full=True, progress=lambda done, total, info: seen.append((done, total))
    )
    assert seen and all(0 < done <= total for done, total in seen)
    page = path.read_text(encoding="utf-8")
    return page, _Page(page), json.loads((folder / "r_data" / "pigou.json").read_text()), folder / "r_data"


def test_the_report_stands_alone(written):
    page, parsed, _, _ = written
    assert parsed.links and all(link.startswith(("data:image/", "#")) for _, link in parsed.links)
    assert {link[1:] for tag, link in parsed.links if tag == "a"} <= set(parsed.anchors)
    assert not re.search(r"@import|url\(|<script|<link", page)
    assert "could not be drawn" not in page


def test_the_page_and_the_data_agree(written):
    _, parsed, data, folder = written
    rows: dict[str, list[str]] = {}
    for row in parsed.rows:
        rows.setdefault(row[0], row)
    for claim in data["claims"]:
        assert text(claim["margin"]) in rows[claim["id"]] and text(claim["share"]) in rows[claim["id"]]
    assert text(data["optimum"]["instruments"]["tax"]) == rows["tax"][1]
    assert data["optimum"]["instruments"]["tax"] == pytest.approx(8 / 3, abs=1e-4)
    assert text(data["regimes"]["pigou_tax"]["welfare"]) in rows["pigou tax"]
    assert rows["twice the cost"][1] == text(data["studies"]["double"]["twice the cost"]) == "4"
    assert f"solved: {data['certificate']['solved']}" in parsed.words
    with (folder / "pigou_regimes.csv").open() as file:
        table = {row["regime"]: row for row in csv.DictReader(file)}
    assert float(table["pigou_tax"]["welfare"]) == data["regimes"]["pigou_tax"]["welfare"]
    with (folder / "pigou_agents_crowd.csv").open() as file:
        assert {"seed", "share_buying"} <= set(csv.DictReader(file).fieldnames or ())
    boundary = data["boundaries"]["P2"]
    assert (boundary["x"], boundary["y"]) == ("d", "a")
    d, a = np.meshgrid(boundary["x_values"], boundary["y_values"])
    np.testing.assert_allclose(boundary["margin"], d * (a - 2) / (1 + d) - 3.2, rtol=1e-12)


def test_a_failing_piece_is_shown_and_loses_nothing_else(written):
    page, parsed, data, _ = written
    assert "no <b>such</b> study" in data["failed"]["study: broken"]
    assert "no <b>such</b> study" in parsed.words and "no &lt;b&gt;such" in page
    assert "<i>co</i>" not in page and "Pigou & <i>co</i>" in parsed.words
    assert list(data["failed"]) == ["study: broken"]


def test_the_report_is_the_same_where_programs_are_released_between_pieces(monkeypatch):
    sizes = Sizes(draws=8, samples=8, seed=0, starts=1, seeds=2, steps=3, full=True)
    released = []
    kept = study.run_studies([MODEL], sizes, lambda _: None)[0]
    monkeypatch.setattr(study, "crowded", lambda: True)
    monkeypatch.setattr(study, "release_programs", lambda: released.append(True))
    again = study.run_studies([MODEL], sizes, lambda _: None)[0]
    assert len(released) == len(again.seconds) and again.seconds.keys() == kept.seconds.keys()
    assert again.failed == kept.failed and again.studies == kept.studies
    assert [c.to_dict() for c in again.claims] == [c.to_dict() for c in kept.claims]


def test_every_claim_is_on_the_page(written):
    _, parsed, data, _ = written
    first = [row[0] for row in parsed.rows if row]
    assert all(claim.id in first for claim in MODEL.claims) and not data["not_evaluated"]


def test_a_place_that_cannot_be_written_is_said_before_computing(tmp_path):
    def never(*_):
        raise AssertionError("nothing may be computed")

    (tmp_path / "q_data").write_text("a file")
    for path in (tmp_path / "missing" / "r.html", tmp_path, tmp_path / "q.html"):
        with pytest.raises(InputError, match="report"):
            write_report([MODEL], path, quick=True, progress=never)
