"""The methods of the command: each runs, keeps its parts, and returns a record, InferenceData, and what to say."""

import dataclasses
import json
from typing import Any

from calibration.checkpoints import Blocks
from calibration.results import estimate_data, estimate_record, policy_record, posterior_record
from jaxecon.analysis.bayes import sample_posterior
from jaxecon.analysis.designs import Progress
from jaxecon.analysis.estimate import Estimate, estimate
from jaxecon.analysis.evidence import SourcedPrior
from jaxecon.analysis.moment_problem import MomentProblem
from jaxecon.analysis.posterior_policy import posterior_policy
from jaxecon.analysis.simulated_estimate import DRAWS, simulated_estimate, simulated_group
from jaxecon.analysis.simulation_based import approximate_posterior
from jaxecon.cli.output import Table

BAYES = ("nuts", "smc", "abc")
# What of a method is kept on disk while it runs.
KEPT = {"agents": "stage", "nuts": "chain", "smc": "run"}
SAFE = {
    "block": "blocks of starts that are done are safe, go on with --resume",
    "stage": "stages that are done are safe, go on with --resume",
    "chain": "chains that are done are safe, go on with --resume",
    "run": "runs that are done are safe, go on with --resume",
    "": "abc keeps nothing before its end; --resume begins anew",
}


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be done: the problem, what defines the study, the method, and what only some methods use."""

    problem: MomentProblem
    study: dict[str, Any]
    method: Any
    weight: str
    instruments: list[str]
    priors: dict[str, SourcedPrior]

    @property
    def agents(self) -> bool:
        """Whether it is a fit of the discrete moments of an agent layer."""
        return by_agents(self.problem, self.method)

    @property
    def kept(self) -> str:
        """What is kept while it runs; '' for nothing."""
        return "" if self.method == "abc" else KEPT.get("agents" if self.agents else self.method, "block")


@dataclasses.dataclass(frozen=True)
class Found:
    """What a method found: the record for `result.toml`, InferenceData, notes and tables to show."""

    record: dict[str, Any]
    data: Any
    notes: list[str]
    tables: list[Table]


def by_agents(problem: MomentProblem, method: str) -> bool:
    """Whether a method fits discrete moments run by run (`simulated_estimate`)."""
    return method == "smm" and simulated_group(problem) is not None


def carry_out(job: Job, blocks: Blocks, progress: Progress) -> Found:
    """Run the method of a job; parts that `blocks` knows are not done again."""
    return posterior(job, blocks, progress) if job.method in BAYES else point(job, blocks, progress)


def point(job: Job, blocks: Blocks, progress: Progress) -> Found:
    """An estimate with intervals, the test, and the best policy where instruments are named."""
    study, options = job.study, {"weight": job.weight, "starts": job.study["starts"], "seed": job.study["seed"]}
    if job.agents:
        found = simulated_estimate(job.problem, saved=blocks.parts("stage"), progress=progress, **options)
    else:
        found = estimate(
            job.problem, method=job.method, block=study["block"], saved=blocks, progress=progress, **options
        )
    record = estimate_record(found, study, job.instruments)
    if job.agents:
        del record["result"]["unique"], record["result"]["largest_gradient"]
        record["result"] |= {"converged": found.record["settled"], "last_step": found.record["last_step"]}
    columns = ("name", "estimate", "standard_error", "given", "lo", "hi", "at_bound", "unit")
    tables = [table("Parameters", columns, record["parameter"]), _moments(record)]
    if "policy" in record:
        both = record["policy"] + record["policy_value"]
        tables.append(table("Best policy and its value", ("name", "value", "standard_error", "lo", "hi", "unit"), both))
    notes = simulated_notes(record, found) if job.agents else point_notes(record)
    return Found(record, estimate_data(found, study), notes + test_notes(record), tables)


def posterior(job: Job, blocks: Blocks, progress: Progress) -> Found:
    """Draws of the posterior, and the best policy under it with the value of information where instruments are named."""
    study = job.study
    if job.method == "abc":
        found = approximate_posterior(
            job.problem, priors=job.priors, particles=study["draws"], populations=study["populations"],
            seed=study["seed"],
        )  # fmt: skip
    else:
        found = sample_posterior(
            job.problem, job.method, priors=job.priors, chains=study["chains"], draws=study["draws"], warmup=study["warmup"],
            seed=study["seed"], saved=blocks.parts(job.kept), progress=progress,
        )  # fmt: skip
    record, data = posterior_record(found, study, job.priors), found.to_inference_data()
    for group in data.groups():
        data[group].attrs["study"] = json.dumps(study)
    columns = ("name", "mean", "sd", "r_hat", "ess_bulk", "lo", "hi", "unit")
    tables = [table("Parameters", columns, record["parameter"]), _moments(record)]
    notes = [f"verdict: {found.verdict}"]
    notes += [f"prior of {p.name}: {p.value:g} ({p.standard_error:g}), {p.source}" for p in job.priors.values()]
    if job.instruments:
        record |= policy_record(posterior_policy(found, job.instruments, seed=study["seed"]))
        rows = record["policy"]
        tables.append(table("Best policy", ("name", "mean", "sd", "lo", "median", "hi", "best_mean", "unit"), rows))
        about, each = record["information"], record["information_parameter"]
        whole = {"name": "all parameters", "value": about["evpi"], "standard_error": 0.0, "share": 1.0}
        title = f"Value of information before choosing, in {about['unit']} of {about['objective']}"
        tables.append(table(title, ("name", "value", "standard_error", "share"), [whole, *each]))
        if about["left_out"]:
            notes.append(f"no best policy found at {about['left_out']} draws, which are left out")
    return Found(record, data, notes, tables)


def table(title: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Table:
    return Table(title, columns, [[row[c] for c in columns] for row in rows])


def _moments(record: dict[str, Any]) -> Table:
    columns = ("target", "value", "standard_error", "model", "error", "unit")
    return table("Moments", columns, record["moment"])


def point_notes(record: dict[str, Any]) -> list[str]:
    """The certificate and the basins in words."""
    result, search = record["result"], record["search"]
    state = "converged" if result["converged"] else "NOT CONVERGED"
    notes = [f"{state}: distance {result['distance']:.6g}, largest gradient {result['largest_gradient']:.2g}"]
    if not result["converged"]:
        notes.append(
            "the moments jump or bend at this point, or the steps were spent: standard errors and the test do not hold there"
        )
    notes += [
        f"minimum at distance {b['distance']:.6g}: {b['share']:.1%} of {search['starts']} starts"
        for b in record["basin"][:5]
    ]
    words = {
        "failed": "failed",
        "elsewhere": "came to rest elsewhere",
        "unsettled": "were still moving when their steps were spent",
    }
    notes += [f"{search[k]:.1%} of the starts {word}" for k, word in words.items() if search[k]]
    notes += [f"failures: {', '.join(f'{k} {v}' for k, v in search['reasons'].items())}"] if search["reasons"] else []
    return notes


def simulated_notes(record: dict[str, Any], found: Estimate) -> list[str]:
    """How a fit of discrete moments came about, and whether it has settled."""
    result, about = record["result"], found.record
    runs = found.record["moment_seeds"]
    notes = [
        f"{about['starts']} searches from the best of {DRAWS * about['starts']} points, {runs} runs at the end: loss {about['search_loss']:.4g} "
        f"over the runs of the search, distance {result['distance']:.4g} over fresh ones",
        f"the last step with fresh runs moved the estimates by at most {result['last_step']:.2g} standard errors",
    ]
    if not result["converged"]:
        notes.append("NOT SETTLED: standard errors and the test do not hold; take more --seeds or --starts")
    return notes


def test_notes(record: dict[str, Any]) -> list[str]:
    """The test, and what is not identified."""
    result, test = record["result"], record["test"]
    free = len([p for p in record["parameter"] if not p["at_bound"]])
    notes = []
    if test["degrees_of_freedom"]:
        notes.append(f"J({test['degrees_of_freedom']}) = {test['statistic']:.4g}, p = {test['p_value']:.3g}")
    elif free > len(record["moment"]):
        notes.append(
            f"{free} free parameters inside their ranges and {len(record['moment'])} moments: 0 degrees of freedom, J is not defined"
        )
    lost = free - result["rank"]
    if lost:
        notes.append(
            f"{lost} combination(s) of the parameters not identified: standard errors of those that they move are '-'"
        )
    return notes
