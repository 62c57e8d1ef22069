"""Sentences that must be true of the numbers, also of unwelcome ones."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from analysis.compare import compare_at_levels
from analysis.curves import trial_states
from analysis.findings import Findings, binding_resource, listed, state_findings
from analysis.load import Experiment
from analysis.quantities import BYTES, COST, ENERGY, TIME, Resource, score
from analysis.scales import scale_of
from analysis.tables import task_table
from analysis.targets import resource_to_target
from tests.analysis.handmade_experiment import handmade, steps

NOISE = (0.0, 0.01, -0.01, 0.005)


def _findings(experiment: Experiment) -> Findings:
    states = trial_states(experiment)
    levels = compare_at_levels(experiment, states=states)
    return state_findings(experiment, levels, resource_to_target(experiment, states=states), states)


def _against(seeds: int = 4, **finals: float) -> Experiment:
    """Ours ends at 0.8; each other method at its own final, all with seed noise of their own."""
    trials = {("ours", seed): steps(0.5, 0.65, 0.8 + NOISE[seed]) for seed in range(seeds)}
    for place, (method, final) in enumerate(finals.items()):
        for seed in range(seeds):
            trials[method, seed] = steps(0.5, 0.65, final + NOISE[(seed + place + 1) % 4])
    return handmade(trials)


def _text(findings: Findings) -> str:
    return " ".join([findings.headline, *(point.text for point in findings.points)])


@pytest.mark.parametrize(
    ("finals", "words", "tone"),
    [
        ({"a": 0.6, "b": 0.7}, "Ours scores higher than all 2 other methods in balanced accuracy", "good"),
        ({"a": 0.95, "b": 0.9}, "Ours scores lower than all 2 other methods in balanced accuracy", "bad"),
        ({"a": 0.8, "b": 0.8}, "no difference is shown between Ours and any of the 2 other methods in", "plain"),
        ({"a": 0.6}, "Ours scores higher than A in balanced accuracy", "good"),
        ({"a": 0.6, "b": 0.95}, "Ours scores higher than A, but lower than B in balanced accuracy", "bad"),
        ({"a": 0.6, "b": 0.8}, "Ours scores higher than A; no difference is shown from B in balanced", "plain"),
        ({"a": 0.95, "b": 0.8}, "Ours scores lower than A; no difference is shown from B in balanced", "bad"),
    ],
)
def test_the_headline_states_the_verdict_whatever_it_is(finals: dict[str, Any], words: str, tone: str) -> None:
    findings = _findings(_against(**finals))
    assert words in findings.headline
    assert findings.tone == tone


def test_levels_at_which_the_flagship_is_lower_are_named() -> None:
    trials = {("ours", seed): steps(0.5, 0.6 + NOISE[seed], 0.9) for seed in range(4)}
    trials |= {("theirs", seed): steps(0.5, 0.8 + NOISE[3 - seed], 0.8) for seed in range(4)}
    text = _text(_findings(handmade(trials)))
    assert "Ours is lower than Theirs (at 60 and 80 % of the time, 60 and 80 % of the energy" in text


def test_that_it_is_lower_nowhere_is_said_too() -> None:
    assert "Ours is not shown to be lower at any compared level" in _text(_findings(_against(a=0.6)))


def test_the_tally_counts_every_comparison() -> None:
    text = _text(_findings(_against(a=0.6, b=0.95)))
    assert "Of 48 paired comparisons (4 resources, 6 levels each, 2 methods)" in text
    assert "is higher in 4, lower in 4, and no difference is shown in 40" in text


def test_one_seed_shows_no_difference() -> None:
    findings = _findings(_against(seeds=1, a=0.6))
    assert "one seed alone cannot show a difference" in findings.headline
    assert "higher" not in _text(findings)


def test_a_method_run_alone_is_not_compared() -> None:
    findings = _findings(_against())
    assert findings.headline == "Ours was run alone: there is nothing to compare it with."


def test_a_flagship_at_chance_is_said_to_be_at_chance() -> None:
    experiment = handmade({("ours", seed): steps(0.5, 0.5 + NOISE[seed]) for seed in range(4)})
    assert "Ours is not shown to beat always answering one class (0.500)" in _text(_findings(experiment))
    assert "always answering one class" not in _text(_findings(_against(a=0.6)))


def test_chance_is_that_of_the_tasks_there_are() -> None:
    trials = {
        ("ours", seed): [*steps(0.1, 0.3 + NOISE[seed], task="a"), *steps(0.5, 0.5, task="b")] for seed in range(4)
    }
    for levels, beaten in (({}, False), ({"a": 0.1}, True), ({"a": 0.3}, False), ({"c": 0.1}, False)):
        experiment = handmade(trials, chance=levels)
        said = "always answering one class" in _text(_findings(experiment))
        assert said != beaten
        table = task_table(experiment, trial_states(experiment))
        level = levels.get("a", 0.5)
        assert [row[-1].text for row in table.rows] == [score(each) for each in (level, 0.5, (level + 0.5) / 2)]


def test_trials_that_left_no_record_are_named() -> None:
    experiment = _against(a=0.6)
    without = experiment.tasks[~((experiment.tasks["method"] == "a") & (experiment.tasks["seed"] == 2))]
    experiment = handmade({("ours", seed): steps(0.5, 0.8) for seed in range(4)}, tasks=without)
    object.__setattr__(experiment, "methods", _against(a=0.6).methods)
    assert "No record of A (seed 2)" in _text(_findings(experiment))


def test_a_method_without_any_record_is_not_given_a_verdict() -> None:
    experiment = _against(a=0.6)
    object.__setattr__(experiment, "tasks", experiment.tasks[experiment.tasks["method"] == "ours"])
    findings = _findings(experiment)
    assert "nothing to compare it with" in findings.headline
    assert "No record of A (seed 0, 1, 2 and 3)" in _text(findings)


def test_a_budget_that_ended_the_run_is_where_methods_are_judged(experiment: Experiment) -> None:
    findings = _findings(experiment)
    assert findings.headline.startswith("With the whole cost budget of 1,000, RHFedMTL scores higher than all 2")
    assert "RHFedMTL is lower than Local training (at 10" in _text(findings)
    assert "the multi-task optimum scores 0.780" in _text(findings)


def test_a_target_that_others_miss_is_said_to_be_missed() -> None:
    text = _text(_findings(_against(a=0.6)))
    assert "To reach a balanced accuracy of 0.741, Ours needs 2 s of time (median, reached in 4 of 4 seeds)" in text
    assert "no other method reaches it in most of its seeds" in text


@pytest.mark.parametrize(
    ("ended_by", "budget", "expected"),
    [
        (["cost budget", "time budget", "cost budget"], {"cost": 1.0, "time_s": 1.0}, COST),
        (["energy per terminal budget"] * 3, {"energy_per_terminal_j": 1.0}, ENERGY),
        (["bytes budget"] * 3, {"bytes": 1.0}, BYTES),
        (["plan complete"] * 3, {"cost": 1.0}, COST),
        (["plan complete in time"] * 3, {}, TIME),
    ],
)
def test_the_binding_resource_is_the_one_that_ended_most_trials(
    ended_by: list[str], budget: dict[str, float], expected: Resource
) -> None:
    experiment = handmade({("ours", seed): steps(0.5, 0.6) for seed in range(3)}, budget=budget)
    experiment.trials["ended_by"] = pd.Series(ended_by)
    assert binding_resource(experiment) is expected


def test_names_are_listed_as_in_speech() -> None:
    assert [listed(names) for names in (["A"], ["A", "B"], ["A", "B", "C"])] == ["A", "A and B", "A, B and C"]


def test_values_are_compared_by_what_is_explained_of_their_spread() -> None:
    trials = {("ours", seed): steps(-0.4, 0.8 + NOISE[seed]) for seed in range(4)}
    trials |= {("lost", seed): steps(-0.4, -(10.0 ** (9 * seed))) for seed in range(4)}
    trials |= {("none", seed): steps(-0.4, NOISE[seed] - 0.01) for seed in range(4)}
    experiment = handmade(trials, values=True)
    text = _text(_findings(experiment))
    assert "Ours scores higher than all 2 other methods in R² averaged over tasks" in text
    assert "Final R² (test split, mean over tasks and 4 seeds): Ours 0.801, None −0.009 and Lost −1.000" in text
    assert "To reach an R² of" in text and "AUC" not in text and "always answering" not in text
    poor = handmade({key: steps for key, steps in trials.items() if key[0] != "ours"}, flagship="none", values=True)
    assert "None is not shown to beat always answering the mean (0.000)" in _text(_findings(poor))


def test_beside_classes_tasks_with_values_are_left_out_and_it_is_said() -> None:
    trials = {("ours", seed): [*steps(0.5, 0.8, task="a"), *steps(0.5, 0.9, task="b")] for seed in range(2)}
    tasks = handmade(trials).tasks
    of_b = tasks["task"] == "b"
    mixed = tasks.assign(
        r2=tasks["balanced_accuracy"].where(of_b), balanced_accuracy=tasks["balanced_accuracy"].mask(of_b)
    )
    experiment = handmade(trials, tasks=mixed)
    assert "values" in scale_of(experiment).note and not scale_of(handmade(trials)).note
    assert "Final balanced accuracy (test split, mean over tasks and 2 seeds): Ours 0.800" in _text(
        _findings(experiment)
    )
    rows = task_table(experiment, trial_states(experiment)).rows
    assert [[cell.text for cell in row] for row in rows] == [
        ["a", "0.800", "0.500"],
        ["b", "–", "–"],
        ["Mean over tasks", "0.800", "0.500"],
    ]
