"""How busy the air was: intervals added up by an independent sum over a fine grid."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.distributions import achieved_bps, share_with_no_more
from analysis.load import load_experiment
from analysis.network import first_trial, of_trial
from analysis.occupancy import in_serving_cells, merged, occupancy, stays, upload_intervals
from tests.analysis.fabricated_experiment import fabricate

INTERVALS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=20)


@settings(deadline=None)
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
    experiment = replace(experiment, terminals=experiment.terminals.drop(columns="served_by"))
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


def test_the_rates_of_a_distribution_are_those_of_so_many_terminals() -> None:
    values, share = share_with_no_more(np.array([3.0, np.nan, 1.0, 3.0, 2.0]))
    np.testing.assert_array_equal(values, [1.0, 2.0, 3.0, 3.0])
    np.testing.assert_array_equal(share, [0.25, 0.5, 0.75, 1.0])


CHANGES = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 60), st.sampled_from("abc")), max_size=12)
UPLOADS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(0, 20)), max_size=12)


@settings(deadline=None)
@given(CHANGES, UPLOADS)
def test_an_upload_occupies_the_cell_that_serves_its_terminal_at_every_instant(
    changes: list[tuple[int, int, str]], uploads: list[tuple[int, int, int]]
) -> None:
    changes = sorted({(who, at): (who, at, cell) for who, at, cell in changes}.values(), key=lambda c: c[1])
    served = dict.fromkeys(range(3), "home")
    rows = []
    for who, at, cell in changes:
        rows.append({"terminal": who, "time_s": float(at), "from_cell": served[who], "to_cell": cell})
        served[who] = cell
    moved = pd.DataFrame(rows, columns=["terminal", "time_s", "from_cell", "to_cell"]).astype({"terminal": np.int64})
    terminals = pd.DataFrame({"terminal": list(served), "served_by": list(served.values())})
    sent = pd.DataFrame(
        {
            "terminal": np.array([who for who, _, _ in uploads], np.int64),
            "cell": "home",
            "begin_s": [float(begin) for _, begin, _ in uploads],
            "stop_s": [float(begin + length) for _, begin, length in uploads],
        }
    )
    pieces = in_serving_cells(sent, moved, terminals).to_dict("records")
    for instant in np.arange(0.5, 81.0):
        for who in range(3):
            path = [cell for mover, at, cell in changes if mover == who and at < instant]
            here = path[-1] if path else "home"
            running = sum(u == who and begin < instant < begin + length for u, begin, length in uploads)
            mine = [piece for piece in pieces if piece["terminal"] == who]
            assert [p["cell"] for p in mine if p["begin_s"] < instant < p["stop_s"]] == [here] * running


def test_whoever_never_changes_stays_where_the_run_ended() -> None:
    terminals = pd.DataFrame({"terminal": ["a"], "served_by": ["bs-03"]})
    changes = pd.DataFrame({"terminal": [], "time_s": [], "from_cell": [], "to_cell": []})
    (stay,) = stays(changes, terminals).to_dict("records")
    assert stay == {"terminal": "a", "cell": "bs-03", "from_s": 0.0, "until_s": np.inf}


def test_uploads_of_moving_terminals_take_as_long_wherever_they_are(tmp_path: Path) -> None:
    experiment = load_experiment(fabricate(tmp_path / "made"))
    trial = first_trial(experiment)
    air = occupancy(experiment, *trial, 16)
    begin, stop = upload_intervals(of_trial(experiment.participation, *trial), air.edges_s[-1])
    assert air.uploads.sum() * np.diff(air.edges_s)[0] == pytest.approx((stop - begin).sum(), rel=1e-9)
    still = replace(experiment, terminals=experiment.terminals.drop(columns="served_by"))
    assert np.abs(occupancy(still, *trial, 16).uploads - air.uploads).max() > 0.0
