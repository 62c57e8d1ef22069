"""What a site hears of symbols that were sent at the same time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from channel_models.over_the_air import inversion_power, mean_misalignment, truncation_ratio
from netsim.analog import Air, AirDistortion
from netsim.world import World
from tests.netsim.analog import together
from tests.netsim.worlds import scenario, world

WHISPER = 1e-300  # a threshold below which no channel ever falls
ROUNDS = 300


def place(
    per_site: int = 4, fading: str = "rayleigh", power_dbm: float = 23.0, seed: int = 0, **rules: Any
) -> tuple[World, Air]:
    """Return a world of two cells and the air of the second."""
    settings_ = scenario(
        terminals={"classes": [{"name": "device", "tx_power_dbm": power_dbm}]},
        network={"uplink": together(over_the_air=rules), "propagation": {"fading": fading}},
    )
    where = world(settings_, 2, per_site, seed)
    return where, Air(where.radio, where.devices, where.deployment.entity, where.streams, 1)


def heard(where: World, air: Air, senders: list[int], values: int, edge_round: int = 0) -> AirDistortion:
    """Return what becomes of the values of some senders."""
    return air.distortion(air.transmission(senders, values), np.array(senders), edge_round)


def symbols(senders: int, values: int, seed: int = 0) -> NDArray[np.float64]:
    """Return drawn symbols of mean 0 and variance 1."""
    x = np.random.default_rng(seed).normal(size=(senders, values))
    return np.asarray((x - x.mean()) / x.std())


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(2, 200), st.sampled_from(["none", "rayleigh"]))
def test_without_noise_threshold_and_phase_error_the_mean_arrives_as_it_is(
    senders: int, values: int, fading: str
) -> None:
    where, air = place(6, fading, 500.0, truncation_threshold=WHISPER)
    x = symbols(senders, values)
    received = heard(where, air, list(range(6, 6 + senders)), values).received(x)
    np.testing.assert_allclose(received, x.mean(axis=0), rtol=0.0, atol=1e-12)


def test_the_noise_of_a_site_follows_from_its_worst_sender() -> None:
    where, air = place()
    radio = where.radio
    sent = air.transmission([4, 6, 7], 600)
    snr = radio.uplink_snr[[4, 6, 7]].min()
    inversion = inversion_power(radio.fading_law(0), 0.032)
    # The 60 sub-carriers cut power and noise into the same 60 parts.
    assert sent.noise_std == pytest.approx(np.sqrt(inversion / (2.0 * snr)))
    narrow = air.transmission([4, 6, 7], 15)
    assert narrow.noise_std == pytest.approx(sent.noise_std / 2.0)  # four times the power in every sub-carrier


def test_a_method_that_sums_nothing_up_cannot_send_together() -> None:
    with pytest.raises(ValueError, match="needs values"):
        place()[1].transmission([4, 5], 0)


def test_links_of_different_fading_arrive_alike_at_different_cost() -> None:
    where, air = place(8, "rician")
    senders = list(range(8, 16))
    assert 0 < where.radio.fading[senders].sum() < 8
    inversion = np.array([inversion_power(where.radio.fading_law(row), 0.032) for row in where.radio.fading[senders]])
    level = where.radio.uplink_snr[senders] / inversion
    assert air.transmission(senders, 60).noise_std == pytest.approx(np.sqrt(1.0 / (2.0 * level.min())))
    drawn = air.transmission(senders, 60).power_w
    assert drawn[senders[int(np.argmin(level))]] == max(drawn.values()) == pytest.approx(0.1995 / 0.35 + 0.15, rel=1e-3)


def mean_squared(x: NDArray[np.float64], where: World, air: Air, senders: list[int]) -> NDArray[np.float64]:
    """Return (rounds,) mean squared errors of the mean as it was heard."""
    errors = [heard(where, air, senders, x.shape[1], t).received(x) - x.mean(axis=0) for t in range(ROUNDS)]
    return np.array([np.mean(error**2) for error in errors])


@pytest.mark.parametrize("rules", [{}, {"truncation_threshold": 0.3}, {"phase_error_rad": 0.5}])
def test_the_squared_error_of_the_mean_is_that_of_the_closed_form(rules: dict[str, float]) -> None:
    where, air = place(4, power_dbm=0.0, **rules)
    senders, x = [4, 5, 6, 7], symbols(4, 240)
    silent = truncation_ratio(where.radio.fading_law(0), rules.get("truncation_threshold", 0.032))
    off = float(mean_misalignment(silent, rules.get("phase_error_rad", 0.0)))
    noise = air.transmission(senders, 240).noise_std
    errors = mean_squared(x, where, air, senders)
    # Independent symbols of mean 0: the errors of the senders add up in power.
    expected = off / 4.0 + (noise / 4.0) ** 2
    assert errors.mean() == pytest.approx(expected, abs=4.0 * errors.std() / np.sqrt(ROUNDS) + 0.02 * expected)
    assert noise / 4.0 > 0.05


def test_more_senders_average_the_noise_down_with_their_number() -> None:
    where, air = place(32, power_dbm=0.0, truncation_threshold=WHISPER)
    where.radio.serving_gain[:] = 1e-12
    std = []
    for senders in (2, 32):
        who, x = list(range(32, 32 + senders)), symbols(senders, 600)
        std.append(np.sqrt(mean_squared(x, where, air, who).mean()))
    assert std[0] / std[1] == pytest.approx(16.0, rel=0.01)


def test_a_silent_sender_is_missing_from_its_sub_carriers_and_nowhere_else() -> None:
    where, air = place(3, power_dbm=500.0, truncation_threshold=0.5)
    distortion = heard(where, air, [3, 4, 5], 150)
    amplitude, x = distortion.amplitude(), symbols(3, 150)
    assert amplitude.shape == (3, 60) and set(np.unique(amplitude)) == {0.0, 1.0}
    expected = [sum(x[k, j] * amplitude[k, j % 60] for k in range(3)) / 3.0 for j in range(150)]
    np.testing.assert_allclose(distortion.received(x), expected, rtol=0.0, atol=1e-12)


def test_within_the_coherence_bandwidth_sub_carriers_fade_alike() -> None:
    where, air = place(4, truncation_threshold=0.7, coherence_bandwidth_hz=150e3)
    amplitude = heard(where, air, [4, 5, 6, 7], 600).amplitude().reshape(4, 6, 10)
    assert (amplitude == amplitude[:, :, :1]).all()
    assert 0.0 < amplitude.mean() < 1.0
    each = heard(*place(4, truncation_threshold=0.7), [4, 5, 6, 7], 600).amplitude().reshape(4, 6, 10)
    assert not (each == each[:, :, :1]).all()


def test_divided_by_those_who_are_not_silent_the_mean_is_theirs_and_0_where_nobody_is_heard() -> None:
    where, air = place(3, power_dbm=500.0, truncation_threshold=1.0, divide_by="active")
    distortion = heard(where, air, [3, 4, 5], 60)
    amplitude, x = distortion.amplitude(), symbols(3, 60)
    active = amplitude.sum(axis=0)
    assert 0 < (active == 0.0).sum() < 60
    received = distortion.received(x)
    assert (received[active == 0.0] == 0.0).all()
    np.testing.assert_allclose((received * active)[active > 0], (x * amplitude).sum(axis=0)[active > 0], atol=1e-12)


def test_what_is_heard_depends_on_who_sends_where_and_when_and_on_nothing_else() -> None:
    where, air = place(4, power_dbm=0.0, truncation_threshold=0.5, phase_error_rad=0.3)
    x = symbols(2, 90)
    one = heard(where, air, [4, 6], 90, 3)
    first, again = one.received(x), heard(*place(7, power_dbm=0.0, seed=0), [7, 9], 90, 3)
    assert first.tolist() == one.received(x).tolist()
    # In a larger network the same two terminals keep their fading; the links themselves are drawn alike, too.
    assert again.entity.tolist() == one.entity.tolist()
    same = replace(again, rules=one.rules, truncated=one.truncated, sent=one.sent)
    assert same.received(x).tolist() == first.tolist()
    for other in (heard(where, air, [4, 6], 90, 4), heard(where, air, [4, 7], 90, 3)):
        assert other.received(x).tolist() != first.tolist()
    assert heard(where, air, [4, 6], 90, 4).amplitude().tolist() != one.amplitude().tolist()


def test_a_higher_threshold_silences_more_and_wakes_nobody() -> None:
    masks = []
    for threshold in (0.05, 0.2, 0.8):
        where, air = place(4, truncation_threshold=threshold)
        masks.append(heard(where, air, [4, 5, 6, 7], 60).amplitude())
    assert (masks[0] >= masks[1]).all() and (masks[1] >= masks[2]).all()
    assert masks[0].sum() > masks[1].sum() > masks[2].sum()
