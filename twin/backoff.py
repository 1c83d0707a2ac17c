"""How long to wait before the next try: exponential, bounded, with jitter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits of ``first_s``, twice that, … up to ``longest_s``, each times 0.5..1 by chance.

    Attributes:
        chance: a number in [0, 1), such as ``random.random``; jitter keeps many edges from coming back at once.
    """

    chance: Callable[[], float]
    first_s: float = 0.5
    longest_s: float = 30.0

    def wait_s(self, n_failures: int) -> float:
        """How long to wait after this many failures in a row (1, 2, …)."""
        longest = min(self.first_s * 2.0 ** min(n_failures - 1, 30), self.longest_s)
        return longest * (0.5 + 0.5 * self.chance())
