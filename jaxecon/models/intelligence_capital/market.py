r"""Demand, Bertrand-Nash prices and what they respond to (1.3), (1.3'), (1.4).

Prices are explicit in shares: Bertrand-Nash ties each price to the provider's own share. So every market, symmetric or not,
is one condition per provider, $\ln s_i = \theta \ln A_i - c(p(s_i)) - \ln Z$, and its linearization has a closed form.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.models.intelligence_capital.params import NO_CAP, Params, Policy
from jaxecon.numerics.roots import bisect, default_tolerance

Shares = Float[Array, "..."]


def marginal_cost(p: Params, u: Policy) -> Float[Array, ""]:
    """Cost of serving a user, compute tax included."""
    return p.mc * (1 + u.compute_tax)


def price_disutility(p: Params, price: Shares) -> Shares:
    r"""$c(p) = \alpha p$ in (1.3), $\beta \ln p$ in (1.3')."""
    return p.alpha * price if p.pricing == "logit" else p.beta * jnp.log(price)


def lerner(p: Params, s: Shares) -> Shares:
    r"""Lerner index of (1.3'): $1/(\beta (1-s) + E_T)$ [R]."""
    return 1 / (p.beta * (1 - s) + p.E_T)


def bertrand_margin(p: Params, s: Shares, cost: Float[Array, ""]) -> Shares:
    r"""Margin over cost: $1/(\alpha (1-s))$ (1.4) [S]; $mc\, L/(1-L)$ in (1.3')."""
    if p.pricing == "logit":
        return 1 / (p.alpha * (1 - s))
    index = lerner(p, s)
    return cost * index / (1 - index)


def margin_cap(u: Policy) -> Float[Array, ""]:
    """The cap on the margin; infinite at its neutral value."""
    return jnp.where(u.price_cap >= NO_CAP, jnp.inf, u.price_cap)


def margin(p: Params, u: Policy, s: Shares) -> Shares:
    """Bertrand-Nash margin under the cap."""
    return jnp.minimum(margin_cap(u), bertrand_margin(p, s, marginal_cost(p, u)))


def users_demand(p: Params, price: Shares) -> Shares:
    r"""Tokens per user: 1 in (1.3), $p^{-E_T}$ in (1.3')."""
    return jnp.ones_like(price) if p.pricing == "logit" else jnp.exp(-p.E_T * jnp.log(price))


def rent(p: Params, u: Policy, s: Shares, at: Shares | None = None) -> Shares:
    """Rent v = (p - mc) s M of a provider with the share `s`, at the margin `at` (default: Bertrand-Nash)."""
    over = margin(p, u, s) if at is None else at
    return p.M * over * s * users_demand(p, marginal_cost(p, u) + over)


def share_response(p: Params, u: Policy, s: Shares) -> Shares:
    r"""$\rho(s) = dc(p(s))/d\ln s$: $s/(1-s)^2$ in (1.4), $\beta^2 s L^2/(1-L)$ in (1.3'), 0 under a binding cap."""
    if p.pricing == "logit":
        free = s / (1 - s) ** 2
    else:
        index = lerner(p, s)
        free = p.beta**2 * s * index**2 / (1 - index)
    return jnp.where(bertrand_margin(p, s, marginal_cost(p, u)) >= margin_cap(u), 0.0, free)


def value_response(p: Params, u: Policy, s: Shares) -> Shares:
    r"""$d\ln v/d\ln s$ with Bertrand-Nash prices: $1/(1-s)$ in (1.4), $1 + (\rho/\beta)(1/L - E_T)$ in (1.3')."""
    response = share_response(p, u, s)
    if p.pricing == "logit":
        return 1 + response * (1 - s)
    return 1 + response / p.beta * (1 / lerner(p, s) - p.E_T)


def own_value_elasticity(p: Params, u: Policy, s: Float[Array, ""], timing: str) -> Float[Array, ""]:
    r"""$d\ln v_i/d\ln A_i$ at a symmetric market: prices follow (`two_stage`) or are given, $\theta (1-s)$."""
    if timing == "simultaneous":
        return p.theta * (1 - s)
    response = share_response(p, u, s)
    w = s / (1 + response)
    return value_response(p, u, s) * p.theta / (1 + response) * (1 - w / (1 - p.N * s + p.N * w))


def cross_value_elasticity(p: Params, u: Policy, s: Float[Array, ""], response: str) -> Float[Array, ""]:
    r"""$d\ln v_i/d\ln A_j$, $j \ne i$, at a symmetric market [S].

    Fixed prices: $-\theta s_j$. Bertrand-Nash in (1.4): $-\theta w_i w_j/[s_i (1-s_i)(s_0 + \sum w)]$, $w = 1/(1/s + 1/(1-s)^2)$.
    """
    if response == "fixed":
        return -p.theta * s
    rho = share_response(p, u, s)
    w = s / (1 + rho)
    return -value_response(p, u, s) * p.theta / (1 + rho) * w / (1 - p.N * s + p.N * w)


def red_queen_factor(N: Float[Array, ""] | int) -> Float[Array, ""] | float:
    r"""$\phi(N) = [N/(N-1)]/[1 + N/(N-1)^2]$ (1.6) [R]."""
    return N / (N - 1) / (1 + N / (N - 1) ** 2)


def shares_at_prices(
    p: Params, ln_A: Float[Array, " k"], price: Shares, numbers: Float[Array, " k"] | float = 1.0
) -> Float[Array, " k"]:
    r"""$s_i = A_i^\theta e^{-c(p_i)}/(o + \sum_j A_j^\theta e^{-c(p_j)})$ (1.3), with `numbers` of providers of each kind."""
    value = p.theta * ln_A - price_disutility(p, price)
    top = jnp.max(lax.stop_gradient(value))
    odds = jnp.exp(value - top)
    return odds / (p.o * jnp.exp(-top) + jnp.sum(numbers * odds))


def _newton(p: Params, u: Policy, ln_A: Array, numbers: Array, odds: Array) -> tuple[Array, Array]:
    """Newton step of the log odds of the shares, by the closed form of a diagonal matrix plus one of rank one, and the residual."""
    s = jax.nn.sigmoid(odds)
    value = p.theta * ln_A - price_disutility(p, marginal_cost(p, u) + margin(p, u, s))
    top = jnp.max(lax.stop_gradient(value))
    weight = numbers * jnp.exp(value - top)
    total = p.o * jnp.exp(-top) + jnp.sum(weight)
    gap = jax.nn.log_sigmoid(odds) - (value - top) + jnp.log(total)
    # d ln s = (1 - s) d odds. The residual's Jacobian is (1 - s)(1 + rho) on the diagonal, less what every price does to ln Z.
    rho, spread, image = lax.stop_gradient((share_response(p, u, s), jax.nn.sigmoid(-odds), weight / total))
    slope = spread * (1 + rho)
    moved = image * rho * spread
    base = gap / slope
    inner = jnp.sum(moved * base) / (1 - jnp.sum(moved / slope))
    return -(base + inner / slope), gap


def with_derivative(p: Params, u: Policy, ln_A: Array, numbers: Array, s: Array) -> Array:
    """Bertrand-Nash shares `s` with their exact first derivative: one Newton step whose matrix is not differentiated."""
    odds = lax.stop_gradient(jnp.log(s) - jnp.log1p(-s))
    return jax.nn.sigmoid(odds + _newton(p, u, ln_A, numbers, odds)[0])


def bertrand_shares(
    p: Params, u: Policy, ln_A: Float[Array, " k"], numbers: Float[Array, " k"] | None = None, polish: int = 4
) -> Float[Array, " k"]:
    r"""Shares where prices are Bertrand-Nash, for providers of `k` kinds; exact first derivative.

    $h(s) = \ln s + c(p(s))$ rises in s: the odds of the most capable provider fix $\ln Z$, that fixes all other shares, and their
    sum rises with those odds. A bisection in one number that cannot fail, then Newton steps of all; NaN if a condition is left open.
    """
    numbers = jnp.ones_like(ln_A) if numbers is None else jnp.asarray(numbers, ln_A.dtype)
    p0, u0, ln_A0 = lax.stop_gradient((p, u, ln_A))
    best = jnp.max(ln_A0)

    def height(odds: Array) -> tuple[Array, Array]:
        """h and its slope in log odds."""
        s = jax.nn.sigmoid(odds)
        value = jax.nn.log_sigmoid(odds) + price_disutility(p0, marginal_cost(p0, u0) + margin(p0, u0, s))
        return value, jax.nn.sigmoid(-odds) * (1 + share_response(p0, u0, s))

    def others(top: Array) -> Array:
        goal = height(top)[0] - p0.theta * (best - ln_A0)

        def step(_: int, odds: Array) -> Array:
            value, slope = height(odds)
            return jnp.clip(odds - (value - goal) / slope, odds - 30.0, top)

        return lax.fori_loop(0, 30, step, jnp.broadcast_to(top, ln_A0.shape))

    def excess(top: Array, _: None) -> Array:
        outside = p0.o * jnp.exp(jnp.minimum(height(top)[0] - p0.theta * best, 80.0))
        return jnp.sum(numbers * jax.nn.sigmoid(others(top))) + outside - 1

    # In (1.3) the margin grows with the odds, so that they stay below 12; in (1.3') it is bounded.
    most = jnp.full_like(best, 12.0 if p.pricing == "logit" else 36.0)
    top = bisect(excess, jnp.full_like(best, -60.0), most, None, steps=40)
    odds = lax.fori_loop(0, polish, lambda _, x: x + _newton(p0, u0, ln_A0, numbers, x)[0], others(top))
    gap = jnp.max(jnp.abs(_newton(p0, u0, ln_A0, numbers, odds)[1]))
    found = with_derivative(p, u, ln_A, numbers, jax.nn.sigmoid(odds))
    return jnp.where(gap <= 1e3 * default_tolerance(ln_A.dtype), found, jnp.nan)


def market_shares(
    p: Params, u: Policy, ln_A: Float[Array, " k"], price: Float[Array, ""], numbers: Float[Array, " k"] | None = None
) -> Float[Array, " k"]:
    """Shares at the common `price`, or Bertrand-Nash, as `price_response` says."""
    if p.price_response == "fixed":
        return shares_at_prices(p, ln_A, price, 1.0 if numbers is None else numbers)
    return bertrand_shares(p, u, ln_A, numbers)
