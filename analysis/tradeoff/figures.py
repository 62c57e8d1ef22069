"""Figures of a study: how the outcome responds to the axes, what can be had for how much, and what targets cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter
from numpy.typing import ArrayLike

from analysis.curves import TrialCurve
from analysis.figures.steps import BAND_SEEDS
from analysis.figures.style import (
    COLUMN_IN,
    INK,
    PAGE_IN,
    Look,
    handles_of,
    legend_above,
    looks_of,
    styled,
)
from analysis.intervals import mean_interval
from analysis.quantities import ENERGY, TIME, Resource, number, resource
from analysis.tradeoff.fronts import SHARES
from analysis.tradeoff.load import Study
from analysis.tradeoff.prices import GAP, shares_reached

MOST_PANELS = 6
"""Values of a second axis that get a panel each; of more, the first, the last and some between are drawn."""

_PANEL_IN = 2.0


def _limits(axes: Axes, values: Sequence[float]) -> None:
    """Value limits with some air around the finite ones."""
    finite = np.array([value for value in values if np.isfinite(value)])
    if finite.size:
        span = max(float(finite.max() - finite.min()), 0.02)
        axes.set_ylim(finite.min() - 0.08 * span, finite.max() + 0.08 * span)


def _interval(values: pd.Series) -> tuple[float, float]:
    """Ends of the 95 % t interval of a mean over seeds; none where a band would hide everything."""
    interval = mean_interval(values.to_numpy(dtype=float))
    if interval.count < BAND_SEEDS:
        return float("nan"), float("nan")
    return float(interval.low), float(interval.high)


def panels_of(study: Study, frame: pd.DataFrame) -> tuple[str, str | None, list[object]]:
    """The field along the axis of a response, the field that tells panels apart, and the values that get one.

    Along the axis goes the leader of the group of fields with most values; the next group makes panels.
    """
    groups = sorted(study.together, key=lambda group: -frame[group[0]].nunique())
    along, second = groups[0][0], groups[1][0] if len(groups) > 1 else None
    if second is None:
        return along, None, [None]
    values = list(dict.fromkeys(frame[second]))
    if len(values) > MOST_PANELS:
        values = [values[place] for place in np.linspace(0, len(values) - 1, MOST_PANELS).round().astype(int)]
    return along, second, values


@styled
def draw_response(study: Study, frame: pd.DataFrame, column: str, label: str) -> Figure:
    """A column against the axis with most values, a panel for each value of the next; means over what is left."""
    along, second, values = panels_of(study, frame)
    columns = min(3, len(values))
    rows = -(-len(values) // columns)
    width = COLUMN_IN if columns == 1 else PAGE_IN
    figure = Figure(figsize=(width, _PANEL_IN * rows + 0.3))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    entries = looks_of(study.methods)
    for axes, value in zip(grid, values, strict=False):
        part = frame if second is None else frame[frame[second] == value]
        part = part.groupby([along, "method", "seed"], sort=False)[column].mean().reset_index()
        _response_panel(axes, study, part.rename(columns={column: "y"}), along, entries)
        if second is not None:
            axes.set_title(f"{_label(study, second)} {number(value) if isinstance(value, float) else value}")
    for axes in grid[len(values) :]:
        axes.set_visible(False)
    for place, axes in enumerate(grid[: len(values)]):
        below = place + columns >= len(values)
        axes.tick_params(labelbottom=below)
        axes.set_xlabel(_label(study, along) if below else "")
        axes.set_ylabel(label if place % columns == 0 else "")
    legend_above(figure, handles_of(entries, frame["method"], study.flagship))
    return figure


def _response_panel(axes: Axes, study: Study, part: pd.DataFrame, along: str, entries: dict[str, Look]) -> None:
    order = [key for key in entries if key in set(part["method"])]
    sns.lineplot(
        part, x=along, y="y", hue="method", style="method", hue_order=order, style_order=order,
        palette={key: entries[key].colour for key in order}, markers={key: entries[key].marker for key in order},
        dashes=False, errorbar=_interval, err_kws={"alpha": 0.15, "linewidth": 0}, markersize=4.0,
        markeredgewidth=0.4, sort=part[along].dtype.kind == "f", legend=False, ax=axes,
    )  # fmt: skip
    if any(axis.field == along and axis.log for axis in study.axes):
        axes.set_xscale("log")
        _few_plain_ticks(axes)


def _few_plain_ticks(axes: Axes) -> None:
    """Numbers at 1, 2 and 5 of a logarithmic axis, written out."""
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _label(study: Study, field: str) -> str:
    return next(axis.label for axis in study.axes if axis.field == field)


@styled
def draw_fronts(study: Study, attained: dict[str, pd.DataFrame], configured: pd.DataFrame) -> Figure:
    """Best score reached by each amount, a panel a resource: surface that half of the seeds attain, band between those
    that a quarter and three quarters attain. Last panel: energy, time and score of all configurations.
    """
    panels = [key for key, frame in attained.items() if not frame.empty]
    figure = Figure(figsize=(PAGE_IN, 2.3 if len(panels) < 3 else 4.3))
    columns = len(panels) + 1 if len(panels) < 3 else 2
    grid = figure.subplots(-(-(len(panels) + 1) // columns), columns, squeeze=False).ravel()
    entries = looks_of(study.methods)
    for axes, key in zip(grid, panels, strict=False):
        _surface_panel(axes, attained[key], resource(key), entries, study)
    _scatter_panel(figure, grid[len(panels)], configured, entries, study)
    for axes in grid[len(panels) + 1 :]:
        axes.set_visible(False)
    legend_above(figure, handles_of(entries, configured["method"], study.flagship))
    return figure


def _surface_panel(axes: Axes, frame: pd.DataFrame, entry: Resource, entries: dict[str, Look], study: Study) -> None:
    amounts = frame["amount"].to_numpy()
    least, top = float(amounts[amounts > 0].min(initial=amounts.max())), float(amounts.max())
    log = top > 20 * least > 0
    size, symbol = entry.unit(float(np.sqrt(least * top)) if log else top)
    few, middle, many = map(str, SHARES)
    for rank, (key, look) in enumerate(reversed(entries.items())):
        rows = frame[frame["method"] == key]
        x = rows["amount"].to_numpy() / size
        width = 2.0 if key == study.flagship else 1.3
        axes.fill_between(x, rows[many], rows[few], step="post", color=look.colour, alpha=0.15, linewidth=0)
        z = 3 + 0.1 * rank
        axes.plot(x, rows[middle], drawstyle="steps-post", color=look.colour, linewidth=width, zorder=z)
        _mark(axes, x[-1:], rows[middle].iloc[-1:], look, z)
    if log:
        axes.set_xscale("log")
        axes.set_xlim(least / size, top / size * 1.05)
        _few_plain_ticks(axes)
    axes.set_xlabel(f"{entry.axis} ({symbol})" if symbol else entry.axis)
    axes.set_ylabel(study.questions.label)
    _limits(axes, frame[middle].to_list())


def _mark(axes: Axes, x: ArrayLike, y: ArrayLike, look: Look, zorder: float) -> None:
    """A method's marker, at the end of its line."""
    axes.plot(
        x, y, marker=look.marker, markersize=4.5, color=look.colour, markeredgecolor="white", markeredgewidth=0.6,
        zorder=zorder + 1, clip_on=False,
    )  # fmt: skip


