"""The graph of a decentralised method: who is whose neighbour in which round.

Every draw depends on (seed, pair of nodes, number of the draw) alone, so all methods meet the same graphs and a node
more or less changes nothing between the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from scenarios.csv_rows import read_rows
from scenarios.errors import ScenarioError
from scenarios.graph import Graph
from scenarios.streams import Streams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MOST_NODES = 2048
"""Nodes beyond which all pairs of them are too many to keep."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of nodes, a < b in lexicographic order, and what is known of each.

    Attributes:
        entity: (nodes,) index of each node in the random streams.
        a, b: (pairs,) nodes.
        distance_m: (pairs,) between them.
        in_reach: (pairs,) whether they can be neighbours at all.
    """

    entity: IntArray
    a: IntArray
    b: IntArray
    distance_m: FloatArray
    in_reach: BoolArray

    @classmethod
    def of(cls, entity: IntArray, xy_m: FloatArray) -> Pairs:
        """Return the pairs of nodes at ``xy_m`` (nodes, 2), all of them in reach.

        Raises:
            ScenarioError: more than :data:`MOST_NODES`.
        """
        if len(entity) > MOST_NODES:
            raise ScenarioError("nodes of network.graph", len(entity), f"at most {MOST_NODES}")
        a, b = np.triu_indices(len(entity), 1)
        return cls(entity, a, b, np.hypot(*(xy_m[a] - xy_m[b]).T), np.ones(len(a), np.bool_))

    def index(self, a: IntArray, b: IntArray) -> IntArray:
        """Return which pairs ``a`` and ``b``, a < b, are."""
        return np.asarray(a * (2 * len(self.entity) - a - 1) // 2 + b - a - 1)

    @property
    def ends(self) -> tuple[IntArray, IntArray]:
        """(pairs,) stream indices of the two ends, the smaller one first: the same in whatever order nodes come."""
        first, second = self.entity[self.a], self.entity[self.b]
        return np.minimum(first, second), np.maximum(first, second)


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """One draw of the graph.

    Attributes:
        of: (deg,) neighbours of each node, ascending.
        degrees: (nodes,) how many each has.
    """

    of: list[IntArray]
    degrees: IntArray


class Topology:
    """The graph in every round.

    Args:
        law: how it is drawn.
        pairs: the nodes.
        streams: the run's randomness.

    Raises:
        ScenarioError: the file of edges cannot be read, or names nodes that do not exist or are one and the same.
    """

    def __init__(self, law: Graph, pairs: Pairs, streams: Streams) -> None:
        self._law, self._pairs, self._streams = law, pairs, streams
        self._listed = _listed(law.edges_csv, pairs) if law.edges_csv is not None else []
        self._drawn: Callable[[int], Neighbourhoods] = lru_cache(maxsize=64)(self._draw)

    def at(self, round_: int) -> Neighbourhoods:
        """Return the graph of a round."""
        return self._drawn(self._number(round_))

    def graph(self, round_: int) -> nx.Graph:
        """Return the graph of a round for networkx."""
        mask, graph = self._mask(self._number(round_)), nx.Graph()
        graph.add_nodes_from(range(len(self._pairs.entity)))
        graph.add_edges_from(zip(self._pairs.a[mask].tolist(), self._pairs.b[mask].tolist(), strict=True))
        return graph

    def _number(self, round_: int) -> int:
        """Return which draw holds in a round."""
        return 0 if self._law.redraw_every is None else round_ // self._law.redraw_every

    def _draw(self, number: int) -> Neighbourhoods:
        mask = self._mask(number)
        n, a, b = len(self._pairs.entity), self._pairs.a[mask], self._pairs.b[mask]
        here, there = np.concatenate([a, b]), np.concatenate([b, a])
        order = np.lexsort((there, here))
        degrees = np.bincount(here, minlength=n)
        return Neighbourhoods(np.split(there[order], np.cumsum(degrees)[:-1]), degrees)

    def _mask(self, number: int) -> BoolArray:
        """(pairs,) which have an edge in a draw."""
        mask = self._wanted(number) & self._pairs.in_reach
        return joined(mask, self._pairs) if self._law.connect else mask

    def _wanted(self, number: int) -> BoolArray:
        pairs, kind = self._pairs, self._law.kind
        if kind == "geometric":
            assert self._law.radius_m is not None
            return np.asarray(pairs.distance_m <= self._law.radius_m)
        if kind == "erdos_renyi":
            low, high = pairs.ends
            return self._streams.uniform("graph", low, number, high) < self._law.probability
        if kind == "ring":
            return self._ring(number)
        if kind == "file":
            return self._listed[number % len(self._listed)]
        return np.ones(len(pairs.a), np.bool_)

    def _ring(self, number: int) -> BoolArray:
        """Everybody in a circle: in the order of the indices, or in a random one if it is drawn again and again."""
        n, mask = len(self._pairs.entity), np.zeros(len(self._pairs.a), np.bool_)
        circle = np.arange(n)
        if self._law.redraw_every is not None:
            circle = np.argsort(self._streams.uniform("ring", self._pairs.entity, number))
        after = np.roll(circle, -1)
        if n > 1:
            mask[self._pairs.index(np.minimum(circle, after), np.maximum(circle, after))] = True
        return mask


def joined(mask: BoolArray, pairs: Pairs) -> BoolArray:
    """Return (pairs,) edges ``mask`` and the shortest others in reach that connect what they leave apart (Kruskal)."""
    parts = nx.utils.UnionFind(range(len(pairs.entity)))
    for a, b in zip(pairs.a[mask].tolist(), pairs.b[mask].tolist(), strict=True):
        parts.union(a, b)
    part = np.array([parts[node] for node in range(len(pairs.entity))])
    between = np.flatnonzero(pairs.in_reach & (part[pairs.a] != part[pairs.b]))
    together = mask.copy()
    for pair in between[np.argsort(pairs.distance_m[between], kind="stable")].tolist():
        a, b = int(pairs.a[pair]), int(pairs.b[pair])
        if parts[a] != parts[b]:
            parts.union(a, b)
            together[pair] = True
    return together


def _listed(path: str, pairs: Pairs) -> list[BoolArray]:
    """Return (pairs,) edges of every draw in a file."""
    rows = read_rows("network.graph.edges_csv", path, ("a", "b"), ("draw",))
    draws: dict[int, BoolArray] = {}
    for row in rows:
        ends = sorted(row.whole(column, len(pairs.entity)) for column in ("a", "b"))
        row.require(ends[0] < ends[1], "b", "another node than a")
        draw = row.whole("draw", len(rows)) if "draw" in row.values else 0
        mask = draws.setdefault(draw, np.zeros(len(pairs.a), np.bool_))
        mask[pairs.index(np.array(ends[0]), np.array(ends[1]))] = True
    nothing = np.zeros(len(pairs.a), np.bool_)
    return [draws.get(draw, nothing) for draw in range(max(draws) + 1)]
