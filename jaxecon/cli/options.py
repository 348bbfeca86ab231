"""Readers of option values: what cannot be read is kept as `Wrong`, so that every wrong option is named at once."""

import argparse
import dataclasses
import math
from collections.abc import Callable

from jaxecon.core.errors import InputError


@dataclasses.dataclass(frozen=True)
class Wrong:
    """An option that cannot be read, kept until all are known, so that every wrong one is named at once."""

    problem: str


def count(text: str) -> int | Wrong:
    """A whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        return Wrong(f"{text!r} is not a whole number; give one of at least 1")
    return value if value >= 1 else Wrong(f"{value} is too small; give a whole number of at least 1")


def seed(text: str) -> int | Wrong:
    """A seed of a random generator."""
    try:
        value = int(text)
    except ValueError:
        return Wrong(f"{text!r} is not a whole number in [0, 4294967295]")
    return value if 0 <= value < 2**32 else Wrong(f"{value} is outside [0, 4294967295]; choose a seed inside it")


def number(lo: float = -math.inf, hi: float = math.inf) -> Callable[[str], float | Wrong]:
    """A finite number in an interval."""

    def read(text: str) -> float | Wrong:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        where = "" if math.isinf(lo) and math.isinf(hi) else f" in [{lo:g}, {hi:g}]"
        fits = math.isfinite(value) and lo <= value <= hi
        return value if fits else Wrong(f"{text!r} is not a finite number{where}")

    return read


def one_of(*choices: str) -> Callable[[str], str | Wrong]:
    """One of some words."""

    def read(text: str) -> str | Wrong:
        return text if text in choices else Wrong(f"{text!r} is none of {', '.join(choices)}")

    return read


def check_options(args: argparse.Namespace) -> None:
    """Refuse options that could not be read."""
    wrong = {name: value for name, value in vars(args).items() if isinstance(value, Wrong)}
    if wrong:
        raise InputError(
            [f"--{name.replace('_', '-')}: {value.problem}" for name, value in wrong.items()], "the options"
        )


def names(text: str) -> list[str]:
    """Names separated by commas."""
    return [n.strip() for n in text.split(",") if n.strip()]
