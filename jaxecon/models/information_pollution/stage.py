r"""The stage game at given trust: the platform's choice and the supply it leads to, off the steady state.

The equilibrium file solves for traffic M/A, which is ill-conditioned where the price of AI vanishes under
a tax (supply is then almost perfectly elastic); a path gets there, so here supply is the unknown, in logs.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.models.information_pollution import consumers, platform, producers
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.producers import Pair
from jaxecon.numerics.linear import solve_small

Scalar = Float[Array, ""]

# Items below which the tax tapers off. Paper: supply is zero where the tax exceeds the price; here it is
# then of this order, because a logarithm has no zero.
FRINGE = 1e-9


def spending(p: Params, u: Policy, q: Pair, w: Scalar) -> tuple[Pair, Scalar, Scalar]:
    """Cost of the supply `q`, the labor left to the outside sector, and AI services used."""
    cost, share = producers.costs_and_shares(p, u, w)
    total = producers.production_costs(p, q, cost)
    L_O = p.Lbar - producers.content_labor(w, total, share)
    return total, L_O, producers.ai_use(producers.ai_price(p, u), total, share)


def instant(p: Params, u: Policy, T: Scalar, q: Pair, ln_a: Scalar, ln_w: Scalar) -> platform.Allocation:
    """The economy at given trust, supply, moderation and wage: attention, verification, flows of money."""
    w = jnp.exp(ln_w)
    h = producers.flag_rates(p, u)
    shown = producers.exposure_weights(ln_a, h)
    A = shown.L * q.L + shown.H * q.H
    x = Pair(shown.L * q.L / A, shown.H * q.H / A)
    M = consumers.attention(p, T, A)
    v = consumers.private_verification(p, u, M, x.L)
    d = consumers.detection(consumers.verification_productivity(p, u), v)
    cost = producers.unit_costs(p, u, w)
    net = producers.net_prices(p, u, shown, h, M / A, 1 - d)
    total, L_O, AI = spending(p, u, q, w)
    return platform.Allocation(ln_a, w, v, h, shown, cost, net, q, A, M, x, d, T, L_O, AI, total)


def wage_gap(p: Params, ln_w: Scalar, L_O: Scalar) -> Scalar:
    r"""Labor market [R]: $\ln w - \ln z_O + \mu \ln(L_O/\bar L)$."""
    return ln_w - jnp.log(p.z_O) + p.mu * jnp.log(jnp.maximum(L_O / p.Lbar, 1e-4))


def _supply_gap(p: Params, u: Policy, q: Scalar, mass: Scalar | float, cost: Scalar, net: Scalar, h: Scalar) -> Scalar:
    """(5.4) in logs: marginal cost and tax against what an item earns."""
    tax, subsidy = jnp.maximum(u.low_quality_tax, 0.0), jnp.maximum(-u.low_quality_tax, 0.0)
    earned = net + u.low_quality_tax * h
    marginal = cost * jnp.exp(jnp.log(q / mass) / p.eps)
    return jnp.log(marginal + tax * h * q / (q + FRINGE)) - jnp.log(earned + subsidy * h)


def _described(z: Float[Array, "5"], args: tuple[Params, Policy]) -> tuple[Float[Array, "6"], Float[Array, "3"]]:
    """At `z = (ln a, ln q_L, ln q_H, ln w, ln T)`: conditions, log of T*, profit, welfare; and the conditions."""
    p, u = args
    s = instant(p, u, jnp.exp(z[4]), Pair(jnp.exp(z[1]), jnp.exp(z[2])), z[0], z[3])
    gaps = [
        _supply_gap(p, u, s.q.L, p.n_L, s.cost.L, s.net.L, s.h.L),
        _supply_gap(p, u, s.q.H, 1.0, s.cost.H, s.net.H, s.h.H),
        wage_gap(p, z[3], s.L_O),
    ]
    rest = jnp.log(consumers.steady_trust(p, s.x.L, s.d))
    stack = jnp.stack([*gaps, rest, platform.platform_profit(p, u, s), platform.welfare(p, u, s)])
    return stack, stack[:3]


def slopes(z: Float[Array, "5"], args: tuple[Params, Policy]) -> platform.Slopes:
    r"""Total derivatives with respect to ln a through (q, w, v), at given trust and with trust moving along $T^*(a)$.

    The level of trust is `z[4]`, at rest or not. `inner` holds d(ln q_L, ln q_H, ln w)/d ln a along $T^*$.
    """

    def column(v: Float[Array, "5"]):
        _, tangent, gaps = jax.jvp(lambda x: _described(x, args), (z,), (v,), has_aux=True)
        return gaps, tangent

    gaps, c = jax.vmap(column, out_axes=(None, 1))(jnp.eye(5, dtype=z.dtype))
    given = -solve_small(c[:3, 1:4], c[:3, 0])
    system = c[:4, 1:].at[3, 3].add(-1.0)
    moving = -solve_small(system, c[:4, 0])
    return platform.Slopes(
        (gaps[0], gaps[1], gaps[2]),
        c[4, 0] + c[4, 1:4] @ given,
        c[4, 0] + c[4, 1:] @ moving,
        c[5, 0] + c[5, 1:] @ moving,
        (moving[0], moving[1], moving[2]),
    )


def choice_gaps(y: Float[Array, "4"], args: tuple[Params, Policy, Scalar]) -> Float[Array, "4"]:
    r"""The platform's condition (5.5) and the stage game at trust `T`, unit-free; `y = (ln a, ln q_L, ln q_H, ln w)`.

    Paper: (5.5) at steady-state trust; here: the level of trust is the state, and where trust responds
    it does so along $T^*(a)$ at this point, because the platform chooses before trust has moved.
    """
    p, u, T = args
    k = slopes(jnp.append(y, jnp.log(T)), (p, u))
    return jnp.stack([platform.first_order_condition(p, u, k), *k.gaps])


class Choice(eqx.Module):
    """The platform's moderation and the supply that the stage game leads to."""

    ln_a: Scalar
    q: Pair


def choice_of(y: Float[Array, "4"]) -> Choice:
    """Moderation and supply from the unknowns of `choice_gaps`."""
    return Choice(y[0], Pair(jnp.exp(y[1]), jnp.exp(y[2])))
