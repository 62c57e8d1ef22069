"""Models that terminals were sent at different times and work on at the same time.

What a terminal learns is needed when its report arrives. By then others are at work too, from models that are known:
all of them are computed in one call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.deferred import ALL, Pending
from learning.setting import Setting
from learning.state import State

IntArray = NDArray[np.int64]
Train = Callable[[IntArray, State, IntArray, int, IntArray], Pending]
"""Submits local work: terminals, where their models are and in which rows, steps, earlier rounds of each."""


class Flight:
    """Terminals that were sent the same model at the same instant.

    Args:
        terminals: (n,) who.
        steps: H.
        numbers: (n,) how often each has trained before.
        serial: which flight it is, from 1.
    """

    __slots__ = ("_places", "_reached", "numbers", "serial", "steps", "terminals")

    def __init__(self, terminals: IntArray, steps: int, numbers: IntArray, serial: int) -> None:
        self.terminals, self.steps, self.numbers, self.serial = terminals, steps, numbers, serial
        self._reached: Pending | None = None
        self._places = np.zeros(len(terminals), np.int64)

    @property
    def computed(self) -> bool:
        """Whether its work has been submitted."""
        return self._reached is not None

    def land(self, reached: Pending, places: IntArray) -> None:
        """Note where what its terminals reach will be: in which (n,) rows of a pending array."""
        self._reached, self._places = reached, places

    def reached(self, place: int) -> tuple[Pending, int]:
        """Return the pending models reached, and the row of the ``place``-th terminal's.

        Raises:
            RuntimeError: its work has not been submitted.
        """
        if self._reached is None:
            raise RuntimeError("nobody has asked for the work of this flight yet")
        return self._reached, int(self._places[place])


class InFlight:
    """Everybody who is at work.

    Args:
        setting: the common ground.
        train: what submits local work.

    Attributes:
        received: (terminals, P) model each terminal was sent last.
    """

    def __init__(self, setting: Setting, train: Train) -> None:
        self._queue, self._train = setting.queue, train
        self.received = State(np.zeros((setting.terminals, setting.model.size)))
        self._latest = np.zeros(setting.terminals, np.int64)
        self._waiting: list[Flight] = []
        self._flights = 0

    def send(self, terminals: IntArray, model: State, steps: int, numbers: IntArray) -> Flight:
        """Let terminals start ``steps`` steps from the present only row of ``model``; what they did before is lost."""
        arguments = (terminals, model)
        self._queue.submit(self._copy, arguments, reads=[(model, ALL)], writes=[(self.received, terminals)])
        self._flights += 1
        flight = Flight(terminals, steps, numbers, self._flights)
        self._latest[terminals] = flight.serial
        self._waiting.append(flight)
        return flight

    def reached(self, flight: Flight, place: int) -> tuple[Pending, int]:
        """Return what the ``place``-th terminal of a flight reaches, see :meth:`Flight.reached`."""
        if not flight.computed:
            for steps in sorted({each.steps for each in self._waiting}):
                self._submit([each for each in self._waiting if each.steps == steps], steps)
            self._waiting.clear()
        return flight.reached(place)

    def _submit(self, flights: list[Flight], steps: int) -> None:
        """Let all who are still at work for these flights, and not for a later one, be computed together."""
        active = [self._latest[flight.terminals] == flight.serial for flight in flights]
        terminals = np.concatenate([flight.terminals[on] for flight, on in zip(flights, active, strict=True)])
        numbers = np.concatenate([flight.numbers[on] for flight, on in zip(flights, active, strict=True)])
        reached, first = self._train(terminals, self.received, terminals, steps, numbers), 0
        for flight, on in zip(flights, active, strict=True):
            flight.land(reached, first + np.cumsum(on) - 1)
            first += int(on.sum())

    def _copy(self, batch: list[tuple[Any, ...]]) -> list[None]:
        for terminals, model in batch:
            self.received.values[terminals] = model.values[0]
        return [None] * len(batch)
