"""What one more local iteration and one more base-station iteration cost, as measured on the rounds so far."""

from __future__ import annotations

from netsim.port import Observation, Plan, Price
from netsim.recorder import Recorder, snapshot
from netsim.terminal import Participation


class PriceWatch:
    """Measures every cloud round and turns it into an :class:`Observation` for the controller.

    Abstract cost is known exactly. Time: what local iterations cost is the slowest terminal's computation, averaged
    over base-station iterations; the rest of the round is what base-station iterations cost. Energy: terminals'
    computation against everything else. Computing a certificate counts as rest. Bytes depend on base-station
    iterations alone.

    Args:
        recorder: source of all measurements.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder, self.world = recorder, recorder.world
        limits = self.world.scenario.budget
        self.prices = {
            "cost": Price(
                limits.cost_per_local_iteration * self.world.terminals,
                limits.cost_per_bs_iteration * self.world.sites,
            )
        }
        self._before = snapshot(self.world)
        self._seen = 0

    def observe(self, cloud_round: int) -> Observation:
        """Return what the controller of round ``cloud_round`` may know."""
        world = self.world
        remaining = world.budget.remaining()
        return Observation(cloud_round, world.terminals, world.sites, remaining, dict(self.prices))

    def measure(self, plan: Plan) -> None:
        """Take the prices of the cloud round that just ended with ``plan``."""
        now = snapshot(self.world)
        used = {name: value - self._before[name] for name, value in now.items()}
        H, K = plan.local_iterations, plan.bs_iterations
        fresh = self.recorder.participation[self._seen :]
        self._seen = len(self.recorder.participation)
        share = _iterating_share(fresh)
        iterating_s = share * _mean_of_slowest(fresh)
        iterating_j = share * used["energy_terminal_compute_j"]
        self.prices["time_s"] = Price(iterating_s / H, max(0.0, used["time_s"] / K - iterating_s))
        self.prices["energy_j"] = Price(iterating_j / (K * H), (used["energy_j"] - iterating_j) / K)
        self.prices["bytes"] = Price(0.0, used["bytes"] / K)
        self._before = now


def _iterating_share(entries: list[Participation]) -> float:
    """Share of the visited rows that local iterations visited, rather than a certificate."""
    visited = sum(entry.samples for entry in entries)
    return 1.0 - sum(entry.fixed_samples for entry in entries) / visited if visited > 0.0 else 1.0


def _mean_of_slowest(entries: list[Participation]) -> float:
    """Longest computation that arrived in every base-station iteration, averaged over them, seconds."""
    slowest: dict[tuple[int, int], float] = {}
    for entry in entries:
        if entry.outcome == "merged":
            key = (entry.base_station, entry.edge_round)
            slowest[key] = max(slowest.get(key, 0.0), entry.compute_s)
    return sum(slowest.values()) / len(slowest) if slowest else 0.0
