"""Blocks of recordings: nothing leaks, nothing is lost without reason, every seed cuts elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.data.records import TaskRecords, plain_records
from learning.data.smartwatch import smartwatch_tasks
from learning.data.split import Blocks, BlockSplit, cut_blocks, overlaps, stable_index
from scenarios.errors import ScenarioError
from scenarios.streams import Streams

SPLIT = BlockSplit(0.15, 0.15, 0.7)


def windowed(sizes: list[int], width: int = 2, stride: int = 2, name: str = "a") -> TaskRecords:
    """One recording for each size, +1 and -1 in turn, windows of ``width`` samples ``stride`` apart."""
    start = np.concatenate([np.arange(size) * stride for size in sizes]).astype(np.int64)
    recording = np.repeat(np.arange(len(sizes)) * 3 + 5, sizes)
    labels = np.where(recording % 2, 1.0, -1.0)
    return TaskRecords(name, np.arange(len(start), dtype=float)[:, None], labels, recording, start, start + width)


def meets(task: TaskRecords, a: int, b: int) -> bool:
    return bool(
        task.recording[a] == task.recording[b] and task.start[a] < task.stop[b] and task.start[b] < task.stop[a]
    )


def blocks_of(task: TaskRecords, split: BlockSplit = SPLIT, seed: int = 0) -> Blocks:
    return cut_blocks(task, split, Streams(seed))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(8, 20), min_size=2, max_size=4),
    width=st.integers(1, 7),
    stride=st.integers(1, 4),
    train=st.floats(0.1, 0.5),
    validation=st.floats(0.0, 0.2),
    seed=st.integers(0, 10**6),
)
def test_no_row_shares_a_sample_with_a_row_of_another_block(
    sizes: list[int], width: int, stride: int, train: float, validation: float, seed: int
) -> None:
    task = windowed(sizes, width, stride)
    try:
        blocks = blocks_of(task, BlockSplit(train, validation, 1.0 - train - validation), seed)
    except ScenarioError:  # such wide windows that nothing of a class was left to test on
        assert width > stride
        return
    parts = (blocks.train, blocks.validation, blocks.test)
    for i, part in enumerate(parts):
        for other in parts[i + 1 :]:
            assert not any(meets(task, a, b) for a in part for b in other)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 6))
def test_a_row_is_dropped_only_if_it_shares_a_sample_with_an_earlier_block(seed: int, width: int) -> None:
    task = windowed([24, 30], width, 1)
    blocks = blocks_of(task, BlockSplit(0.3, 0.2, 0.5), seed)
    used = np.concatenate([blocks.train, blocks.validation, blocks.test])
    assert len(set(used.tolist())) == len(used)
    kept = np.concatenate([blocks.train, blocks.validation])
    for row in set(range(len(task))) - set(used.tolist()):
        assert any(meets(task, row, other) for other in kept)


def test_windows_that_do_not_overlap_are_all_used_in_blocks_of_the_asked_size() -> None:
    task = windowed([20, 40])
    blocks = blocks_of(task)
    for block, per_recording in ((blocks.train, (3, 6)), (blocks.validation, (3, 6)), (blocks.test, (14, 28))):
        assert tuple(np.unique(task.recording[block], return_counts=True)[1]) == per_recording
    assert sorted(np.concatenate([blocks.train, blocks.validation, blocks.test])) == list(range(60))


def test_each_block_is_one_run_of_the_recording_closed_to_a_ring() -> None:
    for seed in range(30):
        blocks = blocks_of(windowed([20, 20]), BlockSplit(0.25, 0.25, 0.5), seed)
        for block in (blocks.train, blocks.validation, blocks.test):
            for first in (0, 20):
                inside = block[(block >= first) & (block < first + 20)] - first
                gaps = np.diff(np.append(inside, inside[0] + 20))
                assert np.count_nonzero(gaps > 1) == 1


def test_the_train_block_begins_at_every_row_about_equally_often_over_seeds() -> None:
    task = windowed([10, 10])
    begins = np.zeros(10)
    for seed in range(400):
        train = blocks_of(task, BlockSplit(0.1, 0.1, 0.8), seed).train
        assert len(train) == 2
        begins[train[0]] += 1
    chi_squared = np.sum((begins - 40.0) ** 2 / 40.0)
    assert chi_squared < 27.9  # 99.9 % point with 9 degrees of freedom


def test_a_task_is_cut_alike_whatever_the_order_of_its_rows_and_the_other_tasks() -> None:
    task = windowed([20, 30], width=3)
    order = np.random.default_rng(0).permutation(len(task))
    shuffled = TaskRecords(
        task.name,
        task.features[order],
        task.labels[order],
        task.recording[order],
        task.start[order],
        task.stop[order],
    )
    plain, mixed = blocks_of(task), blocks_of(shuffled)
    np.testing.assert_array_equal(task.features[plain.train], shuffled.features[mixed.train])
    np.testing.assert_array_equal(task.features[plain.test], shuffled.features[mixed.test])
    renamed = blocks_of(windowed([20, 30], width=3, name="b"))
    assert renamed.train.tolist() != plain.train.tolist()


def test_every_recording_of_the_smart_watch_gives_train_and_test_rows_at_fifteen_percent() -> None:
    for task in smartwatch_tasks(("PEN", "IR", "TRAP")):
        blocks = blocks_of(task)
        for block in (blocks.train, blocks.validation, blocks.test):
            assert set(task.recording[block]) == set(task.recording)
        assert 11 <= len(blocks.train) <= 24


def test_overlapping_smart_watch_windows_keep_both_classes_and_do_not_leak() -> None:
    for task in smartwatch_tasks(("PEN", "IR", "TRAP"), window_s=2.0, stride_s=0.5)[:4]:
        blocks = blocks_of(task)
        assert set(task.labels[blocks.train]) == set(task.labels[blocks.test]) == {-1.0, 1.0}
        assert not any(meets(task, a, b) for a in blocks.train for b in blocks.test)


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(20, 80), positives=st.integers(2, 6), where=st.floats(0, 0.9), seed=st.integers(0, 10**6))
def test_a_table_sorted_by_class_still_gets_both_classes_on_both_sides(
    rows: int, positives: int, where: float, seed: int
) -> None:
    labels = -np.ones(rows)
    labels[int(where * rows) : int(where * rows) + positives] = 1.0
    labels[0] = -1.0
    if np.count_nonzero(labels > 0) < 2:
        return
    blocks = blocks_of(plain_records("a", np.zeros((rows, 1)), labels), SPLIT, seed)
    assert set(labels[blocks.train]) == set(labels[blocks.test]) == {-1.0, 1.0}


def test_a_task_with_one_row_of_a_class_is_refused_by_name_with_a_remedy() -> None:
    task = plain_records("lonely", np.zeros((5000, 1)), [1.0] + [-1.0] * 4999)
    with pytest.raises(ScenarioError, match=r"'lonely': 1 rows of \+1, 4999 of -1.*leave this task out"):
        blocks_of(task)


def test_windows_too_wide_to_be_kept_apart_are_refused_by_name() -> None:
    with pytest.raises(ScenarioError, match=r"'a'.*overlap less"):
        blocks_of(windowed([8, 8], width=50, stride=1))


def test_measured_targets_need_rows_on_both_sides_and_nothing_more() -> None:
    blocks = blocks_of(plain_records("a", np.zeros((10, 1)), np.linspace(0, 1, 10)))
    assert (len(blocks.train), len(blocks.validation), len(blocks.test)) == (2, 1, 7)
    with pytest.raises(ScenarioError, match="'a': 1 rows in 1 recordings"):
        blocks_of(plain_records("a", np.zeros((1, 1)), [0.5]))


@given(
    rows=st.integers(1, 500),
    train=st.floats(0.01, 0.98),
    validation=st.floats(0, 0.98),
    test=st.floats(0.01, 0.98),
)
def test_block_sizes_fit_the_recording_and_are_within_a_row_of_their_shares(
    rows: int, train: float, validation: float, test: float
) -> None:
    total = train + validation + test
    if total > 1:
        train, validation, test = train / total, validation / total, test / total
    sizes = BlockSplit(train, validation, test).sizes(rows)
    assert min(sizes) >= 0
    assert sizes[0] >= 1
    assert sum(sizes) <= rows
    assert sizes[1] > 0 or validation == 0 or rows <= 3 or sum(sizes) == rows
    if train + validation + test > 1 - 1e-9:
        assert sum(sizes) == rows
    if rows > 3 / min(train, test):
        assert abs(sizes[0] - train * rows) <= 1
        assert abs(sizes[2] - test * rows) <= 2


@pytest.mark.parametrize(
    "fractions", [(0.0, 0.2, 0.5), (0.5, -0.1, 0.5), (0.5, 0.2, 0.0), (0.5, 0.4, 0.2), (1.0, 0.0, 0.1)]
)
def test_shares_out_of_range_are_refused(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(ScenarioError, match=r"data\.split"):
        BlockSplit(*fractions)


@given(
    spans=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), min_size=1, max_size=12),
    others=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=12),
)
def test_overlap_agrees_with_comparing_every_pair(spans: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    a = np.array(spans, dtype=np.int64).reshape(-1, 2)
    b = np.array(others, dtype=np.int64).reshape(-1, 2)
    found = overlaps(a[:, 0], a.sum(1), b[:, 0], b.sum(1))
    expected = [any(s < t + m and t < s + n for t, m in others) for s, n in spans]
    assert found.tolist() == expected


def test_a_name_has_the_same_index_on_every_machine() -> None:
    assert stable_index("subject-03-left", 17) == stable_index("subject-03-left/17")
    assert stable_index("a") != stable_index("b")
    assert 0 <= stable_index("subject-03-left", 17) < 2**32
