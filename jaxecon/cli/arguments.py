"""The grammar of the command line, and from words to validated parameters and policies."""

import argparse
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from jaxecon.cli import processes, studies
from jaxecon.cli.options import Wrong, count, number, one_of, seed
from jaxecon.core.errors import InputError, did_you_mean
from jaxecon.core.fields import Field

EXAMPLES = {
    "models": "jaxecon models --json",
    "show": "jaxecon show supply_shock",
    "sets": "jaxecon sets supply_shock",
    "solve": "jaxecon solve supply_shock -p beta=0.15 -p volume_charge=0.02",
    "simulate": "jaxecon simulate supply_shock --layer agents --agents 1000 --periods 200 --seeds 8",
    "sweep": "jaxecon sweep information_pollution p_A=0.01:1:100 low_quality_tax=0:1:50 -o study.zarr",
    "optimize": "jaxecon optimize information_pollution --instruments low_quality_tax,provenance",
    "sensitivity": "jaxecon sensitivity information_pollution --method sobol --samples 1024",
    "claims": "jaxecon claims supply_shock --draws 10000",
    "report": "jaxecon report -o report.html",
    **studies.EXAMPLES,
}


class Parser(argparse.ArgumentParser):
    """An argument parser that suggests the command that was meant."""

    def error(self, message: str) -> NoReturn:
        if "invalid choice: " in message and "argument COMMAND" in message:
            wrong = message.split("invalid choice: ")[1].split("'")[1]
            message = f"there is no command {wrong!r}; {did_you_mean(wrong, EXAMPLES)}"
        self.exit(2, f"jaxecon: {message}\n  See: {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    from jaxecon import __version__

    parser = Parser(
        prog="jaxecon", description="Differentiable models of the economics of generative AI.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"jaxecon {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, doc: str, model: str | None = None) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=doc, description=doc, epilog=f"example: {EXAMPLES[name]}", allow_abbrev=False
        )
        if model == "one":
            sub.add_argument("model", metavar="MODEL")
        elif model == "some":
            sub.add_argument("models", metavar="MODEL", nargs="*", help="default: all models")
        sub.add_argument("--json", action="store_true", help="JSON on standard output")
        sub.add_argument("-o", "--output", metavar="PATH", help="file to write; its suffix says the format")
        sub.add_argument(
            "--no-cache", action="store_true", help="do not use the compilation cache (JAXECON_CACHE moves it)"
        )
        return sub

    def point(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "-p",
            dest="values",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a parameter or instrument; repeatable",
        )
        sub.add_argument("--regime", metavar="NAME", help="a named policy of the model")
        sub.add_argument("--set", dest="parameter_set", metavar="NAME", help="a named parameter set, or a .toml file")
        sub.add_argument("--seed", type=seed, default=0)
        sub.add_argument("--x32", action="store_true", help="float32 instead of float64")

    command("models", "List the models.")
    command("show", "Parameters, instruments, outcomes, claims, regimes and sets of a model.", "one")
    sets = command("sets", "List the parameter sets of a model, or show where two sets differ.", "one")
    sets.add_argument("names", nargs="*", metavar="SET", help="two sets (names or .toml files) to compare")

    point(command("solve", "Solve one equilibrium, with its certificate.", "one"))

    simulate = command("simulate", "Run a dynamic or agent layer over time.", "one")
    point(simulate)
    simulate.add_argument("--layer", default="dynamics", help="dynamics, agents, or the name of one layer")
    simulate.add_argument("--agents", type=count, metavar="N")
    simulate.add_argument("--periods", type=count, metavar="T", help="periods of agents, or time steps of dynamics")
    simulate.add_argument("--seeds", type=count, default=1, metavar="K")
    simulate.add_argument("--smooth", action="store_true", help="the differentiable variant of the agent rule")

    sweep = command("sweep", "Outcomes over named axes.", "one")
    point(sweep)
    sweep.add_argument(
        "axes", nargs="+", metavar="NAME=LO:HI:N", help="also NAME=a,b,c; with --design sobol NAME=LO:HI"
    )
    sweep.add_argument("--design", type=one_of("grid", "paired", "sobol"), default="grid", help="grid, paired or sobol")
    sweep.add_argument("--points", type=count, metavar="N", help="points of the sobol design")
    sweep.add_argument("--outcome", action="append", metavar="NAME", help="repeatable; default: all")
    sweep.add_argument(
        "--chunk", type=count, metavar="N", help="points of one write and, where memory is short, at once"
    )
    sweep.add_argument("--resume", action="store_true", help="go on with the store given by -o")
    sweep.add_argument("--no-retry", action="store_true", help="leave cells alone whose solver failed")
    processes.add_options(sweep)

    optimize = command("optimize", "Choose instruments by gradients, from several starts.", "one")
    point(optimize)
    processes.add_options(optimize)
    optimize.add_argument("--instruments", required=True, metavar="A,B", help="names, separated by commas")
    optimize.add_argument("--objective", metavar="OUTCOME", help="default: the model's own (welfare)")
    optimize.add_argument("--method", type=one_of("adam", "lbfgs"), default="adam", help="adam or lbfgs")
    optimize.add_argument("--starts", type=count, default=16)
    optimize.add_argument("--steps", type=count, default=300)

    sensitivity = command("sensitivity", "Which parameters drive the outcomes.", "one")
    point(sensitivity)
    processes.add_options(sensitivity)
    methods = ("sobol", "shapley", "morris", "derivative", "active", "elasticities")
    sensitivity.add_argument("--method", type=one_of(*methods), default="sobol", help=", ".join(methods))
    sensitivity.add_argument("--samples", type=count, default=1024, metavar="N")
    sensitivity.add_argument("--outcome", action="append", metavar="NAME", help="repeatable; default: all")
    sensitivity.add_argument("--second-order", action="store_true", help="also the interactions of pairs (sobol)")
    sensitivity.add_argument(
        "--correlate",
        action="append",
        default=[],
        metavar="A,B=R",
        help="inputs that move together (shapley, active); repeatable",
    )
    sensitivity.add_argument(
        "--tolerance", type=number(0.0), metavar="X", help="stop where no half-width of a share exceeds it (sobol)"
    )
    sensitivity.add_argument(
        "--layer", default="equilibrium", help="equilibrium, dynamics, or the name of one dynamic layer"
    )
    sensitivity.add_argument(
        "--at",
        type=one_of("end", "path"),
        default="end",
        help="of a dynamic layer: end (last values) or path (every date)",
    )
    sensitivity.add_argument(
        "--group",
        type=count,
        metavar="N",
        help="base samples that are resampled together (sobol); default: by the outcomes",
    )
    sensitivity.add_argument("--store", metavar="FILE", help="keep the sums so far there, for --resume (sobol)")
    sensitivity.add_argument("--resume", action="store_true", help="go on with the study in --store")
    sensitivity.add_argument("--prior", metavar="FILE", help="TOML file with a table [prior] of name = [lo, hi]")

    claims = command("claims", "Check the propositions of the papers at a point and over the prior box.", "some")
    point(claims)
    processes.add_options(claims)
    claims.add_argument("--draws", type=count, default=1000, metavar="N")
    claims.add_argument("--id", dest="ids", action="append", metavar="ID", help="one claim; repeatable")
    claims.add_argument("--prior", metavar="FILE", help="TOML file with a table [prior] of name = [lo, hi]")

    report = command("report", "Everything about the models in one HTML file, with the same content as data.", "some")
    report.add_argument("--draws", type=count, default=1000, metavar="N")
    report.add_argument("--samples", type=count, default=128, metavar="N")
    report.add_argument("--seed", type=seed, default=0)
    report.add_argument("--full", action="store_true", help="also the claims and studies that take minutes each")
    report.add_argument("--quick", action="store_true", help="small samples, for a first look")
    studies.add(command, point, processes.add_options)
    return parser


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _read(field: Field | None, text: str) -> Any:
    """A word as the value of a field; a word that does not fit stays text, for validation to name."""
    if field is not None and field.kind == "choice":
        return next((c for c in field.choices if str(c) == text), text)
    if field is not None and field.kind == "integer":
        return int(text) if text.lstrip("+-").isdigit() else text
    return _number(text)


def all_of(*steps: Callable[[], Any]) -> list[Any]:
    """Results of all steps, or one `InputError` with the problems of each; of two steps with the same problem, once."""
    found, errors = [], []
    for step in steps:
        try:
            found.append(step())
        except InputError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InputError(list(dict.fromkeys(problem for error in errors for problem in error.problems)), "the input")
    return found


def parse_values(model: Any, words: Sequence[str]) -> dict[str, Any]:
    """`name=value` words as values by name: numbers, names of choices, or `[v, v, ...]` for a path."""
    problems, values = [], {}
    for word in words:
        name, equals, text = word.partition("=")
        name, text = name.strip(), text.strip()
        if not equals or not name or not text:
            problems.append(f"{word!r} is not of the form name=value")
            continue
        if name in values:
            problems.append(f"{name!r} is given twice; give it once")
        if text.startswith("["):
            try:
                values[name] = json.loads(text)
            except json.JSONDecodeError:
                problems.append(f"{name} = {text} is not a list of numbers such as [0, 0.1, 0.2]")
        else:
            values[name] = _read(model.fields.get(name), text)
    if problems:
        try:
            from jaxecon.core.inputs import split_values

            split_values(model, values)
        except InputError as error:
            problems += error.problems
        raise InputError(problems, "the values given by -p")
    return values


def read_point(model: Any, args: argparse.Namespace) -> tuple[Any, Any]:
    """Parameters and policy from `--set`, then `--regime`, then `-p`; every wrong field is reported at once."""
    from jaxecon.core.inputs import known_regime, load_set, split_values

    problems: list[str] = []
    params: dict[str, Any] = {}
    policy: dict[str, Any] = {}

    def collect(step) -> None:
        try:
            step()
        except InputError as error:
            problems.extend(error.problems)

    def from_set() -> None:
        named = load_set(model, args.parameter_set)
        params.update(named.params)
        policy.update(named.policy)

    def from_values() -> None:
        nature, government = split_values(model, parse_values(model, args.values))
        params.update(nature)
        policy.update(government)

    if args.parameter_set:
        collect(from_set)
    if args.regime:
        collect(lambda: policy.update(known_regime(model, args.regime)))
    collect(from_values)
    if problems:
        raise InputError(problems, f"the values for {model.name}")
    return model.params(**params), model.policy(**policy)


def parse_axes(model: Any, words: Sequence[str], design: str | Wrong) -> dict[str, Any]:
    """`name=lo:hi:n`, `name=lo:hi` (sobol) or `name=a,b,c` as axes of a sweep; every wrong axis is reported at once."""
    from jaxecon.analysis.study import axes_of

    problems, axes = [], {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name or not text:
            problems.append(f"{word!r} is not an axis; write name=lo:hi:n, e.g. p_A=0.01:1:50, or name=a,b,c")
            continue
        if name in axes:
            problems.append(f"axis {name!r} is given twice; give it once")
        if isinstance(design, Wrong):  # of an unknown design only the names can be judged
            axes[name] = text
            continue
        pieces = text.split(":")
        if len(pieces) == 1:
            field = model.fields.get(name)
            axes[name] = values = [_read(field, piece) for piece in text.split(",")]
            if field is not None and field.kind == "real" and (wrong := [v for v in values if isinstance(v, str)]):
                lo, hi = field.bounds
                problems += [f"axis {name}: {v!r} is not a number; give values in [{lo:g}, {hi:g}]" for v in wrong]
                del axes[name]
            continue
        numbers = [_number(piece) for piece in pieces]
        wanted = 2 if design == "sobol" else 3
        if len(pieces) != wanted or any(isinstance(v, str) for v in numbers):
            form = "name=lo:hi" if wanted == 2 else "name=lo:hi:n"
            problems.append(f"{word!r} is not an axis of a {design} design; write {form} with numbers")
        elif wanted == 3 and (numbers[2] != int(numbers[2]) if abs(numbers[2]) < 1e12 else True):
            problems.append(f"{word!r}: n = {pieces[2]} must be a whole number of at least 1")
        else:
            axes[name] = (numbers[0], numbers[1], int(numbers[2])) if wanted == 3 else (numbers[0], numbers[1])
    problems += axes_of(model, axes, "" if isinstance(design, Wrong) else design)[1]
    if problems:
        raise InputError(problems, "the axes")
    return axes


def read_prior(path: str | None) -> Mapping[str, tuple[float, float]] | None:
    """A prior box from a TOML file: a table `[prior]` of `name = [lo, hi]`."""
    if path is None:
        return None
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            [f"{path} cannot be read: {error}; give the path of a readable TOML file"], "the prior"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError([f"{path} is not valid TOML: {error}; mend it there"], "the prior") from None
    table = data.get("prior")
    if set(data) != {"prior"} or not isinstance(table, dict):
        raise InputError([f"{path} must hold one table [prior] with lines such as beta = [0.0, 0.2]"], "the prior")
    wrong = [
        f"{name} = {value!r} must be a pair [lo, hi] of numbers"
        for name, value in table.items()
        if not (isinstance(value, list) and len(value) == 2 and all(isinstance(v, (int, float)) for v in value))
    ]
    if wrong:
        raise InputError(wrong, "the prior")
    return {name: (float(lo), float(hi)) for name, (lo, hi) in table.items()}
