"""Sending together: an uplink on which nobody starts before all who are wanted are ready, and who is wanted.

The base station waits for everybody still expected, for the first K to be ready, or until a deadline and then for one
at least; those who are ready at that moment send, the others are too late and told so when the transmission is over.
A sender that leaves in mid-transmission is lost: its part is left out of the sum, while power and duration stay as
they were agreed on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import inf

import numpy as np
from simpy import Environment

from netsim.accounts import Budget
from netsim.analog import Air, AirDistortion, Transmission
from netsim.cell import Busy, Transfer, Uplink
from netsim.collection import Gathering
from netsim.port import Sizes
from scenarios.schema import Collection as Policy


class JointUplink(Uplink):
    """A cell's uplink on which all senders begin and end together.

    The transmission counts as one message, whatever the number of senders, as a broadcast does: each of them carries
    an equal share of its bits, paid for when they begin.

    Args:
        env: the clock.
        air: how long they send, at what power.
        power: told what each terminal's transmitter draws.
        budget: pays for the bytes.
        busy: told whether anybody is on the air.
    """

    prepaid = False

    def __init__(
        self, env: Environment, air: Air, power: Callable[[int, float], None], budget: Budget, busy: Busy
    ) -> None:
        super().__init__(env, self._transmit, busy)
        self.air, self._power, self._budget = air, power, budget
        self._ready: dict[Transfer, None] = {}
        self._sent: Transmission | None = None
        self._over_s = inf
        self.on_ready: Callable[[], None] = lambda: None

    @property
    def ready(self) -> list[int]:
        """Terminals that wait to begin."""
        return [transfer.terminal for transfer in self._ready]

    def begin(self, values: int, bits: float) -> Transmission | None:
        """Let all who are ready send ``values`` numbers, a message of ``bits``; None if the budget forbids it."""
        if not self._budget.pay("bytes", bits / 8.0):
            return None
        now = self._advance()
        self._sent = sent = self.air.transmission(sorted(self.ready), values)
        self._over_s = now + sent.duration_s
        for transfer in self._ready:
            transfer.bits = transfer.remaining_bits = bits / len(self._ready)
            transfer.rate_bps, transfer.on_air_s = transfer.bits / sent.duration_s, now
            self._enter(transfer)
        self._transmit([transfer.terminal for transfer in self._active], 1.0)
        self._ready.clear()
        self._arm(now)
        return sent

    def _transmit(self, terminals: Iterable[int], share: float) -> None:
        """Let transmitters draw what was agreed on, or nothing."""
        for terminal in terminals:
            self._power(terminal, share * self._sent.power_w[terminal] if self._sent else 0.0)

    def _insert(self, transfer: Transfer, now: float) -> None:
        transfer.bits = transfer.remaining_bits = 0.0  # settled when it is known how many send
        self._ready[transfer] = None
        self.on_ready()

    def _remove(self, transfer: Transfer, now: float) -> None:
        if transfer in self._active:
            self._take_off(transfer, now)
        else:
            del self._ready[transfer]

    def _take_off(self, transfer: Transfer, now: float) -> None:
        transfer.airtime_s = now - transfer.on_air_s
        self._leave(transfer)

    def _retune(self, terminals: Collection[int], now: float) -> None:
        """Powers are agreed on when a transmission begins; the next one will know."""

    def _elapse(self, elapsed_s: float) -> None:
        for transfer in self._active:
            transfer.remaining_bits = max(0.0, transfer.remaining_bits - transfer.rate_bps * elapsed_s)

    def _completes_in_s(self) -> float:
        return max(0.0, self._over_s - self.env.now) if self._active else inf

    def _complete(self, now: float) -> list[Transfer]:
        done = list(self._active) if now >= self._over_s * (1.0 - 1e-15) else []
        for transfer in done:
            self._take_off(transfer, now)
        return done


class JointGathering(Gathering):
    """The updates of one iteration whose senders begin together; the policy says who is waited for until then.

    Args:
        env, policy, expected, planned_s: see :class:`Gathering`.
        uplink: of the cell.
        sizes: what everybody sends.
    """

    def __init__(
        self,
        env: Environment,
        policy: Policy,
        expected: list[int],
        uplink: JointUplink,
        sizes: Sizes,
        planned_s: float | None = None,
    ) -> None:
        super().__init__(env, policy, expected, planned_s)
        self._uplink, self._sizes = uplink, sizes
        self._begun = False
        self._senders: list[int] = []
        self._sent: Transmission | None = None
        uplink.on_ready = self._check

    def distortion(self, edge_round: int) -> AirDistortion | None:
        """What the air did to the updates that arrived; None if there are none."""
        if self._sent is None or not self.arrived:
            return None
        return self._uplink.air.distortion(self._sent, np.array(sorted(self.arrived)), edge_round)

    def _check(self) -> None:
        if not self.open:
            return
        if not self._begun and self._enough_ready():
            self._begun, self._senders = True, self._uplink.ready
            self._sent = self._uplink.begin(self._sizes.update_values, self._sizes.update_bits)
        nobody_left = not any(i in self.waiting for i in self._senders) if self._begun else not self.waiting
        if nobody_left:
            self.open = False
            self.complete.succeed()

    def _enough_ready(self) -> bool:
        ready = len(self._uplink.ready)
        return ready > 0 and (ready >= self._enough or ready == len(self.waiting) or self._past_deadline)
