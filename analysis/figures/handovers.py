"""Changes of cell: how often and in which way, what happened to work in hand, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from analysis.cell_changes import ASSIGNMENTS, KINDS, changes_per_minute, work_in_hand
from analysis.figures.ground import finish_map, ground_of, new_map
from analysis.figures.network_map import MOST_VECTOR_POINTS
from analysis.figures.style import INK, PAGE_IN, legend_above, styled
from analysis.load import Experiment
from analysis.network import first_trial, of_trial, one_network
from analysis.quantities import number

KIND_COLOURS: Mapping[str, str] = {
    "handover": "#3a87c4",
    "failed": "#d55e00",
    "link_failure": "#7a1f1f",
    "reselection": "#b4bac1",
    "outage": "#7b3294",
}
KIND_MARKERS: Mapping[str, str] = {
    "handover": "o",
    "failed": "X",
    "link_failure": "v",
    "reselection": "s",
    "outage": "D",
}
WORK_COLOURS: Mapping[str, str] = {
    "computing": "#c6dbef",
    "migrated": "#029e73",
    "restarted": "#f0c04a",
    "dropped": "#d55e00",
}


@styled
def draw_handovers(experiment: Experiment) -> Figure:
    """Left: changes per moving terminal and minute by kind, and ping-pongs. Right: what became of work in hand."""
    rates, work = changes_per_minute(experiment), work_in_hand(experiment)
    figure = Figure(figsize=(PAGE_IN, 0.55 + 0.3 * max(len(rates), 1)))
    often, after = figure.subplots(1, 2, sharey=True, width_ratios=(1.35, 1.0))
    total = _stack(often, rates[list(KINDS)], KIND_COLOURS)
    rows = np.arange(len(rates))
    often.scatter(rates["ping_pong"], rows, marker="|", s=90, linewidths=1.6, color=INK, zorder=4)
    top = float(total.max()) if len(total) and total.max() > 0 else 1.0
    for row, amount in enumerate(total):
        often.text(amount + 0.015 * top, row, number(float(amount)), va="center", fontsize=7)
    often.set_xlim(0.0, 1.12 * top)
    often.set_xlabel("Changes of cell per moving terminal and minute")
    often.xaxis.set_major_locator(MaxNLocator(5, prune="upper"))
    often.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    counts = work.sum(axis=1)
    _stack(after, work.div(counts.where(counts > 0), axis=0).fillna(0.0), WORK_COLOURS)
    for row in np.flatnonzero(counts.to_numpy() == 0).tolist():
        after.text(0.01, row, "none met work in hand", va="center", fontsize=6.5)
    after.set_xlim(0.0, 1.0)
    after.set_xlabel("Share of the changes that met work in hand")
    after.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    often.set_yticks(rows, [experiment.label(str(key)) for key in rates.index])
    often.set_ylim(len(rates) - 0.5, -0.5)
    for axes in (often, after):
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
    tick = Line2D([], [], linestyle="", marker="|", markersize=8, markeredgewidth=1.6, color=INK, label="ping-pongs")
    legend_above(
        figure,
        [*_patches(rates, KINDS, KIND_COLOURS), tick],
        _patches(work, ASSIGNMENTS, WORK_COLOURS),
    )
    return figure


def _stack(axes: Axes, parts: pd.DataFrame, colours: Mapping[str, str]) -> np.ndarray:
    """Horizontal bars, one a row, of all columns one after the other; returns where they end."""
    rows, left = np.arange(len(parts)), np.zeros(len(parts))
    for name in parts:
        width = parts[name].to_numpy(dtype=float)
        axes.barh(rows, width, left=left, height=0.68, color=colours[str(name)], edgecolor="white", linewidth=0.4)
        left = left + width
    return left


def _patches(table: pd.DataFrame, names: Mapping[str, str], colours: Mapping[str, str]) -> list[Artist]:
    """Legend entries of what occurred at all."""
    return [Patch(facecolor=colours[key], label=name) for key, name in names.items() if table[key].gt(0).any()]


@styled
def draw_handover_map(experiment: Experiment) -> Figure:
    """Where terminals of the first trial changed cells, over the cells as the layout has them."""
    terminals, stations = one_network(experiment)
    changes = of_trial(experiment.handovers, *first_trial(experiment))
    ground = ground_of(pd.concat([terminals[["x_m", "y_m"]], changes[["x_m", "y_m"]]]), stations)
    figure, axes = new_map(ground)
    entries: list[Artist] = [Line2D([], [], linestyle="", marker="^", color=INK, markersize=5, label="site")]
    size = float(np.clip(2000 / max(len(changes), 1), 2.5, 12.0))
    for kind, name in KINDS.items():
        mine = changes[changes["kind"] == kind]
        if len(mine):
            style: dict[str, Any] = {"marker": KIND_MARKERS[kind], "color": KIND_COLOURS[kind]}
            axes.scatter(
                mine["x_m"] / ground.size, mine["y_m"] / ground.size, s=size, linewidths=0.0, alpha=0.75, zorder=3,
                rasterized=len(changes) > MOST_VECTOR_POINTS, **style,
            )  # fmt: skip
            entries.append(Line2D([], [], linestyle="", markersize=4.5, markeredgewidth=0.0, label=name, **style))
    finish_map(axes, ground, named=False)
    legend_above(figure, entries)
    return figure
