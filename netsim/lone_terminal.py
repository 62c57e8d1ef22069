"""A terminal that learns on its own: the same device and the same stragglers, without a network."""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import inf
from typing import Any

from simpy import Event, Interrupt

from netsim.port import Method, Node, Plan
from netsim.terminal import OutOfBudgetError, Participation, Steps, Terminal
from netsim.world import World


class LoneTerminal(Terminal):
    """Goes through chunks of local work at its own pace; a chunk cut short is done again.

    Every try is a round of its own, with its own luck: a chunk that was lost once is not lost for ever.
    """

    def __init__(self, world: World, method: Method, index: int, log: list[Participation]) -> None:
        super().__init__(world, method, index, log)
        self.covered = True  # needs no radio
        self._tries = 0

    def work_alone(self, plan: Plan, on_chunk: Callable[[], None]) -> Event:
        """Start ``plan.bs_iterations`` chunks of ``plan.local_iterations``; return the event of their end."""
        return self._go(self._chunks(plan, on_chunk))

    def _chunks(self, plan: Plan, on_chunk: Callable[[], None]) -> Steps:
        for _ in range(plan.bs_iterations):
            self._working = True
            try:
                done = False
                while not done:
                    done = yield from self._chunk(plan)
            except (Interrupt, OutOfBudgetError):
                return
            finally:
                self._working = False
            on_chunk()

    def _chunk(self, plan: Plan) -> Generator[Event, Any, bool]:
        node = Node("terminal", self.index)
        back_s = self.available_from_s()
        if back_s == inf:
            raise OutOfBudgetError
        if back_s > self.env.now:
            yield self.env.timeout(back_s - self.env.now + 1e-9)
        row = Participation(self.site, 0, self._tries, self.index, "dropped", self.env.now, upload_s=0.0)
        update, effort = self.method.train(self.index, self.method.broadcast(node, ()), plan)
        self._pay_for(effort)
        row.samples, row.fixed_samples = effort.samples, effort.fixed_samples
        leaves_s, compute_s = self._fate(self._tries, effort.samples)
        self._tries += 1
        try:
            done = yield from self._compute(compute_s, leaves_s, row)
        except Interrupt:
            done = False
        if done:
            self.method.merge(node, [update])
            row.outcome, row.finish_s = "merged", self.env.now
        self.log.append(row)
        return done
