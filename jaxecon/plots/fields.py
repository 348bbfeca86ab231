"""Maps: sweeps over two axes, densities over time, margins of claims with their boundary."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxecon.plots.style import axis_label, panels


def sweep_map(sweep: xr.Dataset, outcome: str) -> Figure:
    """One outcome over the two axes of a sweep; cells that are not solved are hatched."""
    if len(sweep.status.dims) != 2:
        raise ValueError(f"sweep_map draws two axes, the sweep has {len(sweep.status.dims)}")
    y, x = (str(d) for d in sweep.status.dims)
    with panels(1, 1, width=4.8, height=3.4) as (figure, (ax,)):
        ax.set_facecolor("#f2f2f2")
        ax.grid(visible=False)
        drawn = ax.pcolormesh(sweep[x], sweep[y], sweep[outcome], cmap="cividis", shading="nearest", rasterized=True)
        failed = np.where(sweep.status.values != 0, 1.0, np.nan)
        if np.isfinite(failed).any():
            ax.contourf(sweep[x], sweep[y], np.nan_to_num(failed), levels=[0.5, 1.5], colors="none", hatches=["///"])
        figure.colorbar(drawn, ax=ax, label=axis_label(sweep[outcome]))
        ax.set(xlabel=axis_label(sweep[x]), ylabel=axis_label(sweep[y]))
    return figure


def density_map(path: xr.Dataset, name: str) -> Figure:
    """A density over time: time along the page, its other dimension up."""
    values = path[name]
    time, state = (str(d) for d in values.dims)
    with panels(1, 1, width=5.0, height=3.0) as (figure, (ax,)):
        ax.grid(visible=False)
        top = float(np.nanquantile(values, 0.995))
        drawn = ax.pcolormesh(
            path[time],
            path[state],
            values.T,
            cmap="Greys",
            vmin=0,
            vmax=top or None,
            shading="nearest",
            rasterized=True,
        )
        figure.colorbar(drawn, ax=ax, label=axis_label(values))
        ax.set(xlabel=axis_label(path[time]), ylabel=axis_label(path[state]))
    return figure


def margin_map(boundary: Any, title: str = "") -> Figure:
    """Margin of a claim over its two most influential parameters; it holds where blue, the line is the boundary.

    `boundary`: a `jaxecon.analysis.boundary.BoundaryMap`, a map or the draws themselves as points.
    """
    x, y, margin = boundary.x_values, boundary.y_values, boundary.margin
    size = float(np.nanquantile(np.abs(margin), 0.98)) or 1.0
    look: dict[str, Any] = {"cmap": "RdBu", "vmin": -size, "vmax": size, "rasterized": True}
    with panels(1, 1, width=4.6, height=3.2) as (figure, (ax,)):
        ax.set_facecolor("#d9d9d9")
        ax.grid(visible=False)
        if margin.ndim == 1:
            for holds, marker in ((True, "o"), (False, "X")):
                chosen = (margin > 0) == holds
                words = "holds" if holds else "fails"
                drawn = ax.scatter(
                    x[chosen],
                    y[chosen],
                    s=22,
                    c=margin[chosen],
                    marker=marker,
                    edgecolors="0.25",
                    lw=0.4,
                    label=words,
                    **look,
                )
            ax.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0), frameon=True)
        else:
            drawn = ax.pcolormesh(x, y, margin, shading="nearest", **look)
            if np.nanmin(margin) < 0 < np.nanmax(margin):
                ax.contour(x, y, margin, levels=[0.0], colors="k", linewidths=1.4)
        figure.colorbar(drawn, ax=ax, label="margin (holds where positive)")
        ax.set(xlabel=boundary.x, ylabel=boundary.y, title=title)
    return figure
