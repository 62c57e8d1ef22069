"""A terminal that learns on its own: the same device and the same stragglers, without a network."""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import inf
from typing import Any

from simpy import Event, Interrupt

from netsim.port import Node, Plan
from netsim.terminal import OutOfBudgetError, Participation, Steps, Terminal


class LoneTerminal(Terminal):
    """Goes through chunks of local work at its own pace; a chunk cut short by an absence is done again."""

    def work_alone(self, plan: Plan, on_chunk: Callable[[], None]) -> Event:
        """Start ``plan.bs_iterations`` chunks of ``plan.local_iterations``; return the event of their end."""
        self._process = self.env.process(self._chunks(plan, on_chunk))
        return self._process

    def _chunks(self, plan: Plan, on_chunk: Callable[[], None]) -> Steps:
        for number in range(plan.bs_iterations):
            self._working = True
            try:
                done = False
                while not done:
                    done = yield from self._chunk(plan, number)
            except (Interrupt, OutOfBudgetError):
                return
            finally:
                self._working = False
            on_chunk()

    def _chunk(self, plan: Plan, number: int) -> Generator[Event, Any, bool]:
        node = Node("terminal", self.index)
        back_s = self.available_from_s()
        if back_s == inf:
            raise OutOfBudgetError
        if back_s > self.env.now:
            yield self.env.timeout(back_s - self.env.now + 1e-9)
        started_s = self.env.now
        update, effort = self.method.train(self.index, self.method.broadcast(node, ()), plan)
        self._pay_for(effort)
        leaves_s, compute_s = self._fate(number, effort.samples)
        yield from self._compute(compute_s, leaves_s)
        done = self.env.now < leaves_s
        if done:
            self.method.merge(node, [update])
        outcome = "merged" if done else "dropped"
        row = Participation(self.site, 0, number, self.index, outcome, started_s, compute_s, 0.0, self.env.now)
        self.log.append(row)
        return done
