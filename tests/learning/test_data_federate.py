"""A federation: every training row at exactly one terminal, scaled by training rows alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.data.federate import Federation, Partition, feature_scales, federate
from learning.data.records import TaskRecords, plain_records
from learning.data.split import BlockSplit, cut_blocks
from learning.data.synthetic import synthetic_tasks
from scenarios.errors import ScenarioError
from scenarios.streams import Streams

SPLIT = BlockSplit(0.4, 0.2, 0.4)
PARTITIONS: tuple[Partition, ...] = ("iid", "contiguous", "dirichlet")


def numbered(tasks: int = 3, rows: int = 40, features: int = 2) -> list[TaskRecords]:
    """Tasks whose first feature is the row's number in the whole data set."""
    made = synthetic_tasks(tasks, rows, features, 0.5, 0.3, Streams(5))
    for index, task in enumerate(made):
        task.features[:, 0] = np.arange(rows) + index * rows
    return made


def raw(partition: Partition, terminals: int = 4, seed: int = 0, alpha: float = 0.5) -> Federation:
    return federate(numbered(), terminals, SPLIT, partition, Streams(seed), False, False, alpha)


@settings(max_examples=30, deadline=None)
@given(
    partition=st.sampled_from(PARTITIONS),
    terminals=st.integers(1, 16),
    seed=st.integers(0, 10**6),
    alpha=st.floats(0.01, 100),
)
def test_every_training_row_is_at_exactly_one_terminal_of_its_own_task(
    partition: Partition, terminals: int, seed: int, alpha: float
) -> None:
    tasks, made = numbered(), raw(partition, terminals, seed, alpha)
    assert made.terminal_task.tolist() == [b for b in range(3) for _ in range(terminals)]
    assert np.all(np.diff(made.terminal_offsets) >= 1)
    assert made.terminal_offsets[-1] == len(made.y) == made.task_samples.sum()
    owner = np.repeat(made.terminal_task, np.diff(made.terminal_offsets))
    for b, task in enumerate(tasks):
        rows = cut_blocks(task, SPLIT, Streams(seed)).train
        np.testing.assert_array_equal(np.sort(made.X[owner == b, 0]), np.sort(task.features[rows, 0]))
    everything = np.concatenate([task.labels for task in tasks])
    np.testing.assert_array_equal(made.y, everything[made.X[:, 0].astype(int)])


@pytest.mark.parametrize("partition", PARTITIONS)
def test_validation_and_test_rows_are_those_of_the_split_and_never_trained_on(partition: Partition) -> None:
    tasks, made = numbered(), raw(partition)
    for part, name in ((made.validation, "validation"), (made.test, "test")):
        assert len(part.task_offsets) == 4
        assert not set(part.X[:, 0]) & set(made.X[:, 0])
        for b, task in enumerate(tasks):
            rows = getattr(cut_blocks(task, SPLIT, Streams(0)), name)
            inside = slice(part.task_offsets[b], part.task_offsets[b + 1])
            np.testing.assert_array_equal(part.X[inside], task.features[rows])
            np.testing.assert_array_equal(part.y[inside], task.labels[rows])


def test_contiguous_terminals_hold_neighbouring_rows_and_even_shares() -> None:
    made = raw("contiguous")
    for m in range(12):
        rows = made.X[made.terminal_offsets[m] : made.terminal_offsets[m + 1], 0]
        assert len(rows) == 4
        assert np.all(np.diff(rows) > 0)
    in_order = made.X[made.terminal_offsets[0] : made.terminal_offsets[4], 0]
    assert np.all(np.diff(in_order) > 0)


def test_iid_terminals_hold_rows_from_all_over_the_task() -> None:
    numbers = np.linspace(0.0, 1.0, 1000)
    task = plain_records("a", numbers[:, None], np.tile([-1.0, 1.0], 500))
    made = federate([task], 4, BlockSplit(0.8, 0.0, 0.2), "iid", Streams(0), standardise=False, bias=False)
    for rows in np.split(made.X[:, 0], made.terminal_offsets[1:-1]):
        assert rows.mean() == pytest.approx(made.X.mean(), abs=0.08)  # four standard errors


def test_iid_terminals_are_even_and_differ_with_the_seed() -> None:
    made = raw("iid", 5)
    assert set(np.diff(made.terminal_offsets)) == {3, 4}
    first = {seed: tuple(raw("iid", 5, seed).X[:4, 0]) for seed in range(3)}
    assert len(set(first.values())) == 3


def test_small_dirichlet_concentration_separates_the_classes_and_a_large_one_mixes_them() -> None:
    tasks = synthetic_tasks(4, 1000, 2, 0.5, 0.3, Streams(1))

    def class_spread(alpha: float) -> float:
        made = federate(tasks, 5, SPLIT, "dirichlet", Streams(2), dirichlet_alpha=alpha)
        shares = [np.mean(part > 0) for part in np.split(made.y, made.terminal_offsets[1:-1])]
        return float(np.std(shares))

    assert class_spread(0.05) > 0.3
    assert class_spread(1000.0) < 0.05


def test_dirichlet_shares_have_the_mean_and_variance_of_the_law() -> None:
    alpha, terminals = 2.0, 4
    task = plain_records("a", np.zeros((5000, 1)), np.tile([-1.0, 1.0], 2500))
    shares = []
    for seed in range(150):
        made = federate([task], terminals, SPLIT, "dirichlet", Streams(seed), dirichlet_alpha=alpha)
        positive = np.add.reduceat(made.y > 0, made.terminal_offsets[:-1], dtype=float)
        shares.append(positive / positive.sum())
    mean = 1 / terminals
    np.testing.assert_allclose(np.mean(shares, axis=0), mean, atol=0.05)
    assert np.var(shares) == pytest.approx(mean * (1 - mean) / (terminals * alpha + 1), rel=0.2)


