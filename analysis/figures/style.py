"""How every figure looks: one type size, one colour and one marker per method, told apart by the colour-blind too.

Colours are seaborn's "colorblind" palette without its yellow, which disappears on white paper.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec

import matplotlib as mpl
import seaborn as sns
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath

from analysis.load import Experiment, Method

COLUMN_IN = 3.5
"""Width of one column of a two-column paper, inches."""
PAGE_IN = 7.2
"""Width of both columns, inches."""

INK, FAINT, HAIRLINE = "#22262b", "#6b737c", "#dfe3e8"

LEGEND_ROW_IN = 0.155
"""Height of a row of a legend, inches."""

_GAPS = ("handlelength", "handletextpad", "columnspacing")
_PALETTE_ORDER = (0, 3, 2, 4, 1, 9, 5, 7, 6)
_MARKERS = ("o", "s", "^", "D", "v", "<", ">", "p", "h")
_FONTS = ("Liberation Sans", "Arial", "Helvetica", "DejaVu Sans")

Parameters = ParamSpec("Parameters")


@dataclass(frozen=True)
class Look:
    """Colour and marker of a method, the same in every figure."""

    colour: str
    marker: str
    label: str


def looks(experiment: Experiment) -> dict[str, Look]:
    """Method key -> look; the flagship always has the first colour."""
    return looks_of(experiment.ordered_methods)


def looks_of(methods: Sequence[Method]) -> dict[str, Look]:
    """Method key -> look, colours and markers in the order of the methods."""
    palette = sns.color_palette("colorblind").as_hex()
    colours = [palette[index] for index in _PALETTE_ORDER]
    if len(methods) > len(colours):
        colours = sns.color_palette("husl", len(methods)).as_hex()
    return {
        method.key: Look(colours[place], _MARKERS[place % len(_MARKERS)], method.label)
        for place, method in enumerate(methods)
    }


@functools.cache
def _font() -> str:
    installed = set(font_manager.get_font_names())
    return next((name for name in _FONTS if name in installed), "sans-serif")


def settings() -> dict[Any, Any]:
    """Matplotlib settings of this room; valid within `matplotlib.rc_context`."""
    font = _font()
    return {
        **sns.axes_style("ticks"),
        **sns.plotting_context("paper"),
        "font.family": [font, "DejaVu Sans"] if font != "DejaVu Sans" else [font],
        **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), 8.0),
        **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 7.0),
        "legend.title_fontsize": 7.0,
        "mathtext.fontset": "custom",
        **{f"mathtext.{face}": font for face in ("rm", "it", "sf", "tt", "cal")},
        "mathtext.bf": f"{font}:bold",
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
        "axes.edgecolor": FAINT,
        "axes.linewidth": 0.6,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": HAIRLINE,
        "grid.linewidth": 0.5,
        **{f"{axis}tick.{which}.width": 0.6 for axis in "xy" for which in ("major", "minor")},
        **{f"{axis}tick.major.size": 3.0 for axis in "xy"},
        **{f"{axis}tick.minor.size": 1.6 for axis in "xy"},
        "lines.linewidth": 1.3,
        "legend.frameon": False,
        "legend.handlelength": 1.6,
        "legend.columnspacing": 1.2,
        "legend.borderaxespad": 0.0,
        "patch.linewidth": 0.0,
        "patch.edgecolor": "white",
        "pdf.fonttype": 42,
        "svg.fonttype": "path",
        "svg.hashsalt": "fixed, so that the same figure is the same file",
        "figure.constrained_layout.use": True,
        "figure.constrained_layout.h_pad": 0.03,
        "figure.constrained_layout.w_pad": 0.03,
    }


def styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Draws under `settings` without touching anybody else's."""

    @functools.wraps(draw)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with mpl.rc_context(settings()):
            return draw(*args, **kwargs)

    return wrapper


def method_handles(experiment: Experiment, keys: Iterable[str]) -> list[Artist]:
    """Legend entries of the methods among `keys`, flagship first."""
    return handles_of(looks(experiment), keys, experiment.flagship)


def handles_of(entries: Mapping[str, Look], keys: Iterable[str], flagship: str) -> list[Artist]:
    """Legend entries of the looks among `keys`, the flagship's with a bolder line."""
    chosen = set(keys)
    return [
        Line2D(
            [], [], color=look.colour, marker=look.marker, markersize=4.0, label=look.label,
            markeredgecolor="white", markeredgewidth=0.5,
            linewidth=2.0 if key == flagship else 1.3,
        )
        for key, look in entries.items()
        if key in chosen
    ]  # fmt: skip


def legend_above(figure: Figure, *groups: list[Artist]) -> None:
    """Makes room above the axes and fills it with legend rows, where they can cover nothing.

    Each group begins a row and is broken into more like a line of text; the figure grows by their height.
    """
    rows = [row for group in groups for row in _broken(group, 0.96 * 72.0 * figure.get_figwidth())]
    if not rows:
        return
    room = LEGEND_ROW_IN * len(rows) + 0.06
    height = figure.get_figheight() + room
    figure.set_figheight(height)
    for place, row in enumerate(rows):
        corner = (0.0, 1.0 - (0.02 + LEGEND_ROW_IN * place) / height)
        figure.legend(handles=row, loc="upper left", bbox_to_anchor=corner, ncols=len(row), borderpad=0.2)
    figure.set_layout_engine("constrained", h_pad=0.03, w_pad=0.03, rect=(0.0, 0.0, 1.0, 1.0 - room / height))


def _broken(group: list[Artist], width_pt: float) -> list[list[Artist]]:
    """The entries of a group in as few rows as fit into a width, filled evenly."""
    size = float(mpl.rcParams["legend.fontsize"])
    font = font_manager.FontProperties(size=size)
    rc: Mapping[Any, Any] = mpl.rcParams
    beside = size * float(sum(rc[f"legend.{gap}"] for gap in _GAPS))
    widths = [TextToPath().get_text_width_height_descent(str(e.get_label()), font, False)[0] + beside for e in group]
    for count in range(1, len(group) + 1):
        length = -(-len(group) // count)
        starts = range(0, len(group), length)
        if length == 1 or all(sum(widths[start : start + length]) <= width_pt for start in starts):
            return [group[start : start + length] for start in starts]
    return []
