"""Gathering every fault of a site model, instead of stopping at the first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec


class Faults:
    """Lines "file: feature 'id': what is wrong; what to do"."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, where: str, what: str) -> None:
        """Note one fault."""
        self.lines.append(f"{where}: {what}")

    @contextmanager
    def gathered(self, where: str) -> Iterator[None]:
        """Turn a refused value inside the block into a fault."""
        try:
            yield
        except (msgspec.ValidationError, ValueError) as wrong:
            self.add(where, str(wrong))
