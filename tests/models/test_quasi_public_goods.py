"""Quasi-public goods: checked numbers, an independent SciPy solution, limits, claims, the quality ladder."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxecon
from benchmarks.peers import quasi_public_goods as peer
from jaxecon.analysis.designs import prior_draws
from jaxecon.core.fields import fields_of
from jaxecon.core.model import evaluate_pure
from jaxecon.models.quasi_public_goods import market, users

MODEL = jaxecon.load("quasi_public_goods")
BASE = {n: f.default for n, f in fields_of(MODEL.Params).items()}
NEUTRAL = {n: f.default for n, f in fields_of(MODEL.Policy).items()}


@pytest.fixture(scope="module")
def run():
    return eqx.filter_jit(lambda p, u: evaluate_pure(MODEL, p, u))


def test_fitted_numbers_come_out_without_leakage(run):
    """.330, .625 and .657 to the printed digits at leak = 0; the leak of the conventions moves them by less than .003."""
    p = MODEL.parameter_set("fitted")
    shares = [run(p, MODEL.regime(r)).outcomes for r in ("S0", "S1", "S4")]
    assert f"{shares[0].open_share:.3f}" == "0.330"
    assert [f"{o.publicness:.3f}" for o in shares[1:]] == ["0.625", "0.657"]
    leaky = [run(MODEL.params(), MODEL.regime(r)).outcomes for r in ("S0", "S1", "S4")]
    np.testing.assert_allclose(leaky[0].open_share, 0.33, atol=3e-3)
    np.testing.assert_allclose([o.publicness for o in leaky[1:]], [0.625, 0.657], atol=3e-3)


def test_derived_defaults_are_those_of_the_baseline(run):
    """kappa_q makes q = 1 optimal for a closed model, Pi_0 is its profit."""
    ev = run(MODEL.params(), MODEL.policy())
    eq, p = ev.equilibrium, MODEL.params()
    margin = market.kept(p, eq.offer) * eq.state.price[0] - eq.offer.c[0]
    np.testing.assert_allclose(margin * eq.response.quality, p.kappa_q * p.q_c, rtol=1e-8)
    np.testing.assert_allclose(ev.outcomes.closed_profit, p.Pi_0, rtol=1e-8)


def test_independent_solution_at_random_draws(run):
    """Every outcome equals that of the plain NumPy solution, with instruments on."""
    draws = prior_draws(MODEL, 4, seed=11)
    symbols = {f.symbol: n for n, f in fields_of(MODEL.Outcomes).items()}
    for k in range(4):
        named = dict(zip(draws.names, map(float, draws.points[k])))
        policy = {n: v for n, v in MODEL.regimes["S4"].items()} | {"data_disclosure": 0.3} if k % 2 else {}
        other = peer.solve(BASE | named, NEUTRAL | policy)
        mine = run(MODEL.params(**named), MODEL.policy(**policy))
        assert other.pop("solved") and int(mine.status) == 0
        assert set(other) == set(symbols)
        for symbol, value in other.items():
            np.testing.assert_allclose(
                getattr(mine.outcomes, symbols[symbol]), value, rtol=1e-6, atol=1e-8, err_msg=symbol
            )


def test_quadrature_error(run):
    """Against 16 x 641 nodes: welfare and the index within 1e-3 and 1e-4."""
    coarse = run(MODEL.params(), MODEL.policy()).outcomes
    fine = run(MODEL.params(ny=16, nz=641), MODEL.policy()).outcomes
    np.testing.assert_allclose(coarse.publicness, fine.publicness, atol=2e-4)
    np.testing.assert_allclose(coarse.welfare, fine.welfare, rtol=2e-3)


def test_hard_choice_is_recovered():
    """As tau falls the logit gives the best model with certainty."""
    p = MODEL.params()
    pop = users.population(p)
    offer = market.provision(p, MODEL.policy())
    price, quality = jnp.array([19.0, 19.5, 2.0]), jnp.array([0.99, 0.98, 0.8])
    access = market.access_cost(offer, pop, price)
    net = jnp.stack([quality[j] * pop.v - access[j][:, None] for j in range(3)])
    best = (net == jnp.max(net, axis=0)) & (net > 0)
    hard = jnp.sum(pop.weight * best, axis=(1, 2))
    gaps = [
        float(jnp.max(jnp.abs(users.demand(jnp.asarray(t), pop, quality, access, False).n - hard)))
        for t in (4.0, 0.5, 0.1)
    ]
    assert gaps[2] < 0.01 < gaps[0] and gaps[2] < gaps[1] < gaps[0]


def test_circulation_threshold():
    """Below 25 % at equal volume needs t_E - t_B of at least 1.386 mu."""
    out = jaxecon.evaluate(MODEL).outcomes
    np.testing.assert_allclose(out.exchange_to_broker, 0.25, atol=2e-4)


def test_claims_at_the_baseline():
    """What holds, and what does not: MX alone recovers nearly everything, and the mandate does not backfire."""
    p, u, key = MODEL.params(), MODEL.policy(), jax.random.key(0)
    found = {}
    for claim in MODEL.claims:
        if claim.joint is not None:
            if claim.id in ("C2.1", "C2.2", "C2.3", "C2.7"):
                found |= {k: float(v) for k, v in jax.jit(claim.joint)(p, u, key).items()}
        elif claim.id == "C2.8":
            found[claim.id] = float(claim.margin(p, u, key))
    fails = {k for k, v in found.items() if v <= 0}
    assert fails == {"C2.5b", "C2.7a", "C2.7b"}
    assert 0.9 < found["C2.2d"] < 1.0


def test_ladder_settles_at_the_lag():
    """The open model ends one lag behind: gap = g/lambda where growth is steady."""
    path = eqx.filter_jit(MODEL.dynamics["ladder"].run)(
        MODEL.params(zeta=0.0), MODEL.policy(), jnp.linspace(0.0, 3.0, 4)
    )
    assert np.all(np.asarray(path.residual) == 0)
    np.testing.assert_allclose(path.closed_quality, np.exp(0.3 * np.asarray(path.time)), rtol=1e-10)
    np.testing.assert_allclose(path.quality_gap[-1], 0.3 / (3.4 * 1.1), rtol=1e-3)


@pytest.mark.slow
def test_no_profitable_deviation():
    """The certificate of the Nash equilibrium on a price-capacity grid."""
    table = jax.jit(MODEL.studies["certificate"])(MODEL.params(), MODEL.policy())
    assert float(table["no profitable deviation"]) == 1.0 and float(table["deviations settled"]) > 0.9
