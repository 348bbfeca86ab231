"""What each method of `sensitivity` computes: points from the box, outputs of the model, estimates as labelled variables."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any

import numpy as np

from jaxecon.analysis.batch import CHUNK, Response, evaluate_many, evaluate_rows
from jaxecon.analysis.convergence import Looks
from jaxecon.analysis.copula import Copula
from jaxecon.analysis.designs import Box, Progress, get_values, quasi_random
from jaxecon.analysis.saved import SavedStudy
from jaxecon.analysis.screening import elementary_effects, morris_design, morris_indices
from jaxecon.analysis.shapley import ShapleySums, shapley_design, shapley_effects, shapley_sums
from jaxecon.analysis.sobol import resample_counts, saltelli_blocks
from jaxecon.analysis.sobol_stream import SobolStream
from jaxecon.analysis.subspace import active_subspace
from jaxecon.core.errors import InputError
from jaxecon.core.model import SOLVED, Model

Variables = dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]
PAIR = ("outcome", "parameter")
# Base samples at which convergence is first looked at: those of a small piece of a study with a tolerance.
FIRST_LOOK = 64
# Numbers of a piece of a study with so many outcomes that it would take too much memory otherwise.
NUMBERS = 2**25
# Outcomes from which base samples are resampled in groups; the largest group, and the fewest groups of a study and of a piece.
MANY_OUTCOMES, GROUP, GROUPS, GROUPS_OF_PIECE = 100, 16, 64, 16


@dataclasses.dataclass(frozen=True)
class Task:
    """One sensitivity analysis after validation."""

    model: Model
    response: Response
    outcomes: tuple[str, ...]
    box: Box
    copula: Copula
    p: Any
    u: Any
    samples: int
    second_order: bool
    resamples: int
    seed: int
    tolerance: float | None
    progress: Progress | None
    group: int | None = None
    dates: int = 1
    saved: SavedStudy | None = None

    @property
    def columns(self) -> list[int]:
        """Where the chosen outcomes stand in a row, by outcome and date."""
        place = {n: i for i, n in enumerate(self.response.fields())}
        return [place[n] * self.dates + t for n in self.outcomes for t in range(self.dates)]

    @property
    def power_of_two(self) -> int:
        """Samples, rounded up: quasi-random points are balanced at powers of two."""
        return 1 << (self.samples - 1).bit_length()

    def chosen(self, rows: np.ndarray) -> np.ndarray:
        """The chosen outcomes, largest residual and status of rows of all outcomes."""
        return rows[..., [*self.columns, -2, -1]]

    def evaluate(self, unit: np.ndarray, slopes: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """Rows at points of the unit cube, any leading shape."""
        rows, found = self.evaluate_at(self.box.scale(unit.reshape(-1, unit.shape[-1])), slopes)
        return rows.reshape(*unit.shape[:-1], -1), found

    def evaluate_at(self, points: np.ndarray, slopes: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Rows (the chosen outcomes, largest residual, status) and derivatives at points, shape `[n, k]`."""
        rows, found = evaluate_many(
            self.response, self.p, self.u, self.box.names, points, slopes=slopes, progress=self.progress
        )
        return self.chosen(rows), None if found is None else found[:, self.columns]

    def evaluate_piece(self, unit: np.ndarray, done: int, total: int) -> tuple[np.ndarray, np.ndarray]:
        """Outcomes and status at points of the unit cube, one piece of a study of `total` points after `done` of them;
        outcomes are NaN where the point failed."""
        points = self.box.scale(unit.reshape(-1, unit.shape[-1]))
        rows = self.chosen(evaluate_rows(self.response, self.p, self.u, self.box.names, points, study=total))
        if self.progress is not None:
            self.progress(done + len(points), total, {"points": done + len(points)})
        values = np.where(rows[:, -1:] == SOLVED, rows[:, :-2], np.nan)
        return values.reshape(*unit.shape[:-1], -1), rows[:, -1].astype(np.int16)


