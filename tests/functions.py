"""Test functions with known answers, written as models: Ishigami, Sobol's G, and hills to climb."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxecon.core.fields import instrument, outcome, parameter
from jaxecon.core.model import SOLVED, Equilibrium, Model

CLIFF = 16


class Value(Equilibrium):
    y: Array


def _model(name, params, policy, outcomes, formula, fails=lambda p, u: False):
    """A model whose outcomes are `formula(p, u)`; it fails with reason CLIFF where `fails(p, u)`."""

    def equilibrium(p, u):
        status = jnp.where(fails(p, u), CLIFF, SOLVED).astype(jnp.int32)
        return Value(status, jnp.stack(formula(p, u)))

    return Model(
        name=name, title=name, paper="textbook", Params=params, Policy=policy, Outcomes=outcomes,
        equilibrium=equilibrium,
        outcomes=lambda p, u, eq: outcomes(*eq.y),
        identities=lambda p, u, eq: {"none": jnp.zeros((), eq.y.dtype)},
        reasons={CLIFF: ("CLIFF", "beyond the edge")},
        regimes={"laissez_faire": {}},
    )  # fmt: skip


def _angle(doc):
    return parameter(0.5, unit="rad", doc=doc, bounds=(-4.0, 4.0), box=(-np.pi, np.pi))


class Angles(eqx.Module):
    x1: Array = _angle("first")
    x2: Array = _angle("second")
    x3: Array = _angle("third")


class Unit(eqx.Module):
    g1: Array = parameter(0.4, unit="1", doc="first", bounds=(0.0, 1.0), box=(0.0, 1.0))
    g2: Array = parameter(0.4, unit="1", doc="second", bounds=(0.0, 1.0), box=(0.0, 1.0))
    g3: Array = parameter(0.4, unit="1", doc="third", bounds=(0.0, 1.0), box=(0.0, 1.0))
    g4: Array = parameter(0.4, unit="1", doc="fourth", bounds=(0.0, 1.0), box=(0.0, 1.0))


class Inert(eqx.Module):
    dial: Array = instrument(0.0, unit="1", doc="does nothing", bounds=(0.0, 1.0))


class Y(eqx.Module):
    welfare: Array = outcome(unit="1", doc="the function")
    constant: Array = outcome(unit="1", doc="does not vary")


def _ishigami(p, u):
    y = jnp.sin(p.x1) + 7 * jnp.sin(p.x2) ** 2 + 0.1 * p.x3**4 * jnp.sin(p.x1)
    return y, jnp.full_like(y, 3.0)


ISHIGAMI = _model("ishigami", Angles, Inert, Y, _ishigami)
ISHIGAMI_EDGE = _model("ishigami_edge", Angles, Inert, Y, _ishigami, lambda p, u: p.x1 > 3.0)
G_WEIGHTS = np.array([0.0, 1.0, 4.5, 9.0])


def _g(p, u):
    x = jnp.stack([p.g1, p.g2, p.g3, p.g4])
    y = jnp.prod((jnp.abs(4 * x - 2) + G_WEIGHTS) / (1 + G_WEIGHTS))
    return y, jnp.full_like(y, 3.0)


SOBOL_G = _model("sobol_g", Unit, Inert, Y, _g)


class Levers(eqx.Module):
    east: Array = instrument(0.0, unit="km", doc="east", bounds=(-2.0, 2.0))
    north: Array = instrument(0.0, unit="km", doc="north", bounds=(-1.0, 1.0))


def _hills(p, u):
    """Two hills at east = -1 (low) and east = +1 (high), sloping up to the north edge; beyond east 1.7: a cliff."""
    low = jnp.exp(-2 * (u.east + 1) ** 2)
    high = 1.5 * jnp.exp(-4 * (u.east - 1) ** 2)
    y = low + high + 0.3 * u.north + 0.1 * u.east * u.north
    return y, jnp.full_like(y, 3.0)


HILLS = _model("hills", Unit, Levers, Y, _hills, lambda p, u: u.east > 1.7)


def _kink(p, u):
    y = -jnp.abs(u.east - 0.3)
    return y, jnp.full_like(y, 3.0)


KINK = _model("kink", Unit, Levers, Y, _kink)


class Costs(eqx.Module):
    c0: Array = parameter(1.0, unit="1", doc="first cost", bounds=(0.1, 3.0))
    c1: Array = parameter(1.0, unit="1", doc="second cost", bounds=(0.1, 3.0))
    c2: Array = parameter(1.0, unit="1", doc="third cost", bounds=(0.1, 3.0))


class Three(eqx.Module):
    x: Array = instrument(0.0, unit="1", doc="first", bounds=(-2.0, 2.0))
    y: Array = instrument(0.0, unit="1", doc="second", bounds=(-2.0, 2.0))
    v: Array = instrument(0.0, unit="1", doc="third", bounds=(-2.0, 2.0))


class Two(eqx.Module):
    welfare: Array = outcome(unit="1", doc="a concave benefit with complements less convex costs")
    second: Array = outcome(unit="1", doc="a convex burden")


def _levers(p, u):
    """x and y are complements, x and v substitutes, y and v neither."""
    benefit = 2 * u.x + 1.5 * u.y + u.v + 0.5 * u.x * u.y - 0.4 * u.x * u.v
    cost = p.c0 * u.x**2 + p.c1 * u.y**2 + p.c2 * u.v**2 + 0.1 * (u.x**4 + u.y**4 + u.v**4)
    return benefit - cost, jnp.exp(u.x) * 0.5 + u.v**2 + 0.2 * u.y


LEVERS = _model("levers", Costs, Three, Two, _levers)
