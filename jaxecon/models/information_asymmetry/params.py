"""Nature and government of the model of contracts under AI-generated signals: one declaration a field."""

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import instrument, parameter

_BASELINE = "baseline of the shared conventions, assumed"


class Params(eqx.Module):
    """Structural parameters (nature). Money is output; noise variances are in output or type units squared."""

    # Moral hazard (7.1)
    r: Float[Array, ""] = parameter(
        2.0, unit="1/money", doc="absolute risk aversion of agents (CARA)", source=_BASELINE, bounds=(0.0, 100.0)
    )
    c: Float[Array, ""] = parameter(
        1.0, unit="money per effort^2", doc="curvature of the cost of effort c e^2/2", source=_BASELINE,
        bounds=(0.05, 50.0),
    )  # fmt: skip
    s2_x: Float[Array, ""] = parameter(
        1.0, unit="output^2", doc="noise of output, the signal that is there without AI", source=_BASELINE,
        bounds=(1e-4, 1e4),
    )  # fmt: skip
    s2_e: Float[Array, ""] = parameter(
        0.25, unit="output^2", doc="noise of the AI signal about effort, before policy",
        source="documented object sigma_e^2 [D]; the value is the baseline of the shared conventions, assumed",
        bounds=(1e-6, 1e6), box="scale",
    )  # fmt: skip
    l: Float[Array, ""] = parameter(  # noqa: E741
        1.0, unit="1", doc="loading of effort in the AI signal, s = l e + eta; 0: pure noise", source=_BASELINE,
        bounds=(0.0, 10.0),
    )  # fmt: skip
    rho_s: Float[Array, ""] = parameter(
        0.0, unit="1", doc="correlation between the noises of output and of the AI signal", source="assumed: independent",
        bounds=(-0.95, 0.95), box=(-0.3, 0.3),
    )  # fmt: skip
    n: int = parameter(
        1, unit="agents", doc="agents whose noise has a common part, compared with each other (7.5)", kind="integer",
        bounds=(1, 10_000), source="assumed: one agent",
    )  # fmt: skip
    rho: Float[Array, ""] = parameter(
        0.3, unit="1", doc="correlation of noise between agents", bounds=(0.0, 0.95), box="share"
    )
    # Adverse selection (7.2)
    a: Float[Array, ""] = parameter(
        3.0, unit="money per unit", doc="value of the first unit, S(q) = a q - q^2/2", source=_BASELINE,
        bounds=(0.1, 100.0),
    )  # fmt: skip
    theta_low: Float[Array, ""] = parameter(
        1.0, unit="money per unit", doc="marginal cost of the efficient type", source=_BASELINE, bounds=(0.0, 50.0)
    )
    theta_high: Float[Array, ""] = parameter(
        1.5, unit="money per unit", doc="marginal cost of the inefficient type", source=_BASELINE, bounds=(0.0, 50.0)
    )
    nu: Float[Array, ""] = parameter(
        0.5, unit="1", doc="prior share of the efficient type", source=_BASELINE, bounds=(0.01, 0.99), box="share"
    )
    pi: Float[Array, ""] = parameter(
        0.8, unit="1", doc="accuracy of the AI signal about the type, before policy", source=_BASELINE,
        bounds=(0.5, 1.0), box="share",
    )  # fmt: skip
    ell: Float[Array, ""] = parameter(
        0.5, unit="money", doc="liability: most that an agent can lose where the signal is verified after contracting",
        source=_BASELINE, bounds=(0.0, 100.0),
    )  # fmt: skip
    # Both together (7.3): ability theta uniform on [0, 1]
    s2_theta: Float[Array, ""] = parameter(
        0.25, unit="type^2", doc="noise of the AI signal about the type, before policy",
        source="documented object sigma_theta^2 [D]; assumed value", bounds=(1e-6, 100.0), box="scale",
    )  # fmt: skip
    # Markets
    market: str = parameter(
        "bertrand", unit="1", doc="form that competition takes; `lemons` also replaces the monopoly by a monopsony",
        kind="choice", choices=("bertrand", "rothschild_stiglitz", "miyazaki_wilson_spence", "lemons"),
        source="four market structures of the specification",
    )  # fmt: skip
    m: Float[Array, ""] = parameter(
        0.5, unit="money", doc="what an efficient agent is worth to a buyer beyond output; competitive screening only",
        bounds=(1e-4, 100.0),
    )  # fmt: skip
    k: Float[Array, ""] = parameter(
        1.3, unit="1", doc="buyers' value of quality relative to sellers' in the market for lemons", source=_BASELINE,
        bounds=(1.0, 1.99), box=(1.02, 1.69),
    )  # fmt: skip
    n_cell: int = parameter(
        4, unit="cells", doc="cells of width 1/n into which AI signals sort qualities", kind="integer",
        bounds=(1, 1000), source=_BASELINE,
    )  # fmt: skip
    # Career (7.4)
    T: int = parameter(8, unit="periods", doc="length of a career", kind="integer", bounds=(1, 60), source=_BASELINE)
    h_1: Float[Array, ""] = parameter(
        1.0, unit="1/output^2", doc="precision of what is known of ability at the start", source=_BASELINE,
        bounds=(1e-3, 1e3),
    )  # fmt: skip
    h_eps: Float[Array, ""] = parameter(
        1.0, unit="1/output^2", doc="precision of performance as a signal of ability", source=_BASELINE,
        bounds=(1e-3, 1e3),
    )  # fmt: skip
    beta: Float[Array, ""] = parameter(
        0.95, unit="1", doc="discount factor a period", source=_BASELINE, bounds=(0.0, 1.0), box=(0.85, 0.99)
    )
    # Agents' own AI and signaling (7.6)
    s2_s: Float[Array, ""] = parameter(
        2.0, unit="output^2", doc="noise of the principal's AI signal where agents answer with AI of their own",
        bounds=(1e-4, 1e4),
    )  # fmt: skip
    s2_g: Float[Array, ""] = parameter(
        0.0, unit="output^2", doc="noise that agents' own AI adds to the existing signal", source="neutral: none",
        bounds=(0.0, 1e4), box=(0.0, 1.0),
    )  # fmt: skip
    t_L: Float[Array, ""] = parameter(
        1.0, unit="money", doc="productivity of the low type in Spence's signaling", source="normalization",
        bounds=(1e-3, 100.0),
    )  # fmt: skip
    t_H: Float[Array, ""] = parameter(
        2.0, unit="money", doc="productivity of the high type in Spence's signaling", bounds=(1e-3, 100.0)
    )
    lam: Float[Array, ""] = parameter(
        0.5, unit="1", doc="share of the high type in Spence's signaling", bounds=(0.01, 0.99), box="share",
        symbol="lambda",
    )  # fmt: skip
    zeta: Float[Array, ""] = parameter(
        1.0, unit="1", doc="elasticity with which productivity lowers the cost of the signal, kappa e/t^zeta",
        source="textbook case", bounds=(0.0, 10.0),
    )  # fmt: skip
    kappa: Float[Array, ""] = parameter(
        1.0, unit="money", doc="cost of the signal; agents' AI lowers it", source="normalization", bounds=(1e-4, 100.0)
    )
    # Several agents, groups, cost of policy
    rho_theta: Float[Array, ""] = parameter(
        0.3, unit="1", doc="correlation of types between agents: one agent's signal tells about others (7.5)",
        bounds=(0.0, 0.95), box="share",
    )  # fmt: skip
    s2_ratio: Float[Array, ""] = parameter(
        1.5, unit="1", doc="noise of signals about group 2 relative to group 1", bounds=(1.0, 100.0)
    )
    k_s: Float[Array, ""] = parameter(
        0.1, unit="money", doc="cost of the signal subsidy, k_s (e^x - 1)", source=_BASELINE, bounds=(0.0, 100.0)
    )
    k_p: Float[Array, ""] = parameter(
        0.01, unit="money", doc="privacy cost per unit of precision of signals", source=_BASELINE, bounds=(0.0, 10.0)
    )
    k_l: Float[Array, ""] = parameter(
        0.1, unit="money", doc="cost of limiting agents' AI, k_l x^2/2", bounds=(0.0, 100.0)
    )


