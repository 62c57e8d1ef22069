"""Short blocks: the information a block carries by simulation, the limits of the law, and its inverse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models.finite_blocklength import FiniteBlocklength, block_error_probability


@pytest.mark.parametrize("sinr", [0.5, 4.0, 100.0])
def test_outage_of_simulated_information_gives_the_rate_without_its_log_term(sinr: float) -> None:
    n, blocks, target = 200, 8_000, 0.05
    rng = np.random.default_rng(4)
    noise = rng.normal(0.0, np.sqrt(0.5), (blocks, n, 2))
    # Symbols of equal power: information density of each against Gaussian output.
    received = (np.sqrt(sinr) + noise[..., 0]) ** 2 + noise[..., 1] ** 2
    density = np.log1p(sinr) + received / (1.0 + sinr) - (noise**2).sum(axis=-1)
    carried = np.quantile(density.mean(axis=1), target) / np.log(2.0)
    law = FiniteBlocklength(n, target).spectral_efficiency(sinr) - np.log2(n) / (2.0 * n)
    assert law == pytest.approx(carried, abs=0.01)


@given(st.floats(-5.0, 30.0))
def test_long_blocks_reach_capacity(sinr_db: float) -> None:
    sinr = 10.0 ** (sinr_db / 10.0)
    capacity = np.log2(1.0 + sinr)
    assert FiniteBlocklength(1e12, 1e-5).spectral_efficiency(sinr) == pytest.approx(capacity, rel=1e-4)
    assert FiniteBlocklength(1e6, 1e-3).spectral_efficiency(sinr) > 0.98 * capacity


@given(st.floats(20.0, 1e5), st.floats(1e-6, 0.1))
def test_more_sinr_longer_blocks_and_more_errors_never_carry_less(n: float, error: float) -> None:
    sinr = np.concatenate([[0.0], np.geomspace(1e-3, 1e4, 300)])
    efficiency = FiniteBlocklength(n, error).spectral_efficiency(sinr)
    assert efficiency[0] == 0.0
    assert np.all(np.diff(efficiency) >= 0.0)
    assert np.all(FiniteBlocklength(n, 1.2 * error).spectral_efficiency(sinr) >= efficiency)
    at_ten_db = [float(FiniteBlocklength(m, error).spectral_efficiency(10.0)) for m in (n, 1.5 * n)]
    assert at_ten_db[1] >= at_ten_db[0]


@given(st.floats(0.0, 20.0), st.floats(50.0, 5e3), st.floats(1e-6, 0.5))
def test_sending_at_the_rate_of_an_error_probability_fails_with_it(sinr_db: float, n: float, error: float) -> None:
    sinr = 10.0 ** (sinr_db / 10.0)
    bits = n * FiniteBlocklength(n, error).spectral_efficiency(sinr)
    assert block_error_probability(sinr, bits, n) == pytest.approx(error, rel=1e-6)


def test_without_signal_every_block_fails() -> None:
    np.testing.assert_array_equal(block_error_probability(0.0, [1.0, 1000.0], 100.0), 1.0)


@pytest.mark.parametrize(("n", "error"), [(0.5, 1e-3), (np.nan, 1e-3), (100.0, 0.0), (100.0, 1.0)])
def test_blocks_and_errors_out_of_range_are_refused(n: float, error: float) -> None:
    with pytest.raises(ValueError, match="channel_uses >= 1"):
        FiniteBlocklength(n, error)
