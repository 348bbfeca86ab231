"""Which instruments are complements: cross-derivatives at a policy, and Shapley's split of the gain from using several at once."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxecon.analysis.constrained import program_of
from jaxecon.analysis.designs import count_problems, outcome_names, seed_problems
from jaxecon.analysis.policies import Choice, Reading, choose, evaluate_jets
from jaxecon.core.errors import InputError
from jaxecon.core.model import SOLVED, Model
from jaxecon.core.results import as_attributes, provenance, settings
from jaxecon.numerics.augmented import Local, maximize_constrained

MOST = 6
EMPTY = np.zeros(0)


def cross_derivatives(
    model: Model,
    instruments: Sequence[str],
    *,
    outcomes: Sequence[str] | None = None,
    params: Any = None,
    policy: Any = None,
) -> xr.Dataset:
    """Exact first and second derivatives of outcomes by the instruments at `policy`.

    **Arguments**: `outcomes`: default the model's objective.

    **Returns** a dataset by `outcome`, `instrument` and `other`: `slope` (unit of the outcome per unit of the instrument), `cross` (per
    units of both; positive off the diagonal: each raises what the other adds, they are complements for that outcome), `normalized`:
    the cross-derivative over the root of the two own ones in modulus, NaN where one is zero. Raises `InputError`, also where the model
    or a derivative fails at this policy.
    """
    choice, problems = choose(model, instruments, None, params, policy, None, True)
    wanted, more = outcome_names(model, [model.objective] if outcomes is None else outcomes)
    if problems + more or choice is None:
        raise InputError(problems + more, f"the cross-derivatives of {model.name}")
    with jax.enable_x64(True):
        found = evaluate_jets(Reading(model, picks=wanted), choice.p, choice.u, choice.names, choice.given[None])
    if not found.ok[0]:
        name, why = model.reason(found.status[0])
        why = "a derivative is not finite" if found.status[0] == SOLVED else f"{name}: {why}"
        raise InputError(
            [f"no derivatives at this policy ({why}); choose another policy"], f"the point of {model.name}"
        )
    own = np.abs(np.diagonal(found.curvature[0], axis1=1, axis2=2))
    root = np.sqrt(own[:, :, None] * own[:, None, :])
    normalized = np.divide(found.curvature[0], root, out=np.full_like(root, np.nan), where=root > 0)
    fields = model.fields
    pair = ("outcome", "instrument", "other")
    variables: dict[str, Any] = {
        "value": ("outcome", found.value[0]),
        "slope": (pair[:2], found.slope[0], {"doc": "d(outcome)/d(instrument)"}),
        "cross": (pair, found.curvature[0], {"doc": "second derivative by both instruments; positive: complements"}),
        "normalized": (pair, normalized, {"units": "1"}),
    }
    coords = {
        "outcome": list(wanted), "instrument": list(choice.names), "other": list(choice.names),
        "outcome_unit": ("outcome", [fields[n].unit for n in wanted]),
        "unit": ("instrument", [fields[n].unit for n in choice.names]),
    }  # fmt: skip
    record = provenance(model, params=settings(choice.p), policy=settings(choice.u))
    return xr.Dataset(variables, coords=coords, attrs=as_attributes(record))


def shapley_split(
    model: Model,
    instruments: Sequence[str],
    *,
    objective: str | None = None,
    params: Any = None,
    policy: Any = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: int = 4,
    seed: int = 0,
    maximize: bool = True,
) -> xr.Dataset:
    """What each instrument contributes to the joint gain: the best policy with every subset of up to six, and Shapley's split.

    The instruments outside a subset stay as in `policy`. **Returns** a dataset: by `subset` its members (`member` by instrument), `gain`
    over `policy`, the best instruments `policy` and the `kkt_residual`; by `instrument` its `shapley` share of the joint gain (they add up to it),
    what it gains `alone` and as the `last` one added; `synergy` by pair: the gain of both less the gains of each. Gains are in the unit of
    the objective and positive for the better. Raises `InputError`.
    """
    choice, problems = choose(model, instruments, objective, params, policy, bounds, maximize)
    problems += count_problems(starts=starts) + seed_problems(seed)
    if choice is not None:
        if len(choice.names) > MOST:
            problems.append(f"{len(choice.names)} instruments have too many subsets; name at most {MOST}")
        problems += [f"{n} = {x:g} of the given policy is outside the bounds [{a:g}, {b:g}]; widen them"
                     for n, x, (a, b) in zip(choice.names, choice.given, choice.ranges.values(), strict=True)
                     if not a <= x <= b]  # fmt: skip
    if problems or choice is None:
        raise InputError(problems, f"the Shapley split of {model.name}")
    with jax.enable_x64(True):
        members = np.array(list(itertools.product([False, True], repeat=len(choice.names))))
        members = members[np.argsort(members.sum(axis=1), kind="stable")]
        value, z, kkt, scale = _best_by_subset(choice, members, choice.starts(starts, seed))
    return _split_dataset(choice, members, scale * value, choice.at(z), kkt, seed)


def _best_by_subset(
    choice: Choice, members: np.ndarray, unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Value, point of the unit box and residual of the best policy of each subset `members` [b, k]; the unit of the value.

    All subsets climb together; then each starts again from the best of those it contains, so that more is never worse.
    """
    program = program_of(choice, (), unit)
    b, k = members.shape
    home = unit[0]

    def climb(z: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        def look(z: np.ndarray, rows: np.ndarray) -> Local:
            at, some = program.look(z), mask[rows]
            pairs = some[:, :, None] & some[:, None, :]
            bend = np.where(pairs, at.ddf, -np.eye(k))
            return Local(at.f, np.where(some, at.df, 0.0), bend, at.c, at.dc, at.ddc)

        found = maximize_constrained(look, z, EMPTY, EMPTY, outer=1)
        return found.z, found.here.f, found.kkt.stationarity

    s = len(unit)
    mask = np.repeat(members, s, axis=0)
    z, value, kkt = climb(np.where(mask, np.tile(unit, (b, 1)), home), mask)
    best = np.argmax(value.reshape(b, s), axis=1) + s * np.arange(b)
    z, value, kkt = z[best], value[best], kkt[best]
    inside = np.all(members[:, None] >= members[None], axis=2)
    source = np.argmax(np.where(inside, value, -np.inf), axis=1)
    z2, value2, kkt2 = climb(z[source], members)
    better = value2 > value
    return np.where(better, value2, value), np.where(better[:, None], z2, z), np.where(better, kkt2, kkt), program.scale


def shapley_values(members: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Shapley's split `[k]` of the gains `[2^k]` of all subsets `members` [2^k, k]."""
    k = members.shape[1]
    place = {tuple(m): i for i, m in enumerate(members.tolist())}
    values = np.zeros(k)
    for i in range(k):
        for m, with_it in zip(members.tolist(), gain, strict=True):
            if m[i]:
                size = sum(m) - 1
                weight = math.factorial(size) * math.factorial(k - size - 1) / math.factorial(k)
                without = [x and j != i for j, x in enumerate(m)]
                values[i] += weight * (with_it - gain[place[tuple(without)]])
    return values


def _split_dataset(
    choice: Choice, members: np.ndarray, value: np.ndarray, policies: np.ndarray, kkt: np.ndarray, seed: int
) -> xr.Dataset:
    k = len(choice.names)
    gain = value - value[0]
    place = {tuple(j for j in range(k) if m[j]): i for i, m in enumerate(members.tolist())}
    everyone = tuple(range(k))
    alone = np.array([gain[place[(i,)]] for i in range(k)])
    last = np.array([gain[-1] - gain[place[tuple(j for j in everyone if j != i)]] for i in range(k)])
    synergy = np.full((k, k), np.nan)
    for i, j in itertools.combinations(range(k), 2):
        synergy[i, j] = synergy[j, i] = gain[place[(i, j)]] - alone[i] - alone[j]
    fields = choice.model.fields
    about = {"units": fields[choice.objective].unit}
    variables: dict[str, Any] = {
        "gain": ("subset", gain, about | {"doc": f"gain in {choice.objective} over the given policy"}),
        "member": (("subset", "instrument"), members),
        "policy": (("subset", "instrument"), policies, {"doc": "best instruments of the subset, the others as given"}),
        "kkt_residual": ("subset", kkt, {"units": "1"}),
        "shapley": ("instrument", shapley_values(members, gain), about | {"doc": "share of the joint gain"}),
        "alone": ("instrument", alone, about),
        "last": ("instrument", last, about),
        "synergy": (("instrument", "other"), synergy, about | {"doc": "positive: the pair gains more than both apart"}),
    }
    labels = [" + ".join(n for n, inside in zip(choice.names, m, strict=True) if inside) or "none" for m in members]
    coords = {
        "subset": labels, "instrument": list(choice.names), "other": list(choice.names),
        "unit": ("instrument", [fields[n].unit for n in choice.names]),
    }  # fmt: skip
    record = provenance(
        choice.model, seed=seed, objective=choice.objective, maximize=choice.sign > 0, bounds=choice.ranges,
        params=settings(choice.p), policy=settings(choice.u),
    )  # fmt: skip
    return xr.Dataset(variables, coords=coords, attrs=as_attributes(record))
