"""Presets: set-ups of published studies and other habits, laid beneath what a scenario states itself.

A scenario names them, ``presets: [yang2021]``; each is a YAML file of sections beside this module, or any other by its
path, and may name others itself. Later ones lie above earlier ones, and the scenario's own fields above all. Sections
are merged key by key; lists and values are replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from scenarios.errors import ScenarioError

FOLDER = Path(__file__).parent / "presets"
Tree = dict[str, Any]
_Paths = tuple[Path, ...]


def names() -> list[str]:
    """Return the presets that come with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def summaries() -> dict[str, str]:
    """Return what each of them is: the comment its file begins with."""
    found = {}
    for name in names():
        lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        comment = takewhile(lambda line: line.startswith("#"), lines)
        found[name] = " ".join(line.lstrip("# ").strip() for line in comment)
    return found


def with_presets(tree: Mapping[str, Any], read: Callable[[Path], Tree], source: str | None) -> Tree:
    """Return a scenario's mapping with its presets beneath it.

    Args:
        tree: the scenario as written; ``presets`` may be absent.
        read: reads a YAML file.
        source: file the scenario came from; other presets' paths are relative to it.

    Raises:
        ScenarioError: ``presets`` is no list of names, or names one that does not exist.
    """
    return _with_presets(tree, read, source, ())


def _with_presets(tree: Mapping[str, Any], read: Callable[[Path], Tree], source: str | None, above: _Paths) -> Tree:
    wanted = tree.get("presets") or []
    if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
        raise ScenarioError("presets", wanted, "a list of names", source)
    merged: Tree = {}
    for name in wanted:
        path = _path_of(name, source)
        if path in above:
            raise ScenarioError("presets", name, "presets that do not name each other in a circle", source)
        merged = _above(merged, _with_presets(read(path), read, str(path), (*above, path)))
    return _above(merged, tree)


def _path_of(name: str, source: str | None) -> Path:
    if name in names():
        return FOLDER / f"{name}.yaml"
    path = Path(source or ".").parent / name
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    raise ScenarioError("presets", name, f"one of {', '.join(names())}, or the path of a YAML file", source)


def _above(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> Tree:
    """Return the union of two mappings in which the upper one's values win."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = _above(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
