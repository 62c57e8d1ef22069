"""The ways in which the network can run a method, and why most methods know only one."""

from __future__ import annotations

from collections.abc import Mapping

WHY_NOT: Mapping[str, str] = {
    "hierarchical": "it does without base stations and a cloud that aggregate; fedavg has both",
    "isolated": "its terminals learn from each other; local is training without messages",
    "asynchronous": (
        "it aggregates the updates of a round together; fedasync, fedbuff and persafl take them in as they come"
    ),
    "decentralised": (
        "it aggregates at base stations and a cloud; gossip, edge_gossip, dynamic_graph_mtl, dfedem and edge_fedem have"
        " no cloud"
    ),
}
"""Protocol -> why a method that does not know it cannot be run like that, unless it has a reason of its own."""


def refusal(known: tuple[str, ...], wanted: str, own: Mapping[str, str]) -> str:
    """Return what a method allows instead of the protocol that was ``wanted``, and why.

    Args:
        known: protocols it can follow.
        own: its own reasons, by protocol.
    """
    reasons = {**WHY_NOT, **own}
    return " or ".join(known) + (f", because {reasons[wanted]}" if wanted in reasons else "")
