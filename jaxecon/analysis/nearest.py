"""How far the given point is from the boundary of a condition: the shortest way over it, with a certificate."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxecon.analysis.conditions import Condition, Landscape, landscape_of, record_of
from jaxecon.analysis.designs import count_problems, inputs_of, quasi_random, seed_problems

# Largest KKT residual, in units of the box, that certifies a point; distances that count as equal.
CERTAIN, EQUAL = 1e-6, 1e-5
# Shares of a step that are tried at once.
TRIED = 0.5 ** np.arange(8)
VERDICTS = {
    "FOUND": "the nearest point found satisfies the first-order conditions",
    "NOT_CONVERGED": "a point over the boundary was found, but no first-order conditions hold at the nearest one",
    "NO_BOUNDARY": "the condition has the same sign at all sampled points where it is defined",
    "UNDEFINED": "the condition is not defined at the given point",
}


@dataclasses.dataclass(frozen=True)
class _Ends:
    """Where each search ended: points, distances, KKT residuals, multipliers."""

    z: np.ndarray
    distance: np.ndarray
    kkt: np.ndarray
    multiplier: np.ndarray


def project(here: np.ndarray, slope: np.ndarray, target: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Nearest points to `here` in the box with `slope @ z = target`, one a row, and their multipliers.

    They are `clip(here + m slope)`, and `slope @ z` rises with m: bisection.
    """
    least = np.min(np.where(np.abs(slope) > 1e-12 * np.max(np.abs(slope), axis=1, keepdims=True), np.abs(slope), np.inf), axis=1)  # fmt: skip
    top = 2 * np.max(hi - lo) / least
    a, b = -top, top
    for _ in range(100):
        m = (a + b) / 2
        below = np.sum(slope * np.clip(here + m[:, None] * slope, lo, hi), axis=1) < target
        a, b = np.where(below, m, a), np.where(below, b, m)
    m = (a + b) / 2
    return np.clip(here + m[:, None] * slope, lo, hi), m


def _cross(landscape: Landscape, beyond: np.ndarray, sign: float) -> np.ndarray:
    """Points next to the boundary on the way from the given point to points beyond it, by bisection."""
    a, b = np.zeros(len(beyond)), np.ones(len(beyond))
    for _ in range(12):
        m = (a + b) / 2
        value = landscape.values(landscape.here + m[:, None] * (beyond - landscape.here))
        same = value * sign > 0
        a, b = np.where(same, m, a), np.where(same, b, m)
    return landscape.here + b[:, None] * (beyond - landscape.here)


def _search(landscape: Landscape, z: np.ndarray, scale: float, steps: int) -> _Ends:
    """Successive projections on the linearized boundary, with shorter steps where the penalized distance would grow."""
    here, n = landscape.here, len(z)
    lo, hi = np.minimum(0.0, here), np.maximum(1.0, here)
    penalty = np.zeros(n)
    kkt, multiplier = np.full(n, np.inf), np.full(n, np.nan)
    for step in range(steps + 1):
        value, slope = landscape.slopes(z)
        good = np.isfinite(value) & np.isfinite(slope).all(axis=1) & (np.abs(slope).max(axis=1) > 0)
        slope = np.where(good[:, None], slope, 1.0)
        new, m = project(here, slope, np.where(good, np.sum(slope * z, axis=1) - value, 0.0), lo, hi)
        kkt = np.where(good, np.maximum(np.max(np.abs(new - z), axis=1), np.abs(value) / scale), np.inf)
        multiplier = np.where(good, m, np.nan)
        if step == steps or np.all((kkt <= 1e-3 * CERTAIN) | ~good):
            break
        penalty = np.maximum(penalty, np.where(good, 2 * np.abs(m), 0.0))
        tried = z[:, None] + TRIED[:, None] * (np.where(good[:, None], new, z) - z)[:, None]
        found = landscape.values(tried.reshape(-1, z.shape[1])).reshape(n, -1)
        merit = np.sum((tried - here) ** 2, axis=2) / 2 + penalty[:, None] * np.abs(found)
        best = np.argmin(np.where(np.isfinite(merit), merit, np.inf), axis=1)
        z = np.where((kkt > 1e-3 * CERTAIN)[:, None], tried[np.arange(n), best], z)
    return _Ends(z, np.linalg.norm(z - here, axis=1), kkt, multiplier)


