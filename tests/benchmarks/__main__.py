"""All benchmarks: ``python -m tests.benchmarks [FILE.json]`` prints tables and writes the figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.benchmarks import clients, events, gpu, kernels, population, published, radio, urban


def main() -> None:
    """Run every benchmark in turn."""
    figures = {}
    for part in (kernels, clients, events, radio, population, published, urban, gpu):
        measured = part.main()
        print(part.text(measured), end="\n\n", flush=True)
        figures[part.__name__.rpartition(".")[2]] = measured
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
