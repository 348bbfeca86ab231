"""Where a condition of a model changes sign: roots along one parameter, curves over two, gradients of the boundary."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxecon.analysis.conditions import Condition, Landscape, landscape_of, record_of
from jaxecon.analysis.designs import count_problems, inputs_of, name_problems
from jaxecon.core.model import Model

# Size of a condition, in units of its largest size over the scan, that counts as zero; where the search goes on to.
ROOT, AIM = 1e-9, 1e-13
# Longest and shortest step of a curve in units of the box; the least cosine between the tangents of two points.
LONGEST, SHORTEST, BEND = 1 / 40, 1e-5, 0.95
Prior = Mapping[str, tuple[float, float]]


def bracketed_roots(landscape: Landscape, axis: int, lo: np.ndarray, hi: np.ndarray, scale: float) -> np.ndarray:
    """Roots along one axis of the cube through the given point, one in each interval `lo`, `hi` of opposite signs.

    Newton steps that stay inside the bracket and halve, bisection otherwise; NaN where the condition is not defined.
    """
    line = np.repeat(landscape.here[None], len(lo), axis=0)

    def at(x: np.ndarray) -> np.ndarray:
        points = line.copy()
        points[:, axis] = x
        return points

    a, b = np.array(lo, float), np.array(hi, float)
    rising = landscape.values(at(b)) > 0
    x, before = (a + b) / 2, b - a
    for _ in range(120):
        value, slope = landscape.slopes(at(x))
        slope = slope[:, axis]
        above = (value > 0) == rising
        a, b = np.where(above, a, x), np.where(above, x, b)
        done = (np.abs(value) <= AIM * scale) | (b - a <= 1e-15) | np.isnan(value)
        if np.all(done):
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = x - value / slope
        good = (newton > a) & (newton < b) & (np.abs(newton - x) <= before / 2)
        step = np.where(good, newton, (a + b) / 2)
        x, before = np.where(done, x, step), np.where(done, before, np.abs(step - x))
    return np.where(np.isnan(value), np.nan, x)


def threshold(
    what: Condition,
    parameter: str,
    *,
    names: Sequence[str] | None = None,
    params: Any = None,
    policy: Any = None,
    prior: Prior | None = None,
    scan: int = 65,
) -> xr.Dataset:
    r"""Values of one parameter or instrument at which a condition changes sign, and how they move with the others.

    **Arguments**

    - `names`: the other parameters and instruments by which the root is differentiated; default: those with a prior box.
    - `prior` replaces boxes; `scan`: points along the box of `parameter` between which a change of sign is looked for (two
      roots within one interval are missed).

    **Returns** by `root`: `value`; `residual` (size of the condition in units of its largest over the scan); `kind`: 0 a
    root, 1 a jump over zero, 2 not defined inside the bracket; `slope`; by `root` and `other` the `gradient`
    $dx^*/d\theta = -g_\theta/g_x$ of the implicit function theorem and its `elasticity`. Raises `InputError`.
    """
    model = what.model
    problems = name_problems([parameter], _real(model), f"real parameter or instrument of {model.name}")
    problems += count_problems(scan=scan)
    if names is None:
        names = [n for n, f in _real(model).items() if f.role == "parameter" and f.box and f.layer == "equilibrium"]
        names += [n for n in prior or () if n not in names]
    chosen = [parameter, *(n for n in names if n != parameter)] if not problems else names
    landscape = landscape_of(what, chosen, params, policy, prior, problems)
    line = np.repeat(landscape.here[None], scan + 1, axis=0)
    line[:, 0] = np.linspace(0.0, 1.0, scan + 1)
    values = landscape.values(line)
    finite = np.isfinite(values)
    scale = float(np.max(np.abs(values[finite]), initial=0.0)) or 1.0
    positive = values > 0
    change = np.flatnonzero(finite[:-1] & finite[1:] & (positive[:-1] != positive[1:]))
    box, others = landscape.box, list(landscape.box.names[1:])
    roots = bracketed_roots(landscape, 0, line[change, 0], line[change + 1, 0], scale) if len(change) else np.zeros(0)
    points = np.repeat(landscape.here[None], len(roots), axis=0)
    points[:, 0] = roots
    value, slope = landscape.slopes(points) if len(roots) else (np.zeros(0), np.zeros((0, len(box.names))))
    residual = np.abs(value) / scale
    kind = np.where(np.isnan(residual), 2, np.where(residual <= ROOT, 0, 1))
    slope = slope / (box.hi - box.lo)
    at, x = box.scale(landscape.here)[1:], box.lo[0] + roots * (box.hi[0] - box.lo[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = np.where((kind == 0)[:, None], -slope[:, 1:] / slope[:, :1], np.nan)
        elasticity = np.where(x[:, None] != 0, gradient * at / x[:, None], np.nan)
    unit, wide = inputs_of(model)[parameter].unit, ("root", "other")
    dataset = xr.Dataset(
        {
            "value": ("root", x, {"units": unit, "long_name": parameter}),
            "residual": ("root", residual, {"units": "1"}),
            "kind": ("root", kind, {"doc": "0 a root, 1 a jump over zero, 2 not defined inside the bracket"}),
            "slope": ("root", slope[:, 0], {"doc": f"derivative of the condition by {parameter}"}),
            "gradient": (wide, gradient, {"doc": f"d {parameter} / d other along the boundary, exact"}),
            "elasticity": (wide, elasticity, {"doc": f"d ln {parameter} / d ln other along the boundary"}),
        },
        coords={"other": others, "at": ("other", at)},
    )
    dataset.attrs = record_of(
        landscape, parameter=parameter, lo=float(box.lo[0]), hi=float(box.hi[0]), scanned=len(values),
        undefined=int(np.sum(~finite)), scale=scale,
    )  # fmt: skip
    return dataset


def _real(model: Model) -> dict[str, Any]:
    return {n: f for n, f in inputs_of(model).items() if f.kind == "real"}


def _onto(landscape: Landscape, z: np.ndarray, scale: float, steps: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Points `[n, k]` moved onto the boundary along the gradient, and which of them arrived inside the cube."""
    for _ in range(steps):
        value, slope = landscape.slopes(z)
        size = np.sum(slope**2, axis=1)
        if np.all((np.abs(value) <= AIM * scale) | ~np.isfinite(value)):
            break
        move = np.nan_to_num(value / np.where(size > 0, size, np.inf))[:, None] * slope
        z = z - move * np.minimum(1.0, 0.1 / np.maximum(np.linalg.norm(move, axis=1), 1e-30))[:, None]
    value, _ = landscape.slopes(z)
    return z, (np.abs(value) <= ROOT * scale) & np.all((z >= 0) & (z <= 1), axis=1)


