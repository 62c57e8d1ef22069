"""The queue gives what immediate evaluation gives, in as few calls as the dependencies allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from learning.deferred import ALL, DeferredQueue, Pending, Rows, Slots
from learning.messages import Plan
from learning.methods.base import Method
from learning.methods.fedavg import AveragingParameters, FedAvg
from learning.methods.hfedmtl import FixedDualParameters, HFedMTL
from learning.methods.local import Local, LocalParameters
from learning.state import State
from netsim.port import CLOUD, Cohort, Node
from tests.learning.driving import (
    SCENARIO,
    UNRELIABLE,
    cohort_of,
    fingerprint,
    random_federation,
    scenario_of,
    setting_of,
    simulated,
    weights_of,
)

ROWS = (4, 3)
Use = tuple[tuple[int, ...], ...]
"""Rows of each of the states that an operation uses."""


@dataclass(frozen=True)
class Operation:
    """One line of a random program.

    Args:
        kind: which kernel runs it.
        constant: a plain argument.
        earlier: results of earlier operations it uses.
        reads, writes: rows of each state.
        weight: see the queue.
    """

    kind: int
    constant: float
    earlier: tuple[int, ...]
    reads: Use
    writes: Use
    weight: int


USES = st.tuples(
    *(
        st.one_of(
            st.just(()),
            st.lists(st.integers(0, count - 1), max_size=2, unique=True).map(tuple),
            st.permutations(range(count)).map(tuple),
        )
        for count in ROWS
    )
)


@st.composite
def programs(draw: st.DrawFn) -> list[Operation | None]:
    """Return operations that use earlier ones at will; None is a flush."""
    program: list[Operation | None] = []
    for _ in range(draw(st.integers(1, 25))):
        done = [i for i, operation in enumerate(program) if operation is not None]
        if program and draw(st.integers(0, 9)) == 0:
            program.append(None)
            continue
        earlier = draw(st.lists(st.sampled_from(done), max_size=2).map(tuple)) if done else ()
        kind, constant, weight = draw(st.integers(0, 2)), draw(st.floats(-2.0, 2.0)), draw(st.integers(0, 3))
        program.append(Operation(kind, constant, earlier, draw(USES), draw(USES), weight))
    return program


def rows_of(states: Sequence[Slots], use: Use) -> list[Rows]:
    """Return what the queue is told; all rows of a state in order are a slice."""
    named: list[Rows] = []
    for state, rows in zip(states, use, strict=True):
        if rows:
            named.append((state, ALL if rows == tuple(range(len(state.written))) else np.array(rows)))
    return named


def states_at_start() -> list[State]:
    """Return two states."""
    return [State(1.0 + np.arange(count, dtype=np.float64)) for count in ROWS]


@dataclass
class Machine:
    """States and three kernels whose arithmetic tells any other order from the right one."""

    backwards: bool = False
    states: list[State] = field(default_factory=states_at_start)
    calls: Counter[int] = field(default_factory=Counter)

    @property
    def memory(self) -> list[list[float]]:
        """All values of all states."""
        return [state.values.tolist() for state in self.states]

    def work(self, kind: int, arguments: tuple[Any, ...]) -> float:
        """Do one operation."""
        constant, reads, writes, *earlier = arguments
        value = constant + 0.1 * kind
        seen = [state.values[row] for state, rows in zip(self.states, reads, strict=True) for row in rows]
        for number in [*earlier, *seen]:
            value = 0.7 * value + float(number)
        for state, rows in zip(self.states, writes, strict=True):
            for row in rows:
                state.values[row] = 0.3 * state.values[row] - value
                value += float(state.values[row])
        return value

    def kernel(self, kind: int) -> Callable[[list[tuple[Any, ...]]], list[float]]:
        """Return the kernel of a kind; it may do a batch in any order."""

        def run(batch: list[tuple[Any, ...]]) -> list[float]:
            self.calls[kind] += 1
            order = range(len(batch))[::-1] if self.backwards else range(len(batch))
            values = {i: self.work(kind, batch[i]) for i in order}
            return [values[i] for i in range(len(batch))]

        return run

    def run(self, program: Sequence[Operation | None], queue: DeferredQueue) -> list[float]:
        """Submit a program and return all values."""
        kernels = [self.kernel(kind) for kind in range(3)]
        results: dict[int, Pending] = {}
        for i, operation in enumerate(program):
            if operation is None:
                queue.flush()
                continue
            arguments = (operation.constant, operation.reads, operation.writes)
            reads, writes = (rows_of(self.states, use) for use in (operation.reads, operation.writes))
            pending = (results[j] for j in operation.earlier)
            kernel = kernels[operation.kind]
            results[i] = queue.submit(kernel, (*arguments, *pending), reads, writes, operation.weight)
        queue.flush()
        return [result.value for result in results.values()]


def executed_at_once(program: Sequence[Operation | None]) -> tuple[list[float], list[list[float]]]:
    """Interpret a program line by line, without any queue; return values and states."""
    machine, values = Machine(), dict[int, float]()
    for i, operation in enumerate(program):
        if operation is not None:
            arguments = (operation.constant, operation.reads, operation.writes)
            values[i] = machine.work(operation.kind, (*arguments, *(values[j] for j in operation.earlier)))
    return list(values.values()), machine.memory


def touched(*uses: Use) -> set[tuple[int, int]]:
    """Return (state, row) of all that is used."""
    return {(state, row) for use in uses for state, rows in enumerate(use) for row in rows}


def fewest_calls(program: Sequence[Operation | None]) -> int:
    """Count pairs of kernel and depth, depth being the longest chain of hazards since the last flush."""
    total, depth, groups = 0, dict[int, int](), set[tuple[int, int]]()
    for i, operation in enumerate([*program, None]):
        if operation is None:
            total, depth, groups = total + len(groups), {}, set()
            continue
        before = [0]
        for j, rank in depth.items():
            other = program[j]
            assert other is not None
            raw = touched(other.writes) & touched(operation.reads)
            war_or_waw = touched(other.reads, other.writes) & touched(operation.writes)
            if j in operation.earlier or raw or war_or_waw:
                before.append(rank)
        depth[i] = 1 + max(before)
        groups.add((depth[i], operation.kind))
    return total


@settings(max_examples=300, deadline=None)
@given(program=programs(), backwards=st.booleans())
def test_lazy_equals_immediate_bit_for_bit_in_the_fewest_calls(
    program: list[Operation | None], backwards: bool
) -> None:
    machine = Machine(backwards)
    values = machine.run(program, DeferredQueue())
    assert (values, machine.memory) == executed_at_once(program)
    assert machine.calls.total() == fewest_calls(program)


@settings(max_examples=100, deadline=None)
@given(program=programs())
def test_eager_equals_immediate_bit_for_bit_one_call_an_operation(program: list[Operation | None]) -> None:
    machine = Machine()
    values = machine.run(program, DeferredQueue(eager=True))
    assert (values, machine.memory) == executed_at_once(program)
    assert machine.calls.total() == len(values)


@settings(max_examples=100, deadline=None)
@given(programs(), st.integers(2, 9))
def test_running_whenever_enough_waits_equals_immediate_bit_for_bit(
    program: list[Operation | None], capacity: int
) -> None:
    machine = Machine()
    values = machine.run(program, DeferredQueue(capacity=capacity))
    assert (values, machine.memory) == executed_at_once(program)


def log_of(queue: DeferredQueue, accesses: Sequence[tuple[str, Sequence[Rows], Sequence[Rows]]]) -> list[list[str]]:
    """Submit (name, reads, writes) and return the names as they run, one list a call."""
    calls: list[list[str]] = []

    def note(batch: list[tuple[Any, ...]]) -> list[None]:
        calls.append([name for (name,) in batch])
        return [None] * len(batch)

    for name, reads, writes in accesses:
        queue.submit(note, (name,), reads, writes)
    queue.flush()
    return calls


def slot(slots: Slots, *rows: int) -> list[Rows]:
    """Return some rows of a state."""
    return [(slots, np.array(rows))]


def test_a_read_waits_for_the_write_before_it() -> None:
    s = slot(Slots(1), 0)
    assert log_of(DeferredQueue(), [("write", [], s), ("read", s, [])]) == [["write"], ["read"]]


def test_a_write_waits_for_all_reads_before_it() -> None:
    s, t = slot(Slots(1), 0), slot(Slots(1), 0)
    program = [("one", s, []), ("two", s, []), ("write", [], s), ("other", [], t)]
    assert log_of(DeferredQueue(), program) == [["one", "two", "other"], ["write"]]


def test_a_write_waits_for_the_write_before_it() -> None:
    s = slot(Slots(1), 0)
    assert log_of(DeferredQueue(), [("one", [], s), ("two", [], s), ("last", s, [])]) == [["one"], ["two"], ["last"]]


def test_a_late_reader_of_an_old_value_does_not_let_an_earlier_write_pass() -> None:
    s, t = slot(Slots(1), 0), slot(Slots(1), 0)
    program = [("w1", [], s), ("r1", s, []), ("r2", [*s, *t], []), ("w2", [], s), ("r3", s, [])]
    assert log_of(DeferredQueue(), program) == [["w1"], ["r1", "r2"], ["w2"], ["r3"]]


def test_different_rows_do_not_wait_for_each_other() -> None:
    duals = Slots(100)
    program = [(str(i), slot(duals, i), slot(duals, i, 50 + i)) for i in range(50)]
    assert log_of(DeferredQueue(), program) == [[str(i) for i in range(50)]]


def test_whoever_uses_all_rows_waits_for_every_one_of_them() -> None:
    sites = Slots(3)
    whole: list[Rows] = [(sites, ALL)]
    a, c, b = (slot(sites, row) for row in range(3))
    program: list[tuple[str, list[Rows], list[Rows]]] = [("a", [], a), ("b", [], b), ("b again", [], b)]
    program += [("sum", whole, []), ("c", [], c), ("reset", [], whole), ("d", c, [])]
    assert log_of(DeferredQueue(), program) == [["a", "b"], ["b again"], ["sum"], ["c"], ["reset"], ["d"]]


def test_nothing_waits_for_what_was_flushed() -> None:
    sites, queue = Slots(2), DeferredQueue()
    assert log_of(queue, [("one", [], slot(sites, 0)), ("two", [], slot(sites, 0))]) == [["one"], ["two"]]
    program = [("three", slot(sites, 0), []), ("four", [], slot(sites, 1))]
    assert log_of(queue, program) == [["three", "four"]]


def test_enough_weight_makes_the_queue_run() -> None:
    queue, done = DeferredQueue(capacity=10), list[int]()

    def note(batch: list[tuple[Any, ...]]) -> list[None]:
        done.extend(number for (number,) in batch)
        return [None] * len(batch)

    for number, weight in enumerate((5, 4, 0, 20, 1)):
        queue.submit(note, (number,), weight=weight)
        assert done == ([], [], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3])[number]  # no operation weighs nothing


def test_a_value_is_refused_until_the_queue_is_flushed() -> None:
    queue = DeferredQueue()
    pending = queue.submit(lambda batch: [x + 1 for (x,) in batch], (1,))
    with pytest.raises(RuntimeError, match="flush the queue first"):
        _ = pending.value
    assert not pending.ready
    queue.flush()
    assert pending.ready and pending.value == 2


def test_a_value_from_before_a_flush_costs_no_rank_after_it() -> None:
    queue = DeferredQueue()
    calls = Machine().calls

    def add(batch: list[tuple[Any, ...]]) -> list[float]:
        calls[0] += 1
        return [a + b for a, b in batch]

    old = queue.submit(add, (1.0, 1.0))
    queue.flush()
    fresh = [queue.submit(add, (old, 1.0)), queue.submit(add, (2.0, 2.0))]
    queue.flush()
    assert [p.value for p in fresh] == [3.0, 4.0] and calls[0] == 2


def test_a_kernel_that_returns_too_few_values_is_noticed() -> None:
    queue = DeferredQueue()
    queue.submit(lambda batch: batch[1:], (1,))
    with pytest.raises(ValueError, match="shorter"):
        queue.flush()


@pytest.mark.parametrize("world", ["reliable", "unreliable"])
@pytest.mark.parametrize("key", sorted(SCENARIO["methods"]))
def test_a_simulated_run_records_the_same_to_the_last_bit_eager_and_lazy(key: str, world: str) -> None:
    scenario = scenario_of(UNRELIABLE if world == "unreliable" else {})
    lazy, eager = (fingerprint(simulated(scenario, key, eager=eager)[0]) for eager in (False, True))
    assert lazy == eager
    assert len(lazy["rounds"]) > 1000


def test_the_unreliable_world_really_loses_updates_in_every_way() -> None:
    result, _ = simulated(scenario_of(UNRELIABLE), "hfedmtl")
    outcomes = Counter(row["outcome"] for row in result.participation)
    assert all(outcomes[name] > 0 for name in ("merged", "late", "dropped", "unavailable"))


def method_of(kind: type[Method], eager: bool) -> Method:
    """Return a fresh method on nine terminals of three tasks."""
    parameters = {HFedMTL: FixedDualParameters, FedAvg: AveragingParameters, Local: LocalParameters}[kind]()
    return kind(setting_of(random_federation(6), "logistic", eager=eager), parameters)


SITES = [[0], [1], [2], [0, 1], [0, 2], [1, 2], [2, 0], [0, 1, 2], [1, 0, 2]]


def records_of_any_order(kind: type[Method], calls: list[tuple[int, int]], eager: bool) -> tuple[str, bytes, bytes]:
    """Let work be handed out, merged and measured in any order; return all records, the models and the duals."""
    method = method_of(kind, eager)
    waiting: list[tuple[Cohort, Any]] = []
    records = []
    for action, which in calls:
        if action == 0:
            cohort = cohort_of(method.setting.federation, SITES[which])
            waiting.append((cohort, method.train(cohort, Plan(3, 1))))
        if action in (1, 2) and waiting:  # all, or some, or none of the oldest or the youngest arrives
            cohort, work = waiting.pop(0 if action == 1 else -1)
            method.merge(cohort, work, (cohort.terminals * 5 + which) % 9 < (9, 5, 3, 0, 9, 7, 2, 9, 4)[which])
        if action == 3:
            records.append(method.evaluate(Node("base_station", which // 3) if which < 8 else CLOUD))
        if action == 4:
            method.combine()
        if action == 5:
            method.adopt(np.array(SITES[which]))
        if action == 6:
            method.settle()
    models = weights_of(method).tobytes()
    return repr([(dict(each.scalars), each.tasks) for each in records]), models, method.setting.solver.duals().tobytes()


AHEAD = [(0, 1), (1, 0)] * 3 + [(0, 0), (0, 0)]  # one station gets ahead of another whose work still waits


@pytest.mark.parametrize("kind", [HFedMTL, FedAvg, Local])
@settings(max_examples=70, deadline=None)
@given(calls=st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 6]), st.integers(0, 8)), max_size=40))
@example(calls=[*AHEAD, (3, 0), (1, 0), (3, 8)])
@example(calls=[*AHEAD, (0, 3), (1, 3), (0, 4), (2, 0), (1, 5), (3, 8)])
@example(calls=[*AHEAD, (0, 5), (0, 2), (2, 0), (2, 0), (3, 8)])
@example(calls=[*AHEAD, (4, 0), (1, 1), (2, 0), (3, 8)])
@example(calls=[*AHEAD, (5, 3), (1, 3), (5, 2), (0, 7), (1, 1), (3, 8)])
def test_in_whatever_order_updates_arrive_and_are_measured_lazy_is_eager(
    kind: type[Method], calls: list[tuple[int, int]]
) -> None:
    assert records_of_any_order(kind, calls, eager=False) == records_of_any_order(kind, calls, eager=True)


@pytest.mark.parametrize("kind", [HFedMTL, FedAvg])
def test_the_work_of_stations_that_do_not_wait_for_each_other_is_one_batch(kind: type[Method]) -> None:
    method = method_of(kind, eager=False)
    solver, name, batches = method.setting.solver, "ascend" if kind is HFedMTL else "sgd", list[int]()
    real = getattr(solver, name)

    def counted(jobs: Any) -> Any:
        batches.append(len(jobs.terminals))
        return real(jobs)

    setattr(solver, name, counted)
    for site in range(3):
        cohort = cohort_of(method.setting.federation, [site])
        for _ in range(4):
            method.merge(cohort, method.train(cohort, Plan(2, 4)), np.full(3, True))
    method.settle()
    assert batches == [9] * 4
