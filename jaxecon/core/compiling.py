"""Options of the compiler: fast compilation where that is what a study waits for, and barriers that hold."""

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

# XLA for CPUs expands `lax.optimization_barrier` before it fuses loops, and then computes each number that a loop carries
# anew from the equations. Without its first pass here the barrier stays where it was put; without the second no loop
# becomes a kernel of its own, in which a barrier is unknown. Only for versions of JAX with which this was tested.
BARRIERS_HOLD = {"xla_disable_hlo_passes": "cse_barrier_expander,small-while-loop-hoisting"}
TESTED = ("0.10.",)
QUICK = {"xla_cpu_use_fusion_emitters": False}
# Without the library (YNNPACK) to which XLA for CPUs hands reductions and small products: it splits each among a pool of its own.
# Where a point holds grids and batches already keep the cores busy, that costs more than it saves; elsewhere it saves.
OWN_LOOPS = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def _known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0.0, compiler_options={name: value})()
        return True
    except Exception:  # an option that this version lacks: compile as usual
        return False


def _options(backend: str, effort: int | None, grids: bool = False) -> dict[str, Any]:
    """Options of XLA's compiler for CPUs, as far as this version of JAX knows them; none for other devices."""
    if backend != "cpu":
        return {}
    wanted: dict[str, Any] = BARRIERS_HOLD if jax.__version__.startswith(TESTED) else {}
    if grids:
        wanted = wanted | OWN_LOOPS
    if effort is not None:
        wanted = wanted | QUICK | {"xla_backend_optimization_level": effort}
    return {name: value for name, value in wanted.items() if _known(name, value)}


def _jit(function: Callable[..., Any], effort: int | None, grids: bool = False) -> Callable[..., Any]:
    @functools.cache
    def on(backend: str) -> Callable[..., Any]:
        return eqx.filter_jit(function, compiler_options=_options(backend, effort, grids))  # pyright: ignore

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return on(jax.default_backend())(*args)

    # For a look at the compiled program without running it.
    call.compiled = lambda *args: on(jax.default_backend()).lower(*args).compile().compiled  # pyright: ignore
    return call


def memory_of(function: Callable[..., Any], *args: Any) -> int:
    """Bytes that the compiled program of a `wide_jit` or `quick_jit` takes on its device: arguments, outputs, scratch."""
    stats = function.compiled(*args).memory_analysis()  # pyright: ignore
    return stats.argument_size_in_bytes + stats.output_size_in_bytes + stats.temp_size_in_bytes


def wide_jit(function: Callable[..., Any], *, grids: bool = False) -> Callable[..., Any]:
    """`eqx.filter_jit` at full effort for large batches, where barriers hold; `grids`: of points that hold grids. Call it
    outside of other transformations: JAX takes compiler options for the outermost function only."""
    return _jit(function, None, grids)


def quick_jit(function: Callable[..., Any], effort: int = 0) -> Callable[..., Any]:
    """`eqx.filter_jit` that compiles fast rather than well: for programs that run for less than they compile.

    Measured on both models: effort 0 compiles in a third of the time and runs at a third of the speed or less;
    effort 1 compiles in two thirds of the time and runs nearly at full speed. Call it as `wide_jit`.
    """
    return _jit(function, effort)


def crowded() -> bool:
    """Whether compiled programs fill half of the memory mappings that the system grants a process.

    A large program takes thousands of them. Where they run out, the compiler says "Cannot allocate memory" with memory
    free, and the process dies. Only Linux counts them so; elsewhere the answer is no.
    """
    try:
        limit = int(Path("/proc/sys/vm/max_map_count").read_text())
        with open("/proc/self/maps", "rb") as maps:
            return sum(1 for _ in maps) > limit // 2
    except (OSError, ValueError):
        return False


def release_programs() -> None:
    """Forget all compiled programs where they crowd the process. Off the main thread it does nothing: others may compile."""
    if threading.current_thread() is threading.main_thread() and crowded():
        jax.clear_caches()
