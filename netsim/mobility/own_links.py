"""What a terminal's links become when it stands somewhere else, or another cell serves it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.air import Links
from netsim.link_tables import fading_rows
from netsim.mobility.area import IntArray
from netsim.world import World


def take_links(world: World, terminals: IntArray, sites: IntArray, links: Links, disturbs: NDArray[np.bool_]) -> None:
    """Let the cells ``sites[:, 0]`` serve terminals, and work out what they send and receive there.

    Args:
        world: the physical world; ``world.serving`` is left to the caller.
        terminals: (n,) who.
        sites: (n, k) the cells that serve them, and those that they hear besides.
        links: (n, k) channels to them.
        disturbs: (n, k) which of these cells count for the interference that is planned for; the first does not.
    """
    where, radio, own = world.deployment, world.radio, sites[:, 0]
    where.distance_m[terminals], where.los[terminals] = links.distance_m[:, 0], links.los[:, 0]
    where.path_loss_db[terminals], where.shadowing_db[terminals] = links.path_loss_db[:, 0], links.shadowing_db[:, 0]
    radio.serving_gain[terminals] = links.gain[:, 0]
    radio.neighbour_gain[terminals] = np.where(disturbs, links.gain, 0.0)[:, 1:].sum(axis=1)
    network, entity = world.scenario.network, where.entity[terminals]
    radio.fading[terminals] = fading_rows(network, world.streams, entity, own, where.dominant_path[terminals])
    if world.interference is not None:
        world.interference.moved(terminals, sites, links.gain)
    radio.refresh(np.asarray(terminals))
