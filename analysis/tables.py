"""Tables as a reader sees them: analysis frames turned into rows of text, for the report's template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.compare import HIGHER, LOWER
from analysis.curves import Measure, TrialStates, trial_states
from analysis.figures.tasks import worst_task
from analysis.intervals import mean_interval
from analysis.load import ENERGY_COMPONENTS, OUTCOMES, Experiment
from analysis.quantities import CARBON, DURATION, ENERGY, RESOURCES, TIME, Resource, number, resource, score, signed
from analysis.scales import chance_of, scale_of
from analysis.summaries import (
    carbon_g_per_joule,
    endings,
    energy_by_component,
    final_by_task,
    finish_times,
    outcome_counts,
    reference_means,
)

UNSEEN = "unseen"
"""The split of tasks that nobody trained on."""


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a smaller second line, and a style class of the template ("" for none)."""

    text: str
    note: str = ""
    style: str = ""


@dataclass(frozen=True)
class Table:
    """A table: heading cells, rows (the first cell is the row's name), a caption, and whether numbers align right."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    text_columns: frozenset[int] = field(default_factory=lambda: frozenset({0}))


def level_tables(experiment: Experiment, levels: pd.DataFrame, measure: Measure) -> list[Table]:
    """One table a resource: other methods down, budget levels across, paired difference and verdict inside."""
    rows = levels[levels["measure"] == measure.name]
    return [
        _level_table(experiment, rows[rows["resource"] == entry.key], entry.key)
        for entry in RESOURCES
        if (rows["resource"] == entry.key).any()
    ]


def _level_table(experiment: Experiment, rows: pd.DataFrame, key: str) -> Table:
    entry = resource(key)
    amounts = rows.drop_duplicates("level").sort_values("level")
    total = float(amounts["amount"].iloc[-1] / amounts["level"].iloc[-1])
    kind = "the budget" if rows["total_kind"].iloc[0] == "budget" else "the most any trial spent"
    header = tuple(
        f"{100 * level:g} %|{entry.text(float(amount))}"
        for level, amount in zip(amounts["level"], amounts["amount"], strict=True)
    )
    trials = experiment.trials["method"].value_counts().to_dict()
    flagship_trials = max(trials.get(experiment.flagship, 0), 1)
    flagship = [
        Cell(score(float(value)) + ("†" if ended >= flagship_trials else ""))
        for value, ended in zip(amounts["flagship_mean"], amounts["flagship_ended"], strict=True)
    ]
    body = [(Cell(experiment.label(experiment.flagship), "mean"), *flagship)]
    for method in experiment.others:
        mine = rows[rows["other"] == method.key].sort_values("level")
        cells = [
            _difference(row, bool(row["other_ended"] >= max(trials.get(method.key, 0), 1)))
            for _, row in mine.iterrows()
        ]
        body.append((Cell(method.label, "difference"), *cells))
    caption = f"{entry.axis}: 100 % is {kind}, {entry.text(total)}"
    return Table(("", *header), tuple(body), caption)


def _difference(row: pd.Series, ended: bool) -> Cell:
    verdict = str(row["verdict"])
    style = {HIGHER: "higher", LOWER: "lower"}.get(verdict, "same")
    if row["seeds"] == 0:
        return Cell("–", "no paired seed", "same")
    interval = "no interval" if pd.isna(row["low"]) else f"{signed(row['low'])} to {signed(row['high'])}"
    lost = f"; {row['missing']} of {row['missing'] + row['seeds']} seeds missing" if row["missing"] else ""
    return Cell(f"{signed(row['difference'])}{'†' if ended else ''}", f"{interval}{lost}|{verdict}", style)


def target_table(experiment: Experiment, targets: pd.DataFrame, target: float) -> Table:
    """Methods down, resources across: median spending until the target, with how many seeds got there."""
    rows, per_joule = targets[targets["target"] == target], carbon_g_per_joule(experiment)
    body = []
    for method in experiment.ordered_methods:
        mine = rows[rows["method"] == method.key].set_index("resource")
        if len(mine):
            first = mine.iloc[0]
            reached = f"{first['reached']} of {first['seeds']}"
            note = f"{first['censored']} censored" if first["censored"] else ""
            cells = [_spending(mine[mine.index == entry.key].iloc[0], entry) for entry in RESOURCES]
            if per_joule is not None:
                cells.append(_spending(_scaled(mine[mine.index == ENERGY.key].iloc[0], per_joule), CARBON))
            body.append((Cell(method.label), Cell(reached, note), *cells))
    carbon = (CARBON.axis,) if per_joule is not None else ()
    header = ("", "Seeds that reach it", *(entry.axis for entry in RESOURCES), *carbon)
    return Table(header, tuple(body), f"{scale_of(experiment).main.name} of {score(target)}")


def _scaled(row: pd.Series, factor: float) -> pd.Series:
    """Spending on something that goes with another thing in a fixed proportion."""
    amounts = {name: factor * float(row[name]) for name in ("median", "fastest", "slowest", "spent_by_censored")}
    return pd.Series(row.to_dict() | amounts)


def _spending(row: pd.Series, entry: Resource) -> Cell:
    if row["reached"] == 0:
        return Cell("never", f"> {entry.text(float(row['spent_by_censored']))}", "muted")
    span = f"{entry.text(float(row['fastest']))} to {entry.text(float(row['slowest']))}"
    if row["censored"]:
        span += f"|censored: > {entry.text(float(row['spent_by_censored']))}"
    return Cell("not by most" if row["median"] == float("inf") else entry.text(float(row["median"])), span)


def ending_table(experiment: Experiment) -> Table:
    """What ended the trials of each method and what they spent on average."""
    body, per_joule = [], carbon_g_per_joule(experiment)
    for _, row in endings(experiment).iterrows():
        spent = [Cell(entry.text(float(row[entry.key]))) for entry in RESOURCES]
        if per_joule is not None:
            spent.append(Cell(CARBON.text(per_joule * float(row[ENERGY.key]))))
        wall = Cell(TIME.text(float(row["wall_s"])))
        name = Cell(experiment.label(row["method"]))
        body.append((name, Cell(str(row["trials"])), Cell(str(row["ended_by"])), *spent, wall))
    carbon = (CARBON.axis,) if per_joule is not None else ()
    header = ("", "Trials", "Ended by", *(entry.axis for entry in RESOURCES), *carbon, "Real time")
    return Table(header, tuple(body), "Means over trials", frozenset({0, 2}))


def task_table(experiment: Experiment, states: Sequence[TrialStates]) -> Table:
    """Tasks down, methods across: final scores; each method's worst task is marked."""
    final = final_by_task(experiment, states=states)
    means = final.pivot(index="task", columns="method", values="mean")
    halves = final.assign(half=(final["high"] - final["low"]) / 2).pivot(index="task", columns="method", values="half")
    methods = [method for method in experiment.ordered_methods if method.key in means]
    worst = {method.key: worst_task(final, method.key) for method in methods}
    body, chance = [], np.where(means.notna().any(axis=1), chance_of(experiment, means.index), np.nan)
    for task, level in zip(means.index, chance.tolist(), strict=True):
        cells = []
        for method in methods:
            half = float(halves.loc[task, method.key])
            style = "worst" if worst[method.key] == str(task) else ""
            cells.append(
                Cell(score(float(means.loc[task, method.key])), "" if pd.isna(half) else f"± {score(half)}", style)
            )
        body.append((Cell(str(task)), *cells, Cell(score(level), style="muted")))
    overall = [Cell(score(float(means[method.key].mean()))) for method in methods]
    body.append(
        (Cell("Mean over tasks", style="total"), *overall, Cell(score(float(pd.Series(chance).mean())), style="muted"))
    )
    scale = scale_of(experiment)
    header = ("Task", *(method.label for method in methods), scale.no_learning.capitalize())
    return Table(header, tuple(body), f"Final {scale.words} on the {experiment.split} split, mean over seeds")


