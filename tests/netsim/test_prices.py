"""What a controller is told about prices explains what the last round used, to the last second, joule and byte."""

import pytest
from hypothesis import given, settings

from netsim.result import Result
from netsim.world import World
from tests.netsim.any_scenario import methods, worlds
from tests.netsim.counting import Counting
from tests.netsim.worlds import change, device, run, scenario, world


@settings(max_examples=30, deadline=None)
@given(worlds(), methods())
def test_prices_times_the_plan_give_what_the_round_before_used(where: World, method: Counting) -> None:
    result = run(where, method)
    H, K = method.local_iterations, method.bs_iterations
    cloud = [row for row in result.rounds if row["event"] in ("start", "cloud")]
    for before, after, seen in zip(cloud, cloud[1:], method.observations[1:], strict=False):
        for resource in ("energy_j", "bytes", "time_s"):
            price = seen.prices[resource]
            used = after[resource] - before[resource]
            assert price.local_iteration >= 0.0 and price.bs_iteration >= 0.0
            assert K * (H * price.local_iteration + price.bs_iteration) >= used * (1.0 - 1e-9)
            if resource != "time_s":  # cells overlap in time, so there the sum is only a bound
                assert K * (H * price.local_iteration + price.bs_iteration) == pytest.approx(used, rel=1e-9)


def test_a_local_iteration_costs_the_time_of_the_slowest_and_the_energy_of_all() -> None:
    terminals = device(cpu_hz=1e9, cycles_per_sample=1e6, switched_capacitance=1e-28) | {"slowdown": {"kind": "none"}}
    where = world(scenario(terminals=terminals), 2, 3)
    change(where, 4, cpu_hz=0.5e9)
    method = Counting(samples=50.0, local_iterations=4, cloud_rounds=2)
    run(where, method)
    price = method.observations[1].prices
    assert price["time_s"].local_iteration == pytest.approx((0.05 + 0.1) / 2.0)  # mean over the two cells' slowest
    assert price["energy_j"].local_iteration == pytest.approx(50 * 1e6 * 1e-28 * (5 * 1e18 + 0.25e18))
    assert price["bytes"].local_iteration == 0.0


def test_a_certificate_does_not_make_local_iterations_dearer() -> None:
    terminals = device(cpu_hz=1e9, cycles_per_sample=1e6, switched_capacitance=1e-28) | {"slowdown": {"kind": "none"}}
    prices = []
    for fixed_samples in (0.0, 300.0):
        method = Counting(samples=50.0, fixed_samples=fixed_samples, local_iterations=4, cloud_rounds=2)
        run(world(scenario(terminals=terminals), 2, 3), method)
        prices.append(method.observations[1].prices)
    for resource in ("time_s", "energy_j"):
        plain, certified = (price[resource] for price in prices)
        assert certified.local_iteration == pytest.approx(plain.local_iteration)
        assert certified.bs_iteration > plain.bs_iteration


def test_what_a_cloud_round_costs_by_itself_is_a_part_of_what_its_iterations_cost() -> None:
    terminals = device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": {"kind": "shifted_exponential", "scale": 1.0}}
    method = Counting(samples=50.0, local_iterations=4, bs_iterations=3, cloud_rounds=2)
    result = run(world(scenario(terminals=terminals), 3, 3), method)
    prices = method.observations[1].prices
    for name in ("time_s", "energy_j", "bytes"):
        assert 0.0 < prices[name].cloud_round < 3 * prices[name].bs_iteration
    assert prices["bytes"].cloud_round == result.rounds[-1]["bytes_backhaul"] / 2
    assert prices["cost"].cloud_round == 0.0


def ends(result: Result, cloud_round: int, sites: int) -> tuple[float, list[float]]:
    """Return when a round ended, and when the last update of each site arrived in it, seconds."""
    ends_s = [row["time_s"] for row in result.rounds if row["event"] == "cloud"][cloud_round]
    rows = [row for row in result.participation if row["cloud_round"] == cloud_round]
    return ends_s, [
        max(row["finish_s"] for row in rows if row["base_station"] == f"bs-{site:02d}") for site in range(sites)
    ]


def test_the_wait_of_a_cloud_round_is_that_for_the_last_update_and_the_rest_carries_messages() -> None:
    method = Counting(samples=50.0, local_iterations=4, bs_iterations=2, cloud_rounds=2)
    ends_s, last_s = ends(run(world(scenario(), 3, 2), method), 0, 3)
    price = method.observations[1].prices["time_s"]
    assert price.waiting == pytest.approx(max(last_s) - sum(last_s) / 3, rel=1e-9)
    assert price.cloud_round - price.waiting == pytest.approx(2.0 * (ends_s - max(last_s)), rel=1e-9)


def test_waiting_for_a_site_that_is_always_last_is_not_what_a_cloud_round_costs_by_itself() -> None:
    terminals = device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": {"kind": "none"}}
    where = world(scenario(terminals=terminals), 3, 2)
    for terminal in (4, 5):
        change(where, terminal, cpu_hz=0.25e9)
    method = Counting(samples=50.0, local_iterations=4, bs_iterations=4, cloud_rounds=4)
    _, last_s = ends(run(where, method), 0, 3)
    wait_s = max(last_s) - sum(last_s) / 3
    assert wait_s > 0.3  # of four times 0.15 s
    first, _, third = (seen.prices["time_s"] for seen in method.observations[1:4])
    assert first.waiting == pytest.approx(wait_s) and third.waiting < 0.02 * wait_s


def test_the_least_time_a_visit_took_and_how_much_longer_it_takes_on_average_are_told() -> None:
    slowdown = {"kind": "bimodal", "slow_probability": 0.5, "slow_factor": 3.0}
    terminals = device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": slowdown}
    where = world(scenario(terminals=terminals), 2, 3)
    change(where, 4, cpu_hz=0.5e9)
    method = Counting(samples=50.0, local_iterations=4, bs_iterations=20, cloud_rounds=2)
    run(where, method)
    first, second = method.observations[:2]
    assert first.seconds_per_sample is None and first.slowdown == 1.0
    assert second.seconds_per_sample == pytest.approx([0.001] * 4 + [0.002, 0.001])
    assert 1.5 < second.slowdown < 2.5


def test_the_law_of_slow_downs_is_found_although_the_slowest_updates_are_never_seen() -> None:
    terminals = device(cpu_hz=1e9, cycles_per_sample=1e6) | {"slowdown": {"kind": "pareto", "tail_index": 2.0}}
    waits = {"policy": "deadline", "deadline_s": 0.15}  # of 0.1 s at best
    made = scenario(budget={"time_s": 1e3}, terminals=terminals, collection=waits)
    method = Counting(samples=50.0, bs_iterations=60, cloud_rounds=4)
    run(world(made, 2, 6), method)
    first, *_, seen = method.observations
    assert (first.deadline_s, first.computed, first.excess, first.upload_s) == (0.15, 0, 0.0, 0.0)
    assert seen.computed / seen.excess == pytest.approx(2.0, rel=0.15)
    assert seen.slowdown < 1.35 < 2.0  # the mean is 2, but not of those that were in time
    assert seen.upload_s > 0.0
