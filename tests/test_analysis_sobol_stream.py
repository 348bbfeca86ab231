"""Sobol indices from outputs that arrive in pieces, and the stopping rule."""

import numpy as np
import pytest
from functions import G_WEIGHTS, ISHIGAMI, ISHIGAMI_EDGE, SOBOL_G

from jaxecon import InputError, sensitivity
from jaxecon.analysis.sobol import saltelli_design, sobol_indices
from jaxecon.analysis.sobol_stream import SobolStream

K, N = 4, 2048


def outputs(second_order, outcomes=3):
    """G functions of the design, a level and a scale apart, and a constant: shape `[blocks, n, outcomes + 1]`."""
    x = saltelli_design(K, N, 3, second_order)
    g = np.prod((np.abs(4 * x - 2) + G_WEIGHTS) / (1 + G_WEIGHTS), axis=-1)
    return np.stack([*(1e3 * j + 10.0**j * g ** (1 + j / 2) for j in range(outcomes)), np.full_like(g, 0.1)], axis=-1)


def stream(y, piece, **options):
    found = SobolStream(K, **options)
    for start in range(0, N, piece):
        found.add(y[:, start : start + piece])
    return found


@pytest.mark.parametrize("second_order", [False, True])
def test_pieces_give_the_indices_of_the_whole(second_order):
    y = outputs(second_order)
    whole = sobol_indices(y[0], y[1], np.moveaxis(y[2 : 2 + K], 0, 1), np.moveaxis(y[2 + K :], 0, 1) if second_order else None)  # fmt: skip
    pieces = stream(y, 256).indices()
    names = ("first", "total") + (("second",) if second_order else ())
    for name in (*names, "mean", "std"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(pieces.mean, y[:2].mean(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(pieces.std, y[:2].std(axis=(0, 1)), rtol=1e-9, atol=1e-12)
    for name in names:
        ours, theirs = (np.nanmean(getattr(x, name + "_ci")[:3], axis=tuple(range(1, getattr(x, name).ndim))) for x in (pieces, whole))  # fmt: skip
        np.testing.assert_allclose(ours, theirs, rtol=0.2)
    assert np.all(pieces.first[3] == 0) and np.all(pieces.total[3] == 0), "a constant has no variance to share"


def test_one_piece_has_the_same_intervals():
    y = outputs(True)
    whole = sobol_indices(y[0], y[1], np.moveaxis(y[2 : 2 + K], 0, 1), np.moveaxis(y[2 + K :], 0, 1), seed=5)
    np.testing.assert_allclose(stream(y, N, seed=5).indices().second_ci, whole.second_ci, rtol=1e-9)


def test_groups_of_rows_give_the_same_indices_and_nearly_the_same_intervals():
    y = outputs(True)
    single, groups = (stream(y, 1024, resamples=400, group=g).indices() for g in (1, 16))
    for name in ("first", "total", "second"):
        np.testing.assert_allclose(getattr(groups, name), getattr(single, name), rtol=1e-9, atol=1e-10)
    ratio = groups.total_ci[:3] / single.total_ci[:3]
    assert np.all(abs(ratio - 1) < 0.35), "128 groups: a relative error of 6 % of each half-width"


def test_the_intervals_cover_the_truth_as_often_as_they_say():
    """48 designs: 95 % intervals of all indices of the G function, from pieces and groups."""
    part = 1 / (3 * (1 + G_WEIGHTS) ** 2)
    variance = np.prod(1 + part) - 1
    hits = []
    for seed in range(48):
        # Points at random: the intervals are those of independent rows, quasi-random points do better.
        rng = np.random.default_rng(seed)
        a, b = rng.random((2, 512, K))
        x = np.stack([a, b, *(np.where(np.arange(K) == j, b, a) for j in range(K))])
        y = np.prod((np.abs(4 * x - 2) + G_WEIGHTS) / (1 + G_WEIGHTS), axis=-1)[..., None]
        found = SobolStream(K, seed=seed, group=4)
        found.add(y[:, :256])
        found.add(y[:, 256:])
        one = found.indices()
        hits.append(np.abs(one.first[0] - part / variance) < one.first_ci[0])
    assert 0.85 < np.mean(hits) < 0.995


def test_failed_base_samples_drop_in_any_piece():
    y = outputs(True)
    y[3, 5, 1] = np.nan
    y[0, :256] = np.nan
    found = stream(y, 256)
    assert (found.base, found.kept) == (N, N - 256), "row 5 is among the first 256"
    rest = np.delete(y, slice(0, 256), axis=1)
    whole = sobol_indices(rest[0], rest[1], np.moveaxis(rest[2 : 2 + K], 0, 1), np.moveaxis(rest[2 + K :], 0, 1))
    np.testing.assert_allclose(found.indices().second, whole.second, rtol=1e-9, atol=1e-10)
    y = outputs(False)
    y[3, 300, 1] = np.nan
    rest = np.delete(y, 300, axis=1)
    whole = sobol_indices(rest[0], rest[1], np.moveaxis(rest[2:], 0, 1))
    np.testing.assert_allclose(stream(y, 256).indices().total, whole.total, rtol=1e-9, atol=1e-10)
    with pytest.raises(ValueError, match="no base sample"):
        SobolStream(K).indices()


def test_a_tolerance_stops_the_study():
    ds = sensitivity(SOBOL_G, samples=2**14, tolerance=0.1, seed=2, outcomes=["welfare"])
    looks = ds.base_samples.values
    assert looks[0] == 64 and np.all(looks[1:] == 2 * looks[:-1]) and looks[-1] == ds.attrs["samples"] < 2**14
    assert ds.attrs["converged"] == "yes" and ds.attrs["verdict"].startswith("converged")
    assert ds.attrs["evaluations"] == 6 * looks[-1]
    widest = np.maximum(ds.first_ci_path, ds.total_ci_path).max(["outcome", "parameter"])
    moved = np.maximum(abs(ds.first_path.diff("look")), abs(ds.total_path.diff("look"))).max(["outcome", "parameter"])
    assert widest[-1] <= 0.1 and moved[-1] <= 0.1 and np.all((widest[1:-1] > 0.1) | (moved[:-1] > 0.1))
    np.testing.assert_array_equal(ds.total_path[-1], ds.total)
    short = sensitivity(SOBOL_G, samples=128, tolerance=0.01, seed=2)
    assert short.attrs["converged"] == "no" and "raise samples" in short.attrs["verdict"]
    np.testing.assert_allclose(short.total, sensitivity(SOBOL_G, samples=128, seed=2).total, rtol=1e-10)


def test_failed_points_and_a_tolerance():
    ds = sensitivity(ISHIGAMI_EDGE, samples=512, tolerance=0.01, seed=1)
    assert ds.attrs["dropped"] > 0 and np.isfinite(ds.total_path).all()


def test_problems_of_the_tolerance_are_named():
    with pytest.raises(InputError, match="tolerance = -1"):
        sensitivity(ISHIGAMI, tolerance=-1)
    with pytest.raises(InputError, match="tolerance applies"):
        sensitivity(ISHIGAMI, "morris", tolerance=0.1)
