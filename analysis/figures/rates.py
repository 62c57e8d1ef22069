"""How fast the radio links are: what each would carry alone, and what uploads got when they shared their cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, PercentFormatter

from analysis.distributions import LEVELS, link_rates_bps, share_with_no_more, upload_rates_bps
from analysis.figures.steps import Span, scale_axis
from analysis.figures.style import COLUMN_IN, FAINT, HAIRLINE, INK, legend_above, looks, method_handles, styled
from analysis.load import Experiment
from analysis.quantities import RATE

MANY_DECADES = 300.0
"""Within a smaller ratio of rates an axis has room for more ticks than its decades."""
LINKS: dict[str, dict[str, Any]] = {
    "downlink": {"linestyle": (0, (1, 1.4)), "color": FAINT, "linewidth": 1.0},
    "uplink": {"linestyle": (0, (4, 1.6)), "color": INK, "linewidth": 1.0},
}


@styled
def draw_rates(experiment: Experiment) -> Figure:
    """Distribution over terminals of the rates of one network, and of what each method's uploads got."""
    links, uploads = link_rates_bps(experiment), upload_rates_bps(experiment)
    figure = Figure(figsize=(COLUMN_IN, 1.9))
    axes = figure.add_subplot()
    everything = np.concatenate([*uploads.values(), *links.values()])
    positive = everything[everything > 0] if (everything > 0).any() else np.ones(1)
    span = Span(RATE, float(positive.min()) / 1.2, float(positive.max()), log=True)
    size = scale_axis(axes, span)
    if span.top < MANY_DECADES * span.least:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    for name, rates in links.items():
        _draw_share(axes, rates / size, **LINKS[name])
    for key, look in reversed(looks(experiment).items()):
        if key in uploads:
            width = 2.0 if key == experiment.flagship else 1.3
            _draw_share(axes, uploads[key] / size, color=look.colour, linewidth=width)
    for level in LEVELS:
        axes.axhline(level, color=HAIRLINE, linewidth=0.8, zorder=1)
    share_axis(axes)
    alone = [Line2D([], [], label=f"{name}, alone", **LINKS[name]) for name in links]
    legend_above(figure, [*alone], method_handles(experiment, uploads))
    return figure


def share_axis(axes: Axes) -> None:
    """Shares of the terminals, upwards."""
    axes.set_ylabel("Terminals with no more")
    axes.set_ylim(0.0, 1.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def _draw_share(axes: Axes, rates: np.ndarray, **line: Any) -> None:
    """The distribution function of rates; those of 0 raise its beginning."""
    ascending, share = share_with_no_more(rates)
    positive = ascending > 0
    if positive.any():
        first = float(share[positive][0] - 1.0 / len(ascending))
        axes.plot(
            [ascending[positive][0], *ascending[positive]], [first, *share[positive]], drawstyle="steps-post", **line
        )
