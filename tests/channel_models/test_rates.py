"""Sharing a cell in time and in frequency."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from channel_models.link_adaptation import McsEnvelope, ShannonGap
from channel_models.rates import ofdma_rate, tdma_rate

BAND_HZ = 20e6


def shannon(snr: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log2(1.0 + snr))


def test_known_shares_have_known_rates() -> None:
    np.testing.assert_allclose(tdma_rate(BAND_HZ, np.array([1.0, 4.0]), 5), [4e6, 16e6])
    np.testing.assert_allclose(ofdma_rate(BAND_HZ, np.array([1.0, 3.0]), 5, shannon), 4e6 * np.log2([6.0, 16.0]))


@given(st.floats(1e-4, 1e6))
def test_a_terminal_alone_does_not_care_how_the_cell_is_shared(snr: float) -> None:
    alone = ofdma_rate(BAND_HZ, snr, 1, shannon)
    assert alone == pytest.approx(float(tdma_rate(BAND_HZ, shannon(np.array(snr)), 1)), rel=1e-15)


@given(st.floats(1e-4, 1e6), st.integers(2, 200))
def test_frequency_sharing_among_equals_beats_time_sharing_by_at_most_their_number(snr: float, n: int) -> None:
    terminals = np.full(n, snr)
    in_time = tdma_rate(BAND_HZ, shannon(terminals), n).sum()
    in_frequency = ofdma_rate(BAND_HZ, terminals, n, shannon).sum()
    assert in_time < in_frequency <= n * in_time * (1.0 + 1e-12)


@given(st.lists(st.floats(1e-3, 1e4), min_size=2, max_size=30))
def test_no_terminal_of_any_real_link_is_slower_in_frequency(snr: list[float]) -> None:
    terminals = np.array(snr)
    for link in (ShannonGap(), McsEnvelope()):
        in_time = tdma_rate(BAND_HZ, link.spectral_efficiency(terminals), len(snr))
        in_frequency = ofdma_rate(BAND_HZ, terminals, len(snr), link.spectral_efficiency)
        assert np.all(in_frequency >= in_time * (1.0 - 1e-12))


def test_a_weak_terminal_keeps_its_whole_rate_in_frequency_and_an_nth_in_time() -> None:
    snr, n = 1e-6, 10
    alone = ofdma_rate(BAND_HZ, snr, 1, shannon)
    assert ofdma_rate(BAND_HZ, snr, n, shannon) == pytest.approx(float(alone), rel=1e-5)
    assert tdma_rate(BAND_HZ, shannon(np.array(snr)), n) == pytest.approx(float(alone) / n, rel=1e-12)


def test_a_link_at_its_cap_gains_nothing_from_frequency_sharing() -> None:
    link = McsEnvelope()
    in_time = tdma_rate(BAND_HZ, link.spectral_efficiency(1e6), 8)
    assert ofdma_rate(BAND_HZ, 1e6, 8, link.spectral_efficiency) == in_time


def test_one_call_serves_many_cell_sizes() -> None:
    n = np.array([[1], [2], [4]])
    rates = ofdma_rate(BAND_HZ, np.array([0.1, 10.0]), n, shannon)
    assert rates.shape == (3, 2)
    assert rates[2, 1] == ofdma_rate(BAND_HZ, 10.0, 4, shannon)


@pytest.mark.parametrize("n", [0, np.array([3, -1])])
def test_an_empty_cell_has_no_rate(n: int | NDArray[np.int64]) -> None:
    with pytest.raises(ValueError, match="at least one terminal"):
        tdma_rate(BAND_HZ, 1.0, n)
    with pytest.raises(ValueError, match="at least one terminal"):
        ofdma_rate(BAND_HZ, 1.0, n, shannon)
