"""Scenario discovery: known boxes, steps by hand, an independent search, the EMA workbench's boxes, sweeps and claims."""

import sys
import warnings
from itertools import product

import numpy as np
import pytest
from pigou import MODEL
from scipy.stats import binomtest

from jaxecon import InputError, claim_draws, claims, discover, sweep
from jaxecon.analysis.boxes import Rules
from jaxecon.analysis.cells import cells_of
from jaxecon.analysis.designs import prior_draws
from jaxecon.analysis.prim import peel_boxes
from jaxecon.core.optional import MissingPackageError


def study(seed, reals=3, integers=0, choices=0, n=600, digits=None):
    """Inputs and a noisy box of interest."""
    rng = np.random.default_rng(seed)
    data = {f"x{j}": rng.random(n) for j in range(reals)}
    data = {k: v if digits is None else np.round(v, digits) for k, v in data.items()}
    data |= {f"i{j}": rng.integers(-4, 8, n) for j in range(integers)}
    data |= {f"c{j}": np.array(list("abcd"))[rng.integers(0, 4, n)] for j in range(choices)}
    hit = np.ones(n, bool)
    if reals:
        hit &= (data["x0"] > 0.3) & (data["x0"] < 0.9)
    if integers:
        hit &= data["i0"] >= 0
    if choices:
        hit &= np.isin(data["c0"], ["a", "b"])
    return data, hit ^ (rng.random(n) < 0.05)


def plain_quantile(data, share):
    data = np.sort(data)
    low, high = int(np.floor((len(data) - 1) * share)), int(np.ceil((len(data) - 1) * share))
    while share > 0.5 and data[low] == data[high] and low > 0:
        low -= 1
    while share <= 0.5 and data[low] == data[high] and high < len(data) - 1:
        high += 1
    return (data[low] + data[high]) / 2


def plain_inside(data, box):
    inside = np.ones(len(next(iter(data.values()))), bool)
    for name, limit in box.items():
        x = data[name]
        inside &= np.isin(x, sorted(limit)) if isinstance(limit, frozenset) else (limit[0] <= x) & (x <= limit[1])
    return inside


def plain_peels(data, box, rules):
    """All smaller boxes, by name and side: the limit at the quantile, of whole numbers at the next one that is left."""
    inside = plain_inside(data, box)
    for name, limit in box.items():
        x = data[name][inside]
        if isinstance(limit, frozenset):
            yield from ({**box, name: limit - {value}} for value in sorted(limit) if len(limit) > 1)
            continue
        top, bottom = plain_quantile(x, 1 - rules.peel_alpha), plain_quantile(x, rules.peel_alpha)
        if x.dtype.kind == "i":
            top, bottom = int(top), int(bottom)
            below = x[x < limit[1]] if top == limit[1] else x[x <= top]
            above = x[x > limit[0]] if bottom == limit[0] else x[x >= bottom]
            # No value left: the box is empty, whatever its limits.
            top = below.max() if len(below) else -np.inf
            bottom = above.min() if len(above) else np.inf
        yield {**box, name: (limit[0], top)}
        yield {**box, name: (bottom, limit[1])}


def plain_pastes(data, box, whole, rules):
    """All larger boxes: a restricted side moves out to a quantile of the cells beyond it, or a value comes back."""
    if not any(box[n] != whole[n] and data[n].dtype.kind == "f" for n in box):
        return
    for name in (n for n in box if box[n] != whole[n]):
        limit, all_of_it, x = box[name], whole[name], data[name]
        if isinstance(limit, frozenset):
            yield from ({**box, name: limit | {value}} for value in sorted(all_of_it - limit))
            continue
        beyond = x[plain_inside(data, {**box, name: (all_of_it[0], limit[0])})]
        low = plain_quantile(beyond, 1 - rules.paste_alpha) if len(beyond) else all_of_it[0]
        yield {**box, name: (low, limit[1])}
        beyond = x[plain_inside(data, {**box, name: (limit[1], all_of_it[1])})]
        high = plain_quantile(beyond, rules.paste_alpha) if len(beyond) else all_of_it[1]
        yield {**box, name: (limit[0], high)}


