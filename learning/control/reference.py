"""The rule published with RHFedMTL for choosing K and H, kept for comparison, oddities included.

K(H) = floor(ln(n / (B eps)) (1 - 1/n_loc)^H) multiplies by the local inexactness where theory divides by one minus
it, so that more local work asks for fewer aggregations until K reaches 0. Among the H with K(H) >= 1 the rule takes
the last affordable one before the cost rises over the budget: the first such crossing after the cost has fallen
once, else the first at all, else the cheapest H; if even that is too dear, K = 1 and the H that fits.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import floor, log

from learning.control.closed_form import affordable_local_iterations
from learning.control.observation import Observation, Price, Reading
from learning.messages import Plan
from scenarios.errors import ScenarioError

ACCURACY = 1e-4  # eps_D


def reference_plan(budget: float, price: Price, samples: int, tasks: int, local_samples: float) -> Plan | None:
    """Return the published plan for one cloud round, or None if nothing is affordable.

    Args:
        budget: what one cloud round may cost.
        price: cost of a local and of a base-station iteration, everywhere at once.
        samples: n, training samples of all tasks.
        tasks: B.
        local_samples: n_loc, samples per terminal, more than 1.
    """
    candidates: list[Plan] = []
    while True:
        H = len(candidates) + 1
        K = floor(log(samples / (tasks * ACCURACY)) * (1.0 - 1.0 / local_samples) ** H)
        if K < 1:
            break
        candidates.append(Plan(H, K))
    costs = [p.bs_iterations * (price.bs_iteration + p.local_iterations * price.local_iteration) for p in candidates]
    chosen = _crossing(costs, budget)
    if chosen is not None:
        return candidates[chosen]
    cheapest = min(range(len(costs)), key=costs.__getitem__, default=None)
    if cheapest is not None and costs[cheapest] <= budget:
        return candidates[cheapest]
    H = affordable_local_iterations(budget, price, 1)
    return Plan(H, 1) if H >= 1 else None


def _crossing(costs: list[float], budget: float) -> int | None:
    """Return the index before the cost rises over the budget, see the module's first paragraph."""
    fallen = False
    for i, (cost, following) in enumerate(itertools.pairwise(costs)):
        fallen = fallen or cost > following
        if fallen and cost < budget < following:
            return i
    pairs = itertools.pairwise(costs)
    return next((i for i, (cost, following) in enumerate(pairs) if cost <= budget < following), None)


@dataclass
class ReferenceControl:
    """Applies the published rule once, to the abstract cost budget, and repeats its plan in every cloud round.

    Args:
        cloud_rounds: T.
        samples, tasks, local_samples: see :func:`reference_plan`.
    """

    cloud_rounds: int
    samples: int
    tasks: int
    local_samples: float
    _plan: Plan | None = field(default=None, init=False)

    def measures_gap(self, cloud_round: int) -> bool:
        """Never: the rule measures nothing."""
        return False

    def plan(
        self, observation: Observation, contraction: float | None = None, readings: Sequence[Reading] = ()
    ) -> Plan | None:
        """Return the plan of the next cloud round; None after the last, or if the budget allows nothing.

        Raises:
            ScenarioError: the run has no cost budget, which is all the rule knows.
        """
        if "cost" not in observation.remaining:
            raise ScenarioError("budget.cost", None, "a number: controller reference plans a cost budget and no other")
        rounds_left = self.cloud_rounds - observation.cloud_round
        if rounds_left < 1:
            return None
        if self._plan is None:
            budget, price = observation.remaining["cost"] / rounds_left, observation.prices["cost"]
            self._plan = reference_plan(budget, price, self.samples, self.tasks, self.local_samples)
        return self._plan
