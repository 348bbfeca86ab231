"""Static layer of the supply-shock model: closed forms, independent solutions, identities, claims."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from jaxecon.core.compiling import quick_jit
from jaxecon.core.fields import fields_of
from jaxecon.core.model import evaluate_pure
from jaxecon.models.supply_shock import MODEL, market
from jaxecon.models.supply_shock.accounts import accounts
from jaxecon.models.supply_shock.equilibrium import NO_AI, NOT_CUTOFFS, no_ai_cutoff, starts
from jaxecon.models.supply_shock.market import Cutoffs

LAWS = {
    "uniform": (lambda s: s, lambda s: np.ones_like(s)),
    "beta22": (lambda s: s * s * (3 - 2 * s), lambda s: 6 * s * (1 - s)),
}
BOX = {k: f.box for k, f in fields_of(MODEL.Params).items() if f.layer == "equilibrium" and f.box}


def box_points(n, seed=11, **fixed):
    names = list(BOX)
    lo, hi = (np.array([BOX[k][i] for k in names]) for i in (0, 1))
    x = jnp.asarray(lo + (hi - lo) * stats.qmc.Sobol(len(names), seed=seed).random(n))
    base = MODEL.params(**fixed)
    return jax.vmap(lambda v: eqx.tree_at(lambda t: [getattr(t, k) for k in names], base, list(v)))(x)


@quick_jit
def _solve(points, u):
    return eqx.filter_vmap(lambda p: evaluate_pure(MODEL, p, u))(points)


def rows(tree, start, stop):
    return jax.tree.map(lambda x: x[start:stop], tree)


def solve(points, u=None):
    """Solutions at a batch of points, 256 at a time, so that one program serves every law and penalty."""
    n, policy = points.n.shape[0], MODEL.policy() if u is None else u
    whole = jax.tree.map(lambda x: jnp.concatenate([x, jnp.broadcast_to(x[:1], (-n % 256, *x.shape[1:]))]), points)
    parts = [_solve(rows(whole, start, start + 256), policy) for start in range(0, n, 256)]
    return rows(jax.tree.map(lambda *x: jnp.concatenate(x), *parts), 0, n)


def pick(tree, k):
    return {f: float(getattr(tree, f)[k]) for f in BOX} | {"theta_max": 1.0, "k_H": 1.0}


@pytest.fixture(scope="module")
def baseline():
    return eqx.filter_jit(evaluate_pure)(MODEL, MODEL.params(), MODEL.policy())


# Independent solution: NumPy and SciPy only, no function of the package.


def numpy_price(d, cut, q, law, penalty="additive"):
    """Price by numerical integration of 1 - M over quality."""
    cdf = LAWS[law][0]
    s_0, s_1, s_h = cut

    def above(z):
        def part(c, lo, hi):
            return cdf(hi) - cdf(np.clip(z / c, lo, hi))

        human = part(d["alpha"], s_0, s_1) + part(d["alpha"], s_h, 1.0)
        adopters = np.where(z <= d["q_A"], part(d["a"], s_1, s_h), 0.0)
        return d["n"] * (d["k_H"] * human + d["k_A"] * adopters)

    kinks = [
        d["alpha"] * s_0,
        d["alpha"] * s_1,
        d["alpha"] * s_h,
        d["q_A"],
        min(d["a"] * s_1, d["q_A"]),
        min(d["a"] * s_h, d["q_A"]),
    ]
    edges = np.unique(np.clip([0.0, *kinks, q], 0.0, q))
    nodes, weights = np.polynomial.legendre.leggauss(6)
    total = sum(
        (hi - lo) / 2 * np.sum(weights * above(lo + (hi - lo) * (nodes + 1) / 2))
        for lo, hi in itertools.pairwise(edges)
    )
    volume = d["n"] * d["k_A"] * (cdf(s_h) - cdf(s_1))
    phi = d["beta"] * np.log1p(d["eta"] * volume)
    if penalty == "proportional":
        phi *= d["theta_max"] * (1 - float(above(np.array(0.0))))
    return d["theta_max"] * (q - total) - phi


def numpy_payoffs(d, cut, s, law, penalty):
    q_h, q_a = d["alpha"] * s, min(d["a"] * s, d["q_A"])
    ai = d["k_A"] * (numpy_price(d, cut, q_a, law, penalty) - d["c_A"] * q_a) - d["kappa"]
    return ai, d["k_H"] * numpy_price(d, cut, q_h, law, penalty) - q_h**2 / (2 * d["gamma"])


def numpy_cutoffs(d, start, law, penalty):
    """Cutoffs by scipy.optimize.root on the indifference conditions of the pattern that `start` shows."""
    low_humans, high_humans = start[1] - start[0] > 1e-7, start[2] < 1 - 1e-9
    free = [True, low_humans, high_humans]

    def unpack(v):
        it = iter(v)
        s_0 = next(it)
        s_1 = next(it) if low_humans else s_0
        return s_0, s_1, next(it) if high_humans else 1.0

    def conditions(v):
        cut = unpack(v)
        ai_0, human_0 = numpy_payoffs(d, cut, cut[0], law, penalty)
        out = [(human_0 if low_humans else ai_0) - d["w_0"]]
        for k in (1, 2):
            if free[k]:
                ai, human = numpy_payoffs(d, cut, cut[k], law, penalty)
                out.append(ai - human)
        return out

    rough = [x * 1.01 for x, keep in zip(start, free) if keep]
    found = optimize.root(conditions, rough, tol=1e-13)
    return np.array(unpack(found.x)), np.max(np.abs(conditions(found.x)))


@pytest.mark.parametrize(
    ("law", "penalty"), [("uniform", "additive"), ("beta22", "additive"), ("uniform", "proportional")]
)
def test_scipy_finds_the_same_cutoffs(law, penalty):
    points = box_points(8, seed=3, skill_law=law, penalty=penalty)
    ev = solve(points)
    checked = 0
    for k in range(8):
        if int(ev.status[k]) != 0:
            continue
        d, out = pick(points, k), ev.outcomes
        ours = np.array([float(out.exit_cutoff[k]), float(out.adoption_cutoff[k]), float(out.human_cutoff[k])])
        theirs, residual = numpy_cutoffs(d, ours, law, penalty)
        assert residual < 1e-9
        np.testing.assert_allclose(ours, theirs, atol=1e-7)
        price = numpy_price(d, theirs, d["q_A"], law, penalty)
        np.testing.assert_allclose(float(out.price_ai_ceiling[k]), price, atol=1e-7)
        checked += 1
    assert checked >= 7


def grid_planner(d, law, cells=120, steps=6000):
    """Fictitious play of creators on a skill grid: converges to the assignment whatever its pattern."""
    s = (np.arange(cells) + 0.5) / cells
    m = d["n"] * LAWS[law][1](s)
    m = m * d["n"] / m.sum()
    q_h, q_a = d["alpha"] * s, np.minimum(d["a"] * s, d["q_A"])
    nodes = np.unique(np.concatenate([[0.0], q_h, q_a]))
    i_h, i_a = np.searchsorted(nodes, q_h), np.searchsorted(nodes, q_a)
    share = np.zeros((3, cells))
    share[0] = 1.0
    for k in range(steps):
        w = np.zeros(len(nodes))
        np.add.at(w, i_h, d["k_H"] * m * share[1])
        np.add.at(w, i_a, d["k_A"] * m * share[2])
        above = np.cumsum(w[::-1])[::-1]
        volume = np.sum(d["k_A"] * m * share[2])
        steps_up = np.concatenate([[0.0], np.cumsum((1 - above[1:]) * np.diff(nodes))])
        p = d["theta_max"] * steps_up - d["beta"] * np.log1p(d["eta"] * volume)
        pay = np.stack([
            np.full(cells, d["w_0"]),
            d["k_H"] * p[i_h] - q_h**2 / (2 * d["gamma"]),
            d["k_A"] * (p[i_a] - d["c_A"] * q_a) - d["kappa"],
        ])  # fmt: skip
        share += 2 / (k + 200) * ((pay == pay.max(axis=0)) - share)
    return volume, above[0]


@pytest.mark.parametrize("law", ["uniform", "beta22"])
def test_fictitious_play_on_a_grid_finds_the_same_volume(law):
    points = box_points(4, seed=21, skill_law=law)
    ev = solve(points)
    for k in range(4):
        volume, served = grid_planner(pick(points, k), law)
        assert abs(volume - float(ev.outcomes.ai_volume[k])) < 0.02
        assert abs(served - float(ev.outcomes.coverage[k])) < 0.02


@pytest.mark.parametrize("fixed", [{}, {"skill_law": "beta22"}, {"penalty": "proportional"}])
def test_identities_over_the_box(fixed):
    """Two routes to W and to revenue agree; what is not solved is the stated branch, and rare."""
    ev = solve(box_points(512, **fixed))
    status = np.asarray(ev.status)
    assert np.mean(status == 0) > (0.98 if fixed.get("penalty") != "proportional" else 0.95)
    assert float(np.max(np.asarray(ev.max_residual)[status == 0])) <= 1e-8


def test_nobody_regrets_on_a_fine_grid_of_skills():
    """Strictly inside each segment and a hair on either side of each cutoff, where an empty segment counts for none."""
    points = box_points(512, seed=8)
    ev = solve(points)

    @jax.jit
    @jax.vmap
    def regret(p, x):
        near = jnp.stack([x.s_0, x.s_1, x.s_H])
        s = jnp.clip(jnp.concatenate([jnp.linspace(0, 1, 2001), near - 1e-9, near + 1e-9]), 0, 1)
        q_h, q_a = p.alpha * s, jnp.minimum(p.a * s, p.q_A)
        human = p.k_H * market.price(p, MODEL.policy(), x, q_h) - q_h**2 / (2 * p.gamma)
        ai = p.k_A * (market.price(p, MODEL.policy(), x, q_a) - p.c_A * q_a) - p.kappa
        own = jnp.where(s < x.s_0, p.w_0, jnp.where((s >= x.s_1) & ((s < x.s_H) | (x.s_H == 1)), ai, human))
        return jnp.max(jnp.maximum(p.w_0, jnp.maximum(ai, human)) - own)

    p = jax.tree.map(lambda v: v if jnp.ndim(v) else jnp.broadcast_to(v, (512,)), points)
    worst = np.asarray(regret(p, ev.equilibrium.cutoffs))[np.asarray(ev.status) == 0]
    assert np.max(worst) < 5e-8


def test_instruments_and_no_pollution_over_the_box():
    points = box_points(512, seed=5)
    u = MODEL.policy(volume_charge=0.03, input_levy=0.02, entry_fee=0.01, search_quality=0.4)
    ev = solve(points, u)
    assert set(np.unique(ev.status)) <= {0, NOT_CUTOFFS} and np.mean(np.asarray(ev.status) == 0) > 0.97
    clean = eqx.tree_at(lambda t: t.beta, points, jnp.zeros_like(points.beta))
    free = solve(clean)
    solved = np.asarray(free.status) == 0
    # Without the penalty AI spreads over more skills, and in one cell of twelve humans coexist with adopters of
    # the same skill: no pure pattern.
    assert set(np.unique(free.status)) <= {0, NOT_CUTOFFS} and solved.mean() > 0.9
    assert np.all(np.asarray(free.outcomes.search_penalty)[solved] == 0)


def test_pooled_regime_closed_form():
    """(3.3): price, cutoff and Lambert form of the volume, in Wright-omega form where it overflows."""
    points = box_points(256, seed=9)
    ev = solve(points)
    pooled = np.flatnonzero(
        np.asarray(ev.branches["POOLED"] & ~ev.branches["OVERLAP"] & ev.branches["EAH"]) & (np.asarray(ev.status) == 0)
    )
    assert len(pooled) > 60
    for k in pooled:
        d, out = pick(points, k), ev.outcomes
        price = d["c_A"] * d["q_A"] + (d["kappa"] + d["w_0"]) / d["k_A"]
        assert abs(float(out.price_ai_ceiling[k]) - price) < 1e-9
        s_h = float(out.human_cutoff[k])
        c = d["theta_max"] * d["q_A"] / (d["beta"] * d["eta"])
        a = d["theta_max"] * d["q_A"] * (1 - d["n"] * d["k_H"] * (1 - s_h)) - price
        # W_0(c e^{A/beta + c}) = omega(ln c + A/beta + c)
        volume = (special.wrightomega(np.log(c) + a / d["beta"] + c).real / c - 1) / d["eta"]
        assert abs(float(out.ai_volume[k]) - volume) < 1e-8


def test_pooled_human_cutoff_ignores_pollution():
    p = [MODEL.params(beta=b, eta=e, a=3.0, w_0=0.05) for b, e in ((0.02, 2.0), (0.05, 8.0))]
    out = [eqx.filter_jit(evaluate_pure)(MODEL, q, MODEL.policy()) for q in p]
    assert all(bool(o.branches["POOLED"]) for o in out)
    assert abs(float(out[0].outcomes.human_cutoff - out[1].outcomes.human_cutoff)) < 1e-9


def test_volume_without_pollution():
    """beta = 0: D_A = A/(theta_max q_A)."""
    p = MODEL.params(beta=0.0, a=3.0, w_0=0.05)
    ev = eqx.filter_jit(evaluate_pure)(MODEL, p, MODEL.policy())
    assert bool(ev.branches["POOLED"])
    out = ev.outcomes
    a = 0.6 * (1 - 0.5 * (1 - float(out.human_cutoff))) - (0.05 * 0.6 + (0.05 + 0.05) / 3)
    assert abs(float(out.ai_volume) - a / 0.6) < 1e-9


def test_no_ai_pattern():
    """A prohibitive fee: everyone is human or exits, and welfare is that of the benchmark."""
    ev = eqx.filter_jit(evaluate_pure)(MODEL, MODEL.params(), MODEL.policy(entry_fee=1.0))
    assert int(ev.status) == 0 and bool(ev.branches["NO_AI"])
    out = ev.outcomes
    assert float(out.ai_volume) == 0 and abs(float(out.welfare_gain)) < 1e-12
    # Uniform skills: alpha s_0 (1 - n(1 - s_0)) - s_0^2/(2 gamma) = w_0, a quadratic.
    s_0 = np.roots([0.5 - 0.25, 0.5, -0.02]).max()
    assert abs(float(out.exit_cutoff) - s_0) < 1e-9


@pytest.mark.parametrize("law", ["uniform", "beta22"])
def test_integral_of_supply_and_surplus_by_quadrature(law):
    p = MODEL.params(skill_law=law)
    x = Cutoffs(*jnp.asarray([0.2, 0.3, 0.55]))  # overlap and low humans: every kind of kink
    kinks = np.array([0.2, 0.3, 0.48, 0.55, 0.6])
    for q in (0.25, 0.5, 0.9):
        exact, _ = integrate.quad(
            lambda z: float(market.supply_above(p, x, jnp.asarray(z))), 0, q, points=kinks[kinks < q], limit=200
        )
        assert abs(float(market.supply_integral(p, x, jnp.asarray(q))) - exact) < 1e-10
    second, _ = integrate.quad(
        lambda z: float(market.supply_above(p, x, jnp.asarray(z))) ** 2, 0, 1, points=kinks, limit=200
    )
    penalty = float(market.search_penalty(p, MODEL.policy(), market.ai_volume(p, x)))
    acc = accounts(p, MODEL.policy(), x)
    assert abs(float(acc.consumer_surplus) - second / 2) < 1e-10
    assert penalty > 0


def test_fee_is_a_charge():
    one, two = (
        eqx.filter_jit(evaluate_pure)(MODEL, MODEL.params(), u)
        for u in (MODEL.policy(entry_fee=0.06), MODEL.policy(volume_charge=0.02))
    )
    for name in fields_of(MODEL.Outcomes):
        np.testing.assert_allclose(float(getattr(one.outcomes, name)), float(getattr(two.outcomes, name)), atol=1e-10)


@pytest.mark.slow
def test_market_maximizes_welfare_at_a_given_penalty(baseline):
    """At fixed Phi no shift of a cutoff raises W (the planner's theorem of (3.2))."""
    p, u = MODEL.params(), MODEL.policy()
    cut = baseline.equilibrium.cutoffs
    phi = market.search_penalty(p, u, market.ai_volume(p, cut))

    def value(v):
        x = Cutoffs(v[0], v[0], v[1])
        acc, served = accounts(p, u, x), market.coverage(p, x)
        return acc.welfare + (market.search_penalty(p, u, market.ai_volume(p, x)) - phi) * served

    best = jnp.stack([cut.s_0, cut.s_H])
    np.testing.assert_allclose(np.asarray(jax.grad(value)(best)), 0.0, atol=1e-10)
    moves = jnp.asarray([[0.02, 0], [-0.02, 0], [0, 0.02], [0, -0.02], [0.03, -0.03]])
    assert np.all(np.asarray(jax.vmap(lambda m: value(best + m))(moves)) < float(value(best)))


@pytest.mark.slow
def test_welfare_gradient_for_every_field():
    u = MODEL.policy(volume_charge=0.02, input_levy=0.02, entry_fee=0.01, search_quality=0.2)
    names = [
        k for k in fields_of(MODEL.Params) if MODEL.fields[k].layer == "equilibrium" and MODEL.fields[k].kind == "real"
    ]
    tools = ["volume_charge", "input_levy", "entry_fee", "search_quality"]
    for law, penalty in (("uniform", "additive"), ("beta22", "proportional")):
        p = MODEL.params(skill_law=law, penalty=penalty)

        def welfare(v, p=p):
            q = eqx.tree_at(lambda t: [getattr(t, k) for k in names], p, list(v[: len(names)]))
            w = eqx.tree_at(lambda t: [getattr(t, k) for k in tools], u, list(v[len(names) :]))
            return evaluate_pure(MODEL, q, w).outcomes.welfare

        v = jnp.stack([*(getattr(p, k) for k in names), *(getattr(u, k) for k in tools)])
        exact = np.asarray(jax.jit(jax.grad(welfare))(v))
        h = 1e-5 * np.maximum(1.0, np.abs(np.asarray(v)))
        batch = jnp.asarray(np.concatenate([np.asarray(v) + np.diag(h), np.asarray(v) - np.diag(h)]))
        w = np.asarray(jax.jit(jax.vmap(welfare))(batch))
        numeric = (w[: len(v)] - w[len(v) :]) / (2 * h)
        np.testing.assert_allclose(exact, numeric, rtol=1e-5, atol=1e-7)


def test_other_starts_find_the_same_equilibrium(baseline):
    found = eqx.filter_jit(MODEL.starts)(MODEL.params(), MODEL.policy())
    good = np.asarray(found.status) == 0
    assert good.sum() >= 3
    for k in range(3):
        np.testing.assert_allclose(
            np.asarray(found.cutoffs[k])[good], float(baseline.equilibrium.cutoffs[k]), atol=1e-9
        )


def test_the_economy_without_ai_is_tried_first_where_nobody_regrets_it():
    def at(c_a):
        p = eqx.tree_at(lambda p: p.c_A, MODEL.params(), c_a)
        alone = no_ai_cutoff(p)
        return starts((p, MODEL.policy(), Cutoffs(alone, alone, alone)))

    cheap, dear = (jax.tree.map(np.asarray, quick_jit(at)(jnp.asarray(c))) for c in (0.05, 5.0))
    assert dear.system[0] == NO_AI and cheap.system[0] != NO_AI
    np.testing.assert_allclose(dear.v[0], dear.v[0, 0])
    # None is lost: the systems are those of the usual order.
    assert sorted(dear.system) == sorted(cheap.system)
