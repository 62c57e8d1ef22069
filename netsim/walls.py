"""Terminals inside buildings: which they are, and what the walls take (3GPP TR 38.901 clause 7.4.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channel_models.path_loss import Environment
from channel_models.penetration import Buildings
from scenarios.network import Network
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Walls:
    """The buildings of a network. Being inside belongs to a terminal, wherever it goes and whichever site it hears.

    Attributes:
        share: of the terminals that are inside.
        buildings: what they are inside of.
        carrier_frequency_hz: of the links.
        streams: the run's randomness.
    """

    share: float
    buildings: Buildings
    carrier_frequency_hz: float
    streams: Streams

    def inside(self, entity: IntArray) -> BoolArray:
        """Return which terminals are inside, (n,)."""
        return self.streams.uniform("indoor", entity) < self.share

    def loss_and_depth(self, entity: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return what walls and rooms take from each terminal, dB, and how deep inside it is, metres; 0 outdoors."""
        u = self.streams.uniform("penetration", entity[:, None], draw=np.arange(4))
        inside = self.inside(entity)
        loss_db = self.buildings.loss_db(self.carrier_frequency_hz, u)
        return np.where(inside, loss_db, 0.0), np.where(inside, self.buildings.indoor_distance_m(u[:, 1:3]), 0.0)


def build_walls(network: Network, environment: Environment, streams: Streams) -> Walls | None:
    """Return the buildings of a scenario, None if nobody is inside."""
    propagation = network.propagation
    if propagation.indoor_share == 0.0:
        return None
    assert environment.max_indoor_m is not None  # the scenario has been checked
    buildings = Buildings(propagation.penetration, max_indoor_m=environment.max_indoor_m)
    return Walls(propagation.indoor_share, buildings, propagation.carrier_frequency_hz, streams)
