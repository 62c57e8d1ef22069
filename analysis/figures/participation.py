"""Who made it in time: outcomes of every invitation, and how long each class of device took."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from analysis.figures.steps import Span, scale_axis
from analysis.figures.style import COLUMN_IN, legend_above, looks, method_handles, styled
from analysis.load import OUTCOMES, Experiment
from analysis.quantities import Resource
from analysis.summaries import FINISH_QUANTILES, finish_times, outcome_counts

OUTCOME_COLOURS: Mapping[str, str] = {
    "merged": "#029e73",
    "late": "#f0c04a",
    "dropped": "#d55e00",
    "unavailable": "#b4bac1",
}
_INK_ON: Mapping[str, str] = {"merged": "white", "dropped": "white"}

ROUND_TIME = Resource("seconds", "round time", "Start of round to arrival", ((1e-3, "ms"), (1.0, "s"), (60.0, "min")))


@styled
def draw_outcomes(experiment: Experiment) -> Figure:
    """Share of invited terminals that were merged, late, dropped or unavailable, by method."""
    counts = outcome_counts(experiment)
    figure = Figure(figsize=(COLUMN_IN, 0.5 + 0.3 * max(len(counts), 1)))
    axes = figure.add_subplot()
    shares = counts.div(counts.sum(axis=1), axis=0)
    rows, left = np.arange(len(shares)), np.zeros(len(shares))
    for outcome in OUTCOMES:
        share = shares[outcome].to_numpy(dtype=float)
        colour = OUTCOME_COLOURS[outcome]
        axes.barh(rows, share, left=left, height=0.68, color=colour, edgecolor="white", linewidth=0.4)
        for row in map(int, np.flatnonzero(share >= 0.09)):
            middle = left[row] + share[row] / 2
            ink = _INK_ON.get(outcome, "#22262b")
            axes.text(middle, row, f"{100 * share[row]:.0f} %", ha="center", va="center", color=ink, fontsize=6.5)
        left = left + share
    axes.set_xlim(0, 1)
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.set_yticks(rows, [experiment.label(str(key)) for key in shares.index])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("Share of invited terminals")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    handles: list[Artist] = [Patch(facecolor=OUTCOME_COLOURS[name], label=name) for name in OUTCOMES]
    legend_above(figure, handles)
    return figure


@styled
def draw_finish_times(experiment: Experiment) -> Figure:
    """Time from the start of an edge round to the update's arrival: median, middle half and 5-95 % by class."""
    table = finish_times(experiment)
    medians = table.groupby("device_class")[0.5].median().sort_values(ascending=False)
    entries = {key: look for key, look in looks(experiment).items() if key in set(table["method"])}
    lane = 0.8 / max(len(entries), 1)
    height = 0.5 + max(len(medians), 1) * max(0.16 + 0.09 * len(entries), 0.3)
    figure = Figure(figsize=(COLUMN_IN, height))
    axes = figure.add_subplot()
    far, near = FINISH_QUANTILES[-1], FINISH_QUANTILES[0]
    top, least = float(table[far].max()), float(table[near].min())
    size = scale_axis(axes, Span(ROUND_TIME, least * 0.8, top, log=0 < least < top / 20))
    for place, (method, look) in enumerate(entries.items()):
        mine = table[table["method"] == method].set_index("device_class").reindex(medians.index)
        y = np.arange(len(medians)) + 0.4 - lane * (place + 0.5)
        q = {level: mine[level].to_numpy(dtype=float) / size for level in FINISH_QUANTILES}
        axes.hlines(y, q[0.05], q[0.95], color=look.colour, linewidth=0.8)
        axes.hlines(y, q[0.25], q[0.75], color=look.colour, linewidth=2.6)
        axes.scatter(
            q[0.5], y, s=15, marker=look.marker, color=look.colour, edgecolors="white", linewidths=0.6, zorder=4
        )
    axes.set_yticks(np.arange(len(medians)), [str(name) for name in medians.index])
    axes.set_ylim(-0.55, len(medians) - 0.45)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    legend_above(figure, method_handles(experiment, entries))
    return figure
