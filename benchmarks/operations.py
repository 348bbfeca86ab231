"""Floating-point operations that a function executes, loops included.

XLA's cost analysis counts the body of a loop once, however often it runs. Here every operation of the traced program is
counted by that analysis, and the loops are run: each pass adds what it executes. Counts are numbers of one point; under
`vmap` each point has its own, without the passes in which it waits for its neighbors.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.interpreters.partial_eval import dce_jaxpr
from jaxtyping import Array, Float

# Where primitives that only call another program keep it.
BODIES = ("jaxpr", "call_jaxpr", "call", "fun_jaxpr")
# Arithmetic, comparisons and selections; exponentials, logarithms, powers, roots and the like. NumPy's where no loop decides.
Counts = Float[Array | np.ndarray, "2"]
# XLA's count of an operation, by what tells it apart.
_COUNTS: dict[Any, tuple[float, float]] = {}


def counted(f: Callable[..., Any]) -> Callable[..., Counts]:
    """`(operations, transcendental functions)` that `f` executes at its arguments.

    Operations are those of XLA: an elementwise operation counts one an element (a comparison or a selection, too), a
    product of matrices 2 m n k.
    """

    def count(*args: Any) -> Counts:
        closed = jax.make_jaxpr(f)(*args)
        # As the compiler does, leave out what no result needs.
        jaxpr, used = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
        needed = [value for value, keep in zip(jax.tree.leaves(args), used, strict=True) if keep]
        return jnp.asarray(_run(jaxpr, closed.consts, needed)[1])

    return count


def _run(jaxpr: Any, consts: Any, args: Any) -> tuple[list[Any], Counts]:
    """Results of a program and what it executed."""
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
    total: Counts = np.zeros(2)
    for eqn in jaxpr.eqns:
        values = [v.val if isinstance(v, core.Literal) else known[v] for v in eqn.invars]
        results, spent = _step(eqn, values)
        known.update(zip(eqn.outvars, results, strict=True))
        total = total + spent
    return [v.val if isinstance(v, core.Literal) else known[v] for v in jaxpr.outvars], total


def _step(eqn: Any, values: list[Any]) -> tuple[list[Any], Counts]:
    name, params = eqn.primitive.name, eqn.params
    if name == "while":
        return _while(params, values)
    if name == "scan":
        return _scan(params, values)
    if name == "cond":
        branches = [_branch(b) for b in params["branches"]]
        return jax.lax.switch(values[0], branches, *values[1:])
    body = next((params[k] for k in BODIES if k in params), None)
    if body is not None:
        closed = body if hasattr(body, "consts") else core.ClosedJaxpr(body, ())
        return _run(closed.jaxpr, closed.consts, values)
    out = eqn.primitive.bind(*values, **params)
    return list(out) if eqn.primitive.multiple_results else [out], np.array(_count_of(eqn))


def _branch(closed: Any) -> Callable[..., tuple[list[Any], Array]]:
    def taken(*values: Any) -> tuple[list[Any], Array]:
        results, spent = _run(closed.jaxpr, closed.consts, values)
        return results, jnp.asarray(spent)

    return taken


def _while(params: Any, values: list[Any]) -> tuple[list[Any], Counts]:
    n, m = params["cond_nconsts"], params["body_nconsts"]
    for_test, for_body, start = values[:n], values[n : n + m], values[n + m :]
    test, body = params["cond_jaxpr"], params["body_jaxpr"]

    def tested(carry: list[Any]) -> tuple[Array, Counts]:
        (go_on,), spent = _run(test.jaxpr, test.consts, [*for_test, *carry])
        return go_on, spent

    def again(state: Any) -> Any:
        carry, _, total = state
        carry, spent = _run(body.jaxpr, body.consts, [*for_body, *carry])
        go_on, test_spent = tested(carry)
        return carry, go_on, total + spent + test_spent

    go_on, once = tested(start)
    carry, _, total = jax.lax.while_loop(lambda state: state[1], again, (start, go_on, jnp.asarray(once)))
    return carry, total


def _scan(params: Any, values: list[Any]) -> tuple[list[Any], Counts]:
    n, m, body = params["num_consts"], params["num_carry"], params["jaxpr"]
    consts, start, rows = values[:n], values[n : n + m], values[n + m :]

    def again(state: Any, row: Any) -> tuple[Any, Any]:
        carry, total = state
        results, spent = _run(body.jaxpr, body.consts, [*consts, *carry, *row])
        return (results[:m], total + spent), results[m:]

    (carry, total), rows = jax.lax.scan(
        again, (start, jnp.zeros(2)), rows, length=params["length"], reverse=params["reverse"]
    )
    return [*carry, *rows], total


def _count_of(eqn: Any) -> tuple[float, float]:
    """XLA's count of one operation."""
    key = (eqn.primitive.name, str(eqn.params), *(str(v.aval) for v in eqn.invars))
    if key not in _COUNTS:
        shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars]
        cost = jax.jit(lambda *x: eqn.primitive.bind(*x, **eqn.params)).lower(*shapes).cost_analysis() or {}
        _COUNTS[key] = cost.get("flops", 0.0), cost.get("transcendentals", 0.0)
    return _COUNTS[key]
