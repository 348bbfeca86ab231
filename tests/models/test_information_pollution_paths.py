"""Paper 5 over time: rest points, order of the step, an independent SciPy path, gradients, governance."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import newton, root
from scipy.special import lambertw
from scipy.stats import norm

from jaxecon.core.compiling import quick_jit
from jaxecon.models.information_pollution import dynamics, governance
from jaxecon.models.information_pollution.params import Params, Policy
from jaxecon.models.information_pollution.producers import Pair


def with_values(tree, **values):
    names = list(values)
    return eqx.tree_at(lambda t: [getattr(t, n) for n in names], tree, [jnp.asarray(values[n]) for n in names])


rest_point = jax.jit(dynamics.rest_point)
step = jax.jit(lambda p, u, state, t, h: dynamics.step(p, u, u, state, t, h)[0])
run_path = quick_jit(dynamics.path)
POLICY = Policy(low_quality_tax=0.05, provenance=0.3, fiduciary_duty=0.4)


@pytest.mark.slow
def test_a_displaced_economy_returns_to_the_static_equilibrium():
    p = with_values(Params(), price_decline=0.0)
    rest = rest_point(p, POLICY)
    state = dynamics.State(0.6 * rest.T, Pair(1.5 * rest.q.L, 0.5 * rest.q.H), rest.fast, rest.inverse, rest.residual)
    assert abs(float(step(p, POLICY, state, 0.0, 0.1).T - rest.T)) > 0.05
    for k in range(120):
        state = step(p, POLICY, state, 0.5 * k, 0.5)
    got = [state.T, state.q.L, state.q.H, *state.fast]
    np.testing.assert_allclose(got, [rest.T, rest.q.L, rest.q.H, *rest.fast], atol=1e-9)


@pytest.mark.slow
def test_the_step_is_second_order():
    p = Params()
    start = rest_point(p, POLICY)

    def after(steps):
        state = start
        for k in range(steps):
            state = step(p, POLICY, state, 2.0 * k / steps, 2.0 / steps)
        return np.array([state.T, state.q.L, state.q.H])

    exact = after(256)
    error = [np.max(np.abs(after(n) / exact - 1)) for n in (8, 16, 32)]
    assert 3.3 < error[0] / error[1] < 4.7 and 3.3 < error[1] / error[2] < 5.0, error


@pytest.mark.slow
def test_the_path_is_certified_and_follows_a_policy_path():
    p, time = Params(), jnp.linspace(0.0, 10.0, 41)
    flat = run_path(p, Policy(), time)
    ramp = run_path(p, with_values(Policy(), provenance=jnp.linspace(0.0, 0.8, 41)), time)
    for path in (flat, ramp):
        assert float(jnp.max(path.residual)) < 1e-9
        assert np.all((np.asarray(path.trust) > 0) & (np.asarray(path.trust) < 1))
    assert flat.trust[0] == ramp.trust[0] and ramp.detection[-1] > flat.detection[-1]
    np.testing.assert_allclose(np.asarray(flat.ai_price), 0.05 * 0.4 ** np.asarray(time), rtol=1e-12)
    assert abs(float(flat.pollution_index[0] - flat.frozen_index[0])) < 1e-12


# An independent solution: plain NumPy, derivatives of (5.5) by differences, SciPy's integrator.


def _costs(p, w):
    out = []
    for a, s, z in ((p.a_L, p.sigma_L, p.z_L), (p.a_H, p.sigma_H, p.z_H)):
        x, y = a**s * p.p_A ** (1 - s), (1 - a) ** s * w ** (1 - s)
        out.append(((x + y) ** (1 / (1 - s)) / z, y / (x + y)))
    return out


def _labor(p, q, w):
    k = 1 + 1 / p.eps
    return sum(c * q_j**k / k * share / w for (c, share), q_j in zip(_costs(p, w), q, strict=True))


def _seen(p, u, T, q, ln_a):
    d_prime = p.dp0 + p.dp1 * u.provenance
    h = norm.cdf(d_prime / 2), norm.cdf(-d_prime / 2)
    a = [h_j * np.exp(ln_a) + 1 - h_j for h_j in h]
    A = a[0] * q[0] + a[1] * q[1]
    M, x = p.M_0 * T**p.chi * A / (A + p.A_0), a[0] * q[0] / A
    theta = p.theta_v * (1 + p.g * u.provenance)
    v = lambertw(theta**2 * M * p.u_L * x / (p.kappa * (1 - u.provenance))).real / theta
    return SimpleNamespace(h=h, a=a, A=A, M=M, x=x, v=v, d=1 - np.exp(-theta * v))


def _steady(p, s):
    gain = p.r_0 + p.rho * s.d
    return gain / (gain + p.eta * s.x * (1 - s.d))


def _stage(p, u, ln_a, T, start, ratio=0.0):
    """Supply, wage and trust of the stage game; `T=None`: trust is steady-state trust times e^ratio."""

    def gaps(z):
        q, w = np.exp(z[:2]), np.exp(z[2])
        t = np.exp(z[3]) if T is None else T
        s = _seen(p, u, t, q, ln_a)
        earned = [p.e_L * s.a[0] * (1 - s.d), p.e_H * s.a[1]]
        out = [
            np.log(c * q_j ** (1 / p.eps) + u.low_quality_tax * h) - np.log(p.share * p.m * s.M / s.A * e)
            for (c, _), q_j, h, e in zip(_costs(p, w), q, s.h, earned, strict=True)
        ]
        out.append(z[2] + p.mu * np.log(1 - _labor(p, q, w) / p.Lbar))
        return [*out, z[3] - ratio - np.log(_steady(p, s))] if T is None else out

    found = root(gaps, start[: 3 + (T is None)], tol=1e-14)
    assert np.max(np.abs(gaps(found.x))) < 1e-9
    return found.x


def _money(p, u, ln_a, T, q, w):
    s, k = _seen(p, u, T, q, ln_a), 1 + 1 / p.eps
    AD = p.m * s.M * (p.e_L * s.x * (1 - s.d) + p.e_H * (1 - s.x))
    AI = sum(c * q_j**k / k * (1 - share) / p.p_A for (c, share), q_j in zip(_costs(p, w), q, strict=True))
    Y = p.Lbar**p.mu * (p.Lbar - _labor(p, q, w)) ** (1 - p.mu) / (1 - p.mu)
    value = s.M * (p.u_H * (1 - s.x) ** p.nu + p.u_0 * s.x**p.nu - p.u_L * s.x * (1 - s.d))
    moderation = p.c_a * ln_a**2 / 2
    W = value - p.kappa * s.v**2 / 2 + p.psi * AD + Y - p.p_A * AI - moderation - p.cert * u.provenance**2 / 2
    return (1 - p.share) * AD - moderation, W


def _condition(p, u, T, ln_a, start, h=1e-3):
    """(5.5) at iota = 0 at trust T; with the weight of welfare, trust moves along T*(a) from this point."""
    here = _stage(p, u, ln_a, T, start)
    ratio = np.log(T) - np.log(_steady(p, _seen(p, u, T, np.exp(here[:2]), ln_a)))

    def moved(at):
        # Along T*(a), scaled so that it passes through T.
        z = _stage(p, u, at, None, np.append(here, np.log(T)), ratio)
        return _money(p, u, at, np.exp(z[3]), np.exp(z[:2]), np.exp(z[2]))[1]

    def given(at):
        z = _stage(p, u, at, T, here)
        return _money(p, u, at, T, np.exp(z[:2]), np.exp(z[2]))[0]

    def slope(f):
        return (8 * (f(ln_a + h) - f(ln_a - h)) - f(ln_a + 2 * h) + f(ln_a - 2 * h)) / (12 * h)

    f = u.fiduciary_duty
    return (1 - f) * slope(given) + (f * slope(moved) if f else 0.0)


def _scipy_path(p, u, state, ln_a, years, decline):
    price, memory = p.p_A, {"ln_a": ln_a, "start": np.array([0.2, -1.2, 0.0])}

    def drift(t, x):
        p.p_A = price * (1 - decline) ** t
        T, q = x[0], x[1:]
        a = memory["ln_a"]
        ln_a = newton(lambda at: _condition(p, u, T, at, memory["start"]), a, x1=a - 0.02, tol=1e-8)
        aim = _stage(p, u, ln_a, T, memory["start"])
        memory.update(ln_a=ln_a, start=aim)
        s = _seen(p, u, T, q, ln_a)
        trust = (p.r_0 + p.rho * s.d) * (1 - T) - p.eta * s.x * (1 - s.d) * T
        return [trust, *(p.adjustment * (np.exp(aim[:2]) - q))]

    out = solve_ivp(drift, (0.0, years), state, rtol=1e-5, atol=1e-7)
    return out.y[:, -1], memory["ln_a"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_against_scipy_at_random_draws(seed):
    rng = np.random.default_rng(seed)
    drawn = {
        n: float(rng.uniform(0.8, 1.2)) for n in ("eta", "u_L", "theta_v", "A_0", "c_a", "r_0", "adjustment", "u_H")
    }
    p = Params()
    p = with_values(p, **{n: float(getattr(p, n)) * x for n, x in drawn.items()})
    u = Policy(low_quality_tax=0.02 * seed, provenance=0.2 * seed, fiduciary_duty=0.3 * seed)
    path = run_path(p, u, jnp.linspace(0.0, 1.0, 41))
    plain, policy = (SimpleNamespace(**{n: float(getattr(x, n)) for n in x.__dataclass_fields__}) for x in (p, u))
    start = [float(x[0]) for x in (path.trust, path.low_quality_items, path.high_quality_items)]
    end, ln_a = _scipy_path(plain, policy, start, float(jnp.log(path.moderation[0])), 1.0, 0.6)
    got = [float(x[-1]) for x in (path.trust, path.low_quality_items, path.high_quality_items, path.moderation)]
    np.testing.assert_allclose(got, [*end, np.exp(ln_a)], rtol=3e-5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_gradients_through_the_path(mode):
    names, base = ("p_A", "eta", "c_a", "adjustment", "price_decline", "theta_v"), Params()
    x0 = jnp.stack([getattr(base, n) for n in names])

    def value(x):
        p = with_values(base, **dict(zip(names, x, strict=True)))
        path = dynamics.path(p, POLICY, jnp.linspace(0.0, 4.0, 9))
        return jnp.mean(path.welfare) + path.frozen_index[-1]

    derivative = jax.jacfwd(value) if mode == "forward" else jax.grad(value)
    exact = np.asarray(quick_jit(derivative, effort=1)(x0))
    f, h = quick_jit(value, effort=1), 1e-5 * np.asarray(x0)
    numeric = [(f(x0 + jnp.eye(6)[i] * h[i]) - f(x0 - jnp.eye(6)[i] * h[i])) / (2 * h[i]) for i in range(6)]
    np.testing.assert_allclose(exact, numeric, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def governed():
    p = Params()
    worlds = governance.draw_worlds(jax.random.key(1), p, 4)
    starts = jax.jit(governance.starting_points)(p, worlds)
    run = jax.jit(lambda p, u0, gains, key: governance.adaptive_path(p, u0, gains, worlds, key, starts))
    return p, run, starts


@pytest.mark.slow
def test_rule_without_gains_is_a_constant_policy(governed):
    p, run, _ = governed
    u0 = jnp.array([0.1, 0.5, 0.9])
    one, two = (run(p, u0, jnp.zeros(3), jax.random.key(k)) for k in (0, 1))
    assert bool(jnp.all(governance.is_solved(one)))
    np.testing.assert_array_equal(one.welfare, two.welfare)
    np.testing.assert_array_equal(one.instruments, jnp.broadcast_to(u0, one.instruments.shape))


@pytest.mark.slow
def test_rule_moves_by_its_readings_and_stays_in_bounds(governed):
    p, run, _ = governed
    quiet = with_values(p, reading_noise=0.0, K_d=0.3)
    gains = jnp.array([0.01, 0.02, 0.2])
    path = run(quiet, jnp.array([0.05, 0.3, 0.2]), gains, jax.random.key(0))
    readings = np.asarray(path.index)
    moved = np.diff(np.asarray(path.instruments), axis=1)[:, 1:]
    expected = np.asarray(gains) * (readings[:, 1:-1, None] - 0.3) + 0.3 * np.diff(readings, axis=1)[:, :-1, None]
    inside = np.asarray(path.instruments)[:, 2:, 2] < 1
    np.testing.assert_allclose(moved[..., :2], expected[..., :2], atol=1e-12)
    np.testing.assert_allclose(moved[..., 2][inside], expected[..., 2][inside], atol=1e-12)
    assert float(jnp.max(path.instruments[..., 2])) == 1.0 and bool(jnp.all(governance.is_solved(path)))


def test_worlds_have_the_stated_law():
    worlds = governance.draw_worlds(jax.random.key(0), Params(), 20_000)
    for name in ("eta", "u_L", "theta_v"):
        log = np.log(np.asarray(getattr(worlds, name)) / float(getattr(Params(), name)))
        assert abs(log.mean()) < 0.01 and abs(log.std() - 0.3) < 0.01
    decline = np.asarray(worlds.price_decline)
    assert 0.3 <= decline.min() and decline.max() <= 0.8 and abs(decline.mean() - 0.55) < 0.005


@pytest.mark.slow
def test_gradient_of_the_rule_equals_differences_and_training_does_not_lose():
    p, key = Params(), jax.random.key(2)
    worlds = governance.draw_worlds(key, p, 4)
    starts = jax.jit(governance.starting_points)(p, worlds)
    u0 = jnp.array([0.1, 0.5, 0.9])
    value = jax.jit(lambda g: governance.mean_welfare(governance.adaptive_path(p, u0, g, worlds, key, starts)))
    g = jnp.array([0.002, 0.003, 0.004])
    exact = jax.jit(jax.jacfwd(value))(g)
    numeric = [(value(g + 1e-5 * e) - value(g - 1e-5 * e)) / 2e-5 for e in jnp.eye(3)]
    np.testing.assert_allclose(exact, numeric, rtol=1e-5, atol=1e-7)
    gains, trained = jax.jit(lambda: governance.train_rule(p, u0, worlds, key, starts, steps=8))()
    assert float(trained) >= float(value(jnp.zeros(3))) and float(jnp.max(jnp.abs(gains))) > 0
