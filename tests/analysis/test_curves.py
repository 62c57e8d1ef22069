"""Step functions of what was last known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.curves import (
    AUC,
    BALANCED_ACCURACY,
    WORST_TASK,
    TrialCurve,
    common_grid,
    round_curves,
    summarise,
    task_curves,
    trial_states,
)
from analysis.load import Experiment
from tests.analysis.handmade_experiment import Record, handmade, steps

TWO_TASKS: list[Record] = [
    ("start", 0.0, "a", 0.5),
    ("start", 0.0, "b", 0.5),
    ("edge", 1.0, "a", 0.7),
    ("edge", 2.0, "b", 0.6),
    ("cloud", 3.0, "a", 0.8),
    ("cloud", 3.0, "b", 0.4),
    ("end", 4.0, "a", 0.8),
    ("end", 4.0, "b", 0.6),
]


def _curve(records: list[Record], worst: bool = False) -> TrialCurve:
    states = trial_states(handmade({("ours", 0): records}))
    return task_curves(states, WORST_TASK if worst else BALANCED_ACCURACY)[0]


def test_the_mean_over_tasks_holds_what_was_last_known_of_each() -> None:
    times = [0.0, 0.999, 1.0, 1.5, 2.0, 2.999, 3.0, 4.0]
    assert _curve(TWO_TASKS).at("time_s", times) == pytest.approx([0.5, 0.5, 0.6, 0.6, 0.65, 0.65, 0.6, 0.7])


def test_the_worst_task_is_the_lowest_last_known_value() -> None:
    assert _curve(TWO_TASKS, worst=True).at("time_s", [0, 1, 2, 3, 4]) == pytest.approx([0.5, 0.5, 0.6, 0.4, 0.6])


def test_after_the_end_the_last_value_holds_and_before_the_start_nothing_is_known() -> None:
    curve = _curve(TWO_TASKS)
    assert curve.at("time_s", [4.0, 1e9]) == pytest.approx([0.7, 0.7])
    assert np.isnan(curve.at("time_s", -1e-9))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.data())
def test_a_value_never_depends_on_the_future(values: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(values) - 1))
    futures = data.draw(st.lists(st.floats(0, 1), min_size=len(values) - cut, max_size=len(values) - cut))
    times = np.linspace(0, cut, 50, endpoint=False)
    before = _curve(steps(*values)).at("time_s", times)
    after = _curve(steps(*values[:cut], *futures)).at("time_s", times)
    assert (before == after).all()


@given(st.permutations(range(len(TWO_TASKS) - 2)))
def test_records_may_be_stored_in_any_order_of_time(order: list[int]) -> None:
    shuffled = [TWO_TASKS[:-2][place] for place in order] + TWO_TASKS[-2:]
    assert _curve(shuffled).value == pytest.approx(_curve(TWO_TASKS).value)


def test_half_of_an_event_is_never_seen() -> None:
    records: list[Record] = [
        *(("start", 0.0, task, 0.5) for task in "ab"),
        ("cloud", 1.0, "a", 1.0),
        ("cloud", 1.0, "b", 0.0),
        *(("end", 2.0, task, 0.5) for task in "ab"),
    ]
    curve = _curve(records)
    assert curve.value == pytest.approx([0.5, 0.5, 0.5])
    assert curve.reach("time_s", 0.6) == float("inf")


def test_a_task_without_any_defined_value_is_left_out() -> None:
    records: list[Record] = [*steps(0.5, 0.9), *steps(np.nan, np.nan, task="one class only")]
    assert _curve(records).value.tolist() == [0.5, 0.9]


def test_a_task_that_diverges_makes_the_mean_unknown_rather_than_better() -> None:
    curve = _curve([*steps(0.5, 0.9, 0.9), *steps(0.5, np.nan, 0.7, task="b")])
    assert curve.value == pytest.approx([0.5, np.nan, 0.8], nan_ok=True)


def test_curves_can_be_read_against_every_resource() -> None:
    states = trial_states(handmade({("ours", 0): steps(0.5, 0.7, 0.9)}, rates={"cost": 10.0, "bytes": 0.0}))
    curve = task_curves(states, BALANCED_ACCURACY)[0]
    assert curve.at("cost", [0, 9.9, 10, 20]).tolist() == [0.5, 0.5, 0.7, 0.9]
    assert curve.at("bytes", [0, 5]).tolist() == [0.9, 0.9]  # nothing spent: the last event at zero counts
    assert curve.reach("cost", 0.6) == 10.0
    assert curve.end("cost") == 20.0


def test_the_worst_task_is_never_above_the_mean(experiment: Experiment) -> None:
    states = trial_states(experiment)
    pairs = zip(task_curves(states, WORST_TASK), task_curves(states, BALANCED_ACCURACY), strict=True)
    assert all((worst.value <= mean.value + 1e-15).all() for worst, mean in pairs)


def test_a_forward_filled_table_gives_the_same_curve(experiment: Experiment) -> None:
    state = trial_states(experiment)[0]
    rows = experiment.tasks.query("split == 'test' and method == @state.method and seed == @state.seed")
    filled = rows.pivot_table(index="time_s", columns="task", values="balanced_accuracy", aggfunc="last").ffill()
    curve = state.curve(BALANCED_ACCURACY)
    assert curve.at("time_s", filled.index) == pytest.approx(filled.mean(axis=1).to_numpy(), abs=1e-12)


def test_a_task_with_one_class_has_no_part_in_the_auc(experiment: Experiment) -> None:
    state = trial_states(experiment)[0]
    assert np.isnan(state.values("auc")[:, -1]).all()
    assert not np.isnan(state.curve(AUC).value).any()


def test_means_and_intervals_over_seeds_are_students() -> None:
    finals = [0.6, 0.7, 0.9]
    experiment = handmade({("ours", seed): steps(0.5, final) for seed, final in enumerate(finals)})
    table = summarise(task_curves(trial_states(experiment), BALANCED_ACCURACY), "time_s", [0.0, 1.0])
    low, high = stats.t.interval(0.95, 2, loc=np.mean(finals), scale=stats.sem(finals))
    assert table[["x", "mean", "low", "high", "seeds"]].to_numpy() == pytest.approx(
        np.array([[0, 0.5, 0.5, 0.5, 3], [1, np.mean(finals), low, high, 3]])
    )


def test_geometric_means_are_means_of_logarithms_and_leave_out_what_has_none() -> None:
    experiment = handmade({("ours", seed): steps(1.0, value) for seed, value in enumerate([1e-2, 1e-4, 0.0])})
    table = summarise(task_curves(trial_states(experiment), BALANCED_ACCURACY), "time_s", [1.0], geometric=True)
    assert table[["mean", "seeds"]].to_numpy() == pytest.approx(np.array([[1e-3, 2]]))


def test_the_common_grid_ends_exactly_where_the_longest_trial_does() -> None:
    trials = {("ours", 0): steps(0.5, 0.6), ("theirs", 0): steps(0.5, 0.6, 0.7)}
    curves = task_curves(trial_states(handmade(trials, rates={"cost": 0.1, "bytes": 0.0})), BALANCED_ACCURACY)
    for least in (0.0, 0.01):
        grid = common_grid(curves, "cost", 7, least)
        assert (len(grid), grid[-1]) == (7, 0.2)
        assert (np.diff(grid) > 0).all()
    assert common_grid(curves, "cost", 7)[0] == 0.0
    assert common_grid(curves, "bytes").tolist() == [0.0]


def test_round_curves_skip_edge_events_and_methods_without_values() -> None:
    rounds = pd.DataFrame(
        {
            "method": ["ours"] * 4 + ["theirs"],
            "seed": 0,
            "event": ["start", "edge", "cloud", "end", "cloud"],
            **{key: [0.0, 1.0, 2.0, 3.0, 1.0] for key in ("time_s", "energy_j", "cost", "bytes")},
            "gap": [np.nan, 9.0, 0.5, 0.25, np.nan],
        }
    )
    trials = {("ours", 0): steps(0.5, 0.6), ("theirs", 0): steps(0.5, 0.6)}
    (curve,) = round_curves(handmade(trials, rounds=rounds), "gap")
    assert curve.method == "ours"
    assert curve.at("time_s", [1.0, 2.0, 3.0, 9.0]) == pytest.approx([np.nan, 0.5, 0.25, 0.25], nan_ok=True)
