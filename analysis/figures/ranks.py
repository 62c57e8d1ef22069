"""Critical-difference diagrams: methods at their mean ranks, joined where no difference is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.anytime import mean_scores
from analysis.figures.style import COLUMN_IN, FAINT, INK, PAGE_IN, Look, looks, styled
from analysis.load import Experiment
from analysis.quantities import Resource, number
from analysis.ranks import Ranking, rank

_CHARACTER_IN = 0.055
"""Width that a character of a name takes, inches, generously."""
_LEAST_AXIS_IN = 1.2
"""Width below which an axis of ranks is drawn for a page instead of a column, inches."""


def ranks_against(resource: Resource) -> Callable[[Experiment], Figure]:
    """A function that draws how methods rank by what they score, on average, while the resource is spent."""
    return lambda experiment: draw_ranks(rank(mean_scores(experiment, resource)), looks(experiment))


@styled
def draw_ranks(ranking: Ranking, entries: Mapping[str, Look]) -> Figure:
    """Critical-difference diagram: methods at their mean ranks, best left; a bar joins those that do not differ."""
    ranks, critical, groups = ranking.ranks, ranking.critical, ranking.groups
    keys = list(ranks)
    left = keys[: -(-len(keys) // 2)]
    deep = max(len(left), len(keys) - len(left))
    height = 0.55 + 0.16 * len(groups) + 0.17 * deep
    longest = _CHARACTER_IN * (6 + max(len(entries[key].label) for key in keys))
    width = COLUMN_IN if COLUMN_IN - 2 * longest > _LEAST_AXIS_IN else PAGE_IN
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    low, high = 1, len(keys)
    span = high - low
    beside = span * longest / (width - 2 * longest)
    scale = 1 / 0.17  # lines of text an inch
    axes.set(xlim=(low - beside, high + beside), ylim=(-(height - 0.45) * scale, 0.45 * scale))
    axes.axis("off")
    axes.plot([low, high], [0, 0], color=INK, linewidth=0.8)
    for tick in range(low, high + 1):
        axes.plot([tick, tick], [0, 0.35], color=INK, linewidth=0.8)
        axes.text(tick, 0.5, str(tick), ha="center", va="bottom", fontsize=7.0)
    if not np.isnan(critical):
        length = min(critical, span)
        axes.plot([low, low + length], [1.9, 1.9], color=FAINT, linewidth=1.5)
        axes.text(
            low + length, 1.9, f"  critical difference {number(critical)}", va="center", fontsize=6.5, color=FAINT
        )
    for place, group in enumerate(groups):
        ends = [ranks[key] for key in (group[0], group[-1])]
        depth = -0.7 - 0.95 * place
        axes.plot([ends[0] - 0.02 * span, ends[1] + 0.02 * span], [depth, depth], color=INK, linewidth=2.2)
    _rank_names(axes, entries, ranks, left, -1.0 - 0.95 * len(groups))
    return figure


def _rank_names(
    axes: Axes, entries: Mapping[str, Look], ranks: Mapping[str, float], left: Sequence[str], top: float
) -> None:
    """Each method's name at the side that is nearer, joined to its rank; best and worst outermost."""
    span = len(ranks) - 1
    right = [key for key in reversed(list(ranks)) if key not in left]
    for keys, edge, align in ((left, 1 - 0.06 * span, "right"), (right, len(ranks) + 0.06 * span, "left")):
        for line, key in enumerate(keys):
            depth, look = top - line, entries[key]
            axes.plot([ranks[key], ranks[key], edge], [0, depth, depth], color=look.colour, linewidth=1.0)
            axes.plot(ranks[key], 0, marker=look.marker, color=look.colour, markersize=4.0, zorder=4)
            text = f"{look.label}  {ranks[key]:.2f}" if align == "right" else f"{ranks[key]:.2f}  {look.label}"
            axes.text(
                edge + (-0.03 if align == "right" else 0.03) * span, depth, text, ha=align, va="center", fontsize=6.5
            )
