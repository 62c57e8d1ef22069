"""What the numbers say, in sentences: computed from the comparisons, whatever they turn out to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.compare import HIGHER, LEVELS, LOWER, NOT_SHOWN, compare_at_levels
from analysis.curves import Measure, TrialStates, task_curves
from analysis.intervals import mean_interval
from analysis.load import Experiment
from analysis.quantities import BYTES, COST, ENERGY, RESOURCES, TIME, Resource, resource, score, signed
from analysis.scales import chance_of, scale_of
from analysis.summaries import final_by_task, reference_means

_WORDS = {"time": TIME, "energy": ENERGY, "cost": COST, "byte": BYTES, "traffic": BYTES}


@dataclass(frozen=True)
class Finding:
    """A sentence and its tone for the flagship: "good", "bad" or "plain"."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Findings:
    """The headline, its tone, and what supports or qualifies it."""

    headline: str
    tone: str
    points: tuple[Finding, ...]


def binding_resource(experiment: Experiment) -> Resource:
    """The resource whose budget ended most trials; else the first with a budget; else time."""
    ended = experiment.trials["ended_by"].fillna("").str.lower()
    ended = ended[ended.str.contains("budget")]
    counts = {
        entry.key: sum(int(ended.str.contains(word).sum()) for word, kind in _WORDS.items() if kind is entry)
        for entry in RESOURCES
    }
    if max(counts.values()) > 0:
        return resource(max(counts, key=lambda key: counts[key]))
    limited = [entry for entry in RESOURCES if entry.key in experiment.budget]
    return limited[0] if limited else TIME


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "A", "A and B", "A, B and C"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def state_findings(
    experiment: Experiment, levels: pd.DataFrame, targets: pd.DataFrame, states: Sequence[TrialStates]
) -> Findings:
    """Sentences from the tables of `compare_at_levels` and `resource_to_target`."""
    bound, scale = binding_resource(experiment), scale_of(experiment)
    worst = compare_at_levels(experiment, (scale.worst,), (1.0,), states)
    everything = pd.concat([levels, worst], ignore_index=True) if len(worst) else levels
    full = everything[(everything["resource"] == bound.key) & (everything["level"] == 1.0)]
    headline, tone = _headline(experiment, _of(full, scale.main), bound)
    also = None if scale.also is None else _also(experiment, _of(full, scale.also), f"In {scale.also.name}")
    points = [
        _missing(experiment, states),
        _final_score(experiment, states),
        _where_lower(experiment, _of(levels, scale.main)),
        _tally(experiment, _of(levels, scale.main)),
        also,
        _also(experiment, _of(full, scale.worst), f"For the worst task's {scale.words}"),
        _to_target(experiment, targets, bound),
        _to_optimum(experiment, states),
    ]
    return Findings(headline, tone, tuple(point for point in points if point is not None))


