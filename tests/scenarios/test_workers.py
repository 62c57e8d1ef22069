"""Worker processes: every job answers, and a dying one takes no other down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from scenarios.errors import ScenarioError
from scenarios.workers import cores, run_jobs


def work(job: Any, report: Callable[[Any], None]) -> Any:
    kind, value = job
    if kind == "refuse":
        raise ScenarioError("a.b", value, "something else")
    if kind == "fail":
        raise ValueError(f"no {value}")
    if kind == "die":
        os._exit(9)
    report(("half", value))
    return value * 2


def test_every_job_reports_progress_and_answers_once() -> None:
    messages = list(run_jobs(work, [("double", i) for i in range(5)], workers=2))
    assert sorted(m.content for m in messages if m.kind == "done") == [0, 2, 4, 6, 8]
    assert sorted(m.content for m in messages if m.kind == "progress") == [("half", i) for i in range(5)]


def test_refusals_failures_and_deaths_are_told_apart_and_others_go_on() -> None:
    jobs = [("die", 0), ("refuse", 1), ("fail", 2), ("double", 3), ("double", 4)]
    messages = {m.job: m for m in run_jobs(work, jobs, workers=2) if m.kind != "progress"}
    assert {job: m.kind for job, m in messages.items()} == {
        0: "failed",
        1: "refused",
        2: "failed",
        3: "done",
        4: "done",
    }
    assert "exit code 9" in messages[0].content
    assert str(messages[1].content) == "a.b = 1: allowed: something else"
    assert "ValueError: no 2" in messages[2].content


class Deaf:
    """Something whose removal takes long, and in which Python ignores whatever is raised."""

    def __init__(self, report: Callable[[Any], None]) -> None:
        self._report = report

    def __del__(self) -> None:
        self._report("deaf")
        time.sleep(30.0)


def work_without_hearing(_: Any, report: Callable[[Any], None]) -> None:
    Deaf(report)
    time.sleep(60.0)


def test_a_worker_is_ended_even_if_it_is_told_where_errors_are_ignored() -> None:
    messages = run_jobs(work_without_hearing, [0], workers=1)
    assert next(messages).content == "deaf"
    began_s = time.monotonic()
    messages.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began_s < 25.0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs an affinity to set")
def test_no_more_cores_are_counted_than_may_be_used() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert cores() == len(allowed)
