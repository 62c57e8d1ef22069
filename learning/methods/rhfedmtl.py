"""RHFedMTL: HFedMTL with the numbers of local and base-station iterations chosen to make the most of a budget.

Yi et al., "RHFedMTL: resource-aware hierarchical federated multi-task learning", arXiv 2306.00675. The strategies are
the controllers of :mod:`learning.control`: the rule published with the paper, the closed form that follows from its
theory, and two that predict what rounds are worth. They are fed with the gaps that terminals measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from learning.control.closed_form import ClosedFormControl
from learning.control.convergence_bound import ConvergenceBoundControl, outer_contraction
from learning.control.observation import Controller, Observation, Reading
from learning.control.online import OnlineControl, likely_drag
from learning.control.reference import ReferenceControl
from learning.data.federate import Federation
from learning.messages import Plan
from learning.methods.base import BoolArray
from learning.methods.hfedmtl import DualParameters, HFedMTL, measured_contraction
from learning.primal_dual.jobs import AscentUpdates
from learning.setting import Setting


@dataclass(frozen=True, config={"extra": "forbid"})
class PlannedDualParameters(DualParameters):
    """Parameters of RHFedMTL.

    Attributes:
        controller: closed_form, planned anew in every cloud round from what is left of the budget and the measured
            contraction; reference, the published rule, which knows the cost budget only; convergence_bound, least
            bound on the final gap; online, greatest decrease of the gap as measured, with terminals that differ in H.
        cloud_rounds: T, cloud rounds that closed_form and reference spread the budget over; the others choose.
    """

    controller: Literal["closed_form", "reference", "convergence_bound", "online"] = "closed_form"
    cloud_rounds: int = Field(default=10, ge=1)


class RHFedMTL(HFedMTL):
    """Primal-dual updates with K and H from the budget."""

    label = "RHFedMTL"
    Parameters: ClassVar[Any] = PlannedDualParameters

    def __init__(self, setting: Setting, parameters: Any) -> None:
        super().__init__(setting, parameters)
        self._contraction: float | None = None
        self._readings: list[Reading] = []
        self._planned = Plan(0, 0)
        self._astray = 0.0
        self.gaps_wanted = 1 if parameters.controller == "online" else 2

    def make_controller(self) -> Controller:
        """Return the strategy asked for."""
        p, data, coupling = self.parameters, self.setting.federation, self.setting.coupling
        local_samples = len(data.y) / self.setting.terminals
        if p.controller == "reference":
            return ReferenceControl(p.cloud_rounds, len(data.y), self.setting.tasks, max(local_samples, 1.0 + 1e-9))
        # One coordinate step settles one sample's share of the gap: what to assume before anything is measured.
        first = -log(1.0 - 1.0 / max(local_samples, 1.5))
        if p.controller == "closed_form":
            return ClosedFormControl(p.cloud_rounds, first)
        outer = outer_contraction(coupling.share, p.relaxation)
        if p.controller == "convergence_bound":
            return ConvergenceBoundControl(first, outer)
        return OnlineControl(np.diff(data.terminal_offsets), likely_drag(outer))

    def plan(self, observation: Observation) -> Plan | None:
        """Take what was measured in the round that ended, and plan the next."""
        if self._measured:
            self.queue.flush()
            self._learn(observation.cloud_round - 1)
            self._measured.clear()
        self.measures_gap = self.controller.measures_gap(observation.cloud_round)
        if self.measures_gap:
            self.queue.flush()
            _, implied = self.setting.coupling.joint_map(self._u)
            coupling, apart = self.setting.coupling, float(np.sum((self._r - implied) ** 2))
            self._astray = 0.5 * coupling.tasks * coupling.lambda1 * coupling.share * apart if apart else 0.0
        plan = self.controller.plan(observation, self._contraction, self._readings)
        self._planned = plan or Plan(0, 0)
        return plan

    def _learn(self, cloud_round: int) -> None:
        """Read the gaps that arrived.

        The models and r with which a round begins are certified by the gaps of its first iterations and by how far r
        is from the one that the duals imply: P(W, r) - D = sum of the tasks' gaps at r + B lambda1 lambda2 / (2 lam)
        ||r - r(duals)||^2.
        """
        updates = [(work.value, arrived) for work, arrived in self._measured]
        H = float(np.mean(self._planned.steps(np.arange(self.setting.terminals))))
        found = measured_contraction(H, updates)
        self._contraction = found or self._contraction
        gap = first_gap(updates, self.setting.federation)
        if gap is not None:
            left = None if found is None else exp(-found * H)
            self._readings.append(Reading(cloud_round, gap + self._astray, left, self._planned))


def first_gap(updates: Sequence[tuple[AscentUpdates, BoolArray]], data: Federation) -> float | None:
    """Return the sum of the tasks' gaps as they were before the first iteration of a round.

    Args:
        updates: those of a round, in order, and (n,) which of them arrived.
        data: whose rows they are.

    Returns:
        None if nothing arrived. Terminals that are missing are taken to be like the others of their task, tasks that
        are missing like the others.
    """
    tasks, rows = len(data.task_names), np.diff(data.terminal_offsets)
    sums, counted, begun = np.zeros(tasks), np.zeros(tasks), np.zeros(tasks, bool)
    for update, arrived in updates:
        owner = data.terminal_task[update.terminals]
        first = arrived & ~begun[owner]
        np.add.at(sums, owner[first], update.gap[first, 0])
        np.add.at(counted, owner[first], rows[update.terminals[first]])
        begun[owner] = True
    there = counted > 0.0
    return float(np.mean(sums[there] / counted[there]) * tasks) if there.any() else None
