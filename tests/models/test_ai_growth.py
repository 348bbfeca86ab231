"""The macro report against closed forms, an independent transition in SciPy, and its own derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import lambertw

from benchmarks.peers import ai_growth as peer
from jaxecon import load
from jaxecon.core.compiling import quick_jit
from jaxecon.core.fields import fields_of
from jaxecon.core.inputs import load_set
from jaxecon.models.ai_growth import claims_closed, countries, economy, studies, technology

MODEL = load("ai_growth")
P, U = MODEL.params(), MODEL.policy()
BASE = {n: f.default for n, f in fields_of(MODEL.Params).items()}


def with_values(tree, **values):
    names = list(values)
    return eqx.tree_at(lambda t: [getattr(t, n) for n in names], tree, [jnp.asarray(values[n], float) for n in names])


simulate = quick_jit(countries.simulate)


# Tasks and technology --------------------------------------------------------------------------------------


def test_scaling_law_is_compute_optimal_and_capability_linear_without_the_wall():
    p = with_values(P, Dbar=1e22)
    t = technology.years(p)
    capability = quick_jit(technology.capability)
    ln_C = technology.compute(p, t)
    best = technology.optimal_data(p, ln_C)
    at_best = technology.reducible_loss(p, ln_C, best)
    for shift in (-0.01, 0.01):
        assert np.all(technology.reducible_loss(p, ln_C, best + shift) > at_best)
    z = capability(p, jnp.zeros_like(t), t)
    slope = p.N_al * p.N_be / (p.N_al + p.N_be)
    np.testing.assert_allclose(z[:40], slope * (ln_C - ln_C[0])[:40], atol=1e-8)
    walled = capability(with_values(P, Dbar=1e13), jnp.zeros_like(t), t)
    more = capability(with_values(P, Dbar=1e13), jnp.ones_like(t), t)
    assert np.all(walled[5:] < more[5:]) and np.all(more[5:] < z[5:])


@pytest.mark.parametrize("s, a, x", [(0.5, 0.2, 0.3), (0.3, 0.05, 1.4), (0.8, 0.6, 0.1)])
def test_task_formula(s, a, x):
    """(C8.9): the derivative of log cost by automation, and the cost share of AI, by finite differences."""
    p = with_values(P, sig=s)
    zero, h = jnp.zeros(()), 1e-6

    def ln_cost(a, x):
        return float((1 - p.alpha) * economy.task_price(p, jnp.asarray(a), jnp.log(x), zero)[0])

    by_a = (ln_cost(a + h, x) - ln_cost(a - h, x)) / (2 * h)
    by_x = (ln_cost(a, x * np.exp(h)) - ln_cost(a, x * np.exp(-h))) / (2 * h)
    assert float(claims_closed.task_gain(p, jnp.asarray(a), jnp.asarray(x))) == pytest.approx(-by_a, rel=1e-7)
    share = float(economy.task_price(p, jnp.asarray(a), jnp.log(x), zero)[1])
    assert 0.6 * share == pytest.approx(by_x, rel=1e-7)  # Hulten
    # Gains vanish where AI costs as much as labor, and are losses where it costs more.
    assert float(claims_closed.task_gain(p, jnp.asarray(a), jnp.ones(()))) == pytest.approx(0, abs=1e-15)


def test_baumol_weights_of_services():
    """Odds of services in expenditure move with their price by 1 - eps; the price level is the true index."""
    p_s = jnp.asarray([0.5, 1.0, 2.0, 4.0])
    share, P_level = economy.services_share(P, jnp.log(p_s))
    odds = np.diff(np.log(share / (1 - share))) / np.diff(np.log(p_s))
    np.testing.assert_allclose(odds, 1 - float(P.eps), rtol=1e-12)
    slope = jax.vmap(jax.grad(lambda v: jnp.log(economy.services_share(P, v)[1])))(jnp.log(p_s))
    np.testing.assert_allclose(slope, share, rtol=1e-12)  # Shephard
    assert float(P_level[1]) == pytest.approx(1.0)


def test_floor_is_the_smoothed_complementarity():
    """(8.20) along its curve: r - r_min + (-ln u) = sqrt((r - r_min)^2 + ln^2 u + fb^2)."""
    r, ln_u = economy.lower_bound(P, jnp.linspace(-0.3, 0.3, 61), P.r_min)
    above, idle = r - P.r_min, -ln_u
    np.testing.assert_allclose(above + idle, np.sqrt(above**2 + idle**2 + P.fb**2), rtol=1e-12)
    assert np.all(above > 0) and np.all(idle > 0)


# Two countries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("branch", [0, -1])
def test_lambert_function(branch):
    z = -np.array([1e-6, 1e-3, 0.1, 0.3, 0.36, 0.3678])
    both = quick_jit(jax.vmap(jax.value_and_grad(lambda v: countries.lambert_w(v, branch))))
    got, slope = both(jnp.asarray([*z, -0.4, 0.1]))
    exact = lambertw(z, branch).real
    np.testing.assert_allclose(got[:-2], exact, rtol=1e-9)
    np.testing.assert_allclose(slope[:-2], exact / (z * (1 + exact)), rtol=1e-6)
    assert np.all(np.isnan(got[-2:]))


def test_rest_points_and_saddle_node():
    """Where imitation equals a growth advantage: roots by Brent on either side of h; none below kap = e Dg/h."""
    h, gap = 1.2, 0.004
    fold = float(countries.saddle_node(jnp.asarray(gap), jnp.asarray(h)))
    assert fold == pytest.approx(np.e * gap / h, rel=1e-14)
    times = jnp.asarray([1.02, 1.5, 4.0, 0.99])
    one = jnp.ones_like(times)
    low, high = quick_jit(jax.vmap(countries.rest_points))(gap * one, times * fold, h * one)
    for k in range(3):

        def drift(x, kap=float(times[k]) * fold):
            return gap - kap * x * np.exp(-x / h)

        assert float(low[k]) == pytest.approx(brentq(drift, 0, h), rel=1e-9)
        assert float(high[k]) == pytest.approx(brentq(drift, h, 40 * h), rel=1e-9)
    assert np.isnan(low[3]) and np.isnan(high[3])


def test_a_lead_beyond_the_tipping_gap_grows():
    p = with_values(P, L_2=0.8, rd_2=0.02, fm=0.0, t_A=-1000.0)

    @quick_jit
    def look(p):
        tip, slopes = jax.value_and_grad(countries.tipping_gap)(p)
        after = [countries.lead_in(eqx.tree_at(lambda q: q.x_0, p, times * tip), 400) / tip for times in (0.98, 1.02)]
        return tip, slopes.kap, jnp.stack(after)

    _, slope, ends = look(p)
    assert ends[0] < 0.98 and ends[1] > 1.02
    near = [float(look(with_values(p, kap=0.02 + d))[0]) for d in (-1e-6, 1e-6)]
    assert float(slope) == pytest.approx((near[1] - near[0]) / 2e-6, rel=1e-6)
    assert float(look(with_values(p, kap=1e-4))[0]) == 0
    assert float(look(P)[0]) == 12.0  # the follower's research alone is as good: no tipping below 10 h


def test_boundary_of_convergence():
    """The specification's numbers (it prints .0037 at th_A = 1, where the root is .003650), and slopes by differences."""
    p, h = claims_closed.alike(P), 1e-4

    def boundary(t_2, th_A):
        return countries.imitation_boundary(eqx.tree_at(lambda q: (q.t_2, q.th_A), p, (t_2, th_A)))

    t_2 = jnp.asarray([5.0, 10.0, 15.0, 20.0, 30.0, 15.0, 15.0, 15.0, 15 + h, 15 - h, 15.0, 15.0])
    th_A = jnp.asarray([0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 1.0, 2.0, 0.5, 0.5, 0.5 + h, 0.5 - h])
    kap, slopes = quick_jit(jax.vmap(jax.value_and_grad(boundary, argnums=(0, 1))))(t_2, th_A)
    np.testing.assert_allclose(kap[:5], [0.0018, 0.0032, 0.0047, 0.0062, 0.0092], atol=5e-5)
    np.testing.assert_allclose(kap[5:8], [0.00652, 0.00365, 0.00253], atol=5e-6)
    assert float(slopes[0][2]) == pytest.approx(float(kap[8] - kap[9]) / (2 * h), rel=1e-6)
    assert float(slopes[1][2]) == pytest.approx(float(kap[10] - kap[11]) / (2 * h), rel=1e-6)


