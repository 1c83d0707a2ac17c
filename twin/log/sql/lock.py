"""One writing process a file: a lock that the operating system releases when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twin.errors import Conflict

if sys.platform != "win32":
    import fcntl


class WriterLock:
    """Held from construction to ``release``, on ``<file>.lock`` beside the database.

    On Windows there is no such lock; SQLite's own still keeps transactions apart.
    """

    def __init__(self, database: Path) -> None:
        self._descriptor = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if sys.platform != "win32":
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._descriptor)
                raise Conflict(
                    f"another process writes '{database}'. Stop it, or append over HTTP; readers may do so beside it."
                ) from None

    def release(self) -> None:
        """Let another process write."""
        os.close(self._descriptor)
