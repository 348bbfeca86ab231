"""Several processes that share one command, on one machine or many."""

import argparse
import re

from jaxecon.core.errors import InputError, JaxeconError


def join(args: argparse.Namespace) -> None:
    """Connect to the other processes if `--distributed` says so; before any array is made."""
    spec = getattr(args, "distributed", None)
    if spec is None:
        return
    found = re.fullmatch(r"(\d+)/(\d+)@(\S+:\d+)", spec)
    if spec and (found is None or not int(found[1]) < int(found[2])):
        raise InputError(
            [f"--distributed {spec!r} must be K/N@HOST:PORT with K from 0 to N - 1, e.g. 0/2@localhost:9911, or nothing "
             "under Slurm, Kubernetes or MPI"], "the options"
        )  # fmt: skip
    if not str(args.output).endswith(".zarr"):
        raise InputError(["--distributed needs a store that all processes reach: -o study.zarr"], "the options")
    import jax

    try:
        if found is None:
            jax.distributed.initialize()
        else:
            jax.distributed.initialize(found[3], num_processes=int(found[2]), process_id=int(found[1]))
    except (RuntimeError, ValueError) as error:
        raise JaxeconError(
            f"the processes did not find each other: {error}. Under Slurm, Kubernetes or MPI start them there; by hand give "
            "each --distributed K/N@HOST:PORT"
        ) from error


def first() -> bool:
    """Whether this process speaks for all."""
    import jax

    return jax.process_index() == 0
