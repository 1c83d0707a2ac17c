"""What a proof found."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Failure(NamedTuple):
    """A run that refuted the promise; its seed alone replays it."""

    seed: int
    what: str


class Outcome(NamedTuple):
    """Of so many runs.

    Attributes:
        control: what was taken away from the system in the negative control.
        control_failures: how many of its runs refuted the promise: at least one, or the proof proves nothing.
    """

    runs: int
    failures: list[Failure]
    control: str
    control_failures: int


def tried(seeds: range, run: Callable[[int], str | None]) -> list[Failure]:
    """Run every seed; a run gives what refuted the promise, or None."""
    return [Failure(seed, what) for seed in seeds if (what := run(seed)) is not None]
