"""Equal slices of the band, everyone at full power in a slice."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from simpy import Environment

from netsim.cell.stepped import Stepped
from netsim.cell.uplink import Busy, Duty, Transfer


class BandShared(Stepped):
    """Equal slices with the whole transmit power in each; a line forms when slices would get too narrow.

    Not separable: r_i = (B/n) SE(n snr_i).

    Args:
        env: the clock.
        rate_bps: (terminal, n) -> rate of that terminal when n share the band, bit/s. Pure: it is remembered.
        max_simultaneous: slices the band can be cut into.
        duty, busy: see :class:`~netsim.cell.uplink.Uplink`.
    """

    def __init__(
        self,
        env: Environment,
        rate_bps: Callable[[int, int], float],
        max_simultaneous: int = 2**31,
        duty: Duty | None = None,
        busy: Busy | None = None,
    ) -> None:
        super().__init__(env, rate_bps, duty, busy)
        self._max_simultaneous = max_simultaneous
        self._line: deque[Transfer] = deque()

    def _insert(self, transfer: Transfer, now: float) -> None:
        self._line.append(transfer)
        self._share(now)

    def _remove(self, transfer: Transfer, now: float) -> None:
        if transfer in self._active:
            self._take_off(transfer, now)
            self._share(now)
        else:
            self._line.remove(transfer)

    def _share(self, now: float) -> None:
        """Let in whoever there is room for, and slice the band anew."""
        while self._line and len(self._active) < self._max_simultaneous:
            transfer = self._line.popleft()
            transfer.on_air_s = now
            self._enter(transfer)
            self._duty((transfer.terminal,), 1.0)
        self._speed_up()
