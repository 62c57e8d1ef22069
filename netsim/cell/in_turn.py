"""One upload after the other, each with the whole band."""

from __future__ import annotations

from collections.abc import Callable

from simpy import Environment

from netsim.cell.stepped import Stepped
from netsim.cell.uplink import Busy, Duty, Transfer


class InTurn(Stepped):
    """The whole band to one upload until it is done, in order of arrival; the others are off the air.

    Who has no rate lets the next in line pass, and takes its place again once it has one.

    Args:
        env: the clock.
        rate_bps: terminal -> rate with the whole band to itself, bit/s.
        duty, busy: see :class:`~netsim.cell.uplink.Uplink`.
    """

    def __init__(
        self,
        env: Environment,
        rate_bps: Callable[[int], float],
        duty: Duty | None = None,
        busy: Busy | None = None,
    ) -> None:
        super().__init__(env, lambda terminal, n: rate_bps(terminal), duty, busy)
        self._line: dict[Transfer, None] = {}

    def _insert(self, transfer: Transfer, now: float) -> None:
        self._line[transfer] = None
        self._share(now)

    def _remove(self, transfer: Transfer, now: float) -> None:
        if transfer in self._active:
            self._take_off(transfer, now)
        del self._line[transfer]
        self._share(now)

    def _finish(self, transfer: Transfer, now: float) -> None:
        super()._finish(transfer, now)
        del self._line[transfer]

    def _share(self, now: float) -> None:
        """Give the band to the first in line who can use it."""
        first = next((t for t in self._line if self._rate_bps(t.terminal, 1) > 0.0), None)
        before = next(iter(self._active), None)
        if first is not before:
            if first is not None:
                first.on_air_s = now
                self._enter(first)
                self._duty((first.terminal,), 1.0)
            if before is not None:
                self._take_off(before, now)
        self._speed_up()
