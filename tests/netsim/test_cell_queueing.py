"""A shared uplink in equilibrium: processor sharing, first come first served, and slices for everybody."""

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from simpy import Environment, Event

from netsim.cell import Allotted, BandShared, InTurn, MaxMin, ProportionalFair, Slice, TimeShared, Uplink

UPLOADS = 200_000
LOAD = 0.5
RATE_BPS = 1e6
MEAN_BITS = 1e6  # one second alone


def equilibrium(env: Environment, cell: Uplink, bits: NDArray[np.float64], seed: int) -> tuple[float, float, float]:
    """Let Poisson arrivals upload; return mean sojourn, mean number present and arrival rate that was realised."""
    gaps_s = np.random.default_rng(seed).exponential(MEAN_BITS / RATE_BPS / LOAD, len(bits))
    sojourn_s: list[float] = []
    present = crowd_s = since_s = 0.0

    def count(difference: int) -> None:
        nonlocal present, crowd_s, since_s
        crowd_s, since_s, present = crowd_s + present * (env.now - since_s), env.now, present + difference

    def arrived(started_s: float, _: Event) -> None:
        sojourn_s.append(env.now - started_s)
        count(-1)

    def arrive() -> Generator[Event, Any, None]:
        for gap_s, size in zip(gaps_s.tolist(), bits.tolist(), strict=True):
            yield env.timeout(gap_s)
            started_s = env.now
            count(+1)
            cell.start(0, size).done.callbacks.append(partial(arrived, started_s))

    env.process(arrive())
    env.run()
    return float(np.mean(sojourn_s)), crowd_s / env.now, len(bits) / env.now


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


CELLS: dict[str, Callable[[Environment], Uplink]] = {
    "tdma": lambda env: TimeShared(env, lambda terminal: RATE_BPS),
    "ofdma": lambda env: BandShared(env, lambda terminal, n: RATE_BPS / n),
    "proportional fair": lambda env: ProportionalFair(env, lambda terminal, n: RATE_BPS / n),
    "max-min": lambda env: MaxMin(env, lambda terminal: RATE_BPS),
    "sequential": lambda env: InTurn(env, lambda terminal: RATE_BPS),
}


@pytest.mark.parametrize("name", CELLS)
def test_the_mean_number_present_is_the_arrival_rate_times_the_mean_sojourn(name: str) -> None:
    env = Environment()
    mean_s, present, arrivals = equilibrium(env, CELLS[name](env), sizes("exponential", 9)[:20_000], 10)
    assert present == pytest.approx(arrivals * mean_s, rel=1e-9)


@pytest.mark.parametrize(("law", "tolerance"), [("deterministic", 0.02), ("hyperexponential", 0.03)])
@pytest.mark.parametrize("name", ["max-min", "proportional fair"])
def test_among_equals_max_min_and_proportional_fair_are_processor_sharing(
    name: str, law: str, tolerance: float
) -> None:
    env = Environment()
    mean_s, _, _ = equilibrium(env, CELLS[name](env), sizes(law, 11)[:100_000], 12)
    assert mean_s == pytest.approx(MEAN_BITS / RATE_BPS / (1.0 - LOAD), rel=tolerance)


@pytest.mark.parametrize(("law", "variance"), [("deterministic", 0.0), ("exponential", 1.0), ("hyperexponential", 3.0)])
def test_mean_sojourn_one_after_the_other_is_that_of_pollaczek_and_khinchine(law: str, variance: float) -> None:
    # The size law matters: W = E[S] + lambda E[S^2] / (2 (1 - load)), here with E[S] = 1 s.
    env = Environment()
    bits = sizes(law, 13)
    mean_s, _, _ = equilibrium(env, CELLS["sequential"](env), bits, 14)
    assert np.var(bits) / MEAN_BITS**2 == pytest.approx(variance, rel=0.05)
    assert mean_s == pytest.approx(1.0 + LOAD * (1.0 + variance) / (2.0 * (1.0 - LOAD)), rel=0.04)


def test_with_a_gain_of_choosing_proportional_fair_carries_more_than_turns_do() -> None:
    # Harmonic gain as of Rayleigh fading at low SNR: the cell as a whole runs at R H_n. Birth-death with rates mu H_n.
    def fair_bps(terminal: int, n: int) -> float:
        return 0.8 * RATE_BPS * LOAD * sum(1.0 / k for k in range(1, n + 1)) / n

    env = Environment()
    bits = np.random.default_rng(15).exponential(MEAN_BITS, 40_000)
    _, present, arrivals = equilibrium(env, ProportionalFair(env, fair_bps), bits, 16)
    n = np.arange(1, 80)
    harmonic = np.cumsum(1.0 / n)
    weight = np.concatenate([[1.0], np.cumprod(arrivals * MEAN_BITS / (0.8 * RATE_BPS * LOAD * harmonic))])
    assert present == pytest.approx(float(np.arange(80) @ weight / weight.sum()), rel=0.03)


def test_with_slices_of_their_own_uploads_do_not_wait_for_each_other() -> None:
    env = Environment()
    cell = Allotted(env, lambda terminal, part: part.bandwidth_hz)
    cell.allot({0: Slice(RATE_BPS / 4.0)})
    bits = sizes("hyperexponential", 17)[:20_000]
    mean_s, _, _ = equilibrium(env, cell, bits, 18)
    assert mean_s == pytest.approx(4.0 * float(bits.mean()) / RATE_BPS, rel=1e-9)
