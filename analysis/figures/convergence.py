"""How far from the optimum training still is: the duality gap (a certificate) and the objective's distance to P*."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from analysis.curves import TrialCurve, round_curves
from analysis.figures.steps import draw_step_curves, span_of
from analysis.figures.style import PAGE_IN, legend_above, looks, method_handles, styled
from analysis.load import Experiment
from analysis.quantities import COST, TIME

REFERENCE = "multi-task optimum"
FLOOR = 1e-9
"""Distances below this share of P* are the reference solver's own error and are drawn there."""


def suboptimality_curves(experiment: Experiment) -> tuple[TrialCurve, ...]:
    """Training objective minus the multi-task optimum of the same seed; seeds without that reference left out."""
    frame = experiment.references
    frame = frame[(frame["reference"] == REFERENCE) & frame["primal"].notna()]
    best = {int(seed): float(primal) for seed, primal in zip(frame["seed"], frame["primal"], strict=True)}
    return tuple(
        replace(curve, value=np.maximum(curve.value - best[curve.seed], FLOOR * max(1.0, abs(best[curve.seed]))))
        for curve in round_curves(experiment, "objective")
        if curve.seed in best
    )


def convergence_rows(experiment: Experiment) -> dict[str, tuple[TrialCurve, ...]]:
    """What can be drawn on a logarithmic scale: label -> curves, without quantities that were not recorded."""
    rows = {
        "Duality gap": round_curves(experiment, "gap"),
        "Objective − optimum": suboptimality_curves(experiment),
    }
    return {name: curves for name, curves in rows.items() if any((curve.value > 0).any() for curve in curves)}


@styled
def draw_convergence(experiment: Experiment) -> Figure:
    """Joint duality gap, and objective above the optimum where it is known, against time and cost.

    Lines are geometric means over seeds, bands 95 % intervals of the logarithm.
    """
    rows = convergence_rows(experiment)
    everything = [curve for curves in rows.values() for curve in curves]
    figure = Figure(figsize=(PAGE_IN, 0.45 + 1.95 * max(len(rows), 1)))
    panels = figure.subplots(max(len(rows), 1), 2, squeeze=False, sharey="row", sharex="col")
    for line, (name, curves) in zip(panels, rows.items(), strict=False):
        for axes, resource in zip(line, (TIME, COST), strict=True):
            span = span_of(everything, resource)
            summary = draw_step_curves(axes, curves, span, looks(experiment), experiment.flagship, geometric=True)
            axes.label_outer()
            _log_values(axes, summary)
        line[0].set_ylabel(name)
    legend_above(figure, method_handles(experiment, {curve.method for curve in everything}))
    return figure


def _log_values(axes: Axes, summary: pd.DataFrame) -> None:
    means = summary["mean"].to_numpy(dtype=float)
    means = means[np.isfinite(means) & (means > 0)]
    axes.set_yscale("log")
    if means.size:
        axes.set_ylim(means.min() / 2.2, means.max() * 2.2)
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_minor_formatter(NullFormatter())
