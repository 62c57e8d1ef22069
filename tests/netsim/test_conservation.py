"""Whatever happens in a run, joules, seconds, bytes and updates add up."""

from collections import Counter
from math import ceil
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from channel_models.units import dbm_to_watt
from netsim.energy import SITE_COMPONENTS, TERMINAL_COMPONENTS, transmitter_w
from netsim.world import World
from tests.netsim.any_scenario import methods, worlds
from tests.netsim.counting import Counting
from tests.netsim.sharing import listen
from tests.netsim.worlds import ENERGY_COLUMNS, run, scenario, world

CLOSE = 1e-9
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PROTOCOL = st.sampled_from(["hierarchical", "hierarchical", "isolated"])


@FEW
@given(worlds(), methods(), PROTOCOL)
def test_the_total_is_the_sum_over_components_and_the_sum_over_nodes(
    where: World, method: Counting, protocol: str
) -> None:
    method.protocol = protocol
    result = run(where, method)
    meters = (where.terminal_meter, where.site_meter, where.backhaul_meter)
    total_j = pytest.approx(where.budget.energy.level, rel=CLOSE, abs=1e-15)
    assert sum(meter.component_j(part) for meter in meters for part in meter.components) == total_j
    terminals_j = sum(where.terminal_meter.node_j(i) for i in range(where.terminals))
    sites_j = sum(where.site_meter.node_j(i) + where.backhaul_meter.node_j(i) for i in range(where.sites))
    assert terminals_j + sites_j == total_j
    assert result.totals["energy_j"] == total_j
    for part in TERMINAL_COMPONENTS:
        column_j = sum(row[f"energy_{part}_j"] for row in result.terminals)
        assert where.terminal_meter.component_j(part) == pytest.approx(column_j, rel=CLOSE, abs=1e-15)
    for part in SITE_COMPONENTS:
        column_j = sum(row[f"energy_{part}_j"] for row in result.base_stations)
        assert where.site_meter.component_j(part) == pytest.approx(column_j, rel=CLOSE, abs=1e-15)


@FEW
@given(worlds(), methods(), PROTOCOL)
def test_in_every_row_the_energy_columns_add_up_and_nothing_that_accumulates_falls(
    where: World, method: Counting, protocol: str
) -> None:
    method.protocol = protocol
    rows = run(where, method).rounds
    for row in rows:
        assert row["energy_j"] == pytest.approx(sum(row[name] for name in ENERGY_COLUMNS), rel=CLOSE, abs=1e-15)
    for name in ("time_s", "energy_j", "cost", "bytes_uplink", "bytes_downlink", "bytes_backhaul", *ENERGY_COLUMNS):
        values = [row[name] for row in rows]
        assert values == sorted(values), name


@FEW
@given(worlds(), methods())
def test_every_terminal_pays_for_the_time_its_transfers_were_on_the_air(where: World, method: Counting) -> None:
    uplink = where.scenario.network.uplink
    assume((uplink.share, uplink.allocation) != ("allotted", "energy_minimal"))  # powers of its own
    logs = [listen(cell) for cell in where.uplinks]
    run(where, method)
    airtime_s: dict[int, float] = dict.fromkeys(range(where.terminals), 0.0)
    for log in logs:
        for transfer in log.transfers:
            airtime_s[transfer.terminal] += transfer.airtime_s
    for i, kind in enumerate(where.devices):
        power_w = transmitter_w(dbm_to_watt(kind.tx_power_dbm), kind.amplifier_efficiency, kind.tx_circuit_w)
        spent_j = where.terminal_meter.energy_j(i, "transmit")
        assert spent_j == pytest.approx(power_w * airtime_s[i], rel=1e-8, abs=1e-12)


@FEW
@given(worlds(network={"uplink": {"share": "tdma"}}), methods())
def test_in_turns_the_airtime_of_a_cell_is_shared_out_completely_and_a_bit_takes_its_rate(
    where: World, method: Counting
) -> None:
    logs = [listen(cell) for cell in where.uplinks]
    end_s = run(where, method).totals["time_s"]
    for cell, log in zip(where.uplinks, logs, strict=True):
        for transfer in log.transfers:
            sent_bits = transfer.bits - log.unsent_bits.get(transfer, 0.0)
            assert transfer.airtime_s * where.radio.whole_band_bps(transfer.terminal) == pytest.approx(
                sent_bits, rel=1e-8, abs=1e-6
            )
        assert sum(transfer.airtime_s for transfer in log.transfers) == pytest.approx(cell.busy_s, rel=1e-8)
        assert cell.busy_s <= end_s * (1.0 + CLOSE)


