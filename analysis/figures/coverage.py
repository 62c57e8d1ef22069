"""Where the network reaches: downlink quality over the ground, before anybody's luck with small-scale fading."""

from __future__ import annotations

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from analysis.figures.network_map import HEIGHT_MARGIN_IN, length_unit
from analysis.figures.style import COLUMN_IN, INK, styled
from analysis.load import Experiment


@styled
def draw_coverage(experiment: Experiment) -> Figure:
    """SINR that the best site offers at each place, in the network of the first seed."""
    ground = experiment.coverage
    x_m, y_m = np.unique(ground["x_m"]), np.unique(ground["y_m"])
    column, row = np.searchsorted(x_m, ground["x_m"]), np.searchsorted(y_m, ground["y_m"])
    sinr_db = np.full((len(y_m), len(x_m)), np.nan)
    sinr_db[row, column] = ground["downlink_sinr_db"]
    size, symbol = length_unit(float(max(np.ptp(x_m), np.ptp(y_m))))
    aspect = float(np.clip(np.ptp(y_m) / max(np.ptp(x_m), 1e-9), 0.35, 2.0))
    figure = Figure(figsize=(COLUMN_IN, HEIGHT_MARGIN_IN + 2.3 * aspect))
    axes = figure.add_subplot()
    low, high = np.nanquantile(sinr_db, (0.02, 0.98))
    mesh = axes.pcolormesh(
        x_m / size, y_m / size, sinr_db, cmap=sns.color_palette("viridis", as_cmap=True),
        vmin=low, vmax=max(high, low + 1e-9), shading="nearest", rasterized=True,
    )  # fmt: skip
    stations = experiment.base_stations[["x_m", "y_m", "seed"]]
    sites = stations[stations["seed"] == ground["seed"].iloc[0]].drop_duplicates() / size
    axes.scatter(sites["x_m"], sites["y_m"], marker="^", s=14, color=INK, edgecolors="white", linewidths=0.6)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.set_xlabel(f"East ({symbol})")
    axes.set_ylabel(f"North ({symbol})")
    bar = figure.colorbar(mesh, ax=axes, shrink=0.8, aspect=30, pad=0.015)
    bar.set_label("Downlink SINR (dB)")
    bar.outline.set_visible(False)
    return figure
