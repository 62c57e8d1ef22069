"""A trial is one method with one seed: its name, its place on disk, and whether it has been done already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scenarios.schema import Scenario
from scenarios.storage import read_json

VERSION = "0.1.0"


@dataclass(frozen=True)
class Trial:
    """One method with one seed.

    Attributes:
        scenario: the resolved experiment.
        method: key of the method.
        seed: the seed.
        device: torch device it runs on.
    """

    scenario: Scenario
    method: str
    seed: int
    device: str

    @property
    def name(self) -> str:
        """Folder name."""
        return f"{self.method}-{self.seed}"

    def fingerprint(self, inputs: str) -> str:
        """Return a hash of everything the results depend on.

        Args:
            inputs: hash of data and code, see :func:`inputs_fingerprint`.
        """
        tree = self.scenario.model_dump(mode="json")
        for irrelevant in ("title", "description", "seeds", "flagship", "name"):
            del tree[irrelevant]
        tree["methods"] = tree["methods"][self.method]
        tree["methods"].pop("label", None)
        identity = [
            VERSION,
            tree,
            self.method if tree["methods"]["use"] is None else "",
            self.seed,
            self.device,
            inputs,
        ]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def finished(self, root: Path, inputs: str) -> bool:
        """Whether this very trial lies complete under ``root``."""
        record = read_json(root / self.name / "trial.json")
        return record is not None and record.get("fingerprint") == self.fingerprint(inputs)


def inputs_fingerprint(parts: Iterable[bytes]) -> str:
    """Return a hash of what trials depend on besides their scenario: data and code."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
