"""Directions of arrival to be learned from what pilot beams hear: a regression task for every base station.

``data.source: channel_models.direction_data:directions`` in a scenario. Arrays are alike but for the phases their
elements are off by and the direction they were mounted in: base stations' tasks are related and not the same.
"""

from __future__ import annotations

from math import inf
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from channel_models.terahertz import sub_band_centres_hz
from channel_models.units import db_to_linear
from channel_models.wideband_array import array_channels, array_response, find_paths, pilots_heard

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
Tasks = dict[str, tuple[FloatArray, FloatArray]]


class RefusedError(ValueError):
    """An argument that makes no sense: ``field``, its ``value``, and what is ``allowed``."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field} {value}: allowed: {allowed}")
        self.field, self.value, self.allowed = field, value, allowed


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
        seed: of everything drawn here; a scenario's own seeds deal the same rows in different ways.

    Raises:
        RefusedError: an argument out of range.
    """
    _require_whole(1, cells=cells, samples=samples, antennas=antennas, beams=beams, subcarriers=subcarriers)
    _require_whole(0, reflections=reflections, seed=seed)
    _require_number(0.0, carrier_hz=carrier_hz, bandwidth_hz=bandwidth_hz, delay_spread_s=delay_spread_s)
    _require_number(0.0, calibration_deg=calibration_deg, tilt_deg=tilt_deg)
    _require_number(-inf, snr_db=snr_db, reflection_db=reflection_db)
    if beams > antennas:
        raise RefusedError("beams", beams, f"at most the {antennas} antennas")
    if bandwidth_hz >= 2.0 * carrier_hz:
        raise RefusedError("bandwidth_hz", bandwidth_hz, "below twice the carrier frequency")
    if labels not in ("true", "found"):
        raise RefusedError("labels", labels, "true or found")
    ratios = sub_band_centres_hz(carrier_hz, bandwidth_hz, subcarriers) / carrier_hz
    looking = array_response((2.0 * np.arange(beams) - beams + 1.0) / antennas, antennas).T
    noise_w = antennas * float(db_to_linear(-snr_db))  # a beam that covers a user hears 1 an antenna
    tasks = {}
    for cell in range(cells):
        rng = np.random.default_rng([seed, cell])
        errors = np.deg2rad(calibration_deg) * rng.standard_normal((antennas, 1))
        tilt = tilt_deg * rng.standard_normal()
        where = rng.uniform(-beams / antennas, beams / antennas, (samples, 1 + reflections))
        gains = _gains(rng, where, reflection_db, delay_spread_s, ratios * carrier_hz)
        noise = np.sqrt(noise_w / 2.0) * _complex_normals(rng, (samples, subcarriers, beams))
        channels = array_channels(where, gains, ratios, antennas)
        heard = pilots_heard(channels, looking * np.exp(1j * errors), noise)
        powers = np.abs(heard.reshape(samples, -1)) ** 2
        sight = where[:, 0] if labels == "true" else find_paths(heard, looking, ratios, 4 * antennas, 1)[0][:, 0]
        tasks[f"cell-{cell:02d}"] = (powers / powers.mean(axis=1, keepdims=True), tilt + np.rad2deg(np.arcsin(sight)))
    return tasks


def _require_whole(least: int, **given: object) -> None:
    for field, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise RefusedError(field, value, f"a whole number, at least {least}")


def _require_number(least: float, **given: object) -> None:
    for field, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < inf or value == -inf:
            raise RefusedError(
                field, value, "a finite number" if least == -inf else f"a finite number, at least {least:g}"
            )


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
