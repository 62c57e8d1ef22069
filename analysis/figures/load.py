"""How busy the air was: airtime of every cell over time, and the number of simultaneous uploads."""

from __future__ import annotations

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from analysis.figures.network_map import first_trial
from analysis.figures.style import COLUMN_IN, FAINT, legend_above, styled
from analysis.load import Experiment
from analysis.occupancy import Occupancy, occupancy
from analysis.quantities import TIME

BINS = 80
"""Times a run is cut into: what a column of print can resolve."""
MOST_NAMES = 25
"""More cells than this are not named."""


@styled
def draw_load(experiment: Experiment) -> Figure:
    """Above: uploads at once, mean over cells and in the busiest one. Below: airtime of each cell's uplink."""
    air = occupancy(experiment, *first_trial(experiment), BINS)
    stripes_in = float(np.clip(0.1 * len(air.cells), 0.5, 2.6))
    figure = Figure(figsize=(COLUMN_IN, 1.55 + stripes_in))
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1.0, stripes_in]})
    size, symbol = TIME.unit(float(air.edges_s[-1]))
    times = air.edges_s / size
    lines = {
        "mean over cells": (air.uploads.mean(axis=0), {"color": sns.color_palette("colorblind")[0], "linewidth": 1.3}),
        "busiest cell": (air.uploads.max(axis=0), {"color": FAINT, "linewidth": 0.7}),
    }
    for uploads, line in reversed(lines.values()):
        above.stairs(uploads, times, **line)
    above.set_ylabel("Uploads at once")
    above.set_ylim(0.0, None)
    _draw_airtime(figure, below, air, times)
    below.set_xlabel(f"{TIME.axis} ({symbol})")
    legend_above(figure, [Line2D([], [], label=name, **line) for name, (_, line) in lines.items()])
    return figure


def _draw_airtime(figure: Figure, axes: Axes, air: Occupancy, times: np.ndarray) -> None:
    """One stripe a cell, brighter the longer its uplink was on the air."""
    palette = sns.color_palette("viridis", as_cmap=True)
    rows = np.arange(len(air.cells) + 1) - 0.5
    mesh = axes.pcolormesh(times, rows, air.busy, cmap=palette, vmin=0.0, vmax=1.0, rasterized=True)
    axes.set_ylim(len(air.cells) - 0.5, -0.5)
    axes.grid(visible=False)
    if len(air.cells) <= MOST_NAMES:
        axes.set_yticks(range(len(air.cells)), air.cells, fontsize=5.0)
        axes.tick_params(axis="y", length=0)
    else:
        axes.set_ylabel("Cell")
    bar = figure.colorbar(mesh, ax=axes, shrink=0.9, aspect=25, pad=0.015, format=PercentFormatter(1.0, symbol=" %"))
    bar.set_label("Uplink airtime")
    bar.outline.set_visible(False)
