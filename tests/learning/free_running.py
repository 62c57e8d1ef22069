"""The asynchronous protocol without a network: terminals with given service times report to the cloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.messages import Plan
from netsim.port import Cohort

Array = NDArray[Any]


@dataclass
class FreeRunning:
    """Everybody works all the time, on the model that the cloud had when it reported last.

    Args:
        method: a fresh method.
        service_s: how long each terminal works, summed up exactly.
        steps: H.
        at_once: whether of terminals that report at the same instant each is sent the model that its own report has
            gone into, or all are sent the one that all reports have gone into.
        arrives: whether the update of a terminal's try arrives; with it or without, the terminal starts again.
        staleness: of every report, in order of arrival.
    """

    method: Any
    service_s: Sequence[float]
    steps: int
    at_once: bool = True
    arrives: Callable[[int, int], bool] = lambda terminal, number: True
    staleness: list[int] = field(default_factory=list)
    reporters: list[tuple[float, int]] = field(default_factory=list)
    models: list[Array] = field(default_factory=list)

    def run(self, reports: int, watch: bool = False) -> FreeRunning:
        """Go on until there have been so many reports; ``watch`` keeps the cloud's model after each of them."""
        everybody = list(range(len(self.service_s)))
        version, sent, tries = 0, self._send(everybody, 0), dict.fromkeys(everybody, 1)
        while len(self.staleness) < reports:
            now_s = min(self.service_s[i] * tries[i] for i in everybody)
            due = [i for i in everybody if self.service_s[i] * tries[i] == now_s]
            for i in due:
                if self.arrives(i, tries[i] - 1):
                    cohort, work, since = sent[i]
                    self.staleness.append(version - since)
                    self.reporters.append((now_s, i))
                    version += self.method.merge(
                        cohort, work, cohort.terminals == i, staleness=version - since
                    ).versions
                    if watch:
                        self.method.settle()
                        self.models.append(self.method.cloud.values[0].copy())
                tries[i] += 1
                if self.at_once:
                    sent |= self._send([i], version)
            if not self.at_once:
                sent |= self._send(due, version)
        self.method.settle()
        return self

    def _send(self, terminals: list[int], version: int) -> dict[int, tuple[Cohort, Any, int]]:
        who = np.array(terminals, np.int64)
        cohort = Cohort(np.zeros(1, np.int64), np.array([0, len(who)]), who)
        work = self.method.train(cohort, Plan(self.steps, 1))
        return dict.fromkeys(terminals, (cohort, work, version))