class Policy(eqx.Module):
    """Instruments of the government; the default is laissez-faire: signals are public before contracting, monopoly."""

    signal_subsidy: Float[Array, ""] = instrument(
        unit="log",
        doc="lowers the noise of AI signals: sigma^2 = sigma_0^2 e^-x at cost k_s (e^x - 1)",
        bounds=(0.0, 5.0),
    )
    disclosure_rule: Float[Array, ""] = instrument(
        unit="1", doc="share of contracts whose signal is verified after contracting instead of public before",
        bounds=(0.0, 1.0),
    )  # fmt: skip
    privacy_tax: Float[Array, ""] = instrument(
        unit="1", doc="raises the noise of signals by this rate and so lowers the privacy cost k_p/sigma^2",
        bounds=(0.0, 10.0),
    )  # fmt: skip
    fairness_weight: Float[Array, ""] = instrument(
        unit="1", doc="weight of the gap between the rents of two groups in the government's objective",
        bounds=(0.0, 10.0),
    )  # fmt: skip
    competition: Float[Array, ""] = instrument(
        unit="1", doc="share of trade on the competitive form of the market", bounds=(0.0, 1.0)
    )
    agent_ai_limit: Float[Array, ""] = instrument(
        unit="1", doc="share of the noise of agents' own AI that is kept out", bounds=(0.0, 1.0)
    )


def constraints(p: Params) -> dict[str, Float[Array, ""]]:
    """Order restrictions: margins that must be positive."""
    return {
        "theta_low < theta_high": p.theta_high - p.theta_low,
        "theta_high < a": p.a - p.theta_high,
        "t_L < t_H": p.t_H - p.t_L,
    }
