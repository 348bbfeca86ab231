"""Tests run in float64, with the type of each number kept apart."""

import os
import tempfile

import jax
import pytest

jax.config.update("jax_enable_x64", True)


def pytest_configure(config):
    """One compilation cache for the run and its workers: the same functions are compiled by many tests."""
    folder = os.environ.setdefault("JAXECON_TEST_CACHE", tempfile.mkdtemp(prefix="jaxecon-tests-"))
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_functions():
    """Drop compiled functions between files: thousands of them exhaust the memory mappings of a process."""
    yield
    jax.clear_caches()
