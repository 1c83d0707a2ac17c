"""The peer's application. It finds its classes by import path, so they stand here; imported only where it is installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from eventsourcing.application import Application  # pyright: ignore[reportMissingImports]
from eventsourcing.domain import Aggregate, event  # pyright: ignore[reportMissingImports]


class Camera(Aggregate):
    """An aggregate a camera, as its documentation would have it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sequence = 0

    @event("Observed")
    def observe(self, sequence: int, occurred_at: int, payload: dict[str, Any]) -> None:
        """A frame was seen."""
        self.sequence = sequence


class Frames(Application):
    """Saves cameras."""


def opened(path: Path) -> Frames:
    """The application on a SQLite file."""
    return Frames(env={**os.environ, "PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)})
