"""The timeline shows every terminal doing one thing at a time, for as long as it did it."""

from itertools import pairwise

from hypothesis import given, settings

from netsim.world import World
from tests.netsim.any_scenario import methods, worlds
from tests.netsim.counting import Counting
from tests.netsim.worlds import run


@settings(max_examples=20, deadline=None)
@given(worlds(), methods())
def test_spans_of_one_terminal_follow_each_other_within_the_run(where: World, method: Counting) -> None:
    result = run(where, method)
    lanes: dict[int, list[tuple[float, float]]] = {}
    assert result.trace is not None
    for event in result.trace["traceEvents"]:
        assert event["ph"] == "X" and event["dur"] >= 0.0
        assert event["pid"] == where.deployment.serving[event["tid"]]
        lanes.setdefault(event["tid"], []).append((event["ts"], event["ts"] + event["dur"]))
    for spans in lanes.values():
        assert all(end <= start + 1e-3 for (_, end), (start, _) in pairwise(spans))
        assert spans[-1][1] <= result.totals["time_s"] * 1e6 + 1e-3
