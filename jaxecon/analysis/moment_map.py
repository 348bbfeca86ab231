"""Moments as a pure function of the free parameters: the model at one place or several, and what each target reads of it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxecon.analysis.designs import get_values, replace
from jaxecon.analysis.targets import Place
from jaxecon.core.fields import fields_of
from jaxecon.core.model import COSTS, NOT_FINITE, RESTRICTED, SOLVED, Cost, Model, evaluate_pure


@dataclasses.dataclass(frozen=True)
class Reading:
    """How one target reads the model: a moment of a group at a place, compared with another place where `against` is one."""

    moment: str
    group: str
    place: Place
    compare: str = "level"
    against: Place | None = None


@dataclasses.dataclass(frozen=True)
class MomentMap:
    """`theta -> moments` as a hashable description: problems that differ in their observed values share one program.

    **Attributes**

    - `names`: free parameters, in the order of `theta`; `readings`: one a moment.
    - `draws`: runs of each agent moment, over whose keys it is averaged.
    """

    model: Model
    names: tuple[str, ...]
    readings: tuple[Reading, ...]
    draws: int = 1

    def sources(self) -> tuple[tuple[Place, str], ...]:
        """Distinct places and groups that must be computed; the group of the outcomes is ''."""
        found: dict[tuple[Place, str], None] = {}
        for r in self.readings:
            found |= {(place, r.group): None for place in (r.against, r.place) if place is not None}
        return tuple(found)

    @property
    def cost(self) -> Cost:
        """What the most expensive group costs."""
        costs: list[Cost] = [self.model.moments[g].cost for _, g in self.sources() if g]
        return max([COSTS[0], *costs], key=COSTS.index)

    def __call__(
        self, p: Any, u: Any, theta: Float[Array, " k"], key: PRNGKeyArray, smooth: bool
    ) -> tuple[Float[Array, " m"], Int[Array, ""]]:
        """Moments at one `theta` and the status: 0 where all are solved, else the first reason; NaN where unsolved."""
        p, u = replace(p, u, self.names, theta)
        sources = self.sources()
        worlds = {place: moved(self.model, p, u, place) for place, _ in sources}
        values, statuses = {}, {}
        for name, places in _together(sources, worlds):
            read = {r.moment for r in self.readings if r.group == name}

            def numbers(
                world: tuple[Any, Any], name: str = name, read: set[str] = read
            ) -> tuple[dict[str, Array], Array]:
                return _numbers(self.model, name, read, *world, key, self.draws, smooth)

            found = _at_each(numbers, [worlds[place] for place in places])
            for place, (numbers, status) in zip(places, found, strict=True):
                values[place, name], statuses[place, name] = numbers, status
        moments = jnp.stack([_read(r, values, worlds) for r in self.readings])
        status = jnp.stack([statuses[source] for source in sources])
        status = status[jnp.argmax(status != SOLVED)]
        status = jnp.where((status == SOLVED) & ~jnp.all(jnp.isfinite(moments)), NOT_FINITE, status)
        allowed = [jnp.asarray(m) > 0 for w in worlds.values() for m in self.model.constraints(w[0]).values()]
        if allowed:
            status = jnp.where(jnp.all(jnp.stack(allowed)), status, RESTRICTED)
        return jnp.where(status == SOLVED, moments, jnp.nan), status


def moved(model: Model, p: Any, u: Any, place: Place) -> tuple[Any, Any]:
    """Parameters and policy of a place."""
    known = fields_of(model.Params)
    dtype = jax.tree.leaves((p, u))[0].dtype
    new = {n: jnp.asarray(v, dtype) if known[n].kind == "real" else v for n, v in place.params}
    p = dataclasses.replace(p, **new)
    u = dataclasses.replace(u, **{n: jnp.asarray(v, dtype) for n, v in place.policy})
    names = [n for n, _ in place.scale]
    if names:
        p, u = replace(p, u, names, get_values(p, u, names) * jnp.asarray([f for _, f in place.scale], dtype))
    return p, u


def _together(
    sources: Sequence[tuple[Place, str]], worlds: Mapping[Place, tuple[Any, Any]]
) -> list[tuple[str, list[Place]]]:
    """Places by the program that computes them: one a group of moments and choice of the static fields."""
    found: dict[Any, tuple[str, list[Place]]] = {}
    for place, name in sources:
        leaves, tree = jax.tree.flatten(worlds[place])
        found.setdefault((name, tree, tuple(map(jnp.shape, leaves))), (name, []))[1].append(place)
    return list(found.values())


def _at_each(f: Callable[[Any], Any], worlds: Sequence[Any]) -> list[Any]:
    """`f` at each of some pytrees of one structure, one after the other through one copy of its program."""
    rows, tree = [jax.tree.leaves(world) for world in worlds], jax.tree.structure(worlds[0])
    # What the worlds share stays a constant of the loop, and is differentiated only where it moves.
    differ = [k for k, column in enumerate(zip(*rows, strict=True)) if any(x is not column[0] for x in column)]
    if not differ:
        return [f(worlds[0])] * len(worlds)

    def one(own_leaves: list[Array]) -> Any:
        own = dict(zip(differ, own_leaves, strict=True))
        return f(tree.unflatten([own.get(k, leaf) for k, leaf in enumerate(rows[0])]))

    found = jax.lax.map(one, [jnp.stack([row[k] for row in rows]) for k in differ])
    return [jax.tree.map(lambda x, i=i: x[i], found) for i in range(len(worlds))]


def _numbers(
    model: Model, group: str, read: set[str], p: Any, u: Any, key: PRNGKeyArray, draws: int, smooth: bool
) -> tuple[dict[str, Array], Array]:
    """Those numbers of a group at one point that are read, and the status; agent moments are means over the common keys whose runs
    define them."""
    if not group:
        evaluation = evaluate_pure(model, p, u)
        return {n: getattr(evaluation.outcomes, n) for n in read}, evaluation.status
    moments = model.moments[group]
    run = moments.smooth if smooth and moments.smooth is not None else moments.run
    solved = jnp.asarray(SOLVED, jnp.int32)

    def of(key: Array) -> dict[str, Array]:
        found = run(p, u, key)
        return {n: found[n] for n in read}

    if moments.cost != "agents" or draws == 1:
        return of(jax.random.fold_in(key, 0)), solved
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(draws))
    return jax.tree.map(lambda x: jnp.nanmean(x, axis=0), jax.lax.map(of, keys)), solved


def _read(r: Reading, values: Mapping[Any, Mapping[str, Array]], worlds: Mapping[Place, tuple[Any, Any]]) -> Array:
    """One moment: its level, or how it changes from `against` to its place."""
    here = values[r.place, r.group][r.moment]
    if r.against is None:
        return here
    there = values[r.against, r.group][r.moment]
    if r.compare == "difference":
        return here - there
    if r.compare == "ratio":
        return here / there
    change = jnp.log(here) - jnp.log(there)
    if r.compare == "log_difference":
        return change
    (name,) = _differing(r.place, r.against)
    before, after = (get_values(*worlds[x], (name,))[0] for x in (r.against, r.place))
    return change / (jnp.log(after) - jnp.log(before))


def _differing(one: Place, two: Place) -> set[str]:
    """Fields in which two places differ."""
    first, second = ({(k, *x) for k in ("policy", "params", "scale") for x in getattr(w, k)} for w in (one, two))
    return {name for _, name, _ in first ^ second}
