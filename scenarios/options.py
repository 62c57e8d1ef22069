"""The options of run_scenario.py, and the scenario they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scenarios.command_line import OneLineParser, at_least_one
from scenarios.errors import ScenarioError
from scenarios.loading import check, load_scenario
from scenarios.schema import Scenario


def command_line(arguments: Sequence[str], description: str) -> argparse.Namespace:
    """Parse the command line.

    Raises:
        ScenarioError: an option is unknown or its value impossible.
    """
    parser = OneLineParser(prog="run_scenario.py", description=description)
    parser.add_argument("scenario", type=Path, nargs="?", help="YAML file, e.g. scenarios/urban.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change a field; repeatable"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="use seeds 0 .. N-1")
    parser.add_argument("--methods", metavar="A,B", help="run only these methods of the scenario")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the maths runs")
    parser.add_argument("--out", type=Path, metavar="DIR", help="result folder (default: results/NAME)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one per core)")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--no-report", action="store_true", help="write tables only")
    parser.add_argument("--list-methods", action="store_true", help="print the methods that can be used, and stop")
    parser.add_argument("--list-presets", action="store_true", help="print the set-ups a scenario can name, and stop")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of scenario files, and stop")
    options = parser.parse_args(arguments)
    if options.scenario is None and not (options.list_methods or options.list_presets or options.schema):
        raise ScenarioError("scenario", None, "a YAML file, e.g. scenarios/urban.yaml")
    at_least_one(options, "seeds", "workers")
    return options


def resolve(options: argparse.Namespace) -> Scenario:
    """Return the scenario with all options applied.

    Raises:
        ScenarioError: the scenario is none, or a method is asked for that it does not have.
    """
    scenario = load_scenario(options.scenario, options.set)
    tree = scenario.model_dump(mode="json")
    if options.seeds is not None:
        tree["seeds"] = options.seeds
    if options.methods is not None:
        wanted = [name.strip() for name in options.methods.split(",")]
        for name in wanted:
            if name not in scenario.methods:
                raise ScenarioError("--methods", name, "among " + ", ".join(scenario.methods))
        tree["methods"] = {name: tree["methods"][name] for name in wanted}
        if tree["flagship"] not in wanted:
            tree["flagship"] = None
    return check(tree, str(options.scenario))