def plain_prim(data, interest, rules):
    """One box by looking at every candidate at full length: the boxes of every step."""
    whole = {n: frozenset(x.tolist()) if x.dtype.kind == "U" else (x.min(), x.max()) for n, x in data.items()}
    total, box, steps = len(interest), whole, [whole]

    def score(new):
        old_y, new_y = interest[plain_inside(data, box)], interest[plain_inside(data, new)]
        mean_new = np.mean(new_y) if len(new_y) else 0.0
        gain, lost = mean_new - np.mean(old_y), abs(len(old_y) - len(new_y))
        worth = {
            "original": mean_new if len(new_y) else -1.0,
            "lenient1": gain / lost if gain else 0.0,
            "lenient2": len(new_y) * gain / lost if gain else 0.0,
        }[rules.objective]
        return worth, -sum(new[n] != whole[n] for n in new)

    for pasting in (False, True):
        while True:
            candidates = list(plain_pastes(data, box, whole, rules) if pasting else plain_peels(data, box, rules))
            if not candidates:
                break
            best = max(candidates, key=score)
            old_y, new_y = interest[plain_inside(data, box)], interest[plain_inside(data, best)]
            moved = len(new_y) > len(old_y) and np.mean(new_y) > np.mean(old_y) if pasting else len(new_y) < len(old_y)
            if not (moved and len(new_y) / total >= rules.mass_min and score(best)[0] > 0):
                break
            box = best
            steps.append(box)
    return steps


def boxes_of(path, columns, step):
    return {
        c.name: frozenset(np.array(c.labels)[path.allowed[j][step]].tolist())
        if c.kind == "choice"
        else tuple(path.limits[step, j])
        for j, c in enumerate(columns)
    }


def test_a_known_box_is_recovered():
    rng = np.random.default_rng(3)
    data = {f"x{j}": rng.random(8000) for j in range(5)}
    hit = (data["x1"] > 0.35) & (data["x1"] < 0.8) & (data["x3"] < 0.5)
    found = discover(data, hit, density=0.9)
    box = found.boxes[0]
    assert set(box.limits) == {"x1", "x3"}
    np.testing.assert_allclose(box.limits["x1"], (0.35, 0.8), atol=0.03)
    np.testing.assert_allclose(box.limits["x3"], (0.0, 0.5), atol=0.03)
    assert box.density > 0.98 and box.coverage > 0.9
    np.testing.assert_array_equal(box.contains(data).sum(), box.cells)
    assert box.of_interest == np.sum(hit & box.contains(data)) and box.mass == box.cells / 8000
    # The two sides of x1 and the upper side of x3 matter, the lower side of x3 is open.
    assert max(box.quasi_p["x1"]) < 1e-10 and box.quasi_p["x3"][1] < 1e-10 and np.isnan(box.quasi_p["x3"][0])


def test_peeling_by_hand():
    """x = 0..9, of interest from 5 on: a tenth is (n - 1)/10 ranks in, between the lowest two; 5 of 5 at p = 1/2."""
    found = discover({"x": np.arange(10.0)}, np.arange(10) >= 5, peel_alpha=0.1, mass_min=0.5)
    steps = found.trajectories[0]
    assert [s.limits.get("x", (0.0, 9.0))[0] for s in steps] == [0.0, 0.5, 1.5, 2.5, 3.5, 4.5]
    assert [s.density for s in steps] == [5 / n for n in (10, 9, 8, 7, 6, 5)]
    assert [s.phase for s in steps] == ["start"] + ["peel"] * 5
    assert steps[-1].quasi_p["x"][0] == pytest.approx(0.5**5) and found.coverage == 1.0


