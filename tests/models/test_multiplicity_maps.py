"""Maps of the number and stability of the models' own equilibria, against plain NumPy and SciPy: sign changes of the same equations
written anew on fine grids, where long paths end, closed forms."""

import dataclasses
import importlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import lambertw

from benchmarks.peers import rent_seeking as rents_peer
from jaxecon import load, models, multiplicity, sweep
from jaxecon.core.compiling import quick_jit
from jaxecon.core.fields import fields_of


def test_every_system_is_declared_in_full():
    having = {name for name, model in models().items() if model.system is not None}
    assert having >= {
        "rent_seeking",
        "intelligence_capital",
        "information_pollution",
        "ai_growth",
        "quasi_public_goods",
    }
    for name in having:
        system = load(name).system
        assert system.doc and system.box and system.own and system.kind in ("flow", "map")


# Two countries ---------------------------------------------------------------------------------------------


def test_leads_against_lambert():
    """None before the saddle-node kappa (1 + theta_A) = e Dg/h, beyond it one stable lead and the tipping point [S]."""
    model = load("ai_growth")
    ds = multiplicity(model, {"kap": (0.002, 0.03, 8), "L_1": [1.0, 2.0, 4.0, 8.0]})
    for i, j in np.ndindex(ds["count"].shape):
        advantage = 0.012 * (float(ds.L_1[j]) ** 0.5 - (0.02 * 4 / 0.03) ** 0.5)
        z = -advantage / (1.5 * float(ds.kap[i]) * 1.2)
        exists = -math.exp(-1) <= z < 0
        assert int(ds["count"][i, j]) == 2 * exists and int(ds.stable[i, j]) == exists
        if exists:
            np.testing.assert_allclose(ds.lead_over_h[i, j, :2], [-lambertw(z, b).real for b in (0, -1)], rtol=1e-8)
            assert float(ds.leading[i, j, 0]) < 0 < float(ds.leading[i, j, 1])
    assert set(np.unique(ds["count"])) == {0, 2}


# Rents and transparency ------------------------------------------------------------------------------------

RENTS = {f.name: f.default for f in fields_of(type(load("rent_seeking").params())).values()}


class RentsPeer:
    """The rest point's conditions of `benchmarks.peers` at a point, one number at a time."""

    def __init__(self, **values):
        self.p = RENTS | values
        self.u = dict.fromkeys(rents_peer.INSTRUMENTS, 0.0)
        z = np.polynomial.hermite_e.hermegauss(5)[0]
        self.c = [(self.p["c_r"] * np.exp(0.3 * z))[:, None], (self.p["c_m"] * np.exp(0.3 * z))[None, :]]

    def rho(self, S):
        return brentq(lambda x: rents_peer._gaps([S, x], self.p, self.u, *self.c)[1], 0.0, 1 - 1e-9, xtol=1e-14)

    def gap(self, S):
        return rents_peer._gaps([S, self.rho(S)], self.p, self.u, *self.c)[0]

    def roots(self):
        grid = np.concatenate([np.linspace(1e-3, 0.98, 120), 1 - np.geomspace(0.019, 1e-15, 80)])
        values = np.array([self.gap(S) for S in grid])
        change = np.flatnonzero(np.sign(values[1:]) != np.sign(values[:-1]))
        return np.array([brentq(self.gap, grid[k], grid[k + 1], xtol=1e-14) for k in change])

    def end(self, S, R, years=1500):
        """Transparency after so many years of (6.2), (6.3)."""
        p = self.p
        up = p["alpha_0"] + p["alpha"] * p["A"]
        for _ in range(years):
            *_, r, m, _ = rents_peer._state([S, R / (1 + R)], p, self.u, *self.c)
            total = up + p["beta_m"] * m + p["beta_r"] * r
            S, R = up / total + (S - up / total) * math.exp(-total), R + r + m - p["delta"] * R
        return S


@pytest.mark.slow
@pytest.mark.parametrize("capture", [0, 1])
def test_rest_points_of_rents(capture):
    """Before AI (A = .1): one rest point while the traditional rent is small, three beyond the fold at b = 3.28."""
    model = load("rent_seeking")
    low = np.linspace(0.35, 0.6, 40)

    def barrier(b):
        """How far transparency keeps rising where it rises least on its way up: negative beyond the fold."""
        peer = RentsPeer(A=0.1, b=b, capture=capture)
        return min(peer.gap(S) for S in low)

    fold = brentq(barrier, 2.8, 3.6, xtol=1e-3)
    assert fold == pytest.approx(3.276, abs=0.005)
    b = np.array([2.2, fold - 0.03, fold + 0.03, 3.5, 4.2])
    ds = multiplicity(model, {"b": b, "A": [0.1]}, params=model.params(capture=capture))
    expected = [RentsPeer(A=0.1, b=x, capture=capture).roots() for x in b]
    assert [len(x) for x in expected] == list(ds["count"][:, 0].values) and [len(x) for x in expected[:3]] == [1, 1, 3]
    for k, roots in enumerate(expected):
        np.testing.assert_allclose(ds.transparency[k, 0, : len(roots)], roots, atol=1e-7)
    peer = RentsPeer(A=0.1, b=4.2, capture=capture)
    ends = {round(peer.end(S, R), 6) for S in (0.02, 0.3, 0.6, 0.8, 0.95, 0.999) for R in (0.1, 2.0)}
    stable = ds.transparency[-1, 0].values[ds.leading[-1, 0].values < 0]
    np.testing.assert_allclose(sorted(ends), stable, atol=1e-5)


