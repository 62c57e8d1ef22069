"""Where the network reaches: downlink quality over the ground, before anybody's luck with small-scale fading."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import AbstractPathEffect, withStroke
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from analysis.figures.ground import draw_sites, length_unit, map_height
from analysis.figures.masts import masts
from analysis.figures.style import COLUMN_IN, INK, legend_above, styled
from analysis.load import Experiment
from analysis.network import of_trial

FloatArray = NDArray[np.float64]
BORDER = "white"
OUTLINED: list[AbstractPathEffect] = [withStroke(linewidth=1.3, foreground=INK)]
"""What makes a white line visible on any colour, and on paper."""
WINDOW = 7
"""Places across the window over which cells are smoothed."""


@styled
def draw_coverage(experiment: Experiment) -> Figure:
    """SINR that the best cell offers at each place, and where, by and large, another cell becomes the best."""
    ground = experiment.coverage
    x_m, y_m = (np.unique(ground[axis].to_numpy(dtype=float)) for axis in ("x_m", "y_m"))
    size, symbol = length_unit(float(max(np.ptp(x_m), np.ptp(y_m))))
    column, row = np.searchsorted(x_m, ground["x_m"]), np.searchsorted(y_m, ground["y_m"])
    sinr_db = np.full((len(y_m), len(x_m)), np.nan)
    sinr_db[row, column] = ground["downlink_sinr_db"]
    best = np.full(sinr_db.shape, -1)
    best[row, column] = pd.factorize(ground["base_station"])[0]
    figure = Figure(figsize=(COLUMN_IN, map_height(np.array([(x_m[0], y_m[0]), (x_m[-1], y_m[-1])]))))
    axes = figure.add_subplot()
    low, high = np.nanquantile(sinr_db, (0.02, 0.98))
    mesh = axes.pcolormesh(
        x_m / size, y_m / size, sinr_db, cmap=sns.color_palette("viridis", as_cmap=True),
        vmin=low, vmax=max(high, low + 1e-9), shading="nearest", rasterized=True,
    )  # fmt: skip
    bordered = _draw_borders(axes, best, x_m / size, y_m / size)
    _draw_sites(axes, experiment, size)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.set_xlabel(f"East ({symbol})")
    axes.set_ylabel(f"North ({symbol})")
    bar = figure.colorbar(mesh, ax=axes, shrink=0.8, aspect=30, pad=0.015, extend="both", extendfrac=0.02)
    bar.set_label("Best downlink SINR (dB)")
    bar.outline.set_visible(False)
    site = Line2D([], [], linestyle="", marker="^", color=INK, markersize=5, label="site")
    border = Line2D([], [], color=BORDER, linewidth=0.6, path_effects=OUTLINED, label="border between cells, smoothed")
    legend_above(figure, [site, border] if bordered else [site])
    return figure


def leads(best: NDArray[np.int64]) -> FloatArray:
    """How far ahead each cell is around each place: its share of the places nearby, less that of the best other one.

    Shadowing makes islands of a few places that nobody would draw as cells; shares over a window leave them out.

    Args:
        best: (rows, columns) number of the best cell at each place, -1 where none is known.

    Returns:
        (cells, rows, columns), above 0 where the cell has the most of the window.
    """
    count = int(best.max()) + 1
    shares = np.stack([uniform_filter((best == cell).astype(float), WINDOW, mode="nearest") for cell in range(count)])
    if count == 1:
        return shares
    first_two = np.partition(shares, count - 2, axis=0)[-2:]
    return np.where(shares >= first_two[1], shares - first_two[0], shares - first_two[1])


def _draw_borders(axes: Axes, best: NDArray[np.int64], x: FloatArray, y: FloatArray) -> bool:
    """Lines along which another cell becomes the best; returns whether there are any."""
    if min(best.shape) < 2 or len(np.unique(best)) < 2:
        return False
    for lead in leads(best):
        if lead.min() < 0.0 < lead.max():
            lines = axes.contour(x, y, lead, levels=[0.0], colors=BORDER, linewidths=0.6, zorder=3)
            lines.set_path_effects(OUTLINED)
    return True


def _draw_sites(axes: Axes, experiment: Experiment, size: float) -> None:
    """Sites of the seed whose ground is shown, from any method that recorded them."""
    stations = experiment.base_stations
    stations = stations[stations["seed"] == experiment.coverage["seed"].iloc[0]]
    if len(stations):
        places = masts(of_trial(stations, *stations.iloc[0][["method", "seed"]]))
        draw_sites(axes, places, size, 0.0)
