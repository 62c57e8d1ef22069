"""What one more local iteration and one more base-station iteration cost, as measured on the rounds so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.participation import LATE, MERGED, Columns
from netsim.port import Observation, Plan, Price
from netsim.world import Ground

Array = NDArray[Any]
_SHORT_S = 1e-12
_TIMED = ("base_station", "edge_round", "terminal", "samples", "compute_s", "upload_s", "finish_s")


class PriceWatch:
    """Measures every cloud round and turns it into an :class:`Observation` for the controller.

    Abstract cost is known exactly. Time: what local iterations cost is the slowest terminal's computation, averaged
    over base-station iterations; the rest of the round is what base-station iterations cost. Energy: terminals'
    computation against everything else. Computing a certificate counts as rest. Bytes depend on base-station
    iterations alone. What a cloud round costs by itself: the time that messages to and from the cloud take, and waiting
    for the base station that is last; the energy drawn by who idles in it, and of the backhaul; its bytes.

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
        self._least_s, self._took_s = np.full(ground.terminals, np.inf), np.zeros(ground.terminals)
        self._visits = np.zeros(ground.terminals)
        waits = ground.scenario.collection
        self._deadline_s = waits.deadline_s if waits.policy == "deadline" else None
        self._upload_s, self._computed = 0.0, 0
        self._logs, self._tries = np.zeros(ground.terminals), np.zeros(ground.terminals)
        # Rounds of each base station, how far it was behind the mean in an iteration of them, and the squares of that.
        self._behind = np.zeros((3, ground.sites))

    def observe(self, cloud_round: int, remaining: Mapping[str, float]) -> Observation:
        """Return what the controller of round ``cloud_round`` may know, given what is left of the budget."""
        speeds, slowdown, known = None, 1.0, self._visits > 0.0
        if known.any():
            speeds = np.where(known, self._least_s, np.nan)
            fastest_s = float(self._least_s[known] @ self._visits[known])
            slowdown = float(self._took_s[known].sum()) / fastest_s if fastest_s > 0.0 else 1.0
        excess = self._logs[known] - self._tries[known] * np.log(self._least_s[known])
        late = (self._deadline_s, self._upload_s, self._computed, float(excess.sum()))
        seen = (remaining, dict(self._prices), speeds, slowdown, *late)
        return Observation(cloud_round, self._terminals, self._sites, *seen)

    def measure(self, plan: Plan, now: Mapping[str, float], fresh: Columns) -> None:
        """Take the prices of the cloud round that just ended.

        Args:
            plan: its H and K.
            now: what has been used since the start of the run.
            fresh: participation in this round.
        """
        used = {name: value - self._before[name] for name, value in now.items()}
        arrived = _chosen(fresh, fresh["outcome"] == MERGED)
        H, K = plan.local_iterations, plan.bs_iterations
        share = _iterating_share(fresh)
        iterating_s, self._upload_s = _means_of_slowest(arrived, ("compute_s", "upload_s"))
        iterating_s *= share
        iterating_j = share * used["energy_terminal_compute_j"]
        carrying_s, waiting_s = self._apart_s(arrived, now["time_s"], K)
        idling_w = (used["energy_terminal_idle_j"] + used["energy_bs_static_j"]) / max(used["time_s"], _SHORT_S)
        once_s, once_j = carrying_s + waiting_s, used["energy_backhaul_j"] + idling_w * (carrying_s + waiting_s)
        self._prices["time_s"] = Price(iterating_s / H, max(0.0, used["time_s"] / K - iterating_s), once_s, waiting_s)
        rest_j = (used["energy_j"] - iterating_j) / K
        self._prices["energy_j"] = Price(iterating_j / (K * H), rest_j, once_j, idling_w * waiting_s)
        self._prices["bytes"] = Price(0.0, used["bytes"] / K, used["bytes_backhaul"])
        self._before = now
        self._time(_chosen(arrived, arrived["samples"] > 0.0))
        late = (fresh["outcome"] == LATE) & (fresh["samples"] > 0.0)
        if late.any():
            self._time_late(_chosen(fresh, late))

    def _apart_s(self, arrived: Columns, now_s: float, K: int) -> tuple[float, float]:
        """What a cloud round takes besides its iterations: to and from the cloud, and waiting on average, seconds.

        The base station that was last has waited for nobody: what was left of the round took its message to the cloud.
        That of the cloud is taken to need as long. What others wait for one that is always last is no chance, but
        grows with K: it is left out, as far as base stations differ by more than chance.
        """
        if len(arrived["terminal"]) == 0:
            return 0.0, 0.0
        last_s = np.full(self._sites, -np.inf)
        np.maximum.at(last_s, arrived["base_station"], arrived["finish_s"])
        there = np.flatnonzero(last_s > -np.inf)
        last_s = last_s[there]
        mean_s, latest_s = float(last_s.mean()), float(last_s.max())
        self._behind[:, there] += ((last_s - mean_s) / K) ** np.arange(3.0)[:, None]
        return 2.0 * max(0.0, now_s - latest_s), max(0.0, latest_s - mean_s - K * self._lag_s())

    def _lag_s(self) -> float:
        """How much longer than the mean the slowest base station needs for an iteration, chance apart, seconds."""
        count, once, twice = self._behind[:, self._behind[0] >= 2.0]
        if len(count) < 2:
            return 0.0
        mean_s = once / count
        chance = float(np.mean((twice / count - mean_s**2) / (count - 1.0)))
        return max(0.0, 1.0 - chance / max(float(mean_s.var(ddof=1)), _SHORT_S**2)) * float(mean_s.max())

    def _time(self, useful: Columns) -> None:
        """Take how long the updates that arrived have taken to compute."""
        who, took_s, samples = useful["terminal"], useful["compute_s"], useful["samples"]
        np.minimum.at(self._least_s, who, took_s / samples)
        np.add.at(self._took_s, who, took_s)
        np.add.at(self._visits, who, samples)
        self._computed += len(who)
        self._compare(who, took_s / samples)

    def _time_late(self, late: Columns) -> None:
        """Take how long those that were given up had taken by then, of terminals of which updates have arrived."""
        self._computed += int(np.count_nonzero(late["upload_s"] > 0.0))
        known = _chosen(late, self._visits[late["terminal"]] > 0.0)
        self._compare(known["terminal"], known["compute_s"] / known["samples"])

    def _compare(self, who: Array, took_s: Array) -> None:
        """Take how many times as long as its least time a visit of a row has taken."""
        np.add.at(self._logs, who, np.log(np.fmax(took_s, np.maximum(self._least_s[who], _SHORT_S))))
        np.add.at(self._tries, who, 1.0)


def _chosen(rows: Columns, marked: Array) -> Columns:
    """Return the rows that are marked."""
    return rows if marked.all() else {name: rows[name][marked] for name in _TIMED}


def _iterating_share(fresh: Columns) -> float:
    """Share of the visited rows that local iterations visited, rather than a certificate."""
    visited = float(fresh["samples"].sum())
    return 1.0 - float(fresh["fixed_samples"].sum()) / visited if visited > 0.0 else 1.0


def _means_of_slowest(arrived: Columns, names: Sequence[str]) -> list[float]:
    """Longest computation, or upload, that arrived in every base-station iteration, averaged over them, seconds."""
    site, number = arrived["base_station"], arrived["edge_round"]
    if len(site) == 0:
        return [0.0] * len(names)
    first, last = int(number.min()), int(number.max())
    iteration = site * (last + 1 - first) + (number - first)
    there = np.flatnonzero(np.bincount(iteration))
    slowest = np.zeros((len(names), int(there[-1]) + 1))
    for longest_s, name in zip(slowest, names, strict=True):
        np.maximum.at(longest_s, iteration, arrived[name])
    return [float(longest_s[there].mean()) for longest_s in slowest]
