"""``python -m analysis.tradeoff STUDY.yaml`` runs a study and analyses it; with a study's folder, only the latter."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or the exit code of what went wrong, which was told in one line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) == 1 and Path(given[0]).is_dir():
        from analysis.tradeoff.load import NotAStudyError
        from analysis.tradeoff.report import write_study

        try:
            print(write_study(Path(given[0])))
        except NotAStudyError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return 0
    from analysis.tradeoff import command  # loads what a folder's analysis does not need

    return command.main(given)


if __name__ == "__main__":
    raise SystemExit(main())
