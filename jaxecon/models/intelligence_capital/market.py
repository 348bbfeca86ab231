r"""Demand, Bertrand-Nash prices and what they respond to (1.3), (1.3'), (1.4).

Prices are explicit in shares: Bertrand-Nash ties each price to the provider's own share. So every market, symmetric or not,
is one condition per provider, $\ln s_i = \theta \ln A_i - c(p(s_i)) - \ln Z$, and its linearization has a closed form.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.models.intelligence_capital.params import NO_CAP, Params, Policy

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


def _newton(p: Params, u: Policy, ln_A: Array, numbers: Array, s: Array) -> tuple[Array, Array]:
    """Newton step of the log shares, by the closed form of a diagonal matrix plus one of rank one, and the residual."""
    cost = marginal_cost(p, u)
    value = p.theta * ln_A - price_disutility(p, cost + margin(p, u, s))
    top = jnp.max(lax.stop_gradient(value))
    total = p.o * jnp.exp(-top) + jnp.sum(numbers * jnp.exp(value - top))
    gap = jnp.log(s) - (value - top) + jnp.log(total)
    rho = lax.stop_gradient(share_response(p, u, s))
    # The residual's Jacobian is 1 + rho on the diagonal, less what every price does to ln Z.
    image = lax.stop_gradient(numbers * jnp.exp(value - top) / total)
    # Sherman-Morrison with d(gap) = (1 + rho) d ln s - sum_j image_j rho_j d ln s_j.
    base = gap / (1 + rho)
    inner = jnp.sum(image * rho * base) / (1 - jnp.sum(image * rho / (1 + rho)))
    return -(base + inner / (1 + rho)), gap


def bertrand_shares(
    p: Params, u: Policy, ln_A: Float[Array, " k"], numbers: Float[Array, " k"] | None = None, steps: int = 40
) -> Float[Array, " k"]:
    """Shares where prices are Bertrand-Nash, for providers of `k` kinds; exact first derivative by one step at the end."""
    numbers = jnp.ones_like(ln_A) if numbers is None else jnp.asarray(numbers, ln_A.dtype)
    p0, u0, ln_A0 = lax.stop_gradient((p, u, ln_A))
    even = jnp.ones_like(ln_A) / (jnp.sum(numbers) + 1)

    def cond(state: tuple) -> Array:
        _, size, k = state
        return (size > 1e-13) & (k < steps)

    def body(state: tuple) -> tuple:
        s, _, k = state
        step, gap = _newton(p0, u0, ln_A0, numbers, s)
        # A share moves at most two thirds of the way to one and by at most a factor of twenty.
        new = s * jnp.exp(jnp.clip(step, -3.0, 3.0))
        new = jnp.minimum(new, 1 - (1 - s) / 3)
        return new, jnp.max(jnp.abs(gap)), k + 1

    s, _, _ = lax.while_loop(cond, body, (even, jnp.asarray(jnp.inf, ln_A.dtype), 0))
    s = lax.stop_gradient(s)
    step, _ = _newton(p, u, ln_A, numbers, s)
    return s * jnp.exp(step)


def market_shares(
    p: Params, u: Policy, ln_A: Float[Array, " k"], price: Float[Array, ""], numbers: Float[Array, " k"] | None = None
) -> Float[Array, " k"]:
    """Shares at the common `price`, or Bertrand-Nash, as `price_response` says."""
    if p.price_response == "fixed":
        return shares_at_prices(p, ln_A, price, 1.0 if numbers is None else numbers)
    return bertrand_shares(p, u, ln_A, numbers)

