"""Fading in time: Rayleigh at every instant, correlated as Clarke says, the same however it is read."""

import numpy as np
import pytest
from scipy.special import j0

from channel_models.clarke import ClarkeFading, Reshaped
from channel_models.fading import Nakagami, NoFading, Rayleigh, Rician

DOPPLER_HZ = 10.0


def fading(links: int, seed: int = 0, paths: int = 16) -> ClarkeFading:
    return ClarkeFading(np.random.default_rng(seed).random((links, 1 + 2 * paths)), DOPPLER_HZ)


def test_at_any_time_the_gains_of_many_links_follow_the_exponential_law() -> None:
    links = fading(40_000)
    for start_s in (0.0, 3.7, 1e4):
        (gains,) = links.gains(start_s, 1e-3, 1)
        assert gains.mean() == pytest.approx(1.0, rel=0.02)
        for level in (0.1, 0.5, 1.0, 3.0):
            assert np.mean(gains < level) == pytest.approx(1.0 - np.exp(-level), abs=0.01)


def test_over_a_long_time_every_link_has_mean_gain_one() -> None:
    gains = fading(6, seed=1).gains(0.0, 7.3e-3, 200_000)
    np.testing.assert_allclose(gains.mean(axis=0), 1.0, rtol=0.03)


def test_gains_are_correlated_in_time_as_the_square_of_the_bessel_function() -> None:
    # For complex normal amplitudes the correlation of |h(0)|^2 and |h(tau)|^2 is J0(2 pi f_D tau)^2.
    gains = fading(30_000, seed=2).gains(1.0, 2e-3, 60)
    for step in (1, 5, 10, 19, 35, 59):
        correlation = np.corrcoef(gains[0], gains[step])[0, 1]
        assert correlation == pytest.approx(j0(2.0 * np.pi * DOPPLER_HZ * step * 2e-3) ** 2, abs=0.05)


def test_links_fade_independently() -> None:
    gains = fading(4, seed=3).gains(0.0, 0.05, 40_000)
    correlation = np.corrcoef(gains.T)
    assert np.all(np.abs(correlation - np.eye(4)) < 0.1)


def test_gains_do_not_depend_on_how_they_are_read() -> None:
    one, other = fading(3), fading(3)
    whole = one.gains(0.5, 1e-3, 20)
    parts = [other.gains(0.5 + 1e-3 * first, 1e-3, count) for first, count in ((13, 7), (0, 7), (7, 6))]
    np.testing.assert_allclose(np.concatenate([parts[1], parts[2], parts[0]]), whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("law", [Rician(5.0), Nakagami(2.5), Rayleigh(), NoFading()])
def test_gains_of_another_law_follow_it_and_keep_their_order(law: Rician) -> None:
    drawn = np.random.default_rng(4).exponential(size=200_000)
    reshaped = Reshaped(law)(drawn)
    for share in (0.02, 0.3, 0.5, 0.9, 0.999):
        assert np.quantile(reshaped, share) == pytest.approx(float(law.quantile(np.array(share))), rel=0.05)
    order = np.argsort(drawn)
    assert np.all(np.diff(reshaped[order]) >= 0.0)
