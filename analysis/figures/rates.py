"""How fast the radio links are: what each would carry alone, and what uploads got when they shared their cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, PercentFormatter

from analysis.figures.network_map import first_trial
from analysis.figures.steps import Span, scale_axis
from analysis.figures.style import COLUMN_IN, FAINT, INK, legend_above, looks, method_handles, styled
from analysis.load import Experiment
from analysis.quantities import Resource

RATE = Resource("rate_bps", "rate", "Rate", ((1.0, "bit/s"), (1e3, "kbit/s"), (1e6, "Mbit/s"), (1e9, "Gbit/s")))
MANY_DECADES = 300.0
"""Within a smaller ratio of rates an axis has room for more ticks than its decades."""
_ALONE = (("downlink_bps", "downlink", (0, (1, 1.4)), FAINT), ("uplink_bps", "uplink, alone", (0, (4, 1.6)), INK))


def achieved_bps(experiment: Experiment) -> pd.DataFrame:
    """Mean uplink rate of every terminal that sent anything: its bits over the time from its requests for access to
    its last bits. Columns: method, seed, terminal, rate_bps."""
    keys = ["method", "seed", "terminal"]
    spent_s = experiment.participation.groupby(keys, observed=True)["upload_s"].sum().rename("upload_s")
    table = experiment.terminals[[*keys, "bytes_up"]].merge(spent_s.reset_index(), on=keys)
    table = table[(table["bytes_up"] > 0) & (table["upload_s"] > 0)]
    return table.assign(rate_bps=8.0 * table["bytes_up"] / table["upload_s"])[[*keys, "rate_bps"]]


@styled
def draw_rates(experiment: Experiment) -> Figure:
    """Distribution over terminals of the rates of one network, and of what each method's uploads got."""
    method, seed = first_trial(experiment)
    terminals, achieved = experiment.terminals, achieved_bps(experiment)
    network = terminals[(terminals["method"] == method) & (terminals["seed"] == seed)]
    shares = {str(key): rows["rate_bps"].to_numpy() for key, rows in achieved.groupby("method", observed=True)}
    figure = Figure(figsize=(COLUMN_IN, 1.9))
    axes = figure.add_subplot()
    everything = np.concatenate([*shares.values(), *(network[column].to_numpy(dtype=float) for column, *_ in _ALONE)])
    positive = everything[everything > 0]
    span = Span(RATE, float(positive.min()) / 1.2, float(positive.max()), log=True)
    size = scale_axis(axes, span)
    if span.top < MANY_DECADES * span.least:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    for column, _, dashes, colour in _ALONE:
        _draw_share(axes, network[column].to_numpy(dtype=float) / size, linestyle=dashes, color=colour, linewidth=1.0)
    for key, look in reversed(looks(experiment).items()):
        if key in shares:
            width = 2.0 if key == experiment.flagship else 1.3
            _draw_share(axes, shares[key] / size, color=look.colour, linewidth=width)
    axes.set_ylabel("Terminals that get no more")
    axes.set_ylim(0.0, 1.0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    alone = [Line2D([], [], linestyle=dashes, color=c, linewidth=1.0, label=name) for _, name, dashes, c in _ALONE]
    legend_above(figure, [*alone], method_handles(experiment, shares))
    return figure


def _draw_share(axes: Axes, rates: np.ndarray, **line: object) -> None:
    """The empirical distribution function of rates; those of 0 raise its beginning."""
    ascending = np.sort(rates)
    positive = ascending > 0
    share = np.arange(1, len(ascending) + 1) / max(len(ascending), 1)
    axes.plot(ascending[positive], share[positive], drawstyle="steps-post", **line)  # type: ignore[arg-type]
