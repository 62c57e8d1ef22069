"""Command lines that say what is wrong in one line, like every other error."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from scenarios.errors import ScenarioError


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are ScenarioErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise the message as a ScenarioError."""
        raise ScenarioError("command line", message, "see --help")


def at_least_one(options: argparse.Namespace, *names: str) -> None:
    """Check options that count something, if they are given.

    Raises:
        ScenarioError: one is below 1.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ScenarioError(f"--{name}", value, "a whole number, at least 1")


def exit_code(command: Callable[[], int], kept: str) -> int:
    """Run a command; return its exit code, or say in one line why it ended early and return the code of that.

    Args:
        command: what to run; it may import the user's own modules from the working directory.
        kept: what it keeps when it is interrupted.
    """
    sys.path.insert(0, os.getcwd())
    try:
        return command()
    except ScenarioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"error: interrupted; finished {kept} are kept: run the same command again to go on", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"error: cannot write results: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return 1
