"""Nature and government of the supply-shock model: one declaration a field.

Layer 1 (static assignment) is `layer="equilibrium"`, layer 2 (mean field) `"dynamics"`, layer 3
(agents) `"agents"`. Symbols that the layers would share in a different sense carry the suffix of the
shared conventions (`beta_ab`, `tau_q`, ...); `k_A`, `c_A`, `T_A`, `C_A` mean the same thing wherever they occur.
"""

from functools import partial

import equinox as eqx
from jaxtyping import Array, Float

from jaxecon.core.fields import instrument, parameter

_DEMAND = "paper 3, eq. 1 (form); value: reconstruction, baseline of the specification"
_SUPPLY = "paper 3, supply side (form); value: reconstruction, baseline of the specification"
_CLOSURE = "reconstruction: a skill-independent AI payoff has no interior exit cutoff"
_MEAN_FIELD = "paper 3, mean-field equation (form); value: reconstruction, baseline of the specification"
_TWO_SKILL = "paper 3, technique and creativity (form); value: reconstruction, shared conventions"
_AGENTS = "paper 3, agent-based section"
_SEARCH = "reconstruction: a search over the documented moments"

_real = partial(parameter, grade="R")
_agent = partial(parameter, grade="R", source=_SEARCH, layer="agents")


class Params(eqx.Module):
    """Structural parameters (nature). Money is the buyers' unit; masses are shares of the unit mass of buyers."""

    # Layer 1: demand
    theta_max: Float[Array, ""] = _real(
        1.0, unit="money per quality", doc="highest taste for quality (willingness to pay; buyers' income scales it)",
        source=_DEMAND, bounds=(0.05, 20.0), box="fixed",
    )  # fmt: skip
    beta: Float[Array, ""] = _real(
        0.05, unit="money", doc="weight of the search penalty Phi", source=_DEMAND, bounds=(0.0, 2.0), box=(0.0, 0.2),
    )  # fmt: skip
    eta: Float[Array, ""] = _real(
        5.0, unit="1 per AI volume", doc="sensitivity of the search penalty to AI volume", source=_DEMAND,
        bounds=(0.0, 100.0), box=(1.0, 10.0),
    )  # fmt: skip
    # Layer 1: supply
    n: Float[Array, ""] = _real(
        0.5, unit="creators per buyer", doc="mass of potential creators", source=_SUPPLY, bounds=(0.02, 5.0),
        box=(0.2, 0.8),
    )  # fmt: skip
    k_H: Float[Array, ""] = _real(
        1.0, unit="buyers per creator", doc="buyers a human creator serves", source=_SUPPLY, bounds=(0.05, 20.0),
        box="fixed",
    )  # fmt: skip
    k_A: Float[Array, ""] = _real(
        3.0, unit="buyers per creator", doc="buyers an AI-assisted creator serves", source=_CLOSURE,
        bounds=(0.1, 100.0), box=(1.5, 6.0),
    )  # fmt: skip
    alpha: Float[Array, ""] = _real(
        1.0, unit="quality per skill", doc="human quality per unit of skill", source=_SUPPLY, bounds=(0.05, 20.0),
        box=(0.8, 1.2),
    )  # fmt: skip
    a: Float[Array, ""] = _real(
        1.6, unit="quality per skill", doc="AI-assisted quality per unit of skill, below the ceiling", source=_CLOSURE,
        bounds=(0.05, 1000.0), box=(1.2, 3.0),
    )  # fmt: skip
    gamma: Float[Array, ""] = _real(
        2.0, unit="quality^2 per money", doc="ease of human quality: the cost is q^2/(2 gamma)", source=_SUPPLY,
        bounds=(0.02, 1000.0), box=(1.5, 4.0),
    )  # fmt: skip
    q_A: Float[Array, ""] = _real(
        0.6, unit="quality", doc="quality ceiling of AI", source=_SUPPLY, bounds=(0.02, 20.0), box=(0.4, 0.8)
    )
    c_A: Float[Array, ""] = _real(
        0.05, unit="money per quality and buyer",
        doc="marginal cost of AI content (layer 3: money per unit, documented)", source=_SUPPLY, bounds=(0.0, 5.0),
        box=(0.0, 0.15),
    )  # fmt: skip
    kappa: Float[Array, ""] = _real(
        0.05, unit="money per creator", doc="fixed cost of working with AI", source=_SUPPLY, bounds=(0.0, 5.0),
        box=(0.01, 0.1),
    )  # fmt: skip
    w_0: Float[Array, ""] = _real(
        0.02, unit="money per creator", doc="outside wage of creators who exit", source=_CLOSURE, bounds=(1e-4, 2.0),
        box=(0.005, 0.05),
    )  # fmt: skip
    c_x: Float[Array, ""] = _real(
        0.05, unit="money", doc="resource cost of search quality x is c_x x^2/2", source="assumed", bounds=(0.0, 10.0),
        box="scale",
    )  # fmt: skip
    skill_law: str = parameter(
        "uniform", symbol="F", unit="1", doc="law of skills on [0, 1]", kind="choice", choices=("uniform", "beta22"),
        source="reconstruction: uniform gives closed forms, Beta(2,2) one mode before the shock",
    )  # fmt: skip
    penalty: str = parameter(
        "additive", unit="1", doc="search penalty: the same for every buyer, or times the buyer's taste",
        kind="choice", choices=("additive", "proportional"),
        source="paper 3, eq. 1 (additive); the other is a robustness switch",
    )  # fmt: skip

    # Layer 2: mean field
    lam: Float[Array, ""] = _real(
        0.1, symbol="lambda", unit="1 per period", doc="speed at which skills adapt", source=_MEAN_FIELD,
        bounds=(1e-4, 100.0), layer="dynamics",
    )  # fmt: skip
    sigma: Float[Array, ""] = _real(
        0.05, unit="money", doc="dispersion of skill choice (temperature)", source=_MEAN_FIELD, bounds=(1e-3, 10.0),
        layer="dynamics",
    )  # fmt: skip
    rho: Float[Array, ""] = _real(
        1.0, unit="1 per period", doc="speed at which AI quality reaches its ceiling", source=_MEAN_FIELD,
        bounds=(0.0, 100.0), layer="dynamics",
    )  # fmt: skip
    q_A0: Float[Array, ""] = _real(
        0.2, unit="share of q_A", doc="AI quality at the shock", source="reconstruction: shared conventions",
        bounds=(0.0, 1.0), box="share", layer="dynamics",
    )  # fmt: skip
    chi: Float[Array, ""] = _real(
        0.2, unit="1 per AI volume", doc="search friction: k_H/(1 + chi D_A)", source=_MEAN_FIELD, bounds=(0.0, 50.0),
        layer="dynamics",
    )  # fmt: skip
    zeta: Float[Array, ""] = _real(
        0.0, unit="money", doc="maintenance cost of skill: zeta s^2/2",
        source="reconstruction: baseline of the specification", bounds=(0.0, 10.0), box=(0.0, 0.3), layer="dynamics",
    )  # fmt: skip
    tilt: Float[Array, ""] = _real(
        0.0, unit="1",
        doc="the initial skill law is the no-AI fixed point times exp(-tilt s); 0: the fixed point itself",
        source="reconstruction: claim C3.6 needs initial laws below the stationary one", bounds=(-50.0, 50.0),
        box="fixed", layer="dynamics",
    )  # fmt: skip
    omega: Float[Array, ""] = _real(
        0.5, unit="1", doc="weight of technique in quality, two-skill mean field", source=_TWO_SKILL,
        bounds=(0.0, 1.0), box="share", layer="dynamics",
    )  # fmt: skip
    T_A: Float[Array, ""] = _real(
        0.95, unit="technique", doc="technique of AI in the long run", grade="D", source=_AGENTS, bounds=(0.0, 3.0),
        box=(0.9236, 1.235), layer="dynamics",
    )  # fmt: skip
    C_A: Float[Array, ""] = _real(
        0.65, unit="creativity", doc="creativity of AI in the long run", grade="D", source=_AGENTS, bounds=(0.0, 3.0),
        layer="dynamics",
    )  # fmt: skip
    n_cells: int = parameter(
        200, unit="1", doc="cells of the skill grid", kind="integer", bounds=(8, 4000), layer="dynamics"
    )
    n_grid: int = parameter(
        48, unit="1", doc="cells per axis of the two-skill grid", kind="integer", bounds=(8, 512), layer="dynamics"
    )

    # Layer 3: agents, documented design
    c_H: Float[Array, ""] = parameter(
        1.0, unit="money per unit", doc="marginal cost of human content", grade="D", source=_AGENTS,
        bounds=(0.0, 50.0), layer="agents",
    )  # fmt: skip
    x_0: Float[Array, ""] = parameter(
        0.7, unit="technique", doc="mean technique of humans at the start", grade="D", source=_AGENTS,
        bounds=(0.0, 3.0), layer="agents",
    )  # fmt: skip
    y_0: Float[Array, ""] = parameter(
        1.0, unit="creativity", doc="mean creativity of humans at the start", grade="D", source=_AGENTS,
        bounds=(0.0, 3.0), layer="agents",
    )  # fmt: skip
    J_A: int = parameter(
        3, unit="AI models", doc="number of AI models", kind="integer", grade="D", source=_AGENTS, bounds=(1, 50),
        layer="agents",
    )  # fmt: skip
    N_C: int = parameter(
        1000, unit="consumers", doc="number of consumers", kind="integer", grade="D", source=_AGENTS,
        bounds=(1, 10**9), layer="agents",
    )  # fmt: skip
    n_omega: int = parameter(
        11, unit="1", doc="nodes of the taste distribution", kind="integer", source=_SEARCH, bounds=(2, 201),
        layer="agents",
    )  # fmt: skip
    adoption: str = parameter(
        "idle", unit="1", doc="what a creator who adopts AI sells from then on: AI-assisted content, or still its own",
        kind="choice", choices=("lasting", "idle"),
        source="reconstruction: only with `idle` does the documented path come out, see the decisions", layer="agents",
    )  # fmt: skip
    n_burn: int = parameter(
        20, unit="periods", doc="burn-in without AI, over which the pre-shock mean is taken", kind="integer",
        source="reconstruction: shared conventions", bounds=(1, 1000), layer="agents",
    )  # fmt: skip

    # Layer 3: the 28 fitted parameters
    B: Float[Array, ""] = _agent(11.9, unit="utility per quality", doc="weight of quality", bounds=(0.0, 200.0))
    bp: Float[Array, ""] = _agent(4.791, unit="utility per money", doc="weight of the price", bounds=(0.01, 100.0))
    v0: Float[Array, ""] = _agent(3.363, unit="utility", doc="value of buying at all", bounds=(-50.0, 50.0))
    sw: Float[Array, ""] = _agent(
        0.4937, unit="1", doc="half-width of tastes for creativity around one half", bounds=(0.0, 0.5)
    )
    beta_ab: Float[Array, ""] = _agent(0.6446, unit="utility", doc="weight of the search penalty", bounds=(0.0, 20.0))
    eta_ab: Float[Array, ""] = _agent(
        9.014, unit="1 per AI unit per consumer", doc="sensitivity of the penalty to AI volume", bounds=(0.0, 500.0)
    )
    chi_ab: Float[Array, ""] = _agent(1.938, unit="1", doc="extra search penalty on human content", bounds=(0.0, 100.0))
    a0: Float[Array, ""] = _agent(
        -8.538, unit="log odds", doc="log odds of considering AI at the shock", bounds=(-100.0, 100.0)
    )
    ra: Float[Array, ""] = _agent(
        0.1813, unit="log odds per period", doc="speed at which AI is considered", bounds=(0.0, 20.0)
    )
    T0: Float[Array, ""] = _agent(
        0.8972, unit="technique", doc="technique of AI at the shock", bounds=(0.0, 3.0), box=(0.628, 0.9236)
    )
    C0: Float[Array, ""] = _agent(0.2862, unit="creativity", doc="creativity of AI at the shock", bounds=(0.0, 3.0))
    lT: Float[Array, ""] = _agent(
        0.04129, unit="1 per period", doc="speed at which AI technique improves", bounds=(0.0, 10.0)
    )
    lC: Float[Array, ""] = _agent(
        0.0857, unit="1 per period", doc="speed at which AI creativity improves", bounds=(0.0, 10.0)
    )
    dA: Float[Array, ""] = _agent(
        0.07141, unit="utility", doc="utility step between successive AI models", bounds=(0.0, 10.0)
    )
    f: Float[Array, ""] = _agent(
        0.3248, unit="share of pre-shock income", doc="fixed cost per period of an active creator", bounds=(0.0, 5.0)
    )
    w0_ab: Float[Array, ""] = _agent(
        0.253, unit="share of pre-shock income", doc="income per period after exit", bounds=(-5.0, 5.0)
    )
    cr: Float[Array, ""] = _agent(
        0.3708, unit="share of pre-shock income", doc="cost of re-skilling in a period", bounds=(0.0, 10.0)
    )
    fee: Float[Array, ""] = _agent(
        0.192, unit="share of pre-shock income", doc="fee of adopting AI", bounds=(0.0, 10.0)
    )
    L: Float[Array, ""] = _agent(
        6.079, unit="pre-shock incomes", doc="ceiling of the liquidity buffer", bounds=(0.01, 500.0)
    )
    dx: Float[Array, ""] = _agent(
        0.006805, unit="technique per period", doc="technique lost when re-skilling", bounds=(0.0, 1.0)
    )
    dy: Float[Array, ""] = _agent(
        0.008893, unit="creativity per period", doc="creativity gained when re-skilling", bounds=(0.0, 1.0)
    )
    two: Float[Array, ""] = _agent(
        0.9871, unit="share", doc="share of the technically strong who re-skill toward technique", bounds=(0.0, 1.0),
        box=(0.7871, 1.0),
    )  # fmt: skip
    sdx: Float[Array, ""] = _agent(0.1488, unit="technique", doc="spread of initial technique", bounds=(0.0, 2.0))
    sdy: Float[Array, ""] = _agent(0.1252, unit="creativity", doc="spread of initial creativity", bounds=(0.0, 2.0))
    r_xy: Float[Array, ""] = _agent(
        -0.9878, unit="1", doc="correlation of initial technique and creativity", bounds=(-1.0, 1.0), box="exponent",
    )  # fmt: skip
    lr: Float[Array, ""] = _agent(0.02074, unit="share", doc="learning rate of action values", bounds=(0.0, 1.0))
    disc: Float[Array, ""] = _agent(
        0.7177, unit="share", doc="discount factor of action values", bounds=(0.0, 0.995), box="share"
    )
    tau_q: Float[Array, ""] = _agent(
        0.02057, unit="share of pre-shock income", doc="temperature of the softmax over actions", bounds=(1e-4, 10.0)
    )


class Policy(eqx.Module):
    """Instruments of the government; neutral at zero. Revenue is rebated lump-sum."""

    volume_charge: Float[Array, ""] = instrument(
        unit="money per buyer served", doc="charge on each buyer served by AI content", bounds=(0.0, 1.0)
    )
    input_levy: Float[Array, ""] = instrument(
        unit="money per quality and buyer", doc="levy on AI inputs, on top of c_A", bounds=(0.0, 1.0)
    )
    entry_fee: Float[Array, ""] = instrument(
        unit="money per creator", doc="fee on working with AI, on top of kappa; a charge of fee/k_A", bounds=(0.0, 1.0)
    )
    search_quality: Float[Array, ""] = instrument(
        unit="resource units", doc="public effort x in search: eta/(1 + x) at cost c_x x^2/2", bounds=(0.0, 10.0)
    )
    reskilling_subsidy: Float[Array, ""] = instrument(
        unit="money per period",
        doc="lowers the re-skilling cost (layer 3) and adds a drift toward higher skill (layer 2)", bounds=(0.0, 1.0),
        layer="dynamics",
    )  # fmt: skip
