"""The energy meter integrates piecewise constant powers exactly, and the power models are those of their sources."""

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simpy import Environment, Event

from netsim.accounts import Account
from netsim.energy import SITE_POWER, Meter, processor_w, transmitter_w

NODES = 3
PARTS = ("compute", "transmit")
Switch = tuple[float, int, str, float]
SWITCHES = st.lists(
    st.tuples(
        st.one_of(st.just(0.0), st.floats(0.01, 10.0)),
        st.integers(0, NODES - 1),
        st.sampled_from(PARTS),
        st.one_of(st.just(0.0), st.floats(1e-6, 1e3)),
    ),
    max_size=40,
)


def switch(env: Environment, meter: Meter, switches: list[Switch]) -> Generator[Event, Any, None]:
    for wait_s, node, part, power_w in switches:
        yield env.timeout(wait_s)
        meter.set_power(node, part, power_w)
    yield env.timeout(1.0)


@given(SWITCHES)
def test_every_component_of_every_node_is_integrated_exactly_and_all_sums_agree(switches: list[Switch]) -> None:
    env = Environment()
    total = Account(env)
    meter = Meter(env, NODES, PARTS, total)
    env.process(switch(env, meter, switches))
    env.run()
    power_w = {(node, part): 0.0 for node in range(NODES) for part in PARTS}
    energy_j = dict(power_w)
    for wait_s, node, part, new_w in [*switches, (1.0, 0, "compute", 0.0)]:
        for key in energy_j:
            energy_j[key] += power_w[key] * wait_s
        power_w[node, part] = new_w
    for (node, part), expected_j in energy_j.items():
        assert meter.energy_j(node, part) == pytest.approx(expected_j, rel=1e-9)
    sum_j = pytest.approx(sum(energy_j.values()), rel=1e-9, abs=1e-12)
    assert total.level == sum_j
    assert sum(meter.component_j(part) for part in PARTS) == sum_j
    assert sum(meter.node_j(node) for node in range(NODES)) == sum_j


@given(SWITCHES)
def test_no_sum_ever_falls_although_the_powers_are_added_and_taken_away_in_floats(switches: list[Switch]) -> None:
    env = Environment()
    total = Account(env)
    meter = Meter(env, NODES, PARTS, total)
    levels = [(0.0, 0.0)]

    def off_and_look() -> Generator[Event, Any, None]:
        yield from switch(env, meter, switches)
        for node in range(NODES):
            for part in PARTS:
                meter.set_power(node, part, 0.0)
        for _ in range(3):
            levels.append((total.level, meter.component_j("compute")))
            yield env.timeout(1e6)

    env.process(off_and_look())
    env.run()
    assert levels == sorted(levels)
    assert [parts for _, parts in levels] == sorted(parts for _, parts in levels)


def test_a_watched_node_is_announced_when_it_has_used_its_joules_and_the_others_do_not_count() -> None:
    env = Environment()
    meter = Meter(env, NODES, PARTS, Account(env))
    met: list[float] = []
    meter.watch(1, 12.0, lambda: met.append(env.now))
    meter.set_power(0, "compute", 100.0)
    meter.set_power(1, "compute", 2.0)
    env.run(until=3.0)
    meter.set_power(1, "transmit", 1.0)
    env.run(until=10.0)
    assert met == [5.0]


@pytest.mark.parametrize(
    ("kind", "full_load_w"), [("macro", 1344.0), ("rrh", 840.0), ("micro", 144.8), ("pico", 14.6), ("femto", 10.4)]
)
def test_fully_loaded_sites_draw_what_the_earth_table_says(kind: str, full_load_w: float) -> None:
    power = SITE_POWER[kind]
    full_w = power.static_w() + power.transmit_w(power.transceivers * power.max_output_w)
    assert full_w == pytest.approx(full_load_w, abs=0.06)


@pytest.mark.parametrize(
    ("kind", "no_load_w", "sleep_w"),
    [("macro", 780.0, 450.0), ("rrh", 504.0, 336.0), ("micro", 112.0, 78.0), ("pico", 13.6, 8.6), ("femto", 9.6, 5.8)],
)
def test_a_site_idles_and_sleeps_with_all_its_transceivers(kind: str, no_load_w: float, sleep_w: float) -> None:
    assert SITE_POWER[kind].static_w() == pytest.approx(no_load_w)
    assert SITE_POWER[kind].sleeping_w() == pytest.approx(sleep_w)


@given(st.floats(1e-29, 1e-26), st.floats(1e8, 1e10), st.floats(1.0, 1e12))
def test_a_cycle_costs_kappa_times_the_clock_squared(kappa: float, cpu_hz: float, cycles: float) -> None:
    energy_j = processor_w(kappa, cpu_hz) * cycles / cpu_hz
    assert energy_j == pytest.approx(kappa * cpu_hz**2 * cycles, rel=1e-12)


def test_a_transmitter_draws_what_it_radiates_over_its_efficiency_and_its_circuits() -> None:
    assert transmitter_w(0.2, 0.4, 0.15) == pytest.approx(0.65)
    assert transmitter_w(0.2, 1.0, 0.0) == 0.2
