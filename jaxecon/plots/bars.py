"""Bars and points: sensitivities, and policies compared."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxecon.plots.style import COLORS, FILL, panels


def _order(values: np.ndarray, top: int) -> np.ndarray:
    """Indices of the `top` largest magnitudes, the largest last, as horizontal bars want it."""
    size = np.where(np.isfinite(values), np.abs(values), -1.0)
    return np.argsort(size)[-top:]


def elasticity_bars(sensitivity: xr.Dataset, outcome: str, *, top: int = 12) -> Figure:
    """Exact elasticities of one outcome, the largest at the top."""
    one = sensitivity.sel(outcome=outcome)
    values = one["elasticity"].values
    keep = _order(values, top)
    with panels(1, 1, width=5.2, height=0.24 * len(keep) + 0.9) as (figure, (ax,)):
        ax.barh(
            one.parameter.values[keep], values[keep], color=[COLORS[1] if v < 0 else COLORS[0] for v in values[keep]]
        )
        ax.axvline(0, color="0.3", lw=0.8)
        ax.set(xlabel=f"elasticity of {outcome.replace('_', ' ')} (percent per percent)")
        ax.grid(axis="y", visible=False)
    return figure


def sobol_bars(sensitivity: xr.Dataset, outcome: str, *, top: int = 12) -> Figure:
    """First-order and total Sobol indices of one outcome with their confidence intervals."""
    one = sensitivity.sel(outcome=outcome)
    keep = _order(one["total"].values, top)
    place = np.arange(len(keep))
    with panels(1, 1, width=5.2, height=0.3 * len(keep) + 0.9) as (figure, (ax,)):
        for name, shift, color in (("total", 0.2, COLORS[0]), ("first", -0.2, FILL)):
            ax.barh(place + shift, one[name].values[keep], 0.38, color=color, label=f"{name} order")
            ax.errorbar(
                one[name].values[keep],
                place + shift,
                xerr=one[f"{name}_ci"].values[keep],
                fmt="none",
                ecolor="0.2",
                lw=0.9,
            )
        ax.set_yticks(place, one.parameter.values[keep])
        ax.set(xlabel=f"share of the variance of {outcome.replace('_', ' ')}")
        ax.grid(axis="y", visible=False)
        ax.legend(loc="lower right")
    return figure


def morris_scatter(sensitivity: xr.Dataset, outcome: str, *, top: int = 8) -> Figure:
    """Morris screening of one outcome: mean absolute effect against its spread."""
    one = sensitivity.sel(outcome=outcome)
    with panels(1, 1, width=4.6, height=3.2) as (figure, (ax,)):
        ax.scatter(one.mu_star, one.sigma, color=COLORS[0], s=16)
        for k in _order(one.mu_star.values, top):
            ax.annotate(
                str(one.parameter.values[k]),
                (one.mu_star.values[k], one.sigma.values[k]),
                xytext=(4, 3),
                textcoords="offset points",
                fontsize=8,
            )
        ax.set(xlabel=f"mean absolute effect on {outcome.replace('_', ' ')}", ylabel="spread of the effect")
    return figure


def comparison_bars(values: Mapping[str, float], label: str, *, reference: str | None = None) -> Figure:
    """One outcome under several policies; with a `reference` the differences from it."""
    base = values[reference] if reference else 0.0
    shown = {k: v - base for k, v in values.items() if k != reference}
    names, sizes = list(shown)[::-1], np.array(list(shown.values()))[::-1]
    with panels(1, 1, width=5.4, height=0.28 * len(names) + 0.9) as (figure, (ax,)):
        ax.barh([n.replace("_", " ") for n in names], sizes, color=[COLORS[1] if v < 0 else COLORS[0] for v in sizes])
        ax.axvline(0, color="0.3", lw=0.8)
        ax.set(xlabel=f"{label}, difference from {reference.replace('_', ' ')}" if reference else label)
        ax.grid(axis="y", visible=False)
    return figure
