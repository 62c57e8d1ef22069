"""Mixing between neighbours in a graph: weights, and weighted sums of what many nodes have received, all at once.

Metropolis weights: Xiao, Boyd and Kim, "Distributed average consensus with least-mean-square deviation", Journal of
Parallel and Distributed Computing 67(1), 2007.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from learning.segments import segment_sums

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Mixing(Protocol):
    """What a node has at the end of a round."""

    @property
    def node(self) -> int:
        """Which."""

    @property
    def round(self) -> int:
        """Number of the round."""

    @property
    def work(self) -> Any:
        """What it has sent, often still pending."""

    @property
    def neighbours(self) -> IntArray:
        """(k,) its neighbours in the graph of the round, ascending."""

    @property
    def degree(self) -> int:
        """k."""

    @property
    def degrees(self) -> IntArray:
        """(k,) how many neighbours each of them has."""

    @property
    def met(self) -> BoolArray:
        """(k,) whom it has exchanged messages with."""

    @property
    def works(self) -> Sequence[Any]:
        """What they have sent, of those it has met only."""


def metropolis(degree: int | IntArray, degrees: IntArray) -> Array:
    """Return the weights 1 / (1 + larger degree) of edges; what is left of 1 is a node's own weight.

    Symmetric and doubly stochastic on any graph, whichever edges are left out.

    Args:
        degree: of the node at one end.
        degrees: (k,) of those at the other ends.
    """
    return np.asarray(1.0 / (1.0 + np.maximum(degree, degrees)))


def mixing_matrix(graph: nx.Graph) -> Array:
    """Return the (n, n) Metropolis weights of a graph, nodes in its order."""
    edges = nx.to_numpy_array(graph, weight=None) > 0.0
    degrees = edges.sum(axis=1)
    weights = np.where(edges, metropolis(degrees[:, None], degrees), 0.0)
    return weights + np.diag(1.0 - weights.sum(axis=1))


def second_largest_modulus(weights: Array) -> float:
    """Return the second largest modulus of the eigenvalues of symmetric weights: how much disagreement a round leaves.

    Args:
        weights: (n, n), symmetric, rows of sum 1.
    """
    return float(np.sort(np.abs(np.linalg.eigvalsh(weights)))[-2]) if len(weights) > 1 else 0.0


def mixed(own: Array, received: Array, weights: Array, offsets: IntArray) -> Array:
    """Return (n, P) own + sum of weights x (received - own): rows of sum 1 whatever the weights.

    Args:
        own: (n, P) values of the nodes.
        received: (m, P) what they received, node after node.
        weights: (m,) of what was received.
        offsets: (n + 1,) ranges of ``received``, one a node.
    """
    counts = np.diff(offsets)
    return own + segment_sums((received - own.repeat(counts, axis=0)) * weights[:, None], offsets)


def affinity_weights(a: Array, offsets: IntArray) -> Array:
    """Return (m,) weights a_ij / (1 + sum of a node's a_ij): what is left of 1 is the node's own, a_ii = 1.

    Args:
        a: (m,) affinities >= 0 of a node and its neighbours, node after node.
        offsets: (n + 1,) ranges of ``a``, one a node.
    """
    return a / (1.0 + segment_sums(a, offsets)).repeat(np.diff(offsets))


def disagreement(values: Array) -> float:
    """Return the root mean square distance of (n, P) values from their mean."""
    return float(np.sqrt(np.mean(np.sum((values - values.mean(axis=0)) ** 2, axis=1))))


def cosines(a: Array, b: Array) -> Array:
    """Return (m,) cosines of the angles between rows of (m, P) arrays, 0 where one of them is 0.

    The same to the last bit with the arrays exchanged: both ends of an edge find the same.
    """
    lengths = np.sqrt(np.sum(a * a, axis=1) * np.sum(b * b, axis=1))
    return np.asarray(np.sum(a * b, axis=1) / np.where(lengths > 0.0, lengths, 1.0))
