"""NR's grid: slots and spacings halve and double together, and blocks fit into their channels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models.numerology import RESOURCE_BLOCKS, Numerology


def test_a_slot_holds_fourteen_symbols_whatever_the_spacing() -> None:
    for mu in range(5):
        grid = Numerology(mu)
        # With its cyclic prefix (7 % on average) a symbol lasts 1/14 of a slot.
        assert grid.slot_s * grid.subcarrier_spacing_hz == pytest.approx(15.0)
        assert grid.block_hz == 12.0 * grid.subcarrier_spacing_hz
    assert (Numerology(1).subcarrier_spacing_hz, Numerology(1).slot_s) == (30e3, 0.5e-3)
    assert Numerology(0).elements_per_block_slot == 168


def test_the_blocks_of_every_channel_in_the_table_fit_into_it_and_fill_most_of_it() -> None:
    for mu, blocks in RESOURCE_BLOCKS.items():
        for bandwidth_mhz, count in blocks.items():
            assert Numerology(mu).resource_blocks(bandwidth_mhz * 1e6) == count
            assert 0.85 < Numerology(mu).occupied_hz(bandwidth_mhz * 1e6) / (bandwidth_mhz * 1e6) < 0.99


def test_twenty_megahertz_hold_106_blocks_of_15_kilohertz_and_51_of_30() -> None:
    assert [Numerology(mu).resource_blocks(20e6) for mu in (0, 1)] == [106, 51]


@given(st.integers(0, 4), st.floats(5e6, 400e6))
def test_blocks_never_exceed_their_channel(mu: int, bandwidth_hz: float) -> None:
    assert Numerology(mu).occupied_hz(bandwidth_hz) <= bandwidth_hz


def test_a_channel_near_one_of_the_table_but_not_it_is_not_taken_for_it() -> None:
    assert Numerology(0).resource_blocks(20.2e6) == int(0.95 * 20.2e6 / 180e3)


def test_what_no_grid_is_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 4, got 5"):
        Numerology(5)
    with pytest.raises(ValueError, match="no resource block"):
        Numerology(3).resource_blocks(1e6)
