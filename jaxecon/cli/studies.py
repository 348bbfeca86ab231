"""The grammar of the commands on policy, boundaries and scenarios."""

import argparse
from collections.abc import Callable

from jaxecon.cli.options import count, number, one_of

Command = Callable[..., argparse.ArgumentParser]
Group = Callable[[argparse.ArgumentParser], None]

EXAMPLES = {
    "constrained": "jaxecon constrained rent_seeking --instruments rent_tax,detection --limit rents=:0.0005",
    "optima": "jaxecon optima rent_seeking --instruments rent_tax --draws 1000",
    "robust": "jaxecon robust rent_seeking --instruments rent_tax,detection --criterion cvar --draws 64",
    "pareto": "jaxecon pareto rent_seeking --instruments rent_tax,detection --objectives welfare,rents:min",
    "plan": "jaxecon plan rent_seeking --instruments detection --series welfare --discount 0.97 --pieces 4",
    "complements": "jaxecon complements rent_seeking --instruments rent_tax,manipulation_tax,detection",
    "split": "jaxecon split rent_seeking --instruments rent_tax,manipulation_tax,detection",
    "slopes": "jaxecon slopes rent_seeking --instruments rent_tax,detection --parameters A,b",
    "threshold": "jaxecon threshold rent_seeking --of transparency --level 0.998 --along A",
    "curve": "jaxecon curve rent_seeking --of transparency --level 0.998 --x A --y b",
    "distance": "jaxecon distance rent_seeking --of transparency --level 0.998 --moving A,b",
    "multiplicity": "jaxecon multiplicity intelligence_capital Omega=1:2:6 -p N=3",
    "discover": "jaxecon discover information_pollution study.zarr --target 'welfare<0'",
    "export": "jaxecon export supply_shock -o problem.json",
}


def _instruments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--instruments", required=True, metavar="A,B", help="names, separated by commas")
    sub.add_argument("--bounds", action="append", default=[], metavar="NAME=LO:HI", help="narrow a range; repeatable")


