"""Write the fits and the claims under named sets that ship with the models: `python -m calibration.package_data [MODEL ...] [--fit NAME]`.

Every fit of `calibration/<model>/targets.toml` is estimated and stored as `jaxecon/models/<model>/fits/<fit>.toml`, whatever comes out:
rejected fits and parameters that are not identified, too. With `--claims` the claims are checked under the sets `paper` and `evidence`,
but for those that are too dear, which `--claim ID` checks and adds to the stored ones; `--context` copies the evidence that no moment measures.
"""

import argparse
import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calibration.methods import by_agents
from jaxecon.analysis.claims import claims
from jaxecon.analysis.estimate import LEVEL, Estimate, estimate
from jaxecon.analysis.identification import TOLERANCE, Identification, from_jacobian, identify
from jaxecon.analysis.moment_problem import MomentMap, MomentProblem, Reading, group_of, moment_problem
from jaxecon.analysis.profiles import profile
from jaxecon.analysis.simulated_estimate import RUNS, simulated_estimate
from jaxecon.analysis.targets import FitSpec, Target, Targets, read_targets
from jaxecon.cli.cache import use_compilation_cache
from jaxecon.core.discovery import load, models
from jaxecon.core.errors import JaxeconError
from jaxecon.core.fields import fields_of
from jaxecon.core.inputs import load_set, set_names
from jaxecon.core.model import COSTS, Model
from jaxecon.report.fit_records import (
    BasinRow,
    ClaimRow,
    FitRecord,
    FreeParameter,
    MomentRow,
    claims_to_toml,
    context_to_toml,
    fit_to_toml,
    read_claims,
)

HERE = Path(__file__).parent
SETS = ("paper", "evidence")
# Starts by what a point costs; costs at which profiles are made and claims are checked at every set, and why others are not.
STARTS = {"equilibrium": 1000, "path": 1000, "agents": 8, "optimization": 8}
WITHIN = ("equilibrium", "path")
LEFT_OUT = {
    "optimization": "an optimum, which takes minutes",
    "agents": "agents, whose verdict takes many runs",
}


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


def record_of(
    model: Model, targets: Targets, fit: FitSpec, found: Estimate, known: Identification,
    intervals: dict[str, tuple[float, float]],
) -> FitRecord:  # fmt: skip
    """What is stored of a fit."""
    weakest = known.directions[:, -1] if known.directions.shape[1] else np.zeros(len(found.names))
    weakest = weakest * np.sign(weakest[np.argmax(np.abs(weakest))])
    shifts = known.sensitivity * np.sqrt(np.diag(known.covariance))
    held = [bool(x) or not math.isfinite(e) for x, e in zip(found.at_bound, found.standard_errors)]
    search = found.search
    basins = tuple(
        BasinRow(b.value, b.share, b.extent, dict(zip(found.names, map(float, b.theta), strict=True)))
        for b in search.basins
    )
    informed = known.informativeness(np.eye(len(found.names)))
    return FitRecord(
        fit.name, model.name, fit.doc, fit.base or "baseline", found.method, found.search.starts, int(found.record["seed"]),
        found.problem.seeds, found.value, found.inference.df if found.inference.df > 0 else 0, found.inference.p_value,
        found.gradient, known.rank, basins, tuple(map(float, known.singular_values)),
        {n: float(w) for n, w, x in zip(found.names, weakest, known.held) if not x},
        {n: dict(zip(known.moments, map(float, shifts[i]))) for i, n in enumerate(found.names) if not held[i]},
        parameters_of(model, found), rows_of(model, targets, fit, found), targets.hash,
        search.failed, search.elsewhere, search.unsettled,
        {n: {t: float(x[i]) for t, x in informed.items()} for i, n in enumerate(found.names) if not held[i]}, intervals,
    )  # fmt: skip


