"""Mixing in a graph: weights are doubly stochastic, disagreement shrinks as fast as the spectrum says, angles agree."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.mixing import (
    affinity_weights,
    cosines,
    disagreement,
    metropolis,
    mixed,
    mixing_matrix,
    second_largest_modulus,
)

Array = NDArray[np.float64]
DIRECTIONS = np.array([[1.0, 0.2, 0.0], [0.9, 0.1, 0.1], [-1.0, 0.3, 0.0]])


@st.composite
def graphs(draw: st.DrawFn) -> nx.Graph:
    """Return any graph of up to twelve nodes, connected or not."""
    n, share = draw(st.integers(1, 12)), draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    return nx.gnp_random_graph(n, share, seed=draw(st.integers(0, 10_000)))


def around(graph: nx.Graph, node: int, lost: Array) -> tuple[Array, NDArray[np.int64]]:
    """Return Metropolis weights of a node's edges that are not ``lost`` (n, n), and who is at their other ends."""
    others = np.array([other for other in graph[node] if not lost[node, other]], np.int64)
    degrees = np.array([graph.degree[other] for other in others], np.int64)
    return metropolis(graph.degree[node], degrees), others


def rounds(graph: nx.Graph, values: Array, lost: Array) -> Array:
    """Return what a round of mixing makes of (n, P) values, every node by itself and all of them in one call."""
    parts = [around(graph, node, lost) for node in graph]
    offsets = np.cumsum([0, *(len(others) for _, others in parts)])
    received = values[np.concatenate([others for _, others in parts])]
    return mixed(values, received, np.concatenate([weights for weights, _ in parts]), offsets)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_weights_are_symmetric_and_doubly_stochastic_on_any_graph(graph: nx.Graph) -> None:
    weights = mixing_matrix(graph)
    np.testing.assert_array_equal(weights, weights.T)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-15)
    assert weights.min() >= 0.0 and np.diag(weights).min() > 0.0
    assert not weights[(nx.to_numpy_array(graph) + np.eye(len(graph))) == 0.0].any()


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(0, 1000))
def test_whatever_edges_are_lost_at_both_ends_the_mean_stays_and_nobody_drifts_apart(
    graph: nx.Graph, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(graph), 3))
    lost = np.triu(rng.random((len(graph),) * 2) < 0.4)
    after = rounds(graph, values, lost | lost.T)
    np.testing.assert_allclose(after.mean(axis=0), values.mean(axis=0), atol=1e-14)
    assert disagreement(after) <= disagreement(values) * (1.0 + 1e-12)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(0, 1000))
def test_node_by_node_is_the_product_with_the_matrix_and_contracts_at_its_rate(graph: nx.Graph, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(len(graph), 4))
    weights, after = mixing_matrix(graph), rounds(graph, values, np.zeros((len(graph),) * 2))
    np.testing.assert_allclose(after, weights @ values, atol=1e-14)
    assert disagreement(after) <= second_largest_modulus(weights) * disagreement(values) + 1e-14


def test_the_spectra_of_two_graphs_are_the_known_ones() -> None:
    random, ring = nx.gnp_random_graph(20, 0.5, seed=1234), nx.cycle_graph(20)
    assert random.number_of_edges() == 102
    assert second_largest_modulus(mixing_matrix(random)) == pytest.approx(0.6215, abs=5e-5)
    closed_form = (1.0 + 2.0 * np.cos(2.0 * np.pi / 20)) / 3.0
    assert second_largest_modulus(mixing_matrix(ring)) == pytest.approx(closed_form, rel=1e-12)
    assert closed_form == pytest.approx(0.9674, abs=5e-5)


def test_in_the_long_run_disagreement_shrinks_by_exactly_the_second_largest_modulus() -> None:
    graph = nx.gnp_random_graph(20, 0.5, seed=1234)
    values, keeps = np.random.default_rng(0).normal(size=(20, 3)), np.zeros((20, 20))
    for _ in range(40):
        before, values = values, rounds(graph, values, keeps)
    rate = second_largest_modulus(mixing_matrix(graph))
    assert disagreement(values) / disagreement(before) == pytest.approx(rate, rel=1e-3)


def test_a_complete_graph_averages_in_one_round() -> None:
    values = np.random.default_rng(1).normal(size=(7, 5))
    after = rounds(nx.complete_graph(7), values, np.zeros((7, 7)))
    np.testing.assert_allclose(after, np.tile(values.mean(axis=0), (7, 1)), atol=1e-15)


def test_cosines_and_affinities_are_the_reference_ones() -> None:
    i, j = np.divmod(np.arange(9), 3)
    alike = cosines(DIRECTIONS[i], DIRECTIONS[j]).reshape(3, 3)
    expected = [[1.0, 0.990221, -0.882872], [0.990221, 1.0, -0.914675], [-0.882872, -0.914675, 1.0]]
    np.testing.assert_allclose(alike, expected, atol=1e-6)
    edges = ~np.eye(3, dtype=bool)
    weights = affinity_weights(np.maximum(alike, 0.0)[edges], np.array([0, 2, 4, 6])).reshape(3, 2)
    np.testing.assert_allclose(weights, [[0.497543, 0.0], [0.497543, 0.0], [0.0, 0.0]], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 1000))
def test_both_ends_of_an_edge_find_the_same_angle_to_the_last_bit(pairs: int, size: int, seed: int) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, pairs, size))
    a[0] = 0.0
    found = cosines(a, b)
    np.testing.assert_array_equal(found, cosines(b, a))
    np.testing.assert_array_equal(found[-1:], cosines(b[-1:], a[-1:]))
    assert found[0] == 0.0 and np.abs(found).max() <= 1.0 + 1e-15
