"""The command line: `jaxecon COMMAND ...`.

Exit codes: 0 done; 1 the computation failed (the message says what is safe); 2 bad input, found before any
computing; 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from jaxecon.cli.arguments import all_of, build_parser
from jaxecon.cli.options import check_options
from jaxecon.core.errors import InputError, JaxeconError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        args = build_parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed its message
        return int(stop.code or 0)
    try:
        return _run(args)
    except (Exception, KeyboardInterrupt) as error:
        code = _explained(error)
    if getattr(args, "distributed", None) is not None:
        from jaxecon.cli import processes

        processes.leave(code)
    return code


def _explained(error: BaseException) -> int:
    """Say in a sentence what ended the command; returns its exit code."""
    if isinstance(error, InputError):
        sys.stderr.write(f"jaxecon: {error}\n")
        return 2
    if isinstance(error, KeyboardInterrupt):
        sys.stderr.write("jaxecon: interrupted; files that were finished are safe, a sweep goes on with --resume\n")
        return 130
    if isinstance(error, BrokenPipeError):  # the reader closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, (JaxeconError, OSError, MemoryError)):
        sys.stderr.write(
            f"jaxecon: {str(error) or type(error).__name__}\n  Files that were finished are safe; a sweep goes on with --resume\n"
        )
        return 1
    # A defect, or JAX out of memory: people get a sentence, developers the traceback.
    if os.environ.get("JAXECON_TRACEBACK"):
        raise error
    sys.stderr.write(
        f"jaxecon: the computation failed: {type(error).__name__}: {str(error)[:600]}\n"
        "  Files that were finished are safe; a sweep goes on with --resume. JAXECON_TRACEBACK=1 shows where it failed\n"
    )
    return 1


def _run(args: argparse.Namespace) -> int:
    from jaxecon.cli import commands, output, processes
    from jaxecon.cli.cache import use_compilation_cache

    processes.join(args)
    all_of(
        lambda: check_options(args),
        lambda: processes.check(args),
        lambda: output.check_target(args) if processes.first() else None,
        lambda: commands.check(args),
    )
    use_compilation_cache(args.no_cache)
    result = commands.COMMANDS[args.command](args)
    if processes.first():
        output.deliver(result, args)
    return result.code
