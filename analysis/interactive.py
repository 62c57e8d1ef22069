"""Charts a reader can filter, point at and zoom into; they need no network, as their scripts are part of the page.

Drawn by Bokeh. A click on a legend entry hides or shows a method, a drag zooms, the menus choose what is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Literal

import numpy as np
import pandas as pd
from bokeh.embed import components
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, CustomJS, HoverTool
from bokeh.models.annotations import Legend, LegendItem
from bokeh.models.widgets import Select
from bokeh.plotting import figure
from bokeh.resources import Resources

from analysis.curves import TrialCurve, common_grid, summarise
from analysis.figures.style import FAINT, Look
from analysis.quantities import RESOURCES, Resource

POINTS = 121
ANY = "any"
_COLUMNS = ("x", "mean", "low", "high")
_FAR = 3.0  # how many times as far as the means intervals may reach on a logarithmic axis
_TOOLS = "pan,box_zoom,wheel_zoom,reset,save"
_PICK = """
for (const [key, shown] of Object.entries(sources)) {
  const store = stores[key][`${measure.value}|${resource.value}`];
  shown.data = store === undefined ? {x: [NaN], mean: [NaN], low: [NaN], high: [NaN]} : {...store.data};
}
x_axis.axis_label = axes[resource.value];
y_axis.axis_label = measure.value;
"""
_FILTER = """
const rows = [...store.data.method.keys()].filter(
  i => fields.every((field, k) => menus[k].value === any || store.data[field][i] === menus[k].value));
