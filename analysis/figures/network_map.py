"""Where everybody is: sites with their cells and sectors, terminals by the quality of their uplink."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.ground import finish_map, ground_of, new_map
from analysis.figures.style import FAINT, INK, legend_above, styled
from analysis.load import Experiment
from analysis.network import is_away, one_network

_SIGHT = ((True, "o", "line of sight"), (False, "X", "no line of sight"))
AWAY = "served by another cell"
MOST_VECTOR_POINTS = 1500
"""More terminals than this are drawn as pixels inside the vector files, which would be slow to open otherwise."""


@styled
def draw_network_map(experiment: Experiment) -> Figure:
    """The network of the first seed that recorded terminals, as the flagship left it."""
    terminals, stations = one_network(experiment)
    ground = ground_of(terminals, stations)
    figure, axes = new_map(ground)
    snr = terminals["uplink_snr_db"].to_numpy(dtype=float)
    known = snr[np.isfinite(snr)]
    low, high = np.quantile(known, (0.02, 0.98)) if known.size else (0.0, 1.0)
    scale, palette = Normalize(low, max(high, low + 1e-9)), sns.color_palette("viridis", as_cmap=True)
    away = is_away(terminals)
    _draw_terminals(axes, terminals.assign(away=away), ground.size, palette, scale)
    finish_map(axes, ground, named=True)
    bar = figure.colorbar(
        ScalarMappable(scale, palette), ax=axes, orientation="vertical", shrink=0.8, aspect=30, pad=0.015
    )
    bar.set_label("Uplink SNR (dB)")
    bar.outline.set_visible(False)
    _explain(figure, bool(away.any()))
    return figure


def _draw_terminals(axes: Axes, terminals: pd.DataFrame, size: float, palette: Colormap, scale: Normalize) -> None:
    """One mark a terminal; a dark edge for those that another cell serves."""
    area = float(np.clip(2600 / max(len(terminals), 1), 5, 20))
    sights, edges = {sight: marker for sight, marker, _ in _SIGHT}, {False: ("white", 0.3), True: (INK, 0.7)}
    for (sight, away), mine in terminals.groupby([terminals["los"].astype(bool), "away"]):
        colour, width = edges[bool(away)]
        axes.scatter(
            mine["x_m"] / size, mine["y_m"] / size, c=mine["uplink_snr_db"], cmap=palette, norm=scale,
            marker=sights[bool(sight)], s=area, edgecolors=colour, linewidths=width, zorder=3,
            rasterized=len(terminals) > MOST_VECTOR_POINTS, plotnonfinite=True,
        )  # fmt: skip


def _explain(figure: Figure, away: bool) -> None:
    mark: dict[str, Any] = {"linestyle": "", "markersize": 4.5, "color": FAINT}
    rings = [Line2D([], [], marker="o", label=AWAY, **mark, markeredgecolor=INK, markeredgewidth=0.9)] if away else []
    legend_above(
        figure,
        [
            Line2D([], [], linestyle="", marker="^", color=INK, markersize=5, label="site"),
            *(Line2D([], [], marker=marker, label=name, **mark) for _, marker, name in _SIGHT),
            *rings,
        ],
    )
