"""Worlds whose terminals send together, and a method that counts what it is told of the air."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from netsim.analog import AirDistortion
from netsim.joint import JointUplink
from netsim.port import BoolArray, Cohort, IntArray
from netsim.port import Plan as AnyPlan
from netsim.world import World
from tests.netsim import counting


@dataclass(frozen=True, eq=False)
class Sizes(counting.Sizes):
    """Loads of one cloud round, of which so many numbers are summed up."""

    update_values: int = 1


@dataclass
class Chorus(counting.Counting):
    """Counts pieces of local work that arrive as a sum, and keeps what the air did to each sum.

    Args:
        values: numbers in an update.
    """

    values: int = 600
    heard: list[tuple[IntArray, AirDistortion | None]] = field(default_factory=list)

    def sizes(self, plan: AnyPlan) -> Sizes:
        """As for messages of their own."""
        return Sizes(**vars(super().sizes(plan)), update_values=self.values)

    def merge(
        self, cohort: Cohort, work: IntArray, arrived: BoolArray, distortion: AirDistortion | None = None
    ) -> None:
        """Add up, and take a note."""
        self.heard.append((cohort.terminals[arrived], distortion))
        super().merge(cohort, work, arrived)


def together(**uplink: Any) -> dict[str, Any]:
    """Return the uplink section of a scenario whose terminals send together."""
    return {"transfer": "over_the_air", "access_delay_s": 0.01, **uplink}


def cell_of(where: World, site: int = 0) -> JointUplink:
    """Return a site's uplink."""
    cell = where.uplinks[site]
    assert isinstance(cell, JointUplink)
    return cell
