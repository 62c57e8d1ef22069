"""How every figure looks: one type size, one colour and marker per method, colours that colour-blind readers tell apart.

Colours are seaborn's "colorblind" palette (after Wong, Nature Methods 8, 2011), without its yellow, which
disappears on white paper.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ParamSpec

import matplotlib as mpl
import seaborn as sns
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.load import Experiment

COLUMN_IN = 3.5
"""Width of one column of a two-column paper, inches."""
PAGE_IN = 7.2
"""Width of both columns, inches."""

INK, FAINT, HAIRLINE = "#22262b", "#6b737c", "#dfe3e8"

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
    methods = experiment.ordered_methods
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


def settings() -> dict[str, Any]:
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
    chosen, entries = set(keys), looks(experiment)
    return [
        Line2D(
            [], [], color=look.colour, marker=look.marker, markersize=4.0, label=look.label,
            markeredgecolor="white", markeredgewidth=0.5,
            linewidth=2.0 if key == experiment.flagship else 1.3,
        )
        for key, look in entries.items()
        if key in chosen
    ]  # fmt: skip


def legend_above(figure: Figure, columns: int, *groups: list[Artist]) -> None:
    """A frameless legend over the axes, where it can cover nothing; read by rows, each group from a new row."""
    filled = [group for group in groups if group]
    if not filled:
        return
    columns = min(columns, max(len(group) for group in filled))
    blank = Line2D([], [], linestyle="", label=" ")
    cells: list[Artist] = []
    for group in filled:
        cells += [*group, *[blank] * (-len(group) % columns)]
    by_column = [cell for column in range(columns) for cell in cells[column::columns]]
    figure.legend(handles=by_column, loc="outside upper left", ncols=columns)


def say_nothing_recorded(axes: Axes, what: str) -> None:
    """An empty panel that says why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, what, transform=axes.transAxes, ha="center", va="center", color=FAINT)
