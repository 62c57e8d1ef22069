"""Processor sharing worked out the long way, a driver for the real cells, and a log of what they were asked to do."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from simpy import Environment, Event

from netsim.cell import Transfer, Uplink

Rate = Callable[[int, int], float]
"""(terminal, n) -> bit/s of that terminal when n are on the air."""


@dataclass(frozen=True)
class Upload:
    """What one terminal wants: to send from ``start_s``, and to give up at ``cancel_s`` if it is not done by then."""

    terminal: int
    start_s: float
    bits: float
    cancel_s: float = inf


@dataclass
class Fate:
    """What became of an upload."""

    finish_s: float = inf
    sent_bits: float = 0.0
    airtime_s: float = 0.0
    over: bool = False


Rule = Callable[[list[int], float], list[tuple[float, float]]]
"""(terminals present in order of arrival, time) -> bit/s and share of the time on the air of each."""


def by_rule(uploads: list[Upload], rule: Rule, changes_s: Sequence[float] = ()) -> list[Fate]:
    """Step from change to change, looking at every upload each time; the rule may change at ``changes_s`` too."""
    fates = [Fate() for _ in uploads]
    arrivals = sorted(range(len(uploads)), key=lambda i: uploads[i].start_s)
    present: list[int] = []
    now = 0.0
    while arrivals or present:
        shares = dict(zip(present, rule([uploads[i].terminal for i in present], now), strict=True))
        left_s = {i: (uploads[i].bits - fates[i].sent_bits) / bps for i, (bps, _) in shares.items() if bps > 0.0}
        moments_s = [uploads[i].cancel_s for i in present] + [uploads[i].start_s for i in arrivals[:1]]
        moments_s += [moment_s for moment_s in changes_s if moment_s > now]
        step_s = max(0.0, min([*left_s.values(), *(moment_s - now for moment_s in moments_s)]))
        if step_s == inf:
            break
        now = min((m for m in moments_s if m - now <= step_s), default=now + step_s)
        for i, (bps, share) in shares.items():
            fates[i].sent_bits += bps * step_s
            fates[i].airtime_s += share * step_s
            if left_s.get(i, inf) <= step_s * (1.0 + 1e-13):
                fates[i] = Fate(now, uploads[i].bits, fates[i].airtime_s, True)
        for i in present:
            fates[i].over |= uploads[i].cancel_s <= now
        present = [i for i in present if not fates[i].over]
        while arrivals and uploads[arrivals[0]].start_s <= now:
            present.append(arrivals.pop(0))
    return fates


def by_hand(uploads: list[Upload], rate: Rate, places: int = 2**31) -> list[Fate]:
    """Let all send who have one of ``places``, at rates that depend on how many do; the others wait in line."""

    def rule(terminals: list[int], now: float) -> list[tuple[float, float]]:
        n = min(len(terminals), places)
        return [(rate(terminal, n), 1.0) for terminal in terminals[:n]] + [(0.0, 0.0)] * (len(terminals) - n)

    return by_rule(uploads, rule)


@dataclass
class Outcome:
    """What the cell did with an upload."""

    transfer: Transfer
    finish_s: float = inf
    unsent_bits: float = 0.0


def drive(env: Environment, cell: Uplink, uploads: list[Upload]) -> list[Outcome]:
    """Let a cell carry the uploads; return what became of them."""
    outcomes: dict[int, Outcome] = {}

    def follow(i: int, upload: Upload) -> Generator[Event, Any, None]:
        yield env.timeout(upload.start_s)
        outcome = outcomes[i] = Outcome(cell.start(upload.terminal, upload.bits))
        if upload.cancel_s == inf:
            yield outcome.transfer.done
        else:
            yield outcome.transfer.done | env.timeout(upload.cancel_s - env.now)
            outcome.unsent_bits = cell.cancel(outcome.transfer)
        if outcome.transfer.done.triggered:
            outcome.finish_s = env.now

    for i, upload in enumerate(uploads):
        env.process(follow(i, upload))
    env.run()
    return [outcomes[i] for i in range(len(uploads))]


@dataclass
class Log:
    """Every transfer of a cell, and the bits of it that were not sent."""

    transfers: list[Transfer] = field(default_factory=list)
    unsent_bits: dict[Transfer, float] = field(default_factory=dict)


def listen(cell: Uplink) -> Log:
    """Take notes of what a cell is asked to do."""
    log, start, cancel = Log(), cell.start, cell.cancel

    def started(terminal: int, bits: float) -> Transfer:
        log.transfers.append(start(terminal, bits))
        return log.transfers[-1]

    def cancelled(transfer: Transfer) -> float:
        log.unsent_bits[transfer] = cancel(transfer)
        return log.unsent_bits[transfer]

    cell.start, cell.cancel = started, cancelled  # type: ignore[method-assign]
    return log
