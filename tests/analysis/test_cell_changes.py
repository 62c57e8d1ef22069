"""Totals of changes of cell, against sums by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.cell_changes import (
    KINDS,
    changes_per_minute,
    costs_of_changes,
    has_movers,
    moving_minutes,
    work_in_hand,
)
from analysis.load import Experiment
from tests.analysis.handmade_experiment import handmade, steps


def _moving() -> Experiment:
    """One trial of 120 s with two terminals that move, with three changes of cell, and one that flees from a site."""
    trial = {"method": "ours", "seed": 0}
    terminals = pd.DataFrame(
        {
            **trial,
            "terminal": [0, 1, 2],
            "moves": [True, True, False],
            "bytes_up": [1000.0, 250.0, 9e9],
            "away_s": [60.0, 0.0, 0.0],
        }
    )
    changes = pd.DataFrame(
        {
            **trial,
            "terminal": [0, 0, 1, 2],
            "kind": ["handover", "handover", "failed", "outage"],
            "ping_pong": [False, True, False, False],
            "interruption_s": [0.05, 0.05, 0.5, 9.0],
            "delay_s": [0.0, 0.3, 0.0, 9.0],
            "assignment": ["nothing", "restarted", "computing", "dropped"],
            "again_bits": [0.0, 2500.0, 0.0, 9e9],
        }
    )
    return handmade({("ours", 0): [("start", 0.0, "a", 0.5), ("end", 120.0, "a", 0.6)]}, terminals=terminals,
                    handovers=changes)  # fmt: skip


def test_rates_are_counts_over_the_minutes_of_all_that_move() -> None:
    experiment = _moving()
    assert moving_minutes(experiment).to_dict() == {"ours": 4.0}
    rates = changes_per_minute(experiment).loc["ours"]
    assert rates.to_dict() == {"handover": 0.5, "failed": 0.25, "link_failure": 0.0, "reselection": 0.0,
                               "outage": 0.0, "ping_pong": 0.25}  # fmt: skip
    assert work_in_hand(experiment).loc["ours"].to_dict() == {"computing": 1, "migrated": 0, "restarted": 1,
                                                              "dropped": 0}  # fmt: skip


def test_costs_are_sums_and_means_over_changes() -> None:
    cost = costs_of_changes(_moving()).loc["ours"]
    assert cost["changes"] == 3
    assert cost["ping_pong_share"] == pytest.approx(1 / 3)
    assert cost["interruption_s"] == pytest.approx(0.2)
    assert cost["off_air_share"] == pytest.approx(0.6 / 240.0)
    assert cost["delay_s"] == pytest.approx(0.1)
    assert (cost["again_bits"], cost["again_share"]) == (2500.0, pytest.approx(0.25))
    assert cost["away_share"] == pytest.approx(0.25)


def test_who_moves_without_a_change_has_rates_of_zero_and_who_does_not_move_has_none() -> None:
    experiment = _moving()
    quiet = replace(experiment, handovers=experiment.handovers.iloc[:0])
    assert not changes_per_minute(quiet).to_numpy().any()
    assert costs_of_changes(quiet).loc["ours", "off_air_share"] == 0.0
    assert has_movers(quiet)
    assert not has_movers(handmade({("ours", 0): steps(0.5, 0.6)}))


def test_every_recorded_change_is_counted_once(experiment: Experiment) -> None:
    counts = changes_per_minute(experiment)[list(KINDS)].mul(moving_minutes(experiment), axis=0).sum(axis=1)
    expected = experiment.handovers.groupby("method").size().reindex(counts.index)
    np.testing.assert_allclose(counts, expected)
    assert "local" not in counts.index
