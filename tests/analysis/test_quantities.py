"""Amounts as readers see them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.quantities import BYTES, COST, ENERGY, RESOURCES, TIME, number, resource, score, signed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TIME.text(0.0), "0 s"),
        (TIME.text(59.94), "59.9 s"),
        (TIME.text(90.0), "1.5 min"),
        (TIME.text(86400.0), "1 d"),
        (ENERGY.text(1234.0), "1.23 kJ"),
        (BYTES.text(2.5e9), "2.5 GB"),
        (COST.text(1234.6), "1,235"),
        (COST.text(2e6), "2 million"),
        (TIME.text(float("nan")), "–"),
        (number(1e-5), "1.00e−05"),
        (number(-0.5), "−0.5"),
        (number(1000.0), "1,000"),
        (number(math.inf), "∞"),
        (signed(0.0123), "+0.012"),
        (signed(-0.0123), "−0.012"),
        (signed(-0.0001), "0.000"),
        (signed(math.nan), "–"),
        (score(0.5), "0.500"),
    ],
)
def test_amounts_are_written_for_readers(text: str, expected: str) -> None:
    assert text == expected


@given(st.floats(min_value=1e-3, max_value=9e6))
def test_a_written_number_is_within_half_a_percent(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=5e-3)


def test_a_resource_is_found_by_its_column() -> None:
    assert [resource(entry.key) for entry in RESOURCES] == list(RESOURCES)
    with pytest.raises(KeyError):
        resource("patience")
