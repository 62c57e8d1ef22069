"""Who exchanges models with whom under the decentralised protocol, and the air between two terminals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.sections import Count, NonNegative, Positive, Section

_ALIKE = ("complete", "geometric")  # kinds that come out the same whenever they are drawn


class Graph(Section):
    """The graph of methods that run decentralised; the others take no notice of it.

    Its nodes are terminals or base stations, as the method says. Terminals train, exchange models over device_to_device
    links and mix them; base stations iterate with their terminals and exchange models over wires like those to the
    cloud (backhaul.rate_bps, latency_s, energy_j_per_bit), or, with backhaul.shared, over the shared wire to it.
    """

    kind: Literal["complete", "ring", "erdos_renyi", "geometric", "file"] = "erdos_renyi"
    """complete: everybody with everybody; ring: everybody with two others, in the order of the indices or, with
    redraw_every, in a random one; erdos_renyi: every pair with ``probability``, independently; geometric: all pairs
    within radius_m; file: the pairs in edges_csv. Terminals out of each other's reach have no edge in any kind."""
    probability: Annotated[float, Field(gt=0, le=1)] = 0.5
    """erdos_renyi: of every edge."""
    radius_m: Positive | None = None
    """geometric: distance up to which two nodes are neighbours; required."""
    edges_csv: str | None = None
    """file: columns a and b, indices of nodes from 0, and perhaps draw (0, 1, ...): which draw has the edge; the draws
    begin again after the last. Relative to the working directory."""
    redraw_every: Count | None = None
    """Rounds after which the graph is drawn anew; absent: it stays."""
    connect: bool = True
    """Whether a graph that falls apart is joined, part by part, by the shortest edges there can be; terminals that
    nobody reaches stay alone. Otherwise it is left as it is drawn."""

    @model_validator(mode="after")
    def _a_kind_has_what_it_needs(self) -> Graph:
        if self.kind == "geometric" and self.radius_m is None:
            raise ValueError("radius_m, with kind geometric")
        if (self.kind == "file") != (self.edges_csv is not None):
            raise ValueError("edges_csv with kind file, and only with it")
        if self.redraw_every is not None and self.kind in _ALIKE:
            raise ValueError(f"no redraw_every with kind {self.kind}: every draw would be the same")
        return self


class DeviceToDevice(Section):
    """Links from terminal to terminal: each has a band of its own, so nobody interferes and all may hear while they
    send. A terminal sends at its class's full power, to one neighbour after the other or to all at once."""

    environment: Literal["UMi", "InH-mixed", "InH-open", "InF-SL", "InF-DL", "free-space", "log-distance"] = "UMi"
    """Laws of propagation, with both antennas at terminal_height_m; line of sight and shadowing are drawn for every
    pair, the same both ways. log-distance: see propagation.log_distance. Walls of buildings do not count."""
    bandwidth_hz: Positive = 1e6
    """Of every link."""
    noise_figure_db: NonNegative = 9.0
    access_delay_s: NonNegative = 0.004
    """Before a terminal's first transmission of a round."""
    sending: Literal["unicast", "broadcast"] = "unicast"
    """unicast: a transmission for every neighbour, ascending, each at its link's rate; broadcast: one for all of them,
    at the rate of the worst link and with the largest of the messages; its bytes count once."""