def _of(table: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    return table[table["measure"] == measure.name]


def _missing(experiment: Experiment, states: Sequence[TrialStates]) -> Finding | None:
    """Trials that were planned and left no record."""
    there = {(state.method, state.seed) for state in states}
    lost = {
        method.label: [str(seed) for seed in experiment.seeds if (method.key, seed) not in there]
        for method in experiment.methods
    }
    clauses = [f"{label} (seed {listed(seeds)})" for label, seeds in lost.items() if seeds]
    if not clauses:
        return None
    return Finding(f"No record of {listed(clauses)}: every comparison uses the seeds that both methods have.", "bad")


def _tone(verdicts: Sequence[str]) -> str:
    if LOWER in verdicts:
        return "bad"
    return "good" if verdicts and all(verdict == HIGHER for verdict in verdicts) else "plain"


def _verdicts(experiment: Experiment, rows: pd.DataFrame) -> str:
    """ "scores higher than A and B, but lower than C; no difference is shown from D"."""
    rows = rows[rows["seeds"] > 0]
    labels: dict[str, list[str]] = {HIGHER: [], LOWER: [], NOT_SHOWN: []}
    for other, verdict in zip(rows["other"], rows["verdict"], strict=True):
        labels[verdict].append(experiment.label(other))
    if len(rows) > 1:
        for verdict, names in labels.items():
            if len(names) == len(rows):
                labels[verdict] = [f"all {len(rows)} other methods"]
                if verdict == NOT_SHOWN:
                    labels[verdict] = [f"any of the {len(rows)} other methods"]
    shown = [f"{verdict} than {listed(labels[verdict])}" for verdict in (HIGHER, LOWER) if labels[verdict]]
    parts = [f"{experiment.label(experiment.flagship)} scores {', but '.join(shown)}"] if shown else []
    if labels[NOT_SHOWN]:
        subject = "" if shown else f" between {experiment.label(experiment.flagship)} and"
        preposition = " from" if shown else ""
        parts.append(f"no difference is shown{subject}{preposition} {listed(labels[NOT_SHOWN])}")
    return "; ".join(parts)


def _headline(experiment: Experiment, rows: pd.DataFrame, bound: Resource) -> tuple[str, str]:
    name = experiment.label(experiment.flagship)
    if not (rows["seeds"] > 0).any():
        return f"{name} was run alone: there is nothing to compare it with.", "plain"
    amount = bound.text(float(rows["amount"].iloc[0]))
    if rows["total_kind"].iloc[0] == "budget":
        where = f"With the whole {bound.name} budget of {amount}"
    else:
        where = f"At the end, with up to {amount} of {bound.name} spent"
    if len(experiment.seeds) < 2:
        return f"{where}, one seed alone cannot show a difference between methods.", "plain"
    sentence = f"{where}, {_verdicts(experiment, rows)} in {scale_of(experiment).words} averaged over tasks."
    return sentence, _tone(list(rows["verdict"]))


def _final_score(experiment: Experiment, states: Sequence[TrialStates]) -> Finding:
    """Every method's final mean, best first; tells if the flagship is not above chance."""
    finals: dict[str, list[float]] = {}
    scale = scale_of(experiment)
    for curve in task_curves(states, scale.main):
        finals.setdefault(curve.method, []).append(float(curve.value[-1]))
    estimates = {method: mean_interval(values) for method, values in finals.items()}
    order = sorted(estimates, key=lambda method: -float(estimates[method].mean))
    scores = listed([f"{experiment.label(key)} {score(float(estimates[key].mean))}" for key in order])
    text = f"Final {scale.words} ({experiment.split} split, mean over tasks and {_seeds(experiment)}): {scores}."
    mine = estimates.get(experiment.flagship)
    # With one seed there is no lower limit, hence nothing that shows more than chance.
    chance = _chance(experiment, states)
    if mine is not None and len(experiment.seeds) > 1 and not float(mine.low) > chance:
        name = experiment.label(experiment.flagship)
        return Finding(f"{text} {name} is not shown to beat {scale.no_learning} ({score(chance)}).", "bad")
    return Finding(text)


def _chance(experiment: Experiment, states: Sequence[TrialStates]) -> float:
    """Mean score of the answer that takes no learning, over the tasks that have a score."""
    means = final_by_task(experiment, states=states).groupby("task", sort=False)["mean"].mean()
    return float(chance_of(experiment, means.index[means.notna()]).mean())


def _seeds(experiment: Experiment) -> str:
    return f"{len(experiment.seeds)} seed{'s' if len(experiment.seeds) != 1 else ''}"


def _where_lower(experiment: Experiment, rows: pd.DataFrame) -> Finding | None:
    if rows.empty or len(experiment.seeds) < 2:
        return None
    name = experiment.label(experiment.flagship)
    lower = rows[rows["verdict"] == LOWER]
    if lower.empty:
        return Finding(f"{name} is not shown to be lower at any compared level of any resource.", "good")
    clauses = []
    for other, mine in lower.groupby("other", sort=False):
        places = [
            f"{listed([f'{100 * level:g}' for level in there['level']])} % of the {resource(str(key)).name}"
            for key, there in mine.groupby("resource", sort=False)
        ]
        clauses.append(f"{experiment.label(str(other))} (at {listed(places)})")
    return Finding(f"{name} is lower than {listed(clauses)}.", "bad")


def _tally(experiment: Experiment, rows: pd.DataFrame) -> Finding | None:
    if rows.empty or len(experiment.seeds) < 2:
        return None
    counts = rows["verdict"].value_counts()
    numbers = {verdict: int(counts.get(verdict, 0)) for verdict in (HIGHER, LOWER, NOT_SHOWN)}
    return Finding(
        f"Of {len(rows)} paired comparisons ({rows['resource'].nunique()} resources, {len(LEVELS)} levels each,"
        f" {rows['other'].nunique()} methods) {scale_of(experiment).words} is higher in {numbers[HIGHER]}, lower in"
        f" {numbers[LOWER]}, and no difference is shown in {numbers[NOT_SHOWN]}. The intervals are not corrected"
        " for their number: between equal methods, about one in twenty would show a difference."
    )


def _also(experiment: Experiment, rows: pd.DataFrame, what: str) -> Finding | None:
    if rows.empty or len(experiment.seeds) < 2:
        return None
    return Finding(f"{what}, at the same point: {_verdicts(experiment, rows)}.", _tone(list(rows["verdict"])))


def _to_target(experiment: Experiment, targets: pd.DataFrame, bound: Resource) -> Finding | None:
    """The middle target of the binding resource: who needs least, and what the flagship needs."""
    rows = targets[targets["resource"] == bound.key]
    if rows.empty:
        return None
    values = sorted(rows["target"].unique())
    target = values[len(values) // 2]
    rows = rows[rows["target"] == target].set_index("method")
    if experiment.flagship not in rows.index:
        return None
    scale = scale_of(experiment)
    clauses = [f"{experiment.label(experiment.flagship)} needs {_needed(rows, experiment.flagship, bound)}"]
    least = rows["median"].drop(experiment.flagship)
    if len(least) and least.min() < float("inf"):
        other = str(least.idxmin())
        clauses.append(f"of the others {experiment.label(other)} needs least, {_needed(rows, other, bound)}")
    elif len(least):
        clauses.append("no other method reaches it in most of its seeds")
    return Finding(f"To reach {scale.article} {scale.words} of {score(target)}, {'; '.join(clauses)}.")


def _needed(rows: pd.DataFrame, method: str, bound: Resource) -> str:
    row = rows[rows.index == method].to_dict("records")[0]
    got = f"reached in {row['reached']} of {row['seeds']} seeds"
    if row["median"] == float("inf"):
        return f"more {bound.name} than most seeds spent ({got})"
    return f"{bound.text(float(row['median']))} of {bound.name} (median, {got})"


def _to_optimum(experiment: Experiment, states: Sequence[TrialStates]) -> Finding | None:
    """Distance to the multi-task optimum on the same split, mean over seeds."""
    means = reference_means(experiment)
    if "multi-task optimum" not in means.index or experiment.split != "test":
        return None
    main = scale_of(experiment).main
    optimum = float(means[main.metric]["multi-task optimum"])
    curves = task_curves([s for s in states if s.method == experiment.flagship], main)
    final = float(mean_interval([float(curve.value[-1]) for curve in curves]).mean) if curves else float("nan")
    name = experiment.label(experiment.flagship)
    return Finding(
        f"Training to the multi-task optimum scores {score(optimum)}; {name} ends at {score(final)}"
        f" ({signed(final - optimum)})."
    )
