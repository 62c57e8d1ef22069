"""``python -m analysis.regret SCENARIO`` measures regret; with folders that it left, prints what they say again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.regret.table import regret, summary, text


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or the exit code of what went wrong, which was told in one line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and all(Path(name).is_dir() for name in given):
        return tell([Path(name) for name in given])
    from analysis.regret import command  # loads what folders do not need

    return command.main(given)


def tell(folders: Sequence[Path]) -> int:
    """Print the regret of every folder, and of all of them together if there are several."""
    tables = []
    for folder in folders:
        try:
            tables.append(regret(pd.read_csv(folder / "runs.csv")))
        except FileNotFoundError:
            print(f"error: {folder}: holds no runs.csv", file=sys.stderr)
            return 2
        print(f"## {folder.name}\n\n{text(tables[-1])}")
    if len(tables) > 1:
        print("## all\n\n" + summary(pd.concat(tables)).to_string(index=False, float_format="%.3f"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
