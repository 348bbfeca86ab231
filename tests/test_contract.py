"""What every discovered model must do; a ninth model is tested here without an edit."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import qmc

from jaxecon import claims, evaluate
from jaxecon.analysis.batch import MANY, Response, evaluate_rows
from jaxecon.core.compiling import quick_jit
from jaxecon.core.discovery import load, model_names
from jaxecon.core.errors import InputError
from jaxecon.core.fields import GRADES, fields_of
from jaxecon.core.inputs import load_set, set_names
from jaxecon.core.model import EXPECTATIONS, evaluate_pure

MODELS = model_names()


# All tests of a model in one process: compiling is most of what they take, and each program is compiled once.
@pytest.fixture(scope="module", params=[pytest.param(n, marks=pytest.mark.xdist_group(n)) for n in MODELS])
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
    one, two = evaluate(model), evaluate(model)
    assert int(one.status) == 0, model.reason(one.status)
    assert float(one.max_residual) <= model.tolerance
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def _names(model):
    return tuple([*_real(model.Params), *_real(model.Policy)])


def _values(model, points):
    """Every number of single points under laissez-faire, `[point, name]`."""
    u = model.policy()
    return np.array([[float(getattr(p if hasattr(p, n) else u, n)) for n in _names(model)] for p in points])


def _rows(model, points):
    """Outcomes, largest residual and status of single points, through the batch that every analysis uses."""
    return evaluate_rows(Response(model), model.params(), model.policy(), _names(model), _values(model, points))


def _points(batch, n):
    return [jax.tree.map(lambda x, k=k: x[k] if jnp.ndim(x) else x, batch) for k in range(n)]


@functools.cache
def _box(model):
    """Points of the box and their rows."""
    points = _points(_box_points(model, 64), 64)
    return points, _rows(model, points)


def test_residuals_in_the_box(model):
    _, found = _box(model)
    residual, status = found[:, -2], found[:, -1]
    assert np.all(status == 0), {model.reason(s) for s in status[status != 0]}
    assert np.max(residual) <= 1e-8


@pytest.mark.slow
def test_a_large_study_gets_the_numbers_of_a_small_one(model):
    """The program of large studies (full effort, barriers) against that of small ones, at points of the box."""
    points = _values(model, _points(_box_points(model, 256, seed=11), 256))
    small, large = (
        evaluate_rows(Response(model), model.params(), model.policy(), _names(model), points, study=n)
        for n in (len(points), MANY)
    )
    np.testing.assert_array_equal(small[:, -1], large[:, -1])
    np.testing.assert_allclose(small[:, :-2], large[:, :-2], rtol=1e-8, atol=1e-9)
    assert np.max(large[large[:, -1] == 0, -2]) <= 1e-8


@quick_jit
def _slopes(model, ps, us):
    """Objective, status and gradients by all parameters and instruments of a batch of points."""

    def one(p, u):
        def objective(pu):
            ev = evaluate_pure(model, *pu)
            return getattr(ev.outcomes, model.objective), ev.status

        return jax.value_and_grad(objective, has_aux=True)((p, u))

    return jax.vmap(one)(ps, us)


def _gradients(model, points, policies):
    """`_slopes` of three points: one program for all tests of a model."""
    assert len(points) == 3
    p, u = (jax.tree.map(lambda *x: jnp.stack(x), *trees) for trees in (points, policies))
    (value, status), slopes = _slopes(model, p, u)
    return np.asarray(value), np.asarray(status), slopes


def _gradient_gap(model, p, u, grad):
    """Largest relative gap between autodiff and central differences, and the field that has it."""
    leaves = [(0, n, x) for n, x in _real(model.Params).items()] + [(1, n, x) for n, x in _real(model.Policy).items()]
    exact = np.array([float(getattr(grad[side], n)) for side, n, _ in leaves])
    assert np.all(np.isfinite(exact)), [n for (_, n, _), g in zip(leaves, exact, strict=True) if not np.isfinite(g)]
    values = np.array([float(getattr((p, u)[side], n)) for side, n, _ in leaves])
    widths = np.array(
        [(x.box[1] - x.box[0]) if x.box else max(abs(v), 1.0) for (_, _, x), v in zip(leaves, values, strict=True)]
    )
    names, column = tuple(n for _, n, _ in leaves), list(fields_of(model.Outcomes)).index(model.objective)

    def differences(h):
        step = np.diag(h * widths)
        rows = evaluate_rows(Response(model), p, u, names, np.concatenate([values + step, values - step]))
        w = rows[:, column]
        return (w[: len(values)] - w[len(values) :]) / (2 * h * widths)

    # Richardson: two steps cancel the quadratic error of central differences.
    rough, fine = differences(2e-4), differences(1e-4)
    numeric = fine + (fine - rough) / 3
    scale = np.abs(exact) + 1e-2 * np.max(np.abs(exact * widths)) / widths
    gap = np.abs(exact - numeric) / scale
    worst = int(np.argmax(gap))
    return float(gap[worst]), leaves[worst][1], exact[worst], numeric[worst]


@pytest.mark.slow
def test_gradients_equal_finite_differences(model):
    """By every parameter and instrument, at the baseline and at two points of the box."""
    points = [model.params(), *_points(_box_points(model, 2, seed=7), 2)]
    u = _interior_policy(model)
    _, status, slopes = _gradients(model, points, [u] * 3)
    assert np.all(status == 0)
    for k, (p, tolerance) in enumerate(zip(points, (1e-4, 1e-3, 1e-3), strict=True)):
        grad = jax.tree.map(lambda x, k=k: x[k], slopes)
        gap, name, exact, numeric = _gradient_gap(model, p, u, grad)
        assert gap < tolerance, (k, name, exact, numeric)


@pytest.mark.slow
def test_gradient_at_laissez_faire_is_finite(model):
    _, _, (_, by_instrument) = _gradients(model, [model.params()] * 3, [model.policy()] * 3)
    assert all(np.isfinite(np.asarray(g)).all() for g in jax.tree.leaves(by_instrument))


def test_vmap_equals_single_evaluations(model):
    """Over every real field at once; a batch gives what its members give."""
    points, batch = _box(model)
    for k, p in enumerate(points[:4]):
        one = evaluate(model, p)
        single = [float(getattr(one.outcomes, n)) for n in fields_of(model.Outcomes)]
        np.testing.assert_allclose(batch[k, :-2], single, rtol=1e-7, atol=1e-9)


def _with_a_failing_cell(model):
    """The baseline, a point with a NaN, and the baseline again."""
    base, name = model.params(), next(iter(_real(model.Params)))
    return [base, _with(base, {name: jnp.asarray(jnp.nan)}), base]


def test_a_failing_cell_harms_no_other(model):
    """NaN in one cell: that cell is NaN with a reason; those beside it are unchanged."""
    before, failed, after = _rows(model, _with_a_failing_cell(model))
    assert failed[-1] != 0 and np.isnan(failed[:-2]).all()
    assert before[-1] == 0 and np.isfinite(before).all()
    np.testing.assert_array_equal(before, after)


@pytest.mark.slow
def test_a_failing_cell_harms_no_gradient(model):
    """NaN in one cell: values and gradients beside it are unchanged."""
    value, status, slopes = _gradients(model, _with_a_failing_cell(model), [model.policy()] * 3)
    assert status[1] != 0 and np.isnan(value[1])
    assert status[0] == status[2] == 0 and value[0] == value[2] and np.isfinite(value[0])
    for slope in jax.tree.leaves(slopes):
        assert np.isfinite(slope[0]) and slope[0] == slope[2]


def test_regimes_and_sets_solve(model):
    assert "laissez_faire" in model.regimes
    for name in model.regimes:
        ev = evaluate(model, model.params(), model.regime(name))
        assert int(ev.status) == 0, (name, model.reason(ev.status))
    for name in set_names(model):
        named = load_set(model, name)
        ev = evaluate(model, model.params(**named.params), model.policy(**named.policy))
        assert int(ev.status) == 0, (name, model.reason(ev.status))


@pytest.mark.slow
def test_float32_agrees(model):
    """Outcomes in float32 within 1e-3 of float64 at box draws, relative to the outcome's typical size."""
    p64 = _box_points(model, 16, seed=5)
    p32 = jax.tree.map(lambda x: x.astype(jnp.float32), p64)
    u32 = jax.tree.map(lambda x: x.astype(jnp.float32), model.policy())
    double = _rows(model, _points(p64, 16))
    with jax.enable_x64(False):
        single = quick_jit(lambda q, u: jax.vmap(lambda q: evaluate_pure(model, q, u))(q))(p32, u32)
    assert np.all(np.asarray(single.status) == 0)
    exceptions = getattr(model, "float32_exceptions", ())
    for k, f in enumerate(fields_of(model.Outcomes)):
        if f in exceptions:
            continue
        a, b = double[:, k], np.asarray(getattr(single.outcomes, f), float)
        scale = np.maximum(np.abs(a), np.mean(np.abs(a)))
        assert np.max(np.abs(a - b) / np.maximum(scale, 1e-3)) < 1e-3, f


@pytest.mark.slow
def test_claims_at_the_baseline_are_finite(model):
    cheap = [c.id for c in model.claims if c.cost == "equilibrium"]
    for claim in claims(model, cheap, draws=1, boundary=False):
        for c in (claim, *claim.parts):
            assert np.isfinite(c.margin), c.id


@pytest.mark.slow
def test_layers_run(model):
    p, u = model.params(), model.policy()
    for name, layer in model.dynamics.items():
        path = quick_jit(layer.run)(p, u, jnp.linspace(0.0, 0.05 * layer.horizon, 6))
        _check_path(path, layer.Result, name)
    for name, layer in model.agents.items():
        for smooth in (False, True):
            run = quick_jit(lambda k, q, v, layer=layer, smooth=smooth: layer.run(k, q, v, 50, 8, smooth))
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
