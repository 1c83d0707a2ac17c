"""A site's index folder: one owner at a time, and another one put in its place as a whole."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from twin.errors import Conflict

if sys.platform != "win32":
    import fcntl

_COMPLETE = "complete"


class FolderLock:
    """Held from construction to ``release``, on ``<folder>.lock`` beside it, or until the process dies, however it dies.

    On Windows there is no such lock.
    """

    def __init__(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor: int | None = os.open(f"{folder}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if sys.platform != "win32":
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.release()
                raise Conflict(f"the search index '{folder}' is in use by another process; stop the service first") from None

    def release(self) -> None:
        """Let another owner have it. Twice is no error."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def beside(folder: Path) -> Path:
    """Where the folder is made anew."""
    return folder.with_name(f"{folder.name}.new")


def settle(folder: Path) -> None:
    """What a crash left of a swap: one that was complete is finished, anything else is thrown away. Needs the lock."""
    fresh, old = beside(folder), folder.with_name(f"{folder.name}.old")
    if (fresh / _COMPLETE).exists():
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        fresh.rename(folder)
        _sync(folder.parent)
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def swap(folder: Path) -> None:
    """Put the folder that was made beside in this one's place: from the moment that it is marked, a crash finishes it."""
    fresh = beside(folder)
    (fresh / _COMPLETE).touch()
    _sync(fresh)
    settle(folder)


def _sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
