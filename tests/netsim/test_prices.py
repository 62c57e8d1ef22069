"""What a controller is told about prices explains what the last round used, to the last second, joule and byte."""

import pytest
from hypothesis import given, settings

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
