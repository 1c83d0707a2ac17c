"""Proofs make happen what a service warns of: what it says is of no use, and tests of what it says come after."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(*names: str, below: int = logging.CRITICAL) -> Iterator[None]:
    """Keep these loggers' records below a level to themselves."""
    loggers = [logging.getLogger(name) for name in names]
    kept = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(below)
    try:
        yield
    finally:
        for one, level in zip(loggers, kept, strict=True):
            one.setLevel(level)
