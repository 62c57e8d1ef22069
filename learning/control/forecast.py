"""What cloud rounds will cost and how many of them a budget allows: what every planner that looks ahead needs.

All resources are treated alike: a cloud round of K base-station iterations of H local ones costs

    cloud + sqrt(K) load wait + K (bs + load local)

of each. Base stations wait for the last of them at the end of a round, but not in between, so what they wait grows like
the spread of a sum of K chances, and with the work that stragglers have. The load is H; where terminals differ in it,
cost and energy grow with the mean H, time with that of the terminal that is busy longest. The scarcest resource decides
how many rounds there are. Prices are means over the rounds so far: with heavy stragglers one round says little about
the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.control.observation import Observation
from learning.messages import Plan

Array = NDArray[np.float64]
_SLACK = 1e-9  # a budget of exactly n rounds allows n rounds


@dataclass(frozen=True)
class Tariff:
    """What a cloud round costs of one resource.

    Attributes:
        local: one more unit of load in every base-station iteration, as a rule a local iteration at all terminals.
        bs: one more base-station iteration at all base stations.
        cloud: a cloud round.
        wait: waiting at the end of a round of a single base-station iteration, by unit of load.
    """

    local: float
    bs: float
    cloud: float = 0.0
    wait: float = 0.0

    def of(self, load: Array, K: ArrayLike) -> Array:
        """Return what rounds cost, the shape of load and K."""
        k = np.asarray(K, np.float64)
        return np.asarray(self.cloud + np.sqrt(k) * load * self.wait + k * (self.bs + load * self.local), np.float64)


_FREE = Tariff(0.0, 0.0)


class Ledger:
    """Averages what rounds have cost, so that the next ones can be forecast.

    Args:
        memory: weight of a round relative to that of the round after it; 1 is the plain mean.
    """

    def __init__(self, memory: float = 0.9) -> None:
        self._memory = memory
        self._sums: dict[str, Array] = {}
        self._weight = 0.0

    def take(self, observation: Observation, last: Plan, loads: Mapping[str, float]) -> None:
        """Take the prices of the round that ended.

        Args:
            observation: what is known now.
            last: the plan of that round.
            loads: by resource, what the plan was counted as in place of H.
        """
        self._weight = self._memory * self._weight + 1.0
        for name, price in observation.prices.items():
            K, load = last.bs_iterations, loads[name]
            once = min(price.cloud_round, K * price.bs_iteration)
            local = price.local_iteration * last.local_iterations / load
            waiting = min(price.waiting, once)
            fresh = np.array([local, price.bs_iteration - once / K, once - waiting, waiting / (np.sqrt(K) * load)])
            self._sums[name] = self._memory * self._sums.get(name, np.zeros(4)) + fresh

    def tariffs(self, observation: Observation) -> dict[str, Tariff]:
        """Return what rounds cost of every limited resource whose price is known, if it is not 0."""
        found = {}
        for name in observation.remaining:
            if name == "cost" and name in observation.prices:  # known before the first round
                price = observation.prices[name]
                found[name] = Tariff(price.local_iteration, price.bs_iteration, price.cloud_round)
            elif name in self._sums:
                found[name] = Tariff(*(self._sums[name] / self._weight).tolist())
        return {name: tariff for name, tariff in found.items() if tariff != _FREE}


def affordable_rounds(
    left: Mapping[str, float], tariffs: Mapping[str, Tariff], loads: Mapping[str, Array], K: ArrayLike
) -> Array:
    """Return how many rounds what is left allows, as real numbers; infinity if nothing limits them.

    Args:
        left: what is left, by resource.
        tariffs: what rounds cost, of some resources.
        loads: load of every candidate, by resource.
        K: base-station iterations of every candidate, the same shape.
    """
    counts = [left[name] * (1.0 + _SLACK) / tariff.of(loads[name], K) for name, tariff in tariffs.items()]
    return np.asarray(np.min(counts, axis=0), np.float64) if counts else np.full(np.shape(K), np.inf)
