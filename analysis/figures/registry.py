"""The list of all figures: what each is called, what it says underneath, and when there is something to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from analysis.cell_changes import has_movers
from analysis.distributions import final_charge
from analysis.figures.captions import facts
from analysis.figures.charge import draw_charge
from analysis.figures.control import draw_control
from analysis.figures.convergence import convergence_rows, draw_convergence
from analysis.figures.coverage import draw_coverage
from analysis.figures.energy import draw_energy
from analysis.figures.handovers import draw_handover_map, draw_handovers
from analysis.figures.learning import accuracy_against, worst_task_against
from analysis.figures.load import draw_load
from analysis.figures.network_map import draw_network_map
from analysis.figures.participation import draw_finish_times, draw_outcomes
from analysis.figures.ranks import ranks_against
from analysis.figures.rates import draw_rates
from analysis.figures.tasks import draw_tasks
from analysis.load import Experiment
from analysis.quantities import COST, ENERGY, RESOURCES, TIME


@dataclass(frozen=True)
class Exhibit:
    """A figure of the report.

    Attributes:
        name: its file name, without the ending.
        section: part of the report it belongs to.
        caption: what the reader sees, in a sentence or two; words in braces are those of
            `captions.facts`.
        draw: draws it.
        available: whether the experiment recorded what it shows.
        wide: drawn for the width of a page rather than of a column.
    """

    name: str
    section: str
    caption: str
    draw: Callable[[Experiment], Figure]
    available: Callable[[Experiment], bool]
    wide: bool = False

    def words(self, experiment: Experiment) -> str:
        """The caption of this experiment's figure."""
        return self.caption.format(**facts(experiment))


def _always(_: Experiment) -> bool:
    return True


def _has_rivals(experiment: Experiment) -> bool:
    return len(experiment.methods) > 2 and experiment.tasks["task"].nunique() > 1


def _spends(key: str) -> Callable[[Experiment], bool]:
    return lambda experiment: bool((experiment.tasks[key] > 0).any())


def _has_control(experiment: Experiment) -> bool:
    clouds = experiment.rounds[experiment.rounds["event"] == "cloud"]
    return bool(clouds[["local_iterations", "bs_iterations"]].notna().to_numpy().any())


def _has_uploads(experiment: Experiment) -> bool:
    return not experiment.base_stations.empty and bool((experiment.participation["upload_s"] > 0).any())


def _has_network(experiment: Experiment) -> bool:
    return not experiment.base_stations.empty and not experiment.terminals.empty


def _has_changes(experiment: Experiment) -> bool:
    return _has_network(experiment) and has_movers(experiment) and not experiment.handovers.empty


_HOW = (
    "Mean over {seeds} of the last known value, with a 95 % t interval from three seeds on (with more than ten methods"
    " only the flagship's); a marker shows where a method's last trial ended and a dotted line where its value only"
    " holds."
)


def exhibits() -> tuple[Exhibit, ...]:
    """Every figure, in the order of the report."""
    curves = [
        Exhibit(
            f"accuracy_vs_{entry.name}",
            "learning",
            f"{{measure}}, mean over tasks, against {entry.name}. {_HOW}",
            accuracy_against(entry),
            _spends(entry.key),
        )
        for entry in RESOURCES
    ]
    worst = [
        Exhibit(
            f"worst_task_vs_{entry.name}",
            "worst",
            f"{{measure}} of each trial's worst task against {entry.name}, drawn in the same way, {{seeds}}.",
            worst_task_against(entry),
            _spends(entry.key),
        )
        for entry in (TIME, COST)
    ]
    ranks = [
        Exhibit(
            f"ranks_by_{entry.name}",
            "ranks",
            f"Mean rank over tasks, 1 the best, by {{words}} on average while the {entry.name} is spent, which"
            " early learning and a good end both raise; {seeds}. A bar joins methods that Nemenyi's test does not tell"
            " apart at 5 %; tasks count as independent data sets.",
            ranks_against(entry),
            _has_rivals,
        )
        for entry in (TIME, ENERGY)
    ]
    return (*curves, *worst, *ranks, *_outcomes(), *_network(), *_changes(), *_training())


