"""Interference of the strongest cells against dense sums, and the loads that settle against their theory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_models.layout import hexagonal_sites
from channel_models.link_adaptation import ShannonGap
from channel_models.load_coupling import BLOCK, StrongestCells, settle_loads
from channel_models.path_loss import ENVIRONMENTS

POWER_W, NOISE_W, BANDWIDTH_HZ = 40.0, 4e-13, 20e6
SHANNON = ShannonGap(gap_db=2.0, min_sinr_db=-np.inf)


def network(terminals: int, strongest: int, seed: int = 6, sites: int = 19) -> StrongestCells:
    rng = np.random.default_rng(seed)
    site_xy_m = hexagonal_sites(sites, 500.0)
    xy_m = site_xy_m[rng.integers(0, sites, terminals)] + rng.uniform(-250.0, 250.0, (terminals, 2))
    d2d_m = np.maximum(np.linalg.norm(xy_m[:, None] - site_xy_m, axis=2), 35.0)
    gain = 10.0 ** (-ENVIRONMENTS["UMa"].path_loss_db(False, d2d_m, 3.5e9) / 10.0)
    cell = np.argsort(-gain, axis=1)[:, :strongest]
    return StrongestCells(cell, np.take_along_axis(gain, cell, axis=1), sites)


def dense(near: StrongestCells) -> np.ndarray:
    """Gains to all cells but the serving one, 0 where not among the strongest."""
    gain = np.zeros((len(near.cell), near.cells))
    np.put_along_axis(gain, near.cell[:, 1:], near.gain[:, 1:], axis=1)
    return gain


@given(st.integers(0, 2 * BLOCK + 10), st.integers(1, 8))
@settings(max_examples=15, deadline=None)
def test_interference_is_the_dense_product_in_both_directions(terminals: int, strongest: int) -> None:
    near = network(terminals, strongest)
    rng = np.random.default_rng(1)
    cell_w, terminal_w = rng.random(near.cells), rng.random(terminals)
    np.testing.assert_allclose(near.downlink_interference_w(cell_w), dense(near) @ cell_w, rtol=1e-12)
    np.testing.assert_allclose(near.uplink_interference_w(terminal_w), terminal_w @ dense(near), rtol=1e-11)


def test_only_active_terminals_disturb() -> None:
    near = network(1000, 8)
    active = np.random.default_rng(2).permutation(1000)[:300]
    power_w = np.random.default_rng(3).random(300)
    everybody_w = np.zeros(1000)
    everybody_w[active] = power_w
    np.testing.assert_allclose(
        near.uplink_interference_w(power_w, active), near.uplink_interference_w(everybody_w), rtol=1e-12
    )


def test_what_terminals_send_to_others_is_what_the_others_receive() -> None:
    near, power_w = network(5000, 8), np.random.default_rng(2).random(5000)
    sent_w = (near.gain[:, 1:].sum(axis=1) * power_w).sum()
    assert near.uplink_interference_w(power_w).sum() == pytest.approx(sent_w, rel=1e-12)


def settled(near: StrongestCells, demand_bit_s: np.ndarray, start: float = 0.0) -> np.ndarray:
    return settle_loads(near, demand_bit_s, POWER_W, NOISE_W, BANDWIDTH_HZ, SHANNON.spectral_efficiency, start).activity


@given(st.integers(0, 1000), st.floats(1e4, 2e6))
@settings(max_examples=25, deadline=None)
def test_loads_settle_at_one_point_whether_they_start_idle_or_full(seed: int, mean_bit_s: float) -> None:
    near = network(200, 8, seed)
    demand = np.random.default_rng(seed).exponential(mean_bit_s, 200)
    from_idle, from_full = settled(near, demand), settled(near, demand, start=1.0)
    np.testing.assert_allclose(from_idle, from_full, atol=1e-7)
    assert np.all((from_idle >= 0.0) & (from_idle <= 1.0))


@given(st.integers(0, 1000), st.integers(0, 199), st.floats(1.0, 5.0))
@settings(max_examples=25, deadline=None)
def test_more_demand_anywhere_never_frees_any_cell(seed: int, row: int, factor: float) -> None:
    near = network(200, 8, seed)
    demand = np.random.default_rng(seed).exponential(3e5, 200)
    more = demand.copy()
    more[row] *= factor
    assert np.all(settled(near, more) >= settled(near, demand) - 1e-7)


def test_settled_loads_satisfy_their_equation_and_not_all_cells_are_full() -> None:
    near = network(400, 8)
    demand = np.random.default_rng(0).exponential(4e5, 400)
    loads = settle_loads(near, demand, POWER_W, NOISE_W, BANDWIDTH_HZ, SHANNON.spectral_efficiency)
    sinr = POWER_W * near.gain[:, 0] / (NOISE_W + dense(near) @ loads.activity * POWER_W)
    asked = np.bincount(near.cell[:, 0], demand / (BANDWIDTH_HZ * SHANNON.spectral_efficiency(sinr)), near.cells)
    np.testing.assert_allclose(loads.activity, np.minimum(asked, 1.0), atol=1e-7)
    np.testing.assert_allclose(loads.asked, asked, rtol=1e-6)
    assert 0.0 < loads.activity.min() < 1.0


def test_a_cell_alone_is_as_busy_as_its_demand_over_its_rate() -> None:
    gain = np.array([[1e-11], [1e-12]])
    alone = StrongestCells(np.zeros((2, 1), dtype=np.int64), gain, 1)
    demand = np.array([3e6, 1e6])
    rate = BANDWIDTH_HZ * SHANNON.spectral_efficiency(POWER_W * gain[:, 0] / NOISE_W)
    assert settled(alone, demand) == pytest.approx(np.sum(demand / rate))


def test_two_equal_cells_settle_where_their_scalar_equation_does() -> None:
    gain = np.array([[1e-11, 2e-12], [1e-11, 2e-12]])
    pair = StrongestCells(np.array([[0, 1], [1, 0]]), gain, 2)
    activity = settled(pair, np.array([2e7, 2e7]))
    sinr = POWER_W * 1e-11 / (NOISE_W + activity * POWER_W * 2e-12)
    np.testing.assert_allclose(activity, 2e7 / (BANDWIDTH_HZ * SHANNON.spectral_efficiency(sinr)), rtol=1e-7)
    assert activity[0] == activity[1] > 2e7 / (BANDWIDTH_HZ * SHANNON.spectral_efficiency(POWER_W * 1e-11 / NOISE_W))


def test_a_terminal_out_of_reach_fills_its_cell_only_if_it_wants_something() -> None:
    near = StrongestCells(np.array([[0, 1], [1, 0]]), np.array([[0.0, 0.0], [1e-11, 0.0]]), 2)
    assert settled(near, np.array([1.0, 0.0])).tolist() == [1.0, 0.0]
    assert settled(near, np.array([0.0, 0.0])).tolist() == [0.0, 0.0]


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match=r"both be \(terminals, K\)"):
        StrongestCells(np.zeros((3, 2), dtype=np.int64), np.zeros((3, 1)), 4)
    with pytest.raises(ValueError, match="numbered 0 to 3, got 0 to 4"):
        StrongestCells(np.array([[0, 4]]), np.zeros((1, 2)), 4)
    with pytest.raises(ValueError, match="demands"):
        settled(network(3, 2), np.array([1.0, -1.0, 1.0]))
    with pytest.raises(RuntimeError, match="after 2 sweeps"):
        settle_loads(
            network(200, 8),
            np.full(200, 3e5),
            POWER_W,
            NOISE_W,
            BANDWIDTH_HZ,
            SHANNON.spectral_efficiency,
            max_sweeps=2,
        )
