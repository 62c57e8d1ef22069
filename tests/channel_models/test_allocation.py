"""Bandwidth allocation: optimality shown by perturbation, closed forms against tables, and what cannot be done."""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_models.allocation import (
    ShannonLinks,
    Work,
    energy_minimal,
    equal_split,
    min_max_delay,
    proportional_split,
    shannon_slice_hz,
    transmit_energy_split,
)
from channel_models.fading import ErgodicSpectralEfficiency, NoFading, Rayleigh
from channel_models.link_adaptation import McsEnvelope, ShannonGap
from channel_models.slice_law import SliceLaw
from channel_models.units import FloatArray

TOTAL_HZ = 1e6
SHANNON = ShannonGap(gap_db=0.0, max_bit_s_hz=np.inf, min_sinr_db=-np.inf)
LINKS = [SHANNON, ShannonGap(2.0), McsEnvelope(1)]
FEW = settings(max_examples=30, deadline=None)


def some(n: int, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return bits, ready times and SNR x hertz of n terminals at -10 to 20 dB over the band."""
    random = np.random.default_rng(seed)
    return random.uniform(1e5, 5e5, n), random.uniform(0.05, 0.5, n), TOTAL_HZ * 10.0 ** random.uniform(-1.0, 2.0, n)


def shannon_bps(slices_hz: FloatArray, snr_hz: FloatArray) -> FloatArray:
    return np.asarray(slices_hz * np.log2(1.0 + snr_hz / slices_hz))


@given(st.floats(1e2, 1e8), st.floats(1e3, 1e12))
def test_the_narrowest_slice_by_lamberts_function_carries_the_rate_or_none_does(rate: float, snr_hz: float) -> None:
    (slice_hz,) = shannon_slice_hz(np.array([rate]), np.array([snr_hz]))
    if rate * math.log(2.0) >= snr_hz:  # what an infinite band would carry
        assert slice_hz == math.inf
    elif slice_hz < 1e4 * snr_hz:  # beyond, the logarithm below is rounded
        assert slice_hz * math.log1p(snr_hz / slice_hz) / math.log(2.0) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("law", [NoFading(), Rayleigh()])
def test_a_table_read_backwards_gives_the_rate_that_was_asked_for_and_no_narrower_slice_does(
    link: ShannonGap, law: NoFading
) -> None:
    table = ErgodicSpectralEfficiency(link, law)
    backwards = SliceLaw(table.snr_grid, table.efficiency_grid)
    random = np.random.default_rng(4)
    rate, snr_hz = 10.0 ** random.uniform(3, 7, 3000), 10.0 ** random.uniform(4, 9, 3000)
    slices_hz = backwards.slice_hz(rate, snr_hz)
    possible = np.isfinite(slices_hz)
    assert 0.2 < possible.mean() < 1.0
    for wanted, snr, hz in zip(rate[possible], snr_hz[possible], slices_hz[possible], strict=True):
        assert hz * table.scalar(snr / hz) == pytest.approx(wanted, rel=1e-12)
        assert np.all(np.array([0.5, 0.9, 0.999]) * hz * table(snr / hz / np.array([0.5, 0.9, 0.999])) < wanted)
    every_hz = np.geomspace(1.0, 1e9, 400)
    for wanted, snr in zip(rate[~possible][:50], snr_hz[~possible][:50], strict=True):
        assert np.all(every_hz * table(snr / every_hz) < wanted)


@pytest.mark.parametrize("link", LINKS)
def test_the_least_snr_for_an_efficiency_is_the_one_at_which_the_table_shows_it(link: ShannonGap) -> None:
    table = ErgodicSpectralEfficiency(link, Rayleigh())
    backwards = SliceLaw(table.snr_grid, table.efficiency_grid)
    efficiency = np.linspace(1e-3, table.efficiency_grid[-1], 500)
    np.testing.assert_allclose(table(backwards.snr(efficiency)), efficiency, rtol=1e-12)
    assert backwards.snr(table.efficiency_grid[-1:] * 1.001) == np.inf


def test_a_table_of_shannons_law_agrees_with_lamberts_function() -> None:
    table = ErgodicSpectralEfficiency(SHANNON, NoFading())
    rate, snr_hz = np.geomspace(1e4, 1e6, 50), np.geomspace(1e9, 3e6, 50)
    tabulated = SliceLaw(table.snr_grid, table.efficiency_grid).slice_hz(rate, snr_hz)
    np.testing.assert_allclose(tabulated, shannon_slice_hz(rate, snr_hz), rtol=1e-4)


@FEW
@given(st.integers(1, 40), st.integers(0, 1000))
def test_with_min_max_delay_all_finish_together_in_a_full_band_and_earlier_than_with_equal_slices(
    n: int, seed: int
) -> None:
    bits, ready_s, snr_hz = some(n, seed)
    slices_hz, end_s = min_max_delay(bits, ready_s, partial(shannon_slice_hz, snr_hz=snr_hz), TOTAL_HZ)
    np.testing.assert_allclose(ready_s + bits / shannon_bps(slices_hz, snr_hz), end_s, rtol=1e-9)
    assert slices_hz.sum() == pytest.approx(TOTAL_HZ, rel=1e-9)
    for other_hz in (
        equal_split(n, TOTAL_HZ),
        proportional_split(bits, np.log2(1.0 + snr_hz / TOTAL_HZ), TOTAL_HZ),
    ):
        assert other_hz.sum() == pytest.approx(TOTAL_HZ, rel=1e-12)
        latest_s = np.max(ready_s + bits / shannon_bps(other_hz, snr_hz))
        assert latest_s > end_s * (1.0 + 1e-6) or n == 1


def test_no_shift_of_bandwidth_makes_the_last_upload_of_min_max_delay_earlier() -> None:
    bits, ready_s, snr_hz = some(8, 5)
    slices_hz, end_s = min_max_delay(bits, ready_s, partial(shannon_slice_hz, snr_hz=snr_hz), TOTAL_HZ)
    random = np.random.default_rng(6)
    for _ in range(200):
        other_hz = slices_hz * np.exp(random.normal(0.0, random.choice([1e-3, 0.05, 0.5]), 8))
        other_hz *= TOTAL_HZ / other_hz.sum()
        assert np.max(ready_s + bits / shannon_bps(other_hz, snr_hz)) > end_s


def test_min_max_delay_takes_any_link_law_that_can_be_read_backwards() -> None:
    bits, ready_s, snr_hz = some(10, 7)
    table = ErgodicSpectralEfficiency(McsEnvelope(2), Rayleigh())
    law = SliceLaw(table.snr_grid, table.efficiency_grid)
    slices_hz, end_s = min_max_delay(bits, ready_s, partial(law.slice_hz, snr_hz=snr_hz), TOTAL_HZ)
    np.testing.assert_allclose(ready_s + bits / (slices_hz * table(snr_hz / slices_hz)), end_s, rtol=1e-9)
    assert slices_hz.sum() <= TOTAL_HZ * (1.0 + 1e-12)


def test_min_max_delay_refuses_a_terminal_that_cannot_send_at_all() -> None:
    def deaf(rate_bps: FloatArray) -> FloatArray:
        return np.full(len(rate_bps), np.inf)

    with pytest.raises(ValueError, match="cannot send at all"):
        min_max_delay(np.ones(2), np.zeros(2), deaf, TOTAL_HZ)


def transmit_j(slices_hz: FloatArray, bits: FloatArray, slot_s: FloatArray, gain: FloatArray) -> float:
    return float(np.sum(slot_s * slices_hz / gain * np.expm1(bits * math.log(2.0) / (slot_s * slices_hz))))


@given(st.floats(1e-3, 12.0))
def test_the_saving_of_a_hertz_second_is_a_derivative_and_is_read_backwards(efficiency: float) -> None:
    links, e = ShannonLinks(np.ones(1)), np.array([efficiency])
    slope = (links.snr(e * (1.0 + 1e-6)) - links.snr(e * (1.0 - 1e-6))) / (2e-6 * e)
    assert links.saving(e) == pytest.approx(e * slope - links.snr(e), rel=1e-4, abs=1e-9)
    assert links.efficiency(links.saving(e)) == pytest.approx(e, rel=1e-6)


@pytest.mark.parametrize("law", [NoFading(), Rayleigh()])
def test_a_table_knows_the_saving_as_shannons_law_does(law: NoFading) -> None:
    table = ErgodicSpectralEfficiency(SHANNON, law)
    backwards, e = SliceLaw(table.snr_grid, table.efficiency_grid), np.linspace(0.3, 12.0, 50)
    slope = (backwards.snr(e * 1.02) - backwards.snr(e * 0.98)) / (0.04 * e)
    np.testing.assert_allclose(backwards.saving(e), e * slope - backwards.snr(e), rtol=0.02)
    np.testing.assert_allclose(backwards.efficiency(backwards.saving(e)), e, rtol=1e-9)
    if isinstance(law, NoFading):
        np.testing.assert_allclose(backwards.saving(e), ShannonLinks(np.ones(1)).saving(e), rtol=0.01)


@pytest.mark.parametrize("clipped", [False, True])
def test_no_shift_of_bandwidth_makes_uploads_of_given_lengths_cheaper(clipped: bool) -> None:
    bits, slot_s, gain = some(8, 8)
    least_hz = np.full(8, 0.9 * TOTAL_HZ / 8 if clipped else 1.0)
    best_hz = transmit_energy_split(bits, slot_s, gain, ShannonLinks(gain), TOTAL_HZ, least_hz)
    assert best_hz.sum() == pytest.approx(TOTAL_HZ, rel=1e-9)
    assert np.any(best_hz == least_hz) == clipped
    best_j, random = transmit_j(best_hz, bits, slot_s, gain), np.random.default_rng(9)
    for _ in range(200):
        spread = random.choice([1e-3, 0.05, 0.5])
        spare_hz = (best_hz - least_hz + 1e-3 * TOTAL_HZ * clipped) * np.exp(random.normal(0.0, spread, 8))
        other_hz = least_hz + spare_hz * (TOTAL_HZ - least_hz.sum()) / spare_hz.sum()
        assert transmit_j(other_hz, bits, slot_s, gain) > best_j * (1.0 - 1e-12)


def test_narrowest_slices_that_do_not_fit_are_refused() -> None:
    bits, slot_s, gain = some(4, 8)
    with pytest.raises(ValueError, match="too narrow"):
        transmit_energy_split(bits, slot_s, gain, ShannonLinks(gain), TOTAL_HZ, np.full(4, 0.3 * TOTAL_HZ))


def work(n: int, seed: int) -> Work:
    random = np.random.default_rng(seed)
    bits, _, snr_hz = some(n, seed)
    return Work(
        bits=bits,
        cycles=random.uniform(1e8, 5e8, n),
        fastest_hz=random.uniform(1e9, 2e9, n),
        switched_capacitance=np.full(n, 1e-28),
        gain_hz_w=snr_hz / 0.2 * 0.35,
        circuit_w=np.full(n, 0.05),
        links=ShannonLinks(snr_hz),
    )


@pytest.mark.parametrize("seed", [10, 11, 12])
def test_no_feasible_perturbation_of_slices_lengths_and_clocks_takes_less_energy(seed: int) -> None:
    n, window_s = 6, 12.0
    job = work(n, seed)
    snr_hz = job.gain_hz_w * 0.2 / 0.35
    best = energy_minimal(job, window_s, TOTAL_HZ)
    assert best.slices_hz.sum() == pytest.approx(TOTAL_HZ, rel=1e-9)
    np.testing.assert_allclose(job.cycles / best.cpu_hz + best.slot_s, window_s, rtol=1e-12)
    assert np.all(best.cpu_hz <= job.fastest_hz * (1.0 + 1e-12))
    best_j = job.energy_j(best.slices_hz, best.slot_s, window_s).sum()
    random, tried = np.random.default_rng(seed), 0
    while tried < 200:
        spread = random.choice([1e-3, 0.02, 0.3])
        slices_hz = best.slices_hz * np.exp(random.normal(0.0, spread, n))
        slices_hz *= TOTAL_HZ / slices_hz.sum()
        slot_s = best.slot_s * np.exp(random.normal(0.0, spread, n))
        if np.any(slot_s >= window_s - job.cycles / job.fastest_hz):
            slot_s = best.slot_s
        power_w = slices_hz / snr_hz * 0.2 * np.expm1(job.bits * math.log(2.0) / (slot_s * slices_hz))
        if np.all(power_w <= 0.2):
            tried += 1
            assert job.energy_j(slices_hz, slot_s, window_s).sum() > best_j * (1.0 - 1e-10)


def test_the_least_energy_keeps_to_the_largest_power_and_falls_with_the_time_there_is() -> None:
    job = work(8, 13)
    snr_hz = job.gain_hz_w * 0.2 / 0.35
    law = partial(shannon_slice_hz, snr_hz=snr_hz)
    _, soonest_s = min_max_delay(job.bits, job.cycles / job.fastest_hz, law, TOTAL_HZ)
    energies_j = []
    for window_s in soonest_s * np.array([1.0001, 1.1, 2.0, 8.0]):
        best = energy_minimal(job, float(window_s), TOTAL_HZ)
        exponent = job.bits * math.log(2.0) / (best.slot_s * best.slices_hz)
        assert np.all(best.slices_hz / snr_hz * np.expm1(exponent) <= 1.0 + 1e-9)
        energies_j.append(job.energy_j(best.slices_hz, best.slot_s, float(window_s)).sum())
    assert energies_j == sorted(energies_j, reverse=True)


@dataclass(frozen=True)
class Tabulated:
    """Links of one tabulated law."""

    law: SliceLaw
    snr_hz: FloatArray

    def slice_hz(self, rate_bps: FloatArray) -> FloatArray:
        return self.law.slice_hz(rate_bps, self.snr_hz)

    def snr(self, efficiency: FloatArray) -> FloatArray:
        return self.law.snr(efficiency)

    def saving(self, efficiency: FloatArray) -> FloatArray:
        return self.law.saving(efficiency)

    def efficiency(self, saving: FloatArray) -> FloatArray:
        return self.law.efficiency(saving)


def tabulated(job: Work, link: ShannonGap, law: NoFading) -> Work:
    table = ErgodicSpectralEfficiency(link, law)
    backwards = SliceLaw(table.snr_grid, table.efficiency_grid)
    return replace(job, links=Tabulated(backwards, job.gain_hz_w * 0.2 / 0.35))


def test_no_upload_is_stretched_below_the_efficiency_at_which_its_link_works_well() -> None:
    job = tabulated(replace(work(4, 15), circuit_w=np.zeros(4)), ShannonGap(0.0, min_sinr_db=-6.0), NoFading())
    best = energy_minimal(job, 1e3, TOTAL_HZ)
    efficiency = job.bits / best.slot_s / best.slices_hz
    assert np.all(efficiency >= math.log2(1.0 + 10.0**-0.6) * (1.0 - 1e-6))
    assert efficiency.min() < 1.2 * math.log2(1.0 + 10.0**-0.6)


@pytest.mark.parametrize(("link", "law"), [(McsEnvelope(2), Rayleigh()), (ShannonGap(2.0), NoFading())])
def test_with_any_link_law_no_perturbation_takes_noticeably_less_energy(link: ShannonGap, law: NoFading) -> None:
    n, window_s = 6, 12.0
    job = tabulated(work(n, 16), link, law)
    best = energy_minimal(job, window_s, TOTAL_HZ)
    best_j = job.energy_j(best.slices_hz, best.slot_s, window_s).sum()
    assert np.all(best.slices_hz * job.links.snr(job.bits / best.slot_s / best.slices_hz) <= job.links.snr_hz * 1.001)
    random = np.random.default_rng(17)
    for _ in range(200):
        slices_hz = best.slices_hz * np.exp(random.normal(0.0, random.choice([0.02, 0.3]), n))
        slices_hz *= best.slices_hz.sum() / slices_hz.sum()
        slot_s = best.slot_s * np.exp(random.normal(0.0, random.choice([0.0, 0.02, 0.3]), n))
        slot_s = np.minimum(slot_s, window_s - job.cycles / job.fastest_hz)
        assert job.energy_j(slices_hz, slot_s, window_s).sum() > best_j * (1.0 - 2e-3)


def test_a_window_too_short_to_compute_in_is_refused() -> None:
    job = work(3, 14)
    with pytest.raises(ValueError, match="too short to compute"):
        energy_minimal(job, 0.05, TOTAL_HZ)
