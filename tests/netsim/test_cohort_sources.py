"""Compiled functions are renewed when any file they are made from is."""

import hashlib
from pathlib import Path

import netsim.cohort
from netsim.cohort import alone, cell, idling
from scenarios import philox

SOURCES = ("account", "air", "book", "gathering", "luck", "plant", "sorting")


def test_files_with_cached_functions_name_the_present_state_of_what_they_call() -> None:
    room = Path(netsim.cohort.__file__).parent
    files = [room / f"{name}.py" for name in SOURCES] + [Path(str(philox.__file__))]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    assert digest == alone.SOURCES_SHA256 == cell.SOURCES_SHA256 == idling.SOURCES_SHA256
