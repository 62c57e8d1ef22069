"""Scenarios of every kind for property tests: sharing, stragglers, drop-outs, absences, deadlines, batteries."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from netsim.world import World
from tests.netsim.counting import Counting
from tests.netsim.worlds import scenario, world

SHARES = ("tdma", "ofdma", "proportional_fair", "max_min", "sequential", "allotted", "slots")
ALLOCATIONS = ("equal_split", "proportional", "min_max_delay", "energy_minimal")
SLOWDOWNS = ("none", "shifted_exponential", "pareto", "lognormal", "bimodal")


@st.composite
def hardware(draw: st.DrawFn) -> dict[str, Any]:
    """Return one class of devices; one visit of a row takes 0.1 ms to 2 ms."""
    return {
        "cpu_hz": draw(st.sampled_from([0.1e9, 0.5e9, 2e9])),
        "cycles_per_sample": 2e5,
        "tx_power_dbm": draw(st.sampled_from([10.0, 23.0])),
        "rx_power_w": draw(st.sampled_from([0.0, 0.5])),
        "idle_power_w": draw(st.sampled_from([0.0, 0.02])),
        "battery_j": draw(st.sampled_from([None, None, 0.03, 0.3, 3.0])),
    }


@st.composite
def terminals(draw: st.DrawFn) -> dict[str, Any]:
    """Return the terminals section of a scenario."""
    classes = draw(st.lists(hardware(), min_size=1, max_size=2))
    absences = {"mean_on_s": draw(st.floats(0.05, 2.0)), "mean_off_s": draw(st.floats(0.05, 1.0))}
    return {
        "classes": [{"name": f"class {i}", **kind} for i, kind in enumerate(classes)],
        "slowdown": {"kind": draw(st.sampled_from(SLOWDOWNS))},
        "dropout_probability": draw(st.sampled_from([0.0, 0.0, 0.3])),
        "availability": draw(st.sampled_from([None, absences])),
    }


@st.composite
def worlds(
    draw: st.DrawFn, max_bit_s_hz: float = 7.4063, shares: tuple[str, ...] = SHARES, fading: bool = True, **fixed: Any
) -> World:
    """Return a fresh world that lasts a few simulated seconds; without a low ceiling no two links are equally fast."""
    share = draw(st.sampled_from(shares))
    slow = fading and share != "slots" and draw(st.booleans())
    settings: dict[str, Any] = {
        "budget": {"time_s": draw(st.floats(0.1, 3.0))},
        "terminals": draw(terminals()),
        "collection": {
            "scheduled_fraction": draw(st.sampled_from([1.0, 1.0, 0.4])),
            "policy": draw(st.sampled_from(["all", "first_k", "deadline"])),
            "k_fraction": draw(st.sampled_from([0.3, 0.75])),
            "deadline_s": draw(st.floats(0.01, 0.3)),
        },
        "base_stations": {"static_power": draw(st.sampled_from(["none", "airtime", "always"]))},
        "network": {
            "link": {"max_bit_s_hz": max_bit_s_hz},
            "propagation": {"fading": "rayleigh" if slow else "none"},
            "uplink": {
                "share": share,
                "slow_fading": slow,
                "allocation": draw(st.sampled_from(ALLOCATIONS)),
                "deadline_s": draw(st.floats(0.01, 0.3)),
                "slots": {"scheduler": draw(st.sampled_from(["round_robin", "proportional_fair"]))},
                "min_slice_hz": draw(st.sampled_from([180e3, 450e3])),
            },
        },
    }
    sites, per_site = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    return world(scenario(**settings | fixed), sites, per_site, draw(st.integers(0, 2**20)))


@st.composite
def weak_hardware(draw: st.DrawFn, clocks: tuple[str, ...]) -> dict[str, Any]:
    """Return one class of devices whose battery is charged, and which has several clocks."""
    harvest = {"power_w": 0.3, "packets_per_s": draw(st.sampled_from([0.0, 4.0])), "packet_j": 0.05}
    policy = draw(st.sampled_from(clocks))
    return draw(hardware()) | {
        "battery_j": 0.2,
        "initial_charge": draw(st.sampled_from([0.4, 1.0])),
        "refuse_below": draw(st.sampled_from([0.0, 0.3])),
        "harvest": harvest | {"restart_fraction": draw(st.sampled_from([0.2, 0.9]))},
        "processor_static_w": 0.1,
        "dvfs": {"levels_hz": [0.1e9, 0.4e9, 1.2e9], "policy": policy},
    }


@st.composite
def faulty_settings(draw: st.DrawFn) -> dict[str, Any]:
    """Return a scenario in which batteries run empty and recover, days pass, and sites sleep and fail."""
    rhythm = {"mean_share": 0.6, "swing": 0.5, "period_s": 1.0, "mean_habit_s": 0.4, "time_zones": 3}
    static = draw(st.sampled_from(["none", "airtime", "always"]))
    waits = draw(st.sampled_from(["all", "first_k", "deadline"]))
    clocks = ("highest", "most_efficient", *(["deadline"] if waits == "deadline" else []))
    outage = {"mean_up_s": 0.6, "mean_down_s": 0.2, "recovery": draw(st.sampled_from(["wait", "skip"]))}
    return {
        "terminals": {
            "classes": [{"name": "weak", **draw(weak_hardware(clocks))}, {"name": "mains"}],
            "diurnal": draw(st.sampled_from([None, rhythm])),
            "dropout_probability": draw(st.sampled_from([0.0, 0.2])),
        },
        "collection": {"policy": waits, "deadline_s": draw(st.floats(0.01, 0.3))},
        "base_stations": {
            "static_power": static,
            "sleep": {"after_s": 0.01, "wake_up_s": 0.005} if static == "always" else None,
            "outage": draw(st.sampled_from([None, outage])),
        },
        "network": {
            "uplink": {"share": draw(st.sampled_from(["tdma", "ofdma"]))},
            "backhaul": {"rate_bps": 1e7, "shared": draw(st.booleans())},
        },
    }


@st.composite
def methods(draw: st.DrawFn, **fixed: Any) -> Counting:
    """Return a fresh method with messages of 0.5 kB to 25 kB."""
    return Counting(
        **{
            "bits_down": draw(st.sampled_from([4e3, 2e5])),
            "bits_personal": draw(st.sampled_from([0.0, 0.0, 2e4])),
            "only_personal": draw(st.booleans()),
            "bits_up": draw(st.sampled_from([4e3, 5e4, 2e5])),
            "samples": draw(st.sampled_from([1.0, 20.0])),
            "local_iterations": draw(st.integers(1, 3)),
            "bs_iterations": draw(st.integers(1, 3)),
            "deadlines_s": draw(st.sampled_from([(None,), (0.04, None, 0.15)])),
        }
        | fixed
    )
