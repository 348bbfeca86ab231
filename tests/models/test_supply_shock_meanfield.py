"""Mean field of the supply shock (3.4): rest points, potential, independent integration, gradients, particles."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import linprog

from jaxecon.models.supply_shock import MODEL, claims_meanfield, dynamics, mean_field, two_skill
from jaxecon.models.supply_shock.assignment import Types, assign, first_guess, quality_grid
from jaxecon.models.supply_shock.dynamics import SKILL
from jaxecon.models.supply_shock.equilibrium import equilibrium
from jaxecon.models.supply_shock.params import Params, Policy

CELLS = 48
simulate = jax.jit(dynamics.simulate)
stationary = jax.jit(dynamics.stationary)
U = Policy()


def _params(**values):
    return Params(n_cells=CELLS, n_grid=16, **values)


def _draws(n, seed=0):
    rng = np.random.default_rng(seed)
    boxes = dict(
        beta=(0, 0.2), eta=(1, 10), n=(0.2, 0.8), k_A=(1.5, 6), alpha=(0.8, 1.2), a=(1.2, 3), gamma=(1.5, 4),
        q_A=(0.4, 0.8), c_A=(0, 0.15), kappa=(0.01, 0.1), w_0=(0.005, 0.05), lam=(0.07, 0.13), sigma=(0.035, 0.065),
        rho=(0.7, 1.3), q_A0=(0.02, 0.4), chi=(0.14, 0.26), zeta=(0, 0.3),
    )  # fmt: skip
    return [_params(**{k: rng.uniform(*b) for k, b in boxes.items()}) for _ in range(n)]


@jax.jit
def _static(p, chi_free_mass):
    types = SKILL.types(p, chi_free_mass, p.q_A)
    nodes = quality_grid(types, p.q_A, SKILL.top(p)).q
    a = assign(p, U, types, p.q_A, SKILL.top(p), first_guess(p, nodes))
    return a, mean_field.market_accounts(SKILL, p, U, chi_free_mass, a)


@pytest.mark.slow
def test_assignment_agrees_with_the_cutoffs_of_layer_1_at_a_uniform_law():
    """Two solvers of the same market: nodal prices with logit choice, and cutoffs by indifference."""
    uniform = jnp.full(200, 1 / 200)
    static = jax.jit(equilibrium)
    for p in [Params(), *_draws(5, seed=3)]:
        p = dataclasses.replace(p, n_cells=200, chi=0.0)
        eq = static(p, U)
        a, acc = _static(p, uniform)
        assert bool(a.solved) and int(eq.status) == 0
        x = eq.cutoffs
        volume = float(acc["ai_volume"])
        assert volume == pytest.approx(float(p.n * p.k_A * (x.s_H - x.s_1)), abs=2e-3)
        assert abs(float(acc["accounts_gap"])) < 1e-12


@pytest.mark.slow
def test_assignment_solves_the_concave_program():
    """Independent route: at beta = chi = 0 total surplus is the best over a fine piecewise linear program (SciPy)."""
    p = Params(n_cells=16, beta=0.0, chi=0.0)
    mass = jnp.asarray(np.random.default_rng(1).dirichlet(np.ones(16)))
    types = SKILL.types(p, mass, p.q_A)
    grid = quality_grid(types, p.q_A, SKILL.top(p))
    _, acc = _static(p, mass)
    w, q = np.asarray(types.mass), np.asarray(grid.q)
    count, steps = len(w), np.diff(np.asarray(grid.q))
    cost_h = np.asarray(types.human) ** 2 / (2 * float(p.gamma))
    cost_a = float(p.k_A * p.c_A) * np.asarray(types.ai) + float(p.kappa)

    def reach(node, weight):
        dense = np.zeros((count, len(q)))
        dense[np.arange(count), node] += 1 - weight
        dense[np.arange(count), node + 1] += weight
        return np.cumsum(dense[:, ::-1], axis=1)[:, ::-1][:, 1:]

    above = (
        np.concatenate(
            [
                float(p.k_H) * reach(np.asarray(grid.human_node), np.asarray(grid.human_weight)),
                float(p.k_A) * reach(np.asarray(grid.ai_node), np.asarray(grid.ai_weight)),
            ]
        )
        * (float(p.n) * np.tile(w, 2))[:, None]
    )
    # M - M^2/2 from below by its tangents: variables are the shares (human, AI) and a value per quality step.
    tangents = np.linspace(0, 2, 401)
    levels = len(steps)
    gain = float(p.n) * np.tile(w, 2) * (-float(p.w_0) - np.concatenate([cost_h, cost_a]))
    objective = -np.concatenate([gain, float(p.theta_max) * steps])
    rows, rhs = [], []
    for t in tangents:
        rows.append(np.concatenate([-(1 - t) * above.T, np.eye(levels)], axis=1))
        rhs.append(np.full(levels, t * t / 2))
    one_job = np.concatenate([np.eye(count), np.eye(count), np.zeros((count, levels))], axis=1)
    bounds = [(0, 1)] * (2 * count) + [(None, None)] * levels
    best = linprog(
        objective, A_ub=np.concatenate([*rows, one_job]), b_ub=np.concatenate([*rhs, np.ones(count)]), bounds=bounds
    )
    surplus = -best.fun + float(p.n * p.w_0)
    assert float(acc["welfare"]) == pytest.approx(surplus, abs=3e-4)
    assert float(acc["welfare"]) <= surplus + 2e-5


@pytest.mark.slow
def test_payoff_is_the_derivative_of_the_potential_without_externalities():
    """dV/dmass of a cell equals its payoff at beta = chi = 0, charges and maintenance included, and not otherwise."""
    mass = jnp.asarray(np.random.default_rng(2).dirichlet(3 * np.ones(CELLS)))
    u = Policy(volume_charge=0.02, input_levy=0.03, entry_fee=0.01, reskilling_subsidy=0.05)

    @jax.jit
    def gap(p):
        types = SKILL.types(p, mass, p.q_A)
        nodes = quality_grid(types, p.q_A, SKILL.top(p)).q
        a = assign(p, u, types, p.q_A, SKILL.top(p), first_guess(p, nodes))
        pi = mean_field.skill_payoff(SKILL, p, u, a.occupations.best)

        def potential(m):
            solved = assign(p, u, SKILL.types(p, m, p.q_A), p.q_A, SKILL.top(p), a.state)
            acc = mean_field.market_accounts(SKILL, p, u, m, solved)
            return p.sigma * jnp.sum(m * jnp.log(m * CELLS)) - acc["free_energy"]

        # Masses sum to one: a constant in the derivative means nothing.
        gap = jax.grad(potential)(mass) - pi
        return jnp.max(jnp.abs(gap - jnp.mean(gap)))

    assert float(gap(_params(beta=0.0, chi=0.0, zeta=0.2))) < 1e-9
    assert float(gap(_params(beta=0.15, chi=0.0, zeta=0.2))) > 1e-3


def test_mass_positivity_accounts_and_solution_on_the_path():
    time = jnp.linspace(0.0, 60.0, 61)
    for p in _draws(4):
        path = simulate(p, U, time)
        assert float(jnp.min(path.density)) >= 0
        np.testing.assert_allclose(jnp.mean(path.density, axis=1), 1.0, rtol=1e-12)
        np.testing.assert_allclose(path.human_share + path.ai_share + path.exit_share, 1.0, rtol=1e-12)
        assert float(jnp.max(jnp.abs(path.accounts_gap))) < 1e-12
        assert np.all(np.asarray(path.solved) == 1)
        np.testing.assert_allclose(path.ai_ceiling, p.q_A * (1 - (1 - p.q_A0) * jnp.exp(-p.rho * time)), rtol=1e-12)


@pytest.mark.slow
def test_path_reaches_the_stationary_state_found_without_a_path():
    for p in [_params(), *_draws(2, seed=5)]:
        star = stationary(p, U)
        path = simulate(p, U, jnp.linspace(0.0, 1200.0, 601))
        np.testing.assert_allclose(path.density[-1], star.density[0], atol=1e-7)
        for name in ("human_share", "ai_volume", "welfare", "free_energy", "median_income"):
            np.testing.assert_allclose(getattr(path, name)[-1], getattr(star, name)[0], rtol=1e-6, atol=1e-8)
        assert float(jax.jit(claims_meanfield.fixed_point_residual)(p, U)) < 1e-8


@pytest.mark.slow
def test_initial_law_is_a_rest_point_without_ai():
    p = _params()
    path = jax.jit(dynamics.control)(p, jnp.linspace(0.0, 500.0, 21))
    np.testing.assert_allclose(path.density[-1], path.density[0], rtol=1e-8)
    assert float(jnp.max(path.ai_share)) == 0.0


@pytest.mark.slow
def test_free_energy_falls_in_the_potential_game_and_rises_by_how_much_otherwise():
    rises = jax.jit(claims_meanfield.largest_rise)
    # At the set `evidence` the law begins at rest: there is nothing to fall.
    for p in [_params(), *_draws(2, seed=7), MODEL.parameter_set("evidence", n_cells=CELLS, n_grid=16)]:
        game = dataclasses.replace(p, beta=0.0, chi=0.0)
        assert float(rises(game, U)[0]) < 1e-9
    assert float(rises(_params(beta=0.15), U)[0]) > 1e-4


@pytest.mark.slow
def test_stationary_law_is_unique_by_multi_start():
    spread = jax.jit(claims_meanfield.start_spread)
    for p in [_params(beta=0.0, chi=0.0), _params(), *_draws(2, seed=9)]:
        assert float(spread(p, U)) < 1e-6


@pytest.mark.slow
def test_independent_integration_of_the_semi_discrete_equations():
    """SciPy's BDF on the chain's differential equations, market solved at each evaluation; the error halves with dt."""
    (p,) = _draws(1, seed=11)
    horizon, widths = 6.0, 1 / CELLS
    s = np.asarray(dynamics.skill_cells(p))

    @jax.jit
    def payoff(mass, ceiling):
        types = SKILL.types(p, mass, ceiling)
        nodes = quality_grid(types, ceiling, SKILL.top(p)).q
        a = assign(p, U, types, ceiling, SKILL.top(p), first_guess(p, nodes))
        return mean_field.skill_payoff(SKILL, p, U, a.occupations.best)

    sigma, speed = float(p.sigma), float(p.lam)

    def rate(t, m):
        ceiling = float(p.q_A) * (1 - (1 - float(p.q_A0)) * np.exp(-float(p.rho) * t))
        d = np.diff(np.asarray(payoff(jnp.asarray(np.maximum(m, 0.0)), jnp.asarray(ceiling)))) / sigma
        up = np.where(d == 0, 1.0, -d / np.expm1(-d))
        down = up - d
        flux = speed * sigma / widths**2 * (up * m[:-1] - down * m[1:])
        return np.concatenate([-flux, [0.0]]) + np.concatenate([[0.0], flux])

    start = np.asarray(jax.jit(lambda p: mean_field.initial_law(SKILL, p))(p))
    exact = solve_ivp(rate, (0, horizon), start, method="LSODA", rtol=1e-7, atol=1e-10).y[:, -1]
    errors = []
    for steps in (60, 120, 240):
        path = simulate(p, U, jnp.linspace(0.0, horizon, steps + 1), jnp.asarray(start))
        errors.append(np.max(np.abs(np.asarray(path.density[-1]) / CELLS - exact)))
    moved = np.max(np.abs(start - exact))
    assert errors[-1] < 0.02 * moved
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 1.0, atol=0.3)
    assert abs(np.sum(exact * s) - float(path.mean_skill[-1])) < 1e-4


PATH_PARAMETERS = ("lam", "sigma", "rho", "q_A0", "chi", "zeta", "tilt")
STATIC_PARAMETERS = ("beta", "eta", "n", "k_H", "k_A", "alpha", "a", "gamma", "q_A", "c_A", "kappa", "w_0", "theta_max")


def _gradient_gap(outcome, p, names, h=1e-5):
    base = np.array([float(getattr(p, k)) for k in names])

    def at(v):
        return outcome(dataclasses.replace(p, **{k: v[i] for i, k in enumerate(names)}))

    exact = np.asarray(jax.jit(jax.grad(at))(jnp.asarray(base)))
    width = h * np.maximum(np.abs(base), 0.05)
    points = np.concatenate([base + np.diag(width), base - np.diag(width)])
    values = np.asarray(jax.jit(lambda v: jax.lax.map(at, v))(jnp.asarray(points)))
    numeric = (values[: len(base)] - values[len(base) :]) / (2 * width)
    scale = np.maximum(
        np.abs(numeric), 1e-3 * np.max(np.abs(numeric * np.maximum(base, 0.05))) / np.maximum(base, 0.05)
    )
    return dict(zip(names, np.abs(exact - numeric) / scale, strict=True))


@pytest.mark.slow
def test_gradient_of_a_path_outcome_with_every_parameter():
    time = jnp.linspace(0.0, 10.0, 21)

    def outcome(p):
        path = dynamics.simulate(p, U, time)
        return path.welfare[-1] + path.mean_skill[-1] + 0.3 * path.human_share[-1]

    p = _params(zeta=0.1, tilt=0.5)
    gaps = _gradient_gap(outcome, p, (*PATH_PARAMETERS, *STATIC_PARAMETERS))
    assert max(gaps.values()) < 1e-4, gaps


@pytest.mark.slow
def test_gradient_of_a_two_skill_path():
    time = jnp.linspace(0.0, 6.0, 7)

    def outcome(p):
        path = two_skill.simulate(p, U, time)
        return path.welfare[-1] + path.mean_creativity[-1]

    # Not a round number: there qualities of types tie with nodes of the quality grid, a kink of the discretization.
    p = dataclasses.replace(_params(zeta=0.1, tilt=0.5, omega=0.4837), n_grid=12)
    gaps = _gradient_gap(outcome, p, (*PATH_PARAMETERS, "omega", "T_A", "C_A"))
    assert max(gaps.values()) < 1e-4, gaps


@pytest.mark.slow
def test_two_skills_reach_their_stationary_state_and_keep_their_accounts():
    p = _params(zeta=0.1)
    star = jax.jit(two_skill.stationary)(p, U)
    path = jax.jit(two_skill.simulate)(p, U, jnp.linspace(0.0, 600.0, 201))
    np.testing.assert_allclose(path.density[-1], star.density[0], atol=1e-5)
    np.testing.assert_allclose(jnp.mean(path.density, axis=(1, 2)), 1.0, rtol=1e-12)
    assert float(jnp.min(path.density)) >= 0 and np.all(np.asarray(path.solved) == 1)
    assert float(jnp.max(jnp.abs(path.accounts_gap))) < 1e-12
    # The best AI quality is the ceiling at every date.
    best = p.omega * path.ai_technique + (1 - p.omega) * path.ai_creativity
    np.testing.assert_allclose(best, path.ai_ceiling, rtol=1e-12)


@pytest.mark.slow
def test_reskilling_subsidy_is_a_drift_and_instruments_may_be_paths():
    p = _params()
    time = jnp.linspace(0.0, 20.0, 21)
    free = simulate(p, U, time)
    scalar = simulate(p, Policy(reskilling_subsidy=0.1), time)
    path = simulate(p, Policy(reskilling_subsidy=jnp.full(21, 0.1)), time)
    np.testing.assert_allclose(path.density, scalar.density, rtol=1e-12)
    assert float(scalar.mean_skill[-1]) > float(free.mean_skill[-1]) + 0.01


@pytest.mark.slow
def test_particles_converge_to_the_mean_field_at_the_sampling_rate(key):
    errors = np.asarray(claims_meanfield.particle_errors(_params(), U, key))
    assert np.log(errors[1] / errors[0]) / np.log(16) == pytest.approx(-0.5, abs=0.15)
    assert errors[1] < 0.01


@pytest.mark.slow
def test_single_precision_smoke():
    p = _params()
    time = jnp.linspace(0.0, 10.0, 11)
    double = simulate(p, U, time)
    with jax.enable_x64(False):
        q = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), p)
        v = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), U)
        single = jax.jit(dynamics.simulate)(q, v, jnp.asarray(time, jnp.float32))
        assert single.density.dtype == jnp.float32
    np.testing.assert_allclose(single.welfare, double.welfare, rtol=1e-3)
    np.testing.assert_allclose(single.mean_skill, double.mean_skill, rtol=1e-3)


def test_types_are_a_plain_record():
    mass = jnp.full(CELLS, 1 / CELLS)
    types = SKILL.types(_params(), mass, jnp.asarray(0.6))
    assert isinstance(types, Types) and float(jnp.sum(types.mass)) == pytest.approx(1.0)
    assert float(jnp.max(types.ai)) == pytest.approx(0.6)
