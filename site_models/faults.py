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
        """Note one fault, on one line and in characters that can be printed."""
        line = " ".join(f"{where}: {what}".split())
        self.lines.append("".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line))

    @contextmanager
    def gathered(self, where: str) -> Iterator[None]:
        """Turn a refused value inside the block into a fault."""
        try:
            yield
        except (msgspec.ValidationError, ValueError, OverflowError) as wrong:
            self.add(where, str(wrong))
