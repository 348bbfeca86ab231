r"""What market data say about providers and tokens that no outcome of the symmetric industry measures.

- *Tokens*: price elasticity after so many years (C1.5), substitution between compute and data, resale value of hardware.
- *Shares*: where a leader ends up that begins with the share of early 2025, along the data flywheel (1.8).
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import SOLVED, Moments
from jaxecon.models.intelligence_capital import market, technology, tokens
from jaxecon.models.intelligence_capital.dynamics import simulate_flywheel
from jaxecon.models.intelligence_capital.equilibrium import Equilibrium, equilibrium
from jaxecon.models.intelligence_capital.params import Params, Policy
from jaxecon.numerics.roots import find_root

Scalar = Float[Array, ""]
# Share of the leader in January 2025 (web traffic of assistants), and months later at which it was seen again.
FIRST_SHARE, MONTHS = 0.867, (12, 17)
STEPS_A_MONTH = 2
RESALE = (12, 24, 36)


def measured_elasticity(p: Params) -> Scalar:
    r"""$\omega_a\, b\, (1 - e^{-\lambda h})$, $h = 20 - t_{shock}$ [R]: price elasticity of all tokens h years after a small fall.

    The measured number pins down this product, not its factors: the share of orchestrated tokens, speed and horizon (C1.5).
    """
    return p.omega_a * tokens.token_elasticity(p) * -jnp.expm1(-p.lam * (tokens.HORIZON - p.t_shock))


def resale_value(p: Params, months: int) -> Scalar:
    r"""$e^{-\delta_0 t}$ [R]: what hardware keeps of its price if it loses value at the rate of physical depreciation."""
    return jnp.exp(-p.delta_0 * months / 12)


def token_moments(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Scalar]:
    """Elasticities and resale values: closed forms."""
    return {
        "measured_elasticity": measured_elasticity(p),
        "substitution_elasticity": 1 / (1 - p.rho),
        **{f"resale_{k}": resale_value(p, k) for k in RESALE},
    }


def _leader_gap(x: Float[Array, "1"], args: tuple[Params, Policy, Equilibrium]) -> Float[Array, "1"]:
    """Log odds of the leader's share at its data `exp(x)` less those seen, its rivals at rest with theirs."""
    p, u, eq = args
    d = _leading_data(p, x[0])
    Dt = technology.public_data(p) * technology.effective_data(d, jnp.sum(d), u.data_sharing)
    s = market.market_shares(p, u, technology.log_capability(p, eq.industry.ln_C, Dt), eq.industry.price)
    return (jnp.log(s[0]) - jnp.log(jnp.sum(s[1:])) - jnp.log(FIRST_SHARE / (1 - FIRST_SHARE)))[None]


def _leading_data(p: Params, ln_d: Scalar) -> Float[Array, " N"]:
    """Data over D_0: the leader's, and those that rivals have at rest with the rest of the market between them."""
    rivals = p.N * p.Omega * (1 - FIRST_SHARE) / (p.N - 1)
    return jnp.where(jnp.arange(p.N) < 1, jnp.exp(ln_d), rivals)


def share_moments(p: Params, u: Policy, key: PRNGKeyArray) -> dict[str, Scalar]:
    """Leader's share and concentration, months after the leader had `FIRST_SHARE`; NaN if no stock of data gives it that share."""
    eq = equilibrium(p, u)
    start = jnp.log(p.N * p.Omega * FIRST_SHARE * 4)
    root = find_root(_leader_gap, start[None], (p, u, eq), max_step=2.0)
    time = jnp.arange(MONTHS[-1] * STEPS_A_MONTH + 1, dtype=p.theta.dtype) / (12 * STEPS_A_MONTH)
    path = simulate_flywheel(p, u, time, _leading_data(p, root.x[0]))
    good = root.converged & (eq.status == SOLVED)
    found = {}
    for k in MONTHS:
        found[f"leader_{k}_months"] = path.leader[k * STEPS_A_MONTH]
        found[f"hhi_{k}_months"] = path.hhi[k * STEPS_A_MONTH]
    return {name: jnp.where(good, x, jnp.nan) for name, x in found.items()}


_ABOUT: dict[str, Any] = {
    "measured_elasticity": ("1", "price elasticity of all tokens, 20 - t_shock years after a small fall of the price"),
    "substitution_elasticity": ("1", "elasticity of substitution between compute and data, 1/(1 - rho)"),
    **{f"resale_{k}": ("share of price", f"value of hardware {k} months after it was bought") for k in RESALE},
}
_SEEN = f"after a start with {FIRST_SHARE:.1%}"
_ABOUT_SHARES = {
    **{f"leader_{k}_months": ("share of users", f"share of the leader {k} months {_SEEN}") for k in MONTHS},
    **{f"hhi_{k}_months": ("1", f"Herfindahl index {k} months {_SEEN} of the leader") for k in MONTHS},
}
MOMENT_GROUPS = {
    "tokens": Moments(run=token_moments, about=_ABOUT),
    "shares": Moments(run=share_moments, about=_ABOUT_SHARES, cost="path"),
}
