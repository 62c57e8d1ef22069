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
from analysis.figures.style import PAGE_IN, legend_above, looks, method_handles, say_nothing_recorded, styled
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


@styled
def draw_convergence(experiment: Experiment) -> Figure:
    """Joint duality gap, and objective above the optimum where it is known, against time and cost.

    Lines are geometric means over seeds, bands 95 % intervals of the logarithm.
    """
    rows = {"Duality gap": round_curves(experiment, "gap")}
    above = suboptimality_curves(experiment)
    if above:
        rows["Objective − optimum"] = above
    figure = Figure(figsize=(PAGE_IN, 0.45 + 1.95 * len(rows)))
    panels = figure.subplots(len(rows), 2, squeeze=False, sharey="row", sharex="col")
    shown: set[str] = set()
    for line, (name, curves) in zip(panels, rows.items(), strict=True):
        for axes, resource in zip(line, (TIME, COST), strict=True):
            if not any(np.nanmax(curve.value) > 0 for curve in curves):
                say_nothing_recorded(axes, f"{name.lower()}: not recorded")
                continue
            span = span_of([curve for group in rows.values() for curve in group], resource)
            summary = draw_step_curves(axes, curves, span, looks(experiment), experiment.flagship, geometric=True)
            axes.label_outer()
            shown |= set(summary["method"])
            _log_values(axes, summary)
        line[0].set_ylabel(name)
    legend_above(figure, method_handles(experiment, shown))
    return figure


def _log_values(axes: Axes, summary: pd.DataFrame) -> None:
    means = summary["mean"].to_numpy(dtype=float)
    means = means[np.isfinite(means) & (means > 0)]
    axes.set_yscale("log")
    if means.size:
        axes.set_ylim(means.min() / 2.2, means.max() * 2.2)
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_minor_formatter(NullFormatter())
