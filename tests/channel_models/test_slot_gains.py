"""Fading read at equal steps is the fading of those instants, and takes on any law."""

import numpy as np
import pytest

from channel_models.fading import Nakagami, NoFading, Rayleigh, Rician
from channel_models.jakes import SumOfSinusoids
from channel_models.slot_gains import EvenSteps, Reshaped

DOPPLER_HZ = 10.0


def links(number: int) -> SumOfSinusoids:
    return SumOfSinusoids.from_uniforms(np.random.default_rng(0).random((number, 33)))


def test_gains_at_equal_steps_are_those_of_the_instants() -> None:
    fading = links(5)
    for start_s, step_s, count in ((0.0, 1e-3, 20), (3.7, 0.01, 7), (1e4, 0.5e-3, 1)):
        gains = EvenSteps(fading, DOPPLER_HZ).gains(start_s, step_s, count)
        expected = [fading.power_gain(start_s + step * step_s, DOPPLER_HZ) for step in range(count)]
        np.testing.assert_allclose(gains, expected, atol=3e-6)  # those are in single precision


def test_gains_do_not_depend_on_how_they_are_read() -> None:
    one, other = (EvenSteps(links(3), DOPPLER_HZ) for _ in range(2))
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
