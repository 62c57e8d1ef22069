"""Who gains and who is left behind: the final metric of every task under every method."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import COLUMN_IN, FAINT, legend_above, looks, method_handles, styled
from analysis.load import Experiment
from analysis.scales import chance_of, scale_of
from analysis.summaries import final_by_task

MOST_TASKS = 50
"""More rows than this cannot be told apart on a page; then the tasks with the lowest means are shown."""


@styled
def draw_tasks(experiment: Experiment) -> Figure:
    """Final score by task, mean over seeds: one row a task, one marker a method.

    Tasks are sorted by the flagship's value, its best on top.
    """
    table = final_by_task(experiment).pivot(index="task", columns="method", values="mean")
    table = table.dropna(how="all")
    shown = table.loc[table.mean(axis=1).sort_values().index[:MOST_TASKS]]
    key = experiment.flagship if experiment.flagship in shown else shown.columns[0]
    shown = shown.sort_values(key, kind="stable", na_position="first")
    spacing = 0.2 if len(shown) <= 20 else 0.145
    figure = Figure(figsize=(COLUMN_IN, 0.5 + spacing * max(len(shown), 4)))
    axes = figure.add_subplot()
    rows = np.arange(len(shown))
    for row in rows[::2]:
        axes.axhspan(row - 0.5, row + 0.5, color="#f3f5f7", zorder=0.5)
    entries = looks(experiment)
    lanes = np.linspace(-0.27, 0.27, len(entries)) if len(entries) > 1 else np.zeros(1)
    for rank, method in enumerate(reversed(entries)):
        if method in shown:
            flag = method == experiment.flagship
            axes.scatter(
                shown[method], rows + lanes[rank], s=24 if flag else 15, marker=entries[method].marker,
                color=entries[method].colour, edgecolors="white", linewidths=0.5, zorder=3 + rank,
                alpha=1.0 if flag else 0.9,
            )  # fmt: skip
    low, high = float(np.nanmin(shown.to_numpy())), float(np.nanmax(shown.to_numpy()))
    chance = chance_of(experiment, shown.index)
    axes.vlines(chance, rows - 0.5, rows + 0.5, color=FAINT, linewidth=0.8, linestyle=(0, (0.8, 1.2)), zorder=1.5)
    axes.set_xlim(min(low, chance.min()) - 0.03, high + 0.03)
    axes.set_ylim(-0.5, len(shown) - 0.5)
    axes.set_yticks(rows, [_short(task) for task in shown.index], fontsize=7 if len(shown) <= 20 else 6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    hidden = len(table) - len(shown)
    note = f" ({len(shown)} lowest of {len(table)} tasks)" if hidden else ""
    axes.set_xlabel(f"{scale_of(experiment).main.name} ({experiment.split}){note}")
    legend_above(figure, method_handles(experiment, shown.columns))
    return figure


def _short(task: object, length: int = 20) -> str:
    text = str(task)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def worst_task(table: pd.DataFrame, method: str) -> str | None:
    """Name of the task with the lowest mean of a method in a `final_by_task` table; None where it has none."""
    rows = table[(table["method"] == method) & table["mean"].notna()]
    return None if rows.empty else str(rows.sort_values("mean", kind="stable")["task"].iloc[0])
