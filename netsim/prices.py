"""What one more local iteration and one more base-station iteration cost, as measured on the rounds so far."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netsim.participation import Columns
from netsim.port import Observation, Plan, Price
from netsim.world import Ground


class PriceWatch:
    """Measures every cloud round and turns it into an :class:`Observation` for the controller.

    Abstract cost is known exactly. Time: what local iterations cost is the slowest terminal's computation, averaged
    over base-station iterations; the rest of the round is what base-station iterations cost. Energy: terminals'
    computation against everything else. Computing a certificate counts as rest. Bytes depend on base-station
    iterations alone.

    Args:
        ground: how many terminals and base stations there are, and what they charge.
        start: what has been used before the first round, see :func:`netsim.recorder.snapshot`.
    """

    def __init__(self, ground: Ground, start: Mapping[str, float]) -> None:
        limits = ground.scenario.budget
        self._terminals, self._sites = ground.terminals, ground.sites
        per_local = limits.cost_per_local_iteration * ground.asked
        self._prices = {"cost": Price(per_local, limits.cost_per_bs_iteration * ground.sites)}
        self._before = start

    def observe(self, cloud_round: int, remaining: Mapping[str, float]) -> Observation:
        """Return what the controller of round ``cloud_round`` may know, given what is left of the budget."""
        return Observation(cloud_round, self._terminals, self._sites, remaining, dict(self._prices))

    def measure(self, plan: Plan, now: Mapping[str, float], fresh: Columns) -> None:
        """Take the prices of the cloud round that just ended.

        Args:
            plan: its H and K.
            now: what has been used since the start of the run.
            fresh: participation in this round.
        """
        used = {name: value - self._before[name] for name, value in now.items()}
        H, K = plan.local_iterations, plan.bs_iterations
        share = _iterating_share(fresh)
        iterating_s = share * _mean_of_slowest(fresh)
        iterating_j = share * used["energy_terminal_compute_j"]
        self._prices["time_s"] = Price(iterating_s / H, max(0.0, used["time_s"] / K - iterating_s))
        self._prices["energy_j"] = Price(iterating_j / (K * H), (used["energy_j"] - iterating_j) / K)
        self._prices["bytes"] = Price(0.0, used["bytes"] / K)
        self._before = now


def _iterating_share(fresh: Columns) -> float:
    """Share of the visited rows that local iterations visited, rather than a certificate."""
    visited = float(fresh["samples"].sum())
    return 1.0 - float(fresh["fixed_samples"].sum()) / visited if visited > 0.0 else 1.0


def _mean_of_slowest(fresh: Columns) -> float:
    """Longest computation that arrived in every base-station iteration, averaged over them, seconds."""
    merged = fresh["outcome"] == "merged"
    if not merged.any():
        return 0.0
    site, number = fresh["base_station"][merged], fresh["edge_round"][merged]
    iterations, which = np.unique(site * (int(number.max()) + 1) + number, return_inverse=True)
    slowest = np.zeros(len(iterations))
    np.maximum.at(slowest, which, fresh["compute_s"][merged])
    return float(slowest.mean())
