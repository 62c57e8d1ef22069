"""Turns of equal length over the whole band."""

from __future__ import annotations

from netsim.cell.common_clock import CommonClock


class TimeShared(CommonClock):
    """Turns of equal length over the whole band: each of n uploads runs at its full rate / n.

    The common clock shows the airtime each active upload has had: dV/dt = 1/n.

    Args:
        env, duty, busy: see :class:`~netsim.cell.uplink.Uplink`.
        rate_bps: terminal -> rate with the whole band to itself, bit/s. Without one a terminal still has its turns.
    """

    def _seconds_per_unit(self) -> float:
        return len(self._active)

    def _changed(self) -> None:
        if self._active:
            self._duty([transfer.terminal for transfer in self._active], 1.0 / len(self._active))
