"""The queue gives what immediate evaluation gives, in as few calls as the dependencies allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from learning.deferred import DeferredQueue, Pending
from learning.methods.hfedmtl import FixedDualParameters, HFedMTL
from learning.parcels import Parcel, Plan
from netsim.port import CLOUD, Node
from tests.learning.driving import (
    SCENARIO,
    UNRELIABLE,
    fingerprint,
    random_federation,
    scenario_of,
    setting_of,
    simulated,
)

SLOTS = 4


@dataclass(frozen=True)
class Operation:
    """One line of a random program.

    Args:
        kind: which kernel runs it.
        constant: a plain argument.
        alone, listed: results of earlier operations it uses, as an argument each or in one list.
        reads, writes: slots.
    """

    kind: int
    constant: float
    alone: tuple[int, ...]
    listed: tuple[int, ...]
    reads: tuple[int, ...]
    writes: tuple[int, ...]


@st.composite
def programs(draw: st.DrawFn) -> list[Operation | None]:
    """Return operations that use earlier ones at will; None is a flush."""
    program: list[Operation | None] = []
    slots = st.lists(st.integers(0, SLOTS - 1), max_size=2, unique=True).map(tuple)
    for _ in range(draw(st.integers(1, 25))):
        done = [i for i, operation in enumerate(program) if operation is not None]
        earlier = st.lists(st.sampled_from(done), max_size=2).map(tuple) if done else st.just(())
        if program and draw(st.integers(0, 9)) == 0:
            program.append(None)
            continue
        numbers = st.floats(-2.0, 2.0)
        kind = draw(st.integers(0, 2))
        program.append(
            Operation(kind, draw(numbers), draw(earlier), draw(earlier), draw(slots), draw(slots)),
        )
    return program


@dataclass
class Machine:
    """Slots and three kernels whose arithmetic tells any other order from the right one."""

    backwards: bool = False
    slots: list[float] = field(default_factory=lambda: [1.0, 2.0, 3.0, 5.0])
    calls: Counter[int] = field(default_factory=Counter)

    def work(self, kind: int, arguments: tuple[Any, ...]) -> float:
        """Do one operation."""
        constant, listed, reads, writes, *alone = arguments
        value = constant + 0.1 * kind
        for number in [*alone, *listed, *(self.slots[s] for s in reads)]:
            value = 0.7 * value + number
        for slot in writes:
            self.slots[slot] = 0.3 * self.slots[slot] - value
            value += self.slots[slot]
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
        results: list[Pending | None] = []
        for operation in program:
            if operation is None:
                queue.flush()
                results.append(None)
                continue
            alone, listed = ([results[i] for i in use] for use in (operation.alone, operation.listed))
            arguments = (operation.constant, listed, operation.reads, operation.writes, *alone)
            results.append(queue.submit(kernels[operation.kind], arguments, operation.reads, operation.writes))
        queue.flush()
        return [result.value for result in results if result is not None]


def executed_at_once(program: Sequence[Operation | None]) -> tuple[list[float], list[float]]:
    """Interpret a program line by line, without any queue; return values and slots."""
    machine, values = Machine(), dict[int, float]()
    for i, operation in enumerate(program):
        if operation is not None:
            alone, listed = ([values[j] for j in use] for use in (operation.alone, operation.listed))
            arguments = (operation.constant, listed, operation.reads, operation.writes, *alone)
            values[i] = machine.work(operation.kind, arguments)
    return list(values.values()), machine.slots


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
            used = j in operation.alone or j in operation.listed
            raw = set(other.writes) & set(operation.reads)
            war_or_waw = (set(other.reads) | set(other.writes)) & set(operation.writes)
            if used or raw or war_or_waw:
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
    assert (values, machine.slots) == executed_at_once(program)
    assert machine.calls.total() == fewest_calls(program)


@settings(max_examples=100, deadline=None)
@given(program=programs())
def test_eager_equals_immediate_bit_for_bit_one_call_an_operation(program: list[Operation | None]) -> None:
    machine = Machine()
    values = machine.run(program, DeferredQueue(eager=True))
    assert (values, machine.slots) == executed_at_once(program)
    assert machine.calls.total() == len(values)


@settings(max_examples=100, deadline=None)
@given(programs(), st.integers(2, 9))
def test_running_whenever_enough_waits_equals_immediate_bit_for_bit(
    program: list[Operation | None], capacity: int
) -> None:
    machine = Machine()
    values = machine.run(program, DeferredQueue(capacity=capacity))
    assert (values, machine.slots) == executed_at_once(program)


def log_of(queue: DeferredQueue, accesses: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> list[list[str]]:
    """Submit (name, reads, writes) and return the names as they run, one list a call."""
    calls: list[list[str]] = []

    def note(batch: list[tuple[Any, ...]]) -> list[None]:
        calls.append([name for (name,) in batch])
        return [None] * len(batch)

    for name, reads, writes in accesses:
        queue.submit(note, (name,), reads, writes)
    queue.flush()
    return calls


def test_a_read_waits_for_the_write_before_it() -> None:
    assert log_of(DeferredQueue(), [("write", [], ["s"]), ("read", ["s"], [])]) == [["write"], ["read"]]


def test_a_write_waits_for_all_reads_before_it() -> None:
    program = [("one", ["s"], []), ("two", ["s"], []), ("write", [], ["s"]), ("other", [], ["t"])]
    assert log_of(DeferredQueue(), program) == [["one", "two", "other"], ["write"]]


def test_a_write_waits_for_the_write_before_it() -> None:
    program = [("one", [], ["s"]), ("two", [], ["s"]), ("last", ["s"], [])]
    assert log_of(DeferredQueue(), program) == [["one"], ["two"], ["last"]]


def test_a_late_reader_of_an_old_value_does_not_let_an_earlier_write_pass() -> None:
    program = [("w1", [], ["s"]), ("r1", ["s"], []), ("r2", ["s", "t"], []), ("w2", [], ["s"]), ("r3", ["s"], [])]
    assert log_of(DeferredQueue(), program) == [["w1"], ["r1", "r2"], ["w2"], ["r3"]]


def test_slots_of_different_names_do_not_wait_for_each_other() -> None:
    program = [(str(i), [("duals", i)], [("duals", i)]) for i in range(50)]
    assert log_of(DeferredQueue(), program) == [[str(i) for i in range(50)]]  # type: ignore[arg-type]


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


def records_of_any_order(calls: list[tuple[int, int]], eager: bool) -> tuple[str, bytes]:
    """Let updates be trained, merged and measured in any order; return all records and the duals."""
    method = HFedMTL(setting_of(random_federation(6), eager=eager), FixedDualParameters())
    waiting: list[list[Parcel]] = [[], [], []]
    records = []
    for action, which in calls:
        site = which // 3
        node = Node("base_station", site)
        if action == 0:
            update, _ = method.train(which, method.broadcast(node, range(3)), Plan(3, 1))
            waiting[site].append(update)
        if action == 1:  # the oldest update of every terminal; a younger one of the same stays for later
            oldest = {parcel.sender: parcel for parcel in waiting[site][::-1]}
            waiting[site] = [parcel for parcel in waiting[site] if parcel not in oldest.values()]
            method.merge(node, list(oldest.values()))
        if action == 2:
            records.append(method.evaluate(node))
        if action == 3:
            records.append(method.evaluate(CLOUD))
        if action == 4:
            method.merge(CLOUD, [Parcel(state, 0.0, b) for b, state in enumerate(method.models())])
        if action == 5:
            method.merge(node, [])
    method.settle()
    return repr([(dict(each.scalars), each.tasks) for each in records]), method.setting.solver.duals().tobytes()


AHEAD = [(5, 3)] * 3 + [(0, 0), (5, 0), (5, 0)]  # other stations get ahead of one that still waits for an update


@settings(max_examples=150, deadline=None)
@given(calls=st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4, 5]), st.integers(0, 8)), max_size=40))
@example(calls=[*AHEAD, (2, 0), (1, 0), (3, 0)])
@example(calls=[*AHEAD, (0, 0), (1, 0), (1, 0), (3, 0)])
def test_in_whatever_order_updates_arrive_and_are_measured_lazy_is_eager(calls: list[tuple[int, int]]) -> None:
    assert records_of_any_order(calls, eager=False) == records_of_any_order(calls, eager=True)
