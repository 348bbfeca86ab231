"""HTML by small functions: everything that is not a tag is escaped here."""

import base64
import html
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.figure import Figure

STYLE = """
body{font:16px/1.5 Georgia,'Times New Roman',serif;color:#1d2430;max-width:62rem;margin:2rem auto;padding:0 1.2rem}
h1,h2,h3,table,nav,.note,.mark{font-family:'Helvetica Neue',Arial,sans-serif}
h1{font-size:1.9rem;line-height:1.2;margin-bottom:.2rem} h2{font-size:1.4rem;margin-top:3rem;border-bottom:2px solid #1b2a41;padding-bottom:.2rem}
h3{font-size:1.05rem;margin-top:2rem} table{border-collapse:collapse;font-size:.82rem;margin:.8rem 0;width:100%}
th{text-align:left;border-bottom:1.5px solid #1b2a41;padding:.25rem .5rem;vertical-align:bottom}
td{border-bottom:1px solid #dcdfe4;padding:.22rem .5rem;vertical-align:top} td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
nav ol{columns:2;font-size:.92rem} nav a{color:#1b4f72} .note{font-size:.82rem;color:#4a5362} .mark{font-size:.78rem;border:1px solid #9aa3af;border-radius:3px;padding:0 .3rem}
.bad{color:#a02c1d;font-weight:600} .good{color:#1f6b3a;font-weight:600} figure{margin:1rem 0} figure img{max-width:100%} figcaption{font-size:.85rem;color:#4a5362}
details{margin:.8rem 0} summary{cursor:pointer;font-family:'Helvetica Neue',Arial,sans-serif;font-size:.92rem}
@media print{body{max-width:none;font-size:11pt} h2{page-break-before:always} details{display:block} nav{page-break-after:always}}
"""


def text(value: Any) -> str:
    """A cell as text: numbers with five digits, NaN as a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(text(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{k} = {text(v)}" for k, v in value.items())
    return str(value)


def escape(value: Any) -> str:
    """Text of a value, escaped."""
    return html.escape(text(value))


def paragraph(words: str, kind: str = "") -> str:
    return f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{html.escape(words)}</p>\n"


def heading(level: int, words: str, anchor: str = "") -> str:
    mark = f' id="{html.escape(anchor)}"' if anchor else ""
    return f"<h{level}{mark}>{html.escape(words)}</h{level}>\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; columns that hold numbers only are set right."""
    rows = [list(r) for r in rows]
    numeric = [
        bool(rows) and all(isinstance(r[k], (int, float)) or r[k] is None for r in rows) for k in range(len(columns))
    ]
    head = "".join(
        f'<th class="n">{escape(c)}</th>' if n else f"<th>{escape(c)}</th>"
        for c, n in zip(columns, numeric, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="n">{escape(v)}</td>' if n else f"<td>{escape(v)}</td>" for v, n in zip(r, numeric, strict=True)
        )
        + "</tr>\n"
        for r in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>\n"


def folded(summary: str, content: str) -> str:
    return f"<details><summary>{html.escape(summary)}</summary>\n{content}</details>\n"


def picture(figure: Figure, caption: str) -> str:
    """A figure embedded in the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{data}"><figcaption>{html.escape(caption)}</figcaption></figure>\n'


def document(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>\n{body}</body></html>\n"
    )
