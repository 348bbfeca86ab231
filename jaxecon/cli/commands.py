"""One function per command: from parsed arguments to a `Result`."""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxecon.analysis.designs import box_of, name_problems
from jaxecon.analysis.simulate import find_layer
from jaxecon.cli import boundaries, catalog, policy, words
from jaxecon.cli.arguments import all_of, parse_axes, read_point, read_prior
from jaxecon.cli.datasets import result_of
from jaxecon.cli.options import names as names_of
from jaxecon.cli.output import Result, Table, progress_bar
from jaxecon.core.discovery import load, models
from jaxecon.core.errors import InputError
from jaxecon.core.fields import fields_of


def precision(args: argparse.Namespace) -> str:
    return "float32" if args.x32 else "float64"


def check(args: argparse.Namespace) -> None:
    """Refuse names and values that can be judged without computing, all wrong ones at once."""
    named = [args.model] if hasattr(args, "model") else getattr(args, "models", [])
    found = all_of(*(lambda name=name: load(name) for name in named))
    if len(found) != 1:
        return
    (m,) = found
    steps: list[Callable[[], Any]] = []
    if hasattr(args, "values"):
        steps.append(lambda: read_point(m, args))
    if hasattr(args, "axes"):
        steps.append(lambda: parse_axes(m, args.axes, getattr(args, "design", "grid")))
    if hasattr(args, "prior"):
        steps.append(lambda: _refuse(box_of(m, None, read_prior(args.prior))[1]))
    layer = getattr(args, "layer", "equilibrium")
    if layer != "equilibrium" or args.command == "simulate":
        steps.append(lambda: find_layer(m, layer))
    claims = [c.id for parent in m.claims for c in (parent, *parent.parts)]
    outcomes = [args.objective] if getattr(args, "objective", None) else getattr(args, "outcome", None) or []
    outcomes = outcomes if layer == "equilibrium" else []  # those of a layer are its series
    for names, known, what in (
        (names_of(getattr(args, "instruments", "")), fields_of(m.Policy), "instrument"),
        (outcomes, fields_of(m.Outcomes), "outcome"),
        (getattr(args, "ids", None) or [], claims, "claim"),
    ):
        steps.append(
            lambda names=names, known=known, what=what: _refuse(name_problems(names, known, f"{what} of {m.name}"))
        )
    all_of(*steps, *words.checks(m, args))


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise InputError(problems, "the input")


def solve(args: argparse.Namespace) -> Result:
    """`jaxecon solve MODEL`; exit code 1 if the point has no certified solution."""
    from jaxecon.analysis.solve import solve as run
    from jaxecon.core.results import settings

    m = load(args.model)
    p, u = read_point(m, args)
    ds = run(m, p, u, precision=precision(args))
    code = int(ds.status)
    name, why = m.reason(code)
    kinds = (
        [str(b) for b, holds in zip(ds.branch.values, ds.branch_holds.values) if holds] if "branch" in ds.coords else []
    )
    fields = fields_of(m.Outcomes)
    payload = {
        "model": m.name, "params": settings(p), "policy": settings(u),
        "outcomes": {n: {"value": float(ds[n]), "unit": f.unit, "symbol": f.symbol} for n, f in fields.items()},
        "max_residual": float(ds.max_residual), "status": name, "status_code": code, "reason": why, "branches": kinds,
        "residuals": {str(n): float(v) for n, v in zip(ds.identity.values, ds.residual.values)} if "identity" in ds.coords else {},
        "provenance": {k: v for k, v in ds.attrs.items() if k not in ("params", "policy")},
    }  # fmt: skip
    rows = [[n, f.symbol, float(ds[n]), f.unit, f.doc] for n, f in fields.items()]
    notes = [
        f"{name}: {why}",
        f"largest residual {float(ds.max_residual):.1e}",
        f"branches: {', '.join(kinds) or 'none'}",
    ]
    records = [{"name": n, "symbol": f.symbol, "value": float(ds[n]), "unit": f.unit} for n, f in fields.items()]
    return Result(
        payload,
        [Table(m.title, ["outcome", "symbol", "value", "unit", "meaning"], rows)],
        records,
        notes,
        0 if code == 0 else 1,
    )


