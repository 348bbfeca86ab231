"""Commands that describe what there is, without computing: models, show, sets."""

import argparse
import json
from typing import Any

from jaxecon.cli.output import Result, Table
from jaxecon.core.discovery import load, models
from jaxecon.core.errors import InputError
from jaxecon.core.fields import GRADES, Field, fields_of
from jaxecon.core.inputs import diff_sets, load_set, set_names
from jaxecon.core.model import EXPECTATIONS


def list_models(args: argparse.Namespace) -> Result:
    """`jaxecon models`."""
    payload = [
        {
            "name": m.name,
            "title": m.title,
            "paper": m.paper,
            "layers": list(m.layers),
            "counts": {
                "params": len(fields_of(m.Params)),
                "instruments": len(fields_of(m.Policy)),
                "outcomes": len(fields_of(m.Outcomes)),
                "claims": len(m.claims),
            },
        }
        for m in models().values()
    ]
    rows = [[r["name"], r["title"], r["layers"], *r["counts"].values()] for r in payload]
    columns = ["model", "title", "layers", "params", "instruments", "outcomes", "claims"]
    records = [
        {**{k: r[k] for k in ("name", "title", "paper")}, "layers": " ".join(r["layers"]), **r["counts"]}
        for r in payload
    ]
    return Result(payload, [Table("Models", columns, rows)], records)


def _describe(f: Field) -> dict[str, Any]:
    return {
        "name": f.name, "symbol": f.symbol, "unit": f.unit, "bounds": list(f.bounds), "box": list(f.box) if f.box else None,
        "default": f.default, "grade": f.grade, "source": f.source, "doc": f.doc, "kind": f.kind, "choices": list(f.choices),
        "layer": f.layer,
    }  # fmt: skip


def show(args: argparse.Namespace) -> Result:
    """`jaxecon show MODEL`."""
    m = load(args.model)
    groups = {"params": m.Params, "instruments": m.Policy, "outcomes": m.Outcomes}
    described = {k: [_describe(f) for f in fields_of(c).values()] for k, c in groups.items()}
    claims = [
        {"id": c.id, "statement": c.statement, "grade": c.grade, "expectation": c.expectation, "cost": c.cost,
         "max_draws": c.max_draws, "note": c.note, "parts": [p.id for p in c.parts]}
        for c in m.claims
    ]  # fmt: skip
    layers = {n: x.doc for n, x in {**m.dynamics, **m.agents}.items()}
    payload = {
        "name": m.name, "title": m.title, "paper": m.paper, "layers": list(m.layers), "layer_names": layers, **described,
        "claims": claims, "regimes": {k: dict(v) for k, v in m.regimes.items()}, "sets": set_names(m),
        "reasons": {name: why for name, why in m.reasons.values()}, "grades": GRADES, "expectations": EXPECTATIONS,
    }  # fmt: skip
    tables = []
    for kind, fields in described.items():
        if kind == "outcomes":
            columns = ["name", "symbol", "unit", "meaning"]
            rows = [[f["name"], f["symbol"], f["unit"], f["doc"]] for f in fields]
        else:
            columns = ["name", "default", "bounds", "unit", "grade", "meaning", "source"]
            rows = [
                [f["name"], f["default"], f["choices"] or f["bounds"], f["unit"], f["grade"], f["doc"], f["source"]]
                for f in fields
            ]
        tables.append(Table(f"{m.title}: {kind}", columns, rows))
    tables.append(
        Table(
            "Claims",
            ["id", "grade", "expectation", "statement"],
            [[c["id"], c["grade"], c["expectation"], c["statement"]] for c in claims],
        )
    )
    tables.append(
        Table(
            "Regimes",
            ["name", "instruments"],
            [[k, ", ".join(f"{n}={x:g}" for n, x in v.items()) or "neutral"] for k, v in m.regimes.items()],
        )
    )
    records = [
        {"role": k, **{n: x if not isinstance(x, list) else json.dumps(x) for n, x in f.items()}}
        for k, fields in described.items()
        for f in fields
    ]
    return Result(payload, tables, records, notes=[f"sets: {', '.join(set_names(m)) or 'none'}"])


def sets(args: argparse.Namespace) -> Result:
    """`jaxecon sets MODEL [A B]`."""
    m = load(args.model)
    if not args.names:
        found = [load_set(m, name) for name in set_names(m)]
        payload = [
            {"name": s.name, "doc": s.doc, "source": s.source, "params": s.params, "policy": s.policy} for s in found
        ]
        rows = [
            [s.name, s.doc, s.source, ", ".join(f"{k}={v}" for k, v in {**s.params, **s.policy}.items())] for s in found
        ]
        return Result(payload, [Table(f"Parameter sets of {m.name}", ["name", "meaning", "source", "values"], rows)],
                      [{"name": s.name, "doc": s.doc, "source": s.source} for s in found])  # fmt: skip
    if len(args.names) != 2:
        raise InputError(
            [f"{len(args.names)} set(s) given; name two sets to compare, or none to list them"], "the sets"
        )
    rows = diff_sets(m, *(load_set(m, name) for name in args.names))
    columns = ["name", "unit", "default", *args.names]
    table = Table(
        "Where the sets differ", columns, [[r["name"], r["unit"], r["default"], r["first"], r["second"]] for r in rows]
    )
    return Result({"model": m.name, "sets": args.names, "differences": rows}, [table], rows)
