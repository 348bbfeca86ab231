"""Several processes, one study: who takes which part, and where they wait for each other.

JAX's own engine starts and connects them (`jax.distributed.initialize`). No process needs another one's numbers while it
computes: parts meet on disk, so that the loss of a process costs the parts that it had not finished.
"""

import jax
import numpy as np


def mine(parts: int) -> np.ndarray:
    """Which of the parts this process takes: every n-th of n processes."""
    return np.arange(parts) % jax.process_count() == jax.process_index()


def meet(place: str) -> None:
    """Wait until all processes are here; nothing to wait for if there is one."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(place)
