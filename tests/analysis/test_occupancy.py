"""How busy the air was: intervals added up by an independent sum over a fine grid."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures.network_map import first_trial
from analysis.figures.rates import achieved_bps
from analysis.load import load_experiment
from analysis.occupancy import merged, occupancy, upload_intervals
from tests.analysis.fabricated_experiment import fabricate

INTERVALS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=20)


@given(INTERVALS)
def test_merged_intervals_are_disjoint_and_cover_the_same_ground(pairs: list[tuple[int, int]]) -> None:
    begin = np.array([start for start, _ in pairs], float)
    stop = begin + [length for _, length in pairs]
    low, high = merged(begin, stop)
    assert np.all(low[1:] > high[:-1])
    middles = np.arange(0.5, 80.0)
    covered = [bool(np.any((begin < m) & (m < stop))) for m in middles]
    assert covered == [bool(np.any((low < m) & (m < high))) for m in middles]


def test_load_and_airtime_are_those_of_the_uploads_in_the_records(tmp_path: Path) -> None:
    experiment = load_experiment(fabricate(tmp_path / "made"))
    method, seed = first_trial(experiment)
    air = occupancy(experiment, method, seed, 16)
    table = experiment.participation
    mine = table[(table["method"] == method) & (table["seed"] == seed)]
    begin, stop = upload_intervals(mine, air.edges_s[-1])
    times = np.linspace(0.0, air.edges_s[-1], 32001)
    middles = (times[1:] + times[:-1]) / 2.0
    for place, name in enumerate(air.cells):
        here = (mine["base_station"] == name).to_numpy()
        at_once = np.array([np.sum((begin[here] <= t) & (t < stop[here])) for t in middles[::20]])
        binned = at_once.reshape(16, -1)
        np.testing.assert_allclose(air.uploads[place], binned.mean(axis=1), atol=0.15)
        np.testing.assert_allclose(air.busy[place], (binned > 0).mean(axis=1), atol=0.05)
    assert air.busy.min() >= 0.0 and air.busy.max() <= 1.0 + 1e-9
    total_s = (stop - begin).sum()
    assert air.uploads.sum() * np.diff(air.edges_s)[0] == pytest.approx(total_s, rel=1e-9)


def test_an_assignment_without_an_upload_occupies_nothing() -> None:
    rows = pd.DataFrame({"start_s": [1.0, 2.0], "compute_s": [0.5, np.nan], "upload_s": [np.nan, np.nan]})
    begin, stop = upload_intervals(rows, 10.0)
    np.testing.assert_array_equal(stop - begin, 0.0)


def test_the_achieved_rate_is_bits_over_the_time_spent_uploading(tmp_path: Path) -> None:
    experiment = load_experiment(fabricate(tmp_path / "made"))
    achieved = achieved_bps(experiment)
    row = achieved.iloc[3]
    of_it = experiment.participation.query("method == @row.method and seed == @row.seed and terminal == @row.terminal")
    assert row["rate_bps"] == pytest.approx(8.0 * 1e4 / of_it["upload_s"].sum(), rel=1e-12)
