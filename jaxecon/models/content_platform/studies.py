"""Tables for the report: six regimes, distances from the Pareto surface, tipping of exposure, integration error, who gains."""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxecon.models.content_platform import regimes
from jaxecon.models.content_platform.demand import gauss_tastes, surplus
from jaxecon.models.content_platform.equilibrium import equilibrium
from jaxecon.models.content_platform.market import TYPES, buyers, exposure
from jaxecon.models.content_platform.params import Params, Policy
from jaxecon.models.content_platform.pareto import distances

AXES = ("welfare", "equity", "human data")


def six_regimes(p: Params, u: Policy) -> Mapping[str, Array]:
    """Trilemma coordinates of the six regimes relative to laissez-faire, in the long run: as they are, and where a surcharge on
    both commissions, or on AI's alone, restores the platform's profit (NaN: none does)."""
    p = regimes.long_run(p)
    policies = regimes.named(u)
    free = regimes.compare(p, policies)
    table = {}
    cases = {"as it is": free}
    for by in ("both", "ai"):
        cases[f"equal profit ({by})"] = regimes.at_equal_revenue(p, policies, free.out.platform_profit[0], by)
    for case, found in cases.items():
        z = jnp.where(found.solved[:, None], regimes.coordinates(found.out), jnp.nan)
        for k, name in enumerate(regimes.NAMES):
            table |= {f"{name}, {case}: {axis}": z[k, j] for j, axis in enumerate(AXES)}
            table[f"{name}, {case}: platform profit"] = jnp.where(
                found.solved[k], found.out.platform_profit[k], jnp.nan
            )
    for definition in regimes.EQUITIES:
        equity = regimes.equity_of(free.out, definition)
        table |= {f"{name}, equity by {definition}": equity[k] for k, name in enumerate(regimes.NAMES)}
    return table


def pareto_surface(p: Params, u: Policy) -> Mapping[str, Array]:
    """Distance of each regime from the traced surface (positive: some policy is better by that share of laissez-faire on all
    three axes and leaves the platform no less), as it is and at equal platform profit."""
    free, equal, points = distances(p, u)
    table = {"points on the surface": points}
    for k, name in enumerate(regimes.NAMES):
        table |= {f"{name}: distance": free[k], f"{name}: distance at equal platform profit": equal[k]}
    return table


def follow(p: Params, u: Policy, rho: Array, lead: Array) -> Array:
    """Log lead in exposure of one of two items whose shares follow the lead there was, cut at 50."""
    rest = jnp.ones(TYPES - 1, lead.dtype)
    share = jnp.append(jnp.exp(rho * jnp.stack([lead, -lead]) / 2), rest)
    x = exposure(p, u, share, jnp.append(jnp.ones(2, lead.dtype), 0 * rest))
    return jnp.clip(jnp.log(x[0] / x[1]), -50.0, 50.0)


def tipping(p: Params, u: Policy) -> Mapping[str, Array]:
    """Two equal items at equal prices: log lead in exposure after 60 rounds from leads of 1 and -1 (4.3). Below
    rho kappa = 1 it dies, one equilibrium; beyond it grows without bound (cut at 50 here), two."""
    table = {}
    for product in (0.15, 0.5, 0.9, 1.0, 1.1, 1.2):
        rho = product / p.kappa
        for sign in (1.0, -1.0):
            lead = jnp.full_like(p.alpha, sign)
            lead = lax.fori_loop(0, 60, lambda _, v, rho=rho: follow(p, u, rho, v), lead)
            table[f"log lead at rho kappa {product:g} from {sign:+g}"] = lead
    return table


def integration(p: Params, u: Policy) -> Mapping[str, Array]:
    """Relative error of consumer surplus with 3 to 9 Gauss-Hermite nodes an axis, against 15, at the equilibrium."""
    m = equilibrium(p, u).market

    def of(nodes: int) -> Array:
        t = gauss_tastes(p, nodes)
        return surplus(t, buyers(t, m))

    exact = of(15)
    return {f"error with {n} nodes": of(n) / exact - 1 for n in (3, 5, 7, 9)}


STUDIES = {"six_regimes": six_regimes, "pareto_surface": pareto_surface, "tipping": tipping, "integration": integration}
