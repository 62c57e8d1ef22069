"""Small worlds full of movement for property tests, and an independent account of what their cells carried."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from simpy import Event

from netsim.cell import Transfer
from netsim.world import World
from tests.netsim.any_scenario import terminals
from tests.netsim.worlds import scenario, world

LANDSCAPE = {"spatial_consistency": True, "fading": "none"}
LASTS = st.fixed_dictionaries({"time_s": st.floats(0.5, 4.0)})


@st.composite
def motions(draw: st.DrawFn, **fixed: Any) -> dict[str, Any]:
    """Return a mobility section with so much movement that a few seconds see many changes of cell."""
    return {
        "model": draw(st.sampled_from(["random_waypoint", "gauss_markov", "manhattan"])),
        "speed_mps": (30.0, 90.0),
        "moving_share": draw(st.sampled_from([1.0, 1.0, 0.6])),
        "roaming_m": draw(st.sampled_from([None, 300.0])),
        "pause_s": draw(st.sampled_from([0.0, 2.0])),
        "block_m": (80.0, 60.0),
        "measurement_s": draw(st.sampled_from([0.04, 0.1, 0.2])),
        "membership": draw(st.sampled_from(["keep", "keep", "leave"])),
        "handover": {
            "offset_db": draw(st.sampled_from([0.0, 2.0])),
            "time_to_trigger_s": draw(st.sampled_from([0.0, 0.16])),
            "filter_coefficient": draw(st.sampled_from([0.0, 4.0])),
            "measurement_error_db": draw(st.sampled_from([0.0, 1.0])),
            "interruption_s": draw(st.sampled_from([0.0, 0.05, 0.2])),
            "failure_sinr_db": draw(st.sampled_from([None, -8.0])),
            "failure_timer_s": draw(st.sampled_from([0.1, 0.5])),
            "reestablishment_s": draw(st.sampled_from([0.1, 0.5])),
            "in_flight": draw(st.sampled_from(["finish", "migrate", "restart"])),
        },
    } | fixed


@st.composite
def moving_worlds(
    draw: st.DrawFn, budget: st.SearchStrategy[dict[str, float]] = LASTS, motion: dict[str, Any] | None = None
) -> World:
    """Return a fresh world of several cells whose terminals move, come and go, lag and die."""
    settings: dict[str, Any] = {
        "budget": draw(budget),
        "terminals": draw(terminals()),
        "mobility": motion or draw(motions()),
        "collection": {
            "scheduled_fraction": draw(st.sampled_from([1.0, 1.0, 0.5])),
            "policy": draw(st.sampled_from(["all", "first_k", "deadline"])),
            "k_fraction": draw(st.sampled_from([0.3, 0.75])),
            "deadline_s": draw(st.floats(0.05, 0.6)),
        },
        "base_stations": {"static_power": draw(st.sampled_from(["none", "airtime", "always"]))},
        "network": {
            "propagation": LANDSCAPE,
            "layout": {"environment": "UMi", "neighbour_sites": draw(st.sampled_from([6, 36]))},
            "uplink": {
                "share": draw(st.sampled_from(["tdma", "ofdma"])),
                "min_slice_hz": draw(st.sampled_from([180e3, 450e3])),
            },
            "interference": {
                "model": draw(st.sampled_from(["fixed", "coupled"])),
                "refresh_s": draw(st.sampled_from([2e-3, 0.03])),
            },
            "backhaul": {
                "latency_s": draw(st.sampled_from([0.0, 0.01])),
                "rate_bps": draw(st.sampled_from([5e6, 1e8])),
                "shared": draw(st.booleans()),
            },
        },
    }
    return world(
        scenario(**settings), draw(st.sampled_from([2, 3, 7])), draw(st.integers(1, 3)), draw(st.integers(0, 999))
    )


@dataclass
class Leg:
    """One transfer of an upload in one cell, as the cell saw it."""

    site: int
    start_s: float
    transfer: Transfer
    end_s: float | None = None
    unsent_bits: float = 0.0

    @property
    def sent_bits(self) -> float:
        """What went over the air."""
        return self.transfer.bits - self.unsent_bits


@dataclass
class Witness:
    """Every transfer of every cell; those of one upload share the event of its end."""

    legs: list[Leg] = field(default_factory=list)

    def uploads(self) -> dict[Event, list[Leg]]:
        """Return the legs of every upload in order."""
        chains: defaultdict[Event, list[Leg]] = defaultdict(list)
        for leg in self.legs:
            chains[leg.transfer.done].append(leg)
        return dict(chains)


def watch(where: World) -> Witness:
    """Take notes of what all cells of a world are asked to do."""
    witness = Witness()
    for site in range(where.sites):
        _watch_cell(where, site, witness)
    return witness


def _watch_cell(where: World, site: int, witness: Witness) -> None:
    cell, of = where.uplinks[site], {}
    start, cancel = cell.start, cell.cancel

    def started(terminal: int, bits: float) -> Transfer:
        leg = Leg(site, where.env.now, start(terminal, bits))
        witness.legs.append(leg)
        of[leg.transfer] = leg
        return leg.transfer

    def cancelled(transfer: Transfer) -> float:
        leg = of[transfer]
        leg.end_s, leg.unsent_bits = where.env.now, cancel(transfer)
        return leg.unsent_bits

    cell.start, cell.cancel = started, cancelled  # type: ignore[method-assign]
