"""Write the fits and the claims under named sets that ship with the models: `python -m calibration.package_data [MODEL ...] [--fit NAME]`.

Every fit of `calibration/<model>/targets.toml` is estimated and stored as `jaxecon/models/<model>/fits/<fit>.toml`, whatever comes out:
rejected fits and parameters that are not identified, too. With `--claims` the claims are checked under the sets `paper` and `evidence`.
"""

import argparse
import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxecon.analysis.claims import claims
from jaxecon.analysis.estimate import Estimate, estimate
from jaxecon.analysis.identification import Identification, identify
from jaxecon.analysis.moment_problem import MomentProblem, group_of, moment_problem
from jaxecon.analysis.targets import FitSpec, Target, Targets, read_targets
from jaxecon.cli.cache import use_compilation_cache
from jaxecon.core.discovery import load, models
from jaxecon.core.inputs import set_names
from jaxecon.core.model import COSTS, Model
from jaxecon.report.fit_records import (
    ClaimRow,
    FitRecord,
    FreeParameter,
    MomentRow,
    claims_to_toml,
    fit_to_toml,
)

HERE = Path(__file__).parent
SETS = ("paper", "evidence")
# Starts by what a point costs; claims that cost more than a path are left out of the comparison of sets.
STARTS = {"equilibrium": 256, "path": 64, "agents": 8, "optimization": 8}
WITHIN = ("equilibrium", "path")


def targets_of(model: Model) -> Targets:
    """The evidence on a model."""
    return read_targets(model, HERE / model.name / "targets.toml")


def checks_of(targets: Targets, fit: FitSpec) -> tuple[Target, ...]:
    """Checks that name the fit in their `set`."""
    return tuple(t for t in targets.checks() if fit.name in t.sets)


def everything(model: Model, targets: Targets, problem: MomentProblem, fit: FitSpec) -> MomentProblem:
    """The fit's problem with its checks behind its targets; checks without a standard error get one that is never read."""
    both = (*problem.targets, *checks_of(targets, fit))
    filled = [t if t.standard_error > 0 else dataclasses.replace(t, standard_error=1.0) for t in both]
    free = {n: (a, b) for n, a, b in zip(problem.names, problem.lo, problem.hi)}
    return moment_problem(
        model, filled, free, params=problem.p, policy=problem.u, seeds=problem.seeds, seed=problem.seed
    )


def rows_of(model: Model, targets: Targets, fit: FitSpec, found: Estimate) -> tuple[MomentRow, ...]:
    """Targets and checks against the model, before and at the estimate; agent moments by the discrete rule."""
    problem = everything(model, targets, found.problem, fit)
    both = problem.rows(np.stack([problem.given, found.theta]), smooth=False)[0]
    chosen = (*found.problem.targets, *checks_of(targets, fit))
    return tuple(
        MomentRow(
            t.name, t.moment, t.unit, t.value, t.standard_error, float(before), float(at),
            "fit" if t in found.problem.targets else "check", t.grade, t.source, t.year or 0, t.judgment, t.note,
        )
        for t, before, at in zip(chosen, *both, strict=True)
    )  # fmt: skip


def parameters_of(model: Model, found: Estimate) -> tuple[FreeParameter, ...]:
    """Free parameters with their estimates."""
    problem, fields = found.problem, model.fields
    columns = (problem.names, problem.lo, problem.hi, problem.given, found.theta, found.standard_errors, found.at_bound)
    return tuple(
        FreeParameter(n, fields[n].unit, float(lo), float(hi), float(given), float(x), float(se), end)
        for n, lo, hi, given, x, se, end in zip(*columns, strict=True)
    )


def record_of(model: Model, targets: Targets, fit: FitSpec, found: Estimate, known: Identification) -> FitRecord:
    """What is stored of a fit."""
    weakest = known.directions[:, -1]
    weakest = weakest * np.sign(weakest[np.argmax(np.abs(weakest))])
    shifts = known.sensitivity * np.sqrt(np.diag(known.covariance))
    held = [bool(x) or not math.isfinite(e) for x, e in zip(found.at_bound, found.standard_errors)]
    basins = tuple((b.value, b.share) for b in found.search.basins)
    return FitRecord(
        fit.name, model.name, fit.doc, fit.base or "baseline", found.method, found.search.starts, int(found.record["seed"]),
        found.problem.seeds, found.value, found.inference.df if found.inference.df > 0 else 0, found.inference.p_value,
        found.gradient, known.rank, basins, tuple(map(float, known.singular_values)),
        {n: float(w) for n, w in zip(found.names, weakest)},
        {} if all(held) else {
            n: {t: float(x) for t, x in zip(known.moments, shifts[i])}
            for i, n in enumerate(found.names) if not held[i]
        },
        parameters_of(model, found), rows_of(model, targets, fit, found), targets.hash,
    )  # fmt: skip


def run_fit(model: Model, name: str, *, starts: int | None = None, seeds: int = 1) -> FitRecord:
    """Estimate one fit of a model."""
    targets = targets_of(model)
    fit = targets.fits[name]
    problem = moment_problem(model, targets, name, seeds=seeds)
    found = estimate(problem, starts=starts or STARTS[cost_of(model, problem)], method=fit.method)  # pyright: ignore
    return record_of(model, targets, fit, found, identify(problem, found.theta, found.weight))


def cost_of(model: Model, problem: MomentProblem) -> str:
    """What a point of the problem costs: the most expensive of its moments, and of the model's claims on its equilibrium."""
    costs = ["path" if model.many else "equilibrium"]
    costs += [model.moments[g].cost for t in problem.targets if (g := group_of(model, t.moment))]
    return max(costs, key=COSTS.index)


def claims_under(model: Model, sets: Sequence[str] = SETS) -> list[ClaimRow]:
    """Margins of the claims of a model at each of its named sets; the baseline stands for a set that it does not have."""
    names = [n for n in sets if n in set_names(model)]
    points = {"baseline": model.params()} | {n: model.parameter_set(n) for n in names}
    if "paper" in points:
        del points["baseline"]
    cheap = [c.id for c in model.claims if c.cost in WITHIN]
    margins: dict[str, dict[str, float]] = {}
    about = {}
    for label, p in points.items():
        for claim in claims(model, cheap, draws=1, params=p, boundary=False):
            for c in (claim, *claim.parts):
                margins.setdefault(c.id, {})[label] = c.margin
                about[c.id] = (c.expectation, c.statement)
    return [ClaimRow(i, *about[i], found) for i, found in margins.items()]


def store(model: Model, name: str, text: str) -> Path:
    """Write one file of package data."""
    folder = HERE.parent / "jaxecon" / "models" / model.name / "fits"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m calibration.package_data", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument(
        "--fit", action="append", metavar="NAME", help="one fit; repeatable; default: all that are not simulated"
    )
    parser.add_argument("--claims", action="store_true", help="claims under the sets instead of fits")
    parser.add_argument("--starts", type=int)
    args = parser.parse_args(arguments)
    use_compilation_cache(False)
    for name in args.models or list(models()):
        model = load(name)
        if args.claims:
            written = [store(model, "claims", claims_to_toml(claims_under(model)))]
        else:
            fits = targets_of(model).fits
            chosen = args.fit or [n for n, f in fits.items() if f.method != "smm"]
            written = [store(model, n, fit_to_toml(run_fit(model, n, starts=args.starts))) for n in chosen]
        sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
