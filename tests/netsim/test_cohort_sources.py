"""Compiled functions are renewed when any file they are made from is."""

import hashlib
from pathlib import Path

import netsim.cohort
from netsim.cohort import alone, cell, idling

SOURCES = ("account", "air", "book", "gathering", "luck", "plant")


def test_files_with_cached_functions_name_the_present_state_of_what_they_call() -> None:
    room = Path(netsim.cohort.__file__).parent
    digest = hashlib.sha256(b"".join((room / f"{name}.py").read_bytes() for name in SOURCES)).hexdigest()
    assert digest == alone.SOURCES_SHA256 == cell.SOURCES_SHA256 == idling.SOURCES_SHA256
