"""Every discipline against one independent reference: no bit, second or joule lost, whoever comes, goes or fades."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from math import inf, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment, Event, Timeout

from netsim.cell import Allotted, BandShared, InTurn, MaxMin, ProportionalFair, Slice, TimeShared, Uplink
from tests.netsim.sharing import Outcome, Rule, Upload, by_rule, drive

BAND_HZ = 1e6
SNR = (0.1, 1.0, 3.0, 30.0, 1e3)
SLICES = {terminal: Slice(BAND_HZ / (2 + terminal), 1.0 / (1 + terminal)) for terminal in range(12)}
Change = tuple[float, int, float]
"""When the SNR of which terminal is multiplied by what."""


@dataclass
class Links:
    """Rates of terminals whose SNR changes at given times."""

    env: Environment | None = None
    changes: list[Change] = field(default_factory=list)

    def snr(self, terminal: int, now: float) -> float:
        factors = [factor for at_s, who, factor in self.changes if who == terminal and at_s <= now]
        return SNR[terminal % len(SNR)] * (factors[-1] if factors else 1.0)

    def slice_bps(self, terminal: int, part: Slice, now: float | None = None) -> float:
        at_s = self.env.now if now is None and self.env is not None else now or 0.0
        snr = self.snr(terminal, at_s) * part.power_share * BAND_HZ / part.bandwidth_hz
        return part.bandwidth_hz * log2(1.0 + snr)

    def whole_bps(self, terminal: int, now: float | None = None) -> float:
        return self.slice_bps(terminal, Slice(BAND_HZ), now)

    def nth_bps(self, terminal: int, n: int, now: float | None = None) -> float:
        return self.slice_bps(terminal, Slice(BAND_HZ / n), now)

    def fair_bps(self, terminal: int, n: int, now: float | None = None) -> float:
        return self.whole_bps(terminal, now) * (1.0 + log2(n)) / n


Make = Callable[..., Uplink]
Share = Callable[[Links, list[int], float], list[tuple[float, float]]]


def allotted(env: Environment, links: Links, duty: object = None, busy: object = None) -> Allotted:
    cell = Allotted(env, links.slice_bps, duty, busy)  # type: ignore[arg-type]
    cell.allot(SLICES)
    return cell


def max_min(links: Links, terminals: list[int], now: float) -> list[tuple[float, float]]:
    rates = [links.whole_bps(terminal, now) for terminal in terminals]
    seconds_per_bit = sum(1.0 / rate for rate in rates if rate > 0.0)
    return [(1.0 / seconds_per_bit, 1.0 / rate / seconds_per_bit) if rate > 0.0 else (0.0, 0.0) for rate in rates]


def in_turn(links: Links, terminals: list[int], now: float) -> list[tuple[float, float]]:
    rates = [links.whole_bps(terminal, now) for terminal in terminals]
    first = next((place for place, rate in enumerate(rates) if rate > 0.0), None)
    return [(rate, 1.0) if place == first else (0.0, 0.0) for place, rate in enumerate(rates)]


DISCIPLINES: dict[str, tuple[Make, Share]] = {
    "tdma": (
        lambda env, links, *told: TimeShared(env, links.whole_bps, *told),
        lambda links, who, now: [(links.whole_bps(i, now) / len(who), 1.0 / len(who)) for i in who],
    ),
    "ofdma": (
        lambda env, links, *told: BandShared(env, links.nth_bps, 2**31, *told),
        lambda links, who, now: [(links.nth_bps(i, len(who), now), 1.0) for i in who],
    ),
    "two at once": (
        lambda env, links, *told: BandShared(env, links.nth_bps, 2, *told),
        lambda links, who, now: [
            (links.nth_bps(i, min(2, len(who)), now), 1.0) if place < 2 else (0.0, 0.0) for place, i in enumerate(who)
        ],
    ),
    "proportional fair": (
        lambda env, links, *told: ProportionalFair(env, links.fair_bps, *told),
        lambda links, who, now: [(links.fair_bps(i, len(who), now), 1.0 / len(who)) for i in who],
    ),
    "max-min": (lambda env, links, *told: MaxMin(env, links.whole_bps, *told), max_min),
    "sequential": (lambda env, links, *told: InTurn(env, links.whole_bps, *told), in_turn),
    "allotted": (allotted, lambda links, who, now: [(links.slice_bps(i, SLICES[i], now), 1.0) for i in who]),
}
EVERY = pytest.mark.parametrize("name", DISCIPLINES)


@st.composite
def staggered(draw: st.DrawFn) -> list[Upload]:
    """Uploads of distinct terminals with any starts and sizes, some given up half-way."""
    patience = st.one_of(st.just(inf), st.floats(1e-3, 4.0))
    wish = st.tuples(st.floats(0.0, 5.0), st.floats(1e3, 5e6), patience)
    wishes = draw(st.lists(wish, min_size=1, max_size=12))
    return [Upload(i, start, bits, start + wait) for i, (start, bits, wait) in enumerate(wishes)]


def changes() -> st.SearchStrategy[list[Change]]:
    """Links that get better, worse or are lost for a while; in the end all are back."""
    change = st.tuples(st.floats(0.0, 8.0), st.integers(0, 11), st.sampled_from([0.0, 0.0, 0.3, 4.0]))
    return st.lists(change, max_size=8).map(lambda drawn: [*sorted(drawn), *((9.0, i, 1.0) for i in range(12))])


def carry(name: str, uploads: list[Upload], moves: list[Change]) -> tuple[list[Outcome], Uplink, dict[int, float]]:
    """Let a discipline carry uploads; return what became of them, the cell, and the airtime each was told to pay."""
    env = Environment()
    links = Links(env, moves)
    shares: dict[int, float] = {}
    told: list[tuple[float, dict[int, float]]] = [(0.0, {})]
    active = [0]

    def duty(terminals: Iterable[int], share: float) -> None:
        shares.update(dict.fromkeys(terminals, share))
        told.append((env.now, dict(shares)))

    def busy(difference: int) -> None:
        active[0] += difference
        assert active[0] in (0, 1)

    cell = DISCIPLINES[name][0](env, links, duty, busy)

    def retune(terminal: int, alarm: Event) -> None:
        cell.retune({terminal})

    for at_s, terminal, _ in moves:
        Timeout(env, at_s).callbacks.append(partial(retune, terminal))
    outcomes = drive(env, cell, uploads)
    assert active[0] == 0 and not any(shares.values())
    paid_s = {upload.terminal: 0.0 for upload in uploads}
    for (now, present), (later, _) in pairwise(told):
        for terminal, share in present.items():
            paid_s[terminal] += share * (later - now)
    return outcomes, cell, paid_s


def expect(name: str, uploads: list[Upload], moves: list[Change]) -> Rule:
    return partial(DISCIPLINES[name][1], Links(None, moves))


@EVERY
@settings(deadline=None, max_examples=60)
@given(uploads=staggered(), moves=st.one_of(st.just([]), changes()))
def test_all_uploads_finish_and_leave_what_is_worked_out_by_hand(
    name: str, uploads: list[Upload], moves: list[Change]
) -> None:
    outcomes, _, paid_s = carry(name, uploads, moves)
    fates = by_rule(uploads, expect(name, uploads, moves), [at_s for at_s, _, _ in moves])
    for upload, outcome, fate in zip(uploads, outcomes, fates, strict=True):
        missed_bits = 0.0 if fate.finish_s < inf else upload.bits - fate.sent_bits
        if abs(fate.finish_s - upload.cancel_s) > 1e-9 and (fate.finish_s < inf or missed_bits > 1e-9 * upload.bits):
            # Otherwise rounding decides whether it was done in time.
            assert outcome.finish_s == pytest.approx(fate.finish_s, rel=1e-9)
        assert outcome.unsent_bits + fate.sent_bits == pytest.approx(upload.bits, rel=1e-8)
        assert outcome.transfer.airtime_s == pytest.approx(fate.airtime_s, rel=1e-8, abs=1e-9)
        assert paid_s[upload.terminal] == pytest.approx(outcome.transfer.airtime_s, rel=1e-8, abs=1e-9)


@EVERY
@settings(deadline=None, max_examples=30)
@given(uploads=staggered())
def test_airtime_and_busy_time_keep_to_each_other(name: str, uploads: list[Upload]) -> None:
    outcomes, cell, _ = carry(name, uploads, [])
    airtime_s = sum(outcome.transfer.airtime_s for outcome in outcomes)
    if name in ("tdma", "proportional fair", "max-min", "sequential"):  # one transmitter at a time
        assert airtime_s == pytest.approx(cell.busy_s, rel=1e-9)
    else:
        assert cell.busy_s <= airtime_s * (1.0 + 1e-9) <= cell.busy_s * len(uploads) * (1.0 + 2e-9)


@pytest.mark.parametrize("name", [name for name in DISCIPLINES if name != "two at once"])
def test_an_upload_without_a_rate_stands_still_and_goes_on_when_it_has_one(name: str) -> None:
    moves = [(1e-9, 0, 0.0), (1e-9, 1, 0.0), (7.0, 0, 1.0), (7.0, 1, 1.0)]
    uploads = [Upload(0, 0.0, 1e5), Upload(1, 0.0, 1e5), Upload(2, 0.0, 1e5)]
    outcomes, _, _ = carry(name, uploads, moves)
    assert outcomes[2].finish_s < 7.0 < min(outcomes[0].finish_s, outcomes[1].finish_s)
    undisturbed, _, _ = carry(name, uploads[:2], [])
    for late, early in zip(outcomes[:2], undisturbed, strict=True):
        assert late.finish_s == pytest.approx(early.finish_s + 7.0, rel=1e-6)


@pytest.mark.parametrize("n", [1, 2, 5, 11])
def test_uploads_of_equal_size_all_end_at_the_same_time_when_their_rates_are_equal(n: int) -> None:
    env, links = Environment(), Links()
    outcomes = drive(env, MaxMin(env, links.whole_bps), [Upload(i, 0.0, 8e5) for i in range(n)])
    together_s = sum(8e5 / links.whole_bps(i) for i in range(n))
    assert [o.finish_s for o in outcomes] == pytest.approx([together_s] * n, rel=1e-12)
    assert [o.transfer.airtime_s for o in outcomes] == pytest.approx([8e5 / links.whole_bps(i) for i in range(n)])


@given(st.permutations(range(6)), st.lists(st.floats(1e3, 1e7), min_size=6, max_size=6))
def test_uploads_one_after_the_other_end_when_all_before_them_have_been_sent(
    order: list[int], bits: list[float]
) -> None:
    env, links = Environment(), Links()
    outcomes = drive(env, InTurn(env, links.whole_bps), [Upload(i, 0.0, bits[i]) for i in order])
    ends_s = np.cumsum([bits[i] / links.whole_bps(i) for i in order])
    np.testing.assert_allclose([o.finish_s for o in outcomes], ends_s, rtol=1e-9)


def test_who_has_no_rate_lets_the_next_in_line_pass_and_takes_the_band_back() -> None:
    env, rates = Environment(), {0: 10.0, 1: 20.0}
    cell = InTurn(env, rates.__getitem__)

    def tune(rate: float, alarm: Event) -> None:
        rates[0] = rate
        cell.retune({0})

    for at_s, rate in ((2.0, 0.0), (4.0, 10.0)):
        Timeout(env, at_s).callbacks.append(partial(tune, rate))
    outcomes = drive(env, cell, [Upload(0, 0.0, 100.0), Upload(1, 0.0, 100.0)])
    assert [o.finish_s for o in outcomes] == pytest.approx([12.0, 15.0])
    assert [o.transfer.airtime_s for o in outcomes] == pytest.approx([10.0, 5.0])


def test_a_terminal_without_a_slice_cannot_upload_and_one_whose_slice_changes_goes_on_in_the_new_one() -> None:
    env = Environment()
    cell = Allotted(env, lambda terminal, part: part.bandwidth_hz)
    with pytest.raises(ValueError, match="no slice of the band has been allotted to terminal 3"):
        cell.start(3, 1.0)
    cell.allot({0: Slice(10.0), 1: Slice(20.0)})
    Timeout(env, 4.0).callbacks.append(lambda alarm: cell.allot({0: Slice(60.0)}))
    outcomes = drive(env, cell, [Upload(0, 0.0, 100.0), Upload(1, 0.0, 100.0)])
    assert [o.finish_s for o in outcomes] == pytest.approx([5.0, 5.0])
