"""What a base station sends to terminals of a cell: a broadcast to all of them, then a message to each alone.

The broadcast goes at the rate that the worst of them can receive, the messages one after the other at each one's own
rate; all rates are those of the beginning. A terminal listens to the broadcast and to its own message. Nobody works
before the last has its message, so all of them begin together.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from simpy import Event

from netsim.accounts import OutOfBudgetError
from netsim.terminal import Terminal
from netsim.world import World


@dataclass(frozen=True)
class Message:
    """What terminals are sent: ``common_bits`` to all at once, ``personal_bits`` to each alone."""

    common_bits: float
    personal_bits: float = 0.0

    def bits(self, receivers: int) -> float:
        """All that has to be sent to that many terminals of a cell."""
        return self.common_bits + self.personal_bits * receivers


@dataclass(frozen=True)
class _Leg:
    """One transmission without a pause, and who listens."""

    bits: float
    bps: float
    audience: list[Terminal]


class Downlink:
    """Sends to some terminals, in whichever cell they are.

    Args:
        world: the physical world.
        terminals: all who may be sent something.
    """

    def __init__(self, world: World, terminals: list[Terminal]) -> None:
        self._world = world
        listening = world.scenario.network.downlink.duty
        self._receive_w = {terminal.index: terminal.device.rx_power_w * listening for terminal in terminals}

    def send(self, site: int, message: Message, audience: list[Terminal]) -> Generator[Event, Any, bool]:
        """Send to terminals of one cell; its bytes are paid for at the beginning.

        Returns False if the site failed first; what had been sent has been sent.

        Raises:
            OutOfBudgetError: its bytes do not fit into what is left.
        """
        world, left_bits = self._world, message.bits(len(audience))
        until_s = world.outages[site].on_until_s(world.env.now)
        if until_s <= world.env.now:
            return False
        if not world.budget.pay("bytes", left_bits / 8.0):
            raise OutOfBudgetError
        legs = yield from self._legs(site, message, audience)
        world.on_air[site].change(+1)
        world.site_meter.set_power(site, "transmit", world.radiating_w)
        for leg in legs:
            sent_bits = yield from self._transmit(leg, until_s)
            left_bits -= sent_bits
            if sent_bits < leg.bits:
                world.budget.refund("bytes", left_bits / 8.0)
                break
        world.site_meter.set_power(site, "transmit", 0.0)
        world.on_air[site].change(-1)
        if world.interference is not None:
            world.interference.end_broadcast(site)
        if sent_bits < leg.bits:
            return False
        for terminal in audience:
            terminal.bytes_down += message.bits(1) / 8.0
        return True

    def _legs(self, site: int, message: Message, audience: list[Terminal]) -> Generator[Event, Any, list[_Leg]]:
        """Return what is sent after what; rates stay what they are now."""
        radio, interference = self._world.radio, self._world.interference
        who, gain = np.array([terminal.index for terminal in audience]), None
        if interference is not None:
            yield interference.begin_broadcast(site)
            gain = interference.interfering_gain(who)
        legs = [_Leg(message.common_bits, radio.broadcast_bps(who, gain), audience)]
        if message.personal_bits > 0.0:
            for i, terminal in enumerate(audience):
                bps = radio.broadcast_bps(who[i : i + 1], None if gain is None else gain[i : i + 1])
                legs.append(_Leg(message.personal_bits, bps, [terminal]))
        return legs

    def _transmit(self, leg: _Leg, until_s: float) -> Generator[Event, Any, float]:
        """Send until all is sent or the site fails; return how much has been sent, bits."""
        world = self._world
        airtime_s, stays_s = leg.bits / leg.bps, until_s - world.env.now
        listeners = [terminal.index for terminal in leg.audience if terminal.alive]
        world.terminal_meter.set_shares("receive", listeners, self._receive_w, 1.0)
        yield world.env.timeout(min(airtime_s, stays_s))
        world.terminal_meter.set_shares("receive", listeners, self._receive_w, 0.0)
        sent_bits = leg.bits if airtime_s <= stays_s else leg.bits * stays_s / airtime_s
        world.traffic.downlink += sent_bits / 8.0
        return sent_bits
