"""How long local work takes: device classes and the slow-downs that make stragglers.

The slow-down is a factor on the compute time, drawn by inversion from one uniform per (terminal, round), so that all
methods and all policies meet the same stragglers. Shifted exponential: Lee et al., "Speeding up distributed machine
learning using codes", IEEE Trans. Information Theory 64(3), 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, inf, log

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from netsim.energy import processor_w
from scenarios.equipment import DeviceClass, Slowdown, Terminals
from scenarios.streams import Streams

_AHEAD = 16  # rounds drawn at once


@dataclass(frozen=True, eq=False)
class Fleet:
    """The devices of all terminals.

    Attributes:
        classes: the kinds of device there are.
        kind: (terminals,) index of each terminal's class.
    """

    classes: list[DeviceClass]
    kind: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.kind)

    def __iter__(self) -> Iterator[DeviceClass]:
        return (self.classes[kind] for kind in self.kind.tolist())

    def __getitem__(self, terminal: int) -> DeviceClass:
        return self.classes[self.kind[terminal]]

    def each(self, value: Callable[[DeviceClass], float]) -> NDArray[np.float64]:
        """Return (terminals,) what ``value`` says of every terminal's class."""
        return np.array([value(device) for device in self.classes], np.float64)[self.kind]


def assign_classes(terminals: Terminals, entity: NDArray[np.int64], streams: Streams) -> Fleet:
    """Draw the device class of every terminal in proportion to the classes' weights.

    The classes of the fleet are as they act: at the clock their DVFS policy takes (the highest, where that depends on
    the load), and with the powers that count.
    """
    edges = np.cumsum([c.weight for c in terminals.classes])
    drawn = streams.uniform("device class", entity) * edges[-1]
    classes = [as_it_acts(device, terminals.paper_energy) for device in terminals.classes]
    return Fleet(classes, np.searchsorted(edges[:-1], drawn, side="right"))


_PAPER = {"amplifier_efficiency": 1.0, "tx_circuit_w": 0.0, "rx_power_w": 0.0, "idle_power_w": 0.0}


def as_it_acts(device: DeviceClass, paper_energy: bool) -> DeviceClass:
    """Return a device class with its clock chosen and, for ``paper_energy``, only radiated and computing power."""
    changes = dict(_PAPER) if paper_energy else {}
    return device.model_copy(update=changes | {"cpu_hz": usual_hz(device)})


def usual_hz(device: DeviceClass) -> float:
    """Clock a device takes whatever it has to do, hertz."""
    if device.dvfs is None:
        return device.cpu_hz
    if device.dvfs.policy == "most_efficient":
        return min(device.dvfs.levels_hz, key=lambda hz: computing_w(device, hz) / hz)
    return max(device.dvfs.levels_hz)


def slowest_hz(levels_hz: Sequence[float], cycles: float, left_s: float) -> float:
    """Return the slowest of the levels at which ``cycles`` take no longer than ``left_s``, else the highest."""
    fast_enough = [hz for hz in levels_hz if cycles <= left_s * hz]
    return min(fast_enough, default=max(levels_hz))


def computing_w(device: DeviceClass, cpu_hz: float) -> float:
    """Power of a device's processor at a clock, watts."""
    return processor_w(device.switched_capacitance, cpu_hz, device.processor_static_w)


class Draws:
    """One uniform a round for each of some terminals, drawn for several rounds at once: that is ten times faster.

    Args:
        streams: the run's randomness.
        purpose, draw: see :meth:`Streams.uniform`.
        entities: stream indices of the terminals.
    """

    def __init__(self, streams: Streams, purpose: str, entities: list[int], draw: int = 0) -> None:
        self._streams, self._purpose, self._draw = streams, purpose, draw
        self._entities = np.array(entities)
        self._place = {entity: place for place, entity in enumerate(entities)}
        self._rounds: dict[int, list[float]] = {}

    def number(self, entity: int, round_: int) -> float:
        """Return what :meth:`Streams.number` returns."""
        if round_ not in self._rounds:
            rounds = range(round_, round_ + _AHEAD)
            drawn = self._streams.uniform(self._purpose, self._entities, np.array(rounds)[:, np.newaxis], self._draw)
            self._rounds = dict(zip(rounds, drawn.tolist(), strict=True))
        return self._rounds[round_][self._place[entity]]


class Luck:
    """What chance does to the work of some terminals: those of a base station, which are in the same round.

    Args:
        law: how they are slowed down and lost.
        entities: stream indices of the terminals.
        streams: the run's randomness.
    """

    def __init__(self, law: Terminals, entities: list[int], streams: Streams) -> None:
        self._slowdown, self._dropout_probability = law.slowdown, law.dropout_probability
        self._how_slow = Draws(streams, "slowdown", entities)
        self._lost, self._when = (Draws(streams, "dropout", entities, draw) for draw in (0, 1))

    def slowdown(self, entity: int, round_: int) -> float:
        """Return the factor on a terminal's compute time in a round."""
        return slowdown_factor(self._slowdown, self._how_slow.number(entity, round_))

    def lost_after(self, entity: int, round_: int) -> float:
        """Return the share of its compute time after which a terminal is lost in a round, infinity if it is not."""
        if self._dropout_probability == 0.0 or self._lost.number(entity, round_) >= self._dropout_probability:
            return inf
        return self._when.number(entity, round_)


def slowdown_factor(law: Slowdown, u: float) -> float:
    """Return the factor on the compute time at probability ``u`` of its distribution (0 < u < 1)."""
    if law.kind == "shifted_exponential":
        return 1.0 - law.scale * log(1.0 - u)
    if law.kind == "pareto":
        return (1.0 - u) ** (-1.0 / law.tail_index)
    if law.kind == "lognormal":
        return exp(law.scale * float(ndtri(u)))
    if law.kind == "bimodal":
        return law.slow_factor if u > 1.0 - law.slow_probability else 1.0
    return 1.0


def duration_s(samples: float, device: DeviceClass, slowdown: float, cpu_hz: float | None = None) -> float:
    """Time to visit ``samples`` training rows: samples x cycles per sample / clock x slow-down, seconds."""
    return samples * device.cycles_per_sample / (cpu_hz or device.cpu_hz) * slowdown
