"""Lines: outcomes along one axis of a sweep, and paths with bands over seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxecon.plots.style import COLORS, FILL, LINES, axis_label, panels

# Lines that colors and dashes tell apart.
FEW = len(COLORS)


def sweep_lines(sweep: xr.Dataset, outcomes: Sequence[str], *, log: bool = False) -> Figure:
    """Outcomes along the first axis of a sweep, a line for each value of the second axis, if there is one."""
    x, *rest = (str(d) for d in sweep.status.dims)
    if len(rest) > 1:
        raise ValueError(f"sweep_lines draws one or two axes, the sweep has {len(rest) + 1}")
    with panels(1, len(outcomes)) as (figure, axes):
        for ax, name in zip(axes, outcomes, strict=True):
            values = sweep[name]
            if rest:
                for k, level in enumerate(sweep[rest[0]].values[: len(COLORS)]):
                    label = f"{sweep[rest[0]].attrs.get('symbol', rest[0])} = {level:.3g}"
                    ax.plot(sweep[x], values.isel({rest[0]: k}), color=COLORS[k], ls=LINES[k], label=label)
            else:
                ax.plot(sweep[x], values, color=COLORS[0])
            ax.set(xlabel=axis_label(sweep[x]), ylabel=axis_label(values))
            if log:
                ax.set_xscale("log")
        if rest:
            axes[0].legend()
    return figure


def entry_lines(path: xr.Dataset, name: str) -> Figure:
    """A series with few entries (providers, types) over time, a line for each: at most `FEW`."""
    values = path[name]
    time, entry = (str(d) for d in values.dims)
    with panels(1, 1, width=5.0, height=3.0) as (figure, (ax,)):
        for k, label in enumerate(path[entry].values):
            ax.plot(path[time], values.isel({entry: k}), color=COLORS[k], ls=LINES[k], label=f"{entry} {label:g}")
        ax.set(xlabel=axis_label(path[time]), ylabel=axis_label(values))
        ax.legend()
    return figure


def _show_constants(ax: Any) -> None:
    """Draw a series that moves by less than a part in 10^4 as the constant that it is, not its last digits."""
    low, high = ax.get_ylim()
    middle = (low + high) / 2
    if high - low < 1e-4 * abs(middle):
        ax.set_ylim(middle - 0.05 * abs(middle), middle + 0.05 * abs(middle))


def path_bands(path: xr.Dataset, series: Sequence[str], *, columns: int = 3) -> Figure:
    """Series over time, one panel each; with a seed dimension the median and the band of the middle 80 %."""
    columns = min(columns, len(series))
    rows = -(-len(series) // columns)
    with panels(rows, columns, width=3.2, height=2.3) as (figure, axes):
        for ax, name in zip(axes, series, strict=False):
            values = path[name]
            time = next(d for d in values.dims if d != "seed")
            if "seed" in values.dims:
                low, middle, high = np.nanquantile(values.transpose("seed", time).values, [0.1, 0.5, 0.9], axis=0)
                ax.fill_between(path[time], low, high, color=FILL, lw=0)
                ax.plot(path[time], middle, color=COLORS[0])
            else:
                ax.plot(path[time], values, color=COLORS[0])
            ax.set(xlabel=axis_label(path[time]), title=axis_label(values))
            _show_constants(ax)
        for ax in axes[len(series) :]:
            ax.set_visible(False)
    return figure
