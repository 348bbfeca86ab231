"""Calibration problems with known answers: linear moments, two modes, a cliff, a market, a crowd of discrete agents."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pigou
from functions import Inert, Value
from jaxtyping import Array

from jaxecon.analysis.moment_problem import moment_problem
from jaxecon.analysis.targets import Target
from jaxecon.core.fields import outcome, parameter
from jaxecon.core.model import SOLVED, Model, Moments

CLIFF = 16
# Moments of the linear model: rows of a matrix on (x, y, w).
MATRIX = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -0.5], [0.3, 0.0, 1.0], [1.0, 1.0, 1.0]])
ERRORS = np.array([0.1, 0.2, 0.15, 0.3])


def _number(doc):
    return parameter(0.2, unit="1", doc=doc, bounds=(-10.0, 10.0), box=(-3.0, 3.0))


class Numbers(eqx.Module):
    x: Array = _number("first")
    y: Array = _number("second")
    w: Array = _number("third")


class Readings(eqx.Module):
    m0: Array = outcome(unit="1", doc="first linear moment")
    m1: Array = outcome(unit="1", doc="second linear moment")
    m2: Array = outcome(unit="1", doc="third linear moment")
    m3: Array = outcome(unit="1", doc="fourth linear moment")
    square: Array = outcome(unit="1", doc="x^2, which cannot tell x from -x")
    root: Array = outcome(unit="1", doc="sqrt(1 - x), beyond which nothing solves")
    welfare: Array = outcome(unit="1", doc="-(x^2 + y^2)")


def _equilibrium(p, u):
    """Does not solve above x = 2.5; the root of a negative number is NaN with a NaN slope."""
    theta = jnp.stack([p.x, p.y, p.w])
    linear = jnp.stack([jnp.sum(row * theta) for row in jnp.asarray(MATRIX)])
    values = jnp.concatenate([linear, jnp.stack([p.x**2, jnp.sqrt(2.5 - p.x), -(p.x**2) - p.y**2])])
    return Value(jnp.where(p.x > 2.5, CLIFF, SOLVED).astype(jnp.int32), values)


LINEAR = Model(
    name="linear", title="linear", paper="textbook", Params=Numbers, Policy=Inert, Outcomes=Readings,
    equilibrium=_equilibrium, outcomes=lambda p, u, eq: Readings(*eq.y),
    identities=lambda p, u, eq: {"none": jnp.zeros((), eq.y.dtype)},
    reasons={CLIFF: ("CLIFF", "beyond the edge")}, regimes={"laissez_faire": {}},
)  # fmt: skip


def targets(observed, errors, names):
    return tuple(Target(n, n, float(v), float(s), "1", "textbook") for n, v, s in zip(names, observed, errors))


def linear_problem(theta=(0.3, -0.4, 0.6), moments=("m0", "m1", "m2", "m3"), free=("x", "y", "w"), box=(-3.0, 3.0)):
    """Linear moments observed where `theta` puts them."""
    rows = [int(m[1]) for m in moments]
    observed = MATRIX[rows] @ np.asarray(theta)
    return moment_problem(LINEAR, targets(observed, ERRORS[rows], moments), {n: box for n in free})


def exact_posterior(problem):
    """Mean and covariance of the Gaussian posterior under a flat prior, the box far away."""
    _, jacobian = (np.asarray(x)[0] for x in problem.slopes(np.zeros((1, len(problem.names)))))
    precision = jacobian.T @ np.linalg.inv(problem.covariance) @ jacobian
    at_zero, _ = problem.rows(np.zeros((1, len(problem.names))))
    cov = np.linalg.inv(precision)
    return cov @ jacobian.T @ np.linalg.inv(problem.covariance) @ (problem.observed - at_zero[0]), cov


def market_problem(errors=(0.4, 0.2)):
    """Quantity (a - c)/b and price c of a competitive market without a tax: linear in (a, c)."""
    return moment_problem(
        pigou.MODEL,
        (Target("q", "quantity", 8.0, errors[0], "units", "textbook"), Target("P", "price", 2.0, errors[1], "money", "textbook")),
        {"a": (6.0, 14.0), "c": (0.5, 3.5)},
    )  # fmt: skip


def _share(p, u, key):
    """Share of 400 buyers with values uniform on [0, a] whose value beats the cost c: about 1 - c/a."""
    return {"share": jnp.mean((p.a * jax.random.uniform(key, (400,), p.a.dtype) > p.c).astype(p.a.dtype))}


CROWD = dataclasses.replace(
    pigou.MODEL, moments={"crowd": Moments(_share, {"share": ("share", "share of buyers")}, cost="agents")}
)
