"""Drawing step functions with bands: where the axis turns logarithmic, where a run had ended, what a unit is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from analysis.curves import TrialCurve, common_grid, summarise
from analysis.figures.style import Look
from analysis.quantities import Resource, number

POINTS = 201
"""Places at which a curve is read: more than a column of print can resolve."""

BAND_SEEDS = 3
"""With two seeds a 95 % interval is 12.7 standard errors to each side: a band would hide everything and say nothing."""

BAND_METHODS = 10
"""Bands of more methods than this cover each other and the lines."""

EARLY = 0.03
"""A method that makes half of its way within this share of the axis needs a logarithmic one to be seen."""

FIRST_MOVE = 0.02
"""A logarithmic axis starts where the first method has made this share of its way."""


@dataclass(frozen=True)
class Span:
    """The part of a resource that an axis shows, from `least` to `top`, on a logarithmic scale or not."""

    resource: Resource
    least: float
    top: float
    log: bool


def span_of(curves: Sequence[TrialCurve], resource: Resource) -> Span:
    """Everything that was spent; logarithmic if half of some trial's change happens within `EARLY` of it."""
    top = max((curve.end(resource.key) for curve in curves), default=0.0)
    halfway = [_moved(curve, resource.key, 0.5) for curve in curves]
    if not any(0 < amount < EARLY * top for amount in halfway):
        return Span(resource, 0.0, top, False)
    moves = [amount for curve in curves if (amount := _moved(curve, resource.key, FIRST_MOVE)) > 0]
    return Span(resource, min(moves) / 1.5, top, True)


def _moved(curve: TrialCurve, resource: str, share: float) -> float:
    """Amount at which a trial has made `share` of its largest change; NaN if it never changes."""
    way = np.abs(curve.value - curve.value[0])
    if np.isnan(way).all() or np.nanmax(way) == 0:
        return float("nan")
    return float(curve.spent[resource][np.flatnonzero(way >= share * np.nanmax(way))[0]])


def scale_axis(axes: Axes, span: Span) -> float:
    """Sets limits, ticks and label of the resource axis and returns the size of the unit it is drawn in."""
    typical = math.sqrt(span.least * span.top) if span.log else span.top
    size, symbol = span.resource.unit(typical)
    axes.set_xlabel(f"{span.resource.axis} ({symbol})" if symbol else span.resource.axis)
    if span.log:
        axes.set_xscale("log")
        axes.set_xlim(span.least / size, span.top / size * 1.08)
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0.0, max(span.top, 1e-12) / size * 1.03)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(_tick))
    return size


def _tick(value: float, _: int) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return number(value)
    exponent = math.floor(math.log10(abs(value)))
    factor = value / 10.0**exponent
    return f"$10^{{{exponent}}}$" if math.isclose(factor, 1.0) else f"{number(factor)}·$10^{{{exponent}}}$"


def draw_step_curves(
    axes: Axes,
    curves: Sequence[TrialCurve],
    span: Span,
    looks: dict[str, Look],
    flagship: str,
    geometric: bool = False,
) -> pd.DataFrame:
    """Mean over seeds with its band, one line a method: solid while some trial runs, dotted where the last
    value only holds, a marker where the last trial ended.

    Returns:
        The summary that was drawn (see `curves.summarise`).
    """
    size = scale_axis(axes, span)
    key = span.resource.key
    ends = {
        method: max(c.end(key) for c in curves if c.method == method)
        for method in dict.fromkeys(c.method for c in curves)
    }
    grid = common_grid(curves, key, POINTS, span.least)
    # The ends join the grid so that a line stops exactly where its last trial did.
    grid = np.unique([*grid, span.top, *(end for end in ends.values() if end >= span.least)])
    summary = summarise(curves, key, grid, geometric)
    for rank, method in enumerate(reversed(looks)):  # the flagship is drawn last, on top
        rows = summary[summary["method"] == method]
        # Before every seed has a value (or after one diverged) a mean would be one of the lucky seeds.
        rows = rows[(rows["seeds"] == rows["seeds"].max()) & (rows["seeds"] > 0)]
        if len(rows):
            end, banded = max(ends[method], span.least), len(looks) <= BAND_METHODS or method == flagship
            _draw_one(axes, rows, size, end, looks[method], rank, method == flagship, banded)
    return summary


def _draw_one(
    axes: Axes, rows: pd.DataFrame, size: float, end: float, look: Look, rank: int, bold: bool, banded: bool
) -> None:
    x, mean = rows["x"].to_numpy() / size, rows["mean"].to_numpy()
    low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
    z = 3 + 0.1 * rank
    if banded and rows["seeds"].max() >= BAND_SEEDS:
        alpha = 0.18 if bold else 0.11
        axes.fill_between(x, low, high, step="post", color=look.colour, alpha=alpha, linewidth=0, zorder=2)
    running = rows["x"].to_numpy() <= end
    width = 2.0 if bold else 1.3
    axes.plot(x[running], mean[running], drawstyle="steps-post", color=look.colour, linewidth=width, zorder=z)
    last = int(np.flatnonzero(running)[-1])
    axes.plot(x[last:], mean[last:], color=look.colour, linewidth=0.8 * width, linestyle=(0, (1, 1.6)), zorder=z)
    axes.plot(
        x[last], mean[last], marker=look.marker, markersize=4.5, color=look.colour,
        markeredgecolor="white", markeredgewidth=0.6, zorder=z + 1, clip_on=False,
    )  # fmt: skip


def frame_values(axes: Axes, summary: pd.DataFrame, extra: Sequence[float] = ()) -> None:
    """Value limits that hold every mean and `extra` level; the wide band of two wild seeds may leave the frame."""
    values = np.array([*summary["mean"], *extra], dtype=float)
    values = values[np.isfinite(values)]
    if not values.size:
        return
    low, high = values.min(), values.max()
    span = max(high - low, 0.02)
    drawn = summary[summary["seeds"] >= BAND_SEEDS]
    bands = drawn[["low", "high"]].to_numpy(dtype=float).clip(low - 0.25 * span, high + 0.25 * span)
    bands = bands[np.isfinite(bands)]
    low, high = min(low, *bands, high), max(high, *bands, low)
    least = 0.0 if low >= 0.0 else -np.inf
    axes.set_ylim(max(least, low - 0.06 * span), min(1.0, high + 0.06 * span))