def _outcomes() -> tuple[Exhibit, ...]:
    """Who learnt what, what it took, and who took part."""
    return (
        Exhibit(
            "tasks",
            "tasks",
            "Final {words} of every task, mean over {seeds}, sorted by the flagship. The dotted line is what"
            " {no_learning} scores.",
            draw_tasks,
            _always,
        ),
        Exhibit(
            "energy",
            "energy",
            "Energy spent by the end of the run, mean over {seeds}, by component. Whiskers: 95 % t interval of the"
            " total.",
            draw_energy,
            lambda experiment: bool((experiment.rounds["energy_j"] > 0).any()),
            wide=True,
        ),
        Exhibit(
            "outcomes",
            "participation",
            "What became of the terminals invited to an edge round, {seeds} together. Methods that invite nobody have"
            " no bar.",
            draw_outcomes,
            lambda experiment: not experiment.participation.empty,
        ),
        Exhibit(
            "finish_times",
            "participation",
            "Time from the start of an edge round to the arrival of an update, by class of device: median (marker),"
            " middle half (thick) and 5–95 % (thin), {seeds} together. Updates that never arrived are not included.",
            draw_finish_times,
            lambda experiment: bool(experiment.participation["finish_s"].notna().any()),
        ),
    )


def _network() -> tuple[Exhibit, ...]:
    """Where it happened, over which links."""
    return (
        Exhibit(
            "network_map",
            "network",
            "Sites{sectors}, their cells, and terminals coloured by uplink signal-to-noise ratio over the whole band,"
            " at the end of {trial}.{away} Cells are drawn by distance, not by signal.",
            draw_network_map,
            _has_network,
        ),
        Exhibit(
            "coverage",
            "network",
            "Downlink signal to interference and noise of the best cell at every place, {seed}: path loss, antennas,"
            " shadowing and the usual interference, outdoors and without small-scale fading. The scale ends at the"
            " lowest and the highest 2 % of the places. Lines: another cell becomes the best, smoothed over 7 by 7"
            " places of the grid.",
            draw_coverage,
            lambda experiment: not experiment.coverage.empty,
        ),
        Exhibit(
            "rates",
            "network",
            "Distribution of rates over terminals. Broken lines: what the links would carry alone in their cell, at the"
            " end of {trial}.{uploads} Grey: 5, 50 and 95 % of the terminals.",
            draw_rates,
            _has_uploads,
        ),
        Exhibit(
            "load",
            "network",
            "Uploads over time, each from its request for access to its last bit (waiting included), {trial}. Above:"
            " how many at once in a cell. Below: share of the time with at least one, cell by cell. The time that a"
            " cell was on the air is in the table.",
            draw_load,
            _has_uploads,
        ),
    )


def _changes() -> tuple[Exhibit, ...]:
    """What happened to terminals on the way: other cells, empty batteries."""
    return (
        Exhibit(
            "handover_map",
            "mobility",
            "Where terminals changed cells, {trial}. Cells are drawn by distance, not by signal.",
            draw_handover_map,
            _has_changes,
        ),
        Exhibit(
            "handovers",
            "mobility",
            "Left: changes of cell per moving terminal and minute by kind, {seeds} together; the stroke says how many"
            " of them were ping-pongs, back to the cell before. Right: what became of computations and uploads that a"
            " change met.",
            draw_handovers,
            _has_changes,
            wide=True,
        ),
        Exhibit(
            "charge",
            "charge",
            "State of charge of terminals with a battery at the end of the run, {seeds} together: share of the"
            " terminals with no more than that. Empty batteries are the step at 0 %.",
            draw_charge,
            lambda experiment: bool(final_charge(experiment)),
        ),
    )


def _training() -> tuple[Exhibit, ...]:
    """How training went."""
    return (
        Exhibit(
            "convergence",
            "convergence",
            "Joint duality gap at cloud rounds (an upper bound on the distance to the optimum, for methods with"
            " dual variables) and, where the optimum was computed, the training objective above it. Geometric means"
            " over {seeds} with 95 % intervals of the logarithm from three seeds on.",
            draw_convergence,
            lambda experiment: bool(convergence_rows(experiment)),
            wide=True,
        ),
        Exhibit(
            "control",
            "convergence",
            "Local iterations H and edge rounds K chosen in each cloud round, mean over {seeds}.",
            draw_control,
            _has_control,
        ),
    )
