"""Where the joules went: terminals, base stations and backhaul, for each method."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from analysis.figures.style import INK, PAGE_IN, legend_above, styled
from analysis.load import ENERGY_COMPONENTS, Experiment
from analysis.quantities import ENERGY, number
from analysis.summaries import energy_by_component

COMPONENT_COLOURS: Mapping[str, str] = {
    "energy_terminal_compute_j": "#08519c",
    "energy_terminal_transmit_j": "#3a87c4",
    "energy_terminal_receive_j": "#7fb7de",
    "energy_terminal_idle_j": "#c6dbef",
    "energy_bs_transmit_j": "#d9730d",
    "energy_bs_static_j": "#fbc687",
    "energy_backhaul_j": "#8d949c",
}
"""Blues for terminals, oranges for base stations, grey for the backhaul: the groups survive in grey print."""


@styled
def draw_energy(experiment: Experiment) -> Figure:
    """Final energy by component, mean over seeds: joules with the 95 % interval of the total, and shares."""
    table = energy_by_component(experiment)
    figure = Figure(figsize=(PAGE_IN, 0.5 + 0.3 * len(table)))
    amounts, shares = figure.subplots(1, 2, sharey=True, width_ratios=(1.35, 1.0))
    size, symbol = ENERGY.unit(float(table["total"].max()) if len(table) else 0.0)
    rows = np.arange(len(table))
    total = table["total"].to_numpy(dtype=float)
    left, part = np.zeros(len(table)), np.zeros(len(table))
    for component, colour in COMPONENT_COLOURS.items():
        joules = table[component].to_numpy(dtype=float)
        share = np.divide(joules, total, out=np.zeros_like(joules), where=total > 0)
        bar = {"height": 0.68, "color": colour, "edgecolor": "white", "linewidth": 0.4}
        amounts.barh(rows, joules / size, left=left / size, **bar)
        shares.barh(rows, share, left=part, **bar)
        left, part = left + joules, part + share
    low, high = table["low"].to_numpy(dtype=float), table["high"].to_numpy(dtype=float)
    whiskers = np.nan_to_num(np.stack([total - low, high - total])) / size
    amounts.errorbar(total / size, rows, xerr=whiskers, fmt="none", ecolor=INK, elinewidth=0.8, capsize=2)
    reach = np.maximum(total, np.nan_to_num(high))
    span = float(reach.max()) / size if len(table) else 0.0
    for row, (amount, edge) in enumerate(zip(total, reach, strict=True)):
        amounts.text(edge / size + 0.015 * span, row, number(amount / size), va="center", fontsize=7)
    amounts.set_xlim(0, span * 1.12 if span > 0 else 1.0)
    amounts.set_yticks(rows, [experiment.label(str(key)) for key in table.index])
    amounts.invert_yaxis()
    amounts.set_xlabel(f"Energy ({symbol})")
    amounts.xaxis.set_major_locator(MaxNLocator(5, prune="upper"))
    amounts.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    shares.set_xlim(0, 1)
    shares.set_xlabel("Share of the total")
    shares.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    for axes in (amounts, shares):
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
    used = [name for name in COMPONENT_COLOURS if len(table) and table[name].gt(0).any()]
    handles: list[Artist] = [
        Patch(facecolor=COMPONENT_COLOURS[name], label=ENERGY_COMPONENTS[name], edgecolor="white") for name in used
    ]
    legend_above(figure, handles)
    return figure
