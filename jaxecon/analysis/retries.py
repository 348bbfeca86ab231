r"""A second look at cells whose solver failed: other starts, then continuation from solved neighbors.

Everything depends on the cell and the box of the sweep alone, not on the other cells of its chunk: numbers do not change
with the way in which a study is cut, resumed or spread over devices. The work on a cell is bounded: the model's own
other starts, and four segments that lead to the cell from fixed points of the box.

Where a model says how to start from another equilibrium (`Model.restart`), the nearest solved point of a segment is followed
to the cell in equal steps. Any other model is continued by its own exact derivative: with $x_s = x + s (a - x)$ solved for
a tiny s, $\hat e = e(x_s) + e'(x_s)(x - x_s)$ errs by $O(s^2)$. It counts where every identity holds at the cell as it
must for any solution, and the same from 2s gives the same outcomes.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxecon.analysis.batch import Response, _table, _unravel, p_dtype, padded
from jaxecon.analysis.designs import get_values
from jaxecon.analysis.hosts import in_groups
from jaxecon.core.compiling import quick_jit
from jaxecon.core.fields import fields_of
from jaxecon.core.model import (
    NOT_CONVERGED,
    SOLVED,
    Evaluation,
    Model,
    certify,
    evaluate_pure,
    precision_of,
    tolerance_for,
)

# Cells of one call; steps of a continuation; how far from the cell its starts lie, in lengths of the segment.
FEW, STEPS, DISTANCES = 16, 8, (0.001, 0.01, 0.1, 1.0)
# Where segments begin besides the given point: the middle of the box, and a quarter into it from either end.
PLACES = (0.5, 0.25, 0.75)
# A segment: parameters and policy at s, the cell at s = 0.
At = Callable[[Array], tuple[Any, Any]]


def _row(model: Model, evaluation: Evaluation) -> Float[Array, " rows"]:
    values = jnp.stack([getattr(evaluation.outcomes, n) for n in fields_of(model.Outcomes)])
    judged = jnp.stack([evaluation.max_residual, evaluation.status.astype(values.dtype)])
    return jnp.concatenate([values, judged])


def _first_solved(rows: Float[Array, "n rows"]) -> Float[Array, " rows"]:
    """The first solved row; where none is, the first with the status of a failure."""
    return rows[jnp.argmax(rows[:, -1] == SOLVED)]


def _from_starts(model: Model, p: Any, u: Any) -> Float[Array, " rows"]:
    """From the model's other starts."""
    assert model.starts is not None
    return _first_solved(jax.vmap(lambda eq: _row(model, certify(model, p, u, eq)))(model.starts(p, u)))


def _followed(model: Model, at: At) -> Float[Array, " rows"]:
    """From the nearest solved of some points of a segment by restarts in equal steps."""
    restart = model.restart
    assert restart is not None
    distances = jnp.asarray(DISTANCES)

    def solved_at(s: Array) -> Evaluation:
        p, u = at(s)
        return evaluate_pure(model, p, u)

    def step(eq: Any, s: Array) -> tuple[Any, None]:
        p, u = at(s)
        return restart(p, u, eq), None

    found = jax.vmap(solved_at)(distances)
    solved = found.status == SOLVED
    first = jnp.argmax(solved)
    eq = jax.tree.map(lambda x: x[first], found.equilibrium)
    eq = jax.lax.scan(step, eq, distances[first] * jnp.arange(STEPS - 1, -1, -1) / STEPS)[0]
    p, u = at(jnp.zeros(()))
    row = _row(model, certify(model, p, u, eq))
    return jnp.where(jnp.any(solved), row, row.at[-1].set(NOT_CONVERGED))


def _predicted(model: Model, at: At) -> Float[Array, " rows"]:
    """From two points beside the cell by the equilibrium's exact derivative; a failure unless both agree."""
    p, u = at(jnp.zeros(()))
    small = jnp.finfo(p_dtype(p, u)).eps ** 0.4

    def equilibrium(s: Array) -> Any:
        p, u = at(s)
        return model.equilibrium(p, u)

    def along(s: Array) -> Float[Array, " rows"]:
        eq, slope = jax.jvp(equilibrium, (s,), (-s,))
        moved = jax.tree.map(lambda x, dx: x + dx if jnp.issubdtype(x.dtype, jnp.floating) else x, eq, slope)
        return _row(model, certify(model, p, u, moved))

    near, far = jax.vmap(along)(jnp.stack([small, 2 * small]))
    gap = jnp.abs(near[:-2] - far[:-2]) / (1 + jnp.abs(near[:-2]))
    agree = (near[-1] == SOLVED) & (far[-1] == SOLVED) & (jnp.max(gap) <= tolerance_for(model, near.dtype))
    return jnp.where(agree, near, near.at[-1].set(NOT_CONVERGED))


@quick_jit
def _rows(response: Response, p: Any, u: Any, cells: Array, anchors: Array) -> Float[Array, "n rows"]:
    """The best that is found at each cell; `cells` `[numbers, n]`, `anchors` `[numbers, n, segments]`."""
    model = response.model

    def one(cell: Array, anchor: Array) -> Float[Array, " rows"]:
        def by_segment(a: Array) -> Float[Array, " rows"]:
            def at(s: Array) -> tuple[Any, Any]:
                return _unravel(p, u, cell + s * (a - cell))

            return _predicted(model, at) if model.restart is None else _followed(model, at)

        rows = jax.vmap(by_segment, in_axes=1)(anchor)
        if model.starts is not None:
            rows = jnp.concatenate([_from_starts(model, *_unravel(p, u, cell))[None], rows])
        return _first_solved(rows)

    return jax.vmap(one, in_axes=1)(cells, anchors)


@dataclasses.dataclass(frozen=True)
class Retries:
    """Retries over a box: `lo`, `hi` of the swept real fields, which `names` orders."""

    response: Response
    names: tuple[str, ...]
    lo: np.ndarray
    hi: np.ndarray

    def wanted(self, rows: np.ndarray) -> Bool[np.ndarray, " n"]:
        """Which rows a solver failed on."""
        return np.isin(rows[:, -1].astype(int), self.response.model.retried)

    def again(self, p: Any, u: Any, vectors: np.ndarray) -> np.ndarray:
        """Rows of failed cells at `vectors` `[n, names]`; status other than 0 where nothing helped."""
        given = np.asarray(get_values(p, u, self.names), float)
        anchors = np.stack([given, *(self.lo + place * (self.hi - self.lo) for place in PLACES)])

        def rows_of(start: int, stop: int, size: int, put: Callable[[Any], Any]) -> np.ndarray:
            some = padded(vectors[start:stop], size)
            with precision_of(p):
                cells = put(_table(p, u, self.names, some))
                ends = np.stack([_table(p, u, self.names, np.tile(a, (size, 1))) for a in anchors], axis=2)
                return np.asarray(_rows(self.response, p, u, cells, put(ends)))[: stop - start]

        program = ("retries", self.response, p_dtype(p, u), jax.tree.structure((p, u)))
        return in_groups(rows_of, len(vectors), FEW, program, alone=True)
