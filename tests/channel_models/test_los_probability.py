"""Line-of-sight probabilities at the ends of their tables, where the reference values do not reach."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channel_models.los_probability import (
    inf_high_los_probability,
    inf_low_los_probability,
    uma_los_probability,
    umi_los_probability,
)
from channel_models.path_loss import ENVIRONMENTS

TABLE = {
    "UMa": lambda d: 1.0 if d <= 18 else 18 / d + math.exp(-d / 63) * (1 - 18 / d),
    "UMi": lambda d: 1.0 if d <= 18 else 18 / d + math.exp(-d / 36) * (1 - 18 / d),
    "RMa": lambda d: 1.0 if d <= 10 else math.exp(-(d - 10) / 1000),
    "InH-mixed": lambda d: (
        1.0 if d <= 1.2 else math.exp(-(d - 1.2) / 4.7) if d < 6.5 else 0.32 * math.exp(-(d - 6.5) / 32.6)
    ),
    "InH-open": lambda d: (
        1.0 if d <= 5 else math.exp(-(d - 5) / 70.8) if d <= 49 else 0.54 * math.exp(-(d - 49) / 211.7)
    ),
    "InF-SL": lambda d: 0.8 ** (d / 10),
    "InF-DL": lambda d: 0.4 ** (d / 2),
    "InF-SH": lambda d: 0.8 ** (d / 10 * (2 - 1.5) / (8 - 1.5)),
    "InF-DH": lambda d: 0.4 ** (d / 2 * (6 - 1.5) / (8 - 1.5)),
    "InF-HH": lambda d: 1.0,
}
"""Table 7.4.2-1 at default heights and clutter; in a factory k = -size / ln(1 - r) makes it (1 - r)^(d / size)."""

STATEFUL = [name for name, env in ENVIRONMENTS.items() if env.rician_k_db_mean is not None]


@pytest.mark.parametrize("name", STATEFUL)
def test_sight_is_certain_at_the_site_and_never_clears_up_with_distance(name: str) -> None:
    distance_m = np.linspace(0.0, 600.0, 4001)
    probability = ENVIRONMENTS[name].los_probability(distance_m)
    assert probability[0] == 1.0
    # The open-office table itself steps up by 0.003 where its two pieces meet.
    assert np.all(np.diff(probability) <= (0.003 if name == "InH-open" else 1e-15))
    assert np.all(probability >= 0.0)


@given(st.sampled_from(sorted(TABLE)), st.floats(0.0, 5000.0))
@example("InH-mixed", 1.2)
@example("InH-mixed", 6.5)
@example("InH-open", 49.0)
def test_every_environment_sees_as_far_as_its_table_says(name: str, distance_m: float) -> None:
    probability = float(ENVIRONMENTS[name].los_probability(distance_m))
    assert probability == pytest.approx(TABLE[name](distance_m), abs=1e-9)


@given(st.floats(0.0, 5000.0), st.floats(1.5, 22.5))
def test_high_terminals_see_at_least_as_far_as_low_ones(distance_m: float, height_m: float) -> None:
    low = float(uma_los_probability(distance_m, 25.0, 1.5))
    high = float(uma_los_probability(distance_m, 25.0, height_m))
    assert low <= high <= 1.0


def test_a_terminal_at_22_metres_gains_the_tables_factor_at_150_metres() -> None:
    gain = 1.0 + 0.9**1.5 * 1.25 * 1.5**3 * np.exp(-1.0)
    ratio = uma_los_probability(150.0, 25.0, 22.0) / uma_los_probability(150.0, 25.0, 1.5)
    assert ratio == pytest.approx(gain, rel=1e-12)


def test_street_canyons_are_clear_up_to_18_metres_and_not_beyond() -> None:
    near, far = umi_los_probability(np.array([18.0, 18.5]), 10.0, 1.5)
    assert near == 1.0 > far


def test_raising_the_antenna_above_the_clutter_stretches_sight_by_the_height_ratio() -> None:
    low = inf_low_los_probability(40.0, 1.5, 1.5, 0.6, 2.0)
    high = inf_high_los_probability(40.0, 8.0, 1.5, 0.6, 2.0, 6.0)
    assert np.log(low) / np.log(high) == pytest.approx((8.0 - 1.5) / (6.0 - 1.5))


def test_a_terminal_above_the_clutter_is_refused_by_the_high_antenna_law() -> None:
    with pytest.raises(ValueError, match="clutter height 2 m"):
        ENVIRONMENTS["InF-SH"].los_probability(10.0, h_ut_m=2.5)


def test_the_probability_has_the_broadcast_shape_of_distances_and_heights() -> None:
    heights_m = np.array([[1.5], [10.0], [20.0]])
    for name in ("UMa", "UMi", "macro-128"):
        assert ENVIRONMENTS[name].los_probability(np.linspace(10.0, 50.0, 4), heights_m).shape == (3, 4)
