"""Turns of such lengths that all uploads run equally fast."""

from __future__ import annotations

from math import inf

from netsim.cell.common_clock import CommonClock
from netsim.cell.uplink import Transfer


class MaxMin(CommonClock):
    """Equal rates: the largest smallest rate that turns over the whole band can give.

    With full rates R_j every upload runs at r = 1 / sum of 1 / R_j and is on the air for r / R_j of the time. The
    common clock shows the bits each has sent. Who has no rate is left out: waiting for it would stop everybody.

    Args:
        env, duty, busy: see :class:`~netsim.cell.uplink.Uplink`.
        rate_bps: terminal -> rate with the whole band to itself, bit/s.
    """

    _seconds_per_bit = inf

    def _needs(self, transfer: Transfer) -> float:
        return transfer.remaining_bits

    def _seconds_per_unit(self) -> float:
        return self._seconds_per_bit

    def _airtime_per_unit(self, transfer: Transfer) -> float:
        return 1.0 / transfer.rate_bps if transfer.rate_bps > 0.0 else 0.0

    def _units_per_second(self) -> float:
        return 1.0 / self._seconds_per_bit

    def _changed(self) -> None:
        airtimes_s = [(transfer.terminal, self._airtime_per_unit(transfer)) for transfer in self._active]
        self._seconds_per_bit = sum(airtime_s for _, airtime_s in airtimes_s) or inf
        for terminal, airtime_s in airtimes_s:
            self._duty((terminal,), airtime_s / self._seconds_per_bit)
