"""Paths found from few pilots: exact where they must be, as good as published orders of magnitude where they can be."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from channel_models.direction_data import RefusedError, directions
from channel_models.terahertz import split_beam_gain, sub_band_centres_hz
from channel_models.wideband_array import (
    Dictionary,
    array_channels,
    array_response,
    find_paths,
    grid_directions,
    normalised_error,
    pilots_heard,
)
from learning.data.user import user_tasks
from scenarios.errors import ScenarioError

Complex = NDArray[np.complex128]
CARRIER_HZ = 300e9


def ratios_of(bandwidth_hz: float, subcarriers: int) -> NDArray[np.float64]:
    return sub_band_centres_hz(CARRIER_HZ, bandwidth_hz, subcarriers) / CARRIER_HZ


def normals(rng: np.random.Generator, *shape: int) -> Complex:
    return np.asarray((rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2.0))


def draw(
    rng: np.random.Generator, users: int, antennas: int, ratios: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Complex]:
    """Return directions and channels: a line of sight and two reflections 15 dB below, 1 a antenna on average."""
    where = rng.uniform(-0.9, 0.9, (users, 3))
    size = np.array([1.0, 10**-0.75, 10**-0.75])
    gains = size / np.linalg.norm(size) * np.exp(2j * np.pi * rng.random((users, 3)))
    delays = np.exp(-2j * np.pi * rng.uniform(0, 20e-9, (users, 3))[..., None] * ratios * CARRIER_HZ)
    return where, array_channels(where, gains[..., None] * delays, ratios, antennas)


def test_a_beam_for_the_carrier_misses_at_the_edge_of_the_band_by_what_theory_says() -> None:
    edge = ratios_of(30e9, 32)[-1]
    for antennas, beamwidths, gain in ((128, 1.55, 0.0412), (1024, 12.4, 0.0006)):
        assert 0.5 * (edge - 1.0) * antennas / 2.0 == pytest.approx(beamwidths, abs=0.005)
        beam, seen = array_response(np.array([0.5, 0.5 * edge]), antennas)
        assert abs(np.vdot(beam, seen)) ** 2 == pytest.approx(gain, abs=5e-5)
        expected = split_beam_gain(edge * CARRIER_HZ, CARRIER_HZ, 30.0, antennas) / antennas
        assert abs(np.vdot(beam, seen)) ** 2 == pytest.approx(float(expected), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), bandwidth_hz=st.sampled_from([0.0, 30e9]))
def test_paths_on_the_grid_are_found_exactly_without_noise(seed: int, bandwidth_hz: float) -> None:
    rng, ratios, points = np.random.default_rng(seed), ratios_of(bandwidth_hz, 8), 64
    apart = rng.permutation(16)[:2] * 4  # far enough from each other not to be taken for one
    where = np.tile(grid_directions(points)[apart], (2, 1))
    channels = array_channels(where, np.array([1.0, 0.5])[:, None] * normals(rng, 2, 2, 8), ratios, 32)
    beams = np.exp(2j * np.pi * rng.random((32, 24))) / np.sqrt(32)
    found, explained = find_paths(pilots_heard(channels, beams, np.zeros((2, 8, 24))), beams, ratios, points, 2)
    np.testing.assert_allclose(np.sort(found, axis=1), np.sort(where, axis=1), atol=1e-12)
    assert normalised_error(explained, channels) < 1e-20


@pytest.mark.parametrize(
    ("size", "bandwidth_hz", "snr_db", "errors_db"),
    [
        ((64, 16, 16, 256, 30), 0.5e9, 10, (-13.19, -13.19, -13.25)),
        ((64, 16, 16, 256, 30), 30e9, 10, (-8.25, -12.14, -13.34)),
        ((64, 16, 16, 256, 30), 30e9, 20, (-9.42, -14.45, -16.57)),
        ((128, 32, 32, 512, 20), 30e9, 10, (-5.74, -13.92, -16.10)),
        ((128, 32, 32, 512, 20), 30e9, 20, (-5.94, -15.10, -18.31)),
    ],
)
def test_a_search_that_knows_of_the_split_gains_what_it_gained_elsewhere(
    size: tuple[int, ...], bandwidth_hz: float, snr_db: float, errors_db: tuple[float, ...]
) -> None:
    """An implementation of its own drew other channels; a dB is what 20 to 30 of them differ by."""
    antennas, subcarriers, pilots, points, users = size
    rng, ratios, noise = np.random.default_rng(0), ratios_of(bandwidth_hz, subcarriers), 10 ** (-snr_db / 20)
    where, channels = draw(rng, users, antennas, ratios)
    beams = np.exp(2j * np.pi * rng.random((antennas, pilots))) / np.sqrt(antennas)
    heard = pilots_heard(channels, beams, noise * normals(rng, users, subcarriers, pilots))
    kinds: tuple[Dictionary, ...] = ("flat", "aligned", "exact")
    for kind, expected in zip(kinds, errors_db, strict=True):
        found, explained = find_paths(heard, beams, ratios, points, 3, kind)
        assert 10 * np.log10(normalised_error(explained, channels)) == pytest.approx(expected, abs=1.0)
        assert np.median(np.abs(found[:, 0] - where[:, 0])) < (1.0 if kind == "flat" else 2.0 / points) * 2
    everything = np.exp(2j * np.pi * np.outer(np.arange(antennas), np.arange(antennas)) / antennas) / np.sqrt(antennas)
    whole = pilots_heard(channels, everything, noise * normals(rng, users, subcarriers, antennas)) @ everything.T
    assert 10 * np.log10(normalised_error(whole, channels)) == pytest.approx(-snr_db, abs=0.3)


def test_directions_are_tasks_whose_rows_tell_where_users_are() -> None:
    tasks = directions(cells=3, samples=300, snr_db=30, calibration_deg=0.0, tilt_deg=0.0, reflections=0)
    for X, y in tasks.values():
        assert X.shape == (300, 64) and (X >= 0).all() and np.abs(y).max() <= 30.0 + 1e-9
        np.testing.assert_allclose(X.mean(axis=1), 1.0)
        centres = np.rad2deg(np.arcsin((2.0 * np.arange(16) - 15.0) / 32))
        loudest = centres[X.reshape(300, 4, 16).sum(axis=1).argmax(axis=1)]
        assert np.abs(loudest - y).max() < 4.5  # within a beam
    again = directions(cells=5, samples=300, snr_db=30, calibration_deg=0.0, tilt_deg=0.0, reflections=0)
    np.testing.assert_array_equal(again["cell-01"][0], tasks["cell-01"][0])


def test_what_a_base_station_can_know_is_close_to_where_users_are_and_turned_with_the_array() -> None:
    true = directions(cells=2, tilt_deg=0.0)
    found, turned = directions(cells=2, tilt_deg=0.0, labels="found"), directions(cells=2)
    for name in true:
        assert np.median(np.abs(found[name][1] - true[name][1])) < 1.0
        np.testing.assert_array_equal(found[name][0], true[name][0])
        tilt = turned[name][1] - true[name][1]
        assert np.ptp(tilt) < 1e-9 and abs(tilt[0]) > 1e-3


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"beams": 64}, "beams 64: allowed: at most the 32 antennas"),
        ({"cells": 0}, "cells 0: allowed: a whole number, at least 1"),
        ({"samples": 1.5}, "samples 1.5: allowed: a whole number, at least 1"),
        ({"snr_db": "10 dB"}, "snr_db 10 dB: allowed: a finite number"),
        ({"tilt_deg": -1}, "tilt_deg -1: allowed: a finite number, at least 0"),
        ({"bandwidth_hz": 700e9}, "allowed: below twice the carrier frequency"),
        ({"labels": "guessed"}, "labels guessed: allowed: true or found"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedError, match=re.escape(words)):
        directions(**wrong)
    with pytest.raises(ScenarioError, match=re.escape(f"data.arguments.{next(iter(wrong))}")):
        user_tasks("channel_models.direction_data:directions", **wrong)
