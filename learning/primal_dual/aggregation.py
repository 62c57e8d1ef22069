"""Safe ways to add up the dual updates of terminals that worked in parallel without seeing each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SafeAggregation:
    """How much of each update is kept, and how cautious each terminal was (Ma et al., CoCoA+, ICML 2015).

    With N terminals in a task, sigma' >= gamma N guarantees that a round never lowers the dual, whatever the data
    and however many steps each terminal did; below it a round can diverge.

    Args:
        gamma: share of each update that is added, in (0, 1].
        sigma_prime: factor by which a terminal overestimates the curvature of its own sub-problem, above 0.

    Raises:
        ValueError: if a value is outside its range.
    """

    gamma: float
    sigma_prime: float

    def __post_init__(self) -> None:
        if not 0.0 < self.gamma <= 1.0:
            raise ValueError(f"gamma = {self.gamma}: allowed: above 0, at most 1")
        if not self.sigma_prime > 0.0:
            raise ValueError(f"sigma_prime = {self.sigma_prime}: allowed: above 0")

    @classmethod
    def adding(cls, terminals: int) -> SafeAggregation:
        """Return gamma = 1, sigma' = N: full updates of cautious terminals, fastest as a rule."""
        return cls(1.0, float(terminals))

    @classmethod
    def averaging(cls, terminals: int) -> SafeAggregation:
        """Return gamma = 1/N, sigma' = 1: the mean of bold updates, as in the first CoCoA."""
        return cls(1.0 / terminals, 1.0)

    def require_safe(self, terminals: int) -> SafeAggregation:
        """Return self if it is safe for tasks of ``terminals`` terminals.

        Raises:
            ValueError: naming the rule, if sigma' < gamma N.
        """
        if self.sigma_prime < self.gamma * terminals - 1e-12:
            raise ValueError(
                f"sigma_prime = {self.sigma_prime} breaks the safety rule sigma_prime >= gamma * N = "
                f"{self.gamma} * {terminals}: rounds may diverge"
            )
        return self
