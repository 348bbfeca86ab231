"""Commands on boundaries, equilibria and scenarios, and the export of a model's inputs."""

import argparse
from collections.abc import Callable

import numpy as np

from jaxecon.cli import words
from jaxecon.cli.arguments import parse_axes, read_point, read_prior
from jaxecon.cli.datasets import result_of
from jaxecon.cli.output import Result, Table, progress_bar
from jaxecon.core.discovery import load


def threshold(args: argparse.Namespace) -> Result:
    """`jaxecon threshold MODEL --of outcome --level x --along name`; exit code 1 if the condition keeps its sign."""
    from jaxecon.analysis.thresholds import threshold as run

    m = load(args.model)
    p, u = read_point(m, args)
    (along,) = words.inputs("along")(m, args) or [""]
    with progress_bar(f"threshold {m.name}"):
        ds = run(words.condition_of(m, args), along, params=p, policy=u, prior=read_prior(args.prior), scan=args.scan)
    count, (lo, hi) = ds.sizes["root"], (ds.attrs["lo"], ds.attrs["hi"])
    notes = [f"{count} changes of sign of {ds.attrs['condition']} along {along} in [{lo:g}, {hi:g}]"]
    return result_of(m, "threshold", ds, ["root"], notes, int(count == 0), shown=ds.transpose("root", "other"))


def curve(args: argparse.Namespace) -> Result:
    """`jaxecon curve MODEL --of outcome --level x --x name --y name`; exit code 1 if there is no boundary."""
    from jaxecon.analysis.thresholds import threshold_curve

    m = load(args.model)
    p, u = read_point(m, args)
    with progress_bar(f"curve {m.name}"):
        ds = threshold_curve(
            words.condition_of(m, args),
            args.x,
            args.y,
            params=p,
            policy=u,
            prior=read_prior(args.prior),
            grid=args.grid,
        )
    count = len(np.unique(ds.curve.values))
    notes = [f"{count} curves, {ds.sizes['point']} points; ends: {ds.attrs['ends']}"]
    return result_of(m, "boundary", ds, ["point"], notes, int(count == 0))


def distance(args: argparse.Namespace) -> Result:
    """`jaxecon distance MODEL --of outcome --level x`; exit code 1 without a certified point."""
    from jaxecon.analysis.nearest import VERDICTS, distance_to_threshold

    m = load(args.model)
    p, u = read_point(m, args)
    with progress_bar(f"distance {m.name}"):
        ds = distance_to_threshold(
            words.condition_of(m, args), names=words.inputs("moving")(m, args), params=p, policy=u,
            prior=read_prior(args.prior), samples=args.samples, starts=args.starts, seed=args.seed,
        )  # fmt: skip
    verdict = str(ds.attrs["verdict"])
    notes = [f"{verdict}: {VERDICTS[verdict]}"]
    return result_of(m, "distance to the boundary", ds, ["parameter"], notes, int(verdict != "FOUND"))


def multiplicity(args: argparse.Namespace) -> Result:
    """`jaxecon multiplicity MODEL name=lo:hi:n`."""
    from jaxecon.analysis.multiplicity import multiplicity as run

    m = load(args.model)
    p, u = read_point(m, args)
    axes = parse_axes(m, args.axes, "grid")
    with progress_bar(f"multiplicity {m.name}") as progress:
        ds = run(
            m, axes, params=p, policy=u, starts=args.starts, roots=args.roots, apart=args.apart, seed=args.seed,
            progress=progress,
        )  # fmt: skip
    title = "equilibria that the starts reach" if m.system is None else m.system.doc
    notes = [title, f"cells by number of equilibria: {ds.attrs['by_count']}"]
    if ds.attrs["full"]:
        notes.append(f"{ds.attrs['full']} cells hold as many as they can; there may be more")
    shown = ds[["count", "reached" if m.system is None else "stable"]]
    return result_of(m, title, ds, [*axes, "root"], notes, shown=shown)


def discover(args: argparse.Namespace) -> Result:
    """`jaxecon discover MODEL study.zarr --target 'welfare < 0'`; exit code 1 if no box reaches the density."""
    from jaxecon.analysis.scenarios import discover as run
    from jaxecon.analysis.sweep import open_sweep

    m = load(args.model)
    with progress_bar(f"discover {m.name}"):
        found = run(
            open_sweep(m, args.store), words.target(m, args), method=args.method, density=args.density, boxes=args.boxes,
            mass_min=args.mass, model=m,
        )  # fmt: skip
    rows = found.table()
    columns = ["box", "input", "lower", "upper", "allowed", "units", "coverage", "density", "mass"]
    notes = [
        f"{found.of_interest} of {found.used} used cells are of interest; {len(found.boxes)} boxes hold {found.coverage:.1%} of them"
    ]
    notes += [f"{count} cells left out: {why}" for why, count in found.left_out.items()]
    payload = {"model": m.name, "restrictions": rows, "coverage": found.coverage, "cells": found.cells, "used": found.used,
               "of_interest": found.of_interest, "left_out": found.left_out, "provenance": found.record}  # fmt: skip
    table = Table(f"{m.title}: boxes of interest", columns, [[row[c] for c in columns] for row in rows])
    return Result(payload, [table], rows, notes, int(not found.boxes))


def export(args: argparse.Namespace) -> Result:
    """`jaxecon export MODEL`: the problem dictionary of SALib."""
    from jaxecon.analysis.export import salib_problem

    m = load(args.model)
    problem = salib_problem(m, prior=read_prior(args.prior))
    rows = [[n, lo, hi] for n, (lo, hi) in zip(problem["names"], problem["bounds"], strict=True)]
    records = [{"name": n, "lo": lo, "hi": hi} for n, lo, hi in rows]
    return Result(problem, [Table(f"{m.title}: inputs for SALib", ["name", "lo", "hi"], rows)], records)


COMMANDS: dict[str, Callable[[argparse.Namespace], Result]] = {
    "threshold": threshold,
    "curve": curve,
    "distance": distance,
    "multiplicity": multiplicity,
    "discover": discover,
    "export": export,
}
