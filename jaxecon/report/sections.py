"""One function per section of the report: from a `ModelStudy` to HTML."""

import json

import numpy as np

from jaxecon import plots
from jaxecon.core.fields import GRADES, fields_of
from jaxecon.core.model import EXPECTATIONS
from jaxecon.report.fits import calibration
from jaxecon.report.page import folded, heading, paragraph, picture, table
from jaxecon.report.study import ModelStudy, finite_range, set_table


def _words(name: str) -> str:
    return name.replace("_", " ")


def _s(names: list[str]) -> str:
    """The ending of the verb of one subject."""
    return "s" if len(names) == 1 else ""


def summary(s: ModelStudy) -> str:
    """What was found, in plain words, from the numbers alone."""
    m = s.model
    unit = fields_of(m.Outcomes)[m.objective].unit
    sentences = []
    if s.optimum is not None:
        o = s.optimum
        gain = o.value - o.reference
        share = 100 * gain / abs(o.reference) if o.reference else float("nan")
        moved = [n for n in o.values if abs(o.values[n] - fields_of(m.Policy)[n].default) > 1e-6]
        tools = ", ".join(f"{_words(n)} {o.values[n]:.3g}" for n in moved) or "no instrument"
        sentences.append(
            f"Without intervention, {_words(m.objective)} is {o.reference:.4g} {unit}; the best policy found uses {tools} and raises it by "
            f"{gain:.3g} ({share:.2g} %). First-order conditions hold to {o.kkt_residual:.0e}, and {o.agreement:.0%} of {len(o.starts)} starts agree."
        )
    if s.sobol is not None:
        total = s.sobol.total.sel(outcome=m.objective)
        order = np.argsort(-np.nan_to_num(total.values))[:3]
        names = ", ".join(f"{total.parameter.values[k]} ({total.values[k]:.0%})" for k in order)
        sentences.append(f"Over the plausible range of all parameters, {_words(m.objective)} depends most on {names}.")
    judged = [c for c in s.claims if c.holds is not None]
    if judged:
        holding = sum(bool(c.holds) for c in judged)
        words = f"Of {len(judged)} claims checked here, {holding} hold{'s' * (holding == 1)} at the baseline"
        partial = [c.id for c in judged if c.holds and c.share is not None and c.share < 0.99]
        failing = [c.id for c in judged if not c.holds]
        words += f"; {', '.join(partial)} hold{_s(partial)} in part of the box only" if partial else ""
        words += f"; {', '.join(failing)} fail{_s(failing)}" if failing else ""
        sentences.append(words + ".")
    if s.box is not None:
        worst = float(np.nanmax(np.where(s.box.status == 0, s.box.max_residual, np.nan)))
        sentences.append(
            f"{s.box.attrs['solved']} of {s.box.attrs['cells']} parameter draws were solved, with residuals of at most {worst:.0e}."
        )
    return "".join(paragraph(x) for x in sentences)


def certificate(s: ModelStudy) -> str:
    if s.box is None:
        return ""
    failed = json.loads(s.box.attrs["failed"])
    reasons = dict(s.model.reasons.values())
    rows = [[name, count, reasons.get(name, "see the documentation of status codes")] for name, count in failed.items()]
    worst = float(np.nanmax(np.where(s.box.status == 0, s.box.max_residual, np.nan)))
    out = paragraph(
        f"Quasi-random draws of the prior box: {s.box.attrs['cells']}; solved: {s.box.attrs['solved']}; largest residual of identities that the "
        f"solver does not use, among the solved: {worst:.1e}. A point that fails is left out with its reason, never replaced."
    )
    return out + (table(["reason", "draws", "meaning"], rows) if rows else "")


def outcomes(s: ModelStudy) -> str:
    if s.policies is None:
        return ""
    base = s.policies.isel(point=0)
    rows = []
    for n, f in fields_of(s.model.Outcomes).items():
        spread = finite_range(s.box[n].values) if s.box is not None else (float("nan"),) * 3
        rows.append([_words(n), f.symbol, float(base[n]), *spread, f.unit, f.doc])
    return table(["outcome", "symbol", "baseline", "least in box", "median", "largest", "unit", "meaning"], rows)


def policies(s: ModelStudy) -> str:
    out = ""
    m = s.model
    goal = fields_of(m.Outcomes)[m.objective]
    if s.policies is not None:
        names = s.headline
        regimes = [str(r) for r in s.policies.regime.values]
        rows = [[_words(r), *(float(s.policies[n].values[k]) for n in names)] for k, r in enumerate(regimes)]
        values = {r: float(s.policies[m.objective].values[k]) for k, r in enumerate(regimes)}
        if s.optimum is not None:
            rows.append(["best policy found", *(s.optimum.outcomes[n] for n in names)])
            values["best policy found"] = s.optimum.value
        out += table(["regime", *(f"{_words(n)} ({fields_of(m.Outcomes)[n].unit})" for n in names)], rows)
        if len(values) > 1:
            out += picture(
                plots.comparison_bars(values, goal.label, reference=regimes[0]),
                f"{goal.label} by policy, difference from {_words(regimes[0])}",
            )
    if s.optimum is not None:
        o, fields = s.optimum, fields_of(m.Policy)
        out += table(
            ["instrument", "best value", "allowed", "unit", "at a bound", "meaning"],
            [
                [_words(n), v, list(o.bounds[n]), fields[n].unit, o.at_bounds.get(n, ""), fields[n].doc]
                for n, v in o.values.items()
            ],
        )
        out += paragraph(
            f"{o.status.name}: {o.status.value}. KKT residual {o.kkt_residual:.1e}; {o.agreement:.0%} of {len(o.starts)} starts reach this value.",
            "note",
        )
    return out