def _scatter_panel(
    figure: Figure, axes: Axes, configured: pd.DataFrame, entries: dict[str, Look], study: Study
) -> None:
    """Energy against time of every configuration, coloured by score; those that nothing beats have an edge."""
    measure = study.questions.measure
    sizes = {e.key: e.unit(float(configured[e.key].median())) for e in (ENERGY, TIME)}
    scores = configured[measure]
    palette = sns.color_palette("viridis", as_cmap=True)
    drawn = None
    for key, look in entries.items():
        for front in (False, True):
            rows = configured[(configured["method"] == key) & (configured["front"] == front)]
            drawn = axes.scatter(
                rows["time_s"] / sizes["time_s"][0], rows["energy_j"] / sizes["energy_j"][0], c=rows[measure],
                vmin=scores.min(), vmax=scores.max(), cmap=palette, marker=look.marker, s=26 if front else 12,
                edgecolors=INK if front else "none", linewidths=0.9 if front else 0.0, alpha=1.0 if front else 0.6,
            )  # fmt: skip
    for setter, entry, scale in ((axes.set_xlabel, TIME, axes.set_xscale), (axes.set_ylabel, ENERGY, axes.set_yscale)):
        setter(f"{entry.axis} ({sizes[entry.key][1]})")
        positive = configured[entry.key][configured[entry.key] > 0]
        if len(positive) == len(configured) and positive.max() > 20 * positive.min():
            scale("log")
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=axes, shrink=0.9, aspect=25, pad=0.02)
        bar.set_label(study.questions.label)
        bar.outline.set_visible(False)


@styled
def draw_prices(study: Study, goals: Sequence[tuple[str, float, list[TrialCurve]]]) -> Figure:
    """Share of runs that had reached a target by each amount: a row a target, a column a resource.

    All points together. A curve ends below one where runs never got there.
    """
    keys = study.questions.resources
    figure = Figure(figsize=(PAGE_IN, 1.5 * len(goals) + 0.4))
    grid = figure.subplots(len(goals), len(keys), sharey=True, sharex="col", squeeze=False)
    entries = looks_of(study.methods)
    for row, (kind, target, curves) in enumerate(goals):
        for axes, key in zip(grid[row], keys, strict=True):
            _share_panel(axes, kind, target, curves, resource(key), entries)
        name = "Gap" if kind == GAP else study.questions.label
        grid[row][0].set_title(f"{name} {number(target)}", fontsize=7.0)
        grid[row][0].set_ylabel("Runs there")
        grid[row][0].yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    for axes, key in zip(grid[-1], keys, strict=True):
        axes.set_xlabel(_axis_text(resource(key), [curve for *_, curves in goals for curve in curves]))
    methods = {curve.method for *_, curves in goals for curve in curves}
    legend_above(figure, handles_of(entries, methods, study.flagship))
    return figure


def _axis_text(entry: Resource, curves: Sequence[TrialCurve]) -> str:
    symbol = entry.unit(_typical(entry, curves))[1]
    return f"{entry.axis} ({symbol})" if symbol else entry.axis


def _typical(entry: Resource, curves: Sequence[TrialCurve]) -> float:
    return float(np.median([curve.end(entry.key) for curve in curves]))


def _share_panel(
    axes: Axes, kind: str, target: float, curves: Sequence[TrialCurve], entry: Resource, entries: dict[str, Look]
) -> None:
    size = entry.unit(_typical(entry, curves))[0]
    top = max(curve.end(entry.key) for curve in curves) / size
    for method, (amounts, runs) in shares_reached(kind, target, curves, entry.key).items():
        x = np.array([0.0, *(amounts / size), top])
        y = np.array([0.0, *(np.arange(1, len(amounts) + 1) / runs), len(amounts) / runs])
        axes.plot(x, y, drawstyle="steps-post", color=entries[method].colour, zorder=3)
        _mark(axes, x[-1:], y[-1:], entries[method], 3)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(0.0, top)
