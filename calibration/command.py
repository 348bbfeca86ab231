"""The command: `python -m calibration MODEL [--set NAME] [--method gmm|smm|ml|nuts|smc] [--starts N] [--resume] [-o FOLDER]`.

Exit codes as of `jaxecon`: 0 done; 1 the computation failed; 2 bad input, found before any computing; 130 interrupted.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calibration.checkpoints import open_blocks
from calibration.results import (
    check_packages,
    estimate_data,
    estimate_record,
    posterior_record,
    study_of,
    write_results,
)
from jaxecon.analysis.bayes import sample_posterior
from jaxecon.analysis.estimate import estimate
from jaxecon.analysis.moment_problem import MomentProblem, fit_of, moment_problem
from jaxecon.analysis.store import versions
from jaxecon.analysis.targets import METHODS, FitSpec, Targets, read_targets
from jaxecon.cli import processes
from jaxecon.cli.cache import use_compilation_cache
from jaxecon.cli.options import Wrong
from jaxecon.cli.output import Result, Table, deliver, progress_bar
from jaxecon.core.discovery import load
from jaxecon.core.errors import InputError, JaxeconError, name_problems
from jaxecon.core.fields import fields_of
from jaxecon.core.model import Model

HERE = Path(__file__).parent
BAYES = ("nuts", "smc")
# Starts of a fit whose moments cost as much.
STARTS = {"equilibrium": 1000, "path": 64, "agents": 8, "optimization": 8}
# Whole numbers among the options: default, least, greatest.
COUNTS = {
    "starts": (0, 0, 10**7), "seed": (0, 0, 2**32 - 1), "seeds": (1, 1, 10**6), "block": (256, 1, 10**6),
    "chains": (4, 1, 10**4), "draws": (1000, 4, 10**7), "warmup": (500, 1, 10**7),
}  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """The options; values are judged later, so that every wrong one is named at once."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration", description="Estimate parameters of a model from its targets.", allow_abbrev=False,
        epilog="example: python -m calibration supply_shock --set evidence --starts 1000 -o fit",
    )  # fmt: skip
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument(
        "--set", dest="fit", metavar="NAME", help="a fit of the targets, or the base set of one; default: the only one"
    )
    parser.add_argument(
        "--targets", metavar="FILE", help="a TOML file of targets; default: calibration/MODEL/targets.toml"
    )
    parser.add_argument("--method", help=f"{', '.join(METHODS)}; default: the fit's own")
    parser.add_argument("--weight", default="optimal", help="optimal, diagonal, identity")
    helps = {
        "starts": "starts of the search; 0: 1000 in a static model, fewer where a moment costs more", "seed": "of starts, simulation and sampling", "seeds": "runs behind each agent moment",
        "block": "starts of one checkpoint", "chains": "of nuts and smc", "draws": "of each chain", "warmup": "draws that adapt nuts",
    }  # fmt: skip
    for name, (default, _, _) in COUNTS.items():
        parser.add_argument(f"--{name}", default=str(default), metavar="N", help=f"{helps[name]}; default {default}")
    parser.add_argument("--instruments", default="", metavar="A,B", help="the best policy with intervals, too")
    parser.add_argument("--resume", action="store_true", help="go on with the folder given by -o")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="default: calibration-MODEL-FIT-METHOD")
    parser.add_argument("--json", action="store_true", help="the result as JSON on standard output")
    processes.add_options(parser)
    parser.add_argument(
        "--no-cache", action="store_true", help="do not use the compilation cache (JAXECON_CACHE moves it)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    try:
        args = build_parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed its message
        return int(stop.code or 0)
    code = _run(args)
    if code and args.distributed is not None:
        processes.leave(code)
    return code


def _run(args: argparse.Namespace) -> int:
    try:
        processes.join(args)
        problem, study, method, instruments = prepare(args)
        check_packages()
        use_compilation_cache(args.no_cache)
        found = run(args, problem, study, method, instruments)
        if processes.first():
            deliver(found, argparse.Namespace(output=None, json=args.json))
        return 0
    except InputError as error:
        sys.stderr.write(f"calibration: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("calibration: interrupted; blocks of starts that are done are safe, go on with --resume\n")
        return 130
    except (JaxeconError, OSError, MemoryError) as error:
        sys.stderr.write(
            f"calibration: {str(error) or type(error).__name__}\n  Blocks that are done are safe; go on with --resume\n"
        )
        return 1


def prepare(args: argparse.Namespace) -> tuple[MomentProblem, dict[str, Any], str, list[str]]:
    """The problem, what defines the study, the method and the instruments; raises `InputError` with all that is wrong."""
    problems = processes.problems_of(args)
    if isinstance(args.heartbeat, Wrong):
        problems.append(f"--heartbeat: {args.heartbeat.problem}")
    counts = {}
    for name, (_, least, most) in COUNTS.items():
        text = str(getattr(args, name))
        value = int(text) if text.lstrip("-").isascii() and text.lstrip("-").isdigit() else None
        if value is None or not least <= value <= most:
            problems.append(f"--{name} {text} must be a whole number in [{least}, {most}]")
        counts[name] = value
    if args.method is not None and args.method not in METHODS:
        problems.append(f"--method {args.method} is none of {', '.join(METHODS)}; choose one of them")
    if args.weight not in ("optimal", "diagonal", "identity"):
        problems.append(f"--weight {args.weight} is none of optimal, diagonal, identity; choose one of them")
    instruments = [x.strip() for x in args.instruments.split(",") if x.strip()]
    model = targets = fit = None
    try:
        model = load(args.model)
        problems += [
            f"--instruments: {x}"
            for x in name_problems(instruments, fields_of(model.Policy), f"instrument of {model.name}")
        ]
        targets = read_targets(model, Path(args.targets) if args.targets else default_targets(model))
        fit = fit_named(targets, args.fit)
    except InputError as error:
        problems += error.problems
    if problems or model is None or targets is None or fit is None:
        raise InputError(problems, "the calibration")
    method = args.method or fit.method
    if method == "ml" and args.weight != "optimal":
        raise InputError(["--method ml weighs by the likelihood; leave --weight at optimal"], "the calibration")
    if method in BAYES and instruments:
        raise InputError(
            ["--instruments needs an estimate; with nuts and smc use `posterior_policy`"], "the calibration"
        )
    if method in BAYES and args.distributed is not None:
        raise InputError(
            ["--distributed shares the starts of gmm, smm and ml; leave it out with nuts and smc"], "the calibration"
        )
    problem = moment_problem(model, targets, fit.name, seeds=counts["seeds"], seed=counts["seed"])
    counts["starts"] = counts["starts"] or STARTS[problem.map.cost]
    numbers = {
        k: v
        for k, v in counts.items()
        if k in (("chains", "draws", "warmup", "seed") if method in BAYES else ("starts", "seed", "block"))
    }
    study = study_of(
        problem,
        fit=fit.name,
        base=fit.base or "",
        method=method,
        weight=args.weight,
        targets=targets.hash,
        **numbers,
        **versions(),
    )
    return problem, study, method, instruments


def default_targets(model: Model) -> Path:
    """The file of targets in this folder; raises `InputError` if the model has none."""
    path = HERE / model.name / "targets.toml"
    if not path.exists():
        raise InputError(
            [f"{model.name} has no targets in {HERE}; write {path} or give a file by --targets"], "the targets"
        )
    return path


def fit_named(targets: Targets, name: str | None) -> FitSpec:
    """A fit by its name, or by the base set of exactly one; raises `InputError`."""
    based = [f for f in targets.fits.values() if f.base == name]
    if name is not None and name not in targets.fits and len(based) == 1:
        return based[0]
    return fit_of(targets, name)


def run(
    args: argparse.Namespace, problem: MomentProblem, study: dict[str, Any], method: Any, instruments: list[str]
) -> Result:
    """Estimate or sample, write the results, and say what was found."""
    folder = Path(args.output or f"calibration-{problem.model.name}-{study['fit']}-{method}")
    blocks = open_blocks(folder, study, args.resume)
    if method in BAYES:
        with progress_bar(f"{problem.model.name} {study['fit']}, {method}") as progress:
            posterior = sample_posterior(
                problem,
                method,
                chains=study["chains"],
                draws=study["draws"],
                warmup=study["warmup"],
                seed=study["seed"],
                progress=progress,
            )
        record, data = posterior_record(posterior, study), posterior.to_inference_data()
        for group in data.groups():
            data[group].attrs["study"] = json.dumps(study)
        notes = [f"verdict: {posterior.verdict}"]
        columns = ("name", "mean", "sd", "r_hat", "ess_bulk", "lo", "hi", "unit")
    else:
        done = blocks.done()
        if done:
            sys.stderr.write(f"calibration: {done} blocks of {study['block']} starts are there already\n")
        with progress_bar(f"{problem.model.name} {study['fit']}, {method}") as progress:
            found = estimate(
                problem, weight=args.weight, starts=study["starts"], seed=study["seed"], method=method, block=study["block"],
                saved=blocks, progress=progress,
            )  # fmt: skip
        record, data = estimate_record(found, study, instruments), estimate_data(found, study)
        notes = _notes(record)
        columns = ("name", "estimate", "standard_error", "given", "lo", "hi", "at_bound", "unit")
    written = write_results(folder, record, data) if processes.first() else []
    title = f"{problem.model.name}, fit {study['fit']}, {method}"
    moments = ("target", "value", "standard_error", "model", "error", "unit")
    tables = [_table(title, columns, record["parameter"]), _table("Moments", moments, record["moment"])]
    if "policy" in record:
        both = record["policy"] + record["policy_value"]
        tables.append(
            _table("Best policy and its value", ("name", "value", "standard_error", "lo", "hi", "unit"), both)
        )
    return Result(record, tables, notes=notes, written=[str(p) for p in written])


def _table(title: str, columns: Sequence[str], rows: list[dict[str, Any]]) -> Table:
    return Table(title, columns, [[row[c] for c in columns] for row in rows])


def _notes(record: dict[str, Any]) -> list[str]:
    """The certificate, the test and the basins in words."""
    result, test, search = record["result"], record["test"], record["search"]
    state = "converged" if result["converged"] else "NOT CONVERGED"
    notes = [f"{state}: distance {result['distance']:.6g}, largest gradient {result['largest_gradient']:.2g}"]
    if not result["converged"]:
        notes.append(
            "the moments jump or bend at this point, or the steps were spent: standard errors and the test do not hold there"
        )
    if test["degrees_of_freedom"]:
        notes.append(f"J({test['degrees_of_freedom']}) = {test['statistic']:.4g}, p = {test['p_value']:.3g}")
    notes += [
        f"minimum at distance {b['distance']:.6g}: {b['share']:.1%} of {search['starts']} starts"
        for b in record["basin"][:5]
    ]
    words = {
        "failed": "failed",
        "elsewhere": "came to rest elsewhere",
        "unsettled": "were still moving when their steps were spent",
    }
    notes += [f"{search[k]:.1%} of the starts {word}" for k, word in words.items() if search[k]]
    notes += [f"failures: {', '.join(f'{k} {v}' for k, v in search['reasons'].items())}"] if search["reasons"] else []
    lost = len(result["singular_values"]) - result["rank"]
    if lost:
        notes.append(
            f"{lost} combination(s) of the parameters not identified: standard errors of those that they move are '-'"
        )
    return notes
