"""A terminal that learns on its own: the same device and the same stragglers, without a network."""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import inf
from typing import Any

import numpy as np
from simpy import Event, Interrupt

from netsim.accounts import OutOfBudgetError
from netsim.compute import Luck
from netsim.participation import Participation, ParticipationLog
from netsim.port import Cohort, Method, Plan, Sizes
from netsim.terminal import Steps, Terminal
from netsim.world import World


class LoneTerminal(Terminal):
    """Goes through chunks of local work at its own pace; a chunk cut short is done again.

    Every try is a round of its own, with its own luck: a chunk that was lost once is not lost for ever.
    """

    def __init__(self, world: World, method: Method, index: int, log: ParticipationLog) -> None:
        luck = Luck(world.scenario.terminals, [int(world.deployment.entity[index])], world.streams)
        super().__init__(world, index, log, luck)
        self.method = method
        self.covered = True  # needs no radio
        self._tries = 0
        self._alone = Cohort(np.array([self.site]), np.array([0, 1]), np.array([index]))

    def work_alone(self, plan: Plan, on_chunk: Callable[[], None]) -> Event:
        """Start ``plan.bs_iterations`` chunks of ``plan.local_iterations``; return the event of their end."""
        return self._go(self._chunks(plan, self.method.sizes(plan), on_chunk))

    def _chunks(self, plan: Plan, sizes: Sizes, on_chunk: Callable[[], None]) -> Steps:
        for _ in range(plan.bs_iterations):
            self._working = True
            try:
                done = False
                while not done:
                    done = yield from self._chunk(plan, sizes)
            except (Interrupt, OutOfBudgetError):
                return
            finally:
                self._working = False
            on_chunk()

    def _wait_until_ready(self) -> Steps:
        while not self.ready():
            back_s = self.available_from_s()
            if back_s == inf:
                raise OutOfBudgetError
            try:
                yield self.env.timeout(max(0.0, back_s - self.env.now) + 1e-9)
            except Interrupt:  # the battery was empty before there was anything to lose
                continue

    def _chunk(self, plan: Plan, sizes: Sizes) -> Generator[Event, Any, bool]:
        yield from self._wait_until_ready()
        row = Participation(self.site, 0, self._tries, self.index, "dropped", self.env.now, upload_s=0.0)
        work = self.method.train(self._alone, plan)
        self._pay_for(sizes, row)
        leaves_s, compute_s = self._fate(self._tries, row.samples)
        self._tries += 1
        try:
            done = yield from self._compute(compute_s, leaves_s, row)
        except Interrupt:
            done = False
        if done:
            self.method.merge(self._alone, work, np.ones(1, np.bool_))
            row.outcome, row.finish_s = "merged", self.env.now
        self.log.append(row)
        return done
