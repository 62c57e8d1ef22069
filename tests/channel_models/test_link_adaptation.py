"""Link laws: Shannon with a gap, and the NR envelope against its tables and against renewal arguments."""

import csv
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_models.link_adaptation import (
    LinkAdaptation,
    McsEnvelope,
    ShannonGap,
    TruncatedShannon,
    goodput_bit_s_hz,
)
from channel_models.mcs_tables import MCS_TABLES
from channel_models.units import db_to_linear

REFERENCE = Path(__file__).parents[1] / "data" / "mcs_awgn.csv"
LAWS: list[LinkAdaptation] = [
    ShannonGap(),
    ShannonGap(0.0, np.inf, -np.inf),
    TruncatedShannon(),
    McsEnvelope(1),
    McsEnvelope(2, 1.5),
]


def reference_rows(table: int) -> list[dict[str, str]]:
    with REFERENCE.open() as file:
        return [row for row in csv.DictReader(file) if row["table"] == MCS_TABLES[table].name]


@pytest.mark.parametrize("table", [1, 2])
def test_the_embedded_tables_are_the_reference_tables(table: int) -> None:
    schemes, rows = MCS_TABLES[table], reference_rows(table)
    assert len(rows) == len(schemes.bits_per_symbol) == {1: 29, 2: 28}[table]
    for column, embedded in (
        ("Qm", schemes.bits_per_symbol),
        ("code_rate_x1024", schemes.code_rate_x1024),
        ("awgn_mu_db", schemes.bler_mu_db),
        ("awgn_sigma_db", schemes.bler_sigma_db),
    ):
        assert [float(row[column]) for row in rows] == [float(value) for value in embedded]


@pytest.mark.parametrize("table", [1, 2])
def test_one_block_in_ten_fails_at_the_measured_ten_percent_points(table: int) -> None:
    ten_percent_db = np.array([float(row["awgn_snr_bler10_db"]) for row in reference_rows(table)])
    error_rate = np.diagonal(MCS_TABLES[table].block_error_rate(ten_percent_db))
    # The points are printed to 0.01 dB, and the curves are 0.1 to 0.26 dB wide.
    np.testing.assert_allclose(error_rate, 0.1, atol=0.02)


@pytest.mark.parametrize("table", [1, 2])
def test_each_scheme_joins_the_envelope_within_a_tenth_of_a_decibel_of_its_ten_percent_point(
    table: Literal[1, 2],
) -> None:
    schemes = MCS_TABLES[table]
    ten_percent_db = np.array([float(row["awgn_snr_bler10_db"]) for row in reference_rows(table)])
    # One block in ten is sent twice, so each scheme delivers 1/1.1 of its peak there.
    wanted = schemes.peak_bit_s_hz / 1.1
    assert np.all(np.diagonal(goodput_bit_s_hz(schemes, ten_percent_db - 0.1)) < wanted)
    assert np.all(np.diagonal(goodput_bit_s_hz(schemes, ten_percent_db + 0.1)) > wanted)
    # The envelope may have it sooner, where a more robust scheme carries as much, but never later.
    assert np.all(McsEnvelope(table).spectral_efficiency(db_to_linear(ten_percent_db + 0.1)) > wanted)


@pytest.mark.parametrize("table", [1, 2])
def test_every_scheme_stays_below_capacity_where_it_decodes(table: int) -> None:
    schemes = MCS_TABLES[table]
    capacity = np.log2(1.0 + db_to_linear(np.array(schemes.bler_mu_db)))
    assert np.all(schemes.peak_bit_s_hz < capacity)


@pytest.mark.parametrize("table", [1, 2])
def test_the_envelope_stays_below_capacity_and_touches_every_useful_scheme(table: Literal[1, 2]) -> None:
    schemes = MCS_TABLES[table]
    snr = db_to_linear(np.arange(-13.0, 30.0, 0.01))
    envelope = McsEnvelope(table).spectral_efficiency(snr)
    assert np.all(envelope <= np.log2(1.0 + snr))
    just_clean_db = np.array(schemes.bler_mu_db) + 4.0 * np.array(schemes.bler_sigma_db)
    reached = McsEnvelope(table).spectral_efficiency(db_to_linear(just_clean_db))
    assert np.all(reached >= schemes.peak_bit_s_hz * 0.995)