@pytest.mark.slow
def test_the_collapse_of_the_fit_is_two_folds():
    """At the fitted benefit of manipulation (.935) transparency falls from .66 to .45 near b = 3: both are rest points in between."""
    model = load("rent_seeking")
    b = [2.9, 3.0, 3.02, 3.1]
    ds = multiplicity(model, {"b": b, "A": [0.1]}, params=model.params(dB_0=0.93497321))
    assert list(ds["count"][:, 0].values) == [1, 1, 3, 1] and list(ds.stable[:, 0].values) == [1, 1, 2, 1]
    for k, x in enumerate(b):
        roots = RentsPeer(A=0.1, b=x, dB_0=0.93497321).roots()
        np.testing.assert_allclose(ds.transparency[k, 0, : len(roots)], roots, atol=1e-7)


@pytest.mark.slow
def test_laws_share_rest_points_and_cycles_are_not_stable():
    model = load("rent_seeking")
    # Where there is an inflow: the logistic law forgets its start at that rate.
    maps = [
        multiplicity(model, {"b": [2.9, 3.02], "A": [0.1]}, params=model.params(law=law, dB_0=0.93497321))
        for law in ("linear", "logistic")
    ]
    np.testing.assert_allclose(maps[0].transparency, maps[1].transparency, atol=1e-9)
    np.testing.assert_array_equal(maps[0].stable, maps[1].stable)
    assert list(maps[1].stable[:, 0].values) == [1, 2]
    cycle = multiplicity(model, {"b": [2.0]}, params=model.params(law="predator_prey"))
    assert int(cycle["count"][0]) == 1 and int(cycle.stable[0]) == 0
    assert float(cycle.transparency[0, 0]) == pytest.approx(0.6) and abs(float(cycle.leading[0, 0])) < 1e-9


# Data flywheel ---------------------------------------------------------------------------------------------


def flywheel(d, Omega, theta=2.5, N=2):
    """Shares at the data `d` of N providers (1.1), (1.3) along the default path."""
    D_0, d = 17.094034963240784 / (1 + Omega), np.asarray(d)
    ln_A = 1.3 / -0.2 * np.log(0.35 + 0.65 * (D_0 * (1 + d)) ** -0.2)
    s = np.exp(theta * (ln_A - ln_A.max(axis=0)))
    return s / s.sum(axis=0)


def states_of_the_flywheel(N, Omega, theta):
    """Shares of the first provider at all states where the others are alike, by sign changes over its log odds."""

    def gap(t):
        first = 1 / (1 + (N - 1) * np.exp(-np.asarray(t, float)))
        d = np.stack([first] + [(1 - first) / (N - 1)] * (N - 1)) * N * Omega
        s = flywheel(d, Omega, theta)
        return t - np.log(s[0] / s[1])

    grid = np.linspace(-25, 25, 20_001) + 1e-9
    value = gap(grid)
    change = np.flatnonzero(np.sign(value[1:]) != np.sign(value[:-1]))
    odds = np.array([brentq(gap, grid[k], grid[k + 1], xtol=1e-13) for k in change])
    return 1 / (1 + (N - 1) * np.exp(-odds))


@pytest.mark.slow
@pytest.mark.parametrize("N, fold", [(2, 1.5), (3, 1.436), (5, 1.274), (25, 0.792)])
def test_steady_states_of_the_flywheel(N, fold):
    """One before the fold of claim C1.8, three beyond; the symmetric one is stable up to Omega* = 1.5 (1.9)."""
    model = load("intelligence_capital")
    Omega = [0.5, fold - 0.002, fold + 0.002, 1.49, 1.51, 2.0, 5.0]
    ds = multiplicity(model, {"Omega": Omega, "theta": [2.5]}, params=model.params(N=N))
    assert list(ds["count"][:3, 0].values) == [1, 1, 3] and list(ds["count"][4:, 0].values) == [3, 3, 3]
    assert list(ds.stable[:, 0].values) == ([1, 1, 2, 1, 2, 2, 2] if N == 2 else [1, 1, 2, 2, 1, 1, 1])
    for k, strength in enumerate(Omega):
        expected = states_of_the_flywheel(N, strength, 2.5)
        np.testing.assert_allclose(ds.first_share[k, 0, : len(expected)], expected, atol=1e-8)


