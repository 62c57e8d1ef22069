"""What stands between terminals and sites: whether they see each other, and how much deeper a shadow is than usual.

Drawn for every link of its own, or read off a landscape that is the same for all who pass a place. Either way a link
depends on nothing but itself, so a terminal keeps its channel whatever else is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from channel_models.path_loss import Environment
from channel_models.spatial_field import DEFAULT_WAVES, PlaneWaves, consistent_line_of_sight
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

HIDDEN, SEEN, INDOORS = 0, 1, 2
"""States of a link, each with shadows of its own: without and with line of sight, and into a building."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Both ends of the links of n terminals to k sites each.

    Attributes:
        xy_m: (n, 2) where the terminals stand, metres; (n, k, 2) if every site sees an image of its own.
        mast: (n, k) places of the sites.
        entity: (n,) the terminals in the random streams.
        attempt: which try at placing the terminals this is.
    """

    xy_m: FloatArray
    mast: IntArray
    entity: IntArray
    attempt: int


class Obstacles(Protocol):
    """Whatever blocks and shadows links."""

    def line_of_sight(self, ends: Ends, probability: FloatArray) -> BoolArray:
        """Return which links have line of sight, (n, k), given how likely they have."""
        ...

    def deviation(self, ends: Ends, state: IntArray) -> FloatArray:
        """Return standard normal deviations of the shadowing, (n, k), given the state of each link."""
        ...


@dataclass(frozen=True)
class PerLink:
    """Draws of their own for every (site, terminal): right for terminals that stand still and far apart."""

    streams: Streams

    def line_of_sight(self, ends: Ends, probability: FloatArray) -> BoolArray:
        """Return one draw a link."""
        u = self.streams.uniform("line of sight", ends.entity[:, None], ends.attempt, draw=ends.mast)
        return np.asarray(u < probability)

    def deviation(self, ends: Ends, state: IntArray) -> FloatArray:
        """Return one draw a link."""
        return self.streams.normal("shadowing", ends.entity[:, None], ends.attempt, draw=ends.mast)


@dataclass(frozen=True, eq=False)
class Landscape:
    """Random fields around every site: neighbours in space see nearly the same, and a place stays as it was.

    TR 38.901 clause 7.6.3 and Table 7.5-6. Shadowing switches between independent fields as the line of sight comes
    and goes. Nothing here depends on who stands at a place or when.

    Attributes:
        sight: one field a mast, for the line of sight.
        shadow: three fields a mast, for shadowing: all of those for the state HIDDEN, then SEEN, then INDOORS.
        shared: whether most masts carry several base stations.
    """

    sight: PlaneWaves
    shadow: PlaneWaves
    shared: bool

    @classmethod
    def of(cls, environment: Environment, masts: int, streams: Streams, *, shared: bool = False) -> Landscape:
        """Return the landscape around ``masts`` places, each with draws of its own."""
        distances_m = {
            "hidden": environment.correlation_nlos_m,
            "seen": environment.correlation_los_m,
            "indoors": environment.correlation_o2i_m or environment.correlation_nlos_m,
        }
        shadows = [_uniforms(streams, f"shadowing field, {state}", masts) for state in distances_m]
        return cls(
            PlaneWaves.from_uniforms(_uniforms(streams, "sight field", masts), environment.correlation_los_state_m),
            PlaneWaves.from_uniforms(np.concatenate(shadows), np.repeat([*distances_m.values()], masts)),
            shared,
        )

    def line_of_sight(self, ends: Ends, probability: FloatArray) -> BoolArray:
        """Return what the sight fields say where the terminals stand."""
        return consistent_line_of_sight(self._read(self.sight, ends, ends.mast), probability)

    def deviation(self, ends: Ends, state: IntArray) -> FloatArray:
        """Return the fields of shadowing where the terminals stand, each link's that of its state."""
        return self._read(self.shadow, ends, ends.mast + self.sight.fields * state)

    def _read(self, fields: PlaneWaves, ends: Ends, index: IntArray) -> FloatArray:
        return _read_once(fields, ends, index) if self.shared else _read(fields, ends, index)


def _uniforms(streams: Streams, purpose: str, masts: int) -> FloatArray:
    """(masts, waves, 3) draws that make one field around every mast."""
    drawn = streams.uniform(purpose, np.arange(masts)[:, None], draw=np.arange(3 * DEFAULT_WAVES))
    return drawn.reshape(masts, DEFAULT_WAVES, 3)


def _read(fields: PlaneWaves, ends: Ends, index: IntArray) -> FloatArray:
    """(n, k) values of the fields ``index`` (n, k)."""
    if ends.xy_m.ndim == 2:
        return fields(ends.xy_m, index)
    return fields(ends.xy_m.reshape(-1, 2), index.reshape(-1)).reshape(index.shape)


def _read_once(fields: PlaneWaves, ends: Ends, index: IntArray) -> FloatArray:
    """The same, with what the sectors of a site share read once for all of them."""
    n, k = index.shape
    xy_m = np.broadcast_to(ends.xy_m if ends.xy_m.ndim == 3 else ends.xy_m[:, None], (n, k, 2)).reshape(-1, 2)
    terminal_and_field = np.arange(n)[:, None] * fields.fields + index
    _, first, place = np.unique(terminal_and_field, return_index=True, return_inverse=True)
    return fields(xy_m[first], index.reshape(-1)[first])[place].reshape(n, k)
