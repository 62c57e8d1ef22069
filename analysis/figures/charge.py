"""Who is left with how much: state of charge of the terminals' batteries when a run ends."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.distributions import final_charge, share_with_no_more
from analysis.figures.rates import share_axis
from analysis.figures.style import COLUMN_IN, legend_above, looks, method_handles, styled
from analysis.load import Experiment


@styled
def draw_charge(experiment: Experiment) -> Figure:
    """Distribution of the final state of charge over terminals with a battery; empty ones are a step at 0."""
    charges = final_charge(experiment)
    figure = Figure(figsize=(COLUMN_IN, 1.9))
    axes = figure.add_subplot()
    for key, look in reversed(looks(experiment).items()):
        if key in charges:
            charge, share = share_with_no_more(charges[key])
            width = 2.0 if key == experiment.flagship else 1.3
            axes.plot(
                [0.0, *charge, 1.0], [0.0, *share, 1.0], drawstyle="steps-post", color=look.colour, linewidth=width
            )
    axes.set_xlim(-0.01, 1.01)
    axes.set_xlabel("State of charge at the end")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    share_axis(axes)
    legend_above(figure, method_handles(experiment, charges))
    return figure
