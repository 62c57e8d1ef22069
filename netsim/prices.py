"""What one more local iteration and one more base-station iteration cost, as measured on the rounds so far."""

from __future__ import annotations

from netsim.port import Observation, Plan, Price
from netsim.recorder import Recorder, snapshot


class PriceWatch:
    """Measures every cloud round and turns it into an :class:`Observation` for the controller.

    Abstract cost is known exactly. Time: the slowest terminal's computation, averaged over base-station iterations,
    is what local iterations cost; the rest of the round is what base-station iterations cost. Energy: terminals'
    computation against everything else. Bytes depend on base-station iterations alone.

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
        slowest_s = self._slowest_computations()
        computing_s = sum(slowest_s) / len(slowest_s) if slowest_s else 0.0
        computing_j = used["energy_terminal_compute_j"]
        self.prices["time_s"] = Price(computing_s / H, max(0.0, used["time_s"] / K - computing_s))
        self.prices["energy_j"] = Price(computing_j / (K * H), (used["energy_j"] - computing_j) / K)
        self.prices["bytes"] = Price(0.0, used["bytes"] / K)
        self._before = now

    def _slowest_computations(self) -> list[float]:
        """Longest computation of every base-station iteration since the last call, seconds."""
        slowest: dict[tuple[int, int], float] = {}
        for entry in self.recorder.participation[self._seen :]:
            if entry.outcome == "merged":
                key = (entry.base_station, entry.edge_round)
                slowest[key] = max(slowest.get(key, 0.0), entry.compute_s)
        self._seen = len(self.recorder.participation)
        return list(slowest.values())
