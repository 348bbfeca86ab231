"""Claims of the supply-shock model against the equilibrium computed anew."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from jaxecon.models.supply_shock import MODEL
from jaxecon.models.supply_shock import claims as claims_of
from jaxecon.models.supply_shock.equilibrium import equilibrium


@pytest.mark.slow
def test_hollow_middle_and_modes(key):
    p, u = MODEL.params(), MODEL.policy()
    run = jax.jit(lambda p: (claims_of.shape_claims(p, u, key)["C3.2a"], claims_of.two_modes(p, u, key)))
    hollow, modes = run(p)
    assert float(hollow) > 0 and float(modes) > 0
    # One mode if AI is out of reach: the claim can fail.
    assert float(run(dataclasses.replace(p, kappa=jnp.asarray(4.0)))[1]) < 0


@pytest.mark.slow
def test_volume_decides_and_inverted_u(key):
    p, u = MODEL.params(), MODEL.policy()
    run = jax.jit(lambda p: [claims_of.shape_claims(p, u, key)[k] for k in ("C3.4a", "C3.4b")])
    exact, shape = run(p)
    assert float(exact) > 0 and float(shape) > 0
    assert float(run(eqx.tree_at(lambda t: t.beta, p, jnp.asarray(1.0)))[1]) < 0  # above beta_1
    assert float(run(eqx.tree_at(lambda t: t.beta, p, jnp.asarray(0.0)))[1]) == 0  # monotone at beta = 0


@pytest.mark.slow
def test_threshold_gradient():
    from jaxecon.models.supply_shock.threshold import beta_local, beta_star

    p, u = MODEL.params(), MODEL.policy()

    def star(eta):
        return beta_star(eqx.tree_at(lambda t: t.eta, p, eta), u).beta

    value, slope = jax.jit(lambda e: jax.jvp(star, (e,), (jnp.ones_like(e),)))(p.eta)
    both = jax.jit(jax.vmap(star))(jnp.asarray([5.001, 4.999]))
    assert abs(float(slope) - float(both[0] - both[1]) / 0.002) < 1e-4
    assert 0 < float(value) < float(jax.jit(lambda: beta_local(p, u).beta)())


@pytest.mark.slow
def test_no_volume_is_best_above_beta_one():
    """Welfare along the charge is highest with AI content below beta_1, at the choke above it."""
    from jaxecon.models.supply_shock.planner import choke_charge, welfare_of, with_charge
    from jaxecon.models.supply_shock.threshold import at, beta_one

    p, u = MODEL.params(), MODEL.policy()
    found = jax.jit(beta_one)(p, u)
    assert bool(found.found)

    @jax.jit
    def best_charge(beta):
        q = at(p, beta, p.c_A)
        shares = jnp.linspace(0.0, 1.0, 65)

        def welfare(share):
            v = with_charge(u, share * choke_charge(q, u))
            return welfare_of(q, v, equilibrium(q, v))

        return shares[jnp.argmax(jax.lax.map(welfare, shares))]

    assert float(best_charge(0.97 * found.beta)) < 0.9
    assert float(best_charge(1.03 * found.beta)) == 1.0


@pytest.mark.slow
def test_pigou_charge_maximizes_welfare(key):
    p, u = MODEL.params(), MODEL.policy()
    for claim in (claims_of.pigou_stationary, claims_of.pigou_global, claims_of.charge_beats_levy):
        assert float(jax.jit(lambda claim=claim: claim(p, u, key))()) > 0