def test_scaling_is_that_of_the_pooled_training_rows() -> None:
    tasks = numbered(features=4)
    plain = federate(tasks, 3, SPLIT, "iid", Streams(0), standardise=False, bias=False)
    scaled = federate(tasks, 3, SPLIT, "iid", Streams(0), standardise=True, bias=False)
    np.testing.assert_allclose(scaled.X.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(scaled.X.std(axis=0), 1.0, rtol=1e-12)
    expected = (plain.test.X - plain.X.mean(axis=0)) / plain.X.std(axis=0)
    np.testing.assert_allclose(scaled.test.X, expected, rtol=1e-12)


def test_rows_outside_training_do_not_touch_the_scaling() -> None:
    tasks = numbered()
    before = federate(tasks, 2, SPLIT, "iid", Streams(0))
    for task in tasks:
        blocks = cut_blocks(task, SPLIT, Streams(0))
        task.features[np.concatenate([blocks.validation, blocks.test])] *= 1000.0
    np.testing.assert_array_equal(federate(tasks, 2, SPLIT, "iid", Streams(0)).X, before.X)


def test_the_bias_is_a_last_column_of_ones_everywhere() -> None:
    made = federate(numbered(), 2, SPLIT, "contiguous", Streams(0))
    for X in (made.X, made.validation.X, made.test.X):
        assert X.shape[1] == 3
        assert np.all(X[:, -1] == 1.0)
        assert X.flags.c_contiguous


@given(value=st.floats(-1e9, 1e9), rows=st.integers(2, 300))
def test_a_constant_feature_is_centred_and_not_divided(value: float, rows: int) -> None:
    X = np.column_stack([np.full(rows, value), np.linspace(0, 1e-6, rows)])
    mean, scale = feature_scales(X)
    assert scale[0] == 1.0
    assert mean[0] == pytest.approx(value, rel=1e-12)
    assert scale[1] == pytest.approx(X[:, 1].std())


def test_more_terminals_than_training_rows_are_refused_with_task_rows_and_terminals() -> None:
    with pytest.raises(ScenarioError, match="17: task 'task-01' has 16 training rows"):
        raw("iid", 17)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"terminals_per_task": 0}, "terminals_per_task = 0"),
        ({"partition": "sorted"}, "partition = 'sorted': allowed: iid, contiguous or dirichlet"),
        ({"partition": "dirichlet", "dirichlet_alpha": 0.0}, "dirichlet_alpha = 0.0"),
        ({"tasks": []}, "no tasks"),
        ({"unseen_tasks": 3}, "data.unseen_tasks = 3: allowed: 0 or more, and fewer than the 3 tasks"),
        ({"unseen_tasks": -1}, "data.unseen_tasks = -1"),
        ({"tasks": [plain_records("a", np.eye(4), [0, 1, 0, 1])]}, "label 0.*-1 and \\+1"),
    ],
)
def test_wrong_arguments_are_refused(change: dict[str, object], said: str) -> None:
    arguments: dict[str, object] = {
        "tasks": numbered(), "terminals_per_task": 2, "split": SPLIT, "partition": "iid", "streams": Streams(0)
    }  # fmt: skip
    with pytest.raises(ScenarioError, match=said):
        federate(**(arguments | change))  # type: ignore[arg-type]


def test_measured_targets_can_be_dealt_too() -> None:
    rng = np.random.default_rng(0)
    tasks = [plain_records(name, rng.normal(size=(30, 2)), rng.normal(size=30)) for name in "ab"]
    for partition in PARTITIONS:
        made = federate(tasks, 3, SPLIT, partition, Streams(0))
        assert made.task_samples.tolist() == [12, 12]
        assert len(np.unique(made.y)) == 24


@pytest.mark.parametrize("partition", PARTITIONS)
def test_unseen_tasks_leave_the_others_as_they_would_be_without_them(partition: Partition) -> None:
    tasks = numbered(features=4)
    made = federate(tasks, 3, SPLIT, partition, Streams(0), unseen_tasks=1)
    alone = federate(tasks[:-1], 3, SPLIT, partition, Streams(0))
    for name in ("X", "y", "terminal_offsets", "terminal_task", "task_names", "task_samples"):
        np.testing.assert_array_equal(getattr(made, name), getattr(alone, name))
    for split in ("validation", "test"):
        np.testing.assert_array_equal(getattr(made, split).X, getattr(alone, split).X)
    assert alone.unseen is None and made.unseen is not None


def test_rows_of_unseen_tasks_are_dealt_like_others_and_scaled_by_those_that_are_seen() -> None:
    tasks = numbered(features=4)
    whole = federate(tasks, 3, SPLIT, "iid", Streams(0), standardise=False, bias=False)
    part = federate(tasks, 3, SPLIT, "iid", Streams(0), unseen_tasks=2).unseen
    seen = federate(tasks[:-2], 3, SPLIT, "iid", Streams(0), standardise=False, bias=False)
    assert part is not None
    first = whole.terminal_offsets[-7]
    mean, scale = feature_scales(seen.X)
    expected = np.column_stack([(whole.X[first:] - mean) / scale, np.ones(len(whole.X) - first)])
    np.testing.assert_allclose(part.X, expected, rtol=1e-12)
    np.testing.assert_array_equal(part.y, whole.y[first:])
    np.testing.assert_array_equal(part.terminal_offsets, whole.terminal_offsets[-7:] - first)
    assert part.terminal_task.tolist() == [0, 0, 0, 1, 1, 1]
    assert part.task_names == whole.task_names[-2:]
    np.testing.assert_array_equal(part.test.y, whole.test.y[whole.test.task_offsets[-3] :])
