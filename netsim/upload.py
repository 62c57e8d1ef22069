"""The update of a terminal on its way over the air, through one cell after another if the terminal moves."""

from __future__ import annotations

from simpy import Event

from netsim.accounts import OutOfBudgetError
from netsim.cell import Transfer
from netsim.world import World

_ROUNDING = 1e-12  # relative size of a remainder that is rounding, not data


class Upload:
    """One update. All its bytes are paid for when it starts; those that are not sent are refunded in the end.

    Args:
        world: the physical world.
        terminal: whose.
        bits: how much; nothing takes no time, and no place on the air.
        fade: factor on its rate, whatever the cell: it takes as long as ``bits`` / ``fade`` without one.

    Attributes:
        done: succeeds when the last bit has arrived, in whichever cell.
        left_bits: what is left to send, as of the last start or pause.
        sent_bytes: what has been on the air, all cells and repetitions together, as of the last pause or stop.

    Raises:
        OutOfBudgetError: its bytes do not fit into what is left.
    """

    def __init__(self, world: World, terminal: int, bits: float, fade: float = 1.0) -> None:
        self.world, self.terminal, self.bits, self._fade = world, terminal, bits, fade
        self.left_bits, self.sent_bytes = bits, 0.0
        self._transfer: Transfer | None = None
        self._uplink = world.uplinks[world.serving.item(terminal)]
        if bits == 0.0:
            self.done: Event = world.env.event().succeed()
            return
        if self._uplink.prepaid and not world.budget.pay("bytes", bits / 8.0):
            raise OutOfBudgetError
        self._transfer = self._uplink.start(terminal, bits / fade)
        self.done = self._transfer.done

    def pause(self) -> None:
        """Be off the air for now."""
        if self._transfer is None or self.done.triggered:
            return
        unsent_bits = self._uplink.cancel(self._transfer) * self._fade
        self._transfer = None
        if unsent_bits <= _ROUNDING * self.bits:  # the last bit arrives at this very instant
            unsent_bits = 0.0
            self.done.succeed()
        self._count(unsent_bits)

    def resume(self) -> None:
        """Go on in the cell that serves the terminal now, unless all has been sent."""
        if self._transfer is None and not self.done.triggered:
            self._uplink = self.world.uplinks[self.world.serving.item(self.terminal)]
            self._transfer = self._uplink.start(self.terminal, self.left_bits / self._fade)
            self._transfer.done = self.done

    def start_over(self) -> float:
        """While it pauses: forget what has been sent; return how many bits are going to be sent again.

        They are paid for again; if they do not fit, the run ends.
        """
        again_bits = 0.0 if self.done.triggered else self.bits - self.left_bits
        if self.world.budget.pay("bytes", again_bits / 8.0):
            self.left_bits += again_bits
        return again_bits

    def stop(self) -> None:
        """Be off the air for good, and count what has been sent."""
        unsent_bits = self.left_bits
        if self._transfer is not None:
            unsent_bits = self._uplink.cancel(self._transfer) * self._fade
            # Where all send together it is known only when they begin.
            self.left_bits = self._transfer.bits * self._fade
            self._transfer = None
        self._count(unsent_bits)
        self.world.budget.refund("bytes", unsent_bits / 8.0)

    def _count(self, unsent_bits: float) -> None:
        sent_bytes = (self.left_bits - unsent_bits) / 8.0
        self.left_bits = unsent_bits
        self.world.traffic.uplink += sent_bytes
        self.sent_bytes += sent_bytes
