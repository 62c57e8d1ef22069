"""Tosses of a coin that all terminals share: which steps are local, and when one has to talk."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log1p

from learning.control.blind import Blind
from learning.control.observation import Observation
from learning.messages import Plan
from scenarios.streams import Streams


@dataclass(frozen=True)
class CoinPlan(Plan):
    """A plan whose local iterations come after moves towards the mean.

    Attributes:
        moves: tosses in a row that said so.
    """

    moves: int = 1


@dataclass(frozen=True)
class CoinControl(Blind):
    """Plans one run of moves towards the mean and the run of local steps after it: one exchange for both.

    Args:
        probability: p of a move, strictly between 0 and 1; a run of moves is 1 / (1 - p) tosses on average, one of
            local steps 1 / p.
        streams: what the lengths are drawn from.
        bs_iterations, cloud_rounds: see :class:`~learning.control.fixed.FixedControl`.
    """

    probability: float
    streams: Streams
    bs_iterations: int = 1
    cloud_rounds: int | None = None

    def next_plan(self, observation: Observation) -> Plan:
        """Return the next two runs."""
        number = observation.cloud_round
        steps, moves = (
            self._run(number, ends, draw) for draw, ends in enumerate((self.probability, 1.0 - self.probability))
        )
        return CoinPlan(steps, self.bs_iterations, moves=moves)

    def _run(self, number: int, ends: float, draw: int) -> int:
        """Return the length of a run that ends with that probability at every toss: geometric, by inversion."""
        uniform = self.streams.number("coin", 0, number, draw)
        return max(1, ceil(log1p(-uniform) / log1p(-ends)))