@pytest.mark.slow
def test_paths_of_the_flywheel_end_in_the_stable_states():
    model = load("intelligence_capital")
    rng = np.random.default_rng(0)
    for N, Omega in ((2, 1.7), (3, 1.47)):
        ds = multiplicity(model, {"Omega": [Omega]}, params=model.params(N=N))
        found = set()
        for start in rng.dirichlet(np.full(N, 0.5), 24) * N * Omega:
            path = solve_ivp(
                lambda _, d, N=N, Omega=Omega: 0.099 * (Omega * N * flywheel(d, Omega, N=N) - d),
                (0, 20_000), start, method="LSODA", rtol=1e-9, atol=1e-11,
            )  # fmt: skip
            found.add(round(float(flywheel(path.y[:, -1], Omega, N=N).max()), 5))
        stable = ds.first_share[0].values[ds.leading[0].values < 0]
        # Of mirrored states the one where the first leads.
        np.testing.assert_allclose(sorted(found), sorted(s for s in stable if s > 1 / N - 1e-6), atol=1e-4)


# Quasi-public goods ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_market_has_one_equilibrium_and_one_minimum_of_profit():
    """On a coarse population: the model's root is the stable one; at the other capacity is worth more the more there is of it."""
    model = load("quasi_public_goods")
    p = model.params(ny=2, nz=61)
    ds = multiplicity(model, {"k": [2.0, 4.0]}, params=p)
    assert list(ds["count"].values) == [2, 2] and list(ds.stable.values) == [1, 1]
    assert float(ds.residual[:, :2].max()) < 1e-10
    for k, load_at, leading in zip(ds.k.values, ds.log_closed_load.values, ds.leading.values):
        own, other = np.argsort(leading[:2])
        assert load_at[own] < np.log((k + 1) / (k - 1)) / k < load_at[other]
    rows = sweep(model, {"k": [2.0, 4.0]}, params=p)
    found = np.take_along_axis(ds.log_closed_load.values, np.nanargmin(ds.leading.values, axis=1)[:, None], axis=1)
    np.testing.assert_allclose(np.exp(found[:, 0]), rows.closed_load, rtol=1e-8)


# Information pollution -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_polluted_equilibrium():
    """The specification's unique equilibrium: one root of (5.5) in every cell, the equilibrium's own, and stable; also under a high tax on
    nearly free content, where no quasi-random start leads there. Paths from other trust and supply end there."""
    model = load("information_pollution")
    u = model.policy(provenance=0.5)
    ds = multiplicity(model, {"low_quality_tax": [0.0, 1.0], "p_A": [0.05, 0.0005]}, policy=u)
    eqm = importlib.import_module("jaxecon.models.information_pollution.equilibrium")
    solve = quick_jit(eqm.equilibrium)
    for i, j in np.ndindex(2, 2):
        p = model.params(p_A=float(ds.p_A[j]))
        u = model.policy(provenance=0.5, low_quality_tax=float(ds.low_quality_tax[i]))
        eq = solve(p, u)
        assert int(eq.mode) == 0 and np.max(np.abs(model.system.residual(eq.y, p, u))) < 1e-9, (i, j)
        assert int(ds["count"][i, j]) == int(ds.stable[i, j]) == 1, (i, j)
        found = [float(ds[n][i, j, 0]) for n in model.system.box]
        np.testing.assert_allclose(found, eq.y, atol=1e-7)
    dynamics = importlib.import_module("jaxecon.models.information_pollution.dynamics")
    p, u = model.params(), model.policy()
    rest = dynamics.rest_point(p, u)

    def end(factor):
        start = dataclasses.replace(rest, T=jnp.clip(rest.T * factor[0], 0.05, 0.95),
                                    q=jax.tree.map(lambda q: q * factor[1], rest.q))  # fmt: skip
        still = dataclasses.replace(p, price_decline=jnp.zeros_like(p.p_A))
        last = dynamics.advance(still, u, u, start, jnp.asarray(0.0), jnp.asarray(60.0), 960)
        return jnp.stack([last.T / rest.T, last.q.L / rest.q.L, last.q.H / rest.q.H])

    ends = quick_jit(jax.vmap(end))(jnp.asarray([[0.3, 1.0], [1.8, 1.0], [1.0, 0.5], [1.0, 2.0], [0.5, 0.5]]))
    np.testing.assert_allclose(ends, 1.0, atol=1e-6)
