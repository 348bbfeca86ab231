"""Tests run in float64, with the type of each number kept apart."""

import os
import shutil
import tempfile

import jax
import pytest

jax.config.update("jax_enable_x64", True)


def pytest_configure(config):
    """One compilation cache for the run, its workers and the processes that tests start: the same functions are compiled by many."""
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if folder is None:
        folder = os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="jaxecon-tests-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    seconds = os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", float(seconds))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A file's tests go to one worker, which then compiles and sets up for all of them; a file may group its tests otherwise."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_functions():
    """Drop compiled functions between files: thousands of them exhaust the memory mappings of a process."""
    yield
    jax.clear_caches()