for (const [key, shown] of Object.entries(sources)) {
  const mine = rows.filter(i => store.data.method[i] === key);
  const data = {};
  for (const name of Object.keys(store.data)) data[name] = mine.map(i => store.data[name][i]);
  data.x = mine.map(i => store.data[resource.value][i]);
  shown.data = data;
}
x_axis.axis_label = axes[resource.value];
"""


@dataclass(frozen=True)
class Widget:
    """A chart as text to put into a page, after the scripts of :class:`Charts`: its place and what fills it."""

    place: str
    script: str


@dataclass(frozen=True)
class Charts:
    """The charts of a page, and the scripts they need, as HTML."""

    library: str
    widgets: tuple[Widget, ...]


def gather(*widgets: Widget | None) -> Charts | None:
    """Return the charts there are with their library, None if there is none."""
    there = tuple(widget for widget in widgets if widget is not None)
    if not there:
        return None
    return Charts(str(Resources(mode="inline", components=["bokeh", "bokeh-widgets"]).render_js()), there)


def curve_chart(
    measures: Mapping[str, Sequence[TrialCurve]], looks: Mapping[str, Look], geometric: bool = False
) -> Widget | None:
    """Draw means over seeds with 95 % intervals against what was spent; menus choose measure and resource.

    Args:
        measures: what readers call a measure -> its curves, one a trial.
        looks: method key -> colour and label.
        geometric: means and intervals of the logarithm, on a logarithmic axis.

    Returns:
        None if there is nothing to draw.
    """
    stores = {
        f"{name}|{r.key}": _summary(curves, r, geometric)
        for name, curves in measures.items()
        for r in RESOURCES
        if curves
    }
    if not stores:
        return None
    first = next(iter(stores))
    titles: list[Any] = list(measures)
    chart = _chart(_axis(RESOURCES[0]), first.split("|")[0], "log" if geometric else "linear")
    keys = [key for key in looks if any(key in by_method for by_method in stores.values())]
    sources, items = {}, []
    for key in keys:
        source = ColumnDataSource(stores[first].get(key, {name: [nan] for name in _COLUMNS}))
        sources[key] = source
        items.append(LegendItem(label=looks[key].label, renderers=_draw_line(chart, source, looks[key])))
    chart.add_layout(_legend(items), "below")
    measure = Select(title="Measure", value=titles[0], options=titles, width=260)
    resource = _resource_menu()
    told = {key: {name: ColumnDataSource(found[key]) for name, found in stores.items() if key in found} for key in keys}
    axes = {entry.key: _axis(entry) for entry in RESOURCES}
    names = {"sources": sources, "stores": told, "measure": measure, "resource": resource}
    pick = CustomJS(args={**names, **_axes(chart), "axes": axes}, code=_PICK)
    for menu in (measure, resource):
        menu.js_on_change("value", pick)
    return _widget(column(row(measure, resource), chart, sizing_mode="stretch_width"))


def point_chart(
    frame: pd.DataFrame, fields: Mapping[str, str], score: str, measure: str, looks: Mapping[str, Look]
) -> Widget:
    """Draw configurations of a study: what each spent and scored, means over seeds; menus filter by axis.

    Args:
        frame: one row a configuration: ``method``, a column for each of the ``fields``, the resources and ``measure``.
        fields: columns that take several values -> what readers call them.
        score: what readers call the score; measure: its column.
        looks: method key -> colour and label.
    """
    spent = [entry for entry in RESOURCES if entry.key in frame and frame[entry.key].notna().any()]
    told = frame.assign(**{field: frame[field].map(_written) for field in fields}, y=frame[measure])
    told = told[["method", "y", *fields, *(entry.key for entry in spent)]]
    chart = _chart(_axis(spent[0]), score)
    sources, items = {}, []
    for key in (key for key in looks if (told["method"] == key).any()):
        mine = told[told["method"] == key]
        source = sources[key] = ColumnDataSource(_columns(mine.assign(x=mine[spent[0].key])))
        dots = chart.scatter("x", "y", source=source, size=8, color=looks[key].colour, alpha=0.75, line_color="white")
        tips = [("", looks[key].label), ("score", "@y{0.000}")]
        tips += [(label, f"@{{{field}}}") for field, label in fields.items()]
        tips += [(entry.name, f"@{entry.key}{{0.000 a}}") for entry in spent]
        chart.add_tools(HoverTool(renderers=[dots], tooltips=tips))
        items.append(LegendItem(label=looks[key].label, renderers=[dots]))
    chart.add_layout(_legend(items), "below")
    resource = _resource_menu(spent)
    menus = [
        Select(title=label, value=ANY, options=[ANY, *dict.fromkeys(told[field])], width=180)
        for field, label in fields.items()
    ]
    names = {
        "sources": sources,
        "store": ColumnDataSource(_columns(told)),
        "menus": menus,
        "resource": resource,
        "chart": chart,
    }
    axes = {entry.key: _axis(entry) for entry in spent}
    pick = CustomJS(args={**names, **_axes(chart), "fields": list(fields), "any": ANY, "axes": axes}, code=_FILTER)
    for menu in (resource, *menus):
        menu.js_on_change("value", pick)
    return _widget(column(row(resource, *menus), chart, sizing_mode="stretch_width"))


def _summary(curves: Sequence[TrialCurve], resource: Resource, geometric: bool) -> dict[str, dict[str, Any]]:
    """Return x, mean, low and high of every method, in single precision: a screen shows no more."""
    grid = common_grid(curves, resource.key, POINTS)
    if grid[-1] > 0.0:  # most happens early: as many points again, closer and closer towards the start
        grid = np.union1d(grid, np.geomspace(1e-3 * grid[-1], grid[-1], POINTS))
    told = summarise(curves, resource.key, grid, geometric)
    told = told[told["mean"].notna()]
    if geometric:  # few seeds make intervals of hundreds of decades, which no axis survives
        far = {"lower": told["mean"].min() / _FAR, "upper": told["mean"].max() * _FAR}
        told = told.assign(low=told["low"].clip(**far), high=told["high"].clip(**far))
    return {
        str(key): {name: rows[name].to_numpy(np.float32) for name in _COLUMNS}
        for key, rows in told.groupby("method", sort=False)
    }


def _columns(frame: pd.DataFrame) -> dict[str, Any]:
    return {str(name): values.to_numpy() for name, values in frame.items()}


def _draw_line(chart: Any, source: ColumnDataSource, look: Look) -> list[Any]:
    names = {"x": "x", "y1": "low", "y2": "high"}
    band = chart.varea_step(**names, step_mode="after", source=source, color=look.colour, alpha=0.12)
    line = chart.step(x="x", y="mean", mode="after", source=source, color=look.colour, line_width=2)
    tips = [
        ("", look.label),
        ("mean", "@mean{0.000 a}"),
        ("95 %", "@low{0.000 a} to @high{0.000 a}"),
        ("at", "@x{0.000 a}"),
    ]
    chart.add_tools(HoverTool(renderers=[line], tooltips=tips, line_policy="prev"))
    return [band, line]


def _chart(x: str, y: str, scale: Literal["linear", "log"] = "linear") -> Any:
    shape: dict[str, Any] = {"height": 420, "sizing_mode": "stretch_width", "y_axis_type": scale}
    chart = figure(tools=_TOOLS, active_drag="box_zoom", **shape)
    chart.xaxis.axis_label, chart.yaxis.axis_label = x, y
    chart.toolbar.logo = None
    chart.outline_line_color = FAINT
    return chart


def _axes(chart: Any) -> dict[str, Any]:
    return {"x_axis": chart.xaxis[0], "y_axis": chart.yaxis[0]}


def _legend(items: list[LegendItem]) -> Legend:
    return Legend(
        items=items, click_policy="hide", orientation="horizontal", ncols=4, border_line_alpha=0.0, location="left"
    )


def _axis(entry: Resource) -> str:
    symbol = entry.units[0][1] if entry.units[0][0] == 1.0 else ""
    return f"{entry.axis} ({symbol})" if symbol else entry.axis


def _resource_menu(entries: Sequence[Resource] = RESOURCES) -> Select:
    options: list[Any] = [(entry.key, _axis(entry)) for entry in entries]
    return Select(title="Against", value=entries[0].key, options=options, width=260)


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _widget(model: Any) -> Widget:
    script, place = components(model)
    return Widget(str(place), str(script))
