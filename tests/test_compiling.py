"""Compiler options: the same numbers, and barriers that are neither lost nor unknown to the compiler."""

from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxecon.core import compiling
from jaxecon.core.compiling import TESTED, _options, quick_jit, release_programs, wide_jit


def _loop(x):
    """A loop of a few numbers, which XLA for CPUs would turn into a kernel of its own."""

    def body(c):
        y, k = c
        z = lax.optimization_barrier(jnp.sin(y))
        return z * y + z, k + 1

    return lax.while_loop(lambda c: c[1] < 10, body, (x, 0))[0]


def _scan(x):
    def step(c, t):
        c = lax.optimization_barrier(c * jnp.cos(t))
        return lax.cond(c > 0, lambda c: lax.optimization_barrier(c + 1.0), lambda c: c - 1, c), c

    return jnp.sum(lax.scan(step, x, jnp.arange(5.0))[1])


PROGRAMS = {
    "loop": _loop,
    "scan": _scan,
    "nested": lambda x: lax.fori_loop(0, 3, lambda i, c: lax.optimization_barrier(c + _loop(c)), x),
    "batch": lambda x: jnp.sum(jax.vmap(_loop)(x + jnp.arange(4.0))),
    "wide": lambda x: jnp.sum(jax.vmap(_loop)(x + jnp.linspace(0.0, 1.0, 4096))),
    "map": lambda x: jnp.sum(lax.map(_loop, x + jnp.arange(4.0))),
    "slope": lambda x: jax.jvp(_scan, (x,), (1.0,))[1],
    "gradient": jax.grad(_scan),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_options_change_no_number(name):
    expected = PROGRAMS[name](0.7)
    f = PROGRAMS[name]
    for compiled in (wide_jit(f), wide_jit(f, grids=True), quick_jit(f), quick_jit(f, effort=1)):
        np.testing.assert_allclose(compiled(0.7), expected, rtol=2e-5)


@pytest.mark.skipif(not jax.__version__.startswith(TESTED), reason="options are for tested versions only")
def test_barriers_hold():
    text = jax.jit(_loop).lower(0.7).compile(compiler_options=_options("cpu", None)).as_text()
    assert "opt-barrier" in text and "opt-barrier" not in jax.jit(_loop).lower(0.7).compile().as_text()


def test_no_options_for_other_devices():
    assert _options("gpu", None) == _options("gpu", 0) == {}


def test_programs_are_released_only_where_they_crowd_the_process_and_no_other_thread_compiles(monkeypatch):
    program = jax.jit(lambda x: x + 1)
    assert program(1) == 2 and program._cache_size() == 1
    monkeypatch.setattr(compiling, "crowded", lambda: False)
    release_programs()
    monkeypatch.setattr(compiling, "crowded", lambda: True)
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(release_programs).result()
    assert program._cache_size() == 1
    release_programs()
    assert program._cache_size() == 0
    assert program(2) == 3


def test_a_process_is_crowded_at_half_of_its_mappings(monkeypatch):
    assert not compiling.crowded()
    count = compiling.Path("/proc/self/maps")
    if not count.exists():
        pytest.skip("only Linux counts memory mappings")
    monkeypatch.setattr(compiling.Path, "read_text", lambda _: "20")
    assert compiling.crowded()
