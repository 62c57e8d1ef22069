"""What every map has beneath it: cells, sectors, sites and where they face, scales in metres or kilometres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from analysis.figures.cells import Points
from analysis.figures.masts import Mast, masts, outlines_m, sector_borders_m
from analysis.figures.style import COLUMN_IN, FAINT, INK

HEIGHT_MARGIN_IN = 0.5
"""Height of labels and ticks beneath a map, inches."""
MOST_NAMES = 25
"""More sites than this are not named."""
BORDER = "#b3bcc6"
_WIDTH_IN = 2.3  # of the map itself
_NAME_IN = (0.34, 0.1)  # size of a name with some air around it


@dataclass(frozen=True)
class Ground:
    """A map's scale and what stands on it: `size` metres are one unit, written `symbol`."""

    places: list[Mast]
    outlines_m: list[Points]
    size: float
    symbol: str

    @property
    def sites_m(self) -> Points:
        """(places, 2) where they are."""
        return np.array([(mast.x_m, mast.y_m) for mast in self.places])


def length_unit(span_m: float) -> tuple[float, str]:
    """The unit in which a map this wide is drawn: its size in metres, and its symbol."""
    return (1000.0, "km") if span_m > 2000 else (1.0, "m")


def ground_of(terminals: pd.DataFrame, stations: pd.DataFrame) -> Ground:
    """The ground that terminals and base stations of one trial stand on."""
    places = masts(stations)
    sites = np.array([(mast.x_m, mast.y_m) for mast in places])
    everything = pd.concat([terminals[["x_m", "y_m"]], stations[["x_m", "y_m"]]])
    size, symbol = length_unit(float((everything.max() - everything.min()).max()))
    return Ground(places, outlines_m(places, _reach(terminals, sites)), size, symbol)


def _reach(terminals: pd.DataFrame, sites: Points) -> float:
    """The largest distance of a terminal to its nearest site, metres."""
    points = terminals[["x_m", "y_m"]].dropna().to_numpy(dtype=float)
    if not len(points):
        return 1.0
    offsets = points[:, None, :] - sites[None, :, :]
    return float(np.hypot(offsets[..., 0], offsets[..., 1]).min(axis=1).max())


def map_height(points: Points) -> float:
    """Inches that leave no empty stripes around a map of (n, 2) points."""
    span = np.ptp(points, axis=0)
    return HEIGHT_MARGIN_IN + _WIDTH_IN * float(np.clip(span[1] / max(span[0], 1e-9), 0.35, 2.0))


def new_map(ground: Ground) -> tuple[Figure, Axes]:
    """An empty map with its cells, sector borders and scales; `finish_map` puts the sites on top."""
    figure = Figure(figsize=(COLUMN_IN, map_height(np.concatenate(ground.outlines_m))))
    axes = figure.add_subplot()
    cells = PolyCollection([outline / ground.size for outline in ground.outlines_m])
    cells.set(facecolor="#f5f7f9", edgecolor=BORDER, linewidth=0.7, zorder=1)
    axes.add_collection(cells)
    borders = [
        border / ground.size
        for mast, outline in zip(ground.places, ground.outlines_m, strict=True)
        for border in sector_borders_m(mast, outline)
    ]
    axes.add_collection(LineCollection(borders, colors=BORDER, linewidths=0.5, linestyles=(0, (2.5, 1.5)), zorder=1.5))
    return figure, axes


def finish_map(axes: Axes, ground: Ground, named: bool) -> None:
    """Sites, the directions their antennas face, their names if they are few enough, and the axes."""
    draw_sites(axes, ground.places, ground.size, _boresight_m(ground))
    if named:
        for mast in _with_room(ground):
            axes.annotate(
                mast.label, (mast.x_m / ground.size, mast.y_m / ground.size), (0, -7.5), textcoords="offset points",
                ha="center", va="center", fontsize=5.0, color=FAINT, zorder=5,
                path_effects=[withStroke(linewidth=1.2, foreground="white")],
            )  # fmt: skip
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.autoscale_view()
    axes.set_xlabel(f"East ({ground.symbol})")
    axes.set_ylabel(f"North ({ground.symbol})")


def draw_sites(axes: Axes, places: list[Mast], size: float, boresight_m: float) -> None:
    """A triangle a site, with a stroke of some length towards wherever an antenna faces."""
    sites = np.array([(mast.x_m, mast.y_m) for mast in places])
    strokes = [
        np.array([site, site + boresight_m * np.array([np.cos(angle), np.sin(angle)])]) / size
        for mast, site in zip(places, sites, strict=True)
        for angle in np.deg2rad(mast.azimuths_deg)
    ]
    axes.add_collection(LineCollection(strokes, colors=INK, linewidths=0.9, zorder=3.8, capstyle="round"))
    axes.scatter(
        sites[:, 0] / size, sites[:, 1] / size, marker="^", s=float(np.clip(400 / len(sites), 12, 34)), color=INK,
        edgecolors="white", linewidths=0.6, zorder=4,
    )  # fmt: skip


def _boresight_m(ground: Ground) -> float:
    """Length of the strokes: a good part of the smallest cell's radius."""
    return 0.35 * min(
        float(np.hypot(*(outline - site).T).min())
        for site, outline in zip(ground.sites_m, ground.outlines_m, strict=True)
    )


def _with_room(ground: Ground) -> list[Mast]:
    """Sites that can be named: none if there are many, and none whose name would touch that of one before."""
    if len(ground.places) > MOST_NAMES:
        return []
    span_m = float(np.ptp(np.concatenate(ground.outlines_m), axis=0).max())
    room_m = np.array(_NAME_IN) * span_m / _WIDTH_IN
    named: list[int] = []
    for place, site in enumerate(ground.sites_m):
        if (np.abs(ground.sites_m[named] - site) > room_m).any(axis=1).all():
            named.append(place)
    return [ground.places[place] for place in named]