def sensitivities(s: ModelStudy) -> str:
    goal = s.model.objective
    out = ""
    if s.sobol is not None:
        out += picture(
            plots.sobol_bars(s.sobol, goal),
            f"Variance shares of {_words(goal)} over the prior box, with 95 % intervals",
        )
    if s.response is not None:
        name = str(s.response.status.dims[0])
        out += picture(
            plots.sweep_lines(s.response, s.headline[:2]), f"Response to {name}, the parameter that matters most"
        )
    if s.elasticities is not None:
        out += picture(
            plots.elasticity_bars(s.elasticities, goal), f"Exact elasticities of {_words(goal)} at the baseline"
        )
    return out


def paths(s: ModelStudy) -> str:
    out = ""
    for name, path in s.paths.items():
        series = [str(n) for n, v in path.data_vars.items() if v.ndim == 1][:9]
        out += heading(3, _words(name)) + paragraph(s.model.dynamics[name].doc)
        out += picture(plots.path_bands(path, series), f"{_words(name)}: path from the baseline") if series else ""
        two = next((str(n) for n, v in path.data_vars.items() if v.ndim == 2), None)
        if two:
            few = path[two].shape[1] <= plots.FEW
            figure = plots.entry_lines(path, two) if few else plots.density_map(path, two)
            out += picture(figure, f"{_words(name)}: {_words(two)} over time")
    for name, path in s.agents.items():
        series = [str(n) for n, v in path.data_vars.items() if v.ndim == 2 and v.dims[0] == "seed"][:9]
        out += heading(3, _words(name)) + paragraph(s.model.agents[name].doc)
        out += picture(
            plots.path_bands(path, series), f"{_words(name)}: median and middle 80 % of {path.sizes['seed']} runs"
        )
    return out


def claims(s: ModelStudy) -> str:
    rows = []
    for c in s.claims:
        for x in (c, *c.parts):
            verdict = {True: "holds", False: "fails", None: "size only"}[x.holds]
            rows.append([x.id, f"[{x.grade}]", x.statement, x.expectation, x.margin, verdict, x.share, x.draws])
    out = table(["claim", "grade", "statement", "expected", "margin", "baseline", "share of box", "draws"], rows)
    out += paragraph(
        "Margins are positive where a claim holds. Grades: "
        + "; ".join(f"[{k}] {v}" for k, v in GRADES.items())
        + ". Expectations: "
        + "; ".join(f"{k}: {v}" for k, v in EXPECTATIONS.items())
        + ".",
        "note",
    )
    notes = [f"{c.id}: {t}" for c in s.claims for t in ([c.note] if c.note else []) + list(c.messages)]
    out += "".join(paragraph(n, "note") for n in notes)
    if s.skipped:
        out += paragraph(
            f"Not evaluated in this report because each takes minutes: {', '.join(s.skipped)}. Use jaxecon claims {s.model.name} --id ID, or jaxecon report --full.",
            "note",
        )
    for c in s.claims:
        if c.boundary is not None:
            b = c.boundary
            shares = ", ".join(
                f"{name} ({part:.0%} of the variance of its rank)" if part else f"{name} (no more than chance)"
                for name, part in b.influence.items()
            )
            rest = "the others at the baseline" if b.margin.ndim == 2 else "at the draws of the prior box"
            missing = "; gray: not evaluated" if not np.all(np.isfinite(b.margin)) else ""
            words = f"{c.id}: where it holds, over {shares}, {rest}{missing}"
            out += picture(plots.margin_map(c.boundary, c.id), words)
    return out


def studies(s: ModelStudy) -> str:
    return "".join(
        heading(3, _words(name)) + table(["quantity", "value"], list(found.items()))
        for name, found in s.studies.items()
    )


def parameters(s: ModelStudy) -> str:
    m = s.model
    fields = [*fields_of(m.Params).values(), *fields_of(m.Policy).values()]
    columns = ["name", "default", "unit", "prior box", "admissible", "grade", "meaning", "source"]
    rows = [
        [
            f.name,
            f.default,
            f.unit,
            list(f.box) if f.box else "fixed",
            list(f.choices) or list(f.bounds),
            f"[{f.grade}]",
            f.doc,
            f.source,
        ]
        for f in fields
    ]
    out = paragraph("Grades: " + "; ".join(f"[{k}] {v}" for k, v in GRADES.items()) + ".", "note")
    out += folded(f"All {len(rows)} parameters and instruments with their sources", table(columns, rows))
    sets = set_table(m)
    if sets:
        out += heading(3, "Parameter sets") + table(
            ["name", "meaning", "source", "values"],
            [[x[k] for k in ("name", "meaning", "source", "values")] for x in sets],
        )
    return out


def failures(s: ModelStudy) -> str:
    return table(["piece that could not be computed", "reason"], s.failed.items()) if s.failed else ""


SECTIONS = {
    "In short": summary,
    "Pieces that failed": failures,
    "Policy": policies,
    "Claims of the paper": claims,
    "Calibration": calibration,
    "What drives the results": sensitivities,
    "Paths and agents": paths,
    "Further studies": studies,
    "Outcomes": outcomes,
    "Solver certificate": certificate,
    "Parameters and their sources": parameters,
}
