"""Cosines of turns against double precision."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from channel_models.cosines import cosine_of_turns


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_cosines_are_those_of_double_precision(turns: list[float]) -> None:
    exact = np.cos(2.0 * np.pi * np.remainder(turns, 1.0))
    np.testing.assert_allclose(cosine_of_turns(np.array(turns)), exact, atol=3e-7)
