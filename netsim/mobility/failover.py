"""What a failure, or the repair, of a site makes of the terminals in its cell, at the very instant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netsim.mobility.refuge import Refuge
from netsim.mobility.roaming import Roaming
from netsim.mobility.whereabouts import Whereabouts
from netsim.standing import Standing
from netsim.terminal import Terminal
from netsim.world import World


class Failover:
    """Lets terminals leave failed sites: those that move always, the others if they are to be associated again.

    Args:
        world: the physical world.
        terminals: all of them.
        whereabouts: told every change of cell.
        roaming: of those that move.
        standing: which sites are up.
    """

    def __init__(
        self,
        world: World,
        terminals: Sequence[Terminal],
        whereabouts: Whereabouts,
        roaming: Roaming | None,
        standing: Standing,
    ) -> None:
        self.world, self._terminals, self._roaming, self._standing = world, terminals, roaming, standing
        law = world.scenario.base_stations.outage
        again = law is not None and law.recovery == "reassociate"
        self._refuge = Refuge(world, terminals, whereabouts, standing, law) if again and law else None
        standing.on_change.append(self._follow)

    def _follow(self, site: int) -> None:
        """A site has failed or has been repaired."""
        failed = not self._standing.up[site]
        if failed and self._roaming is not None:
            self._roaming.evacuate(site)
        if self._refuge is not None:
            self._refuge.settle()
        if failed:
            self._give_up_uploads(site)

    def _give_up_uploads(self, site: int) -> None:
        """Whoever has nowhere to go loses what it was sending."""
        for index in np.flatnonzero(self.world.serving == site).tolist():
            if self._terminals[index].task == "uploading":
                self._terminals[index].drop()
