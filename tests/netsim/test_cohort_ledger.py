"""Totals at recorded instants and the instants at which budgets are met: against sums over every single change."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from netsim.cohort.book import AT_LAST, CHANNELS, COST, PAID, POWERS, Book, blank, note
from netsim.cohort.ledger import Ledger, Payment, _first_not_before, _index

Array = NDArray[np.float64]
COMPILED = settings(max_examples=200, deadline=None)  # the first example waits for the compiler
CLOSE = 1e-9
SITES = 3


class Line(NamedTuple):
    """One change, see :class:`netsim.cohort.book.Book`."""

    time_s: float
    site: int
    owner: int
    channel: int
    change: float


class Use(NamedTuple):
    """A power that is drawn for a while."""

    channel: int
    site: int
    start_s: float
    duration_s: float
    power_w: float


USES = st.lists(
    st.builds(
        Use,
        st.integers(0, POWERS - 1),
        st.integers(0, SITES - 1),
        st.floats(0.0, 9.0),
        st.floats(0.0, 5.0),
        st.floats(0.1, 50.0),
    ),
    max_size=30,
)
RECORDS_S = st.lists(st.floats(0.0, 10.0), max_size=12).map(lambda at_s: np.array([*sorted(at_s), 10.0]))
RESTING_W = st.lists(st.sampled_from([0.0, 0.5, 3.0]), min_size=POWERS, max_size=POWERS).map(np.array)
AMOUNTS = st.lists(
    st.builds(
        Line,
        st.sampled_from([0.5, 1.0, 2.0, 2.5, 4.0, 7.0, 9.5]),  # few instants, so that payments fall together
        st.integers(0, SITES - 1),
        st.sampled_from([-1, 0, 1, 5, AT_LAST]),
        st.sampled_from([PAID, COST]),
        st.integers(-20, 40).map(float),
    ),
    max_size=40,
    unique_by=lambda line: (line.time_s, line.site, line.owner, line.channel),
)


def _books(lines: Sequence[Line], volumes: int = 1) -> list[Book]:
    """Return the lines in books of several pages, one after the other in turn, with room left over."""
    books = [blank(np.full(SITES, len(lines) + 2)) for _ in range(volumes)]
    for number, line in enumerate(lines):
        note(books[number % volumes], line.site, line.channel, line.time_s, line.change, line.owner)
    return books


def _switches(uses: Sequence[Use]) -> list[Line]:
    """Return the changes that switch powers on and off."""
    on = [Line(use.start_s, use.site, 0, use.channel, use.power_w) for use in uses]
    return on + [Line(use.start_s + use.duration_s, use.site, 0, use.channel, -use.power_w) for use in uses]


def _energy_j(uses: Sequence[Use], resting_w: Array, at_s: float) -> Array:
    """Return (7,) joules used until an instant: every power times the time it was drawn."""
    energy_j = resting_w * at_s
    for use in uses:
        energy_j[use.channel] += use.power_w * min(max(at_s - use.start_s, 0.0), use.duration_s)
    return energy_j


@COMPILED
@given(USES, RESTING_W, RECORDS_S, st.integers(1, 3))
def test_energy_at_every_record_is_that_of_all_powers_until_then(
    uses: list[Use], resting_w: Array, at_s: Array, volumes: int
) -> None:
    levels = Ledger(resting_w.copy()).levels(_books(_switches(uses), volumes), at_s)
    for i, time_s in enumerate(at_s.tolist()):
        expected_j = _energy_j(uses, resting_w, time_s)
        np.testing.assert_allclose(levels.total[i, :POWERS], expected_j, rtol=CLOSE, atol=CLOSE)
        drawn_w = resting_w.copy()
        for line in _switches(uses):
            drawn_w[line.channel] += line.change if line.time_s <= time_s else 0.0
        np.testing.assert_allclose(levels.power_w[i], drawn_w, rtol=CLOSE, atol=CLOSE)
    assert (levels.total[:, POWERS:] == 0.0).all()


@COMPILED
@given(AMOUNTS, RECORDS_S, st.integers(1, 3))
def test_amounts_at_every_record_are_all_that_was_paid_until_then(lines: list[Line], at_s: Array, volumes: int) -> None:
    levels = Ledger(np.zeros(POWERS)).levels(_books(lines, volumes), at_s)
    for i, time_s in enumerate(at_s.tolist()):
        expected = np.zeros(CHANNELS)
        for line in lines:
            expected[line.channel] += line.change if line.time_s <= time_s else 0.0
        np.testing.assert_array_equal(levels.total[i], expected)


@COMPILED
@given(USES, USES, RESTING_W, RECORDS_S, RECORDS_S)
def test_a_second_stretch_goes_on_where_the_first_was_closed(
    first: list[Use], second: list[Use], resting_w: Array, early_s: Array, late_s: Array
) -> None:
    first = [use._replace(duration_s=min(use.duration_s, 10.0 - use.start_s)) for use in first]
    moved = [use._replace(start_s=use.start_s + 10.0) for use in second]
    ledger = Ledger(resting_w.copy())
    levels = ledger.levels(_books(_switches(first)), early_s)
    ledger.close(levels, 10.0, resting_w.copy())
    assert ledger.time_s == 10.0
    levels = ledger.levels(_books(_switches(moved)), late_s + 10.0)
    for i, time_s in enumerate((late_s + 10.0).tolist()):
        expected_j = _energy_j([*first, *moved], resting_w, time_s)
        np.testing.assert_allclose(levels.total[i, :POWERS], expected_j, rtol=CLOSE, atol=CLOSE)


def _met_s(uses: Sequence[Use], resting_w: Array, limit_j: float, since_s: float, to_s: float) -> float:
    """Return when all powers together have used a limit: by halving the time in which it happens."""
    if _energy_j(uses, resting_w, to_s).sum() < limit_j:
        return inf
    before_s, after_s = since_s, to_s
    for _ in range(80):
        middle_s = 0.5 * (before_s + after_s)
        if _energy_j(uses, resting_w, middle_s).sum() < limit_j:
            before_s = middle_s
        else:
            after_s = middle_s
    return after_s


@COMPILED
@given(USES, RESTING_W, RECORDS_S, st.floats(0.01, 1.3), st.integers(1, 2))
def test_an_energy_limit_is_met_at_the_instant_the_sum_of_all_powers_reaches_it(
    uses: list[Use], resting_w: Array, at_s: Array, share: float, volumes: int
) -> None:
    at_the_end_j = _energy_j(uses, resting_w, 10.0).sum()
    assume(at_the_end_j > 0.1 and abs(share - 1.0) > 1e-6)
    limit_j = share * at_the_end_j
    books, ledger = _books(_switches(uses), volumes), Ledger(resting_w.copy())
    met_s = ledger.energy_met_s(books, at_s, ledger.levels(books, at_s), limit_j)
    expected_s = _met_s(uses, resting_w, limit_j, 0.0, 10.0)
    assert (met_s < inf) == (expected_s < inf) == (share < 1.0)
    if met_s < inf:
        assert _energy_j(uses, resting_w, met_s).sum() == pytest.approx(limit_j, rel=CLOSE)
        assert met_s <= expected_s + CLOSE  # the first such instant, if nothing is drawn there for a while
        assert met_s >= _met_s(uses, resting_w, limit_j * (1.0 - CLOSE), 0.0, 10.0) - CLOSE


@COMPILED
@given(USES, USES, RESTING_W, RECORDS_S, st.floats(0.01, 0.99))
def test_an_energy_limit_counts_what_was_used_in_stretches_before(
    first: list[Use], second: list[Use], resting_w: Array, at_s: Array, share: float
) -> None:
    first = [use._replace(duration_s=min(use.duration_s, 10.0 - use.start_s)) for use in first]
    uses = first + [use._replace(start_s=use.start_s + 10.0) for use in second]
    used_j, in_the_end_j = (_energy_j(uses, resting_w, time_s).sum() for time_s in (10.0, 20.0))
    assume(in_the_end_j - used_j > 0.1)
    limit_j = used_j + share * (in_the_end_j - used_j)
    ledger = Ledger(resting_w.copy())
    ledger.close(ledger.levels(_books(_switches(first)), np.array([10.0])), 10.0, resting_w.copy())
    books, records_s = _books(_switches(uses[len(first) :])), at_s + 10.0
    met_s = ledger.energy_met_s(books, records_s, ledger.levels(books, records_s), limit_j)
    assert _energy_j(uses, resting_w, met_s).sum() == pytest.approx(limit_j, rel=CLOSE)
    assert met_s == pytest.approx(_met_s(uses, resting_w, limit_j, 10.0, 20.0), rel=1e-6)


@pytest.mark.parametrize("records_s", [[10.0], [1.0, 2.0, 3.0, 10.0], [0.5, 2.0, 2.0, 9.0, 10.0]])
def test_a_limit_met_when_everything_is_switched_off_is_met_then_and_not_later(records_s: list[float]) -> None:
    books = _books(_switches([Use(0, 0, 1.0, 1.0, 4.0), Use(6, 2, 5.0, 1.0, 8.0)]))
    ledger, at_s = Ledger(np.zeros(POWERS)), np.array(records_s)
    levels = ledger.levels(books, at_s)
    met_s = [ledger.energy_met_s(books, at_s, levels, limit_j) for limit_j in (2.0, 4.0, 8.0, 12.0, 12.1)]
    assert met_s == [1.5, 2.0, 5.5, 6.0, inf]


def _first_unpayable(lines: Sequence[Line], channel: int, spent: float, limit: float) -> Payment | None:
    """Return the first payment that does not fit, going through all of them in order."""
    order = sorted((line for line in lines if line.channel == channel), key=lambda line: line[:3])
    for line in order:
        spent += line.change
        if line.change > 0.0 and spent > limit:
            return Payment(line.time_s, line.site, line.owner)
    return None


@COMPILED
@given(AMOUNTS, RECORDS_S, st.integers(0, 200).map(float), st.sampled_from([PAID, COST]), st.integers(0, 50))
def test_the_first_payment_that_does_not_fit_is_found(
    lines: list[Line], at_s: Array, limit: float, channel: int, before: int
) -> None:
    books, ledger = _books(lines), Ledger(np.zeros(POWERS))
    ledger.total[channel] = before
    found = ledger.unpayable(books, at_s, ledger.levels(books, at_s), channel, limit)
    assert found == _first_unpayable(lines, channel, before, limit)


def _unpayable(lines: list[Line], limit: float, at_s: Array | None = None) -> Payment | None:
    """Return what the ledger says of payments of cost."""
    books, ledger = _books(lines), Ledger(np.zeros(POWERS))
    at_s = np.array([10.0]) if at_s is None else at_s
    return ledger.unpayable(books, at_s, ledger.levels(books, at_s), COST, limit)


def test_of_payments_at_one_instant_the_earlier_site_pays_first_and_there_the_earlier_terminal() -> None:
    payers = [(2, 7), (0, AT_LAST), (1, 4), (0, 3), (1, -1), (0, -1), (1, AT_LAST), (2, 6), (0, 2)]
    lines = [Line(1.0, site, owner, COST, 1.0) for site, owner in payers]
    for number, (site, owner) in enumerate(sorted(payers)):
        assert _unpayable(lines, number + 0.5) == Payment(1.0, site, owner)
        assert _unpayable(lines, float(number)) == Payment(1.0, site, owner)
    assert _unpayable(lines, float(len(payers))) is None


def test_a_refund_makes_room_for_what_is_paid_after_it_and_not_before() -> None:
    def paid(refund_s: float) -> list[Line]:
        due = [(1.0, 0, 6.0), (2.0, 1, 4.0), (3.0, 0, 5.0), (refund_s, 1, -5.0)]
        return [Line(time_s, site, site, COST, change) for time_s, site, change in due]

    for at_s in (None, np.array([1.5, 2.5, 10.0]), np.array([1.0, 2.0, 3.0, 10.0])):
        assert _unpayable(paid(2.5), 10.0, at_s) is None
        assert _unpayable(paid(3.5), 10.0, at_s) == Payment(3.0, 0, 0)


def test_a_limit_may_be_used_up_to_rounding_and_no_further() -> None:
    tenths = [Line(0.1 * i, i % SITES, i, COST, 0.1) for i in (1, 2, 3, 4)]
    assert 0.1 + 0.1 + 0.1 > 0.3
    third, fourth = (Payment(*line[:3]) for line in tenths[2:])
    for at_s in (np.array([10.0]), np.array([0.25, 0.35, 10.0])):
        assert _unpayable(tenths[:3], 0.3, at_s) is None
        assert _unpayable(tenths, 0.3, at_s) == fourth
        assert _unpayable(tenths, 0.3 - 1e-9, at_s) == third


@COMPILED
@given(
    at_s=st.lists(st.one_of(st.floats(0.0, 1e3), st.sampled_from([0.3, 0.5, 2.0, 1e6])), min_size=1, max_size=30),
    shift_s=st.sampled_from([0.0, 1e9]),
    others_s=st.lists(st.floats(-1.0, 2e6), max_size=10),
    crowded=st.booleans(),
)
def test_a_record_is_found_where_searching_them_all_would_find_it(
    at_s: list[float], shift_s: float, others_s: list[float], crowded: bool
) -> None:
    at = np.sort(np.array(at_s) + shift_s)
    index = _index(at)._replace(crowded=crowded)
    around = np.concatenate([at, np.nextafter(at, inf), np.nextafter(at, -inf), np.array(others_s) + shift_s])
    found = [_first_not_before(at, index, time_s) for time_s in around.tolist()]
    assert found == np.searchsorted(at, around).tolist()
