"""A slice of the band of its own for every terminal, handed out before it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simpy import Environment

from netsim.cell.common_clock import CommonClock
from netsim.cell.uplink import Busy, Duty, Transfer


@dataclass(frozen=True)
class Slice:
    """What one terminal transmits in.

    Attributes:
        bandwidth_hz: its part of the band, > 0.
        power_share: radiated power, as a share of what the terminal radiates otherwise.
    """

    bandwidth_hz: float
    power_share: float = 1.0


class Allotted(CommonClock):
    """Every upload has its own slice, from its start to its end, and takes no notice of the others.

    The common clock shows seconds. Whoever hands out slices sees to it that together they fit into the band.

    Args:
        env, duty, busy: see :class:`~netsim.cell.uplink.Uplink`.
        slice_bps: (terminal, its slice) -> rate, bit/s.
    """

    def __init__(
        self,
        env: Environment,
        slice_bps: Callable[[int, Slice], float],
        duty: Duty | None = None,
        busy: Busy | None = None,
    ) -> None:
        super().__init__(env, lambda terminal: slice_bps(terminal, self._slices[terminal]), duty, busy)
        self._slices: dict[int, Slice] = {}

    def allot(self, slices: Mapping[int, Slice]) -> None:
        """Hand out slices from now on; other terminals keep theirs."""
        self._slices.update(slices)
        self.retune(slices)

    def start(self, terminal: int, bits: float) -> Transfer:
        """Begin an upload of ``bits`` > 0 now, in the slice of ``terminal``.

        Raises:
            ValueError: the terminal has no slice.
        """
        if terminal not in self._slices:
            raise ValueError(f"no slice of the band has been allotted to terminal {terminal}")
        return super().start(terminal, bits)

    def _seconds_per_unit(self) -> float:
        return 1.0

    def _enter(self, transfer: Transfer) -> None:
        super()._enter(transfer)
        self._duty((transfer.terminal,), 1.0)
