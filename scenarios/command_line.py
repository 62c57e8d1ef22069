"""Command lines that say what is wrong in one line, like every other error."""

from __future__ import annotations

import argparse
from typing import NoReturn

from scenarios.errors import ScenarioError


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are ScenarioErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise the message as a ScenarioError."""
        raise ScenarioError("command line", message, "see --help")
