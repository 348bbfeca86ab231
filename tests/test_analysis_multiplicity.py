"""Maps of the number and stability of equilibria: a pitchfork, a fold, a saddle, and a model with starts."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from functions import SOBOL_G, _model
from jaxtyping import Array
from pigou import MODEL

from jaxecon import InputError
from jaxecon.analysis.multiplicity import multiplicity
from jaxecon.core.fields import outcome, parameter
from jaxecon.core.model import SOLVED, Equilibrium
from jaxecon.core.systems import System
from jaxecon.numerics.deflation import all_roots, deflated_step


class Shape(eqx.Module):
    r: Array = parameter(0.5, unit="1", doc="strength of feedback", bounds=(-2.0, 2.0), box=(-1.0, 1.0))
    h: Array = parameter(0.0, unit="1", doc="tilt", bounds=(-2.0, 2.0), box=(-0.5, 0.5))


class Y(eqx.Module):
    welfare: Array = outcome(unit="1", doc="state")
    square: Array = outcome(unit="1", doc="state squared")


class State(Equilibrium):
    x: Array


def pitchfork(x, p, u):
    """x' = h + r x - x^3: three equilibria where 4 r^3 > 27 h^2, the middle one unstable."""
    return p.h + p.r * x - x**3


BASE = _model("pitchfork", Shape, type(MODEL.policy()), Y, lambda p, u: (p.r, p.h))
SYSTEM = System(pitchfork, {"x": (-2.0, 2.0)})


def settle(p, x):
    for _ in range(60):
        x = x - pitchfork(x, p, None) / (p.r - 3 * x**2)
    good = jnp.abs(pitchfork(x, p, None)) < 1e-10
    return State(jnp.where(good, SOLVED, 1).astype(jnp.int32), x)


WITH_STARTS = dataclasses.replace(
    BASE,
    starts=lambda p, u: jax.vmap(lambda x: settle(p, x))(jnp.array([-1.9, 0.0, 1.9])),
    outcomes=lambda p, u, eq: Y(eq.x, eq.x**2),
)


def test_a_pitchfork_has_one_or_three_equilibria():
    ds = multiplicity(BASE, {"r": (-1.0, 1.0, 9), "h": (-0.4, 0.4, 8)}, SYSTEM)
    r, h = ds.r.values[:, None], ds.h.values[None]
    three = 4 * r**3 > 27 * h**2
    np.testing.assert_array_equal(ds["count"], np.where(three, 3, 1))
    np.testing.assert_array_equal(ds.stable, np.where(three, 2, 1))
    for i, j in np.ndindex(three.shape):
        roots = np.roots([-1, 0, r[i, 0], h[0, j]])
        real = np.sort(roots[np.abs(roots.imag) < 1e-7].real)
        found = ds.x.values[i, j]
        np.testing.assert_allclose(found[: len(real)], real, atol=1e-8)
        assert np.isnan(found[len(real) :]).all()
        np.testing.assert_allclose(ds.leading.values[i, j, : len(real)], r[i, 0] - 3 * real**2, atol=1e-6)
    assert ds.attrs["full"] == 0 and ds.attrs["cells"] == 72 and float(ds.residual.max()) < 1e-11
    assert ds.r.attrs["doc"] == "strength of feedback"


def test_a_triple_root_is_one_equilibrium():
    ds = multiplicity(BASE, {"r": [0.0, 0.01]}, SYSTEM)
    assert list(ds["count"].values) == [1, 3]
    np.testing.assert_allclose(ds.x[0, 0], 0, atol=1e-8)
    np.testing.assert_allclose(ds.x[1, :3], [-0.1, 0, 0.1], atol=1e-9)


def test_the_models_starts_count_too():
    ds = multiplicity(WITH_STARTS, {"r": [-0.5, 0.5], "h": [0.0, 0.05]})
    np.testing.assert_array_equal(ds["count"], [[1, 1], [3, 3]])
    np.testing.assert_allclose(np.sort(ds.welfare[1, 0]), [-np.sqrt(0.5), 0, np.sqrt(0.5)], atol=1e-9)
    assert np.isnan(ds.square[0, 0, 1:]).all() and np.all(ds.reached == 3)
    with pytest.raises(InputError, match="neither a system nor starts"):
        multiplicity(BASE, {"r": [0.5]})


def test_a_model_may_bring_its_system():
    """It is taken by default, before starts; what its functions share is computed once a point; restricted cells have none."""
    both = dataclasses.replace(
        WITH_STARTS,
        system=System(lambda x, q, u: q - x**2, {"x": (-2.0, 2.0)}, given=lambda p, u: p.r, doc="roots of r"),
        constraints=lambda p: {"h < .3": 0.3 - p.h},
    )
    ds = multiplicity(both, {"r": [-0.5, 0.25], "h": [0.0, 0.4]})
    np.testing.assert_array_equal(ds["count"], [[0, 0], [2, 0]])
    np.testing.assert_allclose(ds.x[1, 0, :2], [-0.5, 0.5], rtol=1e-10)
    assert list(ds.stable[1].values) == [1, 0] and ds.attrs["system"] == "roots of r"
    assert list(multiplicity(dataclasses.replace(both, system=None), {"r": [0.5], "h": [0.0, 0.4]})["count"][0]) == [
        3,
        0,
    ]


def needle(x, p, u):
    """Flat but for a dent around r, with a root on each side of r: Newton from outside never moves."""
    return 1 - 2 * jnp.exp(-(((x - p.r) / 1e-3) ** 2))