def test_goodput_is_the_renewal_ratio_of_a_simulated_chain_of_retransmissions() -> None:
    schemes = MCS_TABLES[1]
    sinr_db = np.array([schemes.bler_mu_db[8] + 0.05, schemes.bler_mu_db[8] - 3.0])
    draws = np.random.default_rng(7).random((200_000, 4))
    for column, level_db in enumerate(sinr_db):
        failure = schemes.block_error_rate(level_db + 10.0 * np.log10(np.arange(1, 5)))[8]
        failed = np.cumprod(draws < failure, axis=1)
        transmissions = 1 + failed[:, :3].sum(axis=1)
        simulated = schemes.peak_bit_s_hz[8] * (1 - failed[:, 3]).sum() / transmissions.sum()
        assert goodput_bit_s_hz(schemes, sinr_db)[8, column] == pytest.approx(simulated, rel=0.005)


def test_far_above_threshold_a_scheme_delivers_its_peak_and_far_below_nothing() -> None:
    schemes = MCS_TABLES[2]
    high, low = goodput_bit_s_hz(schemes, np.array([60.0, -40.0])).T
    np.testing.assert_allclose(high, schemes.peak_bit_s_hz, rtol=1e-12)
    np.testing.assert_array_equal(low, 0.0)


def test_chase_combining_carries_the_first_scheme_to_a_quarter_of_its_threshold() -> None:
    envelope = McsEnvelope(1)
    threshold_db = MCS_TABLES[1].bler_mu_db[0]
    edge = envelope.spectral_efficiency(db_to_linear(threshold_db - 6.02 + 0.5))
    assert edge == pytest.approx(MCS_TABLES[1].peak_bit_s_hz[0] / 4.0, rel=0.01)
    assert envelope.spectral_efficiency(db_to_linear(threshold_db - 6.02 - 1.0)) == 0.0


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_more_sinr_never_carries_less_and_none_carries_nothing(law: LinkAdaptation) -> None:
    sinr = np.concatenate([[0.0], db_to_linear(np.linspace(-40.0, 60.0, 5001))])
    efficiency = law.spectral_efficiency(sinr)
    assert efficiency[0] == 0.0
    assert np.all(np.diff(efficiency) >= 0.0)


@given(st.floats(-12.0, 40.0), st.floats(0.0, 3.0))
def test_a_margin_shifts_the_whole_envelope_by_its_decibels(sinr_db: float, margin_db: float) -> None:
    shifted = McsEnvelope(2, margin_db).spectral_efficiency(db_to_linear(sinr_db + margin_db))
    assert shifted == pytest.approx(float(McsEnvelope(2).spectral_efficiency(db_to_linear(sinr_db))), abs=1e-9)


def test_a_two_decibel_gap_lies_on_the_envelope_of_the_schemes() -> None:
    sinr = db_to_linear(np.arange(-6.0, 25.0, 0.1))
    difference = ShannonGap().spectral_efficiency(sinr) - McsEnvelope(2).spectral_efficiency(sinr)
    assert np.sqrt(np.mean(difference**2)) < 0.2


def test_the_gap_law_is_shannons_between_its_cut_off_and_its_cap() -> None:
    law = ShannonGap(gap_db=3.0, max_bit_s_hz=4.0, min_sinr_db=-6.0)
    levels = [db_to_linear(-6.01), db_to_linear(-5.99), db_to_linear(10.0), db_to_linear(40.0)]
    below, above, middle, capped = law.spectral_efficiency(np.array(levels))
    assert below == 0.0
    assert above == pytest.approx(np.log2(1.0 + db_to_linear(-8.99)))
    assert middle == pytest.approx(np.log2(1.0 + db_to_linear(7.0)))
    assert capped == 4.0


def test_larger_gaps_cost_throughput() -> None:
    sinr = db_to_linear(np.linspace(-5.0, 20.0, 50))
    for smaller_db, larger_db in pairwise([0.0, 1.0, 2.0, 5.0]):
        smaller, larger = ShannonGap(smaller_db), ShannonGap(larger_db)
        assert np.all(smaller.spectral_efficiency(sinr) > larger.spectral_efficiency(sinr))


def test_the_truncated_law_is_a_share_of_capacity_between_its_ends() -> None:
    downlink, uplink = TruncatedShannon(), TruncatedShannon(0.4, 2.0)
    levels = db_to_linear(np.array([-10.01, -9.99, 10.0, 40.0]))
    capacity = np.log2(1.0 + levels)
    np.testing.assert_allclose(downlink.spectral_efficiency(levels), [0.0, *(0.6 * capacity[1:3]), 4.4])
    np.testing.assert_allclose(uplink.spectral_efficiency(levels), [0.0, *(0.4 * capacity[1:3]), 2.0])
    with pytest.raises(ValueError, match="attenuation"):
        TruncatedShannon(1.2)


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one of \[1, 2\], got 3"):
        McsEnvelope(3)  # type: ignore[arg-type]
