"""Who may import whom: read from the code, function bodies included."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

from run_scenario import NetworkSimulator

ROOT = Path(__file__).parents[1]
ARROWS = {
    "channel_models": set(),
    "scenarios": set(),
    "learning": {"scenarios"},
    "netsim": {"scenarios", "channel_models"},
    "analysis": set(),
}
COMMANDS = {"analysis/regret/command.py", "analysis/tradeoff/command.py"}
"""These ask run_scenario for runs; the rest of their room reads records."""
CLOCKLESS = {"channel_models", "scenarios", "learning", "analysis"}
TORCHLESS = {"channel_models", "scenarios", "netsim", "analysis"}


def imported(path: Path) -> set[str]:
    """Return the packages that a file imports anywhere, by the first part of their names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(str(node.module).partition(".")[0])
    return found


def test_run_scenario_is_the_only_module_at_the_top() -> None:
    assert [path.name for path in ROOT.glob("*.py")] == ["run_scenario.py"]


@pytest.mark.parametrize("room", ARROWS)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    rooms, files = {*ARROWS, "tests", "run_scenario"}, sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        allowed = {room} | ARROWS[room] | ({"run_scenario", "scenarios"} if name in COMMANDS else set())
        found = imported(path)
        assert found & rooms <= allowed, name
        assert not (room in CLOCKLESS and "simpy" in found), name
        assert not (room in TORCHLESS and "torch" in found), name


def test_a_simulator_is_the_same_in_every_process() -> None:
    here = NetworkSimulator()
    there = pickle.loads(pickle.dumps(here))
    assert there == here and hash(there) == hash(here)  # so that workers keep one shelf of data sets
