"""Tables for the report: convergence and divergence, fiscal policy over time, dates of automation beside another model."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float

from jaxecon.core.fields import fields_of, with_fields
from jaxecon.models.ai_growth import countries
from jaxecon.models.ai_growth.accounts import as_consumption
from jaxecon.models.ai_growth.equilibrium import equilibrium, outcomes
from jaxecon.models.ai_growth.params import Params, Policy
from jaxecon.models.ai_growth.technology import exogenous, years

Scalar = Float[Array, ""]

# Two countries ---------------------------------------------------------------------------------------------

SPEEDS, INFLECTIONS = (0.0, 0.0025, 0.005, 0.01, 0.02), (5.0, 15.0, 30.0)


def lead_map(p: Params, speeds: Array, inflections: Array) -> Float[Array, "t_2 kap"]:
    """Lead of country 1 in 2060 by year of the second inflection and speed of imitation: the map of convergence and divergence."""

    def lead(t_2: Scalar, kap: Scalar) -> Scalar:
        return countries.lead_in(with_fields(p, ("t_2", "kap"), (t_2, kap)))

    return jax.vmap(lambda t: jax.vmap(lambda k: lead(t, k))(speeds))(inflections)


def convergence(p: Params, u: Policy) -> Mapping[str, Array]:
    """Lead in 2060 on the map at the sizes of `p` and between equals; where equals part; slopes of that boundary."""
    same = with_fields(p, ("L_2", "rd_2"), (p.L_1, p.rd_1))
    dtype = p.alpha.dtype
    table = {"lead in 2020": p.x_0}
    for who, q in (("these sizes", p), ("equals", same)):
        found = lead_map(q, jnp.asarray(SPEEDS, dtype), jnp.asarray(INFLECTIONS, dtype))
        for i, t in enumerate(INFLECTIONS):
            for j, k in enumerate(SPEEDS):
                table[f"lead in 2060, {who}, t_2 = {t:g}, kap = {k:g}"] = found[i, j]
    boundary, slopes = jax.value_and_grad(countries.imitation_boundary)(same)
    table["boundary kap*, equals"] = boundary
    for name in ("t_2", "th_A", "fm", "x_0", "h_abs"):
        table[f"elasticity of kap* in {name}, equals"] = getattr(slopes, name) * getattr(same, name) / boundary
    return table


# Fiscal policy over time -----------------------------------------------------------------------------------

KNOTS = (0.0, 15.0, 40.0)
# Instruments of the plan and the most that is sought of each: taxes on AI up to .5, the others up to their bounds.
INSTRUMENTS = {"ai_tax": 0.5, "robot_tax": 0.5, "basic_income": 0.15, "property_tax": 0.03}


def between_knots(p: Params, x: Float[Array, "k knots"]) -> Float[Array, "k T"]:
    """Paths that are linear between 2020, 2035 and 2060 and constant after."""
    t = years(p)
    return jax.vmap(lambda values: jnp.interp(t, jnp.asarray(KNOTS, t.dtype), values))(x)


class Plan(NamedTuple):
    """Instruments `[k, knots]`, welfare under them and without them, and the largest projected slope of welfare by a width of the ranges."""

    x: Float[Array, "k knots"]
    welfare: Scalar
    before: Scalar
    kkt: Scalar


def ramsey(p: Params, u: Policy, most: Float[Array, " k"], steps: int = 100) -> Plan:
    """Paths of `INSTRUMENTS` between 0 and `most` that maximize welfare, announced in 2020: the gradient goes through the transition.

    The income tax closes the budget (8.21). Projected Adam from zero; one copy of the transition and its reverse pass in the program,
    because compiling it is most of the time.
    """
    top = most[:, None]

    def welfare(z: Array) -> Scalar:
        v = with_fields(u, tuple(INSTRUMENTS), between_knots(p, top * z))
        return outcomes(p, v, equilibrium(p, v)).welfare

    rule = optax.adam(optax.cosine_decay_schedule(0.1, steps))

    def climb(state: tuple, _: None) -> tuple[tuple, Scalar]:
        z, memory, best, highest, slope = state
        value, g = jax.value_and_grad(welfare)(z)
        better = value > highest
        kkt = jnp.max(jnp.abs(jnp.clip(z + g, 0.0, 1.0) - z))
        best, highest, slope = (
            jnp.where(better, z, best),
            jnp.where(better, value, highest),
            jnp.where(better, kkt, slope),
        )
        change, memory = rule.update(-g, memory)
        return (jnp.clip(z + change, 0.0, 1.0), memory, best, highest, slope), value

    zero = jnp.zeros((len(INSTRUMENTS), len(KNOTS)), p.alpha.dtype)
    none = jnp.asarray(-jnp.inf, p.alpha.dtype)
    (_, _, best, highest, slope), values = lax.scan(climb, (zero, rule.init(zero), zero, none, none), None, steps)
    return Plan(top * best, highest, values[0], slope)


def plans(p: Params, u: Policy, steps: int = 100) -> Plan:
    """The plan with all instruments, and the one without a tax on wealth: `[2]`, one program."""
    most = jnp.asarray(list(INSTRUMENTS.values()), p.alpha.dtype)
    without = jnp.where(jnp.asarray([n == "property_tax" for n in INSTRUMENTS]), 0.0, most)
    return lax.map(lambda top: ramsey(p, u, top, steps), jnp.stack([most, without]))


def fiscal_policy(p: Params, u: Policy) -> Mapping[str, Array]:
    """The Ramsey paths at their knots, and the gain as a rise of everybody's consumption in all years."""
    found = plans(p, u)
    table = {}
    for i, which in enumerate(("all instruments", "no tax on wealth")):
        table[f"{which}: gain, share of consumption"] = as_consumption(p, found.welfare[i] - found.before[i])
        table[f"{which}: projected slope"] = found.kkt[i]
        for k, name in enumerate(INSTRUMENTS):
            for j, t in enumerate(KNOTS):
                table[f"{which}: {name}, {2020 + t:.0f}"] = found.x[i, k, j]
    return table