def _sizes(n: int, points: int, outcomes: int, looks: bool) -> tuple[int, int]:
    """Samples of a small and of a large piece of `n` samples of so many points with so many outcomes each."""
    most = min(CHUNK, max(NUMBERS // outcomes, 1))
    limit = min(n, 1 << (max(most // points, 1).bit_length() - 1))
    return (min(FIRST_LOOK, limit), min(8 * FIRST_LOOK, limit)) if looks else (limit, limit)


def _pieces(n: int, points: int, outcomes: int, looks: bool = False) -> Iterator[tuple[int, int]]:
    """Start and stop of pieces of `n` samples of so many points each: as many as one call of the model takes. With `looks`
    they are small at first and end at every power of two; of two sizes only, for each is compiled."""
    small, large = _sizes(n, points, outcomes, looks)
    start = 0
    while start < n:
        size = small if start < large else large
        yield start, start + size
        start += size


def _tally(status: np.ndarray) -> Counter[int]:
    """How many points have which status."""
    codes, counts = np.unique(status, return_counts=True)
    return Counter(dict(zip(codes.astype(int).tolist(), counts.tolist(), strict=True)))


def _counts(task: Task, status: Counter[int], samples: int, kept: int) -> dict[str, Any]:
    """Attributes: evaluations, failures by reason, samples kept. Raises if too few are left."""
    failed = {task.model.reason(code)[0]: count for code, count in sorted(status.items()) if code != SOLVED}
    if kept < 2:
        why = ", ".join(f"{k}: {v}" for k, v in failed.items())
        message = f"only {kept} of {samples} samples solved everywhere ({why}); narrow the ranges or add samples"
        raise InputError([message], f"the sensitivity analysis of {task.model.name}")
    return {
        "samples": samples,
        "dropped": samples - kept,
        "evaluations": status.total(),
        "failed": failed,
    }


def _bootstrap(task: Task) -> str:
    return f"half-width of the 95 % interval, {task.resamples} bootstrap resamples"


def _level(mean: Any, std: Any) -> Variables:
    return {
        "mean": (("outcome",), mean, {"doc": "mean over the prior box"}),
        "std": (("outcome",), std, {"doc": "standard deviation over the prior box"}),
    }


def _group(task: Task, n: int, piece: int) -> int:
    """Base samples that are resampled together: one, and of many outcomes as many as leave enough groups. Raises where the
    given number does not divide a piece into two groups or more."""
    if task.group is None:
        few = len(task.columns) <= MANY_OUTCOMES
        return 1 if few else max(min(GROUP, n // GROUPS, piece // GROUPS_OF_PIECE), 1)
    if task.group > 1 and (piece % task.group or piece < 2 * task.group):
        message = f"group = {task.group} must be a power of two, at most {piece // 2} with so many samples; lower it"
        raise InputError([message], f"the sensitivity analysis of {task.model.name}")
    return task.group


def _sobol(task: Task) -> tuple[Variables, dict[str, Any]]:
    n, k, outcomes = task.power_of_two, len(task.box.names), len(task.columns)
    blocks = 2 + k * (1 + task.second_order)
    group = _group(task, n, _sizes(n, blocks, outcomes, task.tolerance is not None)[0])
    sequence, stream = quasi_random(2 * k, task.seed), SobolStream(k, task.resamples, task.seed, group)
    status, looks = Counter[int](), Looks(task.tolerance or 0.0)
    if task.saved is not None and task.saved.state:
        stream.restore(task.saved.state)
        looks.restore(task.saved.state)
        status.update(dict(task.saved.state["status"].T.tolist()))
        sequence.fast_forward(stream.base)
    for start, stop in _pieces(n, blocks, outcomes, looks=task.tolerance is not None):
        if start < stream.base:
            continue
        if looks.converged:
            break
        base = sequence.random(stop - start)
        design = saltelli_blocks(base[:, :k], base[:, k:], task.second_order)
        # One failure drops its base sample in all blocks: the estimators compare the blocks row by row.
        y, codes = task.evaluate_piece(design, start * blocks, n * blocks)
        stream.add(y)
        status.update(_tally(codes))
        if task.tolerance and stop & (stop - 1) == 0 and stop >= min(n, FIRST_LOOK) and stream.kept > 1:
            looks.add(stop, stream.indices())
        if task.saved is not None:
            counts = np.array(sorted(status.items())).T
            task.saved.save({**stream.state(), **looks.state(), "status": counts})
    about = _counts(task, status, stream.base, stream.kept) | {"group": group}
    found, interval = stream.indices(), _bootstrap(task)
    variables: Variables = {
        "first": (PAIR, found.first, {"long_name": "first-order share of variance"}),
        "first_ci": (PAIR, found.first_ci, {"doc": interval}),
        "total": (PAIR, found.total, {"long_name": "total-order share of variance"}),
        "total_ci": (PAIR, found.total_ci, {"doc": interval}),
    }
    if task.second_order:
        wide = (*PAIR, "parameter_2")
        variables["second"] = (wide, found.second, {"long_name": "interaction share of variance"})
        variables["second_ci"] = (wide, found.second_ci, {"doc": interval})
    variables |= _level(found.mean, found.std)
    if task.tolerance:
        variables, about = variables | looks.variables(), about | looks.about()
    return variables, about


def _shapley(task: Task) -> tuple[Variables, dict[str, Any]]:
    n, k = task.power_of_two, len(task.box.names)
    sequence = quasi_random(2 * k, task.seed)
    sums: ShapleySums | None = None
    status, kept = Counter[int](), 0
    for start, stop in _pieces(n, k + 1, len(task.columns)):
        seed = (task.seed, start)
        design = shapley_design(sequence.random(stop - start), task.copula, seed)
        y, codes = task.evaluate_piece(design.points, start * (k + 1), n * (k + 1))
        more, good = shapley_sums(design, y, task.resamples, seed)
        sums = more if sums is None else sums + more
        status.update(_tally(codes))
        kept += int(good.sum())
    about = _counts(task, status, n, kept)
    assert sums is not None
    found = shapley_effects(sums)
    return {
        "shapley": (PAIR, found.effect, {"long_name": "Shapley effect", "doc": "share of the variance; they add up to one"}),
        "shapley_ci": (PAIR, found.effect_ci, {"doc": _bootstrap(task)}),
        **_level(found.mean, found.std),
    }, about  # fmt: skip


def _morris(task: Task) -> tuple[Variables, dict[str, Any]]:
    design = morris_design(len(task.box.names), task.samples, task.seed)
    rows, _ = task.evaluate(design.points)
    kept = np.all(np.isfinite(rows[..., :-2]).all(axis=-1) & (rows[..., -1] == SOLVED), axis=1)
    about = _counts(task, _tally(rows[..., -1]), kept.size, int(kept.sum()))
    effects = elementary_effects(design, rows[..., :-2])[kept]
    found = morris_indices(effects, resamples=task.resamples, seed=task.seed)
    docs = {
        "mu": "mean elementary effect: change of the outcome per full range of the parameter",
        "mu_star": "mean absolute elementary effect",
        "mu_star_ci": _bootstrap(task),
        "sigma": "standard deviation of the elementary effects: curvature and interactions",
    }
    return {n: (PAIR, getattr(found, n), {"doc": doc}) for n, doc in docs.items()}, about


def _gradients(task: Task) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Outcomes and exact derivatives at points of the box, those that solved."""
    unit = task.copula.correlate(quasi_random(len(task.box.names), task.seed).random(task.power_of_two))
    rows, slopes = task.evaluate(unit, slopes=True)
    assert slopes is not None
    kept = np.isfinite(rows[:, :-2]).all(axis=1) & (rows[:, -1] == SOLVED) & np.isfinite(slopes).all(axis=(1, 2))
    about = _counts(task, _tally(rows[..., -1]), kept.size, int(kept.sum()))
    return rows[kept, :-2], slopes[kept], about


def _derivative(task: Task) -> tuple[Variables, dict[str, Any]]:
    r"""$\nu_j = E[(\partial y/\partial x_j)^2]$ and $T_j \le \nu_j (hi_j - lo_j)^2 / (\pi^2 V)$ [S]."""
    y, slopes, about = _gradients(task)
    squares = slopes**2
    nu, m = squares.mean(axis=0), len(y)
    resampled = resample_counts(m, task.resamples, task.seed) @ squares.reshape(m, -1) / m
    z = NormalDist().inv_cdf(0.975)
    variance = y.var(axis=0)[:, None]
    bound = np.where(variance > 0, nu * (task.box.hi - task.box.lo) ** 2 / np.where(variance > 0, variance, 1), 0.0)
    return {
        "nu": (PAIR, nu, {"doc": "mean squared derivative of the outcome over the prior box"}),
        "nu_ci": (PAIR, (z * resampled.std(axis=0, ddof=1)).reshape(nu.shape), {"doc": _bootstrap(task)}),
        "total_bound": (PAIR, bound / np.pi**2, {"doc": "Poincare upper bound of the total-order share of variance"}),
        "mean_derivative": (PAIR, slopes.mean(axis=0), {"doc": "mean derivative over the prior box"}),
    }, about


def _active(task: Task) -> tuple[Variables, dict[str, Any]]:
    _, slopes, about = _gradients(task)
    found = active_subspace(slopes * (task.box.hi - task.box.lo), resamples=task.resamples, seed=task.seed)
    part, ranges = ("outcome", "component"), "derivatives per full range of each parameter"
    return {
        "activity": (PAIR, found.activity, {"doc": f"activity score over the active subspace; {ranges}"}),
        "activity_ci": (PAIR, found.activity_ci, {"doc": _bootstrap(task)}),
        "eigenvalue": (part, found.eigenvalue, {"doc": f"mean squared derivative along each direction; {ranges}"}),
        "eigenvalue_lo": (part, found.lo, {"doc": "2.5 % quantile of the bootstrap"}),
        "eigenvalue_hi": (part, found.hi, {"doc": "97.5 % quantile of the bootstrap"}),
        "direction": (("outcome", "component", "parameter"), found.vector, {"doc": "eigenvectors, the largest entry positive"}),
        "dimension": (("outcome",), found.dimension.astype(float), {"doc": "of the active subspace: where the eigenvalues fall most"}),
        "subspace_error": (("outcome",), found.error, {"doc": "mean sine of the largest angle to the subspaces of the bootstrap"}),
    }, about  # fmt: skip


def _elasticities(task: Task) -> tuple[Variables, dict[str, Any]]:
    x = np.asarray(get_values(task.p, task.u, task.box.names), float)
    rows, slopes = task.evaluate_at(x[None], True)
    assert slopes is not None
    y, slope, status = rows[0, :-2], slopes[0], int(rows[0, -1])
    with np.errstate(divide="ignore", invalid="ignore"):
        elasticity = np.where(y[:, None] != 0, slope * x / y[:, None], np.nan)
    return {
        "derivative": (PAIR, slope, {"doc": "d outcome / d parameter, exact, in units of outcome per unit of parameter"}),
        "elasticity": (PAIR, elasticity, {"doc": "d ln outcome / d ln parameter; NaN where the outcome is zero"}),
        "value": (("outcome",), y, {"doc": "the outcome at the point"}),
        "at": (("parameter",), x, {"doc": "the parameter at the point"}),
    }, {"status": status, "reason": task.model.reason(status)[0]}  # fmt: skip


RUN: dict[str, Callable[[Task], tuple[Variables, dict[str, Any]]]] = {
    "sobol": _sobol,
    "shapley": _shapley,
    "morris": _morris,
    "derivative": _derivative,
    "active": _active,
    "elasticities": _elasticities,
}
