"""Commands on policy: optima under constraints, in many worlds, over time; their slopes; which instruments go together."""

import argparse
from collections.abc import Callable
from typing import Any

from jaxecon.cli import words
from jaxecon.cli.arguments import read_point, read_prior
from jaxecon.cli.datasets import counts_of, result_of
from jaxecon.cli.options import names
from jaxecon.cli.output import Result, progress_bar
from jaxecon.core.discovery import load

# Largest residual of first-order conditions with which a command counts as done.
CERTAIN = 1e-6


def _choice(args: argparse.Namespace) -> tuple[Any, list[str], dict[str, Any]]:
    """The model, the instruments, and what all choices of policy take."""
    m = load(args.model)
    p, u = read_point(m, args)
    return m, names(args.instruments), {"params": p, "policy": u, "bounds": words.bounds(m, args)}


def _aim(args: argparse.Namespace) -> dict[str, Any]:
    return {"objective": args.objective, "maximize": not args.minimize}


def _worlds(m: Any, args: argparse.Namespace, more: dict[str, Any]) -> Any:
    from jaxecon.analysis.designs import prior_draws

    prior = read_prior(args.prior)
    return prior_draws(m, args.draws, args.seed, prior=prior, params=more["params"], policy=more["policy"])


def constrained(args: argparse.Namespace) -> Result:
    """`jaxecon constrained MODEL --instruments a,b --limit outcome=lo:hi`; exit code 1 without a certified optimum."""
    from jaxecon.analysis.constrained import constrained_optimum
    from jaxecon.analysis.optimize import OptimumStatus

    m, chosen, more = _choice(args)
    with progress_bar(f"constrained {m.name}"):
        best = constrained_optimum(
            m, chosen, words.limits(m, args), starts=args.starts, seed=args.seed, **_aim(args), **more
        )
    ds = best.to_dataset()
    notes = [
        f"{best.objective} {best.value:.6g}; before {best.reference:.6g}",
        f"{best.status.name}: {best.status.value}",
        f"KKT residual {best.kkt_residual:.1e}; {best.agreement:.0%} of {len(best.starts)} starts agree; "
        f"binding: {', '.join(f'{n} ({end})' for n, end in best.binding.items()) or 'none'}",
    ]
    good = (OptimumStatus.OPTIMAL, OptimumStatus.AT_BOUND, OptimumStatus.CONSTRAINED, OptimumStatus.AT_CLIFF)
    shown = ds.drop_dims(["run", "direction"])
    return result_of(
        m, "best policy under constraints", ds, ["instrument"], notes, int(best.status not in good), shown=shown
    )


def optima(args: argparse.Namespace) -> Result:
    """`jaxecon optima MODEL --instruments a,b --draws N`."""
    from jaxecon.analysis.optima import optimal_policies

    m, chosen, more = _choice(args)
    draws = _worlds(m, args, more)
    with progress_bar(f"optima {m.name}"):
        ds = optimal_policies(
            m, chosen, draws, starts=args.starts, seed=args.seed, precision="float32" if args.x32 else "float64",
            **_aim(args), **more,
        )  # fmt: skip
    notes = [f"{ds.sizes['draw']} draws: {counts_of(ds, 'status')}"]
    shown = ds[["policy"]].quantile([0.05, 0.5, 0.95], dim="draw").transpose("instrument", "quantile")
    return result_of(m, "best policies", ds, ["draw", "instrument"], notes, shown=shown)


def robust(args: argparse.Namespace) -> Result:
    """`jaxecon robust MODEL --instruments a,b --criterion ...`; exit code 1 if the first-order conditions do not hold."""
    from jaxecon.analysis.robust import robust_policy

    m, chosen, more = _choice(args)
    draws = _worlds(m, args, more)
    with progress_bar(f"robust {m.name}"):
        ds = robust_policy(
            m, chosen, draws, criterion=args.criterion, share=args.share, starts=args.starts, seed=args.seed,
            **_aim(args), **more,
        )  # fmt: skip
    notes = [f"{ds.attrs['agreement']:.0%} of the starts agree; {ds.attrs['dropped']} draws dropped that do not solve"]
    code = int(not float(ds.kkt_residual) <= CERTAIN)
    return result_of(
        m, f"robust policy ({args.criterion})", ds, ["draw"], notes, code, shown=ds.drop_dims(["run", "draw"])
    )


