"""Errors that say what happened, why, and what to do: every wrong field at once."""

import difflib
from collections.abc import Iterable


class JaxeconError(Exception):
    """Base class of every error that jaxecon raises on purpose."""


class InputError(JaxeconError, ValueError):
    """Bad input. `problems` holds one sentence per wrong field, each with its remedy."""

    def __init__(self, problems: Iterable[str], what: str = "input") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in {what}:"
        super().__init__("\n".join([head, *(f"  - {p}" for p in self.problems)]))


class ProcessLost(JaxeconError):
    """Another process of a study ended; the message says what is safe and how to go on."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A suggestion for a misspelt name, or the list of what is known."""
    known = list(known)
    by_lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.55)
    if close:
        return "did you mean " + " or ".join(repr(by_lower[c]) for c in close) + "?"
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"known names: {shown}" if known else "there are none"


def name_problems(names: Iterable[str], known: Iterable[str], what: str) -> list[str]:
    """Problems of names that must be among `known`."""
    known = list(known)
    names = list(names)
    problems = [f"{n!r} is no {what}; {did_you_mean(str(n), known)}" for n in names if n not in known]
    twice = sorted({str(n) for n in names if names.count(n) > 1})
    return problems + [f"{n!r} is named twice; name it once" for n in twice]