def _goal(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--objective", metavar="OUTCOME", help="default: the model's own (welfare)")
    sub.add_argument("--minimize", action="store_true", help="the least of the objective in place of the most")


def _limits(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--limit", dest="limits", action="append", default=[], metavar="OUTCOME=LO:HI",
        help="a constraint; leave out the end that is open; repeatable",
    )  # fmt: skip


def _condition(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--of", metavar="OUTCOME", help="the condition: an outcome less a level")
    sub.add_argument("--level", type=number(), default=0.0, metavar="X")
    sub.add_argument("--claim", metavar="ID", help="the condition: the margin of a claim")
    _prior(sub)


def _prior(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--prior", metavar="FILE", help="TOML file with a table [prior] of name = [lo, hi]")


def add(command: Command, point: Group, spread: Group) -> None:
    """Add all commands to the parser; `point` and `spread` add options that the others have, too."""

    def of_policy(
        name: str, doc: str, starts: int | None = 8, goal: bool = True, shared: bool = True
    ) -> argparse.ArgumentParser:
        sub = command(name, doc, "one")
        point(sub)
        if shared:
            spread(sub)
        _instruments(sub)
        if goal:
            _goal(sub)
        if starts:
            sub.add_argument("--starts", type=count, default=starts)
        return sub

    _limits(of_policy("constrained", "The best policy under constraints on outcomes."))

    optima = of_policy("optima", "The best policy in each of many worlds drawn from the prior.", starts=1)
    optima.add_argument("--draws", type=count, default=1000, metavar="N")
    _prior(optima)

    robust = of_policy("robust", "One policy for all worlds drawn from the prior.", starts=3)
    robust.add_argument("--draws", type=count, default=256, metavar="N")
    robust.add_argument(
        "--criterion", type=one_of("mean", "cvar", "worst", "regret"), default="mean", help="mean, cvar, worst, regret"
    )
    robust.add_argument("--share", type=number(0.0, 1.0), default=0.1, help="of the worst draws, for cvar")
    _prior(robust)

    pareto = of_policy("pareto", "Policies that give up one aim for another.", starts=2, goal=False)
    pareto.add_argument("--objectives", required=True, metavar="A,B:min", help="outcomes to raise, or to lower (:min)")
    pareto.add_argument("--divisions", type=count, default=10, help="steps of the grid of directions")
    _limits(pareto)

    plan = of_policy("plan", "Instruments over time, or a feedback rule.", starts=2, goal=False, shared=False)
    plan.add_argument("--series", required=True, metavar="SERIES", help="the series of the layer whose sum is wanted")
    plan.add_argument("--minimize", action="store_true", help="the least of the sum in place of the most")
    plan.add_argument("--layer", default="dynamics", help="dynamics, or the name of one dynamic layer")
    plan.add_argument(
        "--rule", type=one_of("path", "constant", "feedback"), default="path", help="path, constant, feedback"
    )
    plan.add_argument("--discount", type=number(0.0, 1.0), default=1.0, help="a unit of time")
    plan.add_argument("--pieces", type=count, metavar="N", help="values over time; default: one a date")
    plan.add_argument(
        "--state", action="append", default=[], metavar="SERIES=PARAMETER", help="of a feedback rule; repeatable"
    )
    plan.add_argument("--steps", type=count, metavar="T", help="of the layer")
    plan.add_argument("--iterations", type=count, default=300)
    plan.add_argument(
        "--limit", dest="limits", action="append", default=[], metavar="SERIES=LO:HI",
        help="on the discounted sum of a series; leave out the end that is open; repeatable",
    )  # fmt: skip

    complements = of_policy(
        "complements", "Which instruments strengthen each other: cross-derivatives.", None, goal=False
    )
    complements.add_argument(
        "--outcome", action="append", metavar="NAME", help="repeatable; default: the model's own aim"
    )

    of_policy("split", "What each instrument contributes to the joint gain (Shapley).", starts=4)

    slopes = of_policy("slopes", "How the best policy moves with the parameters.")
    slopes.add_argument("--parameters", metavar="A,B", help="default: all with a prior box")
    _limits(slopes)

    threshold = command("threshold", "Where a condition changes sign along one parameter.", "one")
    point(threshold)
    _condition(threshold)
    threshold.add_argument("--along", required=True, metavar="NAME", help="a parameter or instrument")
    threshold.add_argument(
        "--scan", type=count, default=65, metavar="N", help="points between which a sign is looked for"
    )

    curve = command("curve", "The boundary of a condition over two parameters.", "one")
    point(curve)
    _condition(curve)
    curve.add_argument("--x", required=True, metavar="NAME")
    curve.add_argument("--y", required=True, metavar="NAME")
    curve.add_argument("--grid", type=count, default=17, metavar="N")

    distance = command("distance", "The shortest way from the point to where a condition changes sign.", "one")
    point(distance)
    _condition(distance)
    distance.add_argument("--moving", metavar="A,B", help="what may move; default: all with a prior box")
    distance.add_argument("--samples", type=count, default=256, metavar="N")
    distance.add_argument("--starts", type=count, default=4)

    several = command(
        "multiplicity",
        "How many equilibria, and stable ones, over named axes; of a model's system, or its starts.",
        "one",
    )
    point(several)
    spread(several)
    several.add_argument("axes", nargs="+", metavar="NAME=LO:HI:N", help="also NAME=a,b,c")
    several.add_argument("--starts", type=count, metavar="N", help="of Newton, in a system; default: the model's")
    several.add_argument("--roots", type=count, default=8, metavar="N", help="the most roots of a system in a cell")
    several.add_argument(
        "--apart", type=number(0.0), default=1e-6, help="relative gap of outcomes that counts, of starts"
    )

    discover = command("discover", "Boxes of inputs in which the cells of a sweep are of interest.", "one")
    discover.add_argument("store", metavar="STUDY.zarr", help="a store that sweep wrote")
    discover.add_argument("--target", required=True, metavar="'OUTCOME < X'", help="which cells are of interest")
    discover.add_argument("--method", type=one_of("prim", "tree"), default="prim", help="prim or tree")
    discover.add_argument(
        "--density", type=number(0.0, 1.0), default=0.8, help="share of interest that a box must reach"
    )
    discover.add_argument("--mass", type=number(0.0, 1.0), default=0.05, help="share of the cells that a box must hold")
    discover.add_argument("--boxes", type=count, metavar="N", help="the most boxes; default: all")

    _prior(command("export", "The model's inputs as a problem for SALib, as JSON.", "one"))
