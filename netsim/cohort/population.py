"""Everything about terminals and sites that changes during a run, in arrays that can be put back as they were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from netsim.cohort.account import Accounts, Cursor
from netsim.cohort.cell import SiteTally
from netsim.cohort.gathering import Tally
from netsim.cohort.idling import begin
from netsim.cohort.plant import Plant, Rules

Array = NDArray[Any]
T = TypeVar("T", Cursor, Tally, SiteTally)


@dataclass(frozen=True)
class Population:
    """State of the compiled engine.

    Attributes:
        presence: where the schedulers stand on the terminals' on/off trajectories.
        accounts: joules of every terminal, followed where there are batteries or limits.
        idle, idle_j: the same trajectories as far as idle energy has been counted, and that energy.
        tally, sites: what has been used.
    """

    presence: Cursor
    accounts: Accounts
    idle: Cursor
    idle_j: Array
    tally: Tally
    sites: SiteTally

    def copy(self, steady: bool) -> Population:
        """Return a copy that does not change with this one; who is there stays as it is if that is ``steady``."""
        if steady:
            return replace(self, tally=_copy(self.tally), sites=_copy(self.sites))
        a = self.accounts
        accounts = Accounts(a.level_j.copy(), a.since_s.copy(), _copy(a.cursor), a.death_s.copy(), a.limit_s.copy())
        parts = (_copy(self.presence), accounts, _copy(self.idle), self.idle_j.copy())
        return Population(*parts, _copy(self.tally), _copy(self.sites))


def _copy(part: T) -> T:
    """Return a named tuple of copies of a named tuple's arrays."""
    return type(part)(*(values.copy() for values in part))


def new_population(plant: Plant, rules: Rules) -> Population:
    """Return everybody at time 0."""
    terminals, sites = len(plant.entity), len(plant.first) - 1
    zero, never = np.zeros, np.full(terminals, np.inf)
    start = Cursor(np.empty(terminals, np.bool_), np.empty(terminals), np.empty(terminals, np.int64))
    begin(plant, rules, start)
    accounts = Accounts(zero(terminals), zero(terminals), _copy(start), never, never.copy())
    return Population(
        presence=_copy(start),
        accounts=accounts,
        idle=start,
        idle_j=zero(terminals),
        tally=Tally(*(zero(terminals) for _ in Tally._fields)),
        sites=SiteTally(zero(sites), zero(sites), zero(sites), zero(sites, np.int64)),
    )