def test_growth_without_research_does_not_depend_on_size():
    time = jnp.arange(41.0)
    p = with_values(P, nu=0.0, fm=0.0)
    small, large = (simulate(with_values(p, L_1=x, L_2=3 * x), U, time) for x in (1.0, 50.0))
    np.testing.assert_array_equal(small.growth_2, large.growth_2)
    assert np.all(small.technology_growth_2 > small.technology_growth_1)
    # The follower's capital is on the balanced path of 2020: output grows with technology at first, Solow after.
    assert float(small.growth_1[0]) == pytest.approx(float(small.technology_growth_1[0]), rel=1e-9)


def test_capital_flows_to_the_higher_return_and_preserves_nothing_else():
    time = jnp.arange(41.0)
    shut, opened = (simulate(with_values(P, phi_k=x), U, time) for x in (0.0, 0.2))
    gap = [np.abs(x.return_1 - x.return_2)[-1] for x in (shut, opened)]
    assert gap[1] < gap[0]
    np.testing.assert_array_equal(shut.lead, opened.lead)


def test_countries_against_the_peer_over_the_box():
    fields = {n: f for n, f in fields_of(MODEL.Params).items() if f.box is not None}
    rng = np.random.default_rng(2)
    run = quick_jit(
        lambda p: (*countries.countries_2060(p, U), countries.tipping_gap(p), countries.imitation_boundary(p))
    )
    for k in range(12):
        draw = {n: rng.uniform(*f.box) for n, f in fields.items()}
        draw["phi_k"] = 0.1 * (k % 2)
        expected = peer._countries(BASE | draw)
        got = run(with_values(P, **draw))
        names = ("x_2060", "g_1", "g_2", "x_tip", "kap_star")
        np.testing.assert_allclose([float(v) for v in got], [expected[n] for n in names], rtol=1e-8, atol=1e-10)


# Sets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", list(studies.EPOCH))
def test_sets_hold_what_the_mapping_of_the_presets_gives(preset):
    """The thresholds in the file are those of the documented formula, not tuned."""
    found = load_set(MODEL, f"epoch_{preset}").params
    for name, value in studies.takeoff_parameters(preset).items():
        assert found[name] == pytest.approx(value, rel=1e-8), name
