"""The section "Calibration" of the report: each stored fit with targets, estimates, identification, and what the data reject."""

import math
from collections.abc import Mapping

from jaxecon.analysis.evidence import Context
from jaxecon.core.fields import fields_of
from jaxecon.report.fit_records import (
    ClaimRow,
    FitRecord,
    MomentRow,
    claims_left_out,
    read_claims,
    read_fits,
    stored_context,
)
from jaxecon.report.page import folded, heading, paragraph, table
from jaxecon.report.study import ModelStudy

# A moment is missed from so many standard errors on; a fit is rejected, and a combination of parameters is left open, below. A projected
# gradient of more than this share of the distance is none of a minimum. Minima whose distance is less than CLOSE above the best (95 % of
# chi-squared with one degree of freedom) are not told apart by the data; ends of one minimum this far apart are a set.
MISSED, REJECTED, OPEN, STOPPED, CLOSE, APART = 2.0, 0.05, 1.0, 1e-4, 3.841459, 0.02


def calibration(s: ModelStudy) -> str:
    """All fits of a model, the inputs that its paper documents, what no moment measures, and its claims under the named sets."""
    records = read_fits(s.model)
    if not records:
        return ""
    inputs = [
        [f.name, f.default, f.unit, f.doc, f.source] for f in fields_of(s.model.Params).values() if f.grade == "D"
    ]
    out = paragraph(
        "Stored results: a fit takes minutes. J is the weighted squared distance of all fitted moments at the minimum, chi-squared with "
        "the stated degrees of freedom where the model is true and the standard errors are right; many of these are judgments, which the "
        "table states. Checks are compared and not fitted.",
        "note",
    )
    if inputs:
        out += folded(
            f"{len(inputs)} inputs taken as documented",
            table(["parameter", "value", "unit", "meaning", "source"], inputs),
        )
    out += "".join(one_fit(r) for r in records) + beside(stored_context(s.model))
    claims = read_claims(s.model)
    return out + (under_sets(claims, claims_left_out(s.model)) if claims else "")


def one_fit(r: FitRecord) -> str:
    """One fit: targets against model, estimates, identification, rejections."""
    out = heading(3, f"Fit: {r.name.replace('_', ' ')}") + paragraph(r.doc)
    fitted = [m for m in r.moments if m.use == "fit"]
    out += _moments(fitted) + paragraph(verdict(r))
    out += table(
        [
            "parameter",
            "range",
            f"before ({r.base})",
            "estimate",
            "standard error",
            "95 % by profile",
            "unit",
            "at a bound",
        ],
        [
            [p.name, [p.lo, p.hi], p.given, p.estimate, p.standard_error, interval(r, p.name), p.unit, p.at_bound]
            for p in r.parameters
        ],
    )
    out += paragraph(identification(r))
    rows = [[p, *(shift.get(m.target) for m in fitted)] for p, shift in r.shifts.items() if any(shift.values())]
    if rows:
        columns = ["estimate of", *(m.target.replace("_", " ") for m in fitted)]
        words = "What one standard error more of each target does to each estimate"
        out += folded(words, table(columns, rows))
        rows = [[p, *(share.get(m.target) for m in fitted)] for p, share in r.informativeness.items()]
        words = "Informativeness: share of the variance of each estimate that each target explains alone"
        out += folded(words, table(columns, rows)) if rows else ""
    checks = [m for m in r.moments if m.use == "check"]
    if checks:
        out += folded(f"{len(checks)} checks, not fitted", _moments(checks))
    ends = ", ".join(f"{b.value:.4g} ({b.share:.1%})" for b in r.basins[:5])
    lost = (
        ""
        if math.isnan(r.failed)
        else (f"; {r.failed:.1%} not solved, {r.elsewhere:.1%} at rest elsewhere, {r.unsettled:.1%} still moving")
    )
    return out + paragraph(
        f"{r.method.upper()} from {r.starts} starts, seed {r.seed}; minima and the share of starts in each: {ends}{lost}; projected gradient "
        f"{r.gradient:.0e}; targets {r.targets_hash}.",
        "note",
    )


def beside(rows: list[Context]) -> str:
    """Evidence that no moment measures, folded; nothing where there is none."""
    body = [[c.name.replace("_", " "), numbers(c), c.unit, f"[{c.grade}]", c.year, c.reason, c.source] for c in rows]
    columns = [
        "evidence",
        "number",
        "unit",
        "grade",
        "year",
        "why no moment measures it, what it disagrees with",
        "source",
    ]
    words = f"Evidence that no moment measures: {len(rows)} entries, compared with nothing"
    return folded(words, table(columns, body)) if rows else ""


def numbers(c: Context) -> str:
    """The numbers of an entry in words: one, a range, or a path with its years."""
    if c.dates:
        return ", ".join(
            f"{math.floor(t)}: {v:,.6g}" if t == math.floor(t) else f"{t:.2f}: {v:,.6g}"
            for t, v in zip(c.dates, c.values)
        )
    return " to ".join(f"{v:,.6g}" for v in c.values)


