"""What a device can do at most: arithmetic, transcendental functions and memory traffic a second, in float64."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.timing import timed

# By `device_kind`: float64 operations a second of the vector units and of the matrix units, bytes a second of its memory.
# H200 and H100: NVIDIA H200 and H100 data sheets (SXM): FP64 34 and FP64 Tensor Core 67 TFLOP/s, HBM3e 4.8 and HBM3 3.35 TB/s.
# A100: NVIDIA A100 data sheet (SXM): 9.7 and 19.5 TFLOP/s, 2,039 (80 GB) and 1,555 GB/s (40 GB).
DATA_SHEETS = {
    "NVIDIA H200": (34e12, 67e12, 4.8e12),
    "NVIDIA H100 80GB HBM3": (34e12, 67e12, 3.35e12),
    "NVIDIA A100-SXM4-80GB": (9.7e12, 19.5e12, 2.039e12),
    "NVIDIA A100-SXM4-40GB": (9.7e12, 19.5e12, 1.555e12),
}
# Sides of the product, numbers of the copy, and numbers and depth of the exponentials: on a CPU, elsewhere.
SIDE, NUMBERS, MANY, DEEP = (2048, 8192), (1 << 26, 1 << 28), (1 << 20, 1 << 24), 16
COPIES = 8


@dataclasses.dataclass(frozen=True)
class Limits:
    """Operations, transcendental functions and bytes a second; `source` says where the first and the last come from."""

    operations: float
    transcendentals: float
    bytes: float
    source: str

    def shares(self, rate: float, operations: float, transcendentals: float, traffic: float) -> dict[str, Any]:
        """Shares of the two limits that `rate` points a second reach, which of them binds, and the rate that it allows.

        What a point takes: operations, transcendental functions (on top of the operations, as fast as exponentials), and
        bytes.
        """
        arithmetic = operations / self.operations + transcendentals / self.transcendentals
        memory = traffic / self.bytes
        return {
            "arithmetic_share": rate * arithmetic,
            "bandwidth_share": rate * memory,
            "binding": "arithmetic" if arithmetic >= memory else "bandwidth",
            "limit_points_per_s": 1 / max(arithmetic, memory),
            "share_of_limit": rate * max(arithmetic, memory),
        }


def limits(*, scale: float = 1.0) -> tuple[Limits, dict[str, float]]:
    """Limits of the device that JAX computes on, from its data sheet where it is listed, else as measured; and what was
    measured. `scale` shrinks the measured work (tests).

    The arithmetic limit of a data sheet is that of the vector units: the models hold no products of matrices. It counts a
    multiplication with an addition as two operations; a program of comparisons and divisions cannot reach it.
    """
    measured = {
        "matrix_product_flops": _matrix_product(scale),
        "copy_bytes_per_s": _copy(scale),
        "exponentials_per_s": _exponentials(scale),
    }
    sheet = DATA_SHEETS.get(jax.devices()[0].device_kind)
    if sheet is None:
        found = (
            measured["matrix_product_flops"],
            measured["copy_bytes_per_s"],
            "a matrix product and a scaled sum, measured",
        )
    else:
        found = sheet[0], sheet[2], "data sheet: float64 vector units, memory"
    return Limits(found[0], measured["exponentials_per_s"], found[1], found[2]), measured


def _sized(choice: tuple[int, int], scale: float) -> int:
    return max(int(choice[jax.default_backend() != "cpu"] * scale), 16)


def _matrix_product(scale: float) -> float:
    """Operations a second of a product of two square matrices."""
    n = _sized(SIDE, scale)
    with jax.enable_x64(True):
        a = jax.random.normal(jax.random.key(0), (n, n), "float64")
        product = jax.jit(jnp.matmul)
        return 2 * n**3 / timed(lambda: product(a, a), repeats=3)[1]


def _copy(scale: float) -> float:
    """Bytes a second of `a = s a + b` over arrays much larger than any cache: two are read and one is written."""
    n = _sized(NUMBERS, scale)

    @jax.jit
    def again(a: Any, b: Any) -> Any:
        return jax.lax.fori_loop(0, COPIES, lambda _, a: 0.5 * a + b, a)

    with jax.enable_x64(True):
        a, b = jnp.ones(n, "float64"), jnp.full(n, 0.25, "float64")
        return COPIES * 3 * 8 * n / timed(lambda: again(a, b), repeats=3)[1]


def _exponentials(scale: float) -> float:
    """Exponentials a second, one after the other at each of many numbers, which stay in registers."""
    n = _sized(MANY, scale)

    @jax.jit
    def chain(x: Any) -> Any:
        for _ in range(DEEP):
            x = jnp.exp(-x)
        return x

    with jax.enable_x64(True):
        x = jnp.linspace(0.0, 1.0, n, dtype="float64")
        return DEEP * n / timed(lambda: chain(x), repeats=3)[1]