def pareto(args: argparse.Namespace) -> Result:
    """`jaxecon pareto MODEL --instruments a,b --objectives x,y:min`; exit code 1 if no point is on the surface."""
    from jaxecon.analysis.pareto import pareto_surface

    m, chosen, more = _choice(args)
    with progress_bar(f"pareto {m.name}"):
        ds = pareto_surface(
            m, chosen, words.objectives(m, args), constraints=words.limits(m, args), divisions=args.divisions,
            starts=args.starts, seed=args.seed, **more,
        )  # fmt: skip
    on = int(ds.on_surface.sum())
    notes = [f"{on} of {ds.sizes['point']} points are on the surface"]
    return result_of(m, "Pareto surface", ds, ["point", "instrument"], notes, int(on == 0))


def plan(args: argparse.Namespace) -> Result:
    """`jaxecon plan MODEL --instruments a,b --series ...`; exit code 1 where the limits cannot be met."""
    from jaxecon.analysis.plans import policy_plan

    m, chosen, more = _choice(args)
    with progress_bar(f"plan {m.name}"):
        ds = policy_plan(
            m, chosen, args.series, rule=args.rule, discount=args.discount, layer=args.layer, pieces=args.pieces,
            states=words.states(m, args), steps=args.steps, iterations=args.iterations, maximize=not args.minimize,
            constraints=words.limits(m, args), starts=args.starts, seed=args.seed, **more,
        )  # fmt: skip
    change = float(ds.value) - float(ds.value_given)
    notes = [f"discounted sum of {args.series}: {float(ds.value):.6g}; against the given policy {change:+.3g}"]
    notes.append(f"{ds.attrs['status']}: {ds.attrs['status_doc']}")
    notes.append(f"KKT residual {float(ds.kkt_residual):.1e}; {float(ds.agreement):.0%} of {args.starts} starts agree; "
                 f"largest curvature left {float(ds.curvature):.1e}")  # fmt: skip
    names_shown = ("value", "value_given", "kkt_residual", "plan", "level", "coefficient", "limit_value", "multiplier")
    shown = ds[[n for n in names_shown if n in ds]].transpose("time", ..., missing_dims="ignore")
    code = int(ds.attrs["status"] in ("INFEASIBLE", "NOT_SOLVED"))
    return result_of(m, f"plan ({args.rule})", ds, ["time", "instrument"], notes, code, shown=shown)


def complements(args: argparse.Namespace) -> Result:
    """`jaxecon complements MODEL --instruments a,b`."""
    from jaxecon.analysis.complements import cross_derivatives

    m, chosen, more = _choice(args)
    del more["bounds"]
    ds = cross_derivatives(m, chosen, outcomes=args.outcome, **more)
    notes = ["a positive cross-derivative off the diagonal: each instrument raises what the other adds"]
    by = ["outcome", "instrument", "other"]
    shown = ds.isel(outcome=0, drop=True)
    return result_of(m, f"cross-derivatives of {ds.outcome.values[0]}", ds, by, notes, shown=shown)


def split(args: argparse.Namespace) -> Result:
    """`jaxecon split MODEL --instruments a,b`."""
    from jaxecon.analysis.complements import shapley_split

    m, chosen, more = _choice(args)
    with progress_bar(f"split {m.name}"):
        ds = shapley_split(m, chosen, starts=args.starts, seed=args.seed, **_aim(args), **more)
    notes = ["synergy: what two instruments gain together less what each gains alone"]
    return result_of(m, "split of the joint gain", ds, ["instrument"], notes)


def slopes(args: argparse.Namespace) -> Result:
    """`jaxecon slopes MODEL --instruments a,b --parameters x,y`; exit code 1 where the slopes are not defined."""
    from jaxecon.analysis.optimum_slopes import optimum_slopes

    m, chosen, more = _choice(args)
    with progress_bar(f"slopes {m.name}"):
        ds = optimum_slopes(
            m, chosen, words.inputs("parameters")(m, args), constraints=words.limits(m, args), starts=args.starts,
            seed=args.seed, **_aim(args), **more,
        )  # fmt: skip
    singular = bool(ds.singular)
    notes = [f"the optimum: {ds.attrs['status']}"]
    notes += ["the first-order conditions do not determine the policy: its slopes are not defined"] if singular else []
    notes += ["a bound or a constraint is about to bind: the slopes hold on one side"] if bool(ds.one_sided) else []
    return result_of(m, "slopes of the best policy", ds, ["instrument", "parameter"], notes, int(singular))


COMMANDS: dict[str, Callable[[argparse.Namespace], Result]] = {
    "constrained": constrained,
    "optima": optima,
    "robust": robust,
    "pareto": pareto,
    "plan": plan,
    "complements": complements,
    "split": split,
    "slopes": slopes,
}
