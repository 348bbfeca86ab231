"""Several processes that share one command, on one machine or many."""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxecon.cli.options import Wrong, count
from jaxecon.core.errors import InputError, JaxeconError


def add_options(sub: argparse.ArgumentParser) -> None:
    """The options of a command that several processes can share."""
    sub.add_argument(
        "--distributed",
        nargs="?",
        const="",
        metavar="K/N@HOST:PORT",
        help="share the work with the other processes of this Slurm, Kubernetes or MPI job; or: this is process K of N",
    )
    sub.add_argument(
        "--heartbeat", type=count, default=100, metavar="SECONDS", help="until a silent process counts as lost"
    )


def _place(args: argparse.Namespace) -> re.Match[str] | None:
    return re.fullmatch(r"(\d+)/(\d+)@(\S+:\d+)", args.distributed)


def problems_of(args: argparse.Namespace) -> list[str]:
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
    if getattr(args, "command", "") == "sweep" and not str(args.output).endswith(".zarr"):
        problems.append("a sweep with --distributed needs a store that all processes reach: -o study.zarr")
    return problems


def check(args: argparse.Namespace) -> None:
    """Refuse a `--distributed` that cannot be read."""
    if problems := problems_of(args):
        raise InputError(problems, "the options")


def _only_one_on_its_node() -> bool:
    """Whether Slurm or Open MPI started one process a node, and nobody said which devices it takes."""
    if os.environ.get("JAX_LOCAL_DEVICE_IDS"):
        return False
    slurm = os.environ.get("SLURM_STEP_TASKS_PER_NODE") or os.environ.get("SLURM_NTASKS_PER_NODE", "")
    return bool(re.fullmatch(r"1(\(x\d+\))?", slurm)) or os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE") == "1"


@contextmanager
def _output_is_for_results() -> Iterator[None]:
    """What a library writes to standard output meanwhile goes to standard error, as Gloo's line at the first meeting."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def join(args: argparse.Namespace) -> None:
    """Connect to the other processes if `--distributed` says so; before any array is made. What `check` refuses waits for it."""
    if getattr(args, "distributed", None) is None or problems_of(args) or isinstance(args.heartbeat, Wrong):
        return
    found = _place(args)
    import jax

    from jaxecon.analysis.hosts import meet

    options: dict[str, Any] = {"heartbeat_timeout_seconds": args.heartbeat}
    if found is not None:
        options |= {"coordinator_address": found[3], "num_processes": int(found[2]), "process_id": int(found[1])}
    if _only_one_on_its_node():
        # Under Slurm and Open MPI JAX takes one device a process, by its number on the node; an empty list leaves it all of them.
        options["local_device_ids"] = []
    try:
        jax.distributed.initialize(**options)
        with _output_is_for_results():
            meet("the start")
    except (RuntimeError, ValueError) as error:
        raise JaxeconError(
            f"the processes did not find each other: {error}. Under Slurm, Kubernetes or MPI start them there; by hand give "
            "each --distributed K/N@HOST:PORT"
        ) from error
    sys.stderr.write(
        f"jaxecon: process {jax.process_index()} of {jax.process_count()}; if one is lost the others end within {args.heartbeat} s "
        "(JAX then says that a task died), and the same command goes on, a sweep, a calibration or a study with a --store with --resume\n"
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
