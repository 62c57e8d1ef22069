"""The best fixed H and K in hindsight: every one of a grid is run, and the best is known when all are done.

No controller: nobody can run an experiment thirty times to find out how it should have been run. It is what
controllers are measured against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

BS_ITERATIONS = (1, 2, 4, 8)
_PASSES = (1 / 16, 16)


def local_grid(rows: float) -> tuple[int, ...]:
    """Return the powers of two from a sixteenth of a pass over a terminal's rows to sixteen passes."""
    least, most = (max(1.0, share * rows) for share in _PASSES)
    powers = [2**k for k in range(31)]
    return tuple(H for H in powers if least <= H <= most) or (1,)


def fixed_methods(
    local_iterations: Sequence[int], bs_iterations: Sequence[int], common: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return an entry of a scenario's methods for every H and K, by a key that says them.

    Args:
        local_iterations, bs_iterations: the grid.
        common: parameters that the controllers' entries have as well.
    """
    return {
        f"fixed_{H}_{K}": {"use": "hfedmtl", "local_iterations": H, "bs_iterations": K, **common}
        for H in local_iterations
        for K in bs_iterations
    }