def simulate(args: argparse.Namespace) -> Result:
    """`jaxecon simulate MODEL --layer ...`."""
    from jaxecon.analysis.simulate import simulate as run

    m = load(args.model)
    p, u = read_point(m, args)
    kind, name, layer = find_layer(m, args.layer)
    agents = kind == "agents"
    if not agents and args.agents is not None:
        raise InputError([f"--agents applies to agent layers only, not to the dynamics layer {name!r}"], "the options")
    more: dict[str, Any] = {"n": args.agents, "periods": args.periods} if agents else {"steps": args.periods}
    if not agents and args.periods:  # keep the layer's own step
        more["horizon"] = layer.horizon * args.periods / layer.steps
    with progress_bar(f"simulate {m.name} {name}"):
        ds = run(
            m,
            name,
            params=p,
            policy=u,
            seeds=args.seeds,
            seed=args.seed,
            smooth=args.smooth,
            precision=precision(args),
            **more,
        )
    series = {
        str(n): {
            "unit": v.attrs.get("units"),
            "symbol": v.attrs.get("symbol"),
            "doc": v.attrs.get("doc"),
            "dims": [str(d) for d in v.dims],
            "values": v.values,
        }
        for n, v in ds.data_vars.items()
    }
    coords = {str(n): v.values for n, v in ds.coords.items()}
    payload = {
        "model": m.name,
        "layer": name,
        "kind": kind,
        "coords": coords,
        "series": series,
        "provenance": dict(ds.attrs),
    }
    flat = ds[[n for n, v in ds.data_vars.items() if set(v.dims) <= {"seed", "time"}]]
    mean = flat.mean("seed") if "seed" in flat.dims else flat
    time = next(iter(d for d in mean.dims if d != "seed"), None)
    count = mean.sizes[time] if time else 1
    shown = np.unique(np.linspace(0, count - 1, min(count, 9)).round().astype(int))
    columns = [str(time), *(f"{float(mean[time][k]):g}" for k in shown)] if time else ["series", "value"]
    rows = [
        [str(n), *np.atleast_1d(v.values)[shown if v.ndim else [0]].tolist()]
        for n, v in mean.data_vars.items()
        if v.ndim or not time
    ]
    title = f"{m.title}: {name}" + (f", mean of {args.seeds} seeds" if agents and args.seeds > 1 else "")
    records = flat.to_dataframe().reset_index().to_dict("records")
    return Result(payload, [Table(title, columns, rows)], records)  # pyright: ignore


# Cells of a sweep from which medians are of some, and axes told by their ends.
MOST_READ = 1_000_000


def sweep(args: argparse.Namespace) -> Result:
    """`jaxecon sweep MODEL name=lo:hi:n ... -o study.zarr`."""
    from jaxecon.analysis.sweep import sweep as run

    m = load(args.model)
    (p, u), axes = all_of(lambda: read_point(m, args), lambda: parse_axes(m, args.axes, args.design))
    store = args.output if args.output and args.output.endswith(".zarr") else None
    if args.resume and not store:
        raise InputError(["--resume needs the store to go on with: -o study.zarr"], "the options")
    with progress_bar(f"sweep {m.name}") as progress:
        ds = run(
            m, axes, design=args.design, points=args.points, params=p, policy=u, store=store,
            resume=args.resume, retry=not args.no_retry, seed=args.seed, progress=progress, precision=precision(args),
            outcomes=args.outcome, chunk=args.chunk,
        )  # fmt: skip
    failed = json.loads(ds.attrs["failed"])
    few = ds.attrs["cells"] <= MOST_READ
    axes_of = {str(n): v.values for n, v in ds.coords.items()} if few else json.loads(ds.attrs["axes"])
    units = {n: f.unit for n, f in fields_of(m.Outcomes).items() if n in ds}
    summary: dict[str, Any] = {
        "model": m.name, "design": args.design, "axes": axes_of, "cells": ds.attrs["cells"],
        "solved": ds.attrs["solved"], "failed": failed, "retried": ds.attrs["retried"], "rescued": ds.attrs["rescued"], "max_residual": ds.attrs["largest_residual"], "provenance": dict(ds.attrs),
    }  # fmt: skip
    if store:
        payload = {**summary, "store": store}
    else:
        payload = {
            **summary,
            "dims": [str(d) for d in ds.status.dims],
            "outcomes": {n: ds[n].values for n in units},
            "status": ds.status.values,
        }
    rows, read = [], _some_values(ds, list(units))
    for n, unit in units.items():
        least, largest = ds[n].attrs.get("actual_range", (math.nan, math.nan))
        v = read[n][np.isfinite(read[n])]
        rows.append([n, unit, least, float(np.median(v)) if v.size else math.nan, largest])
    notes = [
        f"{summary['solved']} of {summary['cells']} cells solved, largest residual of the solved {summary['max_residual']:.1e}"
    ]
    if ds.attrs["retried"]:
        notes.append(
            f"{ds.attrs['rescued']} of {ds.attrs['retried']} cells whose solver failed were rescued on a second try"
        )
    looked_at = next((v.size for v in read.values()), 0)
    if looked_at < summary["cells"]:
        notes.append(f"medians are of {looked_at} cells, in whole chunks")
    notes += [
        f"{count} cells {name}: {dict(m.reasons.values()).get(name, 'see jaxecon show')}"
        for name, count in failed.items()
    ]
    records = ds.to_dataframe().reset_index().to_dict("records") if args.output and args.output.endswith(".csv") else []
    table = Table(f"{m.title}: {summary['cells']} cells", ["outcome", "unit", "least", "median", "largest"], rows)
    return Result(payload, [table], records, notes, written=[store] if store else [], dataset=ds)  # pyright: ignore