class _March:
    """One boundary curve over the unit square, followed from a point on it in both directions."""

    def __init__(self, landscape: Landscape, scale: float, steps: int) -> None:
        self.landscape, self.scale, self.steps = landscape, scale, steps

    def tangent(self, z: np.ndarray) -> np.ndarray:
        _, slope = self.landscape.slopes(z[None])
        along = np.array([-slope[0, 1], slope[0, 0]])
        return along / np.linalg.norm(along)

    def correct(self, guess: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
        """Newton on the condition and on the line through `guess` at right angles to `normal`: point, tangent, success."""
        z, along, length, value = guess, normal, 0.0, np.inf
        for _ in range(9):
            value, slope = (x[0] for x in self.landscape.slopes(z[None]))
            along = np.array([-slope[1], slope[0]])
            length = float(np.linalg.norm(along))
            if abs(value) <= 10 * AIM * self.scale:
                break
            matrix = np.stack([slope, normal])
            if not (np.isfinite(value) and abs(np.linalg.det(matrix)) > 1e-14 * length):
                return z, normal, False
            step = np.linalg.solve(matrix, np.array([value, normal @ (z - guess)]))
            if np.linalg.norm(step) > 4 * LONGEST:
                return z, normal, False
            z = z - step
        good = bool(abs(value) <= ROOT * self.scale and 0 < length < np.inf)
        return z, along / length if good else normal, good

    def to_edge(self, inside: np.ndarray, outside: np.ndarray) -> np.ndarray | None:
        """The point of the curve on the edge of the square between two of its points."""
        edges = np.clip(outside, 0.0, 1.0)
        left = np.flatnonzero(edges != outside)
        shares = (edges - inside)[left] / (outside - inside)[left]
        axis, share = left[np.argmin(shares)], np.min(shares)
        guess = inside + share * (outside - inside)
        guess[axis] = edges[axis]
        z, _, good = self.correct(guess, np.eye(2)[axis])
        return np.clip(z, 0.0, 1.0) if good else None

    def follow(self, start: np.ndarray, direction: float) -> tuple[list[np.ndarray], str]:
        """Points after `start` and why they end: `edge`, `closed`, `stuck` (a corner, or the condition is not defined), `steps`."""
        z, tangent = start, direction * self.tangent(start)
        first, size, points = tangent, LONGEST / 2, []
        while len(points) < self.steps:
            new, along, good = self.correct(z + size * tangent, tangent)
            along = along * np.sign(along @ tangent)
            if not good or along @ tangent < BEND or np.linalg.norm(new - z) > 2 * size:
                size /= 2
                if size < SHORTEST:
                    return points, "stuck"
                continue
            if np.any((new < 0) | (new > 1)):
                edge = self.to_edge(z, new)
                return points + ([] if edge is None else [edge]), "edge"
            gap = start - z
            if len(points) > 2 and 0 < gap @ tangent and np.linalg.norm(gap) <= 1.1 * size and along @ first > 0.5:
                return [*points, start], "closed"
            points.append(new)
            z, tangent, size = new, along, min(LONGEST, 1.4 * size)
        return points, "steps"

    def curve(self, start: np.ndarray) -> tuple[np.ndarray, str]:
        ahead, end = self.follow(start, 1.0)
        if end == "closed":
            return np.array([start, *ahead]), end
        behind, other = self.follow(start, -1.0)
        return np.array([*behind[::-1], start, *ahead]), f"{other}, {end}"


def _apart(z: np.ndarray, curves: list[np.ndarray]) -> bool:
    """Whether a point of the boundary lies on none of the curves found."""
    for points in curves:
        if len(points) < 2:
            continue
        a, d = points[:-1], np.diff(points, axis=0)
        t = np.clip(np.sum((z - a) * d, axis=1) / np.maximum(np.sum(d**2, axis=1), 1e-300), 0, 1)
        if np.min(np.linalg.norm(z - a - t[:, None] * d, axis=1)) < 0.1 * LONGEST:
            return False
    return True


def _crossings(field: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Points of the edges of a grid `[i, j]` at which the field changes sign, by linear interpolation; `[n, 2]`."""
    found = []
    for turned in (False, True):
        f = field.T if turned else field
        a, b = f[:-1], f[1:]
        i, j = np.nonzero(np.isfinite(a) & np.isfinite(b) & ((a > 0) != (b > 0)))
        along = axis[i] + (axis[i + 1] - axis[i]) * a[i, j] / (a[i, j] - b[i, j])
        pair = np.stack([along, axis[j]], axis=1)
        found.append(pair[:, ::-1] if turned else pair)
    return np.concatenate(found)


def threshold_curve(
    what: Condition,
    x: str,
    y: str,
    *,
    params: Any = None,
    policy: Any = None,
    prior: Prior | None = None,
    grid: int = 17,
    steps: int = 2000,
) -> xr.Dataset:
    """The boundary of a condition over two parameters or instruments, the others as given.

    Pseudo-arclength continuation with exact derivatives, through turning points, from every change of sign on a coarse
    grid of `grid` x `grid` points that no curve has passed; at most `steps` points each way.

    **Returns** by `point`: both coordinates by name, `curve` (number of the curve), `residual`, `gradient` (d y / d x along
    the boundary, exact); the attribute `ends` says of each curve whether it closed or where it stopped. Raises `InputError`.
    """
    problems = count_problems(grid=grid, steps=steps)
    if not problems and grid < 2:
        problems.append("grid = 1 must be at least 2")
    landscape = landscape_of(what, [x, y], params, policy, prior, problems)
    axis = np.linspace(0.0, 1.0, grid)
    mesh = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    field = landscape.values(mesh.reshape(-1, 2)).reshape(grid, grid)
    scale = float(np.max(np.abs(field[np.isfinite(field)]), initial=0.0)) or 1.0
    curves: list[np.ndarray] = []
    ends: list[str] = []
    candidates = _crossings(field, axis)
    if len(candidates):
        candidates, good = _onto(landscape, candidates, scale)
        march = _March(landscape, scale, steps)
        for z in candidates[good]:
            if _apart(z, curves):
                points, end = march.curve(z)
                curves.append(points)
                ends.append(end)
    z = np.concatenate(curves) if curves else np.zeros((0, 2))
    value, slope = landscape.slopes(z) if len(z) else (np.zeros(0), np.zeros((0, 2)))
    box, fields = landscape.box, inputs_of(what.model)
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = -slope[:, 0] / slope[:, 1] * (box.hi[1] - box.lo[1]) / (box.hi[0] - box.lo[0])
    at = box.scale(z)
    dataset = xr.Dataset(
        {
            x: ("point", at[:, 0], {"units": fields[x].unit, "symbol": fields[x].symbol}),
            y: ("point", at[:, 1], {"units": fields[y].unit, "symbol": fields[y].symbol}),
            "curve": ("point", np.repeat(np.arange(len(curves)), [len(c) for c in curves])),
            "residual": ("point", np.abs(value) / scale, {"units": "1"}),
            "gradient": ("point", gradient, {"doc": f"d {y} / d {x} along the boundary, exact"}),
        }
    )
    dataset.attrs = record_of(
        landscape, x=x, y=y, curves=len(curves), ends=ends, scale=scale, undefined=int(np.sum(~np.isfinite(field)))
    )
    return dataset
