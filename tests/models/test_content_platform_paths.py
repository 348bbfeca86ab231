"""Co-evolution, the Pareto surface and the agents of paper 4."""

import dataclasses
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxecon import claims as claims_of
from jaxecon import load
from jaxecon.core.compiling import quick_jit
from jaxecon.models.content_platform import agents, dynamics, market, pareto, regimes
from jaxecon.models.content_platform.params import Params, Policy

clearing = importlib.import_module("jaxecon.models.content_platform.equilibrium")
MODEL = load("content_platform")
P, U = Params(), Policy()
YEARS = jnp.linspace(0.0, 100.0, 101)
follow = quick_jit(lambda p, u, K: dynamics.evolve(p, u, YEARS, K))
static = quick_jit(lambda p: clearing.outcomes(p, U, clearing.equilibrium(p, U)))
AI, NONE = jnp.asarray(3.0), jnp.asarray(0.0)


def test_long_run_quality_is_the_documented_pair():
    """With skills that adapt, AI ends at the technical and creative quality of the specification, (.844, .522)."""
    x = follow(P, U, AI)
    assert float(x.ai_technical_quality[-1]) == pytest.approx(0.844, abs=1e-3)
    assert float(x.ai_creative_quality[-1]) == pytest.approx(0.522, abs=1e-3)
    # AI turns humans to creative niches; without it the types are symmetric and their mean stays in the middle.
    assert float(x.mean_angle[-1]) > 47 and float(follow(P, U, NONE).mean_angle[-1]) == pytest.approx(45, abs=1e-6)


def test_the_path_rests_at_the_static_equilibrium():
    """Without reallocation the end of the path is the static equilibrium at the steady data stock: a second route to it."""
    p = dataclasses.replace(P, chi=jnp.asarray(0.0), delta=jnp.asarray(0.5))
    x, o = follow(p, U, AI), static(dataclasses.replace(p, ai_quality="steady"))
    for n in (
        "active_creators",
        "technical_data",
        "creative_data",
        "ai_share",
        "welfare",
        "equity",
        "mean_price",
        "hhi",
    ):
        assert float(getattr(x, n)[-1]) == pytest.approx(float(getattr(o, n)), rel=1e-8), n


@pytest.mark.slow
def test_the_path_is_right_to_first_order():
    """Halving the step halves the error against a much finer path."""
    time = jnp.linspace(0.0, 4.0, 5)
    q = [quick_jit(lambda k=k: dynamics.evolve(P, U, time, AI, k))().technical_data[-1] for k in (2, 4, 32)]
    assert 1.6 < float((q[0] - q[2]) / (q[1] - q[2])) < 2.6


def test_drive_of_skill(key):
    """Closed form by `quality_response`; zero at the angle of mean tastes without variance, with AI or without it (IIA)."""
    f = market.frame(P, dataclasses.replace(U, creative_rebate=jnp.asarray(0.2)))

    @quick_jit
    def both(f):
        m = clearing.settle(f).market
        t = dynamics.gauss_tastes(f.p, f.p.nodes)
        response = importlib.import_module("jaxecon.models.content_platform.demand").quality_response(
            t, market.buyers(t, m)
        )
        turn = market.skills(f.p)[0] * jnp.stack([-jnp.sin(f.angle), jnp.cos(f.angle)])
        profit = ((1 - m.commission) * m.price - m.marginal_cost)[:9] * f.p.Mkt
        rebate = f.u.creative_rebate * turn[1] * (m.price * m.units)[:9]
        return dynamics.angle_drive(f, m)[0], profit * jnp.sum(response[:, :9] * turn, axis=0) + rebate

    drive, closed = both(f)
    np.testing.assert_allclose(drive, closed, rtol=1e-9)
    zero = jnp.asarray(0.0)
    flat = dataclasses.replace(P, sd_a=zero, sd_b=zero)
    for K in (AI, NONE):
        g = market.with_generators(market.frame(flat, U), K)
        drive, _ = both(g)
        assert np.max(np.abs(np.asarray(drive)[[1, 4, 7]])) < 1e-9 < np.min(np.abs(np.asarray(drive)[[0, 2, 3, 5]]))


def test_generations_of_ai():
    """Replace: n e. Accumulate: e sum 1/i^2. AI without human data learns from itself alone."""
    one, five = jnp.asarray(0.0), jnp.asarray(5.0)
    e = [
        float(dynamics.inherited(dataclasses.replace(P, training=t), one, five))
        for t in ("fresh", "replace", "accumulate")
    ]
    np.testing.assert_allclose(e, [0.0, 0.5, 0.1 * sum(1 / i**2 for i in range(1, 6))], rtol=1e-12)
    assert float(dynamics.synthetic_share(P, jnp.zeros(2), jnp.asarray(5.0), jnp.ones(2))) == 1
    assert 0 < float(dynamics.synthetic_share(P, jnp.ones(2), jnp.asarray(5.0), jnp.ones(2))) < 1


