"""Folders for runs that kill processes or replay a disk: in memory where there is such a file system.

What a killed process wrote outlives it there as on a disk: only the machine itself would lose it, and a proof of power cuts
replays recorded writes. Syncs then take no time, which is most of what a run would wait for.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder that is gone in the end."""
    is_there = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK)
    return tempfile.TemporaryDirectory(dir=_IN_MEMORY if is_there else None)
