"""Information pollution: closed forms, an independent SciPy solution, identities, gradients, planners."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq, root
from scipy.special import lambertw
from scipy.stats import norm, qmc

from jaxecon.core.compiling import quick_jit
from jaxecon.core.discovery import load
from jaxecon.core.fields import fields_of
from jaxecon.core.model import evaluate_pure
from jaxecon.economics.production import ces_unit_cost
from jaxecon.models.information_pollution import consumers, planner, solver, turning

MODEL = load("information_pollution")
BOX = {n: f for n, f in fields_of(MODEL.Params).items() if f.box is not None}
INSTRUMENTS = list(fields_of(MODEL.Policy))


def _draws(n, seed):
    lo, hi = (np.array([f.box[i] for f in BOX.values()]) for i in (0, 1))
    return lo + (hi - lo) * qmc.Sobol(len(BOX), seed=seed).random(n)


def _policies(n, seed, tax=0.5):
    """Quasi-random policies: tax up to `tax`, provenance, duty, subsidy up to .3, compute tax up to 2."""
    top = np.array([tax, 0.95, 1.0, 0.3, 2.0])
    return top * qmc.Sobol(5, seed=seed).random(n)


def _build(x, y):
    return MODEL.Params(**dict(zip(BOX, x, strict=True))), MODEL.Policy(**dict(zip(INSTRUMENTS, y, strict=True)))


@quick_jit
def _solve(points, policies):
    return jax.vmap(lambda x, y: evaluate_pure(MODEL, *_build(x, y)))(points, policies)


@pytest.fixture(scope="module")
def batch():
    points = np.concatenate([_draws(64, 2), _draws(64, 3)])
    policies = np.concatenate([np.zeros((64, 5)), _policies(64, 4)])
    return points, policies, _solve(points, policies)


def test_cost_ratios():
    for price, ratio in ((1.0, 1.0), (0.1, 0.42144 / 0.78309), (0.01, 0.05265 / 0.44585)):
        c_L, c_H = (float(ces_unit_cost(*map(jnp.asarray, (price, 1.0, 0.5, s, 1.0)))) for s in (1.67, 0.67))
        assert abs(c_L / c_H - ratio) < 2e-4


def test_lambert_function_on_twelve_decades():
    k = np.concatenate([[0.0], np.logspace(-8, 4, 200)])
    np.testing.assert_allclose(jax.vmap(consumers.lambert_w)(jnp.asarray(k)), lambertw(k).real, rtol=2e-14)
    slope = jax.vmap(jax.grad(consumers.lambert_w))(jnp.asarray([0.0, 1.0]))
    w = lambertw(1.0).real
    np.testing.assert_allclose(slope, [1.0, w / (1 + w)], rtol=1e-13)


def test_trust_stock_of_the_closed_form():
    """T* = r v/(r v + e x) with r v = .06 and e x = .2: the autonomous gain plays r v."""
    p = MODEL.params(r_0=0.06, rho=0.0, eta=0.5)
    assert abs(float(consumers.steady_trust(p, jnp.asarray(0.4), jnp.asarray(0.0))) - 0.2307692308) < 1e-9
    T = consumers.steady_trust(p, jnp.asarray(0.4), jnp.asarray(0.3))
    assert abs(float(consumers.trust_drift(p, T, jnp.asarray(0.4), jnp.asarray(0.3)))) < 1e-15


def test_baseline_trust():
    """The specification: T near .41 against [E] trust .40."""
    ev = _solve(np.array([[f.default for f in BOX.values()]]), np.zeros((1, 5)))
    assert abs(float(ev.outcomes.trust[0]) - 0.41) < 0.005


def test_identities_at_quasi_random_points(batch):
    _, _, ev = batch
    assert np.all(np.asarray(ev.status) == 0)
    for name, r in ev.residuals.items():
        assert np.max(np.abs(r)) < 1e-10, name
    np.testing.assert_allclose(ev.outcomes.low_quality_exposure + ev.outcomes.high_quality_exposure, 1.0, rtol=1e-13)


# An independent solution of the same equations: NumPy; brentq for verification inside
# `root` for traffic and wage inside brentq for moderation; finite differences for the platform's total derivatives.


class Peer:
    def __init__(self, x, y):
        names = {n: f.default for n, f in fields_of(MODEL.Params).items()}
        self.p = p = {**names, **dict(zip(BOX, x, strict=True))}
        self.u = u = dict(zip(INSTRUMENTS, y, strict=True))
        dp = p["dp0"] + p["dp1"] * u["provenance"]
        self.h = norm.cdf(dp / 2), norm.cdf(-dp / 2)
        self.theta = p["theta_v"] * (1 + p["g"] * u["provenance"])
        self.price = p["p_A"] * (1 + u["ai_compute_tax"])
        self.start = np.array([-1.2, 0.0])

    def costs(self, w):
        out = []
        for j in "LH":
            s, a, z = self.p[f"sigma_{j}"], self.p[f"a_{j}"], self.p[f"z_{j}"]
            ai, labor = a**s * self.price ** (1 - s), (1 - a) ** s * w ** (1 - s)
            out.append(((ai + labor) ** (1 / (1 - s)) / z, ai / (ai + labor)))
        return out

    def given(self, ln_a, R, w):
        """Quantities at traffic R and wage w; verification by brentq."""
        p, u, (h_L, h_H) = self.p, self.u, self.h
        a_L, a_H = h_L * np.exp(ln_a) + 1 - h_L, h_H * np.exp(ln_a) + 1 - h_H
        (c_L, s_L), (c_H, s_H) = self.costs(w)
        pay, tau = p["share"] * p["m"] * R, u["low_quality_tax"]

        def q_L(d):
            return max(0.0, (pay * p["e_L"] * a_L * (1 - d) - tau * h_L) / c_L) ** p["eps"]

        def best_reply(v):
            stake = self.theta**2 * R * a_L * q_L(1 - np.exp(-self.theta * v)) * p["u_L"]
            return lambertw(stake / (p["kappa"] * (1 - u["provenance"]))).real / self.theta - v

        v = brentq(best_reply, 0.0, 50.0, xtol=1e-15) if best_reply(0.0) > 0 else 0.0
        d = 1 - np.exp(-self.theta * v)
        qL, qH = q_L(d), max(0.0, (pay * p["e_H"] * a_H - tau * h_H) / c_H) ** p["eps"]
        A = a_L * qL + a_H * qH
        power = 1 + 1 / p["eps"]
        C_L, C_H = c_L * qL**power / power, c_H * qH**power / power
        L_O = p["Lbar"] - (C_L * (1 - s_L) + C_H * (1 - s_H)) / w
        AI = (C_L * s_L + C_H * s_H) / self.price
        x_L = a_L * qL / A
        T = (p["r_0"] + p["rho"] * d) / (p["r_0"] + p["rho"] * d + p["eta"] * x_L * (1 - d))
        return dict(qL=qL, qH=qH, A=A, v=v, d=d, x_L=x_L, T=T, L_O=L_O, AI=AI, w=w, R=R, ln_a=ln_a)

    def inner(self, ln_a, T=None):
        """The market at moderation ln_a; trust fixed at T, or in its steady state."""
        p = self.p

        def gaps(y):
            s = self.given(ln_a, *np.exp(y))
            trust = s["T"] if T is None else T
            labor = np.log(max(s["L_O"], 1e-9) / p["Lbar"])
            return y[0] - np.log(p["M_0"] * trust ** p["chi"] / (s["A"] + p["A_0"])), y[1] + p["mu"] * labor

        found = root(gaps, self.start, tol=1e-14)
        assert np.max(np.abs(found.fun)) < 1e-11
        self.start = found.x
        return self.given(ln_a, *np.exp(found.x))

    def money(self, s):
        p, u = self.p, self.u
        M = s["A"] * s["R"]
        AD = p["m"] * M * (p["e_L"] * s["x_L"] * (1 - s["d"]) + p["e_H"] * (1 - s["x_L"]))
        cost = p["c_a"] * s["ln_a"] ** 2 / 2
        Pi = (1 - p["share"]) * AD - cost - u["moderation_subsidy"] * s["ln_a"]
        value = (
            p["u_H"] * (1 - s["x_L"]) ** p["nu"] + p["u_0"] * s["x_L"] ** p["nu"] - p["u_L"] * s["x_L"] * (1 - s["d"])
        )
        Y_O = p["Lbar"] ** p["mu"] * s["L_O"] ** (1 - p["mu"]) / (1 - p["mu"])
        W = M * value - p["kappa"] * s["v"] ** 2 / 2 + p["psi"] * AD + Y_O - p["p_A"] * s["AI"] - cost
        return Pi, W - p["cert"] * u["provenance"] ** 2 / 2

    def slope(self, ln_a, h=1e-4):
        """(5.5) by central differences."""
        f, iota = self.u["fiduciary_duty"], self.p["iota"]
        T = self.inner(ln_a)["T"]
        fixed = [self.money(self.inner(ln_a + e, T))[0] for e in (h, -h)]
        moving = [self.money(self.inner(ln_a + e)) for e in (h, -h)]
        dPi_T = (fixed[0] - fixed[1]) / (2 * h)
        dPi, dW = ((moving[0][k] - moving[1][k]) / (2 * h) for k in (0, 1))
        return (1 - f) * ((1 - iota) * dPi_T + iota * dPi) + f * dW

    def solve(self):
        s = self.inner(brentq(self.slope, -2.0, 1.5, xtol=1e-9))
        Pi, W = self.money(s)
        return [s["ln_a"], s["A"], s["w"], s["v"], s["T"], s["qL"], s["qH"], W, Pi]


NAMES = (
    "log_moderation", "catalogue", "wage", "verification", "trust", "low_quality_items", "high_quality_items",
    "welfare", "platform_profit",
)  # fmt: skip


def test_equals_an_independent_scipy_solution(batch):
    points, policies, ev = batch
    # Two in laissez-faire, three with all instruments on; taxes so small that nothing exits, the peer has no scan.
    taxed = [k for k in range(64, 128) if policies[k, 0] < 0.2][:3]
    for k in (0, 1, *taxed):
        y = policies[k]
        ours = np.array([float(getattr(ev.outcomes, n)[k]) for n in NAMES])
        theirs = np.array(Peer(points[k], y).solve())
        np.testing.assert_allclose(ours, theirs, rtol=3e-6, atol=3e-6, err_msg=str(k))


@pytest.mark.slow
def test_welfare_gradient_equals_differences_for_every_parameter_and_instrument():
    x0 = np.array([float(f.default) for f in BOX.values()])
    x0[list(BOX).index("iota")] = 0.1
    names = list(BOX) + INSTRUMENTS
    z0 = np.concatenate([x0, [0.1, 0.3, 0.4, 0.05, 0.3]])

    def W(z):
        return evaluate_pure(MODEL, *_build(z[: len(x0)], z[len(x0) :])).outcomes.welfare

    grad = np.asarray(jax.jit(jax.grad(W))(z0))
    h = 1e-4 * np.maximum(np.abs(z0), 0.1)
    shifted = np.concatenate([z0 + np.diag(h), z0 - np.diag(h)])
    values = np.asarray(_solve(shifted[:, : len(x0)], shifted[:, len(x0) :]).outcomes.welfare)
    numeric = (values[: len(z0)] - values[len(z0) :]) / (2 * h)
    for n, a, b in zip(names, grad, numeric, strict=True):
        assert abs(a - b) < 1e-5 * (1 + abs(b)), (n, a, b)


@pytest.mark.slow
def test_one_sign_change_and_several_starts():
    """(5.5) on ln a in [-5, 5] over 64 worlds; inner solutions do not depend on the start."""
    grid = np.linspace(-5, 5, 41)

    @jax.jit
    @jax.vmap
    def sweep(x):
        p, u = _build(x, np.zeros(5))
        h = solver.producers.flag_rates(p, u)
        offsets = jnp.array([[0.0, 0.0, 0.0], [1.5, 0.2, 0.6], [-0.5, -0.1, 0.2]])

        def at(offset, a):
            return solver.visit(p, u, a, solver.inner_start(p, u, a, h) + offset, h)

        return jax.vmap(lambda o: jax.vmap(lambda a: at(o, a))(jnp.asarray(grid)))(offsets)

    v = sweep(_draws(64, 6))
    assert np.max(v.gap) < 1e-10
    z = np.stack(v.z, axis=-1)
    np.testing.assert_allclose(z[:, :1] + 0 * z, z, atol=1e-8)
    down = np.sum((v.slope[:, 0, :-1] > 0) & (v.slope[:, 0, 1:] <= 0), axis=1)
    up = np.sum((v.slope[:, 0, :-1] <= 0) & (v.slope[:, 0, 1:] > 0), axis=1)
    assert np.all(down == 1) and np.all(up == 0)


def test_tax_that_stops_everything_has_a_reason():
    x = np.array([[float(f.default) for f in BOX.values()]])
    ev = _solve(x, np.array([[10.0, 0.0, 0.0, 0.0, 0.0]]))
    assert MODEL.reason(ev.status[0])[0] == "NO_CONTENT" and np.isnan(ev.outcomes.welfare[0])


def test_prohibition_corner():
    """Under perfect identification a prohibitive tax removes low quality exactly: no verification, full trust, ln a = 0."""
    x = np.array([[float(f.default) for f in BOX.values()]])
    x[0, list(BOX).index("dp0")] = 40.0
    ev = _solve(x, np.array([[5.0, 0.0, 0.0, 0.0, 0.0]]))
    o = ev.outcomes
    assert int(ev.status[0]) == 0 and bool(ev.branches["NO_LOW_QUALITY"][0])
    assert float(o.low_quality_items[0]) == 0 and float(o.verification[0]) < 1e-15 and float(o.trust[0]) == 1
    assert abs(float(o.log_moderation[0])) < 1e-9


def test_partial_equilibrium():
    """mu = 0: the wage is one whatever happens."""
    x = _draws(8, 8)
    x[:, list(BOX).index("mu")] = 0.0
    ev = _solve(x, np.zeros((8, 5)))
    assert np.all(np.asarray(ev.status) == 0)
    np.testing.assert_array_equal(np.asarray(ev.outcomes.wage), 1.0)


@pytest.mark.slow
def test_planner_is_decentralized_exactly_by_three_instruments():
    """Perfect identification, cert = 0: (tax, prov, f = 1) from the planner's allocation; market without failures."""

    @jax.jit
    @jax.vmap
    def both(x):
        p = planner.perfect_identification(_build(x, np.zeros(5))[0], free_certification=True)
        best = planner.margins_planner(p)
        u = planner.decentralization(p, best.x)
        ev = evaluate_pure(MODEL, p, u)
        return best, u, ev

    x = _draws(4, 9)
    x[0] = [float(f.default) for f in BOX.values()]
    best, u, ev = both(x)
    assert np.all(np.asarray(best.slope) < 1e-5)
    inside = (np.asarray(u.provenance) <= 0.95) & (np.asarray(u.provenance) >= 0)
    assert inside[0] and np.all(np.asarray(ev.status)[inside] == 0)
    np.testing.assert_allclose(np.asarray(ev.outcomes.welfare)[inside], np.asarray(best.value)[inside], atol=1e-9)
    ours = np.stack([ev.outcomes.log_moderation, np.log(ev.outcomes.low_quality_items), ev.outcomes.verification], 1)
    np.testing.assert_allclose(ours[inside], np.asarray(best.x)[inside], atol=1e-4)
    # The market at f = 0 without instruments is worse.
    alone = _solve(x[:1], np.zeros((1, 5)))
    assert float(alone.outcomes.welfare[0]) < float(best.value[0]) - 0.01


