"""Paired differences at equal spending, by hand and against SciPy's paired t test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis.compare import HIGHER, LEVELS, LOWER, NOT_SHOWN, compare_at_levels, paired_difference, resource_total
from analysis.curves import AUC, BALANCED_ACCURACY, task_curves, trial_states
from analysis.load import Experiment
from tests.analysis.handmade_experiment import handmade, steps

T_975_2 = 4.302652729911275
"""97.5 % quantile of Student's t with two degrees of freedom, from a table."""

pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=10)


def test_three_differences_have_the_interval_of_the_textbook() -> None:
    paired = paired_difference([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    half = T_975_2 / np.sqrt(3)
    assert (paired.mean, paired.low, paired.high) == pytest.approx((2.0, 2.0 - half, 2.0 + half))
    assert (paired.seeds, paired.verdict) == (3, NOT_SHOWN)


@given(pairs)
def test_the_verdict_is_that_of_scipys_paired_t_test(values: list[tuple[float, float]]) -> None:
    ours, theirs = np.array(values).T
    assume(np.std(ours - theirs, ddof=1) > 1e-6)
    test = stats.ttest_rel(ours, theirs)
    assume(abs(test.pvalue - 0.05) > 1e-6)
    paired = paired_difference(ours, theirs)
    interval = test.confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((interval.low, interval.high), rel=1e-7, abs=1e-9)
    expected = NOT_SHOWN if test.pvalue > 0.05 else HIGHER if test.statistic > 0 else LOWER
    assert paired.verdict == expected


@given(pairs)
def test_swapping_the_methods_swaps_the_verdict(values: list[tuple[float, float]]) -> None:
    ours, theirs = np.array(values).T
    there, back = paired_difference(ours, theirs), paired_difference(theirs, ours)
    assert back.verdict == {HIGHER: LOWER, LOWER: HIGHER, NOT_SHOWN: NOT_SHOWN}[there.verdict]
    assert (back.mean, back.low, back.high) == pytest.approx((-there.mean, -there.high, -there.low))


def test_pairing_shows_what_separate_means_would_hide() -> None:
    world = np.array([0.1, 0.5, 0.9, 0.3])
    ours = world + np.array([0.010, 0.011, 0.009, 0.010])
    assert paired_difference(ours, world).verdict == HIGHER
    assert stats.ttest_ind(ours, world).pvalue > 0.9


def test_a_seed_that_one_method_lacks_is_no_pair() -> None:
    paired = paired_difference([1.0, 2.0, np.nan, 4.0], [0.0, np.nan, 0.0, 3.0])
    assert (paired.mean, paired.seeds) == (1.0, 2)


def test_one_seed_or_none_shows_nothing() -> None:
    one, none = paired_difference([1.0], [0.0]), paired_difference([np.nan], [0.0])
    assert (one.mean, one.seeds, one.verdict) == (1.0, 1, NOT_SHOWN)
    assert np.isnan([one.low, one.high, none.mean]).all()
    assert (none.seeds, none.verdict) == (0, NOT_SHOWN)


def test_equal_methods_and_rounding_are_no_difference() -> None:
    same = np.array([0.1, 0.2, 0.3])
    assert paired_difference(same, same).verdict == NOT_SHOWN
    assert paired_difference(same + 1e-15, same).verdict == NOT_SHOWN
    assert paired_difference(same + 0.25, same + 0.125).verdict == HIGHER


def _rising(seeds: int = 3) -> Experiment:
    """Ours climbs 0.5, 0.6, ..., 1.0 in five seconds; theirs is at 0.8 after one second and stops there."""
    trials = {}
    for seed in range(seeds):
        trials["ours", seed] = steps(0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
        trials["theirs", seed] = steps(0.5, 0.8)
    return handmade(trials, rates={"cost": 2.0, "bytes": 0.0})


def test_methods_are_compared_at_what_they_knew_after_equal_spending() -> None:
    table = compare_at_levels(_rising(), (BALANCED_ACCURACY,), levels=(0.2, 0.59, 0.6, 1.0))
    at_time = table[table["resource"] == "time_s"].set_index("level")
    assert at_time["difference"].tolist() == pytest.approx([-0.2, -0.1, 0.0, 0.2])
    assert at_time["verdict"].tolist() == [LOWER, LOWER, NOT_SHOWN, HIGHER]
    assert at_time["amount"].tolist() == pytest.approx([1.0, 2.95, 3.0, 5.0])
    assert at_time["other_ended"].tolist() == [0, 3, 3, 3]
    assert at_time["flagship_ended"].tolist() == [0, 0, 0, 0]
    assert set(at_time["seeds"]) == {3}
    at_cost = table[table["resource"] == "cost"].set_index("level")
    assert at_cost["difference"].tolist() == at_time["difference"].tolist()


def test_a_resource_that_nobody_spends_is_not_compared() -> None:
    table = compare_at_levels(_rising())
    assert set(table["resource"]) == {"time_s", "energy_j", "cost"}
    assert set(table["measure"]) == {BALANCED_ACCURACY.name, AUC.name}
    assert len(table) == 2 * 3 * len(LEVELS)


@pytest.mark.parametrize(
    ("limit", "amount", "kind"), [(9.95, 9.95, "budget"), (10.05, 10.05, "budget"), (50.0, 10.0, "largest reached")]
)
def test_a_budget_counts_where_some_trial_came_to_its_end(limit: float, amount: float, kind: str) -> None:
    experiment = handmade({("ours", 0): steps(0.5, 0.9)}, budget={"cost": limit}, rates={"cost": 10.0})
    total = resource_total(experiment, task_curves(trial_states(experiment), BALANCED_ACCURACY), "cost")
    assert (total.amount, total.kind) == (amount, kind)


def test_a_missing_trial_costs_a_pair_and_is_counted() -> None:
    trials = {("ours", seed): steps(0.5, 0.9) for seed in range(4)}
    trials |= {("theirs", seed): steps(0.5, 0.7 + 0.01 * seed) for seed in (0, 1, 3)}
    table = compare_at_levels(handmade(trials), (BALANCED_ACCURACY,), levels=(1.0,))
    assert table["seeds"].tolist() == [3] * 4
    assert table["missing"].tolist() == [1] * 4
    assert table["difference"].tolist() == pytest.approx([0.2 - 0.04 / 3] * 4)


def test_the_end_of_a_run_is_compared_at_the_full_amount(experiment: Experiment) -> None:
    states = trial_states(experiment)
    table = compare_at_levels(experiment, states=states)
    finals = {(s.method, s.seed): s.curve(BALANCED_ACCURACY).value[-1] for s in states}
    full = table.query("measure == @BALANCED_ACCURACY.name and resource == 'cost' and level == 1.0")
    for row in full.to_dict("records"):
        differences = [finals["rhfedmtl", seed] - finals[row["other"], seed] for seed in experiment.seeds]
        assert row["difference"] == pytest.approx(np.mean(differences), abs=1e-12)
    assert full["total_kind"].tolist() == ["budget", "budget"]