def run_fit(model: Model, name: str, *, starts: int | None = None, seeds: int = 1) -> FitRecord:
    """Estimate one fit of a model."""
    targets = targets_of(model)
    fit = targets.fits[name]
    problem = moment_problem(model, targets, name, seeds=seeds)
    if by_agents(problem, fit.method):
        return run_agents(model, targets, fit, problem, starts or STARTS["agents"])
    cost = cost_of(model, problem)
    found = estimate(problem, starts=starts or STARTS[cost], method=fit.method)  # pyright: ignore
    known = identify(problem, found.theta, found.weight)
    return record_of(model, targets, fit, found, known, intervals_of(found) if cost in WITHIN else {})


def intervals_of(found: Estimate) -> dict[str, tuple[float, float]]:
    """Intervals of 95 % by the profile likelihood; none where the estimate is no minimum, as at a jump of the model."""
    if not found.converged:
        return {}
    made = profile(found.problem, theta=found.theta)
    if made.attrs["minimum"] < found.value - LEVEL * (1 + found.value):
        better = dict(zip(made.parameter.values, made.estimate.values))
        raise JaxeconError(
            f"the profiles found J = {made.attrs['minimum']} < {found.value} at {better}; take more starts"
        )
    return {str(n): (float(made.lower[i]), float(made.upper[i])) for i, n in enumerate(made.parameter.values)}


def run_agents(
    model: Model, targets: Targets, fit: FitSpec, problem: MomentProblem, starts: int, saved: Any = None
) -> FitRecord:
    """A fit of discrete agent moments: means of 200 runs, those of the fitted ones over runs that the search has not seen."""
    problem = dataclasses.replace(problem, map=dataclasses.replace(problem.map, draws=RUNS))
    found = simulated_estimate(problem, starts=starts, saved=saved)
    held = [bool(x) for x in found.at_bound]
    known = from_jacobian(problem, found.theta, found.jacobian, found.covariance, found.weight, TOLERANCE, held)
    record = record_of(model, targets, fit, found, known, {})
    fresh = dict(zip(fit.targets, map(float, found.moments), strict=True))
    rows = (dataclasses.replace(m, model=fresh.get(m.target, m.model)) for m in record.moments)
    return dataclasses.replace(record, moments=tuple(rows))


def run_set(model: Model, name: str, fit: str, *, seeds: int = 200, slopes: int = 8) -> FitRecord:
    """A named set that was found by a search over more parameters than there are moments, against the targets of a fit.

    Moments are means of `seeds` runs; identification is that of the smooth variant, `slopes` runs, over the prior box.
    """
    targets = targets_of(model)
    spec = targets.fits[fit]
    chosen, values = targets.of(spec), load_set(model, name)
    fields = {n: f for n, f in fields_of(model.Params).items() if n in values.params and f.kind == "real"}
    ranges = np.array([f.box or f.bounds for f in fields.values()], float)
    theta = np.array([values.params[n] for n in fields], float)
    readings = tuple(Reading(t.moment, group_of(model, t.moment), t.place, t.compare, t.against) for t in chosen)
    observed = np.array([t.value for t in chosen])
    problem = MomentProblem(
        MomentMap(model, tuple(fields), readings, seeds), model.params(), model.policy(), *ranges.T, chosen, observed,
        targets.covariance(spec.targets),
    )  # fmt: skip
    few = dataclasses.replace(problem, map=dataclasses.replace(problem.map, draws=slopes))
    before, at = problem.rows(np.stack([problem.given, theta]), smooth=False)[0]
    jacobian = few.slopes(theta[None])[1][0]
    root = np.linalg.cholesky(np.linalg.inv(problem.covariance)).T
    _, singular, right = np.linalg.svd(root @ jacobian * np.diff(ranges).T)
    rank = int(np.sum(singular > 1e-8 * singular[0]))
    error = root @ (at - observed)
    weakest = right[-1] * np.sign(right[-1][np.argmax(np.abs(right[-1]))])
    rows = tuple(
        MomentRow(t.name, t.moment, t.unit, t.value, t.standard_error, float(a), float(b), "fit", t.grade, t.source, t.year or 0,
                  t.judgment, t.note)
        for t, a, b in zip(chosen, before, at, strict=True)
    )  # fmt: skip
    nan, value = math.nan, float(error @ error)
    parameters = tuple(
        FreeParameter(n, f.unit, float(lo), float(hi), float(g), float(x), nan, "lo" if x <= lo else "hi" if x >= hi else "")
        for (n, f), (lo, hi), g, x in zip(fields.items(), ranges, problem.given, theta, strict=True)
    )  # fmt: skip
    return FitRecord(
        name, model.name, values.doc, "baseline", "smm", 1, 0, seeds, value, 0, nan, nan, rank,
        (BasinRow(value, 1.0, 0.0, dict(zip(fields, map(float, theta), strict=True))),),
        (*map(float, singular), *(0.0,) * (len(theta) - len(singular))),
        {n: float(w) for n, w in zip(fields, weakest)}, {}, parameters, rows, targets.hash,
    )  # fmt: skip


