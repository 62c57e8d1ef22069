"""How many threads a batch of compiled work is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba

_WORTH_SHARING = 1_000_000  # multiplications; below, waking a second thread costs more than it saves


@contextmanager
def threads_for(work: float) -> Iterator[None]:
    """Use one thread for a batch of ``work`` multiplications that is over before a second one wakes up."""
    before = numba.get_num_threads()
    if before == 1 or work > _WORTH_SHARING:
        yield
        return
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)
