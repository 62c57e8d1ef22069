"""What the controller chose: local iterations H and base-station rounds K in each cloud round."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from analysis.figures.style import COLUMN_IN, Look, legend_above, looks, method_handles, styled
from analysis.intervals import mean_interval
from analysis.load import Experiment
from analysis.quantities import number

_CHOICES = (("local_iterations", "Local iterations H"), ("bs_iterations", "Edge rounds K"))


def choices_by_round(experiment: Experiment, column: str) -> pd.DataFrame:
    """Mean choice over seeds at cloud events: method, cloud_round, mean, seeds; without what was not recorded."""
    rounds = experiment.rounds
    rounds = rounds[(rounds["event"] == "cloud") & rounds[column].notna()]
    rows = []
    for (method, cloud_round), values in rounds.groupby(["method", "cloud_round"])[column]:
        interval = mean_interval(values.to_numpy(dtype=float))
        rows.append((method, cloud_round, float(interval.mean), int(interval.count)))
    return pd.DataFrame(rows, columns=["method", "cloud_round", "mean", "seeds"])


@styled
def draw_control(experiment: Experiment) -> Figure:
    """H and K against the cloud round, mean over seeds.

    Methods often share a constant, so the first are drawn widest and the last narrowest: none hides another.
    """
    figure = Figure(figsize=(COLUMN_IN, 3.0))
    panels = figure.subplots(2, 1, sharex=True)
    entries = looks(experiment)
    shown: set[str] = set()
    for axes, (column, label) in zip(panels, _CHOICES, strict=True):
        table = choices_by_round(experiment, column)
        present = [key for key in entries if key in set(table["method"])]
        for place, key in enumerate(present):
            _draw_choice(axes, table[table["method"] == key], entries[key], place, len(present))
        shown |= set(present)
        means = table["mean"].to_numpy(dtype=float)
        if means.size and means.min() > 0 and means.max() > 20 * means.min():
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
            axes.yaxis.set_minor_formatter(NullFormatter())
        elif means.size:
            axes.set_ylim(0, means.max() * 1.12 + 0.5)
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_ylabel(label)
    panels[-1].set_xlabel("Cloud round")
    panels[-1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend_above(figure, method_handles(experiment, shown))
    return figure


def _draw_choice(axes: Axes, rows: pd.DataFrame, look: Look, place: int, of: int) -> None:
    rows = rows.sort_values("cloud_round")
    width = float(np.interp(place, (0, max(of - 1, 1)), (3.4, 1.0)))
    stride = max(1, -(-len(rows) // 8))
    axes.plot(
        rows["cloud_round"], rows["mean"], color=look.colour, linewidth=width, drawstyle="steps-mid", zorder=3 + place
    )
    some = rows.iloc[place % stride :: stride]
    axes.plot(
        some["cloud_round"], some["mean"], linestyle="", marker=look.marker, markersize=4.0, color=look.colour,
        markeredgecolor="white", markeredgewidth=0.5, zorder=20 - place,
    )  # fmt: skip
