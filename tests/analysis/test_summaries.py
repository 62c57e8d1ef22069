"""Totals over a run."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.load import ENERGY_COMPONENTS, OUTCOMES, Experiment
from analysis.summaries import (
    endings,
    energy_by_component,
    final_by_task,
    final_rounds,
    finish_times,
    outcome_counts,
    reference_means,
)
from tests.analysis.handmade_experiment import handmade, steps


def test_the_final_metric_of_a_task_is_its_last_record_over_seeds() -> None:
    trials = {("ours", seed): [*steps(0.5, 0.6 + 0.1 * seed), *steps(0.5, 0.9, task="b")] for seed in range(3)}
    table = final_by_task(handmade(trials)).set_index("task")
    assert table["mean"].to_dict() == pytest.approx({"a": 0.7, "b": 0.9})
    assert table["seeds"].to_dict() == {"a": 3, "b": 3}
    assert table.loc["b", "low"] == pytest.approx(0.9)


def test_energy_components_add_up_to_the_total(experiment: Experiment) -> None:
    table = energy_by_component(experiment)
    assert list(table.index) == ["rhfedmtl", "fedavg", "local"]
    assert table[list(ENERGY_COMPONENTS)].sum(axis=1).tolist() == pytest.approx(table["total"].tolist())
    last = final_rounds(experiment)
    assert len(last) == 12
    assert table["total"]["fedavg"] == pytest.approx(last[last["method"] == "fedavg"]["energy_j"].mean())


def test_outcomes_are_counted_and_only_for_methods_that_invite(experiment: Experiment) -> None:
    counts = outcome_counts(experiment)
    assert list(counts.index) == ["rhfedmtl", "fedavg"]
    assert list(counts.columns) == list(OUTCOMES)
    assert counts.to_numpy().sum() == len(experiment.participation)
    totals = experiment.terminals.groupby("method")[list(OUTCOMES)].sum()
    assert counts.T["fedavg"].tolist() == totals.T["fedavg"].tolist()


def test_finish_times_count_from_the_start_of_the_round_and_leave_out_what_never_came() -> None:
    common = {"method": "ours", "seed": 0, "base_station": "bs", "cloud_round": 0, "edge_round": 0}
    invited = pd.DataFrame(
        {
            **common,
            "terminal": ["t1", "t2", "t1", "t1", "t3"],
            "outcome": ["merged", "dropped", "late", "merged", "merged"],
            "start_s": [0.0, 0.0, 10.0, 20.0, 20.0],
            "finish_s": [1.0, None, 13.0, 22.0, 29.0],
        }
    )
    devices = pd.DataFrame({"method": "ours", "seed": 0, "terminal": ["t1", "t2"], "device_class": ["slow", "fast"]})
    experiment = handmade({("ours", 0): steps(0.5, 0.6)}, participation=invited, terminals=devices)
    table = finish_times(experiment).set_index("device_class")
    assert table["updates"].to_dict() == {"slow": 3, "unknown": 1}
    assert table[0.5].to_dict() == {"slow": 2.0, "unknown": 9.0}


def test_what_ended_each_method_is_said_with_counts_where_it_differs(experiment: Experiment) -> None:
    table = endings(experiment).set_index("method")
    assert table["ended_by"].to_dict()["rhfedmtl"] == "cost budget"
    mixed = handmade({("ours", seed): steps(0.5, 0.6) for seed in range(3)})
    mixed.trials["ended_by"] = ["time budget", "cost budget", "time budget"]
    (row,) = endings(mixed).to_dict("records")
    assert row["ended_by"] == "time budget (2), cost budget (1)"
    assert (row["trials"], row["time_s"]) == (3, 1.0)


def test_references_are_averaged_over_seeds_and_may_be_absent(experiment: Experiment) -> None:
    means = reference_means(experiment)
    assert means["balanced_accuracy"]["multi-task optimum"] == pytest.approx(0.78)
    assert means["seeds"].tolist() == [4] * 4
    assert reference_means(handmade({("ours", 0): steps(0.5, 0.6)})).empty