def _some_values(ds: Any, names: list[str]) -> dict[str, np.ndarray]:
    """Values of outcomes at all cells, or at about `MOST_READ`; of a store whole chunks, each read once."""
    if ds.status.ndim > 1:
        return {n: ds[n].values for n in names}
    (dim,), size = ds.status.dims, ds.attrs["chunk"]
    count = -(-ds.status.size // size)
    wanted = min(max(MOST_READ // size, 1), count)
    places = ((np.arange(wanted) + 0.5) * count / wanted).astype(int)
    parts = [ds[names].isel({dim: slice(k * size, (k + 1) * size)}).load() for k in places.tolist()]
    return {n: np.concatenate([part[n].values for part in parts]) for n in names}


def optimize(args: argparse.Namespace) -> Result:
    """`jaxecon optimize MODEL --instruments a,b`; exit code 1 if the first-order conditions do not hold."""
    from jaxecon.analysis.optimize import OptimumStatus
    from jaxecon.analysis.optimize import optimize as run

    m = load(args.model)
    p, u = read_point(m, args)
    with progress_bar(f"optimize {m.name}"):
        best = run(
            m, names_of(args.instruments), objective=args.objective, params=p, policy=u, method=args.method, starts=args.starts,
            steps=args.steps, seed=args.seed, precision=precision(args),
        )  # fmt: skip
    units = fields_of(m.Policy)
    payload = {
        "model": m.name, "objective": best.objective, "value": best.value, "reference": best.reference, "gain": best.value - best.reference,
        "instruments": best.values, "bounds": best.bounds, "at_bounds": best.at_bounds, "kkt_residual": best.kkt_residual,
        "status": best.status.name, "reason": best.status.value, "agreement": best.agreement,
        "outcomes": best.outcomes, "starts": best.starts, "ends": best.ends, "end_values": best.end_values, "provenance": best.record,
    }  # fmt: skip
    rows = [[n, v, units[n].unit, list(best.bounds[n]), best.at_bounds.get(n, "")] for n, v in best.values.items()]
    unit = fields_of(m.Outcomes)[best.objective].unit
    notes = [
        f"{best.objective} {best.value:.6g} {unit}; before {best.reference:.6g}; gain {best.value - best.reference:+.3g}",
        f"{best.status.name}: {best.status.value}",
        f"KKT residual {best.kkt_residual:.1e}; {best.agreement:.0%} of {len(best.starts)} starts agree",
    ]
    records = [
        {"instrument": n, "value": v, "unit": units[n].unit, "lo": best.bounds[n][0], "hi": best.bounds[n][1]}
        for n, v in best.values.items()
    ]
    ok = best.status in (OptimumStatus.OPTIMAL, OptimumStatus.AT_BOUND, OptimumStatus.AT_CLIFF)
    return Result(
        payload,
        [Table(f"{m.title}: best policy", ["instrument", "value", "unit", "bounds", "at bound"], rows)],
        records,
        notes,
        0 if ok else 1,
    )


def sensitivity(args: argparse.Namespace) -> Result:
    """`jaxecon sensitivity MODEL --method ...`."""
    from jaxecon.analysis.sensitivity import sensitivity as run

    m = load(args.model)
    (p, u), prior = all_of(lambda: read_point(m, args), lambda: read_prior(args.prior))
    with progress_bar(f"{args.method} {m.name}") as progress:
        ds = run(
            m, args.method, samples=args.samples, outcomes=args.outcome, params=p, policy=u, prior=prior,
            second_order=args.second_order, correlation=words.correlation(m, args), tolerance=args.tolerance, seed=args.seed,
            group=args.group, layer=args.layer, at=args.at, store=args.store, resume=args.resume, progress=progress,
            precision=precision(args),
        )  # fmt: skip
    if args.at == "path":
        return _over_time(m, ds)
    measures = [n for n, v in ds.data_vars.items() if v.dims == ("outcome", "parameter")]
    outcomes, parameters = ([str(x) for x in ds[d].values] for d in ("outcome", "parameter"))
    extra = {str(n): {"dims": list(v.dims), "values": v.values} for n, v in ds.data_vars.items() if n not in measures}
    payload = {
        "model": m.name, "method": args.method, "outcomes": outcomes, "parameters": parameters,
        "measures": {str(n): {o: dict(zip(parameters, ds[n].sel(outcome=o).values.tolist())) for o in outcomes} for n in measures},
        "other": extra, "provenance": dict(ds.attrs),
    }  # fmt: skip
    goal = m.objective if m.objective in outcomes else outcomes[0]
    lead = next(n for n in ("total", "shapley", "mu_star", "nu", "activity", "elasticity") if n in measures)
    one = ds.sel(outcome=goal)
    order = np.argsort(-np.abs(np.nan_to_num(one[lead].values)))
    rows = [[parameters[k], *(float(one[n].values[k]) for n in measures)] for k in order]
    records = [{"outcome": o, "parameter": q, **{str(n): float(ds[n].values[i, k]) for n in measures}}
               for i, o in enumerate(outcomes) for k, q in enumerate(parameters)]  # fmt: skip
    table = Table(f"{m.title}: {args.method} for {goal}", ["parameter", *map(str, measures)], rows)
    notes = [str(ds.attrs["verdict"])] if "verdict" in ds.attrs else []
    return Result(payload, [table], records, notes, dataset=ds[measures])


def _over_time(m: Any, ds: Any) -> Result:
    """Sensitivities of series by date; the table shows the first series, the data hold all."""
    measures = [n for n, v in ds.data_vars.items() if v.dims == ("outcome", "time", "parameter")]
    lead = "total" if "total" in measures else measures[0]
    one = ds[[lead]].isel(outcome=0, drop=True)
    title = f"{ds.attrs['method']} over time"
    notes = [f"{lead} of {ds.outcome.values[0]}; the data hold every series and measure"]
    notes += [str(ds.attrs["verdict"])] if "verdict" in ds.attrs else []
    return result_of(
        m, title, ds, ["outcome", "time", "parameter"], notes, shown=one.drop_vars(["lo", "hi"], errors="ignore")
    )


def claims(args: argparse.Namespace) -> Result:
    """`jaxecon claims [MODEL]`."""
    from jaxecon.analysis.claims import claims as run

    chosen = [load(name) for name in args.models] or list(models().values())
    if len(chosen) > 1 and (args.values or args.regime or args.parameter_set or args.ids or args.prior):
        raise InputError(["-p, --regime, --set, --id and --prior belong to one model; name it"], "the options")
    prior, *points = all_of(lambda: read_prior(args.prior), *(lambda m=m: read_point(m, args) for m in chosen))
    payload, rows, records = [], [], []
    for m, (p, u) in zip(chosen, points):
        with progress_bar(f"claims {m.name}") as progress:
            found = run(m, args.ids, draws=args.draws, seed=args.seed, params=p, policy=u, prior=prior, progress=progress,
                        boundary=False, precision=precision(args))  # fmt: skip
        for claim in found:
            payload.append({"model": m.name, **claim.to_dict()})
            for c in (claim, *claim.parts):
                verdict = {True: "holds", False: "fails", None: "-"}[c.holds]
                rows.append([c.id, c.grade, c.expectation, c.margin, verdict, c.share, c.draws, c.statement])
                records.append({"model": m.name, "id": c.id, "statement": c.statement, "grade": c.grade, "expectation": c.expectation,
                                "margin": c.margin, "holds": c.holds, "share": c.share, "draws": c.draws})  # fmt: skip
    columns = ["id", "grade", "expectation", "margin", "baseline", "share of box", "draws", "statement"]
    notes = sorted({f"{c['id']}: {message}" for c in payload for message in c["messages"]})
    for c in payload:
        leading = " and ".join(f"{name} ({part:.0%})" for name, part in list(c["influence"].items())[:2] if part)
        if leading and c["share"] is not None and 0 < c["share"] < 1:
            notes.append(f"{c['id']} holds on {c['share']:.1%} of the box; its margin depends most on {leading}")
    return Result(payload, [Table("Claims", columns, rows)], records, notes)


def report(args: argparse.Namespace) -> Result:
    """`jaxecon report [MODEL ...]`."""
    from jaxecon.report import write_report

    chosen = [load(name) for name in args.models] or list(models().values())
    with progress_bar("report") as progress:
        path = write_report(chosen, args.output or "report.html", draws=args.draws, samples=args.samples, seed=args.seed,
                            quick=args.quick, full=args.full, progress=progress)  # fmt: skip
    folder = path.with_name(path.stem + "_data")
    payload = {"report": str(path), "data": str(folder), "models": [m.name for m in chosen]}
    return Result(
        payload, [], [payload], written=list(dict.fromkeys([args.output or str(path), str(path), str(folder)]))
    )


COMMANDS: dict[str, Callable[[argparse.Namespace], Result]] = {
    "models": catalog.list_models,
    "show": catalog.show,
    "sets": catalog.sets,
    "solve": solve,
    "simulate": simulate,
    "sweep": sweep,
    "optimize": optimize,
    "sensitivity": sensitivity,
    "claims": claims,
    "report": report,
    **policy.COMMANDS,
    **boundaries.COMMANDS,
}

__all__: Sequence[str] = ["COMMANDS"]
