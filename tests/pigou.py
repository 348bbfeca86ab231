"""A test-only model with closed forms: a market with a linear externality and a Pigouvian tax.

P = a - b q, marginal cost c, damage d q^2/2: tau* = d(a - c)/(b + d), deadweight loss of laissez-faire
d^2(a - c)^2/[2 b^2 (b + d)].
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxecon.core.fields import instrument, outcome, parameter, series
from jaxecon.core.model import SOLVED, Agents, Claim, Dynamics, Equilibrium, Model

NO_TRADE = 16


class Params(eqx.Module):
    a: Array = parameter(10.0, unit="money", doc="choke price", grade="S", source="assumed", bounds=(0.0, 50.0))
    b: Array = parameter(1.0, unit="money/unit", doc="slope of demand", grade="S", bounds=(0.01, 10.0))
    c: Array = parameter(2.0, unit="money", doc="marginal cost", grade="S", bounds=(0.0, 50.0), box=(1.0, 4.0))
    d: Array = parameter(0.5, unit="money/unit", doc="slope of damage", grade="S", bounds=(0.0, 10.0), box="scale")
    speed: Array = parameter(0.4, unit="1/yr", doc="adjustment speed", bounds=(0.0, 10.0), layer="dynamics")
    market: str = parameter(
        "competitive", unit="1", doc="market form", kind="choice", choices=("competitive", "monopoly")
    )


class Policy(eqx.Module):
    tax: Array = instrument(0.0, unit="money", doc="tax on each unit", bounds=(0.0, 8.0))


class Outcomes(eqx.Module):
    quantity: Array = outcome(unit="units", doc="quantity traded", symbol="q", bounds=(0.0, 1e4))
    price: Array = outcome(unit="money", doc="consumer price", symbol="P")
    damage: Array = outcome(unit="money", doc="external damage", symbol="X")
    welfare: Array = outcome(unit="money", doc="surplus minus damage", symbol="W")


class Market(Equilibrium):
    q: Array


def equilibrium(p, u):
    """Quantity where price = marginal cost (or marginal revenue = marginal cost) plus tax."""
    slope = p.b if p.market == "competitive" else 2 * p.b
    q = jnp.maximum(p.a - p.c - u.tax, 0.0) / slope
    trade = p.a > p.c
    return Market(jnp.where(trade, SOLVED, NO_TRADE).astype(jnp.int32), q)


def outcomes(p, u, eq):
    q = eq.q
    damage = p.d * q**2 / 2
    return Outcomes(q, p.a - p.b * q, damage, (p.a - p.c) * q - p.b * q**2 / 2 - damage)


def identities(p, u, eq):
    """Surpluses, taxes and damage add up to welfare."""
    out = outcomes(p, u, eq)
    consumer = p.b * eq.q**2 / 2
    firms = (out.price - p.c - u.tax) * eq.q
    total = consumer + firms + u.tax * eq.q - out.damage
    return {"surplus": (total - out.welfare) / (1 + jnp.abs(out.welfare))}


def optimal_tax(p):
    return p.d * (p.a - p.c) / (p.b + p.d)


def deadweight_loss(p):
    return p.d**2 * (p.a - p.c) ** 2 / (2 * p.b**2 * (p.b + p.d))


class Path(eqx.Module):
    time: Array = series("time", unit="years", doc="time since the shock")
    quantity_path: Array = series("time", unit="units", doc="quantity traded", symbol="q(t)")


def path(p, u, time):
    """q' = speed (q* - q), q(0) = 0."""
    return Path(time, equilibrium(p, u).q * (1 - jnp.exp(-p.speed * time)))


class Crowd(eqx.Module):
    period: Array = series("period", unit="periods", doc="period")
    share_buying: Array = series("period", unit="share", doc="share of agents who buy")


def crowd(key, p, u, n, periods, smooth):
    """Each agent buys when a uniform value on [0, a] beats the price."""
    gap = p.a * jax.random.uniform(key, (periods, n), p.a.dtype) - (p.c + u.tax)
    buys = jax.nn.sigmoid(gap / 0.05) if smooth else (gap > 0).astype(p.a.dtype)
    return Crowd(jnp.arange(periods, dtype=p.a.dtype), jnp.mean(buys, axis=1))


def _margin_region(p, u, key):
    """The optimal tax exceeds 3.2 when d is large: fails at the baseline (2.667), holds in a part of the box."""
    return optimal_tax(p) - 3.2


CLAIMS = (
    Claim("P1", "The optimal tax is positive", "S", "exact", lambda p, u, key: optimal_tax(p)),
    Claim("P2", "The optimal tax exceeds 3.2", "R", "region", _margin_region),
    Claim("P3", "Size of the deadweight loss", "S", "report", lambda p, u, key: deadweight_loss(p)),
    Claim(
        "P4", "Both parts", "S", "baseline", lambda p, u, key: jnp.minimum(p.a - p.c - 6.0, 0.8 - p.d),
        parts=(
            Claim("P4a", "Gains from trade exceed 6", "S", "baseline", lambda p, u, key: p.a - p.c - 6.0),
            Claim("P4b", "Damage is flat", "S", "baseline", lambda p, u, key: 0.8 - p.d),
        ),
    ),
    Claim("P5", "A coin of bias .75 shows heads", "S", "region",
          lambda p, u, key: jax.random.uniform(key, (), p.a.dtype) - 0.25),
    Claim("P6", "Undefined for high cost", "S", "region", lambda p, u, key: jnp.where(p.c < 2.5, 1.0, jnp.nan)),
    Claim("P7", "A costly claim", "S", "baseline", lambda p, u, key: p.b, cost="agents", max_draws=8),
    Claim("P8", "A claim at the baseline only", "S", "calibrated", lambda p, u, key: p.b, cost="optimization", max_draws=1),
)  # fmt: skip


def with_costly_claim(draws):
    """The model with P2 as a claim that costs more than an equilibrium and affords so many draws."""
    (cheap,) = (c for c in MODEL.claims if c.id == "P2")
    costly = dataclasses.replace(cheap, id="P9", cost="optimization", max_draws=draws)
    return dataclasses.replace(MODEL, claims=(costly,))


MODEL = Model(
    name="pigou",
    title="Pigouvian tax",
    paper="Pigou (1920), textbook case",
    Params=Params,
    Policy=Policy,
    Outcomes=Outcomes,
    equilibrium=equilibrium,
    outcomes=outcomes,
    identities=identities,
    branches=lambda p, u, eq: {"trade": eq.q > 0},
    reasons={NO_TRADE: ("NO_TRADE", "the choke price does not exceed marginal cost")},
    claims=CLAIMS,
    dynamics={"adjustment": Dynamics(path, Path, "quantity adjusts to the market", 20.0, 40)},
    agents={"crowd": Agents(crowd, Crowd, "buyers with uniform values", 200, 12)},
    regimes={"laissez_faire": {}, "pigou_tax": {"tax": 8.0 / 3.0}},
)
