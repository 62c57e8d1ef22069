"""A shared uplink in equilibrium: the laws of the M/G/1 processor-sharing queue."""

from collections.abc import Generator
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from simpy import Environment, Event

from netsim.cell import BandShared, TimeShared, Uplink

UPLOADS = 200_000
LOAD = 0.5
RATE_BPS = 1e6
MEAN_BITS = 1e6  # one second alone


def equilibrium(env: Environment, cell: Uplink, bits: NDArray[np.float64], seed: int) -> tuple[float, float, float]:
    """Let Poisson arrivals upload; return mean sojourn, mean number present and arrival rate that was realised."""
    gaps_s = np.random.default_rng(seed).exponential(MEAN_BITS / RATE_BPS / LOAD, len(bits))
    sojourn_s: list[float] = []

    def arrived(started_s: float, _: Event) -> None:
        sojourn_s.append(env.now - started_s)

    def arrive() -> Generator[Event, Any, None]:
        for gap_s, size in zip(gaps_s.tolist(), bits.tolist(), strict=True):
            yield env.timeout(gap_s)
            started_s = env.now
            cell.start(0, size).done.callbacks.append(partial(arrived, started_s))

    env.process(arrive())
    env.run()
    return float(np.mean(sojourn_s)), sum(sojourn_s) / env.now, len(bits) / env.now


def sizes(law: str, seed: int) -> NDArray[np.float64]:
    """Draw sizes of mean ``MEAN_BITS``."""
    random = np.random.default_rng(seed)
    if law == "deterministic":
        return np.full(UPLOADS, MEAN_BITS)
    drawn = random.exponential(MEAN_BITS, UPLOADS)
    if law == "hyperexponential":  # one in five carries six times as much as the others: variance 3.4 x mean^2
        drawn *= np.where(random.random(UPLOADS) < 0.2, 3.0, 0.5)
    return drawn


@pytest.mark.parametrize(
    ("law", "tolerance"), [("exponential", 0.02), ("deterministic", 0.02), ("hyperexponential", 0.03)]
)
def test_mean_sojourn_in_time_is_that_of_processor_sharing_whatever_the_size_law(law: str, tolerance: float) -> None:
    env = Environment()
    mean_s, _, _ = equilibrium(env, TimeShared(env, lambda terminal: RATE_BPS), sizes(law, 1), 2)
    assert mean_s == pytest.approx(MEAN_BITS / RATE_BPS / (1.0 - LOAD), rel=tolerance)


def test_mean_sojourn_in_frequency_is_that_of_processor_sharing_when_slices_gain_no_power() -> None:
    env = Environment()
    mean_s, _, _ = equilibrium(env, BandShared(env, lambda terminal, n: RATE_BPS / n), sizes("exponential", 3), 4)
    assert mean_s == pytest.approx(MEAN_BITS / RATE_BPS / (1.0 - LOAD), rel=0.02)


def test_a_load_beyond_the_band_is_carried_when_sharers_gain_power() -> None:
    # r(n) = R n^0.5 / n: the cell as a whole gets faster, so 1.2 times its single rate is a stable load.
    env = Environment()
    cell = BandShared(env, lambda terminal, n: RATE_BPS / LOAD / 1.2 * n**-0.5)
    bits = np.random.default_rng(5).exponential(MEAN_BITS, 40_000)
    _, present, arrivals = equilibrium(env, cell, bits, 6)
    # Birth-death: p_n = p_0 prod_k (lambda / mu sqrt(k)) = p_0 a^n / sqrt(n!).
    a = arrivals * MEAN_BITS / (RATE_BPS / LOAD / 1.2)
    n = np.arange(60)
    log_weight = n * np.log(a) - 0.5 * np.cumsum(np.log(np.maximum(n, 1)))
    weight = np.exp(log_weight)
    assert present == pytest.approx(float(n @ weight / weight.sum()), rel=0.03)


def test_the_busy_share_is_the_load() -> None:
    env = Environment()
    cell = TimeShared(env, lambda terminal: RATE_BPS)
    equilibrium(env, cell, sizes("exponential", 7), 8)
    assert cell.busy_s / env.now == pytest.approx(LOAD, rel=0.01)