def unseen_table(experiment: Experiment) -> Table:
    """How methods serve tasks that nobody trained on; those that do not are left out."""
    states, metrics = trial_states(experiment, UNSEEN), scale_of(experiment).metrics
    body = []
    for method in experiment.ordered_methods:
        ends = [state for state in states if state.method == method.key]
        if not ends:
            continue
        cells = []
        for metric in metrics:
            interval = mean_interval(np.array([np.nanmean(state.values(metric)[-1]) for state in ends]))
            half = float(interval.high - interval.low) / 2
            cells.append(Cell(score(float(interval.mean)), "" if np.isnan(half) else f"± {score(half)}"))
        body.append((Cell(method.label), *cells))
    caption = "Mean over tasks kept out of training, at the end, and over seeds"
    return Table(("", *metrics.values()), tuple(body), caption)


def energy_table(experiment: Experiment) -> Table:
    """Components down would hide the totals, so methods go down and components across."""
    frame = energy_by_component(experiment)
    size, symbol = ENERGY.unit(float(frame["total"].max()) if len(frame) else 0.0)
    used = [name for name in ENERGY_COMPONENTS if frame[name].gt(0).any()]
    body, per_joule = [], carbon_g_per_joule(experiment)
    for key, row in frame.iterrows():
        parts = [Cell(number(float(row[name]) / size)) for name in used]
        half = (float(row["high"]) - float(row["low"])) / 2 / size
        total = Cell(number(float(row["total"]) / size), "" if pd.isna(half) else f"± {number(half)}", "total")
        carbon = [] if per_joule is None else [Cell(CARBON.text(per_joule * float(row["total"])))]
        body.append((Cell(experiment.label(str(key))), *parts, total, *carbon))
    gas = () if per_joule is None else (CARBON.axis,)
    header = ("", *(ENERGY_COMPONENTS[name].capitalize() for name in used), "Total", *gas)
    return Table(header, tuple(body), f"Energy in {symbol}, mean over seeds at the end")