def test_what_the_model_solves_for_is_counted():
    """Where no start leads to the root that the model has; where the model has none, the map is as without."""
    bare = System(needle, {"x": (-2.0, 2.0)})
    side = 1e-3 * np.sqrt(np.log(2))
    own = dataclasses.replace(bare, own=lambda p, u: jnp.where(p.r > 0, p.r + jnp.array([[side], [5.0]]), jnp.nan))
    axes = {"r": [-0.2, 0.3, 0.7]}
    assert list(multiplicity(BASE, axes, bare)["count"].values) == [0, 0, 0]
    ds = multiplicity(BASE, axes, own)
    assert list(ds["count"].values) == [0, 1, 1], "the second one that it offers is no root"
    np.testing.assert_allclose(ds.x[1:, 0], [0.3 + side, 0.7 + side], rtol=1e-12)


SPREAD = """
import sys
import jax
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_analysis_multiplicity import AXES, BASE, SYSTEM, WITH_STARTS, multiplicity
assert jax.local_device_count() == 2
found = multiplicity(BASE, AXES, SYSTEM)
by_starts = multiplicity(WITH_STARTS, AXES)
np.savez(sys.argv[2], **{n: found[n].values for n in ("count", "stable", "x", "leading")}, starts=by_starts.welfare.values)
"""
AXES = {"r": (-1.0, 1.0, 24), "h": (-0.4, 0.4, 12)}


@pytest.mark.slow
def test_a_map_is_the_same_on_two_devices(tmp_path):
    """288 cells: several groups a device, of the system and of the starts."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    words = [sys.executable, "-c", SPREAD, str(Path(__file__).parent), str(tmp_path / "two.npz")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    two, one = np.load(tmp_path / "two.npz"), multiplicity(BASE, AXES, SYSTEM)
    for name in ("count", "stable", "x", "leading"):
        np.testing.assert_allclose(two[name], one[name].values, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(two["starts"], multiplicity(WITH_STARTS, AXES).welfare.values, rtol=1e-12, atol=1e-14)


def gradient(x, p, u):
    """Uphill on a landscape with four peaks, four saddles and a pit: peaks are stable."""
    return p.r * (x - x**3) + p.h * x[::-1]


def test_many_roots_of_two_unknowns_and_the_kinds_of_motion():
    box = {"x": (-1.6, 1.5), "y": (-1.5, 1.7)}
    ds = multiplicity(BASE, {"r": [1.0], "h": [0.0]}, System(gradient, box), roots=12)
    assert int(ds["count"][0, 0]) == 9 and int(ds.stable[0, 0]) == 4 and ds.attrs["full"] == 0
    points = np.stack([ds.x[0, 0, :9], ds.y[0, 0, :9]], axis=1)
    grid = {(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)}
    assert {tuple(int(v) for v in np.round(q, 8) + 0.0) for q in points} == grid
    full = multiplicity(BASE, {"r": [1.0], "h": [0.0]}, System(gradient, box), roots=4)
    assert int(full["count"][0, 0]) == 4 and full.attrs["full"] == 1
    # The map x -> x + 1.2 (x - x^3) overshoots: eigenvalue 1 - 2.4 at +-1.
    step = System(gradient, box, motion=lambda x, p, u: x + 1.2 * gradient(x, p, u), kind="map")
    assert int(multiplicity(BASE, {"r": [1.0]}, step, roots=12).stable[0]) == 0
    small = dataclasses.replace(step, jacobian=lambda x, p, u: jnp.diag(1 + 0.5 * p.r * (1 - 3 * x**2)))
    assert int(multiplicity(BASE, {"r": [1.0]}, small, roots=12).stable[0]) == 4


def test_no_root_in_the_box_and_functions_that_are_not_defined_everywhere():
    far = multiplicity(BASE, {"r": [-1.0], "h": [0.0]}, System(pitchfork, {"x": (1.0, 2.0)}))
    assert int(far["count"][0, 0]) == 0 and np.isnan(far.x).all()
    logs = System(lambda x, p, u: jnp.log(x) ** 2 - 1 - p.h, {"x": (0.01, 5.0)})
    ds = multiplicity(BASE, {"h": [0.0]}, logs)
    np.testing.assert_allclose(ds.x[0, :2], [np.exp(-1), np.exp(1)], rtol=1e-9)


def test_deflation_leads_away_from_a_root():
    """The step is Newton's on M f, by automatic differentiation."""
    known, found = jnp.array([[0.5], [0.0]]), jnp.array([True, False])

    def deflated(z):
        return (z**2 - 0.25) * (1 + 1 / (z - 0.5) ** 2)

    for z in (0.6, 0.5 + 1e-6, -0.2):
        step = deflated_step(jnp.array([z]), jnp.array([(z**2 - 0.25) / (2 * z)]), known, found)
        assert float(step[0]) == pytest.approx(float(deflated(z) / jax.grad(deflated)(z)), rel=1e-4)
    none = all_roots(lambda x, a: x**2 + a, jnp.array([[0.1], [0.7]]), jnp.asarray(1.0), lo=jnp.zeros(1), hi=jnp.ones(1), slots=3)  # fmt: skip
    assert int(none.count) == 0


def test_every_problem_is_named():
    bad = System(pitchfork, {"x": (1.0, 0.0)}, kind="jump")
    with pytest.raises(InputError) as error:
        multiplicity(MODEL, {"market": ["monopoly"], "q": [1.0]}, bad, starts=0)
    assert len(error.value.problems) == 5
    with pytest.raises(InputError, match="no unknown"):
        multiplicity(SOBOL_G, {"g1": [0.5]}, System(pitchfork, {}))
