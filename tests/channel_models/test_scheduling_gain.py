"""Multi-user diversity against its closed form for Rayleigh fading, drawn selection, and its limits."""

import numpy as np
import pytest

from channel_models.fading import ErgodicSpectralEfficiency, NoFading, Rayleigh, Rician
from channel_models.link_adaptation import McsEnvelope, ShannonGap
from channel_models.scheduling_gain import BestOf, SelectionGain, rayleigh_best_of_se, selection_gain

SHANNON = ShannonGap(gap_db=0.0, max_bit_s_hz=np.inf, min_sinr_db=-np.inf)


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 7.3, 20.0, 35.0])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 16])
def test_the_table_is_the_closed_form_for_rayleigh_fading(n: int, snr_db: float) -> None:
    snr = 10.0 ** (snr_db / 10.0)
    expected = rayleigh_best_of_se(snr, n) / rayleigh_best_of_se(snr, 1)
    assert SelectionGain(SHANNON, Rayleigh()).gain(n, snr) == pytest.approx(expected, rel=5e-4)


@pytest.mark.parametrize("n", [5, 7, 13, 23])
def test_between_its_numbers_of_terminals_the_table_is_close_to_the_quadrature(n: int) -> None:
    table = SelectionGain(SHANNON, Rayleigh())
    gains, weights = BestOf(Rayleigh(), n).nodes_and_weights(2048)
    for snr in (0.1, 1.0, 10.0, 100.0):
        expected = SHANNON.spectral_efficiency(snr * gains) @ weights / rayleigh_best_of_se(snr, 1)
        assert table.gain(n, snr) == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize(("law", "link"), [(Rayleigh(), McsEnvelope(2)), (Rician(5.0), ShannonGap(2.0))])
@pytest.mark.parametrize("n", [2, 8])
def test_the_gain_is_what_serving_the_best_of_drawn_terminals_brings(law: Rayleigh, link: ShannonGap, n: int) -> None:
    drawn = law.quantile(np.random.default_rng(3).random((200_000, n)))
    for snr_db in (0.0, 12.0):
        snr = 10.0 ** (snr_db / 10.0)
        best, mean = (link.spectral_efficiency(snr * gain).mean() for gain in (drawn.max(axis=1), drawn))
        assert selection_gain(link, law).gain(n, snr) == pytest.approx(best / mean, rel=0.01)


def test_at_low_snr_the_gain_is_the_harmonic_number_and_without_fading_there_is_none() -> None:
    low = SelectionGain(SHANNON, Rayleigh())
    for n in (2, 4, 16):
        assert low.gain(n, 1e-3) == pytest.approx(sum(1.0 / k for k in range(1, n + 1)), rel=0.01)
    none = SelectionGain(SHANNON, NoFading())
    assert {none.gain(n, snr) for n in (1, 3, 1000, 10_000) for snr in (0.0, 1e-5, 1.0, 1e9)} == {1.0}


def test_the_gain_grows_with_the_number_and_never_beyond_it() -> None:
    table = SelectionGain(ShannonGap(2.0), Rayleigh())
    for snr in (0.0, 1e-4, 0.03, 1.0, 50.0, 1e8):
        gains = [table.gain(n, snr) for n in (1, 2, 3, 5, 10, 100, 4096, 10_000)]
        assert gains == sorted(gains)
        assert all(1.0 <= gain <= n for gain, n in zip(gains, (1, 2, 3, 5, 10, 100, 4096, 10_000), strict=True))


def test_the_best_of_one_is_the_law_itself() -> None:
    one, itself = (ErgodicSpectralEfficiency(ShannonGap(), law) for law in (BestOf(Rayleigh(), 1), Rayleigh()))
    np.testing.assert_allclose(one(np.array([0.5, 5.0])), itself(np.array([0.5, 5.0])), rtol=1e-12)
