r"""Architecture choice and the demand for tokens (1.7): $\max_K v K^\psi - p K^{1+\xi}$, tokens $T = K^{1+\xi}$."""

import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from jaxecon.models.intelligence_capital.params import Params

Scalar = Float[Array, ""]
# Years of the documented experiment (paper 1).
HORIZON = 20.0


def token_elasticity(p: Params) -> Scalar:
    r"""$b = (1+\xi)/(1+\xi-\psi)$ (1.7) [D values]: tokens per task have the price elasticity -b."""
    return (1 + p.xi) / (1 + p.xi - p.psi)


def log_depth(p: Params, price: Scalar) -> Scalar:
    r"""$b \ln(\psi/((1+\xi) p))$: log tokens of a task of value one."""
    return token_elasticity(p) * jnp.log(p.psi / ((1 + p.xi) * price))


def log_marginal_task(p: Params, price: Scalar) -> Scalar:
    r"""$\ln \hat v$: the task whose surplus $p T (1+\xi-\psi)/\psi$ just pays the adoption cost F."""
    b = token_elasticity(p)
    return (jnp.log(p.F * p.psi / (price * (1 + p.xi - p.psi))) - log_depth(p, price)) / b


def adopted_share(p: Params, price: Scalar) -> Scalar:
    r"""$x^* = \Phi((\mu - \ln\hat v)/sd)$: share of tasks that are adopted."""
    return norm.cdf((p.mu_v - log_marginal_task(p, price)) / p.sd_v)


def orchestrated_tokens(p: Params, price: Scalar) -> Scalar:
    r"""$(\psi/((1+\xi) p))^b e^{b\mu + b^2 sd^2/2} \Phi(z)$, $z = (\mu + b\,sd^2 - \ln\hat v)/sd$ [S]."""
    b = token_elasticity(p)
    z = (p.mu_v + b * p.sd_v**2 - log_marginal_task(p, price)) / p.sd_v
    return jnp.exp(log_depth(p, price) + b * p.mu_v + (b * p.sd_v) ** 2 / 2 + norm.logcdf(z))


def orchestrated_elasticity(p: Params, price: Scalar) -> Scalar:
    r"""$b + \frac{\psi}{1+\xi} \frac{\varphi(z)}{\Phi(z)\, sd}$ [S]: intensive and extensive margin."""
    b = token_elasticity(p)
    z = (p.mu_v + b * p.sd_v**2 - log_marginal_task(p, price)) / p.sd_v
    return b + p.psi / (1 + p.xi) * jnp.exp(norm.logpdf(z) - norm.logcdf(z)) / p.sd_v


def one_shot_tokens(p: Params, price: Scalar) -> Scalar:
    r"""One token per adopted task: $\Phi((\mu - \ln(p + F))/sd)$ [R]."""
    return norm.cdf((p.mu_v - jnp.log(price + p.F)) / p.sd_v)


def one_shot_elasticity(p: Params, price: Scalar) -> Scalar:
    """Price elasticity of one-shot tokens: the extensive margin alone."""
    z = (p.mu_v - jnp.log(price + p.F)) / p.sd_v
    return jnp.exp(norm.logpdf(z) - norm.logcdf(z)) / p.sd_v * price / (price + p.F)


def token_parts(p: Params, price: Scalar, reference: Scalar) -> tuple[Scalar, Scalar]:
    r"""Orchestrated and one-shot tokens; at the `reference` price the orchestrated share is $\omega_a$ [R]."""
    scale = (1 - p.omega_a) / p.omega_a * orchestrated_tokens(p, reference) / one_shot_tokens(p, reference)
    return orchestrated_tokens(p, price), scale * one_shot_tokens(p, price)


def tokens(p: Params, price: Scalar, reference: Scalar) -> Scalar:
    """Tokens per unit mass of tasks."""
    deep, shallow = token_parts(p, price, reference)
    return deep + shallow


def demand_elasticity(p: Params, price: Scalar, reference: Scalar) -> Scalar:
    """Absolute price elasticity of all tokens."""
    deep, shallow = token_parts(p, price, reference)
    total = deep * orchestrated_elasticity(p, price) + shallow * one_shot_elasticity(p, price)
    return total / (deep + shallow)


def task_surplus(p: Params, price: Scalar) -> Scalar:
    r"""Downstream surplus of orchestrated tasks, $p T (1+\xi-\psi)/\psi - F x^*$: the same surplus seen from tasks."""
    gain = price * orchestrated_tokens(p, price) * (1 + p.xi - p.psi) / p.psi
    return gain - p.F * adopted_share(p, price)


def arc_elasticity(quantity: Float[Array, "2"], price: Float[Array, "2"]) -> Scalar:
    r"""Midpoint arc elasticity $-\frac{T_1 - T_0}{(T_0+T_1)/2} \big/ \frac{p_1 - p_0}{(p_0+p_1)/2}$."""
    dq = (quantity[1] - quantity[0]) / (quantity[0] + quantity[1])
    dp = (price[1] - price[0]) / (price[0] + price[1])
    return -dq / dp


def token_index(p: Params, years: Scalar) -> Scalar:
    r"""Tokens, 1 before, so many years after the fall of the price by `shock`: depth adjusts partially, adoption stays [R].

    $\omega_a (1 - shock)^{-b (1 - e^{-\lambda t})} + 1 - \omega_a$
    """
    deeper = -token_elasticity(p) * jnp.log1p(-p.shock) * -jnp.expm1(-p.lam * years)
    return p.omega_a * jnp.exp(deeper) + 1 - p.omega_a


def documented_arc(p: Params) -> Scalar:
    """Midpoint arc elasticity of tokens between the shock at `t_shock` and year 20, intensive margin alone [D]."""
    one = jnp.ones_like(p.lam)
    after = token_index(p, jnp.maximum(HORIZON - p.t_shock, 0.0))
    return arc_elasticity(jnp.stack([one, after]), jnp.stack([one, 1 - p.shock]))
