"""Figures by matplotlib; labels come from the attributes of labelled results only.

Each function takes a result and returns a `matplotlib.figure.Figure`; nothing touches pyplot or global settings.
"""

from jaxecon.plots.bars import comparison_bars as comparison_bars
from jaxecon.plots.bars import elasticity_bars as elasticity_bars
from jaxecon.plots.bars import morris_scatter as morris_scatter
from jaxecon.plots.bars import sobol_bars as sobol_bars
from jaxecon.plots.fields import density_map as density_map
from jaxecon.plots.fields import margin_map as margin_map
from jaxecon.plots.fields import sweep_map as sweep_map
from jaxecon.plots.lines import FEW as FEW
from jaxecon.plots.lines import entry_lines as entry_lines
from jaxecon.plots.lines import path_bands as path_bands
from jaxecon.plots.lines import sweep_lines as sweep_lines
