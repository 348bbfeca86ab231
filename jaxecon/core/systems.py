"""Conditions whose roots are the equilibria of a model, and what moves it out of equilibrium."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

from jaxtyping import Array, Float

Motion = Callable[[Float[Array, " n"], Any, Any], Float[Array, "..."]]


@dataclasses.dataclass(frozen=True, eq=False)
class System:
    """Conditions whose roots are the equilibria of a model, or the rest points of one of its laws of motion.

    **Attributes**

    - `residual(x, p, u)`: shape `[n]`, zero at an equilibrium, unit-free; pure, unbatched.
    - `box`: unknown (name -> (lo, hi)) within which equilibria are looked for, in the order of `x`.
    - `motion(x, p, u)`: what moves the unknowns out of equilibrium; default: the residual is their time derivative.
    - `kind`: of the motion: `flow` (its value is the time derivative; stable where all eigenvalues of its Jacobian have
      negative real parts) or `map` (its value is the next x; stable where they lie within the unit circle).
    - `jacobian(x, p, u)`: of the motion, square; default: by automatic differentiation. It may be larger than n where what
      moves is more than the unknowns that tell equilibria apart.
    - `given(p, u)`: what the conditions share at every x, computed once a point; the functions above take it in place of `p`.
    - `own(p, u)`: shape `[m, n]`, what the model itself solves for in place of x, not a number where it has no solution; each is looked
      at in addition to the other starts, so that a map counts what the model finds.
    - `starts`: points of the box from which roots are looked for, if the user gives no number; more where they lie close together.
    - `doc`: which equilibria these are, in which state space they are stable.
    """

    residual: Motion
    box: Mapping[str, tuple[float, float]]
    motion: Motion | None = None
    kind: Literal["flow", "map"] = "flow"
    jacobian: Motion | None = None
    given: Callable[[Any, Any], Any] | None = None
    own: Callable[[Any, Any], Float[Array, "m n"]] | None = None
    starts: int = 16
    doc: str = ""
