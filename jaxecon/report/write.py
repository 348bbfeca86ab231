"""Write the report: compute each model's study, then the page, then the same content as data files."""

import csv
import dataclasses
import json
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxecon.core.errors import InputError
from jaxecon.core.fields import fields_of
from jaxecon.core.model import Model
from jaxecon.report.fit_records import read_claims, read_fits
from jaxecon.report.page import document, escape, heading, paragraph, table
from jaxecon.report.sections import SECTIONS
from jaxecon.report.study import ModelStudy, Sizes, run_studies, set_table

Progress = Callable[[int, int, dict[str, Any]], None]


def write_report(
    models: Sequence[Model],
    path: str | Path,
    *,
    draws: int = 1000,
    samples: int = 128,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Solve, optimize, test and describe the models in one self-contained HTML file.

    **Arguments**

    - `path`: the file; its data go to the folder `<stem>_data` beside it (JSON, CSV and one JSON a model).
    - `draws`: of the prior box for certificates and claims; `samples`: base points of the Sobol indices.
    - `quick`: small samples; `full`: also the claims and studies that take minutes each.
    - `progress(done, total, info)`: called as pieces start; `total` is an estimate.

    **Returns** the path. Raises `InputError` before computing if the place cannot be written. A piece that fails is
    reported as failed with its reason; the others are not lost.
    """
    path = Path(path)
    folder = path.with_name(path.stem + "_data")
    _check_place(path, folder)
    sizes = Sizes(
        draws=min(draws, 64) if quick else draws,
        samples=min(samples, 8) if quick else samples,
        seed=seed,
        starts=2 if quick else 6,
        seeds=2 if quick else 8,
        steps=10 if quick else None,
        full=full,
    )
    done, lock = [0], threading.Lock()
    total = sum(5 + len(m.dynamics) + len(m.agents) + len(m.claims) for m in models)

    def announce(what: str) -> None:
        with lock:
            done[0] += 1
            if progress is not None:
                progress(min(done[0], total), total, {"piece": what})

    studies = run_studies(models, sizes, announce)
    folder.mkdir(exist_ok=True)
    for study in studies:
        _write_data(study, folder)
    path.write_text(render(studies), encoding="utf-8")
    return path


def _check_place(path: Path, folder: Path) -> None:
    problems = []
    if not path.parent.is_dir():
        problems.append(f"the folder {str(path.parent)!r} does not exist; create it first")
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        problems.append(f"the folder {str(path.parent)!r} is not writable; choose another place")
    elif path.is_dir():
        problems.append(f"{str(path)!r} is a folder; name a file")
    elif folder.exists() and not folder.is_dir():
        problems.append(f"{str(folder)!r}, the place of the data, is a file; move it away")
    if problems:
        raise InputError(problems, "the place of the report")


def render(studies: Sequence[ModelStudy]) -> str:
    """The page of some studies."""
    title = "jaxecon report: " + ", ".join(s.model.title for s in studies)
    about = studies[0].record
    body = heading(1, "The economics of generative AI: model report")
    body += paragraph("Models: " + "; ".join(f"{s.model.title} ({s.model.paper})" for s in studies) + ".")
    versions = ", ".join(
        f"{k} {about[k]}"
        for k in ("jaxecon", "jax", "numpy", "python", "device", "precision", "commit", "seed")
        if k in about
    )
    body += paragraph(
        f"Computed with {versions}. The same content as data lies in the folder beside this file.", "note"
    )
    sections = [
        (s, [(name, html) for name, make in SECTIONS.items() if (html := _section(s, name, make))]) for s in studies
    ]
    links = ""
    for s, parts in sections:
        inner = "".join(f'<li><a href="#{_anchor(s, n)}">{escape(n)}</a></li>' for n, _ in parts)
        links += f'<li><a href="#{escape(s.model.name)}">{escape(s.model.title)}</a><ul>{inner}</ul></li>'
    body += f"<nav><ol>{links}</ol></nav>\n"
    for s, parts in sections:
        body += heading(2, s.model.title, s.model.name)
        for name, html in parts:
            body += heading(3, name, _anchor(s, name)) + html
    body += heading(2, "How it was computed")
    body += table(
        ["model", "piece", "seconds"], [[s.model.name, k, round(v, 2)] for s in studies for k, v in s.seconds.items()]
    )
    return document(title, body)


def _anchor(s: ModelStudy, name: str) -> str:
    return f"{s.model.name}-{name.lower().replace(' ', '-')}"


def _section(s: ModelStudy, name: str, make: Callable[[ModelStudy], str]) -> str:
    try:
        return make(s)
    except Exception as error:
        return paragraph(f"This section could not be drawn: {type(error).__name__}: {error}", "bad")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write_data(s: ModelStudy, folder: Path) -> None:
    """One JSON file with the numbers of the page, and CSV tables of the larger results."""
    m = s.model
    content: dict[str, Any] = {
        "model": m.name, "title": m.title, "provenance": s.record, "failed": s.failed, "not_evaluated": s.skipped,
        "claims": [c.to_dict() for c in s.claims], "studies": s.studies, "parameter_sets": set_table(m),
        "fits": [dataclasses.asdict(r) for r in read_fits(m)],
        "claims_under_sets": [dataclasses.asdict(r) for r in read_claims(m)],
        "boundaries": {c.id: dataclasses.asdict(c.boundary) for c in s.claims if c.boundary is not None},
        "parameters": {n: {"default": f.default, "unit": f.unit, "bounds": f.bounds, "box": f.box, "grade": f.grade, "source": f.source}
                       for n, f in {**fields_of(m.Params), **fields_of(m.Policy)}.items()},
    }  # fmt: skip
    if s.policies is not None:
        names = [str(r) for r in s.policies.regime.values]
        content["regimes"] = {
            r: {n: float(s.policies[n].values[k]) for n in fields_of(m.Outcomes)} for k, r in enumerate(names)
        }
    if s.optimum is not None:
        o = s.optimum
        content["optimum"] = {
            "objective": o.objective, "value": o.value, "reference": o.reference, "instruments": o.values, "kkt_residual": o.kkt_residual,
            "status": o.status.name, "agreement": o.agreement, "at_bounds": o.at_bounds, "outcomes": o.outcomes,
        }  # fmt: skip
    if s.box is not None:
        content["certificate"] = {k: s.box.attrs[k] for k in ("cells", "solved", "failed")}
    (folder / f"{m.name}.json").write_text(json.dumps(_plain(content), indent=1, allow_nan=False), encoding="utf-8")
    tables = {
        "box": s.box,
        "regimes": s.policies,
        "response": s.response,
        "sobol": s.sobol,
        "elasticities": s.elasticities,
    }
    tables |= {f"path_{n}": d for n, d in s.paths.items()} | {f"agents_{n}": d for n, d in s.agents.items()}
    for name, dataset in tables.items():
        if dataset is not None:
            _write_table(folder / f"{m.name}_{name}.csv", dataset)


def _write_table(path: Path, dataset: Any) -> None:
    """The variables of a dataset that share its first variable's dimensions, as CSV."""
    dims = next(iter(dataset.data_vars.values())).dims
    same = dataset[[n for n, v in dataset.data_vars.items() if v.dims == dims]]
    frame = same.reset_coords(drop=False).to_dataframe().reset_index() if dims else same.to_dataframe()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(frame.columns)
        writer.writerows(frame.itertuples(index=False))