def test_pasting_by_hand():
    """One peel leaves 2..8; the cell at 1.9 is of interest, so it comes back, the one at 0 does not."""
    x = np.array([0.0, 1.9, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    hit = np.array([0, 1, 1, 1, 0, 1, 1, 1, 1], bool)
    found = discover({"x": x}, hit, peel_alpha=0.2, paste_alpha=0.05, mass_min=0.7, density=0.5)
    last = found.trajectories[0][-1]
    assert [s.phase for s in found.trajectories[0]] == ["start", "peel", "paste"]
    assert found.trajectories[0][1].limits["x"] == (1.95, 8.0) and last.limits["x"] == (0.95, 8.0)
    assert (last.cells, last.of_interest) == (8, 7)


@pytest.mark.parametrize(
    "shape, objective",
    [
        *product([dict(), dict(digits=1), dict(reals=2, choices=2)], ["lenient1", "lenient2", "original"]),
        (dict(reals=2, integers=2), "lenient1"),
        (dict(reals=1, integers=2, choices=1), "lenient2"),
        (dict(reals=0, integers=2, choices=1), "lenient1"),
    ],
)
def test_every_step_is_that_of_a_search_at_full_length(shape, objective):
    data, hit = study(11, **shape)
    rules = Rules(peel_alpha=0.07, paste_alpha=0.03, mass_min=0.08, density=0.2, objective=objective)
    columns = cells_of(data, hit, None, None).columns
    paths = peel_boxes(columns, hit, rules, 1)
    expected = plain_prim(data, hit, rules)
    assert len(expected) > 5 and len(paths[0].n) == len(expected)
    for step, box in enumerate(expected):
        assert boxes_of(paths[0], columns, step) == box
        inside = plain_inside(data, box)
        assert (paths[0].n[step], paths[0].k[step]) == (inside.sum(), hit[inside].sum())
    np.testing.assert_array_equal(paths[0].inside, plain_inside(data, expected[-1]))


@pytest.mark.parametrize("shape", [dict(), dict(reals=2, integers=1, choices=1)])
def test_quasi_p_is_a_binomial_test_against_the_box_without_the_restriction(shape):
    data, hit = study(5, **shape)
    found = discover(data, hit, density=0.3, boxes=1)
    for step in found.trajectories[0][1:]:
        for name, limit in step.limits.items():
            for side in (0,) if found.kinds[name] == "choice" else (0, 1):
                wide = dict(step.limits)
                if found.kinds[name] == "choice":
                    wide[name] = found.ranges[name]
                elif limit[side] == found.ranges[name][side]:
                    assert np.isnan(step.quasi_p[name][side])
                    continue
                else:
                    wide[name] = tuple(found.ranges[name][side] if s == side else limit[s] for s in (0, 1))
                inside = plain_inside(data, {n: frozenset(v) if isinstance(v[0], str) else v for n, v in wide.items()})
                p = binomtest(step.of_interest, step.cells, hit[inside].mean(), alternative="greater").pvalue
                assert step.quasi_p[name][side] == pytest.approx(p, rel=1e-10)


def test_further_boxes_are_found_among_what_is_left():
    """The second box is the first box of the remaining cells, but for the shares of the whole."""
    data, hit = study(2, n=2000)
    hit |= data["x2"] > 0.9
    found = discover(data, hit, density=0.5, boxes=2, mass_min=0.05)
    first, second = found.boxes
    rest = ~first.contains(data)
    # The same smallest number of cells.
    share = 0.05 * 2000 / rest.sum()
    again = discover({n: x[rest] for n, x in data.items()}, hit[rest], density=0.5, boxes=1, mass_min=share)
    assert again.boxes[0].cells == second.cells and again.boxes[0].of_interest == second.of_interest
    assert second.mass == second.cells / 2000 and found.coverage == first.coverage + second.coverage


@pytest.mark.parametrize("shape", [dict(), dict(digits=1), dict(reals=2, choices=2), dict(reals=2, integers=2)])
@pytest.mark.parametrize("objective", ["lenient1", "lenient2", "original"])
def test_boxes_are_those_of_the_ema_workbench(shape, objective):
    pd = pytest.importorskip("pandas")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prim = pytest.importorskip("ema_workbench.analysis.prim")
        if shape.get("integers") and int(pd.__version__.split(".")[0]) >= 3:
            pytest.skip("the EMA workbench cannot paste integers with this pandas")
        data, hit = study(7, n=2000, **shape)
        alg = prim.Prim(pd.DataFrame(data), hit, 0.4, obj_function=prim.PRIMObjectiveFunctions(objective))
        theirs = [box for box in (alg.find_box(), alg.find_box()) if len(box.box_lims) > 1]
    found = discover(data, hit, density=0.4, boxes=2, objective=objective)
    assert len(theirs) == len(found.boxes) > 0
    for box, steps in zip(theirs, found.trajectories, strict=True):
        table = box.peeling_trajectory
        assert len(table) == len(steps)
        for s, step in enumerate(steps):
            row = table.iloc[s]
            assert (step.coverage, step.density, step.mass) == (row.coverage, row.density, row.mass)
            for name, kind in found.kinds.items():
                limit, ours = box.box_lims[s][name], step.limits.get(name, found.ranges[name])
                assert set(ours) == limit[0] if kind == "choice" else list(ours) == limit.to_list()
                p = box.qp[s].get(name, [-1, -1])
                np.testing.assert_allclose(np.nan_to_num(step.quasi_p.get(name, (np.nan,) * 2), nan=-1), p, rtol=1e-10)


@pytest.fixture(scope="module")
def market():
    axes = {"a": (1.0, 20.0, 20), "c": (0.0, 6.0, 9), "market": ["competitive", "monopoly"], "tax": (0.0, 8.0, 5)}
    return sweep(MODEL, axes)


def test_a_sweep_with_its_units_and_failed_cells(market):
    found = discover(market, ("welfare", ">", 20.0), boxes=2)
    assert found.cells == market.status.size and found.left_out == {"NO_TRADE": int((market.status != 0).sum())}
    assert found.used == found.cells - found.left_out["NO_TRADE"]
    assert found.of_interest == int((market.welfare > 20).sum())
    assert found.kinds == {"a": "real", "c": "real", "tax": "real", "market": "choice"}
    assert {r["units"] for r in found.table() if r["input"] == "a"} == {"money"}
    assert found.labels["tax"] == {"symbol": "tax", "units": "money", "long_name": "tax"}
    box = found.boxes[0]
    points = {n: market[n].broadcast_like(market.welfare).values for n in found.kinds}
    inside = box.contains(points) & (market.status.values == 0)
    assert inside.sum() == box.cells and (inside & (market.welfare.values > 20)).sum() == box.of_interest
    assert found.record["target"] == "welfare > 20.0" and found.record["study_model"] == "pigou"


def test_targets_as_condition_function_and_booleans_agree(market):
    stacked = market.stack(point=("a", "c", "market", "tax")).reset_index("point")
    ways = [
        (market, ("welfare", ">", 20.0)), (market, lambda d: d.welfare > 20), (market, market.welfare > 20),
        (market, (market.welfare > 20).transpose("tax", ...)), (market, (market.welfare > 20).values),
        (stacked, ("welfare", ">", 20.0)),
    ]  # fmt: skip
    tables = [discover(data, target, boxes=1).table() for data, target in ways]
    assert all(str(t) == str(tables[0]) for t in tables) and tables[0]


def test_cells_that_are_not_known_are_left_out_and_counted():
    data, hit = study(4)
    y = hit.astype(float)
    y[:7] = np.nan
    data["x1"][5:10] = np.nan
    found = discover(data, y, density=0.3, boxes=1)
    assert found.left_out == {"the target is not known": 7, "x1 is not finite": 3} and found.used == 590
    same = discover({n: x[10:] for n, x in data.items()}, hit[10:], density=0.3, boxes=1)
    assert same.boxes[0].limits == found.boxes[0].limits and found.boxes[0].mass == found.boxes[0].cells / 590
    outcome = np.where(np.isnan(y), np.nan, y * 3)
    by_value = discover({**data, "y": outcome}, ("y", ">=", 2), density=0.3, boxes=1)
    by_function = discover({**data, "y": outcome}, lambda d: d["y"] >= 2, inputs=list(data), density=0.3, boxes=1)
    # As text: NaN, an open side, equals nothing.
    assert str(by_value.boxes) == str(found.boxes) == str(by_function.boxes)
    assert by_function.left_out == {"y is not finite": 7, "x1 is not finite": 3}


def test_draws_of_a_claim():
    draws = claim_draws(MODEL, "P2", draws=400, seed=3)
    result = claims(MODEL, ["P2"], draws=400, seed=3, boundary=False)[0]
    assert float((draws.margin > 0).mean()) == result.share
    np.testing.assert_allclose(np.quantile(draws.margin, 0.5), result.quantiles["q50"], rtol=1e-12)
    found = discover(draws, ("margin", ">", 0), boxes=1)
    assert list(found.kinds) == ["a", "b", "c", "d", "speed"] and found.labels["d"]["units"] == "money/unit"
    # d (a - c)/(b + d) > 3.2 where demand and damage are large.
    assert found.boxes[0].limits["d"][0] > 0.5 and found.boxes[0].quasi_p["d"][0] < 1e-6
    sample = prior_draws(MODEL, 400, 3)
    same = discover(sample, draws.margin.values > 0, boxes=1, model=MODEL)
    assert str(same.boxes) == str(found.boxes) and same.labels["d"]["units"] == "money/unit"
    parts = claims(MODEL, ["P4"], draws=200, boundary=False)[0]
    assert float((claim_draws(MODEL, "P4", draws=200).margin > 0).mean()) == parts.share
    with pytest.raises(InputError, match="P9"):
        claim_draws(MODEL, "P9")


def test_dataset_and_table():
    data, hit = study(6, reals=2, choices=1)
    found = discover(data, hit, density=0.3)
    ds = found.to_dataset()
    assert ds.sizes["box"] == len(found.boxes) > 1
    for b, box in enumerate(found.boxes):
        last = ds.isel(box=b, step=int(ds.last_step[b]))
        assert float(last.coverage) == box.coverage and float(last.cells) == box.cells
        assert bool(np.isnan(ds.isel(box=b).density[int(ds.last_step[b]) + 1 :]).all())
        for name, limit in box.limits.items():
            if found.kinds[name] == "choice":
                inside = [v for v in found.ranges[name] if bool(last.allowed.sel(value=f"{name}={v}"))]
                assert tuple(inside) == limit
            else:
                assert (float(last.lower.sel(input=name)), float(last.upper.sel(input=name))) == limit
    rows = found.table()
    assert len(rows) == sum(len(b.limits) for b in found.boxes)
    choice = next(r for r in rows if r["input"] == "c0")
    assert choice["lower"] is None and choice["allowed"] == found.boxes[choice["box"]].limits["c0"] != ()


def test_no_box_is_dense_enough():
    rng = np.random.default_rng(0)
    found = discover({"x": rng.random(500)}, rng.random(500) < 0.2, density=0.9)
    assert found.boxes == () and found.coverage == 0 and found.table() == [] and found.to_dataset().sizes["box"] == 0


def test_bad_input_names_every_problem(market):
    with pytest.raises(InputError) as caught:
        discover(market, ("welfare", ">", 0), density=2, mass_min=0, peel_alpha=0.5, boxes=0, method="pram", seed=-1)
    for word in ("density = 2", "mass_min = 0", "peel_alpha = 0.5", "boxes = 0", "did you mean 'prim'", "seed = -1"):
        assert word in str(caught.value)
    x = np.arange(10.0)
    for data, target, inputs, word in [
        (market, ("welfar", "<", 1), None, "did you mean 'welfare'"), (market, ("welfare", "=", 1), None, "'='"),
        (market, ("welfare", "<", np.inf), None, "must be finite"), (market, ("welfare", "<"), None, "must be (outcome"),
        (market, ("welfare", "<", "x"), None, "must be a number"), (market, ("a", "<", 3), None, "is an input"),
        (market, ("welfare", "<", -1e9), None, "none is of interest"), (market, lambda d: d.welfare, None, "Boolean"),
        (market, np.zeros(3, bool), None, "shape (3,)"), (market, ("welfare", "<", 1), ["b"], "'b' is no coordinate"),
        ({"x": x}, x > -1, None, "every one"), ({"x": x, "z": x[:5]}, x > 3, None, "equal lengths"),
        ({"x": x}, x > 3, [], "no input"), (3, x > 3, None, "not int"), ({"y": x}, ("y", ">", 2), None, "no input"),
    ]:  # fmt: skip
        with pytest.raises(InputError) as caught:
            discover(data, target, inputs=inputs)
        assert word in str(caught.value), str(caught.value)
    box = discover({"x": x}, x > 3, mass_min=0.3).boxes[0]
    with pytest.raises(InputError, match="missing from the points"):
        box.contains({"z": x})


def test_a_tree_partitions_the_study(market):
    pytest.importorskip("sklearn")
    everything = discover(market, ("welfare", ">", 20.0), method="tree", density=1e-9)
    points = {n: market[n].broadcast_like(market.welfare).values for n in everything.kinds}
    solved = market.status.values == 0
    inside = np.stack([b.contains(points) for b in everything.boxes])
    # Leaves without any cell of interest are not boxes; no cell of interest is in two or in none.
    assert np.all(inside.sum(axis=0)[solved & (market.welfare.values > 20)] == 1) and inside.sum(axis=0).max() == 1
    assert everything.coverage == pytest.approx(1.0)
    for box, cells in zip(everything.boxes, inside, strict=True):
        assert (cells & solved).sum() == box.cells and box.mass >= 0.05 and box.phase == "leaf"
    dense = discover(market, ("welfare", ">", 20.0), method="tree", density=0.9)
    assert [b.density for b in dense.boxes] == sorted((b.density for b in dense.boxes), reverse=True)
    assert all(b.density >= 0.9 for b in dense.boxes) and len(dense.boxes) < len(everything.boxes)


def test_a_tree_recovers_a_box_of_every_kind():
    pytest.importorskip("sklearn")
    data, _ = study(9, reals=2, integers=1, choices=1, n=4000)
    hit = (data["x1"] > 0.4) & (data["i0"] >= 2) & (data["c0"] == "b")
    box = discover(data, hit, method="tree", mass_min=0.01, density=0.99).boxes[0]
    assert set(box.limits) == {"x1", "i0", "c0"} and box.limits["c0"] == ("b",) and box.limits["i0"] == (2, 7)
    assert box.limits["x1"][0] == pytest.approx(0.4, abs=0.01) and box.coverage == 1.0


def test_a_tree_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.tree", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'jaxecon\[trees\]'"):
        discover({"x": np.arange(10.0)}, np.arange(10) > 3, method="tree")
