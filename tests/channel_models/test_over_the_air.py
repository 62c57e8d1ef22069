"""Closed forms of over-the-air aggregation against the channel itself, drawn many times."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from channel_models.fading import FadingLaw, Nakagami, NoFading, Rayleigh, Rician
from channel_models.over_the_air import (
    aligned_power_w,
    inversion_power,
    mean_misalignment,
    misalignment_mse,
    noise_mse,
    radiated_power_w,
    sum_noise_std,
    transfer_s,
    truncation_ratio,
)

MANY = 400_000
LAWS = [NoFading(), Rayleigh(), Rician(0.7), Rician(8.0)]
THRESHOLDS = st.floats(1e-4, 1.0)


def drawn(law: FadingLaw, count: int = MANY, seed: int = 1) -> NDArray[np.float64]:
    """Return power gains of a law."""
    return law.quantile(np.random.default_rng(seed).uniform(size=count))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("threshold", [0.032, 0.3, 0.9])
def test_the_share_kept_silent_and_the_cost_of_inversion_are_those_of_drawn_channels(
    law: FadingLaw, threshold: float
) -> None:
    gain = drawn(law)
    silent = (gain < threshold).mean()
    assert silent == pytest.approx(truncation_ratio(law, threshold), abs=4.0 * np.sqrt(0.25 / MANY))
    cost = np.where(gain >= threshold, 1.0 / gain, 0.0)
    assert cost.mean() == pytest.approx(inversion_power(law, threshold), abs=4.0 * cost.std() / np.sqrt(MANY) + 1e-12)


@given(THRESHOLDS)
def test_rayleigh_fading_has_the_closed_forms_of_the_literature(threshold: float) -> None:
    assert truncation_ratio(Rayleigh(), threshold) == pytest.approx(1.0 - np.exp(-threshold), rel=1e-12)
    assert inversion_power(Rayleigh(), threshold) == pytest.approx(float(special.exp1(threshold)), rel=1e-12)


@given(THRESHOLDS)
def test_a_rician_channel_without_a_dominant_path_is_rayleigh_and_one_without_scatter_does_not_fade(
    threshold: float,
) -> None:
    assert inversion_power(Rician(0.0), threshold) == pytest.approx(inversion_power(Rayleigh(), threshold), rel=1e-12)
    assert truncation_ratio(Rician(0.0), threshold) == pytest.approx(truncation_ratio(Rayleigh(), threshold), rel=1e-9)
    assert inversion_power(Rician(1e5), 0.5 * threshold) == pytest.approx(1.0, rel=1e-4)
    assert truncation_ratio(Rician(1e5), 0.5 * threshold) < 1e-12


@given(st.floats(1e-300, 1e-6))
def test_inverting_every_rayleigh_channel_would_take_power_without_bound(threshold: float) -> None:
    assert inversion_power(Rayleigh(), threshold) > -np.log(threshold) - 0.58


@pytest.mark.parametrize("make", [truncation_ratio, inversion_power])
def test_what_has_no_closed_form_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="threshold"):
        make(Rayleigh(), 0.0)
    with pytest.raises(ValueError, match="Rician"):
        make(Nakagami(2.0), 0.1)


@settings(max_examples=30)
@given(st.floats(0.01, 1.0), st.floats(1e-12, 1e-6), st.integers(1, 2000), THRESHOLDS)
def test_who_arrives_as_strong_as_it_can_radiates_all_its_power_and_the_others_in_proportion(
    power_w: float, gain: float, subcarriers: int, threshold: float
) -> None:
    c = inversion_power(Rayleigh(), threshold)
    rho0_w = float(aligned_power_w(power_w, gain, c, subcarriers))
    assert rho0_w == pytest.approx(power_w * gain / (subcarriers * special.exp1(threshold)), rel=1e-12)
    assert radiated_power_w(rho0_w, gain, c, subcarriers) == pytest.approx(power_w, rel=1e-12)
    assert radiated_power_w(rho0_w, 4.0 * gain, c, subcarriers) == pytest.approx(power_w / 4.0, rel=1e-12)


def test_a_transfer_takes_as_many_symbols_as_the_values_fill() -> None:
    assert transfer_s(1_000_000, 1200, 71.4e-6) == pytest.approx(834 * 71.4e-6)  # about 60 ms
    assert transfer_s(1200, 1200, 1.0) == 1.0
    assert transfer_s(1201, 1200, 1.0) == 2.0
    for values, subcarriers in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="needs values"):
            transfer_s(values, subcarriers, 1.0)


@dataclass(frozen=True)
class Experiment:
    """Terminals that invert drawn channels, add up in the air, and are heard with noise; all complex.

    Args:
        gains: large-scale power gain of each sender.
        noise_w: noise power of a sub-carrier.
        threshold: below it nobody sends.
        phase_error_rad: deviation of the phase with which symbols arrive.
        power_w: mean power of each sender over 1 sub-carrier.
    """

    gains: tuple[float, ...]
    noise_w: float
    threshold: float = 0.05
    phase_error_rad: float = 0.0
    power_w: float = 0.2

    @property
    def rho0_w(self) -> float:
        """What all agree on."""
        c = inversion_power(Rayleigh(), self.threshold)
        return float(aligned_power_w(self.power_w, np.array(self.gains), c, 1).min())

    def errors(self, seed: int = 0, count: int = MANY) -> tuple[Any, Any, Any]:
        """Return errors of the complex estimate, transmitted |p x|^2 by sender, and the in-phase amplitudes."""
        rng = np.random.default_rng(seed)
        K = len(self.gains)
        G = np.array(self.gains)[:, None]
        h = np.sqrt(G) * (rng.normal(size=(K, count)) + 1j * rng.normal(size=(K, count))) / np.sqrt(2.0)
        x = rng.normal(size=(K, count))
        heard = np.abs(h) ** 2 / G >= self.threshold
        p = np.where(heard, np.sqrt(self.rho0_w) * h.conj() / np.abs(h) ** 2, 0.0)
        phase = self.phase_error_rad * rng.normal(size=(K, count))
        z = np.sqrt(self.noise_w / 2.0) * (rng.normal(size=count) + 1j * rng.normal(size=count))
        y = np.sum(h * p * np.exp(1j * phase) * x, axis=0) + z
        estimate = y / (K * np.sqrt(self.rho0_w))
        return estimate - x.mean(axis=0), np.abs(p * x) ** 2, heard * np.cos(phase)


def close(sample: Any, expected: float) -> None:
    """Require the mean of a sample within four standard errors."""
    assert sample.mean() == pytest.approx(expected, abs=4.0 * sample.std() / np.sqrt(len(sample)))


def test_with_perfect_alignment_the_error_of_the_aggregate_is_noise_alone_and_half_of_it_in_phase() -> None:
    trial = Experiment((3e-9, 1e-9, 2e-9), noise_w=4e-11, threshold=1e-9)
    error, _, _ = trial.errors()
    close(np.abs(error) ** 2, float(noise_mse(trial.noise_w, trial.rho0_w, 3)))
    close(error.real**2, (float(sum_noise_std(trial.noise_w, trial.rho0_w)) / 3.0) ** 2)
    assert float(sum_noise_std(trial.noise_w, trial.rho0_w)) ** 2 / 9.0 == pytest.approx(
        0.5 * float(noise_mse(trial.noise_w, trial.rho0_w, 3))
    )


@pytest.mark.parametrize("phase_error_rad", [0.0, 0.4])
def test_silence_and_phase_errors_add_the_misalignment_to_the_error(phase_error_rad: float) -> None:
    trial = Experiment((3e-9, 1e-9, 2e-9, 2e-9), 4e-11, threshold=0.2, phase_error_rad=phase_error_rad)
    error, _, amplitude = trial.errors()
    silent = truncation_ratio(Rayleigh(), 0.2)
    expected = float(mean_misalignment(silent, phase_error_rad)) / 4.0
    close(misalignment_mse(amplitude), expected)
    close(error.real**2, expected + 0.5 * float(noise_mse(trial.noise_w, trial.rho0_w, 4)))


def test_every_sender_keeps_its_mean_power_and_the_worst_needs_all_of_it() -> None:
    trial = Experiment((5e-9, 1e-9, 2e-9), 1e-12)
    _, powers, _ = trial.errors()
    c = inversion_power(Rayleigh(), trial.threshold)
    expected = radiated_power_w(trial.rho0_w, np.array(trial.gains), c, 1)
    assert expected == pytest.approx([0.04, 0.2, 0.1])
    for sent, mean in zip(powers, expected, strict=True):
        close(sent, float(mean))


def test_more_senders_average_the_noise_down_with_their_number() -> None:
    few, many = (Experiment((1e-9,) * K, 1e-10, threshold=1e-9) for K in (2, 16))
    assert few.rho0_w == many.rho0_w
    std = [trial.errors(count=100_000)[0].real.std() for trial in (few, many)]
    assert std[0] / std[1] == pytest.approx(8.0, rel=0.02)


def test_a_perfect_alignment_has_no_error_and_silence_loses_all() -> None:
    assert misalignment_mse(np.ones((5, 3))) == pytest.approx(np.zeros(3))
    assert misalignment_mse(np.zeros((5, 3)), variance=2.0) == pytest.approx(np.full(3, 2.0 / 5.0))
    assert mean_misalignment(1.0, 0.7) == 1.0
    assert mean_misalignment(0.0, 0.0) == 0.0
