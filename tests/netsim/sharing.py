"""Processor sharing worked out the long way, a driver for the real cells, and a log of what they were asked to do."""

from __future__ import annotations

from collections.abc import Callable, Generator
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


def by_hand(uploads: list[Upload], rate: Rate, places: int = 2**31) -> list[Fate]:
    """Step from change to change, looking at every upload each time; those beyond ``places`` wait in line."""
    fates = [Fate() for _ in uploads]
    arrivals = sorted(range(len(uploads)), key=lambda i: uploads[i].start_s)
    present: list[int] = []
    now = 0.0
    while arrivals or present:
        active = present[:places]
        speed = {i: rate(uploads[i].terminal, len(active)) for i in active}
        left_s = {i: (uploads[i].bits - fates[i].sent_bits) / speed[i] for i in active}
        changes = [uploads[i].cancel_s - now for i in present] + [uploads[i].start_s - now for i in arrivals[:1]]
        step_s = max(0.0, min([*changes, *left_s.values()]))
        now += step_s
        for i in active:
            fates[i].sent_bits += speed[i] * step_s
            fates[i].airtime_s += step_s
            if left_s[i] <= step_s * (1.0 + 1e-13):
                fates[i] = Fate(now, uploads[i].bits, fates[i].airtime_s, True)
        for i in present:
            fates[i].over |= uploads[i].cancel_s <= now
        present = [i for i in present if not fates[i].over]
        while arrivals and uploads[arrivals[0]].start_s <= now:
            present.append(arrivals.pop(0))
    return fates


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
