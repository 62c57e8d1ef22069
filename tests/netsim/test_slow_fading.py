"""Luck that slow fading leaves in an upload: one draw a terminal and iteration, and all of its bits at that rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim.slow_fading import SlowFading
from netsim.upload import Upload
from netsim.world import World
from scenarios.errors import ScenarioError
from tests.netsim.counting import Counting
from tests.netsim.worlds import device, run, scenario, world

SHARES = ("ofdma", "tdma", "proportional_fair", "max_min", "sequential", "allotted")


def fading(per_site: int = 3, seed: int = 0, sites: int = 1, law: str = "rayleigh", **uplink: Any) -> World:
    up = {"slow_fading": True, "share": "tdma"} | uplink
    steady = device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": {"kind": "none"}}
    network = {"propagation": {"fading": law}, "uplink": up}
    return world(scenario(network=network, terminals=steady), sites, per_site, seed)


def factors(where: World, iteration: int = 0, bits: float = 1e6) -> list[float]:
    luck = SlowFading(where.radio, where.deployment.entity, where.streams)
    return list(luck.factors(np.arange(where.terminals), iteration, bits).values())


@pytest.mark.parametrize("share", SHARES)
def test_an_upload_of_its_own_takes_its_bits_over_its_rate_and_its_luck(share: str) -> None:
    where = fading(1, share=share)
    result = run(where, Counting(bits_up=1e6, cloud_rounds=1, bs_iterations=4))
    rate_bps, up = where.radio.shared_bps(0, 1), where.scenario.network.uplink
    times_s = [row["upload_s"] - up.access_delay_s for row in result.participation]
    assert times_s == pytest.approx([1e6 / (rate_bps * factors(where, k)[0]) for k in range(4)], rel=1e-9)
    assert len({round(time_s, 9) for time_s in times_s}) == 4
    assert result.terminals[0]["bytes_up"] == pytest.approx(4 * 1e6 / 8.0, rel=1e-12)


@pytest.mark.parametrize("share", SHARES[:-1])
def test_what_is_left_of_an_upload_that_is_interrupted_is_counted_in_its_own_bits(share: str) -> None:
    where, fade = fading(1, share=share), 0.25
    upload = Upload(where, 0, 1e6, fade)
    whole_s = 1e6 / (where.radio.shared_bps(0, 1) * fade)
    where.env.run(0.3 * whole_s)
    upload.pause()
    assert upload.left_bits == pytest.approx(0.7e6, rel=1e-9)
    where.env.run(0.5 * whole_s)
    upload.resume()
    where.env.run(upload.done)
    assert where.env.now == pytest.approx(1.2 * whole_s, rel=1e-9)
    upload.stop()
    assert upload.sent_bytes == pytest.approx(1e6 / 8.0, rel=1e-12)
    assert where.traffic.uplink == pytest.approx(1e6 / 8.0, rel=1e-12)


def test_luck_is_drawn_by_seed_terminal_and_iteration_whoever_else_is_there() -> None:
    still = {"slots": {"coherence_time_s": 1e9}}  # the length of an upload does not matter then
    few, many = (fading(n, sites=2, **still) for n in (2, 5))
    for where in (few, many):
        where.radio.uplink_snr[:] = 10.0
    kept = [0, 1, 5, 6]
    assert [factors(many)[i] for i in kept] == pytest.approx(factors(few), rel=1e-9)
    assert not set(factors(few)) & (set(factors(few, 1)) | set(factors(fading(2, 1, sites=2, **still))))


def test_shorter_uploads_on_fewer_sub_bands_have_more_luck_good_or_bad() -> None:
    usual = np.abs(np.array(factors(fading(8))) - 1.0)
    assert (np.abs(np.array(factors(fading(8), bits=1e4)) - 1.0) > usual).all()
    assert (np.abs(np.array(factors(fading(8, slots={"sub_bands": 2}))) - 1.0) > usual).all()
    assert (np.abs(np.array(factors(fading(8, slots={"coherence_time_s": 5e-3}))) - 1.0) < usual).all()
    slices = np.array(factors(fading(8, share="ofdma", min_slice_hz=1e3), bits=1e3)) - 1.0
    assert (np.sign(slices) == np.sign(np.array(factors(fading(8))) - 1.0)).all()


def test_there_is_no_luck_without_fading_or_if_it_is_fast() -> None:
    assert set(factors(fading(4, law="none"))) == {1.0}
    assert not factors(fading(4, slow_fading=False))
    silent = fading(3)
    silent.radio.uplink_factor[1] = 0.0  # a trace: nothing gets through, for a while
    silent.radio.refresh_uplink(slice(None))
    assert factors(silent)[1] == 1.0


def test_the_scheduler_of_many_gains_less_where_fading_is_slower_than_its_average() -> None:
    gains = []
    for uplink in ({"slow_fading": False}, {"slots": {"coherence_time_s": 1e-3}}, {"slots": {"coherence_time_s": 1.0}}):
        radio = fading(8, share="proportional_fair", **uplink).radio
        radio.uplink_snr[:] = 10.0
        gains.append(radio.proportional_fair_bps(0, 8) * 8 / radio.whole_band_bps(0))
        assert radio.proportional_fair_bps(0, 1) == radio.whole_band_bps(0)
    assert gains[0] > gains[1] > gains[2] > 1.2


@pytest.mark.parametrize("uplink", [{"share": "slots"}, {"transfer": "over_the_air"}])
def test_what_fades_by_itself_is_not_faded_again(uplink: dict[str, str]) -> None:
    with pytest.raises(ScenarioError, match=r"network\.uplink\.slow_fading = True: allowed: false with slots"):
        fading(**uplink)
