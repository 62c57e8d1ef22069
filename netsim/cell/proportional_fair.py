"""Turns that go to whose channel is good just now, as long flows see them."""

from __future__ import annotations

from netsim.cell.stepped import Stepped
from netsim.cell.uplink import Transfer


class ProportionalFair(Stepped):
    """Turns over the whole band, each to the terminal whose fading is best against its own mean.

    Every one of n uploads has an n-th of the turns, and better ones than at random: r_i = B s_i G(n, snr_i) / n, with
    the gain G of choosing among n (:mod:`channel_models.scheduling_gain`).

    Args:
        env: the clock.
        rate_bps: (terminal, n) -> rate of that terminal among n, bit/s. Pure: it is remembered.
        duty, busy: see :class:`~netsim.cell.uplink.Uplink`.
    """

    _turns_s = 0.0  # airtime that an upload has had which was always there

    def _insert(self, transfer: Transfer, now: float) -> None:
        if not self._active:
            self._turns_s = 0.0
        transfer.on_air_s = self._turns_s
        self._enter(transfer)
        self._share(now)

    def _remove(self, transfer: Transfer, now: float) -> None:
        self._take_off(transfer, now)
        self._share(now)

    def _take_off(self, transfer: Transfer, now: float) -> None:
        super()._take_off(transfer, self._turns_s)

    def _share(self, now: float) -> None:
        if self._active:
            self._speed_up()
            self._duty([transfer.terminal for transfer in self._active], 1.0 / len(self._active))

    def _elapse(self, elapsed_s: float) -> None:
        super()._elapse(elapsed_s)
        self._turns_s += elapsed_s / len(self._active)