def cost_of(model: Model, problem: MomentProblem) -> str:
    """What a point of the problem costs: the most expensive of its moments, and of the model's claims on its equilibrium."""
    costs = ["path" if model.many else "equilibrium"]
    costs += [model.moments[g].cost for t in problem.targets if (g := group_of(model, t.moment))]
    return max(costs, key=COSTS.index)


def claims_under(model: Model, sets: Sequence[str] = SETS, ids: Sequence[str] | None = None) -> list[ClaimRow]:
    """Margins of the claims of a model at each of its named sets; the baseline stands for a set that it does not have. `ids`: which;
    default: all that are not too dear."""
    names = [n for n in sets if n in set_names(model)]
    points = {"baseline": model.params()} | {n: model.parameter_set(n) for n in names}
    if "paper" in points:
        del points["baseline"]
    chosen = ids or [c.id for c in model.claims if c.id not in left_out(model)]
    margins: dict[str, dict[str, float]] = {}
    about = {}
    for label, p in points.items():
        for claim in claims(model, chosen, draws=1, params=p, boundary=False):
            for c in (claim, *claim.parts):
                margins.setdefault(c.id, {})[label] = c.margin
                about[c.id] = (c.expectation, c.statement)
    return [ClaimRow(i, *about[i], found) for i, found in margins.items()]


def left_out(model: Model) -> dict[str, str]:
    """Claims that are too dear to be checked at every set, and why."""
    return {c.id: LEFT_OUT[c.cost] for c in model.claims if c.cost not in WITHIN}


def claims_added(model: Model, ids: Sequence[str]) -> str:
    """The TOML of the stored claims and those of `ids`, in the model's order."""
    order = [c.id for parent in model.claims for c in (parent, *parent.parts)]
    rows = {row.id: row for row in [*read_claims(model), *claims_under(model, ids=ids)]}
    left = {k: v for k, v in left_out(model).items() if k not in rows}
    return claims_to_toml([rows[k] for k in order if k in rows], left)


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
    parser.add_argument("--fit", action="append", metavar="NAME", help="one fit; repeatable; default: all")
    parser.add_argument("--claims", action="store_true", help="claims under the sets instead of fits")
    parser.add_argument(
        "--claim", action="append", metavar="ID", help="a claim that is too dear for --claims; repeatable"
    )
    parser.add_argument("--context", action="store_true", help="evidence that no moment measures instead of fits")
    parser.add_argument("--set", metavar="NAME", help="a set that was found elsewhere, against the targets of --fit")
    parser.add_argument("--starts", type=int)
    args = parser.parse_args(arguments)
    use_compilation_cache(False)
    for name in args.models or list(models()):
        model = load(name)
        if args.claims:
            written = [store(model, "claims", claims_to_toml(claims_under(model), left_out(model)))]
        elif args.claim:
            written = [store(model, "claims", claims_added(model, args.claim))]
        elif args.context:
            written = [store(model, "context", context_to_toml(targets_of(model).context.values()))]
        elif args.set:
            written = [store(model, args.set, fit_to_toml(run_set(model, args.set, *args.fit)))]
        else:
            fits = targets_of(model).fits
            chosen = args.fit or list(fits)
            written = [store(model, n, fit_to_toml(run_fit(model, n, starts=args.starts))) for n in chosen]
        sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