@FEW
@given(worlds(), methods())
def test_no_airtime_exceeds_the_time_of_the_run(where: World, method: Counting) -> None:
    result = run(where, method)
    end_s = result.totals["time_s"] * (1.0 + CLOSE)
    static_w = where.site_power.static_w()
    for row in result.base_stations:
        up_s, down_s = row["uplink_airtime_s"], row["downlink_airtime_s"]
        assert up_s + down_s <= end_s  # a site's own uploads follow its broadcasts
        expected_s = {"none": 0.0, "airtime": up_s + down_s, "always": result.totals["time_s"]}
        policy = where.scenario.base_stations.static_power
        assert row["energy_static_j"] == pytest.approx(static_w * expected_s[policy], rel=1e-8)
    computing_w = [kind.switched_capacitance * kind.cpu_hz**3 for kind in where.devices]
    for row, watts in zip(result.terminals, computing_w, strict=True):
        assert row["energy_compute_j"] <= watts * end_s


@FEW
@given(worlds(), methods())
def test_bytes_committed_are_bytes_carried_once_all_is_quiet(where: World, method: Counting) -> None:
    result = run(where, method)
    for row in result.rounds:
        carried = row["bytes_uplink"] + row["bytes_downlink"] + row["bytes_backhaul"]
        assert row["bytes"] >= carried * (1.0 - CLOSE)
        if row["event"] in ("start", "cloud"):
            assert row["bytes"] == pytest.approx(carried, rel=CLOSE)
    carried = sum(row["bytes_up"] for row in result.terminals)
    assert result.rounds[-1]["bytes_uplink"] == pytest.approx(carried, rel=CLOSE)


@settings(FEW, max_examples=20)
@given(worlds(), methods(bits_down=8e6, bits_up=4e6, cloud_rounds=2), st.floats(1e-10, 1e-6))
def test_backhaul_joules_are_bits_times_joules_a_bit(where: World, method: Counting, j_per_bit: float) -> None:
    wires = {"backhaul": {"energy_j_per_bit": j_per_bit, "rate_bps": 1e8}}
    quiet = world(scenario(budget={"time_s": 1e4}, network=wires), where.sites, 2)
    row = run(quiet, method).rounds[-1]
    assert row["bytes_backhaul"] == quiet.sites * 2 * (1e6 + 0.5e6)
    assert row["energy_backhaul_j"] == pytest.approx(8.0 * row["bytes_backhaul"] * j_per_bit, rel=1e-8)


@FEW
@given(worlds(), methods())
def test_the_cloud_counts_every_merged_update_once(where: World, method: Counting) -> None:
    result = run(where, method)
    merged = Counter(row["cloud_round"] for row in result.participation if row["outcome"] == "merged")
    total = 0
    for row in result.rounds:
        if row["event"] == "cloud":
            total += merged[row["cloud_round"]]
            assert row["count"] == total


@FEW
@given(worlds(), methods())
def test_every_terminal_asked_or_missed_has_one_row_in_every_iteration_and_the_rows_are_counted_right(
    where: World, method: Counting
) -> None:
    result = run(where, method)
    by_iteration: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for entry in result.participation:
        by_iteration.setdefault((entry["base_station"], entry["edge_round"]), []).append(entry)
    for row in result.rounds:
        if row["event"] != "edge":
            continue
        entries = by_iteration[row["node"], row["edge_round"]]
        outcomes = Counter(entry["outcome"] for entry in entries)
        here = where.terminals_of(int(row["node"][3:]))
        asked = where.scenario.collection.scheduled_fraction * (len(here) - outcomes["unavailable"])
        assert row["scheduled"] == max(1, ceil(asked - 1e-9))
        rows = sorted(entry["terminal"] for entry in entries)
        assert rows == sorted(set(rows) & set(here))
        assert row["participants"] == outcomes["merged"]
        assert row["scheduled"] == len(entries) - outcomes["unavailable"]
    counted = Counter(entry["outcome"] for entry in result.participation)
    for outcome in ("merged", "late", "dropped", "unavailable"):
        assert sum(row[outcome] for row in result.terminals) == counted[outcome]
    at_cloud = [row for row in result.rounds if row["event"] in ("cloud", "end")]
    assert sum(row["participants"] for row in at_cloud) == counted["merged"]
    assert sum(row["late"] for row in at_cloud) == counted["late"]


@FEW
@given(worlds(), methods(), PROTOCOL)
def test_a_terminal_does_one_thing_at_a_time_and_its_rows_say_when(
    where: World, method: Counting, protocol: str
) -> None:
    method.protocol = protocol
    result = run(where, method)
    free_s: Counter[int] = Counter()
    for row in result.participation:
        assert row["start_s"] >= free_s[row["terminal"]] - 1e-9
        spent_s = [value for value in (row["compute_s"], row["upload_s"]) if value == value]
        assert all(value >= 0.0 for value in spent_s)
        free_s[row["terminal"]] = row["start_s"] + sum(spent_s)
        if row["outcome"] == "merged":
            assert row["finish_s"] == pytest.approx(free_s[row["terminal"]], rel=CLOSE)
