"""How long local work takes: device classes and the slow-downs that make stragglers.

The slow-down is a factor on the compute time, drawn by inversion from one uniform per (terminal, round), so that all
methods and all policies meet the same stragglers. Shifted exponential: Lee et al., "Speeding up distributed machine
learning using codes", IEEE Trans. Information Theory 64(3), 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from scenarios.schema import DeviceClass, Slowdown, Terminals
from scenarios.streams import Streams


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
    """Draw the device class of every terminal in proportion to the classes' weights."""
    edges = np.cumsum([c.weight for c in terminals.classes])
    drawn = streams.uniform("device class", entity) * edges[-1]
    return Fleet(list(terminals.classes), np.searchsorted(edges[:-1], drawn, side="right"))


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


def duration_s(samples: float, device: DeviceClass, slowdown: float) -> float:
    """Time to visit ``samples`` training rows: samples x cycles per sample / clock x slow-down, seconds."""
    return samples * device.cycles_per_sample / device.cpu_hz * slowdown
