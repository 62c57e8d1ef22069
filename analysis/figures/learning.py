"""How well the tasks are learnt for what was spent: one panel a resource, reference optima as horizontal lines."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.curves import Measure, task_curves, trial_states
from analysis.figures.steps import draw_step_curves, frame_values, span_of
from analysis.figures.style import COLUMN_IN, INK, legend_above, looks, method_handles, styled
from analysis.load import Experiment
from analysis.quantities import Resource
from analysis.scales import scale_of
from analysis.summaries import reference_means

DASHES = ((), (6, 1.5), (5, 1.2, 1, 1.2), (2.5, 1.2), (2.5, 1, 1, 1, 1, 1), (0.8, 1.2))
"""Line patterns of reference levels, highest level first."""


@styled
def draw_learning(experiment: Experiment, measure: Measure, resource: Resource) -> Figure:
    """Mean of a measure over seeds against a resource, with 95 % bands and the reference levels."""
    figure = Figure(figsize=(COLUMN_IN, 2.3))
    axes = figure.add_subplot()
    curves = task_curves(trial_states(experiment), measure)
    summary = draw_step_curves(axes, curves, span_of(curves, resource), looks(experiment), experiment.flagship)
    levels = reference_levels(experiment, measure)
    references: list[Artist] = []
    for place, (name, level) in enumerate(levels.items()):
        dashes = (0, DASHES[place % len(DASHES)])
        axes.axhline(level, color=INK, linewidth=0.8, linestyle=dashes, zorder=1.5)
        references.append(Line2D([], [], color=INK, linewidth=0.8, linestyle=dashes, label=name))
    frame_values(axes, summary, list(levels.values()))
    axes.set_ylabel(f"{measure.name} ({experiment.split})")
    legend_above(figure, method_handles(experiment, summary["method"]), references)
    return figure


def reference_levels(experiment: Experiment, measure: Measure) -> dict[str, float]:
    """Mean reference values of a measure, by reference name, highest first, without those that have none."""
    column = f"worst_{measure.metric}" if measure.aggregate == "worst" else measure.metric
    means = reference_means(experiment)
    if experiment.split != "test" or column not in means:  # references are computed on the test split
        return {}
    levels = means[column].dropna().sort_values(ascending=False, kind="stable")
    return {str(name): float(value) for name, value in levels.items()}


def accuracy_against(resource: Resource) -> Callable[[Experiment], Figure]:
    """A function that draws the main measure, mean over tasks, against the resource."""
    return lambda experiment: draw_learning(experiment, scale_of(experiment).main, resource)


def worst_task_against(resource: Resource) -> Callable[[Experiment], Figure]:
    """A function that draws the worst task's score against the resource."""
    return lambda experiment: draw_learning(experiment, scale_of(experiment).worst, resource)
