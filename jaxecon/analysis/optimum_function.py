r"""The optimum as a pure function of the parameters: under `jax.jit`, `jax.vmap`, and derivatives of any order in both modes.

The search itself is not differentiated. With $f(z, \theta)$ the objective, the best policy z solves $f_z = 0$ on the instruments that
no bound holds, and moves by the implicit function theorem; the others stay. The value moves by the envelope theorem:

$$ f_{zz}\, dz = -f_{z\theta}\, d\theta, \qquad dV = f_\theta\, d\theta $$
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Int

from jaxecon.analysis.batch import evaluate_rows
from jaxecon.analysis.designs import count_problems, replace, seed_problems
from jaxecon.analysis.policies import Choice, Reading, choose, jet
from jaxecon.core.compiling import quick_jit
from jaxecon.core.errors import InputError
from jaxecon.core.inputs import split_values
from jaxecon.core.model import SOLVED, Model
from jaxecon.numerics.newton_box import Climb, maximize_each
from jaxecon.numerics.roots import attach_derivative

STATUS = {0: "OPTIMAL", 1: "AT_BOUND", 2: "NOT_CONVERGED", 3: "NOT_SOLVED"}
# Climbs side by side on a CPU.
BLOCK = 256


class BestPolicy(eqx.Module):
    """The best policy at one point.

    **Attributes**

    - `policy`: all instruments, the chosen ones at their best; `value` of the objective there. Both differentiable in the
      parameters; NaN, and so their derivatives, where no start met the first-order conditions.
    - `instruments`: the chosen ones as a vector `[k]`, in the order in which they were named.
    - `kkt_residual`: largest entry of the projected gradient, instruments in units of their range, the objective in units of its
      size over the starts; `status`: a key of `STATUS`; `agreement`: share of starts that reach the value within 1e-6 of that size.
    """

    policy: Any
    value: Float[Array, ""]
    instruments: Float[Array, " k"]
    kkt_residual: Float[Array, ""]
    status: Int[Array, ""]
    agreement: Float[Array, ""]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def envelope(f: Any, z: Float[Array, " k"], args: Any) -> Float[Array, ""]:
    """`f(z, args)` at a maximum over z, whose derivative by `args` is that of f with z held."""
    return f(z, args)


@partial(envelope.defjvp, symbolic_zeros=True)
def _envelope_jvp(f, primals, tangents):  # pyright: ignore
    z, args = primals
    leaves, tree = jax.tree.flatten(args)
    dots = tree.flatten_up_to(tangents[1])
    # Only what moves is differentiated: the derivative is most of a program's length.
    moving = [i for i, dot in enumerate(dots) if not isinstance(dot, SymbolicZero)]

    def of(inputs: list[Array]) -> Array:
        found = dict(zip(moving, inputs))
        return f(z, tree.unflatten([found.get(i, leaf) for i, leaf in enumerate(leaves)]))

    # z moves with the parameters in derivatives of higher order: it is not stopped.
    return jax.jvp(of, ([leaves[i] for i in moving],), ([dots[i] for i in moving],))


@jax.custom_jvp
def certified(x: Array, certain: Float[Array, ""]) -> Array:
    """`x`, whose derivatives are multiplied by `certain`: NaN where nothing is known of them, in both modes."""
    return x


@certified.defjvp
def _certified_jvp(primals, tangents):  # pyright: ignore
    return certified(*primals), tangents[0] * primals[1]


@dataclasses.dataclass(frozen=True, eq=False)
class OptimumFunction:
    """The map from parameters to the best policy that `optimum_function` makes; call it with what differs from its base."""

    choice: Choice
    starts: np.ndarray  # [s, k] in the unit box
    scale: float
    tolerance: float

    def __call__(self, params: Any = None, policy: Any = None, **values: Any) -> BestPolicy:
        """The best policy where parameters, or instruments that are not chosen, have these values.

        `params` and `policy` replace those of the base; `values` by name go on top. Any of them may be traced. Raises `InputError`.
        """
        c = self.choice
        chosen = [n for n in values if n in c.names]
        if chosen:
            raise InputError([f"{n!r} is chosen by the optimum and cannot be given" for n in chosen],
                             f"the optimum of {c.model.name}")  # fmt: skip
        nature, government = split_values(c.model, values)
        with jax.enable_x64(True):
            p, u = dataclasses.replace(params or c.p, **nature), dataclasses.replace(policy or c.u, **government)
            p, u = jax.tree.map(lambda x: jnp.asarray(x).astype(float), (p, u))
            inside = any(isinstance(x, Tracer) for x in jax.tree.leaves((p, u)))
            return (_best if inside else _quick_best)(self, p, u)

    def goal(self, z: Float[Array, " k"], world: tuple[Any, Any]) -> Float[Array, ""]:
        """The objective, to be maximized, at a point of the unit box; in units of its size."""
        c = self.choice
        row = Reading(c.model, picks=(c.objective,))(*replace(*world, c.names, jnp.asarray(c.lo) + c.width * z))
        return c.sign / self.scale * row[0]

    def conditions(self, z: Float[Array, " k"], args: tuple[Array, Array, Any]) -> Float[Array, " k"]:
        """What is zero at the optimum: slopes of the free instruments, distances from their bounds of the others."""
        held, at, world = args
        return jnp.where(held > 0, z - at, jax.jacfwd(self.goal)(z, world))


def _climbs(fun: OptimumFunction, worlds: Any) -> tuple[Climb, Array]:
    """The best climb in each of n worlds (leading axis), and the share of the starts that agree with it."""
    n, s = jax.tree.leaves(worlds)[0].shape[0], len(fun.starts)

    def look(z: Array, cell: Array) -> tuple[Array, Array, Array]:
        world = jax.tree.map(lambda x: x[cell // s], worlds)
        return jet(lambda x: fun.goal(x, world), z)

    block = BLOCK if jax.default_backend() == "cpu" else n * s
    ends = maximize_each(
        look, jnp.tile(jnp.asarray(fun.starts), (n, 1)), jnp.arange(n * s), tol=fun.tolerance, block=block
    )
    ends = jax.tree.map(lambda x: x.reshape(n, s, *x.shape[1:]), ends)
    # Of the starts that ended at first-order conditions, if there are any.
    arrived = jax.vmap(jax.vmap(lambda c: c.kkt <= fun.tolerance))(ends)
    rank = jnp.where(arrived | ~jnp.any(arrived, axis=1, keepdims=True), ends.value, -jnp.inf)
    best = jnp.argmax(rank, axis=1)
    top = jax.tree.map(lambda x: x[jnp.arange(n), best], ends)
    close = arrived & (jnp.abs(ends.value - top.value[:, None]) <= 1e-6)
    return top, jnp.mean(close, axis=1, dtype=ends.z.dtype)


def _climb(fun: OptimumFunction, world: Any) -> tuple[Climb, Array]:
    """`_climbs` in one world; under `vmap` all worlds climb together, and none waits for the hardest at every step."""

    @jax.custom_batching.custom_vmap
    def climb(world: Any) -> tuple[Climb, Array]:
        return jax.tree.map(lambda x: x[0], _climbs(fun, jax.tree.map(lambda x: x[None], world)))

    @climb.def_vmap
    def _(size: int, batched: list[Any], world: Any) -> tuple[Any, Any]:
        worlds = jax.tree.map(lambda x, b: x if b else jnp.broadcast_to(x, (size, *x.shape)), world, batched[0])
        found = _climbs(fun, worlds)
        return found, jax.tree.map(lambda _: True, found)

    return climb(jax.lax.stop_gradient(world))


def _find(fun: OptimumFunction, p: Any, u: Any) -> BestPolicy:
    c = fun.choice
    top, agreement = _climb(fun, (p, u))
    kkt = top.kkt
    good = kkt <= fun.tolerance
    certain = jnp.where(good, 1.0, jnp.nan)
    # Leaf by leaf: what does not move stays out of the derivatives. Reverse mode ends here, forward mode below.
    world = jax.tree.map(lambda x: certified(x, certain), (p, u))
    held = ((top.z <= 0) & (top.slope <= 0)) | ((top.z >= 1) & (top.slope >= 0))
    z = attach_derivative(fun.conditions, top.z, (held.astype(top.z.dtype), top.z, world), good)
    x = jnp.where(z >= 1, c.hi, c.lo + c.width * z) * certain
    value = c.sign * fun.scale * envelope(fun.goal, z, world) * certain
    status = jnp.where(jnp.isfinite(top.value), jnp.where(good, jnp.any(held).astype(int), 2), 3)
    return BestPolicy(replace(p, u, c.names, x)[1], value, x, kkt, status.astype(jnp.int32), agreement)


_best, _quick_best = eqx.filter_jit(_find), quick_jit(_find, effort=1)


def optimum_function(
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
    tolerance: float = 1e-9,
) -> OptimumFunction:
    """The best policy as a pure function of the parameters.

        best = optimum_function(model, ["tax"])
        with jax.enable_x64(True):
            jax.grad(lambda d: best(d=d).policy.tax)(0.5)  # d(best tax)/d(parameter d)
            jax.vmap(lambda d: best(d=d).value)(jnp.linspace(0.1, 1, 1000))

    **Arguments**

    - `params`, `policy`: what is not given at a call. `starts`: climbs of each call, the first from `policy`, the others from
      scrambled Sobol points. `tolerance`: of the KKT residual. The rest as in `optimize`.

    Projected Newton with exact derivatives, in float64: differentiate it under `jax.enable_x64(True)`. Where a bound holds an instrument its derivatives are zero; where a bound is just
    about to hold or to let go they are those of one side. `optimum_slopes` has the same slopes as a table, also with constraints on
    outcomes. **Returns** a function `(params, policy, **values) -> BestPolicy`. Raises `InputError`.
    """
    choice, problems = choose(model, instruments, objective, params, policy, bounds, maximize)
    problems += count_problems(starts=starts) + seed_problems(seed)
    if not (isinstance(tolerance, (int, float)) and 0 < tolerance < 1):
        problems.append(f"tolerance = {tolerance!r} must be a number between 0 and 1")
    if problems or choice is None:
        raise InputError(problems, f"the optimum function of {model.name}")
    unit = choice.starts(max(starts, 8), seed)
    reading = Reading(model, picks=(choice.objective,))
    rows = evaluate_rows(reading, choice.p, choice.u, choice.names, choice.at(unit))
    values = rows[(rows[:, -1] == SOLVED) & np.isfinite(rows[:, 0]), 0]
    scale = (float(max(np.ptp(values), np.max(np.abs(values)))) or 1.0) if len(values) else 1.0
    return OptimumFunction(choice, unit[:starts], scale, float(tolerance))
