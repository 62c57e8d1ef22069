"""Environments with parameters: any slope, and terahertz links past bodies."""

import numpy as np
import pytest

from channel_models.made_environments import Bodies, log_distance_environment, terahertz_environment
from channel_models.path_loss_generic import free_space_db
from channel_models.terahertz import absorption_db_per_km, blockage_probability

D_M = np.array([0.1, 1.0, 10.0, 250.0])


def test_a_log_distance_law_loses_ten_times_its_exponent_a_decade_from_one_metre_on() -> None:
    law = log_distance_environment(40.0, 3.0, 6.0)
    np.testing.assert_allclose(law.path_loss_db(np.zeros(4, bool), D_M, 1e9), [40.0, 40.0, 70.0, 40.0 + 30 * 2.39794])
    np.testing.assert_array_equal(law.shadowing_sigma_db(np.zeros(4, bool), D_M, 1e9), 6.0)
    assert not law.los_probability(D_M).any()
    steady = log_distance_environment(80.0, 0.0, 0.0)
    np.testing.assert_array_equal(steady.path_loss_db(np.zeros(4, bool), D_M, 1e9), 80.0)


def test_a_terahertz_link_loses_free_space_air_and_what_a_body_takes() -> None:
    law = terahertz_environment(Bodies(per_m2=0.2, loss_db=17.0))
    d2d = np.array([2.0, 10.0, 40.0])
    d3d = np.hypot(d2d, 5.0 - 1.5)
    clear_db = free_space_db(d3d, 300e9) + 5.25 * d3d / 1e3
    assert absorption_db_per_km(300e9) == pytest.approx(5.25)
    np.testing.assert_allclose(law.path_loss_db(np.ones(3, bool), d2d, 300e9), clear_db, rtol=1e-12)
    np.testing.assert_allclose(law.path_loss_db(np.zeros(3, bool), d2d, 300e9), clear_db + 17.0, rtol=1e-12)
    blocked = blockage_probability(d2d, 0.2, 5.0, 1.5)
    np.testing.assert_allclose(law.los_probability(d2d), 1.0 - blocked, rtol=1e-12)
    with pytest.raises(ValueError, match="fc_hz"):
        law.path_loss_db(True, 5.0, 5e9)
