"""Does each proposition hold, where, and by how much: margins at the baseline and over the prior box."""

import dataclasses
import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from jaxecon.analysis.batch import GROUP, ONE_BY_ONE, in_blocks, p_dtype, padded
from jaxecon.analysis.boundary import BoundaryMap, influence_of
from jaxecon.analysis.claim_results import ClaimResult
from jaxecon.analysis.designs import (
    Box,
    Progress,
    box_of,
    count_problems,
    get_values,
    name_problems,
    prior_draws,
    replace,
    resolve,
    seed_problems,
)
from jaxecon.analysis.hosts import in_groups
from jaxecon.core.compiling import quick_jit, release_programs, wide_jit
from jaxecon.core.errors import InputError
from jaxecon.core.model import Claim, Model, precision_of
from jaxecon.core.results import as_attributes, field_attributes, provenance, settings

# Points of one compiled call: many for a cheap equilibrium, few for a path, one after the other for agents.
GROUPS = {"equilibrium": GROUP, "path": 16, "agents": 1, "optimization": 1}
GRID = 25
# Draws of an equilibrium from which a program that runs faster is worth its longer compilation.
MANY = 20_000
# Parameters that may matter most for a margin, of which those that move nothing are then left out.
CANDIDATES = 12
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


Group = tuple[Claim, ...]


def claim_groups(chosen: Iterable[Claim]) -> list[Group]:
    """Claims that share a `joint` function belong in one program; the others stand alone. In the order given."""
    groups: dict[Any, Group] = {}
    for claim in chosen:
        shared = claim.id if claim.joint is None else claim.joint
        groups[shared] = (*groups.get(shared, ()), claim)
    return list(groups.values())


def _parts(claim: Claim) -> Group:
    return claim.parts or (claim,)


def _margins(
    group: Group, block: int | None, names: tuple[str, ...], p: Any, u: Any, key: Any, numbers: Array, vectors: Array
) -> Array:
    """Margins of the parts of claims (of a claim itself, if it has none) at each draw: `[draw, part]`."""

    def one(draw: tuple[Array, Array]) -> Array:
        number, vector = draw
        q, v = replace(p, u, names, vector)
        mine = jax.random.fold_in(key, number)
        joint = group[0].joint
        found = {} if joint is None else joint(q, v, mine)
        parts = [part for claim in group for part in _parts(claim)]
        margins = [found[part.id] if part.id in found else part.margin(q, v, mine) for part in parts]
        return jnp.stack([jnp.asarray(m).astype(vectors.dtype) for m in margins])

    return in_blocks(one, (numbers, vectors), block)


_few_margins, _many_margins = quick_jit(_margins, effort=1), wide_jit(_margins)


@partial(quick_jit, effort=1)
def _details(claim: Claim, p: Any, u: Any, key: Any) -> Any:
    assert claim.details is not None
    return dict(claim.details(p, u, jax.random.fold_in(key, 0)))


@dataclasses.dataclass(frozen=True)
class _Task:
    """The setting that all claims share: draw 0 is the given point, draws 1.. come from the prior box."""

    box: Box
    block: int | None
    points: np.ndarray
    p: Any
    u: Any
    seed: int
    boundary: bool
    leaders: Mapping[Any, str]

    def key(self, claim: Claim) -> Any:
        """Of the claim's id; claims that share a program have the key of the model's first of them, whichever are asked for."""
        name = self.leaders.get(claim.joint, claim.id) if claim.joint else claim.id
        return jax.random.fold_in(jax.random.key(self.seed), zlib.crc32(name.encode()))

    def margins(self, group: Group, points: np.ndarray) -> np.ndarray:
        """Margins `[point, part]` of all claims of a group, a block of points at a time through one compiled function."""
        size = min(GROUPS[claim.cost] for claim in group)
        small = size == GROUP and len(points) < MANY
        evaluate = _few_margins if small else _many_margins
        if small and self.block == 1:
            size = ONE_BY_ONE
        key = self.key(group[0])

        def margins_of(start: int, stop: int, size: int, put: Callable[[Any], Any]) -> np.ndarray:
            with precision_of(self.p):
                vectors = put(jnp.asarray(padded(points[start:stop], size), p_dtype(self.p, self.u)))
                numbers = jnp.arange(start, start + size, dtype=jnp.uint32)
                found = evaluate(group, self.block, self.box.names, self.p, self.u, key, numbers, vectors)
                return np.asarray(found, float)[: stop - start]

        return in_groups(margins_of, len(points), size, (group, size, small, p_dtype(self.p, self.u)))