# Dates of automation beside Epoch's full takeoff model -----------------------------------------------------


class Preset(NamedTuple):
    """What the presets of Epoch's full takeoff model (epoch-research/ftm) say about automation [E]: training compute for full automation in FLOP with
    the algorithms of 2022, how many times less does a fifth of tasks, cognitive share of output, CES exponent of tasks, published year of full automation."""

    requirement: float
    gap: float
    cognitive_share: float
    substitution: float
    published: float


EPOCH = {
    "conservative": Preset(1e40, 1e8, 0.30, -2.0, float("nan")),
    "best_guess": Preset(1e36, 1e4, 0.50, -0.5, 2040.0),
    "aggressive": Preset(1e33, 10.0, 0.65, -0.2, 2027.2),
}
LARGEST_RUN_2022 = 3e24
FIFTH, FULL = 0.2, 0.99
NO_WALL = 1e22


def takeoff_parameters(preset: str) -> dict[str, float]:
    r"""The thresholds of a preset in this model's parameters: what the files `sets/epoch_*.toml` hold.

    *Mapped*: `C_0` puts the largest run of 2022 at 3e24 FLOP along this model's own growth of compute. Without a data wall
    capability is linear in log effective compute, $z = \frac{\alpha\beta}{\alpha+\beta}(\ln C - \ln C_{2020})$, so that the two thresholds
    (a fifth and, as "full", 99 % of exposed tasks) fix `z_j` and `s_z`; exposure is the cognitive share of output; $s = 1/(1-\rho)$.
    *Not comparable, and left as it is here*: their compute and algorithms grow with spending on research that AI itself speeds up, ours are
    exogenous; their tasks are automated when they can be, ours when AI is cheaper than labor and with a lag of diffusion; they limit
    automation by compute for running AI, we by the cost of AI capital. Nothing is fitted to their dates.
    """
    x, p = EPOCH[preset], {n: f.default for n, f in fields_of(Params).items()}
    runs = sum(p["gC_inf"] + (p["gC_0"] - p["gC_inf"]) / (1 + math.exp((t - p["t_C"]) / p["s_C"])) for t in (0, 1))
    algorithms = p["gA_0"] * (1 + p["rho_A"])
    C_0 = LARGEST_RUN_2022 * math.exp(-runs)
    slope = p["N_al"] * p["N_be"] / (p["N_al"] + p["N_be"])
    # In the algorithms of 2020, in which effective compute is counted, the requirement is larger.
    full = slope * (math.log(x.requirement / C_0) + algorithms)
    fifth = full - slope * math.log(x.gap)
    low, high = (math.log(share / (1 - share)) for share in (FIFTH, FULL))
    s_z = (full - fifth) / (high - low)
    z = fifth - low * s_z
    return {
        "C_0": C_0, "Dbar": NO_WALL, "z_g": z, "z_s": z, "s_z": s_z, "x_g": x.cognitive_share, "x_s": x.cognitive_share,
        "sig": 1 / (1 - x.substitution),
    }  # fmt: skip


def year_reached(share: Float[Array, " T"], level: float) -> Scalar:
    """Calendar year, between years by a line, in which a rising path reaches a level; NaN where it does not."""
    t = jnp.arange(share.shape[0], dtype=share.dtype)
    k = jnp.argmax(share >= level)
    before = jnp.maximum(k - 1, 0)
    rise = share[k] - share[before]
    part = jnp.where(rise > 0, (level - share[before]) / jnp.where(rise > 0, rise, 1.0), 0.0)
    return jnp.where(share[k] >= level, 2020 + t[before] + part, jnp.nan)


def takeoff(p: Params, u: Policy) -> Mapping[str, Array]:
    """By preset: years in which a fifth and 99 % of exposed tasks are feasible, in which half and nine tenths of them are done by AI, what
    AI adds to GDP by then, beside the published year of full automation (NaN: none). The first two are what can be compared."""
    values = [takeoff_parameters(name) for name in EPOCH]
    names = tuple(values[0])
    points = jnp.asarray([[v[n] for n in names] for v in values], p.alpha.dtype)

    def dates(x: Array) -> Array:
        q = with_fields(p, names, x)
        eq = equilibrium(q, u)
        out = outcomes(q, u, eq)
        feasible = exogenous(q, u).phi_g
        done = eq.with_ai.a_g / q.x_g
        found = [
            year_reached(feasible, FIFTH),
            year_reached(feasible, FULL),
            year_reached(done, 0.5),
            year_reached(done, 0.9),
        ]
        found = jnp.stack([*found, out.effect_2035, out.effect_2060])
        return jnp.where(eq.status == 0, found, jnp.nan)

    rows = (
        "a fifth of exposed tasks feasible, year", "99 % of exposed tasks feasible, year", "half of exposed tasks done by AI, year",
        "nine tenths of exposed tasks done by AI, year", "effect of AI on GDP in 2035", "effect of AI on GDP in 2060",
    )  # fmt: skip
    table = {}
    for preset, found in zip(EPOCH, lax.map(dates, points)):
        name = preset.replace("_", " ")
        table |= {f"{name}: {row}": x for row, x in zip(rows, found)}
        table[f"{name}: full automation as published, year"] = jnp.asarray(EPOCH[preset].published, p.alpha.dtype)
    return table


STUDIES = {"convergence": convergence, "fiscal_policy": fiscal_policy, "takeoff": takeoff}
