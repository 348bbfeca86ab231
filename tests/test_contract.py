"""What every discovered model must do; a ninth model is tested here without an edit."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import qmc

from jaxecon.core.discovery import load, model_names
from jaxecon.core.errors import InputError
from jaxecon.core.fields import GRADES, fields_of
from jaxecon.core.inputs import load_set, set_names
from jaxecon.core.model import EXPECTATIONS, evaluate_pure

MODELS = model_names()


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return load(request.param)


def _with(tree, values):
    """`tree` with the named fields replaced."""
    names = list(values)
    return eqx.tree_at(lambda t: [getattr(t, n) for n in names], tree, [values[n] for n in names])


def _real(cls, role=None):
    return {n: f for n, f in fields_of(cls).items() if f.kind == "real"}


def _box_points(model, n, seed=1):
    """Quasi-random points of the prior box as a batched Params, order restrictions respected."""
    fields = {k: f for k, f in _real(model.Params).items() if f.box is not None}
    lo, hi = (np.array([f.box[i] for f in fields.values()]) for i in (0, 1))
    draws = lo + (hi - lo) * qmc.Sobol(len(fields), seed=seed).random(2 * n)
    base = model.params()

    def at(x):
        return _with(base, dict(zip(fields, x, strict=True)))

    margins = jax.vmap(lambda x: dict(model.constraints(at(x))))(jnp.asarray(draws))
    keep = np.all([np.asarray(m) > 0 for m in margins.values()], axis=0) if margins else np.ones(2 * n, bool)
    draws = draws[keep][:n]
    assert len(draws) == n
    return jax.vmap(at)(jnp.asarray(draws))


def _interior_policy(model):
    """Every instrument a little inside its bounds, so that two-sided differences exist."""
    values = {}
    for n, f in _real(model.Policy).items():
        lo, hi = f.bounds
        values[n] = float(np.clip(f.default, lo + 0.02 * (hi - lo), hi - 0.02 * (hi - lo)))
    return model.policy(**values)


def test_metadata(model):
    assert model.name in MODELS and model.title and model.paper
    groups = [set(fields_of(c)) for c in (model.Params, model.Policy, model.Outcomes)]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    for cls in (model.Params, model.Policy, model.Outcomes):
        assert set(fields_of(cls)) == {f.name for f in dataclasses.fields(cls)}, "every field is declared"
        symbols = [f.symbol for f in fields_of(cls).values()]
        assert len(set(symbols)) == len(symbols)
    for f in model.fields.values():
        assert f.unit and f.doc and f.source and f.grade in GRADES, f.name
        if f.role in ("parameter", "instrument") and f.kind == "real":
            lo, hi = f.bounds
            assert np.isfinite(lo) and np.isfinite(hi) and lo <= f.default <= hi, f.name
        if f.role == "parameter" and f.box is not None:
            assert f.bounds[0] <= f.box[0] < f.box[1] <= f.bounds[1], f.name
            assert f.box[0] <= f.default <= f.box[1], f"{f.name}: the baseline lies in its box"
    assert model.objective in fields_of(model.Outcomes)


def test_claims_are_well_formed(model):
    seen = set()
    for claim in model.claims:
        for c in (claim, *claim.parts):
            assert c.id not in seen and c.statement and c.grade in GRADES and c.expectation in EXPECTATIONS
            assert c.cost == "equilibrium" or c.max_draws is not None, (
                f"{c.id}: expensive claims say what they can afford"
            )
            seen.add(c.id)


def test_baseline_solves_jits_and_is_reproducible(model):
    p, u = model.params(), model.policy()
    one = eqx.filter_jit(evaluate_pure)(model, p, u)
    two = eqx.filter_jit(evaluate_pure)(model, p, u)
    assert int(one.status) == 0, model.reason(one.status)
    assert float(one.max_residual) <= model.tolerance
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_residuals_in_the_box(model):
    p = _box_points(model, 64)
    ev = eqx.filter_jit(eqx.filter_vmap(lambda q: evaluate_pure(model, q, model.policy())))(p)
    status = np.asarray(ev.status)
    reasons = {model.reason(s) for s in status[status != 0]}
    assert np.all(status == 0), reasons
    assert float(np.max(ev.max_residual)) <= 1e-8


def _objective(model):
    return lambda p, u: getattr(evaluate_pure(model, p, u).outcomes, model.objective)


def _gradient_gap(model, p, u):
    """Largest relative gap between autodiff and central differences, and the field that has it."""
    f = _objective(model)
    leaves = [(0, n, x) for n, x in _real(model.Params).items()] + [(1, n, x) for n, x in _real(model.Policy).items()]
    grad = eqx.filter_jit(jax.grad(lambda pu: f(*pu)))((p, u))
    exact = np.array([float(getattr(grad[side], n)) for side, n, _ in leaves])
    assert np.all(np.isfinite(exact)), [n for (_, n, _), g in zip(leaves, exact, strict=True) if not np.isfinite(g)]
    values = np.array([float(getattr((p, u)[side], n)) for side, n, _ in leaves])
    widths = np.array(
        [(x.box[1] - x.box[0]) if x.box else max(abs(v), 1.0) for (_, _, x), v in zip(leaves, values, strict=True)]
    )

    def at(v):
        sides = [{}, {}]
        for k, (side, n, _) in enumerate(leaves):
            sides[side][n] = v[k]
        return f(_with(p, sides[0]), _with(u, sides[1]))

    def differences(h):
        step = np.diag(h * widths)
        batch = jnp.asarray(np.concatenate([values + step, values - step]))
        w = np.asarray(run(batch))
        return (w[: len(values)] - w[len(values) :]) / (2 * h * widths)

    run = jax.jit(jax.vmap(at))
    # Richardson: two steps cancel the quadratic error of central differences.
    rough, fine = differences(2e-4), differences(1e-4)
    numeric = fine + (fine - rough) / 3
    scale = np.abs(exact) + 1e-2 * np.max(np.abs(exact * widths)) / widths
    gap = np.abs(exact - numeric) / scale
    worst = int(np.argmax(gap))
    return float(gap[worst]), leaves[worst][1], exact[worst], numeric[worst]


def test_gradients_equal_finite_differences_at_the_baseline(model):
    gap, name, exact, numeric = _gradient_gap(model, model.params(), _interior_policy(model))
    assert gap < 1e-4, (name, exact, numeric)


def test_gradients_equal_finite_differences_in_the_box(model):
    points = _box_points(model, 2, seed=7)
    for k in range(2):
        p = jax.tree.map(lambda x, k=k: x[k] if jnp.ndim(x) else x, points)
        gap, name, exact, numeric = _gradient_gap(model, p, _interior_policy(model))
        assert gap < 1e-3, (k, name, exact, numeric)


def test_gradient_at_laissez_faire_is_finite(model):
    grad = eqx.filter_jit(jax.grad(lambda u: _objective(model)(model.params(), u)))(model.policy())
    assert all(np.isfinite(np.asarray(g)) for g in jax.tree.leaves(grad))


def test_vmap_equals_single_evaluations(model):
    """Over every real field at once; a batch gives what its members give."""
    p = _box_points(model, 4, seed=3)
    batch = eqx.filter_jit(eqx.filter_vmap(lambda q: evaluate_pure(model, q, model.policy())))(p)
    single = eqx.filter_jit(evaluate_pure)
    for k in range(4):
        one = single(model, jax.tree.map(lambda x, k=k: x[k] if jnp.ndim(x) else x, p), model.policy())
        for a, b in zip(jax.tree.leaves(batch.outcomes), jax.tree.leaves(one.outcomes), strict=True):
            np.testing.assert_allclose(np.asarray(a)[k], np.asarray(b), rtol=1e-7, atol=1e-9)


def test_a_failing_cell_harms_no_other(model):
    """NaN in one cell: that cell is NaN with a reason; values and gradients beside it are unchanged."""
    name = next(iter(_real(model.Params)))
    base, u = model.params(), model.policy()
    values = jnp.stack([getattr(base, name), jnp.asarray(jnp.nan), getattr(base, name)])

    @jax.jit
    @jax.vmap
    def value_and_slope(x):
        def f(y):
            ev = evaluate_pure(model, _with(base, {name: y}), u)
            return getattr(ev.outcomes, model.objective), ev.status

        (value, status), slope = jax.value_and_grad(f, has_aux=True)(x)
        return value, slope, status

    value, slope, status = (np.asarray(x) for x in value_and_slope(values))
    assert status[1] != 0 and np.isnan(value[1])
    assert status[0] == status[2] == 0 and np.isfinite(value[[0, 2]]).all() and np.isfinite(slope[[0, 2]]).all()
    assert value[0] == value[2] and slope[0] == slope[2]


def test_regimes_and_sets_solve(model):
    assert "laissez_faire" in model.regimes
    single = eqx.filter_jit(evaluate_pure)
    for name in model.regimes:
        ev = single(model, model.params(), model.regime(name))
        assert int(ev.status) == 0, (name, model.reason(ev.status))
    for name in set_names(model):
        named = load_set(model, name)
        ev = single(model, model.params(**named.params), model.policy(**named.policy))
        assert int(ev.status) == 0, (name, model.reason(ev.status))


def test_float32_agrees(model):
    """Outcomes in float32 within 1e-3 of float64 at box draws, relative to the outcome's typical size."""
    p64 = _box_points(model, 16, seed=5)
    p32 = jax.tree.map(lambda x: x.astype(jnp.float32), p64)
    u32 = jax.tree.map(lambda x: x.astype(jnp.float32), model.policy())
    run = eqx.filter_jit(eqx.filter_vmap(lambda q, u: evaluate_pure(model, q, u), in_axes=(eqx.if_array(0), None)))
    double = run(p64, model.policy())
    with jax.enable_x64(False):
        single = run(p32, u32)
    assert np.all(np.asarray(single.status) == 0)
    exceptions = getattr(model, "float32_exceptions", ())
    for f in fields_of(model.Outcomes):
        if f in exceptions:
            continue
        a, b = np.asarray(getattr(double.outcomes, f)), np.asarray(getattr(single.outcomes, f), float)
        scale = np.maximum(np.abs(a), np.mean(np.abs(a)))
        assert np.max(np.abs(a - b) / np.maximum(scale, 1e-3)) < 1e-3, f


