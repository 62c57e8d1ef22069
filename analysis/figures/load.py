"""How busy the cells were with uploads: how many at once, and for which share of the time there was any."""

from __future__ import annotations

from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.figures.style import COLUMN_IN, FAINT, legend_above, styled
from analysis.load import Experiment
from analysis.network import first_trial
from analysis.occupancy import Occupancy, occupancy
from analysis.quantities import TIME

BINS = 80
"""Times a run is cut into: what a column of print can resolve."""
MOST_NAMES = 25
"""More cells than this are not named."""
_THIN: dict[str, Any] = {"color": FAINT, "linewidth": 0.7}


@styled
def draw_load(experiment: Experiment) -> Figure:
    """Above: uploads at once, mean over cells and in the busiest one. Below: time with uploads in each cell."""
    air = occupancy(experiment, *first_trial(experiment), BINS)
    stripes_in = float(np.clip(0.1 * len(air.cells), 0.35, 2.6))
    figure = Figure(figsize=(COLUMN_IN, 1.55 + stripes_in))
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1.0, stripes_in]})
    size, symbol = TIME.unit(float(air.edges_s[-1]))
    times = air.edges_s / size
    thick: dict[str, Any] = {"color": sns.color_palette("colorblind")[0], "linewidth": 1.3}
    if len(air.cells) == 1:
        lines = {"the only cell": (air.uploads[0], thick)}
    else:
        lines = {
            "mean over cells": (air.uploads.mean(axis=0), thick),
            "busiest cell": (air.uploads.max(axis=0), _THIN),
        }
    for uploads, line in reversed(lines.values()):
        above.stairs(uploads, times, baseline=None, **line)
    above.set_ylabel("Uploads at once")
    above.set_ylim(0.0, None)
    above.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    _draw_busy(figure, below, air, times)
    below.set_xlabel(f"{TIME.axis} ({symbol})")
    below.set_xlim(0.0, times[-1])
    legend_above(figure, [Line2D([], [], label=name, **line) for name, (_, line) in lines.items()])
    return figure


def _draw_busy(figure: Figure, axes: Axes, air: Occupancy, times: np.ndarray) -> None:
    """One stripe a cell, brighter the longer it had uploads."""
    palette = sns.color_palette("viridis", as_cmap=True)
    rows = np.arange(len(air.cells) + 1) - 0.5
    mesh = axes.pcolormesh(
        times, rows, air.busy, cmap=palette, vmin=0.0, vmax=max(float(air.busy.max()), 0.01), rasterized=True
    )
    axes.set_ylim(len(air.cells) - 0.5, -0.5)
    axes.grid(visible=False)
    if len(air.cells) <= MOST_NAMES:
        axes.set_yticks(range(len(air.cells)), air.cells, fontsize=5.0)
        axes.tick_params(axis="y", length=0)
    else:
        axes.set_ylabel("Cell, in recorded order")
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    short = len(air.cells) < 8
    bar = figure.colorbar(
        mesh,
        ax=[axes.figure.axes[0], axes] if short else axes,
        shrink=0.9,
        aspect=25,
        pad=0.015,
        format=PercentFormatter(1.0, symbol=" %"),
    )
    bar.set_label("Time with uploads")
    bar.outline.set_visible(False)
