"""The graph of a decentralised method: every kind, drawn by name, joined by the shortest edges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from netsim.topology import MOST_NODES, Pairs, Topology, joined
from scenarios.errors import ScenarioError
from scenarios.graph import Graph
from scenarios.streams import Streams


def places(nodes: int, seed: int = 0, reach_m: float = np.inf) -> Pairs:
    pairs = Pairs.of(np.arange(nodes), np.random.default_rng(seed).uniform(0.0, 100.0, (nodes, 2)))
    return replace(pairs, in_reach=pairs.distance_m <= reach_m)


def topology(pairs: Pairs, seed: int = 0, **law: Any) -> Topology:
    return Topology(Graph(**law), pairs, Streams(seed))


def edges(graph: nx.Graph) -> set[tuple[int, int]]:
    return {(min(edge), max(edge)) for edge in graph.edges}


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 9])
def test_complete_graphs_and_rings_are_those_of_networkx(nodes: int) -> None:
    for kind, known in (("complete", nx.complete_graph(nodes)), ("ring", nx.cycle_graph(nodes))):
        drawn = topology(places(nodes), kind=kind)
        known.remove_edges_from(nx.selfloop_edges(known))
        assert edges(drawn.graph(0)) == edges(known)
        for node, others in enumerate(drawn.at(0).of):
            assert others.tolist() == sorted(known[node])
        assert drawn.at(0).degrees.tolist() == [known.degree[node] for node in range(nodes)]


def test_a_ring_that_is_drawn_again_is_another_ring() -> None:
    drawn = topology(places(12), kind="ring", redraw_every=3)
    first, same, other = (drawn.graph(round_) for round_ in (0, 2, 3))
    assert edges(first) == edges(same) != edges(other)
    assert all(nx.is_connected(ring) and set(dict(ring.degree).values()) == {2} for ring in (first, other))


def test_random_edges_come_with_their_probability_and_anew_in_every_draw() -> None:
    drawn = topology(places(60), kind="erdos_renyi", probability=0.3, redraw_every=1)
    shares = [drawn.at(round_).degrees.sum() / (60 * 59) for round_ in range(30)]
    assert np.mean(shares) == pytest.approx(0.3, abs=0.01)
    assert len({frozenset(edges(drawn.graph(round_))) for round_ in range(30)}) == 30


def test_a_draw_depends_on_the_seed_and_the_two_nodes_alone() -> None:
    few, many = (topology(places(n), connect=False) for n in (10, 14))
    assert edges(few.graph(0)) == {(a, b) for a, b in edges(many.graph(0)) if b < 10}
    assert edges(few.graph(0)) != edges(topology(places(10), seed=1, connect=False).graph(0))
    pairs = Pairs.of(np.arange(10)[::-1], np.zeros((10, 2)))
    turned = {(9 - b, 9 - a) for a, b in edges(topology(pairs, connect=False).graph(0))}
    assert turned == edges(few.graph(0))


def test_geometric_graphs_are_those_of_networkx() -> None:
    xy_m = np.random.default_rng(0).uniform(0.0, 100.0, (25, 2))
    known = nx.random_geometric_graph(25, 30.0, pos=dict(enumerate(xy_m.tolist())))
    assert edges(topology(places(25), kind="geometric", radius_m=30.0, connect=False).graph(0)) == edges(known)


def test_nobody_beyond_reach_is_a_neighbour() -> None:
    for law in ({"kind": "complete"}, {"kind": "ring"}, {"probability": 0.9}):
        pairs = places(20, reach_m=25.0)
        found = edges(topology(pairs, **law).graph(0))
        assert found <= {
            (int(a), int(b)) for a, b in zip(pairs.a[pairs.in_reach], pairs.b[pairs.in_reach], strict=True)
        }


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 14), st.sampled_from([0.0, 0.1, 0.3]), st.sampled_from([30.0, np.inf]), st.integers(0, 500))
def test_parts_are_joined_by_a_shortest_forest_and_no_more(n: int, share: float, reach_m: float, seed: int) -> None:
    pairs = places(n, seed, reach_m)
    mask = (np.random.default_rng(seed).random(len(pairs.a)) < share) & pairs.in_reach
    together = joined(mask, pairs)
    assert not (mask & ~together).any() and not (together & ~pairs.in_reach).any()
    reachable, drawn = nx.Graph(), nx.Graph()
    for a, b, metres, near, has in zip(pairs.a, pairs.b, pairs.distance_m, pairs.in_reach, mask, strict=True):
        if near:
            reachable.add_edge(int(a), int(b), weight=0.0 if has else float(metres))
    drawn.add_nodes_from(range(n))
    reachable.add_nodes_from(range(n))
    drawn.add_edges_from(zip(pairs.a[together].tolist(), pairs.b[together].tolist(), strict=True))
    assert nx.number_connected_components(drawn) == nx.number_connected_components(reachable)
    shortest_m = nx.minimum_spanning_tree(reachable).size(weight="weight")
    assert pairs.distance_m[together & ~mask].sum() == pytest.approx(shortest_m, rel=1e-12, abs=1e-9)


def test_edges_come_from_a_file_draw_after_draw(tmp_path: Path) -> None:
    path = tmp_path / "edges.csv"
    path.write_text("a,b,draw\n0,1,0\n2,1,0\n0,2,1\n")
    drawn = topology(places(4), kind="file", edges_csv=str(path), connect=False, redraw_every=2)
    found = [edges(drawn.graph(round_)) for round_ in range(6)]
    assert found == [{(0, 1), (1, 2)}, {(0, 1), (1, 2)}, {(0, 2)}, {(0, 2)}, {(0, 1), (1, 2)}, {(0, 1), (1, 2)}]
    assert nx.is_connected(topology(places(4), kind="file", edges_csv=str(path)).graph(0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n0,4\n", "b = '4': allowed: a whole number from 0 to 3"),
        ("a,b\n1,1\n", "b = '1': allowed: another node than a"),
        ("from,to\n1,1\n", "columns a, b and perhaps draw"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "edges.csv"
    path.write_text(text)
    with pytest.raises(ScenarioError, match=said):
        topology(places(4), kind="file", edges_csv=str(path))


@pytest.mark.parametrize(
    ("law", "said"),
    [
        ({"kind": "geometric"}, "radius_m, with kind geometric"),
        ({"kind": "file"}, "edges_csv with kind file"),
        ({"edges_csv": "edges.csv"}, "edges_csv with kind file"),
        ({"kind": "complete", "redraw_every": 2}, "no redraw_every with kind complete"),
    ],
)
def test_a_law_that_makes_no_sense_is_refused(law: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Graph(**law)


def test_too_many_nodes_are_refused() -> None:
    with pytest.raises(ScenarioError, match=f"at most {MOST_NODES}"):
        places(MOST_NODES + 1)
