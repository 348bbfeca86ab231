r"""Steady states of the data flywheel (1.8) in which all providers but the first are alike, and whether it returns to them.

Unknowns are the first provider's share of users and that of all others together; data are at rest at those shares,
$d_i = \Omega s_i/\bar s$, and the market must give the same shares back. Stability is that of all N data stocks. In a duopoly these are
all states; with more providers those of one leader or one laggard, each counted once, not once for every provider who may be it.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.systems import System
from jaxecon.models.intelligence_capital import technology
from jaxecon.models.intelligence_capital.equilibrium import equilibrium
from jaxecon.models.intelligence_capital.flywheel import Level, Where, drift, shares_with
from jaxecon.models.intelligence_capital.params import Params, Policy


def industry(p: Params, u: Policy) -> Where:
    """The industry that the flywheel turns in; not a number where it is not solved."""
    eq = equilibrium(p, u)
    at = jax.tree.map(lambda x: jnp.where(eq.status == 0, x, jnp.nan), eq.industry)
    return Where(p, u, at)


def _level(w: Where) -> Level:
    return Level(technology.public_data(w.p), w.at.own_data)


def _data(x: Float[Array, "2"], w: Where) -> Float[Array, " N"]:
    """Data at rest at the shares of the first provider and of the others together."""
    return w.at.own_data / w.at.s * jnp.where(jnp.arange(w.p.N) < 1, x[0], x[1] / (w.p.N - 1))


def residual(x: Float[Array, "2"], w: Where, u: Policy) -> Float[Array, "2"]:
    """Shares that the market gives at data at rest, less those."""
    s = shares_with(w.p, u, w.at, _level(w), _data(x, w))
    return jnp.stack([s[0], jnp.sum(s[1:])]) - x


def jacobian(x: Float[Array, "2"], w: Where, u: Policy) -> Float[Array, "N N"]:
    """Of the law of motion of all data stocks, per year."""
    return jax.jacfwd(lambda d: drift(w.p, u, w.at, _level(w), d))(_data(x, w))


def own(w: Where, u: Policy) -> Float[Array, "1 2"]:
    """The industry's own state, in which all providers are alike."""
    return (w.at.s * jnp.stack([jnp.ones_like(w.at.s), jnp.full_like(w.at.s, w.p.N - 1)]))[None]


SYSTEM = System(
    residual,
    {"first_share": (0.0, 1.0), "others_share": (0.0, 1.0)},
    jacobian=jacobian,
    given=industry,
    own=own,
    starts=64,
    doc="steady states of the data flywheel with at most one provider unlike the others",
)