def participation_table(experiment: Experiment) -> Table:
    """Invitations and their outcomes, and the median time to arrival."""
    counts, finish = outcome_counts(experiment), finish_times(experiment)
    body = []
    for key, row in counts.iterrows():
        invited = int(row.sum())
        shares = [Cell(f"{100 * row[name] / max(invited, 1):.1f} %", f"{row[name]:,}") for name in OUTCOMES]
        mine = finish[finish["method"] == key]
        spread = ", ".join(f"{d} {DURATION.text(m)}" for d, m in zip(mine["device_class"], mine[0.5], strict=True))
        body.append((Cell(experiment.label(str(key))), Cell(f"{invited:,}"), *shares, Cell(spread or "–")))
    header = ("", "Invited", *(name.capitalize() for name in OUTCOMES), "Median time to arrival")
    return Table(header, tuple(body), "All seeds and edge rounds together", frozenset({0, len(header) - 1}))


def reference_table(experiment: Experiment) -> Table:
    """Reference optima, mean over seeds; penalties tuned seed by seed are given as a range, and have no common P*."""
    body, scale = [], scale_of(experiment)
    columns = (*scale.metrics, f"worst_{scale.main.metric}")
    for name, row in reference_means(experiment).iterrows():
        mine = experiment.references[experiment.references["reference"] == name]
        ranges = [(float(mine[column].min()), float(mine[column].max())) for column in ("lambda1", "lambda2")]
        parts = [Cell(_range(low, high)) for low, high in ranges]
        tuned = any(low < high for low, high in ranges)
        primal = Cell("–" if tuned or pd.isna(row["primal"]) else f"{float(row['primal']):.6g}")
        metrics = [Cell(score(float(row[column]))) for column in columns]
        label = str(name)[:1].upper() + str(name)[1:]
        body.append((Cell(label), *parts, primal, *metrics, Cell(str(int(row["seeds"])))))
    scores = (*scale.metrics.values(), f"Worst task's {scale.words}")
    header = ("Reference", "λ₁", "λ₂", "Objective P*", *scores, "Seeds")
    return Table(header, tuple(body), "Computed centrally, test split, mean over seeds")


def _range(low: float, high: float) -> str:
    return number(low) if low == high or pd.isna(low) else f"{number(low)} to {number(high)}"
