"""Fronts, prices and rankings: closed forms, published constants, and the whole against its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.curves import AUC, BALANCED_ACCURACY, R2, WORST_R2, TrialCurve, trial_states
from analysis.load import Experiment
from analysis.ranks import critical_difference, holm, pairs, rank
from analysis.tradeoff.curve import CERTIFIED, SCORES, run_curve
from analysis.tradeoff.fronts import attained_by, nondominated
from analysis.tradeoff.latex import escaped, tabular
from analysis.tradeoff.load import _usual_measure, climb, step_curve
from analysis.tradeoff.prices import GAP, SCORE, price_of, shares_reached
from scenarios.records import write_record

scores = st.lists(st.one_of(st.just(float("nan")), st.integers(0, 8).map(lambda n: n / 8)), min_size=1, max_size=30)


def curve(values: list[float], method: str = "a", seed: int = 0) -> TrialCurve:
    amounts = np.arange(len(values), dtype=float)
    return TrialCurve(method, seed, {"time_s": amounts, "energy_j": 2 * amounts}, np.array(values, dtype=float))


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=40))
def test_what_nothing_beats_is_what_nothing_beats(rows: list[tuple[int, int, int]]) -> None:
    costs = np.array(rows, dtype=float)
    expected = [
        not any((other <= row).all() and (other < row).any() for other in costs) for row in costs
    ]  # the definition, pair by pair
    assert nondominated(costs).tolist() == expected


def test_a_row_without_a_value_is_on_no_front_and_beats_nobody() -> None:
    assert nondominated([[0.0, np.nan], [1.0, 1.0]]).tolist() == [False, True]


@given(scores, st.sampled_from([0.0, 0.125, 0.5, 0.9, 1.0]))
def test_a_climb_reaches_every_target_where_the_whole_curve_does(values: list[float], target: float) -> None:
    whole, short = curve(values), climb(curve(values))
    for resource in ("time_s", "energy_j"):
        assert short.reach(resource, target) == whole.reach(resource, target)
        assert short.end(resource) == whole.end(resource)
    assert len(short.value) <= 2 + len(set(values))


def test_a_share_of_surfaces_attains_what_that_many_of_them_reached() -> None:
    seeds = [curve([0.1, 0.5]), curve([0.2, 0.6]), curve([np.nan, 0.9]), curve([0.4, 0.4])]
    surfaces = [climb(seed) for seed in seeds]
    for share, at_once, later in ((0.25, 0.4, 0.9), (0.5, 0.2, 0.6), (0.75, 0.1, 0.5), (1.0, np.nan, 0.4)):
        np.testing.assert_allclose(attained_by(surfaces, "time_s", [0.0, 1.0], share), [at_once, later])


def test_gaps_are_reached_from_above_and_runs_that_never_do_stay_in_the_count() -> None:
    falling = [climb(curve([-4.0, -2.0, -0.5])), climb(curve([-4.0, -3.0]))]
    assert [price_of(GAP, 2.0, gap, "time_s") for gap in falling] == [1.0, float("inf")]
    amounts, runs = shares_reached(GAP, 2.0, falling, "energy_j")["a"]
    assert (amounts.tolist(), runs) == ([2.0], 2)
    assert price_of(SCORE, 0.5, curve([0.1, 0.6]), "time_s") == 1.0


def test_critical_differences_are_those_of_the_published_table() -> None:
    """Demšar, JMLR 7 (2006): q at 5 % is 1.960, 2.343, 2.569, 2.728 for 2 to 5 methods; 4 methods, 14 sets: 1.25."""
    for methods, q in ((2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)):
        found = critical_difference(methods, 10) / np.sqrt(methods * (methods + 1) / 60)
        assert found == pytest.approx(q, abs=1e-3)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)


def test_ranks_groups_and_the_test_of_clear_and_of_equal_methods() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(30, 3))
    blocks = pd.DataFrame({"worst": noise[:, 0], "best": 9 + noise[:, 1], "second": 9 + noise[:, 1] - 1e-3})
    found = rank(blocks)
    assert found.ranks == {"best": 1.0, "second": 2.0, "worst": 3.0}
    assert found.p == pytest.approx(float(stats.chi2.sf(60.0, 2)))  # 12 N / (k (k + 1)) * sum (R - 2)^2 = 60
    assert found.groups == ()
    alike = rank(pd.DataFrame(dict.fromkeys("abc", noise[:, 0])))
    assert alike.p == 1.0 and alike.groups == (("a", "b", "c"),)
    few = rank(blocks.iloc[:3])
    assert few.groups == (("best", "second"), ("second", "worst"))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_stepping_down_by_hand_rejects(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for alpha in (0.01, 0.05, 0.3):
        rejected: set[int] = set()
        for step, place in enumerate(np.argsort(p_values, kind="stable")):
            if p_values[place] * (len(p_values) - step) > alpha:
                break
            rejected.add(int(place))
        assert set(np.flatnonzero(adjusted <= alpha).tolist()) == rejected


def test_pairs_have_the_exact_p_of_the_signed_ranks() -> None:
    other = np.linspace(0, 1, 6)
    found = pairs(pd.DataFrame({"a": other + np.arange(1, 7), "b": other, "c": other})).set_index(["one", "other"])
    assert found.loc[("a", "b"), "p"] == pytest.approx(2 / 2**6)  # all six differences have one sign
    assert found.loc[("a", "b"), "difference"] == pytest.approx(3.5)
    assert found.loc[("b", "c"), "p"] == 1.0
    assert found.loc[("a", "b"), "p_holm"] == pytest.approx(6 / 2**6)


def test_what_a_record_keeps_is_what_the_tables_say(experiment: Experiment) -> None:
    for state in trial_states(experiment)[:6]:
        mine = (experiment.tasks["method"] == state.method) & (experiment.tasks["seed"] == state.seed)
        ours = (experiment.rounds["method"] == state.method) & (experiment.rounds["seed"] == state.seed)
        kept, summary = run_curve(experiment.rounds[ours], experiment.tasks[mine])
        scored = step_curve(kept, SCORES, "balanced_accuracy", state.method, state.seed)
        np.testing.assert_array_equal(scored.value, state.curve(BALANCED_ACCURACY).value)
        np.testing.assert_array_equal(scored.spent["energy_j"], state.spent["energy_j"])
        last = experiment.rounds[ours].iloc[-1]
        assert summary["energy_j"] == last["energy_j"] and summary["split"] == "test"
        gaps = kept.loc[kept["kind"] == CERTIFIED, "gap"].dropna()
        clouds = experiment.rounds[ours & (experiment.rounds["event"] != "edge")]["gap"].dropna()
        np.testing.assert_array_equal(gaps, clouds)


@pytest.mark.parametrize(
    ("scores", "measure"),
    [
        ({"balanced_accuracy": 0.7, "r2": None}, "balanced_accuracy"),
        ({"balanced_accuracy": None, "r2": 0.7}, "r2"),
        ({"balanced_accuracy": 0.7, "r2": 0.7}, "balanced_accuracy"),
        ({"balanced_accuracy": None, "r2": None}, "balanced_accuracy"),
    ],
)
def test_a_study_looks_at_what_its_runs_have(tmp_path: Path, scores: dict[str, Any], measure: str) -> None:
    write_record(tmp_path, "ab12", pd.DataFrame({"kind": ["scores"]}), scores)
    assert _usual_measure([tmp_path / "missing", tmp_path / "ab" / "ab12.parquet"]) == measure
    assert _usual_measure([tmp_path / "missing"]) == "balanced_accuracy"


def test_names_of_measures_within_a_sentence() -> None:
    assert [measure.words for measure in (BALANCED_ACCURACY, AUC, R2, WORST_R2)] == [
        *("balanced accuracy", "AUC", "R²", "worst-task R²")
    ]


def test_tables_are_latex_whatever_the_names_are() -> None:
    assert escaped("50 % & H_1 #{~^\\}") == r"50 \% \& H\_1 \#\{\textasciitilde{}\textasciicircum{}\textbackslash{}\}"
    text = tabular(["Method_1", "λ"], [["a", "1"], ["b", "2"]])
    assert text.splitlines()[0] == r"\begin{tabular}{lr}"
    assert text.splitlines()[2] == r"Method\_1 & $\lambda$ \\"
    assert text.count(r"\\") == 3
