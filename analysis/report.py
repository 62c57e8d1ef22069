"""The report of an experiment: one page that needs no network and no other file, and its figures beside it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis import network_tables, tables
from analysis.atomic import write_bytes
from analysis.compare import compare_at_levels
from analysis.curves import TrialStates, task_curves, trial_states
from analysis.figures.convergence import convergence_rows
from analysis.figures.registry import exhibits
from analysis.figures.style import looks
from analysis.findings import binding_resource, state_findings
from analysis.interactive import Charts, curve_chart, gather
from analysis.load import Experiment, NotAnExperimentError, load_experiment
from analysis.pages import Picture, draw_picture, fill
from analysis.quantities import TIME, resource
from analysis.scales import scale_of
from analysis.targets import resource_to_target

BUDGET_NAMES = {
    "time_s": "time",
    "energy_j": "energy",
    "energy_per_terminal_j": "energy per terminal",
    "bytes": "traffic",
    "cost": "cost",
}


def write_report(folder: str | Path) -> Path:
    """Writes `figures/` (PDF and PNG) and `report.html` into a result folder and returns the page's path.

    Raises:
        NotAnExperimentError: the folder is not a readable experiment; nothing is written then.
    """
    experiment = load_experiment(folder)
    states = trial_states(experiment)
    pictures = [
        draw_picture(
            exhibit.draw(experiment),
            experiment.folder / "figures",
            exhibit.name,
            exhibit.words(experiment),
            exhibit.section,
            exhibit.wide,
        )
        for exhibit in exhibits()
        if exhibit.available(experiment)
    ]
    path = experiment.folder / "report.html"
    write_bytes(path, fill("report.html.j2", **page_context(experiment, states, pictures)))
    return path


def charts_of(experiment: Experiment, states: Sequence[TrialStates]) -> Charts | None:
    """Charts to look closer at what was learned, and at how near the optimum is."""
    scale = scale_of(experiment)
    measures = (scale.main, scale.worst, *scale.compared[1:])
    scores = {measure.name: task_curves(states, measure) for measure in measures}
    colours = looks(experiment)
    return gather(curve_chart(scores, colours), curve_chart(convergence_rows(experiment), colours, geometric=True))


def page_context(experiment: Experiment, states: Sequence[TrialStates], pictures: Sequence[Picture]) -> dict[str, Any]:
    """Everything the template says, as text and tables."""
    levels = compare_at_levels(experiment, states=states)
    targets = resource_to_target(experiment, states=states)
    bound = binding_resource(experiment)
    scale = scale_of(experiment)
    compared = {measure.name: tables.level_tables(experiment, levels, measure) for measure in scale.compared}
    return {
        "experiment": experiment,
        "findings": state_findings(experiment, levels, targets, states),
        "pictures": pictures,
        "charts": charts_of(experiment, states),
        "bound": bound,
        "scale": scale,
        "main_levels": next((t for t in compared[scale.main.name] if t.caption.startswith(f"{bound.axis}:")), None),
        "level_tables": compared,
        "target_tables": [
            tables.target_table(experiment, targets, target) for target in sorted(targets["target"].unique())
        ],
        "ending_table": tables.ending_table(experiment),
        "task_table": tables.task_table(experiment, states),
        "unseen_table": tables.unseen_table(experiment),
        "energy_table": tables.energy_table(experiment),
        "network_table": network_tables.network_table(experiment),
        "rate_table": network_tables.rate_table(experiment),
        "handover_table": network_tables.handover_table(experiment),
        "charge_table": network_tables.charge_table(experiment),
        "participation_table": tables.participation_table(experiment),
        "reference_table": tables.reference_table(experiment),
        "budget": budget_text(experiment),
        "wall_time": TIME.text(experiment.wall_time_s),
        "created": experiment.created[:16].replace("T", " "),
    }


def budget_text(experiment: Experiment) -> str:
    """The limits in words, e.g. "cost 1,000, time 20 min"; says so where there is none."""
    units = {"energy_per_terminal_j": "energy_j"}
    limits = [
        f"{BUDGET_NAMES[name]} {resource(units.get(name, name)).text(limit)}"
        for name, limit in experiment.budget.items()
    ]
    return ", ".join(limits) if limits else "none: every trial runs to the end of its plan"


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m analysis.report FOLDER`: 0 and the page's path, or 2 and one line on what is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 1 or given[0].startswith("-"):
        print("usage: python -m analysis.report FOLDER", file=sys.stderr)
        return 2
    try:
        print(write_report(given[0]))
    except NotAnExperimentError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
