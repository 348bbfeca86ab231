"""The command: `python -m calibration MODEL [--set NAME] [--method gmm|smm|ml|nuts|smc|abc] [--starts N] [--resume] [-o FOLDER]`.

Exit codes as of `jaxecon`: 0 done; 1 the computation failed; 2 bad input, found before any computing; 130 interrupted.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calibration.checkpoints import open_blocks
from calibration.methods import BAYES, SAFE, Job, by_agents, carry_out
from calibration.results import check_packages, study_of, write_results
from jaxecon.analysis.moment_problem import MomentProblem, fit_of, moment_problem
from jaxecon.analysis.simulated_estimate import RUNS
from jaxecon.analysis.store import versions
from jaxecon.analysis.targets import METHODS, FitSpec, Targets, read_targets
from jaxecon.cli import processes
from jaxecon.cli.cache import use_compilation_cache
from jaxecon.cli.options import Wrong
from jaxecon.cli.output import Result, deliver, progress_bar
from jaxecon.core.discovery import load
from jaxecon.core.errors import InputError, JaxeconError, name_problems
from jaxecon.core.fields import fields_of
from jaxecon.core.model import Model

HERE = Path(__file__).parent
# Starts of a fit whose moments cost as much.
STARTS = {"equilibrium": 1000, "path": 64, "agents": 8, "optimization": 8}
# Whole numbers among the options: default, least, greatest.
COUNTS = {
    "starts": (0, 0, 10**7), "seed": (0, 0, 2**32 - 1), "seeds": (0, 0, 10**6), "block": (256, 1, 10**6),
    "chains": (4, 1, 10**4), "draws": (1000, 4, 10**7), "warmup": (500, 1, 10**7),
    "populations": (8, 1, 10**4),
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
        "starts": "starts of the search; 0: 1000 in a static model, fewer where a moment costs more", "seed": "of starts, simulation and sampling", "seeds": f"runs behind each agent moment; 0: {RUNS} by smm, 1 by others",
        "block": "starts of one checkpoint", "chains": "of nuts and smc", "draws": "of each chain; particles of smc and abc",
        "warmup": "draws that adapt nuts", "populations": "of abc, at most",
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
    job = None
    try:
        processes.join(args)
        job = prepare(args)
        check_packages(job.method)
        use_compilation_cache(args.no_cache)
        found = run(args, job)
        if processes.first():
            deliver(found, argparse.Namespace(output=None, json=args.json))
        return 0
    except InputError as error:
        sys.stderr.write(f"calibration: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"calibration: interrupted; {SAFE[job.kept] if job else 'nothing was done yet'}\n")
        return 130
    except (JaxeconError, OSError, MemoryError) as error:
        words = SAFE[job.kept] if job else "nothing was done yet"
        sys.stderr.write(f"calibration: {str(error) or type(error).__name__}\n  {words.capitalize()}\n")
        return 1


def prepare(args: argparse.Namespace) -> Job:
    """What is to be done; raises `InputError` with all that is wrong."""
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
    problem = moment_problem(model, targets, fit.name, seeds=counts["seeds"] or 1, seed=counts["seed"])
    if by_agents(problem, method) and not counts["seeds"]:
        problem = dataclasses.replace(problem, map=dataclasses.replace(problem.map, draws=RUNS))
    problems = method_problems(problem, method, args.weight, instruments)
    if args.distributed is not None and (method in BAYES or by_agents(problem, method)):
        problems.append(
            "--distributed shares the starts of gmm, ml and smooth smm; leave it out with nuts, smc, abc and fits of agents"
        )
    if problems:
        raise InputError(problems, "the calibration")
    counts["starts"] = counts["starts"] or STARTS[problem.map.cost]
    used = {
        "nuts": ("chains", "draws", "warmup", "seed"), "smc": ("chains", "draws", "warmup", "seed"),
        "abc": ("draws", "populations", "seed"),
    }.get(method, ("starts", "seed") if by_agents(problem, method) else ("starts", "seed", "block"))  # fmt: skip
    priors = targets.priors_of(fit) if method in BAYES else {}
    study = study_of(
        problem,
        fit=fit.name,
        base=fit.base or "",
        method=method,
        weight=args.weight,
        targets=targets.hash,
        **({"priors": {n: [p.value, p.standard_error] for n, p in priors.items()}} if priors else {}),
        **{k: counts[k] for k in used},
        **versions(),
    )
    return Job(problem, study, method, args.weight, instruments, priors)


def method_problems(problem: MomentProblem, method: str, weight: str, instruments: list[str]) -> list[str]:
    """What a method cannot do with a problem."""
    found = [
        f"--instruments: {n!r} is free in this fit and cannot be chosen too" for n in instruments if n in problem.names
    ]
    if method == "ml" and weight != "optimal":
        found.append("--method ml weighs by the likelihood; leave --weight at optimal")
    if by_agents(problem, method) and problem.seeds < 2:
        found.append(f"--seeds {problem.seeds} must be at least 2 with --method smm, which measures the noise of runs")
    if not by_agents(problem, method) and len(problem.names) > len(problem.observed):
        found.append(
            f"{len(problem.names)} parameters are free and there are {len(problem.observed)} moments; only --method smm takes that"
        )
    if method == "abc" and np.any(problem.covariance - np.diag(np.diag(problem.covariance))):
        found.append("--method abc takes errors as independent and these targets are correlated; use nuts or smc")
    return found


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


def run(args: argparse.Namespace, job: Job) -> Result:
    """Estimate or sample, write the results, and say what was found."""
    study, name = job.study, job.problem.model.name
    folder = Path(args.output or f"calibration-{name}-{study['fit']}-{job.method}")
    blocks = open_blocks(folder, study, args.resume)
    done = blocks.parts(job.kept).done() if job.kept else 0
    if done:
        sys.stderr.write(f"calibration: {done} {job.kept}(s) of this calibration are there already\n")
    title = f"{name}, fit {study['fit']}, {job.method}"
    with progress_bar(title) as progress:
        found = carry_out(job, blocks, progress)
    written = write_results(folder, found.record, found.data) if processes.first() else []
    tables = [dataclasses.replace(found.tables[0], title=title), *found.tables[1:]]
    return Result(found.record, tables, notes=found.notes, written=[str(p) for p in written])
