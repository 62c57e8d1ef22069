"""Terminals that move between cells that disturb each other: two cells in free space, worked out by hand."""

from __future__ import annotations

from collections.abc import Generator
from math import hypot, log2, pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simpy import Event

from netsim.world import World
from tests.netsim.any_motion import watch
from tests.netsim.counting import Counting
from tests.netsim.worlds import device, run, scenario, world

ISD_M, SPEED_MPS, TICK_S, REFRESH_S, BAND_HZ = 500.0, 25.0, 0.2, 0.01, 0.9e6
THERMAL_W = 10.0 ** ((-174.0 + 5.0 - 30.0) / 10.0) * BAND_HZ
POWER_W = 10.0 ** ((23.0 - 30.0) / 10.0)


def _gain(x_m: float, y_m: float, site: int) -> float:
    """Free space and 8 dBi, at 3.5 GHz from a mast of 25 m."""
    d3d_m = hypot(x_m - ISD_M * site, y_m, 25.0 - 1.5)
    return float((299_792_458.0 / 3.5e9 / (4.0 * pi * d3d_m)) ** 2 * 10.0**0.8)


def _two_cells(tmp_path: Path, way: list[tuple[float, float, float]], **law: Any) -> World:
    """Terminal 0, at home in the first cell, goes a way of (t, x, y); terminal 1 stands in the second one."""
    path = tmp_path / "way.csv"
    path.write_text("\n".join(["terminal,time_s,x_m,y_m", *(f"0,{t},{x},{y}" for t, x, y in way)]))
    link = {"max_bit_s_hz": 40.0, "min_sinr_db": -100.0, "shannon_gap_db": 0.0, "overhead": 0.1}
    settings = scenario(
        budget={"time_s": 18.0},
        mobility={"model": "trace", "trace_path": str(path), "measurement_s": TICK_S, **law},
        terminals=device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": {"kind": "none"}},
        network={
            "layout": {"environment": "free-space", "inter_site_distance_m": ISD_M},
            "propagation": {"spatial_consistency": True, "shadowing": False, "fading": "none"},
            "link": link,
            "interference": {"model": "coupled", "threshold": 0.0, "refresh_s": REFRESH_S},
        },
    )
    return world(settings, 2, 1)


def test_noise_and_rates_follow_who_sends_from_where_to_which_cell(tmp_path: Path) -> None:
    where = _two_cells(tmp_path, [(0.0, 40.0, 0.0), (420.0 / SPEED_MPS, 460.0, 0.0)])
    witness, seen = watch(where), []

    def look() -> Generator[Event, Any, None]:
        yield where.env.timeout(3.1)  # halfway between two measurements, long after the broadcasts
        while True:
            now, serving = where.env.now, where.serving.tolist()
            tick_s = round((now - TICK_S / 2.0) / TICK_S) * TICK_S
            place = {
                0: (min(460.0, 40.0 + SPEED_MPS * tick_s), 0.0),
                1: tuple(where.deployment.terminal_xy_m[1].tolist()),
            }
            received_w = {
                (t, site): POWER_W * _gain(*place[t], site)  # type: ignore[arg-type]
                for t in (0, 1)
                for site in (0, 1)
            }
            noise_w = [THERMAL_W + sum(received_w[t, s] for t in (0, 1) if serving[t] != s) for s in (0, 1)]
            assert where.interference is not None
            np.testing.assert_allclose(where.interference.noise_w, noise_w, rtol=1e-6)
            n = serving.count(serving[0])
            for leg in witness.legs:
                t = leg.transfer.terminal
                if leg.end_s is None:
                    rate_bps = 0.9 * BAND_HZ / n * log2(1.0 + n * received_w[t, serving[t]] / noise_w[serving[t]])
                    assert leg.transfer.rate_bps == pytest.approx(rate_bps, rel=1e-3)
                    assert leg.site == serving[t]
            seen.append(serving[0])
            yield where.env.timeout(TICK_S)

    where.env.process(look())
    result = run(where, Counting(bits_down=1e3, bits_up=1e12))
    assert set(seen) == {0, 1} and len(seen) > 70
    assert len(list(result.handovers or [])) == 1


def test_a_broadcast_after_a_handover_suffers_from_the_cell_that_was_left(tmp_path: Path) -> None:
    where = _two_cells(tmp_path, [(0.0, 460.0, 0.0)])  # parked beside the other site
    heard, down_w = np.array([0]), 10.0 ** ((35.5 - 30.0) / 10.0)
    interference = where.interference
    assert interference is not None
    run(where, Counting(bits_up=1e3, cloud_rounds=1))
    np.testing.assert_array_equal(interference.near.cell[0], [1, 0])
    interference._broadcasts[:] = 1
    bps = where.radio.broadcast_bps(heard, interference.interfering_gain(heard))
    noise_w = 10.0 ** ((-174.0 + 9.0 - 30.0) / 10.0) * BAND_HZ + down_w * _gain(460.0, 0.0, 0)
    assert bps == pytest.approx(0.9 * BAND_HZ * log2(1.0 + down_w * _gain(460.0, 0.0, 1) / noise_w), rel=1e-3)


def test_coverage_does_not_come_and_go_with_the_load_but_with_the_place(tmp_path: Path) -> None:
    link = {"min_sinr_db": 0.0, "outage_bit_s_hz": 0.05}
    way = [(0.0, 40.0, 0.0), (4.0, 4e6, 0.0)]
    near = _two_cells(tmp_path, way)
    far_link = near.scenario.network.model_copy(
        update={"link": near.scenario.network.link.model_copy(update=link)},
    )
    where = world(near.scenario.model_copy(update={"network": far_link}), 2, 1)
    result = run(where)
    assert where.radio.reachable.all()  # nobody is ever silenced by interference
    assert where.radio.in_coverage(np.array([0, 1])).tolist() == [False, True]
    assert result.ended_by == "no terminal left at bs-00" and 2.0 < result.totals["time_s"] < 18.0