def distance_to_threshold(
    what: Condition,
    *,
    names: Sequence[str] | None = None,
    params: Any = None,
    policy: Any = None,
    prior: Mapping[str, tuple[float, float]] | None = None,
    samples: int = 256,
    starts: int = 4,
    steps: int = 100,
    seed: int = 0,
) -> xr.Dataset:
    r"""The shortest way from the given point to where a condition changes sign, within the prior box.

    $\min_z \tfrac12 |z - z_0|^2$ subject to $g(z) = 0$ and $z$ in the box, each parameter in units of its range.

    **Arguments**

    - `names`: what may move; default: all parameters with a prior box. `prior` replaces boxes.
    - `samples`: quasi-random points that look for the other side; the search starts from the crossings on the way to the
      `starts` nearest of them and takes at most `steps` steps.

    **Returns** `distance` (1: the full range of one parameter); by `parameter` the `nearest` point, `here`, the `move` in
    units of the range and the `share` of the squared distance; `kkt_residual` and `multiplier` of the certificate;
    `agreement`: share of the starts that end at this distance; `sampled`: distance of the nearest sampled point beyond.
    The attribute `verdict` says which of `VERDICTS` holds; distances are NaN without a boundary. Raises `InputError`.
    """
    model = what.model
    problems = count_problems(samples=samples, starts=starts, steps=steps) + seed_problems(seed)
    if names is None:
        names = [n for n, f in inputs_of(model).items() if f.role == "parameter" and f.box and f.layer == "equilibrium"]
        names += [n for n in prior or () if n not in names]
    landscape = landscape_of(what, names, params, policy, prior, problems)
    here, k = landscape.here, len(landscape.box.names)
    unit = quasi_random(k, seed).random(1 << (samples - 1).bit_length())
    values = landscape.values(np.concatenate([here[None], unit]))
    level, drawn = float(values[0]), values[1:]
    finite = drawn[np.isfinite(drawn)]
    scale = float(np.max(np.abs([*finite, level]))) if np.isfinite(level) else 1.0
    beyond = unit[np.isfinite(drawn) & (drawn * level <= 0)] if level else unit[:0]
    beyond = beyond[np.argsort(np.linalg.norm(beyond - here, axis=1))]
    nearest, kkt, multiplier, agreement, verdict = np.full(k, np.nan), np.nan, np.nan, np.nan, "NO_BOUNDARY"
    if not np.isfinite(level):
        verdict = "UNDEFINED"
    elif level == 0:
        nearest, kkt, multiplier, agreement, verdict = here, 0.0, 0.0, 1.0, "FOUND"
    elif len(beyond):
        ends = _search(landscape, _cross(landscape, beyond[:starts], np.sign(level)), scale or 1.0, steps)
        certain = ends.kkt <= CERTAIN
        verdict = "FOUND" if certain.any() else "NOT_CONVERGED"
        size = np.where(certain if certain.any() else np.isfinite(ends.kkt), ends.distance, np.inf)
        best = int(np.argmin(size))
        nearest, kkt, multiplier = ends.z[best], float(ends.kkt[best]), float(ends.multiplier[best])
        agreement = float(np.mean(certain & (np.abs(ends.distance - size[best]) <= EQUAL * (1 + size[best]))))
    move = nearest - here
    distance = float(np.linalg.norm(move))
    box, fields = landscape.box, inputs_of(model)
    dataset = xr.Dataset(
        {
            "distance": ((), distance, {"units": "1", "doc": "Euclidean, parameters in units of their ranges"}),
            "nearest": ("parameter", box.scale(nearest), {"doc": "the nearest point of the boundary found"}),
            "here": ("parameter", box.scale(here), {"doc": "the given point"}),
            "move": ("parameter", move, {"units": "1", "doc": "in units of the range"}),
            "share": ("parameter", move**2 / (distance**2 or 1.0), {"doc": "share of the squared distance"}),
            "value": ((), level, {"doc": "the condition at the given point"}),
            "kkt_residual": ((), kkt, {"units": "1", "doc": "largest of the distance to the nearest point of the linearized boundary and the condition in units of its size"}),
            "multiplier": ((), multiplier, {"doc": "of the condition"}),
            "agreement": ((), agreement, {"doc": "share of the starts that end at this distance"}),
            "sampled": ((), float(np.linalg.norm(beyond[0] - here)) if len(beyond) else np.nan, {"doc": "distance of the nearest sampled point beyond"}),
        },
        coords={
            "parameter": list(box.names), "unit": ("parameter", [fields[n].unit for n in box.names]),
            "lo": ("parameter", box.lo), "hi": ("parameter", box.hi),
        },
    )  # fmt: skip
    dataset.attrs = record_of(
        landscape, verdict=verdict, doc=VERDICTS[verdict], seed=int(seed), samples=len(unit), beyond=len(beyond),
        undefined=int(np.sum(~np.isfinite(drawn))), scale=scale,
    )  # fmt: skip
    return dataset