def _moments(rows: list[MomentRow]) -> str:
    columns = [
        "target",
        "moment",
        "measured",
        "s.e.",
        "before",
        "model",
        "error in s.e.",
        "unit",
        "grade",
        "year",
        "source and remarks",
    ]
    return table(
        columns,
        [
            [m.target.replace("_", " "), m.moment, m.value, m.standard_error, m.before, m.model, m.error, m.unit, f"[{m.grade}]",
             m.year or None, "; ".join(x for x in (m.source, m.judgment and f"s.e.: {m.judgment}", m.note) if x)]
            for m in rows
        ],
    )  # fmt: skip


def verdict(r: FitRecord) -> str:
    """Whether the data reject the fit, and which moments it misses."""
    missed = [m for m in r.moments if m.use == "fit" and abs(m.error) > MISSED]
    words = f"J = {r.value:.3g}" if r.value > 1e-6 else "J = 0 (to 1e-6)"
    if r.dof > 0:
        words += f" on {r.dof} degrees of freedom, p = {r.p_value:.2g}: "
        words += "the data reject the model with these parameters free." if r.p_value < REJECTED else "not rejected."
    elif missed:
        words += " with no fewer parameters than moments: no values in the ranges meet them."
    else:
        words += " with no fewer parameters than moments: they are met, which tests nothing."
    if missed:
        names = ", ".join(
            f"{m.target.replace('_', ' ')} ({m.error:+.1f})" for m in sorted(missed, key=lambda m: -abs(m.error))
        )
        words += f" Missed by more than {MISSED:g} standard errors: {names}."
    if r.gradient > STOPPED * (1 + r.value):
        words += " The search ends at a kink or a jump of the model, where the slope does not vanish: standard errors are not to be trusted."
    at_bound = [f"{p.name} ({p.at_bound})" for p in r.parameters if p.at_bound]
    words += f" At the end of its range: {', '.join(at_bound)}." if at_bound else ""
    return words + "".join(rivals(r))


def rivals(r: FitRecord) -> list[str]:
    """Minima among which the data do not choose, in words: a set of points at the best distance, others hardly above it. None at a kink,
    along which searches stop anywhere."""
    best, *others = r.basins
    if r.gradient > STOPPED * (1 + r.value):
        return []
    words = []
    if best.extent > APART:
        words.append(f" The best minimum is no point: its ends lie up to {best.extent:.0%} of a range apart.")
    for b in others:
        if b.value - best.value < CLOSE:
            where = ", ".join(f"{k} {v:.3g}" for k, v in b.theta.items()) or "a place that was not kept"
            words.append(
                f" The data do not tell it from another minimum: J = {b.value:.4g} at {where}, where {b.share:.1%} of the starts end "
                f"({best.share:.1%} end at the best one)."
            )
    return words


def interval(r: FitRecord, name: str) -> str | None:
    """The interval of a parameter by the profile likelihood in words, `open` where it reaches the end of the range."""
    if name not in r.intervals:
        return None
    lower, upper = ("open" if math.isnan(x) else f"{x:.4g}" for x in r.intervals[name])
    return f"{lower} to {upper}"


def identification(r: FitRecord) -> str:
    """What the moments pin down: singular values, and the combination that moves them least."""
    values, free = ", ".join(f"{x:.3g}" for x in r.singular_values), len(r.singular_values)
    words = (
        f"Singular values of the Jacobian, in standard errors of the moments by the width of the ranges: {values or 'none'} (rank {r.rank} of "
        f"{free}{'' if free == len(r.parameters) else '; those at an end of their range count as known'})."
    )
    if free < 2:
        return words
    weights = ", ".join(
        f"{k} {v:+.2f}" for k, v in sorted(r.weakest.items(), key=lambda x: -abs(x[1])) if abs(v) >= 0.05
    )
    smallest = r.singular_values[-1]
    lost = free - r.rank
    if lost == 1:
        words += (
            f" Not identified: moving along ({weights}) changes no moment, so these estimates are one point of a line."
        )
    elif lost:
        words += f" Not identified: {lost} combinations of parameters change no moment, one of them ({weights})."
    elif smallest < OPEN:
        words += f" Hardly identified: moving across the ranges along ({weights}) changes the moments by {smallest:.2g} standard errors."
    else:
        words += f" The weakest combination is ({weights})."
    return words


def under_sets(rows: list[ClaimRow], left_out: Mapping[str, str] | None = None) -> str:
    """Margins of claims under the named sets, side by side; those whose verdict changes come first."""
    names = list(dict.fromkeys(n for row in rows for n in row.margins))

    def changes(row: ClaimRow) -> bool:
        signs = {x > 0 for x in row.margins.values() if not math.isnan(x)}
        return row.expectation != "report" and len(signs) > 1

    flipped = [row for row in rows if changes(row)]
    words = "Claims under the sets " + ", ".join(names) + "; margins at each set, positive where a claim holds. "
    words += f"The verdict changes for {', '.join(x.id for x in flipped)}." if flipped else "No verdict changes."
    if left_out:
        words += f" Not checked here: {', '.join(f'{k} ({why})' for k, why in left_out.items())}."
    ordered = flipped + [row for row in rows if row not in flipped]
    body = [[x.id, x.statement, x.expectation, *(x.margins.get(n, math.nan) for n in names)] for x in ordered]
    return (
        heading(3, "Claims under paper and evidence")
        + paragraph(words)
        + table(["claim", "statement", "expected", *names], body)
    )
