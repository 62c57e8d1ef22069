"""Where everybody is: sites with their cells, terminals by the quality of their uplink."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.cells import cell_polygons
from analysis.figures.style import COLUMN_IN, FAINT, INK, legend_above, styled
from analysis.load import Experiment

_SIGHT = ((True, "o", "line of sight"), (False, "X", "no line of sight"))
HEIGHT_MARGIN_IN = 0.5
"""Height of labels and ticks beneath a map, inches."""
MOST_VECTOR_POINTS = 1500
"""More terminals than this are drawn as pixels inside the vector files, which would be slow to open otherwise."""


@styled
def draw_network_map(experiment: Experiment) -> Figure:
    """The network of the first seed that recorded terminals, as the flagship met it (all methods share it)."""
    terminals, stations = one_network(experiment)
    size, symbol = _unit(terminals, stations)
    sites = stations[["x_m", "y_m"]].drop_duplicates().to_numpy(dtype=float)
    outlines = [cell / size for cell in cell_polygons(sites, _reach(terminals, sites))]
    figure = Figure(figsize=(COLUMN_IN, _height(outlines)))
    axes = figure.add_subplot()
    cells = PolyCollection(outlines)
    cells.set(facecolor="#f5f7f9", edgecolor="#c3cad2", linewidth=0.7, zorder=1)
    axes.add_collection(cells)
    snr = terminals["uplink_snr_db"].to_numpy(dtype=float)
    known = snr[np.isfinite(snr)]
    low, high = np.quantile(known, (0.02, 0.98)) if known.size else (0.0, 1.0)
    scale = Normalize(low, max(high, low + 1e-9))
    palette = sns.color_palette("viridis", as_cmap=True)
    for sight, marker, _ in _SIGHT:
        mine = terminals[terminals["los"].astype(bool) == sight]
        axes.scatter(
            mine["x_m"] / size, mine["y_m"] / size, c=mine["uplink_snr_db"], cmap=palette, norm=scale,
            marker=marker, s=float(np.clip(2600 / max(len(terminals), 1), 5, 20)), edgecolors="white",
            linewidths=0.3, zorder=3, rasterized=len(terminals) > MOST_VECTOR_POINTS, plotnonfinite=True,
        )  # fmt: skip
    axes.scatter(
        sites[:, 0] / size,
        sites[:, 1] / size,
        marker="^",
        s=float(np.clip(400 / len(sites), 12, 34)),
        color=INK,
        edgecolors="white",
        linewidths=0.7,
        zorder=4,
    )
    _name_sites(axes, stations, size)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.autoscale_view()
    axes.set_xlabel(f"East ({symbol})")
    axes.set_ylabel(f"North ({symbol})")
    bar = figure.colorbar(
        ScalarMappable(scale, palette), ax=axes, orientation="vertical", shrink=0.8, aspect=30, pad=0.015
    )
    bar.set_label("Uplink SNR (dB)")
    bar.outline.set_visible(False)
    _explain(figure)
    return figure


def one_network(experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Terminals and base stations of one trial, the flagship's first where it recorded any."""
    terminals, stations = experiment.terminals, experiment.base_stations
    if stations.empty:
        return terminals.iloc[:0], stations
    method, seed = first_trial(experiment)
    here = (terminals["method"] == method) & (terminals["seed"] == seed)
    there = (stations["method"] == method) & (stations["seed"] == seed)
    return terminals[here], stations[there]


def first_trial(experiment: Experiment) -> tuple[str, int]:
    """Method and seed of the first trial that recorded base stations, the flagship's where it did."""
    order = {method.key: rank for rank, method in enumerate(experiment.ordered_methods)}
    trials = experiment.base_stations[["method", "seed"]].drop_duplicates()
    rank = trials["method"].map(order)
    method, seed = trials.assign(rank=rank).sort_values(["rank", "seed"])[["method", "seed"]].iloc[0]
    return str(method), int(seed)


def _reach(terminals: pd.DataFrame, sites: np.ndarray) -> float:
    """The largest distance of a terminal to its nearest site, metres."""
    points = terminals[["x_m", "y_m"]].dropna().to_numpy(dtype=float)
    if not len(points):
        return 1.0
    offsets = points[:, None, :] - sites[None, :, :]
    return float(np.hypot(offsets[..., 0], offsets[..., 1]).min(axis=1).max())


def _height(outlines: list[np.ndarray]) -> float:
    """Inches that leave no empty stripes around a map of this shape."""
    span = np.ptp(np.concatenate(outlines), axis=0)
    return HEIGHT_MARGIN_IN + 2.3 * float(np.clip(span[1] / max(span[0], 1e-9), 0.35, 2.0))


def _unit(terminals: pd.DataFrame, stations: pd.DataFrame) -> tuple[float, str]:
    places = pd.concat([terminals[["x_m", "y_m"]], stations[["x_m", "y_m"]]])
    return length_unit(float((places.max() - places.min()).max()))


def length_unit(span_m: float) -> tuple[float, str]:
    """The unit in which a map this wide is drawn: its size in metres, and its symbol."""
    return (1000.0, "km") if span_m > 2000 else (1.0, "m")


def _name_sites(axes: Axes, stations: pd.DataFrame, size: float) -> None:
    """Names beside the sites, beneath the terminals, while there are few enough to read them."""
    if len(stations) > 25:
        return
    for name, x, y in zip(stations["base_station"], stations["x_m"], stations["y_m"], strict=True):
        axes.annotate(
            str(name), (x / size, y / size), (0, -7.5), textcoords="offset points", ha="center", va="center",
            fontsize=5.0, color=FAINT, zorder=2,
        )  # fmt: skip


def _explain(figure: Figure) -> None:
    legend_above(
        figure,
        [
            Line2D([], [], linestyle="", marker="^", color=INK, markersize=5, label="site"),
            *(
                Line2D([], [], linestyle="", marker=marker, color=FAINT, markersize=4.5, label=name)
                for _, marker, name in _SIGHT
            ),
        ],
    )
