"""What the report knows about one model: each piece computed once, a piece that fails kept with its reason."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import zip_longest
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxecon.analysis.claim_results import ClaimResult
from jaxecon.analysis.claims import claim_groups, claims
from jaxecon.analysis.designs import box_of
from jaxecon.analysis.optimize import Optimum, optimize
from jaxecon.analysis.sensitivity import sensitivity
from jaxecon.analysis.simulate import simulate
from jaxecon.analysis.sweep import sweep
from jaxecon.core.compiling import crowded, quick_jit, release_programs
from jaxecon.core.fields import fields_of
from jaxecon.core.inputs import load_set, set_names
from jaxecon.core.model import Model
from jaxecon.core.results import provenance

Announce = Callable[[str], None]
WORKERS = 2


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much the report computes. `full` adds the claims and studies that take minutes each."""

    draws: int
    samples: int
    seed: int
    starts: int
    seeds: int
    steps: int | None
    full: bool


@dataclasses.dataclass
class ModelStudy:
    """Results of one model by piece; `failed` says why a piece is missing, `seconds` what each piece took."""

    model: Model
    sizes: Sizes
    box: xr.Dataset | None = None
    policies: xr.Dataset | None = None
    optimum: Optimum | None = None
    elasticities: xr.Dataset | None = None
    sobol: xr.Dataset | None = None
    response: xr.Dataset | None = None
    paths: dict[str, xr.Dataset] = dataclasses.field(default_factory=dict)
    agents: dict[str, xr.Dataset] = dataclasses.field(default_factory=dict)
    claims: list[ClaimResult] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)
    studies: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    record: dict[str, Any] = dataclasses.field(default_factory=dict)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def headline(self) -> list[str]:
        """The objective and the outcomes the summary speaks of: the first declared ones."""
        names = [self.model.objective, *fields_of(self.model.Outcomes)]
        return list(dict.fromkeys(names))[:4]


def equilibrium_instruments(model: Model) -> list[str]:
    """Instruments that matter for the equilibrium."""
    return [n for n, f in fields_of(model.Policy).items() if f.kind == "real" and f.layer == "equilibrium"]


def pieces_of(study: ModelStudy) -> dict[str, Callable[[], None]]:
    """What the report computes of one model, by name: the first piece is what others need, the rest are independent."""
    model, sizes = study.model, study.sizes
    pieces: dict[str, Callable[[], None]] = {
        "solutions over the prior box": lambda: _box(study),
        "optimal policy": lambda: _optimum(study),
    }
    checked = [c for c in model.claims if c.cost == "equilibrium" or sizes.full]
    study.skipped.extend(c.id for c in model.claims if c not in checked)
    for group in claim_groups(checked):
        ids = [c.id for c in group]
        pieces["claim " + ", ".join(ids)] = lambda ids=ids: study.claims.extend(
            claims(model, ids, draws=sizes.draws, seed=sizes.seed)
        )
    for name, layer in model.agents.items():
        periods = layer.periods if sizes.steps is None else min(layer.periods, sizes.steps)
        pieces[f"agents: {name}"] = lambda name=name, periods=periods: study.agents.update(
            {name: simulate(model, name, seeds=sizes.seeds, seed=sizes.seed, periods=periods)}
        )
    for name in list(model.dynamics)[: None if sizes.full else 1]:
        pieces[f"path: {name}"] = lambda name=name: study.paths.update({name: simulate(model, name, steps=sizes.steps)})
    pieces["policies compared"] = lambda: _policies(study)
    pieces["response to the most influential parameter"] = lambda: _response(study)
    pieces["exact elasticities"] = lambda: _elasticities(study)
    if sizes.full:
        for name, run in model.studies.items():
            pieces[f"study: {name}"] = lambda name=name, run=run: study.studies.update({name: _study(model, run)})
    return pieces


def run_piece(study: ModelStudy, name: str, compute: Callable[[], None], announce: Announce) -> None:
    """One piece, guarded: what fails is reported and loses nothing else."""
    announce(f"{study.model.name}: {name}")
    start = time.perf_counter()
    try:
        compute()
    except Exception as error:
        study.failed[name] = f"{type(error).__name__}: {error}"[:600]
    study.seconds[name] = time.perf_counter() - start