def test_claims_at_the_baseline_are_finite(model):
    cheap = [c for c in model.claims if c.cost == "equilibrium"]
    p, u, key = model.params(), model.policy(), jax.random.key(0)
    margins = jax.jit(lambda: [c.margin(p, u, key) for c in cheap])()
    for c, m in zip(cheap, margins, strict=True):
        assert jnp.ndim(m) == 0 and np.isfinite(float(m)), c.id


def test_layers_run(model):
    p, u = model.params(), model.policy()
    for name, layer in model.dynamics.items():
        path = eqx.filter_jit(layer.run)(p, u, jnp.linspace(0.0, 0.05 * layer.horizon, 6))
        _check_path(path, layer.Result, name)
    for name, layer in model.agents.items():
        for smooth in (False, True):
            run = eqx.filter_jit(lambda k, q, v, layer=layer, smooth=smooth: layer.run(k, q, v, 50, 8, smooth))
            path = run(jax.random.key(0), p, u)
            _check_path(path, layer.Result, name)


def _check_path(path, result, name):
    assert isinstance(path, result)
    for n, f in fields_of(result).items():
        value = np.asarray(getattr(path, n))
        assert value.ndim == len(f.dims), (name, n)
        assert np.isfinite(value).all(), (name, n)


def test_bad_input_names_every_wrong_field(model):
    names = list(_real(model.Params))
    first, second = names[0], names[1]
    with pytest.raises(InputError) as error:
        model.params(**{first: float("nan"), second: 1e300, "no_such_field": 1.0})
    assert len(error.value.problems) == 3
    instrument = next(iter(_real(model.Policy)))
    with pytest.raises(InputError, match=instrument):
        model.policy(**{instrument: 1e300})
    with pytest.raises(InputError, match="did you mean"):
        model.params(**{first + "x": 1.0})
    with pytest.raises(InputError, match="known"):
        model.regime("qqqqqq")
