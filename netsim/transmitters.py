"""Who is on the air in the uplink of one cell, and the power that everybody's transmitter radiates and draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.compute import Fleet
from netsim.energy import Meter, transmitter_w
from netsim.radio import Radio

IntArray = NDArray[np.int64]


class Transmitters:
    """Follows the terminals of one uplink; :meth:`set_shares` is what the uplink tells its duties to.

    Args:
        radio: links and powers of the run.
        devices: hardware of all terminals.
        full_w: what each terminal's transmitter draws at full power.
        meter: energy of all terminals; its component ``"transmit"`` is kept here.
        changed: called whenever somebody goes on or off the air or radiates another power.
    """

    def __init__(
        self, radio: Radio, devices: Fleet, full_w: Sequence[float], meter: Meter, changed: Callable[[], None]
    ) -> None:
        self._radio, self._devices, self._full_w, self._meter = radio, devices, full_w, meter
        self._changed = changed
        self._share: dict[int, float] = {}
        up = radio.network.uplink
        self._duty, self._sliced, self._controlled = up.duty, up.share == "ofdma", up.power_control is not None
        if self._controlled:
            radio.on_power.append(self._follow)

    def set_shares(self, terminals: Iterable[int], share: float) -> None:
        """Let ``terminals`` be on the air for a ``share`` of the time from now on; 0 takes them off."""
        told = list(terminals)
        for terminal in told:
            if share > 0.0:
                self._share[terminal] = share
            else:
                self._share.pop(terminal, None)
        if share == 0.0 or not self._controlled:
            self._meter.set_shares("transmit", told, self._full_w, share * self._duty)
        if self._controlled:  # the fewer the slices, the wider they are and the more power is asked for
            self._draw(list(self._share) if self._sliced else told)
        self._changed()

    def on_air(self) -> list[tuple[int, float, int]]:
        """Return the terminals on the air, ascending: each with its share of the time and the slices of the band."""
        slices = self._slices()
        return [(terminal, share, slices) for terminal, share in sorted(self._share.items())]

    def _slices(self) -> int:
        return len(self._share) if self._sliced and self._share else 1

    def _follow(self, terminals: IntArray | slice) -> None:
        """Links have changed, and with them perhaps the power that is asked for."""
        told = list(self._share) if isinstance(terminals, slice) else terminals.tolist()
        self._draw(told)
        self._changed()

    def _draw(self, terminals: list[int]) -> None:
        """Set what amplifiers and circuits of those on the air draw."""
        slices = self._slices()
        for terminal in terminals:
            if terminal in self._share:
                device, power_w = self._devices[terminal], self._radio.slice_power_w(terminal, slices)
                full_w = transmitter_w(power_w, device.amplifier_efficiency, device.tx_circuit_w)
                self._meter.set_power(terminal, "transmit", full_w * self._share[terminal] * self._duty)
