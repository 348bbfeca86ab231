"""Words of the commands on policy and boundaries: intervals, pairs of names, conditions, targets; all wrong ones at once."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxecon.cli.options import Wrong, names
from jaxecon.core.errors import InputError, name_problems
from jaxecon.core.fields import fields_of
from jaxecon.core.model import Model


def _refuse(problems: Sequence[str], what: str) -> None:
    if problems:
        raise InputError(problems, what)


def _pairs(words: Sequence[str], form: str) -> tuple[dict[str, str], list[str]]:
    """`name=text` words by name, and those that are not."""
    found, problems = {}, []
    for word in words:
        name, equals, text = (part.strip() for part in word.partition("="))
        if not equals or not name or not text:
            problems.append(f"{word!r} is not of the form {form}")
        elif name in found:
            problems.append(f"{name!r} is given twice; give it once")
        else:
            found[name] = text
    return found, problems


def intervals(words: Sequence[str], what: str) -> dict[str, tuple[float | None, float | None]]:
    """`name=lo:hi` words; an end that is left out is `None`."""
    pairs, problems = _pairs(words, "name=lo:hi; leave out the end that is open, e.g. rents=:0.2")
    found: dict[str, tuple[float | None, float | None]] = {}
    for name, text in pairs.items():
        ends = text.split(":")
        try:
            lo, hi = (float(end) if end.strip() else None for end in ends)
            found[name] = (lo, hi)
        except ValueError:
            problems.append(f"{name}={text} must be two numbers lo:hi; leave out the end that is open")
    _refuse(problems, what)
    return found


def limits(model: Model, args: argparse.Namespace) -> dict[str, Any]:
    """Constraints on outcomes from `--limit`; of a plan on series of its layer."""
    from jaxecon.analysis.constrained import read_limits
    from jaxecon.analysis.simulate import find_layer

    found = intervals(args.limits, "the limits")
    if args.command == "plan":
        _, name, layer = find_layer(model, args.layer)
        problems = read_limits(model, found, fields_of(layer.Result), f"series of {name}")[1]
    else:
        problems = read_limits(model, found)[1]
    _refuse(problems, "the limits")
    return found


def bounds(model: Model, args: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Ranges of instruments from `--bounds`; an end that is left out stays as declared."""
    from jaxecon.analysis.designs import range_problem

    found, known = intervals(args.bounds, "the bounds"), fields_of(model.Policy)
    problems = name_problems(found, known, f"instrument of {model.name}")
    given = {
        n: (known[n].bounds[0] if lo is None else lo, known[n].bounds[1] if hi is None else hi)
        for n, (lo, hi) in found.items()
        if n in known
    }
    problems += [w for n, ends in given.items() if (w := range_problem(known[n], ends))]
    chosen = names(getattr(args, "instruments", ""))
    problems += [
        f"the bounds of {n!r} are given, but it is not among the instruments" for n in found if n not in chosen
    ]
    _refuse(problems, "the bounds")
    return given


def correlation(model: Model, args: argparse.Namespace) -> dict[tuple[str, str], float] | None:
    """Correlations of inputs from `--correlate A,B=0.5`."""
    from jaxecon.analysis.copula import copula_of
    from jaxecon.analysis.designs import box_of
    from jaxecon.cli.arguments import read_prior

    pairs, problems = _pairs(args.correlate, "name,name=number, e.g. beta,eta=0.5")
    found: dict[tuple[str, str], float] = {}
    for key, text in pairs.items():
        pair = names(key)
        try:
            found[(pair[0], pair[1])] = float(text)
        except (ValueError, IndexError):
            problems.append(f"{key}={text} must be two names and a number: name,name=0.5")
    box, why = box_of(model, None, read_prior(args.prior))
    _refuse(problems + ([] if why or problems else copula_of(box.names, found)[1]), "the correlations")
    return found or None


def objectives(model: Model, args: argparse.Namespace) -> dict[str, str]:
    """Outcomes to raise or lower from `--objectives welfare,rents:min`."""
    pairs = [(n, end or "max") for n, _, end in (word.partition(":") for word in names(args.objectives))]
    problems = name_problems([n for n, _ in pairs], fields_of(model.Outcomes), f"outcome of {model.name}")
    problems += [f"{n}:{end} must end in max or min" for n, end in pairs if end not in ("max", "min")]
    if len(pairs) < 2:
        problems.append("a surface needs at least two objectives, e.g. --objectives welfare,rents:min")
    _refuse(problems, "the objectives")
    return dict(pairs)


def states(model: Model, args: argparse.Namespace) -> dict[str, str] | None:
    """States of a feedback rule from `--state SERIES=PARAMETER`."""
    pairs, problems = _pairs(args.state, "series=parameter that holds its start")
    problems += name_problems(pairs.values(), fields_of(model.Params), f"parameter of {model.name}")
    _refuse(problems, "the states")
    return pairs or None


def condition_of(model: Model, args: argparse.Namespace) -> Any:
    """The condition whose sign divides the parameters: `--of OUTCOME --level X`, or `--claim ID`."""
    from jaxecon.analysis.conditions import condition

    if args.claim is not None and args.level != 0:
        raise InputError(["--level applies to --of, not to --claim: a margin is compared with zero"], "the condition")
    if (args.claim is None) == (args.of is None):
        raise InputError(["name one condition: --of OUTCOME [--level X], or --claim ID"], "the condition")
    level = 0.0 if isinstance(args.level, Wrong) else args.level
    return condition(model, outcome=args.of, level=level, claim=args.claim)


def inputs(option: str) -> Callable[[Model, argparse.Namespace], list[str] | None]:
    """Real parameters and instruments, separated by commas, that an option names; `None` if it was not given."""

    def read(model: Model, args: argparse.Namespace) -> list[str] | None:
        text = getattr(args, option)
        if text is None:
            return None
        known = {n: f for n, f in (fields_of(model.Params) | fields_of(model.Policy)).items() if f.kind == "real"}
        found = names(text)
        _refuse(name_problems(found, known, f"real parameter or instrument of {model.name}"), "the options")
        return found

    return read


def target(model: Model, args: argparse.Namespace) -> tuple[str, str, float]:
    """Which cells are of interest, from `--target "welfare < 0"`."""
    found = re.fullmatch(r"\s*(\w+)\s*(<=|>=|<|>)\s*(\S+)\s*", args.target)
    try:
        if found is None:
            raise ValueError
        value = float(found[3])
    except ValueError:
        words = f"--target {args.target!r} must be an outcome, a comparison and a number, e.g. 'welfare < 0'"
        raise InputError([words], "the target") from None
    _refuse(name_problems([found[1]], fields_of(model.Outcomes), f"outcome of {model.name}"), "the target")
    return found[1], found[2], value


READERS: Mapping[str, Callable[[Model, argparse.Namespace], Any]] = {
    "limits": limits,
    "bounds": bounds,
    "correlate": correlation,
    "objectives": objectives,
    "state": states,
    "claim": condition_of,
    "target": target,
    **{option: inputs(option) for option in ("parameters", "along", "x", "y", "moving")},
}


def checks(model: Model, args: argparse.Namespace) -> list[Callable[[], Any]]:
    """Readers of the options that a command has, for all of them to be tried."""
    return [lambda read=read: read(model, args) for option, read in READERS.items() if hasattr(args, option)]
