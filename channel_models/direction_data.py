"""Directions of arrival to be learned from what pilot beams hear: a regression task for every base station.

``data.source: channel_models.direction_data:directions`` in a scenario. Arrays are alike but for the phases their
elements are off by and the direction they were mounted in: base stations' tasks are related and not the same.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from channel_models.terahertz import sub_band_centres_hz
from channel_models.units import db_to_linear
from channel_models.wideband_array import array_channels, array_response, find_paths, pilots_heard

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
Tasks = dict[str, tuple[FloatArray, FloatArray]]


def directions(
    cells: int = 6,
    samples: int = 200,
    antennas: int = 32,
    beams: int = 16,
    subcarriers: int = 4,
    carrier_hz: float = 300e9,
    bandwidth_hz: float = 30e9,
    snr_db: float = 10.0,
    reflections: int = 2,
    reflection_db: float = -15.0,
    delay_spread_s: float = 20e-9,
    calibration_deg: float = 20.0,
    tilt_deg: float = 8.0,
    labels: Literal["true", "found"] = "true",
    seed: int = 0,
) -> Tasks:
    """Return task name -> (rows, azimuth of the line of sight in degrees).

    A row is the power heard in each beam on each subcarrier, over the mean of the row: phases of paths are random and
    say nothing. Beams are orthogonal, side by side around broadside; users stand anywhere they cover.

    Args:
        cells: base stations, a task each.
        samples: users of each, a row each.
        antennas, beams: of the array; at most as many beams as antennas.
        subcarriers, carrier_hz, bandwidth_hz: of the band; where it is wide, beams split.
        snr_db: mean over users, in a beam that covers them.
        reflections, reflection_db: further paths of each user, and their power by that of the line of sight.
        delay_spread_s: delays are uniform up to this.
        calibration_deg: standard deviation of the phase errors of an array's elements.
        tilt_deg: standard deviation of how far arrays are turned away from where they are said to look; labels count
            from there.
        labels: where users are, or where support alignment finds them: what a base station can know.
        seed: of everything drawn.
    """
    if not 1 <= beams <= antennas:
        raise ValueError(f"beams {beams}: allowed: 1 to the {antennas} antennas")
    ratios = sub_band_centres_hz(carrier_hz, bandwidth_hz, subcarriers) / carrier_hz
    centres = (2.0 * np.arange(beams) - beams + 1.0) / antennas
    looking = array_response(centres, antennas).T
    tasks = {}
    for cell in range(cells):
        rng = np.random.default_rng([seed, cell])
        errors, tilt = (
            np.deg2rad(calibration_deg) * rng.standard_normal((antennas, 1)),
            tilt_deg * rng.standard_normal(),
        )
        where = rng.uniform(-beams / antennas, beams / antennas, (samples, 1 + reflections))
        channels = array_channels(
            where, _gains(rng, where, reflection_db, delay_spread_s, ratios * carrier_hz), ratios, antennas
        )
        power = float(db_to_linear(-snr_db))  # of noise; a beam that covers the user hears 1 per antenna
        noise = np.sqrt(antennas * power / 2.0) * _complex_normals(rng, (samples, subcarriers, beams))
        heard = pilots_heard(channels, looking * np.exp(1j * errors), noise)
        powers = np.abs(heard.reshape(samples, -1)) ** 2
        sight = where[:, 0] if labels == "true" else find_paths(heard, looking, ratios, 4 * antennas, 1)[0][:, 0]
        tasks[f"cell-{cell:02d}"] = (powers / powers.mean(axis=1, keepdims=True), tilt + np.rad2deg(np.arcsin(sight)))
    return tasks


def _gains(
    rng: np.random.Generator, where: FloatArray, reflection_db: float, delay_spread_s: float, frequencies_hz: FloatArray
) -> ComplexArray:
    """Return (S, L, M) gains of paths at random phases and delays, the first one the line of sight."""
    size = np.where(np.arange(where.shape[1]) == 0, 1.0, np.sqrt(float(db_to_linear(reflection_db))))
    turns = (
        rng.random(where.shape)[..., None] + rng.uniform(0.0, delay_spread_s, where.shape)[..., None] * frequencies_hz
    )
    return np.asarray(size[:, None] * np.exp(-2j * np.pi * turns))


def _complex_normals(rng: np.random.Generator, shape: tuple[int, ...]) -> ComplexArray:
    return np.asarray(rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