@pytest.mark.slow
def test_turning_price_is_a_peak_and_has_a_gradient():
    p, u = MODEL.params(), MODEL.policy()
    price, slope = quick_jit(
        jax.value_and_grad(lambda e: turning.turning_price(eqx.tree_at(lambda q: q.u_L, p, e), u))
    )(p.u_L)
    x = np.tile([float(f.default) for f in BOX.values()], (3, 1))
    x[:, list(BOX).index("p_A")] = float(price) * np.array([0.97, 1.0, 1.03])
    W = np.asarray(_solve(x, np.zeros((3, 5))).outcomes.welfare)
    assert W[1] > W[0] and W[1] > W[2]
    assert float(slope) > 0  # more harm: cheaper AI stops helping earlier
    near = quick_jit(lambda e: turning.turning_price(eqx.tree_at(lambda q: q.u_L, p, e), u))
    assert float(slope) == pytest.approx(float(near(p.u_L + 1e-2) - near(p.u_L - 1e-2)) / 2e-2, rel=1e-3)


def test_costs_of_the_best_supply_need_no_power():
    """`supply_costs` is `production_costs` at (5.4), also where a tax stops one kind."""
    p, u = MODEL.params(), MODEL.policy(low_quality_tax=0.2)
    producers = solver.producers
    cost = producers.unit_costs(p, u, p.z_O)
    for net in (producers.Pair(0.3 * p.m, 0.7 * p.m), producers.Pair(-0.1 * p.m, 0.7 * p.m)):
        q = producers.supply(p, net, cost)
        short, long = producers.supply_costs(p, net, q), producers.production_costs(p, q, cost)
        np.testing.assert_allclose([short.L, short.H], [long.L, long.H], rtol=1e-12, atol=0)
