"""What slow fading leaves in a rate: against drawn channels, assignments and the ends of its range."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from channel_models.fading import NoFading, Rayleigh, Rician
from channel_models.link_adaptation import McsEnvelope, ShannonGap
from channel_models.scheduling_gain import selection_gain
from channel_models.slow_fading import (
    SLOWEST,
    EfficiencySpread,
    efficiency_spread,
    finish_times,
    rate_factor,
    rivals,
    states_to_choose_from,
)

SHANNON = ShannonGap(gap_db=0.0, max_bit_s_hz=np.inf, min_sinr_db=-np.inf)


@pytest.mark.parametrize(
    ("law", "link"), [(Rayleigh(), SHANNON), (Rician(5.0), ShannonGap()), (Rayleigh(), McsEnvelope(2))]
)
@pytest.mark.parametrize("snr_db", [0.0, 7.5, 20.0])
def test_the_spread_is_that_of_drawn_states(law: Rayleigh, link: ShannonGap, snr_db: float) -> None:
    snr = 10.0 ** (snr_db / 10.0)
    drawn = link.spectral_efficiency(snr * law.quantile(np.random.default_rng(1).random(400_000)))
    assert efficiency_spread(link, law)(snr) == pytest.approx(drawn.std() / drawn.mean(), rel=0.01)


def test_the_spread_at_low_snr_is_that_of_the_power_and_without_fading_there_is_none() -> None:
    assert EfficiencySpread(SHANNON, Rayleigh())(1e-3) == pytest.approx(1.0, rel=5e-3)
    np.testing.assert_allclose(EfficiencySpread(SHANNON, NoFading())(np.array([0.0, 1.0, 1e9])), 0.0, atol=1e-12)
    assert not EfficiencySpread(ShannonGap(min_sinr_db=100.0), Rayleigh())(np.array([0.0, 1.0])).any()


def test_an_endless_upload_has_no_luck_and_a_short_one_that_of_one_state() -> None:
    normal = np.random.default_rng(2).standard_normal(200_000)
    assert set(rate_factor(0.5, np.inf, 1.0, normal[:100]).tolist()) == {1.0}
    short, long = rate_factor(0.2, 0.0, 4.0, normal), rate_factor(0.2, 400.0, 4.0, normal)
    assert (short.mean(), short.std()) == pytest.approx((1.0, 0.1), rel=0.01)
    assert (long.mean(), long.std()) == pytest.approx((1.0, 0.2 * np.sqrt(1.0 / 400.0 / 4.0)), rel=0.01)
    assert rate_factor(2.0, 0.0, 1.0, normal).min() == SLOWEST


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=12))
def test_uploads_that_share_their_time_are_done_when_all_have_had_as_much_as_they_need(alone: list[float]) -> None:
    needed = np.array(alone)
    np.testing.assert_allclose(finish_times(needed), np.minimum.outer(needed, needed).sum(axis=1), rtol=1e-12)


def test_who_cannot_send_at_all_is_never_done_and_delays_the_others() -> None:
    np.testing.assert_array_equal(finish_times(np.array([np.inf, 2.0, np.inf, 1.0])), [np.inf, 7.0, np.inf, 4.0])


def test_the_choice_is_among_all_in_fast_fading_among_sub_bands_for_many_and_none_in_one_state() -> None:
    assert rivals(7, np.inf) == 7
    assert rivals(1, 5.0) == 1
    assert rivals(9, 1.0) == 1
    assert rivals(10**9, 5.0) == pytest.approx(5.0)
    assert states_to_choose_from(8, 0.05, np.inf) == 8
    grid = itertools.product((1, 2, 5, 40), (1.0, 3.0, 50.0))
    assert all(1 <= rivals(n, m) <= min(n, m) for n, m in grid)


@pytest.mark.parametrize(("n", "sub_bands", "snr_db"), [(8, 8, 10.0), (20, 8, 0.0), (20, 2, 10.0), (6, 12, 20.0)])
def test_on_a_channel_that_stands_still_equal_shares_are_worth_as_much_as_the_best_of_the_rivals(
    n: int, sub_bands: int, snr_db: float
) -> None:
    snr, rng = 10.0 ** (snr_db / 10.0), np.random.default_rng(3)
    mean = float(efficiency_mean(snr))
    rates = SHANNON.spectral_efficiency(snr * rng.exponential(size=(24, n, sub_bands)))
    gains = [fair_rates(one).mean() * n / (mean * sub_bands) for one in rates]
    expected = selection_gain(SHANNON, Rayleigh()).gain(rivals(n, sub_bands), snr)
    assert np.mean(gains) == pytest.approx(expected, rel=0.05)


def efficiency_mean(snr: float) -> float:
    nodes, weights = Rayleigh().nodes_and_weights(1024)
    return float(SHANNON.spectral_efficiency(snr * nodes) @ weights)


def fair_rates(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) rates of the largest sum of logarithms, by Frank-Wolfe on the shares of each sub-band."""
    n, sub_bands = rates.shape
    shares = np.full((n, sub_bands), 1.0 / n)
    for step in range(4000):
        best = np.argmax(rates / (shares * rates).sum(axis=1)[:, np.newaxis], axis=0)
        shares *= 1.0 - 2.0 / (step + n + 2.0)
        shares[best, np.arange(sub_bands)] += 2.0 / (step + n + 2.0)
    return np.asarray((shares * rates).sum(axis=1))
