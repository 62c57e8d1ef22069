"""Messages to each terminal alone, after or instead of a broadcast."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.port import Plan
from tests.netsim.counting import Counting, Sizes
from tests.netsim.worlds import device, run, scenario, world

CLOSE = 1e-9


class Silent(Counting):
    """Counts pieces of work that take no time and hardly any to send."""

    def sizes(self, plan: Plan) -> Sizes:
        """Only what goes down the air has a size worth mention."""
        sizes, nothing = super().sizes(plan), np.zeros(100_000)
        return Sizes(0.0, sizes.broadcast_bits, 8.0, 0.0, nothing, nothing, sizes.personal_bits)


@pytest.mark.parametrize("only_personal", [False, True])
def test_everybody_begins_when_the_last_has_its_own_message_and_each_listens_to_the_broadcast_and_its_own(
    only_personal: bool,
) -> None:
    where = world(scenario(terminals=device(rx_power_w=0.5), network={"link": {"max_bit_s_hz": 30.0}}), 1, 4)
    method = Silent(bits_down=3e5, bits_personal=2e5, only_personal=only_personal, cloud_rounds=1, bs_iterations=2)
    result = run(where, method)
    everybody = [0, 1, 2, 3]
    common_bits = 0.0 if only_personal else 3e5
    broadcast_s = common_bits / where.radio.broadcast_bps(everybody)
    own_s = [2e5 / where.radio.broadcast_bps([i]) for i in everybody]
    assert len(set(own_s)) == 4
    access_s = where.scenario.network.downlink.access_delay_s
    first = [row for row in result.participation if row["edge_round"] == 0]
    latency_s = where.backhaul.latency_s(0)
    for row in first:
        assert row["start_s"] == pytest.approx(latency_s + access_s + broadcast_s + sum(own_s), rel=CLOSE)
    for row, alone_s in zip(result.terminals, own_s, strict=True):
        assert row["energy_receive_j"] == pytest.approx(2 * 0.5 * (broadcast_s + alone_s), rel=CLOSE)
        assert row["bytes_down"] == 2 * (common_bits + 2e5) / 8.0
    last = result.rounds[-1]
    assert last["bytes_downlink"] == pytest.approx(2 * (common_bits + 4 * 2e5) / 8.0, rel=CLOSE)
    on_air_s = 2 * (broadcast_s + sum(own_s))
    assert last["energy_bs_transmit_j"] == pytest.approx(where.radiating_w * on_air_s, rel=CLOSE)
    assert result.base_stations[0]["downlink_airtime_s"] == pytest.approx(on_air_s, rel=CLOSE)


def test_a_site_that_fails_in_the_middle_of_the_messages_has_sent_what_it_has_sent_and_starts_again() -> None:
    outage = {"mean_up_s": 0.4, "mean_down_s": 0.1}
    made = scenario(budget={"time_s": 5.0}, base_stations={"outage": outage}, terminals=device(rx_power_w=0.5))
    where = world(made, 1, 4)
    bits = 0.06 * where.radio.broadcast_bps([0])
    result = run(where, Silent(bits_down=bits, bits_personal=bits))
    received = sum(row["bytes_down"] for row in result.terminals)
    whole = received / 4.0 * 5.0 / 2.0  # a fifth of what is sent to four terminals goes to all at once
    last = result.rounds[-1]
    assert last["bytes_downlink"] > whole > 0.0
    assert last["bytes"] >= last["bytes_downlink"]
    merged = sum(row["outcome"] == "merged" for row in result.participation)
    assert received == pytest.approx(merged * 2.0 * bits / 8.0, abs=8.0 * bits / 8.0)
