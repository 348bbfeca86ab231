"""Several processes that share one command, on one machine or many."""

import argparse
import os
import re
import sys
from typing import Any

from jaxecon.cli.options import Wrong
from jaxecon.core.errors import InputError, JaxeconError


def _place(args: argparse.Namespace) -> re.Match[str] | None:
    return re.fullmatch(r"(\d+)/(\d+)@(\S+:\d+)", args.distributed)


def _problems(args: argparse.Namespace) -> list[str]:
    """What is wrong with `--distributed`."""
    spec = getattr(args, "distributed", None)
    if spec is None:
        return []
    found, problems = _place(args), []
    if spec and (found is None or not int(found[1]) < int(found[2])):
        problems.append(
            f"--distributed {spec!r} must be K/N@HOST:PORT with K from 0 to N - 1, e.g. 0/2@localhost:9911, or nothing "
            "under Slurm, Kubernetes or MPI"
        )
    if args.command == "sweep" and not str(args.output).endswith(".zarr"):
        problems.append("a sweep with --distributed needs a store that all processes reach: -o study.zarr")
    return problems


def check(args: argparse.Namespace) -> None:
    """Refuse a `--distributed` that cannot be read."""
    if problems := _problems(args):
        raise InputError(problems, "the options")


def join(args: argparse.Namespace) -> None:
    """Connect to the other processes if `--distributed` says so; before any array is made. What `check` refuses waits for it."""
    if getattr(args, "distributed", None) is None or _problems(args) or isinstance(args.heartbeat, Wrong):
        return
    found = _place(args)
    import jax

    patience: dict[str, Any] = {"heartbeat_timeout_seconds": args.heartbeat}
    try:
        if found is None:
            jax.distributed.initialize(**patience)
        else:
            jax.distributed.initialize(found[3], num_processes=int(found[2]), process_id=int(found[1]), **patience)
    except (RuntimeError, ValueError) as error:
        raise JaxeconError(
            f"the processes did not find each other: {error}. Under Slurm, Kubernetes or MPI start them there; by hand give "
            "each --distributed K/N@HOST:PORT"
        ) from error
    sys.stderr.write(
        f"jaxecon: process {jax.process_index()} of {jax.process_count()}; if one is lost the others end within {args.heartbeat} s "
        "(JAX then says that a task died), and the same command goes on, a sweep with --resume\n"
    )


def first() -> bool:
    """Whether this process speaks for all."""
    import jax

    return not jax.distributed.is_initialized() or jax.process_index() == 0


def leave(code: int) -> None:
    """End this process of several at once: at its regular end JAX would wait for those that are lost, and abort."""
    import jax

    if jax.distributed.is_initialized() and jax.process_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
