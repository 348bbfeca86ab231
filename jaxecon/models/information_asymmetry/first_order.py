r"""Beyond linear contracts (7.1): the best contract over finitely many outcomes by the first-order approach [S].

Output is normal around effort e, sorted into cells with chances $p_i(e)$ and likelihood ratios $L_i = p_i'/p_i$. With
$v_i = e^{-r w_i}$ an agent's participation and its first-order condition for effort are linear in v,

$$\sum p_i v_i = V = e^{-r c e^2/2}, \qquad \sum p_i L_i v_i = -r c e V,$$

and the cheapest pay has $1/v_i = A + M L_i$, $A = 1/V + M r c e$: one unknown M. The approach is valid where no other effort
pays; monotone likelihood ratios (MLRP) and convex distribution functions (CDFC) would suffice, but normal output is not convex.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import ndtr
from jaxtyping import Array, Bool, Float

from jaxecon.models.information_asymmetry.both import normal_density
from jaxecon.models.information_asymmetry.incentives import incentive_power

Scalar = Float[Array, ""]
CELLS, EFFORTS = 41, 201
_GOLDEN = 0.6180339887498949


class BestContract(NamedTuple):
    """The contract by the first-order approach, the linear one, and what validates or refutes it."""

    effort: Scalar
    profit: Scalar
    wages: Float[Array, " cells"]
    outcomes: Float[Array, " cells"]
    linear_profit: Scalar
    deviation_gain: Scalar
    monotone_likelihood: Bool[Array, ""]
    convex_distribution: Bool[Array, ""]


def _edges(c: Scalar, sd: Scalar, reach: Scalar) -> Array:
    """Inner edges of the cells: `reach` standard deviations below no effort and above the first best."""
    share = jnp.linspace(0.0, 1.0, CELLS - 1, dtype=sd.dtype)
    return -reach * sd + share * (1 / c + 2 * reach * sd)


def chances(e: Scalar, edges: Array, sd: Scalar) -> Array:
    """Chances of the cells at effort e; the outer cells take the tails."""
    z = (edges - e) / sd
    # By the tail that does not cancel: cells above effort from the upper one.
    lower, upper = jnp.append(ndtr(z), 1.0), jnp.append(ndtr(-z), 0.0)
    from_below = lower - jnp.concatenate([jnp.zeros(1, z.dtype), lower[:-1]])
    from_above = jnp.concatenate([jnp.ones(1, z.dtype), upper[:-1]]) - upper
    return jnp.where(jnp.append(z, jnp.inf) > 0, from_above, from_below)


def _ratios(e: Scalar, edges: Array, sd: Scalar) -> Array:
    density = normal_density((edges - e) / sd) / sd
    zero = jnp.zeros(1, density.dtype)
    return (jnp.concatenate([zero, density]) - jnp.concatenate([density, zero])) / chances(e, edges, sd)


def cheapest_pay(e: Scalar, r: Scalar, c: Scalar, edges: Array, sd: Scalar) -> tuple[Scalar, Array]:
    """Expected pay that makes effort e acceptable and locally optimal, and the wages of the cells."""
    p, L = chances(e, edges, sd), _ratios(e, edges, sd)
    V = jnp.exp(-r * c * e**2 / 2)
    pull = r * c * e + L

    def inverse(M: Scalar) -> Array:
        return 1 / V + M * pull

    # M stays below the point where pay in the worst cell would be infinitely negative.
    worst = -jnp.min(pull)
    most = jnp.where(worst > 0, 1 / (V * jnp.where(worst > 0, worst, 1.0)), 1e6)

    def halve(_: int, ends: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        middle = 0.5 * (ends[0] + ends[1])
        low = jnp.sum(p * L / inverse(middle)) > -r * c * e * V
        return jnp.where(low, middle, ends[0]), jnp.where(low, ends[1], middle)

    M, _ = lax.fori_loop(0, 60, halve, (jnp.zeros_like(e), most))
    wages = jnp.log(inverse(M)) / r
    return jnp.sum(p * wages), wages


def first_order_contract(r: Scalar, c: Scalar, s2: Scalar, reach: Scalar) -> BestContract:
    """The best effort and its contract, by golden section; agents' best deviation on a grid of efforts from 0 to twice the first best."""
    sd = jnp.sqrt(s2)
    edges = _edges(c, sd, reach)

    def profit(e: Scalar) -> Scalar:
        return e - cheapest_pay(e, r, c, edges, sd)[0]

    def narrow(_: int, ends: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        lo, hi = ends
        left, right = hi - _GOLDEN * (hi - lo), lo + _GOLDEN * (hi - lo)
        worse = profit(left) < profit(right)
        return jnp.where(worse, left, lo), jnp.where(worse, hi, right)

    lo, hi = lax.fori_loop(0, 45, narrow, (jnp.full_like(sd, 1e-3) / c, 1 / c + jnp.zeros_like(sd)))
    e = 0.5 * (lo + hi)
    pay, wages = cheapest_pay(e, r, c, edges, sd)
    efforts = jnp.linspace(0.0, 2.0, EFFORTS, dtype=sd.dtype) / c

    def certainty_equivalent(x: Scalar) -> Scalar:
        return -c * x**2 / 2 - jnp.log(jnp.sum(chances(x, edges, sd) * jnp.exp(-r * wages))) / r

    gain = jnp.max(jax.vmap(certainty_equivalent)(efforts)) - certainty_equivalent(e)
    spread = jnp.diff(jnp.cumsum(jax.vmap(lambda x: chances(x, edges, sd))(efforts), axis=1), n=2, axis=0)
    middle = jnp.concatenate([edges[:1], 0.5 * (edges[1:] + edges[:-1]), edges[-1:]])
    return BestContract(
        e, e - pay, wages, middle, incentive_power(r, c, 1 / s2) / (2 * c), gain,
        jnp.all(jnp.diff(_ratios(e, edges, sd)) > 0), jnp.all(spread > -1e-12),
    )  # fmt: skip
