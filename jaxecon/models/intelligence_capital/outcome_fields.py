"""Outcomes of the symmetric industry: one declaration a field."""

from functools import partial

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import outcome

_share = partial(outcome, unit="share of users", bounds=(0.0, 1.0))
_money = partial(outcome, unit="money/yr")
_rate = partial(outcome, unit="1/yr")
_none = "; 1e12 stands for none"


class Outcomes(eqx.Module):
    """Outcomes of the symmetric industry at rest and of what hangs on it."""

    welfare: Float[Array, ""] = _money(
        symbol="W", doc="adopters' surplus, provider and app profit, revenue, less the externality"
    )
    red_queen_ratio: Float[Array, ""] = outcome(
        symbol="RQ", unit="1", doc="private over social marginal return to compute at the race's end (1.6)"
    )
    depreciation: Float[Array, ""] = _rate(symbol="delta", doc="depreciation of a model by rivals' progress (1.5)")
    tokens: Float[Array, ""] = outcome(symbol="T", unit="tokens", doc="tokens demanded")
    # Market
    share: Float[Array, ""] = _share(symbol="s", doc="share of each provider (1.3)", grade="D", source="paper 1, (1.3)")
    outside_share: Float[Array, ""] = _share(symbol="s_0", doc="share of the outside good")
    price: Float[Array, ""] = outcome(symbol="p", unit="money per user", doc="price of each provider (1.4)")
    margin: Float[Array, ""] = outcome(symbol="p-mc", unit="money per user", doc="margin over marginal cost")
    lerner: Float[Array, ""] = outcome(symbol="L", unit="1", doc="margin over price")
    hhi: Float[Array, ""] = outcome(symbol="HHI", unit="1", doc="Herfindahl index of providers", bounds=(0.0, 1.0))
    # Technology
    compute: Float[Array, ""] = outcome(symbol="C_N", unit="compute", doc="compute at the end of the race (Nash)")
    effective_data: Float[Array, ""] = outcome(symbol="D~_N", unit="data", doc="effective data of each provider")
    capability: Float[Array, ""] = outcome(
        symbol="A", unit="capability", doc="capability (1.1)", grade="D", source="paper 1, (1.1)"
    )
    eps_D: Float[Array, ""] = outcome(symbol="eps_D", unit="1", doc="elasticity of capability in data (1.2)")
    eps_C: Float[Array, ""] = outcome(symbol="eps_C", unit="1", doc="elasticity of capability in compute (1.2)")
    # Asset
    rent: Float[Array, ""] = _money(symbol="v", doc="rent (p - mc) s M")
    cross_depreciation: Float[Array, ""] = outcome(
        symbol="dlnv", unit="1", doc="elasticity of a rent in the capability of all rivals (1.5)"
    )
    obsolescence: Float[Array, ""] = _rate(symbol="delta-delta_0", doc="depreciation by rivals alone")
    half_life: Float[Array, ""] = outcome(symbol="t_half", unit="yr", doc="half-life of value, ln 2/delta")
    asset_value: Float[Array, ""] = outcome(symbol="V", unit="money", doc="value on a balanced path, v/(r + delta)")
    standstill_value: Float[Array, ""] = outcome(
        symbol="V_path", unit="money", doc="discounted rent of a model that stands still while rivals grow"
    )
    # Race
    cost_scale_used: Float[Array, ""] = outcome(
        symbol="kappa_used", unit="money per compute", doc="cost scale of compute"
    )
    training_cost: Float[Array, ""] = _money(symbol="K", doc="resource cost of compute of each provider")
    profit: Float[Array, ""] = _money(symbol="Pi", doc="profit of each provider, fixed cost paid")
    red_queen_factor: Float[Array, ""] = outcome(symbol="phi_N", unit="1", doc="phi(N) of (1.6)")
    planner_compute: Float[Array, ""] = outcome(symbol="C_P", unit="compute", doc="compute of the symmetric planner")
    compute_ratio: Float[Array, ""] = outcome(symbol="C_N/C_P", unit="1", doc="compute of the race over the planner's")
    participation: Float[Array, ""] = outcome(
        symbol="viable",
        unit="1",
        doc="1 - cost of compute/rent: non-negative where the race leaves a profit before fixed cost",
    )
    # Tokens
    token_elasticity: Float[Array, ""] = outcome(
        symbol="b", unit="1", doc="elasticity of tokens per task (1.7)", grade="D", source="paper 1, (1.7)"
    )
    demand_elasticity: Float[Array, ""] = outcome(symbol="E_p", unit="1", doc="price elasticity of all tokens")
    arc_elasticity: Float[Array, ""] = outcome(
        symbol="arc", unit="1", doc="midpoint arc elasticity of tokens, price shock against year 20, intensive margin", grade="D",
        source="paper 1",
    )  # fmt: skip
    adopted_share: Float[Array, ""] = outcome(
        symbol="x*", unit="share of tasks", doc="tasks adopted in the end", bounds=(0.0, 1.0)
    )
    spend: Float[Array, ""] = _money(symbol="pT", doc="spend on tokens")
    compute_demand: Float[Array, ""] = outcome(symbol="C_T", unit="compute", doc="compute for serving tokens")
    energy: Float[Array, ""] = outcome(symbol="E", unit="energy", doc="energy for serving tokens")
    task_surplus: Float[Array, ""] = _money(
        symbol="TS", doc="adopters' surplus seen from tasks; not counted again in welfare"
    )
    # Flywheel
    flywheel_strength: Float[Array, ""] = outcome(
        symbol="Omega_eq", unit="1", doc="own over public data of each provider"
    )
    Omega_star: Float[Array, ""] = outcome(
        symbol="Omega*",
        unit="1",
        doc="strength beyond which symmetry is unstable (1.9)" + _none,
        grade="D",
        source="paper 1, (1.9)",
    )
    flywheel_growth: Float[Array, ""] = _rate(symbol="eigenvalue", doc="growth rate of small differences in data")
    fold: Float[Array, ""] = outcome(
        symbol="fold", unit="1", doc="least strength with a one-leader steady state" + _none
    )
    leader_share: Float[Array, ""] = _share(
        symbol="x_L", doc="leader's share at the steady state farthest from symmetry"
    )
    stabilizing_sharing: Float[Array, ""] = outcome(
        symbol="phi_stab", unit="share", doc="data sharing that makes symmetry stable at the strength Omega"
    )
    # Wrappers
    A_w: Float[Array, ""] = outcome(
        symbol="A_w", unit="capability", doc="capability beyond which apps lose value" + _none
    )
    app_margin: Float[Array, ""] = outcome(symbol="mu_app", unit="1", doc="margin of an app: what its withdrawal costs")
    app_value: Float[Array, ""] = outcome(symbol="V_app", unit="1", doc="value of an app, A^phi_w mu_app")
    # Welfare
    adopters_surplus: Float[Array, ""] = _money(symbol="CS", doc="log-sum net of the positional share of capability")
    provider_profit: Float[Array, ""] = _money(symbol="N Pi", doc="profit of all providers")
    app_profit: Float[Array, ""] = _money(symbol="Pi_app", doc="profit of apps")
    externality: Float[Array, ""] = _money(symbol="X", doc="cost of energy that others bear")
    revenue: Float[Array, ""] = _money(symbol="Rev", doc="public revenue net of subsidies")
