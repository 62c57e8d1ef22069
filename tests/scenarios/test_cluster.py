"""Clusters: every job answers, a dying worker takes no other job down, and jobs are made when they are needed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from scenarios.cluster import open_cluster, work_through
from scenarios.errors import ScenarioError


def work(job: tuple[str, int]) -> int:
    kind, value = job
    if kind == "fail":
        raise ValueError(f"no {value}")
    if kind == "die":
        os._exit(9)
    return 2 * value


def test_every_job_answers_whatever_becomes_of_the_others() -> None:
    kinds = ["double"] * 3 + ["fail", "die"] + ["double"] * 40
    taken: list[int] = []

    def jobs() -> Iterator[tuple[str, tuple[str, int]]]:
        for place, kind in enumerate(kinds):
            taken.append(place)
            yield f"job-{place}", (kind, place)

    with open_cluster(None, 2) as client:
        messages = work_through(client, work, jobs())
        answers = {(first := next(messages)).job: first}
        assert len(taken) < 20  # not all of them were made before the first was done
        answers |= {message.job: message for message in messages}
    assert sorted(answers) == list(range(len(kinds)))
    for place, kind in enumerate(kinds):
        if kind == "double":
            assert (answers[place].kind, answers[place].content) == ("done", 2 * place)
        else:
            assert answers[place].kind == "failed"
    assert "no 3" in answers[3].content


def test_an_address_where_no_scheduler_is_is_refused_in_one_line() -> None:
    with (
        pytest.raises(ScenarioError, match=r"--scheduler = 'tcp://127.0.0.1:1': allowed: the address of a running"),
        open_cluster("tcp://127.0.0.1:1", 1),
    ):
        pass
