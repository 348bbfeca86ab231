"""The look of all figures: readable in print and in gray."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Distinct in gray, too: the lightness of the colors rises along the list.
COLORS = ("#1b2a41", "#b2432f", "#3f7f93", "#c9922e", "#8aa66f", "#9c89b8")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
FILL = "#b9c6d3"

_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "figure.dpi": 130,
}


@contextmanager
def panels(rows: int, columns: int, width: float = 3.6, height: float = 2.6) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure with its axes in reading order, in the common style; the layout is tight at the end."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        yield figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def axis_label(variable: Any) -> str:
    """Words and unit of a labelled variable."""
    words = str(variable.attrs.get("long_name", variable.name))
    unit = variable.attrs.get("units", "1")
    return words if unit in ("", "1", None) else f"{words} ({unit})"