@pytest.mark.slow
def test_self_trained_ai_loses_quality():
    ends = {t: follow(dataclasses.replace(P, training=t), U, AI) for t in ("fresh", "replace", "accumulate")}
    q = {t: float(x.ai_technical_quality[-1]) for t, x in ends.items()}
    assert q["replace"] < q["accumulate"] < q["fresh"]
    error = {t: np.asarray(x.generation_error) for t, x in ends.items()}
    assert error["replace"][-1] > 5 * error["accumulate"][-1] and error["accumulate"][-1] < 0.1 * np.pi**2 / 6


@pytest.mark.slow
def test_displacement_claim_at_the_baseline():
    (claim,) = claims_of(MODEL, ["C4.4"], draws=1, boundary=False)
    found = {c.id: c for c in claim.parts}
    assert found["C4.4a"].holds and found["C4.4b"].holds
    total = found["C4.4c"].margin + found["C4.4d"].margin
    assert total == pytest.approx(found["C4.4b"].margin, rel=1e-9) and found["C4.4d"].margin > found["C4.4c"].margin


# Pareto surface --------------------------------------------------------------------------------------------


def test_distance_has_a_sign():
    z = jnp.asarray([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    assert float(pareto.distance(z, jnp.asarray([-1.0, 0.0, -0.5]))) == 1.0
    assert float(pareto.distance(z, jnp.asarray([2.0, 2.0, 2.0]))) == -2.0
    assert list(map(bool, pareto.undominated(jnp.asarray([[1.0, 1, 1], [0, 0, 0], [2, 0, 0]])))) == [True, False, True]


@pytest.mark.slow
def test_pareto_surface():
    """At least 200 undominated points, each re-solved: its coordinates are an equilibrium's and the platform earns no less."""
    z, x, on = map(np.asarray, quick_jit(lambda p, u: pareto.trace(p, u), effort=1)(P, U))
    assert on.sum() >= 200
    pick = np.flatnonzero(on)[:: max(1, on.sum() // 6)]
    p = regimes.long_run(P)
    policies = jax.tree.map(
        lambda *v: jnp.stack(v), U, *[regimes.with_values(U, dict(zip(pareto.INSTRUMENTS, row))) for row in x[pick]]
    )
    found = quick_jit(lambda q: regimes.compare(p, q))(policies)
    np.testing.assert_allclose(np.asarray(regimes.coordinates(found.out))[1:], z[pick], atol=1e-8)
    profit = np.asarray(found.out.platform_profit)
    assert np.all(profit[1:] >= profit[0] * (1 - 1e-8))
    # No point beats another on all axes.
    best = z[on]
    assert not any(np.any(np.all(best >= v, axis=1) & np.any(best > v, axis=1)) for v in best)


# Agents ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_agents_settle_at_the_equilibrium():
    """20 000 creators and buyers rest within sampling error of the static equilibrium; runs are reproducible and a smooth run is near."""
    p = dataclasses.replace(P, chi=jnp.asarray(0.0), delta=jnp.asarray(0.5))
    o = static(dataclasses.replace(p, ai_quality="steady"))
    exact, again, smooth = (
        quick_jit(lambda k, q, s=s: agents.run(k, q, U, 20_000, 60, s))(jax.random.key(1), p)
        for s in (False, False, True)
    )
    np.testing.assert_array_equal(np.asarray(exact.active_creators), np.asarray(again.active_creators))
    for n, tolerance in {"active_creators": 0.015, "ai_share": 0.02, "mean_price": 0.015, "ai_price": 0.01, "consumer_surplus": 0.015,
                         "mean_income": 0.02, "outside_share": 0.04}.items():  # fmt: skip
        for x in (exact, smooth):
            assert float(jnp.mean(getattr(x, n)[-20:])) == pytest.approx(float(getattr(o, n)), rel=tolerance), n


@pytest.mark.slow
def test_agents_converge_to_the_limit():
    """Distance from the equilibrium falls at about the root of n."""
    p = dataclasses.replace(P, chi=jnp.asarray(0.0), delta=jnp.asarray(0.5))
    target = float(static(dataclasses.replace(p, ai_quality="steady")).consumer_surplus)
    gaps = []
    for n in (500, 8000):
        run = quick_jit(lambda k, n=n: jax.lax.map(lambda k: agents.run(k, p, U, n, 40, True).consumer_surplus[-1], k))
        gaps.append(float(jnp.sqrt(jnp.mean((run(jax.random.split(jax.random.key(0), 24)) - target) ** 2))))
    assert -0.75 < np.log(gaps[1] / gaps[0]) / np.log(16) < -0.3


@pytest.mark.slow
def test_smooth_agents_have_a_gradient():
    def end(w):
        return agents.run(jax.random.key(0), dataclasses.replace(P, w_0=w), U, 300, 6, True).active_creators[-1]

    slope = quick_jit(jax.grad(end))(jnp.asarray(3.0))
    f = quick_jit(end)
    numeric = (f(jnp.asarray(3.0 + 1e-5)) - f(jnp.asarray(3.0 - 1e-5))) / 2e-5
    assert float(slope) == pytest.approx(float(numeric), rel=1e-5)