def _moving(task: _Task, group: Group, claim: Claim, names: Sequence[str]) -> list[str]:
    """Those parameters that move the margin at all, each set to both ends of its box at the given point and at a few draws.

    Few quasi-random draws of many parameters are related in pairs, so that one that moves nothing may seem to.
    """
    base = task.points[: 4 if claim.cost == "equilibrium" else 1]
    points = np.repeat(base[None, None], 2, axis=1).repeat(len(names), axis=0)
    for k, name in enumerate(names):
        j = task.box.names.index(name)
        points[k, 0, :, j], points[k, 1, :, j] = task.box.lo[j], task.box.hi[j]
    rows = task.margins(group, points.reshape(-1, len(task.box.names)))[:, _columns(group, claim)[1]]
    low, high = np.moveaxis(np.min(rows, axis=1).reshape(len(names), 2, len(base)), 1, 0)
    still = (np.abs(low - high) <= 1e-6 * (np.abs(low) + np.abs(high))) | (np.isnan(low) & np.isnan(high))
    return [name for name, fixed in zip(names, np.all(still, axis=1), strict=True) if not fixed]


def _influence(task: _Task, group: Group, claim: Claim, margins: np.ndarray) -> dict[str, float]:
    """`influence_of` the parameters that move the margin, where a claim holds at some draws and fails at others."""
    drawn, points = margins[1:], task.points[1 : len(margins)]
    mixed = bool(np.any(drawn > 0) and np.any(drawn <= 0)) and claim.expectation != "report"
    if not mixed or claim.cost == "agents":
        return {}
    likely = list(influence_of(task.box.names, points, drawn))[:CANDIDATES]
    names = _moving(task, group, claim, likely) if likely else []
    shares = influence_of(names, points[:, [task.box.names.index(name) for name in names]], drawn)
    # A map has two axes: where one parameter decides alone, the second moves nothing, and its share says so.
    return shares if len(shares) != 1 else shares | {next(name for name in likely if name not in shares): 0.0}


