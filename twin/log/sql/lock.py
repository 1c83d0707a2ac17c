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

    Raises:
        Conflict: another process holds it, or has just moved the folder away.
    """

    def __init__(self, database: Path) -> None:
        file = Path(f"{database}.lock")
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if sys.platform != "win32":
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._descriptor)
                raise Conflict(
                    f"another process writes '{database}'. Stop it, or append over HTTP; readers may do so beside it."
                ) from None
            if not _is_at(self._descriptor, file):
                os.close(self._descriptor)
                raise Conflict(f"another process moved the folder of '{database}' away just now; start again")

    def release(self) -> None:
        """Let another process write."""
        os.close(self._descriptor)


def _is_at(descriptor: int, file: Path) -> bool:
    """Whether a lock is still where it was opened: a folder may be renamed between the opening of its lock and its taking."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False
