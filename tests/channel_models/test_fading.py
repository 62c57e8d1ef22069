"""Fading laws against their moments and against draws from their physical construction."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, stats

from channel_models.fading import (
    ErgodicSpectralEfficiency,
    FadingLaw,
    Nakagami,
    NoFading,
    Rayleigh,
    Rician,
    rayleigh_ergodic_se,
)
from channel_models.link_adaptation import LinkAdaptation, McsEnvelope, ShannonGap
from channel_models.units import db_to_linear

SHANNON = ShannonGap(gap_db=0.0, max_bit_s_hz=np.inf, min_sinr_db=-np.inf)
RANDOM_LAWS: list[FadingLaw] = [
    Rayleigh(),
    Rician(0.0),
    Rician(0.5),
    Rician(7.94),
    Rician(200.0),
    Rician(1e5),
    Nakagami(0.5),
    Nakagami(1.0),
    Nakagami(3.7),
    Nakagami(100.0),
]


def gain_variance(law: FadingLaw) -> float:
    """Textbook variance of the power gain."""
    if isinstance(law, Rician):
        return (1.0 + 2.0 * law.k_linear) / (1.0 + law.k_linear) ** 2
    return 1.0 / law.m if isinstance(law, Nakagami) else 1.0


def draw_gains(law: FadingLaw, count: int) -> NDArray[np.float64]:
    """Power gains from complex amplitudes (or the Gamma law for Nakagami), not from the quantile function."""
    rng = np.random.default_rng(20)
    if isinstance(law, Nakagami):
        return rng.gamma(law.m, 1.0 / law.m, count)
    k = law.k_linear if isinstance(law, Rician) else 0.0
    scatter = (rng.standard_normal(count) + 1j * rng.standard_normal(count)) * np.sqrt(0.5 / (k + 1.0))
    return np.abs(np.sqrt(k / (k + 1.0)) + scatter) ** 2


@pytest.mark.parametrize("law", RANDOM_LAWS, ids=repr)
def test_each_law_has_mean_one_and_its_textbook_variance(law: FadingLaw) -> None:
    gains, weights = law.nodes_and_weights(256)
    assert gains.shape == weights.shape == (256,)
    assert weights.sum() == pytest.approx(1.0, abs=1e-14)
    assert weights @ gains == pytest.approx(1.0, abs=1e-10)
    assert weights @ (gains - 1.0) ** 2 == pytest.approx(gain_variance(law), rel=1e-9)


@pytest.mark.parametrize("law", RANDOM_LAWS, ids=repr)
def test_drawn_gains_follow_the_quantile_function(law: FadingLaw) -> None:
    share = np.linspace(0.02, 0.98, 49)
    gains = draw_gains(law, 100_000)
    below = np.mean(gains[:, None] < law.quantile(share), axis=0)
    # 4.5 standard errors of a share estimated from 1e5 draws.
    np.testing.assert_allclose(below, share, atol=4.5 * np.sqrt(0.25 / 1e5))


@pytest.mark.parametrize("law", [Rayleigh(), Rician(7.94), Nakagami(2.0)], ids=repr)
@pytest.mark.parametrize("link", [ShannonGap(), McsEnvelope(1)], ids=repr)
def test_the_ergodic_table_is_the_mean_over_drawn_gains(law: FadingLaw, link: LinkAdaptation) -> None:
    table = ErgodicSpectralEfficiency(link, law)
    gains = draw_gains(law, 100_000)
    for snr_db in (-8.0, 0.0, 10.0, 25.0):
        drawn = link.spectral_efficiency(db_to_linear(snr_db) * gains)
        standard_error = drawn.std() / np.sqrt(drawn.size)
        assert abs(table(db_to_linear(snr_db)) - drawn.mean()) < 4.5 * standard_error + 1e-3


@pytest.mark.parametrize("law", [Rayleigh(), Rician(8.0)], ids=repr)
@pytest.mark.parametrize("link", [ShannonGap(), McsEnvelope(2)], ids=repr)
def test_the_steps_of_a_link_law_cost_less_than_a_thousandth_of_a_bit(law: FadingLaw, link: LinkAdaptation) -> None:
    gains, weights = law.nodes_and_weights(30_001)
    snr = db_to_linear(np.linspace(-15.0, 30.0, 151))
    finely = [link.spectral_efficiency(level * gains) @ weights for level in snr]
    np.testing.assert_allclose(ErgodicSpectralEfficiency(link, law)(snr), finely, rtol=0.0, atol=1e-3)


def test_the_ergodic_table_of_shannon_in_rayleigh_fading_is_the_closed_form() -> None:
    table = ErgodicSpectralEfficiency(SHANNON, Rayleigh())
    snr = db_to_linear(np.linspace(-40.0, 80.0, 1237))
    np.testing.assert_allclose(table(snr), rayleigh_ergodic_se(snr), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("law", [Rician(0.0), Nakagami(1.0)], ids=repr)
def test_laws_that_contain_rayleigh_reduce_to_it(law: FadingLaw) -> None:
    share = np.concatenate([np.geomspace(1e-14, 0.1, 40), np.linspace(0.1, 0.999999, 40)])
    np.testing.assert_allclose(law.quantile(share), Rayleigh().quantile(share), rtol=1e-9)


@pytest.mark.parametrize("law", [Rician(1e6), Nakagami(1e6), NoFading()], ids=repr)
def test_a_vanishing_scatter_leaves_the_link_law_unchanged(law: FadingLaw) -> None:
    table = ErgodicSpectralEfficiency(SHANNON, law)
    snr = db_to_linear(np.linspace(-30.0, 60.0, 200))
    np.testing.assert_allclose(table(snr), np.log2(1.0 + snr), rtol=1e-4)


def test_deeper_fading_carries_less_for_a_concave_link() -> None:
    snr = db_to_linear(np.linspace(-20.0, 40.0, 61))
    laws = (Nakagami(0.5), Rayleigh(), Rician(2.0), Rician(10.0), NoFading())
    means = [ErgodicSpectralEfficiency(SHANNON, law)(snr) for law in laws]
    for deeper, shallower in pairwise(means):
        assert np.all(deeper < shallower)


def test_the_closed_form_is_the_integral_it_stands_for() -> None:
    for snr in (1e-3, 0.0199, 0.0201, 1.0, 300.0):
        value, _ = integrate.quad(lambda x, g=snr: np.log2(1.0 + g * x) * np.exp(-x), 0.0, 60.0, epsabs=1e-13)
        assert rayleigh_ergodic_se(snr) == pytest.approx(value, rel=1e-9)


def test_the_closed_form_survives_any_snr() -> None:
    snr = np.array([0.0, 1e-300, 1e-12, 1e12, 1e300])
    huge = (np.log(snr[3:]) - np.euler_gamma) / np.log(2.0)
    np.testing.assert_allclose(rayleigh_ergodic_se(snr)[:3], snr[:3] / np.log(2.0), rtol=1e-11)
    np.testing.assert_allclose(rayleigh_ergodic_se(snr)[3:], huge, rtol=1e-10)
    around_switch = rayleigh_ergodic_se(np.array([0.02 * (1 - 1e-12), 0.02 * (1 + 1e-12)]))
    assert around_switch[1] == pytest.approx(around_switch[0], rel=1e-11)


@given(st.floats(1e-6, 1e9))
def test_one_number_and_an_array_read_the_same_table(snr: float) -> None:
    assert TABLE.scalar(snr) == pytest.approx(float(TABLE(np.array([snr]))[0]), rel=1e-13)
    assert TABLE.spectral_efficiency(snr) == TABLE(snr)


@given(st.floats(0.0, 1e9), st.floats(0.0, 1e9))
def test_a_stronger_link_never_carries_less(a: float, b: float) -> None:
    weak, strong = TABLE(np.sort([a, b]))
    assert weak <= strong


def test_the_table_is_zero_below_its_range_and_flat_above() -> None:
    table = ErgodicSpectralEfficiency(SHANNON, Rayleigh())
    assert table(db_to_linear(-40.1)) == table.scalar(db_to_linear(-40.1)) == table.scalar(0.0) == 0.0
    assert table(db_to_linear(-39.9)) > 0.0
    assert table(db_to_linear(95.0)) == table(1e8) == table.scalar(db_to_linear(95.0))
    assert table(np.zeros((2, 0, 3))).shape == (2, 0, 3)


def test_the_grids_are_the_table_and_writing_to_them_does_not_change_it() -> None:
    snr = db_to_linear(np.linspace(-45.0, 85.0, 300))
    before = TABLE(snr)
    points, efficiency = TABLE.snr_grid, TABLE.efficiency_grid
    np.testing.assert_array_equal(np.interp(snr, points, efficiency, left=0.0), before)
    points[:], efficiency[:] = 0.0, 0.0
    np.testing.assert_array_equal(TABLE(snr), before)


def test_a_rician_gain_is_a_scaled_noncentral_chi_square() -> None:
    gain = Rician(4.0).quantile(np.array([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(stats.ncx2.cdf(gain * 10.0, 2, 8.0), [0.1, 0.5, 0.9], rtol=1e-9)


def test_impossible_laws_are_refused() -> None:
    with pytest.raises(ValueError, match="Rician factor"):
        Rician(-0.1)
    with pytest.raises(ValueError, match="Nakagami shape"):
        Nakagami(0.4)
    with pytest.raises(ValueError, match="at least 2 nodes"):
        Rayleigh().nodes_and_weights(1)


TABLE = ErgodicSpectralEfficiency(McsEnvelope(), Rician(3.0))
