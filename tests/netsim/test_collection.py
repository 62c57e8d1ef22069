"""How long a base station waits: for all that will come, for the first K, or until a deadline but for one at least."""

from collections.abc import Generator
from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simpy import Environment, Event

from netsim.collection import Gathering
from scenarios.schema import Collection

FATES = st.lists(st.tuples(st.integers(1, 1000), st.booleans()), min_size=1, max_size=10, unique_by=lambda f: f[0])
"""Per terminal, all at different instants: when it arrives, or when it is lost."""


def gather(policy: Collection, fates: list[tuple[int, bool]]) -> tuple[float, set[int]]:
    """Let terminals arrive or be lost; return when the gathering was complete and who was in it."""
    env = Environment()
    gathering = Gathering(env, policy, list(range(len(fates))))
    complete: list[tuple[float, set[int]]] = []
    gathering.complete.callbacks.append(lambda _: complete.append((env.now, set(gathering.arrived))))

    def terminal(i: int, at_s: int, arrives: bool) -> Generator[Event, object, None]:
        yield env.timeout(at_s)
        if arrives:
            gathering.arrive(i)
        else:
            gathering.lose(i)

    for i, (at_s, arrives) in enumerate(fates):
        env.process(terminal(i, at_s, arrives))
    env.run()
    assert len(complete) == 1
    assert set(gathering.arrived) == complete[0][1]  # later ones are ignored
    return complete[0]


def arrivals(fates: list[tuple[int, bool]], until: float = inf) -> set[int]:
    return {i for i, (at_s, arrives) in enumerate(fates) if arrives and at_s <= until}


@given(FATES)
def test_waiting_for_all_ends_with_the_last_one_to_arrive_or_be_lost(fates: list[tuple[int, bool]]) -> None:
    assert gather(Collection(policy="all"), fates) == (max(at_s for at_s, _ in fates), arrivals(fates))


@given(FATES, st.floats(0.01, 1.0))
def test_waiting_for_the_first_k_ends_with_the_kth_or_when_nobody_is_left_to_wait_for(
    fates: list[tuple[int, bool]], fraction: float
) -> None:
    enough = max(1, ceil(fraction * len(fates) - 1e-9))
    times = sorted(at_s for at_s, arrives in fates if arrives)
    expected_s = times[enough - 1] if len(times) >= enough else max(at_s for at_s, _ in fates)
    policy = Collection(policy="first_k", k_fraction=fraction)
    assert gather(policy, fates) == (expected_s, arrivals(fates, expected_s))


@given(FATES, st.integers(0, 1001))
def test_a_deadline_ends_the_wait_but_at_least_one_update_is_awaited(
    fates: list[tuple[int, bool]], before: int
) -> None:
    deadline_s = before + 0.5
    everyone_s = max(at_s for at_s, _ in fates)
    first_s = min((at_s for at_s, arrives in fates if arrives), default=inf)
    expected_s = min(everyone_s, max(deadline_s, first_s))
    policy = Collection(policy="deadline", deadline_s=deadline_s)
    assert gather(policy, fates) == (expected_s, arrivals(fates, expected_s))


@pytest.mark.parametrize(("fraction", "scheduled", "enough"), [(0.75, 4, 3), (0.1, 10, 1), (0.3, 10, 3), (1e-3, 5, 1)])
def test_a_share_of_the_terminals_is_rounded_up_but_not_by_rounding_errors(
    fraction: float, scheduled: int, enough: int
) -> None:
    fates = [(i + 1, True) for i in range(scheduled)]
    assert gather(Collection(policy="first_k", k_fraction=fraction), fates)[0] == enough


def test_updates_are_kept_by_terminal_and_late_ones_are_not_kept() -> None:
    env = Environment()
    gathering = Gathering(env, Collection(policy="first_k", k_fraction=0.5), [4, 9])
    gathering.arrive(9)
    assert not gathering.open
    gathering.arrive(4)
    assert gathering.arrived == {9}
    assert list(gathering.waiting) == [4]
