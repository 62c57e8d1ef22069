"""Fading in time: Clarke's autocorrelation, Rayleigh's law at any instant, and no memory of how time was reached."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import j0

from channel_models.fading import Rician
from channel_models.jakes import (
    DEFAULT_SINUSOIDS,
    SumOfSinusoids,
    coherence_time_s,
    doppler_hz,
    with_line_of_sight,
)

LINKS = 40_000


def links(count: int = LINKS, seed: int = 5) -> SumOfSinusoids:
    return SumOfSinusoids.from_uniforms(np.random.default_rng(seed).random((count, 2 * DEFAULT_SINUSOIDS + 1)))


def test_the_autocorrelation_over_the_draws_is_bessels() -> None:
    air, shift_hz, start_s = links(), 97.0, 3.2
    then = air.amplitude(start_s, shift_hz)
    for lag in (0.0, 0.1, 0.25, 0.3827, 0.6, 1.0, 2.0):
        later = air.amplitude(start_s + lag / shift_hz, shift_hz)
        correlation = np.mean(later * np.conj(then))
        assert correlation == pytest.approx(j0(2.0 * np.pi * lag), abs=4.0 / np.sqrt(LINKS))


def test_the_autocorrelation_of_one_link_over_time_is_close_to_bessels() -> None:
    air = SumOfSinusoids.from_uniforms(np.repeat(np.random.default_rng(1).random((1, 33)), 50_000, axis=0))
    times_s = np.arange(50_000) * 0.37
    then = air.amplitude(times_s, 10.0)
    for lag in (0.0, 0.2, 0.5):
        correlation = np.mean(air.amplitude(times_s + lag / 10.0, 10.0) * np.conj(then))
        assert correlation.real == pytest.approx(j0(2.0 * np.pi * lag), abs=0.1)


def test_deep_fades_are_as_frequent_as_rayleighs() -> None:
    gain = links().power_gain(17.0, 5.0)
    assert gain.mean() == pytest.approx(1.0, abs=4.0 / np.sqrt(LINKS))
    for threshold in (0.05, 0.1, 0.5, 1.0, 2.0):
        assert np.mean(gain < threshold) == pytest.approx(-np.expm1(-threshold), abs=4.0 * 0.5 / np.sqrt(LINKS))


@given(st.floats(0.0, 1e4), st.integers(0, 9))
def test_an_instant_has_one_gain_whoever_else_is_asked_and_when(time_s: float, row: int) -> None:
    draws = np.random.default_rng(5).random((10, 33))
    together = SumOfSinusoids.from_uniforms(draws).power_gain(time_s, 40.0)
    alone = SumOfSinusoids.from_uniforms(draws[[row]]).power_gain(np.array([time_s]), np.array([40.0]))
    assert alone[0] == together[row]


def test_a_link_at_rest_keeps_its_gain() -> None:
    air = links(100)
    np.testing.assert_array_equal(air.power_gain(0.0, 0.0), air.power_gain(1e3, 0.0))


def test_walking_driving_and_racing_at_three_and_a_half_gigahertz() -> None:
    speeds_m_s = np.array([3.0, 30.0, 120.0]) / 3.6
    np.testing.assert_allclose(doppler_hz(speeds_m_s, 3.5e9), [9.73, 97.3, 389.2], rtol=1e-3)
    np.testing.assert_allclose(coherence_time_s(speeds_m_s, 3.5e9), [43.5e-3, 4.35e-3, 1.09e-3], rtol=3e-3)
    assert coherence_time_s(0.0, 3.5e9) == np.inf


@pytest.mark.parametrize("k_linear", [0.0, 2.0, 8.0])
def test_a_direct_path_gives_the_rician_law(k_linear: float) -> None:
    u = np.random.default_rng(9).random((LINKS, 2))
    gain = with_line_of_sight(links().amplitude(2.0, 30.0), k_linear, 2.0, 30.0, u)
    for share in (0.05, 0.5, 0.95):
        threshold = Rician(k_linear).quantile(share)
        assert np.mean(gain < threshold) == pytest.approx(share, abs=4.0 * 0.5 / np.sqrt(LINKS))


@pytest.mark.parametrize("shape", [(33,), (4, 32), (4, 1)])
def test_draws_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="2 M"):
        SumOfSinusoids.from_uniforms(np.full(shape, 0.5))