def run_studies(models: Sequence[Model], sizes: Sizes, announce: Announce) -> list[ModelStudy]:
    """All pieces of all models, two at a time: compilation holds no lock of Python and uses little more than one core.

    Where compiled programs crowd the process, the next piece waits until none runs and they can be released.
    """
    studies = [ModelStudy(m, sizes, record=provenance(m, seed=sizes.seed)) for m in models]
    work = [list(pieces_of(study).items()) for study in studies]
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:

        def one(x: tuple[ModelStudy, tuple[str, Callable[[], None]]]) -> None:
            study, (name, compute) = x
            run_piece(study, name, compute, announce)

        def run(pieces: Iterable[tuple[ModelStudy, tuple[str, Callable[[], None]]]]) -> None:
            begun: list[Future[None]] = []
            running: set[Future[None]] = set()
            for piece in pieces:
                if crowded():
                    running = wait(running).not_done
                    release_programs()
                elif len(running) == WORKERS:
                    running = wait(running, return_when=FIRST_COMPLETED).not_done
                begun.append(pool.submit(one, piece))
                running.add(begun[-1])
            for future in begun:
                future.result()

        run((study, pieces[0]) for study, pieces in zip(studies, work, strict=True))
        # The models take turns, so that the end does not wait for one of them.
        turns = zip_longest(*([(study, x) for x in pieces[1:]] for study, pieces in zip(studies, work, strict=True)))
        run(x for turn in turns for x in turn if x is not None)
    for study in studies:
        order = [c.id for c in study.model.claims]
        study.claims.sort(key=lambda c: order.index(c.id) if c.id in order else len(order))
    return studies


def _box(study: ModelStudy) -> None:
    """Sobol indices over the prior box; their sample also certifies the solver."""
    m, sizes = study.model, study.sizes
    box, _ = box_of(m)
    axes = {n: (float(lo), float(hi)) for n, lo, hi in zip(box.names, box.lo, box.hi, strict=True)
            if fields_of(m.Params)[n].layer == "equilibrium"}  # fmt: skip
    study.box = sweep(m, axes, design="sobol", points=max(sizes.draws, 64), seed=sizes.seed)
    study.sobol = sensitivity(m, "sobol", samples=sizes.samples, outcomes=study.headline, seed=sizes.seed)


def _policies(study: ModelStudy) -> None:
    """All regimes at once: paired values of every instrument that some regime moves."""
    m = study.model
    neutral = {n: f.default for n, f in fields_of(m.Policy).items()}
    axes = {n: [float(r.get(n, neutral[n])) for r in m.regimes.values()] for n in equilibrium_instruments(m)}
    found = sweep(m, axes, design="paired")
    study.policies = found.assign_coords(regime=("point", list(m.regimes)))


def _response(study: ModelStudy) -> None:
    m = study.model
    assert study.sobol is not None, "the sensitivities are missing"
    total = study.sobol.total.sel(outcome=m.objective)
    name = str(total.parameter.values[int(np.nanargmax(total.values))])
    lo, hi = fields_of(m.Params)[name].box or fields_of(m.Params)[name].bounds
    study.response = sweep(m, {name: (lo, hi, 61)})


def _optimum(study: ModelStudy) -> None:
    study.optimum = optimize(
        study.model, equilibrium_instruments(study.model), starts=study.sizes.starts, seed=study.sizes.seed
    )


def _elasticities(study: ModelStudy) -> None:
    study.elasticities = sensitivity(study.model, "elasticities", outcomes=study.headline)


def _study(model: Model, run: Callable[[Any, Any], Mapping[str, Any]]) -> dict[str, float]:
    with jax.enable_x64(True):
        found = jax.device_get(quick_jit(run, effort=1)(model.params(), model.policy()))
    return {k: np.asarray(v).tolist() for k, v in found.items()}


def set_table(model: Model) -> list[dict[str, Any]]:
    """The named parameter sets with what they change."""
    found = [load_set(model, name) for name in set_names(model)]
    return [{"name": s.name, "meaning": s.doc, "source": s.source, "values": {**s.params, **s.policy}} for s in found]


def finite_range(values: np.ndarray) -> tuple[float, float, float]:
    """Least, median and largest of the finite values."""
    good = values[np.isfinite(values)]
    if not good.size:
        return math.nan, math.nan, math.nan
    return float(good.min()), float(np.median(good)), float(good.max())
