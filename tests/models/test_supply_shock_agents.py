"""The agent layer of the supply shock: an independent loop, invariances, gradients, limits, moments."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxecon.models.supply_shock.agents import AGENTS, initial_skills, run
from jaxecon.models.supply_shock.claims_agents import (
    MOMENTS,
    RATE_TOLERANCE,
    SIZES,
    convergence_rate,
    deviations,
    moments,
    sample_moments,
    smooth_gap,
)
from jaxecon.models.supply_shock.params import Params, Policy
from jaxecon.numerics.agents import mean_and_error, uniforms

# Fast decline: exits, adoption and re-skilling all happen within a few dozen periods.
LIVELY = dict(a0=-2.0, ra=0.5, L=1.5, tau_q=0.1, lr=0.2, sdx=0.1)


def _set(tree, **values):
    names = list(values)
    new = [jnp.asarray(values[n], jnp.result_type(float)) for n in names]
    return eqx.tree_at(lambda t: [getattr(t, n) for n in names], tree, new)


_run = jax.jit(lambda key, p, u, n, periods, smooth: run(key, p, u, n, periods, smooth), static_argnums=(3, 4, 5))


def _reference(p, key, n, periods):
    """The rule once more, creator by creator in plain Python floats, fed with the same draws."""
    skills_key, action_key = jax.random.split(key)
    x, y = (list(map(float, v)) for v in initial_skills(p, skills_key, n))
    g = {f: float(getattr(p, f)) for f in (
        "B", "bp", "v0", "sw", "beta_ab", "eta_ab", "chi_ab", "a0", "ra", "T0", "C0", "T_A", "C_A", "lT", "lC", "dA", "f",
        "w0_ab", "cr", "fee", "L", "dx", "dy", "two", "lr", "disc", "tau_q", "c_H", "c_A", "x_0", "y_0")}  # fmt: skip
    nodes = [0.5 - g["sw"] + 2 * g["sw"] * k / (p.n_omega - 1) for k in range(p.n_omega)]
    lasting = p.adoption == "lasting"
    start_x = list(x)
    alive, ai = [True] * n, [False] * n
    share, models, D = [0.0] * n, [0.0] * p.J_A, 0.0

    def sell(considered, t):
        T = g["T_A"] - (g["T_A"] - g["T0"]) * math.exp(-g["lT"] * t)
        C = g["C_A"] - (g["C_A"] - g["C0"]) * math.exp(-g["lC"] * t)
        phi = g["beta_ab"] * math.log(1 + g["eta_ab"] * D)
        new, new_models = [0.0] * n, [0.0] * p.J_A
        cost = [g["c_A"] if ai[i] else g["c_H"] for i in range(n)]
        price = [cost[i] + 1 / (g["bp"] * (1 - share[i])) for i in range(n)]
        model_price = [g["c_A"] + 1 / (g["bp"] * (1 - models[j])) for j in range(p.J_A)]
        for w in nodes:
            v = []
            for i in range(n):
                qx, qy = (max(x[i], T), min(y[i], C)) if ai[i] else (x[i], y[i])
                penalty = phi if ai[i] else (1 + g["chi_ab"]) * phi
                v.append(
                    g["v0"] - math.log(n / 50) + g["B"] * (w * qy + (1 - w) * qx - 0.85) - g["bp"] * price[i] - penalty
                )
            e = [math.exp(v[i]) if alive[i] else 0.0 for i in range(n)]
            em = [math.exp(g["v0"] + g["B"] * (w * C + (1 - w) * T - 0.85) + g["dA"] * (1 - j) - g["bp"] * model_price[j] - phi)
                  for j in range(p.J_A)]  # fmt: skip
            every, own = 1 + sum(e) + sum(em), 1 + sum(e[i] for i in range(n) if not ai[i])
            for i in range(n):
                new[i] += considered * e[i] / every / len(nodes)
                new[i] += 0.0 if ai[i] else (1 - considered) * e[i] / own / len(nodes)
            for j in range(p.J_A):
                new_models[j] += considered * em[j] / every / len(nodes)
        margin = [(price[i] - cost[i]) * new[i] for i in range(n)]
        return new, new_models, price, margin

    before, revenue0 = [0.0] * n, [0.0] * n
    for _ in range(p.n_burn):
        share, _, price, margin = sell(0.0, 0.0)
        before = [b + m / p.n_burn for b, m in zip(before, margin, strict=True)]
        revenue0 = [r + a * s / p.n_burn for r, a, s in zip(revenue0, price, share, strict=True)]
    stay = (1 - g["f"]) / (1 - g["disc"])
    values = [[stay, stay - g["cr"], stay - g["fee"], g["w0_ab"] / (1 - g["disc"])] for _ in range(n)]
    m = [g["L"] / 2] * n
    out = []
    for t in range(periods):
        draw = np.asarray(uniforms(jax.random.fold_in(action_key, t), n))
        action = [None] * n
        for i in range(n):
            if not alive[i]:
                continue
            odds = [math.exp((v - max(values[i])) / g["tau_q"]) for v in values[i]]
            odds[2] = 0.0 if ai[i] else odds[2]
            q = [o / sum(odds) for o in odds]
            back = q[1] * g["two"] if x[i] / g["x_0"] >= y[i] / g["y_0"] else 0.0
            bounds = np.cumsum([q[0], q[1] - back, back, q[2], q[3]])
            action[i] = int(np.searchsorted(bounds, draw[i], side="right"))
            if action[i] == 1:
                x[i], y[i] = x[i] - g["dx"], y[i] + g["dy"]
            elif action[i] == 2:
                x[i], y[i] = x[i] + g["dx"], y[i] - g["dy"]
            elif action[i] == 3:
                ai[i] = lasting
            elif action[i] == 4:
                alive[i] = False
        share, models, price, margin = sell(1 / (1 + math.exp(-(g["a0"] + g["ra"] * t))), t)
        share = [s if a else 0.0 for s, a in zip(share, alive, strict=True)]
        D = sum(models) + sum(share[i] for i in range(n) if ai[i])
        revenue = [price[i] * share[i] for i in range(n) if alive[i]]
        human = sum(share[i] for i in range(n) if not ai[i])
        for i in range(n):
            if not alive[i]:
                continue
            slot = {0: 0, 1: 1, 2: 1, 3: 2}[action[i]]
            reward = margin[i] / before[i] - g["f"] - (0.0, g["cr"], g["fee"])[slot]
            values[i][slot] += g["lr"] * (reward + g["disc"] * max(values[i]) - values[i][slot])
            m[i] = min(m[i] + reward, g["L"])
            alive[i] = m[i] >= 0
        left = [i for i in range(n) if alive[i]]
        out.append({
            "human_share": human / (sum(share) + sum(models)),
            "ai_units": D,
            "hhi": sum(s * s for s in share) + sum(s * s for s in models),
            "median_revenue": (np.median(revenue) if revenue else 0.0) / np.median(revenue0),
            "active": len(left) / n,
            "active_humans": sum(not ai[i] for i in left) / n,
            "technique_change": np.mean([x[i] - start_x[i] for i in left]) if left else 0.0,
            "skill_ratio": np.mean([y[i] / x[i] for i in left]) if left else 0.0,
        })  # fmt: skip
    return {k: np.array([o[k] for o in out]) for k in out[0]}


@pytest.mark.parametrize("adoption", ["idle", "lasting"])
def test_independent_loop_gives_the_same_path(adoption, key):
    p = _set(Params(adoption=adoption), **LIVELY, f=0.6)
    path = _run(key, p, Policy(), 12, 40, False)
    expected = _reference(p, key, 12, 40)
    assert expected["active"][-1] < 1.0, "somebody leaves, so that exit is tested"
    assert np.ptp(expected["technique_change"]) > 0, "somebody re-skills"
    if adoption == "lasting":
        assert np.min(expected["active_humans"] - expected["active"]) < 0, "somebody adopts"
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(path, name), value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_reproducible_from_the_key_and_prefix_stable(key):
    p, u = Params(), Policy()
    one, two = _run(key, p, u, 50, 80, False), _run(key, p, u, 50, 80, False)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)
    short = _run(key, p, u, 50, 30, False)
    np.testing.assert_array_equal(short.human_share, one.human_share[:30])
    other = _run(jax.random.key(1), p, u, 50, 80, False)
    assert not np.array_equal(one.human_share, other.human_share)


def test_no_ai_control(key):
    """Nobody considers AI: nothing happens to anybody."""
    p = _set(Params(), a0=-100.0, ra=0.0)
    path = _run(key, p, Policy(), 50, 80, False)
    np.testing.assert_allclose(path.human_share, 1.0, rtol=1e-12)
    np.testing.assert_allclose(path.median_revenue, 1.0, rtol=2e-2)
    assert float(path.active[-1]) == 1.0 and float(path.search_penalty.max()) < 1e-12


def test_accounting(key):
    path = _run(key, Params(adoption="lasting"), Policy(), 50, 80, False)
    np.testing.assert_allclose(path.active + path.exits, 1.0, rtol=1e-12)
    assert np.all(np.diff(path.exits) >= 0)
    np.testing.assert_allclose(path.covered * (1 - path.human_share), path.ai_units, atol=1e-12)
    assert np.all((path.covered > 0) & (path.covered < 1))
    assert np.all(path.active_humans <= path.active + 1e-12)


def test_scale_invariance(key):
    """Money in other units (costs x 3, sensitivity / 3): nothing real changes."""
    p, u = Params(), Policy()
    scaled = _set(p, bp=p.bp / 3, c_H=p.c_H * 3, c_A=p.c_A * 3)
    a, b = (_run(key, q, u, 50, 80, False) for q in (p, scaled))
    np.testing.assert_allclose(a.human_share, b.human_share, rtol=1e-9)
    np.testing.assert_allclose(3 * a.human_price, b.human_price, rtol=1e-9)


def test_instruments_act(key):
    p = Params()
    base = _run(key, p, Policy(), 50, 80, False)
    dearer = _run(key, p, _set(Policy(), volume_charge=0.3), 50, 80, False)
    levied = _run(key, p, _set(Policy(), input_levy=0.3), 50, 80, False)
    search = _run(key, p, _set(Policy(), search_quality=2.0), 50, 80, False)
    reskill = _run(key, p, _set(Policy(), reskilling_subsidy=0.3), 50, 80, False)
    assert dearer.human_share[-1] > levied.human_share[-1] > base.human_share[-1]
    np.testing.assert_allclose(dearer.ai_price[0] - base.ai_price[0], 0.3, rtol=1e-2)
    assert search.search_penalty[60] < base.search_penalty[60]
    assert reskill.creativity_change[-1] > base.creativity_change[-1]
    lasting = Params(adoption="lasting")
    fee = _run(key, lasting, _set(Policy(), entry_fee=1.0), 50, 80, False)
    assert fee.active[69] - fee.active_humans[69] < 0.5, "a fee of one income deters adoption"
    free = _run(key, lasting, Policy(), 50, 80, False)
    assert free.active[69] - free.active_humans[69] > 0.9


@pytest.mark.slow
def test_same_code_for_many_agents_and_both_precisions(key):
    with jax.enable_x64(False):
        single = jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), Params())
        path = _run(key, single, jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), Policy()), 100_000, 50, False)
    assert path.human_share.dtype == jnp.float32
    double = _run(key, Params(), Policy(), 3200, 50, False)
    np.testing.assert_allclose(path.human_share, double.human_share, atol=0.02)
    np.testing.assert_allclose(path.active, double.active, atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("adoption", ["lasting", "idle"])
def test_smooth_gradient_is_that_of_differences(adoption, key):
    p, u = _set(Params(adoption=adoption), **LIVELY), _set(Policy(), search_quality=0.1, reskilling_subsidy=0.05)
    names = ["B", "bp", "v0", "sw", "beta_ab", "eta_ab", "chi_ab", "a0", "ra", "T0", "C0", "lT", "lC", "dA", "f",
             "w0_ab", "cr", "fee", "L", "dx", "dy", "two", "sdx", "sdy", "r_xy", "lr", "disc", "tau_q", "T_A", "C_A", "c_A",
             "c_H", "x_0", "y_0"]  # fmt: skip
    taxes = ["volume_charge", "input_levy", "entry_fee", "search_quality", "reskilling_subsidy"]

    def score(vector):
        q = _set(p, **dict(zip(names, vector[: len(names)], strict=True)))
        v = _set(u, **dict(zip(taxes, vector[len(names) :], strict=True)))
        path = run(key, q, v, 10, 25, True)
        return (
            jnp.mean(path.human_share) + jnp.mean(path.active) + jnp.mean(path.median_revenue) + jnp.mean(path.hhi)
            + jnp.mean(path.technique_change) + jnp.mean(path.exiter_skill_ratio)
        )  # fmt: skip

    at = jnp.array([float(getattr(p, n)) for n in names] + [float(getattr(u, n)) for n in taxes])
    exact = jax.jit(jax.grad(score))(at)
    assert np.all(np.isfinite(exact))
    h = 1e-6
    step = h * jnp.eye(len(at))
    values = jax.jit(lambda b: jax.lax.map(score, b))(jnp.concatenate([at + step, at - step]))
    differences = (values[: len(at)] - values[len(at) :]) / (2 * h)
    scale = 1e-3 * np.max(np.abs(differences)) + np.abs(differences)
    assert np.max(np.abs(exact - differences) / scale) < 1e-3
    moved = dict(zip(names + taxes, np.abs(exact) > 0, strict=True))
    # Idle adoption never serves AI content, but models pay charges; every parameter matters somewhere.
    assert all(moved.values()), [n for n, m in moved.items() if not m]


def test_record_and_errors(key):
    layer = AGENTS["creators"]
    path = _run(key, Params(), Policy(), 50, 80, False)
    assert isinstance(path, layer.Result) and set(moments(path)) == set(MOMENTS)
    with pytest.raises(ValueError, match="80 periods"):
        moments(jax.tree.map(lambda v: v[:10] if v.ndim else v, path))


@pytest.mark.slow
def test_converges_to_its_own_limit():
    """C3.9b: distance to a large population falls like N^-1/2."""
    distances = jax.jit(lambda k: deviations(Params(), Policy(), k))(jax.random.key(2))
    assert np.all(np.diff(distances) < 0) and len(distances) == len(SIZES)
    assert abs(float(convergence_rate(distances)) + 0.5) < RATE_TOLERANCE


@pytest.mark.slow
def test_moments_against_the_documented_path():
    """C3.7: the moments that this reading reproduces, within 10 % or three standard errors."""
    sample = jax.jit(lambda k: sample_moments(Params(), Policy(), k))(jax.random.key(0))
    for name in ("share_before", "active_40", "share_final", "revenue_trough", "hhi_after", "technique"):
        mean, error = mean_and_error(sample[name])
        documented = MOMENTS[name].documented
        assert abs(float(mean) - documented) < max(0.1 * abs(documented), 3 * float(error)), name
    mean, error = mean_and_error(sample["hhi_before"])
    assert abs(float(mean) - MOMENTS["hhi_before"].reference) < 3 * float(error)
    assert float(mean_and_error(sample["skill_ratio"])[0]) > 2, "survivors are the creative"


@pytest.mark.slow
def test_smooth_variant_stays_close():
    gap = jax.jit(lambda k: smooth_gap(Params(), Policy(), k))(jax.random.key(0))
    assert abs(float(gap["share_before"])) < 1e-3 and abs(float(gap["hhi_after"])) < 5e-3
    assert abs(float(gap["survivors"])) < 0.03 and abs(float(gap["share_final"])) < 0.03