def _grid(task: _Task, x: str, y: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axes and points of the map over two parameters of the box."""
    i, j = task.box.names.index(x), task.box.names.index(y)
    xs, ys = (np.linspace(task.box.lo[k], task.box.hi[k], GRID) for k in (i, j))
    points = np.repeat(task.points[:1], GRID**2, axis=0)
    points[:, i], points[:, j] = np.tile(xs, GRID), np.repeat(ys, GRID)
    return xs, ys, points


def _columns(group: Group, claim: Claim) -> tuple[list[int], list[int]]:
    """Where the parts of a claim stand among those of its group, and which of them carry the verdict."""
    first = sum(len(_parts(other)) for other in group[: group.index(claim)])
    mine = list(range(first, first + len(_parts(claim))))
    # A size that is reported carries no verdict, unless the whole claim is a report.
    judged = [k for k, part in zip(mine, _parts(claim), strict=True) if part.expectation != "report"]
    return mine, judged or mine


def _map(task: _Task, group: Group, claim: Claim, margins: np.ndarray, influence: dict[str, float]) -> BoundaryMap | None:  # fmt: skip
    """The margin over the two parameters that matter most, if the claim holds at some draws and fails at others."""
    mixed = bool(np.any(margins > 0) and np.any(margins <= 0))
    wanted = task.boundary and claim.expectation not in ("report", "exact")
    x, y = (*influence, "", "")[:2]
    # Where nothing stands out from chance there are too few draws to say which two matter.
    if not (wanted and mixed and y and influence[x] > 0):
        return None
    shares = {k: influence[k] for k in (x, y)}
    if claim.cost != "equilibrium":
        good = np.flatnonzero(np.isfinite(margins[1:])) + 1
        at_x, at_y = (task.points[good, task.box.names.index(name)] for name in (x, y))
        return BoundaryMap(x, y, at_x, at_y, margins[good], shares)
    xs, ys, points = _grid(task, x, y)
    field = np.min(task.margins(group, points)[:, _columns(group, claim)[1]], axis=1)
    return BoundaryMap(x, y, xs, ys, field.reshape(GRID, GRID), shares)


def _result(
    task: _Task, claim: Claim, margins: np.ndarray, asked: int, influence: dict[str, float],
    boundary: BoundaryMap | None, parts: tuple[ClaimResult, ...], record: dict[str, Any],
) -> ClaimResult:  # fmt: skip
    here, drawn = float(margins[0]), margins[1:]
    finite = drawn[np.isfinite(drawn)]
    verdict = claim.expectation != "report"
    messages = []
    if len(drawn) < asked:
        what = "the given point only" if len(drawn) == 0 else f"{len(drawn)} of {asked} draws"
        messages.append(f"capped at {what}: its cost is {claim.cost}")
    if not math.isfinite(here):
        messages.append("the margin could not be evaluated at the given point")
    if len(finite) < len(drawn):
        messages.append(f"the margin could not be evaluated on {len(drawn) - len(finite)} of {len(drawn)} draws")
    details = {}
    if claim.details is not None:
        found = jax.device_get(_details(claim, task.p, task.u, task.key(claim)))
        details = {k: np.asarray(v).tolist() for k, v in found.items()}
    quantiles = np.quantile(finite, QUANTILES) if len(finite) else []
    return ClaimResult(
        id=claim.id,
        statement=claim.statement,
        grade=claim.grade,
        expectation=claim.expectation,
        cost=claim.cost,
        margin=here,
        holds=bool(here > 0) if verdict and math.isfinite(here) else None,
        share=float(np.mean(finite > 0)) if verdict and len(finite) else None,
        draws=len(drawn),
        solved=len(finite) / len(drawn) if len(drawn) else None,
        capped=len(drawn) < asked,
        messages=tuple(messages),
        quantiles={f"q{round(100 * q):02d}": float(v) for q, v in zip(QUANTILES, quantiles, strict=False)},
        details=details,
        parts=parts,
        boundary=boundary,
        influence=influence,
        note=claim.note,
        record=record,
    )


def claims(
    model: Model,
    ids: Sequence[str] | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
    params: Any = None,
    policy: Any = None,
    prior: Mapping[str, tuple[float, float]] | None = None,
    progress: Progress | None = None,
    boundary: bool = True,
    precision: str = "float64",
) -> list[ClaimResult]:
    """Check the claims of a model at a point and over the prior box.

    **Arguments**

    - `ids`: which claims, or parts of claims; default: all claims with their parts.
    - `draws`: quasi-random draws of the prior box; a claim's own cap may lower it, and its result says so.
    - `params`, `policy`: the point (default: the baseline, laissez-faire); it also holds what is not drawn.
    - `prior` (name -> (lo, hi)) replaces the box of its fields; instruments may be named too.
    - `boundary`: also the margin over the two most influential parameters, for claims with a verdict that hold in part.
    - `progress(done, total, info)`: called after each claim with `info["id"]`.

    **Returns** one `ClaimResult` per claim in the model's order. A draw whose margin is NaN counts as not
    evaluated. Stochastic claims get a key from `seed`, the claim's id and the number of the draw. Raises `InputError`.
    """
    p, u = resolve(model, params, policy, precision)
    family = {c.id: c for parent in model.claims for c in (parent, *parent.parts)}
    chosen = [c.id for c in model.claims] if ids is None else [ids] if isinstance(ids, str) else list(ids)
    problems = name_problems(chosen, family, f"claim of {model.name}")
    problems += count_problems(draws=draws) + seed_problems(seed)
    box, why = box_of(model, None, prior)
    problems += why
    if problems:
        raise InputError(problems, f"the claims of {model.name}")
    sample = prior_draws(model, draws, seed, box.names, prior, params=params, policy=policy)
    record = provenance(
        model, seed=seed, precision=precision, params=settings(p), policy=settings(u),
        prior={n: [float(a), float(b)] for n, a, b in zip(box.names, box.lo, box.hi, strict=True)},
        rejected=sample.rejected,
    )  # fmt: skip
    found: dict[str, ClaimResult] = {}
    leaders = {group[0].joint: group[0].id for group in claim_groups(model.claims)}
    with jax.enable_x64(precision == "float64"):
        given = np.asarray(get_values(p, u, box.names), float)
        task = _Task(box, model.block, np.concatenate([given[None], sample.points]), p, u, int(seed), boundary, leaders)
        for group in claim_groups(family[name] for name in dict.fromkeys(chosen)):
            for result in _check(task, group, draws, record):
                found[result.id] = result
                if progress is not None:
                    progress(len(found), len(chosen), {"id": result.id})
            release_programs()
    return [found[name] for name in chosen]


def _draws_of(claim: Claim, draws: int) -> int:
    """Draws that a claim can afford: the smallest cap of a family holds for all of it; a cap of 1 pays for the given point only."""
    caps = [c.max_draws for c in (claim, *claim.parts) if c.max_draws is not None]
    return min([draws, *(0 if cap <= 1 else cap for cap in caps)])


def _check(task: _Task, group: Group, draws: int, record: dict[str, Any]) -> list[ClaimResult]:
    """The claims of one group with their parts."""
    each = task.margins(group, task.points[: 1 + max(_draws_of(claim, draws) for claim in group)])
    results = []
    for claim in group:
        n = _draws_of(claim, draws)
        mine, judged = _columns(group, claim)
        margins = np.min(each[: n + 1, judged], axis=1)
        influence = _influence(task, group, claim, margins)
        boundary = _map(task, group, claim, margins, influence)
        parts = tuple(
            _result(task, part, each[: n + 1, k], draws, {}, None, (), record)
            for k, part in zip(mine, claim.parts, strict=False)
        )
        results.append(_result(task, claim, margins, draws, influence, boundary, parts, record))
    return results


def claim_draws(
    model: Model,
    id: str,
    *,
    draws: int = 1000,
    seed: int = 0,
    params: Any = None,
    policy: Any = None,
    prior: Mapping[str, tuple[float, float]] | None = None,
    precision: str = "float64",
) -> xr.Dataset:
    """The draws behind the share of a claim, or of a part of one: `margin` by `draw`, with the drawn fields as coordinates.

    The same draws and margins as in `claims`; `draws` is not capped here. Raises `InputError`.
    """
    p, u = resolve(model, params, policy, precision)
    family = {c.id: c for parent in model.claims for c in (parent, *parent.parts)}
    problems = name_problems([id], family, f"claim of {model.name}") + count_problems(draws=draws) + seed_problems(seed)
    box, why = box_of(model, None, prior)
    if problems + why:
        raise InputError(problems + why, f"the draws of a claim of {model.name}")
    sample = prior_draws(model, draws, seed, box.names, prior, params=params, policy=policy)
    leaders = {group[0].joint: group[0].id for group in claim_groups(model.claims)}
    with jax.enable_x64(precision == "float64"):
        given = np.asarray(get_values(p, u, box.names), float)
        points = np.concatenate([given[None], sample.points])
        task = _Task(box, model.block, points, p, u, int(seed), False, leaders)
        group = (family[id],)
        margins = task.margins(group, points)[1:, _columns(group, family[id])[1]].min(axis=1)
    fields = model.fields
    coords = {n: ("draw", sample.points[:, j], field_attributes(fields[n])) for j, n in enumerate(box.names)}
    about = {"units": "1", "doc": f"margin of {id}; the claim holds where it is positive", "role": "outcome"}
    dataset = xr.Dataset({"margin": ("draw", margins, about)}, coords=coords)
    record = provenance(
        model,
        seed=seed,
        precision=precision,
        claim=id,
        params=settings(p),
        policy=settings(u),
        rejected=sample.rejected,
    )
    dataset.attrs = as_attributes(record)
    return dataset
